//! Crashes, signals and second writers (rules 17 and 21): nothing twice, nothing lost, one writer.

use std::path::Path;
use std::process::Output;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::controller::{BACKEND, Controller, Options, Place, TenantOn, backend, create, place, ready, url};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::rows::{Rows, on_store, program, uid};

const HELD: &str = "SELECT COUNT(*) FROM operators WHERE owner_namespace = $1";

/// Creates so many operators with credentials, and returns before they all exist.
fn crowd(tenant: &TenantOn<'_>, hint: &str, count: usize) -> JoinHandle<Output> {
    let operator = |number| {
        json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Operator",
            "metadata": {"name": format!("{hint}-{number}"), "namespace": tenant.namespace},
            "spec": {"organizationRef": {"name": "acme-default"}, "email": format!("{hint}-{number}@x.example")}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": (0..count).map(operator).collect::<Vec<_>>()}).to_string();
    let path = tenant.plane.state().join(format!("{hint}.json"));
    std::fs::write(&path, list).expect("write the list");
    let mut command = tenant.plane.kubectl_command(&["create", "-f", &path.to_string_lossy()]);
    tokio::task::spawn_blocking(move || command.output().expect("run kubectl"))
}

async fn rows_reach(rows: &Rows, tenant: &TenantOn<'_>, count: i64) {
    eventually(&format!("{count} operators have rows"), DEADLINE, async || match rows.number(HELD, &tenant.namespace).await {
        held if held >= count => Ok(()),
        held => Err(format!("{held} have")),
    })
    .await;
}

/// Every operator has one row, one Secret, and the password in it is the one whose hash is in the store.
async fn exact(rows: &Rows, tenant: &TenantOn<'_>, hint: &str, count: usize) {
    let secrets: Api<Secret> = Api::namespaced(tenant.plane.client().await, &tenant.namespace);
    for number in 0..count {
        let name = format!("{hint}-{number}");
        let key = uid(&tenant.ready("Operator", &name).await);
        let hash = "SELECT c.hash FROM credentials c JOIN operators p ON p.id = c.operator WHERE p.key = $1 AND c.state = 'active'";
        let hash = rows.text(hash, &key).await.unwrap_or_else(|| panic!("{name} has no active credentials"));
        let secret = secrets.get(&format!("{name}-credentials")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let password = secret.data.expect("data").remove("password").expect("a password");
        assert!(is_hash_of(&hash, &password.0), "{name}: the Secret's password is not the store's");
    }
}

fn is_hash_of(hash: &str, password: &[u8]) -> bool {
    let parts: Vec<_> = hash.split('$').collect();
    let bytes = |hex: &str| -> Vec<u8> { (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect() };
    parts[0] == "sha256" && Sha256::new().chain_update(bytes(parts[1])).chain_update(password).finalize().as_slice() == bytes(parts[2])
}

#[tokio::test]
async fn crashes_and_signals_lose_nothing_and_make_nothing_twice_and_one_controller_writes() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("accounts.db");
    let mut controller = on_store(&plane, &database).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "crash", json!({"seats": 300})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    let rows = Rows::at(&database).await;

    // Killed three times while a hundred are made.
    let creating = crowd(&tenant, "one", 100);
    for count in [10, 40, 70] {
        rows_reach(&rows, &tenant, count).await;
        controller.kill().await;
        controller = on_store(&plane, &database).await;
    }
    assert!(creating.await.unwrap().status.success());
    exact(&rows, &tenant, "one", 100).await;
    assert_eq!(rows.number(HELD, &tenant.namespace).await, 101);

    // Asked to stop while it works: what is under way is finished.
    let creating = crowd(&tenant, "two", 60);
    rows_reach(&rows, &tenant, 110).await;
    assert!(controller.stop().await, "exit code 0: {}", controller.log());
    assert!(creating.await.unwrap().status.success());
    check(&plane, &database).await;
    controller = on_store(&plane, &database).await;
    exact(&rows, &tenant, "two", 60).await;
    assert_eq!(rows.number(HELD, &tenant.namespace).await, 161);

    // Killed between the finalizer and the first write to the store, and deleted before it comes back.
    controller.signal("STOP");
    let never = tenant.operator("never", "acme-default").await;
    assert_eq!(never.metadata.finalizers, Some(vec!["deskplane.dev/erase".to_owned()]));
    controller.kill().await;
    tenant.delete("Operator", "never").await;
    controller = on_store(&plane, &database).await;
    tenant.gone("Operator", "never").await;
    let key = never.metadata.uid.expect("a UID");
    assert_eq!((rows.with_key(&key).await, rows.receipt(&key).await), (0, None));

    second_writers(&plane, &tenant, &rows, &database, controller).await;
    check(&plane, &database).await;
}

async fn check(plane: &ControlPlane, database: &Path) {
    let (ok, printed) = program(&plane.kubeconfig(), &["store", "check", "--database", &url(database).await]);
    assert!(ok, "{printed}");
}

async fn a_file_has_one_writer(plane: &ControlPlane, database: &Path) {
    let mut second = Controller::launch(plane, Options { database: Some(database), ..Options::default() }).await;
    assert!(!second.ended().await);
    let holder = std::fs::read_to_string(format!("{}.lock", database.display())).expect("the lock names its holder");
    assert!(second.log().contains(holder.trim()) && second.log().contains("is in use by process"), "{}", second.log());
}

async fn second_writers(plane: &ControlPlane, tenant: &TenantOn<'_>, rows: &Rows, database: &Path, mut controller: Controller) {
    if place() == Place::Embedded {
        a_file_has_one_writer(plane, database).await;
    }
    tenant.patch("Operator", "one-1", json!({"spec": {"displayName": "First"}})).await;
    tenant.ready("Operator", "one-1").await;

    // Frozen while another takes over, and thawed: its next write is refused, and it ends.
    let before = uid(&tenant.ready("Operator", "one-1").await);
    controller.signal("STOP");
    rows.execute("UPDATE epochs SET epoch = epoch + 1 WHERE $1 = $2", "", "").await;
    controller.signal("CONT");
    tenant.patch("Operator", "one-1", json!({"spec": {"displayName": "Second"}})).await;
    assert!(!controller.ended().await);
    assert!(controller.log().contains("fenced: epoch"), "{}", controller.log());
    let name = "SELECT display_name FROM operators WHERE key = $1";
    assert_eq!(rows.text(name, &before).await.as_deref(), Some("First"));
    let _controller = on_store(plane, database).await;
    tenant
        .until("Operator", "one-1", "is Ready again", |object: &Value| crate::controller::condition(object, "Ready")["status"] == "True")
        .await;
    eventually("the change arrives", DEADLINE, async || match rows.text(name, &before).await.as_deref() {
        Some("Second") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
