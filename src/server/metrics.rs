//! Metrics of requests: labels are route templates, methods and classes of status, never what stands in a path.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::table::Rule;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
}

/// What the server counts.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    seconds: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
}

impl Metrics {
    /// A family without samples would not be shown: every route begins at zero.
    pub(super) fn new<'a>(routes: impl Iterator<Item = (&'a str, &'static str, Rule)>) -> Self {
        let mut registry = Registry::with_prefix("deskplane_server");
        let seconds = Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.001, 4.0, 8))) as fn() -> Histogram);
        let (requests, in_flight) = (Family::default(), Gauge::default());
        registry.register("requests", "Requests, by route, method and class of status", Family::clone(&requests));
        registry.register("request_seconds", "Time until the answer begins", Family::clone(&seconds));
        registry.register("requests_in_flight", "Requests being worked on", Gauge::clone(&in_flight));
        let metrics = Self { registry, requests, seconds, in_flight };
        for (route, method, _) in routes {
            drop(metrics.seconds.get_or_create(&RouteLabels { route: route.to_owned(), method }));
            drop(metrics.requests.get_or_create(&RequestLabels { route: route.to_owned(), method, status: class(200) }));
        }
        metrics
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.in_flight.inc();
    }

    /// A request ends; without a status: the client had gone.
    pub(super) fn end(&self, route: &str, method: &'static str, status: Option<u16>, took: Duration) {
        self.in_flight.dec();
        let status = status.map_or("gone", class);
        self.requests.get_or_create(&RequestLabels { route: route.to_owned(), method, status }).inc();
        self.seconds.get_or_create(&RouteLabels { route: route.to_owned(), method }).observe(took.as_secs_f64());
    }

    /// All metrics in the text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}

fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
