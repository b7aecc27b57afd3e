//! Tests of the router, in this process: on a store in a temporary folder, without a network.

mod accounts;
mod bad_input;
mod document;
mod feeds;
mod limits;
mod matrix;
mod members;
mod observed;
mod transcripts;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{App, Limits};
use crate::backend::Session;
use crate::backend::wire::{EPOCH, OWNER, STORE};
use crate::domain::access::Scope;
use crate::store::Store;

/// A server, and a token of the scope admin.
struct World {
    router: Router,
    store: Arc<Store>,
    stop: CancellationToken,
    admin: SecretString,
    _folder: TempDir,
}

/// An answer, as far as tests look at it.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    /// The class of an error, which is a problem in every respect.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16(), "{self:?}");
        assert!(problem["title"].as_str().unwrap().len() > 10, "{self:?}");
        problem["type"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// An error of that status and class, about that field.
    #[track_caller]
    fn invalid(self, status: u16, field: &str) -> Self {
        let reply = self.is(status);
        assert_eq!(reply.problem(), "Invalid");
        assert_eq!(reply.json()["field"], field, "{reply:?}");
        reply
    }
}

/// A request in the making.
struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Body,
}

fn ask(method: &str, path: impl Into<String>) -> Ask {
    Ask { method: method.to_owned(), path: path.into(), headers: Vec::new(), body: Body::empty() }
}

impl Ask {
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn token(self, token: &SecretString) -> Self {
        let value = format!("Bearer {}", token.expose_secret());
        self.with(AUTHORIZATION.as_str(), value)
    }

    fn turn(self, session: &Session) -> Self {
        self.with(OWNER, &session.owner).with(EPOCH, session.epoch.to_string()).with(STORE, &session.store_id)
    }

    fn json(self, body: &Value) -> Self {
        self.text("application/json", body.to_string())
    }

    fn text(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self.with(CONTENT_TYPE.as_str(), content_type)
    }

    fn request(self) -> Request<Body> {
        let request = Request::builder().method(self.method.as_str()).uri(self.path);
        self.headers.into_iter().fold(request, |request, (name, value)| request.header(name, value)).body(self.body).unwrap()
    }

    async fn to(self, router: &Router) -> Reply {
        let response = router.clone().oneshot(self.request()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }
}

fn generous() -> Limits {
    let many = NonZeroU32::new(1_000_000).unwrap();
    Limits {
        requests_per_second: many,
        burst: many,
        requests: 64,
        waiting: 64,
        deadline: Duration::from_mins(1),
        sign_of_life: Duration::from_secs(15),
    }
}

impl World {
    async fn new() -> Self {
        Self::with_limits(generous()).await
    }

    async fn with_limits(limits: Limits) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("deskplane.db")).await.unwrap());
        let stop = CancellationToken::new();
        let router = App::new(Arc::clone(&store), &limits, stop.clone()).router();
        let (_, admin) = store.create_token(&Scope::Admin, "tests").await.unwrap();
        Self { router, store, stop, admin, _folder: folder }
    }

    async fn token(&self, scope: &str) -> SecretString {
        self.store.create_token(&scope.parse().unwrap(), "tests").await.unwrap().1
    }

    async fn get(&self, path: impl Into<String>) -> Reply {
        self.ask(ask("GET", path)).await
    }

    /// Asks with the token of the scope admin.
    async fn ask(&self, ask: Ask) -> Reply {
        ask.token(&self.admin).to(&self.router).await
    }

    async fn begin(&self, owner: &str) -> Session {
        let reply = self.ask(ask("POST", "/v1/epochs").json(&json!({ "owner": owner }))).await.is(201);
        serde_json::from_value(reply.json()).unwrap()
    }

    async fn put(&self, session: &Session, path: &str, body: &Value) -> Reply {
        self.ask(ask("PUT", path).turn(session).json(body)).await
    }

    /// Account `name`, with organization `<name>-org`, its first operator, a department and a widget.
    async fn account(&self, session: &Session, name: &str) {
        self.put(session, &format!("/v1/accounts/{name}"), &account(name, 10)).await.is(200);
        self.put(session, &format!("/v1/organizations/{name}-org"), &organization(name, &format!("{name}-org"))).await.is(200);
        let members = format!("{name}-org-first");
        self.put(session, &format!("/v1/departments/{name}-dept"), &department(&format!("{name}-org"), &[&members])).await.is(200);
        self.put(session, &format!("/v1/widgets/{name}-web"), &widget(&format!("{name}-org"))).await.is(200);
    }

    /// The id that the store gave to a row.
    async fn id(&self, key: &str) -> String {
        let known = self.get(format!("/v1/keys/{key}")).await.is(200).json();
        known["value"]["externalId"].as_str().unwrap_or_else(|| panic!("{key} has no row: {known}")).to_owned()
    }
}

fn object(name: &str) -> Value {
    json!({ "namespace": "chat", "name": name })
}

fn account(name: &str, seats: i64) -> Value {
    json!({ "object": object(name), "desired": { "ownerEmail": "ada@acme.example", "limits": { "seats": seats } } })
}

fn person(name: &str) -> Value {
    json!({ "email": format!("{name}@acme.example"), "displayName": name, "role": "Manager", "suspended": false })
}

fn organization(account: &str, name: &str) -> Value {
    let first = format!("{name}-first");
    json!({
        "object": object(name), "account": account, "desired": { "displayName": "Acme Germany", "language": "de" },
        "firstOperator": { "key": first, "object": object(&first), "desired": person(&first) },
    })
}

fn operator(organization: &str, name: &str) -> Value {
    json!({ "object": object(name), "organization": organization, "desired": person(name) })
}

fn department(organization: &str, members: &[&str]) -> Value {
    json!({ "object": object("sales"), "organization": organization, "desired": { "displayName": "Sales", "members": members } })
}

fn widget(organization: &str) -> Value {
    let desired = json!({ "displayName": "Website", "allowedOrigins": ["https://www.acme.example"], "color": "#0b7285" });
    json!({ "object": object("web"), "organization": organization, "desired": desired })
}
