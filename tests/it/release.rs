//! Rule 15 on the real control plane: what is let go stays in the store, unmanaged, and its objects are free.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::controller::{Controller, Tenant, TenantOn, api, condition};
use crate::rows::{FURNITURE, Rows, message, program, uid};

const LET_GO: &str =
    "SELECT (SELECT COUNT(*) FROM organizations WHERE external_id = $1 AND key IS NULL AND owner IS NULL AND owner_name IS NULL)
    + (SELECT COUNT(*) FROM operators WHERE external_id = $1 AND key IS NULL AND owner IS NULL AND owner_name IS NULL)
    + (SELECT COUNT(*) FROM departments WHERE external_id = $1 AND key IS NULL AND owner IS NULL AND owner_name IS NULL)
    + (SELECT COUNT(*) FROM widgets WHERE external_id = $1 AND key IS NULL AND owner IS NULL AND owner_name IS NULL)
    + (SELECT COUNT(*) FROM accounts WHERE external_id = $1 AND key IS NULL AND owner IS NULL AND owner_name IS NULL)";

/// UID and external id of each object.
async fn ids(tenant: &TenantOn<'_>, objects: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut ids = Vec::new();
    for (kind, name) in objects {
        let object = tenant.ready(kind, name).await;
        ids.push((uid(&object), object["status"]["externalId"].as_str().expect("a row").to_owned()));
    }
    ids
}

/// Every row is there, without key and owner, and its key has a receipt.
async fn let_go(rows: &Rows, ids: &[(String, String)]) {
    for (key, external_id) in ids {
        assert_eq!(rows.number(LET_GO, external_id).await, 1, "{external_id}");
        assert_eq!((rows.with_key(key).await, rows.receipt(key).await.as_deref()), (0, Some("released")));
    }
}

/// The store's audit and an Event tell of it.
async fn told(tenant: &TenantOn<'_>, rows: &Rows, kind: &str, name: &str, key: &str) {
    assert_eq!(rows.number("SELECT COUNT(*) FROM audit WHERE key = $1 AND action = 'release'", key).await, 1);
    let path = r#"jsonpath={range .items[?(@.reason=="Released")]}{.regarding.kind} {.regarding.name}{"\n"}{end}"#;
    let events = tenant.plane.kubectl_ok(&["get", "events.events.k8s.io", "-n", &tenant.namespace, "-o", path]);
    assert!(events.lines().any(|line| line == format!("{kind} {name}")), "{events}");
}

/// The object says so, and anybody can delete it, the controller running or not.
fn is_free(object: &Value) -> bool {
    condition(object, "Ready")["reason"] == "Released"
        && condition(object, "Stalled")["status"] == "True"
        && object["status"]["externalId"].is_null()
        && object["metadata"]["finalizers"].is_null()
}

#[tokio::test]
async fn a_released_organization_keeps_its_rows_and_its_objects_are_free() {
    let tenant = Tenant::new("release", json!({"seats": 10})).await;
    tenant.furnished().await;
    let before = ids(&tenant, &FURNITURE).await;
    let rows = Rows::of(Controller::shared().await).await;
    // The verb waits until no finalizer of ours is left on anything in it.
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &["release", "one", "--yes", "-n", &tenant.namespace, "--timeout", "60"]);
    assert!(ok, "{printed}");
    for (kind, name) in FURNITURE {
        tenant.until(kind, name, "is let go", is_free).await;
    }
    let_go(&rows, &before).await;
    told(&tenant, &rows, "Organization", "one", &before[0].0).await;
    // Whoever was interrupted runs it again, and gets the whole receipt.
    let again = ["release", "one", "-n", &tenant.namespace, "-o", "json"];
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &again);
    let receipt: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let line = &receipt["objects"][0];
    assert_eq!((ok, &line["externalId"], &line["outcome"]), (true, &json!(before[0].1), &json!("Released")), "{printed}");
    let unmanaged = |object: &Value| object["status"]["seats"]["unmanaged"] == 2 && object["status"]["seats"]["held"] == 3;
    tenant.until("Account", "acme", "counts what is unmanaged", unmanaged).await;

    // Nothing is made for these objects again, whatever is changed about them; new ones find no place in it.
    for (kind, name) in [("Operator", "tom"), ("Department", "desk"), ("Widget", "web"), ("Organization", "one")] {
        tenant.patch(kind, name, json!({"spec": {"displayName": "Changed"}})).await;
        tenant.reason(kind, name, "Released").await;
    }
    tenant.operator("late", "one").await;
    tenant.reason("Operator", "late", "Released").await;
    let_go(&rows, &before).await;
    let changed = "SELECT COUNT(*) FROM operators WHERE external_id = $1 AND display_name = 'Changed'";
    assert_eq!(rows.number(changed, &before[2].1).await, 0);

    // The organization last: the garbage collector takes along what it made.
    for (kind, name) in FURNITURE.into_iter().rev() {
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }
    let_go(&rows, &before).await;
    // The name starts afresh.
    tenant.delete("Operator", "late").await;
    tenant.organization("one", "acme").await;
    let again = tenant.ready("Organization", "one").await;
    assert_ne!(again["status"]["externalId"], json!(before[0].1));
    assert_ne!(uid(&again), before[0].0);
}

