//! What to hand to ExternalDNS: one `DNSEndpoint` with all records. It goes with the object, unless that is to be retained.

use std::collections::BTreeSet;

use super::records::{are_in_use, is_name_for};
use super::{Action, Blocker, Plan, Subject};
use crate::api::condition::ConditionType::RecordsSynced;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, ExternalDnsSpec};
use crate::dns::external_dns::{Endpoint, Found, HandOver};
use crate::dns::judge;
use crate::dns::record::DnsName;
use crate::observe::observation::{Observation, Observed};
use crate::ownership::Mark;
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
    let goes_with_owner = subject.spec.deletion_policy == DeletionPolicy::Delete;
    let mut content = HandOver::new(spec, &plan.wanted, subject.mark, goes_with_owner);
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
    let keys = DnsName::new(format!("_domainkey.{domain}"));
    let is_former = |endpoint: &&Endpoint| {
        let parent = DnsName::new(&endpoint.dns_name).parent();
        let [target] = endpoint.targets.as_slice() else { return false };
        match endpoint.record_type.as_str() {
            "CNAME" => parent.as_ref() == Some(&keys) && target.ends_with(".amazonses.com"),
            "MX" => {
                parent.as_ref() == Some(&domain)
                    && target.contains(" feedback-smtp.")
                    && target.ends_with(".amazonses.com")
            }
            "TXT" => parent.as_ref() == Some(&domain) && judge::includes_ses(target),
            _ => false,
        }
    };
    let is_wanted = |endpoint: &&Endpoint| {
        wanted.endpoints.iter().any(|w| w.dns_name == endpoint.dns_name && w.record_type == endpoint.record_type)
    };
    found.endpoints.iter().filter(is_former).filter(|e| !is_wanted(e)).cloned().collect()
}
