//! A whole life on a control plane of its own: the examples, restarts of the API server, objects that cannot be read, and the end;
//! then what the controller was allowed is compared with what it did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::controller::{
    BACKEND, Controller, Options, account_spec, api, backend, condition, create, get, gone, http_get, operator_spec, organization_spec,
    plan_of, ready, reason_is, until,
};
use crate::controlplane::{ControlPlane, DEADLINE, Requests, eventually};

const CONTROLLER: &str = "system:serviceaccount:deskplane-system:deskplane";

fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_string_lossy().into_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "the callers write JSON inline")]
fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

async fn patch(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, patch: Value) -> Result<(), kube::Error> {
    api(plane, kind, namespace).await.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
}

/// Applies an example, and returns what kubectl says. An API server that has just started knows our kinds a moment later.
async fn apply(plane: &ControlPlane, example: &str) -> String {
    eventually("the example is accepted", DEADLINE, async || {
        let applied = plane.kubectl(&["apply", "-f", &file(&format!("examples/{example}"))]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if applied.status.success() { Ok(text(&applied.stdout)) } else { Err(text(&applied.stderr)) }
    })
    .await
}

/// All objects of our kinds.
fn all(plane: &ControlPlane) -> Vec<Value> {
    let list: Value = serde_json::from_str(&plane.kubectl_ok(&["get", "deskplane", "-A", "-o", "json"])).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn the_examples_live_and_go_through_whatever_happens_with_exactly_the_rights_granted() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("life.db");
    let mark = plane.audit_mark().await;
    let controller = ready_only_after_the_listings(&plane, &database).await;
    the_examples_become_ready(&plane).await;
    who_waits_for_a_seat_gets_it(&plane).await;
    restarts_of_the_api_server_change_nothing(&plane).await;
    let restarted = plane.audit_mark().await;
    what_cannot_be_read_is_reported_and_holds_up_nobody(&plane).await;
    everything_goes_once_confirmed(&plane).await;
    // An API server that is starting knows no rights yet, and refuses everybody.
    let refused = plane.requests_since(restarted).await.of_user(CONTROLLER).filter(|request| request.code == 403);
    assert!(refused.0.is_empty(), "{refused:?}");
    the_rights_are_those_used(&plane.requests_since(mark).await.of_user(CONTROLLER));
    drop(controller);
}

async fn ready_only_after_the_listings(plane: &ControlPlane, database: &Path) -> Controller {
    let options = Options { database: Some(database), ..Options::default() };
    assert!(Controller::start(plane, options).await.stop().await, "it ends well");
    let system = Api::<Namespace>::all(plane.client().await).get("kube-system").await.unwrap().metadata.uid.unwrap();
    let mark = plane.audit_mark().await;
    plane.stop_apiserver();
    let args = ["--owner-id", &system];
    let controller = Controller::launch(plane, Options { database: Some(database), args: &args, ..Options::default() }).await;
    let address = controller.address().await;
    assert_eq!(http_get(&address, "/healthz").0, 200);
    assert_eq!(http_get(&address, "/readyz").0, 503, "nothing can be listed yet");
    plane.start_apiserver();
    eventually("it is ready", DEADLINE, async || match http_get(&address, "/readyz") {
        (200, _) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let listed = plane.requests_since(mark).await.of_user(CONTROLLER).filter(|request| request.verb == "list" && request.code == 200);
    assert_eq!(listed.counts().len(), 8, "all kinds and namespaces: {:?}", listed.counts());
    controller
}

async fn the_examples_become_ready(plane: &ControlPlane) {
    let examples = ["quickstart", "support-desk", "agency"];
    for example in examples {
        apply(plane, example).await;
    }
    // Organizations, operators, departments, widgets: the table in examples/agency, and the words of the others.
    let expected = BTreeMap::from([
        ("agency-alpenrad", [9, 66, 18, 12]),
        ("agency-casaverde", [8, 65, 16, 11]),
        ("agency-hikari", [6, 33, 12, 8]),
        ("agency-nordlys", [7, 36, 14, 9]),
        ("quickstart", [3, 5, 4, 3]),
        ("support-desk", [1, 3, 1, 1]),
    ]);
    eventually("all examples are Ready", DEADLINE, async || {
        let objects = all(plane);
        let waiting = objects.iter().filter(|object| condition(object, "Ready")["status"] != "True").collect::<Vec<_>>();
        let found: BTreeMap<_, _> = expected
            .keys()
            .map(|&namespace| {
                let count = |kind: &str| {
                    objects.iter().filter(|object| object["metadata"]["namespace"] == namespace && object["kind"] == kind).count()
                };
                (namespace, ["Organization", "Operator", "Department", "Widget"].map(count))
            })
            .collect();
        if waiting.is_empty() && found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}, {} wait: {:?}", waiting.len(), waiting.first()))
        }
    })
    .await;
    let suspended = all(plane).iter().filter(|object| object["status"]["seat"] == "NotNeeded").count();
    assert_eq!(suspended, 6, "as examples/agency says");
    for (kind, namespace, name, members) in [
        ("Department", "quickstart", "sales", 2),
        ("Department", "quickstart", "early-shift", 2),
        ("Department", "support-desk", "customer-service", 3),
    ] {
        until(plane, kind, namespace, name, "its members", |it| it["status"]["members"] == members).await;
    }
    let account = until(plane, "Account", "quickstart", "acme", "its count", |it| it["status"]["seatSummary"] == "5/5").await;
    assert_eq!(account["status"]["usage"], json!({"organizations": 3, "operators": 5, "departments": 4, "widgets": 3, "transcripts": 0}));
    eventually("every widget can be reached", DEADLINE, async || {
        let objects = all(plane);
        let offline = objects.iter().find(|object| object["kind"] == "Widget" && object["status"]["availability"] != "Online");
        offline.map_or(Ok(()), |widget| Err(widget.to_string()))
    })
    .await;
    for example in examples {
        let again = apply(plane, example).await;
        assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    }
}

async fn who_waits_for_a_seat_gets_it(plane: &ControlPlane) {
    apply(plane, "seat-limit").await;
    let waiting = reason_is(plane, "Operator", "quickstart", "tobias", "SeatLimitExceeded").await;
    assert_eq!((&waiting["status"]["seat"], &waiting["status"]["queuePosition"]), (&json!("Waiting"), &json!(1)));
    let suspend = |on: bool| patch(plane, "Operator", "quickstart", "tom", json!({"spec": {"suspended": on}}));
    suspend(true).await.unwrap();
    assert_eq!(ready(plane, "Operator", "quickstart", "tobias").await["status"]["seat"], "Held");
    assert_eq!(ready(plane, "Operator", "quickstart", "tom").await["status"]["seat"], "NotNeeded");
    // The same news twice is one Event that is patched.
    for _ in 0..2 {
        suspend(false).await.unwrap();
        reason_is(plane, "Operator", "quickstart", "tom", "SeatLimitExceeded").await;
        suspend(true).await.unwrap();
        ready(plane, "Operator", "quickstart", "tom").await;
    }
}

async fn restarts_of_the_api_server_change_nothing(plane: &ControlPlane) {
    let namespace = plane.namespace("restarts").await;
    create(plane, object("Account", &namespace, "acme", account_spec("agency"))).await;
    create(plane, object("Organization", &namespace, "one", organization_spec("one", "acme"))).await;
    ready(plane, "Organization", &namespace, "one").await;
    until(plane, "Account", &namespace, "acme", "its count", |it| it["status"]["usage"]["operators"] == 2).await;
    until(plane, "Plan", "", "agency", "its count", |it| it["status"]["accounts"] == 5).await;
    until(plane, "AccountBackend", "", BACKEND, "its count", |it| it["status"]["accounts"] == 7).await;
    until(plane, "Organization", "quickstart", "acme-germany", "its count", |it| it["status"]["usage"]["operators"] == 4).await;
    until(plane, "Account", "quickstart", "acme", "its count", |it| it["status"]["usage"]["operators"] == 6).await;
    until(plane, "Department", "quickstart", "early-shift", "its members", |it| it["status"]["members"] == 3).await;
    let versions = |objects: Vec<Value>| -> BTreeMap<String, Value> {
        let elsewhere = objects.into_iter().filter(|object| object["metadata"]["namespace"] != namespace.as_str());
        elsewhere
            .map(|object| {
                let name = format!("{} {}/{}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"]);
                (name, object["metadata"]["resourceVersion"].clone())
            })
            .collect()
    };
    let before = versions(all(plane));
    assert!(before.len() > 350, "{}", before.len());
    for round in 0..10 {
        plane.stop_apiserver();
        plane.start_apiserver();
        let name = format!("after-{round}");
        let operator = serde_json::from_value(object("Operator", &namespace, &name, operator_spec(&name, "one"))).unwrap();
        let api = api(plane, "Operator", &namespace).await;
        eventually("our kinds are known again", DEADLINE, async || api.create(&PostParams::default(), &operator).await).await;
        ready(plane, "Operator", &namespace, &name).await;
    }
    assert_eq!(versions(all(plane)), before, "no object flapped");
}

