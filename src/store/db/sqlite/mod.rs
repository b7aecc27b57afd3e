//! `SQLite`: one file, one process that writes (rule 21), one connection that writes.

mod copy;
mod lock;
pub(in crate::store) mod scrub;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use crate::store::error::{StoreError, cannot_migrate, cannot_open, version};

pub(in crate::store) use copy::{copy, restore, there_is_one};
use lock::Lock;
use scrub::{Erased, Scrubber};
use writer::Writer;
pub(in crate::store) use writer::Writing;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections that only read. Reads are short; more would only wait for the disk together.
const READERS: u32 = 3;

/// How long a statement waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// The same for who writes beside the process that has the file: that one may be writing the file anew.
const BUSY_BESIDE: Duration = Duration::from_secs(30);

/// A file, open.
#[derive(Clone, Debug)]
pub(in crate::store) struct Sqlite {
    readers: SqlitePool,
    /// Absent where the file is open for reading.
    writing: Option<Arc<Side>>,
}

/// What writes. Dropping it lets go of the lock.
#[derive(Debug)]
struct Side {
    // The mutex is fair: calls are executed in the order in which they were made.
    writer: Arc<Mutex<Writer>>,
    /// Absent beside another process: nothing is erased there.
    scrubber: Option<Scrubber>,
    /// Absent beside another process, which has it.
    _lock: Option<Lock>,
}

impl Sqlite {
    /// Opens a file for writing, makes it where there is none, and brings it to this version.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        check_folder(path)?;
        let lock = Lock::take(path)?;
        check_file(path)?;
        let mut conn = options(path).connect().await.map_err(|error| cannot_open(path.display(), &error))?;
        migrate(path, &mut conn).await?;
        let readers = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false).idle_timeout(None).max_lifetime(None);
        let readers = readers.connect_lazy_with(options(path).create_if_missing(false).pragma("query_only", "ON"));
        let writer = Arc::new(Mutex::new(Writer::new(conn)));
        let scrubber = Scrubber::start(&writer).await;
        Ok(Self { readers, writing: Some(Arc::new(Side { writer, scrubber: Some(scrubber), _lock: Some(lock) })) })
    }

    /// Opens a file for writing beside the process that has its lock.
    pub(super) async fn open_beside(path: &Path) -> Result<Self, StoreError> {
        let Self { readers, .. } = Self::open_readonly(path).await?;
        let options = options(path).create_if_missing(false).busy_timeout(BUSY_BESIDE);
        let conn = options.connect().await.map_err(|error| cannot_open(path.display(), &error))?;
        let writer = Arc::new(Mutex::new(Writer::new(conn)));
        Ok(Self { readers, writing: Some(Arc::new(Side { writer, scrubber: None, _lock: None })) })
    }

    /// Opens a file for reading: needs no lock, and makes no store where there is none.
    pub(super) async fn open_readonly(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            let problem = "there is no store here; name the file that the controller's --database names".to_owned();
            return Err(StoreError::Database { database: path.display().to_string(), problem });
        }
        let options = base(path).read_only(true).create_if_missing(false);
        let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let readers = readers.map_err(|error| cannot_open(path.display(), &error))?;
        let found = applied(&mut *readers.acquire().await?).await.map_err(|error| cannot_open(path.display(), &error))?;
        version(path.display(), &MIGRATIONS, found).exact()?;
        Ok(Self { readers, writing: None })
    }

    /// Begins to write, behind all who asked before.
    pub(super) async fn begin(&self) -> sqlx::Result<Writing> {
        self.turn()?.await
    }

    /// The same, for later: it does not hold the file's lock.
    pub(super) fn turn(&self) -> sqlx::Result<impl Future<Output = sqlx::Result<Writing>> + Send + use<>> {
        Ok(Writing::begin(Arc::clone(&self.side()?.writer)))
    }

    pub(super) async fn snapshot(&self) -> sqlx::Result<sqlx::Transaction<'static, sqlx::Sqlite>> {
        self.readers.begin().await
    }

    pub(super) async fn erased(&self, erased: Erased) {
        if let Ok(Side { scrubber: Some(scrubber), .. }) = self.side() {
            scrubber.scrub(erased).await;
        }
    }

    /// Waits for what is being written, and leaves nothing of what was erased in the files.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        if let Ok(Side { scrubber: Some(scrubber), .. }) = self.side() {
            scrubber.finish().await;
        }
    }

    /// The connection that writes, as a test or another program would use it: between transactions.
    #[cfg(test)]
    pub(in crate::store) async fn writer(&self) -> tokio::sync::OwnedMutexGuard<Writer> {
        Arc::clone(&self.side().expect("open for writing").writer).lock_owned().await
    }

    fn side(&self) -> sqlx::Result<&Side> {
        self.writing.as_deref().ok_or(sqlx::Error::PoolClosed)
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    base(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
}

fn base(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).statement_cache_capacity(200).disable_statement_logging()
}

fn check_folder(path: &Path) -> Result<(), StoreError> {
    let problem = |problem: String| Err(StoreError::Database { database: path.display().to_string(), problem });
    if path.is_dir() {
        return problem("is a folder; name a file in it, such as deskplane.db".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(file) = folder.ancestors().find(|place| place.exists()).filter(|place| !place.is_dir()) {
        return problem(format!("{} is a file, and has no files in it; name a file in a folder", file.display()));
    }
    if !folder.is_dir() {
        return problem(format!("its folder {} does not exist; create it or mount the volume", folder.display()));
    }
    Ok(())
}

/// Makes the file readable for nobody else, and finds out before `SQLite` does whether it can be written.
fn check_file(path: &Path) -> Result<(), StoreError> {
    let mut open = std::fs::OpenOptions::new();
    open.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map(drop).map_err(|error| StoreError::Database {
        database: path.display().to_string(),
        problem: format!("cannot be opened for writing ({}); check its permissions and its volume", error.kind()),
    })
}

/// The version of the schema in the file; 0: none.
async fn applied(conn: &mut SqliteConnection) -> sqlx::Result<i64> {
    let exists = "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(exists).fetch_one(&mut *conn).await? == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(conn).await
}

async fn migrate(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let found = applied(conn).await.map_err(|error| cannot_open(path.display(), &error))?;
    version(path.display(), &MIGRATIONS, found).not_newer()?;
    MIGRATIONS.run(conn).await.map_err(|error| cannot_migrate(path.display(), &error))
}

/// What is damaged in the file, and references to rows that are not there.
pub(super) async fn integrity(conn: &mut SqliteConnection) -> sqlx::Result<Vec<(String, String)>> {
    let lines: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(&mut *conn).await?;
    let mut problems: Vec<_> = lines.into_iter().filter(|line| line != "ok").map(|line| ("file".to_owned(), line)).collect();
    for row in sqlx::query("PRAGMA foreign_key_check").fetch_all(conn).await? {
        let (table, parent): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        problems.push((table, format!("a row names one of {parent} that does not exist")));
    }
    Ok(problems)
}
