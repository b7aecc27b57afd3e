//! What the server tells by itself: whose turn it is (wakes), and what others changed (the feed of changes).
//!
//! Both go on until nobody listens any more, or the token is refused. A stream that breaks begins anew after growing delays; what was told meanwhile is not lost:
//! a new stream of wakes begins with all that may have been missed, and the feed goes on where it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use crate::backend::{BackendError, Result, Session, Wake};
use crate::domain::rows::{Answer, Key};

use super::client::Client;
use super::failure::{no_answer, not_sent_or_lost};
use super::reply::Call;

/// How long the server may keep the feed waiting.
const WAIT: Duration = Duration::from_secs(30);

/// How many changes at a time.
const CHANGES: usize = 500;

/// From one look into the feed to the next: what is changed in between comes in one piece.
const PACE: Duration = Duration::from_secs(1);

/// The longest line of a stream.
const LONGEST_LINE: usize = 64 << 10;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What comes from the server by itself.
pub(super) struct Streams {
    client: Arc<Client>,
    owner: String,
    /// The newest epoch that is known to be ours; 0: none. What is changed in it is no news.
    epoch: Arc<AtomicI64>,
}

/// One who listens.
#[derive(Clone)]
struct Listener {
    client: Arc<Client>,
    owner: String,
    epoch: Arc<AtomicI64>,
    wakes: UnboundedSender<Wake>,
}

/// A page of the feed.
#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    changes: Vec<Change>,
    next: String,
}

/// What of a change is of interest here.
#[derive(Deserialize)]
struct Change {
    owner: String,
    /// 0: by a person.
    epoch: i64,
    #[serde(default)]
    key: Option<Key>,
}

impl Streams {
    pub(super) fn new(client: Arc<Client>, owner: &str) -> Self {
        Self { client, owner: owner.to_owned(), epoch: Arc::default() }
    }

    /// A session of ours: it may have been begun through another way to the same store.
    pub(super) fn knows(&self, session: &Session) {
        self.epoch.fetch_max(session.epoch, Ordering::Relaxed);
    }

    /// Begins to follow both.
    pub(super) fn follow(&self) -> UnboundedReceiver<Wake> {
        let (wakes, heard) = unbounded_channel();
        let listener = Listener { client: self.client.clone(), owner: self.owner.clone(), epoch: self.epoch.clone(), wakes };
        tokio::spawn(listener.run());
        heard
    }
}

impl Listener {
    /// Follows both until nobody listens, or the token is refused.
    async fn run(self) {
        tokio::select! {
            () = self.wakes.closed() => {}
            () = self.follow_wakes() => {}
            () = self.follow_changes() => {}
        }
    }

    async fn follow_wakes(&self) {
        let mut delay = Delay::default();
        loop {
            let ended = self.hear_wakes(&mut delay).await.unwrap_or_else(|error| error);
            if !delay.after(&ended, "its wakes cannot be heard").await {
                return;
            }
        }
    }

    /// Hears wakes until the stream ends; says why it did.
    async fn hear_wakes(&self, delay: &mut Delay) -> Result<BackendError> {
        let response = self.client.get(&["v1", "wakes"], &[("owner", &self.owner)])?.stream().await?;
        let mut lines = Lines { response, pending: Vec::new() };
        loop {
            let line = timeout(self.client.deadlines.silence, lines.next(&self.client)).await;
            let line = line.unwrap_or_else(|_| Err(BackendError::Transient(no_answer(self.client.at()))))?;
            let Some(line) = line else { return Ok(BackendError::Transient("the stream has ended".to_owned())) };
            delay.reset();
            // An empty one is a sign of life.
            if !line.is_empty() {
                let wake = serde_json::from_slice(&line).map_err(|_| self.client.not_understood())?;
                let _ = self.wakes.send(wake);
            }
        }
    }

    async fn follow_changes(&self) {
        let mut delay = Delay::default();
        let mut cursor = None;
        loop {
            let begun = Instant::now();
            match self.hear_changes(&mut cursor).await {
                Ok(more) => {
                    delay.reset();
                    if !more {
                        sleep(PACE.saturating_sub(begun.elapsed())).await;
                    }
                }
                // Where we were is no place of the feed any more: what was missed is found by the next comparison.
                Err(BackendError::Invalid { .. }) if cursor.is_some() => cursor = None,
                Err(error) => {
                    if !delay.after(&error, "what others change in it cannot be heard").await {
                        return;
                    }
                }
            }
        }
    }

    /// One look into the feed: whatever others changed is looked at again. True: there is more at once.
    async fn hear_changes(&self, cursor: &mut Option<String>) -> Result<bool> {
        let (wait, limit) = (WAIT.as_secs().to_string(), CHANGES.to_string());
        let mut query = vec![("wait", wait.as_str()), ("limit", limit.as_str())];
        query.extend(cursor.as_deref().map(|cursor| ("after", cursor)));
        let page: Changes = self.client.get(&["v1", "changes"], &query)?.paged().patient(WAIT).answer().await?;
        let more = page.changes.len() >= CHANGES;
        let news = page.changes.into_iter().filter(|change| self.is_news(change));
        // Once for each, however often it was changed.
        for key in news.filter_map(|change| change.key).collect::<BTreeSet<_>>() {
            if let Answer::Present(row) = self.client.lookup(&key).await?
                && let Some(tag) = row.tag
            {
                let _ = self.wakes.send(Wake { tag, ticket: None });
            }
        }
        *cursor = Some(page.next);
        Ok(more)
    }

    /// Whether somebody else may have changed a row of ours: a person (epoch 0), or a controller before or after us. What has another
    /// owner id changes no rows of ours: the server refuses it.
    fn is_news(&self, change: &Change) -> bool {
        change.epoch == 0 || change.owner == self.owner && change.epoch != self.epoch.load(Ordering::Relaxed)
    }
}

/// How long until the next attempt.
#[derive(Default)]
struct Delay {
    failures: u32,
}

impl Delay {
    fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits after a failure. False: no attempt is of use any more.
    async fn after(&mut self, error: &BackendError, what: &'static str) -> bool {
        if *error == BackendError::CredentialsInvalid {
            return false;
        }
        // Once is no more than a restart of the server, or of what stands before it.
        if self.failures == 1 {
            tracing::warn!(%error, "an account server: {what}; trying again");
        } else {
            tracing::debug!(%error, "an account server: {what}");
        }
        sleep(self.next()).await;
        true
    }

    fn next(&mut self) -> Duration {
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_DELAY);
        self.failures = self.failures.saturating_add(1).min(16);
        delay.mul_f64(jitter())
    }
}

/// Between 0.5 and 1.5: the clients of a server that comes back do not come back together.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    0.5 + f64::from(random) / f64::from(u32::MAX)
}

/// The lines of a reply that does not end.
struct Lines {
    response: Response,
    pending: Vec<u8>,
}

impl Lines {
    /// The next line; `None`: the stream has ended.
    async fn next(&mut self, client: &Client) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.pending.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(Some(line));
            }
            if self.pending.len() > LONGEST_LINE {
                return Err(client.not_understood());
            }
            match self.response.chunk().await.map_err(|error| not_sent_or_lost(client.at(), Call::Read, &error))? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}
