//! `Plan`: read by the accounts that name it; reports how many do, and stays while one does (rule 16).

use std::sync::Arc;

use crate::api::{Plan, PlanStatus};

use super::super::context::Context;
use super::super::failure::Stop;
use super::super::object::{Kind, name_of};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::owned::in_use;

impl Reconcile for Plan {
    async fn sync(context: &Context, plan: &Arc<Self>) -> Result<Synced<PlanStatus>, Stop> {
        let accounts = context.cache().dependents(&name_of(plan.as_ref()), Kind::Account).count();
        let status = PlanStatus { accounts: Some(i64::try_from(accounts).unwrap_or(i64::MAX)), ..plan.status.clone().unwrap_or_default() };
        Ok(Synced { message: "The limits are in force for the accounts that name this plan.".to_owned(), ..Synced::new(status) })
    }

    async fn clean_up(context: &Context, plan: &Arc<Self>) -> Result<Cleanup, Stop> {
        Ok(in_use(context, &name_of(plan.as_ref()), "spec.planRef"))
    }
}
