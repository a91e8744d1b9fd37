//! When to look again.

use std::time::Duration;

use crate::error::ErrorClass;

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

/// What a pass leaves to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    /// The object is Ready.
    pub ready: bool,
    /// Its Secret can change at any time, and is read in each pass.
    pub reads_secret: bool,
    /// How many passes in a row have written something.
    pub busy: u32,
    /// The look-ups were put off, so that the list of records came first.
    pub owes_look: bool,
    /// How long until something that failed is due again.
    pub retry: Option<Duration>,
    /// How long until SES is to be read, whatever else happens.
    pub identity: Option<Duration>,
}

/// So many passes may write one after the other before somebody else is taken to undo what they write.
const BUSY_LIMIT: u32 = 6;

/// How long until the next pass, when nothing wakes the object before.
pub fn next_look(left: Left, pace: Pace) -> Duration {
    let usual = if left.ready && !left.reads_secret { pace.verified } else { pace.pending.min(pace.verified) };
    match left.busy {
        0 if left.owes_look => Duration::ZERO,
        0 => left.retry.into_iter().chain(left.identity).map(|due| due.max(SHORTEST)).fold(usual, Duration::min),
        // What was done is observed at once: the next step may follow from it.
        1..=BUSY_LIMIT => Duration::ZERO,
        _ => usual,
    }
}

/// The shortest wait for something that failed.
const SHORTEST: Duration = Duration::from_secs(1);

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
        let class = ErrorClass::Transient { retry_after: Some(Duration::from_mins(10)) };
        assert_eq!(hold(class, 0, PACE).as_secs(), 600);
    }

    #[test]
    fn what_was_written_is_looked_at_at_once_but_not_for_ever() {
        let after = |busy| next_look(Left { busy, ..Left::default() }, PACE).as_secs();
        assert_eq!([after(0), after(1), after(6), after(7)], [30, 0, 0, 30]);
    }

    #[test]
    fn look_ups_that_were_put_off_follow_at_once() {
        assert_eq!(next_look(Left { owes_look: true, ..Left::default() }, PACE), Duration::ZERO);
    }

    #[test]
    fn a_ready_object_is_looked_at_rarely_unless_its_secret_can_change() {
        let after = |reads_secret| next_look(Left { ready: true, reads_secret, ..Left::default() }, PACE).as_secs();
        assert_eq!([after(false), after(true)], [900, 30]);
    }

    #[test]
    fn a_failure_is_tried_again_when_it_is_due_but_not_in_a_hurry() {
        let after =
            |retry| next_look(Left { retry: Some(Duration::from_secs(retry)), ..Left::default() }, PACE).as_secs();
        assert_eq!([after(0), after(4), after(300)], [1, 4, 30]);
    }

    #[test]
    fn what_only_a_person_can_mend_is_tried_slowly() {
        assert_eq!(hold(ErrorClass::Terminal, 9, PACE).as_secs(), 300);
    }
}
