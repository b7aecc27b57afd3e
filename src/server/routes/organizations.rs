//! Organizations: their rows, and what is in them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use crate::backend::OperatorPut;
use crate::backend::wire::{OrganizationWritten, PutOrganization, Rows};
use crate::domain::rows::{Key, Reach, Row, RowKind};
use crate::server::access::Access;
use crate::server::answer::{Tagged, found, page};
use crate::server::app::Shared;
use crate::server::extract::{Body, Id, Params, RowKey, Turn};
use crate::server::refusal::Answer;
use crate::server::table::Table;

use super::{IdPath, KeyPath, Paging, TurnHeaders, UnlessUnchanged};

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table
        .route(Access::Admin, routes!(put))
        .route(Access::Read, routes!(get))
        .route(Access::Read, routes!(operators))
        .route(Access::Read, routes!(departments))
        .route(Access::Read, routes!(widgets))
        .route(Access::Admin, routes!(starter_made))
        .route(Access::Read, routes!(reach))
}

/// Make an organization together with its first operator, or change it.
#[utoipa::path(put, path = "/v1/organizations/{id}", operation_id = "putOrganization", tag = "organizations",
    params(KeyPath, TurnHeaders), request_body = PutOrganization,
    responses((status = 200, description = "The organization's row, and the first operator's when it was made.", body = OrganizationWritten)))]
async fn put(
    State(app): State<Shared>,
    RowKey(key): RowKey,
    turn: Turn,
    Body(body): Body<PutOrganization>,
) -> Answer<Json<OrganizationWritten>> {
    let PutOrganization { object, account, desired, first_operator } = body;
    let tag = object.tag(RowKind::Organization, key);
    let first = first_operator.map(|first| (first.object.tag(RowKind::Operator, first.key), first.desired, first.credentials));
    let first = first.as_ref().map(|(tag, desired, intent)| OperatorPut { tag, desired, intent: intent.as_ref() });
    let (organization, first_operator) = app.store().put_organization(turn.write(), &tag, &account, &desired, first).await?;
    Ok(Json(OrganizationWritten { organization, first_operator }))
}

/// One organization.
#[utoipa::path(get, path = "/v1/organizations/{id}", operation_id = "getOrganization", tag = "organizations",
    params(IdPath, UnlessUnchanged),
    responses((status = 200, description = "The organization's row.", body = Row), (status = 304, description = "It has not changed.")))]
async fn get(State(app): State<Shared>, Id(id): Id, headers: HeaderMap) -> Answer<Response> {
    found(app.store().find(&id).await?, RowKind::Organization, &headers)
}

/// An organization's operators, unmanaged ones too, in pages.
#[utoipa::path(get, path = "/v1/organizations/{id}/operators", operation_id = "listOperators", tag = "organizations",
    params(IdPath, Paging), responses((status = 200, description = "A page.", body = Rows)))]
async fn operators(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<Rows>> {
    Ok(page(app.store().list_operators(&id, paging.after().as_ref()).await?))
}

/// An organization's departments with their members, unmanaged ones too, in pages.
#[utoipa::path(get, path = "/v1/organizations/{id}/departments", operation_id = "listDepartments", tag = "organizations",
    params(IdPath, Paging), responses((status = 200, description = "A page.", body = Rows)))]
async fn departments(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<Rows>> {
    Ok(page(app.store().list_departments(&id, paging.after().as_ref()).await?))
}

/// An organization's widgets, unmanaged ones too, in pages.
#[utoipa::path(get, path = "/v1/organizations/{id}/widgets", operation_id = "listWidgets", tag = "organizations",
    params(IdPath, Paging), responses((status = 200, description = "A page.", body = Rows)))]
async fn widgets(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<Rows>> {
    Ok(page(app.store().list_widgets(&id, paging.after().as_ref()).await?))
}

/// Remember that an organization's starter kit was made: it is never made again.
#[utoipa::path(put, path = "/v1/organizations/{id}/starter-kit", operation_id = "putStarterKit", tag = "organizations",
    params(KeyPath, TurnHeaders), responses((status = 200, description = "The organization's row.", body = Row)))]
async fn starter_made(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<Tagged> {
    Ok(Tagged(app.store().starter_made(turn.write(), &key).await?))
}

/// Who can be reached in an organization.
#[utoipa::path(get, path = "/v1/organizations/{id}/reach", operation_id = "getReach", tag = "organizations", params(IdPath),
    responses((status = 200, description = "Who can be reached.", body = Reach)))]
async fn reach(State(app): State<Shared>, Id(id): Id) -> Answer<Json<Reach>> {
    Ok(Json(app.store().reach(&Key(id)).await?))
}
