//! Status as people and tools read it: kstatus, kubectl wait, kubectl get, Events.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::controller::{BACKEND, Controller, Tenant, api, condition, http_get, is_current};
use crate::controlplane::{DEADLINE, eventually};

const KINDS: [&str; 5] = ["Account", "Organization", "Operator", "Department", "Widget"];

/// What kstatus, Flux and Argo CD rely on, in whatever version of an object they happen to see.
fn assert_readable(object: &Value) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let what = format!("{} {}: {}", object["kind"], object["metadata"]["name"], object["status"]);
    let observed = object["status"]["observedGeneration"].as_i64().unwrap_or_else(|| panic!("no observedGeneration: {what}"));
    assert!(observed <= object["metadata"]["generation"].as_i64().unwrap(), "{what}");
    if conditions.is_empty() {
        assert_eq!(observed, -1, "not looked at yet, so never Current: {what}");
        return;
    }
    let status = |type_: &str| condition(object, type_)["status"].as_str();
    let expected = [(Some("True"), None, None), (Some("False"), Some("True"), None), (Some("False"), None, Some("True"))];
    assert!(expected.contains(&(status("Ready"), status("Reconciling"), status("Stalled"))), "{what}");
    for one in &conditions {
        assert!(one["observedGeneration"].as_i64().is_some_and(|generation| generation <= observed), "{what}");
        assert!(one["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}");
    }
}

#[tokio::test]
async fn every_version_of_every_object_can_be_read_by_kstatus() {
    let tenant = Tenant::new("kstatus", json!({"seats": 3})).await;
    let seen = Arc::new(Mutex::new(Vec::<Value>::new()));
    let mut watches = Vec::new();
    for kind in KINDS {
        let (api, seen) = (api(tenant.plane, kind, &tenant.namespace).await, seen.clone());
        watches.push(tokio::spawn(async move {
            let mut events = api.watch(&WatchParams::default().timeout(280), "0").await.expect("a watch").boxed();
            while let Some(event) = events.next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event.expect("an event") {
                    seen.lock().unwrap().push(serde_json::to_value(object).unwrap());
                }
            }
        }));
    }
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
    tenant.reason("Organization", "one", "WaitingForParent").await;
    tenant.account_with("acme", json!({"defaultOrganization": {"starterKit": "Create"}})).await;
    tenant.ready("Operator", "tom").await;
    tenant.operator("tina", "one").await;
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    tenant.patch("Operator", "tom", json!({"spec": {"suspended": true}})).await;
    tenant.ready("Operator", "tina").await;
    tenant.patch("Organization", "one", json!({"spec": {"location": {"country": "DE", "timeZone": "Mars/Base"}}})).await;
    tenant.reason("Organization", "one", "Invalid").await;
    tenant.patch("Organization", "one", json!({"spec": {"location": {"timeZone": "Europe/Berlin"}}})).await;
    tenant.ready("Organization", "one").await;
    tenant.delete("Operator", "tom").await;
    tenant.gone("Operator", "tom").await;
    tenant.annotate("Organization", "one", "deskplane.dev/confirm-deletion", json!("one")).await;
    tenant.delete("Organization", "one").await;
    tenant.gone("Operator", "tina").await;
    tenant.gone("Organization", "one").await;
    for watch in watches {
        watch.abort();
    }
    let seen = seen.lock().unwrap();
    let stalled = seen.iter().filter(|object| condition(object, "Stalled")["status"] == "True").count();
    assert!(seen.len() > 20 && stalled > 1, "{} versions, {stalled} stalled", seen.len());
    seen.iter().for_each(assert_readable);
}

