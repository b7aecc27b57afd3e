//! Widgets.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use crate::backend::wire::PutWidget;
use crate::domain::rows::{Row, RowKind};
use crate::server::access::Access;
use crate::server::answer::{Tagged, found};
use crate::server::app::Shared;
use crate::server::extract::{Body, Id, RowKey, Turn};
use crate::server::refusal::Answer;
use crate::server::table::Table;

use super::{IdPath, KeyPath, TurnHeaders, UnlessUnchanged};

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table.route(Access::Admin, routes!(put)).route(Access::Read, routes!(get))
}

/// Make or change a widget.
#[utoipa::path(put, path = "/v1/widgets/{id}", operation_id = "putWidget", tag = "widgets", params(KeyPath, TurnHeaders),
    request_body = PutWidget, responses((status = 200, description = "The widget's row.", body = Row)))]
async fn put(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn, Body(body): Body<PutWidget>) -> Answer<Tagged> {
    let PutWidget { object, organization, desired } = body;
    Ok(Tagged(app.store().put_widget(turn.write(), &object.tag(RowKind::Widget, key), &organization, &desired).await?))
}

/// One widget.
#[utoipa::path(get, path = "/v1/widgets/{id}", operation_id = "getWidget", tag = "widgets",
    params(IdPath, UnlessUnchanged),
    responses((status = 200, description = "The widget's row.", body = Row), (status = 304, description = "It has not changed.")))]
async fn get(State(app): State<Shared>, Id(id): Id, headers: HeaderMap) -> Answer<Response> {
    found(app.store().find(&id).await?, RowKind::Widget, &headers)
}
