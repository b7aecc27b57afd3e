//! Counts that trail: whatever changed in an account, its usage is read and reported once, five seconds after the first change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::Account;
use crate::api::account::{SeatUsage, Usage};
use crate::domain::rows::{AccountUsage, Key, UsageCounts};
use crate::domain::seats::Limits;

use super::connection::Connection;
use super::context::Context;
use super::lineage::served_connection;
use super::object::{Kind, Meta, ObjectName};

/// How long counts trail behind the first change.
pub const TRAIL: Duration = Duration::from_secs(5);

/// Accounts, and plans, whose counts changed, with the time they are due.
#[derive(Default)]
pub struct Marks {
    due: Mutex<BTreeMap<ObjectName, Instant>>,
    added: Notify,
}

impl Marks {
    /// Marks an object; an earlier mark stands.
    pub fn mark(&self, name: ObjectName) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| Instant::now() + TRAIL);
        self.added.notify_one();
    }

    /// Whether its count is on its way.
    pub fn has(&self, name: &ObjectName) -> bool {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }

    /// All marked objects, whenever they are due.
    #[cfg(test)]
    pub fn take_all(&self) -> Vec<ObjectName> {
        std::mem::take(&mut *self.due.lock().unwrap_or_else(PoisonError::into_inner)).into_keys().collect()
    }

    /// The next marked object, when it is due.
    async fn next(&self) -> ObjectName {
        loop {
            let first = {
                let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
                let first = due.iter().min_by_key(|(_, at)| **at).map(|(name, at)| (name.clone(), *at));
                if let Some((name, at)) = &first
                    && *at <= Instant::now()
                {
                    due.remove(name);
                    return name.clone();
                }
                first
            };
            match first {
                Some((_, at)) => tokio::time::sleep_until(at).await,
                None => self.added.notified().await,
            }
        }
    }
}

/// Reads and reports the counts of marked objects, for ever.
pub async fn run(context: &Context) {
    loop {
        let name = context.marks.next().await;
        report(context, name).await;
    }
}

/// Reads the counts of one marked object and has them reported.
pub async fn report(context: &Context, name: ObjectName) {
    if name.kind == Kind::Account {
        count(context, &name).await;
    }
    context.queue.push(name);
}

/// Reads what an account uses.
async fn count(context: &Context, name: &ObjectName) {
    let Some(account) = context.cache().get::<Account>(&name.namespace, &name.name) else { return };
    let Ok(connection) = served_connection(context, &account) else { return };
    let Ok(usage) = context.read(&connection, async |backend| backend.usage(&account.key()).await).await else {
        tracing::debug!(%name, "the usage could not be read; the next sweep tries again");
        return;
    };
    learned(context, &connection, &account.key(), usage);
}

/// Takes over what an account uses, and wakes the organizations whose numbers changed.
pub fn learned(context: &Context, connection: &Connection, account: &Key, usage: AccountUsage) {
    let changed = connection.observed().uses(account, usage);
    let cache = context.cache();
    let organizations: Vec<_> = changed.iter().filter_map(|key| cache.name_of_key(key).cloned()).collect();
    drop(cache);
    context.queue.push_all(organizations);
}

/// Usage as the status shows it.
pub fn usage_status(counts: &UsageCounts) -> Usage {
    let UsageCounts { organizations, operators, departments, widgets, transcripts, seats_held: _, seats_waiting: _, unmanaged: _ } =
        *counts;
    Usage { organizations, operators, departments, widgets, transcripts }
}

/// Seats as the status shows them, and their summary.
pub fn seats_status(counts: &UsageCounts, limits: &Limits) -> (SeatUsage, String) {
    let seats = SeatUsage { limit: limits.seats, held: counts.seats_held, waiting: counts.seats_waiting, unmanaged: counts.unmanaged };
    let summary = format!("{}/{}", seats.held, seats.limit);
    (seats, summary)
}
