//! Replies that do not end, do not begin, or are none: cut, and said in words that help.

use std::future::pending;

use super::fake::{reply, with_headers};
use super::*;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn an_endless_body_is_cut() {
    let fake = Fake::start(async |mut peer| {
        peer.request().await;
        peer.say(HEAD).await;
        let piece = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
        while peer.say(piece.as_bytes()).await {}
    })
    .await;
    assert_lost(&server(&fake.url), "more than 1048576 bytes").await;
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_even_read() {
    let fake = Fake::start(async |mut peer| {
        peer.request().await;
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n").await;
        peer.hung_up().await;
    })
    .await;
    assert_lost(&server(&fake.url), "more than 1048576 bytes").await;
}

#[tokio::test]
async fn an_error_is_no_place_for_a_book() {
    let body = format!("{}{}", r#"{"type":"EmailTaken"}"#, " ".repeat(100_000));
    let fake = Fake::saying(reply("409 Conflict", "application/problem+json", &body)).await;
    assert_lost(&server(&fake.url), "more than 65536 bytes").await;
}

#[tokio::test]
async fn a_page_may_be_longer_than_a_row_and_has_an_end_too() {
    let page = |length: usize| format!(r#"{{"rows":[],"tickets":[]{}}}"#, " ".repeat(length));
    let fake = Fake::saying(reply("200 OK", "application/json", &page(4 << 20))).await;
    assert_eq!(server(&fake.url).page(&"uid".into(), None).await.unwrap().next, None);
    let fake = Fake::saying(reply("200 OK", "application/json", &page(17 << 20))).await;
    let error = server(&fake.url).page(&"uid".into(), None).await.unwrap_err();
    assert!(matches!(&error, BackendError::Transient(why) if why.contains("more than 16777216 bytes")), "{error}");
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let fake = Fake::start(async |mut peer| {
        peer.request().await;
        peer.say(HEAD).await;
        // Something all the time, and never enough.
        while peer.say(b"1\r\n \r\n").await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_lost(&impatient(&fake.url), "no answer in time").await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let fake = Fake::start(async |mut peer| {
        peer.request().await;
        pending::<()>().await;
    })
    .await;
    assert_lost(&impatient(&fake.url), "no answer in time").await;
}

#[tokio::test]
async fn invalid_json_is_said_and_not_repeated() {
    for body in ["<secret>", "{\"state\":\"secret\"}", "{\"externalId\":\"secret\"", "", "[]", "nul"] {
        let fake = Fake::saying(reply("200 OK", "application/json", body)).await;
        let server = server(&fake.url);
        assert_lost(&server, "not the JSON that was expected").await;
        assert!(!read(&server).await.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn deep_json_does_not_reach_the_bottom_of_the_stack() {
    let fake = Fake::saying(reply("200 OK", "application/json", &"[".repeat(500_000))).await;
    assert_lost(&server(&fake.url), "not the JSON that was expected").await;
}

#[tokio::test]
async fn the_wrong_content_type_is_no_answer() {
    let fake = Fake::saying(reply("200 OK", "text/html", "<h1>Welcome to nginx, secret</h1>")).await;
    let server = server(&fake.url);
    assert_lost(&server, "200 OK with text/html").await;
    assert!(!read(&server).await.to_string().contains("secret"));
    let done = server.delete(&session(), &"uid".into()).await.unwrap_err();
    assert_eq!(done.class(), "OutcomeUnknown", "{done}");
}

#[tokio::test]
async fn a_huge_head_is_cut() {
    let line = with_headers("200 OK", &format!("x-secret: {}\r\n", "x".repeat(2 << 20)), "{}");
    let many = "x-secret: x\r\n".repeat(5000);
    for head in [line, with_headers("200 OK", &many, "{}")] {
        let fake = Fake::saying(head).await;
        let server = server(&fake.url);
        assert_lost(&server, &fake.url).await;
        assert!(!read(&server).await.to_string().contains("x-secret"));
    }
}

#[tokio::test]
async fn words_that_are_no_http_are_no_answer() {
    for words in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/9.9 1\r\n\r\n",
    ] {
        let fake = Fake::start(move |mut peer| async move {
            peer.request().await;
            peer.say(words.as_bytes()).await;
        })
        .await;
        assert_lost(&server(&fake.url), &fake.url).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Fake::saying(reply("200 OK", "application/json", r#"{"state":"Unknown"}"#)).await;
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let fake = Fake::saying(with_headers(status, &format!("location: {}/v1/keys/uid\r\n", elsewhere.url), "")).await;
        let server = server(&fake.url);
        for error in [read(&server).await, write(&server).await] {
            let said = matches!(&error, BackendError::Transient(why) if why.contains(status) && why.contains("redirect"));
            assert!(said, "{error}");
        }
        assert_eq!(fake.requests().len(), 2);
    }
    assert!(elsewhere.requests().is_empty(), "and the token stays here");
}

/// Where the process of the test below finds its server.
const DIRECT: &str = "DESKPLANE_TEST_DIRECT_SERVER";

/// A process of its own: the environment belongs to all tests.
#[tokio::test]
#[ignore = "is started by the next one"]
async fn proxied() {
    let url = std::env::var(DIRECT).expect("the next test says where");
    assert_eq!(server(&url).lookup(&"uid".into()).await, Ok(Answer::Unknown));
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_not_asked() {
    let fake = Fake::saying(reply("200 OK", "application/json", r#"{"state":"Unknown"}"#)).await;
    let proxy = Fake::saying(reply("200 OK", "application/json", r#"{"state":"Erased"}"#)).await;
    let mut process = std::process::Command::new(std::env::current_exe().expect("this program"));
    process.args(["--exact", "backend::server::tests::hostile::proxied", "--ignored"]).env(DIRECT, &fake.url);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        process.env(name, &proxy.url);
    }
    let ended = tokio::task::spawn_blocking(move || process.output()).await.unwrap();
    assert!(ended.expect("a process").status.success());
    assert_eq!((fake.requests().len(), proxy.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_connection_closed_before_the_request_was_read_is_a_lost_reply() {
    let fake = Fake::start(async |peer| drop(peer)).await;
    assert_lost(&server(&fake.url), &fake.url).await;
}

#[tokio::test]
async fn a_connection_closed_after_the_request_was_read_is_a_lost_reply() {
    for words in
        ["", "HTTP/1.1 200 OK\r\ncontent-type: appl", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{"]
    {
        let fake = Fake::start(move |mut peer| async move {
            peer.request().await;
            peer.say(words.as_bytes()).await;
        })
        .await;
        assert_lost(&server(&fake.url), &fake.url).await;
        assert_eq!(fake.requests().len(), 2, "nothing is sent twice");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_written() {
    let fake = Fake::saying("").await;
    let url = fake.url.clone();
    drop(fake);
    let server = server(&url);
    for error in [read(&server).await, write(&server).await] {
        let said = matches!(&error, BackendError::Transient(why) if why.contains(&url) && why.contains("Does the server run"));
        assert!(said, "{error}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_lost_one_replaced() {
    let fake = Fake::start(async |mut peer| {
        for _ in 0..2 {
            peer.request().await;
            peer.say(reply("200 OK", "application/json", r#"{"state":"Unknown"}"#).as_bytes()).await;
        }
    })
    .await;
    let server = server(&fake.url);
    let mut answers = 0;
    for _ in 0..6 {
        // A connection that was closed while it was idle is seen to be so, or not yet.
        answers += usize::from(server.lookup(&"uid".into()).await.is_ok());
    }
    assert!(answers >= 4, "{answers}");
}
