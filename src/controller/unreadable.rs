//! Objects that are stored in a form this version cannot read: reported, cleaned up by metadata alone, and no hindrance to others.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ApiResource, DynamicObject};
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

use crate::api::condition::{Reason, readiness, set_conditions};
use crate::domain::rows::RowKind;
use crate::domain::text;

use super::cleanup::{self, Subject};
use super::context::Context;
use super::failure::Stop;
use super::object::{Kind, Managed};
use super::report::{params, patch_for};
use super::runner::Cleanup;

/// One pass over an unreadable object.
pub async fn pass<K: Managed>(context: &Context, bad: &InvalidObject) -> Result<(), Stop> {
    let meta = &bad.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let resource = ApiResource::erase::<K>(&());
    let client = context.client.clone();
    let api: Api<DynamicObject> =
        if namespace.is_empty() { Api::all_with(client, &resource) } else { Api::namespaced_with(client, namespace, &resource) };
    let name = meta.name.as_deref().unwrap_or_default();
    let Some(object) = api.get_opt(name).await? else { return Ok(()) };
    let uid = meta.uid.clone().unwrap_or_default();
    if object.metadata.uid.as_deref() != Some(uid.as_str()) {
        return Err(Stop::Outdated);
    }
    if object.metadata.deletion_timestamp.is_some() {
        return finish::<K>(context, &api, &object, &uid).await;
    }
    let message = format!(
        "This object cannot be read, so nothing is done for it: {}. Correct the field with kubectl edit or kubectl replace, or delete the object.",
        text::display(&bad.error, 300)
    );
    report(context, &api, &object, &uid, Reason::Invalid, &message).await
}

async fn finish<K: Managed>(context: &Context, api: &Api<DynamicObject>, object: &DynamicObject, uid: &str) -> Result<(), Stop> {
    let finalizers = object.metadata.finalizers.iter().flatten();
    let Some(index) = finalizers.clone().position(|one| one == K::FINALIZER) else { return Ok(()) };
    if let Some(kind) = RowKind::parse(K::KIND.as_str()) {
        let outcome = clean_up(context, kind, object).await;
        match outcome {
            Ok(Cleanup::LetGo) => {}
            Ok(Cleanup::Hold(failure)) | Err(Stop::Failure(failure)) => {
                report(context, api, object, uid, failure.reason, &failure.message).await?;
                return Err(failure.into());
            }
            Err(stop) => return Err(stop),
        }
    }
    let path = format!("/metadata/finalizers/{index}");
    let operations = [json!({"op": "test", "path": path, "value": K::FINALIZER}), json!({"op": "remove", "path": path})];
    api.patch(object.metadata.name.as_deref().unwrap_or_default(), &params(), &patch_for(uid, operations)).await?;
    context.metrics.api_write("patch");
    Ok(())
}

async fn clean_up(context: &Context, kind: RowKind, object: &DynamicObject) -> Result<Cleanup, Stop> {
    let evidence = |field: &str| object.data.get("status").and_then(|status| status.get(field)).and_then(Value::as_str);
    let subject = Subject { kind, meta: &object.metadata, evidence: (evidence("externalId"), evidence("storeId")), account: None };
    match Kind::from(kind) {
        Kind::Operator | Kind::Department | Kind::Widget => cleanup::member(context, &subject).await,
        // What an account or organization is confirmed by stands in its spec: it must be readable again before its data may go.
        _ => match cleanup::look_up(context, &subject).await? {
            cleanup::Found::Nothing => Ok(Cleanup::LetGo),
            cleanup::Found::Row(..) => {
                let message =
                    "Held, nothing is erased: this object cannot be read. Correct it first; it can then be confirmed or released.";
                Ok(Cleanup::Hold(super::failure::Failure::new(Reason::ConfirmationRequired, message)))
            }
        },
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