#[tokio::test]
async fn kubectl_wait_and_get_show_what_people_want_to_know() {
    let tenant = Tenant::new("kubectl", json!({"seats": 3})).await;
    let namespace = tenant.namespace.as_str();
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.create("Operator", "tom", json!({"organizationRef": {"name": "one"}, "email": "tom@x.example", "role": "Agent"})).await;
    tenant.ready("Operator", "tom").await;
    tenant.operator("tina", "one").await;
    tenant
        .create(
            "Department",
            "sales",
            json!({"organizationRef": {"name": "one"}, "displayName": "Sales",
        "members": {"operators": [{"name": "tom"}]}}),
        )
        .await;
    tenant.create("Widget", "web", json!({"organizationRef": {"name": "one"}})).await;
    let wait = |what: &str| tenant.plane.kubectl_ok(&["wait", "-n", namespace, "--for=condition=Ready", "--timeout=60s", what]);
    assert!(wait("oper/tom").contains("condition met"));
    wait("acct/acme");
    wait("org/one");
    wait("dept/sales");
    wait("wdgt/web");
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    let message = condition(&tenant.get("Operator", "tina").await.unwrap(), "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("This operator is 1st in line") && message.contains("spec.limits.seats"), "{message}");

    let plan = tenant.plan.as_str();
    for (args, header, row) in [
        (vec!["org", "one"], "NAME READY REASON PAUSED SEATS OPERATORS WIDGETS AGE", "one True Synced 2/3 2 1"),
        (vec!["acct", "acme"], "NAME PLAN READY REASON PAUSED SEATS ORGANIZATIONS AGE", &format!("acme {plan} True Synced 3/3 2")),
        (vec!["oper", "tom"], "NAME ORGANIZATION ROLE SEAT READY REASON PAUSED AGE", "tom one Agent Held True Synced"),
        (vec!["oper", "tina"], "NAME ORGANIZATION ROLE SEAT READY REASON PAUSED AGE", "tina one Manager Waiting False SeatLimitExceeded"),
        (vec!["cplan", plan], "NAME SEATS ORGANIZATIONS WIDGETS ACCOUNTS READY REASON PAUSED AGE", &format!("{plan} 3 1 True Synced")),
        (vec!["dept", "sales"], "NAME ORGANIZATION MEMBERS READY REASON PAUSED AGE", "sales one 1 True Synced"),
        (vec!["wdgt", "web"], "NAME ORGANIZATION AVAILABILITY READY REASON PAUSED AGE", "web one Online True Synced"),
        (
            vec!["oper", "tina", "-o", "wide"],
            "NAME ORGANIZATION ROLE SEAT READY REASON PAUSED EMAIL QUEUE SECRET EXTERNAL ID MESSAGE AGE",
            "tina one Manager Waiting False SeatLimitExceeded tina@x.example 1 No free seat",
        ),
    ] {
        eventually(&format!("kubectl get {args:?} shows {row}"), DEADLINE, async || {
            let printed = tenant.plane.kubectl_ok(&[&["get", "-n", namespace], args.as_slice()].concat());
            let lines: Vec<_> = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
            if lines.len() == 2 && lines[0] == header && lines[1].replace("<none> ", "").starts_with(row) { Ok(()) } else { Err(printed) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_object_with_a_row_shows_its_id_and_its_store() {
    let tenant = Tenant::new("evidence", json!({"seats": 3})).await;
    tenant.account_with("acme", json!({"defaultOrganization": {"starterKit": "Create"}})).await;
    let store = api(tenant.plane, "AccountBackend", "").await.get(BACKEND).await.unwrap().data["status"]["storeId"].clone();
    assert!(store.is_string());
    let mut ids = Vec::new();
    for (kind, name) in [
        ("Account", "acme"),
        ("Organization", "acme-default"),
        ("Operator", "acme-default-first-operator"),
        ("Department", "acme-default-customer-service"),
        ("Widget", "acme-default-widget"),
    ] {
        let object = tenant.ready(kind, name).await;
        assert_eq!(object["status"]["storeId"], store, "{kind}");
        ids.push(object["status"]["externalId"].as_str().expect("an id").to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "one each");
    let organization = tenant.until("Organization", "acme-default", "usage", |it| it["status"]["usage"]["departments"] == 1).await;
    assert_eq!(
        organization["status"]["usage"],
        json!({"operators": 1, "departments": 1, "widgets": 1, "transcripts": 0, "organizations": 1})
    );
    assert_eq!(organization["status"]["seats"], json!({"limit": 3, "held": 1, "waiting": 0, "unmanaged": 0}));
    assert_eq!(organization["status"]["protected"], true);
}

/// `type reason object` of the Events in a namespace.
async fn events(tenant: &Tenant) -> Vec<String> {
    let api: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(tenant.plane.client().await, &tenant.namespace);
    let mut events = api.list(&ListParams::default()).await.unwrap().items;
    events.sort_by_key(ResourceExt::creation_timestamp);
    let text = |event: &k8s_openapi::api::events::v1::Event| {
        let object = event.regarding.clone().unwrap_or_default();
        let series = event.series.as_ref().map_or(String::new(), |series| format!(" {} times", series.count));
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{} {} {}/{}{series}", of(&event.type_), of(&event.reason), of(&object.kind), of(&object.name))
    };
    events.iter().map(text).collect()
}

#[tokio::test]
async fn events_tell_transitions_and_nothing_else() {
    let tenant = Tenant::new("events", json!({"seats": 3})).await;
    tenant.account_with("acme", json!({"defaultOrganization": {"starterKit": "Create"}})).await;
    tenant.ready("Organization", "acme-default").await;
    tenant.organization("one", "acme").await;
    tenant.create("Operator", "tom", json!({"organizationRef": {"name": "one"}, "email": "tom@x.example"})).await;
    tenant.ready("Operator", "tom").await;
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": "Tom"}})).await;
    tenant.ready("Operator", "tom").await;
    assert_eq!(events(&tenant).await, [""; 0], "what becomes Ready at once, or stays Ready, is no news");

    tenant.operator("tina", "one").await;
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    tenant.patch("Operator", "tina", json!({"spec": {"nickname": "T"}})).await;
    tenant.until("Operator", "tina", "seen again", is_current).await;
    // Behind tina, so that she is told anew; her place stays.
    tenant.operator("tim", "one").await;
    tenant.reason("Operator", "tim", "SeatLimitExceeded").await;
    let waiting = ["Warning SeatLimitExceeded Operator/tina", "Warning SeatLimitExceeded Operator/tim"];
    eventually("two warnings", DEADLINE, async || {
        let found = events(&tenant).await;
        let all = waiting.iter().all(|one| found.iter().any(|event| event == one));
        if all && found.len() == 2 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
    tenant.delete("Operator", "tom").await;
    tenant.ready("Operator", "tina").await;
    eventually("the news that it goes on", DEADLINE, async || {
        let found = events(&tenant).await;
        let news = found.iter().any(|event| event == "Normal Synced Operator/tina");
        if news && found.len() == 3 { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_pause_is_shown_by_kubectl_get_and_told_once_where_it_was_set() {
    let tenant = Tenant::new("pause-shown", json!({"seats": 3})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.ready("Operator", "one-first-operator").await;
    let pause = async |value: Value| tenant.annotate("Organization", "one", "deskplane.dev/paused", value).await;
    let shows = async |short: &str, name: &str, columns: &str| {
        eventually(&format!("kubectl get {short} {name} shows '{columns}'"), DEADLINE, async || {
            let printed = tenant.plane.kubectl_ok(&["get", short, name, "-n", &tenant.namespace, "--no-headers"]);
            let words = printed.split_whitespace().filter(|word| *word != "<none>").collect::<Vec<_>>().join(" ");
            if words.contains(columns) { Ok(()) } else { Err(printed) }
        })
        .await;
    };
    let told = async |expected: &[&str]| {
        eventually(&format!("the Events are {expected:?}"), DEADLINE, async || {
            let mut found = events(&tenant).await;
            found.sort();
            if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    };
    shows("org", "one", "True Synced 1/3").await;
    pause(json!("true")).await;
    shows("org", "one", "True Synced True 1/3").await;
    shows("oper", "one-first-operator", "True Synced True").await;
    told(&["Normal Paused Organization/one"]).await;
    pause(Value::Null).await;
    shows("org", "one", "True Synced 1/3").await;
    told(&["Normal Paused Organization/one", "Normal Resumed Organization/one"]).await;
}

#[tokio::test]
async fn health_and_metrics_are_there_and_name_no_object() {
    let tenant = Tenant::new("metrics-canary", json!({"seats": 1})).await;
    tenant.account("acme-canary").await;
    tenant.ready("Organization", "acme-canary-default").await;
    tenant.organization("org-canary", "acme-canary").await;
    tenant.reason("Organization", "org-canary", "SeatLimitExceeded").await;
    let address = Controller::shared().await.address().await;
    assert_eq!(http_get(&address, "/healthz"), (200, "ok".to_owned()));
    assert_eq!(http_get(&address, "/readyz"), (200, "ok".to_owned()));
    assert_eq!(http_get(&address, "/nothing").0, 404);
    let (code, text) = http_get(&address, "/metrics");
    assert_eq!(code, 200);
    for line in [
        "deskplane_reconciles_total{kind=\"Organization\",outcome=\"SeatLimitExceeded\"} ",
        "deskplane_reconcile_seconds_bucket{le=",
        "deskplane_api_writes_total{verb=\"patch_status\"} ",
        "deskplane_backend_errors_total{error=",
        "deskplane_queue_length ",
        "deskplane_quarantined_rows ",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
    }
    assert!(!text.contains("canary") && !text.contains(&tenant.namespace), "{text}");
    documented(&text);
}

/// The README has a row for every metric, and for no other.
fn documented(text: &str) {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let rows: BTreeSet<_> = readme.lines().filter_map(|line| line.strip_prefix("| `deskplane_")?.split(['`', '{']).next()).collect();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE deskplane_"));
    // A counter's samples, which are what people type, have a suffix.
    let names = names.map(|line| line.replace(" counter", "_total").split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), rows);
}
