//! `Organization`: made together with its first operator (rules 4 and 6), and given a first department and widget.

use std::sync::Arc;

use kube::api::ObjectMeta;

use crate::api::condition::Reason;
use crate::api::department::Members;
use crate::api::names::{STARTER_LABEL, first_operator, starter_department, starter_widget};
use crate::api::organization::{Erasure, FirstOperator, Location, Privacy, StarterKit};
use crate::api::{
    Department, DepartmentSpec, NameRef, Operator, OperatorSpec, Organization, OrganizationSpec, OrganizationStatus, Widget, WidgetSpec,
};
use crate::backend::OperatorPut;
use crate::domain::diff;
use crate::domain::rows::{self, DesiredOrganization, Fields, OrganizationFields, Row, RowKind};
use crate::domain::waiting::Waiter;

use super::super::context::Context;
use super::super::failure::{Detail, Failure, Stop};
use super::super::lineage::{Lineage, waiting_for_parent};
use super::super::mapping;
use super::super::object::{Meta, name_of, tag_of};
use super::super::runner::{Cleanup, Reconcile, Synced, ensure_finalizer};
use super::super::usage::{seats_status, usage_status};
use super::account::namespace_terminating;
use super::erasure;
use super::member::{pause_ticket, remember_refusal, resume_ticket, waits};
use super::operator;
use super::owned::{create, name_taken};

impl Reconcile for Organization {
    async fn sync(context: &Context, organization: &Arc<Self>) -> Result<Synced<OrganizationStatus>, Stop> {
        let lineage = Lineage::of_organization(context, organization)?;
        resume_ticket(context, &lineage, &organization.key()).await?;
        validate(&organization.spec)?;
        let row = apply(context, &lineage, organization).await?;
        let row = ensure_starter_kit(context, &lineage, organization, row).await?;
        Ok(report(organization, &lineage, &row))
    }

    async fn clean_up(context: &Context, organization: &Arc<Self>) -> Result<Cleanup, Stop> {
        erasure::organization(context, organization).await
    }

    fn describe(status: &mut OrganizationStatus, failure: &Failure, _row: Option<&Row>) {
        status.erasure = match failure.detail {
            Detail::Remaining(remaining) => Some(Erasure { remaining }),
            _ => None,
        };
        if failure.reason == Reason::Released {
            status.released_id = status.external_id.take().or(status.released_id.take());
            (status.external_id, status.store_id, status.usage, status.seats, status.seat_summary) = (None, None, None, None, None);
        }
    }

    async fn on_pause(context: &Context, organization: &Arc<Self>) -> Result<(), Stop> {
        let lineage = Lineage::of_organization(context, organization);
        pause_ticket(context, lineage, &organization.key()).await
    }

    async fn release(context: &Context, organization: &Arc<Self>) -> Result<Option<Failure>, Stop> {
        let account = context.cache().get(organization.namespace(), &organization.spec.account_ref.name);
        erasure::release(context, organization.as_ref(), account).await.map(Some)
    }
}

/// What the API server cannot know: whether a time zone exists.
fn validate(spec: &OrganizationSpec) -> Result<(), Stop> {
    let Some(zone) = spec.location.as_ref().and_then(|location| location.time_zone.as_deref()) else { return Ok(()) };
    if jiff::tz::db().get(zone).is_ok() {
        return Ok(());
    }
    let message = format!("spec.location.timeZone: \"{zone}\" is not in the IANA time zone database. Write one such as Europe/Berlin.");
    Err(Failure::new(Reason::Invalid, message).into())
}

fn desired(spec: &OrganizationSpec) -> DesiredOrganization {
    let OrganizationSpec {
        account_ref: _,
        display_name,
        language,
        location,
        privacy,
        first_operator: _,
        first_operator_ref: _,
        starter_kit: _,
    } = spec;
    let Location { country, time_zone } = location.clone().unwrap_or_default();
    let Privacy { store_transcripts, transcript_retention_days, anonymize_visitors } = privacy.unwrap_or_default();
    let privacy = rows::Privacy { store_transcripts, retention_days: transcript_retention_days, anonymize_visitors };
    DesiredOrganization { display_name: display_name.clone(), language: language.clone(), country, time_zone, privacy }
}

async fn apply(context: &Context, lineage: &Lineage, organization: &Arc<Organization>) -> Result<Arc<Row>, Stop> {
    let desired = desired(&organization.spec);
    let known = lineage.connection.observed().row(&organization.key());
    if let Some(row) = &known
        && let Fields::Organization(fields) = &row.fields
        && !row.quarantined
        && diff::organization(&desired, &fields.values).is_empty()
    {
        return Ok(row.clone());
    }
    let first = if known.is_none() { Some(found(context, lineage, organization).await?) } else { None };
    let (row, first_row) = put(context, lineage, organization, &desired, first.as_deref()).await?;
    let row = lineage.connection.observed().wrote(row);
    if let Some(first_row) = first_row {
        lineage.connection.observed().wrote(first_row);
    }
    if known.is_none() {
        mapping::organization_made(context, &name_of(organization.as_ref()));
    }
    Ok(row)
}

