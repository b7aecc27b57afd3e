//! Rows by any of their names: the external id that the store gave, or the key that a client chose. External ids come first: nobody can
//! choose one.

use sqlx::FromRow;

use crate::backend::Result;
use crate::domain::rows::{Row, RowKind};

use super::Store;
use super::db::{Conn, query};
use super::lookup;

/// Where something is: what decides who may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its kind.
    pub kind: RowKind,
    /// External id of its account; an account's is its own.
    pub account: String,
    /// External id of its organization; an organization's is its own. None for accounts, and for organizations that only wait for a row.
    pub organization: Option<String>,
}

/// Rows of all kinds, with their account and organization, by one of their names.
macro_rules! places {
    ($name:literal) => {
        concat!(
            "SELECT 'Account' AS kind, a.id, a.external_id AS account, CAST(NULL AS TEXT) AS organization FROM accounts a WHERE a.",
            $name,
            " = $1 UNION ALL SELECT 'Organization', g.id, a.external_id, g.external_id
             FROM organizations g JOIN accounts a ON a.id = g.account WHERE g.",
            $name,
            " = $1 UNION ALL SELECT 'Operator', r.id, a.external_id, g.external_id FROM operators r
             JOIN organizations g ON g.id = r.organization JOIN accounts a ON a.id = r.account WHERE r.",
            $name,
            " = $1 UNION ALL SELECT 'Department', r.id, a.external_id, g.external_id FROM departments r
             JOIN organizations g ON g.id = r.organization JOIN accounts a ON a.id = r.account WHERE r.",
            $name,
            " = $1 UNION ALL SELECT 'Widget', r.id, a.external_id, g.external_id FROM widgets r
             JOIN organizations g ON g.id = r.organization JOIN accounts a ON a.id = r.account WHERE r.",
            $name,
            " = $1"
        )
    };
}

pub(super) const BY_EXTERNAL_ID: &str = places!("external_id");
pub(super) const BY_KEY: &str = places!("key");
pub(super) const TICKET: &str = "SELECT t.kind, t.number AS id, a.external_id AS account, g.external_id AS organization
    FROM tickets t JOIN accounts a ON a.id = t.account LEFT JOIN organizations g ON g.id = t.organization WHERE t.key = $1";

#[derive(FromRow)]
struct Found {
    kind: String,
    id: i64,
    account: String,
    organization: Option<String>,
}

impl Found {
    fn place(self) -> Option<Place> {
        Some(Place { kind: RowKind::parse(&self.kind)?, account: self.account, organization: self.organization })
    }
}

impl Store {
    /// The row of an external id or a key.
    pub async fn find(&self, name: &str) -> Result<Option<Row>> {
        let mut snapshot = self.reader().snapshot().await?;
        match row(&mut snapshot, name).await? {
            Some((kind, id)) => Ok(Some(lookup::row(&mut snapshot, kind, id).await?)),
            None => Ok(None),
        }
    }

    /// Where the row of an external id or a key is, or what waits for one.
    pub async fn locate(&self, name: &str) -> Result<Option<Place>> {
        let mut snapshot = self.reader().snapshot().await?;
        Ok(place(&mut snapshot, name).await?)
    }
}

/// Where the row of an external id or a key is, or what waits for one.
pub(super) async fn place(conn: &mut Conn, name: &str) -> std::result::Result<Option<Place>, sqlx::Error> {
    for sql in [BY_EXTERNAL_ID, BY_KEY, TICKET] {
        if let Some(found) = query(sql).bind(name).fetch_optional::<Found>(conn).await? {
            return Ok(found.place());
        }
    }
    Ok(None)
}

/// The row of an external id or a key, by its kind and an id of ours.
pub(super) async fn row(conn: &mut Conn, name: &str) -> std::result::Result<Option<(RowKind, i64)>, sqlx::Error> {
    for sql in [BY_EXTERNAL_ID, BY_KEY] {
        if let Some(found) = query(sql).bind(name).fetch_optional::<Found>(conn).await? {
            return Ok(RowKind::parse(&found.kind).map(|kind| (kind, found.id)));
        }
    }
    Ok(None)
}
