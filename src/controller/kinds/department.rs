//! `Department`: a row, and the operators of its organization that belong to it (rule 8).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::condition::Reason;
use crate::api::department::Members;
use crate::api::{Department, DepartmentSpec, DepartmentStatus, Operator};
use crate::domain::diff;
use crate::domain::rows::{DesiredDepartment, Fields, Key, Row, RowKind};

use super::super::context::Context;
use super::super::failure::{Failure, Stop};
use super::super::lineage::matcher;
use super::super::object::{Meta, name_of, tag_of};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::erasure;
use super::member::Member;

impl Reconcile for Department {
    async fn sync(context: &Context, department: &Arc<Self>) -> Result<Synced<DepartmentStatus>, Stop> {
        let member = Member::of(context, department.namespace(), &department.spec.organization_ref.name)?;
        let (desired, missing) = desired(context, &member, department)?;
        let row = apply(context, &member, department, &desired).await?;
        if let Some(failure) = missing {
            return Err(failure.into());
        }
        let mut status = department.status.clone().unwrap_or_default();
        status.external_id = Some(row.external_id.clone());
        status.store_id = member.store_id();
        status.members = members(&row);
        Ok(Synced::new(status))
    }

    fn describe(status: &mut DepartmentStatus, failure: &Failure, row: Option<&Row>) {
        status.members = row.map_or(status.members, members);
        if failure.reason == Reason::Released {
            (status.external_id, status.store_id, status.members) = (None, None, None);
        }
    }

    async fn clean_up(context: &Context, department: &Arc<Self>) -> Result<Cleanup, Stop> {
        let cleanup = erasure::member(context, RowKind::Department, department.as_ref(), &department.spec.organization_ref.name).await?;
        if matches!(cleanup, Cleanup::LetGo)
            && let Ok(member) = Member::of(context, department.namespace(), &department.spec.organization_ref.name)
        {
            member.refresh_reach(context).await?;
        }
        Ok(cleanup)
    }
}

/// How many belong to it.
fn members(row: &Row) -> Option<i64> {
    let Fields::Department(fields) = &row.fields else { return None };
    i64::try_from(fields.values.members.as_ref()?.len()).ok()
}

/// The row the spec asks for, and what to say if a named operator does not exist: the others join all the same.
fn desired(context: &Context, member: &Member, department: &Department) -> Result<(DesiredDepartment, Option<Failure>), Stop> {
    let DepartmentSpec { organization_ref: _, display_name, position, members } = &department.spec;
    let mut missing = None;
    let mut keys = None;
    if let Some(Members { operators, selector }) = members {
        let mut found = BTreeSet::new();
        for named in operators {
            let operator = context.cache().get::<Operator>(department.namespace(), &named.name);
            let Some(operator) = operator else {
                missing.get_or_insert_with(|| waiting_for(&named.name));
                continue;
            };
            refuse_stranger(&operator, department)?;
            found.insert(operator.key());
        }
        if let Some(selector) = selector {
            let all = context.cache().dependent_objects::<Operator>(&name_of(member.organization.as_ref()));
            let matches = matcher(selector);
            let selected = all.iter().filter(|operator| matches(operator.metadata.labels.as_ref()));
            found.extend(selected.map(|operator| operator.key()));
        }
        keys = Some(with_rows(member, found));
    }
    Ok((DesiredDepartment { display_name: display_name.clone(), position: *position, members: keys }, missing))
}

fn waiting_for(operator: &str) -> Failure {
    let message = format!(
        "spec.members.operators: Operator \"{operator}\" does not exist in this namespace. Create it, or take it off the list. \
         The other members are in place."
    );
    Failure::new(Reason::WaitingForMember, message)
}

fn refuse_stranger(operator: &Operator, department: &Department) -> Result<(), Stop> {
    let (theirs, ours) = (&operator.spec.organization_ref.name, &department.spec.organization_ref.name);
    if theirs == ours {
        return Ok(());
    }
    let message = format!(
        "spec.members.operators: Operator \"{}\" belongs to organization \"{theirs}\", this department to \"{ours}\". \
         Take it off the list: members are operators of the same organization.",
        operator.name()
    );
    Err(Failure::new(Reason::Invalid, message).into())
}

/// Those who have a row; the others join when they get one.
fn with_rows(member: &Member, keys: BTreeSet<Key>) -> BTreeSet<Key> {
    let observed = member.lineage.connection.observed();
    keys.into_iter().filter(|key| observed.row(key).is_some_and(|row| !row.quarantined)).collect()
}

async fn apply(context: &Context, member: &Member, department: &Department, desired: &DesiredDepartment) -> Result<Arc<Row>, Stop> {
    let connection = &member.lineage.connection;
    let known = connection.observed().row(&department.key());
    if let Some(row) = &known
        && let Fields::Department(fields) = &row.fields
        && !row.quarantined
        && fields.organization.as_ref() == Some(&member.key)
        && diff::department(desired, &fields.values).is_empty()
    {
        return Ok(row.clone());
    }
    if known.is_none() {
        member.admits(context)?;
    }
    let tag = tag_of(RowKind::Department, Meta::metadata(department));
    let row = context
        .write(connection, &member.lineage.account_name(), async |backend, session| {
            backend.put_department(session, &tag, &member.key, desired).await
        })
        .await?;
    let row = connection.observed().wrote(row);
    member.refresh_reach(context).await?;
    Ok(row)
}
