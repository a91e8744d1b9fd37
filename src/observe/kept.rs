//! The evidence of one object as it was last gathered: it changes more slowly than the records do, and costs more questions.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::memory::is_over;
use super::observation::Question;
use crate::dns::evidence::{DmarcView, RecordEvidence};
use crate::dns::lookup::{Answer, LookupErrorKind, ZoneCut};
use crate::dns::record::DnsName;
use crate::status::schedule::Pace;

/// A TTL is told in whole seconds, and a little later than it was true.
const SLACK: Duration = Duration::from_secs(5);

/// The zone of a domain, or why it is not known.
pub type Cut = Result<ZoneCut, LookupErrorKind>;

/// What was gathered, and when.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    records: BTreeMap<Question, (Timestamp, Answer, RecordEvidence)>,
    /// Since when resolvers speak against the name servers, and the longest that one of them keeps its answer.
    contradicted: BTreeMap<Question, (Timestamp, Duration)>,
    zone: Option<(Timestamp, Cut)>,
    dmarc: Option<(Timestamp, Vec<DnsName>, DmarcView)>,
}

impl Kept {
    /// The evidence on a record, while the answer for the record itself is the same: good for ten pending intervals, and no
    /// longer than until resolvers have forgotten an absence.
    pub fn record(&self, question: &Question, answer: &Answer, now: Timestamp, pace: Pace) -> Option<&RecordEvidence> {
        let (at, of, evidence) = self.records.get(question)?;
        let forgotten = evidence.forgotten_at.is_some_and(|until| until <= now);
        (of == answer && !forgotten && !is_over(pace.terminal(), *at, now)).then_some(evidence)
    }

    /// Keeps the evidence on a record. While resolvers go on remembering an absence, the moment that was told stays: each of
    /// several resolvers counts down by itself, and the difference is no news.
    pub fn keep_record(&mut self, question: Question, answer: Answer, mut evidence: RecordEvidence, now: Timestamp) {
        const SAME: Duration = Duration::from_mins(2);
        let last = self.records.get(&question).and_then(|(_, _, last)| last.forgotten_at).filter(|last| *last > now);
        if let (Some(last), Some(new)) = (last, evidence.forgotten_at)
            && new <= last.checked_add(SAME).unwrap_or(last)
        {
            evidence.forgotten_at = Some(last);
        }
        self.records.insert(question, (now, answer, evidence));
    }

    /// Forgets the evidence on records that are not asked about any more.
    pub fn retain(&mut self, wanted: impl Fn(&Question) -> bool) {
        self.records.retain(|question, _| wanted(question));
        self.contradicted.retain(|question, _| wanted(question));
    }

    /// Takes note of whether resolvers have the right record against the name servers, and for how long they keep it yet.
    /// True once that has lasted for longer than any copy can. Each of several resolvers counts down by itself, so the
    /// longest time that was told counts, from the first day on.
    pub fn contradicted(&mut self, question: Question, ttl: Option<Duration>, now: Timestamp) -> bool {
        let Some(ttl) = ttl else {
            self.contradicted.remove(&question);
            return false;
        };
        let (since, longest) = self.contradicted.entry(question).or_insert((now, ttl));
        *longest = ttl.max(*longest);
        let end = since.checked_add(*longest).and_then(|end| end.checked_add(SLACK));
        end.is_ok_and(|end| end <= now)
    }

    /// The zone of the domain, for ten pending intervals.
    pub fn zone(&self, now: Timestamp, pace: Pace) -> Option<&Cut> {
        self.zone.as_ref().filter(|(at, _)| !is_over(pace.terminal(), *at, now)).map(|(_, zone)| zone)
    }

    /// Keeps the zone of the domain.
    pub fn keep_zone(&mut self, zone: Cut, now: Timestamp) {
        self.zone = Some((now, zone));
    }

