//! Placeholder.
pub mod http;
pub mod logging;
pub mod metrics;
