//! All connections of this process: one for each store, and how the `AccountBackend` objects lead to them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};

use secrecy::ExposeSecret;
use tokio::sync::Notify;

use crate::backend::server::{Server, ServerOptions};
use crate::backend::{Backend, BackendError, Result, Wake};
use crate::domain::rows::{Key, Row};

use super::connection::{Connection, Way};

/// How a server is reached.
pub trait Connect: Send + Sync + 'static {
    /// A backend for it. Without asking it anything.
    fn connect(&self, options: ServerOptions) -> Result<Arc<dyn Backend>>;
}

/// The account servers of this program.
pub struct Servers;

impl Connect for Servers {
    fn connect(&self, options: ServerOptions) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Server::new(options)?))
    }
}

/// What an `AccountBackend` object says of its server, the backend made from it, and how that went.
struct Access {
    options: ServerOptions,
    backend: Arc<dyn Backend>,
    /// Version of the Secret that the token is from.
    version: String,
    /// The server refuses this token.
    refused: bool,
}

/// All connections of this process.
pub struct Connections {
    embedded: Option<Arc<dyn Backend>>,
    servers: Box<dyn Connect>,
    accesses: Mutex<HashMap<String, Access>>,
    by_store: Mutex<BTreeMap<String, Arc<Connection>>>,
    /// Accounts and organizations that were let go without a word to their store.
    untold: Mutex<HashSet<Key>>,
    changed: Notify,
}

impl Connections {
    /// No connection yet. `embedded` is the store inside this process, if it has one.
    pub fn new(embedded: Option<Arc<dyn Backend>>, servers: Box<dyn Connect>) -> Self {
        Self { embedded, servers, accesses: Mutex::default(), by_store: Mutex::default(), untold: Mutex::default(), changed: Notify::new() }
    }

    /// The way to the store inside this process, if it has one.
    pub fn embedded(&self) -> Option<Way> {
        self.embedded.clone().map(Way::Embedded)
    }

    /// The way of an `AccountBackend` to its server. `version` is that of the Secret. [`BackendError::CredentialsInvalid`]: the server has
    /// refused this very Secret, and is not asked again.
    pub fn server(&self, name: &str, options: ServerOptions, version: &str) -> Result<Way> {
        let mut accesses = lock(&self.accesses);
        if let Some(access) = accesses.get_mut(name).filter(|access| same(&access.options, &options)) {
            let same_secret = access.version == version;
            version.clone_into(&mut access.version);
            match (access.refused, same_secret) {
                (false, _) => return Ok(Way::Server(name.to_owned(), access.backend.clone())),
                (true, true) => return Err(BackendError::CredentialsInvalid),
                // Somebody wants it tried again; but a backend that was refused once asks no more.
                (true, false) => {}
            }
        }
        let backend = self.servers.connect(options.clone())?;
        let access = Access { options, backend: backend.clone(), version: version.to_owned(), refused: false };
        accesses.insert(name.to_owned(), access);
        Ok(Way::Server(name.to_owned(), backend))
    }

    /// The server refuses the token that this backend comes with: it is not asked again until the Secret changes. Returns the names of the
    /// `AccountBackend` objects whose way that is.
    pub fn refuse(&self, failing: &Arc<dyn Backend>) -> Vec<String> {
        let mut accesses = lock(&self.accesses);
        let failing = accesses.iter_mut().filter(|(_, access)| Arc::ptr_eq(&access.backend, failing));
        let names = failing.map(|(name, access)| {
            access.refused = true;
            name.clone()
        });
        names.collect()
    }

    /// The connection to a store, if there is one.
    pub fn get(&self, store_id: &str) -> Option<Arc<Connection>> {
        lock(&self.by_store).get(store_id).cloned()
    }

    /// The connection to a store: made, if there is none.
    pub fn at(&self, store_id: &str) -> Arc<Connection> {
        let mut all = lock(&self.by_store);
        all.entry(store_id.to_owned()).or_insert_with(|| Arc::new(Connection::new(store_id.to_owned()))).clone()
    }

