//! Backups, and stores from them.
//!
//! A store that comes from a backup is another store (rule 13): it gets an id of its own. So a controller that meets it makes nothing
//! and lets nothing go, until an admin accepts it by `deskplane.dev/accept-store`. After that, what the backup has is found by its key,
//! what it has not is made again, and what has no object any more is quarantined.

use std::path::{Path, PathBuf};

use super::Store;
use super::db::{Database, Location, Scope, copy, query, restore, there_is_one};
use super::error::StoreError;
use super::external;

/// A store that came from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its new id: what `deskplane.dev/accept-store` has to say.
    pub store_id: String,
    /// Where the file is that was there before.
    pub replaced: Option<PathBuf>,
}

const NOT_A_FILE: &str = "a backup of PostgreSQL is made by its own programs: pg_dump --format=custom --file=deskplane.dump \
    --dbname='<the same URL>'. It can run beside the controllers";

const RESTORE_FIRST: &str = "PostgreSQL's own programs bring a backup back: stop the controllers and account servers, then pg_restore --clean --if-exists \
    --dbname='<the same URL>' deskplane.dump, then this command without --from";

const FROM_WHAT: &str = "name the backup: --from FILE";

impl Store {
    /// Writes a copy of a store in a file to the file `to`, which must not exist. Can run beside the controller.
    pub async fn backup(location: &Location, to: &Path) -> Result<(), StoreError> {
        match location {
            Location::File(path) => copy(path, to).await,
            Location::Server(_) => Err(StoreError::Refused(NOT_A_FILE.to_owned())),
        }
    }

    /// Whether a store at `location` can be made from the backup `from`, as far as can be told before anything is written.
    pub fn restorable(location: &Location, from: Option<&Path>) -> Result<(), StoreError> {
        match (location, from) {
            (Location::File(_), Some(from)) => there_is_one(from),
            (Location::File(_), None) => Err(StoreError::Refused(FROM_WHAT.to_owned())),
            (Location::Server(_), Some(_)) => Err(StoreError::Refused(RESTORE_FIRST.to_owned())),
            (Location::Server(_), None) => Ok(()),
        }
    }

    /// Makes the store at `location` from the backup `from`, or, in `PostgreSQL`, of what its own programs brought back.
    pub async fn restore(location: &Location, from: Option<&Path>) -> Result<Restored, StoreError> {
        Self::restorable(location, from)?;
        let store_id = external::random("store_")?;
        let replaced = if let (Location::File(path), Some(from)) = (location, from) {
            restore(from, path, &store_id).await?
        } else {
            rename(location, &store_id).await?;
            None
        };
        Ok(Restored { store_id, replaced })
    }
}

/// From here on whoever began with the old id is told of the new one.
async fn rename(location: &Location, id: &str) -> Result<(), StoreError> {
    let database = Database::open(location).await?;
    let mut conn = database.begin(Scope::Store).await?;
    let renamed = query("UPDATE meta SET store_id = $1 WHERE only_row = 1").bind(id).execute(&mut conn).await?;
    if renamed == 0 {
        return Err(StoreError::Database { database: location.to_string(), problem: RESTORE_FIRST.to_owned() });
    }
    conn.commit().await?;
    drop(conn);
    database.close().await;
    Ok(())
}
