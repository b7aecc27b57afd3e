//! Tests of the store, against a file in a temporary folder.

mod cleanup;
mod fencing;
mod handover;
mod listing;
mod opening;
mod plans;
mod property;
mod rows;
mod scrub;
mod seats;
mod speed;

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Level, Store};
use crate::api::operator::Role;
use crate::backend::{BackendError, CredentialIntent, OperatorPut, Result, Session, Wake};
use crate::domain::rows::{
    Answer, DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Fields, Key, OwnerTag, Row, RowKind,
};
use crate::domain::seats::{Limits, Place};

/// A store, the right to write to it, and what it woke.
struct World {
    store: Store,
    session: Session,
    wakes: UnboundedReceiver<Wake>,
    folder: TempDir,
}

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
    }
}

fn suspended(name: &str) -> DesiredOperator {
    DesiredOperator { suspended: true, ..person(name) }
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let store = Store::open(&folder.path().join("deskplane.db"), "owner").await.expect("a new store");
        let session = store.begin_epoch().await.expect("an epoch");
        let wakes = store.take_wakes().expect("the wakes");
        Self { store, session, wakes, folder }
    }

    /// A store with an account `acme`.
    async fn with_account(limits: Limits) -> Self {
        let world = Self::new().await;
        world.account("acme", limits).await.expect("an account");
        world
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deskplane.db")
    }

    async fn account(&self, name: &str, limits: Limits) -> Result<Row> {
        let desired = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits };
        self.store.put_account(&self.session, &tag(RowKind::Account, name), &desired).await
    }

    /// Organization `name` in account `acme`, with a first operator `<name>-first`.
    async fn organization(&self, name: &str) -> Result<(Row, Option<Row>)> {
        self.organization_with(name, &format!("{name}-first")).await
    }

    async fn organization_with(&self, name: &str, first: &str) -> Result<(Row, Option<Row>)> {
        let (tag, desired) = (tag(RowKind::Operator, first), person(first));
        let first = OperatorPut { tag: &tag, desired: &desired, intent: None };
        let (tag, desired) = (self::tag(RowKind::Organization, name), DesiredOrganization::default());
        self.store.put_organization(&self.session, &tag, &key("acme"), &desired, Some(first)).await
    }

    async fn operator(&self, organization: &str, name: &str) -> Result<Row> {
        self.put(organization, name, &person(name)).await
    }

    async fn put(&self, organization: &str, name: &str, desired: &DesiredOperator) -> Result<Row> {
        let tag = tag(RowKind::Operator, name);
        self.store.put_operator(&self.session, &key(organization), OperatorPut { tag: &tag, desired, intent: None }).await
    }

    async fn put_with_intent(&self, organization: &str, name: &str, hash: &str) -> Result<Row> {
        let (tag, desired) = (tag(RowKind::Operator, name), person(name));
        let intent = CredentialIntent { hash: hash.to_owned(), secret_name: format!("{name}-credentials") };
        let put = OperatorPut { tag: &tag, desired: &desired, intent: Some(&intent) };
        self.store.put_operator(&self.session, &key(organization), put).await
    }

    async fn department(&self, organization: &str, name: &str, members: &[&str]) -> Result<Row> {
        let members = Some(members.iter().map(|name| key(name)).collect());
        let desired = DesiredDepartment { display_name: name.to_owned(), position: None, members };
        self.store.put_department(&self.session, &tag(RowKind::Department, name), &key(organization), &desired).await
    }

    async fn widget(&self, organization: &str, name: &str) -> Result<Row> {
        let desired = DesiredWidget { display_name: Some(name.to_owned()), ..DesiredWidget::default() };
        self.store.put_widget(&self.session, &tag(RowKind::Widget, name), &key(organization), &desired).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.store.delete(&self.session, &key(name)).await
    }

    /// Erases to the end; says how many calls it took.
    async fn erase(&self, name: &str) -> Result<usize> {
        let mut calls = 1;
        while self.store.erase(&self.session, &key(name)).await?.remaining > 0 {
            calls += 1;
        }
        Ok(calls)
    }

    async fn lookup(&self, name: &str) -> Answer {
        self.store.lookup(&key(name)).await.expect("an answer")
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
    fn woken(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Ok(wake) = self.wakes.try_recv() {
            names.push(wake.tag.name);
        }
        names
    }

    /// Ends the process, as far as the store can tell, and starts another one.
    async fn restart(&mut self) {
        self.store.close().await;
        self.crash().await;
    }

    /// The same without a last word.
    async fn crash(&mut self) {
        let path = self.path();
        // The lock goes with the store: another file holds the place meanwhile.
        self.store = Store::open(&self.folder.path().join("other.db"), "owner").await.expect("another store");
        self.store = Store::open(&path, "owner").await.expect("the store");
        self.session = self.store.begin_epoch().await.expect("an epoch");
        self.wakes = self.store.take_wakes().expect("the wakes");
    }

    /// Runs SQL as another program would.
    async fn others(&self, sql: &str) {
        let mut writer = self.store.writer().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(writer.idle().await).await.expect("SQL of others");
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let mut snapshot = self.store.reader().snapshot().await.expect("a snapshot");
        sqlx::query_scalar(sql).fetch_one(&mut *snapshot).await.expect("a number")
    }

    /// How much was ever written through the writing connection.
    async fn writes(&self) -> i64 {
        let mut writer = self.store.writer().await;
        sqlx::query_scalar("SELECT total_changes()").fetch_one(writer.idle().await).await.expect("a number")
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
