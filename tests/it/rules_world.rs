//! Where the rules are tested: a control plane whose controller does not sweep within a test run. So whatever comes about there was
//! woken by its cause, and no resync hides a wake that was lost.

use serde_json::{Value, json};
use sqlx::AnyPool;
use tokio::sync::OnceCell;

use crate::controller::{self, BACKEND, Controller, Options, Tenant};
use crate::controlplane::ControlPlane;
use crate::database::Database;

/// The default organization of the account that [`tenant`] makes.
pub const ORG: &str = "acme-default";

struct World {
    plane: ControlPlane,
    controller: Controller,
}

async fn world() -> &'static World {
    static WORLD: OnceCell<World> = OnceCell::const_new();
    WORLD
        .get_or_init(|| async {
            let plane = ControlPlane::dedicated().await;
            let controller = Controller::start(&plane, Options::default()).await;
            let mut backend = controller::backend(BACKEND);
            backend["spec"]["resyncInterval"] = json!("24h");
            controller::create(&plane, backend).await;
            controller::ready(&plane, "AccountBackend", "", BACKEND).await;
            World { plane, controller }
        })
        .await
}

/// A namespace with a plan of these limits and an unprotected account `acme`, whose default organization [`ORG`] is Ready: so its
/// first operator holds the first seat.
pub async fn tenant(hint: &str, limits: Value) -> Tenant {
    let plane = &world().await.plane;
    let namespace = plane.namespace(hint).await;
    let plan = namespace.clone();
    controller::create(plane, controller::plan_of(&plan, limits)).await;
    let tenant = Tenant { plane, namespace, plan };
    tenant.account_with("acme", json!({"deletionProtection": false})).await;
    tenant.ready("Account", "acme").await;
    tenant.ready("Organization", ORG).await;
    tenant
}

/// Changes the limits of the tenant's plan.
pub async fn limit(tenant: &Tenant, limits: Value) {
    use kube::api::{Patch, PatchParams};
    let api = controller::api(tenant.plane, "Plan", "").await;
    let patch = Patch::Merge(json!({"spec": {"limits": limits}}));
    api.patch(&tenant.plan, &PatchParams::default(), &patch).await.expect("patch the plan");
}

/// Makes an operator of [`ORG`] and waits until it holds a seat.
pub async fn seat(tenant: &Tenant, name: &str) {
    tenant.operator(name, ORG).await;
    tenant.ready("Operator", name).await;
}

/// Makes an operator of [`ORG`] and waits until it is in line at this place.
pub async fn wait_in_line(tenant: &Tenant, name: &str, place: Option<i64>) -> Value {
    tenant.operator(name, ORG).await;
    in_line(tenant, name, place).await
}

/// Waits until an operator is in line at this place.
pub async fn in_line(tenant: &Tenant, name: &str, place: Option<i64>) -> Value {
    let what = format!("SeatLimitExceeded at place {place:?}");
    tenant
        .until("Operator", name, &what, |operator| {
            controller::condition(operator, "Ready")["reason"] == "SeatLimitExceeded"
                && operator["status"]["seat"] == "Waiting"
                && operator["status"]["queuePosition"].as_i64() == place
        })
        .await
}

/// The message of an object's `Ready` condition.
pub fn message_of(object: &Value) -> &str {
    controller::condition(object, "Ready")["message"].as_str().unwrap_or_default()
}

/// Sets `spec.suspended`.
pub async fn suspend(tenant: &Tenant, name: &str, suspended: bool) {
    tenant.patch("Operator", name, json!({"spec": {"suspended": suspended}})).await;
}

/// The store of the controller that [`tenant`] is served by.
pub async fn store() -> AnyPool {
    database().await.pool().await
}

/// The same, to change rows of it.
pub async fn database() -> Database {
    Database::of(&world().await.controller)
}

/// The names of the objects of a namespace that have a ticket, in the order of their tickets.
pub async fn tickets(store: &AnyPool, namespace: &str) -> Vec<String> {
    let sql = "SELECT owner_name FROM tickets WHERE owner_namespace = $1 ORDER BY number";
    sqlx::query_scalar(sql).bind(namespace.to_owned()).fetch_all(store).await.expect("read the tickets")
}

/// How many seats an account held after each change of it, and how many it had.
pub async fn seats_over_time(store: &AnyPool, tenant: &Tenant) -> Vec<(i64, i64)> {
    let account = tenant.get("Account", "acme").await.expect("the account");
    let external_id = account["status"]["externalId"].as_str().expect("its external id").to_owned();
    let sql = "SELECT seats_held, seats_limit FROM audit WHERE account = $1 ORDER BY id";
    sqlx::query_as(sql).bind(external_id).fetch_all(store).await.expect("read the audit table")
}
