//! The store with a controller's accounts, opened beside it: to look, and to change rows like somebody who writes to the backend directly.

use std::path::Path;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _};

use crate::controller::{Controller, url};

/// A store that a controller may have open.
pub struct Database(String);

impl Database {
    /// That of a controller.
    pub fn of(controller: &Controller) -> Self {
        Self(controller.store().to_owned())
    }

    /// That which a test knows by this path.
    pub async fn at(path: &Path) -> Self {
        Self(url(path).await)
    }

    /// A new connection.
    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let mut conn = AnyConnection::connect(&self.0).await.expect("open the store");
        prepare(&mut conn).await.expect("set up the connection");
        conn
    }

    /// A pool of one connection.
    pub async fn pool(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        let options = AnyPoolOptions::new().max_connections(1).after_connect(|conn, _| Box::pin(prepare(conn)));
        options.connect(&self.0).await.expect("open the store")
    }

    /// Changes rows; at least one must be.
    pub async fn change(&self, sql: &str, binds: &[&str]) {
        let mut statement = sqlx::query(AssertSqlSafe(sql));
        for bind in binds {
            statement = statement.bind((*bind).to_owned());
        }
        let changed = statement.execute(&mut self.connect().await).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(changed.rows_affected() > 0, "{sql} changes something");
    }

    /// The first column of all rows, as text.
    pub async fn texts(&self, sql: &str, binds: &[&str]) -> Vec<String> {
        let mut statement = sqlx::query_scalar(AssertSqlSafe(sql));
        for bind in binds {
            statement = statement.bind((*bind).to_owned());
        }
        statement.fetch_all(&mut self.connect().await).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// As the store's own connections to a file are; `PostgreSQL` needs nothing.
async fn prepare(conn: &mut AnyConnection) -> sqlx::Result<()> {
    if conn.backend_name() == "SQLite" {
        conn.execute("PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON").await?;
    }
    Ok(())
}
