//! Bytes go too (rule 12): what was erased leaves the store's files, not only its tables. It takes three things.
//!
//! - `secure_delete` overwrites a deleted cell, in the transaction that deletes it.
//! - Truncating the write-ahead log drops the pages as they were before. An erasure answers when that is done.
//! - `VACUUM` writes the file anew: where `SQLite` splits or balances pages, copies of the cells it moves stay in the gaps. This
//!   trails. That it is due is part of the transaction that erased, so that a crash does not lose it: opening the store does it then.
//!
//! A `VACUUM` costs about what copying the file twice costs (measured: 2.5 s for 270 MB), takes as much free space again in the
//! database's folder and in the folder for temporary files (`SQLITE_TMPDIR`, `TMPDIR`, `/var/tmp` or `/tmp`), and holds up whoever
//! writes; readers go on. So it is done for many erasures at once, waits for a moment in which nobody writes, and gives up after
//! [`BUDGET`]: the deadline of those who wait must not pass. A store that large is done when it is opened next, before it has users.

use std::sync::{Arc, Weak};
use std::time::Duration;

use sqlx::{Row, SqliteConnection};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};

use super::writer::Writer;
use crate::store::error::in_words;

/// How long single deletions are gathered before the log is truncated for all of them.
const TRUNCATE_AFTER: Duration = Duration::from_secs(1);

/// How long erasures of organizations and accounts are gathered before the file is written anew for all of them.
const VACUUM_AFTER: Duration = Duration::from_secs(5);

/// The same for single rows: people come and go all day.
const VACUUM_AFTER_ROWS: Duration = Duration::from_mins(15);

/// When it is tried again after a failure, such as a full disk.
const VACUUM_AGAIN: Duration = Duration::from_mins(15);

/// How long it waits for a moment in which nobody writes.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long the first half of a `VACUUM` may take beside others. The second, which cannot be interrupted, takes about as long.
const BUDGET: Duration = Duration::from_secs(3);

/// What a transaction erased, and so what is to be done after its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Erased {
    /// Nothing was erased.
    #[default]
    Nothing,
    /// A row: soon, together with others.
    Row,
    /// All there was: before the answer.
    All,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Truncate,
    Vacuum,
}

/// Removes what was erased from the store's files. Its work ends with the store.
#[derive(Clone, Debug)]
pub(super) struct Scrubber {
    writer: Weak<Mutex<Writer>>,
    jobs: UnboundedSender<(Job, Instant)>,
}

impl Scrubber {
    /// Does first what an earlier process left to do: what it erased may still be in the files.
    pub(super) async fn start(writer: &Arc<Mutex<Writer>>) -> Self {
        let (jobs, due) = unbounded_channel();
        let scrubber = Self { writer: Arc::downgrade(writer), jobs };
        scrubber.finish().await;
        tokio::spawn(work(scrubber.writer.clone(), due));
        scrubber
    }

    /// After the commit of a transaction that erased.
    pub(super) async fn scrub(&self, erased: Erased) {
        match erased {
            Erased::Nothing => {}
            Erased::Row => {
                self.later(Job::Truncate, TRUNCATE_AFTER);
                self.later(Job::Vacuum, VACUUM_AFTER_ROWS);
            }
            Erased::All => {
                self.later(Job::Vacuum, VACUUM_AFTER);
                self.truncate().await;
            }
        }
    }

    /// Does all there is to do, however long it takes: for a store without users.
    pub(super) async fn finish(&self) {
        if let Some(writer) = self.writer.upgrade()
            && vacuum(&mut *writer.lock().await, None).await == Vacuum::Failed
        {
            self.later(Job::Vacuum, VACUUM_AGAIN);
        }
        self.truncate().await;
    }

    /// Truncates the log at once. A reader that still looks at it delays that to a later time.
    async fn truncate(&self) {
        if !truncated(&self.writer).await {
            self.later(Job::Truncate, TRUNCATE_AFTER);
        }
    }

    fn later(&self, job: Job, after: Duration) {
        // Nobody listens where the store is being closed; opening it does what is left.
        let _ = self.jobs.send((job, Instant::now() + after));
    }
}

