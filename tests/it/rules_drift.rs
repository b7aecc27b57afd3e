//! Rule 19 on the real control plane: changes made directly in the backend are found and corrected.

use serde_json::json;

use crate::controller::{Controller, Tenant};
use crate::controlplane::{DEADLINE, eventually};
use crate::database::Database;
use crate::rows::uid;
use crate::rules_world;

struct Drift {
    tenant: Tenant,
    store: Database,
}

impl Drift {
    async fn new(hint: &str) -> Self {
        let tenant = Tenant::new(hint, json!({"seats": 9})).await;
        tenant.account_with("acme", json!({"owner": {"displayName": "Ada"}})).await;
        tenant.organization("one", "acme").await;
        tenant.patch("Organization", "one", json!({"spec": {"displayName": "One", "language": "de"}})).await;
        tenant.ready("Organization", "one").await;
        Self { tenant, store: Database::of(Controller::shared().await) }
    }

    /// Changes one row of the namespace, as somebody does who writes to the backend directly.
    async fn change(&self, table: &str, name: &str, assignments: &str) {
        let sql = format!("UPDATE {table} SET {assignments} WHERE owner_namespace = $1 AND owner_name = $2");
        self.store.change(&sql, &[&self.tenant.namespace, name]).await;
    }

    async fn value(&self, table: &str, name: &str, expression: &str) -> Option<String> {
        let sql = format!("SELECT {expression} FROM {table} WHERE owner_namespace = $1 AND owner_name = $2");
        self.store.texts(&sql, &[&self.tenant.namespace, name]).await.pop()
    }

