//! What every pass shares: the client, the cache, the queue, the connections.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::events::Recorder;
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::api::condition::Reason;
use crate::api::{Account, AccountBackend};
use crate::backend::{Backend, BackendError, Session};
use crate::domain::rows::Key;

use super::cache::{Cache, Cached, Entry};
use super::connection::{Call, Connection, Way};
use super::connections::Connections;
use super::failure::{Failure, Stop};
use super::mapping;
use super::metrics::Metrics;
use super::object::{Kind, Managed, Meta, ObjectName};
use super::queue::Queue;
use super::secrets::Secrets;
use super::usage::Marks;
use super::{kinds, report, watch};

/// How long one call to the backend may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How the controller was started.
#[derive(Clone, Debug)]
pub struct Scope {
    /// `AccountBackend` objects of this controller name are ours.
    pub controller_name: String,
    /// The namespaces to look at; empty: all.
    pub namespaces: Vec<String>,
    /// Whose rows these are in a server, if that was said.
    pub owner_id: Option<String>,
    /// Our own namespace: where the Secrets of servers are.
    pub secret_namespace: String,
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
    /// The connections to the stores.
    pub connections: Connections,
    /// The Secrets with the tokens of servers.
    pub secrets: Secrets,
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
        connections: Connections,
        recorder: Recorder,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        Self {
            client,
            scope,
            queue: Queue::default(),
            connections,
            secrets: Secrets::default(),
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
            (Some(BackendState::Verified(before)), Some(BackendState::Verified(now))) => Arc::ptr_eq(before, now),
            (None, None) => true,
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
        connection.before_first_write(|| self.record_epoch(connection, session)).await?;
        let late = BackendError::OutcomeUnknown;
        let result = self.call(connection, Call::Write, late, async |backend| operation(backend, session).await).await;
        self.marks.mark(account.clone());
        if let Err(error) = &result {
            self.metrics.backend_error(error);
        }
        Ok(result?)
    }

    /// Reads from a backend, under a deadline.
    pub async fn read<T>(
        &self,
        connection: &Connection,
        question: impl AsyncFnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, Stop> {
        Ok(self.ask(connection, question).await?)
    }

    /// The same, with the backend's own error.
    pub async fn ask<T>(
        &self,
        connection: &Connection,
        question: impl AsyncFnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.call(connection, Call::Read, BackendError::Transient, question).await
    }

    /// Asks whether the store is still the one of the connection. What another one says of our objects is nothing to us (rule 13).
    pub async fn confirm(&self, connection: &Connection) -> Result<(), BackendError> {
        let ours = connection.epoch();
        let found = self.ask(connection, async |backend| backend.identify().await).await?;
        let confirmed = connection.confirm(ours, &found);
        self.mind(connection, &confirmed);
        confirmed
    }

    async fn call<T>(
        &self,
        connection: &Connection,
        call: Call,
        late: impl FnOnce(String) -> BackendError,
        work: impl AsyncFnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let backend = connection.backend()?;
        let result = tokio::time::timeout(CALL_DEADLINE, work(backend.as_ref())).await.unwrap_or_else(|_| Err(late(no_answer())));
        let result = match result {
            // By a way, or with a token, that is not in use any more: to be tried again.
            Err(BackendError::CredentialsInvalid) if !self.refuses_us(&backend) || connection.backend().is_ok() => {
                Err(BackendError::Transient("the credentials were changed meanwhile".to_owned()))
            }
            result => result,
        };
        self.heard(connection, call, &result);
        self.mind(connection, &result);
        result
    }

    /// Takes note of whether a call reached the backend. The `AccountBackend` objects say so.
    pub fn heard<T>(&self, connection: &Connection, call: Call, result: &Result<T, BackendError>) {
        if connection.hear(call, result) {
            self.queue.push_all(self.standing_on(connection));
        }
    }

    /// What an error says about the whole connection.
    fn mind<T>(&self, connection: &Connection, result: &Result<T, BackendError>) {
        match result {
            Err(BackendError::Fenced { current }) => {
                let ours = connection.epoch().unwrap_or_default();
                self.fenced(format!("epoch {ours} was taken over by epoch {current} in the store {}", connection.store_id));
            }
            Err(BackendError::WrongStore { .. }) => self.queue.push_all(self.standing_on(connection)),
            _ => {}
        }
    }

    /// The server refuses the token that this backend comes with: nobody asks it again until the Secret changes. False: another token is in
    /// use by now.
    pub fn refuses_us(&self, backend: &Arc<dyn Backend>) -> bool {
        let names = self.connections.refuse(backend);
        for name in &names {
            let object = self.cache().get::<AccountBackend>("", name);
            let Some(object) = object else { continue };
            self.refuse(name, kinds::token_refused(self, &object));
            self.queue.push(ObjectName::cluster(Kind::AccountBackend, name));
        }
        !names.is_empty()
    }

    /// A backend is of no use, for this reason: nobody asks it any more.
    pub fn refuse(&self, name: &str, failure: Failure) {
        self.connections.leave(name);
        self.set_backend_state(name, Some(BackendState::Refused(failure)));
    }

    /// An `AccountBackend` object is gone.
    pub fn forget_backend(&self, name: &str) {
        self.connections.forget(name);
        self.set_backend_state(name, None);
    }

    /// The connection on which a backend stands, if it is verified, and reached by this way.
    pub fn stands_by(&self, name: &str, way: &Way) -> Option<Arc<Connection>> {
        match self.backend_state(name) {
            Some(BackendState::Verified(connection)) if connection.has(way) => Some(connection),
            _ => None,
        }
    }

    /// The verified `AccountBackend` objects that stand on a connection.
    pub fn standing_on(&self, connection: &Connection) -> Vec<ObjectName> {
        let stands = |state: &BackendState| matches!(state, BackendState::Verified(on) if std::ptr::eq(on.as_ref(), connection));
        let mut names: Vec<_> = lock(&self.backends).iter().filter(|(_, state)| stands(state)).map(|(name, _)| name.clone()).collect();
        names.sort();
        names.iter().map(|name| ObjectName::cluster(Kind::AccountBackend, name)).collect()
    }

    /// The connection on which an object stands, by its Account's `backendRef`; `None`: there is no way there, or it is not verified.
    pub fn connection_of(&self, object: &ObjectName) -> Option<Arc<Connection>> {
        let backend = {
            let cache = self.cache();
            let account = cache.account_of(object)?;
            cache.get::<Account>(&account.namespace, &account.name)?.spec.backend_ref.name.clone()
        };
        match self.backend_state(&backend)? {
            BackendState::Verified(connection) => Some(connection),
            BackendState::Refused(_) => None,
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
    async fn record_epoch(&self, connection: &Connection, session: &Session) -> Result<(), Stop> {
        for ObjectName { name, .. } in self.standing_on(connection) {
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

/// A read of a backend under a deadline.
pub async fn bounded<T>(call: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
    tokio::time::timeout(CALL_DEADLINE, call).await.unwrap_or_else(|_| Err(BackendError::Transient(no_answer())))
}

fn no_answer() -> String {
    format!("no answer within {} s", CALL_DEADLINE.as_secs())
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
