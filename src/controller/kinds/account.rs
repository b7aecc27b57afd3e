//! `Account`: a row with the plan's limits, and the default organization that is made with it (rules 3 and 5).

use std::sync::Arc;

use kube::api::ObjectMeta;

use crate::api::account::DefaultOrganization;
use crate::api::condition::{READY, Reason, WITHIN_PLAN, Wanted, find};
use crate::api::names::default_organization;
use crate::api::organization::FirstOperator;
use crate::api::{Account, AccountSpec, AccountStatus, NameRef, Organization, OrganizationSpec, Plan};
use crate::domain::diff;
use crate::domain::rows::{AccountUsage, DesiredAccount, Fields, Row, RowKind, UsageCounts};
use crate::domain::seats::{Limits, Place, Places, over_plan};

use super::super::cache::Entry;
use super::super::context::Context;
use super::super::failure::{Failure, Stop};
use super::super::lineage::Lineage;
use super::super::mapping;
use super::super::object::{Kind, Meta, ObjectName, name_of, tag_of};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::super::usage::{learned, seats_status, usage_status};
use super::erasure;
use super::owned::{create, name_taken};

impl Reconcile for Account {
    async fn sync(context: &Context, account: &Arc<Self>) -> Result<Synced<AccountStatus>, Stop> {
        let lineage = Lineage::of_account(context, account)?;
        let known = lineage.connection.observed().row(&account.key());
        let plan = plan_of(context, account, known.as_deref())?;
        refuse_a_going_backend(&lineage, known.is_none())?;
        let desired = desired(&account.spec, &plan);
        let row = apply(context, &lineage, known.as_ref(), &desired).await?;
        let ensured = ensure_default_organization(context, account).await;
        match known {
            // After the default organization: it is not to find its account's places taken by those who waited for the account.
            None => mapping::account_made(context, account),
            Some(known) if known.fields != row.fields => mapping::account_changed(context, &lineage.connection, account),
            Some(_) => {}
        }
        ensured?;
        report(context, &lineage, &row, &plan).await
    }

    async fn clean_up(context: &Context, account: &Arc<Self>) -> Result<Cleanup, Stop> {
        erasure::account(context, account).await
    }

    fn describe(status: &mut AccountStatus, failure: &Failure, _row: Option<&Row>) {
        if failure.reason == Reason::Released {
            status.released_id = status.external_id.take().or(status.released_id.take());
            (status.external_id, status.store_id, status.usage, status.seats, status.seat_summary) = (None, None, None, None, None);
        }
    }

    async fn release(context: &Context, account: &Arc<Self>) -> Result<Option<Failure>, Stop> {
        erasure::release(context, account.as_ref(), Some(account.clone())).await.map(Some)
    }
}

/// Whether the spec was changed since it was last carried out: it may name another plan.
fn refers_anew(account: &Account) -> bool {
    let Some(status) = &account.status else { return true };
    let refused = find(&status.conditions, READY).is_some_and(|ready| ready.reason == Reason::PlanNotFound.as_str());
    refused || Some(status.observed_generation) != account.metadata.generation
}

/// The plan that the spec names; one that is being deleted only for who has it already.
fn plan_of(context: &Context, account: &Account, known: Option<&Row>) -> Result<Arc<Plan>, Stop> {
    let name = &account.spec.plan_ref.name;
    let plan = context.cache().get::<Plan>("", name);
    // Which plan was carried out is told by its limits: the name alone changes nothing in the backend.
    let has =
        |plan: &Plan| known.is_some_and(|row| matches!(&row.fields, Fields::Account(fields) if fields.values.limits == limits_of(plan)));
    match plan {
        Some(plan) if !plan.terminating() || has(&plan) || !refers_anew(account) => Ok(plan),
        Some(_) => {
            let message = format!("spec.planRef: Plan \"{name}\" is being deleted and takes no new accounts. Name another plan.");
            Err(Failure::new(Reason::PlanNotFound, message).into())
        }
        None => {
            let message = format!("spec.planRef: Plan \"{name}\" does not exist. Create it, or name another one. See: kubectl get cplan");
            Err(Failure::new(Reason::PlanNotFound, message).into())
        }
    }
}

fn refuse_a_going_backend(lineage: &Lineage, new: bool) -> Result<(), Stop> {
    if !(new && lineage.backend.terminating()) {
        return Ok(());
    }
    let message = format!(
        "spec.backendRef: AccountBackend \"{}\" is being deleted and takes no new accounts. \
         Delete this Account and create it with another one (spec.backendRef is immutable).",
        lineage.backend.name()
    );
    Err(Failure::new(Reason::BackendNotFound, message).into())
}

fn desired(spec: &AccountSpec, plan: &Plan) -> DesiredAccount {
    let AccountSpec { backend_ref: _, plan_ref: _, owner, default_organization: _, deletion_protection: _ } = spec;
    DesiredAccount { owner_email: owner.email.clone(), owner_display_name: owner.display_name.clone(), limits: limits_of(plan) }
}

fn limits_of(plan: &Plan) -> Limits {
    let limits = &plan.spec.limits;
    Limits { seats: limits.seats, organizations: limits.organizations, widgets: limits.widgets }
}

