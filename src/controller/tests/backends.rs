//! Several backends at once: what becomes of one is nothing to the others.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::backend::BackendError;
use crate::domain::rows::{Answer, Key};

use super::super::object::{Kind, ObjectName};
use super::super::sweep;
use super::script::Script;
use super::servers::Shelf;
use super::{Life, REMOTE, World, object, ready, reason};

/// What stands on the server, and what on the controller's own store.
const OF_REMOTE: [(&str, &str); 4] =
    [("Account", "beta"), ("Organization", "beta-default"), ("Operator", "bob"), ("Widget", "beta-default-widget")];
const OF_EMBEDDED: [(&str, &str); 4] =
    [("AccountBackend", "embedded"), ("Account", "acme"), ("Organization", "acme-default"), ("Widget", "acme-default-widget")];

fn all_are(world: &World, objects: &[(&str, &str)], expected: &str) {
    for (kind, name) in objects {
        let (reason, message) = ready(world, kind, name).unwrap_or_else(|| panic!("{kind} {name} is gone"));
        assert_eq!(reason, expected, "{kind} {name}: {message}");
    }
}

fn rename(world: &World, operator: &str, to: &str) {
    let set = json!([{"op": "add", "path": "/spec/displayName", "value": to}]);
    world.memory.patch("Operator", "ns", operator, set);
}

fn set_backend(world: &World, name: &str, path: &str, value: &Value) {
    world.memory.patch("AccountBackend", "", name, json!([{"op": "add", "path": path, "value": value}]));
}

fn look_at(life: &Life, backend: &str) {
    life.context.queue.push(ObjectName::cluster(Kind::AccountBackend, backend));
}

fn store_of(world: &World, kind: &str, name: &str) -> String {
    let object = object(world, kind, name).unwrap_or_else(|| panic!("{kind} {name} is gone"));
    object["status"]["storeId"].as_str().unwrap_or_else(|| panic!("{kind} {name} has no storeId")).to_owned()
}

/// The values of the objects of one backend, versions included: whether anybody wrote to them.
fn snapshot(world: &World, objects: &[(&str, &str)]) -> Vec<Value> {
    objects.iter().map(|(kind, name)| object(world, kind, name).expect("it is there")).collect()
}

#[tokio::test]
async fn two_backends_are_served_at_once_each_with_its_own_store_and_epoch() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    all_are(&world, &OF_EMBEDDED, "Synced");
    all_are(&world, &OF_REMOTE, "Synced");
    assert_eq!(reason(&world, "AccountBackend", "remote"), "Synced");
    let (own, remote) = (life.store.id().to_owned(), world.servers.get(REMOTE).shelf.store.id().to_owned());
    assert_ne!(own, remote);
    for (objects, store) in [(OF_EMBEDDED, &own), (OF_REMOTE, &remote)] {
        for (kind, name) in objects {
            assert_eq!(store_of(&world, kind, name), *store, "{kind} {name}");
        }
    }
    for name in ["embedded", "remote"] {
        let backend = object(&world, "AccountBackend", name).unwrap();
        assert_eq!(backend["status"]["epoch"], 1, "{name}");
        assert!(backend["status"]["capabilities"].as_array().is_some_and(|all| all.contains(&json!("fenced"))), "{backend}");
    }

    // A new life of the controller: a new epoch in each, and nothing else to write.
    drop(life);
    let mut second = world.live(Script::default()).await;
    second.run().await;
    assert_eq!(second.script.writes(), Vec::<String>::new());
    assert_eq!(world.servers.get(REMOTE).shelf.store.identify("owner").await.unwrap().epoch, 2);
    rename(&world, "bob", "Bob");
    second.run().await;
    let epoch = |name: &str| object(&world, "AccountBackend", name).unwrap()["status"]["epoch"].clone();
    assert_eq!((epoch("embedded"), epoch("remote")), (json!(1), json!(2)), "recorded where something was written");
}

#[tokio::test]
async fn a_free_seat_of_an_account_on_a_server_wakes_who_waits_for_it() {
    let world = World::with_remote().await;
    let waiting = json!({"organizationRef": {"name": "beta-default"}, "email": "ben@beta.example", "credentials": {"mode": "None"}});
    world.memory.create("Operator", "ns", "ben", &waiting);
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let mut operators = [("bob", reason(&world, "Operator", "bob")), ("ben", reason(&world, "Operator", "ben"))];
    operators.sort_by(|one, other| one.1.cmp(&other.1));
    let [(waits, no_seat), (holds, synced)] = operators;
    assert_eq!((no_seat.as_str(), synced.as_str()), ("SeatLimitExceeded", "Synced"));
    world.memory.delete("Operator", "ns", holds);
    life.run().await;
    assert_eq!(reason(&world, "Operator", waits), "Synced");
}

