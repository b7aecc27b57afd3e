//! The Secrets that `AccountBackend` objects name: read from one namespace, the controller's own, and watched there.
//!
//! Each is watched by its name, so that nothing else of that namespace is ever seen here. Nobody's Secret is watched longer than it is named.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Notify, watch as cell};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api::AccountBackend;

use super::context::Context;
use super::object::{Kind, Meta, ObjectName};
use super::watch::{ERRORS_BEFORE_RELIST, config, log_failure};

/// The key of the token in a Secret.
pub const TOKEN: &str = "token";

/// How long a pass waits for a Secret to be read the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a watch rests that failed too often.
const AGAIN: Duration = Duration::from_secs(10);

/// A Secret, as last seen.
#[derive(Clone, Debug)]
pub enum Known {
    /// It does not exist.
    Missing,
    /// The API server does not let us read it.
    Unreadable(String),
    /// It exists.
    Present {
        /// Its version.
        version: String,
        /// Its token, if it has one that is of use.
        token: Option<SecretString>,
    },
}

impl Known {
    fn of(secret: &Secret) -> Self {
        let value = secret.data.as_ref().and_then(|data| data.get(TOKEN)).and_then(|value| std::str::from_utf8(&value.0).ok());
        // A line break at the end comes with most files.
        let token = value.map(str::trim).filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        Self::Present { version: secret.metadata.resource_version.clone().unwrap_or_default(), token: token.map(SecretString::from) }
    }

    fn same(&self, other: &Self) -> bool {
        let expose = |token: &Option<SecretString>| token.as_ref().map(|token| token.expose_secret().to_owned());
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Unreadable(one), Self::Unreadable(other)) => one == other,
            (Self::Present { version, token }, Self::Present { version: other_version, token: other }) => {
                version == other_version && expose(token) == expose(other)
            }
            _ => false,
        }
    }
}

/// A Secret that is named.
struct Named {
    known: cell::Sender<Option<Known>>,
    watched: bool,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Named {
    fn new() -> Self {
        let stop = CancellationToken::new();
        Self { known: cell::Sender::new(None), watched: false, stop: stop.clone(), _guard: stop.drop_guard() }
    }
}

/// The Secrets that are named, by name.
#[derive(Default)]
pub struct Secrets {
    named: Mutex<BTreeMap<String, Named>>,
    added: Notify,
}

impl Secrets {
    /// What is known of a Secret, which is watched from now on. `None`: nothing yet.
    pub async fn read(&self, name: &str) -> Option<Known> {
        let mut known = self.lock().entry(name.to_owned()).or_insert_with(Named::new).known.subscribe();
        self.added.notify_one();
        let read = timeout(PATIENCE, known.wait_for(Option::is_some)).await;
        read.ok()?.ok()?.clone()
    }

    /// Takes over what was seen of a Secret. True: that is new.
    pub fn learn(&self, name: &str, seen: Known) -> bool {
        let mut named = self.lock();
        let known = &named.entry(name.to_owned()).or_insert_with(Named::new).known;
        let same = known.borrow().as_ref().is_some_and(|known| known.same(&seen));
        if !same {
            known.send_replace(Some(seen));
        }
        !same
    }

    /// Forgets all but these.
    pub fn retain(&self, named: &[String]) {
        self.lock().retain(|name, _| named.contains(name));
    }

