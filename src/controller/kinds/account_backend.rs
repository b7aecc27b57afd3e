//! `AccountBackend`: makes contact with a store and verifies that it is the one we know (rule 13).

use std::sync::Arc;

use serde_json::json;

use crate::api::condition::Reason;
use crate::api::names::ACCEPT_STORE;
use crate::api::{AccountBackend, AccountBackendStatus};
use crate::backend::{Capabilities, Identity, IdentityScope};
use crate::domain::identity::{Contact, Found, Recorded, contact};

use super::super::cleanup::bounded;
use super::super::connection::Connection;
use super::super::context::{BackendState, Context};
use super::super::failure::{Failure, Stop};
use super::super::object::{Meta, name_of};
use super::super::report::{params, patch_for};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::super::sweep;
use super::owned::{in_use, users};

impl Reconcile for AccountBackend {
    async fn sync(context: &Context, backend: &Arc<Self>) -> Result<Synced<AccountBackendStatus>, Stop> {
        forget_withdrawn(context, backend).await?;
        let found = match verify(context, backend).await {
            Ok(found) => found,
            Err(stop) => {
                if let Stop::Failure(failure) = &stop {
                    context.set_backend_state(backend.name(), Some(BackendState::Refused(failure.clone())));
                }
                return Err(stop);
            }
        };
        // Before anybody writes to it: what tells this store from another must not be lost by a crash.
        let recorded = record(context, backend, &found.status).await?;
        context.set_backend_state(backend.name(), Some(BackendState::Verified(context.embedded.clone())));
        if recorded {
            context.queue.push(name_of(backend.as_ref()));
            return Err(Stop::Outdated);
        }
        context.embedded.trouble().map_or(Ok(found), |trouble| Err(unreachable(&trouble).into()))
    }

    fn count(context: &Context, backend: &Self, status: &mut AccountBackendStatus) {
        status.accounts = users(context, &name_of(backend));
    }

    async fn clean_up(context: &Context, backend: &Arc<Self>) -> Result<Cleanup, Stop> {
        let cleanup = in_use(context, &name_of(backend.as_ref()));
        match &cleanup {
            Cleanup::LetGo => context.set_backend_state(backend.name(), None),
            // Its accounts still need it, after a restart too.
            Cleanup::Hold(_) => {
                if !matches!(context.backend_state(backend.name()), Some(BackendState::Verified(_))) {
                    Self::sync(context, backend).await?;
                }
            }
        }
        Ok(cleanup)
    }
}

/// Writes down which store this is, by itself: a pass over another object may be recording the epoch. True: that was new.
async fn record(context: &Context, backend: &AccountBackend, found: &AccountBackendStatus) -> Result<bool, Stop> {
    let known = backend.status.as_ref();
    if known.is_some_and(|known| known.store_id == found.store_id && known.accepted_store == found.accepted_store) {
        return Ok(false);
    }
    let fields = [("storeId", json!(found.store_id)), ("epoch", json!(found.epoch)), ("acceptedStore", json!(found.accepted_store))];
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    let add = fields.map(|(field, value)| json!({"op": "add", "path": format!("/status/{field}"), "value": value}));
    let patch = patch_for(&backend.key().0, add);
    let returned = context.api::<AccountBackend>("").patch_status(backend.name(), &params(), &patch).await?;
    context.metrics.api_write("patch_status");
    context.returned(returned);
    Ok(true)
}

/// Its backend is the one we know, but the last call did not reach it. The next that does clears this.
fn unreachable(trouble: &str) -> Failure {
    Failure::new(Reason::BackendUnreachable, format!("The last call did not reach the backend: {trouble}. It is tried again."))
}

/// An acceptance that was taken back can be given anew, also while the store is refused. The pass begins again on the status so made.
async fn forget_withdrawn(context: &Context, backend: &AccountBackend) -> Result<(), Stop> {
    let name = name_of(backend);
    // Both commands may have come between two passes.
    let withdrawn = context.take_withdrawn(&name) || backend.annotation(ACCEPT_STORE).is_none();
    if !withdrawn || backend.status.as_ref().is_none_or(|status| status.accepted_store.is_none()) {
        return Ok(());
    }
    // By itself, whatever version the object has: it may have been given anew meanwhile.
    let patch = patch_for(&backend.key().0, [json!({"op": "remove", "path": "/status/acceptedStore"})]);
    let returned = context.api::<AccountBackend>("").patch_status(backend.name(), &params(), &patch).await;
    let returned = returned.inspect_err(|_| context.acceptance_withdrawn(name))?;
    context.metrics.api_write("patch_status");
    context.returned(returned);
    Err(Stop::Outdated)
}