async fn apply(context: &Context, lineage: &Lineage, known: Option<&Arc<Row>>, desired: &DesiredAccount) -> Result<Arc<Row>, Stop> {
    let unsettled = lineage.connection.observed().usage(&lineage.account.key()).is_some_and(|usage| usage.unsettled);
    if let Some(row) = known
        && let Fields::Account(observed) = &row.fields
        && !row.quarantined
        && diff::account(desired, &observed.values).is_empty()
        && !unsettled
    {
        return Ok(row.clone());
    }
    let account = &lineage.account;
    let tag = tag_of(RowKind::Account, Meta::metadata(account.as_ref()));
    let name = lineage.account_name();
    let row = context.write(&lineage.connection, &name, async |backend, session| backend.put_account(session, &tag, desired).await).await?;
    Ok(lineage.connection.observed().wrote(row))
}

async fn ensure_default_organization(context: &Context, account: &Account) -> Result<(), Stop> {
    let name = default_organization(account.name());
    let object = ObjectName::new(Kind::Organization, account.namespace(), &name);
    let found = context.cache().entry::<Organization>(&object);
    let found = match found {
        Some(found) => found,
        None if namespace_terminating(context, account.namespace()) => return Ok(()),
        None => Entry::Good(create(context, account, default_organization_of(account, &name)).await?),
    };
    if found.parents().contains(&name_of(account)) {
        return Ok(());
    }
    Err(name_taken::<Organization>(&name, account.name(), "spec.accountRef").into())
}

fn default_organization_of(account: &Account, name: &str) -> Organization {
    let given = account.spec.default_organization.clone().unwrap_or_default();
    let DefaultOrganization { display_name, language, location, privacy, first_operator, first_operator_ref, starter_kit } = given;
    let owner = &account.spec.owner;
    let owner = FirstOperator { email: owner.email.clone(), display_name: owner.display_name.clone() };
    let first_operator = first_operator.or_else(|| first_operator_ref.is_none().then_some(owner));
    let spec = OrganizationSpec {
        account_ref: NameRef::from(account.name()),
        display_name,
        language,
        location,
        privacy,
        first_operator,
        first_operator_ref,
        starter_kit,
    };
    let metadata = ObjectMeta { name: Some(name.to_owned()), namespace: Some(account.namespace().to_owned()), ..Default::default() };
    Organization { metadata, spec, status: None }
}

/// Whether the namespace is known to be Terminating: nothing is made in it.
pub fn namespace_terminating(context: &Context, namespace: &str) -> bool {
    context.cache().namespaces.get(namespace).is_some_and(|facts| facts.terminating)
}

async fn report(context: &Context, lineage: &Lineage, row: &Row, plan: &Plan) -> Result<Synced<AccountStatus>, Stop> {
    let mut status = lineage.account.status.clone().unwrap_or_default();
    status.external_id = Some(row.external_id.clone());
    status.store_id = lineage.connection.session().map(|session| session.store_id.clone());
    let usage = usage(context, lineage, status.usage.is_some()).await?;
    if let Some(usage) = &usage {
        let (seats, summary) = seats_status(&usage.total, &usage.limits);
        (status.usage, status.seats, status.seat_summary) = (Some(usage_status(&usage.total)), Some(seats), Some(summary));
    }
    context.metrics.quarantined(context.connections.quarantined());
    let (limits, total) = usage.map_or_else(|| (limits_of(plan), UsageCounts::default()), |usage| (usage.limits, usage.total));
    Ok(Synced { extra: vec![within_plan(&limits, &total, plan)], ..Synced::new(status) })
}

/// What the account uses. `None`: it is new, and its first count is on its way; what it holds now is not what it was declared with.
async fn usage(context: &Context, lineage: &Lineage, counted: bool) -> Result<Option<AccountUsage>, Stop> {
    let key = lineage.account.key();
    let limits = lineage.connection.observed().limits(&key).unwrap_or_default();
    let known = lineage.connection.observed().usage(&key).cloned();
    match known {
        Some(usage) if usage.limits == limits => return Ok(Some(usage)),
        None if !counted && context.marks.has(&lineage.account_name()) => return Ok(None),
        _ => {}
    }
    let usage = context.read(&lineage.connection, async |backend| backend.usage(&key).await).await?;
    learned(context, &lineage.connection, &key, usage.clone());
    Ok(Some(usage))
}

fn within_plan(limits: &Limits, total: &UsageCounts, plan: &Plan) -> Wanted {
    let held = Places { seats: total.seats_held, organizations: total.organizations, widgets: total.widgets };
    let name = plan.name();
    match over_plan(limits, &held) {
        None => Wanted {
            type_: WITHIN_PLAN,
            status: true,
            reason: "WithinLimits",
            message: format!("The account uses no more than plan \"{name}\" allows."),
        },
        Some(place) => {
            let what = match place {
                Place::Seat => "seats",
                Place::Organization => "organizations",
                Place::Widget => "widgets",
            };
            let message = format!(
                "{} {what} are in use, plan \"{name}\" allows {}. Nobody is dropped, but nothing new is admitted. \
                 Raise spec.limits.{what} of the plan, or free some.",
                held.of(place),
                limits.of(place).unwrap_or_default()
            );
            Wanted { type_: WITHIN_PLAN, status: false, reason: "PlanExceeded", message }
        }
    }
}
