//! What every pass shares: the client, the cache, the queue, the connections.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::events::Recorder;
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::api::AccountBackend;
use crate::api::condition::Reason;
use crate::backend::{Backend, BackendError, Session};
use crate::domain::rows::Key;

use super::cache::{Cache, Cached, Entry};
use super::connection::{Call, Connection};
use super::failure::{Failure, Stop};
use super::mapping;
use super::metrics::Metrics;
use super::object::{Kind, Managed, Meta, ObjectName};
use super::queue::Queue;
use super::usage::Marks;
use super::{report, watch};

/// How long one call to the backend may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How the controller was started.
#[derive(Clone, Debug)]
pub struct Scope {
    /// `AccountBackend` objects of this controller name are ours.
    pub controller_name: String,
    /// The namespaces to look at; empty: all.
    pub namespaces: Vec<String>,
}

impl Scope {
    /// Whether objects of this namespace are seen.
    pub fn includes(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|one| one == namespace)
    }
}

/// What is known of an `AccountBackend` object's backend.
#[derive(Clone)]
pub enum BackendState {
    /// It is the one we know, and open.
    Verified(Arc<Connection>),
    /// It cannot be used, for this reason.
    Refused(Failure),
}

/// What every pass shares.
pub struct Context {
    /// For calls, each under a deadline.
    pub client: Client,
    /// How the controller was started.
    pub scope: Scope,
    /// The work.
    pub queue: Queue,
    /// The embedded store's connection.
    pub embedded: Arc<Connection>,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Counts.
    pub metrics: Metrics,
    /// Accounts whose usage changed.
    pub marks: Marks,
    /// Ends the program.
    pub stop: CancellationToken,
    cache: Mutex<Cache>,
    backends: Mutex<HashMap<String, BackendState>>,
    vanished: Mutex<HashMap<ObjectName, Vec<Key>>>,
    withdrawn: Mutex<HashSet<ObjectName>>,
    fenced: Mutex<Option<String>>,
}

