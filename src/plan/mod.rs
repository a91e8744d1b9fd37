//! What to do next: a plain function of the spec and of what was seen. It has no client and no clock, and leaves no
//! choice to the executor.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

pub mod attributes;
pub mod claims;
pub mod desired;
mod display;
pub mod endpoint;
pub mod giving_way;
pub mod identity;
pub mod leftovers;
pub mod places;
pub mod rearm;
pub mod records;
pub mod tags;
pub mod teardown;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use crate::api::condition::ConditionType;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{
    DkimKeyLength, DnsProvider, OnMxFailure, PreviousPlace, SendingDomainSpec, VerificationStatus,
};
use crate::dns::cloudflare::{Change, ZoneId};
use crate::dns::external_dns::HandOver;
use crate::dns::record::{DnsName, WantedRecord};
use crate::observe::observation::{Fault, Observation};
use crate::ownership::Mark;
use crate::ses::client::NewIdentity;

/// The object that is planned for, and the settings that concern it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// What the user wants.
    pub spec: &'a SendingDomainSpec,
    /// The UID of the object.
    pub uid: &'a str,
    /// The region in which the identity is.
    pub region: &'a str,
    /// The mark of this object.
    pub mark: &'a Mark,
    /// `<owner-id>/<namespace>`: who an identity must be released to before it is adopted.
    pub adopter: &'a str,
    /// Whether any unmarked identity may be adopted (`--allow-adoption`).
    pub allow_adoption: bool,
    /// The value of the annotation `recreate-at`.
    pub recreate_at: Option<&'a str>,
    /// True if the annotation `reconcile-at` has a value that was not acted on yet.
    pub reconcile_requested: bool,
    /// The current attempt at verification, as status remembers it: for timing only.
    pub verification: Option<&'a VerificationStatus>,
}

/// One write to the outside world.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create the identity.
    CreateIdentity(NewIdentity),
    /// Put our mark on an identity that exists.
    AdoptIdentity {
        /// The tags that carry the mark.
        tags: BTreeMap<String, String>,
    },
    /// Add tags to the identity, or give them other values.
    TagIdentity {
        /// The tags.
        tags: BTreeMap<String, String>,
    },
    /// Take tags away from the identity.
    UntagIdentity {
        /// Their keys.
        keys: Vec<String>,
    },
    /// Set the default configuration set, or none.
    SetConfigurationSet {
        /// Its name.
        name: Option<String>,
    },
    /// Have SES make DKIM keys of another length: new tokens.
    ChangeKeyLength {
        /// The length.
        length: DkimKeyLength,
    },
    /// Switch DKIM signing on.
    EnableSigning,
    /// Have SES look for the DKIM records again, with the same keys.
    RestartDkim,
    /// Set the MAIL FROM domain, which also has SES look for its MX (again).
    SetMailFrom {
        /// The MAIL FROM domain.
        domain: String,
        /// What SES does while its MX is not right.
        on_mx_failure: OnMxFailure,
    },
    /// Delete the identity.
    DeleteIdentity,
    /// Hand the records to ExternalDNS.
    HandOver(HandOver),
    /// Write records, all of them or none.
    WriteRecords {
        /// The zone at Cloudflare.
        zone: ZoneId,
        /// Its name, for people.
        zone_name: DnsName,
        /// What to write.
        changes: Vec<Change>,
    },
    /// Remove records at a place that the spec has left, all of them or none.
    RemoveRecords {
        /// Which place.
        left: u64,
        /// The zone there.
        zone: ZoneId,
        /// Its name, for people.
        zone_name: DnsName,
        /// What to remove.
        changes: Vec<Change>,
    },
    /// Delete the `DNSEndpoint`, which has ExternalDNS remove its records.
    RemoveEndpoint {
        /// As it was seen.
        version: Option<String>,
    },
    /// Have the `DNSEndpoint` outlive the object.
    KeepEndpoint(HandOver),
}

impl Action {
    /// The part of the work that this belongs to: when one part fails the others go on.
    pub fn step(&self) -> Step {
        match self {
            Self::CreateIdentity(_)
            | Self::AdoptIdentity { .. }
            | Self::EnableSigning
            | Self::RestartDkim
            | Self::DeleteIdentity => Step::Identity,
            Self::TagIdentity { .. } | Self::UntagIdentity { .. } | Self::SetConfigurationSet { .. } => {
                Step::Attributes
            }
            Self::ChangeKeyLength { .. } => Step::Keys,
            Self::SetMailFrom { .. } => Step::MailFrom,
            Self::HandOver(_) | Self::WriteRecords { .. } => Step::Records,
            Self::RemoveRecords { left, .. } => Step::Left(*left),
            Self::RemoveEndpoint { .. } | Self::KeepEndpoint(_) => Step::Endpoint,
        }
    }
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The identity and its DKIM.
    Identity,
    /// What can be changed on an identity that is made: its tags and its configuration set.
    Attributes,
    /// The length of its DKIM keys.
    Keys,
    /// The MAIL FROM domain.
    MailFrom,
    /// The records at the provider.
    Records,
    /// The records at a place that the spec has left.
    Left(u64),
    /// The `DNSEndpoint`, when the records are not handed over any more.
    Endpoint,
}

