//! A transaction on a connection of the pool.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Postgres};

use super::{CONNECTION_WAIT, in_time};

/// How long a connection may take to come back to the pool, a rollback included: a statement of a caller who gave up may still run.
/// After that it is closed.
const RETURN_WAIT: Duration = Duration::from_secs(5);

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
    /// Begins by `begin`, which may set more than that. A connection that does not answer is none.
    pub(super) async fn begin(conn: PoolConnection<Postgres>, begin: &str) -> sqlx::Result<Self> {
        let mut transaction = Self { conn: Some(conn) };
        let answer = transaction.conn().execute(sqlx::raw_sql(AssertSqlSafe(begin.to_owned())));
        tokio::time::timeout(CONNECTION_WAIT, answer).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(transaction)
    }

    pub(in crate::store) fn conn(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("there is one until it ends")
    }

    pub(in crate::store) async fn commit(&mut self) -> sqlx::Result<()> {
        in_time(COMMIT_WAIT, self.conn().execute("COMMIT")).await?;
        if let Some(conn) = self.conn.take() {
            give_back(conn, false);
        }
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            give_back(conn, true);
        }
    }
}

/// Gives a connection back to the pool in the background, or closes it. Not by dropping it, which waits without end for its answer.
fn give_back(mut conn: PoolConnection<Postgres>, in_transaction: bool) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        // The end of a connection is that of its transaction.
        drop(conn.detach());
        return;
    };
    runtime.spawn(async move {
        let returned = async {
            if in_transaction {
                conn.execute("ROLLBACK").await?;
            }
            conn.return_to_pool().await;
            Ok(())
        };
        if in_time(RETURN_WAIT, returned).await.is_err() {
            conn.close_on_drop();
        }
    });
}

/// The connection is gone, or the server is going.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
