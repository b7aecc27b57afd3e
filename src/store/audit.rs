//! The audit table: what was done to which row, by keys, with the account's seats after it. Never an e-mail, never a name of a person.

use crate::domain::rows::RowKind;

use super::db::query;
use super::rows::Head;
use super::tx::Tx;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
    HandOver,
    Leave,
    Quarantine,
    Detach,
    BeginErasing,
    Erase,
    Release,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::HandOver => "hand-over",
            Self::Leave => "leave",
            Self::Quarantine => "quarantine",
            Self::Detach => "detach",
            Self::BeginErasing => "begin-erasing",
            Self::Erase => "erase",
            Self::Release => "release",
        }
    }
}

const RECORD: &str = "INSERT INTO audit (at, owner, epoch, action, kind, key, external_id, account, seats_held, seats_limit)
    SELECT $1, $2, $3, $4, $5, $6, $7, a.external_id, a.seats_held, a.seats_limit FROM accounts a WHERE a.id = $8";

/// Records what was just done to a row of `account`.
pub(super) async fn record(tx: &mut Tx, action: Action, kind: RowKind, head: &Head, account: i64) -> Result<(), sqlx::Error> {
    tx.changed = true;
    let statement = query(RECORD).bind(tx.now.clone()).bind(tx.session.owner.clone()).bind(tx.session.epoch);
    let statement = statement.bind(action.as_str()).bind(kind.as_str()).bind(head.key.clone()).bind(head.external_id.clone());
    statement.bind(account).execute(tx.conn()).await.map(drop)
}
