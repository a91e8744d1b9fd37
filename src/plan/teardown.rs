//! What to do for a deleted object: take away exactly what was created for it, and never hold it for ever.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Action, Blocker, Subject, records};
use crate::api::condition::ConditionType::{IdentityReady, RecordsSynced};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DeletionPolicy, IdentityOrigin, SendingDomainStatus};
use crate::observe::observation::{Fault, Observation, Observed};
use crate::ownership::Ownership;

/// What is left to do before a deleted object may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Teardown {
    /// Writes, in order.
    pub actions: Vec<Action>,
    /// Whether the object may go once the writes have succeeded.
    pub release: Release,
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

/// Plans the end of an object.
pub fn plan_teardown(
    subject: &Subject<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    patience: Patience,
    now: Timestamp,
) -> Teardown {
    if subject.spec.deletion_policy == DeletionPolicy::Retain {
        return Teardown { actions: Vec::new(), release: Release::Clean };
    }
    let mut actions = Vec::new();
    let mut faults: Vec<(Blocker, String)> = Vec::new();
    plan_identity(subject, seen, &mut actions, &mut faults);
    plan_records(subject, status, seen, &mut actions, &mut faults);
    if faults.is_empty() {
        return Teardown { actions, release: Release::Clean };
    }
    let hopeless = faults.iter().all(|(blocker, _)| is_hopeless(blocker.reason));
    let expired = patience.hopeless_since.is_some_and(|since| now.duration_since(since) >= patience.grace);
    let release = if patience.forced || (expired && hopeless) {
        Release::Incomplete(faults.into_iter().map(|(_, left)| left).collect())
    } else {
        Release::Blocked { blockers: faults.into_iter().map(|(blocker, _)| blocker).collect(), hopeless }
    };
    Teardown { actions, release }
}

fn plan_identity(
    subject: &Subject<'_>,
    seen: &Observation,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) {
    let left = || format!("the SES identity {} in {}", subject.spec.domain, subject.region);
    match &seen.identity {
        Observed::Known(Some(identity)) => {
            // An adopted identity was there before us and stays; one of somebody else is none of our business.
            if subject.mark.ownership(&identity.tags) != Ownership::Ours(IdentityOrigin::Created) {
                return;
            }
            match &seen.standing.identity {
                Some(fault) => faults.push((Blocker::from_fault(IdentityReady, fault), left())),
                None => actions.push(Action::DeleteIdentity),
            }
        }
        Observed::Known(None) | Observed::NotConfigured => {}
        Observed::Unavailable(fault) => faults.push((Blocker::from_fault(IdentityReady, fault), left())),
    }
}

fn plan_records(
    subject: &Subject<'_>,
    status: &SendingDomainStatus,
    seen: &Observation,
    actions: &mut Vec<Action>,
    faults: &mut Vec<(Blocker, String)>,
) {
    let left = || {
        let names: Vec<String> = status.records.iter().map(|r| format!("{} {}", r.record_type, r.name)).collect();
        let zone = status.dns.as_ref().and_then(|d| d.zone_name.as_deref()).unwrap_or("the zone of the domain");
        format!("records of {} in {zone} at Cloudflare: {}", subject.spec.domain, names.join(", "))
    };
    let failed = |fault: &Fault| (Blocker::from_fault(RecordsSynced, fault), left());
    match &seen.zone {
        Observed::Known(view) => {
            let changes = records::deletions(&view.records, subject.mark);
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
        Observed::Unavailable(_) if status.dns.as_ref().is_none_or(|d| d.zone_id.is_none()) => {}
        Observed::Unavailable(fault) => faults.push(failed(fault)),
    }
}

/// True for faults that only a person can mend. Throttling and outages are waited for.
fn is_hopeless(reason: Reason) -> bool {
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
            | Reason::AWSRequestRejected
            | Reason::RecordRejected
    )
}
