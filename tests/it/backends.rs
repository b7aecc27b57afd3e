//! A controller without a store of its own, and the Secrets of servers: read from one namespace, and nothing else.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, Options, TenantOn, backend, condition, create, reason_is, until};
use crate::controlplane::ControlPlane;
use crate::policies::CONTROLLER;
use crate::rows::message;

/// Where the controller of these tests looks for Secrets.
const OWN: &str = "deskplane-system";

/// An `AccountBackend` on a server that nobody runs.
fn on_server(secret: &str) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "AccountBackend", "metadata": {"name": "remote"},
        "spec": {"server": {"url": "https://127.0.0.1:1", "credentialsSecretRef": {"name": secret}}, "resyncInterval": "24h"}})
}

async fn secret(plane: &ControlPlane, namespace: &str, name: &str, data: Value) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let secret = Secret { metadata, string_data: serde_json::from_value(data).unwrap(), ..Secret::default() };
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

async fn says(plane: &ControlPlane, reason: &str, words: &str) -> Value {
    let said = |object: &Value| condition(object, "Ready")["reason"] == reason && message(object).contains(words);
    until(plane, "AccountBackend", "", "remote", words, said).await
}

#[tokio::test]
async fn without_a_database_a_controller_serves_servers_whose_tokens_it_reads_from_its_own_namespace_alone() {
    let plane = ControlPlane::dedicated().await;
    let args = ["--owner-id", "it", "--lease-namespace", OWN, "--secret-namespace", OWN, "--lease-seconds", "3"];
    let none = |args| Options { url: Some("none"), args, ..Options::default() };

    // Where it may not read them.
    let elsewhere = ["--owner-id", "it", "--lease-namespace", OWN, "--secret-namespace", "default", "--lease-seconds", "3"];
    let mut controller = Controller::launch(&plane, none(&elsewhere)).await;
    controller.logged("this controller leads").await;
    create(&plane, on_server("token")).await;
    says(&plane, "CredentialsInvalid", "cannot be read: secrets \"token\" is forbidden").await;
    assert!(controller.stop().await);
    let mark = plane.audit_mark().await;

    // Without an owner id.
    let mut controller = Controller::start(&plane, none(&args[2..])).await;
    says(&plane, "Unsupported", "--owner-id").await;
    assert!(controller.stop().await);

    let mut controller = Controller::start(&plane, none(&args)).await;
    says(&plane, "CredentialsInvalid", "the Secret \"token\" does not exist in namespace \"deskplane-system\"").await;
    create(&plane, backend(BACKEND)).await;
    let embedded = reason_is(&plane, "AccountBackend", "", BACKEND, "Unsupported").await;
    assert!(message(&embedded).contains("--database none"), "{}", message(&embedded));
    assert_eq!(condition(&embedded, "Stalled")["status"], "True");
    let tenant = TenantOn::on(&plane, "no-database", json!({"seats": 2})).await;
    tenant.account("acme").await;
    let account = tenant.reason("Account", "acme", "Unsupported").await;
    assert!(message(&account).contains("--database"), "{}", message(&account));

    // One of that name elsewhere is not it. One without a token is, and says so at once; and a token counts at once.
    secret(&plane, &tenant.namespace, "token", json!({"token": "dpt_elsewhere"})).await;
    secret(&plane, OWN, "another", json!({"token": "dpt_another"})).await;
    secret(&plane, OWN, "token", json!({"Token": "dpt_canary"})).await;
    says(&plane, "CredentialsInvalid", "has no token").await;
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, OWN);
    let token = Patch::Merge(json!({"stringData": {"token": "dpt_canary\n"}}));
    secrets.patch("token", &PatchParams::default(), &token).await.unwrap();
    let beyond = |object: &Value| condition(object, "Ready")["reason"] != "CredentialsInvalid";
    let remote = until(&plane, "AccountBackend", "", "remote", "has its token", beyond).await;
    assert!(!remote.to_string().contains("dpt_canary"), "{remote}");
    let log = controller.log();
    assert!(!log.contains("dpt_") && !log.contains("panicked"), "{log}");
    assert!(controller.stop().await);

    let asked = plane.requests_since(mark).await.of_user(CONTROLLER).filter(|request| request.resource == "secrets");
    let verbs: BTreeSet<_> = asked.0.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list", "watch"].into(), "as the Role of hack/rbac.yaml grants them");
    for request in &asked.0 {
        assert_eq!((request.namespace.as_str(), request.code), (OWN, 200), "{request:?}");
        assert!(request.names_only("token"), "nobody looks at others: {request:?}");
    }
    let lease = plane.kubectl_ok(&["get", "lease", "deskplane-controller", "-n", OWN, "-o", "json"]);
    let lease: Value = serde_json::from_str(&lease).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null, "it was on, and is given up");
}
