//! What to hand to ExternalDNS: one `DNSEndpoint` with all records. It goes with the object, unless that is to be retained.

use std::collections::BTreeSet;

use super::records::{are_in_use, is_name_for};
use super::{Action, Blocker, Plan, Subject};
use crate::api::condition::ConditionType::RecordsSynced;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, ExternalDnsSpec, IdentityOrigin, RecordPurpose, RecordState};
use crate::dns::external_dns::{Endpoint, Found, HandOver};
use crate::dns::judge::{self, Judgement};
use crate::dns::lookup::{Answer, Lookup};
use crate::dns::record::{DnsName, RecordType, WantedRecord};
use crate::observe::observation::{Observation, Observed};
use crate::ownership::{Mark, Ownership};
use crate::ses::identity::{DKIM_TOKENS, Identity};
use crate::text::printable;

/// Plans the hand-over for an identity of ours.
pub fn plan_endpoint(
    subject: &Subject<'_>,
    spec: &ExternalDnsSpec,
    identity: &Identity,
    seen: &Observation,
    plan: &mut Plan,
) {
    let found = match &seen.endpoint {
        Observed::Known(found) => found,
        Observed::Unavailable(fault) => return plan.blockers.push(Blocker::from_fault(RecordsSynced, fault)),
        Observed::NotConfigured => return,
    };
    if identity.dkim.tokens.len() != DKIM_TOKENS {
        // Never hand over an incomplete list: ExternalDNS would remove what is not in it.
        return;
    }
    // An identity that is adopted outlives the object, and needs its records.
    let is_created = subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Created);
    let goes_with_owner = subject.spec.deletion_policy == DeletionPolicy::Delete && is_created;
    let (wanted, conflicts) = to_hand_over(&plan.wanted, found.as_ref(), seen);
    plan.blockers.extend(conflicts);
    let mut content = HandOver::new(spec, &wanted, subject.mark, goes_with_owner);
    match found {
        Some(found) if !found.is_ours(subject.uid, subject.mark) => {
            let message = "There is a DNSEndpoint of this name that the operator did not make, and it is left alone; delete it, \
                           or name the SendingDomain differently";
            return plan.blockers.push(Blocker::new(RecordsSynced, Reason::RecordConflict, message));
        }
        Some(found) if !is_ours(found, subject.uid, subject.mark, &subject.spec.domain) => {
            let message = format!(
                "There is a DNSEndpoint of this name for another domain ({}), which a SendingDomain of this name has kept, \
                 and it is left alone; delete it if that domain needs it no more, or name the SendingDomain differently",
                others(found, &subject.spec.domain)
            );
            return plan.blockers.push(Blocker::new(RecordsSynced, Reason::RecordConflict, message));
        }
        Some(found) if found.is_going => {
            let message = "The DNSEndpoint of this name is being deleted; another is made once it is gone, for which its finalizers \
                           have to be taken off";
            return plan.blockers.push(Blocker::new(RecordsSynced, Reason::Progressing, message));
        }
        Some(found) => {
            if !are_in_use(subject, identity, seen, plan) {
                content.endpoints.extend(former(&found.content, &content, &subject.spec.domain));
            }
            if content.is_in(found, subject.uid) {
                return;
            }
        }
        None => {}
    }
    match &seen.standing.records {
        Some(fault) => plan.blockers.push(Blocker::from_fault(RecordsSynced, fault)),
        None => plan.actions.push(Action::HandOver(content)),
    }
}

