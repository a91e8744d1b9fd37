//! One classification of everything that can go wrong outside, made once at the edge and mapped once to condition,
//! requeue, event and metric.

use std::time::Duration;

/// What a failure means for the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Will most likely pass by itself: throttling, 5xx, time-outs. `retry_after` is what the other side asked for.
    Transient {
        /// The wait that the other side asked for, if it did.
        retry_after: Option<Duration>,
    },
    /// Somebody else has to do something that is already under way or expected.
    Waiting {
        /// When a further look makes sense.
        after: Duration,
    },
    /// Will not pass without a change by a person. Still tried again, slowly.
    Terminal,
}
