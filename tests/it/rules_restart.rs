//! Rule 2 over restarts, on a control plane of its own: the queue is in the store, and what came while nobody watched is sent in the
//! order of its creation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::controller::{self, BACKEND, Controller, Options, condition};
use crate::controlplane::ControlPlane;
use crate::rules_world::{ORG, open, tickets};

struct Own {
    plane: ControlPlane,
    namespace: String,
}

impl Own {
    async fn create(&self, kind: &str, name: &str, spec: Value) {
        let metadata = json!({"name": name, "namespace": self.namespace});
        let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        controller::create(&self.plane, object).await;
    }

    async fn ready(&self, kind: &str, name: &str) -> Value {
        controller::ready(&self.plane, kind, &self.namespace, name).await
    }

    async fn in_line(&self, name: &str, place: i64) {
        let probe = |operator: &Value| {
            condition(operator, "Ready")["reason"] == "SeatLimitExceeded" && operator["status"]["queuePosition"] == place
        };
        controller::until(&self.plane, "Operator", &self.namespace, name, &format!("place {place}"), probe).await;
    }

    async fn patch(&self, kind: &str, namespace: &str, name: &str, patch: Value) {
        use kube::api::{Patch, PatchParams};
        let api = controller::api(&self.plane, kind, namespace).await;
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_or_else(|error| panic!("patch {kind} {name}: {error}"));
    }

    /// Creates operators whose creation times differ, which the API server tells in whole seconds.
    async fn create_one_a_second(&self, names: &[&str]) {
        for name in names {
            self.create("Operator", name, controller::operator_spec(name, ORG)).await;
            tokio::time::sleep(Duration::from_millis(1_050)).await;
        }
    }
}

#[tokio::test]
async fn the_queue_outlives_the_controller_and_what_came_meanwhile_follows_in_the_order_of_creation() {
    let plane = ControlPlane::dedicated().await;
    let namespace = plane.namespace("restart").await;
    let own = Own { plane, namespace };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = folder.path().join("deskplane.db");
    let options = || Options { database: Some(&database), ..Options::default() };
    let mut running = Controller::start(&own.plane, options()).await;
    controller::create(&own.plane, controller::backend(BACKEND)).await;
    controller::create(&own.plane, controller::plan_of("small", json!({"seats": 1}))).await;
    own.create("Account", "acme", controller::account_spec("small")).await;
    own.ready("Organization", ORG).await;
    for (name, place) in [("waits-1", 1), ("waits-2", 2), ("waits-3", 3)] {
        own.create("Operator", name, controller::operator_spec(name, ORG)).await;
        own.in_line(name, place).await;
    }
    assert!(running.stop().await, "it ends in order");

    // While it is stopped: six come, their names in no order; one who waits vanishes without cleanup; four seats are added.
    own.create_one_a_second(&["f", "b", "e", "a", "d", "c"]).await;
    own.patch("Operator", &own.namespace, "waits-2", json!({"metadata": {"finalizers": null}})).await;
    let operators = controller::api(&own.plane, "Operator", &own.namespace).await;
    operators.delete("waits-2", &kube::api::DeleteParams::default()).await.expect("delete waits-2");
    // The policy puts the finalizer back on every update of a live object, so it goes from the Terminating one.
    if operators.get_opt("waits-2").await.expect("get waits-2").is_some() {
        own.patch("Operator", &own.namespace, "waits-2", json!({"metadata": {"finalizers": null}})).await;
    }
    own.patch("Plan", "", "small", json!({"spec": {"limits": {"seats": 5}}})).await;
    controller::gone(&own.plane, "Operator", &own.namespace, "waits-2").await;

    let mut running = Controller::start(&own.plane, options()).await;
    for name in ["waits-1", "waits-3", "f", "b"] {
        own.ready("Operator", name).await;
    }
    for (name, place) in [("e", 1), ("a", 2), ("d", 3), ("c", 4)] {
        own.in_line(name, place).await;
    }
    let store = open(&database).await;
    assert_eq!(tickets(&store, &own.namespace).await, ["e", "a", "d", "c"], "the ticket of waits-2 is dropped");
    store.close().await;

    // A crash, and a place more: the line moves on as it was.
    running.kill().await;
    own.patch("Plan", "", "small", json!({"spec": {"limits": {"seats": 6}}})).await;
    let _running = Controller::start(&own.plane, options()).await;
    own.ready("Operator", "e").await;
    for (name, place) in [("a", 1), ("d", 2), ("c", 3)] {
        own.in_line(name, place).await;
    }
}
