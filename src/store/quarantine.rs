//! Rows whose object vanished without cleanup (rule 18): they keep data and seat, and are in nobody's way.

use crate::backend::BackendError;
use crate::domain::rows::{Key, RowKind};

use super::audit::{self, Action};
use super::db::query;
use super::error::{Step, refused};
use super::keys::Placed;
use super::tx::Tx;
use super::{keys, queue};

/// Quarantines the row of a key, and drops its ticket.
pub(super) async fn quarantine(tx: &mut Tx, key: &Key) -> Step<()> {
    queue::drop_of(tx, key).await?;
    let Some((kind, id)) = keys::find(tx.conn(), key).await? else { return Ok(()) };
    let row = keys::get(tx.conn(), kind, id).await?;
    if row.head.quarantined {
        return Ok(());
    }
    let sql = match kind {
        RowKind::Account => "UPDATE accounts SET quarantined = TRUE WHERE id = $1",
        RowKind::Organization => "UPDATE organizations SET quarantined = TRUE WHERE id = $1",
        RowKind::Operator => "UPDATE operators SET quarantined = TRUE, leaving = NULL WHERE id = $1",
        RowKind::Department => "UPDATE departments SET quarantined = TRUE WHERE id = $1",
        RowKind::Widget => "UPDATE widgets SET quarantined = TRUE WHERE id = $1",
    };
    query(sql).bind(id).execute(tx.conn()).await?;
    Ok(audit::record(tx, Action::Quarantine, kind, &row).await?)
}

/// Leaves a row behind in a parent without an object: quarantined, and matched by no key again.
pub(super) async fn detach(tx: &mut Tx, kind: RowKind, row: &Placed) -> Result<(), sqlx::Error> {
    let sql = match kind {
        RowKind::Account => "UPDATE accounts SET quarantined = TRUE, key = NULL WHERE id = $1",
        RowKind::Organization => "UPDATE organizations SET quarantined = TRUE, key = NULL WHERE id = $1",
        RowKind::Operator => "UPDATE operators SET quarantined = TRUE, key = NULL, leaving = NULL WHERE id = $1",
        RowKind::Department => "UPDATE departments SET quarantined = TRUE, key = NULL WHERE id = $1",
        RowKind::Widget => "UPDATE widgets SET quarantined = TRUE, key = NULL WHERE id = $1",
    };
    query(sql).bind(row.head.id).execute(tx.conn()).await?;
    audit::record(tx, Action::Detach, kind, row).await
}

/// Refuses a row that belongs to another organization (rule 7).
pub(super) fn moved<T>() -> Step<T> {
    refused(BackendError::Invalid {
        field: "spec.organizationRef".into(),
        message: "it belongs to another organization and cannot move; delete it and create it there".to_owned(),
    })
}
