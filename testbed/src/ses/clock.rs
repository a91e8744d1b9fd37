//! The simulator's own clock: it runs with real time, and can be moved on, slowed down or stopped.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A clock that may run at another speed than the world's.
#[derive(Debug)]
pub(super) struct Clock {
    virtual_base: Timestamp,
    real_base: Instant,
    rate: f64,
}

impl Clock {
    /// A clock that shows the real time and keeps pace with it.
    pub(super) fn real() -> Self {
        Self { virtual_base: Timestamp::now(), real_base: Instant::now(), rate: 1.0 }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.virtual_base + self.real_base.elapsed().mul_f64(self.rate)
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    /// Never goes back, so that a late caller cannot undo what others have seen.
    pub(super) fn jump_to(&mut self, to: Timestamp) {
        self.virtual_base = self.now().max(to);
        self.real_base = Instant::now();
    }

    /// 0 stops the clock, 1 is real time. What is no speed at all (negative, not a number) stops it too.
    pub(super) fn set_rate(&mut self, rate: f64) {
        self.jump_to(Timestamp::MIN);
        self.rate = if rate.is_finite() { rate.clamp(0.0, 100_000.0) } else { 0.0 };
    }
}

/// The longest step in one go; more would only run into the end of the calendar.
pub(super) const LONGEST_STEP: Duration = Duration::from_hours(24 * 3650);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_by_jumps_and_never_back() {
        let mut clock = Clock::real();
        clock.set_rate(0.0);
        let start = clock.now();
        clock.jump_to(start + Duration::from_mins(1));
        clock.jump_to(start);
        assert_eq!(clock.now(), start + Duration::from_mins(1));
    }
}
