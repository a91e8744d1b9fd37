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
use super::lookup::{Addresses, Lookup, LookupErrorKind, ZoneCut};
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
    /// Records with the right value that were found under a likely wrong name.
    pub elsewhere: Vec<Elsewhere>,
    /// The addresses at the name: what a proxied or flattened CNAME turns into.
    pub addresses: Option<Addresses>,
    /// A TXT record at the name of a CNAME.
    pub text: Option<Vec<RecordData>>,
    /// True if a name beside it that nobody has made is answered the same: a wildcard answers.
    pub wildcard: bool,
    /// What resolvers see.
    pub resolvers: Option<Lookup>,
    /// True if resolvers have had the right record, against the name servers, for longer than any of them keeps a copy.
    pub outlived: bool,
    /// Until when resolvers remember that the record is not there; whole minutes.
    pub forgotten_at: Option<Timestamp>,
    /// What resolvers see when they do not validate DNSSEC; asked only where they fail.
    pub unvalidated: Option<Lookup>,
}

/// A right value under a wrong name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The wrong name.
    pub name: DnsName,
    /// What kind of slip leads there.
    pub slip: Slip,
}

/// The DMARC policies that matter for a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct DmarcView {
    /// What is at `_dmarc.<domain>`, aliases followed.
    pub own: Lookup,
    /// The organisational domain and what is at `_dmarc` there, if that is another domain and decides.
    pub inherited: Option<(DnsName, Lookup)>,
    /// For each domain outside the organisational one that reports go to: what is at the name by which it agrees
    /// (RFC 7489, section 7.1).
    pub reports: Vec<ReportConsent>,
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
