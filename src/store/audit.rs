//! The audit table: what was done to which row, by keys, with the account's seats after it. Never an e-mail, never a name of a person.

use crate::domain::rows::RowKind;

pub(super) use crate::domain::changes::Action;

use super::db::query;
use super::keys::Placed;
use super::tx::Tx;

const RECORD: &str = "INSERT INTO audit (at, owner, epoch, action, kind, key, external_id, account, seats_held, seats_limit, organization)
    SELECT $1, $2, $3, $4, $5, $6, $7, a.external_id, a.seats_held, a.seats_limit,
    COALESCE($9, (SELECT g.external_id FROM organizations g WHERE g.id = $10)) FROM accounts a WHERE a.id = $8";

/// Records what was just done to a row.
pub(super) async fn record(tx: &mut Tx, action: Action, kind: RowKind, row: &Placed) -> Result<(), sqlx::Error> {
    tx.changed = true;
    let Placed { head, account, organization } = row;
    // An organization's own row may be gone by now.
    let own = (kind == RowKind::Organization).then(|| head.external_id.clone());
    let statement = query(RECORD).bind(tx.now.clone()).bind(tx.session.owner.clone()).bind(tx.session.epoch);
    let statement = statement.bind(action.as_str()).bind(kind.as_str()).bind(head.key.clone()).bind(head.external_id.clone());
    statement.bind(*account).bind(own).bind(*organization).execute(tx.conn()).await.map(drop)
}
