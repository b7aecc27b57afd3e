//! Metrics, all of low cardinality: labels are kinds, reasons and outcomes, never names of objects.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::api::condition::Reason;
use crate::backend::BackendError;

use super::object::Kind;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabel {
    error: &'static str,
}

/// What the controller counts.
pub struct Metrics {
    registry: Registry,
    passes: Family<PassLabels, Counter>,
    seconds: Family<KindLabel, Histogram>,
    writes: Family<VerbLabel, Counter>,
    errors: Family<ErrorLabel, Counter>,
    watch_restarts: Family<KindLabel, Counter>,
    queued: Gauge,
    quarantined: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("deskplane");
        let seconds = Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.001, 4.0, 8))) as fn() -> Histogram);
        let metrics =
            (Family::default(), seconds, Family::default(), Family::default(), Family::default(), Gauge::default(), Gauge::default());
        let (passes, seconds, writes, errors, watch_restarts, queued, quarantined) = metrics;
        registry.register("reconciles", "Passes over objects, by kind and by the reason they ended with", Family::clone(&passes));
        registry.register("reconcile_seconds", "Duration of passes", Family::clone(&seconds));
        registry.register("api_writes", "Writes to the API server, by verb", Family::clone(&writes));
        registry.register("backend_errors", "Errors of the backend, by class", Family::clone(&errors));
        registry.register("watch_restarts", "Watches that were started anew after errors", Family::clone(&watch_restarts));
        registry.register("queue_length", "Objects that wait for a pass", Gauge::clone(&queued));
        registry.register("quarantined_rows", "Rows whose object vanished without cleanup", Gauge::clone(&quarantined));
        let metrics = Self { registry, passes, seconds, writes, errors, watch_restarts, queued, quarantined };
        metrics.begin_at_zero();
        metrics
    }
}

impl Metrics {
    /// A family without samples would not be shown: who writes an alert before the first error should find its name.
    fn begin_at_zero(&self) {
        for kind in Kind::ALL.map(Kind::as_str) {
            drop(self.passes.get_or_create(&PassLabels { kind, outcome: Reason::Synced.as_str() }));
            drop(self.seconds.get_or_create(&KindLabel { kind }));
            drop(self.watch_restarts.get_or_create(&KindLabel { kind }));
        }
        for verb in ["create", "delete", "event", "patch", "patch_status"] {
            drop(self.writes.get_or_create(&VerbLabel { verb }));
        }
        for error in [BackendError::Transient(String::new()), BackendError::OutcomeUnknown(String::new())] {
            drop(self.errors.get_or_create(&ErrorLabel { error: error.class() }));
        }
    }

    /// A pass ended.
    pub fn pass(&self, kind: Kind, outcome: &'static str, took: Duration) {
        self.passes.get_or_create(&PassLabels { kind: kind.as_str(), outcome }).inc();
        self.seconds.get_or_create(&KindLabel { kind: kind.as_str() }).observe(took.as_secs_f64());
    }

    /// Something was written to the API server.
    pub fn api_write(&self, verb: &'static str) {
        self.writes.get_or_create(&VerbLabel { verb }).inc();
    }

    /// The backend answered with an error.
    pub fn backend_error(&self, error: &BackendError) {
        self.errors.get_or_create(&ErrorLabel { error: error.class() }).inc();
    }

    /// A watch was started anew.
    pub fn watch_restart(&self, kind: &'static str) {
        self.watch_restarts.get_or_create(&KindLabel { kind }).inc();
    }

    /// How many rows are quarantined.
    pub fn quarantined(&self, rows: usize) {
        self.quarantined.set(i64::try_from(rows).unwrap_or(i64::MAX));
    }

    /// All metrics in the text format.
    pub fn text(&self, queued: usize) -> String {
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}
