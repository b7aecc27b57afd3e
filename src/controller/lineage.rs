//! Where an object stands: its organization, account, backend. Resolved from the cache before anything is read or written.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ObjectMeta;
use kube::core::{Selector, SelectorExt as _};

use crate::api::condition::Reason;
use crate::api::names::PAUSED;
use crate::api::{Account, AccountBackend, Organization};

use super::cache::Entry;
use super::connection::Connection;
use super::context::{BackendState, Context};
use super::failure::{Failure, Retry, Stop};
use super::object::{Kind, Meta, ObjectName, name_of};

/// An account, its backend, and the open connection to it.
pub struct Lineage {
    /// The backend object.
    pub backend: Arc<AccountBackend>,
    /// The account object.
    pub account: Arc<Account>,
    /// The open connection.
    pub connection: Arc<Connection>,
}

impl Lineage {
    /// Of an account.
    pub fn of_account(context: &Context, account: &Arc<Account>) -> Result<Self, Stop> {
        let backend = served_backend(context, account)?;
        let connection = usable(context, &backend)?;
        let namespace = context.cache().namespaces.get(account.namespace()).cloned();
        if namespace.is_none() && backend.spec.allowed_namespaces.is_some() {
            // Its watch is a little behind the accounts'.
            return Err(Stop::Outdated);
        }
        if !allows(backend.spec.allowed_namespaces.as_ref(), &namespace.unwrap_or_default().labels) {
            let message = format!(
                "AccountBackend \"{}\" does not serve namespace \"{}\": its spec.allowedNamespaces does not match the namespace's labels. \
                 Ask a cluster admin to label the namespace, or to widen the selector.",
                backend.name(),
                account.namespace()
            );
            return Err(Failure::new(Reason::NamespaceNotAllowed, message).into());
        }
        Ok(Self { backend, account: account.clone(), connection })
    }

    /// Of an organization.
    pub fn of_organization(context: &Context, organization: &Organization) -> Result<Self, Stop> {
        let account = context.cache().get::<Account>(organization.namespace(), &organization.spec.account_ref.name);
        let account = account.ok_or_else(|| {
            let name = ObjectName::new(Kind::Account, organization.namespace(), &organization.spec.account_ref.name);
            missing_parent(context, "spec.accountRef", &name)
        })?;
        Self::of_account(context, &account)
    }

    /// Of an operator, department or widget that names this organization.
    pub fn of_member(context: &Context, namespace: &str, organization: &str) -> Result<(Self, Arc<Organization>), Stop> {
        let found = context.cache().get::<Organization>(namespace, organization);
        let found = found.ok_or_else(|| {
            let name = ObjectName::new(Kind::Organization, namespace, organization);
            missing_parent(context, "spec.organizationRef", &name)
        })?;
        Ok((Self::of_organization(context, &found)?, found))
    }

    /// The account's object name.
    pub fn account_name(&self) -> ObjectName {
        name_of(self.account.as_ref())
    }
}

/// What a child without a row of its parent reports; nothing while the parent is being worked on.
pub fn waiting_for_parent(context: &Context, parent: &ObjectName, terminating: bool) -> Stop {
    if context.queue.active(parent) {
        return Stop::Deferred(parent.clone());
    }
    let kind = parent.kind.as_str();
    let message = if terminating {
        format!("{kind} \"{}\" is being deleted: nothing new is made in it.", parent.name)
    } else {
        format!(
            "{kind} \"{}\" is not in the backend yet. See why with: kubectl describe {} {}",
            parent.name,
            short(parent.kind),
            parent.name
        )
    };
    Failure::new(Reason::WaitingForParent, message).into()
}

/// The object, or one above it, that is paused. Plans are not asked: they are only read.
pub fn paused_by(context: &Context, name: &ObjectName) -> Option<ObjectName> {
    let cache = context.cache();
    let mut open = vec![name.clone()];
    while let Some(one) = open.pop() {
        let paused = |meta: &ObjectMeta| meta.annotations.as_ref().is_some_and(|all| all.get(PAUSED).is_some_and(|value| value == "true"));
        if (one == *name || one.kind != Kind::Plan) && cache.metadata(&one).is_some_and(paused) {
            return Some(one);
        }
        open.extend(cache.parents(&one));
    }
    None
}

