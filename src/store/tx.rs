//! One mutation's transaction: fenced when it begins, settled and committed when it ends, rolled back when it is dropped.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use sqlx::FromRow;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::UnboundedSender;

use crate::backend::{BackendError, Result, Session, Wake};
use crate::domain::rows::{Key, OwnerTag, TicketView};

use super::db::Conn;
use super::error::{Step, Stop, commit_failed, refused};
use super::scrub::{self, Erased, Scrubber};
use super::{Store, queue, settle};

/// The one connection that writes, and whether a transaction was left open on it.
#[derive(Debug)]
pub(super) struct Writer {
    conn: Conn,
    open: bool,
}

impl Writer {
    pub(super) fn new(conn: Conn) -> Self {
        Self { conn, open: false }
    }

    /// The connection without a transaction: one that was left open is rolled back first.
    pub(super) async fn idle(&mut self) -> &mut Conn {
        if self.open {
            self.rollback().await;
        }
        &mut self.conn
    }

    async fn begin(&mut self) -> sqlx::Result<()> {
        self.idle().await;
        // Before it is: should this future be dropped while it waits, the transaction may have begun.
        self.open = true;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.conn).await.map(drop)
    }

    async fn commit(&mut self) -> sqlx::Result<()> {
        sqlx::query("COMMIT").execute(&mut self.conn).await?;
        self.open = false;
        Ok(())
    }

    async fn rollback(&mut self) {
        // An error only says that there is nothing to roll back.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
        self.open = false;
    }
}

/// Which store it is, the epoch in force, and whether the key's row is gone for good.
pub(super) const FENCE: &str = "SELECT m.store_id, COALESCE((SELECT e.epoch FROM epochs e WHERE e.owner = $1), 0) AS epoch,
    (SELECT r.outcome FROM receipts r WHERE r.key = $2) AS outcome FROM meta m WHERE m.only_row = 1";

#[derive(FromRow)]
struct Fence {
    store_id: String,
    epoch: i64,
    outcome: Option<String>,
}

/// A transaction that writes.
#[derive(Debug)]
pub(super) struct Tx {
    pub(super) session: Session,
    /// The time that goes with everything it writes.
    pub(super) now: String,
    /// Something was written: without it, the end is a rollback.
    pub(super) changed: bool,
    pub(super) erased: Erased,
    subject: Option<Key>,
    outcome: Option<String>,
    freed: BTreeSet<i64>,
    wakes: Vec<Wake>,
    writer: OwnedMutexGuard<Writer>,
    wake_to: UnboundedSender<Wake>,
    scrubber: Scrubber,
}

impl Tx {
    /// Begins a mutation for `key`: behind all that began before it, and only in the right store and the epoch in force.
    pub(super) async fn begin(store: &Store, session: &Session, key: &Key) -> Result<Self> {
        let mut tx = Self::unfenced(store, session.clone()).await?;
        let fence: Fence = sqlx::query_as(FENCE).bind(&session.owner).bind(&key.0).fetch_one(tx.conn()).await?;
        if fence.store_id != session.store_id {
            return Err(BackendError::WrongStore { found: fence.store_id });
        }
        if fence.epoch != session.epoch {
            return Err(BackendError::Fenced { current: fence.epoch });
        }
        tx.subject = Some(key.clone());
        tx.outcome = fence.outcome;
        Ok(tx)
    }

    /// Begins a mutation that the store's lock alone protects.
    pub(super) async fn unfenced(store: &Store, session: Session) -> Result<Self> {
        let mut tx = Self {
            session,
            now: jiff::Timestamp::now().to_string(),
            changed: false,
            erased: Erased::Nothing,
            subject: None,
            outcome: None,
            freed: BTreeSet::new(),
            wakes: Vec::new(),
            writer: store.writer().await,
            wake_to: store.wakes.clone(),
            scrubber: store.scrubber.clone(),
        };
        tx.writer.begin().await?;
        Ok(tx)
    }

    /// The connection, for statements.
    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.writer.conn
    }

    /// Refuses when the row of the key was erased or let go: nothing is made for it again.
    pub(super) fn not_gone(&self) -> Step<()> {
        match self.outcome.as_deref() {
            None => Ok(()),
            Some("released") => refused(BackendError::Released),
            Some(_) => refused(BackendError::Erased),
        }
    }

    /// Places of this account may have become free: grants follow before the commit.
    pub(super) fn frees(&mut self, account: i64) {
        self.changed = true;
        self.freed.insert(account);
    }

    /// Wakes an object after the commit.
    pub(super) fn wake(&mut self, tag: OwnerTag, ticket: Option<TicketView>) {
        self.wakes.push(Wake { tag, ticket });
    }

    /// Ends the mutation: commits what it wrote, wakes, and hands its answer back.
    pub(super) async fn finish<T>(mut self, answer: Step<T>) -> Result<T> {
        let answer = match answer {
            Ok(value) => Ok(value),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Refused(error)) => {
                self.give_up_ticket(&error).await?;
                Err(error)
            }
        };
        // Also where nothing was written: a wake may be all there is to do.
        if self.changed || !self.wakes.is_empty() {
            self.commit().await?;
        } else {
            self.writer.rollback().await;
        }
        answer
    }

    /// Whoever is refused for another reason than the limit waits no longer (rule 2).
    async fn give_up_ticket(&mut self, error: &BackendError) -> Result<()> {
        if matches!(error, BackendError::LimitExceeded { .. }) {
            return Ok(());
        }
        match self.subject.clone() {
            Some(key) => queue::drop_of(self, &key).await.map_err(BackendError::from),
            None => Ok(()),
        }
    }

    async fn commit(mut self) -> Result<()> {
        for account in std::mem::take(&mut self.freed) {
            settle::settle(&mut self, account).await?;
        }
        if self.erased != Erased::Nothing {
            scrub::mark_due(self.conn()).await?;
        }
        // From here on it no longer matters whether the caller still waits: a commit without its wakes would leave objects asleep.
        let ending = tokio::spawn(self.conclude());
        ending.await.unwrap_or_else(|_| Err(BackendError::OutcomeUnknown("the store was closed meanwhile".to_owned())))
    }

    async fn conclude(mut self) -> Result<()> {
        self.writer.commit().await.map_err(|error| commit_failed(&error))?;
        for wake in last_of_each(std::mem::take(&mut self.wakes)) {
            // Nobody listens in a program that only cleans up.
            let _ = self.wake_to.send(wake);
        }
        let (erased, scrubber) = (self.erased, self.scrubber.clone());
        drop(self);
        scrubber.scrub(erased).await;
        Ok(())
    }
}

/// An object woken twice by one transaction hears the last word only.
fn last_of_each(wakes: Vec<Wake>) -> Vec<Wake> {
    let mut seen = HashSet::new();
    let mut last: Vec<Wake> = wakes.into_iter().rev().filter(|wake| seen.insert(wake.tag.key.clone())).collect();
    last.reverse();
    last
}

impl Drop for Tx {
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