#[tokio::test]
async fn trouble_of_one_backend_is_no_trouble_of_another() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let settled = snapshot(&world, &[("Account", "beta"), ("Widget", "beta-default-widget")]);
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    rename(&world, "bob", "Bob");
    rename(&world, "acme-default-first-operator", "Ada");
    life.run().await;
    all_are(&world, &OF_EMBEDDED, "Synced");
    all_are(&world, &[("Operator", "acme-default-first-operator")], "Synced");
    all_are(&world, &[("AccountBackend", "remote"), ("Operator", "bob")], "BackendUnreachable");
    assert_eq!(snapshot(&world, &[("Account", "beta"), ("Widget", "beta-default-widget")]), settled, "nothing to write, nothing to say");

    world.servers.change(REMOTE, |server| server.fault = None);
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
    assert_eq!(reason(&world, "AccountBackend", "remote"), "Synced");
}

#[tokio::test]
async fn a_server_that_does_not_answer_at_the_start_holds_up_nobody_else() {
    let world = World::with_remote().await;
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    let mut life = world.live(Script::default()).await;
    life.run().await;
    all_are(&world, &OF_EMBEDDED, "Synced");
    all_are(&world, &[("AccountBackend", "remote"), ("Account", "beta")], "BackendUnreachable");
    world.servers.change(REMOTE, |server| server.fault = None);
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
}

#[tokio::test]
async fn another_store_behind_one_server_is_replaced_there_and_there_only() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let right = world.servers.get(REMOTE).shelf;
    let other = Shelf::at(&world.folder.path().join("other.db")).await;
    let others = snapshot(&world, &OF_EMBEDDED);

    world.servers.change(REMOTE, |server| server.shelf = other.clone());
    rename(&world, "bob", "Bob");
    life.run().await;
    all_are(&world, &OF_REMOTE, "BackendReplaced");
    let (reason, message) = ready(&world, "AccountBackend", "remote").unwrap();
    assert_eq!(reason, "BackendReplaced");
    assert!(message.contains("spec.server.url") && !message.contains("second controller"), "{message}");
    assert!(message.ends_with(&format!("accept-store={}", other.store.id())), "{message}");
    assert_eq!(snapshot(&world, &OF_EMBEDDED), others, "nobody wrote a word about the others");
    assert_eq!(other.store.identify("owner").await.unwrap().epoch, 0, "nothing was written to it");

    // The right one is back: found out by itself, in the epoch that there was.
    world.servers.change(REMOTE, |server| server.shelf = right.clone());
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
    assert_eq!(right.store.identify("owner").await.unwrap().epoch, 1);

    // Or it is lost, and the other one is accepted.
    world.servers.change(REMOTE, |server| server.shelf = other.clone());
    look_at(&life, "remote");
    life.run().await;
    all_are(&world, &OF_REMOTE, "BackendReplaced");
    set_backend(&world, "remote", "/metadata/annotations", &json!({"deskplane.dev/accept-store": other.store.id()}));
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
    for (kind, name) in OF_REMOTE.into_iter().chain([("AccountBackend", "remote")]) {
        assert_eq!(store_of(&world, kind, name), other.store.id(), "{kind} {name}");
    }
    assert_eq!(snapshot(&world, &OF_EMBEDDED), others);
}

#[tokio::test]
async fn what_another_store_does_not_know_is_not_let_go() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let other = Shelf::at(&world.folder.path().join("other.db")).await;
    world.servers.change(REMOTE, |server| server.shelf = other);
    world.memory.delete("Operator", "ns", "bob");
    life.run().await;
    assert_eq!(reason(&world, "Operator", "bob"), "BackendReplaced");
    let bob = object(&world, "Operator", "bob").unwrap();
    assert_eq!(bob["metadata"]["finalizers"], json!(["deskplane.dev/erase"]));
}

#[tokio::test]
async fn an_older_copy_behind_a_server_is_recognised_while_the_controller_runs() {
    let world = World::with_remote().await;
    let copy = world.folder.path().join("copy.db");
    {
        let mut life = world.live(Script::default()).await;
        life.run().await;
        let store = &world.servers.get(REMOTE).shelf.store;
        assert_eq!(store.identify("owner").await.unwrap().epoch, 1);
        let mut connection =
            sqlx::ConnectOptions::connect(&sqlx::sqlite::SqliteConnectOptions::new().filename(world.folder.path().join("remote.db")))
                .await
                .unwrap();
        sqlx::query("VACUUM INTO $1").bind(copy.display().to_string()).execute(&mut connection).await.unwrap();
    }
    let mut life = world.live(Script::default()).await;
    rename(&world, "bob", "Bob");
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
    let old = Shelf::at(&copy).await;
    world.servers.change(REMOTE, |server| server.shelf = old.clone());
    look_at(&life, "remote");
    life.run().await;
    all_are(&world, &OF_REMOTE, "BackendReplaced");
    let (_, message) = ready(&world, "AccountBackend", "remote").unwrap();
    assert!(message.contains("older than what was written to it"), "{message}");
    assert_eq!(life.context.fenced_by(), None);

    set_backend(&world, "remote", "/metadata/annotations", &json!({"deskplane.dev/accept-store": old.store.id()}));
    life.run().await;
    all_are(&world, &[("AccountBackend", "remote"), ("Account", "beta"), ("Widget", "beta-default-widget")], "Synced");
    assert_eq!(life.context.fenced_by(), None);
}

