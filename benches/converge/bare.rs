//! The bare client: what the API server needs for one status patch an object, and nothing else.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use kube::Client;
use serde_json::json;

use crate::fixture::{NAMESPACE, Setup, path};
use crate::it::controlplane::ControlPlane;
use crate::ready::Watch;
use crate::{Result, WORKERS, process};

/// What it took.
pub struct Patched {
    /// From the first request until the watch has seen the last object Ready.
    pub time: Duration,
    /// CPU time of the API server.
    pub server_cpu: Duration,
}

/// Patches the status of every operator like the controller does: a test of the UID, and the same status.
pub async fn patch_all(plane: &ControlPlane, setup: &Setup) -> Result<Patched> {
    let client = setup.client().await?;
    let watch = Watch::start(plane.client().await, setup).await?;
    let cpu = process::server_cpu(plane)?;
    let began = Instant::now();
    let patches = futures::stream::iter(&setup.operators).map(|(name, uid)| patch(&client, name, uid));
    patches.buffer_unordered(usize::from(WORKERS)).try_collect::<Vec<_>>().await?;
    let time = watch.all_ready().await? - began;
    Ok(Patched { time, server_cpu: process::server_cpu(plane)?.saturating_sub(cpu) })
}

async fn patch(client: &Client, name: &str, uid: &str) -> Result<()> {
    let ready = json!({"type": "Ready", "status": "True", "reason": "Synced", "message": "The backend equals the spec.",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
    let status = json!({"observedGeneration": 1, "externalId": "oper_00000000000000000000000000000000",
        "storeId": "store_00000000000000000000000000000000", "seat": "Held", "conditions": [ready]});
    let operations = json!([{"op": "test", "path": "/metadata/uid", "value": uid}, {"op": "add", "path": "/status", "value": status}]);
    let path = format!("{}/{name}/status?fieldManager=deskplane", path("operators", NAMESPACE));
    let request = http::Request::patch(path).header("content-type", "application/json-patch+json");
    let request = request.body(operations.to_string().into_bytes()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| format!("patch {name}: {error}"))
}
