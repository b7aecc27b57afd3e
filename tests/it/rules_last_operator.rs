//! Rule 7 on the real control plane: an organization keeps at least one who holds a seat.

use serde_json::json;

use crate::controller::{Tenant, condition, operator_spec};
use crate::rules_world::{ORG, in_line, message_of, seat, seats_over_time, store, suspend, tenant, tickets, wait_in_line};

/// The operator made with the default organization.
const FIRST: &str = "acme-default-first-operator";

/// Waits until the operator says that it is the last, and how it was to leave.
async fn refused(tenant: &Tenant, name: &str, how: &str) -> serde_json::Value {
    let last = |operator: &serde_json::Value| {
        condition(operator, "Ready")["reason"] == "LastOperator" && message_of(operator).starts_with(&format!("Not {how}: "))
    };
    let refused = tenant.until("Operator", name, "is the last", last).await;
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    let message = message_of(&refused);
    let organization = refused["spec"]["organizationRef"]["name"].as_str().unwrap();
    let otherwise = if organization == ORG {
        "the organization itself goes only with its Account \"acme\".".to_owned()
    } else {
        format!("Or delete the organization: kubectl delete org {organization} -n {}", tenant.namespace)
    };
    let of = format!("the last operator of organization \"{organization}\"");
    for part in [&of, "Create another operator", "in a full account it takes over this seat", &otherwise] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(message.contains("or set spec.suspended: false"), how == "suspended", "{message}");
    refused
}

async fn never_over(tenant: &Tenant) {
    let over_time = seats_over_time(&store().await, tenant).await;
    assert!(over_time.len() > 1 && over_time.iter().all(|(held, limit)| held <= limit), "{over_time:?}");
}

#[tokio::test]
async fn the_last_operator_is_not_deleted_until_another_holds_a_seat() {
    let tenant = tenant("last-deleted", json!({"seats": 5})).await;
    tenant.delete("Operator", FIRST).await;
    let held = refused(&tenant, FIRST, "deleted").await;
    assert_eq!(held["status"]["seat"], "Held");
    assert!(held["metadata"]["deletionTimestamp"].is_string());

    let mut suspended = operator_spec("asleep", ORG);
    suspended["suspended"] = json!(true);
    tenant.create("Operator", "asleep", suspended).await;
    tenant.ready("Operator", "asleep").await;
    refused(&tenant, FIRST, "deleted").await;

    seat(&tenant, "tom").await;
    tenant.gone("Operator", FIRST).await;
    tenant.ready("Organization", ORG).await;
}

#[tokio::test]
async fn the_last_operator_is_not_suspended_until_another_holds_a_seat() {
    let tenant = tenant("last-suspended", json!({"seats": 5})).await;
    suspend(&tenant, FIRST, true).await;
    assert_eq!(refused(&tenant, FIRST, "suspended").await["status"]["seat"], "Held");
    seat(&tenant, "tom").await;
    assert_eq!(tenant.ready("Operator", FIRST).await["status"]["seat"], "NotNeeded");

    // Now tom is the last, whoever is suspended.
    tenant.delete("Operator", "tom").await;
    refused(&tenant, "tom", "deleted").await;
    suspend(&tenant, FIRST, false).await;
    assert_eq!(tenant.ready("Operator", FIRST).await["status"]["seat"], "Held");
    tenant.gone("Operator", "tom").await;
}

#[tokio::test]
async fn in_a_full_account_the_successor_takes_the_seat_and_may_have_the_email() {
    let tenant = tenant("handed-over", json!({"seats": 1})).await;
    tenant.delete("Operator", FIRST).await;
    refused(&tenant, FIRST, "deleted").await;
    let spec = json!({"organizationRef": {"name": ORG}, "email": "OWNER@acme.example", "credentials": {"mode": "None"}});
    tenant.create("Operator", "successor", spec).await;
    assert_eq!(tenant.ready("Operator", "successor").await["status"]["seat"], "Held");
    tenant.gone("Operator", FIRST).await;
    never_over(&tenant).await;
    wait_in_line(&tenant, "tom", Some(1)).await;
}

#[tokio::test]
async fn in_a_full_account_the_last_is_suspended_when_its_successor_comes() {
    let tenant = tenant("handed-suspended", json!({"seats": 1})).await;
    suspend(&tenant, FIRST, true).await;
    refused(&tenant, FIRST, "suspended").await;
    // Whoever is suspended keeps the row, and with it the e-mail.
    let spec = json!({"organizationRef": {"name": ORG}, "email": "owner@acme.example", "credentials": {"mode": "None"}});
    tenant.create("Operator", "same-email", spec).await;
    tenant.reason("Operator", "same-email", "EmailTaken").await;
    refused(&tenant, FIRST, "suspended").await;

    seat(&tenant, "successor").await;
    assert_eq!(tenant.ready("Operator", FIRST).await["status"]["seat"], "NotNeeded");
    never_over(&tenant).await;
}

#[tokio::test]
async fn whoever_waits_first_in_the_organization_succeeds_its_last_operator() {
    let tenant = tenant("waiting-heir", json!({"seats": 2})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.operator("elsewhere", "two").await;
    in_line(&tenant, "elsewhere", Some(1)).await;
    wait_in_line(&tenant, "heir", Some(2)).await;
    wait_in_line(&tenant, "later", Some(3)).await;
    tenant.delete("Operator", FIRST).await;
    tenant.gone("Operator", FIRST).await;
    assert_eq!(tenant.ready("Operator", "heir").await["status"]["seat"], "Held");
    in_line(&tenant, "later", Some(2)).await;
    in_line(&tenant, "elsewhere", Some(1)).await;
    never_over(&tenant).await;
}

#[tokio::test]
async fn a_suspended_operator_succeeds_the_last_one_when_its_suspension_ends() {
    let tenant = tenant("woken-heir", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    suspend(&tenant, "tom", true).await;
    tenant.until("Operator", "tom", "suspended", |tom| tom["status"]["seat"] == "NotNeeded").await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    suspend(&tenant, FIRST, true).await;
    refused(&tenant, FIRST, "suspended").await;
    suspend(&tenant, "tom", false).await;
    tenant.until("Operator", "tom", "Held", |tom| tom["status"]["seat"] == "Held").await;
    assert_eq!(tenant.ready("Operator", FIRST).await["status"]["seat"], "NotNeeded");
    never_over(&tenant).await;
}

#[tokio::test]
async fn a_withdrawn_suspension_leaves_the_last_operator_its_seat() {
    let tenant = tenant("withdrawn", json!({"seats": 1})).await;
    suspend(&tenant, FIRST, true).await;
    refused(&tenant, FIRST, "suspended").await;
    suspend(&tenant, FIRST, false).await;
    let kept = tenant.ready("Operator", FIRST).await;
    assert_eq!(kept["status"]["seat"], "Held");
    wait_in_line(&tenant, "tom", Some(1)).await;
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["tom"]);
    assert_eq!(tenant.get("Operator", FIRST).await.expect("it stays")["status"]["seat"], "Held");
}

#[tokio::test]
async fn the_last_operator_goes_with_its_organization() {
    let tenant = tenant("goes-along", json!({"seats": 2})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.delete("Operator", "two-first-operator").await;
    refused(&tenant, "two-first-operator", "deleted").await;
    tenant.delete("Organization", "two").await;
    tenant.gone("Organization", "two").await;
    tenant.gone("Operator", "two-first-operator").await;
    seat(&tenant, "tom").await;
}
