//! `/healthz`, `/readyz` (all watches have listed) and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::context::Context;

/// What the endpoints read.
#[derive(Clone)]
struct Probes {
    context: Arc<Context>,
    ready: tokio::sync::watch::Receiver<bool>,
}

/// Serves until the program stops.
pub async fn serve(listener: TcpListener, context: Arc<Context>, ready: tokio::sync::watch::Receiver<bool>) -> std::io::Result<()> {
    let stop = context.stop.clone();
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Probes { context, ready });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    if *probes.ready.borrow() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first listings") }
}

async fn metrics(State(probes): State<Probes>) -> String {
    probes.context.metrics.text(probes.context.queue.len())
}
