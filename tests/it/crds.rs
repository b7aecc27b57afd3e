//! The kinds on a real API server: what cannot be changed, what is filled in, and how they look to a person with kubectl.

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::crds_objects::{KINDS, api, dry_run, full, full_server, object, refusal, with};

struct Made {
    api: Api<DynamicObject>,
    name: String,
}

/// An object of a kind with this spec, in the namespace; cluster-scoped ones are named after it.
async fn made(client: &kube::Client, namespace: &str, kind: &str, spec: Value) -> Made {
    let (api, name) = (api(client, kind, namespace), format!("{namespace}-{}", kind.to_lowercase()));
    api.create(&PostParams::default(), &object(kind, &name, spec)).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    Made { api, name }
}

impl Made {
    async fn patch(&self, path: &str, value: Value) -> Result<DynamicObject, kube::Error> {
        let nested = path.rsplit('.').fold(value, |value, name| json!({ name: value }));
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(json!({ "spec": nested }))).await
    }

    async fn keeps(&self, path: &str, hint: &str, value: Value) {
        let message = refusal(self.patch(path, value).await);
        assert!(message.contains(hint), "{path}: {message}");
    }
}

#[tokio::test]
async fn references_never_change_but_the_plan_does() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-refs").await);
    let kinds = [
        ("Account", "backendRef"),
        ("Organization", "accountRef"),
        ("Operator", "organizationRef"),
        ("Department", "organizationRef"),
        ("Widget", "organizationRef"),
    ];
    for (kind, field) in kinds {
        let made = made(&client, &namespace, kind, full(kind)).await;
        let hint = format!("{field} cannot be changed: delete the object and create it again");
        made.keeps(&format!("{field}.name"), &hint, json!("other")).await;
        // What may be written again is what is there, and a typo in a reference does not keep an object from going.
        made.patch(&format!("{field}.name"), full(kind)[field]["name"].clone()).await.unwrap();
        if kind == "Account" {
            made.patch("planRef.name", json!("larger")).await.unwrap();
        }
    }
    // Of another controller: the controllers of other tests leave it alone.
    let spec = with(full("AccountBackend"), "controllerName", json!("example.com/other"));
    let backend = made(&client, &namespace, "AccountBackend", spec).await;
    backend.keeps("controllerName", "controllerName cannot be changed", json!("deskplane.dev/controller")).await;
    backend.patch("publicURL", json!("https://new.example")).await.unwrap();
    backend.api.delete(&backend.name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn an_organization_has_exactly_one_first_operator_for_ever() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-first").await);
    let spec = full("Organization");
    let exactly_one = "set exactly one of firstOperator";
    for spec in [with(spec.clone(), "firstOperator", Value::Null), with(spec.clone(), "firstOperatorRef", json!({ "name": "mia" }))] {
        let message = refusal(api(&client, "Organization", &namespace).create(&dry_run(), &object("Organization", "o", spec)).await);
        assert!(message.contains(exactly_one), "{message}");
    }
    let made = made(&client, &namespace, "Organization", spec).await;
    made.keeps("firstOperator.email", "firstOperator cannot be changed", json!("eve@acme.example")).await;
    made.keeps("firstOperator", exactly_one, Value::Null).await;
    let swap = json!({ "spec": { "firstOperator": null, "firstOperatorRef": { "name": "mia" } } });
    let message = refusal(made.api.patch(&made.name, &PatchParams::default(), &Patch::Merge(swap)).await);
    assert!(message.contains("firstOperator can be neither added nor removed"), "{message}");
    assert!(message.contains("firstOperatorRef can be neither added nor removed"), "{message}");
}

#[tokio::test]
async fn a_default_organization_has_at_most_one_first_operator_for_ever() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-default").await);
    let both = with(full("Account"), "defaultOrganization.firstOperatorRef", json!({ "name": "mia" }));
    let message = refusal(api(&client, "Account", &namespace).create(&dry_run(), &object("Account", "a", both)).await);
    assert!(message.contains("spec.defaultOrganization") && message.contains("set at most one of firstOperator"), "{message}");

    let made = made(&client, &namespace, "Account", full("Account")).await;
    let hint = "defaultOrganization.firstOperator can be neither added nor removed";
    made.keeps("defaultOrganization.firstOperator", hint, Value::Null).await;
    made.keeps("defaultOrganization", hint, Value::Null).await;
    made.keeps("defaultOrganization.firstOperator.email", "firstOperator cannot be changed", json!("eve@acme.example")).await;
    made.patch("defaultOrganization.displayName", json!("Renamed")).await.unwrap();
    made.patch("owner.email", json!("new@acme.example")).await.unwrap();
}

