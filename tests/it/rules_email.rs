//! Rule 8 on the real control plane: an e-mail is unique in its organization.

use serde_json::{Value, json};

use crate::controller::{Tenant, condition};
use crate::rules_world::{ORG, in_line, message_of, tenant};

async fn operator(tenant: &Tenant, name: &str, organization: &str, email: &str) {
    tenant.create("Operator", name, spec(organization, email)).await;
}

fn spec(organization: &str, email: &str) -> Value {
    json!({"organizationRef": {"name": organization}, "email": email, "credentials": {"mode": "None"}})
}

#[tokio::test]
async fn two_operators_of_an_organization_cannot_have_one_email_whatever_its_case() {
    let tenant = tenant("email-twice", json!({"seats": 9})).await;
    operator(&tenant, "tom", ORG, "Chat@X.example").await;
    tenant.ready("Operator", "tom").await;
    for (name, email) in [("same", "Chat@X.example"), ("lower", "chat@x.example"), ("upper", "CHAT@X.EXAMPLE")] {
        operator(&tenant, name, ORG, email).await;
        let refused = tenant.reason("Operator", name, "EmailTaken").await;
        assert_eq!(condition(&refused, "Stalled")["status"], "True");
        let message = message_of(&refused);
        let named = format!("spec.email: Operator {}/tom of the same organization has this e-mail, whatever its case.", tenant.namespace);
        assert!(message.starts_with(&named) && message.contains("Change one of the two, or delete the other."), "{message}");
        assert!(!message.to_lowercase().contains("chat@x.example"), "the address itself is not repeated: {message}");
        assert!(refused["status"]["externalId"].is_null(), "no row");
    }
    tenant.patch("Operator", "lower", json!({"spec": {"email": "lower@x.example"}})).await;
    tenant.ready("Operator", "lower").await;
    tenant.patch("Operator", "lower", json!({"spec": {"email": "cHat@x.example"}})).await;
    tenant.reason("Operator", "lower", "EmailTaken").await;
}

#[tokio::test]
async fn an_email_is_had_as_soon_as_the_other_operator_changes_its_own() {
    let tenant = tenant("email-changed", json!({"seats": 9})).await;
    operator(&tenant, "tom", ORG, "chat@x.example").await;
    tenant.ready("Operator", "tom").await;
    operator(&tenant, "tina", ORG, "CHAT@x.example").await;
    tenant.reason("Operator", "tina", "EmailTaken").await;
    tenant.patch("Operator", "tom", json!({"spec": {"email": "tom@x.example"}})).await;
    tenant.ready("Operator", "tina").await;
    tenant.ready("Operator", "tom").await;
}

#[tokio::test]
async fn an_email_is_had_as_soon_as_the_other_operator_is_deleted() {
    let tenant = tenant("email-deleted", json!({"seats": 9})).await;
    operator(&tenant, "tom", ORG, "chat@x.example").await;
    tenant.ready("Operator", "tom").await;
    operator(&tenant, "tina", ORG, "CHAT@x.example").await;
    tenant.reason("Operator", "tina", "EmailTaken").await;
    tenant.delete("Operator", "tom").await;
    tenant.ready("Operator", "tina").await;
}

#[tokio::test]
async fn of_many_with_one_email_made_at_once_one_is_ready_and_the_next_follows_it() {
    let tenant = tenant("email-at-once", json!({"seats": 9})).await;
    let mut names: Vec<_> = (0..8).map(|number| format!("op{number}")).collect();
    futures::future::join_all(names.iter().map(|name| operator(&tenant, name, ORG, "chat@x.example"))).await;
    while names.len() > 1 {
        // The one that is Ready goes at once: whoever is refused at that moment must not be forgotten.
        let winner = crate::controlplane::eventually("one is Ready", crate::controlplane::DEADLINE, async || {
            for name in &names {
                let operator = tenant.get("Operator", name).await.ok_or("gone")?;
                if condition(&operator, "Ready")["status"] == "True" {
                    return Ok(name.clone());
                }
            }
            Err("none is Ready")
        })
        .await;
        tenant.delete("Operator", &winner).await;
        tenant.gone("Operator", &winner).await;
        names.retain(|name| *name != winner);
    }
    tenant.ready("Operator", &names[0]).await;
}

#[tokio::test]
async fn the_same_email_in_two_organizations_is_two_operators() {
    let tenant = tenant("email-two-orgs", json!({"seats": 9})).await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    operator(&tenant, "here", ORG, "chat@x.example").await;
    operator(&tenant, "there", "two", "CHAT@x.example").await;
    let here = tenant.ready("Operator", "here").await;
    let there = tenant.ready("Operator", "there").await;
    assert_ne!(here["status"]["externalId"], there["status"]["externalId"]);
    // The owner of the account is the first operator of its default organization, and may be one of the other too.
    operator(&tenant, "owner", "two", "owner@acme.example").await;
    tenant.ready("Operator", "owner").await;
}

#[tokio::test]
async fn a_taken_email_is_said_before_a_missing_seat_and_draws_no_ticket() {
    let tenant = tenant("email-no-seat", json!({"seats": 2})).await;
    operator(&tenant, "tom", ORG, "chat@x.example").await;
    tenant.ready("Operator", "tom").await;
    operator(&tenant, "tina", ORG, "chat@x.example").await;
    tenant.reason("Operator", "tina", "EmailTaken").await;
    operator(&tenant, "tim", ORG, "tim@x.example").await;
    in_line(&tenant, "tim", Some(1)).await;
    tenant.patch("Operator", "tina", json!({"spec": {"email": "tina@x.example"}})).await;
    in_line(&tenant, "tina", Some(2)).await;
}
