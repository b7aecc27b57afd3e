//! confirm-deletion and release: they set an annotation, on the right object, for those who may.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, Ran, condition, deskplane};
use crate::controlplane::{DEADLINE, eventually};

const CONFIRMED: &str = "/metadata/annotations/deskplane.dev~1confirm-deletion";
const RELEASED: &str = "/metadata/annotations/deskplane.dev~1release";

#[tokio::test]
async fn a_deletion_is_confirmed_on_demand_only() {
    let desk = Desk::new("cli-confirm").await;
    let usage = json!({"organizations": 1, "operators": 12, "departments": 3, "widgets": 2});
    desk.set_status("org", "acme-germany", &json!({"observedGeneration": 1, "protected": true, "usage": usage}));
    let confirm = |more: &[&str]| desk.run(&[&["confirm-deletion", "acme-germany"], more].concat());

    let refused = confirm(&[]);
    refused.failed(6, &["acme-germany: not confirmed", "no terminal", "--yes", "Nothing was changed"]);
    assert!(refused.stdout.contains("at least 12 operators, 3 departments, 2 widgets"), "{}", refused.stdout);
    assert!(confirm(&["--dry-run"]).ok().contains("Nothing was changed"));
    assert_eq!(desk.get("org", "acme-germany").pointer(CONFIRMED), None);
    let delete = ["-n", &desk.namespace, "delete", "org", "acme-germany", "--wait=false"];
    assert!(!desk.plane.kubectl(&delete).status.success(), "it is protected");

    let confirmed = confirm(&["--yes"]);
    let next = format!("To delete it: kubectl delete org acme-germany -n {}\n", desk.namespace);
    assert!(confirmed.ok().contains(&next), "{}", confirmed.stdout);
    assert_eq!(desk.get("org", "acme-germany").pointer(CONFIRMED), Some(&json!("acme-germany")));
    assert!(confirm(&[]).ok().contains("It is confirmed already."));
    desk.plane.kubectl_ok(&delete);
    assert!(confirm(&[]).ok().contains("Its deletion goes on now."));
}

#[tokio::test]
async fn who_may_not_delete_may_not_confirm() {
    let desk = Desk::new("cli-confirm-rights").await;
    let args = ["confirm-deletion", "acme", "--account", "--yes"];
    let editor = desk.person("editor", &["get", "list", "patch", "update"]).await;
    let words = ["Account ", "/acme: forbidden", "the verbs patch and delete on accounts.deskplane.dev"];
    desk.run_as(&editor, &args).failed(4, &words);
    desk.run_as(&editor, &["confirm-deletion", "acme", "--account", "--dry-run"]).failed(4, &words);
    assert_eq!(desk.get("acct", "acme").pointer(CONFIRMED), None);
    let owner = desk.person("owner", &["get", "patch", "delete"]).await;
    desk.run_as(&owner, &args).ok();
    assert_eq!(desk.get("acct", "acme").pointer(CONFIRMED), Some(&json!("acme")));
    desk.run(&["confirm-deletion", "nobody", "--yes"]).failed(3, &["Organization ", "/nobody does not exist"]);
}

#[tokio::test]
async fn release_waits_for_the_controller_and_says_what_remains() {
    let desk = Desk::new("cli-release").await;
    let synced = json!([condition("Ready", "True", "Synced", "")]);
    desk.set_status("org", "acme-germany", &json!({"observedGeneration": 1, "externalId": "org_17", "conditions": synced}));

    desk.run(&["release", "acme-germany"]).failed(6, &["acme-germany: not confirmed", "no terminal", "--yes", "Nothing was changed"]);
    assert_eq!(desk.get("org", "acme-germany").pointer(RELEASED), None);
    let asked = desk.run(&["release", "other-france", "--yes", "--wait=false"]);
    assert_eq!(asked.line("other-france").last(), Some(&"Asked"), "{}", asked.ok());
    let remains = desk.run(&["release", "acme-germany", "--yes", "--timeout", "1"]);
    remains.failed(5, &["1 object is not let go", "The request stands"]);
    assert_eq!(remains.line("acme-germany")[3..6], ["org_17", "Remains:", "Synced:"], "{}", remains.stdout);
    assert_eq!(desk.get("org", "acme-germany").pointer(RELEASED), Some(&json!("acme-germany")));

    let_go(&desk, "org", "acme-germany");
    // It was asked for before: to wait for it again takes no second yes.
    let released = desk.run(&["release", "acme-germany", "-o", "json"]);
    assert_eq!(released.code, 0, "{}", released.stderr);
    let receipt = released.json();
    let uid = &desk.get("org", "acme-germany")["metadata"]["uid"];
    let object = &receipt["objects"][0];
    assert_eq!((&object["uid"], &object["externalId"], &object["outcome"]), (uid, &json!("org_17"), &json!("Released")));
    assert_eq!(receipt["remaining"], 0);
}

