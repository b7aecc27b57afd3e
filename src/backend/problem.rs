//! Errors on their way between an account server and its clients: RFC 9457, whose `type` is the class of a [`BackendError`].

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::rows::RowKind;
use crate::domain::seats::Place;
use crate::domain::text::display;

use super::BackendError;

/// Longer texts of a remote side are cut.
const LONGEST: usize = 300;

/// An error as `application/problem+json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Problem {
    /// The class of the error, such as `LimitExceeded`.
    #[serde(rename = "type")]
    pub class: String,
    /// The error in words: what is wrong and what to do.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What the words of the class leave open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `Invalid`: the field, as in the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// `ParentNotFound`: the kind of the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<RowKind>,
    /// `LimitExceeded`: the first place that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Place>,
    /// `LimitExceeded`: what the plan allows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// `LimitExceeded`: what is held of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<i64>,
    /// `LimitExceeded`: the ticket's place in line, up to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// `Throttled`: when to ask again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// `Fenced`: the epoch in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// `WrongStore`: the id of the store that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
}

/// The HTTP status of an error.
pub fn status(error: &BackendError) -> u16 {
    match error {
        // What is asked of the wrong kind of row is the client's mistake, not ours.
        BackendError::Invalid { .. } | BackendError::Unsupported(_) => 422,
        BackendError::CredentialsInvalid => 401,
        BackendError::Forbidden(_) => 403,
        BackendError::ParentNotFound(_) => 404,
        BackendError::EmailTaken
        | BackendError::NameTaken(_)
        | BackendError::LimitExceeded { .. }
        | BackendError::LastOperator
        | BackendError::InUse(_)
        | BackendError::Fenced { .. }
        | BackendError::WrongStore { .. } => 409,
        BackendError::Erased | BackendError::Released => 410,
        BackendError::PreconditionFailed => 412,
        BackendError::Throttled { .. } => 429,
        BackendError::Transient(_) | BackendError::OutcomeUnknown(_) => 503,
    }
}

impl From<&BackendError> for Problem {
    fn from(error: &BackendError) -> Self {
        let problem = Self { class: error.class().to_owned(), title: error.to_string(), status: status(error), ..Self::default() };
        match error.clone() {
            BackendError::Invalid { field, message } => Self { field: Some(field.into_owned()), detail: Some(message), ..problem },
            BackendError::Forbidden(text)
            | BackendError::NameTaken(text)
            | BackendError::InUse(text)
            | BackendError::Transient(text)
            | BackendError::OutcomeUnknown(text)
            | BackendError::Unsupported(text) => Self { detail: Some(text), ..problem },
            BackendError::ParentNotFound(parent) => Self { parent: Some(parent), ..problem },
            BackendError::LimitExceeded { missing, limit, held, position } => {
                Self { missing: Some(missing), limit: Some(limit), held: Some(held), position, ..problem }
            }
            BackendError::Throttled { after } => Self { retry_after: Some(after.as_secs()), ..problem },
            BackendError::Fenced { current } => Self { epoch: Some(current), ..problem },
            BackendError::WrongStore { found } => Self { store_id: Some(found), ..problem },
            BackendError::CredentialsInvalid
            | BackendError::EmailTaken
            | BackendError::LastOperator
            | BackendError::Erased
            | BackendError::Released
            | BackendError::PreconditionFailed => problem,
        }
    }
}

impl Problem {
    /// The error it tells of; `None` for one that is not of ours. Texts of the remote side are cleaned and cut.
    pub fn error(&self) -> Option<BackendError> {
        // Without a detail the title says all there is to say.
        let text = || display(self.detail.as_deref().unwrap_or(&self.title), LONGEST);
        Some(match self.class.as_str() {
            "Invalid" => {
                BackendError::Invalid { field: Cow::Owned(display(self.field.as_deref().unwrap_or("request"), LONGEST)), message: text() }
            }
            "CredentialsInvalid" => BackendError::CredentialsInvalid,
            "Forbidden" => BackendError::Forbidden(text()),
            "ParentNotFound" => BackendError::ParentNotFound(self.parent?),
            "EmailTaken" => BackendError::EmailTaken,
            "NameTaken" => BackendError::NameTaken(text()),
            "LimitExceeded" => {
                BackendError::LimitExceeded { missing: self.missing?, limit: self.limit?, held: self.held?, position: self.position }
            }
            "LastOperator" => BackendError::LastOperator,
            "InUse" => BackendError::InUse(text()),
            "Erased" => BackendError::Erased,
            "Released" => BackendError::Released,
            "Throttled" => BackendError::Throttled { after: Duration::from_secs(self.retry_after?) },
            "Transient" => BackendError::Transient(text()),
            "OutcomeUnknown" => BackendError::OutcomeUnknown(text()),
            "Fenced" => BackendError::Fenced { current: self.epoch? },
            "WrongStore" => BackendError::WrongStore { found: display(self.store_id.as_deref()?, LONGEST) },
            "PreconditionFailed" => BackendError::PreconditionFailed,
            "Unsupported" => BackendError::Unsupported(text()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_arrives_as_it_was_sent() {
        let text = || "the reason".to_owned();
        let errors = [
            BackendError::Invalid { field: "spec.email".into(), message: text() },
            BackendError::CredentialsInvalid,
            BackendError::Forbidden(text()),
            BackendError::ParentNotFound(RowKind::Account),
            BackendError::EmailTaken,
            BackendError::NameTaken(text()),
            BackendError::LimitExceeded { missing: Place::Widget, limit: 3, held: 3, position: Some(2) },
            BackendError::LimitExceeded { missing: Place::Seat, limit: 0, held: 0, position: None },
            BackendError::LastOperator,
            BackendError::InUse(text()),
            BackendError::Erased,
            BackendError::Released,
            BackendError::Throttled { after: Duration::from_secs(7) },
            BackendError::Transient(text()),
            BackendError::OutcomeUnknown(text()),
            BackendError::Fenced { current: 9 },
            BackendError::WrongStore { found: "store_x".to_owned() },
            BackendError::PreconditionFailed,
            BackendError::Unsupported(text()),
        ];
        for error in errors {
            let sent = serde_json::to_string(&Problem::from(&error)).expect("JSON");
            let received: Problem = serde_json::from_str(&sent).expect("a problem");
            assert_eq!(received.error(), Some(error));
        }
    }

    #[test]
    fn a_foreign_problem_is_none_of_ours_and_its_words_are_cleaned() {
        assert_eq!(serde_json::from_str::<Problem>("{\"type\":\"about:blank\"}").expect("a problem").error(), None);
        assert_eq!(serde_json::from_str::<Problem>("{\"type\":\"Fenced\"}").expect("a problem").error(), None);
        let long = Problem { class: "InUse".to_owned(), detail: Some(format!("\u{1b}[31m{}", "x".repeat(5000))), ..Problem::default() };
        let Some(BackendError::InUse(text)) = long.error() else { panic!("another error") };
        assert!(text.starts_with("[31m") && text.chars().count() <= LONGEST);
    }
}
