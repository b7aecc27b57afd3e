//! The admission policies on a real API server: who is held up, who is not, and what they read.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::crds_objects::{api, dry_run, full, object};

/// The user the generated policies know as the controller.
pub const CONTROLLER: &str = deskplane::policy::DEFAULT_CONTROLLER_USER;

/// The shared control plane, with all policies in force.
pub async fn plane() -> &'static ControlPlane {
    static READY: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::unattended().await;
    READY.get_or_init(|| wait_for_policies(plane)).await;
    plane
}

/// Until every policy is in force. The API server takes them over in the order in which they were made, about once a second: when the
/// last of each sort acts, all do. The last are `in-use-finalizer` and `secrets`; a dry run of theirs changes nothing.
pub async fn wait_for_policies(plane: &ControlPlane) {
    let (admin, controller) = (plane.client().await, plane.client_as(CONTROLLER, &["system:masters"]).await);
    eventually("the finalizer of plans comes at birth", DEADLINE, async || {
        let plan = api(&admin, "Plan", "").create(&dry_run(), &object("Plan", "probe", full("Plan"))).await;
        let finalizers = plan.map_err(|error| error.to_string())?.metadata.finalizers;
        finalizers.map(drop).ok_or_else(|| "no finalizer".to_owned())
    })
    .await;
    eventually("the controller makes no Secret of another type", DEADLINE, async || {
        let secret = Secret { metadata: ObjectMeta { name: Some("probe".to_owned()), ..ObjectMeta::default() }, ..Secret::default() };
        match Api::<Secret>::namespaced(controller.clone(), "default").create(&dry_run(), &secret).await {
            Err(kube::Error::Api(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// A rule of RBAC over our kinds.
pub fn rule(resources: &[&str], verbs: &[&str], names: &[&str]) -> PolicyRule {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec!["deskplane.dev".to_owned()]),
        resources: Some(owned(resources)),
        resource_names: (!names.is_empty()).then(|| owned(names)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

/// Everything a tenant may do with a kind but delete.
pub fn edit(resources: &[&str]) -> PolicyRule {
    rule(resources, &["get", "list", "create", "update", "patch"], &[])
}

/// A new service account's client.
pub async fn person(namespace: &str, name: &str, rules: Vec<PolicyRule>) -> Client {
    plane().await.service_account(namespace, name, rules).await.client().await
}

/// An object as made by an admin, whom no policy on references holds up.
pub async fn made(namespace: &str, kind: &str, name: &str, spec: Value) -> Api<DynamicObject> {
    let api = api(&plane().await.client().await, kind, namespace);
    api.create(&PostParams::default(), &object(kind, name, spec)).await.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    api
}

/// A merge patch.
pub async fn patch(api: &Api<DynamicObject>, name: &str, patch: Value) -> Result<DynamicObject, kube::Error> {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

/// Sets an annotation of ours; null takes it away.
pub async fn annotate(api: &Api<DynamicObject>, name: &str, annotation: &str, value: Value) -> Result<DynamicObject, kube::Error> {
    let key = format!("deskplane.dev/{annotation}");
    patch(api, name, json!({ "metadata": { "annotations": { key: value } } })).await
}

/// Writes a status, as the controller does.
pub async fn report(api: &Api<DynamicObject>, name: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Asserts that a message names the policy and holds all words.
pub fn says(message: &str, policy: &str, words: &[&str]) {
    assert!(message.contains(&format!("ValidatingAdmissionPolicy '{policy}.deskplane.dev'")), "{message}");
    for word in words {
        assert!(message.contains(word), "'{word}' is missing: {message}");
    }
}

#[tokio::test]
async fn the_api_servers_own_type_check_finds_nothing_wrong() {
    let plane = plane().await;
    eventually("all policies are checked, without a warning", DEADLINE, async || {
        let text = plane.kubectl_ok(&["get", "validatingadmissionpolicies", "-l", "app.kubernetes.io/part-of=deskplane", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        let policies = list["items"].as_array().unwrap();
        assert_eq!(policies.len(), 11);
        assert!(!text.contains("expressionWarnings"), "{text}");
        policies.iter().all(|policy| policy["status"]["typeChecking"].is_object()).then_some(()).ok_or("not yet checked")
    })
    .await;
}

#[tokio::test]
async fn names_leave_room_for_the_names_made_from_them() {
    let plane = plane().await;
    let client = plane.client().await;
    for (kind, longest, word) in
        [("Account", 63, "<account>-default"), ("Organization", 100, "-first-operator"), ("Operator", 241, "-credentials")]
    {
        let create = async |length: usize| {
            let object = object(kind, &"n".repeat(length), full(kind));
            api(&client, kind, "default").create(&dry_run(), &object).await
        };
        create(longest).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        let message = crate::crds_objects::refusal(create(longest + 1).await);
        let words = [&format!("metadata.name has {} characters", longest + 1), &format!("at most {longest}"), word, "choose a shorter one"];
        says(&message, "names", &words.map(AsRef::as_ref));
    }
    for kind in ["AccountBackend", "Plan", "Department", "Widget"] {
        api(&client, kind, "default").create(&dry_run(), &object(kind, &"n".repeat(253), full(kind))).await.unwrap();
    }
}

#[tokio::test]
async fn a_generated_name_fits() {
    let plane = plane().await;
    let accounts = api(&plane.client().await, "Account", "default");
    let mut account = object("Account", "", full("Account"));
    account.metadata.name = None;
    // The API server cuts the prefix so that the whole is a label: 63.
    account.metadata.generate_name = Some("n".repeat(100));
    let created = accounts.create(&dry_run(), &account).await.unwrap();
    assert_eq!(created.metadata.name.unwrap().len(), 63);
}

fn secret(name: &str, kind: Option<&str>) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: kind.map(ToOwned::to_owned),
        ..Secret::default()
    }
}

#[tokio::test]
async fn the_controller_writes_no_secret_but_credentials() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-secrets").await;
    let (create, delete) = (PostParams::default(), kube::api::DeleteParams::default());
    // A rule of its own for Secrets: only the policy holds it back.
    let controller: Api<Secret> = Api::namespaced(plane.client_as(CONTROLLER, &["system:masters"]).await, &namespace);
    let others: Api<Secret> = Api::namespaced(plane.client().await, &namespace);

    for kind in [None, Some("Opaque"), Some("kubernetes.io/tls-like"), Some("example.com/credentials")] {
        let message = crate::crds_objects::refusal(controller.create(&create, &secret("refused", kind)).await);
        says(&message, "secrets", &[CONTROLLER, "type deskplane.dev/credentials only", kind.unwrap_or("Opaque")]);
        others
            .create(&create, &secret(&format!("by-others-{}", kind.unwrap_or("none").replace('/', "-").to_lowercase()), kind))
            .await
            .unwrap();
    }
    let label = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let refused = controller.patch("by-others-opaque", &PatchParams::default(), &label).await;
    says(&crate::crds_objects::refusal(refused), "secrets", &["Opaque"]);
    says(&crate::crds_objects::refusal(controller.delete("by-others-opaque", &delete).await), "secrets", &["Opaque"]);

    controller.create(&create, &secret("tom-credentials", Some("deskplane.dev/credentials"))).await.unwrap();
    controller.patch("tom-credentials", &PatchParams::default(), &label).await.unwrap();
    controller.delete("tom-credentials", &delete).await.unwrap();
    others.patch("by-others-opaque", &PatchParams::default(), &label).await.unwrap();
    others.delete("by-others-opaque", &delete).await.unwrap();
}
