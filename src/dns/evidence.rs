//! What is looked up beyond the records themselves, to tell apart why one is not as it should be. Only [`cause`] and the
//! recommendations read it: no write ever depends on it.
//!
//! Pure.
//!
//! [`cause`]: super::cause
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::cause::places::Slip;
use super::dmarc;
use super::lookup::{Addresses, Answer, Lookup, LookupErrorKind, ZoneCut};
use super::record::{DnsName, RecordData, RecordType};

/// The evidence on one object's domain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// On the records that are not cleanly found; on the found ones too while the object is not Ready.
    pub records: BTreeMap<(DnsName, RecordType), RecordEvidence>,
    /// The zone that the domain lies in, as the world sees it. `None` if it was not asked for.
    pub zone: Option<Result<ZoneCut, LookupErrorKind>>,
    /// The DMARC policies around the domain. `None` before the first look.
    pub dmarc: Option<DmarcView>,
}

/// The evidence on one record. Whatever was not asked is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordEvidence {
    /// The likely wrong names, the likeliest first.
    pub elsewhere: Vec<Elsewhere>,
    /// The addresses at the name: what a proxied or flattened CNAME turns into.
    pub addresses: Option<Addresses>,
    /// A TXT record at the name of a CNAME.
    pub text: Option<Vec<RecordData>>,
    /// Whether a name beside it that nobody has made is answered the same: a wildcard answers.
    pub wildcard: Option<bool>,
    /// What resolvers see.
    pub resolvers: Option<Lookup>,
    /// True if resolvers have had the right record, against the name servers, for longer than any of them keeps a copy.
    pub outlived: bool,
    /// Until when resolvers remember that the record is not there; whole minutes.
    pub forgotten_at: Option<Timestamp>,
    /// What resolvers see when they do not validate DNSSEC; asked only where they fail.
    pub unvalidated: Option<Lookup>,
}

impl RecordEvidence {
    /// The likeliest wrong name that the right value is under.
    pub fn found_elsewhere(&self) -> Option<&Elsewhere> {
        self.elsewhere.iter().find(|place| place.is_there == Some(true))
    }

    /// True if a wildcard is known to answer.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard == Some(true)
    }

    /// True if resolvers gave a definite answer, at least where they do not validate.
    fn is_told_by_resolvers(&self) -> bool {
        let told = [&self.resolvers, &self.unvalidated];
        told.into_iter().flatten().any(|lookup| !matches!(lookup.answer, Answer::Unknown(_)))
    }

    /// This evidence, with what was known `before` where nobody has answered `now`. Both are on the same answer, so that the
    /// same was asked.
    #[must_use]
    pub fn completed_by(mut self, before: &Self, now: Timestamp) -> Self {
        if self.elsewhere.is_empty() {
            self.elsewhere.clone_from(&before.elsewhere);
        }
        for place in self.elsewhere.iter_mut().filter(|place| place.is_there.is_none()) {
            let last = before.elsewhere.iter().find(|last| last.name == place.name);
            place.is_there = last.and_then(|last| last.is_there);
        }
        if matches!(self.addresses, None | Some(Addresses::Unknown(_))) {
            self.addresses.clone_from(&before.addresses);
        }
        // A time-out is an answer that says nothing; an absence that resolvers have forgotten by now says nothing either.
        let is_forgotten = before.forgotten_at.is_some_and(|until| until <= now);
        if !self.is_told_by_resolvers() && before.is_told_by_resolvers() && !is_forgotten {
            self.resolvers.clone_from(&before.resolvers);
            self.unvalidated.clone_from(&before.unvalidated);
            self.forgotten_at = before.forgotten_at;
            self.outlived = before.outlived;
        }
        self.text = self.text.or_else(|| before.text.clone());
        self.wildcard = self.wildcard.or(before.wildcard);
        self
    }
}

/// A wrong name that the right value may be under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The wrong name.
    pub name: DnsName,
    /// What kind of slip leads there.
    pub slip: Slip,
    /// Whether the right value is there; `None` if nobody said.
    pub is_there: Option<bool>,
}

/// The DMARC policies that matter for a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DmarcView {
    /// What is at `_dmarc.<domain>`, aliases followed.
    pub own: Lookup,
    /// Where an alias at that name leads.
    pub alias: Option<DnsName>,
    /// The organisational domain and what is at `_dmarc` there, if that is another domain and decides.
    pub inherited: Option<(DnsName, Lookup)>,
    /// For each domain outside the organisational one that reports go to: what is at the name by which it agrees
    /// (RFC 7489, section 7.1).
    pub reports: Vec<ReportConsent>,
}

impl DmarcView {
    /// True if every question was answered.
    pub fn is_complete(&self) -> bool {
        let is_known = |lookup: &Lookup| dmarc::published_at(lookup).is_some();
        is_known(&self.own)
            && self.inherited.as_ref().is_none_or(|(_, lookup)| is_known(lookup))
            && self.reports.iter().all(|consent| is_known(&consent.lookup))
    }

    /// This view, with what was known `before` where nobody has answered now.
    #[must_use]
    pub fn completed_by(mut self, before: &Self) -> Self {
        let is_unknown = |lookup: &Lookup| dmarc::published_at(lookup).is_none();
        let (own, inherited) = (is_unknown(&self.own), self.inherited.as_ref().is_some_and(|(_, l)| is_unknown(l)));
        if own {
            self.own = before.own.clone();
            self.alias.clone_from(&before.alias);
        }
        // What is inherited and where reports go follows from the policy.
        if own || (inherited && before.inherited.is_some()) {
            self.inherited.clone_from(&before.inherited);
            self.reports.clone_from(&before.reports);
        }
        for consent in self.reports.iter_mut().filter(|consent| is_unknown(&consent.lookup)) {
            if let Some(last) = before.reports.iter().find(|last| last.name == consent.name) {
                consent.lookup = last.lookup.clone();
            }
        }
        self
    }
}

/// Whether another domain takes the reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportConsent {
    /// The domain of the address.
    pub host: DnsName,
    /// `<domain>._report._dmarc.<host>`.
    pub name: DnsName,
    /// What is there.
    pub lookup: Lookup,
}
