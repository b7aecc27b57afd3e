//! Rules 17 and 18 on the real control plane: a new UID never inherits, and a row whose object vanished is quarantined.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::controller::{Controller, Place, Tenant, place};
use crate::controlplane::{DEADLINE, eventually};
use crate::rows::{FURNITURE, Rows, program, uid};

#[tokio::test]
async fn a_new_object_of_an_old_name_inherits_nothing() {
    let tenant = Tenant::new("again", json!({"seats": 10})).await;
    tenant.furnished().await;
    let members = |count: i64| move |object: &Value| object["status"]["members"] == count;
    tenant.until("Department", "desk", "has its member", members(1)).await;
    let facts = async || {
        let mut facts = HashSet::new();
        for (kind, name) in FURNITURE {
            let object = tenant.ready(kind, name).await;
            facts.insert(uid(&object));
            facts.insert(object["status"]["externalId"].to_string());
            facts.extend(object["status"]["publicKey"].as_str().map(str::to_owned));
        }
        facts
    };
    let before = facts().await;
    assert_eq!(before.len(), 2 * FURNITURE.len() + 1);
    tenant.erase("Organization", "one").await;
    for (kind, name) in FURNITURE {
        tenant.gone(kind, name).await;
    }
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
    tenant.department("desk", "one", &[]).await;
    tenant.widget("web", "one").await;
    let after = facts().await;
    assert!(before.is_disjoint(&after), "{:?}", before.intersection(&after));
    tenant.until("Department", "desk", "has no member", members(0)).await;
    let rows = Rows::of(Controller::shared().await).await;
    for key in &before {
        assert_eq!(rows.with_key(key).await, 0);
    }
}

#[tokio::test]
async fn an_operator_deleted_and_created_again_at_once_is_a_new_one() {
    let tenant = Tenant::new("again-operator", json!({"seats": 10})).await;
    tenant.furnished().await;
    let before = tenant.ready("Operator", "tom").await;
    tenant.delete("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    let mut spec = crate::controller::operator_spec("tom", "one");
    spec["role"] = json!("Agent");
    tenant.create("Operator", "tom", spec).await;
    let after = tenant.ready("Operator", "tom").await;
    assert_ne!((uid(&before), &before["status"]["externalId"]), (uid(&after), &after["status"]["externalId"]));
    let rows = Rows::of(Controller::shared().await).await;
    assert_eq!((rows.with_key(&uid(&before)).await, rows.with_key(&uid(&after)).await), (0, 1));
    let freed = |object: &Value| object["status"]["seats"]["held"] == 3;
    tenant.until("Account", "acme", "counts three seats", freed).await;
}

#[tokio::test]
async fn an_object_that_vanishes_without_cleanup_leaves_a_quarantined_row_that_is_in_nobodys_way() {
    let tenant = Tenant::new("vanish", json!({"seats": 4})).await;
    tenant.furnished().await;
    let controller = Controller::shared().await;
    let rows = Rows::of(controller).await;
    let tom = tenant.ready("Operator", "tom").await;
    // Paused, the controller keeps the finalizer: a person then takes it off.
    tenant.annotate("Operator", "tom", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Operator", "tom", "is paused", |object| crate::controller::condition(object, "Paused")["status"] == "True").await;
    tenant.delete("Operator", "tom").await;
    tenant.strip("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    let quarantined = "SELECT COUNT(*) FROM operators WHERE key = $1 AND quarantined";
    eventually("the row is quarantined", DEADLINE, async || match rows.number(quarantined, &uid(&tom)).await {
        1 => Ok(()),
        _ => Err("not yet"),
    })
    .await;
    assert_eq!(rows.receipt(&uid(&tom)).await, None, "nothing was erased");

    // Its e-mail and its place in departments are free, its seat is not: this is the last one.
    tenant.operator("tom", "one").await;
    let again = tenant.ready("Operator", "tom").await;
    assert_ne!(again["status"]["externalId"], tom["status"]["externalId"]);
    tenant.until("Department", "desk", "has the new member", |object| object["status"]["members"] == 1).await;
    tenant.operator("tina", "one").await;
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;

    let id = tom["status"]["externalId"].as_str().expect("a row");
    let (ok, printed) = program(&tenant.plane.kubeconfig(), &["store", "orphans", "--database", controller.store()]);
    let line = printed.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{id} is not in: {printed}"));
    assert!(ok && line.contains("Quarantined") && line.contains(&format!("{}/tom", tenant.namespace)), "{line}");
    if place() != Place::ServerOnPostgres {
        let (ok, printed) = program(&tenant.plane.kubeconfig(), &["store", "erase-row", id, "--yes", "--database", controller.store()]);
        assert!(!ok && printed.contains("is in use by process"), "{printed}");
    }
}
