//! Who leads, over an API server that holds one Lease, may be cut off from each of its clients, and a clock that jumps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep, timeout};

use super::super::lease::Lease;

const DURATION: Duration = Duration::from_secs(15);

/// The Lease and its version.
#[derive(Default)]
struct Server(Mutex<(Option<Value>, u64)>);

impl Server {
    /// A lease for one process; while `cut` is set, its requests are never answered.
    fn lease(self: &Arc<Self>, identity: &str, cut: &Arc<AtomicBool>) -> Lease {
        let (server, cut) = (self.clone(), cut.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, cut) = (server.clone(), cut.clone());
            async move {
                if cut.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                let method = request.method().clone();
                let body = request.into_body().collect_bytes().await.unwrap_or_default();
                Ok::<_, std::io::Error>(server.answer(&method, serde_json::from_slice(&body).unwrap_or_default()))
            }
        });
        Lease::new(Client::new(service, "default"), "ns", "deskplane", identity.to_owned(), DURATION)
    }

    fn answer(&self, method: &Method, mut body: Value) -> Response<Body> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (object, version) = &mut *state;
        let current = object.as_ref().map(|object| object["metadata"]["resourceVersion"].clone());
        let code = match (method, &current) {
            (&Method::GET, Some(_)) => 200,
            (&Method::GET, None) => 404,
            (&Method::POST, None) => 201,
            (&Method::PUT, Some(current)) if body["metadata"]["resourceVersion"] == *current => 200,
            _ => 409,
        };
        if code < 300 && *method != Method::GET {
            *version += 1;
            body["metadata"]["resourceVersion"] = json!(version.to_string());
            *object = Some(body);
        }
        let refusal = || {
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "",
            "reason": if code == 404 { "NotFound" } else { "Conflict" }})
        };
        let answer = if code < 300 { object.clone().unwrap_or_default() } else { refusal() };
        let body = Body::from(serde_json::to_vec(&answer).expect("JSON"));
        Response::builder().status(code).header("content-type", "application/json").body(body).expect("a response")
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_and_a_released_one_at_once() {
    let (server, connected) = (Arc::<Server>::default(), Arc::default());
    let (mut first, mut second) = (server.lease("first", &connected), server.lease("second", &connected));
    first.acquire().await;
    assert!(timeout(DURATION / 2, second.acquire()).await.is_err(), "it is held");
    first.release().await;
    let began = Instant::now();
    second.acquire().await;
    assert!(began.elapsed() < DURATION / 2, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_renews_keeps_it_for_as_long_as_it_likes() {
    let (server, connected) = (Arc::<Server>::default(), Arc::default());
    let (mut first, mut second) = (server.lease("first", &connected), server.lease("second", &connected));
    first.acquire().await;
    let rivals = async { tokio::join!(first.keep(), second.acquire()) };
    assert!(timeout(DURATION * 100, rivals).await.is_err(), "neither lost nor taken");
}

#[tokio::test(start_paused = true)]
async fn a_leader_who_is_cut_off_has_given_up_before_another_leads() {
    let (server, cut, connected) = (Arc::<Server>::default(), Arc::<AtomicBool>::default(), Arc::default());
    let (mut first, mut second) = (server.lease("first", &cut), server.lease("second", &connected));
    first.acquire().await;
    cut.store(true, Ordering::Relaxed);
    let gave_up = async {
        first.keep().await;
        Instant::now()
    };
    let took_over = async {
        second.acquire().await;
        Instant::now()
    };
    let (gave_up, took_over) = tokio::join!(gave_up, took_over);
    assert!(gave_up < took_over, "{:?} later", gave_up - took_over);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stood_still_notices_before_it_asks() {
    let (server, connected) = (Arc::<Server>::default(), Arc::default());
    let mut first = server.lease("first", &connected);
    first.acquire().await;
    advance(DURATION).await;
    let began = Instant::now();
    first.keep().await;
    assert!(began.elapsed() < DURATION / 2);
}

/// Two processes lead, lose, and try again while each is cut off now and then. Whoever leads says so in `leaders`.
async fn never_two(cuts: Vec<(bool, u64)>) {
    let server = Arc::<Server>::default();
    let flags = [Arc::<AtomicBool>::default(), Arc::default()];
    let leaders = Arc::new(Mutex::new(0));
    let most = Arc::new(Mutex::new(0));
    let led = Arc::new(Mutex::new(0));
    for (number, cut) in flags.iter().enumerate() {
        let mut lease = server.lease(&number.to_string(), cut);
        let (leaders, most, led) = (leaders.clone(), most.clone(), led.clone());
        tokio::spawn(async move {
            loop {
                lease.acquire().await;
                {
                    let mut leaders = leaders.lock().unwrap();
                    *leaders += 1;
                    *led.lock().unwrap() += 1;
                    let mut most = most.lock().unwrap();
                    *most = (*most).max(*leaders);
                }
                lease.keep().await;
                *leaders.lock().unwrap() -= 1;
            }
        });
    }
    for (who, seconds) in cuts {
        let flag = &flags[usize::from(who)];
        flag.fetch_xor(true, Ordering::Relaxed);
        sleep(Duration::from_secs(seconds)).await;
    }
    for flag in &flags {
        flag.store(false, Ordering::Relaxed);
    }
    sleep(DURATION * 3).await;
    assert_eq!(*most.lock().unwrap(), 1, "never two at a time");
    assert_eq!(*leaders.lock().unwrap(), 1, "one in the end, of {}", led.lock().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whoever_is_cut_off_whenever_there_are_never_two_leaders(cuts in prop::collection::vec((any::<bool>(), 0..40_u64), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(never_two(cuts));
    }
}
