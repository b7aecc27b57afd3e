//! Limits to hold, as counts: writes an object, writes at rest, reads after a restart. On control planes of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use deskplane::backend::embedded::Embedded;
use deskplane::controller::{Connections, Servers};
use deskplane::store::Store;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use sqlx::AnyConnection;
use tokio_util::sync::CancellationToken;

use crate::controller::{
    BACKEND, Controller, Options, account_spec, api, backend, condition, create, get, gone, http_get, merge, operator_spec,
    organization_spec, plan_of, ready, until,
};
use crate::controlplane::{ControlPlane, DEADLINE, Requests, eventually};
use crate::counting::Counting;
use crate::database::Database;
use crate::rules_credentials::fits;

const CONTROLLER: &str = "system:serviceaccount:deskplane-system:deskplane";

/// Operators in bulk: enough that anything done for each shows.
const MANY: usize = 300;

#[allow(clippy::needless_pass_by_value, reason = "the callers write JSON inline")]
fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

/// What the controller wrote in a namespace since a mark.
async fn writes(plane: &ControlPlane, mark: u64) -> Requests {
    plane.requests_since(mark).await.of_user(CONTROLLER).writes()
}

fn table(requests: &Requests) -> BTreeMap<String, usize> {
    let mut table = BTreeMap::new();
    for request in &requests.0 {
        *table.entry(format!("{} {} {}", request.verb, request.resource, request.name)).or_default() += 1;
    }
    table
}

fn expect(what: &str, requests: &Requests, expected: &[(&str, usize)]) {
    let expected: BTreeMap<_, _> = expected.iter().map(|(what, count)| ((*what).to_owned(), *count)).collect();
    assert_eq!(table(requests), expected, "{what}");
}

/// Until the numbers that trail behind are those of the store.
async fn counted(plane: &ControlPlane, namespace: &str, account: &str, operators: usize) {
    until(plane, "Account", namespace, account, "the trailing count", |it| it["status"]["usage"]["operators"] == operators).await;
    for name in [format!("{account}-default"), "one".to_owned()] {
        let has = async || get(plane, "Organization", namespace, &name).await;
        if has().await.is_some() {
            let fits = |it: &Value| it["status"]["usage"]["operators"].as_u64().is_some();
            until(plane, "Organization", namespace, &name, "its own count", fits).await;
        }
    }
}

/// How many passes over operators ended well.
fn passes(address: &str) -> u64 {
    let text = http_get(address, "/metrics").1;
    let line = text.lines().find_map(|line| line.strip_prefix("deskplane_reconciles_total{kind=\"Operator\",outcome=\"Synced\"} "));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// Waits until every operator was looked at so many times more.
pub async fn rounds(address: &str, operators: usize, times: usize) {
    let goal = passes(address) + u64::try_from(operators * times).unwrap();
    eventually("the resyncs", DEADLINE, async || {
        let now = passes(address);
        if now >= goal { Ok(()) } else { Err(format!("{now} of {goal}")) }
    })
    .await;
}

async fn version(conn: &mut AnyConnection) -> i64 {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(conn).await.expect("a version")
}

async fn setup(plane: &ControlPlane, namespace: &str) {
    create(plane, backend(BACKEND)).await;
    create(plane, plan_of("big", json!({"seats": 1000}))).await;
    create(plane, object("Account", namespace, "acme", account_spec("big"))).await;
    create(plane, object("Organization", namespace, "one", organization_spec("one", "acme"))).await;
    ready(plane, "Organization", namespace, "one").await;
    ready(plane, "Account", namespace, "acme").await;
    counted(plane, namespace, "acme", 2).await;
}

async fn bulk(plane: &ControlPlane, namespace: &str, prefix: &str, count: usize) {
    let api = api(plane, "Operator", namespace).await;
    for number in 0..count {
        let name = format!("{prefix}-{number}");
        let operator = serde_json::from_value(object("Operator", namespace, &name, operator_spec(&name, "one"))).unwrap();
        api.create(&PostParams::default(), &operator).await.expect("an operator");
    }
}

#[tokio::test]
async fn writes_are_counted_at_birth_at_rest_and_after_a_restart() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("counts.db");
    let options = || Options { database: Some(&database), ..Options::default() };
    let mut controller = Controller::start(&plane, options()).await;
    let namespace = plane.namespace("counts").await;
    setup(&plane, &namespace).await;

    each_object_costs_one_status_patch(&plane, &namespace).await;
    many_objects_cost_one_each(&plane, &namespace).await;
    nothing_is_written_at_rest(&plane, &controller).await;
    another_tenant_is_served_between_the_first_ones_objects(&plane, &controller, &namespace).await;

    controller.kill().await;
    let secret = a_crash_between_intent_and_active(&plane, &namespace, &database).await;
    let mut controller = Controller::start(&plane, options()).await;
    the_crash_is_settled(&plane, &namespace, &database, secret).await;
    assert!(get(&plane, "Widget", &namespace, "kit-widget").await.is_none(), "deleted before the restart: not made again");
    counted(&plane, &namespace, "acme", MANY + 607).await;
    assert!(controller.stop().await, "exit code 0");
    a_restart_writes_nothing_and_reads_pages(&plane, &database).await;
}

