//! What the runner needs to know of a kind, and how it names an object.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::names::{CONFIRM_DELETION, ERASE_FINALIZER, IN_USE_FINALIZER, PAUSED, RELEASE};
use crate::api::{
    Account, AccountBackend, AccountBackendStatus, AccountStatus, Department, DepartmentStatus, Operator, OperatorStatus, Organization,
    OrganizationStatus, Plan, PlanStatus, Widget, WidgetStatus,
};
use crate::domain::rows::{Key, OwnerTag, RowKind};
use crate::domain::text::fold_email;

use super::guard::Guard;

/// The kinds, parents before children: the order in which a first listing is worked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Cluster-scoped.
    AccountBackend,
    /// Cluster-scoped.
    Plan,
    /// Namespaced.
    Account,
    /// Namespaced.
    Organization,
    /// Namespaced.
    Operator,
    /// Namespaced.
    Department,
    /// Namespaced.
    Widget,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::AccountBackend, Self::Plan, Self::Account, Self::Organization, Self::Operator, Self::Department, Self::Widget];

    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountBackend => "AccountBackend",
            Self::Plan => "Plan",
            Self::Account => "Account",
            Self::Organization => "Organization",
            Self::Operator => "Operator",
            Self::Department => "Department",
            Self::Widget => "Widget",
        }
    }

    /// The kind of the row its objects have, if they have one.
    pub fn row_kind(self) -> Option<RowKind> {
        RowKind::parse(self.as_str())
    }
}

impl From<RowKind> for Kind {
    fn from(kind: RowKind) -> Self {
        match kind {
            RowKind::Account => Self::Account,
            RowKind::Organization => Self::Organization,
            RowKind::Operator => Self::Operator,
            RowKind::Department => Self::Department,
            RowKind::Widget => Self::Widget,
        }
    }
}

/// An object by name, whether it exists or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectName {
    /// An object of a namespaced kind.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// An object of a cluster-scoped kind.
    pub fn cluster(kind: Kind, name: &str) -> Self {
        Self::new(kind, "", name)
    }

    /// An object that one in `namespace` names.
    fn referred(kind: Kind, namespace: &str, name: &str) -> Self {
        let cluster_scoped = matches!(kind, Kind::AccountBackend | Kind::Plan);
        Self::new(kind, if cluster_scoped { "" } else { namespace }, name)
    }

    /// The object of an owner tag.
    pub fn of_tag(tag: &OwnerTag) -> Self {
        Self::new(tag.kind.into(), &tag.namespace, &tag.name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind.as_str(), self.name)
        } else {
            write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
        }
    }
}

/// What every status has.
pub trait Status: Clone + Default + PartialEq + Serialize + Send + Sync + 'static {
    /// The generation it speaks of.
    fn observed_generation(&self) -> i64;
    /// Its conditions.
    fn conditions(&self) -> &[Condition];
    /// Sets both.
    fn observe(&mut self, generation: i64, conditions: Vec<Condition>);
    /// Evidence that the object had a row (rule 13): its id there, and the store's.
    fn evidence(&self) -> (Option<&str>, Option<&str>) {
        (None, None)
    }
    /// Sets that evidence.
    fn set_evidence(&mut self, _external_id: &str, _store_id: &str) {}
}

/// A kind the runner reconciles.
pub trait Managed: Resource<DynamicType = ()> + Clone + fmt::Debug + DeserializeOwned + Serialize + Send + Sync + 'static {
    /// Which kind.
    const KIND: Kind;
    /// The finalizer of its objects.
    const FINALIZER: &'static str;
    /// Its status.
    type Status: Status;

    /// The status of this object.
    fn status(&self) -> Option<&Self::Status>;
    /// The objects its spec names, whose dependent it is.
    fn parents(&self) -> Vec<ObjectName>;
    /// The same of a spec that cannot be read as a whole.
    fn parents_in(namespace: &str, spec: &Value) -> Vec<ObjectName>;
    /// Further objects its spec names, on whose changes it is looked at again.
    fn mentions(&self) -> Vec<ObjectName> {
        Vec::new()
    }
    /// Under which folded e-mail it is looked up among the dependents of which parent.
    fn email(&self) -> Option<(ObjectName, String)> {
        None
    }
    /// An API for its objects in a namespace; for the cluster-scoped kinds the namespace is empty.
    fn api(client: Client, namespace: &str) -> Api<Self>;
    /// An API to watch its objects: in one namespace, or everywhere. One that cannot be read does not hold up the others.
    fn watch_api(client: Client, namespace: Option<&str>) -> Api<Guard<Self>>;
}

/// Questions to an object's metadata.
pub trait Meta {
    /// The metadata.
    fn metadata(&self) -> &ObjectMeta;

    /// UID, as key of its row.
    fn key(&self) -> Key {
        Key(self.metadata().uid.clone().unwrap_or_default())
    }

