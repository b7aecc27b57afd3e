//! What clients send that does not do: each is refused with words that name it, nothing is written, and the server is none the worse.

use futures::stream;

use super::*;
use crate::server::document;
use crate::server::extract::LARGEST_BODY;

/// A body that does for every route that takes one.
fn good(path: &str) -> Value {
    match path.split('/').nth(2) {
        _ if path.ends_with("/ticket") => json!({ "paused": true }),
        _ if path.ends_with("/credentials") => json!({ "outcome": "Created", "hash": "sha256$73$13" }),
        Some("accounts") => account("acme", 3),
        Some("organizations") => {
            let mut body = organization("acme", "new");
            body["firstOperator"]["credentials"] = json!({ "hash": "sha256$73$13", "secretName": "new-credentials" });
            body
        }
        Some("operators") => operator("acme-org", "new"),
        Some("departments") => department("acme-org", &["acme-org-first"]),
        Some("widgets") => widget("acme-org"),
        _ => json!({ "owner": "owner" }),
    }
}

/// Every route that takes JSON: its method and its path.
fn with_body() -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["requestBody"]["content"].get("application/json").is_some() {
                routes.push((method.to_uppercase(), path.replace("{id}", "new")));
            }
        }
    }
    assert!(routes.len() >= 8, "{routes:?}");
    routes
}

/// Everything but the counters of the server.
async fn written(world: &World) -> String {
    let mut all = String::new();
    for path in ["/v1/accounts", "/v1/accounts/acme/rows", "/v1/accounts/acme/usage", "/v1/store?owner=owner"] {
        all += &world.get(path).await.is(200).body;
    }
    all
}

/// Replaces one value at a time, wherever it stands.
fn variants(value: &Value, replace: &dyn Fn(&Value) -> Option<Value>) -> Vec<Value> {
    let mut all: Vec<_> = replace(value).into_iter().collect();
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                all.extend(variants(inner, replace).into_iter().map(|inner| {
                    let mut outer = value.clone();
                    outer[name] = inner;
                    outer
                }));
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                all.extend(variants(inner, replace).into_iter().map(|inner| {
                    let mut outer = value.clone();
                    outer[index] = inner;
                    outer
                }));
            }
        }
        _ => {}
    }
    all
}

struct Lab {
    world: World,
    session: Session,
    before: String,
}

impl Lab {
    async fn new() -> Self {
        let world = World::new().await;
        let session = world.begin("owner").await;
        world.account(&session, "acme").await;
        let before = written(&world).await;
        Self { world, session, before }
    }

    async fn send(&self, method: &str, path: &str, content_type: &str, body: impl Into<Body>) -> Reply {
        self.world.ask(ask(method, path).turn(&self.session).text(content_type, body)).await
    }

    async fn assert_untouched(&self) {
        assert_eq!(written(&self.world).await, self.before);
        self.world.get("/healthz").await.is(200);
    }
}

#[tokio::test]
async fn what_is_no_json_is_refused_by_every_route_that_takes_it() {
    let lab = Lab::new().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let texts: [&[u8]; 9] = [
        b"",
        b"{",
        b"null null",
        b"{\"owner\": \"\xff\"}",
        br#"{"owner": "\ud800"}"#,
        br#"{"owner": "a" "b"}"#,
        b"\0",
        b"NaN",
        deep.as_bytes(),
    ];
    for (method, path) in with_body() {
        for text in texts {
            let reply = lab.send(&method, &path, "application/json", text.to_vec()).await;
            assert!(
                [400, 422].contains(&reply.status.as_u16()),
                "{method} {path} {}: {reply:?}",
                String::from_utf8_lossy(&text[..text.len().min(40)])
            );
            assert_eq!(reply.problem(), "Invalid");
        }
    }
    lab.assert_untouched().await;
}

#[tokio::test]
async fn values_of_another_type_are_refused_by_name() {
    let lab = Lab::new().await;
    let other = |value: &Value| {
        Some(match value {
            Value::String(_) => json!(7),
            Value::Number(_) => json!("seven"),
            Value::Bool(_) => json!("true"),
            Value::Object(_) => json!([]),
            Value::Array(_) => json!({}),
            Value::Null => return None,
        })
    };
    for (method, path) in with_body() {
        for body in variants(&good(&path), &other) {
            let reply = lab.send(&method, &path, "application/json", body.to_string()).await.is(422);
            assert_eq!(reply.problem(), "Invalid", "{body}");
            assert!(reply.json()["field"].is_string(), "{body} {reply:?}");
        }
    }
    lab.assert_untouched().await;
    let mut body = good("/v1/operators/new");
    body["desired"]["suspended"] = json!("yes");
    lab.send("PUT", "/v1/operators/new", "application/json", body.to_string()).await.invalid(422, "desired.suspended");
}

