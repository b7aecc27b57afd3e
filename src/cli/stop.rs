//! How what runs for long is told to stop.

use std::future::pending;
use std::pin::pin;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::store::Store;

use super::error::CliError;

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

/// Runs what works on a store to its end, and cancels `stop` then: for all others it is over too.
///
/// It is told to stop when the database is found to hold another store by then, which was restored from a backup: that is the error.
pub async fn unless_replaced<E: Into<CliError>>(
    store: Option<&Store>,
    stop: &CancellationToken,
    run: impl Future<Output = Result<(), E>>,
) -> Result<(), CliError> {
    let mut run = pin!(run);
    let replaced = async {
        match store {
            Some(store) => store.replaced().await,
            None => pending().await,
        }
        stop.cancel();
    };
    let ended = tokio::select! {
        ended = &mut run => ended.map_err(E::into),
        () = replaced => match run.await {
            Ok(()) => Err(CliError::Replaced),
            Err(error) => Err(error.into()),
        },
    };
    stop.cancel();
    ended
}
