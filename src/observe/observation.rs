//! What was seen of the world in one pass. Each source is [`Observed`]: what could not be read is never taken for absent.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use crate::api::reason::Reason;
use crate::api::v1alpha1::PreviousPlace;
use crate::dns::cloudflare::{Zone, ZoneRecord};
use crate::dns::evidence::Evidence;
use crate::dns::external_dns::Found;
use crate::dns::lookup::Lookup;
use crate::dns::record::{DnsName, RecordType};
use crate::error::ErrorClass;
use crate::ses::identity::Identity;

/// One source, as far as it could be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed<T> {
    /// It was read.
    Known(T),
    /// There is nothing to read: the spec does not use it.
    NotConfigured,
    /// It could not be read. Says nothing about what is there.
    Unavailable(Fault),
}

impl<T> Observed<T> {
    /// The value, if it was read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotConfigured | Self::Unavailable(_) => None,
        }
    }

    /// What kept it from being read.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unavailable(fault) => Some(fault),
            Self::Known(_) | Self::NotConfigured => None,
        }
    }
}

/// A failed read or write, in the words of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What the condition shows.
    pub reason: Reason,
    /// What to do next.
    pub message: String,
    /// When to try again.
    pub class: ErrorClass,
}

/// The zone at Cloudflare in which the records of the domain are.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneView {
    /// The zone.
    pub zone: Zone,
    /// Every record in it at or below the domain.
    pub records: Vec<ZoneRecord>,
}

/// A place that the spec has left, as far as it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// Where, by status: a hint.
    pub place: PreviousPlace,
    /// Tells the places of one object apart.
    pub key: u64,
    /// The zone there. Not configured while there is no need to look, and for the `DNSEndpoint`.
    pub zone: Observed<ZoneView>,
}

/// Whom the world asks for a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServedBy {
    /// The zone that the name lies in.
    pub apex: DnsName,
    /// The name servers of that zone.
    pub servers: Vec<DnsName>,
}

/// A question to DNS.
pub type Question = (DnsName, RecordType);

/// What was asked of DNS, and the answers.
pub type Lookups = BTreeMap<Question, Lookup>;

/// Whether the object may have its domain, as far as the cluster tells: who else wants it, and what the administrators
/// allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each says one thing of the others")]
pub struct Claim {
    /// What the administrators do not allow.
    pub refused: Option<(Reason, String)>,
    /// An object of the same namespace comes before this one and has the domain: its name.
    pub domain_holder_here: Option<String>,
    /// An object of another namespace does. Which one is not for this object's status.
    pub domain_held_elsewhere: bool,
    /// Another object wants the same domain, whoever comes first.
    pub rivals: bool,
    /// Another one comes first because the verification of this one has failed.
    pub gave_way: bool,
    /// The next object waits for the domain, and may have it.
    pub awaited: Option<Awaited>,
    /// An older object has the same MAIL FROM domain.
    pub mail_from_taken: bool,
    /// An object of any age has it: of an object that has its identity, the MAIL FROM domain is not changed to it.
    pub mail_from_shared: bool,
    /// An older object has the same domain in another place, and publishes its DMARC policy: there is one for a name.
    pub dmarc_taken: bool,
}

/// Whoever waits for a domain that another object has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// How an identity has to name it to be taken over by it; `None` if it would take none that it did not make.
    pub adopter: Option<String>,
}

impl Claim {
    /// True if something stands between the object and its domain.
    pub fn is_contested(&self) -> bool {
        let (taken, elsewhere) = (self.mail_from_taken, self.domain_held_elsewhere);
        self.refused.is_some() || self.domain_holder_here.is_some() || elsewhere || taken
    }

    /// What is left of it for the object whose mark `identity` carries: it has the domain, whoever is older, and keeps the
    /// MAIL FROM domain that it has. Another one it takes from nobody.
    #[must_use]
    pub fn of_holder(&self, identity: &Identity, wanted: &str) -> Self {
        let mail_from_shared = match &identity.mail_from {
            Some(current) => self.mail_from_shared && !current.domain.eq_ignore_ascii_case(wanted),
            None => self.mail_from_taken,
        };
        Self { mail_from_shared, ..self.of_last_holder() }
    }

    /// The same while SES cannot be asked, for an object that had the identity when it could be: unknown is not lost.
    #[must_use]
    pub fn of_last_holder(&self) -> Self {
        let (rivals, awaited, mail_from_shared) = (self.rivals, self.awaited.clone(), self.mail_from_shared);
        Self { rivals, awaited, mail_from_shared, ..Self::default() }
    }
}

/// What was seen of the world in one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The identity; `Known(None)` is proven absence.
    pub identity: Observed<Option<Identity>>,
    /// The zone and its records, if the operator writes them.
    pub zone: Observed<ZoneView>,
    /// The `DNSEndpoint`, if the records are handed to ExternalDNS; `Known(None)` is proven absence.
    pub endpoint: Observed<Option<Found>>,
    /// The places that the spec has left.
    pub left: Vec<Left>,
    /// Whom the world asks for names of records, where that matters and could be found out.
    pub served: BTreeMap<DnsName, ServedBy>,
    /// What DNS answers. Empty until the records are known, and with `--dns-check off`.
    pub lookups: Lookups,
    /// What tells apart why a record is not as it should be.
    pub evidence: Evidence,
    /// Whether DNS is asked at all.
    pub dns_check: bool,
    /// Whether the object may have its domain at all.
    pub claim: Claim,
    /// Writes that failed and are not due again yet.
    pub standing: Standing,
}

/// Writes that failed and are not due again yet: they are reported, not repeated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The last failed write to SES.
    pub identity: Option<Fault>,
    /// The last failed write of tags or of the configuration set.
    pub attributes: Option<Fault>,
    /// The last failed change of the DKIM keys.
    pub keys: Option<Fault>,
    /// The last failed write of the MAIL FROM domain.
    pub mail_from: Option<Fault>,
    /// The last failed write of records.
    pub records: Option<Fault>,
    /// The names of the records that it was about; empty if about all.
    pub refused: BTreeSet<DnsName>,
    /// The names whose records somebody changes back as often as they are put right.
    pub duels: BTreeSet<DnsName>,
    /// The last failed removal of the `DNSEndpoint`.
    pub endpoint: Option<Fault>,
}

impl Standing {
    /// What keeps the records at `name` from being written now; `None` for a name that nobody knows.
    pub fn records_at(&self, name: Option<&DnsName>) -> Option<&Fault> {
        let is_refused = self.refused.is_empty() || name.is_none_or(|name| self.refused.contains(name));
        self.records.as_ref().filter(|_| is_refused)
    }
}
