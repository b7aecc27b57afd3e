//! `Widget`: a row that takes a widget place, and whether its visitors can reach anybody (rule 9).

use std::sync::Arc;

use crate::api::condition::{AVAILABLE, Reason, Wanted};
use crate::api::widget::{Availability, StartForm, Theme};
use crate::api::{Widget, WidgetSpec, WidgetStatus};
use crate::domain::availability::availability;
use crate::domain::diff;
use crate::domain::rows::{DesiredWidget, Fields, Reach, Row, RowKind};
use crate::domain::waiting::Waiter;

use super::super::context::Context;
use super::super::failure::{Failure, Stop};
use super::super::lineage::Lineage;
use super::super::object::{Meta, tag_of};
use super::super::runner::{Cleanup, Reconcile, Synced};
use super::erasure;
use super::member::{Member, pause_ticket, remember_refusal, resume_ticket, waits};

impl Reconcile for Widget {
    async fn sync(context: &Context, widget: &Arc<Self>) -> Result<Synced<WidgetStatus>, Stop> {
        let member = Member::of(context, widget.namespace(), &widget.spec.organization_ref.name)?;
        resume_ticket(context, &member.lineage, &widget.key()).await?;
        let row = apply(context, &member, widget).await?;
        Ok(report(&member, widget, &row))
    }

    fn describe(status: &mut WidgetStatus, failure: &Failure, _row: Option<&Row>) {
        if failure.reason == Reason::Released {
            (status.external_id, status.store_id) = (None, None);
        }
    }

    async fn clean_up(context: &Context, widget: &Arc<Self>) -> Result<Cleanup, Stop> {
        erasure::member(context, RowKind::Widget, widget.as_ref(), &widget.spec.organization_ref.name).await
    }

    async fn on_pause(context: &Context, widget: &Arc<Self>) -> Result<(), Stop> {
        let lineage = Lineage::of_member(context, widget.namespace(), &widget.spec.organization_ref.name).map(|(lineage, _)| lineage);
        pause_ticket(context, lineage, &widget.key()).await
    }
}

fn desired(spec: &WidgetSpec) -> DesiredWidget {
    let WidgetSpec { organization_ref: _, display_name, language, allowed_origins, start_form, theme } = spec;
    let StartForm { select_department, select_operator } = start_form;
    let Theme { color } = theme;
    DesiredWidget {
        display_name: display_name.clone(),
        language: language.clone(),
        allowed_origins: allowed_origins.clone(),
        select_department: *select_department,
        select_operator: *select_operator,
        color: color.clone(),
    }
}

async fn apply(context: &Context, member: &Member, widget: &Widget) -> Result<Arc<Row>, Stop> {
    let key = widget.key();
    let desired = desired(&widget.spec);
    let connection = &member.lineage.connection;
    let known = connection.observed().row(&key);
    if let Some(row) = &known
        && let Fields::Widget(fields) = &row.fields
        && !row.quarantined
        && fields.organization.as_ref() == Some(&member.key)
        && diff::widget(&desired, &fields.values).is_empty()
    {
        return Ok(row.clone());
    }
    if known.is_none() {
        member.admits(context)?;
        if let Some(failure) = waits(&member.lineage, Waiter::Widget, &key) {
            return Err(failure.into());
        }
    }
    let tag = tag_of(RowKind::Widget, Meta::metadata(widget));
    let _turn = connection.turn(&member.lineage.account.key(), Meta::metadata(widget)).await;
    let result = context
        .write(connection, &member.lineage.account_name(), async |backend, session| {
            backend.put_widget(session, &tag, &member.key, &desired).await
        })
        .await;
    let row = remember_refusal(&member.lineage, Waiter::Widget, &key, result)?;
    Ok(connection.observed().wrote(row))
}

fn report(member: &Member, widget: &Widget, row: &Row) -> Synced<WidgetStatus> {
    let mut status = widget.status.clone().unwrap_or_default();
    status.external_id = Some(row.external_id.clone());
    status.store_id = member.store_id();
    if let Fields::Widget(fields) = &row.fields {
        status.public_key = Some(fields.public_key.clone());
        let url = member.lineage.backend.spec.public_url.as_deref();
        status.embed_snippet = url.map(|url| embed_snippet(url, &fields.public_key));
    }
    let organization = member.lineage.connection.observed().row(&member.key);
    let reach = match organization.as_ref().map(|row| &row.fields) {
        Some(Fields::Organization(fields)) => fields.reach,
        _ => Reach::default(),
    };
    let available = availability(reach, member.organization.name());
    status.availability = Some(available.availability);
    let online = available.availability == Availability::Online;
    let condition = Wanted { type_: AVAILABLE, status: online, reason: available.reason, message: available.message };
    Synced { extra: vec![condition], ..Synced::new(status) }
}

fn embed_snippet(url: &str, public_key: &str) -> String {
    format!("<script async src=\"{}/widget.js\" data-widget=\"{public_key}\"></script>", url.trim_end_matches('/'))
}
