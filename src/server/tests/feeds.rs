//! Wakes, changes and the audit log.

use axum::body::BodyDataStream;
use futures::StreamExt;

use super::*;
use crate::backend::Wake;
use crate::domain::rows::{Key, OwnerTag, RowKind};
use crate::server::routes::feeds::tell;

async fn open(world: &World, path: &str) -> BodyDataStream {
    let response = world.router.clone().oneshot(ask("GET", path).token(&world.admin).request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    response.into_body().into_data_stream()
}

/// The next wake; signs of life are passed over.
async fn next(stream: &mut BodyDataStream) -> Option<Value> {
    loop {
        let line = stream.next().await?.unwrap();
        if line.as_ref() != b"\n" {
            assert_eq!(line.last(), Some(&b'\n'));
            return Some(serde_json::from_slice(&line).unwrap());
        }
    }
}

/// A full account, where `tom` waits for a seat.
async fn full(world: &World, session: &Session) {
    world.account(session, "acme").await;
    world.put(session, "/v1/accounts/acme", &account("acme", 1)).await.is(200);
    world.put(session, "/v1/operators/tom", &operator("acme-org", "tom")).await.is(409);
}

#[tokio::test]
async fn wakes_arrive_as_they_happen() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    full(&world, &session).await;
    let mut stream = open(&world, "/v1/wakes?owner=owner").await;
    world.put(&session, "/v1/accounts/acme", &account("acme", 2)).await.is(200);
    loop {
        let wake = next(&mut stream).await.expect("a wake");
        if wake["tag"]["key"] == "tom" && wake["ticket"]["reserved"] == true {
            break;
        }
    }
}

#[tokio::test]
async fn a_stream_opens_with_what_was_missed_and_ends_with_the_server() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    full(&world, &session).await;
    world.put(&session, "/v1/accounts/acme", &account("acme", 2)).await.is(200);
    let mut stream = open(&world, "/v1/wakes?owner=owner").await;
    assert_eq!(next(&mut stream).await.expect("a wake")["tag"]["key"], "tom");
    world.stop.cancel();
    while next(&mut stream).await.is_some() {}
    assert_eq!(world.get("/readyz").await.is(503).body, "the server is going down");
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked() {
    let world = World::with_limits(Limits { sign_of_life: Duration::from_millis(20), ..generous() }).await;
    world.begin("owner").await;
    let (info, token) = world.store.create_token(&Scope::Admin, "other").await.unwrap();
    let other = ask("GET", "/v1/wakes?owner=owner").token(&token).request();
    let mut other = world.router.clone().oneshot(other).await.unwrap().into_body().into_data_stream();
    assert_eq!(other.next().await.unwrap().unwrap().as_ref(), b"\n", "a sign of life");
    let mut own = open(&world, "/v1/wakes?owner=owner").await;
    world.store.revoke_token(&info.id).await.unwrap();
    while other.next().await.is_some() {}
    // Behind those that may have been on their way before.
    for _ in 0..10 {
        assert!(own.next().await.is_some(), "that of another token goes on");
    }
}

#[tokio::test]
async fn a_stream_that_is_never_silent_ends_too_when_its_token_is_revoked() {
    let limits = Limits { sign_of_life: Duration::from_millis(20), ..generous() };
    let world = World::with_limits(limits.clone()).await;
    let app = App::new(Arc::clone(&world.store), &limits, world.stop.clone());
    let (info, _) = world.store.create_token(&Scope::Admin, "other").await.unwrap();
    world.store.revoke_token(&info.id).await.unwrap();
    let (caller, wakes) = tokio::sync::mpsc::unbounded_channel();
    let (lines, mut told) = tokio::sync::mpsc::channel(100);
    let tag = OwnerTag { kind: RowKind::Operator, namespace: "chat".into(), name: "tom".into(), key: Key("tom".into()) };
    let telling = tell(&app, &info.id, wakes, lines);
    let waking = async {
        while caller.send(Wake { tag: tag.clone(), ticket: None }).is_ok() {
            told.recv().await;
        }
    };
    tokio::join!(telling, waking);
}

#[tokio::test]
async fn whoever_reads_too_slowly_is_sent_away() {
    let world = World::new().await;
    let app = App::new(Arc::clone(&world.store), &generous(), world.stop.clone());
    let (caller, wakes) = tokio::sync::mpsc::unbounded_channel();
    let (lines, mut told) = tokio::sync::mpsc::channel(2);
    let tag = |name: &str| OwnerTag { kind: RowKind::Operator, namespace: "chat".into(), name: name.into(), key: Key(name.into()) };
    for name in ["one", "two", "three"] {
        caller.send(Wake { tag: tag(name), ticket: None }).unwrap();
    }
    // It ends although more may come.
    tell(&app, "dpt_any", wakes, lines).await;
    let mut heard = Vec::new();
    while let Some(line) = told.recv().await {
        heard.push(serde_json::from_slice::<Value>(&line).unwrap()["tag"]["key"].clone());
    }
    assert_eq!(heard, ["one", "two"]);
    drop(caller);
}

#[tokio::test]
async fn the_feed_of_changes_is_followed_from_its_end() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let end = world.get("/v1/changes").await.is(200).json();
    assert_eq!(end["changes"], json!([]));
    let after = |cursor: &Value, rest: &str| format!("/v1/changes?after={}{rest}", cursor.as_str().unwrap());
    assert_eq!(world.get(after(&end["next"], "")).await.is(200).json(), end);
    world.put(&session, "/v1/operators/tom", &operator("acme-org", "tom")).await.is(200);
    world.put(&session, "/v1/operators/tim", &operator("acme-org", "tim")).await.is(200);
    let first = world.get(after(&end["next"], "&limit=1")).await.is(200).json();
    assert_eq!((first["changes"].as_array().unwrap().len(), &first["changes"][0]["key"]), (1, &json!("tom")));
    assert_eq!(first["changes"][0]["cursor"], first["next"]);
    let second = world.get(after(&first["next"], "")).await.is(200).json();
    assert_eq!((second["changes"].as_array().unwrap().len(), &second["changes"][0]["key"]), (1, &json!("tim")));
    let body = second.to_string();
    assert!(!body.contains("acme.example"), "no e-mail: {body}");
}

#[tokio::test]
async fn a_long_poll_waits_for_the_next_change() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let end = world.get("/v1/changes").await.json();
    let path = format!("/v1/changes?wait=30&after={}", end["next"].as_str().unwrap());
    let (put, body) = ("/v1/operators/tom", operator("acme-org", "tom"));
    let (poll, _) = tokio::join!(world.get(path.clone()), world.put(&session, put, &body));
    assert_eq!(poll.is(200).json()["changes"][0]["key"], "tom");
    // It ends with the server, not with its patience.
    let next = world.get("/v1/changes").await.json();
    let path = format!("/v1/changes?wait=30&after={}", next["next"].as_str().unwrap());
    let stop = async { world.stop.cancel() };
    let began = std::time::Instant::now();
    let (poll, ()) = tokio::join!(world.get(path), stop);
    assert_eq!(poll.is(200).json()["changes"], json!([]));
    assert!(began.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn the_audit_log_of_an_account_is_listed() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    world.account(&session, "beta").await;
    let account = world.id("acme").await;
    let log = world.get(format!("/v1/audit?account={account}")).await.is(200).json();
    let entries = log["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5, "{log}");
    assert!(entries.iter().all(|entry| entry["account"] == account.as_str() && entry["action"] == "create"), "{log}");
}
