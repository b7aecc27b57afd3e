//! Rows whose object vanished without cleanup: they are kept, and in nobody's way (rule 18).

use std::sync::Arc;

use kube::runtime::events::{Event, EventType};

use crate::api::AccountBackend;
use crate::api::condition::Reason;
use crate::domain::rows::{Answer, Fields, Key, Row};

use super::connection::Connection;
use super::context::Context;
use super::failure::{Failure, Stop};
use super::kinds::release_late;
use super::mapping;
use super::object::ObjectName;
use super::report::{news, publish};

/// Quarantines the rows of objects of this name that vanished without cleanup (rule 18).
pub async fn vanished(context: &Context, name: &ObjectName) -> Result<(), Stop> {
    let mut keys = context.take_vanished(name);
    while let Some(key) = keys.pop() {
        if let Err(stop) = of_key(context, name, &key).await {
            keys.push(key);
            context.still_vanished(name, keys);
            return Err(stop);
        }
    }
    Ok(())
}

/// In every store that has something of it.
async fn of_key(context: &Context, name: &ObjectName, key: &Key) -> Result<(), Stop> {
    let own = context.connection_of(name);
    for connection in context.connections.holding(key) {
        let elsewhere = own.as_ref().is_some_and(|own| !Arc::ptr_eq(own, &connection));
        match in_store(context, &connection, name, key).await {
            // What another store has does not hold up the new object of that name. That store's next sweep comes back to it.
            Err(_) if elsewhere => tracing::debug!(%name, store = connection.store_id, "a row without an object could not be quarantined"),
            ended => ended?,
        }
    }
    Ok(())
}

async fn in_store(context: &Context, connection: &Connection, name: &ObjectName, key: &Key) -> Result<(), Stop> {
    // Erased or released meanwhile: there is nothing to quarantine, and nothing to tell.
    let row = match context.read(connection, async |backend| backend.lookup(key).await).await? {
        Answer::Present(row) => Some(*row),
        Answer::Waiting(_) => None,
        Answer::Erased | Answer::Released | Answer::Unknown => {
            connection.observed().forget(key);
            return Ok(());
        }
    };
    let let_go = row.as_ref().and_then(|row| context.connections.goes_with(connection, row));
    if let Some(let_go) = let_go {
        return goes_late(context, connection, name, key, &let_go).await;
    }
    context.write(connection, name, async |backend, session| backend.quarantine(session, key).await).await?;
    connection.observed().forget(key);
    // A ticket does not tell whose it was.
    let accounts = context.cache().accounts_in(&name.namespace);
    for account in accounts {
        context.marks.mark(account);
    }
    if let Some(row) = row {
        email_freed(context, &row);
        report(context, connection, name, &row).await;
        connection.observed().wrote(Row { quarantined: true, ..row });
        context.metrics.quarantined(context.connections.quarantined());
    }
    Ok(())
}

/// An object that was let go, or went along with `let_go`, is gone before the backend was told.
async fn goes_late(context: &Context, connection: &Connection, name: &ObjectName, key: &Key, let_go: &Key) -> Result<(), Stop> {
    if let_go == key {
        return release_late(context, connection, name, key).await;
    }
    let message = "It goes with what was let go above it, once the backend can be told.";
    Err(Failure::new(Reason::BackendUnreachable, message).with_backoff().into())
}

/// Others may have the e-mail of an operator that vanished.
fn email_freed(context: &Context, row: &Row) {
    let Fields::Operator(fields) = &row.fields else { return };
    let organization = fields.organization.as_ref().and_then(|key| context.cache().name_of_key(key).cloned());
    if let Some(organization) = organization {
        mapping::email_freed(context, &organization, &fields.values.email);
    }
}

/// The object is gone, so the Event is about the backend that keeps its row.
async fn report(context: &Context, connection: &Connection, name: &ObjectName, row: &Row) {
    let id = &row.external_id;
    let note = format!(
        "{name} vanished without cleanup. Its row {id} keeps its data and its seat, and nothing else uses it. \
         See: deskplane store orphans. To erase it: deskplane store erase-row {id}"
    );
    for backend in context.standing_on(connection) {
        let Some(backend) = context.cache().get::<AccountBackend>("", &backend.name) else { continue };
        // What varies goes into the action: the API server's clients gather what does not.
        let event = Event { type_: EventType::Warning, action: id.clone(), ..news("Quarantined", note.clone()) };
        publish(context, backend.as_ref(), event).await;
    }
}
