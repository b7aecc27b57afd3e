//! Rules 1, 3 and 4 on the real control plane: seats and plans.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::controller::{Tenant, condition};
use crate::controlplane::{DEADLINE, eventually};
use crate::rules_world::{ORG, in_line, limit, message_of, seat, seats_over_time, store, suspend, tenant, tickets, wait_in_line};

#[tokio::test]
async fn an_operator_beyond_the_seats_waits_and_gets_the_seat_that_another_frees() {
    let tenant = Tenant::new("seats", json!({"seats": 3})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;

    tenant.operator("tina", "one").await;
    let waiting = tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    assert_eq!(waiting["status"]["seat"], "Waiting");
    assert_eq!(waiting["status"]["queuePosition"], 1);
    assert!(waiting["status"]["externalId"].is_null(), "a waiting operator has no row");

    tenant.patch("Operator", "tom", json!({"spec": {"suspended": true}})).await;
    let seated = tenant.ready("Operator", "tina").await;
    assert_eq!(seated["status"]["seat"], "Held");
    assert!(seated["status"]["queuePosition"].is_null());
    assert_eq!(tenant.ready("Operator", "tom").await["status"]["seat"], "NotNeeded");
}

#[tokio::test]
async fn an_operator_who_waits_says_why_and_what_to_do() {
    let tenant = tenant("says-why", json!({"seats": 1})).await;
    let waiting = wait_in_line(&tenant, "tom", Some(1)).await;
    let message = format!(
        "No free seat: plan \"{}\" has 1 seat, and it is held. This operator is 1st in line. \
         Raise spec.limits.seats of the plan, or suspend or delete an operator.",
        tenant.plan
    );
    assert_eq!(message_of(&waiting), message);
    assert_eq!(condition(&waiting, "Stalled")["status"], "True");
    assert_eq!(condition(&waiting, "Reconciling"), &Value::Null);
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["tom"]);
}

#[tokio::test]
async fn seats_are_counted_over_all_organizations_of_an_account() {
    let tenant = tenant("over-all", json!({"seats": 2})).await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    tenant.operator("tom", "one").await;
    in_line(&tenant, "tom", Some(1)).await;
    wait_in_line(&tenant, "tina", Some(2)).await;
    let account = tenant
        .until("Account", "acme", "the counts", |account| {
            account["status"]["seats"]["waiting"] == 2 && account["status"]["seatSummary"] == "2/2"
        })
        .await;
    assert_eq!(account["status"]["seats"], json!({"limit": 2, "held": 2, "waiting": 2, "unmanaged": 0}));
}

