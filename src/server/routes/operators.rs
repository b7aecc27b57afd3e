//! Operators, and where their credentials are.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use crate::backend::wire::PutOperator;
use crate::backend::{CredentialOutcome, OperatorPut};
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
    table.route(Access::Admin, routes!(put)).route(Access::Read, routes!(get)).route(Access::Admin, routes!(settle_credentials))
}

/// Make or change an operator. It may take the seat of one that leaves.
#[utoipa::path(put, path = "/v1/operators/{id}", operation_id = "putOperator", tag = "operators", params(KeyPath, TurnHeaders),
    request_body = PutOperator, responses((status = 200, description = "The operator's row.", body = Row)))]
async fn put(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn, Body(body): Body<PutOperator>) -> Answer<Tagged> {
    let PutOperator { object, organization, desired, credentials } = body;
    let tag = object.tag(RowKind::Operator, key);
    let put = OperatorPut { tag: &tag, desired: &desired, intent: credentials.as_ref() };
    Ok(Tagged(app.store().put_operator(turn.write(), &organization, put).await?))
}

/// One operator.
#[utoipa::path(get, path = "/v1/operators/{id}", operation_id = "getOperator", tag = "operators",
    params(IdPath, UnlessUnchanged),
    responses((status = 200, description = "The operator's row.", body = Row), (status = 304, description = "It has not changed.")))]
async fn get(State(app): State<Shared>, Id(id): Id, headers: HeaderMap) -> Answer<Response> {
    found(app.store().find(&id).await?, RowKind::Operator, &headers)
}

/// Record how the Secret of an operator's credentials came out.
#[utoipa::path(put, path = "/v1/operators/{id}/credentials", operation_id = "putCredentials", tag = "operators",
    params(KeyPath, TurnHeaders), request_body = CredentialOutcome,
    responses((status = 200, description = "The operator's row.", body = Row)))]
async fn settle_credentials(
    State(app): State<Shared>,
    RowKey(key): RowKey,
    turn: Turn,
    Body(outcome): Body<CredentialOutcome>,
) -> Answer<Tagged> {
    Ok(Tagged(app.store().settle_credentials(turn.write(), &key, &outcome).await?))
}
