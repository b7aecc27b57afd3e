//! Which database the query functions are compiled for. Its twin for `PostgreSQL` names the same aliases.

/// The database.
pub(super) type Db = sqlx::Sqlite;

/// A connection to it.
pub(super) type Conn = sqlx::SqliteConnection;
