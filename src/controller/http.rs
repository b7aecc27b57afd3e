//! `/healthz`, `/readyz` (standing by, or all watches have listed) and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;

use super::context::Context;

/// How far the controller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Another controller leads.
    StandingBy,
    /// The first listings are under way.
    Listing,
    /// Everything was listed.
    Working,
}

/// What the endpoints read.
#[derive(Clone)]
struct Probes {
    context: Arc<Context>,
    phase: Receiver<Phase>,
}

/// Serves until the program stops.
pub async fn serve(listener: TcpListener, context: Arc<Context>, phase: Receiver<Phase>) -> std::io::Result<()> {
    let stop = context.stop.clone();
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Probes { context, phase });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(probes): State<Probes>) -> (StatusCode, &'static str) {
    let phase = *probes.phase.borrow();
    match phase {
        Phase::StandingBy => (StatusCode::OK, "standing by: another controller leads"),
        Phase::Listing => (StatusCode::SERVICE_UNAVAILABLE, "waiting for the first listings"),
        Phase::Working => (StatusCode::OK, "ok"),
    }
}

async fn metrics(State(probes): State<Probes>) -> String {
    probes.context.metrics.text(probes.context.queue.len())
}