    /// Whether none is named.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Those that nobody watches yet.
    fn unwatched(&self) -> Vec<(String, CancellationToken)> {
        let mut named = self.lock();
        let unwatched = named.iter_mut().filter_map(|(name, named)| {
            let known = std::mem::replace(&mut named.watched, true);
            (!known).then(|| (name.clone(), named.stop.clone()))
        });
        unwatched.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Named>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches every Secret that is named, for as long as it is, until the program stops.
pub async fn run(context: &Context, client: &Client) {
    let mut watches = FuturesUnordered::new();
    loop {
        for (name, stop) in context.secrets.unwatched() {
            watches.push(async move { stop.run_until_cancelled(watch_one(context, client, &name)).await });
        }
        tokio::select! {
            () = context.secrets.added.notified() => {}
            Some(_) = watches.next() => {}
        }
    }
}

async fn watch_one(context: &Context, client: &Client, name: &str) {
    let api: Api<Secret> = Api::namespaced(client.clone(), &context.scope.secret_namespace);
    loop {
        let only = config().fields(&format!("metadata.name={name}"));
        follow(context, name, watch(api.clone(), only).default_backoff()).await;
        context.metrics.watch_restart("Secret");
        // Without a right to them that would go on for ever.
        sleep(AGAIN).await;
    }
}

/// Follows the watch of one Secret until it fails too often, or ends.
async fn follow(context: &Context, name: &str, stream: impl Stream<Item = Result<Event<Secret>, watcher::Error>>) {
    let mut stream = pin!(stream);
    let (mut errors, mut listed) = (0, false);
    while let Some(event) = stream.next().await {
        match event {
            Err(error) => {
                errors += 1;
                log_failure("Secret", &error);
                if let Some(refusal) = refusal(&error) {
                    learn(context, name, Known::Unreadable(refusal));
                }
                if errors >= ERRORS_BEFORE_RELIST {
                    return;
                }
                continue;
            }
            Ok(Event::Init) => listed = false,
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                listed = true;
                learn(context, name, Known::of(&secret));
            }
            Ok(Event::InitDone) if listed => {}
            Ok(Event::InitDone | Event::Delete(_)) => learn(context, name, Known::Missing),
        }
        errors = 0;
    }
}

/// What the API server says that does not let us read a Secret.
fn refusal(error: &watcher::Error) -> Option<String> {
    use watcher::Error as E;
    match error {
        E::InitialListFailed(kube::Error::Api(status)) | E::WatchStartFailed(kube::Error::Api(status)) if status.code == 403 => {
            Some(status.message.clone())
        }
        _ => None,
    }
}

/// Takes over what was seen of a Secret; who names it is looked at again when that is new.
pub fn learn(context: &Context, name: &str, seen: Known) {
    if context.secrets.learn(name, seen) {
        let naming = named(context).into_iter().filter(|(_, secret)| secret == name);
        context.queue.push_all(naming.map(|(backend, _)| ObjectName::cluster(Kind::AccountBackend, &backend)));
    }
}

/// Forgets the Secrets that no `AccountBackend` of ours names any more.
pub fn forget_unnamed(context: &Context) {
    let named: Vec<_> = named(context).into_iter().map(|(_, secret)| secret).collect();
    context.secrets.retain(&named);
}

/// The `AccountBackend` objects of ours that name a Secret, and which.
fn named(context: &Context) -> Vec<(String, String)> {
    let cache = context.cache();
    let all = cache.names_of_backends().into_iter().filter_map(|name| cache.get::<AccountBackend>("", &name));
    let ours = all.filter(|backend| backend.spec.controller_name == context.scope.controller_name);
    let naming = ours.filter_map(|backend| {
        let server = backend.spec.server.as_ref()?;
        Some((backend.name().to_owned(), server.credentials_secret_ref.name.clone()))
    });
    naming.collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn token_in(key: &str, value: &[u8]) -> Option<String> {
        let data = BTreeMap::from([(key.to_owned(), ByteString(value.to_vec()))]);
        let Known::Present { token, .. } = Known::of(&Secret { data: Some(data), ..Secret::default() }) else { panic!("it is there") };
        token.map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn a_token_is_one_word_under_its_key() {
        assert_eq!(token_in("token", b"dpt_abc").as_deref(), Some("dpt_abc"));
        assert_eq!(token_in("token", b" dpt_abc\r\n").as_deref(), Some("dpt_abc"), "as files and editors leave it");
        for (key, value) in
            [("Token", b"dpt_abc".as_slice()), ("token", b""), ("token", b" \n"), ("token", b"two words"), ("token", &[0xff, 0xfe])]
        {
            assert_eq!(token_in(key, value), None, "{key} {value:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_secret_is_shown_without_its_token() {
        let known = Known::Present { version: "1".to_owned(), token: Some(SecretString::from("dpt_secret")) };
        assert!(!format!("{known:?}").contains("dpt_secret"));
    }

    #[tokio::test]
    async fn a_secret_is_news_once_and_forgotten_when_nobody_names_it() {
        let secrets = Secrets::default();
        let present = |version: &str| Known::Present { version: version.to_owned(), token: Some(SecretString::from("dpt_abc")) };
        assert!(secrets.learn("a", Known::Missing) && !secrets.learn("a", Known::Missing));
        assert!(secrets.learn("a", present("1")) && !secrets.learn("a", present("1")) && secrets.learn("a", present("2")));
        assert!(matches!(secrets.read("a").await, Some(Known::Present { .. })));
        let (_, stop) = secrets.unwatched().remove(0);
        assert!(secrets.unwatched().is_empty(), "it is watched once");
        secrets.retain(&["b".to_owned()]);
        assert!(stop.is_cancelled());
    }
}
