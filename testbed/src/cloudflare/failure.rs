//! Failures that are ordered in advance.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a call instead of a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// This HTTP status with an envelope whose code is the status, and without any header of the rate limit.
    Status(u16),
    /// 502 with an HTML page, as the edge gives it.
    Html502,
    /// 200 with a body that is no JSON.
    NonJson,
    /// The connection closes, nothing was done.
    Drop,
    /// Everything is done, then the connection closes.
    CommitThenDrop,
    /// HTTP status, code and message of an envelope.
    Code(u16, u32, String),
    /// A redirect to this address.
    Redirect(String),
    /// 200 with this many bytes of JSON white space before the end.
    Huge(usize),
    /// The good answer after this many milliseconds.
    Slow(u64),
    /// This HTTP status with the caller's credentials in an HTML page, in the envelope's place and in every header that
    /// a client may look at, as a broken proxy gives it.
    Echo(u16),
}

impl Failure {
    /// The good answer after a wait.
    pub fn slow(wait: Duration) -> Self {
        Self::Slow(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
    }
}

#[derive(Debug, Clone)]
struct Order {
    method: Option<String>,
    path: Option<String>,
    failure: Failure,
}

/// Failures to come, first come first served.
#[derive(Debug, Default)]
pub(super) struct Failures {
    orders: VecDeque<Order>,
}

impl Failures {
    pub(super) fn order(&mut self, count: usize, method: Option<&str>, path: Option<&str>, failure: Failure) {
        let order = Order { method: method.map(str::to_ascii_uppercase), path: path.map(str::to_owned), failure };
        self.orders.extend(std::iter::repeat_n(order, count));
    }

    pub(super) fn clear(&mut self) {
        self.orders.clear();
    }

    /// The first one that fits this call; it is used up.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Failure> {
        let fits = |order: &Order| {
            order.method.as_deref().is_none_or(|wanted| wanted == method)
                && order.path.as_deref().is_none_or(|part| path.contains(part))
        };
        let position = self.orders.iter().position(fits)?;
        self.orders.remove(position).map(|order| order.failure)
    }
}
