//! References on the real control plane: what they wait for, and that they reach neither other namespaces nor other controllers.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::controller::{
    Controller, Tenant, account_spec, api, backend, condition, create, gone, merge, operator_spec, organization_spec, plan_of, ready,
};
use crate::controlplane::ControlPlane;
use crate::database::Database;

/// The user of every controller of the tests.
const CONTROLLER: &str = "system:serviceaccount:deskplane-system:deskplane";

fn message(object: &Value) -> &str {
    condition(object, "Ready")["message"].as_str().expect("a message")
}

async fn label(plane: &ControlPlane, namespace: &str, value: Value) {
    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"team": value}}}));
    namespaces.patch(namespace, &PatchParams::default(), &patch).await.expect("label the namespace");
}

#[tokio::test]
async fn whatever_comes_before_what_it_names_says_what_is_missing_and_goes_on_when_that_comes() {
    let tenant = Tenant::new("waits", json!({"seats": 5})).await;
    let late = format!("{}-late", tenant.namespace);
    tenant.operator("tom", "one").await;
    tenant.create("Department", "sales", json!({"organizationRef": {"name": "one"}, "displayName": "Sales"})).await;
    tenant.create("Widget", "web", json!({"organizationRef": {"name": "one"}})).await;
    for (kind, name) in [("Operator", "tom"), ("Department", "sales"), ("Widget", "web")] {
        let waiting = tenant.reason(kind, name, "WaitingForParent").await;
        assert!(message(&waiting).starts_with("spec.organizationRef: Organization \"one\" does not exist"), "{}", message(&waiting));
    }
    tenant.organization("one", "acme").await;
    let waiting = tenant.reason("Organization", "one", "WaitingForParent").await;
    assert!(message(&waiting).starts_with("spec.accountRef: Account \"acme\" does not exist"), "{}", message(&waiting));

    tenant.account_with("acme", json!({"backendRef": {"name": &late}, "planRef": {"name": &late}})).await;
    let waiting = tenant.reason("Account", "acme", "BackendNotFound").await;
    assert!(message(&waiting).contains(&format!("AccountBackend \"{late}\"")), "{}", message(&waiting));
    create(tenant.plane, backend(&late)).await;
    let waiting = tenant.reason("Account", "acme", "PlanNotFound").await;
    assert!(message(&waiting).starts_with(&format!("spec.planRef: Plan \"{late}\" does not exist")), "{}", message(&waiting));
    create(tenant.plane, plan_of(&late, json!({"seats": 5}))).await;
    for (kind, name) in [("Account", "acme"), ("Organization", "one"), ("Operator", "tom"), ("Department", "sales"), ("Widget", "web")] {
        tenant.ready(kind, name).await;
    }
}

#[tokio::test]
async fn what_names_something_that_does_not_exist_can_be_deleted_again() {
    let tenant = Tenant::new("typo", json!({"seats": 5})).await;
    tenant.account_with("acme", json!({"backendRef": {"name": "embeded"}, "deletionProtection": false})).await;
    tenant.create("Organization", "one", organization_spec("one", "amce")).await;
    tenant.annotate("Organization", "one", "deskplane.dev/confirm-deletion", json!("one")).await;
    tenant.operator("tom", "oen").await;
    tenant.reason("Account", "acme", "BackendNotFound").await;
    tenant.reason("Organization", "one", "WaitingForParent").await;
    tenant.reason("Operator", "tom", "WaitingForParent").await;
    for (kind, name) in [("Operator", "tom"), ("Organization", "one"), ("Account", "acme")] {
        tenant.delete(kind, name).await;
        tenant.gone(kind, name).await;
    }
}

#[tokio::test]
async fn an_object_of_that_name_in_another_namespace_is_never_used() {
    let theirs = Tenant::new("theirs", json!({"seats": 5})).await;
    theirs.account("acme").await;
    theirs.organization("one", "acme").await;
    theirs.operator("tom", "one").await;
    theirs.ready("Operator", "tom").await;

    let ours = Tenant::new("ours", json!({"seats": 5})).await;
    ours.operator("tim", "one").await;
    let waiting = ours.reason("Operator", "tim", "WaitingForParent").await;
    assert!(message(&waiting).contains("does not exist in this namespace"), "{}", message(&waiting));
    ours.organization("two", "acme").await;
    let waiting = ours.reason("Organization", "two", "WaitingForParent").await;
    assert!(message(&waiting).contains("does not exist in this namespace"), "{}", message(&waiting));
    ours.account("ours").await;
    ours.organization("mine", "ours").await;
    ours.ready("Organization", "mine").await;
    let named = json!({"organizationRef": {"name": "mine"}, "displayName": "D", "members": {"operators": [{"name": "tom"}]}});
    ours.create("Department", "named", named).await;
    let waiting = ours.reason("Department", "named", "WaitingForMember").await;
    assert!(message(&waiting).contains("does not exist in this namespace"), "{}", message(&waiting));
    let selected =
        json!({"organizationRef": {"name": "mine"}, "displayName": "S", "members": {"selector": {"matchLabels": {"shift": "early"}}}});
    theirs.patch("Operator", "tom", json!({"metadata": {"labels": {"shift": "early"}}})).await;
    ours.create("Department", "selected", selected).await;
    assert_eq!(ours.ready("Department", "selected").await["status"]["members"], 0);
    let referred = json!({"accountRef": {"name": "ours"}, "firstOperatorRef": {"name": "tom"}});
    ours.create("Organization", "referred", referred).await;
    ours.reason("Organization", "referred", "WaitingForMember").await;
}

