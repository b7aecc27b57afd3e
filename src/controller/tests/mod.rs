//! The runner over an API server in memory and a real store, with a fault at every single write of a run.
//!
//! The oracle is the run without faults: the same objects with the same conditions, exactly one row for each, no finding of
//! `store check`, and nothing more to write.

mod backends;
mod counting;
mod emails;
mod erasing;
mod faulty;
mod lease;
mod limits;
mod listing;
mod locating;
mod memory;
mod script;
mod secrets;
mod servers;
mod shared;
mod unreadable;
mod untold;
mod wrong_store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kube::runtime::events::{Recorder, Reporter};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::api::{Account, AccountBackend, Department, Operator, Organization, Plan, Widget};
use crate::backend::Backend;
use crate::backend::embedded::Embedded;
use crate::domain::rows::{Answer, Key};
use crate::store::Store;

use super::cache::Cached;
use super::connections::Connections;
use super::context::{Context, Scope};
use super::guard::Guard;
use super::metrics::Metrics;
use super::object::ObjectName;
use super::runner::{Failures, turn};
use super::secrets::Known;
use super::{mapping, run, usage, watch};

use faulty::Faulty;
use memory::Memory;
use script::{Fault, Script};
use servers::{REMOTE, Servers};

/// Far more passes than any run here needs to come to rest, or to nothing but retries that write nothing.
const MANY: usize = 1_000;

/// A cluster, a database and servers that outlive the controllers on them.
struct World {
    memory: Arc<Memory>,
    folder: tempfile::TempDir,
    servers: Servers,
    /// Secrets in the controller's namespace, as its watches see them; others do not exist.
    secrets: Mutex<BTreeMap<String, Known>>,
    /// `--owner-id`.
    owner_id: Option<String>,
}

/// A controller on them, driven pass by pass.
struct Life {
    context: Context,
    script: Arc<Script>,
    store: Arc<Store>,
    memory: Arc<Memory>,
}

impl World {
    /// An account with its default organization, its starter kit, one more operator with credentials, and one who waits.
    fn new() -> Self {
        let memory = Arc::new(Memory::default());
        memory.create("AccountBackend", "", "embedded", &json!({"controllerName": "c", "embedded": {}, "resyncInterval": "10m"}));
        memory.create("Plan", "", "small", &json!({"limits": {"seats": 2}}));
        memory.create(
            "Account",
            "ns",
            "acme",
            &json!({"backendRef": {"name": "embedded"}, "planRef": {"name": "small"},
            "owner": {"email": "ada@acme.example"}, "deletionProtection": true}),
        );
        for name in ["tina", "tom"] {
            let email = format!("{name}@acme.example");
            memory.create("Operator", "ns", name, &json!({"organizationRef": {"name": "acme-default"}, "email": email}));
        }
        // In memory, where there is such a folder: a thousand stores are made here, and none has to survive a crash of the machine.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self {
            memory,
            folder: folder.expect("a folder"),
            servers: Servers::default(),
            secrets: Mutex::default(),
            owner_id: Some("owner".to_owned()),
        }
    }

    /// Confirms and deletes the account.
    fn delete_account(&self) {
        let confirm = json!([{"op": "add", "path": "/metadata/annotations", "value": {"deskplane.dev/confirm-deletion": "acme"}}]);
        self.memory.patch("Account", "ns", "acme", confirm);
        self.memory.delete("Account", "ns", "acme");
    }

    async fn live(&self, script: Script) -> Life {
        self.live_on("store.db", script).await
    }

    /// A controller whose own store is in this file.
    async fn live_on(&self, database: &str, script: Script) -> Life {
        let script = Arc::new(script);
        let store = Arc::new(Store::open(&self.folder.path().join(database)).await.expect("the store opens"));
        let inner = Embedded::new(store.clone(), "owner");
        let context = self.context(Some(Arc::new(Faulty { inner, script: script.clone() })), &script);
        Life { context, script, store, memory: self.memory.clone() }
    }

    fn context(&self, embedded: Option<Arc<dyn Backend>>, script: &Arc<Script>) -> Context {
        let client = self.memory.client(script);
        let recorder = Recorder::new(client.clone(), Reporter { controller: "c".to_owned(), instance: None });
        let scope = Scope {
            controller_name: "c".to_owned(),
            namespaces: Vec::new(),
            owner_id: self.owner_id.clone(),
            secret_namespace: "controllers".to_owned(),
        };
        let connections = Connections::new(embedded, Box::new(self.servers.clone()));
        let context = Context::new(client, scope, connections, recorder, Metrics::default(), CancellationToken::new());
        for (name, known) in self.secrets.lock().expect("no panic").iter() {
            super::secrets::learn(&context, name, known.clone());
        }
        self.memory.take_changes();
        self.retell(&context);
        context
    }

    /// Hands all objects to a controller, as they are now.
    fn retell(&self, context: &Context) {
        for object in self.memory.objects() {
            deliver(context, object, true);
        }
    }

    /// Lives until it is at rest; after a death, a second life goes on. Returns the last one.
    async fn run(&self, script: Script) -> Life {
        let mut life = self.live(script).await;
        life.run().await;
        if life.script.dead() {
            drop(life);
            life = self.live(Script::default()).await;
            life.run().await;
        }
        life
    }
}

