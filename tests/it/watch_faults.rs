//! Whatever goes wrong with the watches, the end is the one of a run without faults: the same objects with the same conditions, the same
//! rows, nothing made twice, and nothing to write once all is at rest.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::controller::{BACKEND, Controller, Options, TenantOn, api, backend, condition, create, operator_spec, ready};
use crate::controlplane::{ControlPlane, DEADLINE, eventually};
use crate::counts::rounds;
use crate::database::Database;
use crate::faulty_api::{Events, FaultyApi, Instead};

const CONTROLLER: &str = "system:serviceaccount:deskplane-system:deskplane";

/// A control plane, what stands before it, and a controller behind that.
struct World {
    plane: ControlPlane,
    faulty: FaultyApi,
    controller: Controller,
}

impl World {
    async fn new() -> Self {
        let plane = ControlPlane::dedicated().await;
        let faulty = FaultyApi::start(&plane).await;
        let options = Options { kubeconfig: Some(faulty.kubeconfig()), ..Options::default() };
        let controller = Controller::start(&plane, options).await;
        create(&plane, backend(BACKEND)).await;
        ready(&plane, "AccountBackend", "", BACKEND).await;
        Self { plane, faulty, controller }
    }

    async fn tenant(&self, hint: &str) -> TenantOn<'_> {
        TenantOn::on(&self.plane, hint, json!({"seats": 20})).await
    }

    /// Objects with their conditions, and rows with their values: everything that must not depend on faults.
    async fn state(&self, tenant: &TenantOn<'_>) -> BTreeMap<String, Value> {
        let mut state = BTreeMap::new();
        for kind in ["Account", "Organization", "Operator", "Department", "Widget"] {
            for object in api(&self.plane, kind, &tenant.namespace).await.list(&ListParams::default()).await.expect("a list") {
                let object = serde_json::to_value(object).expect("JSON");
                let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
                let conditions: Vec<_> = conditions.iter().map(|one| json!([one["type"], one["status"], one["reason"]])).collect();
                let status = &object["status"];
                let current = status["observedGeneration"] == object["metadata"]["generation"];
                let shown = json!({"current": current, "conditions": conditions, "seat": status["seat"], "seats": status["seatSummary"],
                    "members": status["members"], "usage": status["usage"], "terminating": object["metadata"]["deletionTimestamp"].is_string()});
                state.insert(format!("{kind} {}", object["metadata"]["name"]), shown);
            }
        }
        let sql =
            "SELECT owner_name || ' ' || email || ' ' || COALESCE(display_name, '-') || ' ' || CASE WHEN suspended OR quarantined THEN 'no seat' ELSE 'a seat' END FROM operators
            WHERE owner_namespace = $1 ORDER BY 1";
        let rows = Database::of(&self.controller).texts(sql, &[&tenant.namespace]).await;
        state.insert("rows".to_owned(), json!(rows));
        state
    }

    /// How often the controller asked to create what.
    async fn creates(&self, tenant: &TenantOn<'_>, mark: u64) -> BTreeMap<String, usize> {
        let asked = self.plane.requests_since(mark).await.of_user(CONTROLLER).in_namespace(&tenant.namespace);
        let mut creates = BTreeMap::new();
        for request in asked.filter(|request| request.verb == "create" && request.resource != "events").0 {
            *creates.entry(format!("{} {}", request.resource, request.name)).or_default() += 1;
        }
        creates
    }

    async fn no_row_was_made_twice(&self) {
        let mut store = Database::of(&self.controller).connect().await;
        let sql = "SELECT key, COUNT(*) FROM audit WHERE action = 'create' GROUP BY key HAVING COUNT(*) > 1";
        let twice: Vec<String> = sqlx::query(sql).fetch_all(&mut store).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(twice, [""; 0]);
    }

    async fn nothing_is_written_at_rest(&self) {
        let operators = api(&self.plane, "Operator", "").await.list(&ListParams::default()).await.expect("a list").items.len();
        let address = self.controller.address().await;
        rounds(&address, operators, 1).await;
        let mark = self.plane.audit_mark().await;
        rounds(&address, operators, 2).await;
        let written = self.plane.requests_since(mark).await.of_user(CONTROLLER).writes();
        assert_eq!(written.counts(), BTreeMap::new(), "over two resyncs");
    }
}

