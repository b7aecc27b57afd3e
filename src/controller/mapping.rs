//! Which other objects a change of one object wakes. Each look-up is bounded by the parent's own dependents.

use std::time::Duration;

use kube::api::ObjectMeta;

use crate::api::condition::{READY, Reason, find};
use crate::api::names::{ACCEPT_STORE, default_organization};
use crate::api::{Account, Department, Operator, Organization};
use crate::domain::rows::Key;

use super::cache::{Cached, Entry, Replaced};
use super::connection::Connection;
use super::context::{BackendState, Context};
use super::object::{Kind, Managed, Meta, ObjectName, Status};
use super::secrets;

/// How long a department waits for further changes of its members.
const MEMBERS_DELAY: Duration = Duration::from_secs(1);

/// Takes over an object as the API server has it, from a watch or from the answer to a write of ours.
pub fn absorb<K: Cached>(context: &Context, entry: &Entry<K>) {
    let name = entry.object_name();
    let Some(Replaced(old)) = context.cache().apply(entry.clone()) else { return };
    if let Some(old) = &old
        && old.key() != entry.key()
    {
        // Deleted and created again while nobody watched.
        vanished::<K>(context, &name, old.key());
    }
    if old.as_ref().is_none_or(|old| relevant(old.metadata()) != relevant(entry.metadata())) {
        context.queue.push(name.clone());
        changed(context, &name, old.as_ref(), Some(entry));
    } else if contradicted(context, &name, entry) {
        context.queue.push(name);
    }
}

/// Whether somebody else says of the object that its store was replaced, while it is the one we know: another controller, with another
/// store, that should not be there. What it says does not stand until the next sweep.
fn contradicted<K: Cached>(context: &Context, name: &ObjectName, entry: &Entry<K>) -> bool {
    let Entry::Good(object) = entry else { return false };
    let conditions = object.status().map(Status::conditions).unwrap_or_default();
    let replaced = find(conditions, READY).is_some_and(|ready| ready.reason == Reason::BackendReplaced.as_str());
    replaced
        && match name.kind {
            Kind::AccountBackend => matches!(context.backend_state(&name.name), Some(BackendState::Verified(_))),
            _ => context.connection_of(name).is_some(),
        }
}

/// The object of that name that was here is gone.
fn vanished<K: Cached>(context: &Context, name: &ObjectName, key: Key) {
    if K::KIND == Kind::AccountBackend {
        context.forget_backend(&name.name);
        secrets::forget_unnamed(context);
    }
    context.vanished(name.clone(), key);
}

/// An object is gone.
pub fn gone<K: Cached>(context: &Context, name: &ObjectName, key: &Key) {
    let Some(old) = context.cache().remove::<K>(name, key) else { return };
    vanished::<K>(context, name, key.clone());
    changed(context, name, Some(&old), None);
}

/// What of the metadata a pass reads. Our own status writes change nothing of it.
fn relevant(meta: &ObjectMeta) -> impl PartialEq + '_ {
    (
        meta.uid.as_deref(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
        meta.finalizers.as_deref().unwrap_or_default(),
        meta.annotations.as_ref(),
        meta.labels.as_ref(),
    )
}

/// An object was made, changed in what matters, or went.
fn changed<K: Cached>(context: &Context, name: &ObjectName, old: Option<&Entry<K>>, new: Option<&Entry<K>>) {
    match K::KIND {
        // Which namespaces it serves concerns everything that stands on it.
        Kind::AccountBackend => {
            let accepts = |entry: Option<&Entry<K>>| {
                let annotations = entry.and_then(|entry| entry.metadata().annotations.as_ref());
                annotations.is_some_and(|all| all.contains_key(ACCEPT_STORE))
            };
            if accepts(old) && !accepts(new) {
                context.acceptance_withdrawn(name.clone());
            }
            let descendants = context.cache().descendants(name);
            context.queue.push_all(descendants);
        }
        Kind::Plan => context.wake_dependents(name, Kind::Account),
        Kind::Account => {
            wake_down(context, name, old, new, Kind::Organization);
            for parent in parents(old).into_iter().chain(parents(new)) {
                // Counts trail; but whoever deletes what was in use waits for the last one to go.
                let unused = context.cache().dependents(&parent, Kind::Account).next().is_none();
                if unused { context.queue.push(parent) } else { context.marks.mark(parent) }
            }
        }
        Kind::Organization => {
            wake_down(context, name, old, new, Kind::Operator);
            if old.is_none() || new.is_none() {
                context.queue.push_all(parents(old.or(new)));
            }
        }
        Kind::Operator => operator(context, name, &parents(new.or(old))),
        Kind::Department | Kind::Widget => {}
    }
}