/// Gives a field of a stored object a value that its schema does not allow: for that time, the schema wants text there.
async fn spoil(plane: &ControlPlane, kind: &str, namespace: &str, name: &str, field: &[&str], value: Value) {
    let crd = format!("{}s.deskplane.dev", kind.to_lowercase());
    let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{}", field.join("/properties/"));
    let text = json!([{"op": "replace", "path": path, "value": {"type": "string"}}]);
    plane.kubectl_ok(&["patch", "crd", &crd, "--type=json", "-p", &text.to_string()]);
    let spoilt = |value: &Value| json!({"spec": field.iter().rev().fold(value.clone(), |inner, name| json!({*name: inner}))});
    eventually("the schema lets it in", DEADLINE, async || patch(plane, kind, namespace, name, spoilt(&value)).await).await;
    plane.kubectl_ok(&["apply", "--server-side", "--force-conflicts", "-f", &file(&format!("crds/{crd}.yaml"))]);
    let other = spoilt(&json!([true]));
    eventually("the schema is strict again", DEADLINE, async || {
        let api = api(plane, kind, namespace).await;
        let tried = api.patch(name, &PatchParams { dry_run: true, ..PatchParams::default() }, &Patch::Merge(&other)).await;
        if tried.is_err() { Ok(()) } else { Err("not yet") }
    })
    .await;
}

