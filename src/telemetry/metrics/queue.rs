//! Which passes are due, and how long they waited. kube's controller does not show its queue; this follows it from outside,
//! by what it is told and by what it starts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// When the next pass over each object is due.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<HashMap<(String, String), Instant>>);

impl Queue {
    /// A pass is due at `at`, if none is due before.
    pub(super) fn due(&self, namespace: &str, name: &str, at: Instant) {
        let mut queue = self.lock();
        let due = queue.entry((namespace.to_owned(), name.to_owned())).or_insert(at);
        *due = at.min(*due);
    }

    /// A pass begins: how long it has been due.
    pub(super) fn begin(&self, namespace: &str, name: &str, now: Instant) -> Option<Duration> {
        let due = self.lock().remove(&(namespace.to_owned(), name.to_owned()))?;
        Some(now.saturating_duration_since(due))
    }

    /// The object is gone.
    pub(super) fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn depth(&self, now: Instant) -> usize {
        self.lock().values().filter(|due| **due <= now).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Queue {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let depth = i64::try_from(self.depth(Instant::now())).unwrap_or(i64::MAX);
        let help = "Objects whose next pass is due and has not begun.";
        let gauge = encoder.encode_descriptor("queue_depth", help, None, MetricType::Gauge)?;
        ConstGauge::new(depth).encode(gauge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_waits_from_the_first_time_that_it_was_due() {
        let queue = Queue::default();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        queue.due("a", "mail", after(60));
        assert_eq!((queue.depth(now), queue.depth(after(60))), (0, 1));
        queue.due("a", "mail", after(5));
        queue.due("a", "mail", after(30));
        assert_eq!(queue.begin("a", "mail", after(7)), Some(Duration::from_secs(2)));
        assert_eq!(queue.begin("a", "mail", after(8)), None, "it was not asked for again");
        queue.due("a", "mail", now);
        queue.forget("a", "mail");
        assert_eq!(queue.depth(after(60)), 0);
    }
}
