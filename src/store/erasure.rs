//! Erasing an organization, or an account (rule 12): marked first, so that nothing new comes in, then by bounded batches.

use sqlx::FromRow;

use crate::backend::{BackendError, Erasing};
use crate::domain::rows::{Key, RowKind};

use super::audit::{self, Action};
use super::db::{Conn, Erased, Value, query, values};
use super::error::{Step, Stop, refused};
use super::keys::{self, Outcome};
use super::organizations::{self, Organization};
use super::tx::Tx;
use super::{accounts, deletion, queue};

/// How many rows one transaction erases.
pub(super) const BATCH: i64 = 500;

/// Erases memberships in departments of an organization.
pub(super) const MEMBERS: &str = "DELETE FROM department_members WHERE (department, operator) IN (SELECT m.department, m.operator
    FROM departments d JOIN department_members m ON m.department = d.id WHERE d.organization = $1 LIMIT $2)";

/// Erases by one batch what belongs to a key.
pub(super) async fn erase(tx: &mut Tx, key: &Key) -> Step<Erasing> {
    match keys::find(tx.conn(), key).await? {
        Some((RowKind::Organization, id)) => organization(tx, id).await,
        Some((RowKind::Account, id)) => account(tx, id).await,
        Some((kind, _)) => refused(BackendError::Unsupported(format!("an {} is deleted by itself", kind.as_str()))),
        None if keys::outcome(tx.conn(), key).await? == Some(Outcome::Released) => refused(BackendError::Released),
        None => {
            queue::drop_of(tx, key).await?;
            Ok(Erasing { remaining: 0 })
        }
    }
}

/// Erases an organization by one batch.
pub(super) async fn organization(tx: &mut Tx, id: i64) -> Step<Erasing> {
    let organization = organizations::get(tx.conn(), id).await?;
    if !organization.erasing {
        return begin_organization(tx, &organization).await;
    }
    if !batch(tx, &organization).await? {
        return Ok(Erasing { remaining: organizations::get(tx.conn(), id).await?.remaining.max(1) });
    }
    Ok(Erasing { remaining: 0 })
}

async fn begin_organization(tx: &mut Tx, organization: &Organization) -> Step<Erasing> {
    let id = organization.head.id;
    let sql = "UPDATE organizations SET erasing = TRUE, remaining = 1
        + (SELECT COUNT(*) FROM operators WHERE organization = $1) + (SELECT COUNT(*) FROM departments WHERE organization = $1)
        + (SELECT COUNT(*) FROM widgets WHERE organization = $1) + transcripts
        WHERE id = $1 RETURNING remaining";
    let remaining = query(sql).bind(id).scalar(tx.conn()).await?;
    queue::drop_all(tx, organization.account, Some(id)).await?;
    audit::record(tx, Action::BeginErasing, RowKind::Organization, &organization.placed()).await?;
    Ok(Erasing { remaining })
}

/// Erases rows of an organization, and itself when none is left; says whether it is gone.
async fn batch(tx: &mut Tx, organization: &Organization) -> Step<bool> {
    let id = organization.head.id;
    let mut room = BATCH;
    // First, and bounded: an operator or department takes all its memberships along in one statement.
    let members = query(MEMBERS).bind(id).bind(room).execute(tx.conn()).await?;
    room -= i64::try_from(members).unwrap_or(i64::MAX);
    for kind in [RowKind::Operator, RowKind::Department, RowKind::Widget] {
        let erased = rows(tx.conn(), kind, id, room).await?;
        room -= i64::try_from(erased.len()).unwrap_or(i64::MAX);
        record(tx, kind, &erased, organization).await?;
    }
    let sql = "DELETE FROM transcripts WHERE id IN (SELECT id FROM transcripts WHERE organization = $1 ORDER BY id LIMIT $2)";
    let transcripts = query(sql).bind(id).bind(room).execute(tx.conn()).await?;
    room -= i64::try_from(transcripts).unwrap_or(i64::MAX);
    tx.frees(organization.account);
    if room < BATCH {
        // More may never come to be erased: a crash, or a confirmation that is withdrawn.
        tx.erased = Erased::Row;
    }
    if room <= 0 {
        return Ok(false);
    }
    queue::drop_all(tx, organization.account, Some(id)).await?;
    deletion::erase_row(tx, RowKind::Organization, &organization.placed(), Action::Erase).await?;
    tx.erased = Erased::All;
    Ok(true)
}

#[derive(FromRow)]
struct ErasedRow {
    key: Option<String>,
    external_id: String,
}

async fn rows(conn: &mut Conn, kind: RowKind, organization: i64, room: i64) -> Result<Vec<ErasedRow>, sqlx::Error> {
    let sql = match kind {
        RowKind::Operator => {
            "DELETE FROM operators WHERE id IN (SELECT id FROM operators WHERE organization = $1 ORDER BY id LIMIT $2) RETURNING key, external_id"
        }
        RowKind::Department => {
            "DELETE FROM departments WHERE id IN (SELECT id FROM departments WHERE organization = $1 ORDER BY id LIMIT $2) RETURNING key, external_id"
        }
        _ => {
            "DELETE FROM widgets WHERE id IN (SELECT id FROM widgets WHERE organization = $1 ORDER BY id LIMIT $2) RETURNING key, external_id"
        }
    };
    query(sql).bind(organization).bind(room.max(0)).fetch_all(conn).await
}

