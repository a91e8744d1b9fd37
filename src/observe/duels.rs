//! Fights over records: how often the records of a name were put right lately. Whoever undoes our writes as often as we
//! make them (a second operator, another tool, a person) is not fought for ever.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::dns::record::DnsName;

/// So many writes within [`WINDOW`] are the last: the first, and five that put it right.
const WRITES: usize = 6;
/// The time in which they count; and after a lost fight the time until the next try.
const WINDOW: Duration = Duration::from_hours(1);

/// What was written at one name.
#[derive(Clone, Debug, Default)]
struct Fight {
    /// The writes of the last hour.
    writes: Vec<Timestamp>,
    /// It went on for too long, and has not been quiet for two hours since.
    lost: bool,
}

impl Fight {
    fn last_is_within(&self, time: Duration, now: Timestamp) -> bool {
        let since = |last: &Timestamp| Duration::try_from(now.duration_since(*last)).unwrap_or_default();
        self.writes.last().is_some_and(|last| since(last) < time)
    }
}

/// The fights of one object, by name.
#[derive(Clone, Debug, Default)]
pub struct Duels(BTreeMap<DnsName, Fight>);

impl Duels {
    /// The records of `name` were written.
    pub fn wrote(&mut self, name: &DnsName, now: Timestamp) {
        let fight = self.0.entry(name.clone()).or_default();
        fight.lost = fight.lost && fight.last_is_within(WINDOW * 2, now);
        let start = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
        fight.writes.retain(|at| *at > start);
        fight.writes.push(now);
        fight.lost = fight.lost || fight.writes.len() >= WRITES;
        self.0.retain(|_, fight| fight.last_is_within(WINDOW * 2, now));
    }

    /// The names that are left as they are for now.
    pub fn lost(&self, now: Timestamp) -> BTreeSet<DnsName> {
        let is_lost = |fight: &Fight| fight.lost && fight.last_is_within(WINDOW, now);
        self.0.iter().filter(|(_, fight)| is_lost(fight)).map(|(name, _)| name.clone()).collect()
    }

    /// Begins anew: somebody has changed what is wanted, or asks for another try.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn is_lost(duels: &Duels, minute: i64) -> bool {
        !duels.lost(at(minute)).is_empty()
    }

    #[test]
    fn d12_five_corrections_in_an_hour_are_enough_and_then_one_an_hour() {
        let name = DnsName::new("bounce.mail.example.com");
        let mut duels = Duels::default();
        for minute in 0..6 {
            assert!(!is_lost(&duels, minute), "{minute}");
            duels.wrote(&name, at(minute));
        }
        assert!(is_lost(&duels, 5) && is_lost(&duels, 64));
        assert!(!is_lost(&duels, 65), "one more try");
        duels.wrote(&name, at(65));
        assert!(is_lost(&duels, 66) && is_lost(&duels, 124), "undone again");
        assert!(!is_lost(&duels, 200));
        duels.wrote(&name, at(200));
        assert!(!is_lost(&duels, 201), "quiet for two hours: forgiven");
    }

    #[test]
    fn d12_what_is_put_right_now_and_then_is_no_fight() {
        let name = DnsName::new("bounce.mail.example.com");
        let mut duels = Duels::default();
        for minute in (0..6000).step_by(13) {
            duels.wrote(&name, at(minute));
            assert!(!is_lost(&duels, minute), "{minute}");
        }
        duels.wrote(&DnsName::new("other.example.com"), at(7000));
        assert_eq!(duels.0.len(), 1, "old names are let go of");
        duels.forget();
        assert!(duels.0.is_empty());
    }
}
