//! From a heap of objects to the hierarchy. An object whose parent does not exist stands below a node that says so.

use std::collections::BTreeMap;

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::DeserializeGuard;
use serde::Serialize;

use crate::api::operator::Seat;
use crate::api::{Account, Department, Operator, Organization, Widget};
use crate::cli::output::{clean, plural};
use crate::cli::view::{Observed, Readiness};

/// The kinds of the hierarchy, in the order in which siblings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Kind {
    Account,
    Organization,
    Operator,
    Department,
    Widget,
}

impl Kind {
    fn parent(self) -> Option<Self> {
        match self {
            Self::Account => None,
            Self::Organization => Some(Self::Account),
            Self::Operator | Self::Department | Self::Widget => Some(Self::Organization),
        }
    }
}

/// An object, and the name of its parent.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Empty: an account, or an object that cannot be read.
    pub parent: String,
    /// Order among its siblings, before the name.
    pub position: i32,
    /// What is shown.
    pub node: Node,
}

/// An object and what is below it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub kind: Kind,
    pub namespace: String,
    pub name: String,
    pub ready: Readiness,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub seats: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

impl Node {
    fn missing(kind: Kind, namespace: &str, name: &str) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self { kind, namespace, name, ready: Readiness::missing(), seats: String::new(), details: String::new(), children: vec![] }
    }
}

/// Name and namespace of an object.
type Place = (String, String);

/// The hierarchy, or only the part below one account.
pub fn assemble(entries: Vec<Entry>, account: Option<&str>) -> Vec<Node> {
    let mut below: BTreeMap<(Kind, Place), Vec<Entry>> = BTreeMap::new();
    let (mut roots, mut strays) = (vec![], vec![]);
    for entry in entries {
        match entry.node.kind.parent() {
            Some(parent) if !entry.parent.is_empty() => {
                let place = (entry.node.namespace.clone(), entry.parent.clone());
                below.entry((parent, place)).or_default().push(entry);
            }
            Some(_) => strays.push(entry),
            None => roots.push(entry),
        }
    }
    let mut roots = grow(roots, &mut below);
    if account.is_some() {
        return roots;
    }
    // What is still there has no parent: organizations first, for they take their own children along.
    while let Some(((kind, (namespace, name)), children)) = below.pop_first() {
        let mut parent = Node::missing(kind, &namespace, &name);
        parent.children = grow(children, &mut below);
        roots.push(parent);
    }
    roots.extend(grow(strays, &mut below));
    roots
}

fn grow(mut siblings: Vec<Entry>, below: &mut BTreeMap<(Kind, Place), Vec<Entry>>) -> Vec<Node> {
    let order = |entry: &Entry| (entry.node.kind, entry.node.namespace.clone(), entry.position, entry.node.name.clone());
    siblings.sort_by_cached_key(order);
    let grown = siblings.into_iter().map(|Entry { mut node, .. }| {
        let place = (node.namespace.clone(), node.name.clone());
        node.children = below.remove(&(node.kind, place)).map(|children| grow(children, below)).unwrap_or_default();
        node
    });
    grown.collect()
}

/// What differs between the kinds.
struct Facts {
    parent: String,
    position: Option<i32>,
    seats: Option<String>,
    details: Option<String>,
}

fn entry<K: Observed + Resource>(kind: Kind, guard: DeserializeGuard<K>, facts: impl Fn(&K) -> Facts) -> Entry {
    let node = |metadata: &ObjectMeta, ready, seats, details| Node {
        kind,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        ready,
        seats,
        details,
        children: vec![],
    };
    match guard.0 {
        Ok(object) => {
            let Facts { parent, position, seats, details } = facts(&object);
            let node = node(object.meta(), Readiness::of(&object), seats.unwrap_or_default(), details.unwrap_or_default());
            // Objects without a position stand behind those with one.
            Entry { parent, position: position.unwrap_or(i32::MAX), node }
        }
        Err(invalid) => {
            let node = node(&invalid.metadata, Readiness::unreadable(&invalid), String::new(), String::new());
            Entry { parent: String::new(), position: i32::MAX, node }
        }
    }
}

impl From<DeserializeGuard<Account>> for Entry {
    fn from(guard: DeserializeGuard<Account>) -> Self {
        entry(Kind::Account, guard, |account| Facts {
            parent: String::new(),
            position: None,
            seats: account.status.as_ref().and_then(|status| status.seat_summary.clone()),
            details: Some(format!("plan {}", account.spec.plan_ref.name)),
        })
    }
}

impl From<DeserializeGuard<Organization>> for Entry {
    fn from(guard: DeserializeGuard<Organization>) -> Self {
        entry(Kind::Organization, guard, |organization| {
            let status = organization.status.as_ref();
            let display_name = status.and_then(|status| status.display_name.as_ref()).or(organization.spec.display_name.as_ref());
            Facts {
                parent: organization.spec.account_ref.name.clone(),
                position: None,
                seats: status.and_then(|status| status.seat_summary.clone()),
                details: display_name.map(|name| clean(name)),
            }
        })
    }
}

impl From<DeserializeGuard<Operator>> for Entry {
    fn from(guard: DeserializeGuard<Operator>) -> Self {
        entry(Kind::Operator, guard, |operator| {
            let status = operator.status.as_ref();
            let place = status.and_then(|status| status.queue_position).map(|place| format!(" (number {place})")).unwrap_or_default();
            let seat = status.and_then(|status| status.seat).map(|seat| match seat {
                Seat::Held => "Held".to_owned(),
                Seat::Waiting => format!("Waiting{place}"),
                Seat::NotNeeded => "NotNeeded".to_owned(),
            });
            let suspended = if operator.spec.suspended { ", suspended" } else { "" };
            Facts {
                parent: operator.spec.organization_ref.name.clone(),
                position: operator.spec.position,
                seats: seat,
                details: Some(format!("{:?}{suspended}", operator.spec.role)),
            }
        })
    }
}

impl From<DeserializeGuard<Department>> for Entry {
    fn from(guard: DeserializeGuard<Department>) -> Self {
        entry(Kind::Department, guard, |department| Facts {
            parent: department.spec.organization_ref.name.clone(),
            position: department.spec.position,
            seats: None,
            details: department.status.as_ref().and_then(|status| status.members).map(|members| plural(members, "member")),
        })
    }
}

impl From<DeserializeGuard<Widget>> for Entry {
    fn from(guard: DeserializeGuard<Widget>) -> Self {
        entry(Kind::Widget, guard, |widget| Facts {
            parent: widget.spec.organization_ref.name.clone(),
            position: None,
            seats: None,
            details: widget.status.as_ref().and_then(|status| status.availability).map(|availability| format!("{availability:?}")),
        })
    }
}
