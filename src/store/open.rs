//! Opening the store.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::backend::Wake;

use super::db::{Conn, Database, Location};
use super::error::StoreError;
use super::wakes::Voice;
use super::{epochs, external};

/// The account store, open for writing. It serves any number of owners: each has its epochs, its rows and its wakes.
#[derive(Debug)]
pub struct Store {
    pub(super) id: String,
    pub(super) voice: Voice,
    reader: Reader,
    replaced: CancellationToken,
}

/// The account store, open for reading.
#[derive(Clone, Debug)]
pub struct Reader {
    database: Database,
}

impl Store {
    /// Opens the store, makes it where there is none, and brings it to this version.
    pub async fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::on(Database::open(&location.into()).await?).await
    }

    /// The same for one act of a person's: where other processes may be at work in it, it must be of this version.
    pub async fn open_as_it_is(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::on(Database::open_as_it_is(&location.into()).await?).await
    }

    async fn on(database: Database) -> Result<Self, StoreError> {
        let id = epochs::establish(&database, &external::random("store_")?).await?;
        Ok(Self { voice: Voice::new(id.clone()), id, reader: Reader { database }, replaced: CancellationToken::new() })
    }

    /// Opens the store for reading: needs no lock, and makes no store where there is none.
    pub async fn open_readonly(location: impl Into<Location>) -> Result<Reader, StoreError> {
        Ok(Reader { database: Database::open_readonly(&location.into()).await? })
    }

    /// The wakes of an owner from here on, after all that it may have missed. Any number may ask, for the same owner too.
    pub fn take_wakes(&self, owner: &str) -> UnboundedReceiver<Wake> {
        self.voice.wakes(self.database(), owner)
    }

    /// The store's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until what is in the database is another store: it was restored from a backup while this process had it open (rule 13).
    ///
    /// Locks, wakes and cursors go by the id that the store had when it was opened. So a process that is told of another one writes no
    /// more, and must open it anew.
    pub async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    /// Compares an id from the database with that of the store that was opened.
    pub(super) fn is_still(&self, found: &str) -> bool {
        if found != self.id {
            self.replaced.cancel();
        }
        found == self.id
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