    /// `metadata.name`.
    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`, empty for cluster-scoped kinds.
    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// Has a deletion timestamp.
    fn terminating(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// Value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The annotation that pauses is set.
    fn paused(&self) -> bool {
        self.annotation(PAUSED) == Some("true")
    }

    /// The annotation that lets go names the object.
    fn released(&self) -> bool {
        self.annotation(RELEASE) == Some(self.name())
    }

    /// Value of the annotation that confirms a deletion.
    fn confirmation(&self) -> Option<&str> {
        self.annotation(CONFIRM_DELETION)
    }

    /// Has that finalizer.
    fn has_finalizer(&self, finalizer: &str) -> bool {
        self.metadata().finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == finalizer))
    }
}

impl<K: Resource<DynamicType = ()>> Meta for K {
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
}

/// The name of an object.
pub fn name_of<K: Managed>(object: &K) -> ObjectName {
    ObjectName::new(K::KIND, Meta::namespace(object), &object.name_any())
}

/// The owner tag of an object with a row.
pub fn tag_of(kind: RowKind, meta: &ObjectMeta) -> OwnerTag {
    OwnerTag {
        kind,
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        key: Key(meta.uid.clone().unwrap_or_default()),
    }
}

macro_rules! managed {
    (@api cluster, $client:ident, $namespace:ident) => {{
        debug_assert!($namespace.is_empty());
        Api::all($client)
    }};
    (@api namespaced, $client:ident, $namespace:ident) => {
        Api::namespaced($client, $namespace)
    };
    ($kind:ident, $scope:ident, $status:ident, $finalizer:ident $(, $field:ident at $pointer:literal is $parent:ident)* $(with $evidence:ident)? $(| $person:ident is found by $email:expr)? $(; $object:ident mentions $mentions:expr)?) => {
        impl Status for $status {
            fn observed_generation(&self) -> i64 {
                self.observed_generation
            }
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }
            fn observe(&mut self, generation: i64, conditions: Vec<Condition>) {
                self.observed_generation = generation;
                self.conditions = conditions;
            }
            $(fn $evidence(&self) -> (Option<&str>, Option<&str>) {
                (self.external_id.as_deref(), self.store_id.as_deref())
            }
            fn set_evidence(&mut self, external_id: &str, store_id: &str) {
                (self.external_id, self.store_id) = (Some(external_id.to_owned()), Some(store_id.to_owned()));
            })?
        }

        impl Managed for $kind {
            const KIND: Kind = Kind::$kind;
            const FINALIZER: &'static str = $finalizer;
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }
            fn parents(&self) -> Vec<ObjectName> {
                vec![$(ObjectName::referred(Kind::$parent, Meta::namespace(self), &self.spec.$field.name)),*]
            }
            #[allow(unused_variables)] // by kinds that name no others
            fn parents_in(namespace: &str, spec: &Value) -> Vec<ObjectName> {
                let names: &[Option<ObjectName>] = &[$(spec.pointer($pointer).and_then(Value::as_str).map(|name| ObjectName::referred(Kind::$parent, namespace, name))),*];
                names.iter().flatten().cloned().collect()
            }
            $(fn mentions(&self) -> Vec<ObjectName> {
                let $object = self;
                $mentions
            })?
            $(fn email(&self) -> Option<(ObjectName, String)> {
                let $person = self;
                $person.parents().pop().map(|parent| (parent, $email))
            })?
            fn api(client: Client, namespace: &str) -> Api<Self> {
                managed!(@api $scope, client, namespace)
            }
            fn watch_api(client: Client, namespace: Option<&str>) -> Api<Guard<Self>> {
                match namespace {
                    None => Api::all(client),
                    Some(namespace) => managed!(@api $scope, client, namespace),
                }
            }
        }
    };
}

managed!(AccountBackend, cluster, AccountBackendStatus, IN_USE_FINALIZER);
managed!(Plan, cluster, PlanStatus, IN_USE_FINALIZER);
managed!(Account, namespaced, AccountStatus, ERASE_FINALIZER,
    backend_ref at "/backendRef/name" is AccountBackend, plan_ref at "/planRef/name" is Plan with evidence);
managed!(Organization, namespaced, OrganizationStatus, ERASE_FINALIZER, account_ref at "/accountRef/name" is Account with evidence);
managed!(Operator, namespaced, OperatorStatus, ERASE_FINALIZER, organization_ref at "/organizationRef/name" is Organization with evidence
    | operator is found by fold_email(&operator.spec.email));
managed!(Department, namespaced, DepartmentStatus, ERASE_FINALIZER, organization_ref at "/organizationRef/name" is Organization with evidence;
department mentions {
    let named = department.spec.members.iter().flat_map(|members| &members.operators);
    named.map(|operator| ObjectName::new(Kind::Operator, Meta::namespace(department), &operator.name)).collect()
});
managed!(Widget, namespaced, WidgetStatus, ERASE_FINALIZER, organization_ref at "/organizationRef/name" is Organization with evidence);