async fn what_cannot_be_read_is_reported_and_holds_up_nobody(plane: &ControlPlane) {
    let namespace = plane.namespace("odd").await;
    let odd = namespace.as_str();
    create(plane, backend("odd")).await;
    create(plane, plan_of("odd", json!({"seats": 9}))).await;
    create(plane, object("Account", odd, "acme", account_spec("agency"))).await;
    create(plane, object("Account", odd, "other", account_spec("agency"))).await;
    create(plane, object("Organization", odd, "one", organization_spec("one", "other"))).await;
    create(plane, object("Organization", odd, "good", organization_spec("good", "other"))).await;
    create(plane, object("Operator", odd, "tom", operator_spec("tom", "good"))).await;
    create(plane, object("Department", odd, "sales", json!({"organizationRef": {"name": "good"}, "displayName": "Sales"}))).await;
    create(plane, object("Widget", odd, "web", json!({"organizationRef": {"name": "good"}}))).await;
    let spoilt = [
        ("AccountBackend", "", "odd", vec!["embedded"], json!("this one")),
        ("Plan", "", "odd", vec!["limits", "widgets"], json!("many")),
        ("Account", odd, "acme", vec!["defaultOrganization", "starterKit"], json!("Sometimes")),
        ("Organization", odd, "one", vec!["starterKit"], json!("Sometimes")),
        ("Operator", odd, "tom", vec!["role"], json!("Wizard")),
        ("Department", odd, "sales", vec!["position"], json!("first")),
        ("Widget", odd, "web", vec!["startForm"], json!("none")),
    ];
    for (kind, namespace, name, field, value) in &spoilt {
        ready(plane, kind, namespace, name).await;
        spoil(plane, kind, namespace, name, field, value.clone()).await;
        let reported = reason_is(plane, kind, namespace, name, "Invalid").await;
        let message = condition(&reported, "Ready")["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("This object cannot be read") && message.contains("kubectl edit"), "{kind}: {message}");
    }
    create(plane, object("Operator", odd, "tina", operator_spec("tina", "good"))).await;
    ready(plane, "Operator", odd, "tina").await;
    for (kind, namespace, name, ..) in spoilt.iter().filter(|(kind, ..)| !["Account", "Organization"].contains(kind)) {
        api(plane, kind, namespace).await.delete(name, &DeleteParams::default()).await.unwrap();
        if *kind == "AccountBackend" {
            // Its spec has a rule in CEL, which cannot judge a value of a wrong type: until that is corrected, the API server takes no
            // write to the object from anybody.
            patch(plane, kind, namespace, name, json!({"spec": {"embedded": {}}})).await.unwrap();
        }
        gone(plane, kind, namespace, name).await;
    }
    // What would be erased with them can only be known once they can be read again.
    for (kind, name, mended) in [
        ("Organization", "one", json!({"spec": {"starterKit": "None"}})),
        ("Account", "acme", json!({"spec": {"defaultOrganization": {"starterKit": "None"}}})),
    ] {
        patch(plane, kind, odd, name, json!({"metadata": {"annotations": {"deskplane.dev/confirm-deletion": name}}})).await.unwrap();
        api(plane, kind, odd).await.delete(name, &DeleteParams::default()).await.unwrap();
        let held = reason_is(plane, kind, odd, name, "ConfirmationRequired").await;
        let message = condition(&held, "Ready")["message"].as_str().unwrap();
        assert!(message.contains("cannot be read"), "{message}");
        patch(plane, kind, odd, name, mended).await.unwrap();
        gone(plane, kind, odd, name).await;
    }
    assert!(get(plane, "Organization", odd, "good").await.is_some());
}

async fn everything_goes_once_confirmed(plane: &ControlPlane) {
    let accounts: Vec<(String, String)> = all(plane)
        .iter()
        .filter(|object| object["kind"] == "Account")
        .map(|account| {
            let text = |field: &str| account["metadata"][field].as_str().unwrap().to_owned();
            (text("namespace"), text("name"))
        })
        .collect();
    assert_eq!(accounts.len(), 8, "{accounts:?}");
    for (namespace, name) in &accounts {
        let confirmed = json!({"metadata": {"annotations": {"deskplane.dev/confirm-deletion": name}}});
        patch(plane, "Account", namespace, name, confirmed).await.unwrap();
        api(plane, "Account", namespace).await.delete(name, &DeleteParams::default()).await.unwrap();
    }
    // Refused while an account names it.
    for (kind, name) in [("Plan", "quickstart"), ("Plan", "small-business"), ("Plan", "agency"), ("AccountBackend", BACKEND)] {
        let objects = api(plane, kind, "").await;
        eventually("it is not in use any more", DEADLINE, async || objects.delete(name, &DeleteParams::default()).await.map(drop)).await;
    }
    eventually("nothing is left", DEADLINE, async || {
        let left = all(plane);
        if left.is_empty() { Ok(()) } else { Err(format!("{} objects, such as {}", left.len(), left[0])) }
    })
    .await;
}

/// `verb group/resource` of everything that hack/rbac.yaml grants.
fn granted() -> BTreeSet<String> {
    let text = std::fs::read_to_string(file("hack/rbac.yaml")).unwrap();
    let documents = serde_yaml::Deserializer::from_str(&text).map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap());
    let role = documents.into_iter().find(|document| document["kind"] == "ClusterRole").expect("a ClusterRole");
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let list = |field: &str| rule[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        for (group, resource) in
            list("apiGroups").iter().flat_map(|group| list("resources").into_iter().map(move |one| (group.clone(), one)))
        {
            granted.extend(list("verbs").into_iter().map(|verb| format!("{verb} {group}/{resource}")));
        }
    }
    granted
}

fn the_rights_are_those_used(requests: &Requests) {
    let used: BTreeSet<_> = requests.0.iter().map(|request| format!("{} {}/{}", request.verb, request.group, request.resource)).collect();
    let granted = granted();
    assert_eq!(granted.difference(&used).collect::<Vec<_>>(), [""; 0], "granted in hack/rbac.yaml and never used");
    assert_eq!(used.difference(&granted).collect::<Vec<_>>(), [""; 0], "used without a right");
}