/// Does each job at the earliest time it was asked for, once for all that asked until then.
async fn work(writer: Weak<Mutex<Writer>>, mut jobs: UnboundedReceiver<(Job, Instant)>) {
    let (mut truncate_at, mut vacuum_at) = (None, None);
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some((Job::Truncate, at)) => truncate_at = Some(earlier(truncate_at, at)),
                Some((Job::Vacuum, at)) => vacuum_at = Some(earlier(vacuum_at, at)),
                None => return,
            },
            () = reached(truncate_at) => {
                truncate_at = if truncated(&writer).await { None } else { Some(Instant::now() + TRUNCATE_AFTER) };
            }
            () = reached(vacuum_at) => {
                vacuum_at = if vacuumed(&writer).await { None } else { Some(Instant::now() + VACUUM_AGAIN) };
                truncate_at = Some(Instant::now());
            }
        }
    }
}

fn earlier(known: Option<Instant>, asked: Instant) -> Instant {
    known.map_or(asked, |known| known.min(asked))
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Whether nothing is left to truncate.
async fn truncated(writer: &Weak<Mutex<Writer>>) -> bool {
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
            tracing::warn!(error = in_words(&error), "the store's log could not be truncated; trying again");
            false
        }
    }
}

/// Whether the file need not be written anew before it is opened next.
async fn vacuumed(writer: &Weak<Mutex<Writer>>) -> bool {
    let Some(writer) = writer.upgrade() else { return true };
    let give_up = Instant::now() + PATIENCE;
    let mut writer = loop {
        match writer.try_lock() {
            Ok(writer) => break writer,
            Err(_) if Instant::now() > give_up => break writer.lock().await,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    };
    match vacuum(&mut writer, Some(BUDGET)).await {
        Vacuum::Done => true,
        Vacuum::Failed => false,
        Vacuum::TooLarge => {
            tracing::info!(
                "the store is too large to be written anew beside its users; what erased rows left in gaps goes at the next start"
            );
            true
        }
    }
}

/// How a `VACUUM` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Vacuum {
    Done,
    Failed,
    TooLarge,
}

/// Writes the file anew if that is due, within the budget if there is one.
pub(in crate::store) async fn vacuum(writer: &mut Writer, budget: Option<Duration>) -> Vacuum {
    let conn = writer.idle().await;
    let failed = match vacuum_if_due(conn, budget).await {
        Ok(()) => return Vacuum::Done,
        Err(error) => error,
    };
    let interrupted = matches!(&failed, sqlx::Error::Database(error) if error.code().as_deref() == Some("9"));
    if interrupted {
        return Vacuum::TooLarge;
    }
    tracing::warn!(
        error = in_words(&failed),
        "the store's file could not be written anew; erased bytes may be left in it; trying again. It takes the file's size again, \
         beside it and in the folder for temporary files (SQLITE_TMPDIR)"
    );
    Vacuum::Failed
}

async fn vacuum_if_due(conn: &mut SqliteConnection, budget: Option<Duration>) -> sqlx::Result<()> {
    if !is_due(conn).await? {
        return Ok(());
    }
    if let Some(budget) = budget {
        let started = std::time::Instant::now();
        conn.lock_handle().await?.set_progress_handler(10_000, move || started.elapsed() < budget);
    } else {
        tracing::info!("writing the store's file anew, for rows were erased from it");
    }
    let vacuumed = sqlx::query("VACUUM").execute(&mut *conn).await;
    conn.lock_handle().await?.remove_progress_handler();
    vacuumed?;
    sqlx::query("PRAGMA user_version = 0").execute(conn).await.map(drop)
}

/// Remembers, with the transaction that erases, that a `VACUUM` is due. The header's `user_version` serves for it: it is no row.
pub(in crate::store) async fn mark_due(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    if is_due(conn).await? {
        return Ok(());
    }
    sqlx::query("PRAGMA user_version = 1").execute(conn).await.map(drop)
}

pub(in crate::store) async fn is_due(conn: &mut SqliteConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar::<_, i64>("PRAGMA user_version").fetch_one(conn).await.map(|due| due != 0)
}
