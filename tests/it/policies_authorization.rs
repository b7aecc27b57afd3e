//! `update` alone picks no plan, confirms no deletion and lets nothing go: each takes a verb of its own.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::crds_objects::{KINDS, api, dry_run, full, object, refusal, with};
use crate::policies::{CONTROLLER, annotate, edit, made, patch, person, plane, report, rule, says};

#[tokio::test]
async fn an_account_names_only_plans_and_backends_its_author_may_use() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-use").await;
    let rules = vec![edit(&["accounts"]), rule(&["plans"], &["use"], &["custom"]), rule(&["accountbackends"], &["use"], &["embedded"])];
    let tenant = api(&person(&namespace, "tenant", rules).await, "Account", &namespace);

    for (field, kind) in [("planRef", "plans"), ("backendRef", "accountbackends")] {
        let account = object("Account", "acme", with(full("Account"), &format!("{field}.name"), json!("gold")));
        let message = refusal(tenant.create(&dry_run(), &account).await);
        let words = [
            &format!("spec.{field}: user \"system:serviceaccount:{namespace}:tenant\" may not use"),
            &format!("verb \"use\" on {kind}.deskplane.dev \"gold\""),
        ];
        says(&message, "account-authorization", &words.map(AsRef::as_ref));
    }
    tenant.create(&PostParams::default(), &object("Account", "acme", full("Account"))).await.unwrap();
    let message = refusal(patch(&tenant, "acme", json!({ "spec": { "planRef": { "name": "gold" } } })).await);
    says(&message, "account-authorization", &["spec.planRef", "\"gold\""]);

    // Moved to another plan by an admin: the tenant may go on editing, and go back.
    let admin = api(&plane.client().await, "Account", &namespace);
    patch(&admin, "acme", json!({ "spec": { "planRef": { "name": "gold" } } })).await.unwrap();
    patch(&tenant, "acme", json!({ "spec": { "owner": { "displayName": "Ada" } } })).await.unwrap();
    patch(&tenant, "acme", json!({ "spec": { "planRef": { "name": "custom" } } })).await.unwrap();
}

#[tokio::test]
async fn whoever_may_not_use_a_plan_can_still_edit_what_is_there() {
    let namespace = plane().await.namespace("authz-edit").await;
    made(&namespace, "Account", "acme", full("Account")).await;
    let tenant = api(&person(&namespace, "tenant", vec![edit(&["accounts", "accounts/status"])]).await, "Account", &namespace);
    patch(&tenant, "acme", json!({ "metadata": { "labels": { "a": "b" } }, "spec": { "owner": { "displayName": "Ada" } } })).await.unwrap();
    annotate(&tenant, "acme", "paused", json!("true")).await.unwrap();
    report(&tenant, "acme", json!({ "externalId": "row-1" })).await;
    refusal(tenant.create(&dry_run(), &object("Account", "other", full("Account"))).await);
}

#[tokio::test]
async fn switching_the_protection_off_takes_delete() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-protection").await;
    let accounts = made(&namespace, "Account", "acme", full("Account")).await;
    let tenant = api(&person(&namespace, "tenant", vec![edit(&["accounts"])]).await, "Account", &namespace);
    let owner = vec![edit(&["accounts"]), rule(&["accounts"], &["delete"], &["acme"])];
    let owner = api(&person(&namespace, "owner", owner).await, "Account", &namespace);
    let protection = |on: bool| json!({ "spec": { "deletionProtection": on } });

    let message = refusal(patch(&tenant, "acme", protection(false)).await);
    says(&message, "account-authorization", &["spec.deletionProtection", "tenant", "verb \"delete\"", "\"acme\""]);
    patch(&tenant, "acme", protection(true)).await.unwrap();
    patch(&owner, "acme", protection(false)).await.unwrap();
    // Off stays off for others, and anybody may switch it on.
    patch(&tenant, "acme", json!({ "spec": { "deletionProtection": false, "owner": { "displayName": "Ada" } } })).await.unwrap();
    patch(&tenant, "acme", protection(true)).await.unwrap();
    refusal(patch(&tenant, "acme", protection(false)).await);
    assert_eq!(accounts.get("acme").await.unwrap().data["spec"]["deletionProtection"], true);
}

