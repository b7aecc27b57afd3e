//! Rules 13 and 15 on the real control plane: a store that cannot be reached is never "gone", and whoever lets go does not wait for it.

use serde_json::json;
use sqlx::Executor as _;

use crate::controller::{BACKEND, Controller, Options, TenantOn, backend, condition, create, ready, reason_is};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::database::Database;
use crate::rows::{FURNITURE, Rows, message, program, uid};

#[tokio::test]
async fn a_release_does_not_wait_for_an_unreachable_store_which_is_told_later() {
    let plane = ControlPlane::dedicated().await;
    let controller = Controller::start(&plane, Options::default()).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "unreachable", json!({"seats": 9})).await;
    tenant.furnished().await;
    let one = tenant.ready("Organization", "one").await;
    let mut furniture = Vec::new();
    for (kind, name) in FURNITURE {
        furniture.push(tenant.ready(kind, name).await);
    }

    // Whoever holds the file's write lock keeps the controller out.
    let database = Database::of(&controller);
    let mut holder = database.connect().await;
    holder.execute("BEGIN IMMEDIATE").await.unwrap();
    tenant.operator("late", "acme-default").await;
    // Who stands in line behind others that wait for the file hears first that nobody answered in time.
    let busy = |late: &serde_json::Value| {
        condition(late, "Ready")["reason"] == "BackendUnreachable" && message(late).contains("the store is busy")
    };
    tenant.until("Operator", "late", "hears that the store is busy", busy).await;
    reason_is(&plane, "AccountBackend", "", BACKEND, "BackendUnreachable").await;
    tenant.delete("Operator", "tom").await;
    tenant.annotate("Organization", "one", "deskplane.dev/release", json!("one")).await;
    let released = tenant.reason("Organization", "one", "Released").await;
    assert!(message(&released).contains("without telling the backend"), "{}", message(&released));
    // The deletion that was under way before goes along with the release; the others are free.
    tenant.gone("Operator", "tom").await;
    for (kind, name) in [("Widget", "web"), ("Department", "desk"), ("Organization", "one")] {
        let free =
            |object: &serde_json::Value| condition(object, "Ready")["reason"] == "Released" && object["metadata"]["finalizers"].is_null();
        tenant.until(kind, name, "is let go", free).await;
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }

    holder.execute("ROLLBACK").await.unwrap();
    drop(holder);
    tenant.ready("Operator", "late").await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let rows = Rows::of(&controller).await;
    for object in &furniture {
        eventually("the store is told of what was let go", DEADLINE, async || {
            let receipt = rows.receipt(&uid(object)).await;
            if receipt.as_deref() == Some("released") { Ok(()) } else { Err(format!("{object}: {receipt:?}")) }
        })
        .await;
    }
    let (ok, printed) = program(&plane.kubeconfig(), &["store", "orphans", "--database", controller.store()]);
    let id = one["status"]["externalId"].as_str().expect("a row");
    assert!(ok && printed.contains(id) && !printed.contains("Quarantined"), "{printed}");
    assert!(program(&plane.kubeconfig(), &["store", "check", "--database", controller.store()]).0);
}
