//! `PostgreSQL`: any number of processes write, each through a bounded pool of connections.
//!
//! Why the rules hold there. Every rule is about one account: its places, its line of tickets, the organizations in it, their last seat
//! holders and e-mails. So transactions run at READ COMMITTED, where every statement sees what was committed before it began, and lock
//! before their first look what they are about ([`Scope`], [`locks`]):
//!
//! 1. The **epoch**: an advisory lock of the owner, shared by its mutations and exclusive to whoever takes the next epoch. So the epoch
//!    that a mutation finds in force is in force when it commits; the next one begins after it.
//! 2. The **keys** of all objects the call names, in one order: an advisory lock each. Nobody else makes a row, a ticket or a receipt for
//!    them meanwhile, so what they belong to does not change between the question and the next lock.
//! 3. The rows of the **accounts** those keys belong to, in order of their ids: `FOR NO KEY UPDATE`. From here on the transaction is
//!    alone with these accounts, as it is with all of the store on `SQLite`; and as every trigger that counts places writes to the
//!    account's row, rows that other programs make are counted before, or wait until after. Other accounts are not concerned: an
//!    erasure in batches holds up its own account for a batch at a time.
//!
//! What is locked is always locked in this order, so that these transactions never wait for each other in a circle. Should one do so
//! with another program's, the server ends one of them (40P01): it is begun again, a few times. Row locks were preferred to
//! SERIALIZABLE because all writers of an account meet at its row anyway: waiting in line costs less than work thrown away. Ticket
//! numbers come from a sequence, but are drawn under the account's lock: within a line they grow in the order of the commits.
//!
//! A lock is waited for [`LOCK_WAIT`]; a transaction whose process stands still is ended by the server after [`IDLE_IN_TRANSACTION`],
//! so that a stopped process holds up neither an account nor the next epoch for longer. Nor is any answer of the server waited for
//! without end: whatever is asked of it has a limit here or in [`transaction`], since a network that is gone says nothing at all.

mod listening;
pub(in crate::store) mod locks;
mod transaction;

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, PgPool};

use super::{Location, Scope};
use crate::store::error::{StoreError, cannot_migrate, cannot_open, version};

pub(in crate::store) use listening::Listening;
pub(in crate::store) use transaction::Transaction;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections of this process: as many calls run at once, the others wait for one of them.
const CONNECTIONS: u32 = 10;

/// How long a call waits for a connection, and then for its first word; below the deadline of a call.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// How long a statement waits for a lock; below the deadline of a call.
const LOCK_WAIT: Duration = Duration::from_secs(8);

/// How long a statement may take, at the server and until we have its answer: the longest ones look at the whole store.
const STATEMENT_WAIT: Duration = Duration::from_mins(1);

/// How long a migration waits for a lock: another process may be at the same migration.
const MIGRATION_LOCK_WAIT: Duration = Duration::from_secs(30);

/// How long all migrations may take.
const MIGRATIONS_WAIT: Duration = Duration::from_mins(10);

/// After how long without a statement the server ends a transaction.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(10);

/// A database, open.
#[derive(Clone, Debug)]
pub(in crate::store) struct Postgres {
    pool: PgPool,
}

