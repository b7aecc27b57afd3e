//! What is known of one key (rule 13): a row, a ticket, how its row went, or nothing.

use crate::backend::{BackendError, Result};
use crate::domain::rows::{Answer, Key, Reach, Row, RowKind};

use super::db::Conn;
use super::keys::{self, Outcome};
use super::{Store, accounts, departments, operators, organizations, queue, widgets};

impl Store {
    /// What is known of one key.
    pub async fn lookup(&self, key: &Key) -> Result<Answer> {
        let mut snapshot = self.reader().snapshot().await?;
        Ok(answer(&mut snapshot, key).await?)
    }

    /// Who can be reached in an organization.
    pub async fn reach(&self, organization: &Key) -> Result<Reach> {
        let mut snapshot = self.reader().snapshot().await?;
        let organization = organizations::find(&mut snapshot, organization).await?;
        organization.map(|found| found.reach()).ok_or(BackendError::ParentNotFound(RowKind::Organization))
    }
}

async fn answer(conn: &mut Conn, key: &Key) -> std::result::Result<Answer, sqlx::Error> {
    if let Some((kind, _)) = keys::find(conn, key).await?
        && let Some(row) = row(conn, kind, key).await?
    {
        return Ok(Answer::Present(Box::new(row)));
    }
    match keys::outcome(conn, key).await? {
        Some(Outcome::Erased) => return Ok(Answer::Erased),
        Some(Outcome::Released) => return Ok(Answer::Released),
        None => {}
    }
    Ok(queue::find(conn, key).await?.map_or(Answer::Unknown, |ticket| Answer::Waiting(ticket.view())))
}

async fn row(conn: &mut Conn, kind: RowKind, key: &Key) -> std::result::Result<Option<Row>, sqlx::Error> {
    Ok(match kind {
        RowKind::Account => accounts::find(conn, key).await?.map(|found| found.row()),
        RowKind::Organization => organizations::find(conn, key).await?.map(|found| found.row()),
        RowKind::Operator => operators::find(conn, key).await?.map(|found| found.row()),
        RowKind::Widget => widgets::find(conn, key).await?.map(|found| found.row()),
        RowKind::Department => match departments::find(conn, key).await? {
            Some(found) => {
                let members = departments::members(conn, found.head.id).await?;
                Some(found.row(members.into_iter().map(|(key, _)| key).collect()))
            }
            None => None,
        },
    })
}
