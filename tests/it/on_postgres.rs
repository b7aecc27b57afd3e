//! A controller whose store is in `PostgreSQL`: seats, wakes, a server that goes away, and a second controller.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::controller::{self, BACKEND, Controller, Options, TenantOn, condition, http_get};
use crate::controlplane::ControlPlane;
use crate::policies::CONTROLLER;
use crate::postgres::Cluster;
use crate::rows::Rows;

#[tokio::test]
async fn a_controller_works_on_postgres_and_without_a_lease_the_last_one_started_writes() {
    let (plane, cluster) = (ControlPlane::dedicated().await, Cluster::start());
    let url = cluster.url().await;
    let options = || Options { url: Some(&url), args: &["--no-lease"], ..Options::default() };
    let mut first = Controller::start(&plane, options()).await;
    let mut backend = controller::backend(BACKEND);
    // Whatever comes about was woken by its cause.
    backend["spec"]["resyncInterval"] = json!("24h");
    controller::create(&plane, backend).await;
    controller::ready(&plane, "AccountBackend", "", BACKEND).await;

    let tenant = TenantOn::on(&plane, "postgres", json!({"seats": 2})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;
    tenant.operator("eva", "acme-default").await;
    let waits = |operator: &Value| condition(operator, "Ready")["reason"] == "SeatLimitExceeded";
    tenant.until("Operator", "eva", "waits for a seat", waits).await;
    tenant.delete("Operator", "tom").await;
    tenant.ready("Operator", "eva").await;

    cluster.stop();
    tenant.operator("max", "acme-default").await;
    let unreachable = |operator: &Value| condition(operator, "Ready")["reason"] == "BackendUnreachable";
    tenant.until("Operator", "max", "cannot be written", unreachable).await;
    cluster.restart();
    tenant.until("Operator", "max", "waits for a seat", waits).await;

    let _second = Controller::start(&plane, options()).await;
    tenant.patch("Operator", "eva", json!({"spec": {"displayName": "Eva"}})).await;
    assert!(!first.ended().await);
    assert!(first.log().contains("fenced: epoch"), "{}", first.log());
    tenant.delete("Operator", "eva").await;
    tenant.ready("Operator", "max").await;
    assert!(!first.log().contains("panicked"));
}

/// Rule 21 without a Lease: the epoch alone keeps one that stood still from writing.
#[tokio::test]
async fn a_controller_that_stood_still_while_another_took_over_writes_nothing() {
    let (plane, cluster) = (ControlPlane::dedicated().await, Cluster::shared());
    let url = cluster.url().await;
    let options = || Options { url: Some(&url), args: &["--no-lease"], ..Options::default() };
    let mut first = Controller::start(&plane, options()).await;
    controller::create(&plane, controller::backend(BACKEND)).await;
    let tenant = TenantOn::on(&plane, "stood-still", json!({"seats": 9})).await;
    tenant.account("acme").await;
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;

    first.signal("STOP");
    let second = Controller::start(&plane, options()).await;
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Second"}})).await;
    tenant.ready("Operator", "tom").await;
    let log = Rows::of(&second).await;
    let epochs = "SELECT COUNT(*) FROM audit WHERE epoch = 1 AND $1 = $1";
    let by_the_first = log.number(epochs, "").await;
    first.signal("CONT");
    assert!(!first.ended().await, "it does not go on");
    assert!(first.log().contains("fenced: epoch"), "{}", first.log());
    assert_eq!(log.number(epochs, "").await, by_the_first, "nothing of what it was woken for was written");
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Still the second"}})).await;
    tenant.ready("Operator", "tom").await;
}

/// Rule 21, and the Lease before it: one works, whatever becomes of the others.
#[tokio::test]
async fn of_several_controllers_one_leads_and_another_takes_over_when_it_dies_stands_still_or_ends() {
    let (plane, cluster) = (ControlPlane::dedicated().await, Cluster::start());
    let url = cluster.url().await;
    let args = ["--lease-namespace", "deskplane-system", "--lease-seconds", "3"];
    let options = || Options { url: Some(&url), args: &args, ..Options::default() };
    let mut first = Controller::start(&plane, options()).await;
    controller::create(&plane, controller::backend(BACKEND)).await;
    let tenant = TenantOn::on(&plane, "leaders", json!({"seats": 9})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;

    let mut second = Controller::launch(&plane, options()).await;
    second.logged("standing by").await;
    let (code, phase) = http_get(&second.address().await, "/readyz");
    assert!(code == 200 && phase.starts_with("standing by"), "{code} {phase}");
    first.kill().await;
    second.logged("all watches have listed").await;
    tenant.operator("after-a-death", "acme-default").await;
    tenant.ready("Operator", "after-a-death").await;

    let mut third = Controller::launch(&plane, options()).await;
    third.logged("standing by").await;
    second.signal("STOP");
    third.logged("all watches have listed").await;
    tenant.operator("after-a-standstill", "acme-default").await;
    tenant.ready("Operator", "after-a-standstill").await;
    second.signal("CONT");
    assert!(!second.ended().await, "it does not go on");
    let log = second.log();
    assert!(log.contains("the lease is lost") || log.contains("fenced"), "{log}");
    assert!(!log.contains("panicked"), "{log}");

    // An orderly end gives the lease up.
    assert!(third.stop().await);
    let lease = plane.kubectl_ok(&["get", "lease", "deskplane-controller", "-n", "deskplane-system", "-o", "json"]);
    let lease: Value = serde_json::from_str(&lease).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null);
    assert_eq!(lease["spec"]["leaseTransitions"], 3);
    let asked = plane.requests_since(0).await.of_user(CONTROLLER).filter(|request| request.resource == "leases");
    let verbs: BTreeSet<_> = asked.0.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["create", "get", "update"].into(), "as hack/rbac.yaml grants them");
}
