//! Rule 8 on the real control plane: who is a member of a department.

use serde_json::{Value, json};

use crate::controller::{Tenant, condition, operator_spec};
use crate::controlplane::{DEADLINE, eventually};
use crate::rules_world::{ORG, in_line, limit, message_of, seat, store, suspend, tenant};

async fn department(tenant: &Tenant, name: &str, members: Value) {
    let spec = json!({"organizationRef": {"name": ORG}, "displayName": name, "members": members});
    tenant.create("Department", name, spec).await;
}

async fn labelled(tenant: &Tenant, name: &str, organization: &str, shift: &str) {
    tenant.create_with("Operator", name, json!({"labels": {"shift": shift}}), operator_spec(name, organization)).await;
}

async fn count(tenant: &Tenant, name: &str, members: i64) -> Value {
    let found = tenant.until("Department", name, &format!("{members} members"), |found| found["status"]["members"] == members).await;
    assert_eq!(condition(&found, "Ready")["status"], "True");
    found
}

/// Waits until the store has exactly these members, by the names of their objects.
async fn members(tenant: &Tenant, department: &str, expected: &[&str]) {
    let sql =
        "SELECT p.owner_name FROM department_members m JOIN departments d ON d.id = m.department JOIN operators p ON p.id = m.operator
        WHERE d.owner_namespace = $1 AND d.owner_name = $2 ORDER BY p.owner_name";
    let store = store().await;
    eventually(&format!("members {expected:?}"), DEADLINE, async || {
        let statement = sqlx::query_scalar(sql).bind(tenant.namespace.clone()).bind(department.to_owned());
        let found: Vec<String> = statement.fetch_all(&store).await.map_err(|error| error.to_string())?;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test]
async fn members_are_those_on_the_list_and_those_the_selector_matches() {
    let tenant = tenant("dept-union", json!({"seats": 9})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    labelled(&tenant, "early", ORG, "early").await;
    labelled(&tenant, "both", ORG, "early").await;
    labelled(&tenant, "late", ORG, "late").await;
    labelled(&tenant, "stranger", "two", "early").await;
    seat(&tenant, "named").await;
    for name in ["early", "both", "late", "stranger"] {
        tenant.ready("Operator", name).await;
    }
    let wanted = json!({"operators": [{"name": "named"}, {"name": "both"}], "selector": {"matchLabels": {"shift": "early"}}});
    department(&tenant, "sales", wanted).await;
    count(&tenant, "sales", 3).await;
    members(&tenant, "sales", &["both", "early", "named"]).await;

    tenant.patch("Department", "sales", json!({"spec": {"members": {"selector": null}}})).await;
    count(&tenant, "sales", 2).await;
    members(&tenant, "sales", &["both", "named"]).await;
}

#[tokio::test]
async fn who_waits_for_a_seat_joins_later_and_does_not_keep_a_department_from_ready() {
    let tenant = tenant("dept-later", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    labelled(&tenant, "listed", ORG, "none").await;
    in_line(&tenant, "listed", Some(1)).await;
    labelled(&tenant, "selected", ORG, "early").await;
    in_line(&tenant, "selected", Some(2)).await;
    let wanted = json!({"operators": [{"name": "tom"}, {"name": "listed"}], "selector": {"matchLabels": {"shift": "early"}}});
    department(&tenant, "sales", wanted).await;
    count(&tenant, "sales", 1).await;
    members(&tenant, "sales", &["tom"]).await;

    limit(&tenant, json!({"seats": 3})).await;
    count(&tenant, "sales", 2).await;
    members(&tenant, "sales", &["listed", "tom"]).await;
    suspend(&tenant, "tom", true).await;
    count(&tenant, "sales", 3).await;
    members(&tenant, "sales", &["listed", "selected", "tom"]).await;

    tenant.delete("Operator", "selected").await;
    count(&tenant, "sales", 2).await;
}

#[tokio::test]
async fn a_department_waits_for_a_named_operator_and_is_ready_when_it_comes() {
    let tenant = tenant("dept-missing", json!({"seats": 9})).await;
    seat(&tenant, "tom").await;
    department(&tenant, "sales", json!({"operators": [{"name": "tom"}, {"name": "nobody"}]})).await;
    let waiting = tenant.reason("Department", "sales", "WaitingForMember").await;
    assert_eq!(condition(&waiting, "Reconciling")["status"], "True");
    let message = message_of(&waiting);
    assert!(message.starts_with("spec.members.operators: Operator \"nobody\" does not exist in this namespace."), "{message}");
    members(&tenant, "sales", &["tom"]).await;

    tenant.operator("nobody", ORG).await;
    tenant.ready("Department", "sales").await;
    count(&tenant, "sales", 2).await;
    tenant.delete("Operator", "nobody").await;
    tenant.gone("Operator", "nobody").await;
    tenant.reason("Department", "sales", "WaitingForMember").await;
    members(&tenant, "sales", &["tom"]).await;
}

#[tokio::test]
async fn a_department_that_names_an_operator_of_another_organization_is_invalid() {
    let tenant = tenant("dept-stranger", json!({"seats": 9})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.operator("stranger", "two").await;
    tenant.ready("Operator", "stranger").await;
    department(&tenant, "sales", json!({"operators": [{"name": "stranger"}]})).await;
    let invalid = tenant.reason("Department", "sales", "Invalid").await;
    assert_eq!(condition(&invalid, "Stalled")["status"], "True");
    let message = format!(
        "spec.members.operators: Operator \"stranger\" belongs to organization \"two\", this department to \"{ORG}\". \
         Take it off the list: members are operators of the same organization."
    );
    assert_eq!(message_of(&invalid), message);

    // The stranger goes, and one of this organization comes under its name.
    tenant.delete("Operator", "stranger").await;
    tenant.gone("Operator", "stranger").await;
    tenant.reason("Department", "sales", "WaitingForMember").await;
    tenant.operator("stranger", ORG).await;
    count(&tenant, "sales", 1).await;
}

#[tokio::test]
async fn a_selector_that_matches_nobody_is_ready_with_no_members() {
    let tenant = tenant("dept-nobody", json!({"seats": 9})).await;
    department(&tenant, "sales", json!({"selector": {"matchLabels": {"shift": "never"}}})).await;
    count(&tenant, "sales", 0).await;
    labelled(&tenant, "tom", ORG, "never").await;
    count(&tenant, "sales", 1).await;
}

#[tokio::test]
async fn changing_a_label_moves_an_operator_from_one_department_to_another() {
    let tenant = tenant("dept-label", json!({"seats": 9})).await;
    labelled(&tenant, "tom", ORG, "early").await;
    tenant.ready("Operator", "tom").await;
    for shift in ["early", "late"] {
        department(&tenant, shift, json!({"selector": {"matchExpressions": [{"key": "shift", "operator": "In", "values": [shift]}]}}))
            .await;
    }
    count(&tenant, "early", 1).await;
    count(&tenant, "late", 0).await;
    tenant.patch("Operator", "tom", json!({"metadata": {"labels": {"shift": "late"}}})).await;
    count(&tenant, "late", 1).await;
    count(&tenant, "early", 0).await;
    members(&tenant, "late", &["tom"]).await;
    tenant.patch("Operator", "tom", json!({"metadata": {"labels": null}})).await;
    count(&tenant, "late", 0).await;
}
