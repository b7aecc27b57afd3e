//! How what runs for long is told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels `stop` on SIGTERM or Ctrl-C; ends when it is cancelled otherwise.
pub async fn stop_on_signal(stop: &CancellationToken) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: finishing what is under way"),
        _ = tokio::signal::ctrl_c() => tracing::info!("interrupted: finishing what is under way"),
        () = stop.cancelled() => return,
    }
    stop.cancel();
}
