//! Departments and their members: operators of the same organization that have a row (rule 8).

use std::collections::BTreeSet;

use sqlx::FromRow;

use crate::backend::Session;
use crate::domain::rows::{DepartmentFields, DesiredDepartment, Fields, Key, OwnerTag, Row, RowKind};

use super::audit::{self, Action};
use super::db::{Conn, Value, query, values};
use super::error::Step;
use super::keys::Placed;
use super::organizations::{self, Parent};
use super::rows::{Head, narrow};
use super::tx::Tx;
use super::{quarantine, values};

/// Opens every statement that reads departments.
macro_rules! select_departments {
    ($tail:literal) => {
        concat!(
            "SELECT d.id, d.external_id, d.key, d.owner, d.owner_namespace, d.owner_name, d.quarantined, d.organization, d.account, ",
            "g.key AS organization_key, g.quarantined AS organization_quarantined, d.display_name, d.position ",
            "FROM departments d JOIN organizations g ON g.id = d.organization ",
            $tail
        )
    };
}
pub(super) use select_departments;

/// How many keys are looked up at once.
const CHUNK: usize = 250;

/// A department's row.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Department {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) organization: i64,
    pub(super) account: i64,
    organization_key: Option<String>,
    organization_quarantined: bool,
    display_name: String,
    position: Option<i64>,
}

impl Department {
    async fn new(tx: &mut Tx, tag: &OwnerTag, parent: &Parent) -> Step<Self> {
        Ok(Self {
            head: Head::new(tx, tag).await?,
            organization: parent.id,
            account: parent.account,
            organization_key: parent.key.clone(),
            organization_quarantined: false,
            display_name: String::new(),
            position: None,
        })
    }

    fn set(&mut self, session: &Session, tag: &OwnerTag, desired: &DesiredDepartment) {
        let DesiredDepartment { display_name, position, members: _ } = desired;
        self.head.claim(session, tag);
        self.display_name.clone_from(display_name);
        self.position = position.map(i64::from).or(self.position);
    }

    /// Where it is.
    pub(super) fn placed(&self) -> Placed {
        Placed { head: self.head.clone(), account: self.account, organization: Some(self.organization) }
    }

    pub(super) fn row(&self, members: BTreeSet<Key>) -> Row {
        let values = DesiredDepartment { display_name: self.display_name.clone(), position: narrow(self.position), members: Some(members) };
        Row {
            external_id: self.head.external_id.clone(),
            tag: self.head.tag(RowKind::Department),
            quarantined: self.head.quarantined,
            fields: Fields::Department(DepartmentFields { organization: self.organization_key.clone().map(Key), values }),
        }
    }
}

pub(super) const BY_KEY: &str = select_departments!("WHERE d.key = $1");

/// The department of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Department>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

pub(super) const MEMBERS: &str = "SELECT p.key, p.id FROM department_members m JOIN operators p ON p.id = m.operator
    WHERE m.department = $1 AND NOT p.quarantined AND p.key IS NOT NULL";

/// The members of a department that have an object: those of others are theirs, and quarantined ones lost their membership to our eyes.
pub(super) async fn members(conn: &mut Conn, department: i64) -> Result<Vec<(Key, i64)>, sqlx::Error> {
    let members: Vec<(String, i64)> = query(MEMBERS).bind(department).fetch_all(conn).await?;
    Ok(members.into_iter().map(|(key, id)| (Key(key), id)).collect())
}

/// The department of an id of ours.
pub(super) async fn get(conn: &mut Conn, id: i64) -> Result<Department, sqlx::Error> {
    query(select_departments!("WHERE d.id = $1")).bind(id).fetch_one(conn).await
}

