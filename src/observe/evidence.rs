//! Gathers [evidence](crate::dns::evidence): the further questions that tell the causes apart.
//!
//! Bounded for each record: at most six wrong names ([`places::likely`]), the addresses and the text at the name, one name
//! beside it, and three questions to the resolvers, within [`PATIENCE`]. What was gathered is [kept](super::kept) for ten
//! pending intervals, and longer where nobody answers a question again. A Ready object whose records are found costs nothing but the DMARC policies around it, once in each
//! verified interval.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::kept::{Cut, Kept};
use super::observation::Lookups;
use crate::api::v1alpha1::{DmarcSpec, RecordPurpose, RecordState};
use crate::dns::cause::places;
use crate::dns::dmarc::{self, Published};
use crate::dns::evidence::{DmarcView, Elsewhere, Evidence, RecordEvidence, ReportConsent};
use crate::dns::judge;
use crate::dns::lookup::{Addresses, Answer, Lookup, Resolver, Source};
use crate::dns::record::{DnsName, RecordData, RecordType, WantedRecord};
use crate::status::schedule::Pace;

/// How long the questions about one record may take together; what is not answered by then is left out.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many records, and how many names of each, are asked about at once.
const AT_ONCE: usize = 3;
/// How many aliases of a DMARC record are followed, and how many domains that take its reports are asked.
const MAX_ALIASES: usize = 8;
const MAX_CONSENTS: usize = 10;
/// A label that nobody uses: only a wildcard answers it.
const NOBODY: &str = "sendingdomain-wildcard-probe";

/// What evidence is gathered for.
pub(super) struct Inquiry<'a> {
    pub(super) resolver: &'a Resolver,
    pub(super) domain: DnsName,
    pub(super) wanted: &'a [WantedRecord],
    pub(super) lookups: &'a Lookups,
    pub(super) dmarc: Option<&'a DmarcSpec>,
    pub(super) ready: bool,
    pub(super) pace: Pace,
    pub(super) now: Timestamp,
}

/// A record with its answer and what that means.
struct Suspect<'a> {
    wanted: &'a WantedRecord,
    lookup: &'a Lookup,
    state: RecordState,
}

impl Suspect<'_> {
    /// True if `resolvers` have the right record, and the name servers do not; `None` if one side does not say.
    fn is_opposed_by(&self, resolvers: &Lookup) -> Option<bool> {
        known(&resolvers.answer)?;
        match self.state {
            RecordState::Unknown => None,
            RecordState::Found => Some(false),
            RecordState::Missing | RecordState::Incorrect => Some(judge::is_answered_right(self.wanted, resolvers)),
        }
    }

    /// Keeps what was gathered on this record.
    fn keep(&self, mut evidence: RecordEvidence, kept: &mut Kept, now: Timestamp) {
        // Who cannot say contradicts nobody, and ends no contradiction.
        if let Some(resolvers) = &evidence.resolvers
            && let Some(opposed) = self.is_opposed_by(resolvers)
        {
            let ttl = resolvers.positive_ttl.filter(|_| opposed);
            evidence.outlived = kept.contradicted(key(self.wanted), ttl, now);
        }
        kept.keep_record(key(self.wanted), self.lookup.answer.clone(), evidence, now);
    }
}

