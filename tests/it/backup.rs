//! Backup and restore on the real control plane: what was made or deleted after the backup is neither lost nor made twice.

use std::path::Path;

use serde_json::{Value, json};

use crate::controller::{BACKEND, TenantOn, backend, create, ready, reason_is};
use crate::controlplane::ControlPlane;
use crate::rows::{FURNITURE, Rows, message, on_store, program, uid};

fn store(plane: &ControlPlane, args: &[&str], database: &Path) -> (bool, String) {
    let database = format!("sqlite://{}", database.display());
    program(&plane.kubeconfig(), &[&["store"], args, &["--database", &database]].concat())
}

#[tokio::test]
async fn a_restored_store_erases_nothing_and_makes_nothing_twice() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let [database, copy] = ["accounts.db", "backup.db"].map(|name| folder.path().join(name));
    let copy = copy.display().to_string();
    let mut controller = on_store(&plane, &database).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "restored", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.operator("goes", "one").await;
    let goes = tenant.ready("Operator", "goes").await;
    let (done, said) = store(&plane, &["backup", "--to", &copy], &database);
    assert!(done, "{said}");

    // After the backup: one comes, one goes.
    tenant.operator("comes", "one").await;
    tenant.ready("Operator", "comes").await;
    tenant.delete("Operator", "goes").await;
    tenant.gone("Operator", "goes").await;
    let (done, said) = store(&plane, &["restore", "--from", &copy, "--yes"], &database);
    assert!(!done && said.contains("is in use by"), "{said}");
    assert!(controller.stop().await);
    let (done, said) = store(&plane, &["restore", "--from", &copy, "--yes"], &database);
    assert!(done && said.contains("What was there is now"), "{said}");

    let controller = on_store(&plane, &database).await;
    let refused = reason_is(&plane, "AccountBackend", "", BACKEND, "BackendReplaced").await;
    assert!(message(&refused).contains("another store answers"), "{}", message(&refused));
    let held = tenant.reason("Operator", "comes", "BackendReplaced").await;
    assert_eq!(held["metadata"]["finalizers"], json!(["deskplane.dev/erase"]));
    let rows = Rows::at(&database).await;
    assert_eq!(rows.with_key(&uid(&held)).await, 0);
    let accept = said.lines().find_map(|line| line.trim().strip_prefix("kubectl ")).expect("what to type").replace("NAME", BACKEND);
    tenant.type_in(&accept.split(' ').map(str::to_owned).collect::<Vec<_>>());

    for (kind, name) in FURNITURE.into_iter().chain([("Operator", "comes")]) {
        let object = tenant.ready(kind, name).await;
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
    rows.close().await;
    let (_, orphans) = store(&plane, &["orphans", "-o", "json"], &database);
    let orphans: Value = serde_json::from_str(&orphans).expect("JSON");
    let left: Vec<_> = orphans.as_array().expect("a list").iter().map(|orphan| orphan["id"].clone()).collect();
    assert_eq!(left, [goes["status"]["externalId"].clone()], "who went after the backup is reported, and stays until a person decides");
    drop(controller);
}