async fn each_object_costs_one_status_patch(plane: &ControlPlane, namespace: &str) {
    let mark = plane.audit_mark().await;
    create(plane, object("Operator", namespace, "bare", operator_spec("bare", "one"))).await;
    ready(plane, "Operator", namespace, "bare").await;
    let bare = writes(plane, mark).await.filter(|request| request.name == "bare");
    expect("an operator without credentials", &bare, &[("patch operators/status bare", 1)]);

    let mark = plane.audit_mark().await;
    let spec = json!({"organizationRef": {"name": "one"}, "email": "tom@x.example"});
    create(plane, object("Operator", namespace, "tom", spec)).await;
    ready(plane, "Operator", namespace, "tom").await;
    let tom = writes(plane, mark).await.filter(|request| request.name.starts_with("tom"));
    expect("an operator with credentials", &tom, &[("patch operators/status tom", 1), ("create secrets tom-credentials", 1)]);
    counted(plane, namespace, "acme", 4).await;

    let mark = plane.audit_mark().await;
    let mut spec = organization_spec("kit", "acme");
    spec["starterKit"] = json!("Create");
    create(plane, object("Organization", namespace, "kit", spec)).await;
    ready(plane, "Widget", namespace, "kit-widget").await;
    let department = |it: &Value| it["status"]["members"] == 1;
    until(plane, "Department", namespace, "kit-customer-service", "its member", department).await;
    until(plane, "Organization", namespace, "kit", "its count", |it| it["status"]["usage"]["widgets"] == 1).await;
    counted(plane, namespace, "acme", 5).await;
    let kit = writes(plane, mark).await.filter(|request| request.name.starts_with("kit"));
    // Once when it is Ready, and once with its trailing count.
    expect(
        "an organization with its starter kit",
        &kit,
        &[
            ("patch organizations/status kit", 2),
            ("create operators kit-first-operator", 1),
            ("patch operators/status kit-first-operator", 1),
            ("create secrets kit-first-operator-credentials", 1),
            ("create departments kit-customer-service", 1),
            ("patch departments/status kit-customer-service", 1),
            ("create widgets kit-widget", 1),
            ("patch widgets/status kit-widget", 1),
        ],
    );
    api(plane, "Widget", namespace).await.delete("kit-widget", &DeleteParams::default()).await.unwrap();
    gone(plane, "Widget", namespace, "kit-widget").await;

    let mark = plane.audit_mark().await;
    create(plane, object("Account", namespace, "new", account_spec("big"))).await;
    counted(plane, namespace, "new", 1).await;
    let made = writes(plane, mark).await.filter(|request| request.name.starts_with("new"));
    expect(
        "an account",
        &made,
        &[
            ("patch accounts/status new", 2),
            ("create organizations new-default", 1),
            ("patch organizations/status new-default", 2),
            ("create operators new-default-first-operator", 1),
            ("patch operators/status new-default-first-operator", 1),
            ("create secrets new-default-first-operator-credentials", 1),
        ],
    );
}

