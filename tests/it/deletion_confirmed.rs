//! Rules 11 and 12 on the real control plane: what is confirmed goes, with all that belongs to it, and nothing else.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::{Value, json};

use crate::controller::{Controller, Tenant, condition, operator_spec};
use crate::controlplane::{DEADLINE, eventually};
use crate::rows::{Rows, message, uid};

const TRANSCRIPTS: &str = "INSERT INTO transcripts (external_id, organization, started_at, content)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
    SELECT 'tscr_' || i, g.id, 0, $2 FROM organizations g, n WHERE g.key = $1";

#[tokio::test]
async fn a_confirmed_organization_goes_with_all_its_objects_rows_and_secrets() {
    let tenant = Tenant::new("erase", json!({"seats": 10})).await;
    let canary = format!("canary-{}", tenant.namespace);
    tenant.account("acme").await;
    let first = json!({"email": format!("mia@{canary}.example"), "displayName": canary});
    let spec = json!({"accountRef": {"name": "acme"}, "firstOperator": first, "displayName": canary, "starterKit": "None"});
    tenant.create("Organization", "germany", spec).await;
    let mut operators = vec!["germany-first-operator".to_owned()];
    for number in 1..5 {
        let mut spec = operator_spec(&format!("o{number}"), "germany");
        spec["email"] = json!(format!("o{number}@{canary}.example"));
        spec["nickname"] = json!(canary);
        tenant.create("Operator", &format!("o{number}"), spec).await;
        operators.push(format!("o{number}"));
    }
    for number in 0..3 {
        tenant.department(&format!("{canary}-{number}"), "germany", &operators).await;
    }
    for number in 0..4 {
        tenant.widget(&format!("{canary}-{number}"), "germany").await;
    }
    for operator in &operators {
        tenant.ready("Operator", operator).await;
    }
    for number in 0..3 {
        let members = |object: &Value| object["status"]["members"] == 5;
        tenant.until("Department", &format!("{canary}-{number}"), "has five members", members).await;
    }
    for number in 0..4 {
        tenant.ready("Widget", &format!("{canary}-{number}")).await;
    }
    let germany = uid(&tenant.ready("Organization", "germany").await);
    let rows = Rows::of(Controller::shared().await).await;
    rows.execute(TRANSCRIPTS, &germany, &canary).await;
    let mut keys = vec![germany.clone()];
    for kind in ["Operator", "Department", "Widget"] {
        keys.extend(tenant.uids(kind, "germany").await);
    }
    assert_eq!(keys.len(), 1 + 5 + 3 + 4);
    let secrets: Api<Secret> = Api::namespaced(tenant.plane.client().await, &tenant.namespace);
    assert!(secrets.get_opt("germany-first-operator-credentials").await.unwrap().is_some());

    tenant.erase("Organization", "germany").await;
    tenant.gone("Organization", "germany").await;
    for operator in &operators {
        tenant.gone("Operator", operator).await;
    }
    for number in 0..3 {
        tenant.gone("Department", &format!("{canary}-{number}")).await;
    }
    for number in 0..4 {
        tenant.gone("Widget", &format!("{canary}-{number}")).await;
    }
    eventually("the Secret of the credentials is collected", DEADLINE, async || {
        match secrets.get_opt("germany-first-operator-credentials").await {
            Ok(None) => Ok(()),
            other => Err(format!("{:?}", other.map(|secret| secret.map(|secret| secret.metadata)))),
        }
    })
    .await;
    for key in &keys {
        assert_eq!(rows.with_key(key).await, 0);
        assert_eq!(rows.receipt(key).await.as_deref(), Some("erased"));
        assert_eq!(rows.number("SELECT COUNT(*) FROM audit WHERE key = $1 AND action = 'erase'", key).await, 1);
    }
    assert_eq!(rows.number("SELECT COUNT(*) FROM transcripts WHERE content = $1", &canary).await, 0);
    assert_eq!(rows.number("SELECT COUNT(*) FROM credentials WHERE operator NOT IN (SELECT id FROM operators) AND $1 = $1", "").await, 0);
    tenant.ready("Organization", "acme-default").await;
    let freed = |object: &Value| object["status"]["usage"]["organizations"] == 1 && object["status"]["seats"]["held"] == 1;
    tenant.until("Account", "acme", "counts the default organization only", freed).await;
    let events = ["get", "events.events.k8s.io", "-n", &tenant.namespace, "-o", "jsonpath={.items[*].reason}"];
    assert!(tenant.plane.kubectl_ok(&events).contains("Erased"));
}

