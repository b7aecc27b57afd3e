//! The controller's copy of the cluster: objects by name, and who depends on whom. Kept by the watches, and by our own writes.
//!
//! Look-ups are by name or by parent; nothing here walks all objects but a relist.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use kube::api::ObjectMeta;

use super::guard::Unreadable;
use super::object::{Kind, Managed, Meta, ObjectName};
use crate::api::names::DEFAULT_CONTROLLER_NAME;
use crate::api::{Account, AccountBackend, Department, Operator, Organization, Plan, Widget};
use crate::domain::rows::Key;
use crate::domain::text::fold_email;

/// An object as it came from the API server.
#[derive(Debug)]
pub enum Entry<K> {
    /// Readable.
    Good(Arc<K>),
    /// Stored in a form this version cannot read.
    Bad(Arc<Unreadable>),
}

impl<K> Clone for Entry<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Good(object) => Self::Good(object.clone()),
            Self::Bad(object) => Self::Bad(object.clone()),
        }
    }
}

impl<K: Managed> Entry<K> {
    /// The metadata, readable or not.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Good(object) => Meta::metadata(object.as_ref()),
            Self::Bad(object) => &object.metadata,
        }
    }

    /// Its name.
    pub fn object_name(&self) -> ObjectName {
        let meta = self.metadata();
        ObjectName::new(K::KIND, meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }

    /// The objects its spec names, whose dependent it is.
    pub fn parents(&self) -> Vec<ObjectName> {
        match self {
            Self::Good(object) => object.parents(),
            Self::Bad(object) => K::parents_in(object.metadata.namespace.as_deref().unwrap_or_default(), &object.spec),
        }
    }

    fn forget_version(&mut self) {
        match self {
            Self::Good(object) => Arc::make_mut(object).meta_mut().resource_version = None,
            Self::Bad(object) => Arc::make_mut(object).metadata.resource_version = None,
        }
    }

    /// Its UID.
    pub fn key(&self) -> Key {
        Key(self.metadata().uid.clone().unwrap_or_default())
    }
}

/// What of a namespace matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFacts {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// It has a deletion timestamp.
    pub terminating: bool,
}

/// Which object it is, and in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its UID.
    pub key: Key,
    resource: Option<String>,
}

impl Version {
    fn of<K: Managed>(entry: &Entry<K>) -> Self {
        Self { key: entry.key(), resource: entry.metadata().resource_version.clone() }
    }
}

/// Sorted, so that the objects of a namespace stand together.
type Table<K> = BTreeMap<ObjectName, Entry<K>>;

/// Objects by name, and their dependents.
#[derive(Default)]
pub struct Cache {
    backends: Table<AccountBackend>,
    plans: Table<Plan>,
    accounts: Table<Account>,
    organizations: Table<Organization>,
    operators: Table<Operator>,
    departments: Table<Department>,
    widgets: Table<Widget>,
    /// Namespaces by name.
    pub namespaces: HashMap<String, NamespaceFacts>,
    dependents: HashMap<ObjectName, BTreeSet<ObjectName>>,
    mentions: HashMap<ObjectName, BTreeSet<ObjectName>>,
    /// Operators by organization and folded e-mail.
    emails: HashMap<(ObjectName, String), BTreeSet<ObjectName>>,
    keys: HashMap<Key, ObjectName>,
    /// How many objects were looked at, for tests.
    #[cfg(test)]
    pub looks: std::sync::atomic::AtomicUsize,
}

/// A kind that has a table in the cache.
pub trait Cached: Managed {
    /// Its table.
    fn table(cache: &Cache) -> &Table<Self>;
    /// Its table, to write.
    fn table_mut(cache: &mut Cache) -> &mut Table<Self>;
}

macro_rules! cached {
    ($($kind:ident: $field:ident,)+) => {
        $(impl Cached for $kind {
            fn table(cache: &Cache) -> &Table<Self> {
                &cache.$field
            }
            fn table_mut(cache: &mut Cache) -> &mut Table<Self> {
                &mut cache.$field
            }
        })+
    };
}

cached! {
    AccountBackend: backends,
    Plan: plans,
    Account: accounts,
    Organization: organizations,
    Operator: operators,
    Department: departments,
    Widget: widgets,
}

/// An expression about the kind `K` that a value of `Kind` stands for.
macro_rules! for_kind {
    ($kind:expr, $type:ident => $body:expr) => {
        for_kind!(@arms $kind, $type => $body; AccountBackend, Plan, Account, Organization, Operator, Department, Widget)
    };
    (@arms $kind:expr, $type:ident => $body:expr; $($name:ident),*) => {
        match $kind {
            $(Kind::$name => { type $type = $name; $body })*
        }
    };
}

impl Cache {
    /// The object of that name, readable or not.
    pub fn entry<K: Cached>(&self, name: &ObjectName) -> Option<Entry<K>> {
        K::table(self).get(name).cloned()
    }

    /// The object of that name, if it can be read.
    pub fn get<K: Cached>(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        #[cfg(test)]
        self.looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match K::table(self).get(&ObjectName::new(K::KIND, namespace, name)) {
            Some(Entry::Good(object)) => Some(object.clone()),
            _ => None,
        }
    }

