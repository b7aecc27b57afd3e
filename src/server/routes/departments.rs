//! Departments.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use crate::backend::wire::PutDepartment;
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

/// Make or change a department.
#[utoipa::path(put, path = "/v1/departments/{id}", operation_id = "putDepartment", tag = "departments", params(KeyPath, TurnHeaders),
    request_body = PutDepartment, responses((status = 200, description = "The department's row.", body = Row)))]
async fn put(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn, Body(body): Body<PutDepartment>) -> Answer<Tagged> {
    let PutDepartment { object, organization, desired } = body;
    Ok(Tagged(app.store().put_department(turn.write(), &object.tag(RowKind::Department, key), &organization, &desired).await?))
}

/// One department.
#[utoipa::path(get, path = "/v1/departments/{id}", operation_id = "getDepartment", tag = "departments",
    params(IdPath, UnlessUnchanged),
    responses((status = 200, description = "The department's row.", body = Row), (status = 304, description = "It has not changed.")))]
async fn get(State(app): State<Shared>, Id(id): Id, headers: HeaderMap) -> Answer<Response> {
    found(app.store().find(&id).await?, RowKind::Department, &headers)
}
