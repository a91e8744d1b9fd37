//! When each watch was last answered: the oldest counts, for one of several namespaces may be out of reach.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// By resource and by path, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<BTreeMap<&'static str, BTreeMap<String, f64>>>);

impl Lists {
    pub(super) fn set(&self, resource: &'static str, path: &str, at: f64) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.entry(resource).or_default().insert(path.to_owned(), at);
    }
}

impl Collector for Lists {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help =
            "When a resource was last listed or a watch of it last answered, as Unix time; of several, the oldest.";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor("last_successful_list_timestamp", help, unit, MetricType::Gauge)?;
        for (resource, paths) in &lists {
            let oldest = paths.values().copied().fold(f64::INFINITY, f64::min);
            ConstGauge::new(oldest).encode(family.encode_family(&[("resource", *resource)])?)?;
        }
        Ok(())
    }
}
