//! The controller's side: until all is Ready, at rest, and after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Result;
use crate::fixture::{BACKEND, NAMESPACE, Setup, USER, path};
use crate::it::controlplane::{ControlPlane, Requests};
use crate::process::{self, Program};
use crate::ready::Watch;
use crate::store::Reader;

/// Usage is counted and written five seconds after a change.
const TRAIL: Duration = Duration::from_secs(8);

/// Longest time a restarted controller may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Resyncs while it is watched at rest: forced ones may write nothing either.
const RESYNC: &str = "20s";

/// Counts of requests: `{"patch operators/status": 5}`.
pub type Counts = BTreeMap<String, usize>;

/// From nothing to all Ready.
pub struct Converged {
    /// From the start of the process until the watch has seen the last operator Ready.
    pub time: Duration,
    /// CPU time of the API server meanwhile.
    pub server_cpu: Duration,
    /// CPU time of the controller, its store and the trailing counts of usage included.
    pub cpu: Duration,
    /// The most memory it has had, in KiB.
    pub peak_memory: u64,
    /// Passes over operators.
    pub passes: u64,
    /// What the API server was asked for.
    pub requests: Counts,
}

/// At rest.
pub struct AtRest {
    /// Writes to the API server.
    pub api_writes: Counts,
    /// Writes to the store.
    pub store_writes: i64,
    /// CPU time of the controller.
    pub cpu: Duration,
    /// The most memory it has had by then, in KiB.
    pub peak_memory: u64,
}

/// After a restart on objects that are all Ready.
pub struct Restarted {
    /// From the start of the process until it has listed, swept the store and gone through all objects.
    pub time: Duration,
    /// Writes to the API server until a while later.
    pub api_writes: Counts,
    /// CPU time of the controller until then.
    pub cpu: Duration,
    /// The most memory it has had, in KiB.
    pub peak_memory: u64,
}

/// Starts the controller on an empty store and waits until it has brought everything to Ready.
pub async fn converge(plane: &ControlPlane, setup: &Setup) -> Result<(Converged, Program)> {
    let watch = Watch::start(plane.client().await, setup).await?;
    let server_cpu = process::server_cpu(plane)?;
    let controller = process::controller(plane, setup.server.is_some()).await?;
    let time = watch.all_ready().await? - controller.began;
    let server_cpu = process::server_cpu(plane)?.saturating_sub(server_cpu);
    tokio::time::sleep(TRAIL).await;
    for plural in ["organizations", "accounts"] {
        all_ready(plane, plural).await?;
    }
    let requests = plane.requests_since(0).await.of_user(USER).counts();
    let passes = controller.metric(r#"deskplane_reconciles_total{kind="Operator""#).await?;
    let converged = Converged { time, server_cpu, cpu: controller.cpu()?, peak_memory: controller.peak_memory()?, passes, requests };
    Ok((converged, controller))
}

async fn all_ready(plane: &ControlPlane, plural: &str) -> Result<()> {
    let request = http::Request::get(path(plural, NAMESPACE)).body(Vec::new()).map_err(|error| error.to_string())?;
    let list: Value = plane.client().await.request(request).await.map_err(|error| format!("list {plural}: {error}"))?;
    for object in list["items"].as_array().into_iter().flatten() {
        let conditions = &object["status"]["conditions"];
        let ready = |condition: &&Value| condition["type"] == "Ready" && condition["status"] == "True";
        if conditions.as_array().and_then(|all| all.iter().find(ready)).is_none() {
            return Err(format!("{plural} {}: not Ready: {conditions}", object["metadata"]["name"]));
        }
    }
    Ok(())
}

/// Watches the controller at rest, while it compares store and objects every 20 seconds.
pub async fn rest(plane: &ControlPlane, controller: &Program, duration: Duration) -> Result<AtRest> {
    let patch = json!({"spec": {"resyncInterval": RESYNC}}).to_string();
    plane.kubectl_ok(&["patch", "accountbackend", BACKEND, "--type=merge", "-p", &patch]);
    tokio::time::sleep(TRAIL).await;
    let mut store = Reader::open(&process::database(plane)).await?;
    let (mark, before, cpu) = (plane.audit_mark().await, store.now().await?, controller.cpu()?);
    tokio::time::sleep(duration).await;
    let cpu = controller.cpu()?.saturating_sub(cpu);
    let store_writes = store.now().await?.writes_since(before);
    let api_writes = writes(plane.requests_since(mark).await);
    Ok(AtRest { api_writes, store_writes, cpu, peak_memory: controller.peak_memory()? })
}

/// Starts the controller again, and waits until it has gone through everything.
pub async fn restart(plane: &ControlPlane, setup: &Setup) -> Result<Restarted> {
    let mark = plane.audit_mark().await;
    let mut controller = process::controller(plane, setup.server.is_some()).await?;
    while !settled(&controller, setup).await? {
        if controller.began.elapsed() > PATIENCE {
            return Err("the restarted controller does not come to rest".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let time = controller.began.elapsed();
    let cpu = controller.cpu()?;
    tokio::time::sleep(TRAIL).await;
    let api_writes = writes(plane.requests_since(mark).await);
    let peak_memory = controller.peak_memory()?;
    controller.stop().await?;
    Ok(Restarted { time, api_writes, cpu, peak_memory })
}

/// Every operator had a pass that came to its end, and nothing waits.
async fn settled(controller: &Program, setup: &Setup) -> Result<bool> {
    let passes = controller.metric(r#"deskplane_reconciles_total{kind="Operator",outcome="Synced"}"#).await?;
    Ok(passes >= setup.operators.len() as u64 && controller.metric("deskplane_queue_length ").await? == 0)
}

fn writes(requests: Requests) -> Counts {
    requests.of_user(USER).writes().counts()
}
