//! What a reply means: an answer, an error of the account server's, or words of somebody else who stands in its place.
//!
//! A reply that cannot be understood is a lost one: of a read nothing is lost, of a write nobody knows what became of it. Whatever a
//! remote side says is cleaned and cut before it is repeated, and only what an account server says is repeated at all.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::backend::problem::Problem;
use crate::backend::wire::{NDJSON, PROBLEM};
use crate::backend::{BackendError, MAX_WAIT, Result};
use crate::domain::text::display;

/// What an answer has to be.
const JSON: &str = "application/json";

/// How long to wait where a server that is asked too much does not say it.
const SOME_TIME: Duration = Duration::from_secs(1);

/// What a call is for: it decides what the loss of its reply means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It changes nothing.
    Read,
    /// It may have been carried out when its reply is lost.
    Write,
}

impl Call {
    /// The reply was lost.
    pub(super) fn lost(self, why: String) -> BackendError {
        match self {
            Self::Read => BackendError::Transient(why),
            Self::Write => BackendError::OutcomeUnknown(why),
        }
    }
}

/// A reply, read to its end.
pub(super) struct Reply<'a> {
    /// The server's URL, for people.
    at: &'a str,
    status: StatusCode,
    media: Option<String>,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl<'a> Reply<'a> {
    /// A reply from the server at this URL.
    pub(super) fn new(at: &'a str, status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let media = text(CONTENT_TYPE).and_then(|value| value.split(';').next()).map(|media| media.trim().to_ascii_lowercase());
        Self { at, status, media, retry_after: text(RETRY_AFTER).and_then(wait), body }
    }

    /// How long to leave the server alone, where it says so.
    pub(super) fn pause(&self) -> Option<Duration> {
        let asked = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        self.retry_after.filter(|_| asked)
    }

    /// The answer in it.
    pub(super) fn answer<T: DeserializeOwned>(self, call: Call) -> Result<T> {
        if !self.status.is_success() {
            return Err(self.error(call));
        }
        if self.media.as_deref() != Some(JSON) {
            return Err(call.lost(self.foreign()));
        }
        // What is wrong with the text is said by line and column: serde_json repeats values in its own words.
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let at = self.at;
            call.lost(format!(
                "the answer of {at} is not the JSON that was expected (line {line}, column {column}). Is it of another version?"
            ))
        })
    }

    /// That it was done, where there is nothing more to say.
    pub(super) fn done(self, call: Call) -> Result<()> {
        match self.status {
            StatusCode::NO_CONTENT => Ok(()),
            status if status.is_success() => Err(call.lost(self.foreign())),
            _ => Err(self.error(call)),
        }
    }

    /// Whether it is the head of a stream.
    pub(super) fn begins_stream(&self, call: Call) -> Result<()> {
        if self.media.as_deref() == Some(NDJSON) { Ok(()) } else { Err(call.lost(self.foreign())) }
    }

    /// The error in it.
    pub(super) fn error(self, call: Call) -> BackendError {
        // By whomever: the token is of no use there.
        if self.status == StatusCode::UNAUTHORIZED {
            return BackendError::CredentialsInvalid;
        }
        let problem = (self.media.as_deref() == Some(PROBLEM)).then(|| serde_json::from_slice::<Problem>(&self.body).ok()).flatten();
        match problem.and_then(|problem| problem.error()) {
            Some(BackendError::Throttled { after }) => BackendError::Throttled { after: after.min(MAX_WAIT) },
            Some(BackendError::Invalid { field, message }) => BackendError::Invalid { field: in_spec(field), message },
            Some(error) => error,
            None => self.foreign_error(call),
        }
    }

    /// What an answer means that no account server gives.
    fn foreign_error(self, call: Call) -> BackendError {
        let words = self.foreign();
        match (self.status.as_u16(), self.pause()) {
            (429, after) => BackendError::Throttled { after: after.unwrap_or(SOME_TIME) },
            (503, Some(after)) => BackendError::Throttled { after },
            // Nobody has carried it out: it is about the address, or about what stands before the server.
            (300..=399 | 404 | 405 | 408 | 421 | 425, _) => BackendError::Transient(words),
            (400..=499, _) => BackendError::Forbidden(words),
            _ => call.lost(words),
        }
    }

    /// Who answers, and what to check.
    fn foreign(&self) -> String {
        let (at, status) = (self.at, self.status);
        let media = self.media.as_deref().map_or_else(|| "no content type".to_owned(), |media| display(media, 60));
        let advice = match status.as_u16() {
            300..=399 => "A redirect is not followed: set the address it leads to, should that be the account server",
            404 | 405 | 200..=299 => "Does the URL lead to an account server, with the right port and path?",
            401 | 403 => "Something before the account server refuses this: see its rules",
            413 | 431 => "Something before the account server does not let requests of this size through: see its limits",
            500..=599 => "See whether the account server runs, and the log of what stands before it",
            _ => "Is the server of another version, or does something stand before it that changes requests?",
        };
        format!("{at} answers {status} with {media}, and that is not what an account server says. {advice}")
    }
}