/// What an organization without a row needs: its account's row, and its first operator. Without a place it waits with its ticket.
async fn found(context: &Context, lineage: &Lineage, organization: &Organization) -> Result<Arc<Operator>, Stop> {
    let account = &lineage.account;
    if account.released() {
        return Err(
            Failure::new(Reason::Released, "Its account was released: nothing is managed in it any more. Delete this object.").into()
        );
    }
    if account.terminating() {
        return Err(waiting_for_parent(context, &lineage.account_name(), true));
    }
    if lineage.connection.observed().row(&account.key()).is_none() {
        return Err(waiting_for_parent(context, &lineage.account_name(), false));
    }
    let first = ensure_first_operator(context, organization).await?;
    if let Some(failure) = waits(lineage, Waiter::Organization, &organization.key()) {
        return Err(failure.into());
    }
    ensure_finalizer(context, first).await
}

async fn put(
    context: &Context,
    lineage: &Lineage,
    organization: &Organization,
    desired: &DesiredOrganization,
    first: Option<&Operator>,
) -> Result<(Row, Option<Row>), Stop> {
    let tag = tag_of(RowKind::Organization, Meta::metadata(organization));
    let account = lineage.account.key();
    let first = first.map(|first| (tag_of(RowKind::Operator, Meta::metadata(first)), operator::desired(&first.spec)));
    let _turn = lineage.connection.turn(&account, Meta::metadata(organization)).await;
    let result = context
        .write(&lineage.connection, &lineage.account_name(), async |backend, session| {
            let first = first.as_ref().map(|(tag, desired)| OperatorPut { tag, desired, intent: None });
            backend.put_organization(session, &tag, &account, desired, first).await
        })
        .await;
    remember_refusal(lineage, Waiter::Organization, &organization.key(), result)
}

/// The Operator object that is, or may become, an organization's first operator.
pub fn first_operator_of(context: &Context, organization: &Organization) -> Option<Arc<Operator>> {
    let cache = context.cache();
    let namespace = organization.namespace();
    if let Some(named) = &organization.spec.first_operator_ref {
        return cache.get(namespace, &named.name);
    }
    let inline = organization.spec.first_operator.as_ref()?;
    let ours = |operator: &Arc<Operator>| operator.spec.organization_ref.name == organization.name() && !operator.terminating();
    let by_name = cache.get::<Operator>(namespace, &first_operator(organization.name())).filter(ours);
    by_name.or_else(|| cache.operators_with(&name_of(organization), &inline.email).into_iter().find(ours))
}

async fn ensure_first_operator(context: &Context, organization: &Organization) -> Result<Arc<Operator>, Stop> {
    let found = match (first_operator_of(context, organization), &organization.spec.first_operator_ref, &organization.spec.first_operator) {
        (Some(found), ..) => found,
        (None, Some(named), _) => {
            let message = format!(
                "spec.firstOperatorRef: Operator \"{}\" does not exist in this namespace. Create it with organizationRef \"{}\".",
                named.name,
                organization.name()
            );
            return Err(Failure::new(Reason::WaitingForMember, message).into());
        }
        (None, None, Some(inline)) => make_first_operator(context, organization, inline).await?,
        (None, None, None) => {
            let message = "spec: set exactly one of firstOperator and firstOperatorRef: an organization is made with its first operator.";
            return Err(Failure::new(Reason::Invalid, message).into());
        }
    };
    refuse_unfit(&found, organization)?;
    Ok(found)
}

fn refuse_unfit(first: &Operator, organization: &Organization) -> Result<(), Stop> {
    let name = first.name();
    let invalid = |message: String| Err(Failure::new(Reason::Invalid, message).into());
    if first.spec.organization_ref.name != organization.name() {
        return invalid(format!(
            "spec.firstOperatorRef: Operator \"{name}\" belongs to organization \"{}\", not to this one. Name an operator of this organization.",
            first.spec.organization_ref.name
        ));
    }
    if first.spec.suspended {
        return invalid(format!(
            "Operator \"{name}\", the first of this organization, is suspended, and an organization needs one who holds a seat. \
             Set spec.suspended: false on Operator \"{name}\"."
        ));
    }
    if first.terminating() {
        return invalid(format!("Operator \"{name}\", the first of this organization, is being deleted. Create it again afterwards."));
    }
    Ok(())
}

