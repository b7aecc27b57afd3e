//! `deskplane server`, without a verb: runs the account server.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::server::{self, Config, Limits, TlsFiles};
use crate::store::{Store, retention};

use super::super::controller::{DATABASES, DEFAULT_DATABASE, location};
use super::super::error::CliError;
use super::super::exit::Exit;
use super::super::log::LogArgs;
use super::super::stop::{stop_on_signal, unless_replaced};
use super::super::traces::Traces;

/// How often a stream shows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// How long the store may take to clean up at the end, after what was under way.
const CLOSING: Duration = Duration::from_secs(8);

/// Arguments of `deskplane server`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// The accounts: a file, made if it does not exist, or a database
    #[arg(long, env = "DESKPLANE_DATABASE", hide_env_values = true, value_name = DATABASES, default_value = DEFAULT_DATABASE)]
    database: SecretString,
    /// Where to listen; port 0: one that is free, see the log
    #[arg(long, env = "DESKPLANE_SERVER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The certificate and those that sign it, as PEM
    #[arg(long, env = "DESKPLANE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key, as PEM
    #[arg(long, env = "DESKPLANE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serve other machines without TLS: tokens and people's data travel in the clear
    #[arg(long, env = "DESKPLANE_INSECURE_PLAIN_HTTP", conflicts_with = "tls_cert")]
    insecure_plain_http: bool,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Requests a second that each token may make
    #[arg(long, env = "DESKPLANE_REQUESTS_PER_SECOND", value_name = "NUMBER", default_value = "500")]
    requests_per_second: NonZeroU32,
    /// Requests that a token may make at once after a pause
    #[arg(long, env = "DESKPLANE_BURST", value_name = "NUMBER", default_value = "1000")]
    burst: NonZeroU32,
    /// Requests worked on at a time; more are told to come again
    #[arg(long, env = "DESKPLANE_MAX_REQUESTS", value_name = "NUMBER", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    max_requests: u16,
    /// Long polls and streams open at a time
    #[arg(long, env = "DESKPLANE_MAX_WAITING", value_name = "NUMBER", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    max_waiting: u16,
    /// How long a request may take
    #[arg(long, env = "DESKPLANE_REQUEST_SECONDS", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=600))]
    request_seconds: u16,
}

impl LimitArgs {
    fn limits(&self) -> Limits {
        let Self { requests_per_second, burst, max_requests, max_waiting, request_seconds } = *self;
        Limits {
            requests_per_second,
            burst,
            requests: usize::from(max_requests),
            waiting: usize::from(max_waiting),
            deadline: Duration::from_secs(u64::from(request_seconds)),
            sign_of_life: SIGN_OF_LIFE,
        }
    }
}

impl ServeArgs {
    fn config(&self) -> Result<Config, CliError> {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let tls = files.map(|(certificate, key)| TlsFiles { certificate, key });
        if tls.is_none() && !self.listen.ip().is_loopback() && !self.insecure_plain_http {
            return Err(CliError::Usage(format!(
                "--listen {}: other machines would send their tokens in the clear. Give --tls-cert and --tls-key, or, behind something \
                 that does TLS, --insecure-plain-http.",
                self.listen
            )));
        }
        Ok(Config { listen: self.listen, tls, limits: self.limits.limits() })
    }
}

/// Runs the verb, until the server is told to stop.
pub async fn run(args: ServeArgs) -> Result<Exit, CliError> {
    let config = args.config()?;
    let traces = Traces::start()?;
    args.log.start_with(traces.as_ref().map(Traces::tracer))?;
    let Some(location) = location(args.database.expose_secret())? else {
        return Err(CliError::Usage(
            "--database none is for controllers: a server needs sqlite://PATH or postgres://USER@HOST/DATABASE.".to_owned(),
        ));
    };
    let store = Arc::new(Store::open(&location).await?);
    tracing::info!(database = %location, store = store.id(), "the store is open");
    let stop = CancellationToken::new();
    let run = async {
        let serving = server::serve(config, Arc::clone(&store), stop.clone());
        let serving = unless_replaced(Some(&store), &stop, serving);
        let (ended, ()) = tokio::join!(serving, retention::run(&store, &stop));
        if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
            tracing::info!("what erased rows left in the store's files goes when it is opened next");
        }
        ended
    };
    let ended = tokio::join!(run, stop_on_signal(&stop)).0;
    if let Some(traces) = traces {
        traces.close().await;
    }
    ended?;
    tracing::info!("stopped");
    Ok(Exit::Ok)
}