/// What is there before the fault. Operator `held` is Terminating, and held by its own pause.
async fn before(tenant: &TenantOn<'_>) {
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    for (name, shift) in [("a", "early"), ("b", "early"), ("c", "late"), ("d", "late"), ("e", "late"), ("f", "late"), ("held", "late")] {
        tenant.create_with("Operator", name, json!({"labels": {"shift": shift}}), operator_spec(name, "one")).await;
    }
    let members = json!({"selector": {"matchLabels": {"shift": "early"}}});
    tenant.create("Department", "desk", json!({"organizationRef": {"name": "one"}, "displayName": "Desk", "members": members})).await;
    tenant.create("Widget", "web", json!({"organizationRef": {"name": "one"}})).await;
    for name in ["a", "b", "c", "d", "e", "f", "held"] {
        tenant.ready("Operator", name).await;
    }
    tenant.until("Department", "desk", "its members", |desk| desk["status"]["members"] == 2).await;
    tenant.ready("Widget", "web").await;
    tenant.until("Account", "acme", "its count", |account| account["status"]["usage"]["operators"] == 9).await;
    tenant.annotate("Operator", "held", "deskplane.dev/paused", json!("true")).await;
    tenant.until("Operator", "held", "is paused", |held| condition(held, "Paused")["status"] == "True").await;
    tenant.delete("Operator", "held").await;
}

/// What people do while the fault lasts, without waiting for anything.
async fn meanwhile(tenant: &TenantOn<'_>) {
    for version in ["v1", "v2", "v3"] {
        tenant.patch("Operator", "a", json!({"spec": {"displayName": version}})).await;
    }
    tenant.delete("Operator", "b").await;
    tenant.patch("Operator", "c", json!({"metadata": {"labels": {"shift": "early"}}, "spec": {"suspended": true}})).await;
    tenant.patch("Operator", "d", json!({"spec": {"suspended": true}})).await;
    tenant.patch("Operator", "d", json!({"spec": {"suspended": false}})).await;
    // One takes the address that the other gives up.
    tenant.patch("Operator", "e", json!({"spec": {"email": "other@x.example"}})).await;
    tenant.patch("Operator", "f", json!({"spec": {"email": "e@x.example"}})).await;
    // Another object of the name of one that is held: its row stays, and is not the new one's.
    tenant.strip("Operator", "held").await;
    tenant.create("Operator", "held", operator_spec("held", "one")).await;
    // One that came and went before anybody did anything for it.
    tenant.create_with("Operator", "flash", json!({"annotations": {"deskplane.dev/paused": "true"}}), operator_spec("flash", "one")).await;
    tenant.delete("Operator", "flash").await;
    tenant.strip("Operator", "flash").await;
    tenant.create_with("Operator", "new", json!({"labels": {"shift": "early"}}), operator_spec("new", "one")).await;
    tenant.delete("Widget", "web").await;
    tenant.create("Widget", "shop", json!({"organizationRef": {"name": "one"}})).await;
    tenant.raise(json!({"seats": 30})).await;
}

/// The end of a run without faults.
async fn reference(world: &World) -> (BTreeMap<String, Value>, BTreeMap<String, usize>) {
    let tenant = world.tenant("reference").await;
    let mark = world.plane.audit_mark().await;
    before(&tenant).await;
    meanwhile(&tenant).await;
    for (kind, name) in [("Operator", "b"), ("Operator", "flash"), ("Widget", "web")] {
        tenant.gone(kind, name).await;
    }
    for name in ["a", "c", "d", "e", "f", "held", "new"] {
        tenant.ready("Operator", name).await;
    }
    tenant.ready("Widget", "shop").await;
    tenant.until("Department", "desk", "its members", |desk| desk["status"]["members"] == 3).await;
    let counted = |account: &Value| account["status"]["seatSummary"] == "9/30" && account["status"]["usage"]["operators"] == 10;
    tenant.until("Account", "acme", "its count", counted).await;
    let counted = |one: &Value| one["status"]["seatSummary"] == "8/30" && one["status"]["usage"]["widgets"] == 1;
    tenant.until("Organization", "one", "its count", counted).await;
    tenant.until("Organization", "acme-default", "its count", |one| one["status"]["seatSummary"] == "1/30").await;
    (world.state(&tenant).await, world.creates(&tenant, mark).await)
}