/// Wakes what stands on an object: the dependents of one kind, or all of them when they must hold, pause or go on, or say something else.
fn wake_down<K: Cached>(context: &Context, name: &ObjectName, old: Option<&Entry<K>>, new: Option<&Entry<K>>, next: Kind) {
    let of = |entry: Option<&Entry<K>>| {
        entry.map(|entry| {
            let meta = entry.metadata();
            let readable = matches!(entry, Entry::Good(_));
            (readable, meta.uid.clone(), meta.deletion_timestamp.is_some(), meta.annotations.clone().unwrap_or_default())
        })
    };
    if of(old) == of(new) && parents(old) == parents(new) {
        if next == Kind::Organization {
            context.wake_dependents(name, next);
        }
        return;
    }
    let descendants = context.cache().descendants(name);
    context.queue.push_all(descendants);
}

fn parents<K: Managed>(entry: Option<&Entry<K>>) -> Vec<ObjectName> {
    entry.map(Entry::parents).unwrap_or_default()
}

/// An operator came, went or changed: departments that name or may select it, and an organization that waits for it.
fn operator(context: &Context, name: &ObjectName, parents: &[ObjectName]) {
    departments(context, name, parents);
    for organization in parents {
        let waits = context
            .cache()
            .get::<Organization>(&organization.namespace, &organization.name)
            .is_some_and(|organization| organization.status.as_ref().is_none_or(|status| status.external_id.is_none()));
        if waits {
            context.queue.push(organization.clone());
        }
    }
}

/// Departments that name an operator, and those of its organization that have a selector: it may have matched before the change.
fn departments(context: &Context, operator: &ObjectName, organizations: &[ObjectName]) {
    let cache = context.cache();
    let selecting = organizations.iter().flat_map(|organization| cache.dependent_objects::<Department>(organization));
    let selecting = selecting.filter(|department| department.spec.members.as_ref().is_some_and(|members| members.selector.is_some()));
    let mut found: Vec<_> = selecting.map(|department| super::object::name_of(department.as_ref())).collect();
    found.extend(cache.mentioned_by(operator).cloned());
    drop(cache);
    for department in found {
        context.queue.push_after(department, MEMBERS_DELAY);
    }
}

/// An organization got its row: everything in it can go on.
pub fn organization_made(context: &Context, organization: &ObjectName) {
    context.queue.resume(organization);
    let descendants = context.cache().descendants(organization);
    context.queue.push_all(descendants);
}

/// An account got its row: its organizations can go on, the default one before all others.
pub fn account_made(context: &Context, account: &Account) {
    let name = super::object::name_of(account);
    context.queue.resume(&name);
    let default = ObjectName::new(Kind::Organization, &name.namespace, &default_organization(&name.name));
    context.queue.push_ahead(default);
    context.wake_dependents(&name, Kind::Organization);
}

/// The limits of an account changed: whoever waits for a place says so in other words.
pub fn account_changed(context: &Context, connection: &Connection, account: &Account) {
    let descendants = context.cache().descendants(&super::object::name_of(account));
    let (cache, observed) = (context.cache(), connection.observed());
    let waiting = descendants.into_iter().filter(|name| cache.key_of(name).is_some_and(|key| observed.ticket(&key).is_some()));
    let waiting: Vec<_> = waiting.collect();
    drop((cache, observed));
    context.queue.push_all(waiting);
}

/// An operator got a row, lost its seat or got it back: departments that name or select it.
pub fn operator_seated(context: &Context, operator: &Operator) {
    departments(context, &super::object::name_of(operator), &Managed::parents(operator));
}

/// An e-mail of the organization became free: those who want it were told that it is taken, or are about to be.
pub fn email_freed(context: &Context, organization: &ObjectName, email: &str) {
    let operators = context.cache().operators_with(organization, email);
    let waiting = operators.iter().filter(|operator| !operator.terminating());
    context.queue.push_all(waiting.map(|operator| super::object::name_of(operator.as_ref())));
}

/// An organization went for good: its parent and its dependents may have waited for that.
pub fn organization_gone(context: &Context, organization: &Organization) {
    let descendants = context.cache().descendants(&super::object::name_of(organization));
    context.queue.push_all(descendants.into_iter().chain(Managed::parents(organization)));
}
