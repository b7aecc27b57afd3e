//! Rows in pages for people and products: by their parent, which is named by its external id or its key. Unmanaged rows are among them.

use crate::backend::{BackendError, Cursor, Result};
use crate::domain::rows::{Row, RowKind};

use super::Store;
use super::accounts::{Account, select_accounts};
use super::db::{Conn, query};
use super::departments::{Department, select_departments};
use super::find;
use super::listing::{PAGE, full, number, with_members};
use super::operators::{Operator, select_operators};
use super::organizations::{Organization, select_organizations};
use super::widgets::{Widget, select_widgets};

/// A page, and where the next one begins; `None`: it was the last.
type Rows = (Vec<Row>, Option<Cursor>);

pub(super) const ACCOUNTS: &str = select_accounts!("WHERE id > $1 ORDER BY id LIMIT $2");
pub(super) const ORGANIZATIONS: &str = select_organizations!("WHERE g.account = $1 AND g.id > $2 ORDER BY g.id LIMIT $3");
pub(super) const OPERATORS: &str = select_operators!("WHERE p.organization = $1 AND p.id > $2 ORDER BY p.id LIMIT $3");
pub(super) const DEPARTMENTS: &str = select_departments!("WHERE d.organization = $1 AND d.id > $2 ORDER BY d.id LIMIT $3");
pub(super) const WIDGETS: &str = select_widgets!("WHERE w.organization = $1 AND w.id > $2 ORDER BY w.id LIMIT $3");

impl Store {
    /// All accounts, or those of an owner.
    pub async fn list_accounts(&self, owner: Option<&str>, after: Option<&Cursor>) -> Result<Rows> {
        if let Some(owner) = owner {
            return self.accounts(owner, after).await;
        }
        let (mut snapshot, after) = (self.reader().snapshot().await?, number(after)?);
        let found: Vec<Account> = query(ACCOUNTS).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        Ok((found.iter().map(Account::row).collect(), next(&found, |last| last.head.id)))
    }

    /// The organizations of an account.
    pub async fn list_organizations(&self, account: &str, after: Option<&Cursor>) -> Result<Rows> {
        let (mut snapshot, after) = (self.reader().snapshot().await?, number(after)?);
        let account = parent(&mut snapshot, RowKind::Account, account).await?;
        let found: Vec<Organization> = query(ORGANIZATIONS).bind(account).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        Ok((found.iter().map(Organization::row).collect(), next(&found, |last| last.head.id)))
    }

    /// The operators of an organization.
    pub async fn list_operators(&self, organization: &str, after: Option<&Cursor>) -> Result<Rows> {
        let (mut snapshot, after) = (self.reader().snapshot().await?, number(after)?);
        let organization = parent(&mut snapshot, RowKind::Organization, organization).await?;
        let found: Vec<Operator> = query(OPERATORS).bind(organization).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        Ok((found.iter().map(Operator::row).collect(), next(&found, |last| last.head.id)))
    }

    /// The departments of an organization, with their members that have a key.
    pub async fn list_departments(&self, organization: &str, after: Option<&Cursor>) -> Result<Rows> {
        let (mut snapshot, after) = (self.reader().snapshot().await?, number(after)?);
        let organization = parent(&mut snapshot, RowKind::Organization, organization).await?;
        let found: Vec<Department> = query(DEPARTMENTS).bind(organization).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        let rows = with_members(&mut snapshot, &found, (organization, after)).await?;
        let cut = found[..rows.len()].last().filter(|_| rows.len() < found.len());
        let next = cut.map_or_else(|| next(&found, |last| last.head.id), |cut| Some(Cursor(cut.head.id.to_string())));
        Ok((rows, next))
    }

    /// The widgets of an organization.
    pub async fn list_widgets(&self, organization: &str, after: Option<&Cursor>) -> Result<Rows> {
        let (mut snapshot, after) = (self.reader().snapshot().await?, number(after)?);
        let organization = parent(&mut snapshot, RowKind::Organization, organization).await?;
        let found: Vec<Widget> = query(WIDGETS).bind(organization).bind(after).bind(PAGE).fetch_all(&mut snapshot).await?;
        Ok((found.iter().map(Widget::row).collect(), next(&found, |last| last.head.id)))
    }
}

/// The row that others are listed of.
async fn parent(conn: &mut Conn, kind: RowKind, name: &str) -> Result<i64> {
    match find::row(conn, name).await? {
        Some((found, id)) if found == kind => Ok(id),
        _ => Err(BackendError::ParentNotFound(kind)),
    }
}

fn next<T>(page: &[T], id: impl Fn(&T) -> i64) -> Option<Cursor> {
    full(page).map(|last| Cursor(id(last).to_string()))
}
