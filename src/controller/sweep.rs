//! Compares what the backend holds with the objects: at the start, and at every resync interval (rules 18 and 19).
//!
//! The store is read in pages; objects are looked at again, and a pass that finds nothing different writes nothing.

use std::time::Duration;

use crate::api::AccountBackend;
use crate::domain::rows::Key;

use super::connection::{Call, Connection};
use super::context::{BackendState, Context};
use super::object::{Kind, ObjectName, name_of};

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
    context.metrics.quarantined(connection.observed().quarantined());
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

/// Sweeps the store of every backend at its resync interval, until the program stops.
pub async fn run(context: &Context) {
    let mut last = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(shortest_interval(context).min(POLL)).await;
        if last.elapsed() < shortest_interval(context) {
            continue;
        }
        last = tokio::time::Instant::now();
        resync(context).await;
    }
}

/// How often a changed interval is noticed.
const POLL: Duration = Duration::from_secs(5);

async fn resync(context: &Context) {
    let connection = context.embedded.clone();
    if connection.session().is_none() {
        return;
    }
    let swept = connection.sweep().await;
    context.hear(&connection, Call::Read, &swept);
    match swept {
        Ok(changed) => {
            if !changed.is_empty() {
                tracing::info!(rows = changed.len(), "the sweep found rows that were changed by others");
            }
            settle(context, &connection).await;
        }
        Err(error) => {
            tracing::warn!(%error, "the sweep failed; the next one tries again");
            return;
        }
    }
    for backend in verified(context) {
        let name = name_of(backend.as_ref());
        let descendants = context.cache().descendants(&name);
        context.queue.push(name);
        context.queue.push_all(descendants);
    }
}

fn verified(context: &Context) -> Vec<std::sync::Arc<AccountBackend>> {
    let names = context.cache().names_of_backends();
    let verified = names.into_iter().filter(|name| matches!(context.backend_state(name), Some(BackendState::Verified(_))));
    verified.filter_map(|name| context.cache().get::<AccountBackend>("", &name)).collect()
}

/// All backends stand on one store: the shortest interval among them counts.
fn shortest_interval(context: &Context) -> Duration {
    verified(context).iter().map(|backend| backend.spec.resync_interval()).min().unwrap_or(POLL)
}
