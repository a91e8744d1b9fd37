//! What the operator counts. Labels are bounded: they come from types and literals of this program; names of objects
//! stand only on the gauges of their own state, which go with them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

mod exposition;
mod objects;

pub use exposition::{ContentType, to_text};
pub use objects::ObjectState;
use objects::Objects;

use crate::dns::record::RecordType;

/// The prefix of every metric.
const PREFIX: &str = "sendingdomain";
/// From a cached look-up to the longest time-out, in seconds.
const BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How a pass over one object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReconcileResult {
    /// Nothing is left to do.
    Success,
    /// Somebody or something else has to move first.
    Waiting,
    /// A person has to act.
    Terminal,
    /// It failed and is tried again.
    Error,
}

impl ReconcileResult {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::Success, Self::Waiting, Self::Terminal, Self::Error];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Waiting => "waiting",
            Self::Terminal => "terminal",
            Self::Error => "error",
        }
    }
}

/// Whom a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// Amazon SES, and STS for its credentials.
    Ses,
    /// The Cloudflare API.
    Cloudflare,
    /// DNS servers and resolvers.
    Dns,
    /// The Kubernetes API server.
    Kubernetes,
}

impl Upstream {
    /// The value of the label `upstream`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ses => "ses",
            Self::Cloudflare => "cloudflare",
            Self::Dns => "dns",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// Why an event was not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventLoss {
    /// Too many were waiting.
    QueueFull,
    /// The API server refused it or did not answer.
    Refused,
}

impl EventLoss {
    /// The value of the label `cause`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
        }
    }
}

/// A label's value that is known when the program is built.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Word(&'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.0, encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    upstream: Word,
    operation: Word,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    upstream: Word,
    operation: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordTypeLabel {
    record_type: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabel {
    resource: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabel {
    version: Word,
}

/// Every metric of the operator. Clones count into the same series.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    reconciles: Family<ResultLabel, Counter>,
    reconcile_duration: Histogram,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    objects: Arc<Objects>,
    drift_corrected: Family<RecordTypeLabel, Counter>,
    panics: Counter,
    events_dropped: Family<CauseLabel, Counter>,
    leader: Gauge,
    last_list: Family<ResourceLabel, Gauge<f64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All series at zero. What has a known set of labels is there from the start, so that a rate sees the first event.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            reconciles: Family::default(),
            reconcile_duration: histogram(),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            objects: Arc::default(),
            drift_corrected: Family::default(),
            panics: Counter::default(),
            events_dropped: Family::default(),
            leader: Gauge::default(),
            last_list: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        for result in ReconcileResult::ALL {
            drop(metrics.reconciles.get_or_create(&ResultLabel { result: Word(result.as_str()) }));
        }
        for cause in [EventLoss::QueueFull, EventLoss::Refused] {
            drop(metrics.events_dropped.get_or_create(&CauseLabel { cause: Word(cause.as_str()) }));
        }
        metrics
    }

    /// `_total` and units are added to the names by the registry, and a full stop to the texts.
    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = VersionLabel { version: Word(env!("CARGO_PKG_VERSION")) };
        let build: Family<VersionLabel, Gauge> = Family::default();
        build.get_or_create(&version).set(1);
        registry.register("build_info", "Always 1, with the version of the operator", build);
        registry.register("leader", "1 while this process holds the Lease, else 0", self.leader.clone());
        registry.register("reconcile", "Passes over one object, by result", self.reconciles.clone());
        let help = "Duration of a pass over one object";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.reconcile_duration.clone());
        registry.register("panics", "Passes that panicked; others went on", self.panics.clone());
        let help = "Requests to SES, Cloudflare, DNS and the API server, by operation and outcome";
        registry.register("upstream_requests", help, self.requests.clone());
        let help = "Duration of requests to SES, Cloudflare, DNS and the API server";
        registry.register_with_unit("upstream_request_duration", help, Unit::Seconds, self.request_duration.clone());
        let help = "Records of ours that were found changed and put right, by type";
        registry.register("drift_corrected", help, self.drift_corrected.clone());
        let help = "Kubernetes events that were not told, by cause";
        registry.register("events_dropped", help, self.events_dropped.clone());
        let help = "When a resource was last listed or its watch last answered, as Unix time";
        registry.register_with_unit("last_successful_list_timestamp", help, Unit::Seconds, self.last_list.clone());
        registry.register_collector(Box::new(self.objects.clone()));
        registry
    }

    /// A pass over one object has ended.
    pub fn reconcile(&self, result: ReconcileResult, duration: Duration) {
        self.reconciles.get_or_create(&ResultLabel { result: Word(result.as_str()) }).inc();
        self.reconcile_duration.observe(duration.as_secs_f64());
    }

    /// A request has been answered, or has failed. `operation` and `outcome` are from small fixed sets: names of API
    /// operations, and `ok` or an error's code; never a name or a text from outside.
    pub fn upstream(&self, upstream: Upstream, operation: &'static str, outcome: &'static str, duration: Duration) {
        let (upstream, operation) = (Word(upstream.as_str()), Word(operation));
        let labels = RequestLabels { upstream: upstream.clone(), operation: operation.clone(), outcome: Word(outcome) };
        self.requests.get_or_create(&labels).inc();
        self.request_duration.get_or_create(&DurationLabels { upstream, operation }).observe(duration.as_secs_f64());
    }

    /// An object is as `state` says, or is gone, and its series with it.
    pub fn object(&self, namespace: &str, name: &str, state: Option<ObjectState>) {
        self.objects.set(namespace, name, state);
    }

    /// Forgets all objects: a process that leads no more has nothing to say about them.
    pub fn no_objects(&self) {
        self.objects.clear();
    }

    /// A record of ours had been changed by somebody else, and was put right.
    pub fn drift_corrected(&self, record_type: RecordType) {
        self.drift_corrected.get_or_create(&RecordTypeLabel { record_type: Word(record_type.as_str()) }).inc();
    }

    /// A pass panicked and was caught.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// An event was not told.
    pub fn event_lost(&self, cause: EventLoss) {
        self.events_dropped.get_or_create(&CauseLabel { cause: Word(cause.as_str()) }).inc();
    }

    /// Whether this process leads.
    pub fn leading(&self, leading: bool) {
        self.leader.set(i64::from(leading));
    }

    /// `resource` (a plural, such as `sendingdomains`) was listed, or its watch answered, just now.
    pub fn listed(&self, resource: &'static str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_list.get_or_create(&ResourceLabel { resource: Word(resource) }).set(now.as_secs_f64());
    }

    /// All series in the OpenMetrics text format 1.0.
    ///
    /// # Errors
    /// Never with the metrics of this program; the encoder's signature has it.
    pub fn openmetrics(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests;
