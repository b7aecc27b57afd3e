//! Accounts: their rows, and what is in them.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::backend::Cursor;
use crate::backend::wire::{AccountRows, PutAccount, Rows, SwitchableOrganizations, Ticket};
use crate::domain::rows::{AccountUsage, Key, Row, RowKind};
use crate::server::access::Access;
use crate::server::answer::{Tagged, found, page};
use crate::server::app::Shared;
use crate::server::bounds::{self, Bounded};
use crate::server::extract::{Body, Id, Params, RowKey, Turn};
use crate::server::refusal::Answer;
use crate::server::table::Table;

use super::{IdPath, KeyPath, Paging, TurnHeaders, UnlessUnchanged};

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table
        .route(Access::Admin, routes!(list))
        .route(Access::Admin, routes!(put))
        .route(Access::Read, routes!(get))
        .route(Access::Read, routes!(rows))
        .route(Access::Read, routes!(usage))
        .route(Access::Read, routes!(organizations))
        .route(Access::Read, routes!(switchable))
}

/// Whose accounts, and where the listing goes on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// The owner id of a controller; absent: all accounts, unmanaged ones too.
    #[param(max_length = 253)]
    owner: Option<String>,
    /// `next` of the page before; absent: the first page.
    cursor: Option<String>,
}

impl Bounded for Listing {
    fn check(&self, _: &str) -> Answer<()> {
        self.owner.iter().try_for_each(|owner| bounds::name("owner", owner))?;
        self.cursor.iter().try_for_each(|cursor| bounds::name("cursor", cursor))
    }
}

/// Accounts, in pages: those of an owner, quarantined ones included, or all.
#[utoipa::path(get, path = "/v1/accounts", operation_id = "listAccounts", tag = "accounts", params(Listing),
    responses((status = 200, description = "A page.", body = Rows)))]
async fn list(State(app): State<Shared>, Params(query): Params<Listing>) -> Answer<Json<Rows>> {
    let after = query.cursor.map(Cursor);
    Ok(page(app.store().list_accounts(query.owner.as_deref(), after.as_ref()).await?))
}

/// Make or change an account. Raised limits grant waiting tickets.
#[utoipa::path(put, path = "/v1/accounts/{id}", operation_id = "putAccount", tag = "accounts", params(KeyPath, TurnHeaders),
    request_body = PutAccount, responses((status = 200, description = "The account's row.", body = Row)))]
async fn put(State(app): State<Shared>, RowKey(key): RowKey, turn: Turn, Body(body): Body<PutAccount>) -> Answer<Tagged> {
    let PutAccount { object, desired } = body;
    Ok(Tagged(app.store().put_account(turn.write(), &object.tag(RowKind::Account, key), &desired).await?))
}

/// One account.
#[utoipa::path(get, path = "/v1/accounts/{id}", operation_id = "getAccount", tag = "accounts",
    params(IdPath, UnlessUnchanged),
    responses((status = 200, description = "The account's row.", body = Row), (status = 304, description = "It has not changed.")))]
async fn get(State(app): State<Shared>, Id(id): Id, headers: HeaderMap) -> Answer<Response> {
    found(app.store().find(&id).await?, RowKind::Account, &headers)
}

/// All rows of an account that have an object, then its tickets, in pages.
#[utoipa::path(get, path = "/v1/accounts/{id}/rows", operation_id = "listAccountRows", tag = "accounts", params(IdPath, Paging),
    responses((status = 200, description = "A page.", body = AccountRows)))]
async fn rows(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<AccountRows>> {
    let page = app.store().page(&Key(id), paging.after().as_ref()).await?;
    let tickets = page.tickets.into_iter().map(|(tag, ticket)| Ticket { tag, ticket }).collect();
    Ok(Json(AccountRows { rows: page.rows, tickets, next: page.next.map(|cursor| cursor.0) }))
}

/// What an account uses.
#[utoipa::path(get, path = "/v1/accounts/{id}/usage", operation_id = "getAccountUsage", tag = "accounts", params(IdPath),
    responses((status = 200, description = "The usage.", body = AccountUsage)))]
async fn usage(State(app): State<Shared>, Id(id): Id) -> Answer<Json<AccountUsage>> {
    Ok(Json(app.store().usage(&Key(id)).await?))
}

/// An account's organizations, unmanaged ones too, in pages.
#[utoipa::path(get, path = "/v1/accounts/{id}/organizations", operation_id = "listOrganizations", tag = "accounts", params(IdPath, Paging),
    responses((status = 200, description = "A page.", body = Rows)))]
async fn organizations(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<Rows>> {
    Ok(page(app.store().list_organizations(&id, paging.after().as_ref()).await?))
}

/// Who wants to enter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Person {
    /// The person's e-mail, which whoever asks has verified.
    #[param(max_length = 254)]
    email: String,
}

impl Bounded for Person {
    fn check(&self, _: &str) -> Answer<()> {
        bounds::email("", "email", &self.email)
    }
}

/// The organizations of an account that a person may enter: all of them as its owner or as a promoted operator, or else those that the
/// person is an operator of.
#[utoipa::path(get, path = "/v1/accounts/{id}/switchable-organizations", operation_id = "listSwitchableOrganizations", tag = "accounts",
    params(IdPath, Person), responses((status = 200, description = "The organizations.", body = SwitchableOrganizations)))]
async fn switchable(State(app): State<Shared>, Id(id): Id, Params(person): Params<Person>) -> Answer<Json<SwitchableOrganizations>> {
    Ok(Json(SwitchableOrganizations { organizations: app.store().switchable_organizations(&id, &person.email).await? }))
}
