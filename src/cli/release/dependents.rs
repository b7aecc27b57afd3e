//! Operators, departments and widgets go along with what is released. One that kept our finalizer could not be deleted any more once
//! the controller is gone: so we look.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use kube::api::ObjectMeta;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use super::Scope;
use super::receipt::{Line, Outcome};
use crate::api::names::ERASE_FINALIZER;
use crate::api::{Department, Operator, Widget};
use crate::cli::connect::Cluster;
use crate::cli::error::CliError;
use crate::cli::target::TargetKind;

/// Between two looks. The controller lets go of them in one pass, so there are few looks.
const PAUSE: Duration = Duration::from_secs(1);

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

/// Waits until none is held, or for the deadline, and returns those that are.
pub async fn settle(cluster: &Cluster, scope: &Scope, lines: &[Line], deadline: Instant) -> Result<Vec<Held>, CliError> {
    let parents = Parents::of(scope, lines);
    loop {
        let held = look(cluster, scope, &parents).await?;
        if held.is_empty() || Instant::now() + PAUSE > deadline {
            return Ok(held);
        }
        sleep(PAUSE).await;
    }
}

async fn look(cluster: &Cluster, scope: &Scope, parents: &Parents) -> Result<Vec<Held>, CliError> {
    let mut held = held::<Operator>(cluster, scope, parents, |operator| &operator.spec.organization_ref.name).await?;
    held.extend(self::held::<Department>(cluster, scope, parents, |department| &department.spec.organization_ref.name).await?);
    held.extend(self::held::<Widget>(cluster, scope, parents, |widget| &widget.spec.organization_ref.name).await?);
    Ok(held)
}

async fn held<K>(cluster: &Cluster, scope: &Scope, parents: &Parents, parent: fn(&K) -> &String) -> Result<Vec<Held>, CliError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + fmt::Debug,
{
    // One organization's dependents can be selected; several cannot in one request.
    let fields = match &scope.one {
        Some((TargetKind::Organization, name)) => Some(format!("spec.organizationRef.name={name}")),
        _ => None,
    };
    let objects: Vec<DeserializeGuard<K>> = cluster.list(scope.namespace.as_deref(), fields.as_deref()).await?;
    let held = objects.into_iter().filter(|object| {
        let parent = object.0.as_ref().ok().map(|object| parent(object).as_str());
        has_finalizer(object.meta()) && parents.let_go(object.meta(), parent)
    });
    let kind = |object: &DeserializeGuard<K>| Held {
        kind: kind_of::<K>(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    Ok(held.map(|object| kind(&object)).collect())
}

fn kind_of<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}

fn has_finalizer(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == ERASE_FINALIZER))
}

/// The organizations of the lines, by namespace and name.
struct Parents {
    let_go: HashSet<(String, String)>,
    /// These remain, and their dependents with them: they are not counted twice.
    kept: HashSet<(String, String)>,
    all: bool,
}

impl Parents {
    fn of(scope: &Scope, lines: &[Line]) -> Self {
        let organizations = lines.iter().filter(|line| line.kind == TargetKind::Organization);
        let (let_go, kept): (Vec<_>, Vec<_>) =
            organizations.partition(|line| matches!(line.outcome, Outcome::Released | Outcome::Gone | Outcome::Asked));
        let names = |lines: Vec<&Line>| lines.iter().map(|line| (line.namespace.clone(), line.name.clone())).collect();
        Self { let_go: names(let_go), kept: names(kept), all: scope.one.is_none() }
    }

    /// Whether a dependent should be let go: its organization is, or everything is and its organization does not exist.
    fn let_go(&self, metadata: &ObjectMeta, parent: Option<&str>) -> bool {
        let Some(parent) = parent else { return self.all };
        let place = (metadata.namespace.clone().unwrap_or_default(), parent.to_owned());
        self.let_go.contains(&place) || (self.all && !self.kept.contains(&place))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::target::Target;

    fn line(name: &str, outcome: Outcome) -> Line {
        let object = json!({"metadata": {"name": name, "namespace": "chat", "uid": name}});
        Line::new(&Target::new(TargetKind::Organization, serde_json::from_value(object).unwrap()), outcome)
    }

    #[test]
    fn dependents_go_with_their_organization() {
        let remains = Outcome::Remains { reason: "Synced".to_owned(), message: String::new() };
        let lines = [line("released", Outcome::Released), line("kept", remains)];
        let metadata = ObjectMeta { namespace: Some("chat".to_owned()), ..ObjectMeta::default() };
        let one = Scope { namespace: Some("chat".to_owned()), one: Some((TargetKind::Account, "acme".to_owned())) };
        let all = Scope { namespace: None, one: None };
        let let_go = |scope: &Scope, parent| Parents::of(scope, &lines).let_go(&metadata, parent);
        let parents = [Some("released"), Some("kept"), Some("unknown"), None];
        assert_eq!(parents.map(|parent| let_go(&one, parent)), [true, false, false, false]);
        assert_eq!(parents.map(|parent| let_go(&all, parent)), [true, false, true, true]);
    }
}
