//! The connection to one store: the ways that lead to it, our session in it, and what it was last seen to hold.
//!
//! There is one for each store, whoever's way leads there: a second session of ours would fence the first. Ways come and go (a token is
//! changed, an `AccountBackend` moves to another URL); the session and what was observed stay. It opens after the store was verified to be
//! the one we know (rule 13): only then an epoch is taken and the store is swept.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as Task, Poll};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout};

use crate::backend::{Backend, BackendError, Identity, Result, Session, Wake};
use crate::domain::rows::Key;

use super::context::CALL_DEADLINE;
use super::observed::Observed;

/// What was asked of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It may answer when writes fail, as on a full disk.
    Read,
    /// What the objects wait for.
    Write,
}

/// Why a backend is not of use.
#[derive(Debug)]
struct Trouble {
    message: String,
    /// Only a write shows that it is over.
    refuses_writes: bool,
}

/// A way to a store.
#[derive(Clone)]
pub enum Way {
    /// The store inside this process: whichever `AccountBackend` leads there.
    Embedded(Arc<dyn Backend>),
    /// Through a server, as the `AccountBackend` of this name says.
    Server(String, Arc<dyn Backend>),
}

impl Way {
    /// What is at its end.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        match self {
            Self::Embedded(backend) | Self::Server(_, backend) => backend,
        }
    }
}

/// The ways to a store, of which one is used.
#[derive(Default)]
struct Ways {
    embedded: Option<Arc<dyn Backend>>,
    servers: Vec<(String, Arc<dyn Backend>)>,
    wakes: Option<UnboundedReceiver<Wake>>,
}

impl Ways {
    fn used(&self) -> Option<&Arc<dyn Backend>> {
        self.embedded.as_ref().or_else(|| self.servers.last().map(|(_, backend)| backend))
    }

    /// Changes the ways. When another one is used from here on, wakes come by that one.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.used().cloned();
        change(self);
        let same = match (&before, self.used()) {
            (Some(before), Some(used)) => Arc::ptr_eq(before, used),
            (before, used) => before.is_none() && used.is_none(),
        };
        if !same {
            self.wakes = self.used().and_then(|used| used.take_wakes());
        }
    }
}

/// How many lines there are for those who ask for a place: an account always has the same one.
const LINES: usize = 64;

/// A store and our standing with it.
pub struct Connection {
    /// Id of the store.
    pub store_id: String,
    ways: Mutex<Ways>,
    session: OnceCell<Session>,
    swept: OnceCell<()>,
    epoch_recorded: OnceCell<()>,
    /// When the last sweep began; held by the one that is under way.
    pub last_sweep: tokio::sync::Mutex<Option<Instant>>,
    trouble: Mutex<Option<Trouble>>,
    observed: Mutex<Observed>,
    since: Timestamp,
    lines: [tokio::sync::Mutex<()>; LINES],
}

impl Connection {
    /// A connection that is not open yet.
    pub fn new(store_id: String) -> Self {
        Self {
            store_id,
            ways: Mutex::default(),
            session: OnceCell::new(),
            swept: OnceCell::new(),
            epoch_recorded: OnceCell::new(),
            last_sweep: tokio::sync::Mutex::default(),
            trouble: Mutex::default(),
            observed: Mutex::default(),
            since: Timestamp::now(),
            lines: std::array::from_fn(|_| tokio::sync::Mutex::default()),
        }
    }

