//! Accounts: whose they are, and the limits of their plan, copied here (rule 4).

use sqlx::FromRow;

use crate::backend::Session;
use crate::domain::rows::{AccountFields, DesiredAccount, Fields, Key, OwnerTag, Row, RowKind};
use crate::domain::seats::Limits;
use crate::domain::text::fold_email;

use super::audit::{self, Action};
use super::db::{Conn, query};
use super::error::Step;
use super::keys::Placed;
use super::queue::Facts;
use super::rows::Head;
use super::tx::Tx;
use super::{settle, values};

/// Opens every statement that reads accounts.
macro_rules! select_accounts {
    ($tail:literal) => {
        concat!(
            "SELECT id, external_id, key, owner, owner_namespace, owner_name, quarantined, erasing, ",
            "owner_email, owner_display_name, seats_limit, organizations_limit, widgets_limit FROM accounts ",
            $tail
        )
    };
}
pub(super) use select_accounts;

/// An account's row.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Account {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) erasing: bool,
    owner_email: String,
    owner_display_name: Option<String>,
    seats_limit: i64,
    organizations_limit: Option<i64>,
    widgets_limit: Option<i64>,
}

impl Account {
    pub(super) fn limits(&self) -> Limits {
        Limits { seats: self.seats_limit, organizations: self.organizations_limit, widgets: self.widgets_limit }
    }

    /// Where it is.
    pub(super) fn placed(&self) -> Placed {
        Placed { head: self.head.clone(), account: self.head.id, organization: None }
    }

    /// Whether this is the owner's e-mail, folded.
    pub(super) fn is_owner(&self, email_folded: &str) -> bool {
        fold_email(&self.owner_email) == email_folded
    }

    pub(super) fn row(&self) -> Row {
        Row {
            external_id: self.head.external_id.clone(),
            tag: self.head.tag(RowKind::Account),
            quarantined: self.head.quarantined,
            fields: Fields::Account(AccountFields {
                values: DesiredAccount {
                    owner_email: self.owner_email.clone(),
                    owner_display_name: self.owner_display_name.clone(),
                    limits: self.limits(),
                },
            }),
        }
    }

    fn new(head: Head) -> Self {
        Self {
            head,
            erasing: false,
            owner_email: String::new(),
            owner_display_name: None,
            seats_limit: 0,
            organizations_limit: None,
            widgets_limit: None,
        }
    }

    fn set(&mut self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) {
        let DesiredAccount { owner_email, owner_display_name, limits } = desired;
        self.head.claim(session, tag);
        self.owner_email.clone_from(owner_email);
        if owner_display_name.is_some() {
            self.owner_display_name.clone_from(owner_display_name);
        }
        self.seats_limit = limits.seats;
        self.organizations_limit = limits.organizations;
        self.widgets_limit = limits.widgets;
    }
}

pub(super) const BY_KEY: &str = select_accounts!("WHERE key = $1");

/// The account of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Account>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

/// The account of a key or an external id.
pub(super) async fn named(conn: &mut Conn, name: &Key) -> Result<Option<Account>, sqlx::Error> {
    match find(conn, name).await? {
        None => query(select_accounts!("WHERE external_id = $1")).bind(&name.0).fetch_optional(conn).await,
        found => Ok(found),
    }
}

/// The account of an id of ours.
pub(super) async fn get(conn: &mut Conn, id: i64) -> Result<Account, sqlx::Error> {
    query(select_accounts!("WHERE id = $1")).bind(id).fetch_one(conn).await
}

/// Makes or changes an account.
pub(super) async fn put(tx: &mut Tx, tag: &OwnerTag, desired: &DesiredAccount) -> Step<Row> {
    values::tag(tag)?;
    values::account(desired)?;
    tx.not_gone()?;
    let Some(stored) = find(tx.conn(), &tag.key).await? else {
        return insert(tx, tag, desired).await;
    };
    if stored.erasing {
        return Ok(stored.row());
    }
    let mut account = stored.clone();
    account.set(&tx.session, tag, desired);
    if account != stored {
        update(tx, &account).await?;
    }
    if account.limits() == stored.limits() {
        put_right(tx, account.head.id).await?;
    } else {
        settle::revoke(tx, account.head.id).await?;
    }
    Ok(account.row())
}

/// The plan is the same, but others may have changed rows: whoever can be served now waits no longer.
async fn put_right(tx: &mut Tx, account: i64) -> Result<(), sqlx::Error> {
    let facts = Facts::load(tx.conn(), account).await?;
    if facts.unsettled() { settle::put_right(tx, account, &facts).await } else { Ok(()) }
}

async fn insert(tx: &mut Tx, tag: &OwnerTag, desired: &DesiredAccount) -> Step<Row> {
    let mut account = Account::new(Head::new(tx, tag).await?);
    account.set(&tx.session, tag, desired);
    let sql = "INSERT INTO accounts (external_id, key, owner, owner_namespace, owner_name, owner_email, owner_display_name,
        seats_limit, organizations_limit, widgets_limit) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";
    let Head { external_id, key, owner, owner_namespace, owner_name, .. } = account.head.clone();
    let statement = query(sql).bind(external_id).bind(key).bind(owner).bind(owner_namespace).bind(owner_name);
    let statement = statement.bind(account.owner_email.clone()).bind(account.owner_display_name.clone());
    let statement = statement.bind(account.seats_limit).bind(account.organizations_limit).bind(account.widgets_limit);
    account.head.id = statement.scalar(tx.conn()).await?;
    audit::record(tx, Action::Create, RowKind::Account, &account.placed()).await?;
    Ok(account.row())
}

async fn update(tx: &mut Tx, account: &Account) -> Step<()> {
    let sql = "UPDATE accounts SET key = $2, owner = $3, owner_namespace = $4, owner_name = $5, quarantined = $6, owner_email = $7,
        owner_display_name = $8, seats_limit = $9, organizations_limit = $10, widgets_limit = $11 WHERE id = $1";
    let Head { id, key, owner, owner_namespace, owner_name, quarantined, .. } = account.head.clone();
    let statement = query(sql).bind(id).bind(key).bind(owner).bind(owner_namespace).bind(owner_name).bind(quarantined);
    let statement = statement.bind(account.owner_email.clone()).bind(account.owner_display_name.clone());
    let statement = statement.bind(account.seats_limit).bind(account.organizations_limit).bind(account.widgets_limit);
    statement.execute(tx.conn()).await?;
    Ok(audit::record(tx, Action::Update, RowKind::Account, &account.placed()).await?)
}
