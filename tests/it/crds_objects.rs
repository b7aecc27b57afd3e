//! Objects of the seven kinds as people write them, valid or not: therefore JSON and not our types.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Client, Error};
use serde_json::{Value, json};

/// All kinds, in the order a reader meets them.
pub const KINDS: [&str; 7] = ["AccountBackend", "Plan", "Account", "Organization", "Operator", "Department", "Widget"];

/// A request that changes nothing.
pub fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

fn is_namespaced(kind: &str) -> bool {
    !matches!(kind, "AccountBackend" | "Plan")
}

fn resource(kind: &str) -> ApiResource {
    let plural = format!("{}s", kind.to_lowercase());
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("deskplane.dev", "v1alpha1", kind), &plural)
}

/// The objects of a kind, in a namespace where the kind has one.
pub fn api(client: &Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    if is_namespaced(kind) {
        Api::namespaced_with(client.clone(), namespace, &resource(kind))
    } else {
        Api::all_with(client.clone(), &resource(kind))
    }
}

/// An object with this spec.
#[allow(clippy::needless_pass_by_value, reason = "specs are written in place")]
pub fn object(kind: &str, name: &str, spec: Value) -> DynamicObject {
    DynamicObject::new(name, &resource(kind)).data(json!({ "spec": spec }))
}

/// A spec that has every field there is.
pub fn full(kind: &str) -> Value {
    match kind {
        "AccountBackend" => json!({
            "controllerName": "deskplane.dev/controller", "embedded": {}, "publicURL": "https://chat.example",
            "allowedNamespaces": {
                "matchLabels": { "team": "chat" }, "matchExpressions": [{ "key": "tier", "operator": "In", "values": ["gold"] }]
            },
            "resyncInterval": "10m"
        }),
        "Plan" => json!({ "displayName": "Custom", "limits": { "seats": 50, "organizations": 10, "widgets": 20 } }),
        "Account" => json!({
            "backendRef": { "name": "embedded" }, "planRef": { "name": "custom" },
            "owner": { "email": "ada@acme.example", "displayName": "Ada Owner" },
            "defaultOrganization": {
                "displayName": "Acme", "language": "en", "location": { "country": "DE", "timeZone": "Europe/Berlin" },
                "privacy": { "storeTranscripts": false, "transcriptRetentionDays": 3650, "anonymizeVisitors": false },
                "firstOperator": { "email": "mia@acme.example", "displayName": "Mia Manager" }, "starterKit": "None"
            },
            "deletionProtection": true
        }),
        "Organization" => json!({
            "accountRef": { "name": "acme" }, "displayName": "Acme Germany", "language": "de",
            "location": { "country": "DE", "timeZone": "Europe/Berlin" },
            "privacy": { "storeTranscripts": true, "transcriptRetentionDays": 90, "anonymizeVisitors": true },
            "firstOperator": { "email": "mia@acme.example", "displayName": "Mia Manager" }, "starterKit": "Create"
        }),
        "Operator" => json!({
            "organizationRef": { "name": "acme-germany" }, "email": "tom@acme.example", "displayName": "Tom Tester", "nickname": "Tom",
            "role": "Manager", "suspended": false, "switchOrganizations": false, "position": 10,
            "credentials": { "mode": "Generate", "secretName": "tom-credentials" }
        }),
        "Department" => json!({
            "organizationRef": { "name": "acme-germany" }, "displayName": "Sales", "position": 1,
            "members": { "operators": [{ "name": "tom" }], "selector": { "matchLabels": { "shift": "early" } } }
        }),
        "Widget" => json!({
            "organizationRef": { "name": "acme-germany" }, "displayName": "Website", "language": "de",
            "allowedOrigins": ["https://www.acme.example"],
            "startForm": { "selectDepartment": true, "selectOperator": false }, "theme": { "color": "#0b7285" }
        }),
        other => panic!("no kind {other}"),
    }
}

/// A spec of an `AccountBackend` on a server that has every field there is.
pub fn full_server() -> Value {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let server = json!({ "url": "https://accounts.example", "caBundle": certificate, "credentialsSecretRef": { "name": "token" } });
    let spec = with(with(full("AccountBackend"), "embedded", Value::Null), "server", server);
    with(spec, "rateLimit", json!({ "requestsPerSecond": 200, "burst": 400 }))
}

/// A copy with the value at a path such as `location.country` put in or replaced; null takes it away.
pub fn with(mut spec: Value, path: &str, value: Value) -> Value {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut parent = &mut spec;
    for name in parents.split('.').filter(|name| !name.is_empty()) {
        parent = &mut parent[name];
    }
    if value.is_null() {
        parent.as_object_mut().expect("an object").remove(last);
    } else {
        parent[last] = value;
    }
    spec
}

/// What the API server says when it refuses.
pub fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("not refused"),
        Err(Error::Api(status)) => status.message,
        Err(other) => panic!("not an answer of the API server: {other}"),
    }
}
