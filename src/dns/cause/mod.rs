//! Why a record is not as it should be: one cause, and one sentence that its reader can act on.
//!
//! Joined are what the authority answers ([`judge`](super::judge)), what was found at likely wrong places, what resolvers
//! see ([`evidence`](super::evidence)), and what the zone at Cloudflare holds. The causes of each state are tried in a fixed
//! order, the most telling first; the last of them always holds. `docs/causes.md` describes each for users.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod cloudflare;
mod found;
mod incorrect;
mod missing;
pub mod places;
pub mod provider;
#[cfg(test)]
mod tests;

use crate::api::RECONCILE_AT;
use crate::api::v1alpha1::{RecordPurpose, RecordState};
use crate::dns::dmarc::{self, Published};
use crate::dns::evidence::{DmarcView, RecordEvidence};
use crate::dns::judge::{self, Judgement};
use crate::dns::lookup::{Answer, Lookup, LookupErrorKind, Source, ZoneCut};
use crate::dns::record::{DnsName, RecordType, WantedRecord};
use crate::observe::observation::{Observed, ZoneView};

use self::provider::Provider;

/// Why a record is as it is. Open: more may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Nothing is there, and nothing was found at the likely wrong places.
    NotPublished,
    /// The zone's name is in the record's name twice.
    SuffixDoubled,
    /// The right value is under a name nearby.
    NameTypo,
    /// A DKIM record without the label `_domainkey`.
    MissingDomainkey,
    /// The record is in a zone that the world does not ask, or the domain has none.
    ZoneNotDelegated,
    /// The zone at Cloudflare waits for its delegation.
    ZonePending,
    /// The value is another.
    WrongValue,
    /// The value is that of another AWS region.
    WrongRegion,
    /// The quotes of a zone file are part of the value.
    LiteralQuotes,
    /// Cloudflare answers with its own addresses.
    RecordProxied,
    /// The provider answers with the addresses of the alias's target.
    CnameFlattened,
    /// More than one MX.
    ExtraMx,
    /// More than one SPF record.
    MultipleSpf,
    /// An alias is at the name, beside which no other record can be.
    CnameBlocksRecord,
    /// Resolvers near the operator see the right record, the public name servers do not have it.
    SplitHorizon,
    /// Resolvers still answer something older.
    NotYetVisible,
    /// Resolvers remember that the record was not there.
    NegativelyCached,
    /// Nobody gave a definite answer.
    LookupFailed,
    /// The signatures of DNSSEC are broken.
    DnssecBogus,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 19] = [
        Self::NotPublished,
        Self::SuffixDoubled,
        Self::NameTypo,
        Self::MissingDomainkey,
        Self::ZoneNotDelegated,
        Self::ZonePending,
        Self::WrongValue,
        Self::WrongRegion,
        Self::LiteralQuotes,
        Self::RecordProxied,
        Self::CnameFlattened,
        Self::ExtraMx,
        Self::MultipleSpf,
        Self::CnameBlocksRecord,
        Self::SplitHorizon,
        Self::NotYetVisible,
        Self::NegativelyCached,
        Self::LookupFailed,
        Self::DnssecBogus,
    ];

    /// The name in `.status.records[].cause`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPublished => "NotPublished",
            Self::SuffixDoubled => "SuffixDoubled",
            Self::NameTypo => "NameTypo",
            Self::MissingDomainkey => "MissingDomainkey",
            Self::ZoneNotDelegated => "ZoneNotDelegated",
            Self::ZonePending => "ZonePending",
            Self::WrongValue => "WrongValue",
            Self::WrongRegion => "WrongRegion",
            Self::LiteralQuotes => "LiteralQuotes",
            Self::RecordProxied => "RecordProxied",
            Self::CnameFlattened => "CNAMEFlattened",
            Self::ExtraMx => "ExtraMX",
            Self::MultipleSpf => "MultipleSPF",
            Self::CnameBlocksRecord => "CNAMEBlocksRecord",
            Self::SplitHorizon => "SplitHorizon",
            Self::NotYetVisible => "NotYetVisible",
            Self::NegativelyCached => "NegativelyCached",
            Self::LookupFailed => "LookupFailed",
            Self::DnssecBogus => "DNSSECBogus",
        }
    }

    /// The state of a record with this cause. A cause knows more than the look-up of the record alone: a CNAME that is not
    /// answered because it is proxied is not missing, and one that no validating resolver answers is not found.
    pub fn state(self) -> RecordState {
        match self {
            Self::NotPublished
            | Self::SuffixDoubled
            | Self::NameTypo
            | Self::MissingDomainkey
            | Self::ZoneNotDelegated
            | Self::ZonePending => RecordState::Missing,
            Self::WrongValue
            | Self::WrongRegion
            | Self::LiteralQuotes
            | Self::RecordProxied
            | Self::CnameFlattened
            | Self::ExtraMx
            | Self::MultipleSpf
            | Self::CnameBlocksRecord
            | Self::SplitHorizon => RecordState::Incorrect,
            Self::NotYetVisible | Self::NegativelyCached => RecordState::Found,
            Self::LookupFailed | Self::DnssecBogus => RecordState::Unknown,
        }
    }
}

/// A cause with its advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause.
    pub cause: Cause,
    /// What was found where, and what to do.
    pub message: String,
}

impl Diagnosis {
    fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }
}

