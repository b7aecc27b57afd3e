//! From a key to its row, and the receipts of keys whose row is gone (rule 13).

use sqlx::FromRow;

use crate::domain::rows::{Key, RowKind};

use super::db::{Conn, query};
use super::rows::Head;
use super::tx::Tx;

pub(super) const FIND: &str = "SELECT 'Account' AS kind, id FROM accounts WHERE key = $1
    UNION ALL SELECT 'Organization', id FROM organizations WHERE key = $1
    UNION ALL SELECT 'Operator', id FROM operators WHERE key = $1
    UNION ALL SELECT 'Department', id FROM departments WHERE key = $1
    UNION ALL SELECT 'Widget', id FROM widgets WHERE key = $1";

pub(super) const FIND_EXTERNAL: &str = "SELECT 'Account' AS kind, id FROM accounts WHERE external_id = $1
    UNION ALL SELECT 'Organization', id FROM organizations WHERE external_id = $1
    UNION ALL SELECT 'Operator', id FROM operators WHERE external_id = $1
    UNION ALL SELECT 'Department', id FROM departments WHERE external_id = $1
    UNION ALL SELECT 'Widget', id FROM widgets WHERE external_id = $1";

/// The row of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<(RowKind, i64)>, sqlx::Error> {
    Ok(found(query(FIND).bind(&key.0).fetch_optional(conn).await?))
}

/// The row of an external id.
pub(super) async fn find_external(conn: &mut Conn, external_id: &str) -> Result<Option<(RowKind, i64)>, sqlx::Error> {
    Ok(found(query(FIND_EXTERNAL).bind(external_id).fetch_optional(conn).await?))
}

fn found(row: Option<(String, i64)>) -> Option<(RowKind, i64)> {
    row.and_then(|(kind, id)| RowKind::parse(&kind).map(|kind| (kind, id)))
}

/// How a row went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Erased,
    Released,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::Released => "released",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        if text == "released" { Self::Released } else { Self::Erased }
    }
}

pub(super) const OUTCOME: &str = "SELECT outcome FROM receipts WHERE key = $1";

/// How the row of a key went; `None`: it did not.
pub(super) async fn outcome(conn: &mut Conn, key: &Key) -> Result<Option<Outcome>, sqlx::Error> {
    let text: Option<String> = query(OUTCOME).bind(&key.0).scalar_optional(conn).await?;
    Ok(text.as_deref().map(Outcome::parse))
}

/// Writes the receipt of a key; one that has one keeps the first.
pub(super) async fn write_receipt(tx: &mut Tx, kind: RowKind, key: &str, outcome: Outcome) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO receipts (key, kind, outcome, owner, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING";
    let statement = query(sql).bind(key.to_owned()).bind(kind.as_str()).bind(outcome.as_str());
    let statement = statement.bind(tx.session.owner.clone()).bind(tx.now.clone());
    tx.changed = true;
    statement.execute(tx.conn()).await.map(drop)
}

/// A row of any kind, the account it counts for, and the organization it is in: none for accounts and organizations.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Placed {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) account: i64,
    pub(super) organization: Option<i64>,
}

macro_rules! select_placed {
    ($account:literal, $organization:literal, $table:literal) => {
        concat!(
            "SELECT id, external_id, key, owner, owner_namespace, owner_name, quarantined, ",
            $account,
            " AS account, ",
            $organization,
            " AS organization FROM ",
            $table,
            " WHERE id = $1"
        )
    };
}

/// The row of a kind and an id of ours.
pub(super) async fn get(conn: &mut Conn, kind: RowKind, id: i64) -> Result<Placed, sqlx::Error> {
    let sql = match kind {
        RowKind::Account => select_placed!("id", "CAST(NULL AS BIGINT)", "accounts"),
        RowKind::Organization => select_placed!("account", "CAST(NULL AS BIGINT)", "organizations"),
        RowKind::Operator => select_placed!("account", "organization", "operators"),
        RowKind::Department => select_placed!("account", "organization", "departments"),
        RowKind::Widget => select_placed!("account", "organization", "widgets"),
    };
    query(sql).bind(id).fetch_one(conn).await
}
