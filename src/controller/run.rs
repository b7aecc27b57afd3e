//! Starts the controller: clients, store, watches, workers; and ends it in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use crate::api::{Account, AccountBackend, Department, Operator, Organization, Plan, Widget};
use crate::backend::Wake;

use super::cache::Cached;
use super::connection::Connection;
use super::connections::Connections;
use super::context::{Context, Scope};
use super::http::Phase;
use super::lease::Lease;
use super::metrics::Metrics;
use super::object::ObjectName;
use super::{http, runner, secrets, sweep, usage, watch};

/// How to run the controller.
#[derive(Clone, Debug)]
pub struct Config {
    /// How to reach the API server.
    pub kube: kube::Config,
    /// Which `AccountBackend` objects are ours.
    pub controller_name: String,
    /// The namespaces to look at; empty: all.
    pub namespaces: Vec<String>,
    /// Whose rows these are in a server; absent: no server is served.
    pub owner_id: Option<String>,
    /// Where the Secrets with the tokens of servers are.
    pub secret_namespace: String,
    /// Where health and metrics are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Passes at a time.
    pub workers: usize,
    /// The lease to work under; `None`: this is the only controller.
    pub lease: Option<LeaseConfig>,
}

/// The Lease of several controllers of which one works.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This process's name in it, shared with no other.
    pub identity: String,
    /// How long after the end of its holder another takes over; at least a second.
    pub duration: Duration,
}

/// Why the controller ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The API server cannot be used.
    #[error("the API server cannot be used: {0}")]
    Kube(#[from] kube::Error),
    /// The address for health and metrics cannot be used.
    #[error("cannot listen on {0}: {1}. Choose another address with --listen")]
    Listen(SocketAddr, std::io::Error),
    /// A newer controller has taken over.
    #[error("fenced: {0}. Another controller with the same owner id writes to this store")]
    Fenced(String),
    /// Another controller may lead by now.
    #[error("the lease {0} could not be renewed in time, so that another controller may lead; start this one again to stand by")]
    LeaseLost(String),
}

/// The UID of the kube-system namespace: the owner id of a controller that was given none.
pub async fn cluster_id(config: &kube::Config) -> Result<String, RunError> {
    let namespaces: Api<Namespace> = Api::all(Client::try_from(config.clone())?);
    Ok(namespaces.get("kube-system").await?.metadata.uid.unwrap_or_default())
}

/// Runs until `stop` is cancelled or a newer controller takes over. Passes under way are finished.
pub async fn run(config: Config, connections: Connections, stop: CancellationToken) -> Result<(), RunError> {
    let calls = Client::try_from(for_calls(config.kube.clone()))?;
    let watches = Client::try_from(for_watches(config.kube.clone()))?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| RunError::Listen(config.listen, error))?;
    let address = listener.local_addr().map_err(|error| RunError::Listen(config.listen, error))?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    let reporter = Reporter { controller: config.controller_name.clone(), instance: None };
    let recorder = Recorder::new(calls.clone(), reporter);
    let Config { controller_name, namespaces, owner_id, secret_namespace, .. } = config;
    let scope = Scope { controller_name, namespaces, owner_id, secret_namespace };
    let context = Arc::new(Context::new(calls, scope, connections, recorder, Metrics::default(), stop));
    let (phase, phases) = channel(if config.lease.is_some() { Phase::StandingBy } else { Phase::Listing });
    let server = tokio::spawn(http::serve(listener, context.clone(), phases));
    let work = Box::pin(async {
        phase.send_replace(Phase::Listing);
        tokio::select! {
            () = watch_all(&context, &watches, &phase) => {}
            () = usage::run(&context) => {}
            () = sweep::run(&context) => {}
            () = follow_wakes(&context) => {}
            () = secrets::run(&context, &watches) => {}
            () = reconcile(&context, phase.subscribe(), config.workers) => {}
        }
    });
    let ended = if let Some(lease) = config.lease {
        under_lease(&context, lease, work).await
    } else {
        work.await;
        Ok(())
    };
    context.stop.cancel();
    let _ = server.await;
    context.fenced_by().map_or(ended, |why| Err(RunError::Fenced(why)))
}

