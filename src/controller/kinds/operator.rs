//! `Operator`: a row that holds a seat unless suspended (rules 1, 2, 7, 8), and credentials in a Secret (rule 10).

use std::sync::Arc;

use crate::api::condition::Reason;
use crate::api::names::{credentials_secret, default_organization};
use crate::api::operator::{Credentials, CredentialsMode, Seat};
use crate::api::{Operator, OperatorSpec, OperatorStatus, Organization};
use crate::backend::OperatorPut;
use crate::domain::diff;
use crate::domain::rows::{Answer, CredentialState, DesiredOperator, Fields, OperatorFields, Row, RowKind};
use crate::domain::seats::{Leaving, Place};
use crate::domain::text::fold_email;
use crate::domain::waiting::Waiter;

use super::super::context::Context;
use super::super::failure::{Detail, Failure, Stop, limit_reason};
use super::super::lineage::Lineage;
use super::super::mapping;
use super::super::object::{Kind, Meta, ObjectName, name_of, tag_of};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::credentials::{self, Prepared};
use super::erasure;
use super::member::{Member, pause_ticket, remember_refusal, resume_ticket, waits};
use super::organization::first_operator_of;

impl Reconcile for Operator {
    async fn sync(context: &Context, operator: &Arc<Self>) -> Result<Synced<OperatorStatus>, Stop> {
        let member = Member::of(context, operator.namespace(), &operator.spec.organization_ref.name)?;
        resume_ticket(context, &member.lineage, &operator.key()).await?;
        let (row, announced) = apply(context, &member, operator).await?;
        let row = credentials::ensure(context, &member, operator, row, announced).await?;
        Ok(Synced::new(status(operator, &member, &row)))
    }

    async fn clean_up(context: &Context, operator: &Arc<Self>) -> Result<Cleanup, Stop> {
        let organization = &operator.spec.organization_ref.name;
        let freed = [Some(operator.spec.email.clone()), email_in_row(context, operator)];
        let cleanup = erasure::member(context, RowKind::Operator, operator.as_ref(), organization).await;
        let cleanup = cleanup.map_err(|stop| match context.cache().get(operator.namespace(), organization) {
            Some(organization) => explain_last(&organization, Leaving::Delete, stop),
            None => stop,
        })?;
        if matches!(cleanup, Cleanup::LetGo) {
            mapping::operator_seated(context, operator);
            let organization_name = ObjectName::new(Kind::Organization, operator.namespace(), organization);
            for email in freed.iter().flatten() {
                mapping::email_freed(context, &organization_name, email);
            }
            if let Ok(member) = Member::of(context, operator.namespace(), organization) {
                member.refresh_reach(context).await?;
            }
        }
        Ok(cleanup)
    }

    fn describe(status: &mut OperatorStatus, failure: &Failure, row: Option<&Row>) {
        let waiting = matches!(failure.reason, Reason::SeatLimitExceeded | Reason::OrganizationLimitExceeded);
        status.queue_position = None;
        if waiting {
            status.seat = Some(Seat::Waiting);
            if let Detail::Position(position) = failure.detail {
                status.queue_position = position;
            }
        } else {
            status.seat = row.and_then(seat).or(status.seat.take().filter(|seat| *seat != Seat::Waiting));
        }
        if failure.reason == Reason::Released {
            (status.seat, status.external_id, status.store_id) = (None, None, None);
        }
    }

    async fn on_pause(context: &Context, operator: &Arc<Self>) -> Result<(), Stop> {
        let lineage = Lineage::of_member(context, operator.namespace(), &operator.spec.organization_ref.name).map(|(lineage, _)| lineage);
        pause_ticket(context, lineage, &operator.key()).await
    }
}

/// The e-mail that its row has: another than its spec's, if that one is taken.
fn email_in_row(context: &Context, operator: &Operator) -> Option<String> {
    let key = operator.key();
    let row = context.connections.holding(&key).iter().find_map(|connection| connection.observed().row(&key))?;
    let Fields::Operator(fields) = &row.fields else { return None };
    Some(fields.values.email.clone())
}

/// The row an operator's spec asks for.
pub fn desired(spec: &OperatorSpec) -> DesiredOperator {
    let OperatorSpec {
        organization_ref: _,
        email,
        display_name,
        nickname,
        role,
        suspended,
        switch_organizations,
        position,
        credentials: _,
    } = spec;
    DesiredOperator {
        email: email.clone(),
        display_name: display_name.clone(),
        nickname: nickname.clone(),
        role: *role,
        suspended: *suspended,
        position: *position,
        switch_organizations: Some(*switch_organizations),
    }
}

