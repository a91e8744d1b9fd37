//! What to hand to ExternalDNS: one `DNSEndpoint` with all records, owned by the object.

use super::{Action, Blocker, Plan, Subject};
use crate::api::condition::ConditionType::RecordsSynced;
use crate::api::reason::Reason;
use crate::api::v1alpha1::ExternalDnsSpec;
use crate::dns::external_dns::HandOver;
use crate::observe::observation::{Observation, Observed};
use crate::ses::identity::{DKIM_TOKENS, Identity};

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
    let content = HandOver::new(spec, &plan.wanted);
    match found {
        Some(found) if !found.owners.iter().any(|uid| uid == subject.uid) => {
            let message = "There is a DNSEndpoint of this name that the operator did not make, and it is left alone; delete it, \
                           or name the SendingDomain differently";
            plan.blockers.push(Blocker::new(RecordsSynced, Reason::RecordConflict, message));
        }
        Some(found) if content.is_in(found) => {}
        Some(_) | None => match &seen.standing.records {
            Some(fault) => plan.blockers.push(Blocker::from_fault(RecordsSynced, fault)),
            None => plan.actions.push(Action::HandOver(content)),
        },
    }
}
