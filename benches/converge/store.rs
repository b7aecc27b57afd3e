//! What the controller writes to its store, seen by a reader beside it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};

use crate::Result;

/// An open reader.
pub struct Reader(SqliteConnection);

/// The store at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Changes whenever another connection has committed.
    version: i64,
    /// Rows of the audit table: one a row that was written.
    audited: i64,
}

impl Reader {
    /// Opens the store for reading.
    pub async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        options.connect().await.map(Self).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The store now.
    pub async fn now(&mut self) -> Result<Moment> {
        let version = self.number("PRAGMA data_version").await?;
        Ok(Moment { version, audited: self.number("SELECT COUNT(*) FROM audit").await? })
    }

    async fn number(&mut self, sql: &'static str) -> Result<i64> {
        let row = sqlx::query(sql).fetch_one(&mut self.0).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| format!("{sql}: {error}"))
    }
}

impl Moment {
    /// Writes since an earlier moment: rows, or at least one commit.
    pub fn writes_since(self, earlier: Self) -> i64 {
        (self.audited - earlier.audited).max(i64::from(self.version != earlier.version))
    }
}
