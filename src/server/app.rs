//! The server's parts, and the layers that every request passes, from the outside in.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::store::Store;

use super::access;
use super::limits::{self, Gate, Limits};
use super::metrics::Metrics;
use super::observe;
use super::refusal::Refusal;
use super::routes;
use super::table::Rules;

/// What handlers and layers share.
pub struct App {
    store: Arc<Store>,
    rules: Rules,
    gate: Gate,
    metrics: Metrics,
    document: String,
    stop: CancellationToken,
    readiness: Mutex<Option<(Instant, bool)>>,
}

/// The server's parts, shared.
pub(super) type Shared = Arc<App>;

impl App {
    /// The server of a store. Long polls and streams end when `stop` is cancelled.
    pub fn new(store: Arc<Store>, limits: &Limits, stop: CancellationToken) -> Self {
        let table = routes::table();
        let metrics = Metrics::new(table.rules().all());
        let document = super::openapi::document();
        Self { store, rules: table.rules(), gate: Gate::new(limits), metrics, document, stop, readiness: Mutex::default() }
    }

    /// The service.
    pub fn router(self) -> Router {
        let app = Arc::new(self);
        let (router, _) = routes::table().into_parts();
        router
            .route_layer(from_fn_with_state(Arc::clone(&app), access::guard))
            .route_layer(from_fn_with_state(Arc::clone(&app), limits::keep))
            .fallback(async || Refusal::no_route())
            .layer(CatchPanicLayer::custom(observe::panicked))
            .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
            .with_state(app)
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn limits(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn document(&self) -> &str {
        &self.document
    }

    /// When the store was last asked whether it answers, and whether it did.
    pub(super) fn readiness(&self) -> &Mutex<Option<(Instant, bool)>> {
        &self.readiness
    }

    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}