    /// Whether an object with that UID exists.
    pub fn name_of_key(&self, key: &Key) -> Option<&ObjectName> {
        self.keys.get(key)
    }

    /// UID of the object of that name.
    pub fn key_of(&self, name: &ObjectName) -> Option<Key> {
        self.metadata(name).map(|meta| Key(meta.uid.clone().unwrap_or_default()))
    }

    /// Creation time of the object of that name, in seconds.
    fn created(&self, name: &ObjectName) -> i64 {
        self.metadata(name).and_then(|meta| meta.creation_timestamp.as_ref()).map_or(0, |time| time.0.as_second())
    }

    /// Metadata of the object of that name, readable or not.
    pub fn metadata(&self, name: &ObjectName) -> Option<&ObjectMeta> {
        for_kind!(name.kind, K => K::table(self).get(name).map(Entry::metadata))
    }

    /// The objects that the object of that name names, readable or not.
    pub fn parents(&self, name: &ObjectName) -> Vec<ObjectName> {
        for_kind!(name.kind, K => K::table(self).get(name).map(Entry::parents)).unwrap_or_default()
    }

    /// The name of the controller that an `AccountBackend` object names, readable or not.
    pub fn controller_of(&self, backend: &ObjectName) -> Option<&str> {
        match self.backends.get(backend)? {
            Entry::Good(backend) => Some(&backend.spec.controller_name),
            Entry::Bad(backend) => Some(backend.spec["controllerName"].as_str().unwrap_or(DEFAULT_CONTROLLER_NAME)),
        }
    }

    /// The Account above an object, whether that exists or not; an Account's is itself.
    pub fn account_of(&self, name: &ObjectName) -> Option<ObjectName> {
        match name.kind {
            Kind::AccountBackend | Kind::Plan => None,
            Kind::Account => Some(name.clone()),
            _ => self.parents(name).iter().find_map(|parent| self.account_of(parent)),
        }
    }

    /// Names of all `AccountBackend` objects: a handful.
    pub fn names_of_backends(&self) -> Vec<String> {
        self.backends.keys().map(|name| name.name.clone()).collect()
    }

    /// Names of the objects of one kind that name `parent`.
    pub fn dependents(&self, parent: &ObjectName, kind: Kind) -> impl Iterator<Item = &ObjectName> {
        let first = ObjectName::cluster(kind, "");
        self.dependents.get(parent).into_iter().flat_map(move |all| all.range(first.clone()..).take_while(move |one| one.kind == kind))
    }

    /// The readable objects of one kind that name `parent`.
    pub fn dependent_objects<K: Cached>(&self, parent: &ObjectName) -> Vec<Arc<K>> {
        self.dependents(parent, K::KIND).filter_map(|one| self.get::<K>(&one.namespace, &one.name)).collect()
    }

    /// The objects of one kind that name `parent` and are not Terminating, readable or not.
    pub fn live_dependents<K: Cached>(&self, parent: &ObjectName) -> Vec<Entry<K>> {
        let all = self.dependents(parent, K::KIND).filter_map(|one| self.entry::<K>(one));
        all.filter(|entry| entry.metadata().deletion_timestamp.is_none()).collect()
    }

    /// The readable operators of an organization that want this e-mail, whatever its case.
    pub fn operators_with(&self, organization: &ObjectName, email: &str) -> Vec<Arc<Operator>> {
        let found = self.emails.get(&(organization.clone(), fold_email(email))).into_iter().flatten();
        found.filter_map(|one| self.get::<Operator>(&one.namespace, &one.name)).collect()
    }

    /// Names of the objects that name `other` without being its dependents.
    pub fn mentioned_by(&self, other: &ObjectName) -> impl Iterator<Item = &ObjectName> {
        self.mentions.get(other).into_iter().flatten()
    }

    /// Names of all objects that name `parent`, directly or not: parents first, then in the order of creation.
    pub fn descendants(&self, parent: &ObjectName) -> Vec<ObjectName> {
        let mut found = Vec::new();
        let mut open = vec![parent];
        while let Some(next) = open.pop() {
            for child in self.dependents.get(next).into_iter().flatten() {
                found.push(child.clone());
                open.push(child);
            }
        }
        found.sort_by_cached_key(|name| (name.kind, self.created(name), name.clone()));
        found
    }

    /// Names of all objects of all kinds, parents first, then in the order of creation; for the first listing only.
    pub fn all_names(&self) -> Vec<ObjectName> {
        let mut names: Vec<_> = self.keys.values().cloned().collect();
        names.sort_by_cached_key(|name| (name.kind, self.created(name), name.clone()));
        names
    }

    /// Names of all objects in a namespace; for changes of the namespace itself only.
    pub fn names_in(&self, namespace: &str) -> Vec<ObjectName> {
        let kinds = [Kind::Account, Kind::Organization, Kind::Operator, Kind::Department, Kind::Widget];
        kinds.into_iter().flat_map(|kind| for_kind!(kind, K => names_in(K::table(self), kind, namespace))).collect()
    }

