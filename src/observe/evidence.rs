//! Gathers [evidence](crate::dns::evidence): the further questions that tell the causes apart.
//!
//! Bounded for each record: at most six wrong names ([`places::likely`]), the addresses and the text at the name, one name
//! beside it, and two questions to the resolvers, within [`PATIENCE`]. What was gathered is [kept](super::kept) for ten
//! pending intervals. A Ready object whose records are found costs nothing but the DMARC policies around it, once in each
//! verified interval.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

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
    /// True if `resolvers` have the right record, and the name servers do not.
    fn is_opposed_by(&self, resolvers: &Lookup) -> bool {
        matches!(self.state, RecordState::Missing | RecordState::Incorrect)
            && judge::is_answered_right(self.wanted, resolvers)
    }
}

impl Inquiry<'_> {
    /// The evidence, as far as possible from what was kept.
    pub(super) async fn gather(&self, kept: &mut Kept) -> Evidence {
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
        for (suspect, mut evidence) in gathered {
            let question = key(suspect.wanted);
            // Who cannot say contradicts nobody, and ends no contradiction.
            if let Some(resolvers) = evidence.resolvers.as_ref().filter(|l| !matches!(l.answer, Answer::Unknown(_))) {
                let ttl = resolvers.positive_ttl.filter(|_| suspect.is_opposed_by(resolvers));
                evidence.outlived = kept.contradicted(question.clone(), ttl, self.now);
            }
            kept.keep_record(question, suspect.lookup.answer.clone(), evidence, self.now);
        }
        let of = |s: &Suspect<'_>| {
            Some((key(s.wanted), kept.record(&key(s.wanted), &s.lookup.answer, self.now, self.pace)?.clone()))
        };
        let records = suspects.iter().filter_map(of).collect();
        Evidence { records, zone, dmarc: self.dmarc(kept).await }
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
        kept.keep_zone(zone.clone(), self.now);
        zone
    }

    async fn of(&self, suspect: &Suspect<'_>, zone: Option<&Cut>) -> RecordEvidence {
        let apex = zone.and_then(|zone| zone.as_ref().ok()).map(|cut| &cut.apex);
        timeout(PATIENCE, self.ask_about(suspect, apex)).await.unwrap_or_default()
    }

    async fn ask_about(&self, suspect: &Suspect<'_>, apex: Option<&DnsName>) -> RecordEvidence {
        let mut evidence = RecordEvidence::default();
        match suspect.state {
            RecordState::Found => {}
            RecordState::Unknown => return self.resolvers_view(suspect, evidence).await,
            RecordState::Missing => {
                if let Some(apex) = apex {
                    evidence.elsewhere = self.elsewhere(suspect.wanted, apex).await;
                }
                if suspect.wanted.data.record_type() == RecordType::Cname && suspect.lookup.answer == Answer::NoData {
                    evidence = self.instead_of_alias(suspect.wanted, evidence).await;
                }
            }
            RecordState::Incorrect => {
                let kind = suspect.wanted.data.record_type();
                let beside = self.resolver.ask(&beside(&suspect.wanted.name), kind).await;
                evidence.wildcard = beside.answer == suspect.lookup.answer;
            }
        }
        if suspect.lookup.source == Source::Authoritative {
            evidence = self.resolvers_view(suspect, evidence).await;
        }
        evidence
    }

    /// The right value under likely wrong names.
    async fn elsewhere(&self, wanted: &WantedRecord, apex: &DnsName) -> Vec<Elsewhere> {
        let questions: Vec<BoxFuture<'_, _>> = places::likely(wanted, &self.domain, apex)
            .into_iter()
            .map(|(name, slip)| {
                async move {
                    let answer = self.resolver.ask(&name, wanted.data.record_type()).await.answer;
                    let Answer::Records(records) = answer else { return None };
                    records.iter().any(|data| is_meant(wanted, data)).then_some(Elsewhere { name, slip })
                }
                .boxed()
            })
            .collect();
        // In their order: the likeliest first.
        let found: Vec<Option<Elsewhere>> = stream::iter(questions).buffered(AT_ONCE).collect().await;
        found.into_iter().flatten().collect()
    }

    /// What is at the name of a CNAME that is not answered.
    async fn instead_of_alias(&self, wanted: &WantedRecord, evidence: RecordEvidence) -> RecordEvidence {
        let (addresses, text) =
            tokio::join!(self.resolver.addresses(&wanted.name), self.resolver.ask(&wanted.name, RecordType::Txt));
        let text = match text.answer {
            Answer::Records(records) => records,
            Answer::NoData | Answer::NxDomain | Answer::Unknown(_) => Vec::new(),
        };
        let beside = beside(&wanted.name);
        let wildcard = match &addresses {
            Addresses::Found(_) => self.resolver.addresses(&beside).await == addresses,
            _ if !text.is_empty() => {
                self.resolver.ask(&beside, RecordType::Txt).await.answer == Answer::Records(text.clone())
            }
            _ => false,
        };
        RecordEvidence { addresses: Some(addresses), text: Some(text), wildcard, ..evidence }
    }

    async fn resolvers_view(&self, suspect: &Suspect<'_>, evidence: RecordEvidence) -> RecordEvidence {
        let (name, kind) = key(suspect.wanted);
        let resolvers = self.resolver.ask_recursive(&name, kind).await;
        let fails = matches!(&resolvers.answer, Answer::Unknown(error) if error.is_servfail());
        let unvalidated = if fails { Some(self.resolver.ask_recursive_unvalidated(&name, kind).await) } else { None };
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
        if let Ok(view) = timeout(PATIENCE, self.dmarc_view(&hosts)).await {
            kept.keep_dmarc(hosts, view, self.now);
        }
        kept.last_dmarc().cloned()
    }

    async fn dmarc_view(&self, hosts: &[DnsName]) -> DmarcView {
        let own = self.policy_at(&self.domain).await;
        let root = dmarc::organisational(&self.domain);
        let inherits = root != self.domain && matches!(dmarc::published_at(&own), Some(Published::None));
        let inherited = if inherits { Some((root.clone(), self.policy_at(&root).await)) } else { None };
        // The reports of a policy that is there already, else of the one that will be.
        let (policy_domain, hosts) =
            match (dmarc::published_at(&own), inherited.as_ref().and_then(|(_, l)| dmarc::published_at(l))) {
                (Some(Published::One(policy)), _) => (&self.domain, policy.report_hosts),
                _ if !hosts.is_empty() => (&self.domain, hosts.to_vec()),
                (_, Some(Published::One(policy))) => (&root, policy.report_hosts),
                _ => (&self.domain, Vec::new()),
            };
        let outside = hosts.into_iter().filter(|host| dmarc::organisational(host) != root).take(MAX_CONSENTS);
        let questions: Vec<BoxFuture<'_, _>> = outside
            .map(|host| {
                let name = DnsName::new(format!("{policy_domain}._report._dmarc.{host}"));
                async move {
                    let lookup = self.followed(&name).await;
                    ReportConsent { host, name, lookup }
                }
                .boxed()
            })
            .collect();
        let reports = stream::iter(questions).buffered(AT_ONCE).collect().await;
        DmarcView { own, inherited, reports }
    }

    async fn policy_at(&self, domain: &DnsName) -> Lookup {
        self.followed(&domain.child("_dmarc")).await
    }

    /// The TXT records at `name`, aliases followed; an alias that leads in circles stays an alias.
    async fn followed(&self, name: &DnsName) -> Lookup {
        let mut lookup = self.resolver.ask(name, RecordType::Txt).await;
        for _ in 0..MAX_ALIASES {
            let Answer::Records(records) = &lookup.answer else { break };
            let Some(RecordData::Cname(target)) = records.first() else { break };
            lookup = self.resolver.ask(&target.clone(), RecordType::Txt).await;
        }
        lookup
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
