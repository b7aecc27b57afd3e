//! Rows and tickets in pages: observing an account costs pages, not one call an object.
//!
//! A page is bounded by its rows, and by its bytes: a provider takes no reply of any length. What a section adds to it at once is bounded
//! too, so that a page is never much longer than it should be: members are many, and widgets can be long.

use std::collections::{BTreeSet, HashMap};
use std::io;

use crate::backend::{BackendError, Cursor, Page, Result};
use crate::domain::rows::{Key, Row};

use super::Store;
use super::accounts::{self, Account, select_accounts};
use super::db::{Conn, Record, query};
use super::departments::{Department, select_departments};
use super::operators::{Operator, select_operators};
use super::organizations::{Organization, select_organizations};
use super::queue::{Ticket, select_tickets};
use super::widgets::{Widget, select_widgets};

/// How many rows a page has.
pub(super) const PAGE: i64 = 500;

/// How long a page is, in bytes of JSON, when nothing more is added to it. A provider takes four times as much.
const LENGTH: usize = 4 << 20;

/// How many members departments bring at once, unless one has more by itself.
const MEMBERS_AT_ONCE: i64 = 5_000;

/// How many widgets are read at once.
const WIDGETS_AT_ONCE: i64 = 100;

/// Where a listing of an account is: its section, and the last row of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    section: Section,
    organization: i64,
    id: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Account,
    Organizations,
    Operators,
    Departments,
    Widgets,
    Tickets,
}

const SECTIONS: [Section; 6] =
    [Section::Account, Section::Organizations, Section::Operators, Section::Departments, Section::Widgets, Section::Tickets];

impl At {
    fn start(section: Section) -> Self {
        Self { section, organization: 0, id: 0 }
    }

    fn parse(cursor: Option<&Cursor>) -> Result<Self> {
        let Some(cursor) = cursor else { return Ok(Self::start(Section::Account)) };
        let numbers: Option<Vec<i64>> = cursor.0.split(':').map(|number| number.parse().ok()).collect();
        if let Some([section, organization, id]) = numbers.as_deref()
            && let Some(&section) = usize::try_from(*section).ok().and_then(|section| SECTIONS.get(section))
        {
            return Ok(Self { section, organization: *organization, id: *id });
        }
        Err(bad_cursor())
    }

    fn cursor(self) -> Cursor {
        Cursor(format!("{}:{}:{}", self.section as usize, self.organization, self.id))
    }

    fn next_section(self) -> Option<Self> {
        SECTIONS.into_iter().find(|&section| section > self.section).map(Self::start)
    }
}

fn bad_cursor() -> BackendError {
    BackendError::Invalid { field: "cursor".into(), message: "is not one of this store; begin the listing again".to_owned() }
}

pub(super) const ORGANIZATIONS: &str =
    select_organizations!("WHERE g.account = $1 AND g.id > $2 AND g.key IS NOT NULL ORDER BY g.id LIMIT $3");
pub(super) const OPERATORS: &str = select_operators!(
    "WHERE p.account = $1 AND (p.organization, p.id) > ($2, $3) AND p.key IS NOT NULL ORDER BY p.organization, p.id LIMIT $4"
);
pub(super) const DEPARTMENTS: &str = select_departments!(
    "WHERE d.account = $1 AND (d.organization, d.id) > ($2, $3) AND d.key IS NOT NULL ORDER BY d.organization, d.id LIMIT $4"
);
pub(super) const WIDGETS: &str = select_widgets!(
    "WHERE w.account = $1 AND (w.organization, w.id) > ($2, $3) AND w.key IS NOT NULL ORDER BY w.organization, w.id LIMIT $4"
);
pub(super) const MEMBERS: &str = "SELECT d.id, p.key FROM departments d JOIN department_members m ON m.department = d.id
    JOIN operators p ON p.id = m.operator WHERE d.account = $1 AND (d.organization, d.id) > ($2, $3) AND (d.organization, d.id) <= ($4, $5)
    AND NOT p.quarantined AND p.key IS NOT NULL ORDER BY d.organization, d.id LIMIT $6";
pub(super) const TICKETS: &str = select_tickets!("WHERE account = $1 AND number > $2 ORDER BY number LIMIT $3");
pub(super) const ACCOUNTS: &str = select_accounts!("WHERE owner = $1 AND id > $2 AND key IS NOT NULL ORDER BY id LIMIT $3");

impl Store {
    /// One page of the rows, then of the tickets, of an account, named by its key or its external id. Unmanaged rows are left out.
    pub async fn page(&self, account: &Key, after: Option<&Cursor>) -> Result<Page> {
        let mut at = At::parse(after)?;
        let mut snapshot = self.reader().snapshot().await?;
        let mut page = Page::default();
        let Some(account) = accounts::named(&mut snapshot, account).await? else { return Ok(page) };
        let mut length = 0;
        loop {
            let before = page.rows.len();
            let room = PAGE - i64::try_from(before + page.tickets.len()).unwrap_or(PAGE);
            if room <= 0 || length >= LENGTH {
                page.next = Some(at.cursor());
                return Ok(page);
            }
            let went_on = section(&mut snapshot, &account, at, room, &mut page).await?;
            length += page.rows[before..].iter().map(json_length).sum::<usize>();
            match went_on.or_else(|| at.next_section()) {
                Some(next) => at = next,
                None => return Ok(page),
            }
        }
    }

