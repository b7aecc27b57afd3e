//! How much at a time, how long, and how often: no client takes the server from the others, and all together do not take its memory.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::backend::BackendError;

use super::app::Shared;
use super::refusal::{Answer, Refusal};

/// How long until a client that was turned away for want of a place should ask again.
const LATER: Duration = Duration::from_secs(1);

/// How much the bodies that are worked on may have together, in KiB: uploads, and all others, so that neither is in the way of the other.
/// Once they are read they take some times as much memory.
const BODIES: usize = 32 << 10;
const UPLOADED: usize = 64 << 10;

/// How much longer a request with a large body may take.
const UPLOADS: u32 = 4;

/// What the server takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests a second that each token may make in the long run.
    pub requests_per_second: NonZeroU32,
    /// Requests that a token may make at once after a pause.
    pub burst: NonZeroU32,
    /// Requests worked on at a time.
    pub requests: usize,
    /// Long polls and streams open at a time.
    pub waiting: usize,
    /// How long a request may take, its body included.
    pub deadline: Duration,
    /// How often a stream shows that it is alive, and asks whether its token is.
    pub sign_of_life: Duration,
}

/// How long a route may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// It is always answered.
    Probe,
    /// The usual deadline.
    Usual,
    /// A large body: several times the usual deadline.
    Upload,
    /// A long poll or a stream: it waits for something to happen.
    Waits,
}

/// A place for one request. It is given back when it is dropped: a stream keeps it.
pub(super) type Place = Arc<OwnedSemaphorePermit>;

/// Room for one request's body, of that which all have together. It is taken as the body arrives, so that nobody holds more than they sent,
/// and given back when the last copy is dropped: with the request.
#[derive(Clone)]
pub(super) struct Room {
    all: Arc<Semaphore>,
    taken: Arc<Mutex<Vec<OwnedSemaphorePermit>>>,
}

impl Room {
    /// Takes room for so many bytes more.
    pub(super) fn take(&self, bytes: usize) -> Answer<()> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.all).try_acquire_many_owned(kibibytes).map_err(|_| full("bytes"))?;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.first_mut() {
            Some(first) => first.merge(permit),
            None => taken.push(permit),
        }
        Ok(())
    }
}

/// Counts places and requests.
pub(super) struct Gate {
    requests: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    uploaded: Arc<Semaphore>,
    deadline: Duration,
    sign_of_life: Duration,
    rates: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
    clock: DefaultClock,
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.requests_per_second).allow_burst(limits.burst);
        Self {
            requests: Arc::new(Semaphore::new(limits.requests)),
            waiting: Arc::new(Semaphore::new(limits.waiting)),
            bodies: Arc::new(Semaphore::new(BODIES)),
            uploaded: Arc::new(Semaphore::new(UPLOADED)),
            deadline: limits.deadline,
            sign_of_life: limits.sign_of_life,
            // One entry a token: only known tokens come here.
            rates: RateLimiter::hashmap(quota),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request of a token.
    pub(super) fn admit(&self, token: &str) -> Answer<()> {
        self.rates.check_key(&token.to_owned()).map(drop).map_err(|until| {
            let after = until.wait_time_from(self.clock.now());
            Refusal::throttled(StatusCode::TOO_MANY_REQUESTS, after, "this token makes too many requests; slow down")
        })
    }

    pub(super) fn sign_of_life(&self) -> Duration {
        self.sign_of_life
    }

    fn place(&self, pace: Pace) -> Answer<Option<Place>> {
        let places = match pace {
            Pace::Probe => return Ok(None),
            Pace::Usual | Pace::Upload => &self.requests,
            Pace::Waits => &self.waiting,
        };
        Arc::clone(places).try_acquire_owned().map(|permit| Some(Arc::new(permit))).map_err(|_| full("requests"))
    }

    /// Room for the body of a request of that pace.
    fn room(&self, pace: Pace) -> Room {
        let all = if pace == Pace::Upload { &self.uploaded } else { &self.bodies };
        Room { all: Arc::clone(all), taken: Arc::default() }
    }

    fn deadline(&self, pace: Pace) -> Option<Duration> {
        match pace {
            Pace::Probe | Pace::Usual => Some(self.deadline),
            Pace::Upload => Some(self.deadline * UPLOADS),
            Pace::Waits => None,
        }
    }
}

fn full(of: &str) -> Refusal {
    let title = format!("the server works on as many {of} as it may; again later");
    Refusal::throttled(StatusCode::SERVICE_UNAVAILABLE, LATER, &title)
}

/// Gives a request a place, room for its body, and its time.
pub(super) async fn keep(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    // Without a rule it is refused further on, at once.
    let pace = app.rules().of(&request).map_or(Pace::Probe, |rule| rule.pace);
    let held = match app.limits().place(pace) {
        Ok(held) => held,
        Err(refusal) => return refusal.into_response(),
    };
    let room = app.limits().room(pace);
    request.extensions_mut().insert(room.clone());
    if let Some(held) = &held {
        request.extensions_mut().insert(Arc::clone(held));
    }
    let method = request.method().clone();
    let Some(deadline) = app.limits().deadline(pace) else { return next.run(request).await };
    timeout(deadline, next.run(request)).await.unwrap_or_else(|_| Refusal::from(out_of_time(&method)).into_response())
}

/// What was asked to be written may be written all the same: a commit goes on without whoever asked for it.
fn out_of_time(method: &Method) -> BackendError {
    let text = "the store did not answer in time".to_owned();
    if matches!(*method, Method::GET | Method::HEAD) { BackendError::Transient(text) } else { BackendError::OutcomeUnknown(text) }
}