/// Works while the lease is ours. What is under way when it is lost is dropped: by then another may lead.
async fn under_lease(context: &Context, config: LeaseConfig, work: impl Future<Output = ()>) -> Result<(), RunError> {
    let LeaseConfig { namespace, name, identity, duration } = config;
    let mut lease = Lease::new(context.client.clone(), &namespace, &name, identity, duration);
    tokio::select! {
        () = lease.acquire() => {}
        () = context.stop.cancelled() => return Ok(()),
    }
    tokio::select! {
        () = work => {}
        () = lease.keep() => return Err(RunError::LeaseLost(format!("{namespace}/{name}"))),
    }
    lease.release().await;
    Ok(())
}

/// No retry of kube's own, which obeys a Retry-After of any length; a dead connection shows after ten seconds.
fn for_calls(mut config: kube::Config) -> kube::Config {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(10));
    config.write_timeout = Some(Duration::from_secs(10));
    config.reset_reader_on_write = true;
    config
}

/// Longer than the API server keeps a watch open.
fn for_watches(mut config: kube::Config) -> kube::Config {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(u64::from(watch::WATCH_SECONDS) + 10));
    config
}

/// Works once every watch has listed: first through what was there, parents first, in the order of creation.
async fn reconcile(context: &Context, mut phase: Receiver<Phase>, workers: usize) {
    let listed = tokio::select! {
        listed = phase.wait_for(|phase| *phase == Phase::Working) => listed.is_ok(),
        () = context.stop.cancelled() => false,
    };
    if !listed {
        return;
    }
    let names = context.cache().all_names();
    tracing::info!(objects = names.len(), "all watches have listed");
    context.queue.push_first(names);
    runner::run(context, workers).await;
}

async fn watch_all(context: &Context, client: &Client, phase: &Sender<Phase>) {
    let namespaces: Vec<Option<String>> = match context.scope.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let mut watches = Watches { context, client, listed: Vec::new(), running: Vec::new() };
    watches.add::<AccountBackend>(None);
    watches.add::<Plan>(None);
    for namespace in &namespaces {
        watches.add::<Account>(namespace.as_deref());
        watches.add::<Organization>(namespace.as_deref());
        watches.add::<Operator>(namespace.as_deref());
        watches.add::<Department>(namespace.as_deref());
        watches.add::<Widget>(namespace.as_deref());
    }
    let (sender, receiver) = channel(false);
    watches.listed.push(receiver);
    watches.running.push(Box::pin(async move { watch::run_namespaces(context, client, &sender).await }));
    let Watches { listed, running, .. } = watches;
    let all_listed = async {
        for mut listed in listed {
            let _ = listed.wait_for(|listed| *listed).await;
        }
        phase.send_replace(Phase::Working);
        std::future::pending::<()>().await;
    };
    tokio::join!(async { select_all(running).await }, all_listed);
}

struct Watches<'a> {
    context: &'a Context,
    client: &'a Client,
    listed: Vec<Receiver<bool>>,
    running: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>>,
}

impl Watches<'_> {
    fn add<K: Cached>(&mut self, namespace: Option<&str>) {
        let (sender, receiver) = channel(false);
        let (context, client, namespace) = (self.context, self.client, namespace.map(str::to_owned));
        self.listed.push(receiver);
        self.running.push(Box::pin(async move { watch::run::<K>(context, client, namespace.as_deref(), &sender).await }));
    }
}

/// What the stores wake after their commits.
async fn follow_wakes(context: &Context) {
    loop {
        let (connection, wake) = context.connections.next_wake().await;
        follow(context, &connection, wake);
    }
}

/// Takes over what a wake says, and has its object looked at. Where nothing is to be heard any more, the backends are.
pub(super) fn follow(context: &Context, connection: &Connection, wake: Option<Wake>) {
    let Some(Wake { tag, ticket }) = wake else {
        return context.queue.push_all(context.standing_on(connection));
    };
    let mut observed = connection.observed();
    match ticket {
        Some(ticket) => observed.hears(&tag.key, ticket),
        None => observed.ask_again(&tag.key),
    }
    drop(observed);
    context.queue.push(ObjectName::of_tag(&tag));
}
