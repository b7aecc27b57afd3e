//! Tests of the store, on both databases: a file in a temporary folder, and a schema of a `PostgreSQL` server that the tests start.
//!
//! What a backend promises is tested by the same functions through every provider, on each database: [`through_all`].

/// Makes tests of functions that take the database to run on: `sqlite::name` and `postgres::name`.
macro_rules! on_both {
    (threads: $($name:ident),* $(,)?) => {
        mod sqlite_threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::On::Sqlite).await;
            })*
        }

        mod postgres_threads {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::On::Postgres).await;
            })*
        }
    };
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::On::Sqlite).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::On::Postgres).await;
            })*
        }
    };
}

/// Makes tests of what every backend promises: of the embedded one, and of an account server asked over HTTP, on both databases.
macro_rules! through_all {
    (threads: $($name:ident),* $(,)?) => {
        through_all! { @ contract_threads, (flavor = "multi_thread", worker_threads = 4), $($name),* }
    };
    (@ $module:ident, $flavor:tt, $($name:ident),*) => {
        mod $module {
            through_all! { @@ sqlite, Sqlite, $flavor, $($name),* }
            through_all! { @@ postgres, Postgres, $flavor, $($name),* }
            through_all! { @@ server_on_sqlite, ServerOnSqlite, $flavor, $($name),* }
            through_all! { @@ server_on_postgres, ServerOnPostgres, $flavor, $($name),* }
        }
    };
    (@@ $module:ident, $on:ident, $flavor:tt, $($name:ident),*) => {
        mod $module {
            $(#[tokio::test $flavor]
            async fn $name() {
                super::super::$name(super::super::On::$on).await;
            })*
        }
    };
    ($($name:ident),* $(,)?) => {
        through_all! { @ contract, (flavor = "current_thread"), $($name),* }
    };
}

mod backup;
mod changes;
mod cleanup;
#[path = "../../../tests/it/postgres.rs"]
mod cluster;
mod conditions;
mod fencing;
mod handover;
mod listing;
mod lists;
mod network;
mod opening;
mod owners;
mod plans;
mod postgres;
mod property;
mod race;
mod retention;
mod rows;
mod scrub;
mod seats;
mod served;
mod serving;
mod switching;
mod tokens;
mod transcripts;
mod upgrade;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

use super::db::{Database, query};
use super::wakes::Told;
use super::{Level, Location, Store};
use crate::api::operator::Role;
use crate::backend::embedded::Embedded;
use crate::backend::{Backend, BackendError, CredentialIntent, OperatorPut, Result, Session, Wake};
use crate::domain::rows::{
    Answer, DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Fields, Key, OwnerTag, Row, RowKind,
};
use crate::domain::seats::{Limits, Place};
use cluster::Cluster;
use serving::Serving;

/// What takes milliseconds is waited for this long.
const DEADLINE: Duration = Duration::from_secs(90);

/// Waits for what must happen: a test that fails says more than one that never ends.
async fn in_time<T>(what: &str, happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, happens).await.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// A database to run a test on, and whether through an account server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Sqlite,
    Postgres,
    ServerOnSqlite,
    ServerOnPostgres,
}

impl On {
    fn is_served(self) -> bool {
        matches!(self, Self::ServerOnSqlite | Self::ServerOnPostgres)
    }

    /// A new store's place.
    async fn location(self, folder: &TempDir) -> Location {
        match self {
            Self::Sqlite | Self::ServerOnSqlite => Location::File(folder.path().join("deskplane.db")),
            Self::Postgres | Self::ServerOnPostgres => Location::parse(&Cluster::shared().url().await).expect("a URL"),
        }
    }
}

/// A store, the right to write to it, and what it woke.
struct World {
    store: Arc<Store>,
    /// What the backend is asked through, unless it is the embedded one.
    serving: Option<Serving>,
    session: Session,
    wakes: UnboundedReceiver<Wake>,
    location: Location,
    folder: TempDir,
}

const TABLES: [&str; 14] = [
    "accounts",
    "audit",
    "credentials",
    "department_members",
    "departments",
    "epochs",
    "operators",
    "organizations",
    "receipts",
    "replies",
    "tickets",
    "tokens",
    "transcripts",
    "widgets",
];

const UNLIMITED: Limits = Limits { seats: 1_000_000, organizations: None, widgets: None };

fn seats(seats: i64) -> Limits {
    Limits { seats, ..UNLIMITED }
}

fn tag(kind: RowKind, name: &str) -> OwnerTag {
    OwnerTag { kind, namespace: "chat".to_owned(), name: name.to_owned(), key: key(name) }
}

fn key(name: &str) -> Key {
    Key(format!("uid-{name}"))
}

fn person(name: &str) -> DesiredOperator {
    DesiredOperator {
        email: format!("{name}@acme.example"),
        display_name: Some(name.to_owned()),
        nickname: None,
        role: Role::Manager,
        suspended: false,
        position: None,
        switch_organizations: None,
    }
}