#[tokio::test]
async fn a_confirmed_account_goes_with_all_its_organizations_the_default_one_too() {
    let tenant = Tenant::new("erase-account", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.ready("Organization", "acme-default").await;
    let mut keys = vec![uid(&tenant.ready("Account", "acme").await)];
    for name in ["acme-default", "one", "two"] {
        keys.push(uid(&tenant.get("Organization", name).await.unwrap()));
        for kind in ["Operator", "Department", "Widget"] {
            keys.extend(tenant.uids(kind, name).await);
        }
    }
    tenant.erase("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    for name in ["acme-default", "one", "two"] {
        tenant.gone("Organization", name).await;
    }
    for name in ["tom", "one-first-operator", "two-first-operator", "acme-default-first-operator"] {
        tenant.gone("Operator", name).await;
    }
    tenant.gone("Department", "desk").await;
    tenant.gone("Widget", "web").await;
    let rows = Rows::of(Controller::shared().await).await;
    for key in &keys {
        assert_eq!((rows.with_key(key).await, rows.receipt(key).await.as_deref()), (0, Some("erased")));
    }
    let unused = |object: &Value| object["status"]["accounts"] == 0;
    crate::controller::until(tenant.plane, "Plan", "", &tenant.plan, "counts no account", unused).await;
}

#[tokio::test]
async fn without_protection_nothing_needs_a_confirmation_but_the_default_organization_still_needs_its_account() {
    let tenant = Tenant::new("erase-open", json!({"seats": 10})).await;
    tenant.account_with("acme", json!({"deletionProtection": false})).await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "acme-default").await;
    assert_eq!(tenant.ready("Organization", "one").await["status"]["protected"], false);
    tenant.delete("Organization", "one").await;
    tenant.gone("Organization", "one").await;

    tenant.collect("Organization", "acme-default").await;
    let held = tenant.reason("Organization", "acme-default", "ConfirmationRequired").await;
    assert!(message(&held).contains("the default organization goes only with its Account"), "{}", message(&held));
    let rows = Rows::of(Controller::shared().await).await;
    assert_eq!(rows.with_key(&uid(&held)).await, 1);
    tenant.delete("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    tenant.gone("Organization", "acme-default").await;
    assert_eq!(rows.receipt(&uid(&held)).await.as_deref(), Some("erased"));
}

#[tokio::test]
async fn protection_that_is_switched_off_later_lets_a_held_organization_go() {
    let tenant = Tenant::new("erase-unprotect", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.collect("Organization", "one").await;
    tenant.reason("Organization", "one", "ConfirmationRequired").await;
    tenant.patch("Account", "acme", json!({"spec": {"deletionProtection": false}})).await;
    for (kind, name) in crate::rows::FURNITURE {
        tenant.gone(kind, name).await;
    }
}

#[tokio::test]
async fn an_organization_that_is_being_erased_says_how_much_is_left_and_takes_nothing_new() {
    const TIMES: i64 = 80;
    let tenant = Tenant::new("erasing", json!({"seats": 10})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    let one = uid(&tenant.ready("Organization", "one").await);
    let rows = Rows::of(Controller::shared().await).await;
    // More than one pass erases; little by little, for the store has others who write to it.
    for _ in 0..TIMES {
        rows.execute(TRANSCRIPTS, &one, "said").await;
    }
    tenant.erase("Organization", "one").await;
    let progress = |object: &Value| condition(object, "Ready")["reason"] == "Erasing" && object["status"]["erasure"].is_object();
    let erasing = tenant.until("Organization", "one", "tells its progress", progress).await;
    assert_eq!(condition(&erasing, "Reconciling")["status"], "True");
    let left = erasing["status"]["erasure"]["remaining"].as_i64().expect("a number");
    assert!((1..TIMES * 1200).contains(&left), "some is gone, not all: {left}");

    let late = tenant.operator("late", "one").await.metadata.uid.expect("a UID");
    // Refused, or deleted with the others.
    eventually("the new operator is refused", DEADLINE, async || match tenant.get("Operator", "late").await {
        Some(late) if condition(&late, "Ready")["reason"] != "WaitingForParent" => Err(late.to_string()),
        _ => Ok(()),
    })
    .await;
    tenant.gone("Organization", "one").await;
    let of_late = "SELECT (SELECT COUNT(*) FROM audit WHERE key = $1) + (SELECT COUNT(*) FROM tickets WHERE key = $1)";
    assert_eq!(rows.number(of_late, &late).await, 0, "it never had a row, and has no ticket");
}
