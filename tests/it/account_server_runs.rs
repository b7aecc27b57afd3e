//! The account server as a process: over HTTP and HTTPS, to the end of its life, with a database that goes away, and with clients that
//! do not behave.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use reqwest::Method;
use serde_json::json;

use crate::account_server::{AccountServer, Certificates, account, deskplane};
use crate::controlplane::{DEADLINE, eventually};
use crate::postgres::Cluster;

#[tokio::test]
async fn a_token_made_at_the_command_line_opens_the_server_until_it_is_revoked() {
    let server = AccountServer::start().await;
    let token = server.token("admin");
    let person = server.person(&token);
    let turn = person.begin("owner").await;
    let made = person.put(&turn, "/v1/accounts/uid-acme", &account("acme", 5)).await.unwrap().is(200);
    let id = made.json()["externalId"].as_str().unwrap().to_owned();
    let reader = server.person(&server.token(&format!("account:{id}")));
    assert_eq!(reader.get(&format!("/v1/accounts/{id}")).await.is(200).json(), made.json());
    reader.get("/v1/accounts").await.is(403);
    let listed = server.verb(&["token", "list", "-o", "json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let public = token.rsplit_once('_').unwrap().0;
    assert!(server.verb(&["token", "revoke", public]).status.success());
    person.get("/v1/accounts").await.is(401);
    reader.get(&format!("/v1/accounts/{id}")).await.is(200);
    // What the log says of all that.
    let log = server.logged("\"status\":401").await;
    for secret in [&token, "acme", "example", "owner", &id] {
        assert!(!log.contains(secret), "{secret}\n{log}");
    }
    let put = log.lines().find(|line| line.contains("\"PUT\"") && line.contains("answered")).unwrap();
    let put: serde_json::Value = serde_json::from_str(put).unwrap();
    assert_eq!((put["status"].as_u64(), put["token"].as_str()), (Some(200), Some(public)));
    let span = &put["spans"][0];
    assert_eq!((span["route"].as_str(), span["id"].as_str().map(str::len)), (Some("/v1/accounts/{id}"), Some(16)), "{put}");
}

#[tokio::test]
async fn at_the_end_it_finishes_what_is_under_way_and_ends_what_waits() {
    let mut server = AccountServer::start().await;
    let person = server.admin();
    let mut wakes = person.open("/v1/wakes?owner=owner").await;
    let end = person.get("/v1/changes").await.is(200).json();
    let path = format!("/v1/changes?wait=30&after={}", end["next"].as_str().unwrap());
    let poll = tokio::spawn({
        let person = person.clone();
        async move { person.get(&path).await }
    });
    // A request of which half has arrived.
    let token = server.token("admin");
    let body = json!({ "owner": "owner" }).to_string();
    let (first, rest) = body.split_at(5);
    let mut half = TcpStream::connect(server.address()).unwrap();
    write!(
        half,
        "POST /v1/epochs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    )
    .unwrap();
    eventually("three requests are under way", DEADLINE, async || {
        let metrics = person.get("/metrics").await.body;
        let expected = "deskplane_server_requests_in_flight 3";
        if metrics.lines().any(|line| line == expected) { Ok(()) } else { Err(metrics) }
    })
    .await;
    server.terminate();
    server.logged("SIGTERM").await;
    assert_eq!(poll.await.unwrap().is(200).json()["changes"], json!([]));
    while wakes.chunk().await.expect("an orderly end").is_some() {}
    half.write_all(rest.as_bytes()).unwrap();
    let mut reply = String::new();
    half.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 201 "), "{reply}");
    assert!(server.ended().await, "exit code 0");
    assert!(server.log().contains("\"stopped\""));
}

#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Certificates::make(folder.path(), "old"), Certificates::make(folder.path(), "new"));
    old.install(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let args = ["--listen", "127.0.0.1:0", "--tls-cert", &file("tls.crt"), "--tls-key", &file("tls.key")];
    let server = AccountServer::start_with(None, &args, &[]).await;
    let token = server.token("admin");
    let trusting = |certificates: &Certificates| server.over_tls(&token, &certificates.authority);
    trusting(&old).get("/v1/accounts").await.is(200);
    assert!(trusting(&new).ask(Method::GET, "/healthz", &[], None).await.is_err(), "it is not that one yet");
    // A pair that is none, as in the middle of being replaced: the old one stays in force.
    std::fs::copy(&new.key, folder.path().join("tls.key")).unwrap();
    server.logged("the old one stays in force").await;
    trusting(&old).get("/healthz").await.is(200);
    new.install(folder.path());
    server.logged("a new certificate is in force").await;
    trusting(&new).get("/v1/accounts").await.is(200);
    assert!(trusting(&old).ask(Method::GET, "/healthz", &[], None).await.is_err(), "the old one is gone");
    assert!(!server.log().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn whether_a_server_is_ready_can_be_asked_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Certificates::make(folder.path(), "ours"), Certificates::make(folder.path(), "other"));
    ours.install(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let args = ["--listen", "127.0.0.1:0", "--tls-cert", &file("tls.crt"), "--tls-key", &file("tls.key")];
    let server = AccountServer::start_with(None, &args, &[]).await;
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let check = |certificates: &Certificates| {
        let bundle = std::fs::read_to_string(&certificates.authority).unwrap();
        let checked = deskplane(&["server", "check", &format!("https://localhost:{port}"), "--ca-bundle", &bundle]);
        (checked.status.code(), String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned())
    };
    assert_eq!(check(&ours), (Some(0), format!("https://localhost:{port}/readyz: ready\n")));
    let (code, text) = check(&other);
    assert!(code == Some(1) && text.contains("certificate"), "{code:?} {text}");
    let plain = AccountServer::start().await;
    let url = format!("http://{}", plain.address());
    assert!(deskplane(&["server", "check", &url]).status.success());
    drop(plain);
    let gone = deskplane(&["server", "check", &url]);
    assert!(gone.status.code() == Some(1) && String::from_utf8_lossy(&gone.stderr).contains("Connection refused"), "{gone:?}");
    let nonsense = deskplane(&["server", "check", &url, "--ca-bundle", "ca.crt"]);
    assert_eq!(nonsense.status.code(), Some(2), "{nonsense:?}");
}

#[test]
fn plain_http_stays_on_this_machine_unless_one_says_otherwise() {
    let refused = deskplane(&["server", "--listen", "0.0.0.0:0", "--database", "sqlite:///nowhere/accounts.db"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.contains("--tls-cert") && text.contains("--insecure-plain-http"), "{text}");
    let half = deskplane(&["server", "--tls-cert", "a.crt", "--database", "sqlite:///nowhere/accounts.db"]);
    assert_eq!(half.status.code(), Some(2));
}

#[tokio::test]
async fn plain_http_can_be_had_for_other_machines() {
    let server = AccountServer::start_with(None, &["--listen", "0.0.0.0:0", "--insecure-plain-http"], &[]).await;
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("ok"), "{reply}");
}

/// Whoever opens a connection and says nothing, or begins a head and does not end it, is sent away.
#[tokio::test]
async fn clients_that_do_not_go_on_are_cut_off() {
    let server = AccountServer::start().await;
    let begun = ["", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "];
    let ends = begun.map(|text| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        std::thread::spawn(move || stream.read_to_end(&mut Vec::new()).is_ok())
    });
    for end in ends {
        assert!(end.join().unwrap(), "the server ends it");
    }
    // A head without an end.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    while stream.write_all(line.as_bytes()).is_ok() {}
    server.admin().get("/healthz").await.is(200);
}

/// What is asked while the database is away is refused as to be tried again, nothing is half written, and it recovers by itself.
#[tokio::test]
async fn on_postgres_the_database_goes_away_and_comes_back() {
    let cluster = Cluster::start();
    let server = AccountServer::start_with(Some(cluster.url().await), &["--listen", "127.0.0.1:0"], &[]).await;
    let person = server.admin();
    let turn = person.begin("owner").await;
    person.put(&turn, "/v1/accounts/uid-acme", &account("acme", 5)).await.unwrap().is(200);
    // Many under way while it stops.
    let writes: Vec<_> = (0..20)
        .map(|number| {
            let (person, turn) = (person.clone(), turn.clone());
            tokio::spawn(async move {
                let name = format!("a{number}");
                (name.clone(), person.put(&turn, &format!("/v1/accounts/uid-{name}"), &account(&name, 5)).await.unwrap())
            })
        })
        .collect();
    cluster.stop();
    let mut replies = Vec::new();
    for write in writes {
        replies.push(write.await.unwrap());
    }
    let refused = person.get("/v1/accounts").await.is(503);
    assert_eq!(
        (refused.json()["type"].as_str(), refused.headers["content-type"].to_str().ok()),
        (Some("Transient"), Some("application/problem+json"))
    );
    assert_eq!(person.get("/readyz").await.is(503).body, "the store does not answer");
    person.get("/healthz").await.is(200);
    cluster.restart();
    eventually("it recovers", DEADLINE, async || {
        let reply = person.get("/readyz").await;
        if reply.status.is_success() { Ok(()) } else { Err(reply.body) }
    })
    .await;
    for (name, reply) in replies {
        let class = if reply.status.is_success() { "written".to_owned() } else { reply.json()["type"].as_str().unwrap().to_owned() };
        let known = person.get(&format!("/v1/keys/uid-{name}")).await.is(200).json();
        match class.as_str() {
            "written" => assert_eq!(known["state"], "Present", "{name}: {reply:?}"),
            "Transient" => assert_eq!(known["state"], "Unknown", "{name}: {reply:?}"),
            "OutcomeUnknown" => {}
            _ => panic!("{name}: {reply:?}"),
        }
        person.put(&turn, &format!("/v1/accounts/uid-{name}"), &account(&name, 5)).await.unwrap().is(200);
    }
    assert!(!server.log().contains("panicked"));
}

/// A collector that takes one request: its head and its body.
fn collector() -> (String, std::thread::JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            all.extend_from_slice(&buffer[..read]);
            let Some(end) = all.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&all[..end]).into_owned();
            let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            let length: usize = length.unwrap().parse().unwrap();
            if all.len() >= end + 4 + length {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
                return (head, all[end + 4..].to_vec());
            }
        }
    });
    (address, taken)
}

#[tokio::test]
async fn traces_go_to_the_collector_that_the_environment_names() {
    let (endpoint, taken) = collector();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "200")];
    let server = AccountServer::start_with(None, &["--listen", "127.0.0.1:0"], &env).await;
    let admin = server.token("admin");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let person = server.person(&admin);
    person.ask(Method::GET, "/v1/accounts", &[("traceparent", parent.as_str())], None).await.unwrap().is(200);
    let (head, body) = tokio::task::spawn_blocking(|| taken.join().unwrap()).await.unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    let has = |bytes: &[u8]| body.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"/v1/accounts") && has(b"deskplane-server"));
    let id: Vec<u8> = (0..16).map(|index| u8::from_str_radix(&trace[2 * index..2 * index + 2], 16).unwrap()).collect();
    assert!(has(&id), "it is part of the client's trace");
    assert!(!has(admin.rsplit_once('_').unwrap().1.as_bytes()), "no token");
}
