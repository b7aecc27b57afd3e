//! What can go wrong in the store, in words that say what to do and carry no values.

use std::path::PathBuf;

use sqlx::error::DatabaseError;
use thiserror::Error;

use crate::backend::BackendError;

/// Why a store cannot be opened, read or cleaned up. For people at a terminal.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process writes to it.
    #[error("{} is in use by {holder}; stop that process first, or use another --database", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// Who holds the lock: host, process, since when.
        holder: String,
    },
    /// Made by a newer version.
    #[error("{} was written by a newer version of deskplane (schema {found}, this one knows up to {known}); run that version, or restore a backup made before the upgrade", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The highest version known here.
        known: i64,
    },
    /// Made by an older version, and opened for reading only.
    #[error("{} was written by an older version of deskplane (schema {found}, this one needs {known}); start the controller once to upgrade it", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// The path cannot be used.
    #[error("{}: {problem}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// What was asked for is refused.
    #[error("{0}")]
    Refused(String),
    /// A statement failed.
    #[error("{0}")]
    Failed(#[from] BackendError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Why a mutation ends without an answer of its own.
#[derive(Debug)]
pub(super) enum Stop {
    /// A statement failed: everything is rolled back.
    Failed(BackendError),
    /// A rule says no: what was written until here (a ticket, a mark) is committed, then the error is returned.
    Refused(BackendError),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// A step of a mutation.
pub(super) type Step<T> = std::result::Result<T, Stop>;

/// A rule's refusal.
pub(super) fn refused<T>(error: BackendError) -> Step<T> {
    Err(Stop::Refused(error))
}

impl From<sqlx::Error> for BackendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Transient(in_words(&error).to_owned())
    }
}

/// The error of a commit: it may have become durable or not.
pub(super) fn commit_failed(error: &sqlx::Error) -> BackendError {
    BackendError::OutcomeUnknown(in_words(error).to_owned())
}

/// A database error in words of ours: the database's own text could carry values.
pub(super) fn in_words(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(error) => by_code(error.as_ref()),
        sqlx::Error::PoolTimedOut => "the store is busy: no free connection for reading",
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the store is closed",
        sqlx::Error::Io(_) => "the store's file cannot be read or written",
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => "the store holds a value this version does not understand",
        _ => "the store failed",
    }
}

/// The primary result code of `SQLite` is the low byte of its extended one.
fn by_code(error: &(dyn DatabaseError + 'static)) -> &'static str {
    let code = error.code().and_then(|code| code.parse::<i64>().ok()).unwrap_or_default() & 0xff;
    match code {
        5 | 6 => "the store is busy: another process holds it",
        8 => "the store's file is read-only: check its permissions and its volume",
        10 => "the store's file cannot be read or written: check its volume",
        11 | 26 => "the store's file is damaged: restore a backup",
        13 => "the store's disk is full: free space or enlarge its volume",
        14 => "the store's file cannot be opened: check its path and permissions",
        19 => "the store refused a row that contradicts another one",
        23 => "the store's file may not be accessed: check its permissions",
        _ => "the store failed",
    }
}
