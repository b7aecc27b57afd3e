//! Deleting a protected Account or Organization: refused until confirmed, with counts and with what to type.

use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};

use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::crds_objects::{KINDS, api, dry_run, full, object, refusal, with};
use crate::policies::{CONTROLLER, annotate, edit, made, patch, person, plane, report, rule, says};

const USAGE: fn() -> Value =
    || json!({ "usage": { "organizations": 1, "operators": 12, "departments": 3, "widgets": 2, "transcripts": 340 } });

/// A deletion that is only tried.
fn attempt() -> DeleteParams {
    DeleteParams { dry_run: true, ..DeleteParams::default() }
}

#[tokio::test]
async fn an_unconfirmed_deletion_is_refused_with_counts_and_with_what_to_type() {
    let namespace = plane().await.namespace("policy-delete").await;
    let organizations = made(&namespace, "Organization", "acme-germany", full("Organization")).await;
    let message = refusal(organizations.delete("acme-germany", &attempt()).await);
    says(&message, "organization-deletion", &["all operators, departments, widgets and transcripts in it"]);

    report(&organizations, "acme-germany", USAGE()).await;
    let message = refusal(organizations.delete("acme-germany", &attempt()).await);
    let type_this = format!("kubectl annotate org acme-germany -n {namespace} --overwrite deskplane.dev/confirm-deletion=acme-germany");
    let or_this = format!("kubectl deskplane confirm-deletion acme-germany -n {namespace}");
    let counts = "at least 12 operators, 3 departments, 2 widgets, 340 transcripts, as of the last update";
    says(&message, "organization-deletion", &["organization \"acme-germany\" is protected", counts, &type_this, &or_this]);

    let accounts = made(&namespace, "Account", "acme", full("Account")).await;
    report(&accounts, "acme", USAGE()).await;
    let message = refusal(accounts.delete("acme", &attempt()).await);
    let counts = "at least 1 organization, 12 operators, 3 departments, 2 widgets, 340 transcripts, as of the last update";
    let type_this = format!("kubectl annotate acct acme -n {namespace} --overwrite deskplane.dev/confirm-deletion=acme");
    let or_this = format!("kubectl deskplane confirm-deletion --account acme -n {namespace}");
    says(&message, "account-deletion", &["account \"acme\" is protected", counts, &type_this, &or_this]);
    let kubectl = plane().await.kubectl(&["delete", "acct", "acme", "-n", &namespace]);
    assert!(!kubectl.status.success() && String::from_utf8_lossy(&kubectl.stderr).contains(counts));
}

#[tokio::test]
async fn what_the_message_says_to_type_works() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-type").await;
    let organizations = made(&namespace, "Organization", "acme-germany", full("Organization")).await;
    let message = refusal(organizations.delete("acme-germany", &attempt()).await);
    let command = message.split("type: kubectl ").nth(1).and_then(|rest| rest.split(" (or").next()).expect("a command");
    plane.kubectl_ok(&command.split_whitespace().collect::<Vec<_>>());
    organizations.delete("acme-germany", &attempt()).await.unwrap();
}

#[tokio::test]
async fn only_the_right_name_confirms() {
    let namespace = plane().await.namespace("policy-wrong").await;
    for (kind, policy) in [("Organization", "organization-deletion"), ("Account", "account-deletion")] {
        let api = made(&namespace, kind, "acme", full(kind)).await;
        for annotation in ["confirm-deletion", "release"] {
            for wrong in ["", "true", "acme-germany", "ACME", "acme "] {
                let refused = refusal(annotate(&api, "acme", annotation, json!(wrong)).await);
                let words = [
                    &format!("deskplane.dev/{annotation} counts only with the name of the object"),
                    "Set it to \"acme\", or leave it out.",
                ];
                says(&refused, "annotation-values", &words);
            }
        }
        says(&refusal(api.delete("acme", &attempt()).await), policy, &["is not confirmed"]);
        annotate(&api, "acme", "confirm-deletion", json!("acme")).await.unwrap();
        api.delete("acme", &attempt()).await.unwrap();
        annotate(&api, "acme", "confirm-deletion", Value::Null).await.unwrap();
        refusal(api.delete("acme", &attempt()).await);
        annotate(&api, "acme", "release", json!("acme")).await.unwrap();
        api.delete("acme", &attempt()).await.unwrap();
    }
}

