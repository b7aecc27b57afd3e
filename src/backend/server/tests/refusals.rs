//! What the server refuses: a token for good, a request for now.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fake::{reply, with_headers};
use super::*;
use crate::backend::MAX_WAIT;

#[tokio::test]
async fn a_refused_token_is_not_shown_again_until_there_is_another() {
    let fake = Fake::saying(with_headers("401 Unauthorized", "", "")).await;
    let refused = server(&fake.url);
    assert_eq!(read(&refused).await, BackendError::CredentialsInvalid);
    for _ in 0..5 {
        assert_eq!(read(&refused).await, BackendError::CredentialsInvalid);
        assert_eq!(write(&refused).await, BackendError::CredentialsInvalid);
        assert_eq!(refused.identify().await, Err(BackendError::CredentialsInvalid));
    }
    assert_eq!(fake.requests().len(), 1);
    let another = server(&fake.url);
    assert_eq!(write(&another).await, BackendError::CredentialsInvalid);
    assert_eq!(fake.requests().len(), 2, "another token is tried");
}

#[tokio::test]
async fn a_refusal_counts_also_where_its_words_do_not_end() {
    let fake = Fake::start(async |mut peer| {
        peer.request().await;
        peer.say(b"HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n").await;
        peer.hung_up().await;
    })
    .await;
    assert_eq!(read(&server(&fake.url)).await, BackendError::CredentialsInvalid);
}

#[tokio::test]
async fn streams_end_with_the_token_too() {
    let fake = Fake::saying(with_headers("401 Unauthorized", "", "")).await;
    let server = server(&fake.url);
    let mut wakes = server.take_wakes().expect("the wakes");
    while !matches!(server.lookup(&"uid".into()).await, Err(BackendError::CredentialsInvalid)) {}
    let asked = fake.requests().len();
    assert_eq!(wakes.recv().await, None, "nothing to hear any more");
    assert!(fake.requests().len() <= asked.max(3), "each of the three has asked once at most");
}

#[tokio::test]
async fn what_is_forbidden_is_no_reason_to_stop() {
    let words = r#"{"type":"Forbidden","title":"x","status":403,"detail":"the row belongs to another owner id"}"#;
    let fake = Fake::saying(reply("403 Forbidden", "application/problem+json", words)).await;
    let server = server(&fake.url);
    for _ in 0..3 {
        assert_eq!(write(&server).await, BackendError::Forbidden("the row belongs to another owner id".to_owned()));
    }
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_asks_to_slow_down_is_left_alone() {
    let fake = Fake::saying(with_headers("429 Too Many Requests", "retry-after: 86400\r\n", "")).await;
    let server = server(&fake.url);
    assert_eq!(write(&server).await, BackendError::Throttled { after: MAX_WAIT });
    let BackendError::Throttled { after } = read(&server).await else { panic!("asked all the same") };
    assert!(after <= MAX_WAIT && after > MAX_WAIT / 2);
    assert_eq!(fake.requests().len(), 1, "also by those who have not asked yet");
}

#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    let fake = Fake::start(move |mut peer| {
        let asked = asked.clone();
        async move {
            while peer.request().await.is_some() {
                let busy = with_headers("503 Service Unavailable", "retry-after: 1\r\n", "");
                let answer = reply("200 OK", "application/json", r#"{"state":"Unknown"}"#);
                let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
                peer.say(if first { busy } else { answer }.as_bytes()).await;
            }
        }
    })
    .await;
    let server = server(&fake.url);
    assert_eq!(read(&server).await, BackendError::Throttled { after: Duration::from_secs(1) });
    let begun = std::time::Instant::now();
    assert_eq!(server.lookup(&"uid".into()).await, Ok(Answer::Unknown));
    assert!(begun.elapsed() > Duration::from_millis(500));
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_rate_limit_holds_for_all_calls_together() {
    let fake = Fake::saying(reply("200 OK", "application/json", r#"{"state":"Unknown"}"#)).await;
    let rate_limit = Some(RateLimit { requests_per_second: 20, burst: 5 });
    let server = Server::new(ServerOptions { rate_limit, ..options(&fake.url) }).expect("a server");
    let begun = std::time::Instant::now();
    let key = "uid".into();
    let all = futures::future::join_all((0..25).map(|_| server.lookup(&key))).await;
    assert!(all.iter().all(Result::is_ok), "waiting, not failing");
    assert!(begun.elapsed() >= Duration::from_millis(950), "20 turns after the burst: {:?}", begun.elapsed());
}

#[tokio::test]
async fn options_that_cannot_be_are_said_by_their_field() {
    let field = |options| match Server::new(options) {
        Err(BackendError::Invalid { field, .. }) => field.into_owned(),
        other => panic!("{:?}", other.err()),
    };
    let good = || options("https://accounts.example");
    assert_eq!(field(options("http://accounts.example")), "spec.server.url");
    let bundle = |text: &str| ServerOptions { ca_bundle: Some(text.to_owned()), ..good() };
    for bad in ["", "none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----"] {
        assert_eq!(field(bundle(bad)), "spec.server.caBundle", "{bad}");
    }
    let token = |text: &str| ServerOptions { token: SecretString::from(text), ..good() };
    assert_eq!(field(token("two\nlines")), "token");
    let owner = |text: &str| ServerOptions { owner: text.to_owned(), ..good() };
    for bad in ["", " ", "a\nb", "müller"] {
        assert_eq!(field(owner(bad)), "owner", "{bad}");
    }
    let rate = |requests_per_second, burst| ServerOptions { rate_limit: Some(RateLimit { requests_per_second, burst }), ..good() };
    assert_eq!(field(rate(0, 1)), "spec.rateLimit");
    assert_eq!(field(rate(1, 0)), "spec.rateLimit");
}