#[tokio::test]
async fn the_secret_of_an_operator_keeps_its_name() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-secret").await);
    let named = made(&client, &namespace, "Operator", full("Operator")).await;
    named.keeps("credentials.secretName", "secretName cannot be changed", json!("other")).await;
    named.keeps("credentials.secretName", "secretName can be neither added nor removed", Value::Null).await;
    named.keeps("credentials", "secretName can be neither added nor removed", Value::Null).await;
    named.patch("credentials.mode", json!("None")).await.unwrap();
    let second = plane.namespace("crds-secret").await;
    let unnamed = made(&client, &second, "Operator", with(full("Operator"), "credentials", Value::Null)).await;
    unnamed.keeps("credentials.secretName", "secretName can be neither added nor removed", json!("other")).await;
    unnamed.patch("email", json!("new@acme.example")).await.unwrap();
}

#[tokio::test]
async fn what_is_left_out_is_filled_in_and_a_status_starts_unseen() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-defaults").await);
    let reference = json!({ "name": "o" });
    let specs = [
        (
            "AccountBackend",
            json!({ "embedded": {} }),
            json!({ "controllerName": "deskplane.dev/controller", "embedded": {}, "resyncInterval": "10m" }),
        ),
        (
            "Operator",
            json!({ "organizationRef": reference, "email": "a@b.example" }),
            json!({ "organizationRef": reference, "email": "a@b.example", "role": "Manager", "suspended": false, "switchOrganizations": false, "credentials": { "mode": "Generate" } }),
        ),
        ("Widget", json!({ "organizationRef": reference }), json!({ "organizationRef": reference })),
        (
            "Organization",
            json!({ "accountRef": reference, "firstOperatorRef": reference }),
            json!({ "accountRef": reference, "firstOperatorRef": reference, "starterKit": "Create" }),
        ),
        (
            "Account",
            json!({ "backendRef": reference, "planRef": reference, "owner": { "email": "a@b.example" } }),
            json!({ "backendRef": reference, "planRef": reference, "owner": { "email": "a@b.example" }, "deletionProtection": true }),
        ),
    ];
    for (kind, spec, expected) in specs {
        let created = api(&client, kind, &namespace).create(&dry_run(), &object(kind, "defaults", spec)).await.unwrap();
        assert_eq!(created.data["spec"], expected, "{kind}");
        assert_eq!(created.data["status"], json!({ "observedGeneration": -1 }), "{kind}");
    }
}

#[tokio::test]
async fn a_backend_has_exactly_one_provider_and_one_that_this_version_does_not_know_is_named() {
    let plane = ControlPlane::unattended().await;
    let client = plane.client().await;
    let server = full_server()["server"].clone();
    let both = json!({ "embedded": {}, "server": server });
    for spec in [json!({}), json!({ "chatwoot": { "url": "https://chat.example" } }), both] {
        let message = refusal(api(&client, "AccountBackend", "").create(&dry_run(), &object("AccountBackend", "b", spec)).await);
        assert!(message.contains("spec") && message.contains("set exactly one provider; this version knows: embedded"), "{message}");
    }
    let limited = with(full("AccountBackend"), "rateLimit", json!({ "requestsPerSecond": 1, "burst": 1 }));
    let message = refusal(api(&client, "AccountBackend", "").create(&dry_run(), &object("AccountBackend", "b", limited)).await);
    assert!(message.contains("rateLimit is for a server"), "{message}");
    let yaml = "{apiVersion: deskplane.dev/v1alpha1, kind: AccountBackend, metadata: {name: b}, spec: {embedded: {}, chatwoot: {url: x}}}";
    let output = plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], yaml);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("unknown field \"spec.chatwoot\""), "{text}");
}