    async fn until(&self, table: &str, name: &str, expression: &str, expected: &str) {
        eventually(&format!("{table} {name}: {expression} is {expected}"), DEADLINE, async || {
            let found = self.value(table, name, expression).await;
            if found.as_deref() == Some(expected) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

#[tokio::test]
async fn fields_that_were_changed_in_the_backend_are_corrected_and_fields_absent_from_the_spec_are_not() {
    let drift = Drift::new("drift").await;
    let tenant = &drift.tenant;
    let tom = json!({"organizationRef": {"name": "one"}, "email": "tom@x.example", "displayName": "Tom", "role": "Agent",
        "credentials": {"mode": "None"}});
    tenant.create("Operator", "tom", tom).await;
    tenant.create("Department", "sales", json!({"organizationRef": {"name": "one"}, "displayName": "Sales"})).await;
    let web = json!({"organizationRef": {"name": "one"}, "displayName": "Web", "allowedOrigins": ["https://a.example"]});
    tenant.create("Widget", "web", web).await;
    for (kind, name) in [("Operator", "tom"), ("Department", "sales"), ("Widget", "web")] {
        tenant.ready(kind, name).await;
    }
    let before = tenant.get("Operator", "tom").await.unwrap();
    drift
        .change("operators", "tom", "display_name = 'Mallory', role = 'Manager', suspended = TRUE, nickname = 'Tommy', position = 7")
        .await;
    drift.change("organizations", "one", "display_name = 'Other', language = 'fr', country = 'FR'").await;
    drift.change("accounts", "acme", "owner_email = 'mallory@x.example', seats_limit = 1000").await;
    drift.change("departments", "sales", "display_name = 'Other', position = 3").await;
    drift.change("widgets", "web", "allowed_origins = '[]', color = '#ffffff'").await;
    drift.until("operators", "tom", "display_name || ' ' || role || CASE WHEN suspended THEN ' suspended' ELSE '' END", "Tom Agent").await;
    drift.until("organizations", "one", "display_name || ' ' || language", "One de").await;
    drift.until("accounts", "acme", "owner_email || ' ' || seats_limit", "owner@acme.example 9").await;
    drift.until("departments", "sales", "display_name", "Sales").await;
    drift.until("widgets", "web", "allowed_origins", "[\"https://a.example\"]").await;
    assert_eq!(drift.value("operators", "tom", "nickname || ' ' || position").await.as_deref(), Some("Tommy 7"));
    assert_eq!(drift.value("organizations", "one", "country").await.as_deref(), Some("FR"));
    assert_eq!(drift.value("departments", "sales", "CAST(position AS TEXT)").await.as_deref(), Some("3"));
    assert_eq!(drift.value("widgets", "web", "color").await.as_deref(), Some("#ffffff"));
    let after = tenant.ready("Operator", "tom").await;
    assert_eq!(after["status"]["externalId"], before["status"]["externalId"]);
}

#[tokio::test]
async fn a_row_that_was_deleted_in_the_backend_is_made_again() {
    let drift = Drift::new("drift-rows").await;
    let tenant = &drift.tenant;
    tenant.operator("tom", "one").await;
    tenant.create("Widget", "web", json!({"organizationRef": {"name": "one"}})).await;
    tenant
        .create(
            "Department",
            "sales",
            json!({"organizationRef": {"name": "one"}, "displayName": "Sales",
        "members": {"operators": [{"name": "tom"}]}}),
        )
        .await;
    tenant.until("Department", "sales", "one member", |it| it["status"]["members"] == 1).await;
    tenant.ready("Widget", "web").await;
    let tom = tenant.ready("Operator", "tom").await["status"]["externalId"].clone();
    let web = tenant.get("Widget", "web").await.unwrap()["status"]["externalId"].clone();
    for (table, name) in [("operators", "tom"), ("widgets", "web")] {
        let sql = format!("DELETE FROM {table} WHERE owner_namespace = $1 AND owner_name = $2");
        drift.store.change(&sql, &[&tenant.namespace, name]).await;
    }
    tenant.until("Operator", "tom", "another row", |it| it["status"]["externalId"] != tom && it["status"]["seat"] == "Held").await;
    tenant.until("Widget", "web", "another row", |it| it["status"]["externalId"] != web).await;
    members_are(&drift, "sales", "1").await;
}

#[tokio::test]
async fn memberships_that_were_changed_in_the_backend_are_corrected() {
    let drift = Drift::new("drift-members").await;
    let tenant = &drift.tenant;
    for name in ["tom", "tina"] {
        tenant.operator(name, "one").await;
        tenant.ready("Operator", name).await;
    }
    for (department, member) in [("sales", "tom"), ("support", "tina")] {
        tenant
            .create(
                "Department",
                department,
                json!({"organizationRef": {"name": "one"}, "displayName": department,
            "members": {"operators": [{"name": member}]}}),
            )
            .await;
        tenant.until("Department", department, "one member", |it| it["status"]["members"] == 1).await;
    }
    let sql = "DELETE FROM department_members WHERE department IN
        (SELECT id FROM departments WHERE owner_namespace = $1 AND owner_name = 'sales')";
    drift.store.change(sql, &[&tenant.namespace]).await;
    let sql = "INSERT INTO department_members (department, operator, organization)
        SELECT d.id, o.id, d.organization FROM departments d JOIN operators o ON o.organization = d.organization
        WHERE d.owner_namespace = $1 AND d.owner_name = 'support' AND o.owner_name = 'tom'";
    drift.store.change(sql, &[&tenant.namespace]).await;
    members_are(&drift, "sales", "1").await;
    members_are(&drift, "support", "1").await;
    let of = "(SELECT string_agg(o.owner_name, ',') FROM department_members m JOIN operators o ON o.id = m.operator
        WHERE m.department = departments.id)";
    drift.until("departments", "sales", of, "tom").await;
    drift.until("departments", "support", of, "tina").await;
}

async fn members_are(drift: &Drift, department: &str, count: &str) {
    let expression = "CAST((SELECT count(*) FROM department_members m WHERE m.department = departments.id) AS TEXT)";
    drift.until("departments", department, expression, count).await;
}

#[tokio::test]
async fn a_terminating_object_whose_row_others_deleted_is_let_go_and_nothing_is_made_for_it() {
    // Where nothing sweeps: the row is not made again while the object lives.
    let tenant = rules_world::tenant("drift-gone", json!({"seats": 9})).await;
    let store = rules_world::database().await;
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
    let mut keys = Vec::new();
    for (kind, name) in [("Operator", "tom"), ("Operator", "one-first-operator"), ("Organization", "one")] {
        keys.push(uid(&tenant.ready(kind, name).await));
        let sql = format!("DELETE FROM {}s WHERE owner_namespace = $1 AND owner_name = $2", kind.to_lowercase());
        store.change(&sql, &[&tenant.namespace, name]).await;
    }
    for (kind, name) in [("Operator", "tom"), ("Organization", "one")] {
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }
    tenant.gone("Operator", "one-first-operator").await;
    for key in &keys {
        let done = store.texts("SELECT action FROM audit WHERE key = $1 AND action <> 'update'", &[key]).await;
        assert_eq!(done, ["create"], "neither made again nor erased");
    }
}
