//! What an account uses: in all, and by organization. One statement a table.

use std::collections::BTreeMap;

use crate::backend::{BackendError, Result};
use crate::domain::rows::{AccountUsage, Key, RowKind, UsageCounts};

use super::Store;
use super::accounts;
use super::db::{Conn, query};
use super::queue::Facts;

impl Store {
    /// What an account uses; it is named by its key or its external id.
    pub async fn usage(&self, account: &Key) -> Result<AccountUsage> {
        let mut snapshot = self.reader().snapshot().await?;
        let found = accounts::named(&mut snapshot, account).await?.ok_or(BackendError::ParentNotFound(RowKind::Account))?;
        let counts = by_organization(&mut snapshot, found.head.id).await?;
        let sql = "SELECT COUNT(*) FROM tickets WHERE account = $1 AND missing = 'Seat' AND NOT reserved AND organization IS NULL";
        let founders: i64 = query(sql).bind(found.head.id).scalar(&mut snapshot).await?;
        let mut total = counts.values().fold(UsageCounts::default(), |total, (_, counts)| add(total, counts));
        total.seats_waiting += founders;
        let organizations = counts.into_values().filter_map(|(key, counts)| key.map(|key| (Key(key), counts))).collect();
        let unsettled = Facts::load(&mut snapshot, found.head.id).await?.unsettled();
        Ok(AccountUsage { limits: found.limits(), total, organizations, unsettled })
    }
}

type Counts = BTreeMap<i64, (Option<String>, UsageCounts)>;

pub(super) const ORGANIZATIONS: &str = "SELECT id, key, transcripts FROM organizations WHERE account = $1";
pub(super) const OPERATORS: &str = "SELECT organization, COUNT(*), COUNT(*) FILTER (WHERE NOT suspended),
    COUNT(*) - COUNT(key) FROM operators WHERE account = $1 GROUP BY organization";
pub(super) const DEPARTMENTS: &str = "SELECT organization, COUNT(*) FROM departments WHERE account = $1 GROUP BY organization";
pub(super) const WIDGETS: &str = "SELECT organization, COUNT(*) FROM widgets WHERE account = $1 GROUP BY organization";
pub(super) const WAITING: &str = "SELECT organization, COUNT(*) FROM tickets
    WHERE account = $1 AND missing = 'Seat' AND NOT reserved AND organization IS NOT NULL GROUP BY organization";

async fn by_organization(conn: &mut Conn, account: i64) -> std::result::Result<Counts, sqlx::Error> {
    let organizations: Vec<(i64, Option<String>, i64)> = query(ORGANIZATIONS).bind(account).fetch_all(conn).await?;
    let one = |transcripts| UsageCounts { organizations: 1, transcripts, ..UsageCounts::default() };
    let mut counts: Counts = organizations.into_iter().map(|(id, key, transcripts)| (id, (key, one(transcripts)))).collect();
    let operators: Vec<(i64, i64, i64, i64)> = query(OPERATORS).bind(account).fetch_all(conn).await?;
    for (organization, all, holding, unmanaged) in operators {
        if let Some((_, counts)) = counts.get_mut(&organization) {
            (counts.operators, counts.seats_held, counts.unmanaged) = (all, holding, unmanaged);
        }
    }
    for (sql, field) in [(DEPARTMENTS, departments as Field), (WIDGETS, widgets), (WAITING, waiting)] {
        let rows: Vec<(i64, i64)> = query(sql).bind(account).fetch_all(conn).await?;
        for (organization, number) in rows {
            if let Some((_, counts)) = counts.get_mut(&organization) {
                *field(counts) = number;
            }
        }
    }
    Ok(counts)
}

type Field = fn(&mut UsageCounts) -> &mut i64;

fn departments(counts: &mut UsageCounts) -> &mut i64 {
    &mut counts.departments
}

fn widgets(counts: &mut UsageCounts) -> &mut i64 {
    &mut counts.widgets
}

fn waiting(counts: &mut UsageCounts) -> &mut i64 {
    &mut counts.seats_waiting
}

fn add(total: UsageCounts, more: &UsageCounts) -> UsageCounts {
    UsageCounts {
        organizations: total.organizations + more.organizations,
        operators: total.operators + more.operators,
        departments: total.departments + more.departments,
        widgets: total.widgets + more.widgets,
        transcripts: total.transcripts + more.transcripts,
        seats_held: total.seats_held + more.seats_held,
        seats_waiting: total.seats_waiting + more.seats_waiting,
        unmanaged: total.unmanaged + more.unmanaged,
    }
}