#[tokio::test]
async fn confirming_a_deletion_takes_delete_on_that_object() {
    let namespace = plane().await.namespace("authz-confirm").await;
    for (kind, plural) in [("Account", "accounts"), ("Organization", "organizations")] {
        for name in ["acme", "beta"] {
            made(&namespace, kind, name, full(kind)).await;
        }
        let tenant = api(&person(&namespace, &format!("tenant-{plural}"), vec![edit(&[plural])]).await, kind, &namespace);
        let message = refusal(annotate(&tenant, "acme", "confirm-deletion", json!("acme")).await);
        let words =
            ["metadata.annotations", "deskplane.dev/confirm-deletion", &format!("{plural}.deskplane.dev \"acme\""), "verb \"delete\""];
        says(&message, "annotation-authorization", &words);
        let owner = vec![edit(&[plural]), rule(&[plural], &["delete"], &["acme"])];
        let owner = api(&person(&namespace, &format!("owner-{plural}"), owner).await, kind, &namespace);
        annotate(&owner, "acme", "confirm-deletion", json!("acme")).await.unwrap();
        refusal(annotate(&owner, "beta", "confirm-deletion", json!("beta")).await);
        // What is confirmed stays so while others edit; and anybody may take it back.
        patch(&tenant, "acme", json!({ "metadata": { "labels": { "a": "b" } } })).await.unwrap();
        annotate(&tenant, "acme", "confirm-deletion", Value::Null).await.unwrap();
        refusal(annotate(&tenant, "acme", "confirm-deletion", json!("acme")).await);
    }
}

#[tokio::test]
async fn letting_go_takes_release_on_every_kind() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-release").await;
    let plurals = ["accounts", "organizations", "operators", "departments", "widgets"];
    let tenant = person(&namespace, "tenant", vec![edit(&plurals), rule(&plurals, &["delete"], &[])]).await;
    let admin = person(&namespace, "admin", vec![edit(&plurals), rule(&plurals, &["release"], &[])]).await;
    for kind in KINDS.into_iter().filter(|kind| !matches!(*kind, "Plan" | "AccountBackend")) {
        made(&namespace, kind, "acme", full(kind)).await;
        let (tenant, admin) = (api(&tenant, kind, &namespace), api(&admin, kind, &namespace));
        let message = refusal(annotate(&tenant, "acme", "release", json!("acme")).await);
        says(&message, "annotation-authorization", &["metadata.annotations", "deskplane.dev/release", "\"acme\"", "verb \"release\""]);
        annotate(&admin, "acme", "release", json!("acme")).await.unwrap();
        annotate(&tenant, "acme", "paused", json!("true")).await.unwrap();
        annotate(&tenant, "acme", "release", Value::Null).await.unwrap();
    }
    let controller = api(&plane.client_as(CONTROLLER, &["system:masters"]).await, "Operator", &namespace);
    annotate(&controller, "acme", "release", json!("acme")).await.unwrap();
}

