//! Rules 5 and 6 on the real control plane: default organizations, first operators, starter kits.

use deskplane::store::{Location, Store};
use serde_json::{Value, json};

use crate::controller::{Controller, Tenant, account_spec, merge};
use crate::rows::uid;

fn starter(organization: &str) -> [(&'static str, String); 2] {
    [("Department", format!("{organization}-customer-service")), ("Widget", format!("{organization}-widget"))]
}

fn owner(object: &Value) -> &Value {
    let owners = object["metadata"]["ownerReferences"].as_array().expect("owners");
    assert_eq!(owners.len(), 1, "{owners:?}");
    &owners[0]
}

#[tokio::test]
async fn an_account_comes_with_its_default_organization_and_the_owner_as_first_operator() {
    let tenant = Tenant::new("default-org", json!({"seats": 3})).await;
    let mut spec = account_spec(&tenant.plan);
    spec.as_object_mut().unwrap().remove("defaultOrganization");
    merge(&mut spec, json!({"owner": {"email": "ada@acme.example", "displayName": "Ada Owner"}}));
    tenant.create("Account", "acme", spec).await;

    let account = tenant.ready("Account", "acme").await;
    let organization = tenant.ready("Organization", "acme-default").await;
    assert_eq!(organization["spec"]["accountRef"]["name"], "acme");
    assert_eq!(owner(&organization)["uid"], account["metadata"]["uid"]);

    let first = tenant.ready("Operator", "acme-default-first-operator").await;
    assert_eq!(first["spec"]["email"], "ada@acme.example");
    assert_eq!(first["spec"]["displayName"], "Ada Owner");
    assert_eq!(first["spec"]["role"], "Manager");
    assert_eq!(first["status"]["seat"], "Held");
    assert_eq!(owner(&first)["uid"], organization["metadata"]["uid"]);

    for (kind, name) in starter("acme-default") {
        let made = tenant.ready(kind, &name).await;
        assert_eq!(made["metadata"]["labels"]["deskplane.dev/starter"], "true", "{kind}");
        assert_eq!(owner(&made)["uid"], organization["metadata"]["uid"], "{kind}");
        assert_eq!(made["spec"]["organizationRef"]["name"], "acme-default");
    }
    let department = tenant.until("Department", "acme-default-customer-service", "one member", |it| it["status"]["members"] == 1).await;
    assert_eq!(department["spec"]["displayName"], "Customer Service");
    assert_eq!(department["spec"]["members"]["operators"], json!([{"name": "acme-default-first-operator"}]));
    tenant.until("Widget", "acme-default-widget", "Online", |it| it["status"]["availability"] == "Online").await;
}

#[tokio::test]
async fn the_owner_may_enter_every_organization_and_an_operator_their_own() {
    let tenant = Tenant::new("owner-enters", json!({"seats": 3})).await;
    let mia = json!({"email": "mia@acme.example"});
    tenant.account_with("acme", json!({"owner": {"email": "Ada@acme.example"}, "defaultOrganization": {"firstOperator": mia}})).await;
    let account = uid(&tenant.ready("Account", "acme").await);
    tenant.ready("Organization", "acme-default").await;
    tenant.organization("one", "acme").await;
    let mut all = Vec::new();
    for name in ["acme-default", "one"] {
        all.push(tenant.ready("Organization", name).await["status"]["externalId"].as_str().expect("a row").to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut location = Location::parse(Controller::shared().await.store()).unwrap();
    if let Location::File(_) = location {
        // One process writes to it: so this is asked of a copy.
        let copy = folder.path().join("copy.db");
        Store::backup(&location, &copy).await.unwrap();
        location = Location::File(copy);
    }
    let store = Store::open(&location).await.unwrap();
    let enters = async |email| -> Vec<String> {
        let organizations = store.switchable_organizations(&account, email).await.unwrap();
        organizations.into_iter().map(|organization| organization.external_id).collect()
    };
    assert_eq!(enters("ada@acme.example").await, all);
    assert_eq!(enters("mia@acme.example").await, all[..1]);
    assert!(enters("eve@acme.example").await.is_empty());
}

#[tokio::test]
async fn the_default_organization_is_described_once_and_edits_of_the_account_do_not_overrule_it() {
    let tenant = Tenant::new("read-once", json!({"seats": 3})).await;
    let described = json!({"displayName": "Acme", "language": "en", "location": {"country": "GB", "timeZone": "Europe/London"},
        "firstOperator": {"email": "mia@acme.example", "displayName": "Mia"}});
    tenant.account_with("acme", json!({"defaultOrganization": described})).await;
    let organization = tenant.ready("Organization", "acme-default").await;
    for field in ["displayName", "language", "location", "firstOperator"] {
        assert_eq!(organization["spec"][field], described[field], "{field}");
    }
    assert_eq!(organization["status"]["displayName"], "Acme");
    let first = tenant.ready("Operator", "acme-default-first-operator").await;
    assert_eq!(first["spec"]["email"], "mia@acme.example", "not the owner");

    tenant.patch("Organization", "acme-default", json!({"spec": {"language": "de"}})).await;
    tenant.ready("Organization", "acme-default").await;
    let later = json!({"owner": {"displayName": "Ada"}, "defaultOrganization": {"displayName": "Other", "language": "fr"}});
    tenant.patch("Account", "acme", json!({"spec": later})).await;
    tenant.ready("Account", "acme").await;
    let organization = tenant.get("Organization", "acme-default").await.unwrap();
    assert_eq!(organization["spec"]["displayName"], "Acme");
    assert_eq!(organization["spec"]["language"], "de");
}

#[tokio::test]
async fn an_organization_without_a_display_name_shows_an_id_of_its_own() {
    let tenant = Tenant::new("unique-id", json!({"seats": 3})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    let one = tenant.ready("Organization", "one").await;
    let default = tenant.ready("Organization", "acme-default").await;
    assert_eq!(one["status"]["displayName"], one["status"]["externalId"]);
    assert!(one["status"]["displayName"].as_str().is_some_and(|id| !id.is_empty()));
    assert_ne!(one["status"]["displayName"], default["status"]["displayName"]);
    tenant.patch("Organization", "one", json!({"spec": {"displayName": "One"}})).await;
    let one = tenant.ready("Organization", "one").await;
    assert_eq!(one["status"]["displayName"], "One");
}

#[tokio::test]
async fn an_operator_of_the_first_ones_name_or_email_takes_its_place() {
    let tenant = Tenant::new("first-exists", json!({"seats": 5})).await;
    let operator = |organization: &str, email: &str| json!({"organizationRef": {"name": organization}, "email": email, "role": "Agent", "credentials": {"mode": "None"}});
    tenant.create("Operator", "named-first-operator", operator("named", "somebody@else.example")).await;
    tenant.create("Operator", "mia", operator("mailed", "FIRST@Mailed.example")).await;
    tenant.account("acme").await;
    tenant.organization("named", "acme").await;
    tenant.organization("mailed", "acme").await;
    tenant.ready("Organization", "named").await;
    tenant.ready("Organization", "mailed").await;
    let named = tenant.ready("Operator", "named-first-operator").await;
    assert_eq!(named["spec"]["email"], "somebody@else.example");
    assert_eq!(named["spec"]["role"], "Agent", "it stays as it was made");
    assert_eq!(tenant.ready("Operator", "mia").await["status"]["seat"], "Held");
    assert!(tenant.get("Operator", "mailed-first-operator").await.is_none(), "mia took the place");
}

#[tokio::test]
async fn a_first_operator_by_reference_is_waited_for_and_must_be_of_the_organization() {
    let tenant = Tenant::new("first-ref", json!({"seats": 5})).await;
    tenant.account("acme").await;
    tenant.organization("other", "acme").await;
    let spec = |first: &str| json!({"accountRef": {"name": "acme"}, "firstOperatorRef": {"name": first}, "starterKit": "None"});
    tenant.create("Organization", "one", spec("mia")).await;
    let waiting = tenant.reason("Organization", "one", "WaitingForMember").await;
    assert!(waiting["status"]["conditions"][0]["message"].as_str().unwrap().contains("\"mia\""), "{waiting}");
    tenant.operator("mia", "one").await;
    tenant.ready("Organization", "one").await;
    assert_eq!(tenant.ready("Operator", "mia").await["status"]["seat"], "Held");
    assert!(tenant.get("Operator", "one-first-operator").await.is_none());

    tenant.ready("Organization", "other").await;
    tenant.create("Organization", "stranger", spec("other-first-operator")).await;
    let invalid = tenant.reason("Organization", "stranger", "Invalid").await;
    let message = invalid["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("spec.firstOperatorRef") && message.contains("\"other\""), "{message}");
}

#[tokio::test]
async fn a_suspended_first_operator_is_invalid_until_it_is_not() {
    let tenant = Tenant::new("first-suspended", json!({"seats": 5})).await;
    tenant.account("acme").await;
    let operator = json!({"organizationRef": {"name": "one"}, "email": "first@one.example", "suspended": true});
    tenant.create("Operator", "one-first-operator", operator).await;
    tenant.organization("one", "acme").await;
    let invalid = tenant.reason("Organization", "one", "Invalid").await;
    let message = invalid["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("\"one-first-operator\"") && message.contains("spec.suspended"), "{message}");
    tenant.patch("Operator", "one-first-operator", json!({"spec": {"suspended": false}})).await;
    tenant.ready("Organization", "one").await;
    tenant.ready("Operator", "one-first-operator").await;
}

#[tokio::test]
async fn the_first_operator_is_made_again_while_its_organization_waits_for_a_seat() {
    let tenant = Tenant::new("first-again", json!({"seats": 1})).await;
    tenant.account("acme").await;
    tenant.ready("Organization", "acme-default").await;
    tenant.organization("late", "acme").await;
    tenant.reason("Organization", "late", "SeatLimitExceeded").await;
    let first = tenant.reason("Operator", "late-first-operator", "SeatLimitExceeded").await;
    assert!(first["status"]["externalId"].is_null(), "no seat, no organization, no first operator");
    tenant.operator("tom", "late").await;
    let tom = tenant.reason("Operator", "tom", "WaitingForParent").await;
    assert!(tom["status"]["queuePosition"].is_null(), "no ticket before the organization has its row");

    tenant.delete("Operator", "late-first-operator").await;
    let again = tenant
        .until("Operator", "late-first-operator", "another one of that name", |it| it["metadata"]["uid"] != first["metadata"]["uid"])
        .await;
    assert_eq!(again["spec"]["email"], "first@late.example");
    tenant.reason("Operator", "late-first-operator", "SeatLimitExceeded").await;

    tenant.raise(json!({"seats": 3})).await;
    tenant.ready("Organization", "late").await;
    assert_eq!(tenant.ready("Operator", "late-first-operator").await["metadata"]["uid"], again["metadata"]["uid"]);
    tenant.ready("Operator", "tom").await;
}

#[tokio::test]
async fn a_first_operator_that_goes_once_the_organization_has_its_row_is_not_made_again() {
    let tenant = Tenant::new("first-goes", json!({"seats": 5})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;
    tenant.delete("Operator", "one-first-operator").await;
    tenant.gone("Operator", "one-first-operator").await;
    tenant.patch("Organization", "one", json!({"spec": {"displayName": "One"}})).await;
    tenant.ready("Organization", "one").await;
    assert!(tenant.get("Operator", "one-first-operator").await.is_none());
}

#[tokio::test]
async fn nobody_who_edits_or_deletes_the_starter_kit_is_overruled() {
    let tenant = Tenant::new("starter", json!({"seats": 5})).await;
    tenant.account("acme").await;
    let spec = json!({"accountRef": {"name": "acme"}, "firstOperator": {"email": "first@one.example"}, "language": "de"});
    tenant.create("Organization", "one", spec).await;
    let widget = tenant.ready("Widget", "one-widget").await;
    assert_eq!(widget["spec"]["language"], "de", "the organization's");
    let edited = json!({"metadata": {"labels": {"deskplane.dev/starter": null}}, "spec": {"displayName": "Support", "members": null}});
    tenant.ready("Organization", "one").await;
    tenant.patch("Department", "one-customer-service", edited).await;
    tenant.delete("Widget", "one-widget").await;
    tenant.gone("Widget", "one-widget").await;

    tenant.patch("Organization", "one", json!({"spec": {"displayName": "One"}})).await;
    tenant.ready("Organization", "one").await;
    assert!(tenant.get("Widget", "one-widget").await.is_none());
    let department = tenant.ready("Department", "one-customer-service").await;
    assert_eq!(department["spec"]["displayName"], "Support");
    assert!(department["metadata"]["labels"]["deskplane.dev/starter"].is_null());
    assert!(department["spec"]["members"].is_null());

    tenant.organization("none", "acme").await;
    tenant.ready("Organization", "none").await;
    tenant.patch("Organization", "none", json!({"spec": {"starterKit": "Create"}})).await;
    for (kind, name) in starter("none") {
        tenant.ready(kind, &name).await;
    }
}

#[tokio::test]
async fn a_starter_name_that_belongs_to_another_organization_is_name_taken_until_it_is_free() {
    let tenant = Tenant::new("taken", json!({"seats": 9})).await;
    tenant.account("acme").await;
    tenant.organization("other", "acme").await;
    tenant.ready("Organization", "other").await;
    let department = json!({"organizationRef": {"name": "other"}, "displayName": "Theirs"});
    tenant.create("Department", "one-customer-service", department).await;
    tenant.create("Widget", "two-widget", json!({"organizationRef": {"name": "other"}})).await;
    tenant.operator("three-first-operator", "other").await;
    for (name, kind, taken) in
        [("one", "Department", "one-customer-service"), ("two", "Widget", "two-widget"), ("three", "Operator", "three-first-operator")]
    {
        let theirs = tenant.ready(kind, taken).await;
        let spec = json!({"accountRef": {"name": "acme"}, "firstOperator": {"email": format!("first@{name}.example")}});
        tenant.create("Organization", name, spec).await;
        let refused = tenant.reason("Organization", name, "NameTaken").await;
        let message = refused["status"]["conditions"][0]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{kind} \"{taken}\"")) && message.contains("spec.organizationRef"), "{message}");
        assert_eq!(tenant.get(kind, taken).await.unwrap()["spec"], theirs["spec"], "left alone");
        tenant.delete(kind, taken).await;
        tenant.gone(kind, taken).await;
        tenant.ready("Organization", name).await;
        assert_eq!(tenant.ready(kind, taken).await["spec"]["organizationRef"]["name"], name);
    }
}

#[tokio::test]
async fn an_account_whose_default_organizations_name_is_taken_says_so() {
    let tenant = Tenant::new("default-taken", json!({"seats": 9})).await;
    tenant.account("other").await;
    tenant.organization("acme-default", "other").await;
    tenant.ready("Organization", "acme-default").await;
    tenant.account("acme").await;
    let refused = tenant.reason("Account", "acme", "NameTaken").await;
    let message = refused["status"]["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("Organization \"acme-default\"") && message.contains("spec.accountRef"), "{message}");
    assert_eq!(tenant.ready("Organization", "acme-default").await["spec"]["accountRef"]["name"], "other");
}