#[tokio::test]
async fn who_was_fenced_in_one_store_ends() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    world.servers.get(REMOTE).shelf.store.begin_epoch("owner").await.unwrap();
    rename(&world, "bob", "Bob");
    life.run().await;
    let why = life.context.fenced_by().expect("it is to end");
    assert!(why.contains("epoch 1 was taken over by epoch 2") && why.contains(world.servers.get(REMOTE).shelf.store.id()), "{why}");
}

#[tokio::test]
async fn a_row_in_a_server_whose_object_vanished_is_quarantined_there() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let key = Key::from(object(&world, "Operator", "bob").unwrap()["metadata"]["uid"].as_str().unwrap());
    world.memory.patch("Operator", "ns", "bob", json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("Operator", "ns", "bob");
    // The finalizer comes back with the next pass: only who vanishes before it is lost.
    life.run().await;
    let store = &world.servers.get(REMOTE).shelf.store;
    let Answer::Present(row) = store.lookup(&key).await.unwrap() else { panic!("it has no row") };
    assert!(row.quarantined);
    assert_eq!(life.context.connections.quarantined(), 1);
    drop(life);

    // While nobody watched: the first sweep of a new life finds it, and only it.
    let widget = Key::from(object(&world, "Widget", "beta-default-widget").unwrap()["metadata"]["uid"].as_str().unwrap());
    world.memory.patch("Widget", "ns", "beta-default-widget", json!([{"op": "remove", "path": "/metadata/finalizers"}]));
    world.memory.delete("Widget", "ns", "beta-default-widget");
    let mut second = world.live(Script::default()).await;
    second.run().await;
    let Answer::Present(row) = store.lookup(&widget).await.unwrap() else { panic!("it has no row") };
    assert!(row.quarantined);
    assert_eq!(second.context.connections.quarantined(), 2);
}

#[tokio::test]
async fn each_store_is_swept_by_itself() {
    let world = World::with_remote().await;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    let remote = life.context.connections.get(world.servers.get(REMOTE).shelf.store.id()).expect("a connection");
    let own = life.context.connections.get(life.store.id()).expect("a connection");
    assert!(sweep::due(&life.context).is_empty(), "both were just read");
    let asked = world.servers.get(REMOTE).asked;
    *own.last_sweep.lock().await = None;
    let due = sweep::due(&life.context);
    assert!(due.len() == 1 && Arc::ptr_eq(&due[0], &own));
    sweep::resync(&life.context, own.clone()).await;
    assert_eq!(world.servers.get(REMOTE).asked, asked);
    assert!(sweep::due(&life.context).is_empty());

    *remote.last_sweep.lock().await = None;
    let under_way = remote.last_sweep.lock().await;
    assert!(sweep::due(&life.context).is_empty(), "one that is under way is not begun again");
    drop(under_way);
    world.servers.change(REMOTE, |server| server.fault = Some(BackendError::Transient("connection refused".to_owned())));
    let due = sweep::due(&life.context);
    assert!(due.len() == 1 && Arc::ptr_eq(&due[0], &remote));
    sweep::resync(&life.context, remote).await;
    life.run().await;
    assert_eq!(reason(&world, "AccountBackend", "remote"), "BackendUnreachable");
    all_are(&world, &OF_EMBEDDED, "Synced");
}

#[tokio::test]
async fn a_controller_without_a_store_of_its_own_serves_servers_and_says_what_it_lacks() {
    let world = World::with_remote().await;
    let mut life = world.live_without_store().await;
    life.run().await;
    all_are(&world, &OF_REMOTE, "Synced");
    let (reason, message) = ready(&world, "AccountBackend", "embedded").unwrap();
    assert_eq!(reason, "Unsupported");
    assert!(message.contains("--database sqlite://PATH") && message.contains("spec.server"), "{message}");
    let (reason, message) = ready(&world, "Account", "acme").unwrap();
    assert!(reason == "Unsupported" && message.contains("--database"), "{message}");
}

#[tokio::test]
async fn a_server_needs_an_owner_id_and_the_controllers_own_store_does_not() {
    let mut world = World::with_remote().await;
    world.owner_id = None;
    let mut life = world.live(Script::default()).await;
    life.run().await;
    all_are(&world, &OF_EMBEDDED, "Synced");
    let (reason, message) = ready(&world, "AccountBackend", "remote").unwrap();
    assert_eq!(reason, "Unsupported");
    assert!(message.contains("--owner-id") && message.contains("DESKPLANE_OWNER_ID"), "{message}");
    assert_eq!(world.servers.get(REMOTE).connected, 0);
}
