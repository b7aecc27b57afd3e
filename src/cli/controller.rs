//! `deskplane controller`: arguments of the controller.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::api::names::DEFAULT_CONTROLLER_NAME;
use crate::backend::Backend;
use crate::backend::embedded::Embedded;
use crate::controller::{self, Config, Connections, LeaseConfig, Servers, cluster_id};
use crate::store::{Location, Store, retention};

use super::connect::ClusterArgs;
use super::error::CliError;
use super::exit::Exit;
use super::log::LogArgs;
use super::stop::{stop_on_signal, unless_replaced};

/// Examples of `deskplane controller --help`.
pub const EXAMPLES: &str = "\
Examples:
  # On your own machine, with the accounts in a file
  deskplane controller --database sqlite://accounts.db

  # In a pod
  deskplane controller --database sqlite:///data/accounts.db --listen 0.0.0.0:8080 --log-format json

  # With the accounts in PostgreSQL; the password is in PGPASSWORD, or in the file that PGPASSFILE names
  deskplane controller --database 'postgres://deskplane@db.example/deskplane?sslrootcert=/etc/db/ca.crt'

  # With the accounts in an account server, which AccountBackends name; as owner an id that no other cluster has
  deskplane controller --database none --owner-id $UID_OF_KUBE_SYSTEM

  # For two namespaces only
  deskplane controller --database sqlite://accounts.db --namespace chat --namespace support

One controller writes to a store: a second one on the same file ends, and says who holds it. On PostgreSQL the others stand by; the server's certificate must be valid for its name (sslmode=verify-full), unless the URL says otherwise.";

/// How a store is named: also for the `store` verbs.
pub const DATABASES: &str = "sqlite://PATH | postgres://USER@HOST/DATABASE";

/// The same for a controller, which can do without.
const DATABASES_OR_NONE: &str = "sqlite://PATH | postgres://USER@HOST/DATABASE | none";

/// Instead of a store: this process has none.
const NO_DATABASE: &str = "none";

/// The store, where none is named.
pub const DEFAULT_DATABASE: &str = "sqlite://deskplane.db";

/// How long the store may take to clean up at the end: less than the 30 seconds that Kubernetes gives a pod.
const CLOSING: Duration = Duration::from_secs(15);