/// What keeps a condition from being True, and who has to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The condition.
    pub condition: ConditionType,
    /// Why.
    pub reason: Reason,
    /// What to do next.
    pub message: String,
}

impl Blocker {
    /// A blocker of `condition`.
    pub fn new(condition: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self { condition, reason, message: message.into() }
    }

    /// A fault in the words of a blocker.
    pub fn from_fault(condition: ConditionType, fault: &Fault) -> Self {
        Self::new(condition, fault.reason, fault.message.clone())
    }
}

/// What to say of a write to SES while the identity, which may have changed hands, has to be read before it. Nothing of one
/// that sending does not wait for: its place in the line before SES is kept, and a domain that sends is not reported broken
/// because the line is long.
fn waiting_for_reading(action: &Action) -> Option<Blocker> {
    let condition = match (action.step(), action) {
        (Step::Attributes | Step::Keys, _) | (_, Action::EnableSigning | Action::RestartDkim) => return None,
        (Step::MailFrom, _) => ConditionType::MailFromVerified,
        _ => ConditionType::IdentityReady,
    };
    let message = "Waiting for a free request to SES (GetEmailIdentity); others are served first";
    Some(Blocker::new(condition, Reason::WaitingForSESBudget, message))
}

/// What to do, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Writes, in order.
    pub actions: Vec<Action>,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// The records that the domain needs. Empty for an object that may not have the domain.
    pub wanted: Vec<WantedRecord>,
    /// True if the object leaves its domain to another.
    pub gives_way: bool,
    /// True if something that `reconcile-at` asks for comes in a later pass.
    pub postponed: bool,
    /// The places that the spec has left and that have to be remembered; `None` if nothing was found out about them.
    pub left: Option<Vec<PreviousPlace>>,
}

impl Plan {
    /// Keeps the actions that `can_go` now; the others wait until the identity has been read again.
    pub fn put_off(&mut self, can_go: impl Fn(&Action) -> bool) {
        let (now, waiting): (Vec<Action>, Vec<Action>) = self.actions.drain(..).partition(can_go);
        self.actions = now;
        self.postponed |= !waiting.is_empty();
        self.blockers.extend(waiting.iter().filter_map(waiting_for_reading));
    }
}

/// Plans the next writes for an object that is neither deleted nor suspended.
pub fn plan(subject: &Subject<'_>, seen: &Observation, now: Timestamp) -> Plan {
    if let Some(blocker) = claims::refusal(&subject.spec.domain, &seen.claim) {
        return Plan { blockers: vec![blocker], ..Plan::default() };
    }
    let mut plan = Plan::default();
    // Only an identity of ours may show its tokens and have its records written.
    if let Some(identity) = identity::plan_identity(subject, seen, &mut plan) {
        plan.wanted = desired::records_to_have(subject.spec, identity, &seen.claim, subject.region);
        let records = giving_way::Records::of(&plan.wanted, &seen.lookups);
        if giving_way::is_due(subject, identity, &seen.claim, records, now) {
            return giving_way::announced();
        }
        identity::plan_verification(subject, identity, seen, now, &mut plan);
        if plan.actions.contains(&Action::DeleteIdentity) {
            return plan;
        }
        attributes::plan_attributes(subject, identity, seen, &mut plan);
        match subject.spec.dns_provider() {
            DnsProvider::Cloudflare(spec) => records::plan_records(subject, spec, identity, seen, &mut plan),
            DnsProvider::ExternalDns(spec) => endpoint::plan_endpoint(subject, spec, identity, seen, &mut plan),
            DnsProvider::Manual => {}
        }
        leftovers::plan_leftovers(subject, identity, seen, &mut plan);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_that_sends_is_not_reported_broken_because_the_line_is_long() {
        let set = Action::SetMailFrom { domain: "b.a.example".to_owned(), on_mx_failure: OnMxFailure::UseDefaultValue };
        let tag = Action::TagIdentity { tags: BTreeMap::new() };
        let mut plan = Plan { actions: vec![tag, Action::EnableSigning, set.clone()], ..Plan::default() };
        plan.put_off(|_| false);
        assert!(plan.actions.is_empty());
        let told: Vec<_> = plan.blockers.iter().map(|b| (b.condition, b.reason)).collect();
        assert_eq!(told, [(ConditionType::MailFromVerified, Reason::WaitingForSESBudget)]);
        let mut plan = Plan { actions: vec![set.clone()], ..Plan::default() };
        plan.put_off(|_| true);
        assert_eq!((plan.actions, plan.blockers), (vec![set], vec![]));
    }
}