/// What the controller does when it lets go: it says so, and takes its finalizer away.
fn let_go(desk: &Desk, kind: &str, name: &str) {
    let conditions = json!([condition("Ready", "False", "Released", "Let go."), condition("Stalled", "True", "Released", "Let go.")]);
    desk.set_status(kind, name, &json!({"observedGeneration": 1, "conditions": conditions}));
    desk.kubectl(&["patch", kind, name, "--type=json", "-p", r#"[{"op": "remove", "path": "/metadata/finalizers"}]"#]);
}

#[tokio::test]
async fn release_all_takes_everything_of_the_namespace_and_needs_the_verb() {
    let desk = Desk::new("cli-release-all").await;
    let editor = desk.person("editor", &["get", "list", "watch", "patch"]).await;
    desk.run_as(&editor, &["release", "acme-germany", "--yes", "--wait=false"]).failed(4, &["1 object: forbidden", "patch and release"]);
    desk.run_as(&editor, &["release", "acme", "--account", "--yes"]).failed(4, &["1 object: forbidden"]);
    assert_eq!(desk.get("org", "acme-germany").pointer(RELEASED), None);

    let (namespace, kubeconfig) = (desk.namespace.clone(), desk.plane.kubeconfig());
    let program =
        tokio::task::spawn_blocking(move || deskplane(&kubeconfig, &["release", "--all", "--yes", "-n", &namespace, "-o", "json"]));
    let objects = [("acct", "acme"), ("org", "acme-germany"), ("org", "other-france")];
    for (kind, name) in objects {
        eventually("the object carries the annotation", DEADLINE, async || {
            let object: Value = desk.get(kind, name);
            if object.pointer(RELEASED) == Some(&json!(name)) { Ok(()) } else { Err(object.to_string()) }
        })
        .await;
    }
    desk.kubectl(&["annotate", "oper", "tom", "deskplane.dev/release=tom"]);
    let_go(&desk, "oper", "tom");
    let_go(&desk, "acct", "acme");
    let_go(&desk, "org", "acme-germany");
    // Gone is as good as released.
    desk.kubectl(&["patch", "org", "other-france", "--type=json", "-p", r#"[{"op": "remove", "path": "/metadata/finalizers"}]"#]);
    desk.kubectl(&["delete", "org", "other-france"]);
    let ran: Ran = tokio::time::timeout(Duration::from_mins(1), program).await.expect("it ends when all is let go").unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let receipt = ran.json();
    let outcomes: Vec<_> = receipt["objects"].as_array().unwrap().iter().map(|line| [&line["name"], &line["outcome"]]).collect();
    assert_eq!(json!(outcomes), json!([["acme", "Released"], ["acme-germany", "Released"], ["other-france", "Gone"]]));

    // Whoever uninstalls now could not delete an operator that is still held.
    let late = desk.namespace.clone();
    desk.apply(&format!(
        "{{apiVersion: deskplane.dev/v1alpha1, kind: Operator, metadata: {{name: late, namespace: {late}}}, \
         spec: {{organizationRef: {{name: acme-germany}}, email: late@acme.example}}}}"
    ));
    let held = desk.run(&["release", "--all", "--yes", "--timeout", "1"]);
    held.failed(5, &["a finalizer holds 1 object", "while the controller runs"]);
    assert!(held.stdout.contains(&format!("Operator {late}/late is still held by its finalizer.\n")), "{}", held.stdout);

    let empty = desk.plane.namespace("cli-release-none").await;
    assert_eq!(deskplane(&desk.plane.kubeconfig(), &["release", "--all", "-n", &empty]).ok(), "Nothing to release.\n");
}

#[tokio::test]
async fn arguments_that_do_not_go_together_are_refused() {
    let desk = Desk::new("cli-arguments").await;
    desk.run(&["release"]).failed(2, &["<ORGANIZATION|--all>"]);
    desk.run(&["release", "acme", "--all"]).failed(2, &["--all"]);
    desk.run(&["release", "acme", "-A"]).failed(2, &["--all-namespaces"]);
    desk.run(&["tree", "acme", "-A"]).failed(2, &["--all-namespaces"]);
    desk.run(&["usage", "acme", "-o", "xml"]).failed(2, &["xml", "table, json, yaml"]);
}