/// What of `wanted` is handed over, and why the rest is not: ExternalDNS itself may or may not spare what somebody else has
/// in DNS. What the `DNSEndpoint` has already stays in it.
fn to_hand_over(
    wanted: &[WantedRecord],
    found: Option<&Found>,
    seen: &Observation,
) -> (Vec<WantedRecord>, Vec<Blocker>) {
    let is_in = |w: &WantedRecord| {
        let name = |e: &Endpoint| DnsName::new(&e.dns_name) == w.name && e.record_type == w.data.record_type().as_str();
        found.is_some_and(|found| found.content.endpoints.iter().any(name))
    };
    let (mut conflicts, mut list, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for w in wanted {
        if !seen.dns_check || is_in(w) {
            list.push(w.clone());
            continue;
        }
        let judgement = judge::judge(w, &seen.lookups);
        match (w.purpose, judgement.state) {
            // Of another policy nothing is changed, and none is put beside it: only where there is none can ours go.
            (RecordPurpose::Dmarc, RecordState::Missing) => list.push(w.clone()),
            (RecordPurpose::Dmarc, RecordState::Found) if judgement.message.is_none() => list.push(w.clone()),
            (RecordPurpose::Dmarc, _) => {}
            (RecordPurpose::BounceMx | RecordPurpose::Spf, RecordState::Incorrect) => {
                conflicts.push(conflict(w, &judgement, seen));
            }
            (RecordPurpose::BounceMx | RecordPurpose::Spf, RecordState::Unknown) if !is_internal(w, seen) => {
                unknown.push(w);
            }
            _ => list.push(w.clone()),
        }
    }
    if let Some(w) = unknown.first() {
        let message = format!(
            "The {} record is handed to ExternalDNS once DNS says that nothing else is at {}: its name servers do not answer, or              have not been asked yet",
            w.data.record_type(),
            w.name
        );
        conflicts.push(Blocker::new(RecordsSynced, Reason::Progressing, message));
    }
    // A policy of ours would make suspect what they send from a name that receives their mail.
    let is_theirs = |b: &Blocker| b.reason == Reason::MailFromConflict;
    if conflicts.iter().any(is_theirs) {
        list.retain(|w| w.purpose != RecordPurpose::Spf || is_in(w));
    }
    (list, conflicts)
}

/// True if the operator sees only an internal zone, which says nothing of the public one, now or later.
fn is_internal(wanted: &WantedRecord, seen: &Observation) -> bool {
    seen.lookups.get(&(wanted.name.clone(), wanted.data.record_type())).is_some_and(Lookup::is_internal)
}

fn conflict(wanted: &WantedRecord, judgement: &Judgement, seen: &Observation) -> Blocker {
    let answer = seen.lookups.get(&(wanted.name.clone(), wanted.data.record_type())).map(|lookup| &lookup.answer);
    let has_mx =
        matches!(answer, Some(Answer::Records(there)) if there.iter().any(|r| r.record_type() == RecordType::Mx));
    let reason = if has_mx { Reason::MailFromConflict } else { Reason::RecordConflict };
    let message = format!(
        "DNS already has {} at {}, which the operator did not make, so the {} record is not handed to ExternalDNS. {}, or choose \
         another spec.mailFrom.subdomain",
        judgement.observed.join(" and "),
        wanted.name,
        wanted.data.record_type(),
        judgement.message.as_deref().unwrap_or("Remove it")
    );
    Blocker::new(RecordsSynced, reason, message)
}

/// True if the `DNSEndpoint` was made for the object, or for one of the same name and domain that was kept. The mark alone
/// does not tell the domain.
pub(super) fn is_ours(found: &Found, uid: &str, mark: &Mark, domain: &str) -> bool {
    let is_name = |endpoint: &Endpoint| is_name_for(&DnsName::new(&endpoint.dns_name), domain);
    found.is_owned_by(uid) || (found.is_ours(uid, mark) && found.content.endpoints.iter().all(is_name))
}

/// Some of the names in it that are not those of `domain`.
pub(super) fn others(found: &Found, domain: &str) -> String {
    let names = found.content.endpoints.iter().map(|endpoint| DnsName::new(&endpoint.dns_name));
    let others: BTreeSet<DnsName> = names.filter(|name| !is_name_for(name, domain)).collect();
    others.iter().take(3).map(|name| printable(name.as_str(), 253)).collect::<Vec<_>>().join(", ")
}

/// Records that were handed over before, and are wanted no more. ExternalDNS removes at once what is not in the list, so
/// they stay in it until the new ones are in use. What is no record of SES was not put there by us.
fn former(found: &HandOver, wanted: &HandOver, domain: &str) -> Vec<Endpoint> {
    let domain = DnsName::new(domain);
    let is_former = |endpoint: &&Endpoint| is_of_ses(endpoint, &domain);
    let is_wanted = |endpoint: &&Endpoint| {
        wanted.endpoints.iter().any(|w| w.dns_name == endpoint.dns_name && w.record_type == endpoint.record_type)
    };
    found.endpoints.iter().filter(is_former).filter(|e| !is_wanted(e)).cloned().collect()
}

/// What of a `DNSEndpoint` is neither wanted nor a record of SES for `domain` nor its DMARC policy, in words; empty if there
/// is nothing.
pub(super) fn not_of_ses(found: &Found, domain: &str, wanted: &[WantedRecord]) -> String {
    let domain = DnsName::new(domain);
    let policy = domain.child("_dmarc");
    let is_theirs = |e: &&Endpoint| {
        let name = DnsName::new(&e.dns_name);
        let is_wanted = wanted.iter().any(|w| w.name == name && w.data.record_type().as_str() == e.record_type);
        !is_wanted && name != policy && !is_of_ses(e, &domain)
    };
    let theirs = found.content.endpoints.iter().filter(is_theirs).take(3);
    let words = theirs.map(|e| format!("{} {}", printable(&e.record_type, 16), printable(&e.dns_name, 253)));
    words.collect::<Vec<_>>().join(", ")
}

fn is_of_ses(endpoint: &Endpoint, domain: &DnsName) -> bool {
    let parent = DnsName::new(&endpoint.dns_name).parent();
    let [target] = endpoint.targets.as_slice() else { return false };
    match endpoint.record_type.as_str() {
        "CNAME" => parent.as_ref() == Some(&domain.child("_domainkey")) && target.ends_with(".amazonses.com"),
        "MX" => {
            parent.as_ref() == Some(domain) && target.contains(" feedback-smtp.") && target.ends_with(".amazonses.com")
        }
        "TXT" => parent.as_ref() == Some(domain) && judge::includes_ses(target),
        _ => false,
    }
}