    /// Names of the `Account` objects of a namespace: a handful.
    pub fn accounts_in(&self, namespace: &str) -> Vec<ObjectName> {
        names_in(Account::table(self), Kind::Account, namespace)
    }

    /// Stores an object, unless this version of it is here already, or a newer one. Returns what was here, or `None` twice when it was ignored.
    pub fn apply<K: Cached>(&mut self, entry: Entry<K>) -> Option<Replaced<K>> {
        let name = entry.object_name();
        let old = K::table(self).get(&name).cloned();
        if let Some(old) = &old
            && old.key() == entry.key()
            && is_as_new(old.metadata(), entry.metadata())
        {
            return None;
        }
        if let Some(old) = &old {
            self.unlink(&name, old);
        }
        self.link(&name, &entry);
        K::table_mut(self).insert(name, entry);
        Some(Replaced(old))
    }

    /// Removes an object, unless a newer one of that name, with another UID, is here already.
    pub fn remove<K: Cached>(&mut self, name: &ObjectName, key: &Key) -> Option<Entry<K>> {
        let old = K::table(self).get(name).filter(|old| old.key() == *key).cloned()?;
        self.unlink(name, &old);
        K::table_mut(self).remove(name);
        Some(old)
    }

    /// The objects of a kind, in one namespace or everywhere; for a relist only.
    pub fn all<K: Cached>(&self, namespace: Option<&str>) -> HashMap<ObjectName, Version> {
        let wanted = |name: &ObjectName| namespace.is_none_or(|namespace| namespace == name.namespace);
        K::table(self).iter().filter(|(name, _)| wanted(name)).map(|(name, entry)| (name.clone(), Version::of(entry))).collect()
    }

    /// Forgets the version of an object that is as it was when a listing began: what was listed counts then, even if it is older, as
    /// after a restore of the cluster.
    pub fn expect_listed<K: Cached>(&mut self, name: &ObjectName, known: &Version) {
        if let Some(entry) = K::table_mut(self).get_mut(name)
            && Version::of(entry) == *known
        {
            entry.forget_version();
        }
    }

    fn link<K: Managed>(&mut self, name: &ObjectName, entry: &Entry<K>) {
        self.keys.insert(entry.key(), name.clone());
        for parent in entry.parents() {
            self.dependents.entry(parent).or_default().insert(name.clone());
        }
        if let Entry::Good(object) = entry {
            for other in object.mentions() {
                self.mentions.entry(other).or_default().insert(name.clone());
            }
            if let Some(email) = object.email() {
                self.emails.entry(email).or_default().insert(name.clone());
            }
        }
    }

    fn unlink<K: Managed>(&mut self, name: &ObjectName, entry: &Entry<K>) {
        self.keys.remove(&entry.key());
        for parent in entry.parents() {
            remove(&mut self.dependents, &parent, name);
        }
        if let Entry::Good(object) = entry {
            for other in object.mentions() {
                remove(&mut self.mentions, &other, name);
            }
            if let Some(email) = object.email() {
                remove(&mut self.emails, &email, name);
            }
        }
    }
}

fn names_in<K>(table: &Table<K>, kind: Kind, namespace: &str) -> Vec<ObjectName> {
    let first = ObjectName::new(kind, namespace, "");
    table.range(first..).map(|(name, _)| name).take_while(|name| name.namespace == namespace).cloned().collect()
}

fn remove<K: Eq + Hash>(index: &mut HashMap<K, BTreeSet<ObjectName>>, of: &K, name: &ObjectName) {
    if let Some(all) = index.get_mut(of) {
        all.remove(name);
        if all.is_empty() {
            index.remove(of);
        }
    }
}

/// What an applied object replaced.
pub struct Replaced<K>(pub Option<Entry<K>>);

/// Resource versions of one object are comparable as numbers on every supported API server.
fn is_as_new(here: &ObjectMeta, other: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_deref().and_then(|version| version.parse::<u64>().ok());
    version(here).is_some_and(|here| version(other).is_none_or(|other| here >= other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn widget(version: &str, language: &str) -> Entry<Widget> {
        let metadata = json!({"name": "chat", "namespace": "ns", "uid": "1", "resourceVersion": version});
        let spec = json!({"organizationRef": {"name": "acme"}, "language": language});
        let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Widget", "metadata": metadata, "spec": spec});
        Entry::Good(Arc::new(serde_json::from_value(object).expect("a widget")))
    }

    #[test]
    fn only_a_newer_version_takes_the_place_of_what_is_here() {
        let mut cache = Cache::default();
        assert!(cache.apply(widget("9", "en")).is_some());
        assert!(cache.apply(widget("9", "en")).is_none(), "it is here");
        assert!(cache.apply(widget("8", "de")).is_none(), "older");
        assert!(cache.apply(widget("10", "fr")).is_some(), "newer: compared as numbers");
        assert_eq!(cache.get::<Widget>("ns", "chat").and_then(|widget| widget.spec.language.clone()).as_deref(), Some("fr"));
    }
}
