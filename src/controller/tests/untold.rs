//! What was let go while the store could not be told (rule 15): it is told later, and nothing of it is taken for lost.

use serde_json::json;

use crate::backend::BackendError;
use crate::domain::rows::{Answer, Key};
use crate::store::OrphanState;

use super::script::Script;
use super::{Life, REMOTE, World, ready, reason};

/// A world in which the account was let go while the store refused every write. Keys of all objects that had a row.
async fn let_go_untold() -> (World, Life, Vec<Key>) {
    let world = World::new();
    let mut life = world.run(Script::default()).await;
    let with_rows = |object: &&serde_json::Value| object["status"]["externalId"].is_string();
    let objects = world.memory.objects();
    let keys = objects.iter().filter(with_rows).map(|object| Key::from(object["metadata"]["uid"].as_str().expect("a UID")));
    let keys: Vec<_> = keys.collect();
    assert_eq!(keys.len(), 6, "account, organization, two operators, department, widget");
    life.script.cut_off(true);
    let release = json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/release": "acme"}}]);
    world.memory.patch("Account", "ns", "acme", release);
    life.run().await;
    let (reason, message) = ready(&world, "Account", "acme").expect("it stays");
    assert!(reason == "Released" && message.contains("without telling the backend"), "{reason}: {message}");
    for key in &keys {
        assert!(matches!(life.store.lookup(key).await, Ok(Answer::Present(_))), "it was not told");
    }
    (world, life, keys)
}

async fn all_let_go(life: &Life, keys: &[Key]) {
    for key in keys {
        assert_eq!(life.store.lookup(key).await.expect("an answer"), Answer::Released);
    }
    let orphans = life.store.reader().orphans().await.expect("the list of orphans");
    assert!(orphans.iter().all(|orphan| orphan.state == OrphanState::Unmanaged), "nothing vanished: {orphans:?}");
}

#[tokio::test]
async fn the_store_is_told_when_it_can_be() {
    let (world, mut life, keys) = let_go_untold().await;
    life.script.cut_off(false);
    life.run().await;
    all_let_go(&life, &keys).await;
    let (_, message) = ready(&world, "Account", "acme").expect("it stays");
    assert!(message.contains("rows stay in the backend"), "{message}");
}

#[tokio::test]
async fn the_store_is_told_by_the_next_controller_too() {
    let (world, life, keys) = let_go_untold().await;
    drop(life);
    let life = world.run(Script::default()).await;
    all_let_go(&life, &keys).await;
}

#[tokio::test]
async fn the_store_is_told_also_of_what_is_gone_by_then() {
    let (world, mut life, keys) = let_go_untold().await;
    for object in world.memory.objects().iter().rev() {
        let text = |path: &str| object.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
        if text("/metadata/namespace") == "ns" {
            world.memory.delete(text("/kind"), "ns", text("/metadata/name"));
        }
    }
    life.run().await;
    assert!(ready(&world, "Account", "acme").is_none() && ready(&world, "Operator", "tom").is_none(), "they are free");
    life.script.cut_off(false);
    life.run().await;
    all_let_go(&life, &keys).await;
}

#[tokio::test]
async fn a_release_that_was_taken_back_before_the_store_was_told_is_none() {
    let (world, mut life, keys) = let_go_untold().await;
    for object in world.memory.objects() {
        let text = |path: &str| object.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
        if !text("/metadata/annotations/deskplane.dev~1release").is_empty() {
            let withdraw = json!([{"op": "remove", "path": "/metadata/annotations"}]);
            world.memory.patch(text("/kind"), "ns", text("/metadata/name"), withdraw);
        }
    }
    life.script.cut_off(false);
    life.run().await;
    assert_eq!(reason(&world, "Account", "acme"), "Synced");
    for key in &keys {
        assert!(matches!(life.store.lookup(key).await, Ok(Answer::Present(_))));
    }
    life.one_row_for_each().await;
}

/// A controller that first reaches the server when everything is let go and gone.
#[tokio::test]
async fn a_server_that_could_not_be_reached_before_is_told_also_of_what_is_gone_by_then() {
    let world = World::with_remote().await;
    drop(world.run(Script::default()).await);
    let shelf = world.servers.get(REMOTE).shelf;
    let store = &shelf.store;
    let on_server = |object: &serde_json::Value| object["metadata"]["namespace"] == "ns" && object["status"]["storeId"] == store.id();
    let objects: Vec<_> = world.memory.objects().into_iter().filter(on_server).collect();
    let keys: Vec<_> = objects.iter().map(|object| Key::from(object["metadata"]["uid"].as_str().expect("a UID"))).collect();
    assert_eq!(keys.len(), 6, "account, organization, two operators, department, widget");

    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    let mut life = world.live(Script::default()).await;
    let release = json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/release": "beta"}}]);
    world.memory.patch("Account", "ns", "beta", release);
    life.run().await;
    let (reason, message) = ready(&world, "Account", "beta").expect("it stays");
    assert!(reason == "Released" && message.contains("without telling the backend"), "{reason}: {message}");
    for object in objects.iter().rev() {
        let text = |path: &str| object.pointer(path).and_then(serde_json::Value::as_str).unwrap_or_default();
        world.memory.delete(text("/kind"), "ns", text("/metadata/name"));
    }
    life.run().await;
    assert!(ready(&world, "Account", "beta").is_none() && ready(&world, "Operator", "bob").is_none(), "they are free");

    world.servers.change(REMOTE, |server| server.fault = None);
    life.run().await;
    for key in &keys {
        assert_eq!(store.lookup(key).await.expect("an answer"), Answer::Released);
    }
    let orphans = store.reader().orphans().await.expect("the list of orphans");
    assert!(orphans.iter().all(|orphan| orphan.state == OrphanState::Unmanaged), "nothing vanished: {orphans:?}");
}
