//! Deleting what is wrong, in use, paused, or no longer allowed (rules 14, 16 and 20).

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::controller::{
    Controller, Tenant, account_spec, backend, condition, create, gone, operator_spec, organization_spec, plan_of, ready, reason_is, until,
};
use crate::rows::{FURNITURE, Rows, message, uid};

#[tokio::test]
async fn what_names_something_that_does_not_exist_can_be_deleted_at_once_and_made_right() {
    let tenant = Tenant::new("typo", json!({"seats": 10})).await;
    let mut spec = account_spec(&tenant.plan);
    spec["backendRef"] = json!({"name": format!("no-{}", tenant.namespace)});
    tenant.create("Account", "acme", spec).await;
    let failed = tenant.reason("Account", "acme", "BackendNotFound").await;
    assert!(
        message(&failed).contains("spec.backendRef") && message(&failed).contains("kubectl get accountbackends"),
        "{}",
        message(&failed)
    );
    tenant.create("Organization", "one", organization_spec("one", "acne")).await;
    let failed = tenant.reason("Organization", "one", "WaitingForParent").await;
    assert!(message(&failed).contains("spec.accountRef: Account \"acne\" does not exist"), "{}", message(&failed));
    let lost = json!({"organizationRef": {"name": "won"}, "displayName": "Lost"});
    tenant.create("Operator", "tom", operator_spec("tom", "won")).await;
    tenant.create("Department", "desk", lost.clone()).await;
    tenant.create("Widget", "web", lost).await;
    for (kind, name) in [("Operator", "tom"), ("Department", "desk"), ("Widget", "web")] {
        let failed = tenant.reason(kind, name, "WaitingForParent").await;
        assert!(message(&failed).contains("spec.organizationRef: Organization \"won\" does not exist"), "{}", message(&failed));
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }
    for (kind, name) in [("Organization", "one"), ("Account", "acme")] {
        tenant.erase(kind, name).await;
        tenant.gone(kind, name).await;
    }
    let mut spec = account_spec(&tenant.plan);
    spec["planRef"] = json!({"name": format!("no-{}", tenant.namespace)});
    tenant.create("Account", "planless", spec).await;
    let failed = tenant.reason("Account", "planless", "PlanNotFound").await;
    assert!(message(&failed).contains("spec.planRef") && message(&failed).contains("does not exist"), "{}", message(&failed));
    tenant.erase("Account", "planless").await;
    tenant.gone("Account", "planless").await;
    tenant.furnished().await;
}

#[tokio::test]
async fn nobody_needs_to_confirm_what_never_came_to_be_when_a_namespace_goes() {
    let tenant = Tenant::new("typo-namespace", json!({"seats": 1})).await;
    tenant.organization("one", "acne").await;
    tenant.reason("Organization", "one", "WaitingForParent").await;
    tenant.operator("tom", "one").await;
    tenant.reason("Operator", "tom", "WaitingForParent").await;
    let namespaces: Api<Namespace> = Api::all(tenant.plane.client().await);
    namespaces.delete(&tenant.namespace, &DeleteParams::default()).await.unwrap();
    tenant.gone("Operator", "tom").await;
    tenant.gone("Organization", "one").await;
}

#[tokio::test]
async fn a_plan_stays_while_an_account_names_it_and_takes_no_new_one() {
    let tenant = Tenant::new("plan", json!({"seats": 10})).await;
    let going = format!("{}-going", tenant.namespace);
    create(tenant.plane, plan_of(&going, json!({"seats": 10}))).await;
    tenant.account_with("acme", json!({"planRef": {"name": going}})).await;
    tenant.account_with("beta", json!({"planRef": {"name": going}})).await;
    tenant.ready("Account", "acme").await;
    tenant.ready("Account", "beta").await;
    tenant.delete_in_use("Plan", &going).await;
    let held = reason_is(tenant.plane, "Plan", "", &going, "InUse").await;
    for account in ["acme", "beta"] {
        assert!(message(&held).contains(&format!("{}/{account}", tenant.namespace)), "{}", message(&held));
    }
    assert!(message(&held).contains("Give them another plan, or delete them"), "{}", message(&held));
    tenant.account_with("late", json!({"planRef": {"name": going}})).await;
    let late = tenant.reason("Account", "late", "PlanNotFound").await;
    assert!(message(&late).contains("is being deleted and takes no new accounts"), "{}", message(&late));
    // Those who have it keep what it allows.
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;
    for (name, patch) in [("acme", &tenant.plan), ("late", &tenant.plan)] {
        tenant.patch("Account", name, json!({"spec": {"planRef": {"name": patch}}})).await;
        tenant.ready("Account", name).await;
    }
    reason_is(tenant.plane, "Plan", "", &going, "InUse").await;
    tenant.erase("Account", "beta").await;
    tenant.gone("Account", "beta").await;
    gone(tenant.plane, "Plan", "", &going).await;
}

