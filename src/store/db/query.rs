//! A statement with its values, for either database. `$1` is understood by both.

use sqlx::database::{Database, HasStatementCache};
use sqlx::query::QueryAs;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Postgres, SqlSafeStr, SqlStr, Sqlite, Type, postgres::PgRow};

use super::postgres::answered;
use super::{Conn, Raw};

/// What a row of either database can be read as.
pub(in crate::store) trait Record: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

impl<T> Record for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A value of the types that columns have. `NULL` has the type of its column too.
#[derive(Clone, Debug)]
pub(in crate::store) enum Value {
    Flag(Option<bool>),
    Number(Option<i64>),
    Text(Option<String>),
}

macro_rules! value_from {
    ($($kind:ident: $type:ty),*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$kind(Some(value))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$kind(value)
            }
        }
    )*};
}

value_from!(Flag: bool, Number: i64, Text: String);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

/// A statement, with the values of its placeholders.
#[derive(Debug)]
pub(in crate::store) struct Query {
    sql: SqlStr,
    persistent: bool,
    values: Vec<Value>,
}

/// A statement that is prepared once.
pub(in crate::store) fn query(sql: &'static str) -> Query {
    Query { sql: sql.into_sql_str(), persistent: true, values: Vec::new() }
}

/// A statement on rows of values, which stand between `before` and `after`: `($1, $2), ($3, $4)`. Its text depends on their number:
/// it is not worth keeping prepared.
pub(in crate::store) fn values<const N: usize>(before: &str, rows: Vec<[Value; N]>, after: &str) -> Query {
    let row = |number: usize| {
        let places: Vec<String> = (1..=N).map(|column| format!("${}", number * N + column)).collect();
        format!("({})", places.join(", "))
    };
    let places: Vec<String> = (0..rows.len()).map(row).collect();
    let sql = AssertSqlSafe(format!("{before}{}{after}", places.join(", "))).into_sql_str();
    Query { sql, persistent: false, values: rows.into_iter().flatten().collect() }
}

impl Query {
    /// Gives the next placeholder its value.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs it, and says how many rows it changed.
    pub(in crate::store) async fn execute(self, conn: &mut Conn) -> sqlx::Result<u64> {
        let persistent = self.persistent;
        match conn.raw() {
            Raw::Sqlite(conn) => {
                let (sql, arguments) = self.arguments::<Sqlite>()?;
                Ok(sqlx::query_with(sql, arguments).persistent(persistent).execute(conn).await?.rows_affected())
            }
            Raw::Postgres(conn) => {
                let (sql, arguments) = self.arguments::<Postgres>()?;
                Ok(answered(sqlx::query_with(sql, arguments).persistent(persistent).execute(conn)).await?.rows_affected())
            }
        }
    }

    /// All its rows.
    pub(in crate::store) async fn fetch_all<T: Record>(self, conn: &mut Conn) -> sqlx::Result<Vec<T>> {
        match conn.raw() {
            Raw::Sqlite(conn) => self.reading::<Sqlite, T>()?.fetch_all(conn).await,
            Raw::Postgres(conn) => answered(self.reading::<Postgres, T>()?.fetch_all(conn)).await,
        }
    }

    /// Its row, if there is one.
    pub(in crate::store) async fn fetch_optional<T: Record>(self, conn: &mut Conn) -> sqlx::Result<Option<T>> {
        match conn.raw() {
            Raw::Sqlite(conn) => self.reading::<Sqlite, T>()?.fetch_optional(conn).await,
            Raw::Postgres(conn) => answered(self.reading::<Postgres, T>()?.fetch_optional(conn)).await,
        }
    }

    /// Its one row.
    pub(in crate::store) async fn fetch_one<T: Record>(self, conn: &mut Conn) -> sqlx::Result<T> {
        self.fetch_optional(conn).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// The first column of its one row.
    pub(in crate::store) async fn scalar<T>(self, conn: &mut Conn) -> sqlx::Result<T>
    where
        (T,): Record,
    {
        self.fetch_one::<(T,)>(conn).await.map(|(value,)| value)
    }

    /// The first column of its row, if there is one.
    pub(in crate::store) async fn scalar_optional<T>(self, conn: &mut Conn) -> sqlx::Result<Option<T>>
    where
        (T,): Record,
    {
        Ok(self.fetch_optional::<(T,)>(conn).await?.map(|(value,)| value))
    }

    /// The first column of all its rows.
    pub(in crate::store) async fn scalars<T>(self, conn: &mut Conn) -> sqlx::Result<Vec<T>>
    where
        (T,): Record,
    {
        Ok(self.fetch_all::<(T,)>(conn).await?.into_iter().map(|(value,)| value).collect())
    }

    fn reading<DB, T>(self) -> sqlx::Result<QueryAs<'static, DB, T, DB::Arguments>>
    where
        DB: Database + HasStatementCache,
        T: for<'r> FromRow<'r, DB::Row>,
        DB::Arguments: sqlx::IntoArguments<DB>,
        Option<bool>: Encode<'static, DB> + Type<DB>,
        Option<i64>: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
    {
        let persistent = self.persistent;
        let (sql, arguments) = self.arguments::<DB>()?;
        Ok(sqlx::query_as_with(sql, arguments).persistent(persistent))
    }

    fn arguments<DB>(self) -> sqlx::Result<(SqlStr, DB::Arguments)>
    where
        DB: Database,
        Option<bool>: Encode<'static, DB> + Type<DB>,
        Option<i64>: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
    {
        let sql = if !self.persistent && DB::NAME == Sqlite::NAME { unnamed(&self.sql) } else { self.sql };
        let mut arguments = DB::Arguments::default();
        for value in self.values {
            let added = match value {
                Value::Flag(value) => arguments.add(value),
                Value::Number(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok((sql, arguments))
    }
}

/// `SQLite` takes `$1` for a name, and looks it up among all others: too slow for thousands of them. `?` is simply the next value.
fn unnamed(sql: &SqlStr) -> SqlStr {
    let parts = sql.as_str().split('$').map(|part| part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    AssertSqlSafe(parts.collect::<Vec<_>>().join("?")).into_sql_str()
}
