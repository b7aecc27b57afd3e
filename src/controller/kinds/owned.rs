//! What several kinds share: objects the controller makes itself, and objects that stay while they are in use.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::api::PostParams;

use crate::api::condition::Reason;
use crate::api::names::FIELD_MANAGER;

use super::super::cache::{Cached, Entry};
use super::super::context::Context;
use super::super::failure::{Failure, Stop};
use super::super::guard::Guard;
use super::super::object::{Kind, Managed, Meta, ObjectName, name_of};
use super::super::runner::Cleanup;

/// How many Accounts name an object. `None`: this controller does not see all of them.
pub fn users(context: &Context, name: &ObjectName) -> Option<i64> {
    let all = context.scope.namespaces.is_empty();
    all.then(|| i64::try_from(context.cache().dependents(name, Kind::Account).count()).unwrap_or(i64::MAX))
}

/// The clean-up of an object that stays while an Account names it.
pub fn in_use(context: &Context, name: &ObjectName) -> Cleanup {
    if !context.scope.namespaces.is_empty() {
        let message = "Being deleted, but this controller looks after some namespaces only and cannot tell whether Accounts elsewhere name it. \
                       Look with: kubectl get acct -A. If none does, take the finalizer deskplane.dev/in-use away with kubectl edit.";
        return Cleanup::Hold(Failure::new(Reason::InUse, message));
    }
    let cache = context.cache();
    let mut users = cache.dependents(name, Kind::Account);
    let first: Vec<_> = users.by_ref().take(3).map(|one| format!("{}/{}", one.namespace, one.name)).collect();
    if first.is_empty() {
        return Cleanup::LetGo;
    }
    let more = match users.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let users = format!("{}{more}", first.join(", "));
    let message = match name.kind {
        Kind::Plan => format!(
            "Being deleted, which cannot be taken back: it goes by itself once no Account names it, keeps its limits for those that do, and \
             takes no new ones. It is named in spec.planRef of the Accounts {users}. Give them another plan, or delete them. \
             A plan of this name can be created again afterwards."
        ),
        _ => format!(
            "Being deleted, which cannot be taken back: it goes by itself once no Account names it, serves those that do, and takes no new \
             ones. It is named in spec.backendRef, which cannot be changed, of the Accounts {users}. Delete them; deskplane release \
             first where their data shall stay. New Accounts need an AccountBackend of another name, or of this one afterwards."
        ),
    };
    Cleanup::Hold(Failure::new(Reason::InUse, message))
}

/// Creates an object of our own making, with our finalizer and the given owner. One that exists already is returned as it is.
pub async fn create<K: Cached>(context: &Context, owner: &impl Resource<DynamicType = ()>, mut object: K) -> Result<Arc<K>, Stop> {
    let existing = context.cache().entry::<K>(&name_of(&object));
    match existing {
        Some(Entry::Good(existing)) => return Ok(existing),
        Some(Entry::Bad(_)) => return Err(unreadable(&object).into()),
        None => {}
    }
    let meta = object.meta_mut();
    meta.finalizers = Some(vec![K::FINALIZER.to_owned()]);
    meta.owner_references = owner_reference(owner).map(|owner| vec![owner]);
    let api = context.api::<K>(object.namespace());
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() };
    let created = api.create(&parameters, &object).await;
    context.metrics.api_write("create");
    match created {
        Ok(created) => Ok(context.made(created)),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            match K::watch_api(context.client.clone(), Some(object.namespace())).get_opt(object.name()).await? {
                Some(Guard(Ok(existing))) => Ok(context.made(existing)),
                Some(Guard(Err(_))) => Err(unreadable(&object).into()),
                None => Err(Stop::Outdated),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn unreadable<K: Managed>(object: &K) -> Failure {
    let name = name_of(object);
    Failure::new(Reason::NameTaken, format!("{name}, which belongs to this object, exists but cannot be read. Correct it, or delete it."))
        .sparing_settled()
        .with_backoff()
}

fn owner_reference(owner: &impl Resource<DynamicType = ()>) -> Option<OwnerReference> {
    // Not a controller reference, and nothing is blocked: the garbage collector's deletions wait for a confirmation like all others.
    owner.owner_ref(&())
}

/// The failure of an object of our own making whose name belongs to somebody else.
pub fn name_taken<K: Managed>(name: &str, parent: &str, field: &str) -> Failure {
    let kind = K::KIND.as_str();
    Failure::new(
        Reason::NameTaken,
        format!(
            "The {kind} \"{name}\" that belongs to this object exists already, but its {field} is not \"{parent}\". \
             Delete that {kind}, or choose another name for this object."
        ),
    )
    .with_backoff()
}
