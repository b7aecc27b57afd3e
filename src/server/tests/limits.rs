//! How much, how long, and how often.

use std::pin::pin;

use axum::extract::FromRequest;
use futures::{StreamExt, poll, stream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::*;
use crate::backend::wire::TakeEpoch;
use crate::server::extract;

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_when_to_come_again() {
    let one = NonZeroU32::new(1).unwrap();
    let burst = NonZeroU32::new(3).unwrap();
    let world = World::with_limits(Limits { requests_per_second: one, burst, ..generous() }).await;
    let mut replies = Vec::new();
    for _ in 0..10 {
        replies.push(world.get("/v1/store?owner=owner").await);
    }
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert!(!refused.is_empty() && replies[..3].iter().all(|reply| reply.status == 200));
    for reply in refused {
        assert_eq!(reply.problem(), "Throttled");
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.json()["retryAfter"], 1);
    }
    // Others are not held up by it, nor are probes.
    let (_, other) = world.store.create_token(&Scope::Admin, "other").await.unwrap();
    ask("GET", "/v1/store?owner=owner").token(&other).to(&world.router).await.is(200);
    world.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let world = World::with_limits(Limits { requests: 1, waiting: 1, ..generous() }).await;
    let end = world.get("/v1/changes").await.json();
    let path = format!("/v1/changes?wait=30&after={}", end["next"].as_str().unwrap());
    let mut waiting = pin!(world.get(path));
    // It has its place before it first waits for something.
    assert!(poll!(waiting.as_mut()).is_pending());
    assert_eq!(world.get("/v1/changes").await.is(503).problem(), "Throttled");
    // Requests that do not wait have places of their own.
    world.get("/v1/store?owner=owner").await.is(200);
    world.get("/healthz").await.is(200);
    world.stop.cancel();
    waiting.await.is(200);
}

/// Bodies have room together for what has arrived of them, and give it back.
#[tokio::test]
async fn bodies_together_have_a_bound() {
    let world = World::new().await;
    let send = |body: Body| {
        let ask = ask("POST", "/v1/organizations/nothing/transcripts").text("application/x-ndjson", body);
        let (router, ask) = (world.router.clone(), ask.token(&world.admin));
        async move { ask.to(&router).await }
    };
    let largest = || vec![b' '; 4 << 20];
    let mut held = JoinSet::new();
    for _ in 0..16 {
        let (arrived, has_arrived) = oneshot::channel();
        let begun = stream::once(async move { Ok::<_, std::io::Error>(largest()) });
        // Whoever asks for more has taken in what there was.
        let rest = stream::once(async move {
            arrived.send(()).unwrap();
            std::future::pending().await
        });
        held.spawn(send(Body::from_stream(begun.chain(rest))));
        has_arrived.await.unwrap();
    }
    let refused = send("one byte more".into()).await.is(503);
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("Throttled", "1"));
    // Other requests have room of their own.
    world.begin("owner").await;
    held.shutdown().await;
    for _ in 0..17 {
        assert_ne!(send(largest().into()).await.status, 503);
    }
}

/// Who has no token takes no room from those who have one.
#[tokio::test]
async fn without_a_token_no_body_is_read() {
    let world = World::new().await;
    let endless = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    ask("POST", "/v1/epochs").text("application/json", endless).to(&world.router).await.is(401);
}

/// Without time nothing is answered; who wanted to write must look whether it was written.
#[tokio::test]
async fn a_request_has_a_deadline() {
    let world = World::with_limits(Limits { deadline: Duration::ZERO, ..generous() }).await;
    assert_eq!(world.get("/v1/store?owner=owner").await.is(503).problem(), "Transient");
    let written = world.ask(ask("POST", "/v1/epochs").json(&json!({ "owner": "owner" }))).await.is(503);
    assert_eq!(written.problem(), "OutcomeUnknown");
}

/// A body that does not come is not waited for. The clock is the test's.
#[tokio::test(start_paused = true)]
async fn a_slow_body_is_not_waited_for() {
    let endless = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = ask("POST", "/v1/epochs").text("application/json", endless).request();
    // Without a store, whose own deadlines that clock would bring about.
    let refusal = extract::Body::<TakeEpoch>::from_request(request, &()).await.err().expect("a refusal");
    assert_eq!(refusal.status(), StatusCode::REQUEST_TIMEOUT);
}
