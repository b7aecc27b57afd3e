//! Opening the store: the lock, the file, its version, its connections.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::backend::Wake;

use super::db::Conn;
use super::error::{StoreError, in_words};
use super::lock::Lock;
use super::scrub::Scrubber;
use super::tx::Writer;
use super::{epochs, external};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections that only read. Reads are short; more would only wait for the disk together.
const READERS: u32 = 3;

/// How long a statement waits for another process, such as a backup.
const BUSY: Duration = Duration::from_secs(5);

/// The account store, open for writing. Dropping it lets go of the lock.
#[derive(Debug)]
pub struct Store {
    pub(super) owner: String,
    pub(super) id: String,
    pub(super) scrubber: Scrubber,
    pub(super) wakes: UnboundedSender<Wake>,
    wakes_out: std::sync::Mutex<Option<UnboundedReceiver<Wake>>>,
    // One connection writes. The mutex is fair: calls are executed in the order in which they were made.
    writer: Arc<Mutex<Writer>>,
    reader: Reader,
    _lock: Lock,
}

/// The account store, open for reading: needs no lock, and does not make a store where there is none.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: SqlitePool,
}

impl Store {
    /// Opens the store of `owner`, makes it where there is none, and brings it to this version.
    pub async fn open(path: &Path, owner: &str) -> Result<Self, StoreError> {
        check_folder(path)?;
        let lock = Lock::take(path)?;
        check_file(path)?;
        let mut conn = options(path).connect().await.map_err(|error| cannot_open(path, &error))?;
        migrate(path, &mut conn).await?;
        let id = epochs::establish(&mut conn, &external::random("store_")?).await?;
        let pool = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false).idle_timeout(None).max_lifetime(None);
        let pool = pool.connect_lazy_with(options(path).create_if_missing(false).pragma("query_only", "ON"));
        let (wakes, wakes_out) = unbounded_channel();
        let writer = Arc::new(Mutex::new(Writer::new(conn)));
        let scrubber = Scrubber::start(&writer).await;
        Ok(Self {
            owner: owner.to_owned(),
            id,
            scrubber,
            wakes,
            wakes_out: std::sync::Mutex::new(Some(wakes_out)),
            writer,
            reader: Reader { pool },
            _lock: lock,
        })
    }

    /// Opens the store for reading.
    pub async fn open_readonly(path: &Path) -> Result<Reader, StoreError> {
        if !path.is_file() {
            let problem = "there is no store here; name the file that the controller's --database names".to_owned();
            return Err(StoreError::Path { path: path.to_owned(), problem });
        }
        let options = options_readonly(path);
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.map_err(|error| cannot_open(path, &error))?;
        let mut conn = pool.acquire().await?;
        let (found, known) = (applied(&mut conn).await.map_err(|error| cannot_open(path, &error))?, known());
        match found.cmp(&known) {
            std::cmp::Ordering::Less => Err(StoreError::Older { path: path.to_owned(), found, known }),
            std::cmp::Ordering::Greater => Err(StoreError::Newer { path: path.to_owned(), found, known }),
            std::cmp::Ordering::Equal => Ok(Reader { pool }),
        }
    }

    /// The stream of wakes; `None` after the first call.
    pub fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
        self.wakes_out.lock().ok().and_then(|mut wakes| wakes.take())
    }

    /// The store's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same store, for reading.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Waits for what is being written, and leaves nothing of what was erased in the files.
    pub async fn close(&self) {
        self.reader.pool.close().await;
        self.scrubber.finish().await;
    }

    /// The connection that writes; whoever asked first gets it first.
    pub(super) async fn writer(&self) -> OwnedMutexGuard<Writer> {
        Arc::clone(&self.writer).lock_owned().await
    }
}

impl Reader {
    /// A transaction that sees one state of the store.
    pub(super) async fn snapshot(&self) -> Result<sqlx::Transaction<'static, super::db::Db>, sqlx::Error> {
        self.pool.begin().await
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

fn options_readonly(path: &Path) -> SqliteConnectOptions {
    base(path).read_only(true).create_if_missing(false)
}

fn base(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY).statement_cache_capacity(200).disable_statement_logging()
}

/// `sqlite://PATH`, or a path.
impl Store {
    /// The path in a `--database` argument.
    pub fn path_of(database: &str) -> Result<PathBuf, StoreError> {
        match database.split_once("://") {
            None => Ok(PathBuf::from(database)),
            Some(("sqlite", path)) if !path.is_empty() => PathBuf::from_str(path).map_err(|never| match never {}),
            Some(_) => Err(StoreError::Refused("--database must be sqlite://PATH".to_owned())),
        }
    }
}

fn check_folder(path: &Path) -> Result<(), StoreError> {
    let problem = |problem: String| Err(StoreError::Path { path: path.to_owned(), problem });
    if path.is_dir() {
        return problem("is a folder; name a file in it, such as deskplane.db".to_owned());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
    open.open(path).map(drop).map_err(|error| StoreError::Path {
        path: path.to_owned(),
        problem: format!("cannot be opened for writing ({}); check its permissions and its volume", error.kind()),
    })
}

fn cannot_open(path: &Path, error: &sqlx::Error) -> StoreError {
    StoreError::Path { path: path.to_owned(), problem: in_words(error).to_owned() }
}

fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The version of the schema in the file; 0: none.
async fn applied(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    let exists = "SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(exists).fetch_one(&mut *conn).await? == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations").fetch_one(conn).await
}

async fn migrate(path: &Path, conn: &mut Conn) -> Result<(), StoreError> {
    let (found, known) = (applied(conn).await.map_err(|error| cannot_open(path, &error))?, known());
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    MIGRATIONS.run(conn).await.map_err(|error| match &error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => cannot_open(path, error),
        MigrateError::VersionMismatch(version) => StoreError::Path {
            path: path.to_owned(),
            problem: format!(
                "its schema {version} is another one than this version's; it was made by a development build: start with a new file"
            ),
        },
        _ => StoreError::Path { path: path.to_owned(), problem: "its schema cannot be brought to this version".to_owned() },
    })
}