impl Context {
    /// A context with an empty cache.
    pub fn new(
        client: Client,
        scope: Scope,
        embedded: Arc<Connection>,
        recorder: Recorder,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            scope,
            queue: Queue::default(),
            embedded,
            recorder,
            metrics,
            marks: Marks::default(),
            stop,
            cache: Mutex::default(),
            backends: Mutex::default(),
            vanished: Mutex::default(),
            withdrawn: Mutex::default(),
            fenced: Mutex::default(),
        }
    }

    /// The copy of the cluster. Never held across an await.
    pub fn cache(&self) -> MutexGuard<'_, Cache> {
        lock(&self.cache)
    }

    /// An API for the objects of a kind in a namespace; empty for cluster-scoped kinds.
    pub fn api<K: Managed>(&self, namespace: &str) -> Api<K> {
        K::api(self.client.clone(), namespace)
    }

    /// Remembers an object as a change of ours returned it, so that the next pass sees it before the watch does; unless the watch has
    /// seen its end already.
    pub fn returned<K: Cached>(&self, object: K) -> Arc<K> {
        let is_known = self.cache().name_of_key(&object.key()).is_some();
        if is_known { self.made(object) } else { Arc::new(object) }
    }

    /// Remembers an object that we made.
    pub fn made<K: Cached>(&self, mut object: K) -> Arc<K> {
        // As the watch brings it: otherwise what nobody reads would look like a change.
        watch::slim(&mut object);
        let object = Arc::new(object);
        mapping::absorb(self, &Entry::Good(object.clone()));
        object
    }

    /// What is known of a backend.
    pub fn backend_state(&self, name: &str) -> Option<BackendState> {
        lock(&self.backends).get(name).cloned()
    }

    /// Remembers what is known of a backend; everything that stands on it is looked at again when that changed.
    pub fn set_backend_state(&self, name: &str, state: Option<BackendState>) {
        let mut backends = lock(&self.backends);
        let before = backends.get(name);
        let same = match (before, &state) {
            (Some(BackendState::Verified(_)), Some(BackendState::Verified(_))) | (None, None) => true,
            (Some(BackendState::Refused(old)), Some(BackendState::Refused(new))) => old.reason == new.reason && old.message == new.message,
            _ => false,
        };
        match state {
            Some(state) => backends.insert(name.to_owned(), state),
            None => backends.remove(name),
        };
        drop(backends);
        if !same {
            let name = ObjectName::cluster(Kind::AccountBackend, name);
            self.queue.resume(&name);
            let descendants = self.cache().descendants(&name);
            self.queue.push_all(descendants);
        }
    }

    /// Remembers that an object vanished: if it leaves a row behind, that is quarantined by the next pass over its name.
    pub fn vanished(&self, name: ObjectName, key: Key) {
        lock(&self.vanished).entry(name.clone()).or_default().push(key);
        self.queue.push(name);
    }

    /// The same, but for the push: the pass that could not finish comes back by itself.
    pub fn still_vanished(&self, name: &ObjectName, keys: Vec<Key>) {
        lock(&self.vanished).entry(name.clone()).or_default().extend(keys);
    }

    /// The keys of vanished objects of that name.
    pub fn take_vanished(&self, name: &ObjectName) -> Vec<Key> {
        lock(&self.vanished).remove(name).unwrap_or_default()
    }

    /// Remembers that the acceptance of a store was taken back: it may be given anew before the next pass.
    pub fn acceptance_withdrawn(&self, backend: ObjectName) {
        lock(&self.withdrawn).insert(backend);
    }

    /// Whether that happened since the last call.
    pub fn take_withdrawn(&self, backend: &ObjectName) -> bool {
        lock(&self.withdrawn).remove(backend)
    }

    /// Asks for passes over the direct dependents of one kind.
    pub fn wake_dependents(&self, parent: &ObjectName, kind: Kind) {
        let names: Vec<_> = self.cache().dependents(parent, kind).cloned().collect();
        self.queue.push_all(names);
    }

    /// Writes to a backend: under a deadline, after our epoch was recorded, and with the account marked for a new count.
    pub async fn write<T>(
        &self,
        connection: &Connection,
        account: &ObjectName,
        operation: impl AsyncFnOnce(&dyn Backend, &Session) -> Result<T, BackendError>,
    ) -> Result<T, Stop> {
        let not_open = || Failure::new(Reason::BackendUnreachable, "The backend has not been reached yet.").with_backoff();
        let session = connection.session().ok_or_else(not_open)?;
        connection.before_first_write(|| self.record_epoch(session)).await?;
        let lost = || Err(BackendError::OutcomeUnknown(format!("no answer within {} s", CALL_DEADLINE.as_secs())));
        let result = tokio::time::timeout(CALL_DEADLINE, operation(connection.backend.as_ref(), session)).await.unwrap_or_else(|_| lost());
        self.marks.mark(account.clone());
        self.hear(connection, Call::Write, &result);
        if let Err(error) = &result {
            self.metrics.backend_error(error);
            if let BackendError::Fenced { current } = error {
                self.fenced(format!("epoch {} was taken over by epoch {current}", session.epoch));
            }
        }
        Ok(result?)
    }

    /// Reads from a backend, under a deadline.
    pub async fn read<T>(
        &self,
        connection: &Connection,
        question: impl AsyncFnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, Stop> {
        let late = || Err(BackendError::Transient(format!("no answer within {} s", CALL_DEADLINE.as_secs())));
        let result = tokio::time::timeout(CALL_DEADLINE, question(connection.backend.as_ref())).await.unwrap_or_else(|_| late());
        self.hear(connection, Call::Read, &result);
        Ok(result?)
    }

    /// Takes note of how a call ended. The `AccountBackend` objects say whether their backend can be reached.
    pub fn hear<T>(&self, connection: &Connection, call: Call, result: &Result<T, BackendError>) {
        if connection.hear(call, result) {
            let names = self.cache().names_of_backends();
            self.queue.push_all(names.iter().map(|name| ObjectName::cluster(Kind::AccountBackend, name)));
        }
    }

    /// A newer controller has taken over: this one ends.
    pub fn fenced(&self, why: String) {
        lock(&self.fenced).get_or_insert(why);
        self.stop.cancel();
    }

    /// Why this controller must not go on, if so.
    pub fn fenced_by(&self) -> Option<String> {
        lock(&self.fenced).clone()
    }

    /// Writes our epoch into the status of every `AccountBackend` that stands on this connection.
    async fn record_epoch(&self, session: &Session) -> Result<(), Stop> {
        let names: Vec<_> = lock(&self.backends)
            .iter()
            .filter(|(_, state)| matches!(state, BackendState::Verified(_)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(backend) = self.cache().get::<AccountBackend>("", &name) else { continue };
            if backend.status.as_ref().and_then(|status| status.epoch) == Some(session.epoch) {
                continue;
            }
            // The epoch alone: a pass over the object may be writing the rest.
            let epoch = json!({"op": "add", "path": "/status/epoch", "value": session.epoch});
            let patch = report::patch_for(&backend.key().0, [epoch]);
            let returned = self.api::<AccountBackend>("").patch_status(&name, &report::params(), &patch).await?;
            self.metrics.api_write("patch_status");
            self.returned(returned);
        }
        Ok(())
    }
}

/// Whether an object is ours, as far as the cache knows. An absent parent counts as ours: we report it.
pub fn is_ours(context: &Context, name: &ObjectName) -> bool {
    // A plan belongs to no controller; who looks at some namespaces only does not know all its accounts.
    if name.kind == Kind::Plan {
        return context.scope.namespaces.is_empty();
    }
    let cache = context.cache();
    let mut open = vec![name.clone()];
    while let Some(name) = open.pop() {
        if name.kind == Kind::AccountBackend {
            return cache.controller_of(&name).is_none_or(|controller| controller == context.scope.controller_name);
        }
        open.extend(cache.parents(&name));
    }
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
