//! The bare client: the statements that the store runs for a PUT of an operator, and nothing else.
//!
//! They are written here by hand, in the store's order, each in a round trip of its own, on a store that the product has made: so the
//! tables, indexes and triggers are the same, and `SQLite` waits for the disk as the store has it wait. On `PostgreSQL` each client has a
//! connection; `SQLite` has one writer, for which the clients stand in line.
//!
//! Left out is all that is no statement of that transaction: HTTP, JSON, the token, the checks of what may be written and the rules
//! themselves, random ids; the time limits that the store sets for each transaction on `PostgreSQL`; and that all ends well when a client
//! goes away.

use deskplane::backend::Session;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::place::{Database, Place, key, operator, organization, person};
use crate::{Result, said};

/// Which statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statements {
    /// All of them.
    All,
    /// Only the two that write, in their transaction: no client that keeps a rule can do with so little.
    Writes,
}

/// Connections.
pub struct Bare {
    connections: Connections,
    statements: Statements,
    session: Session,
    account: i64,
    /// By number.
    organizations: Vec<i64>,
}

enum Connections {
    Sqlite(Box<Mutex<SqliteConnection>>),
    Postgres(PgPool),
}

enum Turn<'a> {
    Sqlite(MutexGuard<'a, SqliteConnection>),
    Postgres(PoolConnection<Postgres>),
}

/// A value of a column.
enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(Some(text.into()))
}

const FENCE: &str = "SELECT m.store_id, COALESCE((SELECT e.epoch FROM epochs e WHERE e.owner = $1), 0) AS epoch,
    (SELECT r.outcome FROM receipts r WHERE r.key = $2) AS outcome, (
    SELECT 'Account' FROM accounts WHERE key = $2 AND owner <> $1
    UNION ALL SELECT 'Organization' FROM organizations WHERE key = $2 AND owner <> $1
    UNION ALL SELECT 'Operator' FROM operators WHERE key = $2 AND owner <> $1
    UNION ALL SELECT 'Department' FROM departments WHERE key = $2 AND owner <> $1
    UNION ALL SELECT 'Widget' FROM widgets WHERE key = $2 AND owner <> $1
    UNION ALL SELECT kind FROM tickets WHERE key = $2 AND owner <> $1
    UNION ALL SELECT 'Account' FROM accounts WHERE key = $3 AND owner <> $1
    UNION ALL SELECT 'Organization' FROM organizations WHERE key = $3 AND owner <> $1
    UNION ALL SELECT 'Operator' FROM operators WHERE key = $3 AND owner <> $1
    UNION ALL SELECT 'Department' FROM departments WHERE key = $3 AND owner <> $1
    UNION ALL SELECT 'Widget' FROM widgets WHERE key = $3 AND owner <> $1
    UNION ALL SELECT kind FROM tickets WHERE key = $3 AND owner <> $1 LIMIT 1) AS foreign_kind FROM meta m WHERE m.only_row = 1";

const LOCK_NUMBERS: &str = "SELECT pg_advisory_xact_lock_shared($1), pg_advisory_xact_lock($2), pg_advisory_xact_lock($3)";

const LOCK_ACCOUNT: &str = "SELECT id FROM accounts WHERE id IN (SELECT id FROM accounts WHERE key IN ($1, $2)
    UNION ALL SELECT account FROM organizations WHERE key IN ($1, $2) UNION ALL SELECT account FROM operators WHERE key IN ($1, $2)
    UNION ALL SELECT account FROM departments WHERE key IN ($1, $2) UNION ALL SELECT account FROM widgets WHERE key IN ($1, $2)
    UNION ALL SELECT account FROM tickets WHERE key IN ($1, $2)) ORDER BY id FOR NO KEY UPDATE";

const PARENT: &str = "SELECT g.id, g.key, g.account,
    EXISTS (SELECT 1 FROM operators p WHERE p.organization = g.id AND p.leaving IS NOT NULL) AS has_leaving
    FROM organizations g WHERE g.key = $1 AND NOT g.erasing AND NOT g.quarantined";

const BY_KEY: &str =
    "SELECT p.id, p.external_id, p.key, p.owner, p.owner_namespace, p.owner_name, p.quarantined, p.organization, p.account,
    g.key AS organization_key, g.quarantined AS organization_quarantined, g.erasing AS organization_erasing, p.email, p.email_folded,
    p.display_name, p.nickname, p.role, p.suspended, p.position, p.switch_organizations, p.leaving,
    (SELECT c.state FROM credentials c WHERE c.operator = p.id) AS credentials
    FROM operators p JOIN organizations g ON g.id = p.organization WHERE p.key = $1";