/// Everything known of one record that was looked up.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The record.
    pub wanted: &'a WantedRecord,
    /// The domain that it is for.
    pub domain: &'a DnsName,
    /// What DNS answered.
    pub lookup: &'a Lookup,
    /// What that means.
    pub judgement: &'a Judgement,
    /// What else was asked about it, if anything was.
    pub evidence: Option<&'a RecordEvidence>,
    /// The zone of the domain as the world sees it.
    pub cut: Option<&'a Result<ZoneCut, LookupErrorKind>>,
    /// The zone at Cloudflare.
    pub view: &'a Observed<ZoneView>,
    /// SES did not find the record when it looked last, and did not look where the operator does.
    pub denied: bool,
    /// SES has FAILED what the record is for: it does not look again by itself.
    pub given_up: bool,
    /// The DMARC policies around the domain.
    pub dmarc: Option<&'a DmarcView>,
}

/// The cause of a record that is not cleanly found, and of a found one where there is one.
pub fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    match case.judgement.state {
        RecordState::Found => {
            case.dangling().or_else(|| case.bogus()).or_else(|| case.hidden()).or_else(|| found::diagnose(case))
        }
        RecordState::Missing => Some(missing::diagnose(case)),
        RecordState::Incorrect => Some(incorrect::diagnose(case)),
        RecordState::Unknown => {
            let advice = case.judgement.message.clone().unwrap_or_default() + &case.then_ask_ses();
            let known = case.bogus().or_else(|| case.hidden());
            Some(known.unwrap_or_else(|| Diagnosis::new(Cause::LookupFailed, advice)))
        }
    }
}

impl<'a> Case<'a> {
    fn zone(&self) -> Option<&'a ZoneCut> {
        self.cut?.as_ref().ok()
    }

    fn provider(&self) -> Option<Provider> {
        provider::of(self.zone()?.servers.iter().map(|(name, _)| name))
    }

    /// The right name as most providers want it entered: without the zone.
    fn short_name(&self) -> Option<&'a str> {
        let zone = self.zone()?;
        let wanted: &'a WantedRecord = self.wanted;
        Some(wanted.name.as_str().strip_suffix(zone.apex.as_str())?.strip_suffix('.').unwrap_or("@"))
    }

    /// "enter only `x` as the Name at Cloudflare", as far as that is known.
    fn enter(&self) -> String {
        match (self.short_name(), self.provider()) {
            (Some(short), Some(Provider { name, field })) => format!("at {name}, enter only {short} as the {field}"),
            (Some(short), None) => format!("enter only {short} as the name"),
            (None, _) => format!("the full name is {}", self.wanted.name),
        }
    }

    /// The values that resolvers see, if that is not what the verdict rests on anyway.
    fn resolvers(&self) -> Option<&'a Lookup> {
        self.evidence.and_then(|e| e.resolvers.as_ref()).filter(|_| self.lookup.source == Source::Authoritative)
    }

    /// True if the record would be found if `lookup` were all there is.
    fn is_right(&self, lookup: &Lookup) -> bool {
        judge::is_answered_right(self.wanted, lookup)
    }

    /// An alias in the place of the DMARC record, which leads to no policy.
    fn dangling(&self) -> Option<Diagnosis> {
        let view = self.dmarc.filter(|_| self.wanted.purpose == RecordPurpose::Dmarc)?;
        let Answer::Records(records) = &self.lookup.answer else { return None };
        let target = view.alias.as_ref().filter(|_| records.iter().all(|r| r.record_type() == RecordType::Cname))?;
        if matches!(dmarc::published_at(&view.own)?, Published::One(_)) {
            return None;
        }
        Some(Diagnosis::new(
            Cause::CnameBlocksRecord,
            format!(
                "An alias is there and is left alone, but no valid DMARC policy is at {target}, to which it leads: have one added \
                 there, or replace the alias by a TXT record with the value {}",
                self.wanted.data
            ),
        ))
    }

    /// The operator sees the right record where SES does not look.
    fn hidden(&self) -> Option<Diagnosis> {
        if !self.denied || !self.is_right(self.lookup) {
            return None;
        }
        let whose = self.zone().map_or_else(String::new, |zone| format!(" (that of {})", zone.primary));
        Some(Diagnosis::new(
            Cause::SplitHorizon,
            format!(
                "The operator's own resolvers see the right record in a zone{whose} that the world does not ask, and SES did not \
                 find it when it looked last: add it to the public zone too, as {} {}{}",
                self.wanted.data.record_type(),
                self.wanted.data,
                self.then_ask_ses()
            ),
        ))
    }

    /// What is left to do where SES has given up and the operator sees an internal zone only: the public one can be right
    /// without its notice, so that SES is asked to look again by whoever mends it.
    fn then_ask_ses(&self) -> String {
        if !self.given_up || !self.lookup.is_internal() {
            return String::new();
        }
        format!(
            ". SES has stopped looking, and the operator does not see when the public record is there: set the annotation \
             {RECONCILE_AT} then"
        )
    }

    /// Resolvers that validate fail where those that do not have a definite answer.
    fn bogus(&self) -> Option<Diagnosis> {
        let evidence = self.evidence?;
        let fails = |l: &Lookup| matches!(&l.answer, Answer::Unknown(error) if error.is_servfail());
        let definite = evidence.unvalidated.as_ref().is_some_and(|l| !matches!(l.answer, Answer::Unknown(_)));
        if !definite || !(evidence.resolvers.as_ref().is_some_and(fails) || fails(self.lookup)) {
            return None;
        }
        let zone = self.zone().map_or_else(|| self.domain.to_string(), |zone| zone.apex.to_string());
        Some(Diagnosis::new(
            Cause::DnssecBogus,
            format!(
                "DNSSEC of {zone} is broken: resolvers that check signatures refuse its records, and so may SES. Remove the DS \
                 record at the domain's registrar, or have {} sign the zone again",
                self.provider().map_or("the DNS provider", |p| p.name)
            ),
        ))
    }
}
