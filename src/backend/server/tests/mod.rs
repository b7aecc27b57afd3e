//! The provider against servers that go wrong: faults that a real one cannot be made to show.

mod certificates;
mod fake;
mod hostile;
mod refusals;
mod secrecy;
mod streams;
mod tls;

use std::time::Duration;

use ::secrecy::SecretString;

use super::client::Deadlines;
use super::*;
use crate::backend::BackendError;
use crate::domain::rows::RowKind;
use crate::domain::seats::Limits;
use fake::Fake;

/// The token of all tests: it must come up nowhere.
const CANARY: &str = "dpt_canarycanarycanarycanaryca_secretsecretsecretsecretsecretsecretsecretsecretsecr";

/// Deadlines for a server that does not answer.
const SHORT: Deadlines =
    Deadlines { connect: Duration::from_secs(5), call: Duration::from_millis(1500), silence: Duration::from_millis(1500) };

fn options(url: &str) -> ServerOptions {
    // One TLS implementation for the whole process: another test may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = SecretString::from(CANARY);
    ServerOptions { url: url.to_owned(), ca_bundle: None, token, owner: "owner".to_owned(), rate_limit: None }
}

fn server(url: &str) -> Server {
    Server::new(options(url)).expect("a server")
}

/// One that is not waited for long.
fn impatient(url: &str) -> Server {
    Server::with(options(url), SHORT).expect("a server")
}

fn session() -> Session {
    Session { owner: "owner".to_owned(), epoch: 1, store_id: "store_x".to_owned() }
}

/// The error of a read.
async fn read(server: &Server) -> BackendError {
    server.lookup(&"uid".into()).await.expect_err("the server goes wrong")
}

/// The error of a write.
async fn write(server: &Server) -> BackendError {
    let tag = OwnerTag { kind: RowKind::Account, namespace: "chat".into(), name: "acme".into(), key: "uid".into() };
    let desired = DesiredAccount { owner_email: "ada@acme.example".into(), owner_display_name: None, limits: Limits::default() };
    server.put_account(&session(), &tag, &desired).await.expect_err("the server goes wrong")
}

/// Asserts that a read loses nothing, and that of a write nobody knows what became of it.
async fn assert_lost(server: &Server, words: &str) {
    for (error, class) in [(read(server).await, "Transient"), (write(server).await, "OutcomeUnknown")] {
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
