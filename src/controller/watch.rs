//! One watch a kind: keeps the cache, and asks for passes over what changed and what depends on it.
//!
//! Our own status writes come back here too and change nothing that is looked at, so they wake nobody.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::watch::Sender;

use crate::api::names::{ACCEPT_STORE, CONFIRM_DELETION, PAUSED, RELEASE};

use super::cache::{Cached, Entry, NamespaceFacts, Version};
use super::context::Context;
use super::guard::Guard;
use super::mapping;

/// After so many errors in a row a watch is started anew with a listing: an HTTP error alone keeps the old resource version.
pub const ERRORS_BEFORE_RELIST: u32 = 5;

/// How long the API server keeps one watch open; a connection that died silently shows a little later.
pub const WATCH_SECONDS: u32 = 60;

/// Watches one kind until the program stops. `listed` turns true when its first listing is complete.
pub async fn run<K: Cached>(context: &Context, client: &Client, namespace: Option<&str>, listed: &Sender<bool>) {
    loop {
        let api = K::watch_api(client.clone(), namespace);
        let stream = watch(api, config()).modify(slim).default_backoff();
        follow::<K>(context, stream, namespace, listed).await;
        context.metrics.watch_restart(K::KIND.as_str());
    }
}

/// In one line: kube prints all of an API server's answer. Right after an installation the API server asks for some patience.
pub fn log_failure(kind: &str, error: &watcher::Error) {
    use watcher::Error as E;
    match error {
        E::InitialListFailed(kube::Error::Api(status))
        | E::WatchStartFailed(kube::Error::Api(status))
        | E::WatchFailed(kube::Error::Api(status))
        | E::WatchError(status) => match status.code {
            429 => tracing::info!(kind, "the API server is not ready to list these objects yet: trying again"),
            code => tracing::warn!(kind, code, "the watch failed: {}", status.message),
        },
        _ => tracing::warn!(kind, %error, "the watch failed"),
    }
}

/// How every watch is kept open.
pub fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS)
}

/// Drops what nobody reads: it is half of an object's memory.
pub fn slim<K: Resource>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().retain(|key, _| [CONFIRM_DELETION, RELEASE, PAUSED, ACCEPT_STORE].contains(&key.as_str()));
}

/// Follows a watch until it fails too often, or ends.
pub async fn follow<K: Cached>(
    context: &Context,
    stream: impl Stream<Item = Result<Event<Guard<K>>, watcher::Error>>,
    namespace: Option<&str>,
    listed: &Sender<bool>,
) {
    let mut stream = pin!(stream);
    let mut errors = 0;
    // What was here when a listing began and has not come up in it. What we make ourselves meanwhile may be missing there.
    let mut unlisted = HashMap::new();
    while let Some(event) = stream.next().await {
        match event {
            Err(error) => {
                errors += 1;
                log_failure(K::KIND.as_str(), &error);
                if errors >= ERRORS_BEFORE_RELIST {
                    return;
                }
                continue;
            }
            Ok(Event::Init) => unlisted = context.cache().all::<K>(namespace),
            Ok(Event::InitApply(object)) => {
                let entry = entry(object);
                let name = entry.object_name();
                if let Some(known) = unlisted.remove(&name) {
                    context.cache().expect_listed::<K>(&name, &known);
                }
                mapping::absorb(context, &entry);
            }
            Ok(Event::InitDone) => {
                for (name, Version { key, .. }) in std::mem::take(&mut unlisted) {
                    mapping::gone::<K>(context, &name, &key);
                }
                listed.send_replace(true);
            }
            Ok(Event::Apply(object)) => mapping::absorb(context, &entry(object)),
            Ok(Event::Delete(object)) => {
                let entry = entry(object);
                mapping::gone::<K>(context, &entry.object_name(), &entry.key());
            }
        }
        errors = 0;
    }
}

/// What the cache keeps of an object.
pub fn entry<K: Cached>(Guard(object): Guard<K>) -> Entry<K> {
    match object {
        Ok(object) => Entry::Good(object.into()),
        Err(bad) => Entry::Bad(bad.into()),
    }
}

/// Watches the metadata of namespaces: labels, and whether they are Terminating.
pub async fn run_namespaces(context: &Context, client: &Client, listed: &Sender<bool>) {
    loop {
        let stream = watch(Api::<PartialObjectMeta<Namespace>>::all(client.clone()), config()).default_backoff();
        let mut stream = pin!(stream);
        let mut errors = 0;
        let mut unlisted = HashSet::new();
        while errors < ERRORS_BEFORE_RELIST {
            match stream.next().await {
                Some(Ok(Event::Init)) => unlisted = context.cache().namespaces.keys().cloned().collect(),
                Some(Ok(Event::InitApply(namespace))) => {
                    unlisted.remove(namespace.metadata.name.as_deref().unwrap_or_default());
                    namespace_changed(context, &namespace);
                }
                Some(Ok(Event::InitDone)) => {
                    context.cache().namespaces.retain(|name, _| !unlisted.contains(name));
                    listed.send_replace(true);
                }
                Some(Ok(Event::Apply(namespace))) => namespace_changed(context, &namespace),
                Some(Ok(Event::Delete(namespace))) => {
                    context.cache().namespaces.remove(namespace.metadata.name.as_deref().unwrap_or_default());
                }
                Some(Err(error)) => {
                    errors += 1;
                    log_failure("Namespace", &error);
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
    // Objects may have come before their namespace: to them it had no labels.
    if before.as_ref() != Some(&facts) {
        let names = cache.names_in(&name);
        drop(cache);
        context.queue.push_all(names);
    }
}
