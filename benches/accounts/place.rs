//! Databases to measure on, and what is in a store before the measuring begins.

use deskplane::api::operator::Role;
use deskplane::backend::{OperatorPut, Session};
use deskplane::domain::rows::{DesiredAccount, DesiredOperator, DesiredOrganization, Key, OwnerTag, Privacy, RowKind};
use deskplane::domain::seats::Limits;
use deskplane::store::{Location, Store};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::it::postgres::Cluster;
use crate::{Result, said};

/// Organizations of the account, over which the operators are spread.
pub const ORGANIZATIONS: u32 = 20;

/// In whose name is written.
pub const OWNER: &str = "bench";

/// The two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A server of this process's own, on the same disk.
    Postgres,
}

/// A place for one store.
pub struct Place {
    /// As `--database` takes it.
    pub url: String,
    /// Where the file is, if it is one.
    folder: TempDir,
}

impl Database {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// A new place.
    pub async fn place(self) -> Result<Place> {
        let folder = TempDir::new().map_err(said)?;
        let url = match self {
            Self::Sqlite => format!("sqlite://{}", folder.path().join("accounts.db").display()),
            Self::Postgres => {
                let url = Cluster::shared().url().await;
                durable(&url).await?;
                url
            }
        };
        Ok(Place { url, folder })
    }
}

/// A server for tests does not wait for the disk. `SQLite` does, and so does every server that keeps accounts.
async fn durable(url: &str) -> Result<()> {
    static DONE: OnceCell<()> = OnceCell::const_new();
    let set = async || {
        let mut conn = PgConnection::connect(url).await?;
        for sql in ["ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET full_page_writes = on", "SELECT pg_reload_conf()"] {
            conn.execute(sql).await?;
        }
        Ok::<_, sqlx::Error>(())
    };
    DONE.get_or_try_init(set).await.map(drop).map_err(said)
}

impl Place {
    /// The file of the store.
    pub fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("accounts.db")
    }

    /// Opens the store.
    pub async fn open(&self) -> Result<Store> {
        Box::pin(Store::open(&Location::parse(&self.url).map_err(said)?)).await.map_err(said)
    }

    /// Makes a store with an account of so many seats and its organizations.
    pub async fn found(&self, seats: u32) -> Result<(Store, Session)> {
        let store = self.open().await?;
        let session = store.begin_epoch(OWNER).await.map_err(said)?;
        put_account(&store, &session, seats + ORGANIZATIONS).await?;
        for number in 0..ORGANIZATIONS {
            put_organization(&store, &session, number, Privacy::default()).await?;
        }
        Ok((store, session))
    }
}

/// Makes the account, or changes its seats.
pub async fn put_account(store: &Store, session: &Session, seats: u32) -> Result<()> {
    let limits = Limits { seats: seats.into(), organizations: None, widgets: None };
    let desired = DesiredAccount { owner_email: "owner@acme.example".to_owned(), owner_display_name: None, limits };
    Box::pin(store.put_account(session, &tag(RowKind::Account, "acme"), &desired)).await.map(drop).map_err(said)
}

/// Makes an organization with its first operator, or changes it.
pub async fn put_organization(store: &Store, session: &Session, number: u32, privacy: Privacy) -> Result<()> {
    let first = format!("first-{number}");
    let (first_tag, person) = (tag(RowKind::Operator, &first), person(&first));
    let first = OperatorPut { tag: &first_tag, desired: &person, intent: None };
    let desired = DesiredOrganization { privacy, ..DesiredOrganization::default() };
    let tag = tag(RowKind::Organization, &organization(number));
    Box::pin(store.put_organization(session, &tag, &key("acme"), &desired, Some(first))).await.map(drop).map_err(said)
}

/// The name of an operator.
pub fn operator(number: u32) -> String {
    format!("operator-{number}")
}

/// The name of the organization of that number; more begin again.
pub fn organization(number: u32) -> String {
    format!("organization-{}", number % ORGANIZATIONS)
}

/// The key of an object.
pub fn key(name: &str) -> Key {
    Key(format!("uid-{name}"))
}

/// An object.
pub fn tag(kind: RowKind, name: &str) -> OwnerTag {
    OwnerTag { kind, namespace: "bench".to_owned(), name: name.to_owned(), key: key(name) }
}

/// What an operator should be.
pub fn person(name: &str) -> DesiredOperator {
    DesiredOperator {
        email: format!("{name}@acme.example"),
        display_name: Some(format!("This is {name}")),
        nickname: None,
        role: Role::Agent,
        suspended: false,
        position: None,
        switch_organizations: None,
    }
}
