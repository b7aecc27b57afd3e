//! Says when the last operator is Ready: a watch that reads names and conditions only, the same for both sides.

use std::collections::HashSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::{ApiResource, GroupVersionKind, Object};
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Result;
use crate::fixture::{NAMESPACE, Setup};

/// Gives up when nothing becomes Ready for so long.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is read of a status.
#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// Nothing of a spec is read.
#[derive(Clone, Debug, Deserialize)]
struct Spec {}

type Seen = Object<Spec, Status>;

/// A watch over the operators.
pub struct Watch(JoinHandle<Result<Instant>>);

impl Watch {
    /// Returns when it has listed them.
    pub async fn start(client: Client, setup: &Setup) -> Result<Self> {
        let (listed, has_listed) = oneshot::channel();
        let open = setup.operators.iter().map(|(name, _)| name.clone()).collect();
        let task = tokio::spawn(follow(client, open, listed));
        has_listed.await.map_err(|_| "the operators cannot be watched".to_owned())?;
        Ok(Self(task))
    }

    /// When the last of them was Ready.
    pub async fn all_ready(self) -> Result<Instant> {
        self.0.await.map_err(|error| error.to_string())?
    }
}

async fn follow(client: Client, mut open: HashSet<String>, listed: oneshot::Sender<()>) -> Result<Instant> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("deskplane.dev", "v1alpha1", "Operator"));
    let api: Api<Seen> = Api::namespaced_with(client, NAMESPACE, &resource);
    let mut events = pin!(watcher(api, Config::default()));
    let mut listed = Some(listed);
    let mut example = String::new();
    while !open.is_empty() {
        let event = tokio::time::timeout(PATIENCE, events.next()).await;
        let event = event.map_err(|_| format!("{} operators do not become Ready; one of them: {example}", open.len()))?;
        match event {
            Some(Ok(Event::Apply(object) | Event::InitApply(object))) => {
                let name = object.metadata.name.clone().unwrap_or_default();
                if is_ready(&object) {
                    open.remove(&name);
                } else {
                    example = format!("{name} {:?}", object.status);
                }
            }
            Some(Ok(Event::InitDone)) => drop(listed.take().map(|listed| listed.send(()))),
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(format!("the watch of the operators failed: {error}")),
            None => return Err("the watch of the operators ended".to_owned()),
        }
    }
    Ok(Instant::now())
}

fn is_ready(object: &Seen) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
