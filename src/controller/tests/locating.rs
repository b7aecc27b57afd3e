//! Which store is asked about an object without a way to its Account (rules 13 and 14).

use serde_json::json;

use crate::backend::BackendError;
use crate::domain::rows::{Answer, Key};

use super::super::secrets::{Known, learn};
use super::script::Script;
use super::{REMOTE, World, object, ready, reason};

/// An operator of an organization that does not exist.
fn lost(world: &World) {
    let spec = json!({"organizationRef": {"name": "nowhere"}, "email": "lost@acme.example"});
    world.memory.create("Operator", "ns", "lost", &spec);
}

/// The account and its organization vanish without cleanup; its operator is deleted. It has a row, and status.storeId.
fn orphan(world: &World, account: &str, operator: &str) {
    for (kind, name) in [("Organization", format!("{account}-default")), ("Account", account.to_owned())] {
        world.memory.patch(kind, "ns", &name, json!([{"op": "remove", "path": "/metadata/finalizers"}]));
        world.memory.delete(kind, "ns", &name);
    }
    world.memory.delete("Operator", "ns", operator);
}

#[tokio::test]
async fn without_any_evidence_every_store_must_say_that_it_does_not_know_the_object() {
    let world = World::with_remote().await;
    lost(&world);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    world.memory.delete("Operator", "ns", "lost");
    life.run().await;
    let (reason_, message) = ready(&world, "Operator", "lost").expect("it is held");
    assert_eq!(reason_, "BackendUnreachable");
    assert!(message.contains("all are asked, and AccountBackend remote cannot be"), "{message}");
    world.servers.change(REMOTE, |server| server.fault = None);
    life.run().await;
    assert!(ready(&world, "Operator", "lost").is_none(), "nobody knows it");
}

#[tokio::test]
async fn a_backend_that_is_not_verified_holds_what_may_be_in_it() {
    let world = World::with_remote().await;
    lost(&world);
    world.secrets.lock().unwrap().insert("remote".to_owned(), Known::Missing);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    world.memory.delete("Operator", "ns", "lost");
    life.run().await;
    let (reason_, message) = ready(&world, "Operator", "lost").expect("it is held");
    assert_eq!(reason_, "CredentialsInvalid");
    assert!(message.contains("AccountBackend remote cannot be") && message.contains("does not exist in namespace"), "{message}");
    learn(&life.context, "remote", world.secret("remote", "2", Some("good")));
    life.run().await;
    assert!(ready(&world, "Operator", "lost").is_none());
}

#[tokio::test]
async fn status_store_id_leads_to_the_one_store_that_is_asked() {
    let world = World::with_remote().await;
    drop(world.run(Script::default()).await);
    orphan(&world, "beta", "bob");
    let down = || Some(BackendError::Transient("connection refused".to_owned()));
    // The other one is of no interest, whatever its state.
    world.servers.change(REMOTE, |server| server.fault = down());
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let (reason_, message) = ready(&world, "Operator", "bob").expect("it is held");
    assert_eq!(reason_, "BackendUnreachable");
    assert!(message.contains("status.storeId leads to AccountBackend remote, which cannot be asked"), "{message}");

    world.servers.change(REMOTE, |server| server.fault = None);
    life.run().await;
    let (reason_, message) = ready(&world, "Operator", "bob").expect("it is held: its parents are gone");
    assert!(reason_ == "WaitingForParent" && message.contains("gone without cleanup"), "{message}");
    let key = Key::from(object(&world, "Operator", "bob").unwrap()["metadata"]["uid"].as_str().unwrap());
    let answer = world.servers.get(REMOTE).shelf.store.lookup(&key).await.unwrap();
    assert!(matches!(answer, Answer::Present(_)), "{answer:?}");
}

#[tokio::test]
async fn what_was_in_the_own_store_does_not_wait_for_a_server() {
    let world = World::with_remote().await;
    drop(world.run(Script::default()).await);
    orphan(&world, "acme", "acme-default-first-operator");
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    let mut life = world.live(Script::default()).await;
    life.run().await;
    assert_eq!(reason(&world, "Operator", "acme-default-first-operator"), "WaitingForParent");
    drop(life);
    // Its row is erased in the store itself, by whoever may.
    let store = crate::store::Store::open(&world.folder.path().join("store.db")).await.unwrap();
    let external = object(&world, "Operator", "acme-default-first-operator").unwrap()["status"]["externalId"].as_str().unwrap().to_owned();
    for orphan in store.reader().orphans().await.unwrap() {
        if orphan.external_id == external || orphan.organization.is_none() {
            let _ = store.erase_row(&orphan.external_id, |_| {}).await;
        }
    }
    store.close().await;
    drop(store);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    assert!(ready(&world, "Operator", "acme-default-first-operator").is_none(), "erased, says the store that knew it");
}

#[tokio::test]
async fn a_store_for_which_no_backend_stands_holds_its_objects() {
    let world = World::with_remote().await;
    drop(world.run(Script::default()).await);
    orphan(&world, "beta", "bob");
    world.memory.patch("AccountBackend", "", "remote", json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("AccountBackend", "", "remote");
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let (reason_, message) = ready(&world, "Operator", "bob").expect("it is held");
    assert!(reason_ == "BackendNotFound" && message.contains("Bring the AccountBackend back"), "{message}");
    world.remote("remote", REMOTE);
    learn(&life.context, "remote", world.secret("remote", "2", Some("good")));
    life.run().await;
    assert_eq!(reason(&world, "Operator", "bob"), "WaitingForParent", "its store has its row");
}

#[tokio::test]
async fn an_organization_without_its_account_is_released_in_the_store_that_knows_it() {
    let world = World::with_remote().await;
    drop(world.run(Script::default()).await);
    world.memory.patch("Account", "ns", "beta", json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("Account", "ns", "beta");
    let release = json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/release": "beta-default"}}]);
    world.memory.patch("Organization", "ns", "beta-default", release);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let (reason_, message) = ready(&world, "Organization", "beta-default").expect("it lives on");
    assert!(reason_ == "Released" && !message.contains("without telling") && !message.contains(" 0 rows"), "{message}");
    let key = Key::from(object(&world, "Organization", "beta-default").unwrap()["metadata"]["uid"].as_str().unwrap());
    assert_eq!(world.servers.get(REMOTE).shelf.store.lookup(&key).await, Ok(Answer::Released));
}
