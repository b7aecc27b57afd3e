//! The token of a server: read from a Secret, changed while the controller runs, refused, and never shown.

use serde_json::json;

use crate::backend::BackendError;

use super::super::object::{Kind, ObjectName};
use super::super::secrets::{Known, learn};
use super::script::Script;
use super::servers::Shelf;
use super::{Life, REMOTE, World, object, ready, reason};

const OTHER: &str = "https://other.example";

fn said(world: &World) -> (String, String) {
    ready(world, "AccountBackend", "remote").expect("it is there")
}

async fn settled(world: &World) -> Life {
    let mut life = world.live(Script::default()).await;
    life.run().await;
    assert_eq!(reason(world, "AccountBackend", "remote"), "Synced");
    life
}

#[tokio::test]
async fn a_secret_that_is_missing_or_has_no_token_is_named_and_counts_as_soon_as_it_is_there() {
    let world = World::with_remote().await;
    world.secrets.lock().unwrap().insert("remote".to_owned(), Known::Missing);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let (reason_, message) = said(&world);
    assert_eq!(reason_, "CredentialsInvalid");
    assert!(message.contains("the Secret \"remote\" does not exist in namespace \"controllers\""), "{message}");
    assert!(message.contains("kubectl create secret generic remote -n controllers --from-file=token="), "{message}");
    let (reason_, message) = ready(&world, "Account", "beta").unwrap();
    assert!(reason_ == "CredentialsInvalid" && message.contains("AccountBackend \"remote\""), "{message}");
    assert_eq!(reason(&world, "Account", "acme"), "Synced");

    learn(&life.context, "remote", world.secret("remote", "2", None));
    life.run().await;
    let (reason_, message) = said(&world);
    assert!(reason_ == "CredentialsInvalid" && message.contains("has no token"), "{message}");
    learn(&life.context, "remote", Known::Unreadable("secrets is forbidden".to_owned()));
    life.run().await;
    let (reason_, message) = said(&world);
    assert!(reason_ == "CredentialsInvalid" && message.contains("hack/rbac.yaml"), "{message}");
    assert_eq!(world.servers.get(REMOTE).connected, 0);

    learn(&life.context, "remote", world.secret("remote", "3", Some("good")));
    life.run().await;
    for (kind, name) in [("AccountBackend", "remote"), ("Account", "beta"), ("Operator", "bob")] {
        assert_eq!(reason(&world, kind, name), "Synced", "{kind} {name}");
    }
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_until_the_secret_changes() {
    let world = World::with_remote().await;
    let mut life = settled(&world).await;
    world.servers.change(REMOTE, |server| server.token = "better".to_owned());
    let rename = |to: &str| world.memory.patch("Operator", "ns", "bob", json!([{"op": "add", "path": "/spec/displayName", "value": to}]));
    rename("Bob");
    life.run().await;
    let (reason_, message) = said(&world);
    assert_eq!(reason_, "CredentialsInvalid");
    assert!(message.contains("refuses the token in the Secret \"remote\" of namespace \"controllers\""), "{message}");
    assert_eq!(reason(&world, "Operator", "bob"), "CredentialsInvalid");
    assert_eq!(reason(&world, "Account", "beta"), "Synced", "who has nothing to write stays as it is");

    let asked = world.servers.get(REMOTE).asked;
    rename("Robert");
    world.memory.patch("AccountBackend", "", "remote", json!([{"op": "replace", "path": "/spec/resyncInterval", "value": "20m"}]));
    life.run().await;
    assert_eq!(world.servers.get(REMOTE).asked, asked, "nobody asks");
    assert_eq!(said(&world).0, "CredentialsInvalid");

    // Touched, but no better: one question, one answer.
    learn(&life.context, "remote", world.secret("remote", "2", Some("good")));
    life.run().await;
    assert_eq!(world.servers.get(REMOTE).asked, asked + 1);
    learn(&life.context, "remote", world.secret("remote", "3", Some("better")));
    life.run().await;
    for (kind, name) in [("AccountBackend", "remote"), ("Operator", "bob")] {
        assert_eq!(reason(&world, kind, name), "Synced", "{kind} {name}");
    }
    assert_eq!(world.servers.get(REMOTE).shelf.store.identify("owner").await.unwrap().epoch, 1, "in the epoch that there was");
}

#[tokio::test]
async fn a_token_without_rights_is_as_good_as_none() {
    let world = World::with_remote().await;
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Forbidden("this token is for transcripts".to_owned())));
    let mut life = world.live(Script::default()).await;
    life.run().await;
    assert_eq!(said(&world).0, "CredentialsInvalid");
    let asked = world.servers.get(REMOTE).asked;
    life.context.queue.push(ObjectName::cluster(Kind::AccountBackend, "remote"));
    life.run().await;
    assert_eq!(world.servers.get(REMOTE).asked, asked);
    world.servers.change(REMOTE, |server| server.fault = None);
    learn(&life.context, "remote", world.secret("remote", "2", Some("good")));
    life.run().await;
    assert_eq!(said(&world).0, "Synced");
}

/// What of a connection must outlive a change of its way.
fn standing(life: &Life, world: &World) -> (usize, i64) {
    let connection = life.context.connections.get(world.servers.get(REMOTE).shelf.store.id()).expect("a connection");
    let address = std::sync::Arc::as_ptr(&connection) as usize;
    (address, connection.session().expect("a session").epoch)
}