/// Writes what differs. Returns the password too whose intent went with the row.
async fn apply(context: &Context, member: &Member, operator: &Arc<Operator>) -> Result<(Arc<Row>, Option<Prepared>), Stop> {
    let key = operator.key();
    let desired = desired(&operator.spec);
    let known = member.lineage.connection.observed().row(&key);
    let gives_up = desired.suspended && member.lineage.connection.observed().ticket(&key).is_some();
    if let Some(row) = &known
        && let Some(fields) = fields_in(row, member)
        && !gives_up
        && !fields.leaving
        && diff::operator(&desired, &fields.values).is_empty()
    {
        return Ok((row.clone(), None));
    }
    if known.is_none() {
        admitted(context, member, operator)?;
    }
    if !desired.suspended
        && let Some(failure) = waits(&member.lineage, Waiter::Operator, &key)
    {
        return Err(failure.into());
    }
    let announced = if known.is_none() && wants_credentials(&operator.spec) { Some(Prepared::new(operator)?) } else { None };
    let row = put(context, member, operator, &desired, announced.as_ref()).await?;
    after_put(context, member, operator, known.as_deref(), &row).await?;
    Ok((row, announced))
}

async fn put(
    context: &Context,
    member: &Member,
    operator: &Operator,
    desired: &DesiredOperator,
    announced: Option<&Prepared>,
) -> Result<Arc<Row>, Stop> {
    let tag = tag_of(RowKind::Operator, Meta::metadata(operator));
    let connection = &member.lineage.connection;
    let put = OperatorPut { tag: &tag, desired, intent: announced.map(Prepared::intent) };
    let _turn = connection.turn(&member.lineage.account.key(), Meta::metadata(operator)).await;
    let result = context
        .write(connection, &member.lineage.account_name(), async |backend, session| backend.put_operator(session, &member.key, put).await)
        .await;
    if matches!(&result, Err(Stop::Failure(failure)) if failure.reason == Reason::LastOperator) {
        // The store has noted the wish: it must be seen here too, so that its withdrawal is.
        if let Answer::Present(row) = context.read(connection, async |backend| backend.lookup(&operator.key()).await).await? {
            connection.observed().wrote(*row);
        }
    }
    let result = result.map_err(|stop| explain_last(&member.organization, Leaving::Suspend, stop));
    let result = result.map_err(|stop| explain_email(context, member, operator, stop));
    let row = remember_refusal(&member.lineage, Waiter::Operator, &operator.key(), result)?;
    Ok(connection.observed().wrote(row))
}

/// What the last operator of an organization is told, who can neither go nor be suspended (rule 7).
fn explain_last(organization: &Organization, leaving: Leaving, stop: Stop) -> Stop {
    let Stop::Failure(failure) = stop else { return stop };
    if failure.reason != Reason::LastOperator {
        return failure.into();
    }
    let (name, account) = (organization.name(), &organization.spec.account_ref.name);
    let (refused, withdraw) = match leaving {
        Leaving::Delete => ("Not deleted", ""),
        Leaving::Suspend => ("Not suspended", ", or set spec.suspended: false"),
    };
    let otherwise = if name == default_organization(account) {
        format!("As the default one, the organization itself goes only with its Account \"{account}\".")
    } else {
        format!("Or delete the organization: kubectl delete org {name} -n {}", Meta::namespace(organization))
    };
    let message = format!(
        "{refused}: this is the last operator of organization \"{name}\" who holds a seat, and an organization keeps at least one. \
         Create another operator, or end the suspension of one: in a full account it takes over this seat{withdraw}. {otherwise}"
    );
    Failure { message, ..failure }.into()
}

