//! Opening the store.

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::backend::Wake;

use super::db::{Conn, Database, Location};
use super::error::StoreError;
use super::wakes::Voice;
use super::{epochs, external};

/// The account store, open for writing.
#[derive(Debug)]
pub struct Store {
    pub(super) owner: String,
    pub(super) id: String,
    pub(super) voice: Voice,
    wakes_out: std::sync::Mutex<Option<UnboundedReceiver<Wake>>>,
    reader: Reader,
}

/// The account store, open for reading.
#[derive(Clone, Debug)]
pub struct Reader {
    database: Database,
}

impl Store {
    /// Opens the store of `owner`, makes it where there is none, and brings it to this version.
    pub async fn open(location: impl Into<Location>, owner: &str) -> Result<Self, StoreError> {
        let database = Database::open(&location.into()).await?;
        let id = epochs::establish(&database, &external::random("store_")?).await?;
        let (wakes, wakes_out) = unbounded_channel();
        let voice = Voice { store: id.clone(), owner: owner.to_owned(), wakes };
        let wakes_out = std::sync::Mutex::new(Some(wakes_out));
        Ok(Self { owner: owner.to_owned(), id, voice, wakes_out, reader: Reader { database } })
    }

    /// Opens the store for reading: needs no lock, and makes no store where there is none.
    pub async fn open_readonly(location: impl Into<Location>) -> Result<Reader, StoreError> {
        Ok(Reader { database: Database::open_readonly(&location.into()).await? })
    }

    /// The stream of wakes; `None` after the first call. From here on they are listened for.
    pub fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
        let wakes = self.wakes_out.lock().ok().and_then(|mut wakes| wakes.take())?;
        if let Database::Postgres(_) = self.database() {
            tokio::spawn(self.voice.clone().listen(self.database().clone()));
        }
        Some(wakes)
    }

    /// The store's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same store, for reading.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Waits for what is being done, and leaves nothing of what was erased in the files that are ours.
    pub async fn close(&self) {
        self.database().close().await;
    }

    pub(super) fn database(&self) -> &Database {
        &self.reader.database
    }
}

impl Reader {
    /// A transaction that sees one state of the store.
    pub(super) async fn snapshot(&self) -> sqlx::Result<Conn> {
        self.database.snapshot().await
    }
}
