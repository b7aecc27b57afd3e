//! The connection to one backend: its session, and what it was last seen to hold.
//!
//! It opens after the store was verified to be the one we know (rule 13): only then an epoch is taken and the store is swept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::backend::{Backend, BackendError, Identity, Result, Session};

use super::observed::{Observed, Sweep};
use crate::domain::rows::OwnerTag;

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

/// A backend and our standing with it.
pub struct Connection {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    first_contact: OnceCell<Identity>,
    session: OnceCell<Session>,
    swept: OnceCell<()>,
    epoch_recorded: OnceCell<()>,
    trouble: Mutex<Option<Trouble>>,
    observed: Mutex<Observed>,
}

impl Connection {
    /// A connection that is not open yet.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            first_contact: OnceCell::new(),
            session: OnceCell::new(),
            swept: OnceCell::new(),
            epoch_recorded: OnceCell::new(),
            trouble: Mutex::default(),
            observed: Mutex::default(),
        }
    }

    /// Which store this is, and how far it was before we took our epoch.
    pub async fn first_contact(&self) -> Result<&Identity> {
        self.first_contact.get_or_try_init(|| self.backend.identify()).await
    }

    /// Takes our epoch and sweeps the store, once. True: just now.
    pub async fn open(&self) -> Result<bool> {
        self.session.get_or_try_init(|| self.backend.begin_epoch()).await?;
        let mut now = false;
        self.swept
            .get_or_try_init(|| async {
                now = true;
                self.sweep().await.map(|_| ())
            })
            .await?;
        Ok(now)
    }

    /// Our session, when the connection is open.
    pub fn session(&self) -> Option<&Session> {
        self.swept.get().and_then(|()| self.session.get())
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
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|trouble| trouble.message.clone())
    }

    /// Remembers how the last call ended. True: the backend was just lost, or is back.
    pub fn hear<T>(&self, call: Call, result: &Result<T>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pages through all accounts and their rows. Returns the tags of the rows that differ from what was known.
    pub async fn sweep(&self) -> Result<Vec<OwnerTag>> {
        self.observed().begin_sweep();
        let mut sweep = Sweep::default();
        let mut after = None;
        loop {
            let (accounts, next) = self.backend.accounts(after).await?;
            for tag in accounts.into_iter().filter_map(|row| row.tag) {
                self.sweep_account(&tag, &mut sweep).await?;
            }
            let Some(next) = next else { break };
            after = Some(next);
        }
        Ok(self.observed().end_sweep(sweep))
    }

    async fn sweep_account(&self, account: &OwnerTag, sweep: &mut Sweep) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.backend.page(&account.key, after).await?;
            sweep.rows.extend(page.rows);
            sweep.tickets.extend(page.tickets);
            let Some(next) = page.next else { return Ok(()) };
            after = Some(next);
        }
    }
}