impl Life {
    async fn run(&mut self) {
        let failures = Failures::default();
        let mut writes = Vec::new();
        for pass in 0..2 * MANY {
            if pass == MANY {
                writes = self.script.writes();
            }
            for (object, exists) in self.memory.take_changes() {
                deliver(&self.context, object, exists);
            }
            while let Some((connection, wake)) = self.context.connections.try_wake() {
                run::follow(&self.context, &connection, wake);
            }
            if self.script.dead() {
                return;
            }
            if let Some(name) = self.context.queue.try_next() {
                turn(&self.context, &failures, name).await;
                continue;
            }
            let marked = self.context.marks.take_all();
            if marked.is_empty() {
                return;
            }
            for name in marked {
                usage::report(&self.context, name).await;
            }
        }
        assert_eq!(self.script.writes().len(), writes.len(), "not at rest");
    }

    /// Objects by name, with what must not depend on when faults came: conditions without times, ids as "there is one".
    fn state(&self) -> BTreeMap<String, Value> {
        let summary = |object: &Value| {
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let conditions: Vec<_> = conditions.iter().map(|one| json!([one["type"], one["status"], one["reason"]])).collect();
            let status = &object["status"];
            json!({"conditions": conditions, "row": status["externalId"].is_string(), "seats": status["seatSummary"],
                "seat": status["seat"], "members": status["members"], "finalizers": object["metadata"]["finalizers"]})
        };
        let mut state: BTreeMap<_, _> = self
            .memory
            .objects()
            .iter()
            .map(|object| (format!("{} {}", object["kind"], object["metadata"]["name"]), summary(object)))
            .collect();
        // A fault may decide who of the two comes first, but not that one holds the seat and the other waits.
        let mut rivals: Vec<_> = ["tina", "tom"].into_iter().filter_map(|name| state.remove(&format!("\"Operator\" \"{name}\""))).collect();
        rivals.sort_by_key(Value::to_string);
        if !rivals.is_empty() {
            state.insert("rivals".to_owned(), Value::Array(rivals));
        }
        state
    }

    async fn one_row_for_each(&self) {
        for object in self.memory.objects() {
            if object["status"]["externalId"].is_string() {
                let key = Key::from(object["metadata"]["uid"].as_str().expect("a UID"));
                let answer = self.store.lookup(&key).await.expect("an answer");
                let Answer::Present(row) = answer else { panic!("{} has no row: {answer:?}", object["metadata"]["name"]) };
                assert_eq!(object["status"]["externalId"], row.external_id, "{}", object["metadata"]["name"]);
            }
        }
        let findings = self.store.reader().check().await.expect("the check runs");
        assert!(findings.is_empty(), "{findings:?}");
        let orphans = self.store.reader().orphans().await.expect("the list of orphans");
        assert!(orphans.is_empty(), "{orphans:?}");
    }
}

/// Hands an object to the controller as a watch would.
fn deliver(context: &Context, object: Value, exists: bool) {
    match object["kind"].as_str() {
        Some("AccountBackend") => absorb::<AccountBackend>(context, object, exists),
        Some("Plan") => absorb::<Plan>(context, object, exists),
        Some("Account") => absorb::<Account>(context, object, exists),
        Some("Organization") => absorb::<Organization>(context, object, exists),
        Some("Operator") => absorb::<Operator>(context, object, exists),
        Some("Department") => absorb::<Department>(context, object, exists),
        Some("Widget") => absorb::<Widget>(context, object, exists),
        _ => {}
    }
}

fn absorb<K: Cached>(context: &Context, object: Value, exists: bool) {
    let entry = watch::entry(serde_json::from_value::<Guard<K>>(object).expect("an object"));
    let name: ObjectName = entry.object_name();
    if exists { mapping::absorb(context, &entry) } else { mapping::gone::<K>(context, &name, &entry.key()) }
}

