//! Erasing single rows: operators, departments, widgets. Organizations and accounts go in batches: [`super::erasure`].

use crate::backend::BackendError;
use crate::domain::rows::{Key, RowKind};
use crate::domain::seats::Leaving;

use super::audit::{self, Action};
use super::db::Erased;
use super::db::query;
use super::error::{Step, refused};
use super::keys::{self, Outcome, Placed};
use super::tx::Tx;
use super::{handover, operators, queue};

/// Erases the row of a key, or drops its ticket. Nothing to erase is no error.
pub(super) async fn delete(tx: &mut Tx, key: &Key) -> Step<()> {
    let Some((kind, id)) = keys::find(tx.conn(), key).await? else {
        return Ok(queue::drop_of(tx, key).await?);
    };
    match kind {
        RowKind::Account | RowKind::Organization => {
            return refused(BackendError::Unsupported(format!("an {} is erased with all in it, not deleted", kind.as_str())));
        }
        RowKind::Operator => {
            let operator = operators::get(tx.conn(), id).await?;
            handover::may_leave(tx, &operator, Leaving::Delete).await?;
        }
        RowKind::Department | RowKind::Widget => {}
    }
    let row = keys::get(tx.conn(), kind, id).await?;
    queue::drop_of(tx, key).await?;
    Ok(erase_row(tx, kind, &row, Action::Delete).await?)
}

/// Erases one row without rows below it; credentials and memberships go with it.
pub(super) async fn erase_row(tx: &mut Tx, kind: RowKind, row: &Placed, action: Action) -> Result<(), sqlx::Error> {
    let sql = match kind {
        RowKind::Account => "DELETE FROM accounts WHERE id = $1",
        RowKind::Organization => "DELETE FROM organizations WHERE id = $1",
        RowKind::Operator => "DELETE FROM operators WHERE id = $1",
        RowKind::Department => "DELETE FROM departments WHERE id = $1",
        RowKind::Widget => "DELETE FROM widgets WHERE id = $1",
    };
    if kind == RowKind::Account {
        // Its own numbers go with it: they are recorded while it is still there.
        audit::record(tx, action, kind, row).await?;
    }
    query(sql).bind(row.head.id).execute(tx.conn()).await?;
    if let Some(key) = &row.head.key {
        keys::write_receipt(tx, kind, key, Outcome::Erased).await?;
    }
    if kind != RowKind::Account {
        audit::record(tx, action, kind, row).await?;
        tx.frees(row.account);
    }
    if tx.erased == Erased::Nothing {
        tx.erased = Erased::Row;
    }
    Ok(())
}
