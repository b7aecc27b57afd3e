//! An account server over the store of a test, on this machine, and the provider that asks it: real requests, over real connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::backend::server::{Server, ServerOptions};
use crate::domain::access::Scope;
use crate::server::{App, Limits};
use crate::store::Store;

/// A running account server.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    pub(super) token: SecretString,
    backend: Arc<Server>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Serving {
    /// Serves a store, and asks it as `owner` with a token of its own.
    pub(super) async fn start(store: Arc<Store>) -> Self {
        let (_, token) = store.create_token(&Scope::Admin, "a test").await.expect("a token");
        Self::start_at(store, (Ipv4Addr::LOCALHOST, 0).into(), token).await
    }

    /// The same at an address, with a token.
    pub(super) async fn start_at(store: Arc<Store>, address: SocketAddr, token: SecretString) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let router = App::new(store, &limits(), stop.clone()).router();
        let ending = stop.clone().cancelled_owned();
        let serve = axum::serve(listener, router).with_graceful_shutdown(ending);
        let ended = tokio::spawn(async move { serve.await.expect("a server") });
        Self { address, backend: Arc::new(provider(address, token.clone(), "owner")), token, stop, ended }
    }

    /// The provider.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    /// Another provider, for an owner.
    pub(super) fn provider(&self, owner: &str) -> Server {
        self.provider_with(self.token.clone(), owner)
    }

    /// Another provider, with another token.
    pub(super) fn provider_with(&self, token: SecretString, owner: &str) -> Server {
        provider(self.address, token, owner)
    }

    /// Ends it in order. The store is its starter's again.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.ended.await.expect("an end in order");
    }
}

pub(super) fn provider(address: SocketAddr, token: SecretString, owner: &str) -> Server {
    // One TLS implementation for the whole process: another test may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = ServerOptions { url: format!("http://{address}"), ca_bundle: None, token, owner: owner.to_owned(), rate_limit: None };
    Server::new(options).expect("a provider")
}

/// No test is a client that takes too much.
fn limits() -> Limits {
    let plenty = NonZeroU32::MAX;
    Limits {
        requests_per_second: plenty,
        burst: plenty,
        requests: 1000,
        waiting: 1000,
        deadline: Duration::from_mins(1),
        sign_of_life: Duration::from_secs(15),
    }
}