/// An object as it is now.
fn object(world: &World, kind: &str, name: &str) -> Option<Value> {
    world.memory.objects().into_iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

/// Reason and message of an object's `Ready`; `None`: the object is gone.
fn ready(world: &World, kind: &str, name: &str) -> Option<(String, String)> {
    let object = object(world, kind, name)?;
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
    let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
    Some((text("reason"), text("message")))
}

fn reason(world: &World, kind: &str, name: &str) -> String {
    ready(world, kind, name).unwrap_or_else(|| panic!("{kind} {name} is gone")).0
}

/// Every fault at every write of the reference run.
async fn each_fault(start: impl AsyncFn() -> World, check: impl AsyncFn(&Life, &str)) {
    let reference = start().await.run(Script::default()).await;
    let writes = reference.script.writes();
    let expected = reference.state();
    drop(reference);
    for (number, write) in writes.iter().enumerate() {
        for fault in [Fault::DieBefore, Fault::DieAfter, Fault::LoseReply, Fault::Refuse(409), Fault::Refuse(429), Fault::Refuse(500)] {
            let what = format!("{fault:?} at write {number}, {write}");
            let world = start().await;
            let life = world.run(Script::with(number, fault)).await;
            assert_eq!(life.state(), expected, "{what}");
            check(&life, &what).await;
        }
    }
}

#[tokio::test]
async fn whatever_fails_at_whichever_write_everything_is_made_exactly_once() {
    each_fault(async || World::new(), async |life, _| life.one_row_for_each().await).await;
}

#[tokio::test]
async fn whatever_fails_at_whichever_write_a_confirmed_account_is_erased_completely() {
    let start = async || {
        let world = World::new();
        drop(world.run(Script::default()).await);
        world.delete_account();
        world
    };
    each_fault(start, async |life, what| {
        let left: Vec<_> = life.state().into_keys().collect();
        assert_eq!(left, ["\"AccountBackend\" \"embedded\"", "\"Plan\" \"small\""], "{what}");
        let (rows, next) = life.store.accounts("owner", None).await.expect("a listing");
        assert!(rows.is_empty() && next.is_none(), "{what}");
    })
    .await;
}

/// The passwords in the Secrets are those whose hashes the store has.
async fn passwords_open(world: &World, what: &str) {
    let options = SqliteConnectOptions::new().filename(world.folder.path().join("store.db"));
    let mut store = options.connect().await.expect("open the store");
    for secret in world.memory.secrets() {
        let name = secret["metadata"]["name"].as_str().expect("a name");
        let sql = "SELECT hash FROM credentials WHERE secret_name = $1 AND state = 'active'";
        let hash: String = sqlx::query_scalar(sql).bind(name.to_owned()).fetch_one(&mut store).await.expect("active credentials");
        let parts: Vec<_> = hash.split('$').collect();
        let salt: Vec<_> = (0..parts[1].len()).step_by(2).filter_map(|at| u8::from_str_radix(&parts[1][at..at + 2], 16).ok()).collect();
        let password = secret["stringData"]["password"].as_str().expect("a password");
        let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
        assert_eq!(format!("{digest:x}"), parts[2], "{what}: {name}");
    }
}

#[tokio::test]
async fn whatever_two_faults_come_together_the_password_in_a_secret_is_the_one_in_the_store() {
    let reference = World::new().run(Script::default()).await;
    let posts = reference.script.writes().into_iter().enumerate().filter(|(_, write)| write.ends_with("/secrets"));
    let posts: Vec<_> = posts.map(|(number, _)| number).collect();
    drop(reference);
    assert!(posts.len() > 1, "{posts:?}");
    let faults = [Fault::DieBefore, Fault::DieAfter, Fault::LoseReply, Fault::Refuse(500)];
    for (at, first) in posts.into_iter().flat_map(|at| faults.map(|fault| (at, fault))) {
        for (later, second) in (0..8).flat_map(|later| faults.map(|fault| (later, fault))) {
            let world = World::new();
            let mut life = world.live(Script::with_two((at, first), (at + 1 + later, second))).await;
            life.run().await;
            if life.script.dead() {
                drop(life);
                life = world.run(Script::with(later, second)).await;
            }
            drop(life);
            passwords_open(&world, &format!("{first:?} at write {at}, {second:?} {later} writes later")).await;
        }
    }
}

#[tokio::test]
async fn a_new_life_on_what_has_converged_writes_nothing() {
    let world = World::new();
    drop(world.run(Script::default()).await);
    let mut second = world.live(Script::default()).await;
    second.run().await;
    assert_eq!(second.script.writes(), Vec::<String>::new());
}
