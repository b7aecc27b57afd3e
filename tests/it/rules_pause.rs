//! Rule 20 on the real control plane: a pause stops writes to the backend for the object and everything below it.

use serde_json::{Value, json};

use crate::controller::{Controller, Tenant, backend, condition, create, ready, until};
use crate::rows::{Rows, uid};
use crate::rules_world::{self, ORG, in_line, limit, message_of, store, tickets};

fn paused(object: &Value) -> bool {
    condition(object, "Paused")["status"] == "True"
}

#[tokio::test]
async fn a_paused_backend_stops_all_writes_for_its_accounts_and_for_no_others() {
    let tenant = Tenant::new("pause-backend", json!({"seats": 9})).await;
    let own = tenant.namespace.clone();
    create(tenant.plane, backend(&own)).await;
    ready(tenant.plane, "AccountBackend", "", &own).await;
    tenant.account_with("acme", json!({"backendRef": {"name": own}})).await;
    tenant.account("elsewhere").await;
    for name in ["tom", "tina"] {
        tenant.operator(name, ORG).await;
        tenant.ready("Operator", name).await;
    }
    let pause = async |value: Value| {
        tenant.patch_cluster("AccountBackend", &own, json!({"metadata": {"annotations": {"deskplane.dev/paused": value}}})).await;
    };
    pause(json!("true")).await;
    until(tenant.plane, "AccountBackend", "", &own, "is paused", paused).await;
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Changed"}})).await;
    tenant.delete("Operator", "tina").await;
    tenant.operator("late", ORG).await;
    for (kind, name) in [("Account", "acme"), ("Organization", ORG), ("Operator", "tom"), ("Operator", "tina"), ("Operator", "late")] {
        let object = tenant.until(kind, name, "is paused by its backend", paused).await;
        let message = condition(&object, "Paused")["message"].as_str().unwrap();
        assert!(message.contains(&format!("AccountBackend {own} has the annotation deskplane.dev/paused")), "{kind} {name}: {message}");
        if name != "late" {
            assert!(
                message_of(&object).starts_with(&format!("Paused by AccountBackend {own}: ")),
                "{kind} {name}: {}",
                message_of(&object)
            );
        }
    }
    // Ready stays as it was; the message says what is not carried out.
    let tom = tenant.until("Operator", "tom", "waits", |tom| message_of(tom).contains("since generation 1 is not applied")).await;
    assert_eq!((&condition(&tom, "Ready")["status"], &tom["status"]["observedGeneration"]), (&json!("True"), &json!(1)));
    assert!(message_of(&tom).ends_with("Before that: The backend equals the spec."), "{}", message_of(&tom));
    tenant.until("Operator", "tina", "waits", |tina| message_of(tina).contains("Its deletion waits.")).await;
    let late = tenant.until("Operator", "late", "waits", paused).await;
    assert!(condition(&late, "Paused")["message"].as_str().unwrap().contains("for the first time"), "{late}");
    // Another backend's account goes on; and when it is done, so much could have been written here too.
    tenant.operator("free", "elsewhere-default").await;
    tenant.ready("Operator", "free").await;
    let rows = Rows::of(Controller::shared().await).await;
    let key = async |name: &str| uid(&tenant.get("Operator", name).await.expect("it is there"));
    let changed = "SELECT COUNT(*) FROM operators WHERE key = $1 AND display_name = 'Changed'";
    assert_eq!(rows.number(changed, &key("tom").await).await, 0);
    assert_eq!((rows.with_key(&key("tina").await).await, rows.with_key(&key("late").await).await), (1, 0));

    pause(Value::Null).await;
    tenant.gone("Operator", "tina").await;
    for name in ["tom", "late"] {
        let resumed = tenant.ready("Operator", name).await;
        assert!(!paused(&resumed) && message_of(&resumed) == "The backend equals the spec.", "{name}: {}", message_of(&resumed));
    }
    assert_eq!(rows.number(changed, &key("tom").await).await, 1);
}

#[tokio::test]
async fn a_paused_organization_and_a_paused_widget_keep_their_tickets_and_are_skipped() {
    let tenant = rules_world::tenant("pause-tickets", json!({"seats": 9, "organizations": 1, "widgets": 1})).await;
    let widget = json!({"organizationRef": {"name": ORG}});
    tenant.create("Widget", "w1", widget.clone()).await;
    tenant.ready("Widget", "w1").await;
    for name in ["two", "three"] {
        tenant.organization(name, "acme").await;
        tenant.reason("Organization", name, "OrganizationLimitExceeded").await;
    }
    for name in ["w2", "w3"] {
        tenant.create("Widget", name, widget.clone()).await;
        tenant.reason("Widget", name, "WidgetLimitExceeded").await;
    }
    let waiting = [("Organization", "two"), ("Widget", "w2")];
    for (kind, name) in waiting {
        tenant.annotate(kind, name, "deskplane.dev/paused", json!("true")).await;
        tenant.until(kind, name, "is paused", paused).await;
    }
    limit(&tenant, json!({"seats": 9, "organizations": 2, "widgets": 2})).await;
    tenant.ready("Organization", "three").await;
    tenant.ready("Widget", "w3").await;
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["two", "w2"], "they keep their tickets");

    for (kind, name) in waiting {
        tenant.annotate(kind, name, "deskplane.dev/paused", Value::Null).await;
        tenant.until(kind, name, "1st in line", |one| !paused(one) && message_of(one).contains("is 1st in line")).await;
    }
    limit(&tenant, json!({"seats": 9, "organizations": 3, "widgets": 3})).await;
    for (kind, name) in waiting {
        tenant.ready(kind, name).await;
    }
}

#[tokio::test]
async fn a_pause_stops_no_limit() {
    let tenant = rules_world::tenant("pause-limit", json!({"seats": 2})).await;
    rules_world::seat(&tenant, "tom").await;
    tenant.annotate("Operator", "tom", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Operator", "tom", "is paused", paused).await;
    // Whoever is to be suspended while paused keeps the seat until then.
    rules_world::suspend(&tenant, "tom", true).await;
    rules_world::wait_in_line(&tenant, "tina", Some(1)).await;
    in_line(&tenant, "tina", Some(1)).await;
    tenant.annotate("Operator", "tom", "deskplane.dev/paused", Value::Null).await;
    tenant.ready("Operator", "tina").await;
}
