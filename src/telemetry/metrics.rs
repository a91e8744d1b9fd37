//! Placeholder.
use std::time::Duration;
#[derive(Clone, Default)]
pub struct Metrics;
impl Metrics {
    pub fn new() -> Self {
        Metrics
    }
    pub fn leading(&self, _b: bool) {}
    pub fn listed(&self, _r: &'static str) {}
    pub fn panicked(&self) {}
    pub fn passed(&self, _e: Option<&crate::controller::error::Error>, _d: Duration) {}
    pub fn object(
        &self,
        _o: &crate::api::v1alpha1::SendingDomain,
        _s: Option<&crate::api::v1alpha1::SendingDomainStatus>,
    ) {
    }
}
