//! Retention: what is older than its organization wants transcripts kept goes, whoever is paused (rule 20); and so do answers that were
//! kept long enough to be given again.
//!
//! It goes in batches, each a transaction of its own under the lock of one account: others wait for one batch at most. An organization
//! whose settings changed meanwhile is left alone by the batch that finds it so. Any number of processes may do this at once.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::FromRow;
use tokio_util::sync::CancellationToken;

use crate::backend::Result;
use crate::domain::transcript::kept_from;

use super::Store;
use super::db::{Erased, query};
use super::erasure::BATCH;
use super::error::Step;
use super::tx::{Attempts, Tx};

/// How often it is looked for what is too old. Days are counted: minutes do not matter.
const EVERY: Duration = Duration::from_mins(5);

/// For how many organizations one after the other it may fail.
const FAILURES: u32 = 3;

/// The next number of days that some organization keeps transcripts for.
pub(super) const NEXT_DAYS: &str = "SELECT transcript_retention_days FROM organizations WHERE transcript_retention_days > $1
    ORDER BY transcript_retention_days LIMIT 1";

/// The next organization that keeps them for so many days and has one that is older.
pub(super) const NEXT: &str = "SELECT g.id, g.external_id FROM organizations g
    WHERE g.transcript_retention_days = $1 AND g.id >= $2 AND NOT g.erasing
    AND EXISTS (SELECT 1 FROM transcripts t WHERE t.organization = g.id AND t.started_at < $3) ORDER BY g.id LIMIT 1";

/// Deletes a batch of what is older, the oldest first, should the organization still keep them for so many days.
pub(super) const DELETE: &str = "DELETE FROM transcripts WHERE id IN (SELECT t.id FROM organizations g
    JOIN transcripts t ON t.organization = g.id AND t.started_at < $3
    WHERE g.id = $1 AND g.transcript_retention_days = $2 AND NOT g.erasing ORDER BY t.started_at LIMIT $4)";

#[derive(FromRow)]
pub(super) struct Found {
    id: i64,
    external_id: String,
}

/// One round through all organizations, and where it is.
#[derive(Debug)]
pub(super) struct Round {
    now: Timestamp,
    days: i64,
    organization: i64,
    failures: u32,
}

impl Store {
    /// Deletes all transcripts that are too old at `now`, but for those of an organization where that fails; says how many.
    pub async fn retain(&self, now: Timestamp) -> Result<u64> {
        round(self, now, &CancellationToken::new()).await
    }

    /// Deletes one batch of what is too old. `None`: the round is through. Where it fails, the round goes on behind the organization; where
    /// it fails for several one after the other, it is the store, and the round ends.
    pub(super) async fn retain_a_batch(&self, round: &mut Round) -> Result<Option<u64>> {
        let Some(found) = round.next(self).await? else { return Ok(None) };
        let deleted = match self.delete_a_batch(round, &found).await {
            Ok(deleted) => {
                round.failures = 0;
                deleted
            }
            Err(error) if round.failures < FAILURES => {
                let organization = &found.external_id;
                tracing::warn!(organization, %error, "transcripts that are too old could not be deleted; the next round tries again");
                round.failures += 1;
                0
            }
            Err(error) => return Err(error),
        };
        round.organization = if i64::try_from(deleted).is_ok_and(|deleted| deleted < BATCH) { found.id + 1 } else { found.id };
        Ok(Some(deleted))
    }

    pub(super) async fn delete_a_batch(&self, round: &Round, found: &Found) -> Result<u64> {
        let mut attempts = Attempts::default();
        loop {
            let ended = self.try_to_delete(round, found).await;
            if !attempts.another(&ended) {
                return Ok(ended?);
            }
        }
    }

    async fn try_to_delete(&self, round: &Round, found: &Found) -> Step<u64> {
        let mut tx = self.write_to(&found.external_id, "retention").await?;
        let answer = delete(&mut tx, round, found).await;
        tx.finish(answer).await
    }
}

impl Round {
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, days: 0, organization: 0, failures: 0 }
    }

    /// What counts from before this, in milliseconds since 1970, is too old for who keeps transcripts for these days.
    fn kept_from(&self) -> i64 {
        kept_from(i32::try_from(self.days).unwrap_or(i32::MAX), self.now).as_millisecond()
    }

    /// The next organization that has something too old.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<Found>> {
        let mut snapshot = store.reader().snapshot().await?;
        loop {
            let statement = query(NEXT).bind(self.days).bind(self.organization).bind(self.kept_from());
            if let Some(found) = statement.fetch_optional(&mut snapshot).await? {
                return Ok(Some(found));
            }
            let Some(days) = query(NEXT_DAYS).bind(self.days).scalar_optional(&mut snapshot).await? else { return Ok(None) };
            (self.days, self.organization) = (days, 0);
        }
    }
}

async fn delete(tx: &mut Tx, round: &Round, found: &Found) -> Step<u64> {
    let statement = query(DELETE).bind(found.id).bind(round.days).bind(round.kept_from()).bind(BATCH);
    let deleted = statement.execute(tx.conn()).await?;
    if deleted > 0 {
        (tx.changed, tx.erased) = (true, Erased::Row);
    }
    Ok(deleted)
}

async fn round(store: &Store, now: Timestamp, stop: &CancellationToken) -> Result<u64> {
    let mut round = Round::at(now);
    let mut deleted = 0;
    while !stop.is_cancelled()
        && let Some(batch) = store.retain_a_batch(&mut round).await?
    {
        deleted += batch;
    }
    Ok(deleted)
}

/// Deletes what is too old, at once and every few minutes, until `stop`: by whoever has the store open for writing.
pub async fn run(store: &Store, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match round(store, Timestamp::now(), stop).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "transcripts were older than their organizations keep them"),
            Err(error) => tracing::warn!(%error, "transcripts that are too old could not all be deleted; trying again"),
        }
        if let Err(error) = store.forget_replies(Timestamp::now()).await {
            tracing::warn!(%error, "answers that were kept long enough could not all be deleted; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
