//! Operators: their rows. Who gets a seat: [`super::admission`]; who hands one over: [`super::handover`].

use sqlx::FromRow;

use crate::api::operator::Role;
use crate::backend::{OperatorPut, Session};
use crate::domain::rows::{CredentialState, DesiredOperator, Fields, Key, OperatorFields, OwnerTag, Row, RowKind};
use crate::domain::seats::Leaving;
use crate::domain::text::fold_email;

use super::audit::{self, Action};
use super::db::{Conn, query};
use super::error::Step;
use super::keys::Placed;
use super::organizations::Parent;
use super::rows::{Head, narrow};
use super::tx::Tx;

/// Opens every statement that reads operators.
macro_rules! select_operators {
    ($tail:literal) => {
        concat!(
            "SELECT p.id, p.external_id, p.key, p.owner, p.owner_namespace, p.owner_name, p.quarantined, p.organization, p.account, ",
            "g.key AS organization_key, g.quarantined AS organization_quarantined, g.erasing AS organization_erasing, ",
            "p.email, p.email_folded, p.display_name, p.nickname, p.role, p.suspended, p.position, p.switch_organizations, p.leaving, ",
            "(SELECT c.state FROM credentials c WHERE c.operator = p.id) AS credentials ",
            "FROM operators p JOIN organizations g ON g.id = p.organization ",
            $tail
        )
    };
}
pub(super) use select_operators;

/// An operator's row.
// Its columns: each says something of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Operator {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) organization: i64,
    pub(super) account: i64,
    pub(super) organization_key: Option<String>,
    pub(super) organization_quarantined: bool,
    pub(super) organization_erasing: bool,
    pub(super) email: String,
    pub(super) email_folded: String,
    display_name: Option<String>,
    nickname: Option<String>,
    role: String,
    pub(super) suspended: bool,
    position: Option<i64>,
    switch_organizations: bool,
    leaving: Option<String>,
    credentials: Option<String>,
}

impl Operator {
    /// A row yet to be inserted.
    pub(super) async fn new(tx: &mut Tx, put: &OperatorPut<'_>, parent: &Parent) -> Step<Self> {
        let mut operator = Self {
            head: Head::new(tx, put.tag).await?,
            organization: parent.id,
            account: parent.account,
            organization_key: parent.key.clone(),
            organization_quarantined: false,
            organization_erasing: false,
            email: String::new(),
            email_folded: String::new(),
            display_name: None,
            nickname: None,
            role: String::new(),
            suspended: false,
            position: None,
            switch_organizations: false,
            leaving: None,
            credentials: None,
        };
        operator.set(&tx.session, put.tag, put.desired);
        Ok(operator)
    }

    /// Takes over what is desired; what is absent stays as it is. A wish to be suspended is met or withdrawn by this.
    pub(super) fn set(&mut self, session: &Session, tag: &OwnerTag, desired: &DesiredOperator) {
        let DesiredOperator { email, display_name, nickname, role, suspended, position, switch_organizations } = desired;
        self.head.claim(session, tag);
        self.email.clone_from(email);
        self.email_folded = fold_email(email);
        for (column, value) in [(&mut self.display_name, display_name), (&mut self.nickname, nickname)] {
            if value.is_some() {
                column.clone_from(value);
            }
        }
        role_name(*role).clone_into(&mut self.role);
        self.suspended = *suspended;
        self.position = position.map(i64::from).or(self.position);
        self.switch_organizations = switch_organizations.unwrap_or(self.switch_organizations);
        if self.leaving() == Some(Leaving::Suspend) {
            self.leaving = None;
        }
    }

    /// How it wants to leave, being the last.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        parse_leaving(self.leaving.as_deref())
    }

    /// The operator after its seat was handed over.
    pub(super) fn handed_over(&self) -> Self {
        Self { suspended: true, leaving: None, ..self.clone() }
    }

    /// Its organization is gone for its object: the row can only be left behind.
    pub(super) fn orphaned(&self) -> bool {
        self.organization_key.is_none() || self.organization_quarantined
    }

    pub(super) fn credentials(&self) -> CredentialState {
        match self.credentials.as_deref() {
            None => CredentialState::Absent,
            Some("active") => CredentialState::Active,
            Some(_) => CredentialState::Intended,
        }
    }

    pub(super) fn set_credentials(&mut self, state: Option<&str>) {
        self.credentials = state.map(str::to_owned);
    }

    /// Where it is.
    pub(super) fn placed(&self) -> Placed {
        Placed { head: self.head.clone(), account: self.account, organization: Some(self.organization) }
    }

    pub(super) fn row(&self) -> Row {
        let values = DesiredOperator {
            email: self.email.clone(),
            display_name: self.display_name.clone(),
            nickname: self.nickname.clone(),
            role: parse_role(&self.role),
            suspended: self.suspended,
            position: narrow(self.position),
            switch_organizations: Some(self.switch_organizations),
        };
        Row {
            external_id: self.head.external_id.clone(),
            tag: self.head.tag(RowKind::Operator),
            quarantined: self.head.quarantined,
            fields: Fields::Operator(OperatorFields {
                organization: self.organization_key.clone().map(Key),
                values,
                credentials: self.credentials(),
                leaving: self.leaving.is_some(),
            }),
        }
    }
}

