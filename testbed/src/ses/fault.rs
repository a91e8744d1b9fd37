//! Failures on demand.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::operation::Operation;

/// How a request shall fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// An error of the service; nothing is done.
    Code {
        /// HTTP status.
        status: u16,
        /// The exception's name.
        code: String,
        /// Its text.
        message: String,
    },
    /// This HTTP status with an HTML body; nothing is done.
    Status(u16),
    /// The connection ends without an answer; nothing is done.
    Drop,
    /// The request is carried out, then the connection ends without an answer.
    CommitThenDrop,
    /// The request is carried out, then answered with an error of the service.
    CommitThenCode {
        /// HTTP status.
        status: u16,
        /// The exception's name.
        code: String,
        /// Its text.
        message: String,
    },
    /// The request is carried out, and answered after this many milliseconds.
    Delay(u64),
}

impl Failure {
    /// An error of the service.
    pub fn code(status: u16, code: &str, message: &str) -> Self {
        Self::Code { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// The throttling that SES models itself.
    pub fn too_many_requests() -> Self {
        Self::code(429, "TooManyRequestsException", "Too Many Requests")
    }

    /// The throttling that comes from the layer before SES.
    pub fn throttling() -> Self {
        Self::code(400, "ThrottlingException", "Rate exceeded")
    }

    /// Somebody else is working on the same identity.
    pub fn concurrent_modification() -> Self {
        Self::code(500, "ConcurrentModificationException", "The resource is being modified by another operation.")
    }
}

#[derive(Debug)]
struct Fault {
    operation: Option<Operation>,
    left: u32,
    failure: Failure,
}

/// The failures still to come.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

impl Faults {
    pub(super) fn add(&mut self, operation: Option<Operation>, count: u32, failure: Failure) {
        self.0.push_back(Fault { operation, left: count, failure });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The failure that this call meets, if any; each is used up by the calls it hits.
    pub(super) fn take(&mut self, operation: Operation) -> Option<Failure> {
        self.0.retain(|fault| fault.left > 0);
        let fault = self.0.iter_mut().find(|fault| fault.operation.is_none_or(|only| only == operation))?;
        fault.left -= 1;
        Some(fault.failure.clone())
    }
}

/// Token buckets by real time: the limit holds for real requests, whatever the virtual clock says.
#[derive(Debug, Default)]
pub(super) struct Limiter<K: Ord>(BTreeMap<K, Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: std::time::Instant,
}

impl<K: Ord> Limiter<K> {
    /// Whether one more request is within `per_second`.
    pub(super) fn admit(&mut self, key: K, per_second: f64, now: std::time::Instant) -> bool {
        let size = per_second.max(1.0);
        let bucket = self.0.entry(key).or_insert(Bucket { tokens: size, filled: now });
        let passed = now.saturating_duration_since(bucket.filled);
        bucket.tokens = (bucket.tokens + passed.as_secs_f64() * per_second).min(size);
        bucket.filled = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

/// How long [`Failure::Delay`] may hold a request, so that a typing error does not hold it for ever.
pub(super) fn delay(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds).min(Duration::from_mins(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hit_only_their_operation_and_only_so_often() {
        let mut faults = Faults::default();
        faults.add(Some(Operation::GetAccount), 1, Failure::Drop);
        faults.add(None, 2, Failure::Status(502));
        assert_eq!(faults.take(Operation::GetEmailIdentity), Some(Failure::Status(502)));
        assert_eq!(faults.take(Operation::GetAccount), Some(Failure::Drop));
        assert_eq!(faults.take(Operation::GetAccount), Some(Failure::Status(502)));
        assert_eq!(faults.take(Operation::GetAccount), None);
    }

    #[test]
    fn one_request_per_second_means_that() {
        let mut limiter = Limiter::default();
        let start = std::time::Instant::now();
        assert!(limiter.admit("a", 1.0, start));
        assert!(!limiter.admit("a", 1.0, start + Duration::from_millis(900)));
        assert!(limiter.admit("b", 1.0, start));
        assert!(limiter.admit("a", 1.0, start + Duration::from_millis(1100)));
    }
}
