//! Rule 13 on the real control plane: another store, or an older copy, is recognised, and nothing is lost by it.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::controller::{BACKEND, TenantOn, backend, condition, create, get, ready, reason_is, until};
use crate::controlplane::ControlPlane;
use crate::rows::{FURNITURE, Rows, files, message, on_store, uid};

fn copy(from: &Path, to: &Path) {
    for (from, to) in files(from).iter().zip(files(to)) {
        let _ = std::fs::remove_file(&to);
        if from.exists() {
            std::fs::copy(from, to).expect("copy the store");
        }
    }
}

/// The backend and all that stands on it say so.
async fn replaced(tenant: &TenantOn<'_>) -> String {
    let backend = reason_is(tenant.plane, "AccountBackend", "", BACKEND, "BackendReplaced").await;
    assert!(message(&backend).contains("kubectl annotate ab embedded deskplane.dev/accept-store="), "{}", message(&backend));
    tenant.reason("Account", "acme", "BackendReplaced").await;
    for (kind, name) in FURNITURE {
        tenant.reason(kind, name, "BackendReplaced").await;
    }
    message(&backend)
}

/// Nothing was written to a store, not even an epoch.
async fn untouched(database: &Path, epochs: i64) {
    let rows = Rows::at(database).await;
    assert_eq!(rows.number("SELECT COALESCE(MAX(epoch), 0) FROM epochs WHERE $1 = $1", "").await, epochs);
    rows.close().await;
}

#[tokio::test]
async fn another_store_or_an_older_copy_makes_nothing_and_lets_nothing_go_until_it_is_accepted() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("accounts.db");
    let (backup, right, empty) = (folder.path().join("backup.db"), folder.path().join("right.db"), folder.path().join("empty.db"));
    let mut controller = on_store(&plane, &database).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "replaced", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    assert!(controller.stop().await);
    copy(&database, &backup);
    let mut controller = on_store(&plane, &database).await;
    tenant.operator("later", "one").await;
    tenant.ready("Operator", "later").await;
    assert!(controller.stop().await);
    copy(&database, &right);

    // A backup of an earlier epoch.
    copy(&backup, &database);
    let mut controller = on_store(&plane, &database).await;
    let said = replaced(&tenant).await;
    assert!(said.contains("older than what was written to it"), "{said}");
    tenant.operator("new", "one").await;
    tenant.reason("Operator", "new", "BackendReplaced").await;
    tenant.delete("Operator", "tom").await;
    let held = tenant.reason("Operator", "tom", "BackendReplaced").await;
    assert_eq!(held["metadata"]["finalizers"], json!(["deskplane.dev/erase"]));
    tenant.erase("Organization", "two").await;
    tenant.reason("Organization", "two", "BackendReplaced").await;
    assert!(controller.stop().await);
    untouched(&database, 1).await;

    // The right one again: all goes on as if nothing had been.
    copy(&right, &database);
    let mut controller = on_store(&plane, &database).await;
    tenant.gone("Operator", "tom").await;
    tenant.gone("Organization", "two").await;
    for name in ["new", "later"] {
        tenant.ready("Operator", name).await;
    }
    tenant.operator("tom", "one").await;
    tenant.organization("two", "acme").await;
    tenant.ready("Operator", "two-first-operator").await;
    let before = tenant.ready("Organization", "one").await;
    for (kind, name) in FURNITURE {
        tenant.ready(kind, name).await;
    }
    assert!(controller.stop().await);

    // An empty one.
    let controller = on_store(&plane, &empty).await;
    let said = replaced(&tenant).await;
    assert!(said.contains("another store answers"), "{said}");
    released(&tenant).await;
    accepted(&tenant, &empty, &before, &said).await;
    drop(controller);
}

/// With the wrong store in place, letting go works all the same, without telling it.
async fn released(tenant: &TenantOn<'_>) {
    tenant.annotate("Organization", "two", "deskplane.dev/release", json!("two")).await;
    let organization = tenant.reason("Organization", "two", "Released").await;
    assert!(message(&organization).contains("without telling the backend"), "{}", message(&organization));
    for (kind, name) in [("Operator", "two-first-operator"), ("Organization", "two")] {
        let free = |object: &Value| condition(object, "Ready")["reason"] == "Released" && object["metadata"]["finalizers"].is_null();
        tenant.until(kind, name, "is let go", free).await;
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }
}

