//! Whose word counts, when the store is not the one that is known (rule 13).

use serde_json::json;

use crate::api::AccountBackend;

use super::super::report;
use super::script::Script;
use super::{World, ready, reason};

#[tokio::test]
async fn an_object_without_an_account_is_not_let_go_on_the_word_of_another_store() {
    let world = World::new();
    world.memory.create("Operator", "ns", "lost", &json!({"organizationRef": {"name": "nowhere"}, "email": "lost@acme.example"}));
    drop(world.run(Script::default()).await);
    let backend = || world.memory.objects().into_iter().find(|object| object["kind"] == "AccountBackend").expect("it is there");
    let known = backend()["status"]["storeId"].clone();
    world.memory.patch("AccountBackend", "", "embedded", json!([{"op": "replace", "path": "/status/storeId", "value": "store_other"}]));
    world.memory.delete("Operator", "ns", "lost");

    let mut life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "BackendReplaced");
    assert_eq!(reason(&world, "Operator", "lost"), "BackendReplaced");

    world.memory.patch("AccountBackend", "", "embedded", json!([{"op": "replace", "path": "/status/storeId", "value": known}]));
    life.run().await;
    drop(life);
    drop(world.run(Script::default()).await);
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "Synced");
    assert!(ready(&world, "Operator", "lost").is_none(), "it never had a row in the known store");
}

#[tokio::test]
async fn the_epoch_that_was_recorded_during_a_pass_over_the_backend_is_not_overwritten() {
    let world = World::new();
    let life = world.run(Script::default()).await;
    let before = life.context.cache().get::<AccountBackend>("", "embedded").expect("it is there");
    world.memory.patch("AccountBackend", "", "embedded", json!([{"op": "replace", "path": "/status/epoch", "value": 42}]));
    let mut status = before.status.clone().expect("a status");
    status.version = Some("another".to_owned());
    report::patch_status(&life.context, before.as_ref(), &status).await.expect_err("it knows an older status");
    let backend = world.memory.objects().into_iter().find(|object| object["kind"] == "AccountBackend").expect("it is there");
    assert_eq!(backend["status"]["epoch"], 42);
}

#[tokio::test]
async fn an_object_without_an_account_waits_for_a_backend_that_has_not_been_looked_at() {
    let world = World::new();
    world.memory.create("Operator", "ns", "lost", &json!({"organizationRef": {"name": "nowhere"}, "email": "lost@acme.example"}));
    drop(world.run(Script::default()).await);
    let paused = |value: &str| json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/paused": value}}]);
    world.memory.patch("AccountBackend", "", "embedded", paused("true"));
    world.memory.delete("Operator", "ns", "lost");
    let mut life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "Operator", "lost"), "BackendUnreachable");
    world.memory.patch("AccountBackend", "", "embedded", paused("false"));
    life.run().await;
    assert!(ready(&world, "Operator", "lost").is_none());
}

#[tokio::test]
async fn a_store_is_accepted_also_while_its_backend_object_is_being_deleted() {
    let world = World::new();
    drop(world.run(Script::default()).await);
    let backend = || world.memory.objects().into_iter().find(|object| object["kind"] == "AccountBackend").expect("it is there");
    let known = backend()["status"]["storeId"].as_str().expect("an id").to_owned();
    world.memory.patch("AccountBackend", "", "embedded", json!([{"op": "replace", "path": "/status/storeId", "value": "store_other"}]));
    world.memory.delete("AccountBackend", "", "embedded");
    let mut life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "BackendReplaced");
    let accept = json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/accept-store": known}}]);
    world.memory.patch("AccountBackend", "", "embedded", accept);
    life.run().await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "InUse");
    assert_eq!(backend()["status"]["storeId"], known);
    assert_eq!(backend()["status"]["acceptedStore"], known);
}

#[tokio::test]
async fn an_acceptance_that_is_taken_back_and_given_anew_between_two_passes_counts_again() {
    let world = World::new();
    drop(world.run(Script::default()).await);
    let backend = || world.memory.objects().into_iter().find(|object| object["kind"] == "AccountBackend").expect("it is there");
    let store = backend()["status"]["storeId"].clone();
    let annotations = |value: serde_json::Value| json!([{"op": "add", "path": "/metadata/annotations", "value": value}]);
    let older = || {
        let status =
            json!([{"op": "add", "path": "/status/epoch", "value": 99}, {"op": "add", "path": "/status/acceptedStore", "value": store}]);
        world.memory.patch("AccountBackend", "", "embedded", status);
    };
    world.memory.patch("AccountBackend", "", "embedded", annotations(json!({"deskplane.dev/accept-store": store})));
    older();
    let mut life = world.run(Script::default()).await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "BackendReplaced", "it counted once");
    world.memory.patch("AccountBackend", "", "embedded", annotations(json!({})));
    world.memory.patch("AccountBackend", "", "embedded", annotations(json!({"deskplane.dev/accept-store": store})));
    life.run().await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "Synced");
    assert_eq!(backend()["status"]["acceptedStore"], store);
    drop(life);
    older();
    drop(world.run(Script::default()).await);
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "BackendReplaced", "and once only");
}

/// A second controller with another database, started by mistake.
#[tokio::test]
async fn what_a_stray_controller_said_of_objects_does_not_outlast_it() {
    let world = World::new();
    let mut healthy = world.run(Script::default()).await;
    let before = healthy.state();
    let mut stray = world.live_on("stray.db", Script::default()).await;
    stray.run().await;
    let (reason_, message) = ready(&world, "AccountBackend", "embedded").expect("it is there");
    assert_eq!(reason_, "BackendReplaced");
    assert!(message.contains("a second controller, with another --database"), "{message}");
    assert!(message.contains("kubectl get pods -A -l app.kubernetes.io/name=deskplane"), "{message}");
    assert!(message.len() < 1024, "it is not cut: {} bytes", message.len());
    for (kind, name) in [("Account", "acme"), ("Organization", "acme-default"), ("Widget", "acme-default-widget")] {
        assert_eq!(reason(&world, kind, name), "BackendReplaced", "{kind} {name}");
    }

    world.retell(&healthy.context);
    healthy.run().await;
    assert_eq!(healthy.state(), before, "without a sweep, and without a restart");
    let writes = healthy.script.writes().len();
    world.retell(&healthy.context);
    healthy.run().await;
    assert_eq!(healthy.script.writes().len(), writes);
}