#[tokio::test]
async fn an_account_does_not_move_to_a_plan_that_is_being_deleted_and_keeps_the_limits_it_had() {
    let tenant = Tenant::new("plan-moved", json!({"seats": 2})).await;
    let going = format!("{}-going", tenant.namespace);
    create(tenant.plane, plan_of(&going, json!({"seats": 9}))).await;
    tenant.account_with("holder", json!({"planRef": {"name": going}})).await;
    tenant.ready("Account", "holder").await;
    tenant.delete_in_use("Plan", &going).await;
    reason_is(tenant.plane, "Plan", "", &going, "InUse").await;
    tenant.account("acme").await;
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;

    tenant.patch("Account", "acme", json!({"spec": {"planRef": {"name": going}}})).await;
    let refused = tenant.reason("Account", "acme", "PlanNotFound").await;
    assert!(message(&refused).contains("is being deleted and takes no new accounts"), "{}", message(&refused));
    tenant.operator("tina", "acme-default").await;
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    tenant.patch("Account", "acme", json!({"spec": {"planRef": {"name": tenant.plan}}})).await;
    tenant.ready("Account", "acme").await;
    assert_eq!(tenant.ready("Operator", "tom").await["status"]["seat"], "Held");
}

#[tokio::test]
async fn a_backend_stays_while_an_account_names_it_and_takes_no_new_one() {
    let tenant = Tenant::new("backend", json!({"seats": 10})).await;
    let going = format!("{}-going", tenant.namespace);
    create(tenant.plane, backend(&going)).await;
    ready(tenant.plane, "AccountBackend", "", &going).await;
    tenant.account_with("acme", json!({"backendRef": {"name": going}})).await;
    tenant.ready("Account", "acme").await;
    tenant.delete_in_use("AccountBackend", &going).await;
    let held = reason_is(tenant.plane, "AccountBackend", "", &going, "InUse").await;
    for words in [&format!("{}/acme", tenant.namespace), "cannot be taken back", "spec.backendRef, which cannot be changed", "Delete them"]
    {
        assert!(message(&held).contains(words), "{}", message(&held));
    }
    tenant.account_with("late", json!({"backendRef": {"name": going}})).await;
    let late = tenant.reason("Account", "late", "BackendNotFound").await;
    assert!(message(&late).contains("is being deleted and takes no new accounts"), "{}", message(&late));
    tenant.operator("tom", "acme-default").await;
    tenant.ready("Operator", "tom").await;
    for name in ["late", "acme"] {
        tenant.erase("Account", name).await;
        tenant.gone("Account", name).await;
    }
    gone(tenant.plane, "AccountBackend", "", &going).await;
}

