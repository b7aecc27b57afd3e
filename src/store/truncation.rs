//! Bytes go too (rule 12): what was erased is overwritten in the file by `secure_delete`, and in the log by truncating it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::Row;
use tokio::sync::Mutex;

use super::tx::Writer;

/// How long single deletions are gathered before the log is truncated for all of them.
const GATHER: Duration = Duration::from_secs(1);

/// Truncates the write-ahead log.
#[derive(Clone, Debug)]
pub(super) struct Truncation {
    writer: Weak<Mutex<Writer>>,
    due: Arc<AtomicBool>,
}

impl Truncation {
    pub(super) fn new(writer: &Arc<Mutex<Writer>>) -> Self {
        Self { writer: Arc::downgrade(writer), due: Arc::default() }
    }

    /// Truncates at once. A reader that still looks at the log delays it to a later time.
    pub(super) async fn now(&self) {
        if !truncate(&self.writer).await {
            self.soon();
        }
    }

    /// Truncates before long, once for all that asked meanwhile.
    pub(super) fn soon(&self) {
        if self.due.swap(true, Ordering::AcqRel) {
            return;
        }
        let (writer, due) = (self.writer.clone(), Arc::clone(&self.due));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(GATHER).await;
                due.store(false, Ordering::Release);
                if truncate(&writer).await || due.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }
}

/// Whether nothing is left to truncate.
async fn truncate(writer: &Weak<Mutex<Writer>>) -> bool {
    let Some(writer) = writer.upgrade() else { return true };
    let mut writer = writer.lock().await;
    let conn = writer.idle().await;
    // A reader that looks at the log for long, such as a check, must not hold up whoever writes.
    let _ = sqlx::query("PRAGMA busy_timeout = 100").execute(&mut *conn).await;
    let truncated = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
    let _ = sqlx::query("PRAGMA busy_timeout = 5000").execute(&mut *conn).await;
    match truncated {
        Ok(row) => row.try_get::<i64, _>(0).is_ok_and(|busy| busy == 0),
        Err(error) => {
            tracing::warn!(error = super::error::in_words(&error), "the store's log could not be truncated; trying again");
            false
        }
    }
}