async fn verify(context: &Context, backend: &AccountBackend) -> Result<Synced<AccountBackendStatus>, Stop> {
    if backend.spec.embedded.is_none() {
        let message = "spec: this version knows one provider only. Set spec.embedded: {}.";
        return Err(Failure::new(Reason::Unsupported, message).into());
    }
    let connection = &context.embedded;
    let found = bounded(connection.first_contact()).await?;
    let recorded = recorded(backend, connection);
    let contact = contact(recorded, Found { store_id: &found.store_id, epoch: found.epoch });
    if let Some(failure) = replaced(contact, backend, found) {
        return Err(failure.into());
    }
    if connection.open().await? {
        sweep::settle(context, connection).await;
    }
    let mut status = backend.status.clone().unwrap_or_default();
    status.store_id = Some(found.store_id.clone());
    if matches!(contact, Contact::First | Contact::Accepted) || connection.has_written() {
        status.epoch = connection.session().map(|session| session.epoch);
    }
    status.accepted_store = honoured(contact, backend);
    status.version = Some(found.version.clone());
    status.capabilities = capabilities(&connection.backend.capabilities());
    Ok(Synced { message: "The store is the one known, and open.".to_owned(), ..Synced::new(status) })
}

/// What the status remembers. Once this process has written its own epoch there, that is no longer evidence of another writer.
fn recorded<'a>(backend: &'a AccountBackend, connection: &Connection) -> Recorded<'a> {
    let status = backend.status.as_ref();
    let ours = connection.session().map(|session| session.epoch);
    Recorded {
        store_id: status.and_then(|status| status.store_id.as_deref()),
        epoch: status.and_then(|status| status.epoch).filter(|epoch| Some(*epoch) != ours),
        accepts: backend.annotation(ACCEPT_STORE).filter(|value| status.and_then(|status| status.accepted_store.as_deref()) != Some(value)),
    }
}

/// The annotation as long as it stands, once it was honoured: it must not accept an older copy years later.
fn honoured(contact: Contact, backend: &AccountBackend) -> Option<String> {
    let annotation = backend.annotation(ACCEPT_STORE)?;
    let before = backend.status.as_ref().and_then(|status| status.accepted_store.as_deref());
    (contact == Contact::Accepted || before == Some(annotation)).then(|| annotation.to_owned())
}

fn replaced(contact: Contact, backend: &AccountBackend, found: &Identity) -> Option<Failure> {
    let what = match contact {
        Contact::First | Contact::Known | Contact::Accepted => return None,
        Contact::OtherStore => "another store answers than the one in status.storeId",
        Contact::OlderCopy => "the store is older than what was written to it (status.epoch): a backup was put in its place",
    };
    let name = backend.name();
    let message = format!(
        "The store was replaced: {what}. Nothing is made, nothing is erased, no object is let go. Bring the right database back; or, to go on \
         with this one, where every object is then made anew if it is missing: \
         kubectl annotate ab {name} deskplane.dev/accept-store- && kubectl annotate ab {name} deskplane.dev/accept-store={}",
        found.store_id
    );
    Some(Failure::new(Reason::BackendReplaced, message))
}

fn capabilities(capabilities: &Capabilities) -> Vec<String> {
    let Capabilities { keyed, fenced, read_lag, hard_delete, identity_scope, roles, seats_enforced } = capabilities;
    let scope = match identity_scope {
        IdentityScope::Organization => "identityScope=organization",
        IdentityScope::Account => "identityScope=account",
        IdentityScope::Global => "identityScope=global",
    };
    [
        (*keyed, "keyed"),
        (*fenced, "fenced"),
        (*read_lag, "readLag"),
        (*hard_delete, "hardDelete"),
        (true, scope),
        (*roles, "roles"),
        (*seats_enforced, "seatsEnforced"),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .map(|(_, name)| name.to_owned())
    .collect()
}
