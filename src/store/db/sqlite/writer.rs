//! The one connection that writes, and a transaction on it.

use std::sync::Arc;

use sqlx::SqliteConnection;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The one connection that writes, and whether a transaction was left open on it.
#[derive(Debug)]
pub(in crate::store) struct Writer {
    conn: SqliteConnection,
    open: bool,
}

impl Writer {
    pub(super) fn new(conn: SqliteConnection) -> Self {
        Self { conn, open: false }
    }

    /// The connection without a transaction: one that was left open is rolled back first.
    pub(in crate::store) async fn idle(&mut self) -> &mut SqliteConnection {
        if self.open {
            // An error only says that there is nothing to roll back.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
            self.open = false;
        }
        &mut self.conn
    }
}

/// A transaction that writes.
#[derive(Debug)]
pub(in crate::store) struct Writing {
    writer: OwnedMutexGuard<Writer>,
}

impl Writing {
    pub(super) async fn begin(writer: Arc<Mutex<Writer>>) -> sqlx::Result<Self> {
        let mut writing = Self { writer: writer.lock_owned().await };
        writing.writer.idle().await;
        // Before it is: should this future be dropped while it waits, the transaction may have begun.
        writing.writer.open = true;
        sqlx::query("BEGIN IMMEDIATE").execute(writing.conn()).await?;
        Ok(writing)
    }

    pub(in crate::store) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.writer.conn
    }

    /// At once, rather than when it is dropped.
    pub(in crate::store) async fn roll_back(mut self) {
        self.writer.idle().await;
    }

    pub(in crate::store) async fn commit(&mut self) -> sqlx::Result<()> {
        sqlx::query("COMMIT").execute(self.conn()).await?;
        self.writer.open = false;
        Ok(())
    }
}

impl Drop for Writing {
    /// What was not committed is rolled back: before the next mutation, and at once when there is none.
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.writer.open, tokio::runtime::Handle::try_current()) {
            let writer = Arc::clone(OwnedMutexGuard::mutex(&self.writer));
            runtime.spawn(async move {
                writer.lock().await.idle().await;
            });
        }
    }
}
