//! What to do for a deleted object: take away exactly what was created for it, and never hold it for ever.

use std::collections::BTreeSet;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Action, Blocker, endpoint, records, tags};
use crate::api::condition::ConditionType::{IdentityReady, RecordsSynced};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, IdentityOrigin, SendingDomainSpec, SendingDomainStatus};
use crate::dns::cloudflare::Change;
use crate::dns::external_dns::HandOver;
use crate::dns::record::DnsName;
use crate::error::ErrorClass;
use crate::observe::observation::{Fault, Observation, Observed, ZoneView};
use crate::ownership::{Mark, Ownership};
use crate::ses::identity::Identity;

/// The object that ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// What the user wanted.
    pub spec: &'a SendingDomainSpec,
    /// The UID of the object.
    pub uid: &'a str,
    /// The region in which the identity is.
    pub region: &'a str,
    /// The mark of the object.
    pub mark: &'a Mark,
}

/// What is left to do before a deleted object may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Teardown {
    /// Writes, in order.
    pub actions: Vec<Action>,
    /// Whether the object may go once the writes have succeeded.
    pub release: Release,
    /// The records of ours that stay for the mail of an identity that stays, in words.
    pub kept: Vec<String>,
}

/// Whether a deleted object may go.
#[derive(Clone, Debug, PartialEq)]
pub enum Release {
    /// Nothing of ours is left, or everything is to stay.
    Clean,
    /// Not before something has changed.
    Blocked {
        /// What stands in the way.
        blockers: Vec<Blocker>,
        /// True if only a person can change it.
        hopeless: bool,
    },
    /// Yes, although something may be left behind: what, and why.
    Incomplete(Vec<String>),
}

/// Since when deletion is held up, and how long it may be.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Since when nothing but what only a person can mend has held it up; `None` if it was not before.
    pub hopeless_since: Option<Timestamp>,
    /// `--cleanup-grace`.
    pub grace: SignedDuration,
    /// The annotation `force-release`.
    pub forced: bool,
}

impl Patience {
    /// True if what only a person can mend was waited for long enough.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.hopeless_since.is_some_and(|since| now.duration_since(since) >= self.grace)
    }
}

/// Plans the end of an object.
pub fn plan_teardown(
    ending: &Ending<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    patience: Patience,
    now: Timestamp,
) -> Teardown {
    let mut actions = Vec::new();
    let mut faults: Vec<(Blocker, String)> = Vec::new();
    let mut given_up = Vec::new();
    let live = live_names(ending, status, seen);
    given_up.extend(plan_endpoint(ending, seen, &live, &mut actions, &mut faults));
    let mut kept = Vec::new();
    if ending.spec.deletion_policy == DeletionPolicy::Delete {
        plan_identity(ending, seen, &mut actions, &mut faults);
        kept = self::kept(ending, seen, &live);
        plan_records(ending, status, seen, &live, &mut actions, &mut faults);
        given_up.extend(strays(ending, seen));
        given_up.extend(plan_left(ending, status, seen, &live, &mut actions, &mut faults));
    }
    // The place of the spec and the last one in status may be one.
    faults.dedup();
    if faults.is_empty() {
        let release = if given_up.is_empty() { Release::Clean } else { Release::Incomplete(given_up) };
        return Teardown { actions, release, kept };
    }
    let hopeless = faults.iter().all(|(blocker, _)| is_hopeless(blocker.reason));
    let release = if patience.forced || (patience.is_over(now) && hopeless) {
        Release::Incomplete(faults.into_iter().map(|(_, left)| left).chain(given_up).collect())
    } else {
        if has_forgotten_its_zone(ending, status, seen) {
            actions.retain(|action| *action != Action::DeleteIdentity);
        }
        Release::Blocked { blockers: faults.into_iter().map(|(blocker, _)| blocker).collect(), hopeless }
    };
    Teardown { actions, release, kept }
}

/// The names of records without which an identity that stays could not sign its mail or receive its bounces. It was adopted, or
/// has lost our mark since; status says so of one that cannot be read.
fn live_names(ending: &Ending<'_>, status: &SendingDomainStatus, seen: &Observation) -> BTreeSet<DnsName> {
    let domain = DnsName::new(&ending.spec.domain);
    let names = |tokens: &[String], mail_from: Option<&str>| {
        let signing = tokens.iter().map(|token| domain.child("_domainkey").child(token));
        signing.chain(mail_from.map(DnsName::new)).collect()
    };
    match (&seen.identity, &status.identity) {
        (Observed::Known(Some(identity)), _)
            if ending.mark.ownership(&identity.tags) != Ownership::Ours(IdentityOrigin::Created) =>
        {
            names(&identity.dkim.tokens, identity.mail_from.as_ref().map(|m| m.domain.as_str()))
        }
        (Observed::Unavailable(_), Some(last)) if last.origin == Some(IdentityOrigin::Adopted) => {
            names(&last.dkim_tokens, last.mail_from_domain.as_deref())
        }
        _ => BTreeSet::new(),
    }
}