impl Inquiry<'_> {
    /// The evidence, as far as possible from what was kept.
    pub(super) async fn gather(&self, kept: &mut Kept) -> Evidence {
        Evidence { dmarc: self.dmarc(kept).await, ..self.on_records(kept).await }
    }

    /// The part of it that concerns the records themselves.
    pub(super) async fn on_records(&self, kept: &mut Kept) -> Evidence {
        let suspects = self.suspects();
        kept.retain(|question| suspects.iter().any(|s| key(s.wanted) == *question));
        let zone = if suspects.is_empty() { None } else { Some(self.zone(kept).await) };
        let due =
            suspects.iter().filter(|s| kept.record(&key(s.wanted), &s.lookup.answer, self.now, self.pace).is_none());
        let cut = zone.as_ref();
        // Boxed one by one: a closure over references in a stream is not Send enough for a task.
        let questions: Vec<BoxFuture<'_, _>> =
            due.map(|suspect| async move { (suspect, self.of(suspect, cut).await) }.boxed()).collect();
        let gathered: Vec<_> = stream::iter(questions).buffer_unordered(AT_ONCE).collect().await;
        for (suspect, evidence) in gathered {
            suspect.keep(evidence, kept, self.now);
        }
        let of = |s: &Suspect<'_>| {
            Some((key(s.wanted), kept.record(&key(s.wanted), &s.lookup.answer, self.now, self.pace)?.clone()))
        };
        let records = suspects.iter().filter_map(of).collect();
        Evidence { records, zone, dmarc: None }
    }

    /// The records that are not cleanly found, and the others too while SES does not see them.
    fn suspects(&self) -> Vec<Suspect<'_>> {
        let suspect = |wanted| {
            let lookup = self.lookups.get(&key(wanted))?;
            let state = judge::judge(wanted, self.lookups).state;
            (state != RecordState::Found || !self.ready).then_some(Suspect { wanted, lookup, state })
        };
        self.wanted.iter().filter_map(suspect).collect()
    }

    async fn zone(&self, kept: &mut Kept) -> Cut {
        if let Some(zone) = kept.zone(self.now, self.pace) {
            return zone.clone();
        }
        let zone = self.resolver.name_servers(&self.domain).await.map_err(|error| error.kind());
        kept.keep_zone(zone, self.now)
    }

    async fn of(&self, suspect: &Suspect<'_>, zone: Option<&Cut>) -> RecordEvidence {
        let apex = zone.and_then(|zone| zone.as_ref().ok()).map(|cut| &cut.apex);
        let deadline = Instant::now() + PATIENCE;
        let mut evidence = RecordEvidence::default();
        match suspect.state {
            RecordState::Found | RecordState::Unknown => {}
            RecordState::Missing => {
                if let Some(apex) = apex {
                    evidence.elsewhere = self.elsewhere(suspect.wanted, apex, deadline).await;
                }
                if suspect.wanted.data.record_type() == RecordType::Cname && suspect.lookup.answer == Answer::NoData {
                    evidence = self.instead_of_alias(suspect.wanted, evidence, deadline).await;
                }
            }
            RecordState::Incorrect => {
                let kind = suspect.wanted.data.record_type();
                let beside = self.ask(&beside(&suspect.wanted.name), kind, deadline).await.answer;
                evidence.wildcard = known(&beside).map(|beside| *beside == suspect.lookup.answer);
            }
        }
        if suspect.state == RecordState::Unknown || suspect.lookup.source == Source::Authoritative {
            evidence = self.resolvers_view(suspect, evidence, deadline).await;
        }
        evidence
    }

    /// One question, which is as good as not answered if it is not in time.
    async fn ask(&self, name: &DnsName, kind: RecordType, deadline: Instant) -> Lookup {
        timeout_at(deadline, self.resolver.ask(name, kind)).await.unwrap_or_else(|_| Lookup::too_late())
    }

    async fn addresses(&self, name: &DnsName, deadline: Instant) -> Option<Addresses> {
        let addresses = timeout_at(deadline, self.resolver.addresses(name)).await.ok()?;
        Some(addresses).filter(|addresses| !matches!(addresses, Addresses::Unknown(_)))
    }

    /// Whether the right value is under likely wrong names.
    async fn elsewhere(&self, wanted: &WantedRecord, apex: &DnsName, deadline: Instant) -> Vec<Elsewhere> {
        let questions: Vec<BoxFuture<'_, _>> = places::likely(wanted, &self.domain, apex)
            .into_iter()
            .map(|(name, slip)| {
                async move {
                    let answer = self.ask(&name, wanted.data.record_type(), deadline).await.answer;
                    let is_there = known(&answer).map(|answer| match answer {
                        Answer::Records(records) => records.iter().any(|data| is_meant(wanted, data)),
                        _ => false,
                    });
                    Elsewhere { name, slip, is_there }
                }
                .boxed()
            })
            .collect();
        // In their order: the likeliest first.
        stream::iter(questions).buffered(AT_ONCE).collect().await
    }

    /// What is at the name of a CNAME that is not answered.
    async fn instead_of_alias(
        &self,
        wanted: &WantedRecord,
        evidence: RecordEvidence,
        deadline: Instant,
    ) -> RecordEvidence {
        let (addresses, text) =
            tokio::join!(self.addresses(&wanted.name, deadline), self.ask(&wanted.name, RecordType::Txt, deadline));
        let beside = beside(&wanted.name);
        let is_text = matches!(text.answer, Answer::Records(_));
        let wildcard = match &addresses {
            Some(found @ Addresses::Found(_)) => self.addresses(&beside, deadline).await.map(|there| there == *found),
            _ if is_text => {
                let there = self.ask(&beside, RecordType::Txt, deadline).await.answer;
                known(&there).map(|there| *there == text.answer)
            }
            _ => None,
        };
        let text = match text.answer {
            Answer::Records(records) => Some(records),
            Answer::NoData | Answer::NxDomain => Some(Vec::new()),
            Answer::Unknown(_) => None,
        };
        RecordEvidence { addresses, text, wildcard, ..evidence }
    }

    async fn resolvers_view(
        &self,
        suspect: &Suspect<'_>,
        evidence: RecordEvidence,
        deadline: Instant,
    ) -> RecordEvidence {
        let (name, kind) = key(suspect.wanted);
        let validated = || async { timeout_at(deadline, self.resolver.ask_recursive(&name, kind)).await.ok() };
        let Some(mut resolvers) = validated().await else { return evidence };
        let mut unvalidated = None;
        if fails(&resolvers) {
            let question = self.resolver.ask_recursive_unvalidated(&name, kind);
            unvalidated = timeout_at(deadline, question).await.ok().filter(|lookup| known(&lookup.answer).is_some());
            // Once more: one failure and one success are a hiccup as likely as broken signatures.
            if unvalidated.is_some() {
                match validated().await {
                    Some(again) => resolvers = again,
                    None => unvalidated = None,
                }
            }
        }
        let unvalidated = unvalidated.filter(|_| fails(&resolvers));
        let forgotten_at = resolvers.negative_ttl.and_then(|ttl| minute_after(self.now, ttl));
        RecordEvidence { resolvers: Some(resolvers), unvalidated, forgotten_at, ..evidence }
    }

    async fn dmarc(&self, kept: &mut Kept) -> Option<DmarcView> {
        let spec = self.dmarc.into_iter().flat_map(|d| d.aggregate_reports.iter().chain(&d.failure_reports));
        let hosts = dmarc::report_hosts(spec.map(|uri| uri.0.as_str()));
        if let Some(view) = kept.dmarc(&hosts, self.now, self.pace) {
            return Some(view.clone());
        }
        // Advice must not keep a pass from its end.
        let view = self.dmarc_view(&hosts, Instant::now() + PATIENCE).await;
        Some(kept.keep_dmarc(hosts, view, self.now).clone())
    }

    async fn dmarc_view(&self, hosts: &[DnsName], deadline: Instant) -> DmarcView {
        let (own, alias) = self.followed(&self.domain.child("_dmarc"), deadline).await;
        let root = dmarc::organisational(&self.domain);
        let has_none = matches!(dmarc::published_at(&own), Some(Published::None));
        // What the domain would inherit matters too where the spec puts something in its place.
        let inherited = if root != self.domain && (has_none || self.dmarc.is_some()) {
            Some((root.clone(), self.followed(&root.child("_dmarc"), deadline).await.0))
        } else {
            None
        };
        // The reports of a policy that is there already, else of the one that will be.
        let (policy_domain, hosts) =
            match (dmarc::published_at(&own), inherited.as_ref().and_then(|(_, l)| dmarc::published_at(l))) {
                (Some(Published::One(policy)), _) => (&self.domain, policy.report_hosts),
                _ if !hosts.is_empty() => (&self.domain, hosts.to_vec()),
                (_, Some(Published::One(policy))) if has_none => (&root, policy.report_hosts),
                _ => (&self.domain, Vec::new()),
            };
        let outside = hosts.into_iter().filter(|host| dmarc::organisational(host) != root).take(MAX_CONSENTS);
        let questions: Vec<BoxFuture<'_, _>> = outside
            .map(|host| {
                let name = DnsName::new(format!("{policy_domain}._report._dmarc.{host}"));
                async move {
                    let (lookup, _) = self.followed(&name, deadline).await;
                    ReportConsent { host, name, lookup }
                }
                .boxed()
            })
            .collect();
        let reports = stream::iter(questions).buffered(AT_ONCE).collect().await;
        DmarcView { own, alias, inherited, reports }
    }

    /// The TXT records at `name`, aliases followed, and where the first of them leads; an alias that leads in circles stays an
    /// alias.
    async fn followed(&self, name: &DnsName, deadline: Instant) -> (Lookup, Option<DnsName>) {
        let mut lookup = self.ask(name, RecordType::Txt, deadline).await;
        let mut alias = None;
        for _ in 0..MAX_ALIASES {
            let Answer::Records(records) = &lookup.answer else { break };
            let Some(RecordData::Cname(target)) = records.first().cloned() else { break };
            lookup = self.ask(&target, RecordType::Txt, deadline).await;
            alias.get_or_insert(target);
        }
        (lookup, alias)
    }
}