/// Receipts and audit of a batch, one statement each.
async fn record(tx: &mut Tx, kind: RowKind, erased: &[ErasedRow], from: &Organization) -> Step<()> {
    if erased.is_empty() {
        return Ok(());
    }
    let (now, owner, epoch) = (tx.now.clone(), tx.session.owner.clone(), tx.session.epoch);
    let keys = erased.iter().filter_map(|row| row.key.as_ref());
    let receipts: Vec<[Value; 5]> =
        keys.map(|key| [key.into(), kind.as_str().into(), Outcome::Erased.as_str().into(), (&owner).into(), (&now).into()]).collect();
    if !receipts.is_empty() {
        let sql = "INSERT INTO receipts (key, kind, outcome, owner, at) VALUES ";
        values(sql, receipts, " ON CONFLICT (key) DO NOTHING").execute(tx.conn()).await?;
    }
    let facts = "SELECT external_id, seats_held, seats_limit FROM accounts WHERE id = $1";
    let (account, held, limit): (String, i64, i64) = query(facts).bind(from.account).fetch_one(tx.conn()).await?;
    let entry = |row: &ErasedRow| -> [Value; 11] {
        let ErasedRow { key, external_id } = row;
        let (at, action, kind) = ((&now).into(), Action::Erase.as_str().into(), kind.as_str().into());
        let (key, external_id, account) = (key.clone().into(), external_id.into(), (&account).into());
        let organization = (&from.head.external_id).into();
        [at, (&owner).into(), epoch.into(), action, kind, key, external_id, account, held.into(), limit.into(), organization]
    };
    let sql =
        "INSERT INTO audit (at, owner, epoch, action, kind, key, external_id, account, seats_held, seats_limit, organization) VALUES ";
    values(sql, erased.iter().map(entry).collect(), "").execute(tx.conn()).await?;
    Ok(())
}

/// Erases an account by one batch: unmanaged and quarantined organizations first, then itself.
pub(super) async fn account(tx: &mut Tx, id: i64) -> Step<Erasing> {
    if !accounts::get(tx.conn(), id).await?.erasing {
        return begin_account(tx, id).await;
    }
    let sql = "SELECT id FROM organizations WHERE account = $1 ORDER BY id LIMIT 1";
    let next: Option<i64> = query(sql).bind(id).scalar_optional(tx.conn()).await?;
    if let Some(next) = next {
        let organization = organizations::get(tx.conn(), next).await?;
        batch(tx, &organization).await?;
        let remaining = query("SELECT remaining FROM accounts WHERE id = $1").bind(id).scalar(tx.conn()).await?;
        return Ok(Erasing { remaining: i64::max(remaining, 1) });
    }
    let row = keys::get(tx.conn(), RowKind::Account, id).await?;
    query("DELETE FROM tickets WHERE account = $1").bind(id).execute(tx.conn()).await?;
    deletion::erase_row(tx, RowKind::Account, &row, Action::Erase).await?;
    tx.erased = Erased::All;
    Ok(Erasing { remaining: 0 })
}

async fn begin_account(tx: &mut Tx, id: i64) -> Step<Erasing> {
    let row = keys::get(tx.conn(), RowKind::Account, id).await?;
    if let Some(name) = managed_organization(tx.conn(), id).await? {
        return Err(Stop::Refused(BackendError::InUse(format!("the account has the organization {name}; it is erased first"))));
    }
    let sql = "UPDATE accounts SET erasing = TRUE, remaining = 1
        + (SELECT COUNT(*) FROM organizations WHERE account = $1) + (SELECT COUNT(*) FROM operators WHERE account = $1)
        + (SELECT COUNT(*) FROM departments WHERE account = $1) + (SELECT COUNT(*) FROM widgets WHERE account = $1)
        + (SELECT CAST(COALESCE(SUM(transcripts), 0) AS BIGINT) FROM organizations WHERE account = $1)
        WHERE id = $1 RETURNING remaining";
    let remaining = query(sql).bind(id).scalar(tx.conn()).await?;
    queue::drop_all(tx, id, None).await?;
    audit::record(tx, Action::BeginErasing, RowKind::Account, &row).await?;
    Ok(Erasing { remaining })
}

/// `namespace/name` of an organization of the account that has an object.
async fn managed_organization(conn: &mut Conn, account: i64) -> Result<Option<String>, sqlx::Error> {
    let sql = "SELECT owner_namespace, owner_name FROM organizations WHERE account = $1 AND key IS NOT NULL AND NOT quarantined LIMIT 1";
    let found: Option<(Option<String>, Option<String>)> = query(sql).bind(account).fetch_optional(conn).await?;
    Ok(found.map(|(namespace, name)| format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())))
}