const BY_EMAIL: &str = "SELECT id, leaving FROM operators WHERE organization = $1 AND email_folded = $2 AND NOT quarantined AND id <> $3";

const FACTS: &str = "SELECT seats_limit, organizations_limit, widgets_limit, seats_held, organizations_held, widgets_held,
    seats_reserved, organizations_reserved, widgets_reserved,
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Organization' AND NOT t.reserved AND NOT t.paused),
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Operator' AND NOT t.reserved AND NOT t.paused),
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Widget' AND NOT t.reserved AND NOT t.paused)
    FROM accounts WHERE id = $1";

const TICKET: &str = "SELECT number, key, kind, owner, owner_namespace, owner_name, needs_seats, needs_organizations, needs_widgets,
    missing, paused, reserved, position FROM tickets WHERE key = $1";

const DROP_TICKET: &str = "DELETE FROM tickets WHERE key = $1 RETURNING account";

const FIND: &str = "SELECT 'Account' AS kind, id FROM accounts WHERE key = $1
    UNION ALL SELECT 'Organization', id FROM organizations WHERE key = $1 UNION ALL SELECT 'Operator', id FROM operators WHERE key = $1
    UNION ALL SELECT 'Department', id FROM departments WHERE key = $1 UNION ALL SELECT 'Widget', id FROM widgets WHERE key = $1";

const INSERT: &str = "INSERT INTO operators (external_id, key, owner, owner_namespace, owner_name, organization, account, email,
    email_folded, display_name, nickname, role, suspended, position, switch_organizations)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING id";

const RECORD: &str = "INSERT INTO audit (at, owner, epoch, action, kind, key, external_id, account, seats_held, seats_limit, organization)
    SELECT $1, $2, $3, $4, $5, $6, $7, a.external_id, a.seats_held, a.seats_limit,
    COALESCE($9, (SELECT g.external_id FROM organizations g WHERE g.id = $10)) FROM accounts a WHERE a.id = $8";

impl Bare {
    /// Connects as many clients to a store that has an account and its organizations.
    pub async fn connect(place: &Place, on: Database, clients: u32, statements: Statements, session: Session) -> Result<Self> {
        let connections = match on {
            Database::Sqlite => {
                let options = SqliteConnectOptions::new().filename(place.file()).statement_cache_capacity(200).foreign_keys(true);
                let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
                let conn = options.pragma("secure_delete", "ON").disable_statement_logging().connect().await;
                Connections::Sqlite(Box::new(Mutex::new(conn.map_err(said)?)))
            }
            Database::Postgres => {
                let pool = PgPoolOptions::new().max_connections(clients).test_before_acquire(false).connect(&place.url).await;
                Connections::Postgres(pool.map_err(said)?)
            }
        };
        let mut bare = Self { connections, statements, session, account: 0, organizations: Vec::new() };
        let mut turn = bare.turn().await?;
        let account = turn.run("SELECT id FROM accounts WHERE key = $1", [text(key("acme").0)]).await?;
        let mut organizations = Vec::new();
        for number in 0..crate::place::ORGANIZATIONS {
            organizations.extend(turn.run("SELECT id FROM organizations WHERE key = $1", [text(key(&organization(number)).0)]).await?);
        }
        drop(turn);
        bare.account = account.ok_or("no account")?;
        bare.organizations = organizations;
        Ok(bare)
    }

    /// Ends it.
    pub async fn close(self) -> Result<()> {
        match self.connections {
            Connections::Sqlite(conn) => conn.into_inner().close().await.map_err(said),
            Connections::Postgres(pool) => {
                pool.close().await;
                Ok(())
            }
        }
    }

