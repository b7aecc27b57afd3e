//! Traces of requests, in OTLP over HTTP, where the environment names a collector as OpenTelemetry says: `OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME` and so on. Spans hold what the log holds: no tokens, no bodies.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

use super::error::CliError;

/// Where the collector is, for all signals or for traces.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// How long the collector may take to accept spans.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer answers of the collector are cut off.
const LONGEST_REPLY: usize = 64 << 10;

/// What spans of ours are called after, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "deskplane-server";

/// Sends traces until it is closed.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send traces, if the environment says where to.
    pub fn start() -> Result<Option<Self>, CliError> {
        let endpoint = ENDPOINTS.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let Some(endpoint) = endpoint else { return Ok(None) };
        let failed = |error: &dyn std::fmt::Display| CliError::Start(format!("traces: {error}"));
        let builder = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        // Without TLS no certificates of the system are needed, and there may be none.
        let builder = if endpoint.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
        let client = Collector { client: builder.build().map_err(|error| failed(&error))?, runtime: Handle::current() };
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build().map_err(|error| failed(&error))?;
        let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
            Some(_) => Resource::builder().build(),
            None => Resource::builder().with_service_name(SERVICE).build(),
        };
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())))
    }

    /// What makes spans of ours.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer(SERVICE)
    }

    /// Sends what is left.
    pub async fn close(self) {
        // It blocks until its own thread has ended, which waits for requests of this runtime.
        let closed = tokio::task::spawn_blocking(move || self.0.shutdown()).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// The exporter has a thread of its own, without a runtime: requests are made in ours.
#[derive(Clone, Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = send(self.client.clone(), request);
        self.runtime.spawn(sent).await?
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut reply = client.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_REPLY {
            return Err("the collector's answer has no end".into());
        }
    }
    let mut response = Response::builder().status(reply.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(reply.headers());
    }
    Ok(response.body(body.into())?)
}
