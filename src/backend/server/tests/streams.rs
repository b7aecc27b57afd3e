//! What comes by itself: wakes and changes, through interruptions.

use std::sync::Mutex;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::fake::{Peer, reply, with_headers};
use super::*;

const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a server answers to all but the wakes, and what it does with each stream of wakes.
struct Script {
    answer: Box<dyn Fn(&str) -> String + Send + Sync>,
    streams: UnboundedSender<Peer>,
}

/// A server whose streams of wakes are the test's to play.
async fn playing(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (Fake, UnboundedReceiver<Peer>) {
    let (streams, opened) = unbounded_channel();
    let script = Arc::new(Script { answer: Box::new(answer), streams });
    let fake = Fake::start(move |peer| serve(peer, script.clone())).await;
    (fake, opened)
}

async fn serve(mut peer: Peer, script: Arc<Script>) {
    while let Some(request) = peer.request().await {
        if request.starts_with("GET /v1/wakes?owner=owner ") {
            let _ = script.streams.send(peer);
            return;
        }
        let answer = (script.answer)(&request);
        if answer.is_empty() {
            return peer.hung_up().await;
        }
        peer.say(answer.as_bytes()).await;
    }
}

/// Nobody else changes anything.
fn no_changes(request: &str) -> String {
    if request.contains("after=") { String::new() } else { reply("200 OK", "application/json", r#"{"changes":[],"next":"7"}"#) }
}

fn wake(name: &str) -> String {
    let tag = format!(r#"{{"kind":"Operator","namespace":"chat","name":"{name}","key":"uid-{name}"}}"#);
    format!(r#"{{"tag":{tag},"ticket":{{"missing":"Seat","position":1,"reserved":false,"paused":false}}}}"#)
}

async fn chunk(peer: &mut Peer, text: &str) {
    peer.say(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await;
}

async fn next(wakes: &mut UnboundedReceiver<Wake>) -> String {
    wakes.recv().await.expect("a wake").tag.name
}

#[tokio::test]
async fn wakes_arrive_however_they_are_cut() {
    let (fake, mut opened) = playing(no_changes).await;
    let server = server(&fake.url);
    let mut wakes = server.take_wakes().expect("the wakes");
    let mut stream = opened.recv().await.expect("a stream");
    stream.say(STREAM).await;
    let (first, second) = (wake("tom"), wake("eva"));
    chunk(&mut stream, &first[..20]).await;
    chunk(&mut stream, &format!("{}\r\n\n\n{second}\n", &first[20..])).await;
    let tom = wakes.recv().await.expect("a wake");
    assert_eq!((tom.tag.name.as_str(), tom.ticket.map(|ticket| ticket.position)), ("tom", Some(Some(1))));
    assert_eq!(next(&mut wakes).await, "eva");
}

#[tokio::test]
async fn a_stream_that_ends_or_breaks_begins_anew() {
    let (fake, mut opened) = playing(no_changes).await;
    let server = server(&fake.url);
    let mut wakes = server.take_wakes().expect("the wakes");
    let mut stream = opened.recv().await.expect("a stream");
    stream.say(STREAM).await;
    chunk(&mut stream, &format!("{}\n", wake("tom"))).await;
    stream.say(b"0\r\n\r\n").await;
    assert_eq!(next(&mut wakes).await, "tom");
    // It ended in order; the next one in the middle of a line; the next with nonsense; the next is none.
    for (words, last) in [(STREAM, "5\r\n{\"tag"), (STREAM, "9\r\nnonsense\n\r\n"), (b"", "HTTP/1.1 500 Oh no\r\n\r\n"), (b"", "")] {
        let mut stream = opened.recv().await.expect("another stream");
        stream.say(words).await;
        stream.say(last.as_bytes()).await;
    }
    let mut stream = opened.recv().await.expect("another stream");
    stream.say(STREAM).await;
    chunk(&mut stream, &format!("{}\n", wake("eva"))).await;
    assert_eq!(next(&mut wakes).await, "eva");
}

#[tokio::test]
async fn a_silent_stream_is_given_up_and_a_quiet_one_kept() {
    let (fake, mut opened) = playing(no_changes).await;
    let silence = Duration::from_secs(4);
    let server = Server::with(options(&fake.url), Deadlines { silence, ..Deadlines::default() }).expect("a server");
    let mut wakes = server.take_wakes().expect("the wakes");
    let mut silent = opened.recv().await.expect("a stream");
    silent.say(STREAM).await;
    silent.hung_up().await;
    let mut quiet = opened.recv().await.expect("another stream");
    quiet.say(STREAM).await;
    let signs = async {
        for _ in 0..12 {
            chunk(&mut quiet, "\n").await;
            tokio::time::sleep(silence / 8).await;
        }
        chunk(&mut quiet, &format!("{}\n", wake("tom"))).await;
    };
    let ((), name) = tokio::join!(signs, next(&mut wakes));
    assert_eq!(name, "tom");
    assert!(opened.try_recv().is_err(), "by the same stream");
}

#[tokio::test]
async fn a_line_without_end_is_given_up() {
    let (fake, mut opened) = playing(no_changes).await;
    let server = server(&fake.url);
    let _wakes = server.take_wakes().expect("the wakes");
    let mut stream = opened.recv().await.expect("a stream");
    stream.say(STREAM).await;
    let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    while stream.say(piece.as_bytes()).await {}
}

#[tokio::test]
async fn whoever_no_longer_listens_is_no_longer_told() {
    let (fake, mut opened) = playing(no_changes).await;
    let server = server(&fake.url);
    let wakes = server.take_wakes().expect("the wakes");
    let mut stream = opened.recv().await.expect("a stream");
    stream.say(STREAM).await;
    drop(wakes);
    stream.hung_up().await;
    let mut again = server.take_wakes().expect("whoever asks anew is told anew");
    let mut stream = opened.recv().await.expect("a stream");
    stream.say(STREAM).await;
    chunk(&mut stream, &format!("{}\n", wake("tom"))).await;
    assert_eq!(next(&mut again).await, "tom");
}

/// A feed: pages by cursor, and rows by key.
fn feed(pages: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> String + Send + Sync + 'static {
    move |request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        if let Some(name) = path.strip_prefix("/v1/keys/uid-") {
            let row = format!(
                r#"{{"externalId":"wdgt_1","tag":{{"kind":"Widget","namespace":"chat","name":"{name}","key":"uid-{name}"}},"quarantined":false,
                "kind":"Widget","organization":"uid-org","values":{{"allowedOrigins":[]}},"publicKey":"wk_1"}}"#
            );
            let answer = format!(r#"{{"state":"Present","value":{row}}}"#);
            return reply("200 OK", "application/json", if name == "gone" { r#"{"state":"Erased"}"# } else { &answer });
        }
        let after = path.split(['?', '&']).find_map(|part| part.strip_prefix("after="));
        let page = pages.iter().find(|(cursor, _)| *cursor == after.unwrap_or_default());
        match page {
            Some((_, "bad")) => {
                let problem = r#"{"type":"Invalid","status":422,"field":"after","detail":"is not a cursor of this store"}"#;
                reply("422 Unprocessable Entity", "application/problem+json", problem)
            }
            Some((_, page)) => reply("200 OK", "application/json", page),
            None => String::new(),
        }
    }
}

#[tokio::test]
async fn what_others_change_is_looked_at_again_and_what_we_change_is_not() {
    const PAGES: &[(&str, &str)] = &[
        ("", r#"{"changes":[],"next":"7"}"#),
        (
            "7",
            r#"{"changes":[
                {"cursor":"8","owner":"owner","epoch":1,"action":"update","kind":"Widget","key":"uid-ours"},
                {"cursor":"8","owner":"another cluster","epoch":7,"action":"update","kind":"Widget","key":"uid-theirs"},
                {"cursor":"9","owner":"owner","epoch":2,"action":"update","kind":"Widget","key":"uid-next"},
                {"cursor":"10","owner":"a person","epoch":0,"action":"update","kind":"Widget","key":"uid-web"},
                {"cursor":"11","owner":"a person","epoch":0,"action":"erase","kind":"Widget","key":"uid-gone"},
                {"cursor":"12","owner":"a person","epoch":0,"action":"update","kind":"Widget","key":"uid-web"},
                {"cursor":"13","owner":"a person","epoch":0,"action":"update","kind":"Operator","externalId":"oper_1"}],"next":"13"}"#,
        ),
        (
            "13",
            r#"{"changes":[{"cursor":"14","owner":"a person","epoch":0,"action":"update","kind":"Widget","key":"uid-shop"}],"next":"14"}"#,
        ),
    ];
    let (fake, _opened) = playing(feed(PAGES)).await;
    let server = server(&fake.url);
    let _ = write(&server).await;
    let mut wakes = server.take_wakes().expect("the wakes");
    for expected in ["next", "web", "shop"] {
        let wake = wakes.recv().await.expect("a wake");
        assert_eq!((wake.tag.name.as_str(), wake.ticket), (expected, None));
    }
    let requests = fake.requests();
    assert!(!requests.iter().any(|request| request.contains("uid-ours") || request.contains("uid-theirs")), "{requests:?}");
    assert_eq!(requests.iter().filter(|request| request.contains("/uid-web ")).count(), 1, "once, however often it was changed");
    assert!(requests.iter().any(|request| request.starts_with("GET /v1/changes?wait=30&limit=500&after=7 ")), "{requests:?}");
}

#[tokio::test]
async fn a_feed_that_has_lost_our_place_is_followed_from_its_end() {
    const PAGES: &[(&str, &str)] = &[
        ("", r#"{"changes":[],"next":"7"}"#),
        ("7", "bad"),
        ("9", r#"{"changes":[{"cursor":"14","owner":"x","epoch":0,"action":"update","kind":"Widget","key":"uid-shop"}],"next":"14"}"#),
    ];
    let ends = Mutex::new(vec!["9", "7"]);
    let pages = feed(PAGES);
    let (fake, _opened) = playing(move |request: &str| {
        if request.contains("/v1/changes") && !request.contains("after=") {
            let end = ends.lock().expect("no test panicked here").pop().unwrap_or("9");
            return reply("200 OK", "application/json", &format!(r#"{{"changes":[],"next":"{end}"}}"#));
        }
        pages(request)
    })
    .await;
    let server = server(&fake.url);
    let mut wakes = server.take_wakes().expect("the wakes");
    assert_eq!(next(&mut wakes).await, "shop");
}

#[tokio::test]
async fn a_feed_that_fails_goes_on_where_it_was() {
    const PAGES: &[(&str, &str)] = &[
        ("", r#"{"changes":[],"next":"7"}"#),
        ("7", r#"{"changes":[{"cursor":"8","owner":"x","epoch":0,"action":"update","kind":"Widget","key":"uid-shop"}],"next":"8"}"#),
    ];
    let failures = Mutex::new(2);
    let pages = feed(PAGES);
    let (fake, _opened) = playing(move |request: &str| {
        let mut left = failures.lock().expect("no test panicked here");
        if request.contains("after=7") && *left > 0 {
            *left -= 1;
            return with_headers("502 Bad Gateway", "", "");
        }
        pages(request)
    })
    .await;
    let server = server(&fake.url);
    let mut wakes = server.take_wakes().expect("the wakes");
    assert_eq!(next(&mut wakes).await, "shop");
    let from_the_end = fake.requests().iter().filter(|request| request.contains("/v1/changes") && !request.contains("after=")).count();
    assert_eq!(from_the_end, 1);
}
