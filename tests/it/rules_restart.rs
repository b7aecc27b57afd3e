//! Rule 2 over restarts, on a control plane of its own: the queue is in the store, and what came while nobody watched is sent in the
//! order of its creation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::controller::{self, BACKEND, Controller, Options, condition};
use crate::controlplane::ControlPlane;
use crate::database::Database;
use crate::rules_world::{ORG, tickets};

struct Own<'a> {
    plane: &'a ControlPlane,
    namespace: String,
}

impl Own<'_> {
    async fn create(&self, kind: &str, name: &str, spec: Value) {
        let metadata = json!({"name": name, "namespace": self.namespace});
        let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        controller::create(self.plane, object).await;
    }

    async fn operator(&self, name: &str) {
        self.create("Operator", name, controller::operator_spec(name, ORG)).await;
    }

    async fn ready(&self, kind: &str, name: &str) {
        controller::ready(self.plane, kind, &self.namespace, name).await;
    }

    /// Waits until these are in line, in this order, from the first place on.
    async fn line(&self, names: &[&str]) {
        for (name, place) in names.iter().zip(1..) {
            let probe = |operator: &Value| {
                condition(operator, "Ready")["reason"] == "SeatLimitExceeded" && operator["status"]["queuePosition"] == place
            };
            controller::until(self.plane, "Operator", &self.namespace, name, &format!("place {place}"), probe).await;
        }
    }

    async fn patch(&self, kind: &str, namespace: &str, name: &str, patch: Value) {
        use kube::api::{Patch, PatchParams};
        let api = controller::api(self.plane, kind, namespace).await;
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.unwrap_or_else(|error| panic!("patch {kind} {name}: {error}"));
    }

    /// Creates operators whose creation times differ, which the API server tells in whole seconds.
    async fn one_a_second(&self, names: &[&str]) {
        for name in names {
            self.operator(name).await;
            tokio::time::sleep(Duration::from_millis(1_050)).await;
        }
    }

    /// Deletes an operator behind the back of the controller: its finalizer goes by hand.
    async fn vanishes(&self, name: &str) {
        let operators = controller::api(self.plane, "Operator", &self.namespace).await;
        operators.delete(name, &kube::api::DeleteParams::default()).await.expect("delete the operator");
        self.patch("Operator", &self.namespace, name, json!({"metadata": {"finalizers": null}})).await;
        controller::gone(self.plane, "Operator", &self.namespace, name).await;
    }
}

#[tokio::test]
async fn the_queue_outlives_the_controller_and_what_came_meanwhile_follows_in_the_order_of_creation() {
    let plane = &ControlPlane::dedicated().await;
    let own = Own { plane, namespace: plane.namespace("restart").await };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("deskplane.db");
    let options = || Options { database: Some(&database), ..Options::default() };
    let mut running = Controller::start(plane, options()).await;
    controller::create(plane, controller::backend(BACKEND)).await;
    controller::create(plane, controller::plan_of("small", json!({"seats": 1}))).await;
    own.create("Account", "acme", controller::account_spec("small")).await;
    own.ready("Organization", ORG).await;
    for name in ["waits-1", "waits-2", "waits-3"] {
        own.operator(name).await;
        controller::until(plane, "Operator", &own.namespace, name, "in line", |one| one["status"]["seat"] == "Waiting").await;
    }
    own.line(&["waits-1", "waits-2", "waits-3"]).await;
    assert!(running.stop().await, "it ends in order");

    // While it is stopped: six come, their names in no order; one who waits vanishes; four seats are added.
    own.one_a_second(&["f", "b", "e", "a", "d", "c"]).await;
    own.vanishes("waits-2").await;
    own.patch("Plan", "", "small", json!({"spec": {"limits": {"seats": 5}}})).await;
    let mut running = Controller::start(plane, options()).await;
    for name in ["waits-1", "waits-3", "f", "b"] {
        own.ready("Operator", name).await;
    }
    own.line(&["e", "a", "d", "c"]).await;
    let store = Database::at(&database).await.pool().await;
    assert_eq!(tickets(&store, &own.namespace).await, ["e", "a", "d", "c"], "the ticket of waits-2 is dropped");
    store.close().await;

    // A crash; then a place more, and a whole new account of which nothing was there before.
    running.kill().await;
    own.patch("Plan", "", "small", json!({"spec": {"limits": {"seats": 6}}})).await;
    let new = Own { plane, namespace: plane.namespace("restart-new").await };
    controller::create(plane, controller::plan_of("two", json!({"seats": 2}))).await;
    new.one_a_second(&["z", "x", "y"]).await;
    new.create("Account", "acme", controller::account_spec("two")).await;
    let _running = Controller::start(plane, options()).await;
    own.ready("Operator", "e").await;
    own.line(&["a", "d", "c"]).await;
    new.ready("Operator", "z").await;
    new.line(&["x", "y"]).await;
}
