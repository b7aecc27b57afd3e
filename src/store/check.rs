//! `deskplane store check`: whether the store is whole and keeps its own rules. Reads only; every finding says what it is about.

use serde::Serialize;
use sqlx::FromRow;

use crate::domain::seats::{self, Places};
use crate::domain::text::fold_email;

use super::accounts::{Account, select_accounts};
use super::db::{Conn, query};
use super::error::StoreError;
use super::open::Reader;
use super::queue::{Facts, Ticket, select_tickets};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Level {
    /// The store contradicts itself.
    Error,
    /// Worth knowing, and allowed.
    Note,
}

/// Something the check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is about: an external id, a ticket's number, a table.
    pub subject: String,
    /// What was found.
    pub detail: String,
}

fn error(subject: impl Into<String>, detail: impl Into<String>) -> Finding {
    Finding { level: Level::Error, subject: subject.into(), detail: detail.into() }
}

fn note(subject: impl Into<String>, detail: impl Into<String>) -> Finding {
    Finding { level: Level::Note, subject: subject.into(), detail: detail.into() }
}

impl Reader {
    /// Checks the database, its references, its counters, its queue and its rules.
    pub async fn check(&self) -> Result<Vec<Finding>, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut findings: Vec<Finding> = snapshot.integrity().await?.into_iter().map(|(subject, detail)| error(subject, detail)).collect();
        let accounts: Vec<Account> = query(select_accounts!("ORDER BY id")).fetch_all(&mut snapshot).await?;
        for account in &accounts {
            numbers(&mut snapshot, account, &mut findings).await?;
        }
        rules(&mut snapshot, &mut findings).await?;
        emails(&mut snapshot, &mut findings).await?;
        Ok(findings)
    }
}

const RECOUNT: &str = "SELECT
    (SELECT COUNT(*) FROM operators WHERE account = $1 AND NOT suspended) AS seats_held,
    (SELECT COUNT(*) FROM organizations WHERE account = $1) AS organizations_held,
    (SELECT COUNT(*) FROM widgets WHERE account = $1) AS widgets_held,
    (SELECT CAST(COALESCE(SUM(needs_seats), 0) AS BIGINT) FROM tickets WHERE account = $1 AND reserved) AS seats_reserved,
    (SELECT CAST(COALESCE(SUM(needs_organizations), 0) AS BIGINT) FROM tickets WHERE account = $1 AND reserved) AS organizations_reserved,
    (SELECT CAST(COALESCE(SUM(needs_widgets), 0) AS BIGINT) FROM tickets WHERE account = $1 AND reserved) AS widgets_reserved";

#[derive(FromRow)]
struct Recount {
    seats_held: i64,
    organizations_held: i64,
    widgets_held: i64,
    seats_reserved: i64,
    organizations_reserved: i64,
    widgets_reserved: i64,
}

/// Counters against rows, then the queue against what is free.
async fn numbers(conn: &mut Conn, account: &Account, findings: &mut Vec<Finding>) -> Result<(), sqlx::Error> {
    let (id, name) = (account.head.id, account.head.external_id.as_str());
    let counted: Recount = query(RECOUNT).bind(id).fetch_one(conn).await?;
    let held = Places { seats: counted.seats_held, organizations: counted.organizations_held, widgets: counted.widgets_held };
    let reserved =
        Places { seats: counted.seats_reserved, organizations: counted.organizations_reserved, widgets: counted.widgets_reserved };
    let ledger = Facts::load(conn, id).await?.ledger();
    if ledger.held != held {
        findings.push(error(name, format!("counts {:?} as held, its rows hold {held:?}", ledger.held)));
    }
    if ledger.reserved != reserved {
        findings.push(error(name, format!("counts {:?} as reserved, its tickets reserve {reserved:?}", ledger.reserved)));
    }
    if let Some(place) = seats::over_plan(&ledger.limits, &held) {
        findings.push(note(name, format!("holds more of {place:?} than its plan allows; nothing new is admitted")));
    }
    if ledger.overcommitted() {
        findings.push(error(name, "has reserved more than is free"));
    }
    let tickets: Vec<Ticket> =
        query(select_tickets!("WHERE account = $1 AND NOT reserved AND NOT paused")).bind(id).fetch_all(conn).await?;
    for ticket in tickets.iter().filter(|ticket| ledger.first_missing(ticket.needs()).is_none()) {
        findings.push(error(format!("ticket {}", ticket.number), "waits although all it needs is free"));
    }
    Ok(())
}

/// Rules that no constraint of the schema keeps: each statement lists what breaks one.
const RULES: [(Level, &str, &str); 8] = [
    (
        // Only a person can bring that about, by erasing a quarantined row.
        Level::Note,
        "has no operator who holds a seat",
        "SELECT g.external_id FROM organizations g WHERE g.key IS NOT NULL AND NOT g.erasing AND NOT g.quarantined
         AND NOT EXISTS (SELECT 1 FROM operators p WHERE p.organization = g.id AND NOT p.suspended)",
    ),
    (
        Level::Error,
        "has a row and a receipt that says it was erased",
        "SELECT external_id FROM (SELECT external_id, key FROM accounts UNION ALL SELECT external_id, key FROM organizations
         UNION ALL SELECT external_id, key FROM operators UNION ALL SELECT external_id, key FROM departments
         UNION ALL SELECT external_id, key FROM widgets) AS r WHERE r.key IN (SELECT key FROM receipts)",
    ),
    (
        Level::Error,
        "holds a seat and waits for one",
        "SELECT p.external_id FROM operators p JOIN tickets t ON t.key = p.key WHERE NOT p.suspended",
    ),
    (Level::Error, "needs nothing", "SELECT 'ticket ' || number FROM tickets WHERE needs_seats + needs_organizations + needs_widgets = 0"),
    (
        Level::Error,
        "waits for an organization of another account",
        "SELECT 'ticket ' || t.number FROM tickets t JOIN organizations g ON g.id = t.organization WHERE g.account <> t.account",
    ),
    (
        Level::Error,
        "does not have as many transcripts as it counts",
        "SELECT g.external_id FROM organizations g
         WHERE g.transcripts <> (SELECT COUNT(*) FROM transcripts t WHERE t.organization = g.id)",
    ),
    (
        Level::Note,
        "is being erased",
        "SELECT external_id FROM organizations WHERE erasing UNION ALL SELECT external_id FROM accounts WHERE erasing",
    ),
    (Level::Note, "wants to leave and is the last of its organization", "SELECT external_id FROM operators WHERE leaving IS NOT NULL"),
];

async fn rules(conn: &mut Conn, findings: &mut Vec<Finding>) -> Result<(), sqlx::Error> {
    for (level, detail, sql) in RULES {
        let subjects: Vec<String> = query(sql).scalars(conn).await?;
        findings.extend(subjects.into_iter().map(|subject| Finding { level, subject, detail: detail.to_owned() }));
    }
    Ok(())
}

/// E-mails are compared in a folded form that only this program makes: others may have written another one.
async fn emails(conn: &mut Conn, findings: &mut Vec<Finding>) -> Result<(), sqlx::Error> {
    let mut after = 0;
    loop {
        let sql = "SELECT id, external_id, email, email_folded FROM operators WHERE id > $1 ORDER BY id LIMIT 1000";
        let rows: Vec<(i64, String, String, String)> = query(sql).bind(after).fetch_all(conn).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.0;
        let wrong = rows.iter().filter(|(_, _, email, folded)| fold_email(email) != *folded);
        findings.extend(
            wrong.map(|(_, external_id, _, _)| error(external_id.clone(), "has an e-mail that is not folded as this program folds it")),
        );
    }
}
