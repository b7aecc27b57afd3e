//! What can go wrong in the store, in words that say what to do and carry no values.

use std::cmp::Ordering;
use std::fmt::Display;
use std::path::PathBuf;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgDatabaseError;
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
    #[error(
        "{database} was written by a newer version of deskplane (schema {found}, this one knows up to {known}); run that version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its schema version.
        found: i64,
        /// The highest version known here.
        known: i64,
    },
    /// Made by an older version, and opened for reading only.
    #[error(
        "{database} was written by an older version of deskplane (schema {found}, this one needs {known}); start the controller once to upgrade it"
    )]
    Older {
        /// The database.
        database: String,
        /// Its schema version.
        found: i64,
        /// The version needed.
        known: i64,
    },
    /// The database cannot be used.
    #[error("{database}: {problem}")]
    Database {
        /// The database.
        database: String,
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

/// A database that cannot be opened.
pub(super) fn cannot_open(database: impl Display, error: &sqlx::Error) -> StoreError {
    StoreError::Database { database: database.to_string(), problem: in_words(error).to_owned() }
}

/// A database that cannot be brought to this version.
pub(super) fn cannot_migrate(database: impl Display, error: &MigrateError) -> StoreError {
    let problem = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if sqlstate(error) == Some("55P03") => {
            "another process is at work in it, or brings it to this version: try again".to_owned()
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => in_words(error).to_owned(),
        MigrateError::VersionMismatch(version) => {
            format!(
                "its schema {version} is another one than this version's; it was made by a development build: start with a new database"
            )
        }
        _ => "its schema cannot be brought to this version".to_owned(),
    };
    StoreError::Database { database: database.to_string(), problem }
}

/// The version of a schema, against the one known here.
pub(super) struct Version {
    database: String,
    found: i64,
    known: i64,
}

/// The version `found` in a database.
pub(super) fn version(database: impl Display, migrations: &Migrator, found: i64) -> Version {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or_default();
    Version { database: database.to_string(), found, known }
}

impl Version {
    /// Fit to be written to, once it is brought to this version.
    pub(super) fn not_newer(self) -> Result<(), StoreError> {
        if self.found > self.known { self.exact() } else { Ok(()) }
    }

    /// Fit to be read.
    pub(super) fn exact(self) -> Result<(), StoreError> {
        let Self { database, found, known } = self;
        if found == 0 {
            let problem = "there is no store in it; name the one that the controller's or server's --database names".to_owned();
            return Err(StoreError::Database { database, problem });
        }
        match found.cmp(&known) {
            Ordering::Less => Err(StoreError::Older { database, found, known }),
            Ordering::Greater => Err(StoreError::Newer { database, found, known }),
            Ordering::Equal => Ok(()),
        }
    }
}

/// Why a mutation ends without an answer of its own.
#[derive(Debug)]
pub(super) enum Stop {
    /// The database ended the transaction in favour of others: it may be begun again.
    Overtaken,
    /// A statement failed: everything is rolled back.
    Failed(BackendError),
    /// A rule says no: what was written until here (a ticket, a mark) is committed, then the error is returned.
    Refused(BackendError),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        if is_overtaken(&error) { Self::Overtaken } else { Self::Failed(error.into()) }
    }
}

impl From<Stop> for BackendError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Overtaken => Self::Transient("others write to the same rows all the time".to_owned()),
            Stop::Failed(error) | Stop::Refused(error) => error,
        }
    }
}

/// A deadlock, or a conflict with transactions of another program's: nothing was written.
fn is_overtaken(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|state| matches!(state, "40001" | "40P01"))
}

/// The code of an error of `PostgreSQL`.
fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code)
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

/// The error of a commit: unless the database says that nothing was written, it may have become durable or not.
pub(super) fn commit_failed(error: &sqlx::Error) -> Stop {
    if is_overtaken(error) { Stop::Overtaken } else { Stop::Failed(BackendError::OutcomeUnknown(in_words(error).to_owned())) }
}

const NOT_TRUSTED: &str = "the store's server offers no TLS, or its certificate is not one for that name by an authority we trust: \
    set sslrootcert, or, where the network is to be trusted, sslmode=disable";

/// A database error in words of ours: the database's own text could carry values.
pub(super) fn in_words(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(_) if sqlstate(error).is_some() => by_sqlstate(sqlstate(error).unwrap_or_default()),
        sqlx::Error::Database(error) => by_code(error.as_ref()),
        sqlx::Error::PoolTimedOut => "the store is busy, or its server down: there was no free connection in time",
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "the store is closed",
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => NOT_TRUSTED,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => "the store's server cannot be reached, or went away",
        sqlx::Error::Tls(_) => NOT_TRUSTED,
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

/// The first two characters of a `PostgreSQL` error's code are its class.
fn by_sqlstate(state: &str) -> &'static str {
    match (state, state.get(..2).unwrap_or_default()) {
        ("25006", _) => "the store's database is read-only: is it a standby?",
        ("3D000", _) => "the store's database does not exist: create it",
        ("42501", _) => "the store's user may not do that: let it own the database's schema",
        ("53100", _) => "the store's disk is full: free space or enlarge its volume",
        ("53300", _) => "the store's server has no connection left: raise max_connections, or run fewer processes",
        ("57014", _) => "the store did not answer in time",
        ("55P03", _) => "the store is busy: others write to the same account",
        (_, "08" | "57") => "the store's server is going down, or not up yet",
        (_, "23") => "the store refused a row that contradicts another one",
        (_, "28") => "the store's server refuses the user or its password",
        (_, "53") => "the store's server is out of resources",
        (_, "XX") => "the store's database is damaged: see the server's log",
        _ => "the store failed",
    }
}
