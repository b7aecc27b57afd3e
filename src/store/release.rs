//! Letting go (rule 15): one transaction clears keys and owner tags of an account or organization and all in it. The data stays.

use crate::backend::{BackendError, Released};
use crate::domain::rows::{Key, RowKind};

use super::audit::{self, Action};
use super::db::query;
use super::error::{Step, refused};
use super::keys::{self, Outcome};
use super::tx::Tx;
use super::{accounts, organizations, queue};

/// Writes receipts for the rows of one table, and clears their keys.
macro_rules! let_go {
    ($table:literal, $kind:literal, $column:literal, $more:literal) => {
        (
            concat!(
                "INSERT INTO receipts (key, kind, outcome, owner, at) SELECT key, '",
                $kind,
                "', 'released', $2, $3 FROM ",
                $table,
                " WHERE ",
                $column,
                " = $1 AND key IS NOT NULL ON CONFLICT (key) DO NOTHING"
            ),
            concat!(
                "UPDATE ",
                $table,
                " SET key = NULL, owner = NULL, owner_namespace = NULL, owner_name = NULL",
                $more,
                " WHERE ",
                $column,
                " = $1 AND key IS NOT NULL"
            ),
        )
    };
}

const OF_ORGANIZATION: [(&str, &str); 4] = [
    let_go!("organizations", "Organization", "id", ""),
    let_go!("operators", "Operator", "organization", ", leaving = NULL"),
    let_go!("departments", "Department", "organization", ""),
    let_go!("widgets", "Widget", "organization", ""),
];

const OF_ACCOUNT: [(&str, &str); 5] = [
    let_go!("accounts", "Account", "id", ""),
    let_go!("organizations", "Organization", "account", ""),
    let_go!("operators", "Operator", "account", ", leaving = NULL"),
    let_go!("departments", "Department", "account", ""),
    let_go!("widgets", "Widget", "account", ""),
];

/// Lets an account or an organization and all in it go.
pub(super) async fn release(tx: &mut Tx, key: &Key) -> Step<Released> {
    match keys::find(tx.conn(), key).await? {
        Some((RowKind::Organization, id)) => organization(tx, id).await,
        Some((RowKind::Account, id)) => account(tx, id).await,
        Some((kind, _)) => refused(BackendError::Unsupported(format!("an {} goes with its organization", kind.as_str()))),
        None => without_row(tx, key).await,
    }
}

/// What only waited for a row gets a receipt too: nothing is made for it later.
async fn without_row(tx: &mut Tx, key: &Key) -> Step<Released> {
    if let Some(ticket) = queue::find(tx.conn(), key).await? {
        keys::write_receipt(tx, ticket.tag().kind, &key.0, Outcome::Released).await?;
        queue::drop_of(tx, key).await?;
    }
    Ok(Released::default())
}

async fn organization(tx: &mut Tx, id: i64) -> Step<Released> {
    let organization = organizations::get(tx.conn(), id).await?;
    if organization.erasing {
        return being_erased();
    }
    queue::drop_all(tx, organization.account, Some(id)).await?;
    let rows = clear(tx, &OF_ORGANIZATION, id).await?;
    audit::record(tx, Action::Release, RowKind::Organization, &organization.placed()).await?;
    Ok(Released { rows })
}

async fn account(tx: &mut Tx, id: i64) -> Step<Released> {
    let account = accounts::get(tx.conn(), id).await?;
    let sql = "SELECT EXISTS (SELECT 1 FROM organizations WHERE account = $1 AND erasing)";
    if account.erasing || query(sql).bind(id).scalar(tx.conn()).await? {
        return being_erased();
    }
    queue::drop_all(tx, id, None).await?;
    let rows = clear(tx, &OF_ACCOUNT, id).await?;
    audit::record(tx, Action::Release, RowKind::Account, &account.placed()).await?;
    Ok(Released { rows })
}

fn being_erased<T>() -> Step<T> {
    refused(BackendError::InUse("it, or an organization of it, is being erased; what was begun is finished first".to_owned()))
}

async fn clear(tx: &mut Tx, tables: &[(&'static str, &'static str)], id: i64) -> Step<i64> {
    let mut rows = 0;
    for &(receipts, clear) in tables {
        let (owner, now) = (tx.session.owner.clone(), tx.now.clone());
        query(receipts).bind(id).bind(owner).bind(now).execute(tx.conn()).await?;
        let cleared = query(clear).bind(id).execute(tx.conn()).await?;
        rows += i64::try_from(cleared).unwrap_or_default();
    }
    Ok(rows)
}
