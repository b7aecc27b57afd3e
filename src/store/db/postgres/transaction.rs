//! A transaction on a connection of the pool.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres};

/// How long a rollback may take: a statement of a caller who gave up may still run. After that the connection is closed.
const ROLLBACK_WAIT: Duration = Duration::from_secs(5);

/// How long a commit is waited for; then its outcome is unknown.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// A transaction. Dropped without a commit, it is rolled back before its connection serves others, whatever was under way on it.
///
/// Not that of sqlx, which forgets a transaction that was dropped, or failed, while it began.
#[derive(Debug)]
pub(in crate::store) struct Transaction {
    /// Taken when it ends.
    conn: Option<PoolConnection<Postgres>>,
}

impl Transaction {
    /// Begins by `begin`, which may set more than that.
    pub(super) async fn begin(conn: PoolConnection<Postgres>, begin: &str) -> sqlx::Result<Self> {
        let mut transaction = Self { conn: Some(conn) };
        transaction.conn().execute(sqlx::raw_sql(AssertSqlSafe(begin.to_owned()))).await?;
        Ok(transaction)
    }

    pub(in crate::store) fn conn(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("there is one until it ends")
    }

    pub(in crate::store) async fn commit(&mut self) -> sqlx::Result<()> {
        let committed = tokio::time::timeout(COMMIT_WAIT, self.conn().execute("COMMIT")).await;
        committed.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        self.conn = None;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let rolled_back = tokio::time::timeout(ROLLBACK_WAIT, conn.execute("ROLLBACK")).await;
            if !matches!(rolled_back, Ok(Ok(_))) {
                conn.close_on_drop();
            }
        });
    }
}

/// The connection is gone, or the server is going.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
