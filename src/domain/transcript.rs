//! Transcripts of chats: their form, and what of them an organization's privacy settings let be written and kept.
//!
//! A transcript comes as one line of JSON. Whatever is wrong with it is said by line and field, and never by repeating what a visitor
//! said or is called.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use super::json::{Object, object, objects};
use super::rows::Privacy;
use super::text::display;

/// How long a transcript may be as a line of JSON, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// How many messages a transcript may have.
pub const MAX_MESSAGES: usize = 1000;

/// How long a message may be, in characters.
pub const MAX_TEXT: usize = 10_000;

/// How long a visitor's name may be, in characters.
pub const MAX_NAME: usize = 200;

/// How long a visitor's e-mail address may be, in characters.
pub const MAX_EMAIL: usize = 254;

/// For how many days an organization may want its transcripts kept.
pub const RETENTION_DAYS: std::ops::RangeInclusive<i32> = 1..=3650;

const MILLISECONDS_A_DAY: i64 = 24 * 60 * 60 * 1000;

/// A chat from its start to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transcript {
    /// When the chat began.
    #[serde(deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// With whom, as far as known.
    #[serde(default, deserialize_with = "object")]
    pub visitor: Visitor,
    /// What was said, in order.
    #[serde(deserialize_with = "objects")]
    pub messages: Vec<Message>,
}

/// What a visitor told about themselves, and where they came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Visitor {
    /// As the visitor wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As the visitor wrote it: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where the visitor's browser was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ip: Option<IpAddr>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// When it was sent.
    #[serde(deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By whom.
    pub author: Author,
    /// What it says: lines and tabs, no other control characters.
    pub text: String,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Author {
    /// The visitor.
    Visitor,
    /// An operator.
    Operator,
    /// Nobody: a greeting, a notice, a bot.
    System,
}

/// A transcript that was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredTranscript {
    /// Its id, opaque.
    pub external_id: String,
    /// What it says, without what was not to be stored.
    pub transcript: Transcript,
}

/// What is wrong with a transcript.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{}{problem}", opening(.field))]
pub struct Unfit {
    /// The field, such as `messages[2].at`; empty: the transcript as a whole.
    pub field: String,
    /// What is wrong with it, and what is expected.
    pub problem: String,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {unfit}")]
pub struct BadLine {
    /// Its number; the first is 1.
    pub line: usize,
    /// What is wrong.
    pub unfit: Unfit,
}

/// A transcript that an organization lets be written, in the form in which it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted(Transcript);

impl Transcript {
    /// Reads one line of JSON.
    pub fn parse(line: &[u8]) -> Result<Self, Unfit> {
        if line.len() > MAX_BYTES {
            return Err(unfit("", format!("longer than {MAX_BYTES} bytes; a transcript ends earlier")));
        }
        let mut reader = serde_json::Deserializer::from_slice(line);
        let Object(transcript): Object<Self> = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            // `.`: the whole; `?`: not known, for the line ended there. Whoever sent it named the fields.
            let path = error.path().to_string();
            unfit(&display(path.trim_end_matches(['.', '?']), 100), expected(error.inner()))
        })?;
        reader.end().map_err(|error| unfit("", expected(&error)))?;
        transcript.check()?;
        Ok(transcript)
    }

    /// Reads transcripts, one a line. Empty lines are passed over.
    pub fn parse_lines(lines: &[u8]) -> Result<Vec<Self>, BadLine> {
        let numbered = lines.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).zip(1..).filter(|(line, _)| !line.is_empty());
        numbered.map(|(line, number)| Self::parse(line).map_err(|unfit| BadLine { line: number, unfit })).collect()
    }

    /// Whether it is within the bounds; [`Transcript::parse`] asks this too.
    pub fn check(&self) -> Result<(), Unfit> {
        let Self { started_at: _, visitor: Visitor { name, email, ip: _ }, messages } = self;
        let control = |c: char| c.is_control();
        optional("visitor.name", name.as_deref(), MAX_NAME, control)?;
        optional("visitor.email", email.as_deref(), MAX_EMAIL, control)?;
        if messages.len() > MAX_MESSAGES {
            return Err(unfit("messages", format!("more than {MAX_MESSAGES}; begin another transcript")));
        }
        if messages.iter().map(|message| message.text.len()).sum::<usize>() > MAX_BYTES {
            return Err(unfit("messages", format!("longer than {MAX_BYTES} bytes in all; begin another transcript")));
        }
        for (number, message) in messages.iter().enumerate() {
            let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
            text(|| format!("messages[{number}].text"), &message.text, MAX_TEXT, control)?;
        }
        Ok(())
    }

    /// Forgets who the visitor was: name, e-mail and IP address. What the visitor wrote stays as it is.
    pub fn anonymize(&mut self) {
        let Visitor { name, email, ip } = &mut self.visitor;
        (*name, *email, *ip) = (None, None, None);
    }
}

impl Privacy {
    /// Whether transcripts are stored: unless the organization says no.
    pub fn stores(&self) -> bool {
        self.store_transcripts.unwrap_or(true)
    }

    /// What of a transcript may be written: `None` where nothing may.
    pub fn admit(&self, mut transcript: Transcript) -> Option<Admitted> {
        if self.anonymize_visitors.unwrap_or(false) {
            transcript.anonymize();
        }
        self.stores().then_some(Admitted(transcript))
    }
}

impl Admitted {
    /// The transcript.
    pub fn transcript(&self) -> &Transcript {
        &self.0
    }

    /// From when on its age counts: from its start, or from now, should the clock of whoever wrote it be fast. Nothing is kept longer for
    /// that.
    pub fn counts_from(&self, now: Timestamp) -> Timestamp {
        self.0.started_at.min(now)
    }
}

/// The time from which on an organization keeps transcripts at an instant, keeping them for so many days of 24 hours: what counts from
/// an earlier time is older than that, and goes.
pub fn kept_from(days: i32, now: Timestamp) -> Timestamp {
    let from = now.as_millisecond().saturating_sub(i64::from(days) * MILLISECONDS_A_DAY);
    Timestamp::from_millisecond(from).unwrap_or(Timestamp::MIN)
}

fn opening(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("{field}: ") }
}

fn unfit(field: &str, problem: String) -> Unfit {
    Unfit { field: field.to_owned(), problem }
}

fn optional(field: &str, value: Option<&str>, longest: usize, unwanted: impl Fn(char) -> bool) -> Result<(), Unfit> {
    value.map_or(Ok(()), |value| text(|| field.to_owned(), value, longest, unwanted))
}

fn text(field: impl Fn() -> String, value: &str, longest: usize, unwanted: impl Fn(char) -> bool) -> Result<(), Unfit> {
    let problem = if value.chars().nth(longest).is_some() {
        format!("longer than {longest} characters; shorten it")
    } else if value.contains(unwanted) {
        "contains control characters; remove them".to_owned()
    } else {
        return Ok(());
    };
    Err(Unfit { field: field(), problem })
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| Error::custom("expected a time as in RFC 3339, such as 2026-11-25T16:41:59Z"))
}

/// What was expected, in the words of the reader. Only that: its words of what it found could repeat what a visitor said.
fn expected(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((found, expected)) => format!("{}, expected {expected}", found.split(['`', ':']).next().unwrap_or_default().trim_end()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
#[path = "transcript_tests.rs"]
mod tests;
