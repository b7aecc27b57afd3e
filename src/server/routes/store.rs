//! Which store answers, and whose turn it is to write.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use crate::backend::wire::TakeEpoch;
use crate::backend::{Identity, Session};
use crate::server::access::Access;
use crate::server::app::Shared;
use crate::server::bounds::{self, Bounded};
use crate::server::extract::{self, Body, Params};
use crate::server::refusal::{Answer, Refusal};
use crate::server::table::Table;

use super::Once;

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table.route(Access::Token, routes!(identify)).route(Access::Admin, routes!(begin_epoch))
}

/// An owner.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Owner {
    /// The owner id of a controller.
    #[param(max_length = 253)]
    pub(super) owner: String,
}

impl Bounded for Owner {
    fn check(&self, _: &str) -> Answer<()> {
        bounds::name("owner", &self.owner)
    }
}

/// Which store this is, and the highest epoch of an owner.
#[utoipa::path(get, path = "/v1/store", operation_id = "getStore", tag = "store", params(Owner),
    responses((status = 200, description = "The store.", body = Identity)))]
async fn identify(State(app): State<Shared>, Params(query): Params<Owner>) -> Answer<Json<Identity>> {
    Ok(Json(app.store().identify(&query.owner).await?))
}

/// Take the next epoch of an owner: every session before it is fenced from here on.
#[utoipa::path(post, path = "/v1/epochs", operation_id = "takeEpoch", tag = "store", params(Once), request_body = TakeEpoch,
    responses((status = 201, description = "The right to write.", body = Session)))]
async fn begin_epoch(State(app): State<Shared>, once: OncePerOwner) -> Answer<(StatusCode, Json<Session>)> {
    let OncePerOwner { owner, once } = once;
    Ok((StatusCode::CREATED, Json(app.store().begin_epoch_once(&owner, once.as_ref()).await?)))
}

/// Whose epoch, under which idempotency key.
struct OncePerOwner {
    owner: String,
    once: Option<crate::store::Once>,
}

impl<S: Send + Sync> FromRequest<S> for OncePerOwner {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let Body(TakeEpoch { owner }) = Body::from_request(request, state).await?;
        Ok(Self { once: extract::once(&parts, owner.as_bytes())?, owner })
    }
}
