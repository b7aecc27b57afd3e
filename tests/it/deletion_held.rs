//! Rule 14 on the real control plane: a deletion that nobody confirmed is held with everything below it, and says what to type.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::controller::{Controller, Tenant, TenantOn};
use crate::controlplane::{DEADLINE, eventually};
use crate::policies::CONTROLLER;
use crate::rows::{FURNITURE, Rows, command, message, uid};

/// Every object of `furnished` has its row.
async fn untouched(tenant: &TenantOn<'_>, rows: &Rows) {
    for (kind, name) in FURNITURE {
        let object = tenant.get(kind, name).await.unwrap_or_else(|| panic!("{kind} {name} is gone"));
        assert_eq!(rows.with_key(&uid(&object)).await, 1, "{kind} {name}");
    }
    let erasing = "SELECT COUNT(*) FROM organizations WHERE owner_namespace = $1 AND erasing";
    assert_eq!(rows.number(erasing, &tenant.namespace).await, 0);
}

#[tokio::test]
async fn an_unconfirmed_organization_is_held_with_its_dependents_until_what_it_says_is_typed() {
    let tenant = Tenant::new("held", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    let rows = Rows::of(Controller::shared().await).await;
    tenant.collect("Organization", "one").await;
    let held = tenant.reason("Organization", "one", "ConfirmationRequired").await;
    let stalled = crate::controller::condition(&held, "Stalled");
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("ConfirmationRequired")));
    let what_to_type = command(&message(&held), "To erase all data: ");
    let confirmation = "deskplane.dev/confirm-deletion=one";
    assert_eq!(what_to_type, ["annotate", "org", "one", "-n", &tenant.namespace, "--overwrite", confirmation], "{}", message(&held));
    assert!(message(&held).contains("deskplane.dev/release=one"), "{}", message(&held));

    // What is deleted in it now is held with it.
    for (kind, name) in [("Operator", "tom"), ("Department", "desk"), ("Widget", "web")] {
        tenant.delete(kind, name).await;
        let held = tenant.reason(kind, name, "WaitingForParent").await;
        assert!(message(&held).contains(confirmation), "{}", message(&held));
    }
    // Another organization's confirmation does not confirm this one; and the other organization is not touched.
    tenant.annotate("Organization", "two", "deskplane.dev/confirm-deletion", json!("two")).await;
    tenant.patch("Operator", "two-first-operator", json!({"spec": {"displayName": "Later"}})).await;
    tenant.ready("Operator", "two-first-operator").await;
    tenant.reason("Organization", "one", "ConfirmationRequired").await;
    untouched(&tenant, &rows).await;

    tenant.type_in(&what_to_type);
    for (kind, name) in FURNITURE {
        tenant.gone(kind, name).await;
    }
    tenant.ready("Organization", "two").await;
}