#[tokio::test]
async fn only_true_pauses_and_false_does_not() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-paused").await;
    let client = plane.client().await;
    for kind in KINDS {
        let objects = api(&client, kind, &namespace);
        let create = async |value: &str| {
            let mut object = object(kind, "new", full(kind));
            object.metadata.annotations = Some([("deskplane.dev/paused".to_owned(), value.to_owned())].into());
            objects.create(&dry_run(), &object).await
        };
        for good in ["true", "false"] {
            create(good).await.unwrap_or_else(|error| panic!("{kind} {good}: {error}"));
        }
        for wrong in ["", "True", "yes", "1", "new"] {
            let words = ["deskplane.dev/paused is \"true\"", "or \"false\"", &format!("not \"{wrong}\"")];
            says(&refusal(create(wrong).await), "annotation-values", &words);
        }
    }
    let widgets = made(&namespace, "Widget", "web", full("Widget")).await;
    says(&refusal(annotate(&widgets, "web", "paused", json!("yes")).await), "annotation-values", &["not \"yes\""]);
    for value in [json!("true"), json!("false"), Value::Null] {
        annotate(&widgets, "web", "paused", value).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_value_from_before_the_policy_holds_no_other_write_up() {
    let plane = ControlPlane::dedicated_with(|file| !file.starts_with("policy-")).await;
    let organizations = api(&plane.client().await, "Organization", "default");
    let mut old = object("Organization", "acme", full("Organization"));
    let wrong = [("deskplane.dev/release", "other"), ("deskplane.dev/paused", "yes")];
    old.metadata.annotations = Some(wrong.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    organizations.create(&PostParams::default(), &old).await.unwrap();
    plane.kubectl_ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/crds/policy-deletion.yaml")]);
    eventually("the policy is in force", DEADLINE, async || {
        let wrong = Patch::Merge(json!({ "metadata": { "annotations": { "deskplane.dev/confirm-deletion": "wrong" } } }));
        let only_tried = PatchParams { dry_run: true, ..PatchParams::default() };
        match organizations.patch("acme", &only_tried, &wrong).await {
            Err(kube::Error::Api(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    patch(&organizations, "acme", json!({ "metadata": { "labels": { "a": "b" } } })).await.unwrap();
    annotate(&organizations, "acme", "confirm-deletion", json!("acme")).await.unwrap();
    says(&refusal(annotate(&organizations, "acme", "release", json!("another")).await), "annotation-values", &["deskplane.dev/release"]);
    annotate(&organizations, "acme", "release", Value::Null).await.unwrap();
}

#[tokio::test]
async fn an_unprotected_account_and_its_organizations_need_no_confirmation() {
    let namespace = plane().await.namespace("policy-open").await;
    let accounts = made(&namespace, "Account", "acme", with(full("Account"), "deletionProtection", json!(false))).await;
    accounts.delete("acme", &attempt()).await.unwrap();
    patch(&accounts, "acme", json!({ "spec": { "deletionProtection": true } })).await.unwrap();
    refusal(accounts.delete("acme", &attempt()).await);
    let organizations = made(&namespace, "Organization", "acme-germany", full("Organization")).await;
    report(&organizations, "acme-germany", json!({ "protected": true })).await;
    refusal(organizations.delete("acme-germany", &attempt()).await);
    report(&organizations, "acme-germany", json!({ "protected": false })).await;
    organizations.delete("acme-germany", &attempt()).await.unwrap();
}

#[tokio::test]
async fn the_default_organization_goes_only_with_its_account() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-default").await;
    let organizations = made(&namespace, "Organization", "acme-default", full("Organization")).await;
    // Until it exists in the backend it is like any other: its Account may be a typo.
    says(&refusal(organizations.delete("acme-default", &attempt()).await), "organization-deletion", &["is not confirmed"]);
    report(&organizations, "acme-default", json!({ "externalId": "row-1", "protected": false })).await;
    annotate(&organizations, "acme-default", "confirm-deletion", json!("acme-default")).await.unwrap();
    let words =
        ["default organization of account \"acme\"", "delete the Account instead", &format!("kubectl delete acct acme -n {namespace}")];
    says(&refusal(organizations.delete("acme-default", &attempt()).await), "organization-deletion", &words);
    let exempt = api(&plane.client_as(CONTROLLER, &["system:masters"]).await, "Organization", &namespace);
    exempt.delete("acme-default", &attempt()).await.unwrap();
}

#[tokio::test]
async fn orphaning_is_refused_even_when_confirmed() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-orphan").await;
    for (kind, policy, plural) in [("Organization", "organization-deletion", "org"), ("Account", "account-deletion", "acct")] {
        let api = made(&namespace, kind, "acme", full(kind)).await;
        annotate(&api, "acme", "confirm-deletion", json!("acme")).await.unwrap();
        let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..attempt() };
        says(&refusal(api.delete("acme", &orphan).await), policy, &["propagationPolicy Orphan", "deskplane.dev/release=acme"]);
        let kubectl = plane.kubectl(&["delete", plural, "acme", "-n", &namespace, "--cascade=orphan", "--dry-run=server"]);
        assert!(!kubectl.status.success() && String::from_utf8_lossy(&kubectl.stderr).contains("--cascade=orphan"));
        for policy in [PropagationPolicy::Foreground, PropagationPolicy::Background] {
            let cascade = DeleteParams { propagation_policy: Some(policy), ..attempt() };
            api.delete("acme", &cascade).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_old_way_to_orphan_is_refused_too() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-orphan-old").await;
    let organizations = made(&namespace, "Organization", "acme", full("Organization")).await;
    annotate(&organizations, "acme", "confirm-deletion", json!("acme")).await.unwrap();
    let request = http::Request::delete(format!("/apis/deskplane.dev/v1alpha1/namespaces/{namespace}/organizations/acme"))
        .header("content-type", "application/json")
        .body(json!({ "apiVersion": "v1", "kind": "DeleteOptions", "orphanDependents": true }).to_string().into_bytes());
    let answer = plane.client().await.request::<Value>(request.unwrap()).await;
    says(&refusal(answer), "organization-deletion", &["propagationPolicy Orphan"]);
}

#[tokio::test]
async fn a_collection_is_refused_object_by_object() {
    let namespace = plane().await.namespace("policy-collection").await;
    let organizations = made(&namespace, "Organization", "one", full("Organization")).await;
    let answer = organizations.delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    says(&refusal(answer.map(drop)), "organization-deletion", &["organization \"one\" is protected"]);
    assert!(organizations.get("one").await.unwrap().metadata.deletion_timestamp.is_none());
}

#[tokio::test]
async fn operators_departments_and_widgets_are_deleted_freely() {
    let namespace = plane().await.namespace("policy-free").await;
    for kind in ["Operator", "Department", "Widget"] {
        made(&namespace, kind, "free", full(kind)).await.delete("free", &attempt()).await.unwrap();
    }
}

#[tokio::test]
async fn a_plan_or_backend_in_use_is_not_deleted() {
    let plane = plane().await;
    let exempt = plane.client_as(CONTROLLER, &["system:masters"]).await;
    for (kind, short, field, advice) in
        [("Plan", "cplan", "planRef", "Give them another plan, or delete them"), ("AccountBackend", "ab", "backendRef", "Delete them, for")]
    {
        let name = format!("policy-used-{short}");
        let api = made("", kind, &name, full(kind)).await;
        api.delete(&name, &attempt()).await.expect("nobody has counted yet");
        report(&api, &name, json!({ "accounts": 1 })).await;
        says(&refusal(api.delete(&name, &attempt()).await), "in-use-deletion", &["is in use: 1 Account names it"]);
        report(&api, &name, json!({ "accounts": 3 })).await;
        let who = format!("kubectl get acct -A --field-selector spec.{field}.name={name}");
        let escape = format!("kubectl annotate {short} {name} deskplane.dev/release={name}");
        let words = [&format!("\"{name}\" is in use: 3 Accounts name it, as of the last update"), &who, advice, &escape];
        says(&refusal(api.delete(&name, &attempt()).await), "in-use-deletion", &words.map(AsRef::as_ref));
        let refused =
            refusal(api.delete_collection(&attempt(), &ListParams::default().fields(&format!("metadata.name={name}"))).await.map(drop));
        says(&refused, "in-use-deletion", &["is in use"]);
        crate::crds_objects::api(&exempt, kind, "").delete(&name, &attempt()).await.expect("who deletes for others is not held up");

        let typed: Vec<_> = escape.split(' ').skip(1).collect();
        plane.kubectl_ok(&typed);
        api.delete(&name, &attempt()).await.expect("as the message says");
        annotate(&api, &name, "release", Value::Null).await.unwrap();
        report(&api, &name, json!({ "accounts": 0 })).await;
        api.delete(&name, &attempt()).await.expect("nobody names it");
        // Terminating and in use: to delete it once more changes nothing.
        api.delete(&name, &DeleteParams::default()).await.unwrap();
        report(&api, &name, json!({ "accounts": 1 })).await;
        api.delete(&name, &DeleteParams::default()).await.unwrap();
        patch(&api, &name, json!({ "metadata": { "finalizers": null } })).await.unwrap();
    }
}

#[tokio::test]
async fn who_deletes_for_a_namespace_or_an_owner_is_not_held_up() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-exempt").await;
    made(&namespace, "Organization", "acme", full("Organization")).await;
    made(&namespace, "Account", "acme", full("Account")).await;
    let users = [
        CONTROLLER,
        "system:serviceaccount:kube-system:namespace-controller",
        "system:serviceaccount:kube-system:generic-garbage-collector",
        "system:kube-controller-manager",
    ];
    for user in users {
        let client = plane.client_as(user, &["system:masters"]).await;
        for kind in ["Organization", "Account"] {
            api(&client, kind, &namespace).delete("acme", &attempt()).await.unwrap();
        }
    }
    let tenant = person(&namespace, "tenant", vec![edit(&["organizations"]), rule(&["organizations"], &["delete"], &[])]).await;
    says(&refusal(api(&tenant, "Organization", &namespace).delete("acme", &attempt()).await), "organization-deletion", &["is protected"]);
}

#[tokio::test]
async fn a_namespace_that_goes_makes_them_terminating() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-namespace").await;
    let organizations = made(&namespace, "Organization", "acme", full("Organization")).await;
    plane.kubectl_ok(&["delete", "namespace", &namespace, "--wait=false"]);
    eventually("the organization is Terminating", DEADLINE, async || {
        let terminating = organizations.get("acme").await.map_err(|error| error.to_string())?.metadata.deletion_timestamp;
        terminating.map(drop).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    // Confirming while Terminating works, and so does taking the finalizer off.
    annotate(&organizations, "acme", "confirm-deletion", json!("acme")).await.unwrap();
    patch(&organizations, "acme", json!({ "metadata": { "finalizers": null } })).await.unwrap();
}

#[tokio::test]
async fn a_confirmation_or_release_in_the_manifest_is_refused_at_creation_only() {
    let plane = plane().await;
    let namespace = plane.namespace("policy-creation").await;
    let client = plane.client().await;
    for kind in KINDS {
        for annotation in ["confirm-deletion", "release"] {
            for value in ["new", "other", ""] {
                let mut object = object(kind, "new", full(kind));
                object.metadata.annotations = Some([(format!("deskplane.dev/{annotation}"), value.to_owned())].into());
                let message = refusal(api(&client, kind, &namespace).create(&dry_run(), &object).await);
                says(&message, "confirmation-at-creation", &["metadata.annotations", annotation, "cannot be set at creation", "Remove it"]);
            }
        }
        let mut object = object(kind, "new", full(kind));
        object.metadata.annotations = Some([("deskplane.dev/paused".to_owned(), "true".to_owned())].into());
        api(&client, kind, &namespace).create(&dry_run(), &object).await.unwrap();
    }
    let organizations = made(&namespace, "Organization", "later", full("Organization")).await;
    let mut later = organizations.get("later").await.unwrap();
    later.metadata.annotations = Some([("deskplane.dev/confirm-deletion".to_owned(), "later".to_owned())].into());
    organizations.replace("later", &PostParams::default(), &later).await.unwrap();
}