#[tokio::test]
async fn unknown_and_missing_fields_are_refused_by_name() {
    let lab = Lab::new().await;
    let more = |value: &Value| {
        value.is_object().then(|| {
            let mut value = value.clone();
            value["surprise"] = json!(1);
            value
        })
    };
    for (method, path) in with_body() {
        for body in variants(&good(&path), &more) {
            let reply = lab.send(&method, &path, "application/json", body.to_string()).await.is(422);
            assert!(reply.body.contains("surprise"), "{body} {reply:?}");
        }
        lab.send(&method, &path, "application/json", "{}").await.is(422);
    }
    lab.assert_untouched().await;
}

/// Longer than anything may be, with a NUL, empty: wherever a text stands.
#[tokio::test]
async fn texts_out_of_bounds_are_refused_wherever_they_stand() {
    let lab = Lab::new().await;
    let long = "x".repeat(5000);
    for (method, path) in with_body() {
        for text in [long.as_str(), "a\0b", "\u{1b}[31mred", "a\nb"] {
            // Enumerations refuse them by their own words.
            let replaced = |value: &Value| value.is_string().then(|| json!(text));
            for body in variants(&good(&path), &replaced) {
                let reply = lab.send(&method, &path, "application/json", body.to_string()).await.is(422);
                assert_eq!(reply.problem(), "Invalid", "{body}");
                assert!(reply.body.len() < 1000, "what was sent is not sent back as it is: {reply:?}");
            }
        }
        for number in [i64::MIN, i64::MAX, -1_000_001] {
            let replaced = |value: &Value| value.is_number().then(|| json!(number));
            for body in variants(&good(&path), &replaced) {
                lab.send(&method, &path, "application/json", body.to_string()).await.is(422);
            }
        }
    }
    lab.assert_untouched().await;
    let mut body = good("/v1/operators/new");
    body["desired"]["displayName"] = json!("x".repeat(201));
    let reply = lab.send("PUT", "/v1/operators/new", "application/json", body.to_string()).await;
    let reply = reply.invalid(422, "desired.displayName");
    assert_eq!(reply.json()["detail"], "is longer than 200 characters; shorten it");
    body["desired"]["displayName"] = json!("ü".repeat(200));
    lab.send("PUT", "/v1/operators/new", "application/json", body.to_string()).await.is(200);
}

#[tokio::test]
async fn bodies_of_another_type_or_too_large_are_refused() {
    let lab = Lab::new().await;
    for (method, path) in with_body() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
            let reply = lab.send(&method, &path, content_type, good(&path).to_string()).await;
            reply.invalid(415, "content-type");
        }
        let spaces = " ".repeat(LARGEST_BODY);
        lab.send(&method, &path, "application/json", format!("{spaces}{}", good(&path))).await.invalid(413, "body");
        // Without a length, and without an end.
        let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 4096])));
        lab.send(&method, &path, "application/json", endless).await.invalid(413, "body");
        let broken = Body::from_stream(stream::iter([Ok(b"{".to_vec()), Err(std::io::Error::other("gone"))]));
        lab.send(&method, &path, "application/json", broken).await.invalid(400, "body");
    }
    lab.assert_untouched().await;
    let utf8 = lab.send("PUT", "/v1/accounts/other", "application/json; charset=utf-8", good("/v1/accounts/x").to_string()).await;
    utf8.is(200);
}

