//! Organizations: their rows, and what they are as parents. How one is founded: [`super::founding`].

use sqlx::FromRow;

use crate::backend::{BackendError, Session};
use crate::domain::rows::{DesiredOrganization, Fields, Key, OrganizationFields, OwnerTag, Privacy, Reach, Row, RowKind};

use super::audit::{self, Action};
use super::db::{Conn, query};
use super::error::{Step, refused};
use super::keys::Placed;
use super::rows::{Head, narrow};
use super::tx::Tx;

/// Opens every statement that reads organizations.
macro_rules! select_organizations {
    ($tail:literal) => {
        concat!(
            "SELECT g.id, g.external_id, g.key, g.owner, g.owner_namespace, g.owner_name, g.quarantined, g.account, ",
            "a.key AS account_key, a.quarantined AS account_quarantined, g.erasing, g.remaining, g.starter_made, ",
            "g.display_name, g.language, g.country, g.time_zone, g.store_transcripts, g.transcript_retention_days, g.anonymize_visitors, ",
            "(SELECT COUNT(*) FROM departments d WHERE d.organization = g.id AND NOT d.quarantined) AS departments, ",
            "EXISTS (SELECT 1 FROM departments d JOIN department_members m ON m.department = d.id JOIN operators p ON p.id = m.operator ",
            "WHERE d.organization = g.id AND NOT d.quarantined AND NOT p.quarantined AND NOT p.suspended) AS assigned ",
            "FROM organizations g JOIN accounts a ON a.id = g.account ",
            $tail
        )
    };
}
pub(super) use select_organizations;

/// An organization's row.
// Its columns: each says something of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Organization {
    #[sqlx(flatten)]
    pub(super) head: Head,
    pub(super) account: i64,
    pub(super) account_key: Option<String>,
    pub(super) account_quarantined: bool,
    pub(super) erasing: bool,
    pub(super) remaining: i64,
    pub(super) starter_made: bool,
    pub(super) display_name: Option<String>,
    pub(super) language: Option<String>,
    pub(super) country: Option<String>,
    pub(super) time_zone: Option<String>,
    #[sqlx(flatten)]
    pub(super) privacy: PrivacyColumns,
    pub(super) departments: i64,
    pub(super) assigned: bool,
}

/// What it wants done with transcripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub(super) struct PrivacyColumns {
    pub(super) store_transcripts: Option<bool>,
    pub(super) transcript_retention_days: Option<i64>,
    pub(super) anonymize_visitors: Option<bool>,
}

impl PrivacyColumns {
    pub(super) fn privacy(&self) -> Privacy {
        Privacy {
            store_transcripts: self.store_transcripts,
            retention_days: narrow(self.transcript_retention_days),
            anonymize_visitors: self.anonymize_visitors,
        }
    }

    fn set(&mut self, desired: &Privacy) {
        let Privacy { store_transcripts, retention_days, anonymize_visitors } = *desired;
        self.store_transcripts = store_transcripts.or(self.store_transcripts);
        self.transcript_retention_days = retention_days.map(i64::from).or(self.transcript_retention_days);
        self.anonymize_visitors = anonymize_visitors.or(self.anonymize_visitors);
    }
}

impl Organization {
    pub(super) fn reach(&self) -> Reach {
        Reach { departments: self.departments, assigned: self.assigned }
    }

    /// Where it is.
    pub(super) fn placed(&self) -> Placed {
        Placed { head: self.head.clone(), account: self.account, organization: None }
    }

    pub(super) fn row(&self) -> Row {
        let values = DesiredOrganization {
            display_name: self.display_name.clone(),
            language: self.language.clone(),
            country: self.country.clone(),
            time_zone: self.time_zone.clone(),
            privacy: self.privacy.privacy(),
        };
        Row {
            external_id: self.head.external_id.clone(),
            tag: self.head.tag(RowKind::Organization),
            quarantined: self.head.quarantined,
            fields: Fields::Organization(OrganizationFields {
                account: self.account_key.clone().map(Key),
                values,
                starter_made: self.starter_made,
                erasing: self.erasing,
                reach: self.reach(),
            }),
        }
    }