/// Which store is behind it is told by its id, not by its address.
#[tokio::test]
async fn the_provider_of_a_backend_and_all_of_a_server_may_change() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-provider").await);
    // Of another controller: the controllers of other tests leave it alone.
    let spec = with(full("AccountBackend"), "controllerName", json!("example.com/other"));
    let backend = made(&client, &namespace, "AccountBackend", spec).await;
    let spec = full_server();
    let change = json!({ "spec": { "embedded": null, "server": spec["server"], "rateLimit": spec["rateLimit"] } });
    backend.api.patch(&backend.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    backend.patch("server.url", json!("https://other.example")).await.unwrap();
    backend.patch("server.credentialsSecretRef.name", json!("other")).await.unwrap();
    backend.patch("server.caBundle", Value::Null).await.unwrap();
    backend.patch("rateLimit.burst", json!(1)).await.unwrap();
    let back = json!({ "spec": { "embedded": {}, "server": null, "rateLimit": null } });
    backend.api.patch(&backend.name, &PatchParams::default(), &Patch::Merge(back)).await.unwrap();
    backend.api.delete(&backend.name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn explain_reads_like_documentation() {
    let plane = ControlPlane::unattended().await;
    let text = plane.kubectl_ok(&["explain", "org.spec.location"]);
    for words in ["ISO 3166-1 alpha-2 code", "such as `Europe/Berlin` or `UTC`", "country\t<string>"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for (short, words) in [
        ("ab.spec.resyncInterval", "from `10s` to `24h`"),
        ("ab.spec.server.credentialsSecretRef", "in the controller's own namespace"),
        ("cplan.spec.limits", "WithinPlan=False"),
        ("acct.spec.deletionProtection", "confirm-deletion"),
        ("oper.spec.credentials", "deskplane.dev/credentials"),
        ("oper.spec.switchOrganizations", "needs the verb `promote` on the operator"),
        ("org.spec.privacy", "from 1 to 3650: older ones are erased for good"),
        ("org.status.usage", "Transcripts of chats"),
        ("dept.spec.members", "Absent: nobody"),
        ("wdgt.spec.allowedOrigins", "no wildcard"),
    ] {
        let text = plane.kubectl_ok(&["explain", short]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words), "{short}: {text}");
    }
}

#[tokio::test]
async fn a_list_shows_what_a_person_wants_to_know() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-columns").await);
    for kind in KINDS.into_iter().filter(|kind| *kind != "AccountBackend") {
        let made = made(&client, &namespace, kind, full(kind)).await;
        let status = json!({ "status": {
            "observedGeneration": 1, "externalId": "row-1", "seatSummary": "3/50", "seat": "Held", "availability": "Online", "members": 4,
            "usage": { "organizations": 1, "operators": 12, "departments": 3, "widgets": 2 },
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Synced", "message": "All is well.", "lastTransitionTime": "2026-01-01T00:00:00Z" }]
        } });
        made.api.patch_status(&made.name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
    let rows = |args: &[&str]| {
        let text = plane.kubectl_ok(&[&["get", "-n", &namespace], args].concat());
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
    };
    let expected = [
        ("acct", "NAME PLAN READY REASON PAUSED SEATS ORGANIZATIONS AGE", " custom True Synced 3/50 1 "),
        ("org", "NAME READY REASON PAUSED SEATS OPERATORS WIDGETS AGE", " True Synced 3/50 12 2 "),
        ("oper", "NAME ORGANIZATION ROLE SEAT READY REASON PAUSED AGE", " acme-germany Manager Held True Synced "),
        ("dept", "NAME ORGANIZATION MEMBERS READY REASON PAUSED AGE", " acme-germany 4 True Synced "),
        ("wdgt", "NAME ORGANIZATION AVAILABILITY READY REASON PAUSED AGE", " acme-germany Online True Synced "),
    ];
    for (short, header, row) in expected {
        let lines = rows(&[short]);
        assert_eq!(lines[0], header);
        assert!(lines[1].contains(row), "{}", lines[1]);
        let wide = rows(&[short, "-o", "wide"]);
        assert!(wide[0].contains("EXTERNAL ID MESSAGE AGE") && wide[1].contains("row-1 All is well."), "{wide:?}");
    }
    assert!(rows(&["deskplane", "-o", "name"]).len() >= 5);
    assert_eq!(rows(&["cplan"])[0], "NAME SEATS ORGANIZATIONS WIDGETS ACCOUNTS READY REASON PAUSED AGE");
}

#[tokio::test]
async fn objects_can_be_looked_up_by_what_they_belong_to() {
    let plane = ControlPlane::unattended().await;
    let (client, namespace) = (plane.client().await, plane.namespace("crds-fields").await);
    made(&client, &namespace, "Operator", full("Operator")).await;
    let list = async |selector: &str| {
        let found = api(&client, "Operator", &namespace).list(&ListParams::default().fields(selector)).await.unwrap();
        found.items.len()
    };
    assert_eq!(list("spec.organizationRef.name=acme-germany").await, 1);
    assert_eq!(list("spec.organizationRef.name=other").await, 0);
}
