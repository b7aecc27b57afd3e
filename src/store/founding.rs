//! How an organization comes to be: its row and its first operator's row in one transaction (rule 4).

use crate::backend::{BackendError, OperatorPut};
use crate::domain::rows::{DesiredOrganization, Key, OwnerTag, Row, RowKind};
use crate::domain::seats::Places;

use super::audit::{self, Action};
use super::db::query;
use super::error::{Step, refused};
use super::organizations::{self, Organization, PrivacyColumns};
use super::queue::{self, Request};
use super::rows::Head;
use super::tx::Tx;
use super::{accounts, credentials, keys, operators, quarantine, values};

/// An organization as it is asked for.
#[derive(Debug)]
pub(super) struct OrganizationPut<'a> {
    pub(super) tag: &'a OwnerTag,
    pub(super) account: &'a Key,
    pub(super) desired: &'a DesiredOrganization,
    pub(super) first: Option<OperatorPut<'a>>,
}

/// Makes or changes an organization.
pub(super) async fn put(tx: &mut Tx, put: &OrganizationPut<'_>) -> Step<(Row, Option<Row>)> {
    values::tag(put.tag)?;
    values::organization(put.desired)?;
    tx.not_gone()?;
    let stored = organizations::find(tx.conn(), &put.tag.key).await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.erasing) {
        return Ok((stored.row(), None));
    }
    let account = match accounts::find(tx.conn(), put.account).await? {
        Some(account) if !account.erasing && !account.head.quarantined => account.head,
        _ => return refused(BackendError::ParentNotFound(RowKind::Account)),
    };
    match stored {
        Some(stored) if stored.account == account.id => change(tx, put, stored).await.map(|row| (row, None)),
        Some(stored) if stored.account_key.is_none() || stored.account_quarantined => {
            quarantine::detach(tx, RowKind::Organization, &stored.placed()).await?;
            found(tx, put, &account).await
        }
        Some(_) => refused(BackendError::Invalid {
            field: "spec.accountRef".into(),
            message: "the organization belongs to another account and cannot move; delete it and create it there".to_owned(),
        }),
        None => found(tx, put, &account).await,
    }
}

async fn change(tx: &mut Tx, put: &OrganizationPut<'_>, stored: Organization) -> Step<Row> {
    let mut organization = stored.clone();
    organization.set(&tx.session, put.tag, put.desired);
    if organization != stored {
        organizations::update(tx, &organization).await?;
    }
    Ok(organization.row())
}

async fn found(tx: &mut Tx, put: &OrganizationPut<'_>, account: &Head) -> Step<(Row, Option<Row>)> {
    let first = first_operator(tx, put).await?;
    let request = Request { tag: put.tag, account: account.id, organization: None, needs: Places::ORGANIZATION };
    let hearing = queue::hear(tx, &request).await?;
    if let Some(missing) = hearing.missing {
        return Err(queue::wait(tx, &request, hearing, missing).await);
    }
    queue::used(tx, &hearing, &put.tag.key).await?;
    queue::drop_of(tx, &first.tag.key).await?;
    let organization = insert(tx, put, account).await?;
    let parent = organizations::parent(tx, &put.tag.key).await?;
    let mut operator = operators::Operator::new(tx, first, &parent).await?;
    operators::insert(tx, &mut operator).await?;
    credentials::intend(tx, &mut operator, first.intent).await?;
    Ok((organization.row(), Some(operator.row())))
}

/// The first operator, fit to hold a seat and without a row of its own.
async fn first_operator<'a>(tx: &mut Tx, put: &'a OrganizationPut<'_>) -> Step<&'a OperatorPut<'a>> {
    let invalid = |message: &str| refused(BackendError::Invalid { field: "spec.firstOperator".into(), message: message.to_owned() });
    let Some(first) = put.first.as_ref() else {
        return invalid("an organization needs a first operator; name one");
    };
    values::tag(first.tag)?;
    values::operator(first.desired, first.intent)?;
    if first.desired.suspended {
        return invalid("the first operator is suspended; an organization needs one who holds a seat");
    }
    if keys::outcome(tx.conn(), &first.tag.key).await?.is_some() {
        return invalid("the first operator was erased or released; name another one");
    }
    match operators::find(tx.conn(), &first.tag.key).await? {
        None => {}
        Some(row) if row.orphaned() => quarantine::detach(tx, RowKind::Operator, &row.placed()).await?,
        Some(_) => return invalid("the first operator belongs to another organization; name another one"),
    }
    Ok(first)
}

async fn insert(tx: &mut Tx, put: &OrganizationPut<'_>, account: &Head) -> Step<Organization> {
    let mut organization = Organization {
        head: Head::new(tx, put.tag).await?,
        account: account.id,
        account_key: account.key.clone(),
        account_quarantined: false,
        erasing: false,
        remaining: 0,
        starter_made: false,
        display_name: None,
        language: None,
        country: None,
        time_zone: None,
        privacy: PrivacyColumns::default(),
        departments: 0,
        assigned: false,
    };
    organization.set(&tx.session, put.tag, put.desired);
    let sql = "INSERT INTO organizations (external_id, key, owner, owner_namespace, owner_name, account, display_name, language, country,
        time_zone, store_transcripts, transcript_retention_days, anonymize_visitors)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id";
    let Organization { head, display_name, language, country, time_zone, privacy, .. } = organization.clone();
    let PrivacyColumns { store_transcripts, transcript_retention_days, anonymize_visitors } = privacy;
    let statement = query(sql).bind(head.external_id).bind(head.key).bind(head.owner).bind(head.owner_namespace);
    let statement = statement.bind(head.owner_name).bind(account.id).bind(display_name).bind(language).bind(country).bind(time_zone);
    let statement = statement.bind(store_transcripts).bind(transcript_retention_days).bind(anonymize_visitors);
    organization.head.id = statement.scalar(tx.conn()).await?;
    audit::record(tx, Action::Create, RowKind::Organization, &organization.placed()).await?;
    Ok(organization)
}