async fn many_objects_cost_one_each(plane: &ControlPlane, namespace: &str) {
    let mark = plane.audit_mark().await;
    let began = std::time::Instant::now();
    bulk(plane, namespace, "many", MANY).await;
    ready(plane, "Operator", namespace, &format!("many-{}", MANY - 1)).await;
    counted(plane, namespace, "acme", MANY + 5).await;
    let requests = writes(plane, mark).await;
    let counts = requests.counts();
    assert_eq!(counts.get("patch operators/status"), Some(&MANY), "{counts:?}");
    // Counts trail by five seconds, however many objects there are.
    let updates = usize::try_from(began.elapsed().as_secs() / 5).unwrap() + 2;
    for trailing in ["patch accounts/status", "patch organizations/status"] {
        assert!(counts.get(trailing).is_some_and(|&count| count <= updates), "{updates} at most: {counts:?}");
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
}

async fn nothing_is_written_at_rest(plane: &ControlPlane, controller: &Controller) {
    let address = controller.address().await;
    let all = api(plane, "Operator", "").await.list(&kube::api::ListParams::default()).await.unwrap().items.len();
    rounds(&address, all, 1).await;
    let mark = plane.audit_mark().await;
    let mut conn = Database::of(controller).connect().await;
    let before = version(&mut conn).await;
    rounds(&address, all, 2).await;
    expect("at rest over two resyncs", &writes(plane, mark).await, &[]);
    assert_eq!(version(&mut conn).await, before, "the store is not written");
}

async fn another_tenant_is_served_between_the_first_ones_objects(plane: &ControlPlane, controller: &Controller, namespace: &str) {
    let other = plane.namespace("other").await;
    create(plane, object("Account", &other, "acme", account_spec("big"))).await;
    create(plane, object("Organization", &other, "one", organization_spec("one", "acme"))).await;
    ready(plane, "Organization", &other, "one").await;
    controller.signal("STOP");
    bulk(plane, namespace, "flood", 600).await;
    let mark = plane.audit_mark().await;
    create(plane, object("Operator", &other, "tina", operator_spec("tina", "one"))).await;
    controller.signal("CONT");
    ready(plane, "Operator", &other, "tina").await;
    ready(plane, "Operator", namespace, "flood-599").await;
    counted(plane, namespace, "acme", MANY + 605).await;
    let patches = writes(plane, mark).await.filter(|request| request.resource == "operators/status");
    let served = patches.0.iter().position(|request| request.name == "tina").expect("a patch");
    assert!(served < 450, "the newcomer behind 600 objects of another namespace is patch {served} of {}", patches.0.len());
}

/// Leaves the store as a crash does that hits between the POST of a Secret and the commit that makes its password count.
async fn a_crash_between_intent_and_active(plane: &ControlPlane, namespace: &str, database: &std::path::Path) -> Secret {
    let intended = "UPDATE credentials SET state = 'intended' WHERE secret_name = $1";
    Database::at(database).await.change(intended, &["tom-credentials"]).await;
    // And one between the intent and the POST.
    Database::at(database).await.change(intended, &["kit-first-operator-credentials"]).await;
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, namespace);
    secrets.delete("kit-first-operator-credentials", &DeleteParams::default()).await.unwrap();
    for name in ["late", "later"] {
        create(plane, object("Operator", namespace, name, operator_spec(name, "one"))).await;
    }
    secrets.get("tom-credentials").await.unwrap()
}

async fn the_crash_is_settled(plane: &ControlPlane, namespace: &str, database: &std::path::Path, before: Secret) {
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, namespace);
    for name in ["late", "later"] {
        ready(plane, "Operator", namespace, name).await;
    }
    for name in ["tom-credentials", "kit-first-operator-credentials"] {
        let sql = "SELECT hash FROM credentials WHERE secret_name = $1 AND state = 'active'";
        let hash = eventually("the intent is settled", DEADLINE, async || {
            Database::at(database).await.texts(sql, &[name]).await.pop().ok_or("not active")
        })
        .await;
        let secret = secrets.get(name).await.unwrap();
        let password = String::from_utf8(secret.data.as_ref().unwrap()["password"].0.clone()).unwrap();
        assert!(fits(&hash, &password), "{name}");
    }
    assert_eq!(secrets.get("tom-credentials").await.unwrap(), before, "the Secret of the first POST is the one");
}