#[tokio::test]
async fn a_new_token_url_authority_or_rate_changes_the_way_and_nothing_else() {
    let world = World::with_remote().await;
    let mut life = settled(&world).await;
    let before = standing(&life, &world);
    let shelf = world.servers.get(REMOTE).shelf;
    world.servers.add(OTHER, &shelf, "good");

    // Touched, but the same: not even another connection to the server.
    let connected = world.servers.get(REMOTE).connected;
    learn(&life.context, "remote", world.secret("remote", "2", Some("good")));
    life.run().await;
    assert_eq!(world.servers.get(REMOTE).connected, connected);

    world.servers.change(REMOTE, |server| server.token = "better".to_owned());
    learn(&life.context, "remote", world.secret("remote", "3", Some("better")));
    let spec = |path: &str, value: serde_json::Value| {
        world.memory.patch("AccountBackend", "", "remote", json!([{"op": "add", "path": format!("/spec/{path}"), "value": value}]));
    };
    let works = async |life: &mut Life, what: &str| {
        world.memory.patch("Operator", "ns", "bob", json!([{"op": "add", "path": "/spec/displayName", "value": what}]));
        life.run().await;
        for (kind, name) in [("AccountBackend", "remote"), ("Operator", "bob")] {
            assert_eq!(reason(&world, kind, name), "Synced", "{what}: {kind} {name}");
        }
        assert_eq!(standing(life, &world), before, "{what}");
    };
    works(&mut life, "token").await;
    spec("server/caBundle", json!("-----BEGIN CERTIFICATE-----"));
    works(&mut life, "authority").await;
    spec("rateLimit", json!({"requestsPerSecond": 10, "burst": 20}));
    works(&mut life, "rate").await;
    assert_eq!(world.servers.get(REMOTE).connected, connected + 3);
    world.servers.change(OTHER, |server| server.token = "better".to_owned());
    let asked = world.servers.get(REMOTE).asked;
    spec("server/url", json!(OTHER));
    works(&mut life, "url").await;
    assert_eq!(world.servers.get(REMOTE).asked, asked, "nobody asks there any more");
    assert_eq!(shelf.store.identify("owner").await.unwrap().epoch, 1);

    // Another store at the new URL is another store.
    let elsewhere = Shelf::at(&world.folder.path().join("elsewhere.db")).await;
    world.servers.change(OTHER, |server| server.shelf = elsewhere.clone());
    spec("rateLimit/burst", json!(30));
    life.run().await;
    assert_eq!(said(&world).0, "BackendReplaced");
    assert_eq!(reason(&world, "Operator", "bob"), "BackendReplaced");
    assert_eq!(elsewhere.store.identify("owner").await.unwrap().epoch, 0);
}

#[tokio::test]
async fn an_answer_to_the_former_token_says_nothing_of_the_new_one() {
    let world = World::with_remote().await;
    let mut life = settled(&world).await;
    let connection = life.context.connections.get(world.servers.get(REMOTE).shelf.store.id()).expect("a connection");
    let former = connection.backend().expect("a way");
    world.servers.change(REMOTE, |server| server.token = "better".to_owned());
    learn(&life.context, "remote", world.secret("remote", "2", Some("better")));
    life.run().await;
    assert!(!life.context.refuses_us(&former), "another token is in use");
    life.run().await;
    assert_eq!(said(&world).0, "Synced");
}

#[tokio::test]
async fn a_backend_that_goes_takes_its_token_and_its_way_along() {
    let world = World::with_remote().await;
    world.memory.delete("Account", "ns", "beta");
    world.memory.delete("Operator", "ns", "bob");
    let mut life = settled(&world).await;
    let connection = life.context.connections.get(world.servers.get(REMOTE).shelf.store.id()).expect("a connection");
    world.memory.delete("AccountBackend", "", "remote");
    life.run().await;
    assert!(object(&world, "AccountBackend", "remote").is_none());
    assert!(connection.backend().is_err(), "nothing leads there");
    assert!(life.context.secrets.is_empty());

    // It comes back, in the epoch that there was: another would fence whoever still writes.
    world.remote("remote", REMOTE);
    learn(&life.context, "remote", world.secret("remote", "9", Some("good")));
    life.run().await;
    assert_eq!(said(&world).0, "Synced");
    assert_eq!(world.servers.get(REMOTE).shelf.store.identify("owner").await.unwrap().epoch, 1);
}

#[tokio::test]
async fn no_object_ever_shows_a_token() {
    let world = World::with_remote().await;
    world.servers.change(REMOTE, |server| server.token = "dpt_canary".to_owned());
    world.secret("remote", "1", Some("dpt_canary"));
    let mut life = settled(&world).await;
    world.servers.change(REMOTE, |server| server.token = "another".to_owned());
    world.memory.patch("Operator", "ns", "bob", json!([{"op": "add", "path": "/spec/displayName", "value": "Bob"}]));
    life.run().await;
    assert_eq!(said(&world).0, "CredentialsInvalid");
    for object in world.memory.objects() {
        assert!(!object.to_string().contains("dpt_canary"), "{object}");
    }
}