/// The same with a fault in the middle; the end must be the same.
async fn run(
    world: &World,
    what: &str,
    expected: &(BTreeMap<String, Value>, BTreeMap<String, usize>),
    begins: impl AsyncFn(&TenantOn<'_>),
    ends: impl AsyncFn(&TenantOn<'_>),
) {
    let tenant = world.tenant("faulty").await;
    let mark = world.plane.audit_mark().await;
    before(&tenant).await;
    begins(&tenant).await;
    meanwhile(&tenant).await;
    ends(&tenant).await;
    eventually(&format!("{what}: the end is that of the run without faults"), DEADLINE, async || {
        let state = world.state(&tenant).await;
        let different = |(name, value): &(&String, &Value)| expected.0.get(*name) != Some(value);
        let missing = expected.0.keys().find(|name| !state.contains_key(*name));
        match (state.iter().find(different), missing) {
            (None, None) => Ok(()),
            (Some((name, value)), _) => Err(format!("{name}: {value}, not {:?}", expected.0.get(name))),
            (None, Some(name)) => Err(format!("{name} is missing")),
        }
    })
    .await;
    assert_eq!(world.creates(&tenant, mark).await, expected.1, "{what}");
}

/// Of every watch of the controller.
fn watched() -> impl Iterator<Item = String> {
    let kinds = ["accountbackends", "plans", "accounts", "organizations", "operators", "departments", "widgets"];
    kinds.into_iter().map(|kind| format!("/apis/deskplane.dev/v1alpha1/{kind}")).chain(["/api/v1/namespaces".to_owned()])
}

#[tokio::test]
async fn whatever_becomes_of_the_events_of_the_watches_the_end_is_the_same() {
    let world = World::new().await;
    let expected = reference(&world).await;
    for events in [Events::Freeze, Events::Coalesce, Events::Lose] {
        let begins = async |_: &TenantOn<'_>| world.faulty.events(events);
        run(&world, &format!("{events:?}"), &expected, begins, async |tenant| {
            let unseen = tenant.get("Operator", "new").await.expect("it is there");
            assert_eq!(unseen["status"], json!({"observedGeneration": -1}), "{events:?}: the controller does not know of it");
            world.faulty.events(Events::Pass);
        })
        .await;
    }
    run(&world, "410 in the stream", &expected, async |_| world.faulty.expire(), async |_| {}).await;
    let begins = async |_: &TenantOn<'_>| world.faulty.expire_on_start(watched());
    run(&world, "410 on start", &expected, begins, async |_| {
        eventually("all have listed anew", DEADLINE, async || world.faulty.all_listed()).await;
    })
    .await;
    world.no_row_was_made_twice().await;
    world.nothing_is_written_at_rest().await;
}

#[tokio::test]
async fn connections_that_died_without_a_word_are_given_up() {
    let world = World::new().await;
    let expected = reference(&world).await;
    let begins = async |_: &TenantOn<'_>| {
        world.faulty.silence();
        world.faulty.once(Method::PATCH, "/status", Instead::Silence);
    };
    // Nothing comes over the old watches any more: that shows when the API server would have ended them.
    run(&world, "half-open", &expected, begins, async |_| {}).await;
    eventually("a call got no answer", DEADLINE, async || world.faulty.all_met()).await;
    world.no_row_was_made_twice().await;
    world.nothing_is_written_at_rest().await;
}

/// What was measured on a busy machine takes seconds; the promise is two minutes.
const PROMISE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn nobody_comes_again_after_a_day_because_the_api_server_says_so() {
    let world = World::new().await;
    let tenant = world.tenant("retry-after").await;
    let day = |code| Instead::RetryAfter(code, 86_400);
    for code in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        // A write of a status, the creation of an object and of a Secret; a watch, and its listing.
        world.faulty.once(Method::PATCH, "/accounts/acme/status", day(code));
        world.faulty.once(Method::POST, "/organizations", day(code));
        world.faulty.once(Method::POST, "/secrets", day(code));
        world.faulty.once(Method::GET, "/v1alpha1/operators", day(code));
        world.faulty.once(Method::GET, "/v1alpha1/widgets", day(code));
        world.faulty.expire();
        let began = Instant::now();
        tenant.account("acme").await;
        tenant.create("Widget", "web", json!({"organizationRef": {"name": "acme-default"}})).await;
        for (kind, name) in
            [("Account", "acme"), ("Organization", "acme-default"), ("Operator", "acme-default-first-operator"), ("Widget", "web")]
        {
            tenant.ready(kind, name).await;
        }
        eventually("every refusal was met", DEADLINE, async || world.faulty.all_met()).await;
        assert!(began.elapsed() < PROMISE, "{} s", began.elapsed().as_secs());
        tenant.erase("Account", "acme").await;
        tenant.gone("Account", "acme").await;
        let widgets = api(&world.plane, "Widget", &tenant.namespace).await;
        let _ = widgets.delete("web", &DeleteParams::default()).await;
        tenant.gone("Widget", "web").await;
    }
}