impl Postgres {
    /// Opens a database for writing, and brings it to this version.
    pub(super) async fn open(location: &Location, options: &PgConnectOptions) -> Result<Self, StoreError> {
        let local = options.get_socket().is_some() || options.get_host().starts_with('/');
        if !local && matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Require) {
            tracing::warn!(database = %location, "whoever answers there is believed to be the database: use sslmode=verify-full where others are on the network");
        }
        let (mut conn, found) = connect(options).await.map_err(|error| cannot_open(location, &error))?;
        version(location, &MIGRATIONS, found).not_newer()?;
        migrate(&mut conn).await.map_err(|error| cannot_migrate(location, &error))?;
        Ok(Self::pool(options))
    }

    /// Opens a database of this version for writing, and makes the store where there is none; one of an older version stays as it is.
    pub(super) async fn open_as_it_is(location: &Location, options: &PgConnectOptions) -> Result<Self, StoreError> {
        let (_, found) = connect(options).await.map_err(|error| cannot_open(location, &error))?;
        if found == 0 {
            return Self::open(location, options).await;
        }
        version(location, &MIGRATIONS, found).exact()?;
        Ok(Self::pool(options))
    }

    /// Opens a database of this version for reading.
    pub(super) async fn open_readonly(location: &Location, options: &PgConnectOptions) -> Result<Self, StoreError> {
        let (_, found) = connect(options).await.map_err(|error| cannot_open(location, &error))?;
        version(location, &MIGRATIONS, found).exact()?;
        Ok(Self::pool(options))
    }

    fn pool(options: &PgConnectOptions) -> Self {
        // Whether a connection is still good shows when a transaction begins on it.
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(CONNECTION_WAIT).test_before_acquire(false);
        Self { pool: pool.connect_lazy_with(options.clone()) }
    }

    /// Begins to write, alone with what it is about.
    pub(super) async fn begin(&self, scope: Scope<'_>) -> sqlx::Result<Transaction> {
        let limits = format!(
            "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = {}",
            STATEMENT_WAIT.as_millis(),
            LOCK_WAIT.as_millis(),
            IDLE_IN_TRANSACTION.as_millis()
        );
        let mut transaction = self.transaction(&limits).await?;
        answered(locks::take(transaction.conn(), scope)).await?;
        Ok(transaction)
    }

    pub(super) async fn snapshot(&self) -> sqlx::Result<Transaction> {
        let limit = STATEMENT_WAIT.as_millis();
        self.transaction(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {limit}")).await
    }

    /// A connection that died while it was idle shows it here, before anything was asked of it: then another one is taken.
    async fn transaction(&self, begin: &str) -> sqlx::Result<Transaction> {
        for _ in 0..CONNECTIONS {
            match Transaction::begin(self.pool.acquire().await?, begin).await {
                Err(error) if transaction::is_lost(&error) => {}
                result => return result,
            }
        }
        Transaction::begin(self.pool.acquire().await?, begin).await
    }

    /// Closes the connections. Whoever still has one, or lost it on the way back, is not waited for longer than for a connection.
    pub(super) async fn close(&self) {
        if tokio::time::timeout(CONNECTION_WAIT, self.pool.close()).await.is_err() {
            tracing::debug!("not all connections to the database were given back in time");
        }
    }

    /// Listens for notifications on one connection more, until the store is closed.
    pub(in crate::store) async fn listen(&self, channel: &str) -> sqlx::Result<Listening> {
        Listening::start(&self.pool, channel).await
    }

    #[cfg(test)]
    pub(in crate::store) fn connections(&self) -> &PgPool {
        &self.pool
    }
}

/// The answer to a statement, which is waited for no longer than the server may work at it.
pub(in crate::store) async fn answered<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    in_time(STATEMENT_WAIT, answer).await
}

async fn in_time<T>(wait: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(wait, answer).await.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// A connection in no pool, and the version of the schema there.
async fn connect(options: &PgConnectOptions) -> sqlx::Result<(PgConnection, i64)> {
    in_time(CONNECTION_WAIT, async {
        let mut conn = options.connect().await?;
        let found = applied(&mut conn).await?;
        Ok((conn, found))
    })
    .await
}

/// Brings the schema to this version.
async fn migrate(conn: &mut PgConnection) -> Result<(), MigrateError> {
    let limit = format!("SET lock_timeout = {}", MIGRATION_LOCK_WAIT.as_millis());
    answered(conn.execute(sqlx::raw_sql(AssertSqlSafe(limit)))).await?;
    let late = |_| Err(MigrateError::Execute(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    tokio::time::timeout(MIGRATIONS_WAIT, MIGRATIONS.run(conn)).await.unwrap_or_else(late)
}

/// The version of the schema in the database; 0: none.
async fn applied(conn: &mut PgConnection) -> sqlx::Result<i64> {
    if !sqlx::query_scalar::<_, bool>("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn).await? {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(conn).await
}
