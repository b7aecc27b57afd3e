//! What a transaction that writes locks before its first look.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::Scope;

/// The accounts of rows and tickets, in the order in which all lock them.
macro_rules! lock_accounts {
    ($of:literal, $tickets:literal) => {
        concat!(
            "SELECT id FROM accounts WHERE id IN (SELECT id FROM accounts WHERE ",
            $of,
            " UNION ALL SELECT account FROM organizations WHERE ",
            $of,
            " UNION ALL SELECT account FROM operators WHERE ",
            $of,
            " UNION ALL SELECT account FROM departments WHERE ",
            $of,
            " UNION ALL SELECT account FROM widgets WHERE ",
            $of,
            $tickets,
            ") ORDER BY id FOR NO KEY UPDATE"
        )
    };
}

pub(in crate::store) const OF_KEYS: &str = lock_accounts!("key = ANY($1)", " UNION ALL SELECT account FROM tickets WHERE key = ANY($1)");
pub(in crate::store) const OF_EXTERNAL_ID: &str = lock_accounts!("external_id = $1", "");

/// Waits for whoever else is at what `scope` names, and keeps others from it until the transaction ends.
pub(super) async fn take(conn: &mut PgConnection, scope: Scope<'_>) -> sqlx::Result<()> {
    match scope {
        Scope::Store => Ok(()),
        Scope::Epoch { store, owner } => {
            let lock = format!("SELECT pg_advisory_xact_lock({})", number(store, "epoch", owner));
            conn.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await.map(drop)
        }
        Scope::Rows { store, owner, keys } => {
            let mut numbers: Vec<i64> = keys.iter().map(|key| number(store, "key", &key.0)).collect();
            numbers.sort_unstable();
            let epoch = format!("SELECT pg_advisory_xact_lock_shared({})", number(store, "epoch", owner));
            let others = numbers.into_iter().map(|number| format!("SELECT pg_advisory_xact_lock({number})"));
            let locks: Vec<String> = std::iter::once(epoch).chain(others).collect();
            conn.execute(sqlx::raw_sql(AssertSqlSafe(locks.join("; ")))).await?;
            let keys: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
            sqlx::query(OF_KEYS).bind(keys).execute(conn).await.map(drop)
        }
        Scope::External { external_id } => sqlx::query(OF_EXTERNAL_ID).bind(external_id).execute(conn).await.map(drop),
    }
}

/// The number of an advisory lock: numbers are all the server knows them by. Two names with one number would only wait for each other.
fn number(store: &str, kind: &str, name: &str) -> i64 {
    let digest = Sha256::new().chain_update(store).chain_update([0]).chain_update(kind).chain_update([0]).chain_update(name).finalize();
    i64::from_be_bytes(std::array::from_fn(|index| digest[index]))
}