    /// The DMARC policies, for the verified interval. `hosts` are the domains that the spec sends reports to.
    pub fn dmarc(&self, hosts: &[DnsName], now: Timestamp, pace: Pace) -> Option<&DmarcView> {
        let (at, of, view) = self.dmarc.as_ref()?;
        (of == hosts && !is_over(pace.verified, *at, now)).then_some(view)
    }

    /// The DMARC policies as they were seen last.
    pub fn last_dmarc(&self) -> Option<&DmarcView> {
        self.dmarc.as_ref().map(|(_, _, view)| view)
    }

    /// Keeps the DMARC policies. One that could not be looked up now is what it was.
    pub fn keep_dmarc(&mut self, hosts: Vec<DnsName>, view: DmarcView, now: Timestamp) {
        let unknown = matches!(view.own.answer, Answer::Unknown(_));
        let view = match self.dmarc.take() {
            Some((_, of, last)) if unknown && of == hosts => last,
            _ => view,
        };
        self.dmarc = Some((now, hosts, view));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::record::RecordType;

    const PACE: Pace = Pace { pending: Duration::from_secs(30), verified: Duration::from_mins(15) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn until(second: i64) -> RecordEvidence {
        RecordEvidence { forgotten_at: Some(at(second)), ..RecordEvidence::default() }
    }

    fn question() -> Question {
        (DnsName::new("a.example.com"), RecordType::Txt)
    }

    #[test]
    fn evidence_is_gathered_anew_when_the_answer_changes_or_after_a_while() {
        let mut kept = Kept::default();
        kept.keep_record(question(), Answer::NxDomain, RecordEvidence::default(), at(0));
        assert!(kept.record(&question(), &Answer::NxDomain, at(269), PACE).is_some());
        assert!(kept.record(&question(), &Answer::NxDomain, at(270), PACE).is_none(), "ten pending intervals");
        assert!(kept.record(&question(), &Answer::NoData, at(1), PACE).is_none(), "another answer");
        kept.retain(|_| false);
        assert!(kept.record(&question(), &Answer::NxDomain, at(0), PACE).is_none());
    }

    #[test]
    fn e10_what_no_copy_can_explain_is_known_once_every_copy_has_expired() {
        let told = |looks: &[(i64, Option<u64>)]| {
            let mut kept = Kept::default();
            let look = |(second, ttl): &(i64, Option<u64>)| {
                kept.contradicted(question(), ttl.map(Duration::from_secs), at(*second))
            };
            looks.iter().map(look).collect::<Vec<_>>()
        };
        // A copy counts down, and is gone before it could be taken for a zone of its own.
        assert_eq!(told(&[(0, Some(300)), (299, Some(1)), (301, Some(0)), (310, None)]), [false; 4]);
        // A zone that nobody else asks is answered for ever.
        assert_eq!(told(&[(0, Some(300)), (300, Some(300)), (305, Some(290))]), [false, false, true]);
        // Each of several resolvers has a copy of its own.
        assert_eq!(told(&[(0, Some(10)), (20, Some(3000)), (2900, Some(100))]), [false; 3]);
        // Where they agreed in between, the time begins anew.
        assert_eq!(told(&[(0, Some(30)), (20, None), (40, Some(30)), (74, Some(1))]), [false; 4]);
    }

    #[test]
    fn e3_a_remembered_absence_is_told_once_and_looked_at_when_it_is_over() {
        let mut kept = Kept::default();
        let answer = Answer::NxDomain;
        kept.keep_record(question(), answer.clone(), until(60), at(0));
        for (now, told, stays) in [(10, 61, 60), (20, 90, 60), (30, 600, 600)] {
            kept.keep_record(question(), answer.clone(), until(told), at(now));
            let evidence = kept.record(&question(), &answer, at(now), PACE).unwrap();
            assert_eq!(evidence.forgotten_at, Some(at(stays)));
        }
        kept.keep_record(question(), answer.clone(), until(100), at(0));
        assert!(kept.record(&question(), &answer, at(600), PACE).is_none(), "it is over");
    }
}