#[tokio::test]
async fn a_foreground_deletion_is_held_with_what_it_takes_along_and_goes_through_once_confirmed() {
    let tenant = Tenant::new("held-foreground", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.organization("two", "acme").await;
    tenant.ready("Organization", "two").await;
    tenant.collect_with("Organization", "one", &DeleteParams::foreground()).await;
    let held = tenant.reason("Organization", "one", "ConfirmationRequired").await;
    assert!(held["metadata"]["finalizers"].as_array().unwrap().contains(&json!("foregroundDeletion")), "{}", held["metadata"]);
    // The garbage collector deletes what the organization made.
    tenant.reason("Operator", "one-first-operator", "WaitingForParent").await;
    untouched(&tenant, &Rows::of(Controller::shared().await).await).await;
    tenant.type_in(&command(&message(&held), "To erase all data: "));
    for (kind, name) in FURNITURE {
        tenant.gone(kind, name).await;
    }

    tenant.annotate("Organization", "two", "deskplane.dev/confirm-deletion", json!("two")).await;
    tenant.plane.kubectl_ok(&["delete", "org", "two", "-n", &tenant.namespace, "--cascade=foreground", "--wait=false"]);
    for (kind, name) in [("Organization", "two"), ("Operator", "two-first-operator")] {
        tenant.gone(kind, name).await;
    }
}

#[tokio::test]
async fn a_protected_default_organization_is_held_until_its_account_is_deleted_and_confirmed() {
    let tenant = Tenant::new("held-default", json!({"seats": 10})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    tenant.collect("Organization", "acme-default").await;
    let held = tenant.reason("Organization", "acme-default", "ConfirmationRequired").await;
    assert!(message(&held).contains("goes only with its Account, which is not being deleted"), "{}", message(&held));
    tenant.annotate("Organization", "acme-default", "deskplane.dev/confirm-deletion", json!("acme-default")).await;
    tenant.delete("Operator", "acme-default-first-operator").await;
    let operator = tenant.reason("Operator", "acme-default-first-operator", "WaitingForParent").await;
    let text = message(&operator);
    assert!(text.contains("annotate acct acme") && !text.contains("annotate org"), "only what helps: {text}");
    let rows = Rows::of(Controller::shared().await).await;
    assert_eq!(rows.with_key(&uid(&held)).await, 1);

    tenant.collect("Account", "acme").await;
    let says_so = |organization: &Value| message(organization).contains("which is being deleted, unconfirmed");
    let held = tenant.until("Organization", "acme-default", "knows that its Account is going", says_so).await;
    tenant.type_in(&command(&message(&held), "confirm it: "));
    tenant.gone("Account", "acme").await;
    tenant.gone("Organization", "acme-default").await;
    tenant.gone("Operator", "acme-default-first-operator").await;
}

#[tokio::test]
async fn an_unconfirmed_account_is_held_and_all_below_it_until_it_is_confirmed() {
    let tenant = Tenant::new("held-account", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.ready("Organization", "acme-default").await;
    tenant.collect("Account", "acme").await;
    let held = tenant.reason("Account", "acme", "ConfirmationRequired").await;
    // Its organization and operator live; one that is deleted now is held, for its parents are read live.
    tenant.delete("Operator", "tom").await;
    let operator = tenant.reason("Operator", "tom", "WaitingForParent").await;
    assert!(message(&operator).contains("deskplane.dev/confirm-deletion=acme"), "{}", message(&operator));
    tenant.collect("Organization", "one").await;
    tenant.reason("Organization", "one", "ConfirmationRequired").await;
    let rows = Rows::of(Controller::shared().await).await;
    untouched(&tenant, &rows).await;
    // Nothing new comes into an account that is going.
    tenant.organization("late", "acme").await;
    let late = tenant.reason("Organization", "late", "WaitingForParent").await;
    assert!(message(&late).contains("being deleted"), "{}", message(&late));

    tenant.type_in(&command(&message(&held), "To erase all data: "));
    tenant.gone("Account", "acme").await;
    for name in ["one", "acme-default", "late"] {
        tenant.gone("Organization", name).await;
    }
    tenant.gone("Operator", "tom").await;
}

#[tokio::test]
async fn a_confirmed_organization_goes_whatever_its_unconfirmed_account() {
    let tenant = Tenant::new("held-above", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.collect("Account", "acme").await;
    tenant.reason("Account", "acme", "ConfirmationRequired").await;
    tenant.erase("Organization", "one").await;
    for (kind, name) in FURNITURE {
        tenant.gone(kind, name).await;
    }
    tenant.reason("Account", "acme", "ConfirmationRequired").await;
}

#[tokio::test]
async fn a_namespace_deleted_unconfirmed_keeps_all_data_and_ends_once_the_account_is_confirmed() {
    let tenant = Tenant::new("held-namespace", json!({"seats": 10})).await;
    tenant.furnished().await;
    tenant.ready("Organization", "acme-default").await;
    let account = uid(&tenant.ready("Account", "acme").await);
    let client = tenant.plane.client().await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &tenant.namespace);
    let mark = tenant.plane.audit_mark().await;
    // Its Secrets go first, as a namespace's deletion may have it.
    secrets.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&tenant.namespace, &DeleteParams::default()).await.unwrap();
    for name in ["one", "acme-default"] {
        tenant.reason("Organization", name, "ConfirmationRequired").await;
    }
    tenant.reason("Account", "acme", "ConfirmationRequired").await;
    for (kind, name) in FURNITURE.into_iter().skip(1) {
        let held = tenant.reason(kind, name, "WaitingForParent").await;
        assert!(message(&held).contains("deskplane.dev/confirm-deletion=one"), "{}", message(&held));
    }
    let rows = Rows::of(Controller::shared().await).await;
    untouched(&tenant, &rows).await;
    assert_eq!(rows.with_key(&account).await, 1);
    let seats = rows.number("SELECT seats_held FROM accounts WHERE key = $1", &account).await;
    assert_eq!(seats, 3, "held operators keep their seats");
    let requests = tenant.plane.requests_since(mark).await.of_user(CONTROLLER).in_namespace(&tenant.namespace);
    let created: Vec<_> = requests.0.iter().filter(|request| request.verb == "create" && request.resource != "events").collect();
    assert!(created.is_empty(), "nothing is created in a namespace that goes: {created:?}");

    tenant.annotate("Account", "acme", "deskplane.dev/confirm-deletion", json!("acme")).await;
    eventually("the namespace ends", DEADLINE, async || match namespaces.get_opt(&tenant.namespace).await {
        Ok(None) => Ok(()),
        Ok(Some(namespace)) => Err(format!("{:?}", namespace.status)),
        Err(error) => Err(error.to_string()),
    })
    .await;
    assert_eq!(rows.receipt(&account).await.as_deref(), Some("erased"));
    assert_eq!(rows.number("SELECT COUNT(*) FROM operators WHERE owner_namespace = $1", &tenant.namespace).await, 0);
}
