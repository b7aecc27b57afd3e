//! What stands between a controller and its API server, and lets go wrong what no API server lets go wrong on demand.
//!
//! Plain HTTP for the controller; everything is passed on to the real one, as the controller's own user.

use std::collections::HashSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::{StreamExt, stream};
use http::{HeaderName, Method, StatusCode, header};
use kube::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::controller::rights;
use crate::controlplane::{ControlPlane, config_of};

/// What becomes of the events of every watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Events {
    /// They arrive.
    #[default]
    Pass,
    /// They are held back, and arrive later, all of them, in their order.
    Freeze,
    /// They are held back, and of each name only the last arrives later.
    Coalesce,
    /// They are lost; later, the API server says that it does not know them any more either.
    Lose,
}

#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    events: Events,
    /// How often all watches were ended with a 410.
    expired: u64,
    /// How often all watches lost the other side without a word.
    silenced: u64,
    /// How often all watches were closed.
    closed: u64,
}

/// What one request gets instead of its answer.
#[derive(Clone, Copy, Debug)]
pub enum Instead {
    /// This status, and the advice to come again after so many seconds.
    RetryAfter(StatusCode, u64),
    /// Nothing, ever; nobody heard it.
    Silence,
}

/// An API server with faults, gone when dropped.
pub struct FaultyApi {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    client: Client,
    orders: watch::Sender<Orders>,
    /// Paths whose next watches are refused with a 410, until they are listed.
    stale: Mutex<HashSet<String>>,
    /// The next request of this method whose path ends like this.
    once: Mutex<Vec<(Method, &'static str, Instead)>>,
}

impl FaultyApi {
    /// In front of this control plane.
    pub async fn start(plane: &ControlPlane) -> Self {
        let rights = rights(plane).await;
        let mut config = config_of(&rights).await;
        config.default_retry = false;
        let client = Client::try_from(config).expect("a client");
        let orders = watch::Sender::new(Orders::default());
        let shared = Arc::new(Shared { client, orders, stale: Mutex::default(), once: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serve") });
        let kubeconfig = plane.state().join(format!("faulty-{}.kubeconfig", address.port()));
        let cluster = json!({"name": "faulty", "cluster": {"server": format!("http://{address}")}});
        let context = json!({"name": "faulty", "context": {"cluster": "faulty", "user": "nobody"}});
        let text = json!({"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "faulty",
            "users": [{"name": "nobody", "user": {}}]});
        std::fs::write(&kubeconfig, text.to_string()).expect("write a kubeconfig");
        Self { kubeconfig, shared, server }
    }

    /// For the controller.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What becomes of all events from here on; what was held back goes by what was said before.
    pub fn events(&self, events: Events) {
        self.shared.orders.send_modify(|orders| orders.events = events);
    }

    /// Ends every watch with a 410 in its stream.
    pub fn expire(&self) {
        self.shared.orders.send_modify(|orders| orders.expired += 1);
    }

    /// Ends every watch, and answers those that begin where it ended with a 410, until they list anew.
    pub fn expire_on_start(&self, paths: impl IntoIterator<Item = String>) {
        self.shared.stale.lock().unwrap().extend(paths);
        self.shared.orders.send_modify(|orders| orders.closed += 1);
    }

    /// Whether all of those have listed anew.
    pub fn all_listed(&self) -> Result<(), String> {
        let stale = self.shared.stale.lock().unwrap();
        if stale.is_empty() { Ok(()) } else { Err(format!("{stale:?}")) }
    }

    /// Every watch that is open now loses its other side without a word: the connection stays, and nothing comes any more.
    pub fn silence(&self) {
        self.shared.orders.send_modify(|orders| orders.silenced += 1);
    }

    /// The next request of this method whose path ends like this gets something else than its answer.
    pub fn once(&self, method: Method, path: &'static str, instead: Instead) {
        self.shared.once.lock().unwrap().push((method, path, instead));
    }

    /// Whether every request has come for which something else was in store.
    pub fn all_met(&self) -> Result<(), String> {
        let left = self.shared.once.lock().unwrap();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    }
}

impl Drop for FaultyApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let watches = parts.uri.query().is_some_and(|query| query.contains("watch=true"));
    match shared.instead(&parts.method, &path) {
        Some(Instead::RetryAfter(code, seconds)) => return refusal(code, Some(seconds)),
        Some(Instead::Silence) => return std::future::pending().await,
        None => {}
    }
    if watches && shared.stale.lock().unwrap().contains(&path) {
        return refusal(StatusCode::GONE, None);
    }
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let mut onward = http::Request::builder().method(&parts.method).uri(parts.uri.path_and_query().expect("a path").as_str());
    for name in [header::CONTENT_TYPE, header::ACCEPT, header::USER_AGENT] {
        onward = parts.headers.get(&name).into_iter().fold(onward, |onward, value| onward.header(&name, value));
    }
    let answer = shared.client.send(onward.body(body.to_vec().into()).expect("a request")).await;
    let Ok(answer) = answer else { return refusal(StatusCode::BAD_GATEWAY, None) };
    let (answered, body) = answer.into_parts();
    if parts.method == Method::GET && !watches && answered.status.is_success() {
        shared.stale.lock().unwrap().remove(&path);
    }
    let body = if watches && answered.status.is_success() { shared.spoil(Body::new(body)) } else { Body::new(body) };
    let mut response = Response::new(body);
    *response.status_mut() = answered.status;
    let content_type: HeaderName = header::CONTENT_TYPE;
    if let Some(value) = answered.headers.get(&content_type) {
        response.headers_mut().insert(content_type, value.clone());
    }
    response
}

fn status(code: StatusCode) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(), "reason": "Expired", "message": "faulty"})
}