/// Makes or changes a department.
pub(super) async fn put(tx: &mut Tx, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Step<Row> {
    values::tag(tag)?;
    values::department(desired)?;
    tx.not_gone()?;
    let parent = organizations::parent(tx, organization).await?;
    let stored = match find(tx.conn(), &tag.key).await? {
        Some(row) if row.organization != parent.id && (row.organization_key.is_none() || row.organization_quarantined) => {
            quarantine::detach(tx, RowKind::Department, &row.placed()).await?;
            None
        }
        Some(row) if row.organization != parent.id => return quarantine::moved(),
        stored => stored,
    };
    let (mut department, was) = match stored {
        Some(stored) => (stored.clone(), Some(stored)),
        None => (Department::new(tx, tag, &parent).await?, None),
    };
    department.set(&tx.session, tag, desired);
    let action = if was.is_some() { Action::Update } else { Action::Create };
    let mut differs = was.as_ref() != Some(&department);
    if differs {
        save(tx, &mut department).await?;
    }
    if let Some(wanted) = &desired.members {
        differs |= assign(tx, &department, wanted).await?;
    }
    let members = members(tx.conn(), department.head.id).await?;
    if differs {
        audit::record(tx, action, RowKind::Department, &department.placed()).await?;
    }
    Ok(department.row(members.into_iter().map(|(key, _)| key).collect()))
}

async fn save(tx: &mut Tx, department: &mut Department) -> Step<()> {
    let Department { head, organization, account, display_name, position, .. } = department.clone();
    if head.id == 0 {
        let sql = "INSERT INTO departments (external_id, key, owner, owner_namespace, owner_name, organization, account, display_name,
            position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
        let statement = query(sql).bind(head.external_id).bind(head.key).bind(head.owner).bind(head.owner_namespace);
        let statement = statement.bind(head.owner_name).bind(organization).bind(account).bind(display_name).bind(position);
        department.head.id = statement.scalar(tx.conn()).await?;
    } else {
        let sql = "UPDATE departments SET key = $2, owner = $3, owner_namespace = $4, owner_name = $5, quarantined = $6,
            display_name = $7, position = $8 WHERE id = $1";
        let statement = query(sql).bind(head.id).bind(head.key).bind(head.owner).bind(head.owner_namespace).bind(head.owner_name);
        statement.bind(head.quarantined).bind(display_name).bind(position).execute(tx.conn()).await?;
    }
    Ok(())
}

/// Makes the memberships of operators with an object those wanted; says whether any changed.
async fn assign(tx: &mut Tx, department: &Department, wanted: &BTreeSet<Key>) -> Step<bool> {
    let present = members(tx.conn(), department.head.id).await?;
    let mut changed = false;
    for (_, operator) in present.iter().filter(|(key, _)| !wanted.contains(key)) {
        let sql = "DELETE FROM department_members WHERE department = $1 AND operator = $2";
        query(sql).bind(department.head.id).bind(*operator).execute(tx.conn()).await?;
        changed = true;
    }
    let present: BTreeSet<&Key> = present.iter().map(|(key, _)| key).collect();
    let missing: Vec<&Key> = wanted.iter().filter(|key| !present.contains(key)).collect();
    for keys in missing.chunks(CHUNK) {
        for operator in resolve(tx.conn(), department.organization, keys).await? {
            let sql = "INSERT INTO department_members (department, operator, organization) VALUES ($1, $2, $3)";
            query(sql).bind(department.head.id).bind(operator).bind(department.organization).execute(tx.conn()).await?;
            changed = true;
        }
    }
    Ok(changed)
}

/// The operators of an organization among keys; those without a row, or of another organization, are left out.
async fn resolve(conn: &mut Conn, organization: i64, keys: &[&Key]) -> Result<Vec<i64>, sqlx::Error> {
    let after = format!(") AND NOT quarantined AND organization = ${}", keys.len() + 1);
    let keys = keys.iter().map(|key| [Value::from(&key.0)]).collect();
    values("SELECT id FROM operators WHERE key IN (VALUES ", keys, &after).bind(organization).scalars(conn).await
}