#[tokio::test]
async fn whose_turn_it_is_must_be_said() {
    let lab = Lab::new().await;
    let put = || ask("PUT", "/v1/accounts/new").json(&good("/v1/accounts/new"));
    lab.world.ask(put()).await.invalid(422, OWNER);
    lab.world.ask(put().with(OWNER, "owner")).await.invalid(422, EPOCH);
    lab.world.ask(put().with(OWNER, "owner").with(EPOCH, "1")).await.invalid(422, STORE);
    for epoch in ["", "one", "1.5", "99999999999999999999"] {
        lab.world.ask(put().with(OWNER, "owner").with(EPOCH, epoch).with(STORE, "s")).await.invalid(422, EPOCH);
    }
    lab.world.ask(put().with(OWNER, "owner").turn(&lab.session)).await.invalid(422, OWNER);
    lab.world.ask(put().with(OWNER, "x".repeat(300)).with(EPOCH, "1").with(STORE, "s")).await.invalid(422, OWNER);
    lab.assert_untouched().await;
}

#[tokio::test]
async fn paths_are_what_they_are() {
    let lab = Lab::new().await;
    for path in
        ["/v1", "/v1/", "/v1/accounts/", "/v1//accounts", "/v1/accounts/../keys/acme", "/v1/accounts/acme/nothing", "/V1/accounts", "/"]
    {
        assert_eq!(lab.world.get(path).await.is(404).problem(), "NotFound", "{path}");
    }
    for id in ["%2e%2e", "..", "a%2Fb", "a%00b", "%0a", "a%20b", "%c3%bc", "*", "a;b", "'--", &"x".repeat(254)] {
        let reply = lab.world.get(format!("/v1/accounts/{id}")).await;
        assert_eq!(reply.is(422).problem(), "Invalid", "{id}");
    }
    lab.world.get("/v1/accounts/%ff").await.invalid(400, "path");
    // An id of the store's is no key of a client's.
    let id = lab.world.id("acme-web").await;
    lab.send("PUT", &format!("/v1/widgets/{id}"), "application/json", good("/v1/widgets/x").to_string()).await.is(422);
    lab.world.get(format!("/v1/keys/{id}")).await.is(422);
    lab.assert_untouched().await;
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_named() {
    let lab = Lab::new().await;
    for (method, path, allow) in [
        ("POST", "/v1/accounts", "GET"),
        ("DELETE", "/v1/accounts/acme", "GET, PUT"),
        ("PATCH", "/v1/keys/acme/ticket", "DELETE, PUT"),
        ("OPTIONS", "/v1/store", "GET"),
        ("BREW", "/healthz", "GET"),
    ] {
        let reply = lab.world.ask(ask(method, path)).await.is(405);
        assert_eq!((reply.problem().as_str(), reply.header("allow")), ("Unsupported", allow));
    }
    let head = lab.world.ask(ask("HEAD", "/v1/accounts")).await.is(200);
    assert_eq!(head.body, "");
    ask("HEAD", "/v1/accounts").to(&lab.world.router).await.is(401);
}

#[tokio::test]
async fn queries_and_cursors_out_of_bounds_are_refused() {
    let lab = Lab::new().await;
    let end = lab.world.get("/v1/changes").await.json();
    let after = end["next"].as_str().unwrap().to_owned();
    for path in [
        "/v1/store",
        "/v1/store?owner=",
        "/v1/store?owner=a&owner=b",
        "/v1/store?owner=a%00",
        "/v1/accounts?ownr=owner",
        "/v1/accounts?cursor=",
        "/v1/accounts?cursor=x",
        "/v1/accounts?cursor=99999999999999999999",
        "/v1/accounts/acme/rows?cursor=17",
        "/v1/accounts/acme/rows?cursor=9:9:9",
        "/v1/accounts/acme/rows?cursor=1:2:3:4",
        "/v1/accounts/acme/organizations?cursor=1:2",
        "/v1/organizations/acme-org/operators?cursor=%00",
        "/v1/organizations/acme-org/departments?cursor=-",
        "/v1/organizations/acme-org/widgets?limit=1",
        "/v1/changes?after=17",
        "/v1/changes?after=store_x.1.1",
        "/v1/audit?account=acme&after=x",
        "/v1/wakes",
    ] {
        let reply = lab.world.get(path).await;
        assert!([400, 422].contains(&reply.status.as_u16()), "{path}: {reply:?}");
        assert_eq!(reply.problem(), "Invalid", "{path}");
    }
    for rest in ["wait=31", "wait=-1", "wait=x", "limit=0", "limit=1001", "limit=1&limit=2"] {
        let reply = lab.world.get(format!("/v1/changes?after={after}&{rest}")).await;
        assert!([400, 422].contains(&reply.status.as_u16()), "{rest}: {reply:?}");
    }
    lab.assert_untouched().await;
}
