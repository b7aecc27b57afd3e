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

    /// Who can be reached in an organization; it is named by its key or its external id.
    pub async fn reach(&self, organization: &Key) -> Result<Reach> {
        let mut snapshot = self.reader().snapshot().await?;
        let organization = organizations::named(&mut snapshot, organization).await?;
        organization.map(|found| found.reach()).ok_or(BackendError::ParentNotFound(RowKind::Organization))
    }
}

async fn answer(conn: &mut Conn, key: &Key) -> std::result::Result<Answer, sqlx::Error> {
    if let Some((kind, id)) = keys::find(conn, key).await? {
        return Ok(Answer::Present(Box::new(row(conn, kind, id).await?)));
    }
    match keys::outcome(conn, key).await? {
        Some(Outcome::Erased) => return Ok(Answer::Erased),
        Some(Outcome::Released) => return Ok(Answer::Released),
        None => {}
    }
    Ok(queue::find(conn, key).await?.map_or(Answer::Unknown, |ticket| Answer::Waiting(ticket.view())))
}

/// The row of a kind and an id of ours.
pub(super) async fn row(conn: &mut Conn, kind: RowKind, id: i64) -> std::result::Result<Row, sqlx::Error> {
    Ok(match kind {
        RowKind::Account => accounts::get(conn, id).await?.row(),
        RowKind::Organization => organizations::get(conn, id).await?.row(),
        RowKind::Operator => operators::get(conn, id).await?.row(),
        RowKind::Widget => widgets::get(conn, id).await?.row(),
        RowKind::Department => {
            let department = departments::get(conn, id).await?;
            let members = departments::members(conn, id).await?;
            department.row(members.into_iter().map(|(key, _)| key).collect())
        }
    })
}
