//! What is asked of a key, whatever the kind of its row.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::routes;

use crate::backend::wire::PutTicket;
use crate::backend::{Erasing, Released};
use crate::domain::rows::Answer as Known;
use crate::server::access::Access;
use crate::server::app::Shared;
use crate::server::extract::{Body, RowKey, Turn};
use crate::server::refusal::Answer;
use crate::server::table::Table;

use super::{KeyPath, Once, TurnHeaders};

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table
        .route(Access::Admin, routes!(lookup))
        .route(Access::Admin, routes!(delete))
        .route(Access::Admin, routes!(erase))
        .route(Access::Admin, routes!(release))
        .route(Access::Admin, routes!(quarantine))
        .route(Access::Admin, routes!(pause_ticket))
        .route(Access::Admin, routes!(drop_ticket))
}

/// What is known of a key: a row, a ticket, how its row went, or nothing.
#[utoipa::path(get, path = "/v1/keys/{id}", operation_id = "lookupKey", tag = "keys", params(KeyPath),
    responses((status = 200, description = "What is known, even if that is nothing.", body = Known)))]
async fn lookup(State(app): State<Shared>, RowKey(key): RowKey) -> Answer<Json<Known>> {
    Ok(Json(app.store().lookup(&key).await?))
}

/// Erase one operator, department or widget, or drop its ticket. Nothing to erase is no error.
#[utoipa::path(delete, path = "/v1/keys/{id}", operation_id = "deleteKey", tag = "keys", params(KeyPath, TurnHeaders),
    responses((status = 204, description = "It is gone.")))]
async fn delete(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<StatusCode> {
    app.store().delete(turn.write(), &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erase an organization or account by one batch. Call again until nothing remains.
#[utoipa::path(post, path = "/v1/keys/{id}/erase", operation_id = "eraseKey", tag = "keys", params(KeyPath, TurnHeaders, Once),
    responses((status = 200, description = "How much is left.", body = Erasing)))]
async fn erase(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<Json<Erasing>> {
    Ok(Json(app.store().erase(turn.write(), &key).await?))
}

/// Let an account or organization and all in it go, untouched.
#[utoipa::path(post, path = "/v1/keys/{id}/release", operation_id = "releaseKey", tag = "keys", params(KeyPath, TurnHeaders, Once),
    responses((status = 200, description = "What was let go.", body = Released)))]
async fn release(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<Json<Released>> {
    Ok(Json(app.store().release(turn.write(), &key).await?))
}

/// Quarantine a row whose object vanished, and drop its ticket.
#[utoipa::path(post, path = "/v1/keys/{id}/quarantine", operation_id = "quarantineKey", tag = "keys", params(KeyPath, TurnHeaders, Once),
    responses((status = 204, description = "It is quarantined.")))]
async fn quarantine(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<StatusCode> {
    app.store().quarantine(turn.write(), &key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mark the ticket of an object as paused, or not: a paused ticket keeps its number and is skipped.
#[utoipa::path(put, path = "/v1/keys/{id}/ticket", operation_id = "putTicket", tag = "keys", params(KeyPath, TurnHeaders),
    request_body = PutTicket, responses((status = 204, description = "It is marked.")))]
async fn pause_ticket(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn, Body(ticket): Body<PutTicket>) -> Answer<StatusCode> {
    app.store().pause_ticket(turn.write(), &key, ticket.paused).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Drop the ticket of an object that no longer asks.
#[utoipa::path(delete, path = "/v1/keys/{id}/ticket", operation_id = "dropTicket", tag = "keys", params(KeyPath, TurnHeaders),
    responses((status = 204, description = "It is dropped.")))]
async fn drop_ticket(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn) -> Answer<StatusCode> {
    app.store().drop_ticket(turn.write(), &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
