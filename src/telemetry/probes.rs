//! Whether the process lives, and whether it is ready. Neither ever asks anybody else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A controller loop that was silent for longer than this hangs.
const SILENCE: Duration = Duration::from_mins(5);

/// Why a process is ready or not.
#[derive(Debug, Default)]
enum State {
    #[default]
    Starting,
    Standby,
    Leading {
        unlisted: BTreeSet<&'static str>,
    },
}

/// Whether this process does its part: a candidate by waiting, a leader once it has listed what it watches.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

impl Readiness {
    /// Waits to lead and could read the Lease, which is all that a candidate has to do: ready. Before that a rollout must not
    /// take the last replica that can lead. A later outage of the API server changes nothing.
    pub fn standby(&self) {
        self.set(State::Standby);
    }

    /// Leads, or runs without election: ready once each of `resources` has been [`Readiness::listed`].
    pub fn leading(&self, resources: &[&'static str]) {
        self.set(State::Leading { unlisted: resources.iter().copied().collect() });
    }

    /// `resource` has been listed completely. A later outage of the API server changes nothing.
    pub fn listed(&self, resource: &'static str) {
        if let State::Leading { unlisted } = &mut *self.state() {
            unlisted.remove(resource);
        }
    }

    /// What is still missing.
    ///
    /// # Errors
    /// With one line for people if this process is not ready.
    pub fn check(&self) -> Result<(), String> {
        match &*self.state() {
            State::Starting => Err("starting".to_owned()),
            State::Leading { unlisted } if !unlisted.is_empty() => {
                let missing: Vec<&str> = unlisted.iter().copied().collect();
                Err(format!("not listed yet: {}", missing.join(", ")))
            }
            State::Standby | State::Leading { .. } => Ok(()),
        }
    }

    fn set(&self, state: State) {
        *self.state() = state;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the controllers' loops still turn. Each must beat at least every few minutes, with or without work and whatever
/// an upstream does. Before the first (a candidate has no loop yet) the process counts as alive.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<Vec<Instant>>>);

/// The pulse of one loop.
#[derive(Debug)]
pub struct Beat {
    liveness: Liveness,
    place: usize,
}

impl Beat {
    /// The loop has turned.
    pub fn beat(&self) {
        if let Some(last) = self.liveness.beats().get_mut(self.place) {
            *last = Instant::now();
        }
    }
}

impl Liveness {
    /// One more loop, which has turned just now.
    pub fn register(&self) -> Beat {
        let mut beats = self.beats();
        beats.push(Instant::now());
        Beat { liveness: self.clone(), place: beats.len() - 1 }
    }

    /// Whether all loops turned within the last five minutes.
    ///
    /// # Errors
    /// With one line for people if one did not.
    pub fn check(&self) -> Result<(), String> {
        self.silent_for(Duration::ZERO)
    }

    /// What [`Liveness::check`] will say after `silence` without a beat.
    pub(crate) fn silent_for(&self, silence: Duration) -> Result<(), String> {
        let now = Instant::now() + silence;
        let oldest = self.beats().iter().min().copied();
        let silent = oldest.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if silent > SILENCE {
            return Err(format!("a controller loop has been silent for {} s", silent.as_secs()));
        }
        Ok(())
    }

    /// As if every loop had been silent for six minutes.
    #[cfg(test)]
    pub(crate) fn wedge(&self) {
        for last in self.beats().iter_mut() {
            *last = last.checked_sub(Duration::from_mins(6)).expect("a machine that has been up for as long");
        }
    }

    fn beats(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_ready_and_a_leader_once_it_has_listed_everything() {
        let readiness = Readiness::default();
        assert_eq!(readiness.check(), Err("starting".to_owned()));
        readiness.standby();
        assert_eq!(readiness.check(), Ok(()));
        readiness.leading(&["sendingdomains", "dnsendpoints"]);
        assert_eq!(readiness.check(), Err("not listed yet: dnsendpoints, sendingdomains".to_owned()));
        readiness.clone().listed("dnsendpoints");
        assert_eq!(readiness.check(), Err("not listed yet: sendingdomains".to_owned()));
        readiness.listed("sendingdomains");
        assert_eq!(readiness.check(), Ok(()));
    }

    #[test]
    fn a_loop_that_stopped_turning_is_dead_after_five_minutes_and_one_that_never_turned_is_not() {
        let liveness = Liveness::default();
        let after = |seconds| liveness.silent_for(Duration::from_secs(seconds));
        assert_eq!(after(86_400), Ok(()));
        let beat = liveness.register();
        assert_eq!(after(299), Ok(()));
        assert!(after(301).is_err_and(|why| why.contains("silent for 30")));
        beat.beat();
        assert_eq!(liveness.check(), Ok(()));
    }
}