#[tokio::test]
async fn the_deletion_of_what_is_in_use_is_refused_until_the_last_account_is_gone() {
    let tenant = Tenant::new("used", json!({"seats": 10})).await;
    let used = format!("{}-used", tenant.namespace);
    create(tenant.plane, backend(&used)).await;
    create(tenant.plane, plan_of(&used, json!({"seats": 10}))).await;
    for name in ["acme", "beta"] {
        tenant.account_with(name, json!({"backendRef": {"name": used}, "planRef": {"name": used}})).await;
        tenant.ready("Account", name).await;
    }
    let counted = async |accounts: i64| {
        for kind in ["AccountBackend", "Plan"] {
            until(tenant.plane, kind, "", &used, "its count", |object| object["status"]["accounts"] == accounts).await;
        }
    };
    let refused = |kind: &str, who: &str| {
        let output = tenant.plane.kubectl(&["delete", kind, &used]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(who), "{kind}: {text}");
        text
    };
    counted(2).await;
    for (kind, field) in [("ab", "backendRef"), ("cplan", "planRef")] {
        let text = refused(kind, "2 Accounts name it");
        // What it says to type shows who.
        let selector = format!("spec.{field}.name={used}");
        assert!(text.contains(&format!("kubectl get acct -A --field-selector {selector}. ")), "{text}");
        let shown = tenant.plane.kubectl_ok(&["get", "acct", "-A", "--field-selector", &selector]);
        assert!(shown.contains(&format!("{} ", tenant.namespace)) && shown.contains("acme") && shown.contains("beta"), "{shown}");
    }
    tenant.erase("Account", "beta").await;
    tenant.gone("Account", "beta").await;
    counted(1).await;
    refused("ab", "1 Account names it");
    tenant.patch("Account", "acme", json!({"spec": {"planRef": {"name": tenant.plan}}})).await;
    until(tenant.plane, "Plan", "", &used, "its count", |object| object["status"]["accounts"] == 0).await;
    tenant.delete_cluster("Plan", &used).await;
    gone(tenant.plane, "Plan", "", &used).await;
    tenant.erase("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    until(tenant.plane, "AccountBackend", "", &used, "its count", |object| object["status"]["accounts"] == 0).await;
    tenant.delete_cluster("AccountBackend", &used).await;
    gone(tenant.plane, "AccountBackend", "", &used).await;
}

#[tokio::test]
async fn what_a_namespace_may_no_longer_have_can_still_be_erased() {
    let tenant = Tenant::new("allowed", json!({"seats": 10})).await;
    let namespaces: Api<Namespace> = Api::all(tenant.plane.client().await);
    let label = async |team: Value| {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"team": team}}}));
        namespaces.patch(&tenant.namespace, &PatchParams::default(), &patch).await.unwrap();
    };
    let name = format!("{}-picky", tenant.namespace);
    let mut picky = backend(&name);
    picky["spec"]["allowedNamespaces"] = json!({"matchLabels": {"team": tenant.namespace}});
    create(tenant.plane, picky).await;
    tenant.account_with("acme", json!({"backendRef": {"name": name}})).await;
    let refused = tenant.reason("Account", "acme", "NamespaceNotAllowed").await;
    assert!(message(&refused).contains("spec.allowedNamespaces"), "{}", message(&refused));
    label(json!(tenant.namespace)).await;
    tenant.ready("Account", "acme").await;
    tenant.organization("one", "acme").await;
    let one = uid(&tenant.ready("Organization", "one").await);
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;
    label(Value::Null).await;
    tenant.reason("Account", "acme", "NamespaceNotAllowed").await;
    tenant.reason("Operator", "tom", "NamespaceNotAllowed").await;
    tenant.delete("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    tenant.erase("Organization", "one").await;
    tenant.gone("Organization", "one").await;
    tenant.erase("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    assert_eq!(Rows::of(Controller::shared().await).await.receipt(&one).await.as_deref(), Some("erased"));
    until(tenant.plane, "AccountBackend", "", &name, "its count", |object| object["status"]["accounts"] == 0).await;
    tenant.delete_cluster("AccountBackend", &name).await;
    gone(tenant.plane, "AccountBackend", "", &name).await;
}

#[tokio::test]
async fn paused_holds_cleanup_and_names_the_object_that_is_paused() {
    let tenant = Tenant::new("paused", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.account("other").await;
    tenant.ready("Organization", "other-default").await;
    let rows = Rows::of(Controller::shared().await).await;
    let says = |by: String| {
        move |object: &Value| {
            let paused = condition(object, "Paused");
            paused["status"] == "True" && paused["message"].as_str().is_some_and(|message| message.contains(&by))
        }
    };
    let by = |kind: &str, name: &str| format!("{kind} {}/{name} has the annotation deskplane.dev/paused", tenant.namespace);
    tenant.annotate("Widget", "web", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Widget", "web", "is paused by itself", says(by("Widget", "web"))).await;
    tenant.annotate("Organization", "one", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Operator", "tom", "is paused by its organization", says(by("Organization", "one"))).await;
    tenant.annotate("Account", "acme", "deskplane.dev/paused", json!("true")).await;
    tenant.annotate("Organization", "one", "deskplane.dev/paused", Value::Null).await;
    for (kind, name) in [("Operator", "tom"), ("Organization", "one"), ("Department", "desk")] {
        tenant.until(kind, name, "is paused by its account", says(by("Account", "acme"))).await;
    }
    // Paused from before its deletion, and for the first time after it.
    tenant.delete("Operator", "tom").await;
    tenant.delete("Widget", "web").await;
    tenant.erase("Organization", "one").await;
    tenant.operator("later", "other-default").await;
    tenant.ready("Operator", "later").await;
    for (kind, name) in FURNITURE {
        let object = tenant.get(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is gone"));
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
    // The account goes on: all but the widget, which is paused by itself, as long as its organization lets it.
    tenant.annotate("Account", "acme", "deskplane.dev/paused", Value::Null).await;
    for (kind, name) in FURNITURE.into_iter().filter(|(kind, _)| *kind != "Widget") {
        tenant.gone(kind, name).await;
    }
    tenant.until("Widget", "web", "is paused by itself", says(by("Widget", "web"))).await;
    tenant.annotate("Widget", "web", "deskplane.dev/paused", Value::Null).await;
    tenant.gone("Widget", "web").await;
}
