//! Which Lease, in whose name, and how fast.

use std::fmt;
use std::time::Duration;

/// The name of the Lease unless `--leader-election-id` says another.
pub const LEASE: &str = "sending-domain-operator";

/// The longest lease duration that makes sense: nobody leads for that long after a crash.
const LONGEST_LEASE: Duration = Duration::from_hours(1);
/// Candidates that started together drift apart by up to a fifth of the retry period.
const JITTER: f64 = 0.2;

/// Which Lease to hold, and in whose name.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// Names this process, and no other one even after a restart: see [`own_identity`].
    pub identity: String,
    /// How fast.
    pub timing: Timing,
}

impl Settings {
    /// A Lease (usually [`LEASE`]) with client-go's timing, in the name of [`own_identity`].
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into(), identity: own_identity(), timing: Timing::default() }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// The pod's or the host's name with a random suffix: a restarted container has the same name, and must not take its
/// predecessor's Lease for its own.
pub fn own_identity() -> String {
    let host = ["POD_NAME", "HOSTNAME"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .chain(std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned());
    format!("{host}_{:016x}", rand::random::<u64>())
}

/// Durations that cannot keep two leaders apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTiming {
    /// A Lease counts in whole seconds.
    #[error("the lease duration must be whole seconds, 1 s to 1 h")]
    LeaseDuration,
    /// The leader has to give up before others may take over.
    #[error("the renew deadline must be shorter than the lease duration")]
    RenewDeadline,
    /// One failed renewal must not cost the leadership.
    #[error("the retry period must be longer than nothing and, with its jitter, shorter than half the renew deadline")]
    RetryPeriod,
}

/// How fast a Lease expires, and how fast its holder gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    lease_duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

impl Default for Timing {
    /// client-go's: 15 s, 10 s and 2 s.
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// Others take over a Lease that has not changed for `lease_duration`; the leader gives up when it could not renew
    /// for `renew_deadline`; both try every `retry_period`.
    pub fn new(
        lease_duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidTiming> {
        let whole = lease_duration.subsec_nanos() == 0;
        if !whole || lease_duration.is_zero() || lease_duration > LONGEST_LEASE {
            return Err(InvalidTiming::LeaseDuration);
        }
        if renew_deadline >= lease_duration {
            return Err(InvalidTiming::RenewDeadline);
        }
        if retry_period.is_zero() || retry_period.mul_f64(1.0 + JITTER) >= renew_deadline / 2 {
            return Err(InvalidTiming::RetryPeriod);
        }
        Ok(Self { lease_duration, renew_deadline, retry_period })
    }

    /// After which time without a change others take over.
    pub fn lease_duration(self) -> Duration {
        self.lease_duration
    }

    /// After which time without a renewal the leader gives up.
    pub fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// The time between two tries.
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// How long one try may take: a request into a dead connection must leave time for one over a new connection.
    pub(super) fn try_timeout(self) -> Duration {
        self.renew_deadline / 2
    }

    /// The duration as the Lease states it.
    pub(super) fn lease_seconds(self) -> i32 {
        i32::try_from(self.lease_duration.as_secs()).unwrap_or(i32::MAX)
    }

    pub(super) fn jittered_retry(self) -> Duration {
        self.retry_period.mul_f64(1.0 + JITTER * rand::random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_could_let_two_lead_are_refused() {
        let timing = |lease, renew, retry| {
            Timing::new(Duration::from_millis(lease), Duration::from_millis(renew), Duration::from_millis(retry))
        };
        assert_eq!(timing(15_000, 10_000, 2_000), Ok(Timing::default()));
        assert_eq!(timing(15_500, 10_000, 2_000), Err(InvalidTiming::LeaseDuration));
        assert_eq!(timing(0, 0, 0), Err(InvalidTiming::LeaseDuration));
        assert_eq!(timing(3_601_000, 10_000, 2_000), Err(InvalidTiming::LeaseDuration));
        assert_eq!(timing(15_000, 15_000, 2_000), Err(InvalidTiming::RenewDeadline));
        assert_eq!(timing(15_000, 10_000, 0), Err(InvalidTiming::RetryPeriod));
        assert_eq!(timing(15_000, 10_000, 4_500), Err(InvalidTiming::RetryPeriod));
    }

    #[test]
    fn two_processes_of_one_host_have_two_identities() {
        assert_ne!(own_identity(), own_identity());
    }
}