    /// A connection in the place of the one there was: what was known of the store holds no more.
    pub fn renew(&self, store_id: &str) -> Arc<Connection> {
        lock(&self.by_store).remove(store_id);
        self.at(store_id)
    }

    /// Takes the way of an `AccountBackend` into use. It leads nowhere else from here on.
    pub fn lead(&self, name: &str, connection: &Arc<Connection>, way: &Way) {
        self.join(connection, way);
        match way {
            Way::Embedded(_) => self.forget(name),
            Way::Server(..) => self.all().iter().filter(|other| !Arc::ptr_eq(other, connection)).for_each(|other| other.leave(name)),
        }
    }

    /// Takes a way into use, whoever's it is.
    pub fn join(&self, connection: &Connection, way: &Way) {
        connection.join(way.clone());
        self.changed.notify_one();
    }

    /// An `AccountBackend` leads to no store any more.
    pub fn leave(&self, name: &str) {
        for connection in self.all() {
            connection.leave(name);
        }
    }

    /// An `AccountBackend` has no server any more: forgets its token too.
    pub fn forget(&self, name: &str) {
        self.leave(name);
        lock(&self.accesses).remove(name);
    }

    /// All connections: a handful.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        lock(&self.by_store).values().cloned().collect()
    }

    /// The connections whose store was last seen to have a row or a ticket of this key.
    pub fn holding(&self, key: &Key) -> Vec<Arc<Connection>> {
        let holds = |connection: &Arc<Connection>| {
            let observed = connection.observed();
            observed.row(key).is_some() || observed.ticket(key).is_some()
        };
        self.all().into_iter().filter(holds).collect()
    }

    /// Remembers that an account or organization was let go, and its store could not be told.
    pub fn goes_untold(&self, key: &Key) {
        lock(&self.untold).insert(key.clone());
    }

    /// Its store was told, or there is nothing to tell any more.
    pub fn is_told(&self, key: &Key) {
        lock(&self.untold).remove(key);
    }

    /// The account or organization whose release, still to be told, takes this row of a store along: itself, or one above it.
    pub fn goes_with(&self, connection: &Connection, row: &Row) -> Option<Key> {
        let line = connection.observed().line_of(row);
        let untold = lock(&self.untold);
        line.into_iter().find(|key| untold.contains(key))
    }

    /// How many rows are quarantined, over all stores.
    pub fn quarantined(&self) -> usize {
        self.all().iter().map(|connection| connection.observed().quarantined()).sum()
    }

    /// The next wake, whichever store it comes from; `None`: the way to that store fell silent.
    pub async fn next_wake(&self) -> (Arc<Connection>, Option<Wake>) {
        loop {
            tokio::select! {
                woken = poll_fn(|task| self.poll_wakes(task)) => return woken,
                () = self.changed.notified() => {}
            }
        }
    }

    fn poll_wakes(&self, task: &mut Task<'_>) -> Poll<(Arc<Connection>, Option<Wake>)> {
        for connection in self.all() {
            if let Poll::Ready(wake) = connection.poll_wakes(task) {
                return Poll::Ready((connection, wake));
            }
        }
        Poll::Pending
    }

    /// A wake, if there is one.
    #[cfg(test)]
    pub fn try_wake(&self) -> Option<(Arc<Connection>, Option<Wake>)> {
        match self.poll_wakes(&mut Task::from_waker(std::task::Waker::noop())) {
            Poll::Ready(woken) => Some(woken),
            Poll::Pending => None,
        }
    }
}

/// Whether a backend that was made from the one is as good for the other.
fn same(one: &ServerOptions, other: &ServerOptions) -> bool {
    let ServerOptions { url, ca_bundle, token, owner, rate_limit } = one;
    *url == other.url
        && *ca_bundle == other.ca_bundle
        && token.expose_secret() == other.token.expose_secret()
        && *owner == other.owner
        && *rate_limit == other.rate_limit
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