    /// A turn to ask for a place in an account, for an object that has none yet and was there before the connection: those ask in the order
    /// of their creation (rule 2), which is that in which they are looked at. Calls over a network may overtake each other, so only one of
    /// an account is under way at a time. Who has no turn asks at once.
    pub async fn turn(&self, account: &Key, object: &ObjectMeta) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let was_there = object.creation_timestamp.as_ref().is_some_and(|created| created.0 <= self.since);
        let has_place = object.uid.as_ref().is_some_and(|uid| self.observed().row(&Key(uid.clone())).is_some());
        if !was_there || has_place || self.trouble().is_some() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        account.hash(&mut hasher);
        let line = usize::try_from(hasher.finish() % LINES as u64).unwrap_or_default();
        // Nobody is held up by calls that are not answered.
        timeout(CALL_DEADLINE, self.lines[line].lock()).await.ok()
    }

    /// Takes a way into use, in the place of an earlier one of the same `AccountBackend`.
    pub fn join(&self, way: Way) {
        lock(&self.ways).change(|ways| match way {
            Way::Embedded(backend) => ways.embedded = Some(backend),
            Way::Server(name, backend) if !ways.servers.iter().any(|(one, known)| *one == name && Arc::ptr_eq(known, &backend)) => {
                ways.servers.retain(|(one, _)| *one != name);
                ways.servers.push((name, backend));
            }
            Way::Server(..) => {}
        });
    }

    /// The way of an `AccountBackend` to its server leads here no more. The store inside this process stays where it is.
    pub fn leave(&self, name: &str) {
        lock(&self.ways).change(|ways| ways.servers.retain(|(one, _)| one != name));
    }

    /// Whether this way leads here.
    pub fn has(&self, way: &Way) -> bool {
        let ways = lock(&self.ways);
        match way {
            Way::Embedded(_) => ways.embedded.is_some(),
            Way::Server(name, backend) => ways.servers.iter().any(|(one, known)| one == name && Arc::ptr_eq(known, backend)),
        }
    }

    /// The backend to ask.
    pub fn backend(&self) -> Result<Arc<dyn Backend>> {
        let none = || BackendError::Transient("no AccountBackend leads to this store any more".to_owned());
        lock(&self.ways).used().cloned().ok_or_else(none)
    }

    /// What the store wakes; `None`, once: by the way in use nothing is to be heard any more.
    pub fn poll_wakes(&self, task: &mut Task<'_>) -> Poll<Option<Wake>> {
        let mut ways = lock(&self.ways);
        let Some(wakes) = &mut ways.wakes else { return Poll::Pending };
        let polled = wakes.poll_recv(task);
        if matches!(polled, Poll::Ready(None)) {
            ways.wakes = None;
        }
        polled
    }

    /// Takes our epoch by `begin` and sweeps the store by `sweep`, each once. True: just now.
    pub async fn open(&self, begin: impl Future<Output = Result<Session>>, sweep: impl Future<Output = Result<()>>) -> Result<bool> {
        let begin = async {
            let session = begin.await?;
            if session.store_id != self.store_id {
                return Err(BackendError::WrongStore { found: session.store_id });
            }
            Ok(session)
        };
        self.session.get_or_try_init(|| begin).await?;
        let mut now = false;
        let sweep = async {
            now = true;
            sweep.await
        };
        self.swept.get_or_try_init(|| sweep).await?;
        Ok(now)
    }

    /// Our session, when the connection is open.
    pub fn session(&self) -> Option<&Session> {
        self.swept.get().and_then(|()| self.session.get())
    }

    /// Our epoch, once it is taken.
    pub fn epoch(&self) -> Option<i64> {
        self.session.get().map(|session| session.epoch)
    }

    /// Whether who answered is the store of this connection, and as far as we knew it to be before: `ours` is our epoch by then.
    pub fn confirm(&self, ours: Option<i64>, found: &Identity) -> Result<()> {
        if found.store_id != self.store_id {
            return Err(BackendError::WrongStore { found: found.store_id.clone() });
        }
        match ours {
            Some(ours) if found.epoch < ours => Err(BackendError::WrongStore { found: format!("an older copy of {}", found.store_id) }),
            Some(ours) if found.epoch > ours => Err(BackendError::Fenced { current: found.epoch }),
            _ => Ok(()),
        }
    }

    /// Runs `record` once, before the first write of our epoch: an older copy of the store is recognised by it later.
    pub async fn before_first_write<F, E>(&self, record: impl FnOnce() -> F) -> std::result::Result<(), E>
    where
        F: Future<Output = std::result::Result<(), E>>,
    {
        self.epoch_recorded.get_or_try_init(record).await.copied()
    }

    /// Whether our epoch has been recorded because something was written in it.
    pub fn has_written(&self) -> bool {
        self.epoch_recorded.initialized()
    }

    /// Why the last call failed, if the backend could not be reached by it.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).as_ref().map(|trouble| trouble.message.clone())
    }

    /// Remembers how the last call ended. True: the backend was just lost, or is back.
    pub fn hear<T>(&self, call: Call, result: &Result<T>) -> bool {
        let mut known = lock(&self.trouble);
        let trouble = match result {
            Err(error) if error.is_unreachable() => {
                let answered = call == Call::Write && matches!(error, BackendError::Transient(_));
                Some(Trouble { message: error.to_string(), refuses_writes: answered })
            }
            _ if call == Call::Read && known.as_ref().is_some_and(|trouble| trouble.refuses_writes) => return false,
            _ => None,
        };
        let changed = known.is_some() != trouble.is_some();
        *known = trouble;
        changed
    }

    /// What the backend holds, as last seen.
    pub fn observed(&self) -> MutexGuard<'_, Observed> {
        lock(&self.observed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
