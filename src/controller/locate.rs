//! Which store to ask about a Terminating object, when there are many (rules 13 and 14).
//!
//! The object's Account names the `AccountBackend`. Without a way there, `status.storeId` tells. Without that, an object is only let go when
//! every store says that it does not know it: none may be missing.

use std::sync::Arc;

use crate::api::AccountBackend;
use crate::api::condition::Reason;
use crate::backend::BackendError;
use crate::domain::rows::Answer;

use super::cleanup::Subject;
use super::connection::Connection;
use super::context::{BackendState, Context, bounded, is_ours};
use super::failure::{Failure, Stop};
use super::lineage::served_connection;
use super::object::{Kind, ObjectName};

/// Which stores may have a row of an object.
enum Stores {
    /// That of its own `AccountBackend`, which vouches for it.
    Own(Arc<Connection>),
    /// One of these, whoever stands on them.
    Any(Vec<Arc<Connection>>),
}

/// The store that knows an object, and what it says. `None`: every store that may know it was asked, and none does.
pub async fn locate(context: &Context, subject: &Subject<'_>) -> Result<Option<(Arc<Connection>, Answer)>, Stop> {
    match stores_of(context, subject).await? {
        Stores::Own(connection) => Ok(ask(context, subject, &connection).await?.map(|answer| (connection, answer))),
        Stores::Any(connections) => {
            for connection in connections {
                let known = store_of(subject).is_some();
                let answer = ask(context, subject, &connection).await.map_err(|error| held_by(context, &connection, error, known))?;
                if let Some(answer) = answer {
                    return Ok(Some((connection, answer)));
                }
            }
            Ok(None)
        }
    }
}

/// What one store says of an object; `None`: it does not know it, and it is the store that we know.
async fn ask(context: &Context, subject: &Subject<'_>, connection: &Connection) -> Result<Option<Answer>, BackendError> {
    let key = subject.key();
    let answer = context.ask(connection, async |backend| backend.lookup(&key).await).await?;
    if answer == Answer::Unknown {
        context.confirm(connection).await?;
        return Ok(None);
    }
    Ok(Some(answer))
}

/// The store in which the object had a row, as its status has it.
fn store_of<'a>(subject: &Subject<'a>) -> Option<&'a str> {
    subject.evidence.0.and(subject.evidence.1)
}

async fn stores_of(context: &Context, subject: &Subject<'_>) -> Result<Stores, Stop> {
    if let Some(account) = &subject.account {
        match served_connection(context, account) {
            Ok(connection) => return Ok(Stores::Own(connection)),
            // A typo in a reference must not hold an object for ever.
            Err(Stop::Failure(failure)) if failure.reason == Reason::BackendNotFound => {}
            Err(stop) => return Err(stop),
        }
    }
    let store = store_of(subject);
    let connections = candidates(context, store).await?;
    if connections.is_empty() && store.is_some() {
        let message = "status.storeId names a store that no AccountBackend of this controller stands for. Bring the AccountBackend back, \
             or let go without touching the store: annotate the Organization or Account with deskplane.dev/release.";
        return Err(Failure::new(Reason::BackendNotFound, message).with_backoff().into());
    }
    Ok(Stores::Any(connections))
}

/// The connections to the stores that may know an object of this `status.storeId`. Fails when one of them cannot be asked.
async fn candidates(context: &Context, store: Option<&str>) -> Result<Vec<Arc<Connection>>, Stop> {
    let mut found: Vec<Arc<Connection>> = Vec::new();
    let mut embedded_is_served = false;
    let names = context.cache().names_of_backends();
    for name in names {
        let object = ObjectName::cluster(Kind::AccountBackend, &name);
        if !is_ours(context, &object) {
            continue;
        }
        let backend = context.cache().get::<AccountBackend>("", &name);
        embedded_is_served |= backend.as_ref().is_none_or(|backend| backend.spec.embedded.is_some());
        let recorded = backend.as_ref().and_then(|backend| backend.status.as_ref()?.store_id.as_deref());
        if store.is_some() && recorded.is_some() && store != recorded {
            continue;
        }
        let connection = standing(context, &object).map_err(|stop| held_for(stop, &object, recorded.is_some() && store == recorded))?;
        if !found.iter().any(|one| Arc::ptr_eq(one, &connection)) {
            found.push(connection);
        }
    }
    if !embedded_is_served {
        found.extend(unserved_embedded(context).await?);
    }
    found.retain(|connection| store.is_none_or(|store| connection.store_id == store));
    Ok(found)
}

/// The connection of an `AccountBackend`, whatever namespace asks.
fn standing(context: &Context, backend: &ObjectName) -> Result<Arc<Connection>, Stop> {
    match context.backend_state(&backend.name) {
        Some(BackendState::Verified(connection)) => Ok(connection),
        Some(BackendState::Refused(failure)) => Err(failure.into()),
        None if context.queue.active(backend) => Err(Stop::Deferred(backend.clone())),
        None => {
            let message =
                format!("It has not been reached yet: is it paused, or can it not be read? See: kubectl describe ab {}", backend.name);
            Err(Failure::new(Reason::BackendUnreachable, message).into())
        }
    }
}

/// The store inside this process, when no `AccountBackend` stands for it: it may know what an earlier one put there.
async fn unserved_embedded(context: &Context) -> Result<Option<Arc<Connection>>, Stop> {
    let Some(way) = context.connections.embedded() else { return Ok(None) };
    let found = bounded(way.backend().identify()).await?;
    let connection = context.connections.at(&found.store_id);
    context.connections.join(&connection, &way);
    Ok(Some(connection))
}

/// A store that cannot be asked holds the object: it may know it.
fn held_by(context: &Context, connection: &Connection, error: BackendError, known: bool) -> Stop {
    let names: Vec<_> = context.standing_on(connection).iter().map(ToString::to_string).collect();
    let whose = if names.is_empty() { "the store of this controller (--database)".to_owned() } else { names.join(" and ") };
    held(&whose, known, error.into()).into()
}

fn held_for(stop: Stop, backend: &ObjectName, known: bool) -> Stop {
    match stop {
        Stop::Failure(failure) => held(&backend.to_string(), known, failure).into(),
        stop => stop,
    }
}

/// `known`: status.storeId tells that it is this one.
fn held(whose: &str, known: bool, mut failure: Failure) -> Failure {
    let why = if known {
        format!("status.storeId leads to {whose}, which cannot be asked")
    } else {
        format!("nothing shows which backend this object was in, so all are asked, and {whose} cannot be")
    };
    failure.message = format!("Held, nothing is let go: {why}. {}", failure.message);
    failure.spares_settled = false;
    failure.with_backoff()
}