fn suspended(name: &str) -> DesiredOperator {
    DesiredOperator { suspended: true, ..person(name) }
}

impl World {
    async fn new(on: On) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let location = on.location(&folder).await;
        Self::at(location, folder, on.is_served()).await
    }

    /// A new process of the owner on the store at a place, which may be new.
    async fn at(location: Location, folder: TempDir, served: bool) -> Self {
        let store = Arc::new(Store::open(&location).await.expect("the store"));
        let serving = if served { Some(Serving::start(store.clone()).await) } else { None };
        let backend = backend_of(&store, serving.as_ref(), "owner");
        let session = backend.begin_epoch().await.expect("an epoch");
        let wakes = backend.take_wakes().expect("the wakes");
        let mut world = Self { store, serving, session, wakes, location, folder };
        world.hears().await;
        world
    }

    /// What the tests ask.
    fn backend(&self) -> Arc<dyn Backend> {
        backend_of(&self.store, self.serving.as_ref(), &self.session.owner)
    }

    /// A store with an account `acme`.
    async fn with_account(on: On, limits: Limits) -> Self {
        let world = Self::new(on).await;
        world.account("acme", limits).await.expect("an account");
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deskplane.db")
    }

    async fn account(&self, name: &str, limits: Limits) -> Result<Row> {
        let desired = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits };
        self.backend().put_account(&self.session, &tag(RowKind::Account, name), &desired).await
    }

    /// Organization `name` in account `acme`, with a first operator `<name>-first`.
    async fn organization(&self, name: &str) -> Result<(Row, Option<Row>)> {
        self.organization_with(name, &format!("{name}-first")).await
    }

    async fn organization_with(&self, name: &str, first: &str) -> Result<(Row, Option<Row>)> {
        self.organization_in("acme", name, first).await
    }

    async fn organization_in(&self, account: &str, name: &str, first: &str) -> Result<(Row, Option<Row>)> {
        let (tag, desired) = (tag(RowKind::Operator, first), person(first));
        let first = OperatorPut { tag: &tag, desired: &desired, intent: None };
        let (tag, desired) = (self::tag(RowKind::Organization, name), DesiredOrganization::default());
        self.backend().put_organization(&self.session, &tag, &key(account), &desired, Some(first)).await
    }

    async fn operator(&self, organization: &str, name: &str) -> Result<Row> {
        self.put(organization, name, &person(name)).await
    }

    async fn put(&self, organization: &str, name: &str, desired: &DesiredOperator) -> Result<Row> {
        let tag = tag(RowKind::Operator, name);
        self.backend().put_operator(&self.session, &key(organization), OperatorPut { tag: &tag, desired, intent: None }).await
    }

    async fn put_with_intent(&self, organization: &str, name: &str, hash: &str) -> Result<Row> {
        let (tag, desired) = (tag(RowKind::Operator, name), person(name));
        let intent = CredentialIntent { hash: hash.to_owned(), secret_name: format!("{name}-credentials") };
        let put = OperatorPut { tag: &tag, desired: &desired, intent: Some(&intent) };
        self.backend().put_operator(&self.session, &key(organization), put).await
    }

    async fn department(&self, organization: &str, name: &str, members: &[&str]) -> Result<Row> {
        let members = Some(members.iter().map(|name| key(name)).collect());
        let desired = DesiredDepartment { display_name: name.to_owned(), position: None, members };
        self.backend().put_department(&self.session, &tag(RowKind::Department, name), &key(organization), &desired).await
    }

    async fn widget(&self, organization: &str, name: &str) -> Result<Row> {
        let desired = DesiredWidget { display_name: Some(name.to_owned()), ..DesiredWidget::default() };
        self.backend().put_widget(&self.session, &tag(RowKind::Widget, name), &key(organization), &desired).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.backend().delete(&self.session, &key(name)).await
    }

    /// Erases to the end; says how many calls it took.
    async fn erase(&self, name: &str) -> Result<usize> {
        let mut calls = 1;
        while self.backend().erase(&self.session, &key(name)).await?.remaining > 0 {
            calls += 1;
        }
        Ok(calls)
    }

    async fn lookup(&self, name: &str) -> Answer {
        self.backend().lookup(&key(name)).await.expect("an answer")
    }

    async fn present(&self, name: &str) -> Row {
        match self.lookup(name).await {
            Answer::Present(row) => *row,
            other => panic!("{name} has no row: {other:?}"),
        }
    }

    async fn waits(&self, name: &str) -> bool {
        matches!(self.lookup(name).await, Answer::Waiting(_))
    }

    /// Place in line, and whether the ticket is reserved.
    async fn ticket(&self, name: &str) -> (Option<i64>, bool) {
        match self.lookup(name).await {
            Answer::Waiting(ticket) => (ticket.position, ticket.reserved),
            other => panic!("{name} has no ticket: {other:?}"),
        }
    }

    /// Names of the objects woken since the last call.
    async fn woken(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        // Wakes come in the order in which they were sent: behind this one there is nothing of before.
        if let Some(end) = self.announce("end").await {
            while let Some(wake) = in_time("the last wake", self.wakes.recv()).await.filter(|wake| *wake != end) {
                names.push(wake.tag.name);
            }
        }
        while let Ok(wake) = self.wakes.try_recv() {
            names.push(wake.tag.name);
        }
        names
    }

    /// Sends all who listen outside of this process a wake that is no object's.
    async fn announce(&self, name: &str) -> Option<Wake> {
        let wake = Wake { tag: tag(RowKind::Account, name), ticket: None };
        let told = [Told { owner: self.session.owner.clone(), wake: wake.clone() }];
        match self.store.database() {
            Database::Sqlite(_) if self.serving.is_none() => return None,
            Database::Sqlite(_) => self.store.voice.tell(&told),
            Database::Postgres(database) => {
                let mut conn = database.connections().acquire().await.expect("a connection");
                self.store.voice.announce(&mut conn, &told).await.expect("a notification");
            }
        }
        Some(wake)
    }

    /// Waits until wakes are heard, and forgets those of before. Only one that is heard shows that somebody listens: the server shows a
    /// `LISTEN` from its first moment, but it is in force from its commit, and what is sent between is lost.
    async fn hears(&mut self) {
        let greeted = async {
            while let Some(hello) = self.announce("hello").await {
                let heard = tokio::time::timeout(Duration::from_millis(20), self.wakes.recv()).await;
                if heard.is_ok_and(|wake| wake == Some(hello)) {
                    return;
                }
            }
        };
        in_time("the first wake", greeted).await;
        self.woken().await;
    }

    /// Ends the process, as far as the store can tell, and starts another one.
    async fn restart(&mut self) {
        self.unplug().await;
        self.store.close().await;
        self.crash().await;
    }

    /// The same without a last word.
    async fn crash(&mut self) {
        let served = self.serving.is_some();
        self.unplug().await;
        // The lock goes with the store: another file holds the place meanwhile.
        self.store = Arc::new(Store::open(&self.folder.path().join("other.db")).await.expect("another store"));
        self.store = Arc::new(Store::open(&self.location).await.expect("the store"));
        if served {
            self.serving = Some(Serving::start(self.store.clone()).await);
        }
        self.session = self.backend().begin_epoch().await.expect("an epoch");
        self.wakes = self.backend().take_wakes().expect("the wakes");
        self.hears().await;
    }

    /// Ends the account server, so that nobody but this world has the store.
    async fn unplug(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.end().await;
        }
    }

    /// Runs SQL as another program would.
    async fn others(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.store.database() {
            Database::Sqlite(database) => sql.execute(database.writer().await.idle().await).await.map(drop),
            Database::Postgres(database) => sql.execute(database.connections()).await.map(drop),
        }
        .expect("SQL of others");
    }

    async fn number(&self, sql: &'static str) -> i64 {
        query(sql).scalar(&mut self.store.reader().snapshot().await.expect("a snapshot")).await.expect("a number")
    }

    /// Differs after whatever was written.
    async fn writes(&self) -> String {
        match self.store.database() {
            Database::Sqlite(database) => {
                let changes = sqlx::query_scalar("SELECT total_changes()").fetch_one(database.writer().await.idle().await).await;
                changes.map(|changes: i64| changes.to_string())
            }
            Database::Postgres(database) => {
                let versions =
                    |table| format!("SELECT md5(string_agg(ctid::text || xmin::text, ',' ORDER BY ctid)) AS version FROM {table}");
                let tables = TABLES.map(versions).join(" UNION ALL ");
                let sql = format!("SELECT string_agg(version, ',') FROM ({tables}) AS versions");
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(database.connections()).await
            }
        }
        .expect("what was written")
    }

    async fn held(&self) -> i64 {
        self.number("SELECT seats_held FROM accounts WHERE key = 'uid-acme'").await
    }

    /// The store contradicts neither itself nor the rules.
    async fn assert_whole(&self) {
        let findings = self.store.reader().check().await.expect("a check");
        let errors: Vec<_> = findings.into_iter().filter(|finding| finding.level == Level::Error).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

fn backend_of(store: &Arc<Store>, serving: Option<&Serving>, owner: &str) -> Arc<dyn Backend> {
    serving.map_or_else(|| Arc::new(Embedded::new(store.clone(), owner)) as Arc<dyn Backend>, Serving::backend)
}

fn missing<T: std::fmt::Debug>(result: Result<T>) -> (Place, Option<i64>) {
    match result {
        Err(BackendError::LimitExceeded { missing, position, .. }) => (missing, position),
        other => panic!("not refused by a limit: {other:?}"),
    }
}

fn operator_fields(row: &Row) -> &crate::domain::rows::OperatorFields {
    match &row.fields {
        Fields::Operator(fields) => fields,
        other => panic!("not an operator: {other:?}"),
    }
}