/// Where fields of a request's `desired` stand in the spec, as far as that is another place.
const PLACES: &[(&str, &str)] = &[
    ("ownerEmail", "owner.email"),
    ("ownerDisplayName", "owner.displayName"),
    ("country", "location.country"),
    ("timeZone", "location.timeZone"),
    ("selectDepartment", "startForm.selectDepartment"),
    ("selectOperator", "startForm.selectOperator"),
    ("color", "theme.color"),
    ("storeTranscripts", "privacy.storeTranscripts"),
    ("retentionDays", "privacy.transcriptRetentionDays"),
    ("anonymizeVisitors", "privacy.anonymizeVisitors"),
];

/// A field of a request's body, as people find it in the spec.
fn in_spec(field: Cow<'static, str>) -> Cow<'static, str> {
    let (parent, name) = match (field.strip_prefix("firstOperator.desired."), field.strip_prefix("desired.")) {
        (Some(name), _) => ("spec.firstOperator", name),
        (_, Some(name)) => ("spec", name),
        _ => return field,
    };
    // Privacy is a part of its own in both.
    let name = name.strip_prefix("privacy.").unwrap_or(name);
    let place = PLACES.iter().find(|(written, _)| *written == name).map_or(name, |(_, place)| place);
    Cow::Owned(format!("{parent}.{place}"))
}

/// `Retry-After`: seconds, or a date. No longer than [`MAX_WAIT`].
fn wait(text: &str) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        // More than fits is long enough.
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => MAX_WAIT,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?;
            Duration::try_from(date.timestamp().duration_since(jiff::Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rows::RowKind;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply<'static> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Reply::new("https://accounts.example", StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes().to_vec())
    }

    fn problem(error: &BackendError) -> Reply<'static> {
        let problem = Problem::from(error);
        let body = serde_json::to_string(&problem).unwrap();
        reply(problem.status, &[("content-type", "application/problem+json")], &body)
    }

    #[test]
    fn what_the_account_server_says_arrives_whatever_the_call() {
        for error in [
            BackendError::ParentNotFound(RowKind::Account),
            BackendError::EmailTaken,
            BackendError::Fenced { current: 7 },
            BackendError::Forbidden("the row belongs to another owner id".to_owned()),
            BackendError::Transient("the store's disk is full".to_owned()),
            BackendError::OutcomeUnknown("the store was closed meanwhile".to_owned()),
            BackendError::Throttled { after: Duration::from_secs(3) },
        ] {
            for call in [Call::Read, Call::Write] {
                assert_eq!(problem(&error).answer::<()>(call), Err(error.clone()));
                assert_eq!(problem(&error).done(call), Err(error.clone()));
            }
        }
    }

    #[test]
    fn a_refused_token_is_one_whoever_refuses_it() {
        for refusal in [
            reply(401, &[], ""),
            reply(401, &[("content-type", "text/html")], "<h1>Log in</h1>"),
            problem(&BackendError::CredentialsInvalid),
        ] {
            assert_eq!(refusal.answer::<()>(Call::Write), Err(BackendError::CredentialsInvalid));
        }
    }

    #[test]
    fn answers_of_others_are_classed_by_what_may_have_happened() {
        for (status, read, write) in [
            (200, "Transient", "OutcomeUnknown"),
            (302, "Transient", "Transient"),
            (403, "Forbidden", "Forbidden"),
            (404, "Transient", "Transient"),
            (413, "Forbidden", "Forbidden"),
            (429, "Throttled", "Throttled"),
            (500, "Transient", "OutcomeUnknown"),
            (502, "Transient", "OutcomeUnknown"),
            (503, "Transient", "OutcomeUnknown"),
            (504, "Transient", "OutcomeUnknown"),
        ] {
            for (call, class) in [(Call::Read, read), (Call::Write, write)] {
                let html = || reply(status, &[("content-type", "text/html; charset=utf-8")], "<h1>secret words</h1>");
                let error = html().answer::<()>(call).unwrap_err();
                assert_eq!(error.class(), class, "{status}");
                assert!(!error.to_string().contains("secret words"), "{error}");
                if class != "Throttled" {
                    assert!(error.to_string().contains(&status.to_string()) && error.to_string().contains("text/html"), "{error}");
                }
                assert_eq!(html().done(call).unwrap_err().class(), class, "{status}");
            }
        }
    }

    #[test]
    fn a_problem_of_no_class_of_ours_is_not_repeated() {
        let foreign = reply(400, &[("content-type", "application/problem+json")], r#"{"type":"about:blank","detail":"secret words"}"#);
        let error = foreign.error(Call::Write);
        assert_eq!(error.class(), "Forbidden");
        assert!(!error.to_string().contains("secret words"));
    }

    #[test]
    fn a_field_is_named_as_in_the_spec() {
        for (sent, expected) in [
            ("desired.nickname", "spec.nickname"),
            ("desired.ownerEmail", "spec.owner.email"),
            ("desired.timeZone", "spec.location.timeZone"),
            ("desired.privacy.retentionDays", "spec.privacy.transcriptRetentionDays"),
            ("firstOperator.desired.email", "spec.firstOperator.email"),
            ("spec.organizationRef", "spec.organizationRef"),
            ("cursor", "cursor"),
        ] {
            let error = problem(&BackendError::Invalid { field: sent.into(), message: "is bad".to_owned() }).error(Call::Write);
            assert_eq!(error, BackendError::Invalid { field: expected.into(), message: "is bad".to_owned() });
        }
    }

    #[test]
    fn a_content_type_is_no_way_to_speak_to_people() {
        let long = reply(404, &[("content-type", &"x".repeat(4000))], "");
        assert!(long.error(Call::Read).to_string().chars().count() < 400);
    }

    #[test]
    fn json_is_an_answer_whole_and_only_with_its_content_type() {
        let json = [("content-type", "application/json")];
        assert_eq!(reply(200, &json, "[1,2]").answer::<Vec<u8>>(Call::Read), Ok(vec![1, 2]));
        assert_eq!(reply(201, &[("content-type", "Application/JSON; charset=utf-8")], "7").answer::<u8>(Call::Write), Ok(7));
        assert_eq!(reply(200, &[], "7").answer::<u8>(Call::Write).unwrap_err().class(), "OutcomeUnknown");
        for text in ["", "[1,", "{}", "[1] [2]", "[\"secret words\"]"] {
            let error = reply(200, &json, text).answer::<Vec<u8>>(Call::Read).unwrap_err();
            assert_eq!(error.class(), "Transient");
            assert!(!error.to_string().contains("secret words"), "{error}");
        }
        assert_eq!(reply(204, &[], "").done(Call::Write), Ok(()));
        assert_eq!(reply(200, &json, "{}").done(Call::Write).unwrap_err().class(), "OutcomeUnknown");
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_and_never_longer_than_the_cap() {
        let pause = |status, value: &str| reply(status, &[("retry-after", value)], "").pause();
        for (value, seconds) in [("0", 0), ("7", 7), ("86400", 100), ("99999999999999999999999", 100), (" 3 ", 3)] {
            assert_eq!(pause(429, value), Some(Duration::from_secs(seconds)), "{value}");
            assert_eq!(pause(503, value), Some(Duration::from_secs(seconds)), "{value}");
            assert_eq!(pause(200, value), None, "{value}");
        }
        for nonsense in ["", "soon", "-5", "1.5", "Sun, 99 Nov 2094 08:49:37 GMT"] {
            assert_eq!(pause(429, nonsense), None, "{nonsense}");
        }
        assert_eq!(pause(429, "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(pause(429, "Sat, 06 Nov 2094 08:49:37 GMT"), Some(MAX_WAIT));
        let error = reply(503, &[("retry-after", "86400")], "").error(Call::Write);
        assert_eq!(error, BackendError::Throttled { after: MAX_WAIT });
    }
}
