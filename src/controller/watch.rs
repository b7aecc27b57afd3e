//! One watch a kind: keeps the cache, and asks for passes over what changed and what depends on it.
//!
//! Our own status writes come back here too and change nothing that is looked at, so they wake nobody.

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PartialObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, metadata_watcher, watcher as watch};
use kube::{Api, Client, Resource};
use tokio::sync::watch::Sender;

use crate::api::names::{ACCEPT_STORE, CONFIRM_DELETION, PAUSED, RELEASE};

use super::cache::{Cached, Entry, NamespaceFacts};
use super::context::Context;
use super::mapping;
use super::object::{Kind, Meta, ObjectName};

/// After so many errors in a row a watch is started anew with a listing: an HTTP error alone keeps the old resource version.
const ERRORS_BEFORE_RELIST: u32 = 5;

/// How long the API server keeps one watch open; a connection that died silently shows a little later.
const WATCH_SECONDS: u32 = 60;

/// Watches one kind until the program stops. `listed` turns true when its first listing is complete.
pub async fn run<K: Cached>(context: &Context, client: &Client, namespace: Option<&str>, listed: &Sender<bool>) {
    loop {
        let api: Api<DeserializeGuard<K>> = match namespace {
            None => Api::all(client.clone()),
            Some(namespace) => Api::namespaced_with_scope(client, namespace),
        };
        let stream = watch(api, config()).modify(slim).default_backoff();
        follow::<K>(context, stream, namespace, listed).await;
        context.metrics.watch_restart(K::KIND.as_str());
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Drops what nobody reads: it is half of an object's memory.
fn slim<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().retain(|key, _| [CONFIRM_DELETION, RELEASE, PAUSED, ACCEPT_STORE].contains(&key.as_str()));
}

/// Follows a watch until it fails too often.
async fn follow<K: Cached>(
    context: &Context,
    stream: impl Stream<Item = Result<Event<DeserializeGuard<K>>, watcher::Error>>,
    namespace: Option<&str>,
    listed: &Sender<bool>,
) {
    let mut stream = pin!(stream);
    let mut errors = 0;
    let mut names = HashSet::new();
    while let Some(event) = stream.next().await {
        match event {
            Err(error) => {
                errors += 1;
                tracing::warn!(kind = K::KIND.as_str(), %error, "the watch failed");
                if errors >= ERRORS_BEFORE_RELIST {
                    return;
                }
                continue;
            }
            Ok(Event::Init) => names.clear(),
            Ok(Event::InitApply(object)) => {
                let entry = entry(object);
                names.insert(name::<K>(entry.metadata()));
                apply(context, entry);
            }
            Ok(Event::InitDone) => {
                let gone = context.cache().unlisted::<K>(&names);
                for (name, key) in gone.into_iter().filter(|(name, _)| namespace.is_none_or(|one| one == name.namespace)) {
                    remove::<K>(context, &name, &key);
                }
                names = HashSet::new();
                listed.send_replace(true);
            }
            Ok(Event::Apply(object)) => apply(context, entry(object)),
            Ok(Event::Delete(object)) => {
                let entry = entry(object);
                let meta = entry.metadata();
                remove::<K>(context, &name::<K>(meta), &crate::domain::rows::Key(meta.uid.clone().unwrap_or_default()));
            }
        }
        errors = 0;
    }
}

fn entry<K: Cached>(DeserializeGuard(object): DeserializeGuard<K>) -> Entry<K> {
    match object {
        Ok(object) => Entry::Good(object.into()),
        Err(bad) => Entry::Bad(bad.into()),
    }
}

fn name<K: Cached>(meta: &ObjectMeta) -> ObjectName {
    ObjectName::new(K::KIND, meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

fn apply<K: Cached>(context: &Context, entry: Entry<K>) {
    let name = name::<K>(entry.metadata());
    let Some(replaced) = context.cache().apply(entry.clone()) else { return };
    let old = replaced.0;
    if let Some(old) = &old
        && old.metadata().uid != entry.metadata().uid
    {
        // Deleted and created again while nobody watched.
        context.vanished(name.clone(), crate::domain::rows::Key(old.metadata().uid.clone().unwrap_or_default()));
    }
    if old.as_ref().is_none_or(|old| relevant(old.metadata()) != relevant(entry.metadata())) {
        context.queue.push(name.clone());
        mapping::changed(context, &name, old.as_ref(), Some(&entry));
    }
}

fn remove<K: Cached>(context: &Context, name: &ObjectName, key: &crate::domain::rows::Key) {
    let Some(old) = context.cache().remove::<K>(name, key) else { return };
    context.vanished(name.clone(), key.clone());
    mapping::changed(context, name, Some(&old), None);
}

/// What of the metadata a pass reads.
fn relevant(meta: &ObjectMeta) -> impl PartialEq + '_ {
    (
        meta.uid.as_deref(),
        meta.generation,
        meta.deletion_timestamp.is_some(),
        meta.finalizers.as_deref().unwrap_or_default(),
        meta.annotations.as_ref(),
        meta.labels.as_ref(),
    )
}

/// Watches the metadata of namespaces: labels, and whether they are Terminating.
pub async fn run_namespaces(context: &Context, client: &Client, listed: &Sender<bool>) {
    loop {
        let stream = metadata_watcher(Api::<Namespace>::all(client.clone()), config()).default_backoff();
        let mut stream = pin!(stream.into_stream());
        let mut errors = 0;
        while errors < ERRORS_BEFORE_RELIST {
            match stream.next().await {
                Some(Ok(Event::Apply(namespace) | Event::InitApply(namespace))) => namespace_changed(context, &namespace),
                Some(Ok(Event::Delete(namespace))) => {
                    context.cache().namespaces.remove(namespace.metadata.name.as_deref().unwrap_or_default());
                }
                Some(Ok(Event::InitDone)) => {
                    listed.send_replace(true);
                }
                Some(Ok(Event::Init)) => {}
                Some(Err(error)) => {
                    errors += 1;
                    tracing::warn!(%error, "the watch of namespaces failed");
                    continue;
                }
                None => break,
            }
            errors = 0;
        }
        context.metrics.watch_restart("Namespace");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn namespace_changed(context: &Context, namespace: &PartialObjectMeta<Namespace>) {
    let meta = &namespace.metadata;
    let name = meta.name.clone().unwrap_or_default();
    let labels: BTreeMap<_, _> = meta.labels.clone().unwrap_or_default();
    let facts = NamespaceFacts { labels, terminating: meta.deletion_timestamp.is_some() };
    let mut cache = context.cache();
    let before = cache.namespaces.insert(name.clone(), facts.clone());
    if before.is_some_and(|before| before != facts) {
        let names = cache.names_in(&name);
        drop(cache);
        context.queue.push_all(names);
    }
}

/// The kinds this controller watches besides namespaces.
pub const WATCHED: [Kind; 7] = Kind::ALL;