    /// Accounts of an owner, quarantined ones included, paged.
    pub async fn accounts(&self, owner: &str, after: Option<&Cursor>) -> Result<(Vec<Row>, Option<Cursor>)> {
        let mut snapshot = self.reader().snapshot().await?;
        let after = number(after)?;
        let found: Vec<Account> = query(ACCOUNTS).bind(owner).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        let next = full(&found).map(|last| Cursor(last.head.id.to_string()));
        Ok((found.iter().map(Account::row).collect(), next))
    }
}

/// The last row of the page before.
pub(super) fn number(cursor: Option<&Cursor>) -> Result<i64> {
    cursor.map_or(Ok(0), |cursor| cursor.0.parse().map_err(|_| bad_cursor()))
}

/// The last of a page that is full: others may follow.
pub(super) fn full<T>(rows: &[T]) -> Option<&T> {
    rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|length| length == PAGE))
}

/// Adds rows of one section; says where it went on to, or that it is through.
async fn section(conn: &mut Conn, account: &Account, at: At, room: i64, page: &mut Page) -> std::result::Result<Option<At>, sqlx::Error> {
    let id = account.head.id;
    let last = match at.section {
        Section::Account => {
            page.rows.push(account.row());
            None
        }
        Section::Organizations => {
            let statement = query(ORGANIZATIONS).bind(id).bind(at.id).bind(room);
            let rows: Vec<Organization> = statement.fetch_all(conn).await?;
            page.rows.extend(rows.iter().map(Organization::row));
            rows.last().map(|last| (0, last.head.id))
        }
        Section::Operators => {
            let rows: Vec<Operator> = rows(conn, OPERATORS, id, at, room).await?;
            page.rows.extend(rows.iter().map(Operator::row));
            rows.last().map(|last| (last.organization, last.head.id))
        }
        Section::Departments => departments(conn, id, at, room, page).await?,
        Section::Widgets => {
            let rows: Vec<Widget> = rows(conn, WIDGETS, id, at, room.min(WIDGETS_AT_ONCE)).await?;
            page.rows.extend(rows.iter().map(Widget::row));
            rows.last().map(|last| (last.organization, last.head.id))
        }
        Section::Tickets => {
            let statement = query(TICKETS).bind(id).bind(at.id).bind(room);
            let tickets: Vec<Ticket> = statement.fetch_all(conn).await?;
            page.tickets.extend(tickets.iter().map(|ticket| (ticket.tag(), ticket.view())));
            tickets.last().map(|last| (0, last.number))
        }
    };
    Ok(last.map(|(organization, id)| At { section: at.section, organization, id }))
}

async fn rows<T: Record>(conn: &mut Conn, sql: &'static str, account: i64, at: At, room: i64) -> std::result::Result<Vec<T>, sqlx::Error> {
    query(sql).bind(account).bind(at.organization).bind(at.id).bind(room).fetch_all(conn).await
}

/// Departments come with their members.
async fn departments(
    conn: &mut Conn,
    account: i64,
    at: At,
    room: i64,
    page: &mut Page,
) -> std::result::Result<Option<(i64, i64)>, sqlx::Error> {
    let found: Vec<Department> = rows(conn, DEPARTMENTS, account, at, room).await?;
    let rows = with_members(conn, &found, (at.organization, at.id)).await?;
    let last = found[..rows.len()].last().map(|last| (last.organization, last.head.id));
    page.rows.extend(rows);
    Ok(last)
}

/// The rows of departments that follow each other, `after` an organization and a department in it: as many of the first ones as have no
/// more than [`MEMBERS_AT_ONCE`] together, and at least one.
pub(super) async fn with_members(conn: &mut Conn, found: &[Department], after: (i64, i64)) -> std::result::Result<Vec<Row>, sqlx::Error> {
    let mut found = found;
    let mut pairs = members(conn, found, after, MEMBERS_AT_ONCE + 1).await?;
    if let Some((cut, _)) = usize::try_from(MEMBERS_AT_ONCE).ok().and_then(|most| pairs.get(most)) {
        // That one's members are not all here. Should it be the first, they have to be.
        let whole = found.iter().take_while(|row| row.head.id != *cut).count();
        found = &found[..whole.max(1)];
        if whole == 0 {
            pairs = members(conn, found, after, i64::MAX).await?;
        }
    }
    let mut members: HashMap<i64, BTreeSet<Key>> = HashMap::new();
    for (department, key) in pairs {
        members.entry(department).or_default().insert(Key(key));
    }
    Ok(found.iter().map(|row| row.row(members.remove(&row.head.id).unwrap_or_default())).collect())
}

/// The first members of departments that follow each other, department by department.
async fn members(
    conn: &mut Conn,
    found: &[Department],
    after: (i64, i64),
    limit: i64,
) -> std::result::Result<Vec<(i64, String)>, sqlx::Error> {
    let Some(last) = found.last() else { return Ok(Vec::new()) };
    let statement = query(MEMBERS).bind(last.account).bind(after.0).bind(after.1).bind(last.organization).bind(last.head.id);
    statement.bind(limit).fetch_all(conn).await
}

/// How long a row is as JSON.
fn json_length(row: &Row) -> usize {
    let mut length = Length(0);
    // It cannot fail: what is a row can be written.
    serde_json::to_writer(&mut length, row).map_or(0, |()| length.0)
}

/// Counts what is written to it.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
