//! Account servers by URL: each stands before a store, takes one token, and can be down.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::backend::embedded::Embedded;
use crate::backend::server::ServerOptions;
use crate::backend::{
    Backend, BackendError, Capabilities, CredentialOutcome, Cursor, Erasing, Identity, OperatorPut, Page, Released, Result, Session, Wake,
};
use crate::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach, Row,
};
use crate::store::Store;

use super::super::connections::Connect;
use super::super::secrets::Known;
use super::script::Script;
use super::{Life, World};

/// Where the server of [`World::with_remote`] is.
pub const REMOTE: &str = "https://remote.example";

impl World {
    /// The same, and a second account on a server, with a store of its own.
    pub async fn with_remote() -> Self {
        let world = Self::new();
        let shelf = Shelf::at(&world.folder.path().join("remote.db")).await;
        world.servers.add(REMOTE, &shelf, "good");
        world.secret("remote", "1", Some("good"));
        world.remote("remote", REMOTE);
        world.memory.create(
            "Account",
            "ns",
            "beta",
            &json!({"backendRef": {"name": "remote"}, "planRef": {"name": "small"},
            "owner": {"email": "bea@beta.example"}, "defaultOrganization": {"firstOperatorRef": {"name": "bea"}}, "deletionProtection": true}),
        );
        for name in ["bea", "bob"] {
            let operator = json!({"organizationRef": {"name": "beta-default"}, "email": format!("{name}@beta.example"),
                "credentials": {"mode": "None"}});
            world.memory.create("Operator", "ns", name, &operator);
        }
        world
    }

    /// An `AccountBackend` on a server, with the Secret of its own name.
    pub fn remote(&self, name: &str, url: &str) {
        let server = json!({"url": url, "credentialsSecretRef": {"name": name}});
        self.memory.create("AccountBackend", "", name, &json!({"controllerName": "c", "server": server, "resyncInterval": "10m"}));
    }

    /// A Secret in the controller's namespace, for controllers that start from now on.
    pub fn secret(&self, name: &str, version: &str, token: Option<&str>) -> Known {
        let known = Known::Present { version: version.to_owned(), token: token.map(SecretString::from) };
        self.secrets.lock().expect("no panic").insert(name.to_owned(), known.clone());
        known
    }

    /// A controller without a store of its own; `Life::store` is one that nobody uses.
    pub async fn live_without_store(&self) -> Life {
        let script = Arc::new(Script::default());
        let store = Arc::new(Store::open(&self.folder.path().join("unused.db")).await.expect("the store opens"));
        let context = self.context(None, &script);
        Life { context, script, store, memory: self.memory.clone() }
    }
}

/// A store behind servers.
pub struct Shelf {
    pub store: Arc<Store>,
}

impl Shelf {
    /// The store in this file.
    pub async fn at(path: &Path) -> Arc<Self> {
        Arc::new(Self { store: Arc::new(Store::open(path).await.expect("the store opens")) })
    }
}

/// One server.
#[derive(Clone)]
pub struct Server {
    pub shelf: Arc<Shelf>,
    /// The token it takes.
    pub token: String,
    /// What it answers instead, if that is not its answer.
    pub fault: Option<BackendError>,
    /// Requests so far.
    pub asked: usize,
    /// How many backends were made for it.
    pub connected: usize,
}

/// The servers, by URL.
#[derive(Clone, Default)]
pub struct Servers(Arc<Mutex<BTreeMap<String, Server>>>);

impl Servers {
    /// A new server before a store.
    pub fn add(&self, url: &str, behind: &Arc<Shelf>, token: &str) {
        let server = Server { shelf: behind.clone(), token: token.to_owned(), fault: None, asked: 0, connected: 0 };
        lock(&self.0).insert(url.to_owned(), server);
    }

    /// Changes a server.
    pub fn change(&self, url: &str, change: impl FnOnce(&mut Server)) {
        change(lock(&self.0).get_mut(url).expect("a server"));
    }

    /// The server of a URL.
    pub fn get(&self, url: &str) -> Server {
        lock(&self.0)[url].clone()
    }
}

impl Connect for Servers {
    fn connect(&self, options: ServerOptions) -> Result<Arc<dyn Backend>> {
        if let Some(server) = lock(&self.0).get_mut(&options.url) {
            server.connected += 1;
        }
        let ServerOptions { url, token, owner, .. } = options;
        Ok(Arc::new(Client { servers: self.clone(), url, token, owner, refused: AtomicBool::new(false) }))
    }
}

/// A client of one server. Like the real one it asks no more once its token was refused.
struct Client {
    servers: Servers,
    url: String,
    token: SecretString,
    owner: String,
    refused: AtomicBool,
}

impl Client {
    fn ask(&self) -> Result<Embedded> {
        let answer = if self.refused.load(Ordering::Relaxed) { Err(BackendError::CredentialsInvalid) } else { self.answer() };
        self.refused.store(matches!(answer, Err(BackendError::CredentialsInvalid)), Ordering::Relaxed);
        answer
    }

    fn answer(&self) -> Result<Embedded> {
        let mut servers = lock(&self.servers.0);
        let Some(server) = servers.get_mut(&self.url) else { return Err(BackendError::Transient("no such host".to_owned())) };
        server.asked += 1;
        match &server.fault {
            Some(fault) => Err(fault.clone()),
            None if self.token.expose_secret() != server.token => Err(BackendError::CredentialsInvalid),
            None => Ok(Embedded::new(server.shelf.store.clone(), &self.owner)),
        }
    }
}

macro_rules! passed_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {
        #[async_trait]
        impl Backend for Client {
            fn capabilities(&self) -> Capabilities {
                Embedded::new(self.servers.get(&self.url).shelf.store.clone(), &self.owner).capabilities()
            }
            fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
                Some(self.servers.get(&self.url).shelf.store.take_wakes(&self.owner))
            }
            $(async fn $name(&self, $($argument: $type),*) -> Result<$output> {
                self.ask()?.$name($($argument),*).await
            })+
        }
    };
}

passed_on! {
    identify() -> Identity;
    begin_epoch() -> Session;
    accounts(after: Option<Cursor>) -> (Vec<Row>, Option<Cursor>);
    page(account: &Key, after: Option<Cursor>) -> Page;
    lookup(key: &Key) -> Answer;
    usage(account: &Key) -> AccountUsage;
    reach(organization: &Key) -> Reach;
    put_account(session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Row;
    put_organization(session: &Session, tag: &OwnerTag, account: &Key, desired: &DesiredOrganization, first: Option<OperatorPut<'_>>) -> (Row, Option<Row>);
    put_operator(session: &Session, organization: &Key, put: OperatorPut<'_>) -> Row;
    settle_credentials(session: &Session, operator: &Key, outcome: CredentialOutcome) -> Row;
    put_department(session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Row;
    put_widget(session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Row;
    starter_made(session: &Session, organization: &Key) -> Row;
    delete(session: &Session, key: &Key) -> ();
    erase(session: &Session, key: &Key) -> Erasing;
    release(session: &Session, key: &Key) -> Released;
    quarantine(session: &Session, key: &Key) -> ();
    drop_ticket(session: &Session, key: &Key) -> ();
    pause_ticket(session: &Session, key: &Key, paused: bool) -> ();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
