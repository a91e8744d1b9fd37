//! What becomes of a domain whose holder never verified it, while another object waits for it: the holder takes its own
//! records away, then its identity, and comes after the others from then on.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::identity::TAG_ADOPTABLE_BY;
use super::rearm::Part;
use super::teardown::{Ending, Patience, Release, plan_teardown};
use super::{Action, Blocker, Plan, Step, Subject};
use crate::api::condition::ConditionType::IdentityReady;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, IdentityOrigin, RecordState, SendingDomainStatus};
use crate::dns::judge;
use crate::dns::record::WantedRecord;
use crate::observe::observation::{Claim, Lookups, Observation};
use crate::ownership::Ownership;
use crate::ses::identity::{Identity, SesStatus};

/// True if the object has to leave `identity`, which is its own, to another. What SES says of it now decides and not what
/// status tells of the past: nobody loses a domain that SES has verified.
///
/// An object of whose records none is proven wrong is on its way and keeps the domain as long as SES looks for them; where
/// SES has stopped looking and all are right, it is asked once more first.
pub fn is_due(subject: &Subject<'_>, identity: &Identity, claim: &Claim, records: Records, now: Timestamp) -> bool {
    let Some(next) = &claim.awaited else { return false };
    // One that was there before stays, so it is only of use to an object that adopts it.
    let is_of_use = match subject.mark.ownership(&identity.tags) {
        Ownership::Ours(IdentityOrigin::Created) => true,
        Ownership::Ours(IdentityOrigin::Adopted) => next.adopter.as_deref().is_some_and(|adopter| {
            subject.allow_adoption || identity.tags.get(TAG_ADOPTABLE_BY).is_some_and(|named| named == adopter)
        }),
        Ownership::Foreign | Ownership::Unmarked => false,
    };
    let Some(attempt) = subject.verification.filter(|attempt| !attempt.was_verified()) else { return false };
    let is_given_up = Part::Dkim.has_failed(identity);
    // What SES had given up before this object came to it may have been verified once, and is given time.
    let has_failed = attempt.is_over(now) || (is_given_up && attempt.first_started_at.is_some());
    let looks_until = attempt.started_at.0.checked_add(SES_LOOKS_FOR).unwrap_or(Timestamp::MAX);
    let is_on_its_way = match records {
        Records::Right if is_given_up => Part::Dkim.rearmed_at(attempt).is_none(),
        Records::Right | Records::Unknown => !is_given_up && now < looks_until,
        Records::Wrong => false,
    };
    is_of_use && has_failed && !is_on_its_way && !was_ever_verified(identity)
}

/// How the required records of an object stand in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// All are there.
    Right,
    /// None is proven to be missing or wrong.
    Unknown,
    /// One is, or there are none to look for.
    Wrong,
}

impl Records {
    /// Judges `wanted`.
    pub fn of(wanted: &[WantedRecord], lookups: &Lookups) -> Self {
        let is_wrong = |w: &WantedRecord| {
            w.required && matches!(judge::judge(w, lookups).state, RecordState::Missing | RecordState::Incorrect)
        };
        if wanted.is_empty() || wanted.iter().any(is_wrong) {
            Self::Wrong
        } else if judge::all_found(wanted, lookups) {
            Self::Right
        } else {
            Self::Unknown
        }
    }
}

/// How long SES looks for the records of an identity before it gives up.
/// Source: <https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html>.
const SES_LOOKS_FOR: SignedDuration = SignedDuration::from_hours(72);

/// True if SES has the domain verified, or had and looks for its records still.
fn was_ever_verified(identity: &Identity) -> bool {
    let tells = |status: &SesStatus| matches!(status, SesStatus::Success | SesStatus::TemporaryFailure);
    identity.succeeded_once
        || identity.verified_for_sending
        || identity.verification.as_ref().is_some_and(tells)
        || tells(&identity.dkim.status)
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
    if !identity.is_some_and(|identity| is_due(subject, identity, &seen.claim, Records::Wrong, now)) {
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