/// True if a record under another name was meant for this one. An SPF policy that lets SES send can be meant for the name
/// that it is at, unless it says nothing else.
fn is_meant(wanted: &WantedRecord, data: &RecordData) -> bool {
    match wanted.purpose {
        RecordPurpose::Spf => *data == wanted.data,
        RecordPurpose::Dkim | RecordPurpose::BounceMx | RecordPurpose::Dmarc => judge::is_right(wanted, data),
    }
}

/// The answer, if it is definite.
fn known(answer: &Answer) -> Option<&Answer> {
    Some(answer).filter(|answer| !matches!(answer, Answer::Unknown(_)))
}

/// As a resolver fails that finds signatures broken, or for many other reasons.
fn fails(lookup: &Lookup) -> bool {
    matches!(&lookup.answer, Answer::Unknown(error) if error.is_servfail())
}

fn key(wanted: &WantedRecord) -> (DnsName, RecordType) {
    (wanted.name.clone(), wanted.data.record_type())
}

/// A name beside `name` that nobody has made.
fn beside(name: &DnsName) -> DnsName {
    name.parent().map_or_else(|| name.child(NOBODY), |parent| parent.child(NOBODY))
}

/// The full minute that is not before `ttl` from `now`.
fn minute_after(now: Timestamp, ttl: Duration) -> Option<Timestamp> {
    let end = now.checked_add(SignedDuration::try_from(ttl).ok()?).ok()?;
    let minutes = end.as_second().div_euclid(60) + i64::from(end.as_second().rem_euclid(60) > 0);
    Timestamp::from_second(minutes * 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_e10_a_contradiction_ends_when_somebody_denies_it_and_not_while_one_side_is_silent() {
        let data = RecordData::Txt("v=spf1 include:amazonses.com ~all".to_owned());
        let name = DnsName::new("bounce.example.com");
        let wanted = WantedRecord { purpose: RecordPurpose::Spf, name, data: data.clone(), required: true };
        let lookup = |answer| Lookup { source: Source::Authoritative, answer, ..Lookup::too_late() };
        let (right, gone, late) =
            (lookup(Answer::Records(vec![data])), lookup(Answer::NxDomain), lookup(Lookup::too_late().answer));
        // What the name servers and the resolvers say from minute to minute; the record's TTL is an hour.
        let outlived = |between: (&Lookup, &Lookup)| {
            let mut kept = Kept::default();
            for (minute, (servers, resolvers)) in [(0, (&gone, &right)), (30, between), (61, (&gone, &right))] {
                let now = Timestamp::from_second(1_800_000_000 + minute * 60).unwrap();
                let state = judge::judge(&wanted, &Lookups::from([(key(&wanted), servers.clone())])).state;
                let resolvers = Lookup { positive_ttl: Some(Duration::from_hours(1)), ..resolvers.clone() };
                let evidence = RecordEvidence { resolvers: Some(resolvers), ..RecordEvidence::default() };
                Suspect { wanted: &wanted, lookup: servers, state }.keep(evidence, &mut kept, now);
                let pace = Pace { pending: Duration::from_secs(30), verified: Duration::from_mins(15) };
                if minute == 61 {
                    return kept.record(&key(&wanted), &servers.answer, now, pace).map(|evidence| evidence.outlived);
                }
            }
            None
        };
        for silence in [(&gone, &right), (&late, &right), (&gone, &late), (&late, &late), (&late, &gone)] {
            assert_eq!(outlived(silence), Some(true), "{silence:?}");
        }
        for agreement in [(&gone, &gone), (&right, &right)] {
            assert_eq!(outlived(agreement), Some(false), "{agreement:?}");
        }
    }
}
