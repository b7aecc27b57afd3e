//! Objects that are stored in a form this version cannot read: reported, cleaned up by metadata alone, and no hindrance to others.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::api::Account;
use crate::api::condition::{Reason, readiness, set_conditions};
use crate::domain::rows::RowKind;
use crate::domain::text;

use super::cleanup::{self, Subject};
use super::context::Context;
use super::failure::{Failure, Stop};
use super::guard::Unreadable;
use super::kinds::in_use;
use super::lineage::paused_by;
use super::object::{Kind, Managed, ObjectName};
use super::report::{params, patch_for, publish_about};
use super::runner::Cleanup;

/// One pass over an unreadable object.
pub async fn pass<K: Managed>(context: &Context, name: &ObjectName, bad: &Unreadable) -> Result<(), Stop> {
    let resource = ApiResource::erase::<K>(&());
    let client = context.client.clone();
    let api: Api<DynamicObject> =
        if name.namespace.is_empty() { Api::all_with(client, &resource) } else { Api::namespaced_with(client, &name.namespace, &resource) };
    let Some(object) = api.get_opt(&name.name).await? else { return Ok(()) };
    let uid = bad.metadata.uid.clone().unwrap_or_default();
    if object.metadata.uid.as_deref() != Some(uid.as_str()) {
        return Err(Stop::Outdated);
    }
    if object.metadata.deletion_timestamp.is_some() {
        if let Some(by) = paused_by(context, name) {
            let message =
                format!("This object cannot be read; and nothing is erased while {by} has the annotation deskplane.dev/paused: \"true\".");
            return report(context, &api, &object, &uid, Reason::Invalid, &message).await;
        }
        return finish::<K>(context, name, &api, &object, &uid).await;
    }
    let message = format!(
        "This object cannot be read, so nothing is done for it: {}. Correct the field with kubectl edit or kubectl replace, or delete the object.",
        text::display(&bad.error, 300)
    );
    report(context, &api, &object, &uid, Reason::Invalid, &message).await
}

async fn finish<K: Managed>(
    context: &Context,
    name: &ObjectName,
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    uid: &str,
) -> Result<(), Stop> {
    let finalizers = object.metadata.finalizers.iter().flatten();
    let Some(index) = finalizers.clone().position(|one| one == K::FINALIZER) else { return Ok(()) };
    match clean_up(context, name, object).await {
        Ok(Cleanup::LetGo) => {}
        Ok(Cleanup::Hold(failure)) | Err(Stop::Failure(failure)) => {
            report(context, api, object, uid, failure.reason, &failure.message).await?;
            return Err(failure.into());
        }
        Err(stop) => return Err(stop),
    }
    let path = format!("/metadata/finalizers/{index}");
    let operations = [json!({"op": "test", "path": path, "value": K::FINALIZER}), json!({"op": "remove", "path": path})];
    let patched = api.patch(&name.name, &params(), &patch_for(uid, operations)).await;
    context.metrics.api_write("patch");
    match patched {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 422 && status.details.is_none() => Err(Stop::Outdated),
        Err(kube::Error::Api(status)) if status.code == 422 => Err(refused::<K>(context, object, &status.message).await.into()),
        Err(error) => Err(error.into()),
    }
}

/// The API server validates the whole object, whatever is written: where it finds a field wrong, neither finalizer nor status can be
/// written. Only an Event and the log can say so.
async fn refused<K: Managed>(context: &Context, object: &DynamicObject, why: &str) -> Failure {
    let message = format!(
        "Nothing is left to clean up, but the API server does not let the finalizer go while a field is wrong: {}. \
         Correct the field with kubectl edit; then this object goes by itself.",
        text::display(why, 500)
    );
    let event = Event {
        type_: EventType::Warning,
        reason: Reason::Invalid.as_str().to_owned(),
        note: Some(message.clone()),
        action: "Delete".to_owned(),
        secondary: None,
    };
    let reference = object.object_ref(&ApiResource::erase::<K>(&()));
    publish_about(context, K::KIND, &reference, event).await;
    Failure::new(Reason::Invalid, message)
}

async fn clean_up(context: &Context, name: &ObjectName, object: &DynamicObject) -> Result<Cleanup, Stop> {
    let kind = match name.kind {
        Kind::AccountBackend | Kind::Plan => return Ok(in_use(context, name)),
        Kind::Account => RowKind::Account,
        Kind::Organization => RowKind::Organization,
        Kind::Operator => RowKind::Operator,
        Kind::Department => RowKind::Department,
        Kind::Widget => RowKind::Widget,
    };
    let evidence = |field: &str| object.data.get("status").and_then(|status| status.get(field)).and_then(Value::as_str);
    let account = context.cache().account_of(name);
    let account = account.and_then(|account| context.cache().get::<Account>(&account.namespace, &account.name));
    let subject = Subject { kind, meta: &object.metadata, evidence: (evidence("externalId"), evidence("storeId")), account };
    if !matches!(kind, RowKind::Account | RowKind::Organization) {
        return cleanup::member(context, &subject).await;
    }
    // What an account or organization is confirmed by stands in its spec: it must be readable again before its data may go.
    match cleanup::look_up(context, &subject).await? {
        cleanup::Found::Nothing => Ok(Cleanup::LetGo),
        cleanup::Found::Row(..) => {
            let message = "Held, nothing is erased: this object cannot be read. Correct it first; it can then be confirmed or released.";
            Ok(Cleanup::Hold(Failure::new(Reason::ConfirmationRequired, message)))
        }
    }
}

async fn report(
    context: &Context,
    api: &Api<DynamicObject>,
    object: &DynamicObject,
    uid: &str,
    reason: Reason,
    message: &str,
) -> Result<(), Stop> {
    let generation = object.metadata.generation.unwrap_or_default();
    let status = object.data.get("status").cloned().unwrap_or_else(|| json!({}));
    let before: Vec<Condition> = status.get("conditions").cloned().and_then(|all| serde_json::from_value(all).ok()).unwrap_or_default();
    let conditions = set_conditions(&before, readiness(reason, message), generation, Timestamp::now());
    if conditions == before && status.get("observedGeneration").and_then(Value::as_i64) == Some(generation) {
        return Ok(());
    }
    let mut status = status;
    if let Value::Object(fields) = &mut status {
        fields.insert("observedGeneration".to_owned(), json!(generation));
        fields.insert("conditions".to_owned(), json!(conditions));
    }
    let patch = patch_for(uid, [json!({"op": "add", "path": "/status", "value": status})]);
    api.patch_status(object.metadata.name.as_deref().unwrap_or_default(), &params(), &patch).await?;
    context.metrics.api_write("patch_status");
    Ok(())
}