#[tokio::test]
async fn accepting_another_store_takes_a_verb_of_its_own() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-store").await;
    // Of another controller: the controllers of other tests leave it alone.
    let spec = with(full("AccountBackend"), "controllerName", json!("example.com/other"));
    let backends = made("", "AccountBackend", &namespace, spec.clone()).await;
    let editor = api(&person(&namespace, "editor", vec![edit(&["accountbackends"])]).await, "AccountBackend", "");
    let rules = vec![edit(&["accountbackends"]), rule(&["accountbackends"], &["accept-store"], &[&namespace])];
    let admin = api(&person(&namespace, "admin", rules).await, "AccountBackend", "");

    let refused = refusal(annotate(&editor, &namespace, "accept-store", json!("store-2")).await);
    says(&refused, "store-authorization", &["deskplane.dev/accept-store", "editor", &namespace, "verb \"accept-store\""]);
    annotate(&admin, &namespace, "accept-store", json!("store-2")).await.unwrap();
    patch(&editor, &namespace, json!({ "spec": { "resyncInterval": "5m" } })).await.unwrap();
    refusal(annotate(&editor, &namespace, "accept-store", json!("store-3")).await);
    annotate(&editor, &namespace, "accept-store", Value::Null).await.unwrap();

    let mut created = object("AccountBackend", &format!("{namespace}-2"), spec);
    created.metadata.annotations = Some([("deskplane.dev/accept-store".to_owned(), "store-2".to_owned())].into());
    says(&refusal(editor.create(&dry_run(), &created).await), "store-authorization", &["accept-store"]);
    backends.delete(&namespace, &kube::api::DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn switching_organizations_takes_promote_on_that_operator() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-promote").await;
    let tenant = api(&person(&namespace, "tenant", vec![edit(&["operators"])]).await, "Operator", &namespace);
    let rules = vec![edit(&["operators"]), rule(&["operators"], &["promote"], &["tom"])];
    let admin = api(&person(&namespace, "admin", rules).await, "Operator", &namespace);
    let switches = |on: bool| json!({ "spec": { "switchOrganizations": on } });
    let promoted = |name: &str| object("Operator", name, with(full("Operator"), "switchOrganizations", json!(true)));

    // At birth, and later; by name, and not for others.
    let message = refusal(tenant.create(&dry_run(), &promoted("tom")).await);
    let words = ["spec.switchOrganizations", "tenant", "enter every organization", "verb \"promote\" on operators.deskplane.dev \"tom\""];
    says(&message, "promotion-authorization", &words);
    admin.create(&dry_run(), &promoted("tom")).await.unwrap();
    refusal(admin.create(&dry_run(), &promoted("eva")).await);
    for name in ["tom", "eva"] {
        tenant.create(&PostParams::default(), &object("Operator", name, full("Operator"))).await.unwrap();
    }
    says(&refusal(patch(&tenant, "tom", switches(true)).await), "promotion-authorization", &words);
    patch(&tenant, "tom", switches(false)).await.unwrap();
    refusal(patch(&admin, "eva", switches(true)).await);
    patch(&admin, "tom", switches(true)).await.unwrap();

    // Who is promoted can be edited by others, but for who it is; and anybody may take it back.
    patch(&tenant, "tom", json!({ "spec": { "switchOrganizations": true, "nickname": "Tommy", "suspended": true } })).await.unwrap();
    let message = refusal(patch(&tenant, "tom", json!({ "spec": { "email": "eve@acme.example" } })).await);
    says(&message, "promotion-authorization", &["spec.email", "tenant", "switch organizations", "verb \"promote\""]);
    patch(&admin, "tom", json!({ "spec": { "email": "thomas@acme.example" } })).await.unwrap();
    patch(&tenant, "tom", json!({ "spec": { "switchOrganizations": false, "email": "eve@acme.example" } })).await.unwrap();
    refusal(patch(&tenant, "tom", switches(true)).await);
    let controller = api(&plane.client_as(CONTROLLER, &["system:masters"]).await, "Operator", &namespace);
    patch(&controller, "tom", switches(true)).await.unwrap();
}

#[tokio::test]
async fn the_controller_makes_organizations_without_any_of_these_verbs() {
    let plane = plane().await;
    let namespace = plane.namespace("authz-controller").await;
    let rules = vec![edit(&["organizations", "organizations/status", "operators"])];
    let client = person(&namespace, "like-the-controller", rules).await;
    for (kind, name) in [("Organization", "acme-default"), ("Operator", "acme-default-first-operator")] {
        api(&client, kind, &namespace).create(&PostParams::default(), &object(kind, name, full(kind))).await.unwrap();
    }
    report(&api(&client, "Organization", &namespace), "acme-default", json!({ "externalId": "row-1" })).await;
}
