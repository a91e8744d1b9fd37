//! What the operator says about itself: logs, metrics, traces, and whether it lives and is ready.

#[cfg(test)]
mod alerts;
pub mod http;
pub mod kube_requests;
pub mod logging;
pub mod metrics;
pub mod probes;
pub mod traces;