fn refusal(code: StatusCode, retry_after: Option<u64>) -> Response {
    let mut response = Response::new(Body::from(status(code).to_string()));
    *response.status_mut() = code;
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl Shared {
    fn instead(&self, method: &Method, path: &str) -> Option<Instead> {
        let mut once = self.once.lock().unwrap();
        let at = once.iter().position(|(wanted, end, _)| wanted == method && path.ends_with(end))?;
        Some(once.remove(at).2)
    }

    /// The events of a watch, as the orders want them.
    fn spoil(&self, body: Body) -> Body {
        let (sender, receiver) = unbounded_channel();
        let watch = Watch { sender, orders: self.orders.subscribe(), held: Vec::new() };
        tokio::spawn(watch.follow(body));
        Body::from_stream(lines(receiver))
    }
}

fn lines(receiver: UnboundedReceiver<Bytes>) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|line| (Ok(line), receiver)))
}

/// One watch on its way to the controller.
struct Watch {
    sender: UnboundedSender<Bytes>,
    orders: watch::Receiver<Orders>,
    held: Vec<Bytes>,
}

impl Watch {
    async fn follow(mut self, body: Body) {
        let born = *self.orders.borrow_and_update();
        let mut before = born.events;
        let mut body = body.into_data_stream();
        let mut rest = Vec::new();
        loop {
            tokio::select! {
                changed = self.orders.changed() => {
                    let now = *self.orders.borrow_and_update();
                    if changed.is_err() || now.closed > born.closed {
                        return;
                    }
                    if now.silenced > born.silenced {
                        // Until the controller gives up.
                        return self.sender.closed().await;
                    }
                    if now.expired > born.expired || before == Events::Lose && now.events != Events::Lose {
                        let error = json!({"type": "ERROR", "object": status(StatusCode::GONE)});
                        let _ = self.sender.send(format!("{error}\n").into());
                        return;
                    }
                    if now.events == Events::Pass {
                        for line in std::mem::take(&mut self.held) {
                            let _ = self.sender.send(line);
                        }
                    }
                    before = now.events;
                }
                chunk = body.next() => {
                    let Some(Ok(chunk)) = chunk else { return };
                    rest.extend_from_slice(&chunk);
                    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                        let line: Vec<u8> = rest.drain(..=end).collect();
                        self.line(line.into(), before);
                    }
                }
                () = self.sender.closed() => return,
            }
        }
    }

    fn line(&mut self, line: Bytes, events: Events) {
        match events {
            Events::Pass => drop(self.sender.send(line)),
            Events::Freeze => self.held.push(line),
            Events::Coalesce => {
                let name = name_of(&line);
                self.held.retain(|earlier| name_of(earlier) != name);
                self.held.push(line);
            }
            Events::Lose => {}
        }
    }
}

/// Namespace and name of an event's object.
fn name_of(line: &Bytes) -> (String, String) {
    let event: Value = serde_json::from_slice(line).expect("an event is a line of JSON");
    let text = |field: &str| event["object"]["metadata"][field].as_str().unwrap_or_default().to_owned();
    (text("namespace"), text("name"))
}