/// The deletes of our records in a zone, without those at the names that stay.
fn deletions(ending: &Ending<'_>, view: &ZoneView, live: &BTreeSet<DnsName>) -> Vec<Change> {
    let mut changes = records::deletions(&view.records, ending.mark, &ending.spec.domain);
    changes.retain(|change| change.name(&view.records).is_none_or(|name| !live.contains(name)));
    changes
}

/// Our records at the names that stay, in words.
fn kept(ending: &Ending<'_>, seen: &Observation, live: &BTreeSet<DnsName>) -> Vec<String> {
    let views = seen.zone.known().into_iter().chain(seen.left.iter().filter_map(|left| left.zone.known()));
    let ours = views.flat_map(|view| records::own(&view.records, ending.mark, &ending.spec.domain));
    ours.filter(|r| live.contains(&r.name)).map(|r| format!("{} {}", r.record_type, r.name)).collect()
}

fn plan_identity(
    ending: &Ending<'_>,
    seen: &Observation,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) {
    let left = || format!("the SES identity {} in {}", ending.spec.domain, ending.region);
    match &seen.identity {
        Observed::Known(Some(identity)) => {
            let (standing, action, left) = match ending.mark.ownership(&identity.tags) {
                Ownership::Ours(IdentityOrigin::Created) => (&seen.standing.identity, Action::DeleteIdentity, left()),
                // It was there before us and stays, without what we have tagged it with.
                Ownership::Ours(IdentityOrigin::Adopted) => (
                    &seen.standing.attributes,
                    Action::UntagIdentity { keys: tags::ours(&identity.tags) },
                    format!("the operator's tags of {}", left()),
                ),
                Ownership::Foreign | Ownership::Unmarked => return,
            };
            match standing {
                Some(fault) => faults.push((Blocker::from_fault(IdentityReady, fault), left)),
                None => actions.push(action),
            }
        }
        Observed::Known(None) | Observed::NotConfigured => {}
        Observed::Unavailable(fault) => faults.push((Blocker::from_fault(IdentityReady, fault), left())),
    }
}

/// A retained `DNSEndpoint` must not be collected with its owner; any other goes here, for not every one has an owner.
/// Answers one that carries our mark and is for another domain: it stays.
fn plan_endpoint(
    ending: &Ending<'_>,
    seen: &Observation,
    live: &BTreeSet<DnsName>,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) -> Option<String> {
    let left = || "the DNSEndpoint of the same name".to_owned();
    // The cluster would take away with the object what is to be kept. So nothing ends the wait but its end, or a person.
    let never_hopeless = |fault: &Fault| Blocker::new(RecordsSynced, Reason::Progressing, fault.message.clone());
    let domain = &ending.spec.domain;
    let found = match &seen.endpoint {
        // Whatever holds it is not ours, and the cluster takes it away in the end.
        Observed::Known(Some(found)) if found.is_going => return None,
        Observed::Known(Some(found)) if endpoint::is_ours(found, ending.uid, ending.mark, domain) => found,
        Observed::Known(Some(found)) if found.is_ours(ending.uid, ending.mark) => {
            let names = endpoint::others(found, domain);
            let is_to_go = ending.spec.deletion_policy == DeletionPolicy::Delete;
            return is_to_go
                .then(|| format!("the DNSEndpoint of the same name, which is for another domain ({names})"));
        }
        Observed::Known(_) | Observed::NotConfigured => return None,
        Observed::Unavailable(fault) => {
            let is_transient = matches!(fault.class, ErrorClass::Transient { .. });
            let blocker = if is_transient { never_hopeless(fault) } else { Blocker::from_fault(RecordsSynced, fault) };
            faults.push((blocker, left()));
            return None;
        }
    };
    let is_live = found.content.endpoints.iter().any(|e| live.contains(&DnsName::new(&e.dns_name)));
    let policy = if is_live { DeletionPolicy::Retain } else { ending.spec.deletion_policy };
    let action = match policy {
        DeletionPolicy::Delete => Action::RemoveEndpoint { version: found.version.clone() },
        DeletionPolicy::Retain if found.is_owned_by(ending.uid) => Action::KeepEndpoint(HandOver {
            mark: ending.mark.comment(),
            goes_with_owner: false,
            ..found.content.clone()
        }),
        DeletionPolicy::Retain => return None,
    };
    match (&seen.standing.endpoint, &action) {
        (Some(fault), Action::KeepEndpoint(_)) => {
            let lost = format!("{}, which goes with the object, and its records with it", left());
            faults.push((never_hopeless(fault), lost));
        }
        (Some(fault), _) => faults.push((Blocker::from_fault(RecordsSynced, fault), left())),
        (None, _) => actions.push(action),
    }
    None
}

