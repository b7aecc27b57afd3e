//! `/healthz`, `/readyz`, `/metrics` and `/openapi.json`: without a token.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use tokio::time::{Instant, timeout};
use utoipa_axum::routes;

use crate::server::access::Access;
use crate::server::app::Shared;
use crate::server::limits::Pace;
use crate::server::table::Table;

/// How long the store may take to answer a probe: less than a probe waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long the store is not asked again: anybody may send probes, and as many as they like.
const FRESH: Duration = Duration::from_secs(1);

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table
        .paced(Access::Open, Pace::Probe, routes!(healthz))
        .paced(Access::Open, Pace::Probe, routes!(readyz))
        .paced(Access::Open, Pace::Probe, routes!(metrics))
        .paced(Access::Open, Pace::Probe, routes!(openapi))
}

/// The process works.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "probes",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
async fn healthz() -> &'static str {
    "ok"
}

/// The store answers.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "probes", responses(
    (status = 200, description = "It does.", body = String, content_type = "text/plain"),
    (status = 503, description = "It does not, or the server is going down.", body = String, content_type = "text/plain")))]
async fn readyz(State(app): State<Shared>) -> (StatusCode, &'static str) {
    if app.stop().is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is going down");
    }
    let mut last = app.readiness().lock().await;
    let fresh = last.filter(|(when, _)| when.elapsed() < FRESH).map(|(_, ready)| ready);
    let ready = match fresh {
        Some(ready) => ready,
        None => matches!(timeout(PATIENCE, app.store().identify("")).await, Ok(Ok(_))),
    };
    if fresh.is_none() {
        *last = Some((Instant::now(), ready));
    }
    if ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer") }
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", operation_id = "metrics", tag = "probes",
    responses((status = 200, description = "The metrics.", body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<Shared>) -> String {
    app.metrics().text()
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "probes",
    responses((status = 200, description = "The document.", body = Object)))]
async fn openapi(State(app): State<Shared>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.document().to_owned())
}