/// The connection of a backend, whatever namespace asks: for cleanup.
pub fn served_connection(context: &Context, account: &Account) -> Result<Arc<Connection>, Stop> {
    let backend = served_backend(context, account)?;
    usable(context, &backend)
}

fn served_backend(context: &Context, account: &Account) -> Result<Arc<AccountBackend>, Stop> {
    let name = &account.spec.backend_ref.name;
    let object = ObjectName::cluster(Kind::AccountBackend, name);
    let backend = match context.cache().entry::<AccountBackend>(&object) {
        Some(Entry::Good(backend)) => backend,
        Some(Entry::Bad(_)) => return Err(unreadable(Reason::BackendNotFound, "spec.backendRef", &object).into()),
        None => {
            let message = format!(
                "spec.backendRef: AccountBackend \"{name}\" does not exist. Create it, or delete this Account \
                 and create it again with the right name (spec.backendRef is immutable). See: kubectl get accountbackends"
            );
            return Err(Failure::new(Reason::BackendNotFound, message).into());
        }
    };
    if backend.spec.controller_name == context.scope.controller_name { Ok(backend) } else { Err(Stop::NotOurs) }
}

fn usable(context: &Context, backend: &AccountBackend) -> Result<Arc<Connection>, Stop> {
    match context.backend_state(backend.name()) {
        Some(BackendState::Verified(connection)) => Ok(connection),
        // It is looked at again as soon as that changes.
        Some(BackendState::Refused(failure)) => Err(Failure { retry: Retry::OnChange, ..failure }.into()),
        None => {
            let name = name_of(backend);
            if context.queue.active(&name) {
                return Err(Stop::Deferred(name));
            }
            let message = format!("AccountBackend \"{}\" has not been reached yet.", backend.name());
            Err(Failure::new(Reason::BackendUnreachable, message).with_backoff().into())
        }
    }
}

fn missing_parent(context: &Context, field: &str, parent: &ObjectName) -> Stop {
    if context.cache().metadata(parent).is_some() {
        return unreadable(Reason::WaitingForParent, field, parent).into();
    }
    let (kind, name) = (parent.kind.as_str(), &parent.name);
    let message = format!(
        "{field}: {kind} \"{name}\" does not exist in this namespace. Create it; or, if the name is wrong, delete this object \
         and create it again ({field} is immutable)."
    );
    Failure::new(Reason::WaitingForParent, message).into()
}

/// What an object says that stands on one that cannot be read. It wakes when that can be read again.
fn unreadable(reason: Reason, field: &str, other: &ObjectName) -> Failure {
    let ObjectName { kind, name, .. } = other;
    let (kind, short) = (kind.as_str(), short(*kind));
    let message = format!("{field}: {kind} \"{name}\" cannot be read, so nothing is done in it. See: kubectl describe {short} {name}");
    Failure::new(reason, message).sparing_settled()
}

/// Whether a label selector over namespaces matches; absent: all do. A selector that cannot be read matches nothing.
fn allows(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_none_or(|selector| matcher(selector)(Some(labels)))
}

/// Tells which labels a selector matches; one that cannot be read matches nothing.
pub fn matcher(selector: &LabelSelector) -> impl Fn(Option<&BTreeMap<String, String>>) -> bool {
    let selector = Selector::try_from(selector.clone()).ok();
    let none = BTreeMap::new();
    move |labels| selector.as_ref().is_some_and(|selector| selector.matches(labels.unwrap_or(&none)))
}

fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::AccountBackend => "ab",
        Kind::Plan => "cplan",
        Kind::Account => "acct",
        Kind::Organization => "org",
        Kind::Operator => "oper",
        Kind::Department => "dept",
        Kind::Widget => "wdgt",
    }
}