/// Names the operator who has the e-mail.
fn explain_email(context: &Context, member: &Member, operator: &Operator, stop: Stop) -> Stop {
    let Stop::Failure(failure) = stop else { return stop };
    if failure.reason != Reason::EmailTaken {
        return failure.into();
    }
    let email = fold_email(&operator.spec.email);
    let has_it = |other: &Arc<Operator>| {
        let row = member.lineage.connection.observed().row(&other.key());
        let fields = row.as_deref().and_then(|row| fields_in(row, member));
        other.key() != operator.key() && fields.is_some_and(|fields| fold_email(&fields.values.email) == email)
    };
    let organization = name_of(member.organization.as_ref());
    // Most likely one who wants it too; or one whose own change of it waits.
    let wanting = context.cache().operators_with(&organization, &email).into_iter().find(has_it);
    let other = wanting.or_else(|| context.cache().dependent_objects::<Operator>(&organization).into_iter().find(has_it));
    let message = match other {
        Some(other) => format!(
            "spec.email: {} of the same organization has this e-mail, whatever its case. Change one of the two, or delete the other.",
            name_of(other.as_ref())
        ),
        None => "spec.email: an operator made directly in the backend has this e-mail in the organization, whatever its case. \
                 Change this one; or erase the other: deskplane store orphans lists it."
            .to_owned(),
    };
    Failure { message, ..failure }.into()
}

/// The row's fields, unless the row stands in another organization or is quarantined.
fn fields_in<'a>(row: &'a Row, member: &Member) -> Option<&'a OperatorFields> {
    match &row.fields {
        Fields::Operator(fields) if !row.quarantined && fields.organization.as_ref() == Some(&member.key) => Some(fields),
        _ => None,
    }
}

/// Whether an operator without a row may ask for one. The first operator shares the fate of its organization.
fn admitted(context: &Context, member: &Member, operator: &Operator) -> Result<(), Stop> {
    let Err(stop) = member.admits(context) else { return Ok(()) };
    let Stop::Failure(failure) = &stop else { return Err(stop) };
    let is_first = failure.reason == Reason::WaitingForParent
        && first_operator_of(context, &member.organization).is_some_and(|first| first.key() == operator.key());
    Err(if is_first { first_waits(&member.lineage, &member.organization).map_or(stop, Stop::Failure) } else { stop })
}

fn first_waits(lineage: &Lineage, organization: &Organization) -> Option<Failure> {
    let observed = lineage.connection.observed();
    let ticket = observed.ticket(&organization.key())?;
    let place = if ticket.missing == Place::Organization { "place for its organization" } else { "seat" };
    let message = format!(
        "No free {place}: organization \"{}\" and this operator, its first, are made together. See: kubectl describe org {}",
        organization.name(),
        organization.name()
    );
    Some(Failure::new(limit_reason(Place::Seat), message).with_detail(Detail::Position(ticket.position)))
}

/// Wakes what the write touched: departments when an operator came or changed its seat, others when an e-mail became free.
async fn after_put(context: &Context, member: &Member, operator: &Operator, before: Option<&Row>, after: &Row) -> Result<(), Stop> {
    let before = before.and_then(|row| fields_in(row, member)).map(|fields| &fields.values);
    let Some(after) = fields_in(after, member).map(|fields| &fields.values) else { return Ok(()) };
    if before.is_none_or(|before| before.suspended != after.suspended) {
        mapping::operator_seated(context, operator);
    }
    if let Some(before) = before {
        if before.suspended != after.suspended {
            member.refresh_reach(context).await?;
        }
        if before.email != after.email {
            mapping::email_freed(context, &name_of(member.organization.as_ref()), &before.email);
        }
    }
    Ok(())
}

fn status(operator: &Operator, member: &Member, row: &Row) -> OperatorStatus {
    let mut status = operator.status.clone().unwrap_or_default();
    status.external_id = Some(row.external_id.clone());
    status.store_id = member.store_id();
    status.queue_position = None;
    status.seat = seat(row);
    if let Fields::Operator(fields) = &row.fields {
        let active = fields.credentials == CredentialState::Active;
        status.credentials_secret_name = active.then(|| secret_name(operator));
    }
    status
}

fn seat(row: &Row) -> Option<Seat> {
    let Fields::Operator(fields) = &row.fields else { return None };
    Some(if fields.values.suspended { Seat::NotNeeded } else { Seat::Held })
}

/// Name of the Secret of an operator's credentials.
pub fn secret_name(operator: &Operator) -> String {
    operator.spec.credentials.secret_name.clone().unwrap_or_else(|| credentials_secret(operator.name()))
}

/// Whether the spec asks for generated credentials.
pub fn wants_credentials(spec: &OperatorSpec) -> bool {
    let Credentials { mode, secret_name: _ } = &spec.credentials;
    *mode == CredentialsMode::Generate
}
