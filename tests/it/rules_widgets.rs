//! Rule 9 on the real control plane: whether a widget's visitors can reach anybody.

use serde_json::json;

use crate::controller::{Tenant, condition};
use crate::rules_world::{ORG, in_line, limit, seat, suspend, tenant, wait_in_line};

async fn widget(tenant: &Tenant) {
    tenant.create("Widget", "web", json!({"organizationRef": {"name": ORG}})).await;
}

async fn department(tenant: &Tenant, name: &str, operators: &[&str]) {
    let operators: Vec<_> = operators.iter().map(|name| json!({"name": name})).collect();
    let spec = json!({"organizationRef": {"name": ORG}, "displayName": name, "members": {"operators": operators}});
    tenant.create("Department", name, spec).await;
}

/// Waits until the widget is `AlwaysOffline` for this reason; it is Ready all the same.
async fn offline(tenant: &Tenant, reason: &str, advice: &str) {
    let widget = tenant.until("Widget", "web", reason, |widget| condition(widget, "Available")["reason"] == reason).await;
    assert_eq!(condition(&widget, "Available")["status"], "False");
    assert_eq!(widget["status"]["availability"], "AlwaysOffline");
    let message = condition(&widget, "Available")["message"].as_str().expect("a message");
    assert!(message.starts_with(&format!("Organization \"{ORG}\" has")) && message.contains(advice), "{message}");
    assert_eq!(condition(&widget, "Ready")["status"], "True", "it is made as its spec wants it");
}

async fn online(tenant: &Tenant) {
    let widget = tenant.until("Widget", "web", "Online", |widget| widget["status"]["availability"] == "Online").await;
    assert_eq!(condition(&widget, "Available")["status"], "True");
    assert_eq!(condition(&widget, "Ready")["status"], "True");
}

const NO_DEPARTMENTS: &str = "Create a Department with at least one operator who holds a seat.";
const NO_OPERATORS: &str = "Add one to spec.members of a Department, or free a seat for one who waits.";

#[tokio::test]
async fn a_widget_is_online_only_while_a_department_has_an_operator_who_holds_a_seat() {
    let tenant = tenant("widget-online", json!({"seats": 9})).await;
    widget(&tenant).await;
    offline(&tenant, "NoDepartments", NO_DEPARTMENTS).await;
    department(&tenant, "sales", &[]).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    seat(&tenant, "tom").await;
    tenant.patch("Department", "sales", json!({"spec": {"members": {"operators": [{"name": "tom"}]}}})).await;
    online(&tenant).await;

    suspend(&tenant, "tom", true).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    suspend(&tenant, "tom", false).await;
    online(&tenant).await;
    tenant.patch("Department", "sales", json!({"spec": {"members": null}})).await;
    tenant.patch("Department", "sales", json!({"spec": {"members": {"operators": []}}})).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    department(&tenant, "support", &["tom"]).await;
    online(&tenant).await;
    tenant.delete("Department", "support").await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    tenant.delete("Department", "sales").await;
    offline(&tenant, "NoDepartments", NO_DEPARTMENTS).await;
}

#[tokio::test]
async fn a_widget_goes_offline_when_its_only_assigned_operator_is_deleted() {
    let tenant = tenant("widget-deleted", json!({"seats": 9})).await;
    seat(&tenant, "tom").await;
    department(&tenant, "sales", &["tom"]).await;
    tenant.ready("Department", "sales").await;
    widget(&tenant).await;
    online(&tenant).await;
    tenant.delete("Operator", "tom").await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
}

#[tokio::test]
async fn an_operator_who_waits_for_a_seat_brings_a_widget_online_only_when_it_gets_one() {
    let tenant = tenant("widget-waits", json!({"seats": 1})).await;
    wait_in_line(&tenant, "tom", Some(1)).await;
    department(&tenant, "sales", &["tom"]).await;
    tenant.ready("Department", "sales").await;
    widget(&tenant).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    limit(&tenant, json!({"seats": 2})).await;
    online(&tenant).await;

    // Unsuspending in a full account: a row and a department, but no seat.
    suspend(&tenant, "tom", true).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    seat(&tenant, "tina").await;
    suspend(&tenant, "tom", false).await;
    in_line(&tenant, "tom", Some(1)).await;
    offline(&tenant, "NoAssignedOperators", NO_OPERATORS).await;
    suspend(&tenant, "tina", true).await;
    online(&tenant).await;
}

#[tokio::test]
async fn a_widget_belongs_to_all_departments_of_its_own_organization_only() {
    let tenant = tenant("widget-own", json!({"seats": 9})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.create("Widget", "other", json!({"organizationRef": {"name": "two"}})).await;
    widget(&tenant).await;
    seat(&tenant, "tom").await;
    department(&tenant, "sales", &["tom"]).await;
    online(&tenant).await;
    let other = tenant.ready("Widget", "other").await;
    assert_eq!(condition(&other, "Available")["reason"], "NoDepartments");
}