#[tokio::test]
async fn a_released_account_lets_all_its_organizations_go() {
    let tenant = Tenant::new("release-account", json!({"seats": 10})).await;
    tenant.furnished().await;
    let all: Vec<_> = [("Account", "acme"), ("Organization", "acme-default")].into_iter().chain(FURNITURE).collect();
    let before = ids(&tenant, &all).await;
    let rows = Rows::of(Controller::shared().await).await;
    let (ok, printed) =
        program(&tenant.plane.kubeconfig(), &["release", "acme", "--account", "--yes", "-n", &tenant.namespace, "--timeout", "60"]);
    assert!(ok, "{printed}");
    for (kind, name) in &all {
        tenant.until(kind, name, "is let go", is_free).await;
    }
    let_go(&rows, &before).await;
    told(&tenant, &rows, "Account", "acme", &before[0].0).await;
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &["release", "--all", "-n", &tenant.namespace, "-o", "json"]);
    let receipt: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    let listed: Vec<_> = receipt["objects"].as_array().expect("objects").iter().map(|line| line["externalId"].clone()).collect();
    let expected: Vec<_> = before[..3].iter().map(|(_, id)| json!(id)).collect();
    assert_eq!((ok, listed), (true, expected), "{printed}");
    tenant.delete("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    // Its parent is gone: what was let go stays so.
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Changed"}})).await;
    tenant.reason("Operator", "tom", "Released").await;
    tenant.account("acme").await;
    let again = tenant.ready("Account", "acme").await;
    assert_ne!(again["status"]["externalId"], json!(before[0].1));
    tenant.until("Operator", "tom", "stays let go", is_free).await;
    let_go(&rows, &before).await;
}

#[tokio::test]
async fn releasing_works_while_terminating_and_frees_what_is_held_below() {
    let tenant = Tenant::new("release-late", json!({"seats": 10})).await;
    tenant.furnished().await;
    let before = ids(&tenant, &FURNITURE).await;
    tenant.collect("Organization", "one").await;
    tenant.reason("Organization", "one", "ConfirmationRequired").await;
    tenant.delete("Operator", "tom").await;
    tenant.reason("Operator", "tom", "WaitingForParent").await;
    tenant.delete("Widget", "web").await;
    tenant.reason("Widget", "web", "WaitingForParent").await;
    tenant.annotate("Organization", "one", "deskplane.dev/release", json!("one")).await;
    for (kind, name) in [("Organization", "one"), ("Operator", "tom"), ("Widget", "web")] {
        tenant.gone(kind, name).await;
    }
    // The garbage collector takes the first operator along; the rest can be deleted.
    tenant.delete("Department", "desk").await;
    tenant.gone("Department", "desk").await;
    let_go(&Rows::of(Controller::shared().await).await, &before).await;
}

#[tokio::test]
async fn what_only_waited_for_a_seat_is_let_go_too() {
    let tenant = Tenant::new("release-waiting", json!({"seats": 1})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    tenant.organization("one", "acme").await;
    let waiting = tenant.reason("Organization", "one", "SeatLimitExceeded").await;
    tenant.annotate("Organization", "one", "deskplane.dev/release", json!("one")).await;
    tenant.until("Organization", "one", "is let go", is_free).await;
    tenant.until("Operator", "one-first-operator", "is let go", is_free).await;
    let rows = Rows::of(Controller::shared().await).await;
    assert_eq!(rows.number("SELECT COUNT(*) FROM tickets WHERE key = $1", &uid(&waiting)).await, 0);
    // The seat that becomes free is not theirs any more.
    tenant.patch_cluster("Plan", &tenant.plan, json!({"spec": {"limits": {"seats": 2}}})).await;
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;
    assert_eq!(rows.with_key(&uid(&waiting)).await, 0);
}

#[tokio::test]
async fn what_is_in_a_store_that_nobody_stands_for_is_held_until_it_is_let_go() {
    let tenant = Tenant::new("release-elsewhere", json!({"seats": 9})).await;
    tenant.account_with("acme", json!({"backendRef": {"name": "left-the-cluster"}})).await;
    tenant.organization("one", "acme").await;
    let all = [("Organization", "one"), ("Account", "acme")];
    for (kind, name) in all {
        tenant.reason(kind, name, "BackendNotFound").await;
        // As it was left by a controller whose AccountBackend stood for another store.
        let elsewhere = json!({"status": {"externalId": "elsewhere", "storeId": "store_elsewhere"}});
        let objects = api(tenant.plane, kind, &tenant.namespace).await;
        objects.patch_status(name, &PatchParams::default(), &Patch::Merge(elsewhere)).await.expect("patch the status");
    }
    for (kind, name) in all {
        tenant.collect(kind, name).await;
        let says_so = |object: &Value| message(object).contains("status.storeId names a store that no AccountBackend of this");
        let held = tenant.until(kind, name, "is held", says_so).await;
        assert_eq!(condition(&held, "Ready")["reason"], "BackendNotFound", "{kind} {name}");
        assert!(message(&held).contains("annotate the Organization or Account with deskplane.dev/release"), "{}", message(&held));
    }
    for (kind, name) in all {
        tenant.annotate(kind, name, "deskplane.dev/release", json!(name)).await;
        tenant.gone(kind, name).await;
    }
}
