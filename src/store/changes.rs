//! The feed of changes, over the audit table: whoever follows it learns of every change, at a cost of the changes and not of the rows.
//!
//! Its order is (transaction, id). On `SQLite` there is one writer: ids grow in the order of the commits. On `PostgreSQL` ids are drawn
//! before the commit, so that one that is lower may be committed later; a reader that had gone past it would never see it. So it is shown
//! only what was written by transactions below the lowest that still ran when its snapshot was taken ([`Conn::horizon`]): nothing is
//! committed there any more. A transaction that runs for long, whoever's it is in whichever database of that server, holds back the feed
//! until it ends; it holds up nobody who writes.
//!
//! A cursor is good for the store it comes from (rule 13), and only as long as that has what the cursor has seen: after an older backup
//! was put in its place, the reader is told to begin again.

use std::time::Duration;

use sqlx::FromRow;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::backend::{BackendError, Cursor, Result};
use crate::domain::changes::{Action, Change, ChangeCursor};
use crate::domain::rows::{Key, RowKind};

use super::Store;
use super::db::{Conn, query};
use super::listing::{self, PAGE};
use super::{find, listing::number};

/// How many changes one call gives at most.
pub const CHANGES_AT_ONCE: usize = 1000;

/// How long until whoever waits looks again by itself: what was hidden by a longer transaction is not announced when that ends.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Opens every statement that reads the audit table.
macro_rules! select_audit {
    ($tail:literal) => {
        concat!(
            "SELECT xact, id, at, owner, epoch, action, kind, key, external_id, account, organization, seats_held, seats_limit FROM audit ",
            $tail
        )
    };
}

pub(super) const AFTER: &str = select_audit!("WHERE (xact, id) > ($1, $2) AND xact < $3 ORDER BY xact, id LIMIT $4");
pub(super) const END: &str = "SELECT xact, id FROM audit WHERE xact < $1 ORDER BY xact DESC, id DESC LIMIT 1";
pub(super) const OF_ACCOUNT: &str = select_audit!("WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3");

#[derive(FromRow)]
struct Entry {
    #[sqlx(flatten)]
    at_place: At,
    at: String,
    owner: String,
    epoch: i64,
    action: String,
    kind: String,
    key: Option<String>,
    external_id: String,
    account: Option<String>,
    organization: Option<String>,
    seats_held: Option<i64>,
    seats_limit: Option<i64>,
}

/// A place in the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, FromRow)]
struct At {
    xact: i64,
    id: i64,
}

impl At {
    fn cursor(self, store: &str) -> ChangeCursor {
        ChangeCursor(format!("{store}.{}.{}", self.xact, self.id))
    }

    fn parse(store: &str, cursor: &ChangeCursor) -> Option<Self> {
        let (xact, id) = cursor.0.strip_prefix(store)?.strip_prefix('.')?.split_once('.')?;
        Some(Self { xact: xact.parse().ok()?, id: id.parse().ok()? })
    }
}

impl Entry {
    fn change(self, store: &str) -> Option<Change> {
        let Self { at_place, at, owner, epoch, action, kind, key, external_id, account, organization, seats_held, seats_limit } = self;
        Some(Change {
            cursor: at_place.cursor(store),
            at,
            owner,
            epoch,
            // What a newer version calls by a name of its own is a change all the same.
            action: Action::parse(&action).unwrap_or(Action::Update),
            kind: RowKind::parse(&kind)?,
            key: key.map(Key),
            external_id,
            account,
            organization,
            seats_held,
            seats_limit,
        })
    }
}

impl Store {
    /// The changes after a cursor, at most `limit` of them and [`CHANGES_AT_ONCE`], and where to go on. Without a cursor: none, and the
    /// end. Whoever takes the end first, then lists all, and then follows, misses nothing.
    pub async fn changes(&self, after: Option<&ChangeCursor>, limit: usize) -> Result<(Vec<Change>, ChangeCursor)> {
        let mut snapshot = self.reader().snapshot().await?;
        let horizon = snapshot.horizon().await?;
        let Some(cursor) = after else { return Ok((Vec::new(), end(&mut snapshot, horizon).await?.cursor(&self.id))) };
        let after = At::parse(&self.id, cursor).ok_or_else(bad_cursor)?;
        let limit = i64::try_from(limit.clamp(1, CHANGES_AT_ONCE)).unwrap_or(PAGE);
        let statement = query(AFTER).bind(after.xact).bind(after.id).bind(horizon).bind(limit);
        let entries: Vec<Entry> = statement.fetch_all(&mut snapshot).await?;
        let Some(last) = entries.last().map(|entry| entry.at_place) else {
            // Nothing was ever shown beyond the end.
            return if after > end(&mut snapshot, horizon).await? { Err(bad_cursor()) } else { Ok((Vec::new(), cursor.clone())) };
        };
        Ok((entries.into_iter().filter_map(|entry| entry.change(&self.id)).collect(), last.cursor(&self.id)))
    }

    /// The same, but where there are none it waits for some, as long as `patience` lasts.
    pub async fn next_changes(&self, after: &ChangeCursor, limit: usize, patience: Duration) -> Result<(Vec<Change>, ChangeCursor)> {
        let deadline = Instant::now() + patience;
        let mut changed = self.changed();
        loop {
            changed.mark_unchanged();
            let (found, next) = self.changes(Some(after), limit).await?;
            if !found.is_empty() || Instant::now() >= deadline {
                return Ok((found, next));
            }
            // Either way it is looked again.
            let _ = timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), changed.changed()).await;
        }
    }

    /// Tells of every commit that changed something, in this process; and, in `PostgreSQL`, in others that called this too.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.voice.changed(self.database())
    }

    /// The audit log of an account, named by its external id, also when it is gone, or by its key.
    pub async fn list_audit(&self, account: &str, after: Option<&Cursor>) -> Result<(Vec<Change>, Option<Cursor>)> {
        let after = number(after)?;
        let mut snapshot = self.reader().snapshot().await?;
        let place = find::place(&mut snapshot, account).await?.filter(|place| place.kind == RowKind::Account);
        let account = place.map_or_else(|| account.to_owned(), |place| place.account);
        let entries: Vec<Entry> = query(OF_ACCOUNT).bind(account).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        let next = listing::full(&entries).map(|last| Cursor(last.at_place.id.to_string()));
        Ok((entries.into_iter().filter_map(|entry| entry.change(&self.id)).collect(), next))
    }
}

async fn end(conn: &mut Conn, horizon: i64) -> std::result::Result<At, sqlx::Error> {
    Ok(query(END).bind(horizon).fetch_optional(conn).await?.unwrap_or_default())
}

fn bad_cursor() -> BackendError {
    let message = "is not one of this store, or of one that was newer; list everything again, and follow from a new one".to_owned();
    BackendError::Invalid { field: "after".into(), message }
}
