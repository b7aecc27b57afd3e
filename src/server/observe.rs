//! What is known of a request afterwards: its id, a line in the log, and the metrics. Never a token, a query, a body, or what stands in a
//! path: the log has route templates.

use std::any::Any;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::global::get_text_map_propagator;
use opentelemetry_http::HeaderExtractor;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::access::Caller;
use super::app::Shared;
use super::refusal::Refusal;

/// Names a request in our log and in the client's.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ids of clients are replaced.
const LONGEST_ID: usize = 64;

/// What is shown of requests to paths that do not exist.
const UNKNOWN_ROUTE: &str = "unknown";

/// Counts and logs a request, however it ends.
struct Watch {
    app: Shared,
    route: String,
    method: &'static str,
    began: Instant,
    ended: bool,
}

impl Watch {
    fn begin(app: Shared, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or(UNKNOWN_ROUTE, MatchedPath::as_str).to_owned();
        app.metrics().begin();
        Self { app, route, method: name(request.method()), began: Instant::now(), ended: false }
    }

    fn end(mut self, response: &Response) {
        self.ended = true;
        let (status, took) = (response.status().as_u16(), self.began.elapsed());
        self.app.metrics().end(&self.route, self.method, Some(status), took);
        let token = response.extensions().get::<Caller>().map(|caller| caller.id.as_str());
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status >= 500 {
            tracing::warn!(status, milliseconds, token, "answered");
        } else {
            tracing::info!(status, milliseconds, token, "answered");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.ended {
            self.app.metrics().end(&self.route, self.method, None, self.began.elapsed());
            tracing::info!(route = self.route, method = self.method, "the client had gone before the answer");
        }
    }
}

/// Watches a request.
pub(super) async fn observe(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let watch = Watch::begin(app, &request);
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default(), method = watch.method, route = watch.route);
    // Where there are traces, it is part of the client's (`traceparent`). Where there are none, it is nothing.
    let parent = get_text_map_propagator(|propagator| propagator.extract(&HeaderExtractor(request.headers())));
    let _ = span.set_parent(parent);
    let mut response = next.run(request).instrument(span.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id);
    span.in_scope(|| watch.end(&response));
    response
}

/// The client's id, or one of ours.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let usable = |id: &&HeaderValue| (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(allowed);
    headers.get(REQUEST_ID).filter(usable).cloned().unwrap_or_else(|| {
        let random = getrandom::u64().unwrap_or_default();
        HeaderValue::from_str(&format!("{random:016x}")).unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// A method as a label: clients can invent any.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// A handler panicked: the client learns that it did, and nothing of it.
// The layer hands the panic over by value.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without words"), "a request made the server fail: please report this");
    Refusal::broken().into_response()
}
