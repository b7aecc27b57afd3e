//! `Plan`: read by the accounts that name it; reports how many do, and stays while one does (rule 16).

use std::sync::Arc;

use crate::api::{Plan, PlanStatus};

use super::super::context::Context;
use super::super::failure::Stop;
use super::super::object::name_of;
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::owned::{in_use, users};

impl Reconcile for Plan {
    async fn sync(_context: &Context, plan: &Arc<Self>) -> Result<Synced<PlanStatus>, Stop> {
        let message = "The limits are in force for the accounts that name this plan.".to_owned();
        Ok(Synced { message, ..Synced::new(plan.status.clone().unwrap_or_default()) })
    }

    fn count(context: &Context, plan: &Self, status: &mut PlanStatus) {
        status.accounts = users(context, &name_of(plan));
    }

    async fn clean_up(context: &Context, plan: &Arc<Self>) -> Result<Cleanup, Stop> {
        Ok(in_use(context, &name_of(plan.as_ref())))
    }
}
