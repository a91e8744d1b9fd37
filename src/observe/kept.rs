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
    dmarc: Option<Policies>,
}

/// The DMARC policies around the domain.
#[derive(Clone, Debug)]
struct Policies {
    at: Timestamp,
    /// The domains that the spec sends reports to.
    hosts: Vec<DnsName>,
    view: DmarcView,
    /// Every question was answered.
    is_complete: bool,
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
        if let Some((_, _, last)) = self.records.get(&question).filter(|(_, of, _)| *of == answer) {
            evidence = evidence.completed_by(last, now);
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

    /// Keeps the zone of the domain, and gives it. One that could not be looked up now is what it was.
    pub fn keep_zone(&mut self, zone: Cut, now: Timestamp) -> Cut {
        let zone = match (zone, self.zone.take()) {
            (Err(LookupErrorKind::NoZone), _) => Err(LookupErrorKind::NoZone),
            (Err(_), Some((_, Ok(last)))) => Ok(last),
            (zone, _) => zone,
        };
        self.zone.insert((now, zone)).1.clone()
    }

    /// The DMARC policies, for the verified interval; for ten pending intervals if not every question was answered. `hosts`
    /// are the domains that the spec sends reports to.
    pub fn dmarc(&self, hosts: &[DnsName], now: Timestamp, pace: Pace) -> Option<&DmarcView> {
        let policies = self.dmarc.as_ref()?;
        let interval = if policies.is_complete { pace.verified } else { pace.terminal() };
        (policies.hosts == hosts && !is_over(interval, policies.at, now)).then_some(&policies.view)
    }

    /// Keeps the DMARC policies, and gives them. What could not be looked up now is what it was.
    pub fn keep_dmarc(&mut self, hosts: Vec<DnsName>, view: DmarcView, now: Timestamp) -> &DmarcView {
        let is_complete = view.is_complete();
        let view = match self.dmarc.take() {
            Some(last) if last.hosts == hosts => view.completed_by(&last.view),
            _ => view,
        };
        &self.dmarc.insert(Policies { at: now, hosts, view, is_complete }).view
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::cause::places::Slip;
    use crate::dns::evidence::{Elsewhere, ReportConsent};
    use crate::dns::lookup::{Addresses, Lookup, LookupError};
    use crate::dns::record::{RecordData, RecordType};

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
    fn e1_what_nobody_answers_again_is_what_it_was_while_the_record_is_answered_the_same() {
        let place = |is_there| Elsewhere { name: DnsName::new("b.example.com"), slip: Slip::Typo, is_there };
        let text = vec![RecordData::Txt("text".to_owned())];
        let known = RecordEvidence {
            elsewhere: vec![place(Some(true))],
            addresses: Some(Addresses::Found(vec![[192, 0, 2, 7].into()])),
            text: Some(text),
            wildcard: Some(true),
            resolvers: Some(lookup(Answer::NxDomain)),
            ..RecordEvidence::default()
        };
        let silence = RecordEvidence { elsewhere: vec![place(None)], ..RecordEvidence::default() };
        let mut kept = Kept::default();
        kept.keep_record(question(), Answer::NoData, known.clone(), at(0));
        kept.keep_record(question(), Answer::NoData, silence.clone(), at(300));
        assert_eq!(kept.record(&question(), &Answer::NoData, at(301), PACE), Some(&known));
        // An answer is an answer, and another answer of the record's own is another matter.
        let gone = RecordEvidence { elsewhere: vec![place(Some(false))], ..known.clone() };
        kept.keep_record(question(), Answer::NoData, gone.clone(), at(400));
        assert_eq!(kept.record(&question(), &Answer::NoData, at(401), PACE), Some(&gone));
        kept.keep_record(question(), Answer::NxDomain, silence.clone(), at(500));
        assert_eq!(kept.record(&question(), &Answer::NxDomain, at(501), PACE), Some(&silence));
    }

    #[test]
    fn e1_e3_e9_e10_resolvers_that_are_down_for_a_moment_take_nothing_back() {
        let none = RecordEvidence::default;
        let text = lookup(Answer::Records(vec![RecordData::Txt("text".to_owned())]));
        let failed = || lookup(Answer::Unknown(LookupError::new(LookupErrorKind::Rcode(2))));
        let hidden = RecordEvidence { resolvers: Some(text.clone()), outlived: true, ..none() };
        let remembered = RecordEvidence { resolvers: Some(lookup(Answer::NxDomain)), ..until(600) };
        let bogus = RecordEvidence { resolvers: Some(failed()), unvalidated: Some(text.clone()), ..none() };
        let late = RecordEvidence { resolvers: Some(Lookup::too_late()), ..none() };
        let after = |first: &RecordEvidence, then: &RecordEvidence, second| {
            let mut kept = Kept::default();
            kept.keep_record(question(), Answer::NoData, first.clone(), at(0));
            kept.keep_record(question(), Answer::NoData, then.clone(), at(second));
            kept.record(&question(), &Answer::NoData, at(second), PACE).cloned()
        };
        let broken = RecordEvidence { resolvers: Some(failed()), ..none() };
        for known in [&hidden, &remembered, &bogus] {
            for silent in [&none(), &late, &broken] {
                assert_eq!(after(known, silent, 300).as_ref(), Some(known), "{silent:?}");
            }
        }
        // That signatures are broken is an answer, and what resolvers have forgotten meanwhile is over.
        assert_eq!(after(&hidden, &bogus, 300), Some(bogus));
        assert_eq!(after(&remembered, &late, 600), Some(late));
    }

    fn lookup(answer: Answer) -> Lookup {
        Lookup { answer, ..Lookup::too_late() }
    }

    fn policy(text: &str) -> Lookup {
        lookup(Answer::Records(vec![RecordData::Txt(text.to_owned())]))
    }

    #[test]
    fn e1_of_the_dmarc_policies_each_is_what_it_was_while_nobody_answers_and_not_asked_about_in_each_pass() {
        let root = DnsName::new("example.com");
        let consent = |lookup| ReportConsent {
            host: DnsName::new("example.net"),
            name: DnsName::new("example.com._report._dmarc.example.net"),
            lookup,
        };
        let view = |own: Lookup, inherited: Option<Lookup>, consents: Vec<Lookup>| DmarcView {
            own,
            alias: None,
            inherited: inherited.map(|lookup| (root.clone(), lookup)),
            reports: consents.into_iter().map(consent).collect(),
        };
        let known = view(lookup(Answer::NxDomain), Some(policy("v=DMARC1; p=none")), vec![policy("v=DMARC1")]);
        let silent = Lookup::too_late;
        let mut kept = Kept::default();
        kept.keep_dmarc(Vec::new(), known.clone(), at(0));
        for unanswered in [
            view(silent(), None, Vec::new()),
            view(lookup(Answer::NxDomain), Some(silent()), Vec::new()),
            view(lookup(Answer::NxDomain), Some(policy("v=DMARC1; p=none")), vec![silent()]),
        ] {
            assert_eq!(*kept.keep_dmarc(Vec::new(), unanswered, at(1000)), known);
        }
        // An attempt that came to nothing is remembered as well, for a shorter time.
        assert!(kept.dmarc(&[], at(1200), PACE).is_some());
        assert!(kept.dmarc(&[], at(1301), PACE).is_none());
        let gone = view(policy("v=DMARC1; p=reject"), None, Vec::new());
        assert_eq!(*kept.keep_dmarc(Vec::new(), gone.clone(), at(2000)), gone);
        assert!(kept.dmarc(&[], at(2700), PACE).is_some());
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
