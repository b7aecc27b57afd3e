//! `AccountBackend`: makes contact with a store and verifies that it is the one we know (rule 13).

use std::sync::Arc;

use serde_json::json;

use crate::api::condition::Reason;
use crate::api::names::ACCEPT_STORE;
use crate::api::{AccountBackend, AccountBackendStatus};
use crate::backend::{BackendError, Capabilities, Identity, IdentityScope};
use crate::domain::identity::{Contact, Found, Recorded, contact};

use super::super::cleanup::BESIDE_WAKES;
use super::super::connection::{Call, Connection, Way};
use super::super::context::{BackendState, Context};
use super::super::failure::{Failure, Stop};
use super::super::object::{Meta, name_of};
use super::super::report::{params, patch_for};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::super::{secrets, sweep};
use super::owned::{in_use, users};
use super::provider;

impl Reconcile for AccountBackend {
    async fn sync(context: &Context, backend: &Arc<Self>) -> Result<Synced<AccountBackendStatus>, Stop> {
        forget_withdrawn(context, backend).await?;
        secrets::forget_unnamed(context);
        let (connection, found) = match verify(context, backend).await {
            Ok(verified) => verified,
            Err(Unverified::Lost(failure)) => return Err(failure.into()),
            Err(Unverified::Refused(stop)) => {
                if let Stop::Failure(failure) = &stop {
                    context.refuse(backend.name(), failure.clone());
                }
                return Err(stop);
            }
        };
        // Before anybody writes to it: what tells this store from another must not be lost by a crash.
        let recorded = record(context, backend, &found.status).await?;
        context.set_backend_state(backend.name(), Some(BackendState::Verified(connection.clone())));
        if recorded {
            context.queue.push(name_of(backend.as_ref()));
            return Err(Stop::Outdated);
        }
        connection.trouble().map_or(Ok(found), |trouble| Err(unreachable(backend, &trouble).into()))
    }

    fn count(context: &Context, backend: &Self, status: &mut AccountBackendStatus) {
        status.accounts = users(context, &name_of(backend));
    }