/// Arguments of `deskplane controller`.
#[derive(Args, Debug)]
pub struct ControllerArgs {
    /// The store of the embedded backend: a file, made if it does not exist, or a database; none: all accounts are in servers
    #[arg(long, env = "DESKPLANE_DATABASE", hide_env_values = true, value_name = DATABASES_OR_NONE, default_value = DEFAULT_DATABASE)]
    pub database: SecretString,
    /// Whose rows these are, when several clusters share a backend; needed for account servers [default: UID of the namespace
    /// kube-system]
    #[arg(long, env = "DESKPLANE_OWNER_ID", value_name = "ID")]
    pub owner_id: Option<String>,
    /// Namespace of the Secrets with the tokens of account servers [default: the pod's, or the one of the kubeconfig's context]
    #[arg(long, env = "DESKPLANE_SECRET_NAMESPACE", value_name = "NAME")]
    pub secret_namespace: Option<String>,
    /// Look after this namespace only; can be given several times [default: all]
    #[arg(long = "namespace", short = 'n', env = "DESKPLANE_NAMESPACES", value_name = "NAME", value_delimiter = ',')]
    pub namespaces: Vec<String>,
    /// Our name in `AccountBackend.spec.controllerName`.
    #[arg(long, help = "Look after the AccountBackends whose spec.controllerName is this", env = "DESKPLANE_CONTROLLER_NAME", value_name = "NAME", default_value = DEFAULT_CONTROLLER_NAME)]
    pub controller_name: String,
    /// Where to answer /healthz, /readyz and /metrics; port 0: one that is free, see the log
    #[arg(long, env = "DESKPLANE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How many objects are worked on at a time
    #[arg(long, env = "DESKPLANE_WORKERS", value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Several controllers on one PostgreSQL or server, of which the one that holds a Lease works")]
struct LeaseArgs {
    /// Work without a Lease: the controller that started last works, and the others end
    #[arg(long, env = "DESKPLANE_NO_LEASE")]
    no_lease: bool,
    /// Namespace of the Lease [default: the pod's, or the one of the kubeconfig's context]
    #[arg(long, env = "DESKPLANE_LEASE_NAMESPACE", value_name = "NAME")]
    lease_namespace: Option<String>,
    /// Name of the Lease; controllers of different stores need different ones
    #[arg(long, env = "DESKPLANE_LEASE_NAME", value_name = "NAME", default_value = "deskplane-controller")]
    lease_name: String,
    /// How long after the end of the one that works another takes over
    #[arg(long, env = "DESKPLANE_LEASE_SECONDS", value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=300))]
    lease_seconds: u16,
}

/// Runs the verb, until the controller is told to stop.
pub async fn run(args: ControllerArgs) -> Result<Exit, CliError> {
    args.log.start()?;
    let kube = args.cluster.config().await?;
    let location = location(args.database.expose_secret())?;
    let own = match &location {
        Some(location) => Some(open(location, args.owner_id.clone(), &kube).await?),
        None => None,
    };
    let (store, embedded) = own.unzip();
    let lease = args.lease.for_store(location.as_ref(), &kube)?;
    let stop = CancellationToken::new();
    let config = Config {
        secret_namespace: args.secret_namespace.unwrap_or_else(|| kube.default_namespace.clone()),
        kube,
        controller_name: args.controller_name,
        namespaces: args.namespaces,
        owner_id: args.owner_id,
        listen: args.listen,
        workers: usize::from(args.workers),
        lease,
    };
    let connections = Connections::new(embedded, Box::new(Servers));
    let run = async {
        let work = unless_replaced(store.as_deref(), &stop, controller::run(config, connections, stop.clone()));
        let Some(store) = &store else { return work.await };
        // Also by one that stands by: what is too old is so whoever leads.
        let (ended, ()) = tokio::join!(work, retention::run(store, &stop));
        if tokio::time::timeout(CLOSING, store.close()).await.is_err() {
            tracing::info!("what erased rows left in the store's files goes when it is opened next");
        }
        ended
    };
    tokio::join!(run, stop_on_signal(&stop)).0?;
    tracing::info!("stopped");
    Ok(Exit::Ok)
}

/// The store that `--database` names; `None`: none.
pub fn location(database: &str) -> Result<Option<Location>, CliError> {
    if database == NO_DATABASE { Ok(None) } else { Ok(Some(Location::parse(database)?)) }
}

/// The controller's own store, and the backend that stands on it.
async fn open(location: &Location, owner: Option<String>, kube: &kube::Config) -> Result<(Arc<Store>, Arc<dyn Backend>), CliError> {
    let owner = match owner {
        Some(owner) => owner,
        None => cluster_id(kube).await?,
    };
    let store = Arc::new(Store::open(location).await?);
    tracing::info!(database = %location, store = store.id(), "the store is open");
    Ok((store.clone(), Arc::new(Embedded::new(store, owner))))
}

impl LeaseArgs {
    /// A store that several can open needs one who works. A file's lock says who that is.
    fn for_store(self, location: Option<&Location>, kube: &kube::Config) -> Result<Option<LeaseConfig>, CliError> {
        let Self { no_lease, lease_namespace, lease_name, lease_seconds } = self;
        if no_lease || matches!(location, Some(Location::File(_))) {
            return Ok(None);
        }
        let random = getrandom::u64().map_err(|error| CliError::Start(format!("the system's random source: {error}")))?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Some(LeaseConfig {
            namespace: lease_namespace.unwrap_or_else(|| kube.default_namespace.clone()),
            name: lease_name,
            identity: format!("{}_{random:016x}", host.trim()),
            duration: Duration::from_secs(u64::from(lease_seconds)),
        }))
    }
}