/// Runs the controller in this process, over a backend that counts.
async fn a_restart_writes_nothing_and_reads_pages(plane: &ControlPlane, database: &std::path::Path) {
    let kube = crate::controlplane::config_of(&plane.state().join("controller.kubeconfig")).await;
    let owner = deskplane::controller::cluster_id(&kube).await.unwrap();
    let store = Arc::new(Store::open(database).await.unwrap());
    let (counting, calls) = Counting::new(Embedded::new(store, owner));
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let controller_name = "deskplane.dev/controller".to_owned();
    let config = deskplane::controller::Config {
        kube,
        controller_name,
        namespaces: Vec::new(),
        owner_id: None,
        secret_namespace: "deskplane-system".to_owned(),
        listen,
        workers: 32,
        lease: None,
    };
    let operators = api(plane, "Operator", "").await.list(&kube::api::ListParams::default()).await.unwrap().items;
    assert!(operators.iter().all(|one| condition(&serde_json::to_value(one).unwrap(), "Ready")["status"] == "True"));
    let mark = plane.audit_mark().await;
    let stop = CancellationToken::new();
    let looked = async {
        let address = listen.to_string();
        eventually("it listens", DEADLINE, async || tokio::net::TcpStream::connect(&address).await.map(drop)).await;
        let passes = |address: String| async move { tokio::task::spawn_blocking(move || passes(&address)).await.unwrap() };
        // The first listing, and a resync.
        let goal = u64::try_from(operators.len() * 2).unwrap();
        eventually("every operator was looked at twice", DEADLINE, async || {
            let now = passes(address.clone()).await;
            if now >= goal { Ok(()) } else { Err(format!("{now} of {goal}")) }
        })
        .await;
        stop.cancel();
    };
    let connections = Connections::new(Some(Arc::new(counting)), Box::new(Servers));
    let run = deskplane::controller::run(config, connections, stop.clone());
    let (ended, ()) = tokio::join!(run, looked);
    ended.unwrap();
    expect("after a restart, and over a resync", &writes(plane, mark).await, &[]);
    let mut calls = calls.lock().unwrap().clone();
    let of = |calls: &mut BTreeMap<_, _>, name| calls.remove(name).unwrap_or_default();
    let (pages, usages) = (of(&mut calls, "page"), of(&mut calls, "usage"));
    // Two or more sweeps over three accounts, the largest of two to three pages of 500 rows.
    assert!((2..=20).contains(&pages) && usages <= 20, "{pages} pages, {usages} counts for {} operators", operators.len());
    // Which store it is, with each sweep and each pass over its backend.
    assert!(of(&mut calls, "accounts") <= 4 && of(&mut calls, "identify") <= 12 && of(&mut calls, "begin_epoch") == 1);
    assert_eq!(calls, BTreeMap::new(), "nothing is read object by object, and nothing written");
}

#[tokio::test]
async fn without_the_finalizer_policy_an_object_costs_one_write_more_and_foreign_ones_get_none() {
    let plane = ControlPlane::dedicated_with(|file| file != "policy-finalizer-at-birth.yaml").await;
    let _controller = Controller::start(&plane, Options::default()).await;
    let namespace = plane.namespace("plain").await;
    let mut foreign = backend("foreign");
    foreign["spec"]["controllerName"] = json!("example.com/other");
    create(&plane, foreign).await;
    setup(&plane, &namespace).await;
    let theirs = plane.namespace("theirs").await;
    let mut account = account_spec("big");
    merge(&mut account, json!({"backendRef": {"name": "foreign"}}));
    create(&plane, object("Account", &theirs, "acme", account)).await;
    create(&plane, object("Organization", &theirs, "one", organization_spec("one", "acme"))).await;

    let mark = plane.audit_mark().await;
    create(&plane, object("Operator", &namespace, "bare", operator_spec("bare", "one"))).await;
    ready(&plane, "Operator", &namespace, "bare").await;
    let bare = writes(&plane, mark).await.filter(|request| request.name == "bare");
    expect("an operator without credentials", &bare, &[("patch operators bare", 1), ("patch operators/status bare", 1)]);
    let bare = get(&plane, "Operator", &namespace, "bare").await.unwrap();
    assert_eq!(bare["metadata"]["finalizers"], json!(["deskplane.dev/erase"]));
    for (kind, namespace, name) in [("AccountBackend", "", "foreign"), ("Account", &theirs, "acme"), ("Organization", &theirs, "one")] {
        let object = get(&plane, kind, namespace, name).await.unwrap();
        assert_eq!(object["metadata"]["finalizers"], Value::Null, "{kind}");
        assert_eq!(object["status"], json!({"observedGeneration": -1}), "{kind}");
    }
}
