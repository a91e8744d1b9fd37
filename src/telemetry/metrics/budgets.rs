//! The budgets of requests, read anew for each scrape: one that is not used any more has no series.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::Upstream;

/// One budget as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetState {
    /// Whose limit it is, in words without a secret: an AWS account and region, the number of a token in this process.
    pub principal: String,
    /// How many requests may go out at once.
    pub left: u32,
    /// How many objects wait for their turn.
    pub waiting: usize,
    /// How long the last of them will wait, about.
    pub backlog: Duration,
}

/// Tells the budgets in use; `None` when nobody keeps them any more.
type Source = Box<dyn Fn() -> Option<Vec<BudgetState>> + Send + Sync>;

#[derive(Default)]
pub(super) struct Budgets(Mutex<Vec<(Upstream, Source)>>);

impl fmt::Debug for Budgets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Budgets").finish_non_exhaustive()
    }
}

impl Budgets {
    pub(super) fn add(&self, upstream: Upstream, source: Source) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((upstream, source));
    }

    fn read(&self) -> Vec<(Upstream, BudgetState)> {
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = sources
            .iter()
            .flat_map(|(upstream, source)| source().unwrap_or_default().into_iter().map(|state| (*upstream, state)));
        read.collect()
    }
}

impl Collector for Budgets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let states = self.read();
        let labels = |upstream: Upstream, state: &BudgetState| {
            [("upstream", upstream.as_str().to_owned()), ("principal", state.principal.clone())]
        };
        let help = "Requests that may go out at once, by whose limit they count against.";
        let mut family = encoder.encode_descriptor("budget_left", help, None, MetricType::Gauge)?;
        for (upstream, state) in &states {
            let value = ConstGauge::new(i64::from(state.left));
            value.encode(family.encode_family(&labels(*upstream, state))?)?;
        }
        let help = "Objects that wait for their turn, by whose limit it counts against.";
        let mut family = encoder.encode_descriptor("budget_waiting", help, None, MetricType::Gauge)?;
        for (upstream, state) in &states {
            let value = ConstGauge::new(i64::try_from(state.waiting).unwrap_or(i64::MAX));
            value.encode(family.encode_family(&labels(*upstream, state))?)?;
        }
        let help = "How long the last of those who wait will wait, about.";
        let mut family = encoder.encode_descriptor("budget_backlog", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (upstream, state) in &states {
            let value = ConstGauge::new(state.backlog.as_secs_f64());
            value.encode(family.encode_family(&labels(*upstream, state))?)?;
        }
        Ok(())
    }
}