    /// Takes over what is desired; what is absent stays as it is.
    pub(super) fn set(&mut self, session: &Session, tag: &OwnerTag, desired: &DesiredOrganization) {
        let DesiredOrganization { display_name, language, country, time_zone, privacy } = desired;
        self.head.claim(session, tag);
        self.privacy.set(privacy);
        for (column, value) in [
            (&mut self.display_name, display_name),
            (&mut self.language, language),
            (&mut self.country, country),
            (&mut self.time_zone, time_zone),
        ] {
            if value.is_some() {
                column.clone_from(value);
            }
        }
    }
}

pub(super) const BY_KEY: &str = select_organizations!("WHERE g.key = $1");

/// The organization of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Organization>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

/// The organization of a key or an external id.
pub(super) async fn named(conn: &mut Conn, name: &Key) -> Result<Option<Organization>, sqlx::Error> {
    match find(conn, name).await? {
        None => query(select_organizations!("WHERE g.external_id = $1")).bind(&name.0).fetch_optional(conn).await,
        found => Ok(found),
    }
}

/// The organization of an id of ours.
pub(super) async fn get(conn: &mut Conn, id: i64) -> Result<Organization, sqlx::Error> {
    query(select_organizations!("WHERE g.id = $1")).bind(id).fetch_one(conn).await
}

pub(super) const PARENT: &str = "SELECT g.id, g.key, g.account,
    EXISTS (SELECT 1 FROM operators p WHERE p.organization = g.id AND p.leaving IS NOT NULL) AS has_leaving
    FROM organizations g WHERE g.key = $1 AND NOT g.erasing AND NOT g.quarantined";

/// An organization that takes new rows.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Parent {
    pub(super) id: i64,
    pub(super) key: Option<String>,
    pub(super) account: i64,
    /// The last seat holder wants to leave (rule 7).
    pub(super) has_leaving: bool,
}

/// The organization of a key, as a parent; refused where there is none that takes new rows.
pub(super) async fn parent(tx: &mut Tx, key: &Key) -> Step<Parent> {
    match query(PARENT).bind(&key.0).fetch_optional(tx.conn()).await? {
        Some(parent) => Ok(parent),
        None => refused(BackendError::ParentNotFound(RowKind::Organization)),
    }
}

/// Writes an organization that differs from what is stored.
pub(super) async fn update(tx: &mut Tx, organization: &Organization) -> Step<()> {
    let sql = "UPDATE organizations SET key = $2, owner = $3, owner_namespace = $4, owner_name = $5, quarantined = $6,
        starter_made = $7, display_name = $8, language = $9, country = $10, time_zone = $11, store_transcripts = $12,
        transcript_retention_days = $13, anonymize_visitors = $14 WHERE id = $1";
    let Organization { head, starter_made, display_name, language, country, time_zone, privacy, .. } = organization.clone();
    let PrivacyColumns { store_transcripts, transcript_retention_days, anonymize_visitors } = privacy;
    let statement = query(sql).bind(head.id).bind(head.key).bind(head.owner).bind(head.owner_namespace).bind(head.owner_name);
    let statement = statement.bind(head.quarantined).bind(starter_made).bind(display_name);
    let statement = statement.bind(language).bind(country).bind(time_zone).bind(store_transcripts);
    statement.bind(transcript_retention_days).bind(anonymize_visitors).execute(tx.conn()).await?;
    Ok(audit::record(tx, Action::Update, RowKind::Organization, &organization.placed()).await?)
}

/// Remembers that the starter kit was made (rule 6).
pub(super) async fn starter_made(tx: &mut Tx, key: &Key) -> Step<Row> {
    tx.not_gone()?;
    let Some(mut organization) = find(tx.conn(), key).await? else {
        return refused(BackendError::ParentNotFound(RowKind::Organization));
    };
    if !organization.starter_made {
        organization.starter_made = true;
        update(tx, &organization).await?;
    }
    Ok(organization.row())
}
