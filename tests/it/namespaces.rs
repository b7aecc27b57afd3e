//! `--namespace` on the real control plane: a controller that looks after some namespaces sees nothing of the others, and takes nothing
//! there for lost.

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, Options, TenantOn, api, backend, create, get, ready, reason_is};
use crate::controlplane::ControlPlane;
use crate::counts::rounds;
use crate::rows::{Rows, message, uid};

const CONTROLLER: &str = "system:serviceaccount:deskplane-system:deskplane";

#[tokio::test]
async fn a_controller_of_some_namespaces_looks_after_those_and_takes_nothing_elsewhere_for_lost() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("namespaces.db");
    let mut all = Controller::start(&plane, Options { database: Some(&database), ..Options::default() }).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenants = [
        TenantOn::on(&plane, "ours-a", json!({"seats": 3})).await,
        TenantOn::on(&plane, "ours-b", json!({"seats": 3})).await,
        TenantOn::on(&plane, "theirs", json!({"seats": 3})).await,
    ];
    for tenant in &tenants {
        tenant.account("acme").await;
        for name in ["tom", "tina"] {
            tenant.operator(name, "acme-default").await;
            tenant.ready("Operator", name).await;
        }
        tenant.operator("late", "acme-default").await;
        tenant.reason("Operator", "late", "SeatLimitExceeded").await;
    }
    assert!(all.stop().await);

    // What happens while nobody looks: one of theirs goes without cleanup.
    let [a, b, theirs] = &tenants;
    let lost = uid(&theirs.get("Operator", "tom").await.expect("it is there"));
    theirs.delete("Operator", "tom").await;
    theirs.strip("Operator", "tom").await;
    theirs.gone("Operator", "tom").await;
    theirs.operator("unseen", "acme-default").await;
    let mark = plane.audit_mark().await;
    let args = ["--namespace", &a.namespace, "--namespace", &b.namespace];
    let controller = Controller::start(&plane, Options { database: Some(&database), args: &args, ..Options::default() }).await;
    for tenant in [a, b] {
        tenant.operator("new", "acme-default").await;
        tenant.reason("Operator", "new", "SeatLimitExceeded").await;
        tenant.delete("Operator", "tom").await;
        tenant.gone("Operator", "tom").await;
        tenant.ready("Operator", "late").await;
    }
    // Two sweeps over the whole store: six operators are ours now, and all tickets are somebody's.
    rounds(&controller.address().await, 6, 2).await;
    let rows = Rows::at(&database).await;
    assert_eq!(rows.with_key(&lost).await, 1);
    assert_eq!(rows.number("SELECT COUNT(*) FROM operators WHERE $1 = $1 AND quarantined", "").await, 0, "nobody knows what became of it");
    let tickets = "SELECT COUNT(*) FROM tickets WHERE owner_namespace = $1";
    assert_eq!((rows.number(tickets, &theirs.namespace).await, rows.number(tickets, &a.namespace).await), (1, 1));
    let unseen = theirs.get("Operator", "unseen").await.expect("it is there");
    assert_eq!(unseen["status"], json!({"observedGeneration": -1}));
    let asked = plane.requests_since(mark).await.of_user(CONTROLLER);
    assert_eq!(asked.clone().in_namespace(&theirs.namespace).counts(), [].into());
    let listed_everywhere = |request: &crate::controlplane::Request| request.verb == "list" && request.namespace.is_empty();
    let everywhere: Vec<_> = asked.filter(listed_everywhere).0.into_iter().map(|request| request.resource).collect();
    assert!(everywhere.iter().all(|resource| ["accountbackends", "plans", "namespaces"].contains(&resource.as_str())), "{everywhere:?}");
    rows.close().await;
}

#[tokio::test]
async fn what_is_cluster_scoped_is_not_let_go_by_who_sees_some_namespaces_only() {
    let plane = ControlPlane::dedicated().await;
    let namespace = plane.namespace("seen").await;
    let _controller = Controller::start(&plane, Options { args: &["--namespace", &namespace], ..Options::default() }).await;
    create(&plane, backend(BACKEND)).await;
    let backend = ready(&plane, "AccountBackend", "", BACKEND).await;
    assert_eq!(backend["status"]["accounts"], Value::Null, "nobody can count them");
    let elsewhere = TenantOn::on(&plane, "unseen", json!({"seats": 3})).await;
    elsewhere.account("acme").await;
    for (kind, name) in [("AccountBackend", BACKEND), ("Plan", elsewhere.plan.as_str())] {
        api(&plane, kind, "").await.delete(name, &DeleteParams::default()).await.expect("no count, no refusal");
    }
    let held = reason_is(&plane, "AccountBackend", "", BACKEND, "InUse").await;
    assert!(message(&held).contains("looks after some namespaces only"), "{}", message(&held));
    let plan = get(&plane, "Plan", "", &elsewhere.plan).await.expect("it stays");
    assert_eq!(plan["metadata"]["finalizers"], json!(["deskplane.dev/in-use"]));
}
