//! The cluster's own state comes back older than the store's (rules 13, 17, 18): nothing is erased, nothing is made twice, and
//! everything that does not fit is reported.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::controller::{BACKEND, TenantOn, backend, create, ready, url};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::rows::{FURNITURE, Rows, message, on_store, program, uid};

#[tokio::test]
async fn after_etcd_was_restored_to_an_older_snapshot_nothing_is_erased_nothing_is_made_twice_and_everything_is_reported() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let (database, snapshot) = (folder.path().join("accounts.db"), folder.path().join("etcd"));
    let mut controller = on_store(&plane, &database).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "restored", json!({"seats": 20})).await;
    tenant.furnished().await;
    tenant.organization("two", "acme").await;
    tenant.operator("tina", "one").await;
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Before"}})).await;
    tenant.ready("Operator", "tom").await;
    let two = tenant.ready("Organization", "two").await;
    let tina = tenant.ready("Operator", "tina").await;
    assert!(controller.stop().await);
    plane.snapshot(&snapshot);

    // What happens afterwards is forgotten by the cluster, not by the store.
    let mut controller = on_store(&plane, &database).await;
    tenant.operator("later", "one").await;
    let later = tenant.ready("Operator", "later").await;
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Later"}})).await;
    tenant.ready("Operator", "tom").await;
    tenant.delete("Operator", "tina").await;
    tenant.gone("Operator", "tina").await;
    tenant.erase("Organization", "two").await;
    tenant.gone("Organization", "two").await;
    assert!(controller.stop().await);
    let rows = Rows::at(&database).await;
    let before = rows.number("SELECT COUNT(*) FROM operators WHERE $1 = $1", "").await;
    rows.close().await;
    plane.restore(&snapshot);

    let controller = on_store(&plane, &database).await;
    // What was the same before and after stands, each with the row it had.
    for (kind, name) in FURNITURE {
        tenant.ready(kind, name).await;
    }
    tenant.ready("Account", "acme").await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    // What was erased and comes back is not made again: it says so, and can be deleted.
    for (kind, name) in [("Organization", "two"), ("Operator", "tina")] {
        let object = tenant.reason(kind, name, "BackendRejected").await;
        assert!(message(&object).contains("was erased from the backend"), "{kind} {name}: {}", message(&object));
    }
    // What the cluster forgot keeps its row, in nobody's way.
    let rows = Rows::at(&database).await;
    eventually("the forgotten operator's row is quarantined", DEADLINE, async || {
        match rows.number("SELECT COUNT(*) FROM operators WHERE key = $1 AND quarantined", &uid(&later)).await {
            1 => Ok(()),
            _ => Err("not yet"),
        }
    })
    .await;
    let events: Api<Event> = Api::all(plane.client().await);
    eventually("an Event tells of it", DEADLINE, async || {
        let found = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let notes: Vec<_> = found.into_iter().filter_map(|event| event.note).collect();
        let told = notes.iter().any(|note| note.contains(&format!("Operator {}/later vanished", tenant.namespace)));
        if told { Ok(()) } else { Err(format!("{notes:?}")) }
    })
    .await;
    assert_eq!(rows.number("SELECT COUNT(*) FROM operators WHERE $1 = $1", "").await, before, "none erased, none made twice");
    for gone in [&two, &tina] {
        assert_eq!((rows.with_key(&uid(gone)).await, rows.receipt(&uid(gone)).await.as_deref()), (0, Some("erased")));
    }
    let tom = tenant.ready("Operator", "tom").await;
    let declared = "SELECT COUNT(*) FROM operators WHERE key = $1 AND display_name = 'Before'";
    assert_eq!(rows.number(declared, &uid(&tom)).await, 1, "the object says what should be");
    let store = url(&database).await;
    let (_, printed) = program(&plane.kubeconfig(), &["store", "orphans", "--database", &store]);
    assert!(printed.contains(&format!("{}/later", tenant.namespace)), "{printed}");
    assert!(program(&plane.kubeconfig(), &["store", "check", "--database", &store]).0);
    tenant.delete("Operator", "tina").await;
    tenant.gone("Operator", "tina").await;
    tenant.erase("Organization", "two").await;
    tenant.gone("Organization", "two").await;
    drop(controller);
}
