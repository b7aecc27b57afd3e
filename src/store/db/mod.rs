//! The two databases under the store. All statements are written once, for both; what differs is here: how a connection is made,
//! how a transaction begins and ends, and what keeps others out of it meanwhile.

mod location;
pub(super) mod postgres;
mod query;
pub(super) mod sqlite;

use sqlx::{PgConnection, SqliteConnection};

use crate::domain::rows::Key;

use super::error::StoreError;

pub use location::Location;
pub(super) use query::{Record, Value, query, values};
pub(super) use sqlite::scrub::Erased;
pub(super) use sqlite::{copy, restore, there_is_one};

/// A database, open.
#[derive(Clone, Debug)]
pub(super) enum Database {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

/// What a transaction that writes is about: what others must leave alone until it ends. `SQLite` has one writer: there it is everything.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'a> {
    /// The store, as it is made.
    Store,
    /// The epoch of an owner, to end it.
    Epoch { store: &'a str, owner: &'a str },
    /// Rows, by the keys of all objects that are named, in an epoch of their owner that must not end meanwhile.
    Rows { store: &'a str, owner: &'a str, keys: &'a [&'a Key] },
    /// A row by its external id: where no object's owner asks.
    External { external_id: &'a str },
}

impl Database {
    /// Opens a database for writing, and brings it to this version.
    pub(super) async fn open(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            Location::File(path) => Self::Sqlite(sqlite::Sqlite::open(path).await?),
            Location::Server(options) => Self::Postgres(postgres::Postgres::open(location, options).await?),
        })
    }

    /// The same, but leaves a store as it is that others may be at work in: who brings it to a newer version shuts them out.
    pub(super) async fn open_as_it_is(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            // Nobody else is at work in it: there is one lock.
            Location::File(path) => Self::Sqlite(sqlite::Sqlite::open(path).await?),
            Location::Server(options) => Self::Postgres(postgres::Postgres::open_as_it_is(location, options).await?),
        })
    }

    /// Opens a database of this version for writing beside the process that has it: only for what that one never touches.
    pub(super) async fn open_beside(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            Location::File(path) => Self::Sqlite(sqlite::Sqlite::open_beside(path).await?),
            Location::Server(options) => Self::Postgres(postgres::Postgres::open_as_it_is(location, options).await?),
        })
    }

    /// Opens a database of this version for reading.
    pub(super) async fn open_readonly(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            Location::File(path) => Self::Sqlite(sqlite::Sqlite::open_readonly(path).await?),
            Location::Server(options) => Self::Postgres(postgres::Postgres::open_readonly(location, options).await?),
        })
    }

    /// A transaction that writes.
    pub(super) async fn begin(&self, scope: Scope<'_>) -> sqlx::Result<Conn> {
        Ok(match self {
            Self::Sqlite(database) => Conn::SqliteWriter(database.begin().await?),
            Self::Postgres(database) => Conn::Postgres(database.begin(scope).await?),
        })
    }

    /// The next turn to write, where all who write stand in line. Waiting for it keeps no store open.
    pub(super) fn turn(&self) -> Option<impl Future<Output = sqlx::Result<Conn>> + Send + use<>> {
        let Self::Sqlite(database) = self else { return None };
        let turn = database.turn().ok()?;
        Some(async { Ok(Conn::SqliteWriter(turn.await?)) })
    }

    /// A transaction that reads, and sees one state of the store.
    pub(super) async fn snapshot(&self) -> sqlx::Result<Conn> {
        Ok(match self {
            Self::Sqlite(database) => Conn::SqliteReader(database.snapshot().await?),
            Self::Postgres(database) => Conn::Postgres(database.snapshot().await?),
        })
    }

    /// After the commit of a transaction that erased.
    pub(super) async fn erased(&self, erased: Erased) {
        match self {
            Self::Sqlite(database) => database.erased(erased).await,
            // Its own vacuum runs by itself.
            Self::Postgres(_) => {}
        }
    }

    /// Waits for what is being done.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(database) => database.close().await,
            Self::Postgres(database) => database.close().await,
        }
    }
}

/// The lowest transaction that still ran when the snapshot was taken.
const LOWEST_RUNNING: &str = "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)";

/// What was written by transactions that this server has not had yet: it came from another one, by a dump.
const OF_ANOTHER_SERVER: &str =
    "UPDATE audit SET xact = 0 WHERE xact >= CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)";

/// A transaction under way. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub(super) enum Conn {
    SqliteWriter(sqlite::Writing),
    SqliteReader(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(postgres::Transaction),
}

/// The connection of a transaction.
enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Conn {
    fn raw(&mut self) -> Raw<'_> {
        match self {
            Self::SqliteWriter(transaction) => Raw::Sqlite(transaction.conn()),
            Self::SqliteReader(transaction) => Raw::Sqlite(transaction),
            Self::Postgres(transaction) => Raw::Postgres(transaction.conn()),
        }
    }

    /// Entries of the audit table of transactions from this number on may become more yet; below it none is added any more.
    pub(super) async fn horizon(&mut self) -> sqlx::Result<i64> {
        match self {
            // One writes at a time, and all its entries have the same number.
            Self::SqliteWriter(_) | Self::SqliteReader(_) => Ok(i64::MAX),
            Self::Postgres(_) => query(LOWEST_RUNNING).scalar(self).await,
        }
    }

    /// Makes the numbers of transactions in the audit table those of this server: what came from another one was before all of them.
    pub(super) async fn own_numbers(&mut self) -> sqlx::Result<()> {
        match self {
            Self::SqliteWriter(_) | Self::SqliteReader(_) => Ok(()),
            Self::Postgres(_) => query(OF_ANOTHER_SERVER).execute(self).await.map(drop),
        }
    }

    /// Makes durable what was written; an error does not say whether it is. `SQLite`'s writer stays ours until this is dropped.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        match self {
            Self::SqliteWriter(transaction) => transaction.commit().await,
            // It wrote nothing.
            Self::SqliteReader(_) => Ok(()),
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Ends a transaction that wrote nothing.
    pub(super) async fn end(self) {
        if let Self::SqliteWriter(transaction) = self {
            transaction.roll_back().await;
        }
    }

    /// Part of every transaction that erases: what is left to do after it survives a crash.
    pub(super) async fn mark_erased(&mut self) -> sqlx::Result<()> {
        match self.raw() {
            Raw::Sqlite(conn) => sqlite::scrub::mark_due(conn).await,
            Raw::Postgres(_) => Ok(()),
        }
    }

    /// Problems of the database itself, not of the store in it: what is damaged, and what else is wrong.
    pub(super) async fn integrity(&mut self) -> sqlx::Result<Vec<(String, String)>> {
        match self.raw() {
            Raw::Sqlite(conn) => sqlite::integrity(conn).await,
            // It keeps its references itself and checks its pages itself.
            Raw::Postgres(_) => Ok(Vec::new()),
        }
    }
}