#[tokio::test]
async fn a_suspended_operator_needs_no_seat_and_keeps_its_row() {
    let tenant = tenant("suspended", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    let before = tenant.ready("Operator", "tom").await;
    suspend(&tenant, "tom", true).await;
    let after = tenant.until("Operator", "tom", "without a seat", |operator| operator["status"]["seat"] == "NotNeeded").await;
    assert_eq!(condition(&after, "Ready")["status"], "True");
    assert_eq!(after["status"]["externalId"], before["status"]["externalId"]);

    seat(&tenant, "tina").await;
    let spec = json!({"organizationRef": {"name": ORG}, "email": "new@x.example", "suspended": true, "credentials": {"mode": "None"}});
    tenant.create("Operator", "made-suspended", spec).await;
    let made = tenant.ready("Operator", "made-suspended").await;
    assert_eq!(made["status"]["seat"], "NotNeeded", "nobody waits for what it does not need");
}

#[tokio::test]
async fn a_plan_lowered_below_its_use_drops_nobody_and_admits_nobody_until_it_is_restored() {
    let tenant = tenant("lowered", json!({"seats": 4})).await;
    for name in ["a", "b", "c"] {
        seat(&tenant, name).await;
    }
    tenant.until("Account", "acme", "within its plan", |account| condition(account, "WithinPlan")["status"] == "True").await;

    limit(&tenant, json!({"seats": 2})).await;
    let over = |seats: i64| {
        move |account: &Value| {
            condition(account, "WithinPlan")["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(&format!("{seats} seats are in use")))
        }
    };
    let account = tenant.until("Account", "acme", "4 seats of 2", over(4)).await;
    let message = format!(
        "4 seats are in use, plan \"{}\" allows 2. Nobody is dropped, but nothing new is admitted. \
         Raise spec.limits.seats of the plan, or free some.",
        tenant.plan
    );
    assert_eq!(condition(&account, "WithinPlan")["status"], "False");
    assert_eq!(condition(&account, "WithinPlan")["message"], message);
    assert_eq!(condition(&account, "Ready")["status"], "True", "the account itself is as its spec wants it");
    wait_in_line(&tenant, "late", Some(1)).await;

    tenant.delete("Operator", "c").await;
    tenant.until("Account", "acme", "3 seats of 2", over(3)).await;
    in_line(&tenant, "late", Some(1)).await;
    for name in ["a", "b", "acme-default-first-operator"] {
        let kept = tenant.get("Operator", name).await.expect("nobody is dropped");
        assert_eq!((&kept["status"]["seat"], &condition(&kept, "Ready")["status"]), (&json!("Held"), &json!("True")), "{name}");
    }

    limit(&tenant, json!({"seats": 4})).await;
    tenant.ready("Operator", "late").await;
    tenant.until("Account", "acme", "within its plan", |account| condition(account, "WithinPlan")["status"] == "True").await;
}

#[tokio::test]
async fn sixty_operators_at_once_never_hold_more_than_fifty_seats() {
    let tenant = tenant("sixty", json!({"seats": 50})).await;
    let names: Vec<_> = (0..60).map(|number| format!("op{number}")).collect();
    join_all(names.iter().map(|name| tenant.operator(name, ORG))).await;
    let mut held = Vec::new();
    let mut places = Vec::new();
    for name in &names {
        let settled = tenant.until("Operator", name, "Held or Waiting", |operator| operator["status"]["seat"].is_string()).await;
        match settled["status"]["seat"].as_str() {
            Some("Held") => held.push(name),
            _ => places.push(settled["status"]["queuePosition"].as_i64()),
        }
    }
    assert_eq!((held.len(), places.len()), (49, 11), "the owner holds one seat");
    places.sort_unstable();
    let told: Vec<_> = std::iter::once(None).chain((1..=10).map(Some)).collect();
    assert_eq!(places, told, "each of the first ten has a place of its own");

    let newcomers: Vec<_> = (0..5).map(|number| format!("new{number}")).collect();
    let leave = join_all(held.iter().take(8).map(|name| tenant.delete("Operator", name)));
    let come = join_all(newcomers.iter().map(|name| tenant.operator(name, ORG)));
    tokio::join!(leave, come);
    for name in &newcomers {
        let newcomer = tenant.until("Operator", name, "in line", |operator| operator["status"]["seat"].is_string()).await;
        assert_eq!(newcomer["status"]["seat"], "Waiting", "{name} overtook somebody: 8 seats for 11 who were there before");
    }
    for name in held.iter().take(8) {
        tenant.gone("Operator", name).await;
    }
    let store = store().await;
    tenant.until("Account", "acme", "full again", |account| account["status"]["seats"]["waiting"] == 8).await;
    eventually("3 of the first 60 and the 5 newcomers are in line", DEADLINE, async || {
        // A reserved ticket is in the table until its operator has taken the seat.
        let left = tickets(&store, &tenant.namespace).await.len();
        if left == 8 { Ok(()) } else { Err(format!("{left} tickets")) }
    })
    .await;
    let over_time = seats_over_time(&store, &tenant).await;
    assert_eq!(over_time.iter().map(|(held, _)| *held).max(), Some(50), "every seat was used");
    assert!(over_time.iter().all(|(held, limit)| held <= limit), "no commit went over the limit: {over_time:?}");
}

#[tokio::test]
async fn without_a_seat_for_its_first_operator_an_organization_waits_and_its_others_draw_no_ticket() {
    let tenant = tenant("no-seat-no-org", json!({"seats": 2})).await;
    seat(&tenant, "tom").await;
    tenant.organization("two", "acme").await;
    let two = tenant.reason("Organization", "two", "SeatLimitExceeded").await;
    let message = message_of(&two);
    assert!(message.contains("needs one for its first operator and is 1st in line"), "{message}");
    assert!(two["status"]["externalId"].is_null(), "no seat, no organization");
    let first = in_line(&tenant, "two-first-operator", Some(1)).await;
    let message = message_of(&first);
    assert!(message.contains("organization \"two\""), "{message}");
    tenant.operator("other", "two").await;
    let other = tenant.reason("Operator", "other", "WaitingForParent").await;
    assert!(other["status"]["seat"].is_null(), "it is in no line");
    assert_eq!(tickets(&store().await, &tenant.namespace).await, ["two"], "one ticket for both rows");

    suspend(&tenant, "tom", true).await;
    tenant.ready("Organization", "two").await;
    assert_eq!(tenant.ready("Operator", "two-first-operator").await["status"]["seat"], "Held");
    in_line(&tenant, "other", Some(1)).await;
}

#[tokio::test]
async fn an_organization_beyond_the_plan_waits_for_a_place_of_its_own() {
    let tenant = tenant("org-limit", json!({"seats": 9, "organizations": 2})).await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    tenant.organization("two", "acme").await;
    let two = tenant.reason("Organization", "two", "OrganizationLimitExceeded").await;
    let message = format!(
        "No free place for an organization: plan \"{}\" has 2 organizations, all held. This organization is 1st in line. \
         Raise spec.limits.organizations of the plan, or delete an organization.",
        tenant.plan
    );
    assert_eq!(message_of(&two), message);
    assert_eq!(condition(&two, "Stalled")["status"], "True");
    let first = in_line(&tenant, "two-first-operator", Some(1)).await;
    let message = message_of(&first);
    assert!(message.starts_with("No free place for its organization"), "{message}");
    seat(&tenant, "not-delayed").await;
    tenant.organization("three", "acme").await;
    tenant.reason("Organization", "three", "OrganizationLimitExceeded").await;

    tenant.delete("Organization", "one").await;
    tenant.ready("Organization", "two").await;
    tenant.until("Organization", "three", "1st in line", |three| message_of(three).contains("is 1st in line")).await;
    limit(&tenant, json!({"seats": 9, "organizations": 3})).await;
    tenant.ready("Organization", "three").await;
}

#[tokio::test]
async fn an_organization_that_lacks_both_places_names_the_first_and_waits_for_both() {
    let tenant = tenant("both-places", json!({"seats": 1, "organizations": 1})).await;
    tenant.organization("one", "acme").await;
    tenant.reason("Organization", "one", "SeatLimitExceeded").await;
    limit(&tenant, json!({"seats": 2, "organizations": 1})).await;
    tenant.reason("Organization", "one", "OrganizationLimitExceeded").await;
    seat(&tenant, "tom").await;
    limit(&tenant, json!({"seats": 2, "organizations": 2})).await;
    tenant.reason("Organization", "one", "SeatLimitExceeded").await;
    limit(&tenant, json!({"seats": 3, "organizations": 2})).await;
    tenant.ready("Organization", "one").await;
}
