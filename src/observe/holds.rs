//! Faults that stand: what failed is not tried again before its time, unless what it depends on changes.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::observation::Fault;
use crate::plan::Step;
use crate::status::schedule::{Pace, hold};

/// A read or a write of a part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempt {
    /// A read.
    Read(Step),
    /// A write.
    Write(Step),
}

#[derive(Clone, Debug)]
struct Hold {
    fault: Fault,
    until: Timestamp,
    cause: u64,
    tries: u32,
}

/// The faults that stand, at most one for each attempt.
#[derive(Clone, Debug, Default)]
pub struct Holds(BTreeMap<Attempt, Hold>);

impl Holds {
    /// The fault of `attempt`, while it is not due again. `cause` stands for what it depends on.
    pub fn standing(&self, attempt: Attempt, cause: u64, now: Timestamp) -> Option<Fault> {
        self.0.get(&attempt).filter(|h| h.cause == cause && now < h.until).map(|h| h.fault.clone())
    }

    /// `attempt` has failed. The more often it does in a row, the longer what passes by itself is left alone.
    pub fn failed(&mut self, attempt: Attempt, fault: Fault, cause: u64, now: Timestamp, pace: Pace) {
        let tries = self.0.get(&attempt).filter(|h| h.cause == cause).map_or(0, |h| h.tries.saturating_add(1));
        let until = now.checked_add(hold(fault.class, tries, pace)).unwrap_or(Timestamp::MAX);
        self.0.insert(attempt, Hold { fault, until, cause, tries });
    }

    /// `attempt` has succeeded.
    pub fn succeeded(&mut self, attempt: Attempt) {
        self.0.remove(&attempt);
    }

    /// Has everything tried again.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How long until the first fault that still stands is due again.
    pub fn next_due(&self, now: Timestamp) -> Option<Duration> {
        // What is due already and was not tried is not wanted any more.
        let standing = self.0.values().filter(|h| h.until > now);
        standing.map(|h| Duration::try_from(h.until.duration_since(now)).unwrap_or_default()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reason::Reason;
    use crate::error::ErrorClass;

    const PACE: Pace = Pace { pending: Duration::from_secs(30), verified: Duration::from_mins(15) };
    const READ: Attempt = Attempt::Read(Step::Identity);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_goes_on_failing_is_left_alone_for_longer_and_longer() {
        let mut holds = Holds::default();
        let class = ErrorClass::Transient { retry_after: None };
        let fault = Fault { reason: Reason::AWSUnavailable, message: "m".to_owned(), class };
        let mut waits = Vec::new();
        for _ in 0..4 {
            holds.failed(READ, fault.clone(), 1, at(0), PACE);
            waits.push(holds.next_due(at(0)).unwrap().as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(holds.standing(READ, 1, at(7)), Some(fault.clone()));
        assert_eq!(holds.standing(READ, 1, at(8)), None);
        assert_eq!(holds.standing(READ, 2, at(7)), None, "another cause");
        assert_eq!(holds.next_due(at(8)), None, "due, and not tried: nothing to hurry for");
        holds.succeeded(READ);
        holds.failed(READ, fault, 1, at(0), PACE);
        assert_eq!(holds.next_due(at(0)).unwrap().as_secs(), 1);
    }
}
