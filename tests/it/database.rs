//! A controller's store, opened beside it: to look, and to change rows like somebody who writes to the backend directly.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};

/// The file of a store that a controller may have open.
pub struct Database(PathBuf);

impl Database {
    /// The store of a controller.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// A new connection, with the foreign keys that the store's own has.
    pub async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.0).foreign_keys(true).busy_timeout(Duration::from_secs(30));
        options.connect().await.expect("open the store")
    }

    /// Changes rows; at least one must be.
    pub async fn change(&self, sql: &str, binds: &[&str]) {
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for bind in binds {
            statement = statement.bind(*bind);
        }
        let changed = statement.execute(&mut self.connect().await).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(changed.rows_affected() > 0, "{sql} changes something");
    }

    /// The first column of all rows, as text.
    pub async fn texts(&self, sql: &str, binds: &[&str]) -> Vec<String> {
        let mut statement = sqlx::query_scalar(AssertSqlSafe(sql));
        for bind in binds {
            statement = statement.bind(*bind);
        }
        statement.fetch_all(&mut self.connect().await).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}
