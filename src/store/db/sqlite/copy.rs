//! Copies of a file: whole, in one state, made beside whoever writes to it; and a file from a copy.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::store::error::{StoreError, cannot_open, version};

use super::lock::Lock;
use super::{MIGRATIONS, applied, base, check_folder, integrity};

/// The files of a database: what was not yet moved into the first is in the second.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Writes a copy of the database at `from` to `to`, which must not exist. Nothing of it is at `to` until all of it is.
pub(in crate::store) async fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    check_folder(to)?;
    if to.exists() {
        return Err(problem(to, "exists; name a new file, so that no backup is lost"));
    }
    let partial = beside(to, ".partial");
    write(from, &partial).await?;
    in_place(&partial, to)
}

/// Puts a copy of `from` in the place of the database `to`, as a store of the id `id`. Returns where the file went that was there.
pub(in crate::store) async fn restore(from: &Path, to: &Path, id: &str) -> Result<Option<PathBuf>, StoreError> {
    check_folder(to)?;
    let _lock = Lock::take(to)?;
    let partial = beside(to, ".restoring");
    write(from, &partial).await?;
    let named = async {
        let mut conn = base(&partial).create_if_missing(false).connect().await?;
        sqlx::query("UPDATE meta SET store_id = $1 WHERE only_row = 1").bind(id).execute(&mut conn).await
    };
    named.await.map_err(|error| cannot_open(partial.display(), &error))?;
    let replaced = set_aside(to)?;
    in_place(&partial, to)?;
    Ok(replaced)
}

/// Whether there is a file to copy.
pub(in crate::store) fn there_is_one(from: &Path) -> Result<(), StoreError> {
    if from.is_file() { Ok(()) } else { Err(problem(from, "there is no store here")) }
}

/// Writes a copy to `to` for the eyes of its owner only, and checks it.
async fn write(from: &Path, to: &Path) -> Result<(), StoreError> {
    there_is_one(from)?;
    let io = |error: io::Error| problem(to, &format!("cannot be written ({}); check its folder and its volume", error.kind()));
    // One that was left by a copy cut short.
    remove(to).map_err(io)?;
    empty(to).map_err(io)?;
    let mut conn = open(from).await?;
    let found = applied(&mut conn).await.map_err(|error| cannot_open(from.display(), &error))?;
    if found == 0 {
        return Err(problem(from, "is no store of deskplane"));
    }
    version(from.display(), &MIGRATIONS, found).not_newer()?;
    let vacuum = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned()).execute(&mut conn).await;
    vacuum.map_err(|error| cannot_open(from.display(), &error))?;
    let mut copy = open(to).await?;
    match integrity(&mut copy).await.map_err(|error| cannot_open(to.display(), &error))?.first() {
        None => Ok(()),
        Some((subject, detail)) => Err(problem(from, &format!("is damaged ({subject}: {detail}); use an older backup"))),
    }
}

async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options: SqliteConnectOptions = base(path).read_only(true).create_if_missing(false);
    options.connect().await.map_err(|error| cannot_open(path.display(), &error))
}

/// Moves a database out of the way, with what belongs to it, and returns its new path. Nothing is overwritten.
fn set_aside(database: &Path) -> Result<Option<PathBuf>, StoreError> {
    if !database.exists() {
        return Ok(None);
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let aside = beside(database, &format!(".replaced-{now}"));
    if aside.exists() {
        return Err(problem(&aside, "exists; try again in a second"));
    }
    for part in PARTS {
        let (old, new) = (beside(database, part), beside(&aside, part));
        if old.exists() {
            fs::rename(&old, &new).map_err(|error| problem(&old, &format!("cannot be moved to {} ({})", new.display(), error.kind())))?;
        }
    }
    Ok(Some(aside))
}

/// Makes durable what was written, and gives it its name.
fn in_place(partial: &Path, to: &Path) -> Result<(), StoreError> {
    let named = || {
        File::open(partial)?.sync_all()?;
        fs::rename(partial, to)?;
        File::open(to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    named().map_err(|error: io::Error| problem(to, &format!("cannot be written ({}); check its folder and its volume", error.kind())))
}

fn empty(path: &Path) -> io::Result<()> {
    let mut open = OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map(drop)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn problem(path: &Path, problem: &str) -> StoreError {
    StoreError::Database { database: path.display().to_string(), problem: problem.to_owned() }
}