#[tokio::test]
async fn a_backend_serves_the_namespaces_it_allows_and_follows_their_labels_and_cleanup_works_all_the_same() {
    let tenant = Tenant::new("allowed", json!({"seats": 5})).await;
    let team = tenant.namespace.clone();
    let mut selective = backend(&team);
    merge(&mut selective, json!({"spec": {"allowedNamespaces": {"matchLabels": {"team": &team}}}}));
    create(tenant.plane, selective).await;
    tenant.account_with("acme", json!({"backendRef": {"name": &team}})).await;
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
    let refused = tenant.reason("Account", "acme", "NamespaceNotAllowed").await;
    assert!(message(&refused).contains(&format!("AccountBackend \"{team}\"")), "{}", message(&refused));
    tenant.reason("Operator", "tom", "NamespaceNotAllowed").await;
    label(tenant.plane, &tenant.namespace, json!(team)).await;
    for (kind, name) in [("Account", "acme"), ("Organization", "one"), ("Operator", "tom")] {
        tenant.ready(kind, name).await;
    }
    label(tenant.plane, &tenant.namespace, Value::Null).await;
    for (kind, name) in [("Account", "acme"), ("Organization", "one"), ("Operator", "tom")] {
        tenant.reason(kind, name, "NamespaceNotAllowed").await;
    }
    let rows = async || {
        let store = Database::of(Controller::shared().await);
        store.texts("SELECT owner_name FROM operators WHERE owner_namespace = $1 ORDER BY 1", &[&tenant.namespace]).await
    };
    assert_eq!(rows().await, ["acme-default-first-operator", "one-first-operator", "tom"], "nobody is dropped");
    tenant.delete("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    assert_eq!(rows().await, ["acme-default-first-operator", "one-first-operator"]);
    tenant.annotate("Account", "acme", "deskplane.dev/confirm-deletion", json!("acme")).await;
    tenant.delete("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    assert_eq!(rows().await, [""; 0]);
}

#[tokio::test]
async fn what_stands_on_another_controllers_backend_is_not_touched() {
    let ours = Tenant::new("our-controller", json!({"seats": 5})).await;
    let theirs = ours.plane.namespace("their-controller").await;
    let mut foreign = backend(&theirs);
    foreign["spec"]["controllerName"] = json!("example.com/other");
    let mark = ours.plane.audit_mark().await;
    create(ours.plane, foreign).await;
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": &theirs}, "spec": spec});
    // The watches bring the kinds in any order: the account is told apart once its backend is known.
    ours.account_with("probe", json!({"backendRef": {"name": &theirs}})).await;
    let mut account = account_spec(&ours.plan);
    merge(&mut account, json!({"backendRef": {"name": &theirs}}));
    create(ours.plane, object("Account", "acme", account)).await;
    create(ours.plane, object("Organization", "one", organization_spec("one", "acme"))).await;
    create(ours.plane, object("Operator", "tom", operator_spec("tom", "one"))).await;
    create(ours.plane, object("Widget", "web", json!({"organizationRef": {"name": "one"}}))).await;
    for (kind, name) in [("Account", "acme"), ("Organization", "one"), ("Operator", "tom")] {
        let patch = Patch::Merge(json!({"metadata": {"labels": {"touched": "true"}}}));
        api(ours.plane, kind, &theirs).await.patch(name, &PatchParams::default(), &patch).await.expect("a label");
    }
    ours.account("acme").await;
    ours.organization("one", "acme").await;
    ready(ours.plane, "Organization", &ours.namespace, "one").await;

    let asked = ours.plane.requests_since(mark).await.of_user(CONTROLLER);
    assert!(!asked.clone().in_namespace(&ours.namespace).0.is_empty(), "the controller works");
    assert_eq!(asked.clone().in_namespace(&theirs).counts(), [].into());
    assert_eq!(asked.filter(|request| request.resource.starts_with("accountbackends") && request.name == theirs).counts(), [].into());
    let backend = api(ours.plane, "AccountBackend", "").await.get(&theirs).await.unwrap();
    assert_eq!(backend.data["status"], json!({"observedGeneration": -1}));
    assert_eq!(backend.metadata.finalizers, None, "the policy leaves it alone too");
    api(ours.plane, "AccountBackend", "").await.delete(&theirs, &DeleteParams::default()).await.unwrap();
    gone(ours.plane, "AccountBackend", "", &theirs).await;
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_is_being_deleted() {
    let tenant = Tenant::new("terminating", json!({"seats": 1})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    let late: Vec<String> = (0..6).map(|number| format!("late-{number}")).collect();
    for name in &late {
        tenant.organization(name, "acme").await;
    }
    for name in &late {
        tenant.reason("Organization", name, "SeatLimitExceeded").await;
        tenant.reason("Operator", &format!("{name}-first-operator"), "SeatLimitExceeded").await;
    }
    let mark = tenant.plane.audit_mark().await;
    let namespaces: Api<Namespace> = Api::all(tenant.plane.client().await);
    namespaces.delete(&tenant.namespace, &DeleteParams::default()).await.unwrap();
    for name in &late {
        tenant.gone("Organization", name).await;
        tenant.gone("Operator", &format!("{name}-first-operator")).await;
    }
    tenant.reason("Account", "acme", "ConfirmationRequired").await;
    tenant.annotate("Account", "acme", "deskplane.dev/confirm-deletion", json!("acme")).await;
    tenant.gone("Account", "acme").await;
    tenant.gone("Organization", "acme-default").await;
    let asked = tenant.plane.requests_since(mark).await.of_user(CONTROLLER).in_namespace(&tenant.namespace);
    let created = asked.filter(|request| request.verb == "create" && request.resource != "events");
    assert_eq!(created.counts(), [].into());
}
