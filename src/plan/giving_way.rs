//! What becomes of a domain whose holder never verified it, while another object waits for it: the holder takes its own
//! records away, then its identity, and comes after the others from then on.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::teardown::{Ending, Patience, Release, plan_teardown};
use super::{Action, Blocker, Plan, Step, Subject};
use crate::api::condition::ConditionType::IdentityReady;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, IdentityOrigin, SendingDomainStatus};
use crate::observe::observation::{Claim, Observation};
use crate::ownership::Ownership;
use crate::ses::identity::{Identity, SesStatus};

/// True if the object has to leave `identity`, which is its own, to another. What SES says of it now decides and not what
/// status tells of the past: nobody loses a domain that SES has verified.
pub fn is_due(subject: &Subject<'_>, identity: &Identity, claim: &Claim, now: Timestamp) -> bool {
    let Some(next) = claim.awaited else { return false };
    // One that was there before stays, so it is only of use to an object that adopts it.
    let is_of_use = match subject.mark.ownership(&identity.tags) {
        Ownership::Ours(IdentityOrigin::Created) => true,
        Ownership::Ours(IdentityOrigin::Adopted) => next.adopts,
        Ownership::Foreign | Ownership::Unmarked => false,
    };
    let first = subject.verification.filter(|attempt| attempt.verified_at.is_none());
    let has_failed = first.is_some_and(|attempt| identity.has_failed() || now >= attempt.deadline.0);
    is_of_use && has_failed && !was_ever_verified(identity)
}

/// True if SES has the domain verified, or had and looks for its records still.
fn was_ever_verified(identity: &Identity) -> bool {
    let tells = |status: &SesStatus| matches!(status, SesStatus::Success | SesStatus::TemporaryFailure);
    identity.verified_for_sending || identity.verification.as_ref().is_some_and(tells) || tells(&identity.dkim.status)
}

/// The plan before the places of the records were looked at.
pub(super) fn announced() -> Plan {
    Plan { gives_way: true, blockers: vec![blocker("")], ..Plan::default() }
}

/// Plans the next writes of an object that leaves its domain to another: as at its end, but the identity goes last, for it
/// is what keeps the others back. What only a person can mend holds nobody up, and is told.
pub fn plan_giving_way(
    subject: &Subject<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    now: Timestamp,
) -> Plan {
    let identity = seen.identity.known().and_then(Option::as_ref);
    if !identity.is_some_and(|identity| is_due(subject, identity, &seen.claim, now)) {
        return announced();
    }
    // That a deletion would leave everything is no reason to keep the domain from others for ever.
    let mut spec = subject.spec.clone();
    spec.deletion_policy = DeletionPolicy::Delete;
    let ending = Ending { spec: &spec, uid: subject.uid, region: subject.region, mark: subject.mark };
    let patience = Patience { hopeless_since: Some(now), grace: SignedDuration::ZERO, forced: false };
    let teardown = plan_teardown(&ending, status, seen, patience, now);
    let (last, first): (Vec<Action>, Vec<Action>) =
        teardown.actions.into_iter().partition(|a| matches!(a.step(), Step::Identity | Step::Attributes));
    let (actions, more) = match teardown.release {
        _ if !first.is_empty() => (first, String::new()),
        Release::Clean => (last, String::new()),
        Release::Incomplete(left) => (last, format!(". Left behind: {}", left.join("; "))),
        Release::Blocked { blockers, .. } => {
            let why = blockers.iter().map(|b| format!("{}: {}", b.reason, b.message)).collect::<Vec<_>>();
            (Vec::new(), format!(". That waits: {}", why.join("; ")))
        }
    };
    Plan { actions, blockers: vec![blocker(&more)], ..announced() }
}

fn blocker(more: &str) -> Blocker {
    let message = format!(
        "The verification failed and another SendingDomain waits for this domain, so the records and the identity of this one \
         are taken away{more}"
    );
    Blocker::new(IdentityReady, Reason::DomainConflict, message)
}
