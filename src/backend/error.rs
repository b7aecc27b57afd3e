//! What can go wrong at a backend. The controller maps each error to a reason and a retry rule in one table.

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;

use crate::domain::rows::RowKind;
use crate::domain::seats::Place;

/// A backend's result.
pub type Result<T> = std::result::Result<T, BackendError>;

/// What can go wrong at a backend. Messages carry no secrets and no unfiltered text of a remote side.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BackendError {
    /// The backend refuses a value.
    #[error("{field}: {message}")]
    Invalid {
        /// The field, as in the spec.
        field: Cow<'static, str>,
        /// What is wrong and what to do.
        message: String,
    },
    /// The backend no longer accepts our credentials.
    #[error("the backend refuses the controller's credentials")]
    CredentialsInvalid,
    /// The backend does not let us do this.
    #[error("the backend forbids this: {0}")]
    Forbidden(String),
    /// The parent has no row, or one that takes nothing new.
    #[error("the {} has no row yet", .0.as_str())]
    ParentNotFound(RowKind),
    /// Another row of the organization has this e-mail.
    #[error("another operator of the organization has this e-mail")]
    EmailTaken,
    /// Something of that name belongs to somebody else.
    #[error("the name is taken: {0}")]
    NameTaken(String),
    /// A place is missing; a ticket is drawn.
    #[error("no free place of the kind {missing:?}")]
    LimitExceeded {
        /// The first place that is missing.
        missing: Place,
        /// What the plan allows of it.
        limit: i64,
        /// What is held of it.
        held: i64,
        /// The ticket's place in line, up to 10.
        position: Option<i64>,
    },
    /// The last operator of an organization who holds a seat can neither go nor be suspended (rule 7).
    #[error("the last operator of the organization who holds a seat")]
    LastOperator,
    /// Something still depends on it.
    #[error("still in use: {0}")]
    InUse(String),
    /// The key's row was erased: nothing is made for it again.
    #[error("this object's row was erased")]
    Erased,
    /// The key's row was let go: nothing is made for it again.
    #[error("this object's row was released")]
    Released,
    /// Too many requests.
    #[error("the backend asks to slow down")]
    Throttled {
        /// When to ask again.
        after: Duration,
    },
    /// A retry may help; nothing was written.
    #[error("the backend cannot be reached: {0}")]
    Transient(String),
    /// The reply was lost: look before trying again.
    #[error("the backend's reply was lost: {0}")]
    OutcomeUnknown(String),
    /// A newer controller has taken over.
    #[error("a newer controller has taken over (epoch {current})")]
    Fenced {
        /// The epoch in force.
        current: i64,
    },
    /// Another store answers than the session was opened with.
    #[error("another store answers: {found}")]
    WrongStore {
        /// Id of the store that answered.
        found: String,
    },
    /// The row is not as the caller last saw it (`If-Match`).
    #[error("the row has changed meanwhile: read it again")]
    PreconditionFailed,
    /// The provider cannot do this.
    #[error("this backend cannot do that: {0}")]
    Unsupported(String),
}

impl BackendError {
    /// Whether the backend was not reached, or its answer was lost: nothing is known of what was asked.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Transient(_) | Self::OutcomeUnknown(_))
    }

    /// The class of the error: a metric label.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "Invalid",
            Self::CredentialsInvalid => "CredentialsInvalid",
            Self::Forbidden(_) => "Forbidden",
            Self::ParentNotFound(_) => "ParentNotFound",
            Self::EmailTaken => "EmailTaken",
            Self::NameTaken(_) => "NameTaken",
            Self::LimitExceeded { .. } => "LimitExceeded",
            Self::LastOperator => "LastOperator",
            Self::InUse(_) => "InUse",
            Self::Erased => "Erased",
            Self::Released => "Released",
            Self::Throttled { .. } => "Throttled",
            Self::Transient(_) => "Transient",
            Self::OutcomeUnknown(_) => "OutcomeUnknown",
            Self::Fenced { .. } => "Fenced",
            Self::WrongStore { .. } => "WrongStore",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::Unsupported(_) => "Unsupported",
        }
    }
}
