//! What the operator counts. Labels are bounded: they come from types and literals of this program; names of objects
//! stand only on the gauges of their own state, which go with them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

mod budgets;
mod exposition;
mod lists;
mod objects;
mod queue;

pub use budgets::BudgetState;
use budgets::Budgets;
pub use exposition::{ContentType, to_text};
use lists::Lists;
pub use objects::ObjectState;
use objects::Objects;
use queue::Queue;

use crate::api::event::EventReason;
use crate::dns::record::RecordType;

/// The Events that tell of something of ours that stays where it is, with nobody to look after it.
const ORPHANING: [EventReason; 2] = [EventReason::CleanupIncomplete, EventReason::RecordsLeftBehind];
/// The resource that is watched.
const SENDING_DOMAINS: &str = "sendingdomains";

/// The prefix of every metric.
const PREFIX: &str = "sendingdomain";
/// From a cached look-up to the longest time-out, in seconds.
const BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// From a name server's time to live to the 72 hours after which SES gives up, in seconds.
const VERIFICATION_BUCKETS: [f64; 13] =
    [30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 57_600.0, 86_400.0, 172_800.0, 259_200.0];

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
    /// Amazon SES.
    Ses,
    /// AWS STS, which tells whose the credentials are. Roles are assumed by the SDK, as part of the request that needs it.
    Sts,
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
            Self::Sts => "sts",
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
struct UpstreamLabel {
    upstream: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: Word,
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
    reconcile_errors: Family<ClassLabel, Counter>,
    in_flight: Gauge,
    queue: Arc<Queue>,
    queue_latency: Histogram,
    time_to_verified: Histogram,
    regressions: Counter,
    orphaned: Family<ReasonLabel, Counter>,
    budgets: Arc<Budgets>,
    budget_wait: Family<UpstreamLabel, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    objects: Arc<Objects>,
    drift_corrected: Family<RecordTypeLabel, Counter>,
    panics: Counter,
    events_dropped: Family<CauseLabel, Counter>,
    leader: Gauge,
    watch_errors: Family<ResourceLabel, Counter>,
    lists: Arc<Lists>,
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
            reconcile_errors: Family::default(),
            in_flight: Gauge::default(),
            queue: Arc::default(),
            queue_latency: histogram(),
            time_to_verified: Histogram::new(VERIFICATION_BUCKETS),
            regressions: Counter::default(),
            orphaned: Family::default(),
            budgets: Arc::default(),
            budget_wait: Family::new_with_constructor(histogram),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(histogram),
            objects: Arc::default(),
            drift_corrected: Family::default(),
            panics: Counter::default(),
            events_dropped: Family::default(),
            leader: Gauge::default(),
            watch_errors: Family::default(),
            lists: Arc::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        for result in ReconcileResult::ALL {
            drop(metrics.reconciles.get_or_create(&ResultLabel { result: Word(result.as_str()) }));
        }
        for cause in [EventLoss::QueueFull, EventLoss::Refused] {
            drop(metrics.events_dropped.get_or_create(&CauseLabel { cause: Word(cause.as_str()) }));
        }
        for record_type in [RecordType::Cname, RecordType::Mx, RecordType::Txt] {
            drop(metrics.drift_corrected.get_or_create(&RecordTypeLabel { record_type: Word(record_type.as_str()) }));
        }
        for class in crate::controller::error::LABELS {
            drop(metrics.reconcile_errors.get_or_create(&ClassLabel { class: Word(class) }));
        }
        for reason in ORPHANING {
            drop(metrics.orphaned.get_or_create(&ReasonLabel { reason: Word(reason.as_str()) }));
        }
        drop(metrics.watch_errors.get_or_create(&ResourceLabel { resource: Word(SENDING_DOMAINS) }));
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
        self.register_passes(&mut registry);
        self.register_requests(&mut registry);
        let help = "Time from the start of verification until SES first verified a domain";
        registry.register_with_unit("time_to_verified", help, Unit::Seconds, self.time_to_verified.clone());
        let help = "Times that a SendingDomain was Ready and is not any more";
        registry.register("regressions", help, self.regressions.clone());
        let help = "Records of ours that were found changed and put right, by type";
        registry.register("drift_corrected", help, self.drift_corrected.clone());
        let help = "Times that records or an identity of ours could not be taken away and were left behind, by Event";
        registry.register("orphaned", help, self.orphaned.clone());
        let help = "Kubernetes events that were not told, by cause";
        registry.register("events_dropped", help, self.events_dropped.clone());
        registry.register_collector(Box::new(self.objects.clone()));
        registry
    }

    fn register_passes(&self, registry: &mut Registry) {
        registry.register("reconcile", "Passes over one object, by result", self.reconciles.clone());
        let help = "Duration of a pass over one object";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.reconcile_duration.clone());
        let help = "Passes that ended early, by what ended them";
        registry.register("reconcile_errors", help, self.reconcile_errors.clone());
        registry.register("reconciles_in_flight", "Passes that are under way", self.in_flight.clone());
        registry.register("panics", "Passes that panicked; others went on", self.panics.clone());
        let help = "How long a pass had been due when it began";
        registry.register_with_unit("queue_latency", help, Unit::Seconds, self.queue_latency.clone());
        registry.register_collector(Box::new(self.queue.clone()));
        let help = "Watches and lists of a resource that failed";
        registry.register("watch_errors", help, self.watch_errors.clone());
        registry.register_collector(Box::new(self.lists.clone()));
    }

    fn register_requests(&self, registry: &mut Registry) {
        let help = "Requests to SES, STS, Cloudflare, DNS and the API server, by operation and outcome";
        registry.register("upstream_requests", help, self.requests.clone());
        let help = "Duration of requests to SES, STS, Cloudflare, DNS and the API server";
        registry.register_with_unit("upstream_request_duration", help, Unit::Seconds, self.request_duration.clone());
        let help = "How long requests waited for their turn within the budget";
        registry.register_with_unit("budget_wait", help, Unit::Seconds, self.budget_wait.clone());
        registry.register_collector(Box::new(self.budgets.clone()));
    }

    /// A pass over an object is due after `wait`, if none is due before.
    pub fn due(&self, namespace: &str, name: &str, wait: Duration) {
        self.queue.due(namespace, name, Instant::now() + wait);
    }

    /// No pass over an object is due any more: it is gone.
    pub fn not_due(&self, namespace: &str, name: &str) {
        self.queue.forget(namespace, name);
    }

    /// A pass over an object begins. It is under way until the answer is dropped.
    pub fn begin(&self, namespace: &str, name: &str) -> UnderWay {
        if let Some(waited) = self.queue.begin(namespace, name, Instant::now()) {
            self.queue_latency.observe(waited.as_secs_f64());
        }
        self.in_flight.inc();
        UnderWay(self.in_flight.clone())
    }

    /// A pass ended early. `class` is from a small fixed set.
    pub fn reconcile_error(&self, class: &'static str) {
        self.reconcile_errors.get_or_create(&ClassLabel { class: Word(class) }).inc();
    }

    /// SES has verified a domain for the first time, so long after verification began.
    pub fn verified(&self, after: Duration) {
        self.time_to_verified.observe(after.as_secs_f64());
    }

    /// An object was Ready and is not any more.
    pub fn regressed(&self) {
        self.regressions.inc();
    }

    /// An Event of this reason was told; those that tell of something left behind are counted.
    pub fn event(&self, reason: &str) {
        if let Some(reason) = ORPHANING.into_iter().find(|known| known.as_str() == reason) {
            self.orphaned.get_or_create(&ReasonLabel { reason: Word(reason.as_str()) }).inc();
        }
    }

    /// A request has had its turn, after waiting for it.
    pub fn budget_waited(&self, upstream: Upstream, waited: Duration) {
        let labels = UpstreamLabel { upstream: Word(upstream.as_str()) };
        self.budget_wait.get_or_create(&labels).observe(waited.as_secs_f64());
    }

    /// From now on, `source` tells the budgets of `upstream`; `None` once nobody keeps them.
    pub fn budgets<F>(&self, upstream: Upstream, source: F)
    where
        F: Fn() -> Option<Vec<BudgetState>> + Send + Sync + 'static,
    {
        self.budgets.add(upstream, Box::new(source));
    }

    /// A watch or a list of the objects failed.
    pub fn watch_failed(&self) {
        self.watch_errors.get_or_create(&ResourceLabel { resource: Word(SENDING_DOMAINS) }).inc();
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

    /// `resource` (a plural, such as `sendingdomains`) was listed at `path`, or a watch of it answered, just now.
    pub fn listed(&self, resource: &'static str, path: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.lists.set(resource, path, now.as_secs_f64());
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

/// A pass that is under way, until this is dropped: also by a panic, or when it is cut off.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests;
