//! What a Lease says before and after it changes hands, and when it is free. Plain functions of their arguments.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use tokio::time::Instant;

/// What was seen of a Lease, and when it last changed by our own clock. Its time stamps are another machine's and are
/// never compared with ours.
#[derive(Debug, Default)]
pub(super) struct Observation {
    last: Option<(LeaseSpec, Instant)>,
}

impl Observation {
    /// Notes what was read at `now`. A Lease that says the same as before has not been renewed.
    ///
    /// A deleted Lease (`None`) is no change: its holder does not know yet, and is still leading.
    pub(super) fn note(&mut self, spec: Option<&LeaseSpec>, now: Instant) {
        let Some(spec) = spec else { return };
        if self.last.as_ref().is_none_or(|(last, _)| last != spec) {
            self.last = Some((spec.clone(), now));
        }
    }

    /// Whether `identity` may take the Lease at `now`: it is its own, has no holder, or has expired.
    /// `default` is the duration of a Lease that does not state one.
    pub(super) fn is_free_for(&self, identity: &str, default: Duration, now: Instant) -> bool {
        let Some((spec, since)) = &self.last else { return true };
        let holder = holder(spec);
        let stated = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0);
        let duration = stated.map_or(default, Duration::from_secs);
        holder.is_empty() || holder == identity || now.saturating_duration_since(*since) >= duration
    }
}

/// Who holds it; empty for nobody.
pub(super) fn holder(spec: &LeaseSpec) -> &str {
    spec.holder_identity.as_deref().unwrap_or_default()
}

/// The Lease in the hands of `identity`. Taking it up again, after an answer that got lost, is no transition.
pub(super) fn taken(mut spec: LeaseSpec, identity: &str, seconds: i32, now: MicroTime) -> LeaseSpec {
    if holder(&spec) != identity {
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        spec.acquire_time = Some(now.clone());
    }
    spec.holder_identity = Some(identity.to_owned());
    renewed(spec, seconds, now)
}

/// The Lease that nobody has held yet, in the hands of `identity`.
pub(super) fn first_taken(identity: &str, seconds: i32, now: MicroTime) -> LeaseSpec {
    LeaseSpec { lease_transitions: Some(0), ..taken(LeaseSpec::default(), identity, seconds, now) }
}

/// The Lease, kept by its holder. The duration is stated again, should somebody have edited it.
pub(super) fn renewed(mut spec: LeaseSpec, seconds: i32, now: MicroTime) -> LeaseSpec {
    spec.lease_duration_seconds = Some(seconds);
    spec.renew_time = Some(now);
    spec
}

/// The Lease, handed back. One second is the shortest duration that the API takes.
pub(super) fn freed(spec: LeaseSpec, now: MicroTime) -> LeaseSpec {
    LeaseSpec { holder_identity: Some(String::new()), acquire_time: Some(now.clone()), ..renewed(spec, 1, now) }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    const OWN: Duration = Duration::from_secs(15);

    fn at(second: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(second).unwrap())
    }

    fn held(seconds: Option<i32>) -> LeaseSpec {
        LeaseSpec { lease_duration_seconds: seconds, ..taken(LeaseSpec::default(), "other", 15, at(1)) }
    }

    fn free_after(spec: &LeaseSpec, seconds: u64) -> bool {
        let start = Instant::now();
        let mut observation = Observation::default();
        observation.note(Some(spec), start);
        observation.is_free_for("us", OWN, start + Duration::from_secs(seconds))
    }

    #[test]
    fn g16_it_expires_by_our_clock_however_old_its_time_stamps_are() {
        let old = held(Some(15));
        assert!(!free_after(&old, 0));
        assert!(!free_after(&old, 14));
        assert!(free_after(&old, 15));
    }

    #[test]
    fn its_own_duration_counts_and_nonsense_does_not() {
        assert!(!free_after(&held(Some(60)), 59));
        for nonsense in [None, Some(0), Some(-5)] {
            assert!(!free_after(&held(nonsense), 14), "{nonsense:?}");
            assert!(free_after(&held(nonsense), 15), "{nonsense:?}");
        }
    }

    #[test]
    fn it_is_free_without_a_holder_and_for_its_holder() {
        assert!(free_after(&freed(held(Some(15)), at(2)), 0));
        assert!(free_after(&LeaseSpec::default(), 0));
        assert!(free_after(&taken(LeaseSpec::default(), "us", 15, at(1)), 0));
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_and_a_deletion_does_not_end_it() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut observation = Observation::default();
        assert!(observation.is_free_for("us", OWN, start));
        observation.note(Some(&held(Some(15))), start);
        observation.note(Some(&held(Some(15))), later(9));
        observation.note(Some(&renewed(held(Some(15)), 15, at(2))), later(10));
        observation.note(None, later(11));
        assert!(!observation.is_free_for("us", OWN, later(24)));
        assert!(observation.is_free_for("us", OWN, later(25)));
    }

    #[test]
    fn transitions_count_changes_of_hands() {
        let first = first_taken("a", 15, at(1));
        assert_eq!(first.lease_transitions, Some(0));
        let again = taken(first.clone(), "a", 15, at(2));
        assert_eq!((again.lease_transitions, again.acquire_time.clone()), (Some(0), Some(at(1))));
        let second = taken(freed(again, at(3)), "b", 15, at(4));
        assert_eq!((second.lease_transitions, second.acquire_time.clone()), (Some(1), Some(at(4))));
        let full = LeaseSpec { lease_transitions: Some(i32::MAX), ..second };
        assert_eq!(taken(full, "c", 15, at(5)).lease_transitions, Some(i32::MAX));
    }
}