/// A wish to leave, as the table names it.
pub(super) fn parse_leaving(text: Option<&str>) -> Option<Leaving> {
    match text {
        Some("delete") => Some(Leaving::Delete),
        Some(_) => Some(Leaving::Suspend),
        None => None,
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Manager => "Manager",
        Role::Supervisor => "Supervisor",
        Role::Agent => "Agent",
    }
}

fn parse_role(name: &str) -> Role {
    [Role::Manager, Role::Supervisor, Role::Agent].into_iter().find(|&role| role_name(role) == name).unwrap_or_default()
}

pub(super) const BY_KEY: &str = select_operators!("WHERE p.key = $1");

/// The operator of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> std::result::Result<Option<Operator>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

/// The operator of an id of ours.
pub(super) async fn get(conn: &mut Conn, id: i64) -> std::result::Result<Operator, sqlx::Error> {
    query(select_operators!("WHERE p.id = $1")).bind(id).fetch_one(conn).await
}

/// Inserts a row; its id is set.
pub(super) async fn insert(tx: &mut Tx, operator: &mut Operator) -> Step<()> {
    let sql = "INSERT INTO operators (external_id, key, owner, owner_namespace, owner_name, organization, account, email, email_folded,
        display_name, nickname, role, suspended, position, switch_organizations)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING id";
    let Operator { head, organization, account, email, email_folded, display_name, nickname, .. } = operator.clone();
    let Operator { role, suspended, position, switch_organizations, .. } = operator.clone();
    let statement = query(sql).bind(head.external_id).bind(head.key).bind(head.owner).bind(head.owner_namespace);
    let statement = statement.bind(head.owner_name).bind(organization).bind(account).bind(email).bind(email_folded);
    let statement = statement.bind(display_name).bind(nickname).bind(role).bind(suspended).bind(position);
    let statement = statement.bind(switch_organizations);
    operator.head.id = statement.scalar(tx.conn()).await?;
    Ok(audit::record(tx, Action::Create, RowKind::Operator, &operator.placed()).await?)
}

/// Writes an operator that differs from what is stored.
pub(super) async fn update(tx: &mut Tx, operator: &Operator, action: Action) -> Step<()> {
    let sql = "UPDATE operators SET key = $2, owner = $3, owner_namespace = $4, owner_name = $5, quarantined = $6, email = $7,
        email_folded = $8, display_name = $9, nickname = $10, role = $11, suspended = $12, position = $13, leaving = $14,
        switch_organizations = $15 WHERE id = $1";
    let Operator { head, email, email_folded, display_name, nickname, .. } = operator.clone();
    let Operator { role, suspended, position, leaving, switch_organizations, .. } = operator.clone();
    let statement = query(sql).bind(head.id).bind(head.key).bind(head.owner).bind(head.owner_namespace).bind(head.owner_name);
    let statement = statement.bind(head.quarantined).bind(email).bind(email_folded).bind(display_name).bind(nickname);
    let statement = statement.bind(role).bind(suspended).bind(position).bind(leaving);
    statement.bind(switch_organizations).execute(tx.conn()).await?;
    Ok(audit::record(tx, action, RowKind::Operator, &operator.placed()).await?)
}

/// Marks the last seat holder as wanting to leave.
pub(super) async fn mark_leaving(tx: &mut Tx, operator: &Operator, leaving: Leaving) -> Step<()> {
    let marked = Operator {
        leaving: Some(match leaving {
            Leaving::Delete => "delete".to_owned(),
            Leaving::Suspend => "suspend".to_owned(),
        }),
        ..operator.clone()
    };
    update(tx, &marked, Action::Leave).await
}
