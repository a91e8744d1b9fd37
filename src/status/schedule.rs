//! When to look again.

use std::time::Duration;

use crate::error::ErrorClass;
use crate::execute::Outcome;
use crate::observe::observation::Observation;
use crate::plan::Plan;

/// The pace of looking, from the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// `--pending-interval`: for objects that are not Ready.
    pub pending: Duration,
    /// `--verified-interval`: for objects that are.
    pub verified: Duration,
}

impl Pace {
    /// How long a failed write or read that only a person can mend stands before it is tried again.
    pub fn terminal(&self) -> Duration {
        (self.pending * 10).min(self.verified.max(self.pending))
    }
}

/// The longest wait between tries of what should pass by itself.
const BACKOFF_LIMIT: Duration = Duration::from_mins(5);

/// How long a fault of `class` stands before the `attempt`th next try (0 for the first). `pace` bounds it from below.
pub fn hold(class: ErrorClass, attempt: u32, pace: Pace) -> Duration {
    match class {
        ErrorClass::Transient { retry_after } => {
            let backoff = Duration::from_secs(1).saturating_mul(2_u32.saturating_pow(attempt.min(10)));
            backoff.min(BACKOFF_LIMIT).max(retry_after.unwrap_or_default())
        }
        ErrorClass::Waiting { after } => after.min(pace.pending),
        ErrorClass::Terminal => pace.terminal(),
    }
}

/// How long until the next pass, when nothing wakes the object before.
pub fn next_look(
    ready: bool,
    plan: &Plan,
    seen: &Observation,
    outcome: &Outcome,
    attempt: u32,
    pace: Pace,
) -> Duration {
    if !outcome.done.is_empty() && outcome.faults.is_empty() {
        // What was done is observed at once: the next step may follow from it.
        return Duration::ZERO;
    }
    let usual = if ready { pace.verified } else { pace.pending };
    let faults = outcome.faults.iter().map(|(_, fault)| fault).chain(seen.identity.fault()).chain(seen.zone.fault());
    let retry = faults.map(|fault| hold(fault.class, attempt, pace)).min();
    let busy = (!plan.actions.is_empty() && !outcome.dry_run).then_some(pace.pending);
    [Some(usual), retry.map(|r| r.min(usual.max(BACKOFF_LIMIT))), busy].into_iter().flatten().min().unwrap_or(usual)
}

/// `wait` spread by up to a tenth, so that many objects do not wake together; `chance` is between 0 and 1.
pub fn jittered(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(1.0 - 0.1 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { pending: Duration::from_secs(30), verified: Duration::from_mins(15) };

    #[test]
    fn what_passes_by_itself_is_tried_soon_and_then_less_often() {
        let class = ErrorClass::Transient { retry_after: None };
        let waits: Vec<u64> = [0, 1, 2, 5, 20].map(|attempt| hold(class, attempt, PACE).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 32, 300]);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept() {
        let class = ErrorClass::Transient { retry_after: Some(Duration::from_secs(600)) };
        assert_eq!(hold(class, 0, PACE).as_secs(), 600);
    }

    #[test]
    fn what_only_a_person_can_mend_is_tried_slowly() {
        assert_eq!(hold(ErrorClass::Terminal, 9, PACE).as_secs(), 300);
    }
}
