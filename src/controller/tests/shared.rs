//! Several `AccountBackend` objects whose ways lead to one store: one connection, one epoch.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::object::{Kind, ObjectName};
use super::super::secrets::learn;
use super::script::Script;
use super::servers::Shelf;
use super::{Life, REMOTE, World, object, reason};

const TWIN: &str = "https://twin.example";

/// A second `AccountBackend` that leads to the store of the first, by another URL and token, and an account on it.
fn with_twin(world: &World, shelf: &Arc<Shelf>) {
    world.servers.add(TWIN, shelf, "twins");
    world.secret("twin", "1", Some("twins"));
    world.remote("twin", TWIN);
    let spec = json!({"backendRef": {"name": "twin"}, "planRef": {"name": "small"}, "owner": {"email": "gus@gamma.example"},
        "deletionProtection": true});
    world.memory.create("Account", "ns", "gamma", &spec);
}

fn epoch(world: &World, backend: &str) -> Value {
    object(world, "AccountBackend", backend).expect("it is there")["status"]["epoch"].clone()
}

fn rename(world: &World, operator: &str, to: &str) {
    world.memory.patch("Operator", "ns", operator, json!([{"op": "add", "path": "/spec/displayName", "value": to}]));
}

fn all_synced(world: &World) {
    for (kind, name) in [
        ("AccountBackend", "remote"),
        ("AccountBackend", "twin"),
        ("Account", "beta"),
        ("Account", "gamma"),
        ("Operator", "bob"),
        ("Operator", "gamma-default-first-operator"),
    ] {
        assert_eq!(reason(world, kind, name), "Synced", "{kind} {name}");
    }
}

async fn run(world: &World) -> Life {
    let mut life = world.live(Script::default()).await;
    life.run().await;
    life
}

#[tokio::test]
async fn two_ways_to_one_store_share_its_connection_and_epoch() {
    let world = World::with_remote().await;
    let shelf = world.servers.get(REMOTE).shelf;
    with_twin(&world, &shelf);
    let life = run(&world).await;
    all_synced(&world);
    assert_eq!(shelf.store.identify("owner").await.unwrap().epoch, 1, "a second epoch would have fenced the first");
    assert_eq!((epoch(&world, "remote"), epoch(&world, "twin")), (json!(1), json!(1)));
    assert_eq!(life.context.connections.all().len(), 2, "and the controller's own store");
    assert_eq!(life.context.fenced_by(), None);
}

#[tokio::test]
async fn when_one_of_two_ways_is_closed_the_other_one_is_used() {
    for (closed, url, secret, open) in [("remote", REMOTE, "remote", "gamma-default-first-operator"), ("twin", TWIN, "twin", "bob")] {
        let world = World::with_remote().await;
        let shelf = world.servers.get(REMOTE).shelf;
        with_twin(&world, &shelf);
        let mut life = run(&world).await;
        world.servers.change(url, |server| server.token = "other".to_owned());
        for operator in ["bob", "gamma-default-first-operator"] {
            rename(&world, operator, "Renamed");
        }
        life.run().await;
        assert_eq!(reason(&world, "Operator", open), "Synced", "{closed}");
        // Whose way is not the one in use hears of it with the next sweep.
        life.context.queue.push(ObjectName::cluster(Kind::AccountBackend, closed));
        life.run().await;
        assert_eq!(reason(&world, "AccountBackend", closed), "CredentialsInvalid");
        assert_eq!(reason(&world, "Operator", open), "Synced", "{closed}");
        learn(&life.context, secret, world.secret(secret, "2", Some("other")));
        life.run().await;
        all_synced(&world);
        assert_eq!(shelf.store.identify("owner").await.unwrap().epoch, 1);
    }
}

#[tokio::test]
async fn a_server_before_the_controllers_own_store_is_the_same_store() {
    let world = World::with_remote().await;
    let shelf = Shelf::at(&world.folder.path().join("store.db")).await;
    let script = Arc::new(Script::default());
    let own = Arc::new(super::Embedded::new(shelf.store.clone(), "owner"));
    world.servers.change(REMOTE, |server| server.shelf = shelf.clone());
    let context = world.context(Some(own), &script);
    let mut life = Life { context, script, store: shelf.store.clone(), memory: world.memory.clone() };
    life.run().await;
    for (kind, name) in [("AccountBackend", "embedded"), ("AccountBackend", "remote"), ("Account", "acme"), ("Account", "beta")] {
        assert_eq!(reason(&world, kind, name), "Synced", "{kind} {name}");
    }
    assert_eq!(life.context.connections.all().len(), 1);
    assert_eq!(shelf.store.identify("owner").await.unwrap().epoch, 1);

    // The server is given up.
    let moved = json!([{"op": "remove", "path": "/spec/server"}, {"op": "add", "path": "/spec/embedded", "value": {}}]);
    world.memory.patch("AccountBackend", "", "remote", moved);
    life.run().await;
    let asked = world.servers.get(REMOTE).asked;
    rename(&world, "bob", "Bob");
    life.run().await;
    assert_eq!((reason(&world, "AccountBackend", "remote"), reason(&world, "Operator", "bob")), ("Synced".to_owned(), "Synced".to_owned()));
    assert_eq!(world.servers.get(REMOTE).asked, asked);
    assert!(life.context.secrets.is_empty());
    assert_eq!(shelf.store.identify("owner").await.unwrap().epoch, 1);
    assert_eq!(life.context.fenced_by(), None);
}

#[tokio::test]
async fn a_backend_that_moves_to_a_server_before_its_store_keeps_everything() {
    let world = World::new();
    let shelf = Shelf::at(&world.folder.path().join("store.db")).await;
    world.servers.add(REMOTE, &shelf, "good");
    world.secret("remote", "1", Some("good"));
    let before = {
        let script = Arc::new(Script::default());
        let context = world.context(Some(Arc::new(super::Embedded::new(shelf.store.clone(), "owner"))), &script);
        let mut life = Life { context, script, store: shelf.store.clone(), memory: world.memory.clone() };
        life.run().await;
        object(&world, "Widget", "acme-default-widget").expect("it is there")
    };
    // The controller's database is a server's from now on.
    let server = json!({"url": REMOTE, "credentialsSecretRef": {"name": "remote"}});
    let moved = json!([{"op": "remove", "path": "/spec/embedded"}, {"op": "add", "path": "/spec/server", "value": server}]);
    world.memory.patch("AccountBackend", "", "embedded", moved);
    let mut life = world.live_without_store().await;
    life.run().await;
    assert_eq!(reason(&world, "AccountBackend", "embedded"), "Synced");
    assert_eq!(object(&world, "Widget", "acme-default-widget").expect("it is there"), before, "not a word, not a row");
}
