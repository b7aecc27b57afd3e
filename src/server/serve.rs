//! Serving: the listener, its timeouts, and how it ends.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::Accept;
use axum_server::service::SendService;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::store::Store;

use super::app::App;
use super::limits::Limits;
use super::tls::{self, TlsError, TlsFiles};

/// How long a client may take from one request's head to the next: nobody holds a connection for nothing.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long the first head of a connection may take.
const FIRST_HEAD_TIME: Duration = Duration::from_secs(10);

/// How often a silent HTTP/2 client is asked whether it is there, and how long it may take to answer.
const PING: Duration = Duration::from_secs(20);

/// Requests at a time on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// The largest head of a request, in bytes.
const LARGEST_HEAD: u32 = 16 << 10;

/// How long what is under way may take at the end. Kubernetes gives a pod 30 seconds: the chart's pods wait 5 of them before, and the
/// store may take 8 afterwards.
const GRACE: Duration = Duration::from_secs(15);

/// How to serve.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificate and key; without them it is plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What the server takes on.
    pub limits: Limits,
}

/// Why the server could not serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}; choose another --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate and key do not do.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Failed(std::io::Error),
}

/// Serves a store until `stop` is cancelled; then finishes what is under way.
pub async fn serve(config: Config, store: Arc<Store>, stop: CancellationToken) -> Result<(), ServeError> {
    let Config { listen, tls, limits } = config;
    let unheard = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    let app = App::new(store, &limits, stop.clone());
    let server = axum_server::from_tcp(listener).map_err(unheard)?;
    let Some(files) = tls else {
        tracing::info!(%address, tls = false, "listening");
        return run(server, app, stop).await;
    };
    let (tls, keep_fresh) = tls::follow(files).await?;
    tracing::info!(%address, tls = true, "listening");
    let server = server.acceptor(axum_server::tls_rustls::RustlsAcceptor::new(tls));
    tokio::select! {
        ended = run(server, app, stop) => ended,
        () = keep_fresh => Ok(()),
    }
}

async fn run<A>(mut server: axum_server::Server<SocketAddr, A>, app: App, stop: CancellationToken) -> Result<(), ServeError>
where
    A: Accept<tokio::net::TcpStream, axum::Router> + Clone + Send + Sync + 'static,
    A::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    A::Service: SendService<http::Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    let http = server.http_builder();
    http.http1().header_read_timeout(Some(HEAD_TIME)).max_buf_size(LARGEST_HEAD as usize);
    http.http2().max_concurrent_streams(Some(STREAMS)).max_header_list_size(LARGEST_HEAD);
    http.http2().keep_alive_interval(Some(PING)).keep_alive_timeout(PING);
    let handle = Handle::new();
    let server = server.first_request_timeout(FIRST_HEAD_TIME).handle(handle.clone());
    let serving = server.serve(app.router().into_make_service());
    let stopping = async {
        stop.cancelled().await;
        handle.graceful_shutdown(Some(GRACE));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = serving => ended.map_err(ServeError::Failed),
        () = stopping => Ok(()),
    }
}
