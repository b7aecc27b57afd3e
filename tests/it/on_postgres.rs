//! A controller whose store is in `PostgreSQL`: seats, wakes, a server that goes away, and a second controller.

use serde_json::{Value, json};

use crate::controller::{self, BACKEND, Controller, Options, TenantOn, condition};
use crate::controlplane::ControlPlane;
use crate::postgres::Cluster;

#[tokio::test]
async fn a_controller_works_on_postgres_and_the_last_one_started_writes() {
    let (plane, cluster) = (ControlPlane::dedicated().await, Cluster::start());
    let url = cluster.url().await;
    let options = || Options { url: Some(&url), ..Options::default() };
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