async fn make_first_operator(context: &Context, organization: &Organization, inline: &FirstOperator) -> Result<Arc<Operator>, Stop> {
    if namespace_terminating(context, organization.namespace()) {
        let message = "The namespace is being deleted: nothing is made in it.";
        return Err(Failure::new(Reason::WaitingForParent, message).into());
    }
    let name = first_operator(organization.name());
    let FirstOperator { email, display_name } = inline.clone();
    let spec = OperatorSpec { organization_ref: NameRef::from(organization.name()), email, display_name, ..OperatorSpec::default() };
    let made = create(context, organization, Operator { metadata: metadata(organization, &name, false), spec, status: None }).await?;
    if made.spec.organization_ref.name != organization.name() {
        return Err(name_taken::<Operator>(&name, organization.name(), "spec.organizationRef").into());
    }
    if made.terminating() {
        return Err(Stop::Outdated);
    }
    Ok(made)
}

fn metadata(organization: &Organization, name: &str, starter: bool) -> ObjectMeta {
    let labels = starter.then(|| [(STARTER_LABEL.to_owned(), "true".to_owned())].into());
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(organization.namespace().to_owned()), labels, ..Default::default() }
}

/// Makes the first department and widget, once in the organization's life.
async fn ensure_starter_kit(context: &Context, lineage: &Lineage, organization: &Organization, row: Arc<Row>) -> Result<Arc<Row>, Stop> {
    let wanted = organization.spec.starter_kit == StarterKit::Create;
    let made = matches!(&row.fields, Fields::Organization(OrganizationFields { starter_made: true, .. }));
    if !wanted || made || namespace_terminating(context, organization.namespace()) {
        return Ok(row);
    }
    let first = first_operator_of(context, organization);
    let department = create(context, organization, starter_department_of(organization, first.as_deref())).await?;
    let widget = create(context, organization, starter_widget_of(organization)).await?;
    if department.spec.organization_ref.name != organization.name() {
        return Err(name_taken::<Department>(department.name(), organization.name(), "spec.organizationRef").into());
    }
    if widget.spec.organization_ref.name != organization.name() {
        return Err(name_taken::<Widget>(widget.name(), organization.name(), "spec.organizationRef").into());
    }
    // What is left of an earlier organization of this name is not this one's.
    for (terminating, name) in [(department.terminating(), name_of(department.as_ref())), (widget.terminating(), name_of(widget.as_ref()))]
    {
        if terminating {
            let message = format!("{name} of an earlier organization is still being deleted; then this one's is made.");
            return Err(Failure::new(Reason::NameTaken, message).with_backoff().into());
        }
    }
    let key = organization.key();
    let row = context
        .write(&lineage.connection, &lineage.account_name(), async |backend, session| backend.starter_made(session, &key).await)
        .await?;
    Ok(lineage.connection.observed().wrote(row))
}

fn starter_department_of(organization: &Organization, first: Option<&Operator>) -> Department {
    let operators = first.map(|first| NameRef::from(first.name())).into_iter().collect();
    let spec = DepartmentSpec {
        organization_ref: NameRef::from(organization.name()),
        display_name: "Customer Service".to_owned(),
        position: None,
        members: Some(Members { operators, selector: None }),
    };
    Department { metadata: metadata(organization, &starter_department(organization.name()), true), spec, status: None }
}

fn starter_widget_of(organization: &Organization) -> Widget {
    let spec = WidgetSpec {
        organization_ref: NameRef::from(organization.name()),
        language: organization.spec.language.clone(),
        ..WidgetSpec::default()
    };
    Widget { metadata: metadata(organization, &starter_widget(organization.name()), true), spec, status: None }
}

fn report(organization: &Organization, lineage: &Lineage, row: &Row) -> Synced<OrganizationStatus> {
    let mut status = organization.status.clone().unwrap_or_default();
    status.external_id = Some(row.external_id.clone());
    status.store_id = lineage.connection.session().map(|session| session.store_id.clone());
    status.protected = Some(lineage.account.spec.deletion_protection);
    status.erasure = None;
    if let Fields::Organization(fields) = &row.fields {
        status.display_name = Some(fields.values.display_name.clone().unwrap_or_else(|| row.external_id.clone()));
    }
    let key = organization.key();
    let observed = lineage.connection.observed();
    if let Some(usage) = observed.usage(&lineage.account.key())
        && let Some((_, counts)) = usage.organizations.iter().find(|(organization, _)| *organization == key)
    {
        let (seats, summary) = seats_status(counts, &usage.limits);
        (status.usage, status.seats, status.seat_summary) = (Some(usage_status(counts)), Some(seats), Some(summary));
    }
    Synced::new(status)
}
