//! Operators, departments and widgets go along with what is released. One that kept our finalizer could not be deleted any more once
//! the controller is gone: so we look, before an uninstall.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::receipt::Line;
use crate::api::names::ERASE_FINALIZER;
use crate::api::{Department, Operator, Widget};
use crate::cli::connect::Cluster;
use crate::cli::error::CliError;
use crate::cli::target::TargetKind;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// So many looks without one less, and nobody is letting go of them.
const PATIENCE: u32 = 10;

/// An object that still has our finalizer.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Waits while they become fewer, and returns those that are still held; absent `namespace`: in all.
pub async fn settle(cluster: &Cluster, namespace: Option<&str>, lines: &[Line], deadline: Instant) -> Result<Vec<Held>, CliError> {
    let kept = kept(lines);
    let (mut fewest, mut patience) = (usize::MAX, PATIENCE);
    loop {
        let held = look(cluster, namespace, &kept).await?;
        patience = if held.len() < fewest { PATIENCE } else { patience - 1 };
        fewest = fewest.min(held.len());
        if held.is_empty() || patience == 0 || Instant::now() + PAUSE > deadline {
            return Ok(held);
        }
        sleep(PAUSE).await;
    }
}

async fn look(cluster: &Cluster, namespace: Option<&str>, kept: &Kept) -> Result<Vec<Held>, CliError> {
    let mut all = held::<Operator>(cluster, namespace, kept, |operator| &operator.spec.organization_ref.name).await?;
    all.extend(held::<Department>(cluster, namespace, kept, |department| &department.spec.organization_ref.name).await?);
    all.extend(held::<Widget>(cluster, namespace, kept, |widget| &widget.spec.organization_ref.name).await?);
    Ok(all)
}

async fn held<K>(cluster: &Cluster, namespace: Option<&str>, kept: &Kept, parent: fn(&K) -> &String) -> Result<Vec<Held>, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + fmt::Debug,
{
    let objects: Vec<DeserializeGuard<K>> = cluster.list(namespace, None).await?;
    let held = objects.into_iter().filter(|object| {
        let parent = object.0.as_ref().ok().map(|object| parent(object).as_str());
        is_held(object.meta(), parent, kept)
    });
    let named = |object: DeserializeGuard<K>| Held {
        kind: K::kind(&()).into_owned(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    Ok(held.map(named).collect())
}

/// Organizations that are not let go, by namespace and name: their dependents rightly keep the finalizer, and are not counted too.
type Kept = HashSet<(String, String)>;

fn kept(lines: &[Line]) -> Kept {
    let kept = lines.iter().filter(|line| line.kind == TargetKind::Organization && line.remains());
    kept.map(|line| (line.namespace.clone(), line.name.clone())).collect()
}

fn is_held(metadata: &ObjectMeta, parent: Option<&str>, kept: &Kept) -> bool {
    let place = parent.map(|parent| (metadata.namespace.clone().unwrap_or_default(), parent.to_owned()));
    let has_finalizer = metadata.finalizers.iter().flatten().any(|one| one == ERASE_FINALIZER);
    has_finalizer && place.is_none_or(|place| !kept.contains(&place))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::receipt::Outcome;
    use super::*;
    use crate::cli::target::Target;

    fn line(name: &str, outcome: Outcome) -> Line {
        let object = json!({"metadata": {"name": name, "namespace": "chat", "uid": name}});
        Line::new(&Target::new(TargetKind::Organization, serde_json::from_value(object).unwrap()), outcome)
    }

    #[test]
    fn whoever_has_our_finalizer_is_held_unless_its_organization_remains() {
        let remains = Outcome::Remains { reason: "Synced".to_owned(), message: String::new() };
        let kept = kept(&[line("released", Outcome::Released), line("kept", remains)]);
        let metadata = |finalizer: &str| ObjectMeta {
            namespace: Some("chat".to_owned()),
            finalizers: Some(vec![finalizer.to_owned()]),
            ..ObjectMeta::default()
        };
        let parents = [Some("released"), Some("kept"), Some("unknown"), None];
        assert_eq!(parents.map(|parent| is_held(&metadata(ERASE_FINALIZER), parent, &kept)), [true, false, true, true]);
        assert!(!is_held(&metadata("foregroundDeletion"), None, &kept));
    }
}