/// The records with our mark, at the place of the spec and at those that it has left, that were not written for this
/// domain: they are told, and stay.
fn strays(ending: &Ending<'_>, seen: &Observation) -> Vec<String> {
    let views = seen.zone.known().into_iter().chain(seen.left.iter().filter_map(|left| left.zone.known()));
    views.filter_map(|view| records::strays(view, ending.mark, &ending.spec.domain)).collect()
}

/// Plans for the places that the spec had left; answers what was told to be left behind before and is so still. That is
/// not waited for again.
fn plan_left(
    ending: &Ending<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    live: &BTreeSet<DnsName>,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) -> Vec<String> {
    let mut given_up = Vec::new();
    for left in &seen.left {
        match &left.zone {
            Observed::Known(view) => {
                let changes = deletions(ending, view, live);
                if !changes.is_empty() {
                    let (zone, zone_name) = (view.zone.id.clone(), view.zone.name.clone());
                    actions.push(Action::RemoveRecords { left: left.key, zone, zone_name, changes });
                }
            }
            Observed::NotConfigured => {}
            Observed::Unavailable(fault) => {
                let mut what = records_in(ending, status, left.place.zone_name.as_deref());
                if !left.place.records.is_empty() {
                    what = records_named(ending, left.place.zone_name.as_deref(), &left.place.records);
                }
                if left.place.is_left_behind() && is_hopeless(fault.reason) {
                    given_up.push(what);
                } else {
                    faults.push((Blocker::from_fault(RecordsSynced, fault), what));
                }
            }
        }
    }
    given_up
}

/// The records in a zone, in words.
fn records_in(ending: &Ending<'_>, status: &SendingDomainStatus, zone: Option<&str>) -> String {
    let names: Vec<String> = status.records.iter().map(|r| format!("{} {}", r.record_type, r.name)).collect();
    records_named(ending, zone, &names)
}

fn records_named(ending: &Ending<'_>, zone: Option<&str>, names: &[String]) -> String {
    let zone = zone.unwrap_or("the zone of the domain");
    format!("records of {} in {zone} at Cloudflare: {}", ending.spec.domain, names.join(", "))
}

fn plan_records(
    ending: &Ending<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    live: &BTreeSet<DnsName>,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) {
    let left = || records_in(ending, status, status.dns.as_ref().and_then(|d| d.zone_name.as_deref()));
    let failed = |fault: &Fault| (Blocker::from_fault(RecordsSynced, fault), left());
    let zone = status.dns.as_ref().and_then(|d| d.zone_id.as_deref());
    match &seen.zone {
        Observed::Known(view) => {
            let changes = deletions(ending, view, live);
            if changes.is_empty() {
                return;
            }
            match &seen.standing.records {
                Some(fault) => faults.push(failed(fault)),
                None => actions.push(Action::WriteRecords {
                    zone: view.zone.id.clone(),
                    zone_name: view.zone.name.clone(),
                    changes,
                }),
            }
        }
        Observed::NotConfigured => {}
        // Without a zone ever found, nothing was ever written.
        Observed::Unavailable(_) if zone.is_none() && !has_forgotten_its_zone(ending, status, seen) => {}
        // What was written is where status says, which is looked at by itself.
        Observed::Unavailable(fault)
            if is_hopeless(fault.reason) && seen.left.iter().any(|l| l.place.zone_id.as_deref() == zone) => {}
        Observed::Unavailable(fault) => faults.push(failed(fault)),
    }
}

/// True if the identity was verified and status names no zone, such as after a backup without status: there were records
/// once, and the identity alone tells so.
fn has_forgotten_its_zone(ending: &Ending<'_>, status: &SendingDomainStatus, seen: &Observation) -> bool {
    let created = Ownership::Ours(IdentityOrigin::Created);
    let is_verified = |identity: &Identity| {
        ending.mark.ownership(&identity.tags) == created && (identity.is_dkim_verified() || identity.succeeded_once)
    };
    let zone = status.dns.as_ref().and_then(|dns| dns.zone_id.as_deref());
    zone.is_none()
        && matches!(&seen.zone, Observed::Unavailable(_))
        && matches!(&seen.identity, Observed::Known(Some(identity)) if is_verified(identity))
}

/// True for faults that only a person can mend. Throttling and outages are waited for.
pub fn is_hopeless(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SecretNotFound
            | Reason::SecretInvalid
            | Reason::InvalidAPIToken
            | Reason::ZoneNotAccessible
            | Reason::ZoneAmbiguous
            | Reason::ZonePending
            | Reason::RecordWriteDenied
            | Reason::AWSAccessDenied
            | Reason::AWSCredentialsUnavailable
            | Reason::AWSAccountSuspended
            | Reason::RegionUnavailable
            | Reason::AWSRequestRejected
            | Reason::RecordRejected
            | Reason::ExternalDNSUnavailable
    )
}
