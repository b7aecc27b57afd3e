//! Objects of our kinds: what they look like, how they are made, and what they are waited for.

use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, PostParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use super::{BACKEND, placed};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};

/// An embedded `AccountBackend`.
pub fn backend(name: &str) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "AccountBackend", "metadata": {"name": name},
        "spec": {"embedded": {}, "publicURL": "https://chat.example", "resyncInterval": "10s"}})
}

/// A plan with these limits.
pub fn plan_of(name: &str, limits: Value) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Plan", "metadata": {"name": name}, "spec": {"limits": limits}})
}

/// An account's spec: owner `owner@acme.example`, default organization without starter kit.
pub fn account_spec(plan: &str) -> Value {
    json!({"backendRef": {"name": BACKEND}, "planRef": {"name": plan}, "owner": {"email": "owner@acme.example"},
        "defaultOrganization": {"starterKit": "None"}})
}

/// An organization's spec with an inline first operator and no starter kit.
pub fn organization_spec(name: &str, account: &str) -> Value {
    json!({"accountRef": {"name": account}, "firstOperator": {"email": format!("first@{name}.example")}, "starterKit": "None"})
}

/// An operator's spec without credentials.
pub fn operator_spec(name: &str, organization: &str) -> Value {
    json!({"organizationRef": {"name": organization}, "email": format!("{name}@x.example"), "credentials": {"mode": "None"}})
}

/// An API for a kind of ours by its singular or plural name, such as `Operator`.
pub async fn api(plane: &ControlPlane, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let plural = format!("{}s", kind.to_lowercase());
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("deskplane.dev", "v1alpha1", kind), &plural);
    let client = plane.client().await;
    if namespace.is_empty() { Api::all_with(client, &resource) } else { Api::namespaced_with(client, namespace, &resource) }
}

/// Creates an object, which must be accepted. An `AccountBackend` gets the place where this run has its accounts.
pub async fn create(plane: &ControlPlane, object: Value) -> DynamicObject {
    let object = placed(plane, object);
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
    let parsed = serde_json::from_value(object.clone()).expect("an object");
    let created = api(plane, &kind, &namespace).await.create(&PostParams::default(), &parsed).await;
    created.unwrap_or_else(|error| panic!("create {kind} {}: {error}", text("/metadata/name")))
}

/// The object now, if it exists.
pub async fn get(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) -> Option<Value> {
    let found = api(plane, kind, namespace).await.get_opt(name).await.unwrap_or_else(|error| panic!("get {kind} {name}: {error}"));
    found.map(|object| serde_json::to_value(object).expect("JSON"))
}

/// Waits until the object is as the probe wants it.
pub async fn until(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
    let api = api(plane, kind, namespace).await;
    eventually(&format!("{kind} {name}: {what}"), DEADLINE, async || {
        let object = api.get_opt(name).await.map_err(|error| error.to_string())?.ok_or("it does not exist")?;
        let object = serde_json::to_value(object).expect("JSON");
        if probe(&object) {
            Ok(object)
        } else {
            Err(format!("metadata {}, spec {}, status {}", object["metadata"], object["spec"], object["status"]))
        }
    })
    .await
}

/// Waits until the object is Ready at its present generation.
pub async fn ready(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) -> Value {
    until(plane, kind, namespace, name, "Ready", |object| is_current(object) && condition(object, "Ready")["status"] == "True").await
}

/// Waits until `Ready` has this reason at the present generation.
pub async fn reason_is(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, reason: &str) -> Value {
    until(plane, kind, namespace, name, reason, |object| is_current(object) && condition(object, "Ready")["reason"] == reason).await
}

/// Waits until the object does not exist.
pub async fn gone(plane: &ControlPlane, kind: &str, namespace: &str, name: &str) {
    let api = api(plane, kind, namespace).await;
    eventually(&format!("{kind} {name} is gone"), DEADLINE, async || match api.get_opt(name).await {
        Ok(None) => Ok(()),
        Ok(Some(object)) => Err(format!("it is there: {:?} {}", object.metadata, object.data["status"])),
        Err(error) => Err(error.to_string()),
    })
    .await;
}

/// A condition of an object, `null` if it has none of that type.
pub fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let all = object.pointer("/status/conditions").and_then(Value::as_array);
    all.and_then(|all| all.iter().find(|condition| condition["type"] == type_)).unwrap_or(&Value::Null)
}

/// Whether the status speaks of the present generation.
pub fn is_current(object: &Value) -> bool {
    object.pointer("/status/observedGeneration") == object.pointer("/metadata/generation")
}

/// Merges objects field by field.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