    async fn clean_up(context: &Context, backend: &Arc<Self>) -> Result<Cleanup, Stop> {
        let cleanup = in_use(context, &name_of(backend.as_ref()));
        match &cleanup {
            Cleanup::LetGo => context.forget_backend(backend.name()),
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

/// Why a store is not verified.
enum Unverified {
    /// It was, by the very same way, and does not answer now: what stands on it goes on where it can.
    Lost(Failure),
    /// Nobody may use it.
    Refused(Stop),
}

impl<E: Into<Stop>> From<E> for Unverified {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// Writes down which store this is, by itself: a pass over another object may be recording the epoch. True: that was new.
async fn record(context: &Context, backend: &AccountBackend, found: &AccountBackendStatus) -> Result<bool, Stop> {
    let known = backend.status.as_ref();
    let same = |known: &AccountBackendStatus| {
        (&known.store_id, known.epoch, &known.accepted_store) == (&found.store_id, found.epoch, &found.accepted_store)
    };
    if known.is_some_and(same) {
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
fn unreachable(backend: &AccountBackend, trouble: &str) -> Failure {
    let failure =
        Failure::new(Reason::BackendUnreachable, format!("The last call did not reach the backend: {trouble}. It is tried again."));
    // Where it is elsewhere, it may be that nobody has anything to ask.
    if backend.spec.server.is_some() { failure.with_backoff() } else { failure }
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

async fn verify(context: &Context, backend: &AccountBackend) -> Result<(Arc<Connection>, Synced<AccountBackendStatus>), Unverified> {
    let way = provider::way(context, backend).await?;
    let found = reached(context, backend, &way).await?;
    let ours = context.connections.get(&found.store_id).and_then(|connection| connection.epoch());
    let contact = contact(recorded(backend, ours), Found { store_id: &found.store_id, epoch: found.epoch });
    if let Some(failure) = replaced(contact, backend, &found) {
        return Err(failure.into());
    }
    // An older copy of a store that is open: what is known of that holds no more.
    let older = ours.is_some_and(|ours| ours > found.epoch);
    let connection = if older { context.connections.renew(&found.store_id) } else { context.connections.at(&found.store_id) };
    context.connections.lead(backend.name(), &connection, &way);
    if opened(context, backend, &connection, &way).await? {
        sweep::settle(context, &connection).await;
    }
    let mut status = backend.status.clone().unwrap_or_default();
    status.store_id = Some(found.store_id);
    if matches!(contact, Contact::First | Contact::Accepted) || connection.has_written() {
        status.epoch = connection.epoch();
    }
    status.accepted_store = honoured(contact, backend);
    status.version = Some(found.version);
    status.capabilities = capabilities(&way.backend().capabilities());
    Ok((connection, Synced { message: "The store is the one known, and open.".to_owned(), ..Synced::new(status) }))
}

/// Which store answers now.
async fn reached(context: &Context, backend: &AccountBackend, way: &Way) -> Result<Identity, Unverified> {
    let mut found = provider::identify(context, backend, way).await;
    if let Ok(identity) = &found {
        let ours = context.connections.get(&identity.store_id).and_then(|connection| connection.epoch());
        // Our epoch may have been taken between question and answer, by the pass over another backend.
        if ours.is_some_and(|ours| ours > identity.epoch) {
            found = provider::identify(context, backend, way).await;
        }
    }
    if let Some(connection) = context.stands_by(backend.name(), way) {
        context.heard(&connection, Call::Read, &found);
        if let Err(error) = &found
            && error.is_unreachable()
        {
            return Err(Unverified::Lost(unreachable(backend, &error.to_string())));
        }
    }
    found.map_err(|error| failed(context, backend, error))
}

/// Opens the connection. True: just now.
async fn opened(context: &Context, backend: &AccountBackend, connection: &Connection, way: &Way) -> Result<bool, Unverified> {
    sweep::open(context, connection).await.map_err(|error| match (error, way) {
        // Whoever may not even do that has no right to anything.
        (BackendError::Forbidden(_), Way::Server(..)) => {
            context.connections.refuse(way.backend());
            failed(context, backend, BackendError::CredentialsInvalid)
        }
        (error, _) => failed(context, backend, error),
    })
}

fn failed(context: &Context, backend: &AccountBackend, error: BackendError) -> Unverified {
    match error {
        BackendError::CredentialsInvalid => provider::token_refused(context, backend).into(),
        error => error.into(),
    }
}

/// What the status remembers, and this process: `ours` is the epoch that it has taken in this store.
fn recorded(backend: &AccountBackend, ours: Option<i64>) -> Recorded<'_> {
    let status = backend.status.as_ref();
    Recorded {
        store_id: status.and_then(|status| status.store_id.as_deref()),
        epoch: status.and_then(|status| status.epoch).max(ours),
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
    let (name, Identity { store_id, .. }) = (backend.name(), found);
    let (right, other) = if backend.spec.server.is_some() {
        ("Set spec.server.url to the right server, or bring its database back", "")
    } else {
        let other = "Or a second controller, with another --database, serves this AccountBackend as well: look for it with \
             kubectl get pods -A -l app.kubernetes.io/name=deskplane (and outside the cluster), and stop it. ";
        ("Bring the right database back", other)
    };
    let message = format!(
        "The store was replaced: {what}. Nothing is made, nothing is erased, no object is let go. {other}{right}; or, to go on \
         with this one, where every object is then made anew if it is missing: \
         kubectl annotate ab {name} deskplane.dev/accept-store- && kubectl annotate ab {name} deskplane.dev/accept-store={store_id}"
    );
    let failure = Failure::new(Reason::BackendReplaced, message);
    // Nothing here tells that the right one is back. With an own store, it comes with a new start, but for a database elsewhere.
    Some(if backend.spec.server.is_some() { failure.with_backoff() } else { failure.after(BESIDE_WAKES) })
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
