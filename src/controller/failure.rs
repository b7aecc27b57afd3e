//! Why a pass stopped, as one table: each error of the backend and of the API server gets a reason and a retry rule here.

use std::time::Duration;

use crate::api::condition::Reason;
use crate::backend::BackendError;
pub use crate::backend::MAX_WAIT;
use crate::domain::seats::Place;

use super::object::ObjectName;

/// Why a pass did not come to its end.
#[derive(Debug)]
pub enum Stop {
    /// Something to report.
    Failure(Failure),
    /// The parent is being worked on: come back after it, and say nothing meanwhile.
    Deferred(ObjectName),
    /// It goes with its parent, whose end wakes it: nothing to say meanwhile.
    WithParent,
    /// The object is another controller's: not a word.
    NotOurs,
    /// The object of this pass is no longer the one it began with, or is gone.
    Outdated,
}

/// What to report, and when to try again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Reason of `Ready=False`.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
    /// When to try again.
    pub retry: Retry,
    /// A number that goes into the status.
    pub detail: Detail,
    /// It hinders only who has something to write: an object that is ready in its present form stays so.
    pub spares_settled: bool,
}

/// A number that goes into the status along with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// None.
    None,
    /// Place in line, up to 10.
    Position(Option<i64>),
    /// Rows left to erase.
    Remaining(i64),
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// When what it waits for changes.
    OnChange,
    /// After growing delays, with jitter.
    Backoff,
    /// After this time.
    After(Duration),
}

impl Failure {
    /// A failure that its cause's change wakes up.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry: Retry::OnChange,
            detail: Detail::None,
            spares_settled: matches!(reason, Reason::BackendUnreachable | Reason::CredentialsInvalid),
        }
    }

    /// The same, for whom there is something to write.
    pub fn sparing_settled(mut self) -> Self {
        self.spares_settled = true;
        self
    }

    /// The same, with a number for the status.
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// The same, tried again after this time as well.
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry = Retry::After(delay);
        self
    }

    /// The same, tried again after growing delays as well.
    pub fn with_backoff(mut self) -> Self {
        self.retry = Retry::Backoff;
        self
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<BackendError> for Stop {
    fn from(error: BackendError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Failure(error.into())
    }
}

/// The reason for a missing place.
pub fn limit_reason(missing: Place) -> Reason {
    match missing {
        Place::Seat => Reason::SeatLimitExceeded,
        Place::Organization => Reason::OrganizationLimitExceeded,
        Place::Widget => Reason::WidgetLimitExceeded,
    }
}

impl From<BackendError> for Failure {
    fn from(error: BackendError) -> Self {
        use BackendError as E;
        let message = error.to_string();
        let (reason, retry) = match &error {
            E::Invalid { .. } => (Reason::Invalid, Retry::OnChange),
            E::CredentialsInvalid => (Reason::CredentialsInvalid, Retry::OnChange),
            E::Forbidden(_) | E::Erased => (Reason::BackendRejected, Retry::OnChange),
            E::ParentNotFound(_) => (Reason::WaitingForParent, Retry::OnChange),
            E::EmailTaken => (Reason::EmailTaken, Retry::OnChange),
            E::NameTaken(_) => (Reason::NameTaken, Retry::OnChange),
            E::LimitExceeded { missing, .. } => (limit_reason(*missing), Retry::OnChange),
            E::LastOperator => (Reason::LastOperator, Retry::OnChange),
            E::InUse(_) => (Reason::InUse, Retry::Backoff),
            // The controller writes without If-Match: a provider that says so all the same has raced with another.
            E::PreconditionFailed => (Reason::Progressing, Retry::Backoff),
            E::Released => (Reason::Released, Retry::OnChange),
            E::Throttled { after } => (Reason::BackendUnreachable, Retry::After((*after).min(MAX_WAIT))),
            E::Transient(_) | E::OutcomeUnknown(_) => (Reason::BackendUnreachable, Retry::Backoff),
            E::Fenced { .. } => (Reason::Fenced, Retry::OnChange),
            E::WrongStore { .. } => (Reason::BackendReplaced, Retry::Backoff),
            E::Unsupported(_) => (Reason::Unsupported, Retry::OnChange),
        };
        let detail = if let E::LimitExceeded { position, .. } = error { Detail::Position(position) } else { Detail::None };
        Self { retry, detail, ..Self::new(reason, advice(&error).unwrap_or(message)) }
    }
}

fn advice(error: &BackendError) -> Option<String> {
    let advice = match error {
        BackendError::Released => {
            "This object was released: its data in the backend was let go and is no longer managed. \
             Delete the object; a new object of this name starts afresh."
        }
        BackendError::Erased => {
            "The data of this object was erased from the backend. Delete the object; a new object of this name starts afresh."
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        let message = match &error {
            kube::Error::Api(status) => format!("The API server refuses a write of the controller: {}", status.message),
            other => format!("The API server cannot be reached: {other}"),
        };
        Self::new(Reason::Progressing, message).with_backoff()
    }
}
