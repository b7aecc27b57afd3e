//! Compares what each store holds with the objects: at the start, and at every resync interval (rules 18 and 19).
//!
//! A store is read in pages; objects are looked at again, and a pass that finds nothing different writes nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

use crate::api::AccountBackend;
use crate::backend::BackendError;
use crate::domain::rows::{Key, OwnerTag};

use super::connection::Connection;
use super::context::Context;
use super::object::{Kind, ObjectName};
use super::observed::Sweep;

/// Takes our epoch in a store and reads it, once. True: just now.
pub async fn open(context: &Context, connection: &Connection) -> Result<bool, BackendError> {
    let begin = context.ask(connection, async |backend| backend.begin_epoch().await);
    let first = async {
        let mut last_sweep = connection.last_sweep.lock().await;
        *last_sweep = Some(Instant::now());
        sweep(context, connection).await.map(drop)
    };
    connection.open(begin, first).await
}

/// Pages through all accounts and their rows. Returns the tags of the rows that differ from what was known.
async fn sweep(context: &Context, connection: &Connection) -> Result<Vec<OwnerTag>, BackendError> {
    connection.observed().begin_sweep();
    let mut sweep = Sweep::default();
    let mut after = None;
    loop {
        let (accounts, next) = context.ask(connection, async |backend| backend.accounts(after).await).await?;
        for tag in accounts.into_iter().filter_map(|row| row.tag) {
            sweep_account(context, connection, &tag, &mut sweep).await?;
        }
        let Some(next) = next else { break };
        after = Some(next);
    }
    // Nobody else's rows: what answered from the first page to the last is the store that we know.
    context.confirm(connection).await?;
    Ok(connection.observed().end_sweep(sweep))
}

async fn sweep_account(context: &Context, connection: &Connection, account: &OwnerTag, sweep: &mut Sweep) -> Result<(), BackendError> {
    let mut after = None;
    loop {
        let page = context.ask(connection, async |backend| backend.page(&account.key, after).await).await?;
        sweep.rows.extend(page.rows);
        sweep.tickets.extend(page.tickets);
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

/// After a sweep: rows and tickets whose objects are gone are cleared up, counts are read anew.
pub async fn settle(context: &Context, connection: &Connection) {
    let (tags, tickets) = connection.observed().known();
    let exists = |key: &Key| context.cache().name_of_key(key).is_some();
    for tag in tags {
        let name = ObjectName::of_tag(&tag);
        if context.scope.includes(&tag.namespace) && !exists(&tag.key) {
            context.vanished(name.clone(), tag.key);
        }
        if name.kind == Kind::Account {
            context.marks.mark(name);
        }
    }
    context.metrics.quarantined(context.connections.quarantined());
    // Who looks at some namespaces only cannot tell whose tickets the others are.
    if context.scope.namespaces.is_empty() {
        drop_tickets(context, connection, tickets.into_iter().filter(|key| !exists(key)).collect()).await;
    }
}

/// Tickets are dropped at once when their object goes; this is for those that went while nobody watched.
async fn drop_tickets(context: &Context, connection: &Connection, lost: Vec<Key>) {
    for key in lost {
        let account = ObjectName::cluster(Kind::Account, "");
        let dropped = context.write(connection, &account, async |backend, session| backend.drop_ticket(session, &key).await).await;
        if dropped.is_ok() {
            connection.observed().forget(&key);
        } else {
            tracing::warn!(%key, "a ticket without an object could not be dropped; the next sweep tries again");
        }
    }
}

/// Sweeps each store at the resync interval of its backends, until the program stops. One that is slow to answer holds up no other.
pub async fn run(context: &Context) {
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = sleep(POLL) => under_way.extend(due(context).into_iter().map(|connection| resync(context, connection))),
            Some(()) = under_way.next() => {}
        }
    }
}

/// How often it is looked whether a sweep is due.
const POLL: Duration = Duration::from_secs(5);

/// The connections whose last sweep began longer ago than the shortest interval of the backends that stand on them.
pub(super) fn due(context: &Context) -> Vec<Arc<Connection>> {
    let all = context.connections.all().into_iter();
    let is_due = |connection: &Arc<Connection>| {
        let Some(interval) = interval(context, connection) else { return false };
        // One that is under way holds the lock.
        connection.last_sweep.try_lock().is_ok_and(|last| last.is_none_or(|last| last.elapsed() >= interval))
    };
    all.filter(is_due).collect()
}

fn interval(context: &Context, connection: &Connection) -> Option<Duration> {
    let cache = context.cache();
    let backends = context.standing_on(connection).into_iter().filter_map(|name| cache.get::<AccountBackend>("", &name.name));
    backends.map(|backend| backend.spec.resync_interval()).min()
}

/// Sweeps a store, and has what stands on it looked at.
pub(super) async fn resync(context: &Context, connection: Arc<Connection>) {
    let mut last_sweep = connection.last_sweep.lock().await;
    *last_sweep = Some(Instant::now());
    match sweep(context, &connection).await {
        Ok(changed) => {
            if !changed.is_empty() {
                tracing::info!(store = connection.store_id, rows = changed.len(), "the sweep found rows that were changed by others");
            }
            settle(context, &connection).await;
        }
        Err(error) => {
            tracing::warn!(store = connection.store_id, %error, "the sweep failed; the next one tries again");
            return;
        }
    }
    for name in context.standing_on(&connection) {
        let descendants = context.cache().descendants(&name);
        context.queue.push(name);
        context.queue.push_all(descendants);
    }
}
