//! What operators, departments and widgets have in common: an organization that must have its row, and places that may be missing.

use std::sync::Arc;

use crate::api::Organization;
use crate::api::condition::Reason;
use crate::domain::rows::{Fields, Key, TicketView};
use crate::domain::seats::Place;
use crate::domain::waiting::{self, Waiter};

use super::super::context::Context;
use super::super::failure::{Detail, Failure, Stop, limit_reason};
use super::super::lineage::{Lineage, waiting_for_parent};
use super::super::object::{Kind, Meta, name_of};

/// Where a member stands.
pub struct Member {
    /// Account, backend, connection.
    pub lineage: Lineage,
    /// Its organization's object.
    pub organization: Arc<Organization>,
    /// Key of the organization's row.
    pub key: Key,
}

impl Member {
    /// Of the organization that a spec names.
    pub fn of(context: &Context, namespace: &str, organization: &str) -> Result<Self, Stop> {
        let (lineage, organization) = Lineage::of_member(context, namespace, organization)?;
        let key = organization.key();
        Ok(Self { lineage, organization, key })
    }

    /// The store id, for the status.
    pub fn store_id(&self) -> Option<String> {
        self.lineage.connection.session().map(|session| session.store_id.clone())
    }

    /// Whether the organization has a row that takes new ones.
    pub fn organization_has_row(&self) -> bool {
        let row = self.lineage.connection.observed().row(&self.key);
        row.is_some_and(|row| matches!(&row.fields, Fields::Organization(fields) if !fields.erasing))
    }

    /// A member without a row may get one: its organization has one, and nothing above it is going.
    pub fn admits(&self, context: &Context) -> Result<(), Stop> {
        if self.organization.released() || self.lineage.account.released() {
            let message = "Its organization was released: nothing is managed in it any more. Delete this object.";
            return Err(Failure::new(Reason::Released, message).into());
        }
        for (terminating, name) in [
            (self.organization.terminating(), name_of(self.organization.as_ref())),
            (self.lineage.account.terminating(), self.lineage.account_name()),
        ] {
            if terminating {
                return Err(waiting_for_parent(context, &name, true));
            }
        }
        if self.organization_has_row() { Ok(()) } else { Err(waiting_for_parent(context, &name_of(self.organization.as_ref()), false)) }
    }

    /// Reads anew who can be reached in the organization, and wakes its widgets when that changed. Without a row it reaches nobody.
    pub async fn refresh_reach(&self, context: &Context) -> Result<(), Stop> {
        if !self.organization_has_row() {
            return Ok(());
        }
        let reach = match context.read(&self.lineage.connection, async |backend| backend.reach(&self.key).await).await {
            // Others deleted its row: that is found in time, and must not hold up who goes.
            Err(Stop::Failure(failure)) if failure.reason == Reason::WaitingForParent => return Ok(()),
            reach => reach?,
        };
        if self.lineage.connection.observed().reaches(&self.key, reach) {
            context.wake_dependents(&name_of(self.organization.as_ref()), Kind::Widget);
        }
        Ok(())
    }
}

/// What an object says that waits with a ticket. `None`: it has none, or its places are reserved, so it may ask.
pub fn waits(lineage: &Lineage, waiter: Waiter, key: &Key) -> Option<Failure> {
    let observed = lineage.connection.observed();
    let ticket = observed.ticket(key).filter(|ticket| !ticket.reserved)?.clone();
    drop(observed);
    Some(refused(lineage, waiter, ticket.missing, ticket.position))
}

/// Turns a refusal for want of a place into what the object says, and remembers the ticket.
pub fn remember_refusal<T>(lineage: &Lineage, waiter: Waiter, key: &Key, result: Result<T, Stop>) -> Result<T, Stop> {
    let Err(Stop::Failure(failure)) = &result else { return result };
    let Detail::Position(position) = failure.detail else { return result };
    let Some(missing) = Place::ALL.into_iter().find(|place| limit_reason(*place) == failure.reason) else { return result };
    lineage.connection.observed().waits(key, TicketView { missing, position, reserved: false, paused: false });
    Err(refused(lineage, waiter, missing, position).into())
}

fn refused(lineage: &Lineage, waiter: Waiter, missing: Place, position: Option<i64>) -> Failure {
    let limits = lineage.connection.observed().limits(&lineage.account.key()).unwrap_or_default();
    let message = waiting::message(waiter, missing, &lineage.account.spec.plan_ref.name, &limits, position);
    Failure::new(limit_reason(missing), message).with_detail(Detail::Position(position))
}

/// Pauses the ticket of an object that is paused itself, if it has one.
pub async fn pause_ticket(context: &Context, lineage: Result<Lineage, Stop>, key: &Key) -> Result<(), Stop> {
    let lineage = match lineage {
        Ok(lineage) => lineage,
        Err(stop @ Stop::Deferred(_)) => return Err(stop),
        // Nothing can be written there, so nothing is handed out either.
        Err(_) => return Ok(()),
    };
    let known = lineage.connection.observed().ticket(key).map(|ticket| ticket.paused);
    let has_row = lineage.connection.observed().row(key).is_some();
    // Without a row there may be a ticket that the next pass would have asked about.
    if known == Some(true) || known.is_none() && has_row { Ok(()) } else { set_paused(context, &lineage, key, true).await }
}

/// A ticket that was paused with its object takes part again.
pub async fn resume_ticket(context: &Context, lineage: &Lineage, key: &Key) -> Result<(), Stop> {
    let paused = lineage.connection.observed().ticket(key).is_some_and(|ticket| ticket.paused);
    if !paused {
        return Ok(());
    }
    set_paused(context, lineage, key, false).await?;
    lineage.connection.observed().ask_again(key);
    Ok(())
}

async fn set_paused(context: &Context, lineage: &Lineage, key: &Key, paused: bool) -> Result<(), Stop> {
    let account = lineage.account_name();
    context.write(&lineage.connection, &account, async |backend, session| backend.pause_ticket(session, key, paused).await).await?;
    let mut observed = lineage.connection.observed();
    if let Some(ticket) = observed.ticket(key).cloned() {
        observed.waits(key, TicketView { paused, reserved: false, position: None, ..ticket });
    }
    Ok(())
}