async fn accepted(tenant: &TenantOn<'_>, database: &Path, before: &Value, said: &str) {
    let plane = tenant.plane;
    let accept = async |store: &str| {
        tenant.patch_cluster("AccountBackend", BACKEND, json!({"metadata": {"annotations": {"deskplane.dev/accept-store": store}}})).await;
    };
    let known = get(plane, "AccountBackend", "", BACKEND).await.unwrap()["status"]["storeId"].as_str().unwrap().to_owned();
    accept(&known).await;
    tenant.patch("Operator", "later", json!({"spec": {"displayName": "Later"}})).await;
    tenant.reason("Operator", "later", "BackendReplaced").await;
    untouched(database, 0).await;

    let found = said.split("accept-store=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("the id of the store");
    accept(found).await;
    let backend = ready(plane, "AccountBackend", "", BACKEND).await;
    assert_eq!(backend["status"]["storeId"], json!(found));
    tenant.ready("Account", "acme").await;
    let rows = Rows::at(database).await;
    for (kind, name) in FURNITURE.into_iter().filter(|(_, name)| *name != "one-first-operator") {
        let object = tenant.ready(kind, name).await;
        assert_eq!(object["status"]["storeId"], json!(found), "{kind} {name}");
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
    let after = tenant.ready("Organization", "one").await;
    assert_eq!(uid(&after), uid(before));
    assert_ne!(after["status"]["externalId"], before["status"]["externalId"]);
    // Its Secret has a password of the former store, and nobody may read it: a person decides.
    let taken = tenant.reason("Operator", "one-first-operator", "NameTaken").await;
    assert!(message(&taken).contains("Delete that Secret"), "{}", message(&taken));
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, &tenant.namespace);
    secrets.delete("one-first-operator-credentials", &DeleteParams::default()).await.unwrap();
    tenant.ready("Operator", "one-first-operator").await;
}

#[tokio::test]
async fn an_acceptance_counts_once_an_older_copy_of_the_accepted_store_is_refused_again() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let [first, second, backup] = ["first.db", "second.db", "backup.db"].map(|name| folder.path().join(name));
    let mut controller = on_store(&plane, &first).await;
    create(&plane, backend(BACKEND)).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "accepted-once", json!({"seats": 10})).await;
    tenant.account("acme").await;
    tenant.ready("Account", "acme").await;
    assert!(controller.stop().await);

    let mut controller = on_store(&plane, &second).await;
    let refused = reason_is(&plane, "AccountBackend", "", BACKEND, "BackendReplaced").await;
    let accept = accepting(&refused);
    for command in &accept {
        tenant.type_in(command);
    }
    tenant.ready("Account", "acme").await;
    assert!(controller.stop().await);
    copy(&second, &backup);
    let mut controller = on_store(&plane, &second).await;
    tenant.operator("later", "acme-default").await;
    let later = tenant.ready("Operator", "later").await;
    assert!(controller.stop().await);

    // The annotation that accepted it still stands.
    copy(&backup, &second);
    let controller = on_store(&plane, &second).await;
    let refused = reason_is(&plane, "AccountBackend", "", BACKEND, "BackendReplaced").await;
    assert!(message(&refused).contains("older than what was written to it"), "{}", message(&refused));
    tenant.reason("Operator", "later", "BackendReplaced").await;
    assert_eq!(accepting(&refused), accept, "it is the same store");
    let annotated = |backend: &Value| backend["metadata"]["annotations"]["deskplane.dev/accept-store"].is_string();
    for command in &accept {
        tenant.type_in(command);
        // Whoever types this is slower than the controller; on a busy machine, a test may not be.
        let seen = |backend: &Value| annotated(backend) || backend["status"]["acceptedStore"].is_null();
        until(&plane, "AccountBackend", "", BACKEND, "taken back", seen).await;
    }
    let made_anew = tenant.ready("Operator", "later").await;
    assert_ne!(made_anew["status"]["externalId"], later["status"]["externalId"]);
    drop(controller);
}

#[tokio::test]
async fn what_a_second_controller_with_another_database_said_does_not_outlast_it() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let [database, stray] = ["accounts.db", "stray.db"].map(|name| folder.path().join(name));
    let mut healthy = on_store(&plane, &database).await;
    let mut served = backend(BACKEND);
    // Nothing here is put right by a sweep.
    served["spec"]["resyncInterval"] = json!("24h");
    create(&plane, served).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    let tenant = TenantOn::on(&plane, "stray", json!({"seats": 10})).await;
    tenant.furnished().await;
    for (kind, name) in FURNITURE {
        tenant.ready(kind, name).await;
    }

    let mut second = on_store(&plane, &stray).await;
    let log = second.logged("a second controller, with another --database").await;
    assert!(log.contains("kubectl get pods -A -l app.kubernetes.io/name=deskplane"), "{log}");
    second.logged(r#"kind="Operator""#).await;
    assert!(second.stop().await);
    untouched(&stray, 0).await;
    ready(&plane, "AccountBackend", "", BACKEND).await;
    for (kind, name) in FURNITURE {
        tenant.ready(kind, name).await;
    }
    assert!(healthy.stop().await);
}

/// The commands that a refused backend tells a person to type.
fn accepting(backend: &Value) -> Vec<Vec<String>> {
    let message = message(backend);
    let commands = message.split("kubectl ").skip(1).map(|rest| rest.trim_end_matches([' ', '&']));
    commands.filter(|command| command.starts_with("annotate ")).map(|command| command.split(' ').map(str::to_owned).collect()).collect()
}