    async fn turn(&self) -> Result<Turn<'_>> {
        Ok(match &self.connections {
            Connections::Sqlite(conn) => Turn::Sqlite(conn.lock().await),
            Connections::Postgres(pool) => Turn::Postgres(pool.acquire().await.map_err(said)?),
        })
    }

    /// What a PUT of a new operator writes.
    pub async fn put_new(&self, number: u32) -> Result<()> {
        let (own, parent) = (key(&operator(number)).0, key(&organization(number)).0);
        let home = self.organizations[number as usize % self.organizations.len()];
        let mut turn = self.turn().await?;
        turn.begin().await?;
        if self.statements == Statements::All {
            turn.look(&self.session, &own, &parent).await?;
            let folded = person(&operator(number)).email;
            turn.run(BY_EMAIL, [Value::Number(Some(home)), text(folded), Value::Number(Some(0))]).await?;
            turn.run(FACTS, [Value::Number(Some(self.account))]).await?;
            turn.run(TICKET, [text(&own)]).await?;
            turn.run(FIND, [text(&own)]).await?;
        }
        self.write(&mut turn, number, home).await?;
        turn.run("COMMIT", []).await.map(drop)
    }

    async fn write(&self, turn: &mut Turn<'_>, number: u32, home: i64) -> Result<()> {
        let (name, own, external) = (operator(number), key(&operator(number)).0, format!("oper_{number:026}"));
        let (person, owner) = (person(&name), &self.session.owner);
        let (home, account) = (Value::Number(Some(home)), || Value::Number(Some(self.account)));
        let names = [text(&external), text(&own), text(owner), text("bench"), text(&name)];
        let fields = [text(&person.email), text(&person.email), Value::Text(person.display_name), Value::Text(None), text("Agent")];
        let rest = [Value::Flag(false), Value::Number(None), Value::Flag(false)];
        let organization = self.organizations[number as usize % self.organizations.len()];
        turn.run(INSERT, names.into_iter().chain([home, account()]).chain(fields).chain(rest)).await?;
        let epoch = Value::Number(Some(self.session.epoch));
        let done = [text(jiff::Timestamp::now().to_string()), text(owner), epoch, text("Create"), text("Operator")];
        let of = [text(&own), text(&external), account(), Value::Text(None), Value::Number(Some(organization))];
        turn.run(RECORD, done.into_iter().chain(of)).await.map(drop)
    }

    /// What a PUT that changes nothing asks.
    pub async fn put_again(&self, number: u32) -> Result<()> {
        let (own, parent) = (key(&operator(number)).0, key(&organization(number)).0);
        let mut turn = self.turn().await?;
        turn.begin().await?;
        turn.look(&self.session, &own, &parent).await?;
        turn.run(DROP_TICKET, [text(&own)]).await?;
        turn.run("ROLLBACK", []).await.map(drop)
    }
}

impl Turn<'_> {
    async fn begin(&mut self) -> Result<()> {
        let sql = if matches!(self, Self::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
        self.run(sql, []).await.map(drop)
    }

    /// The locks, where there are any, and what every PUT of an operator looks at first.
    async fn look(&mut self, session: &Session, own: &str, parent: &str) -> Result<()> {
        if matches!(self, Self::Postgres(_)) {
            // The store hashes names to numbers.
            let number = |name: &str| Value::Number(Some(name.bytes().fold(7, |sum, byte| (sum * 31 + i64::from(byte)) % (1 << 40))));
            self.run(LOCK_NUMBERS, [number(&session.owner), number(own), number(parent)]).await?;
            self.run(LOCK_ACCOUNT, [text(own), text(parent)]).await?;
        }
        self.run(FENCE, [text(&session.owner), text(own), text(parent)]).await?;
        self.run(PARENT, [text(parent)]).await?;
        self.run(BY_KEY, [text(own)]).await.map(drop)
    }

    /// Runs a statement; the first column of its first row, if that is a number.
    async fn run(&mut self, sql: &'static str, values: impl IntoIterator<Item = Value>) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(conn) => on_sqlite(conn, sql, values).await,
            Self::Postgres(conn) => on_postgres(conn, sql, values).await,
        }
        .map_err(said)
    }
}

macro_rules! run_on {
    ($name:ident, $connection:ty) => {
        async fn $name(conn: &mut $connection, sql: &'static str, values: impl IntoIterator<Item = Value>) -> sqlx::Result<Option<i64>> {
            let statement = values.into_iter().fold(sqlx::query(sql), |statement, value| match value {
                Value::Text(text) => statement.bind(text),
                Value::Number(number) => statement.bind(number),
                Value::Flag(flag) => statement.bind(flag),
            });
            let rows = statement.fetch_all(conn).await?;
            Ok(rows.first().and_then(|row| row.try_get(0).ok()))
        }
    };
}

run_on!(on_sqlite, SqliteConnection);
run_on!(on_postgres, PgConnection);
