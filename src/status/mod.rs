//! What to tell the user: a plain function of the old status, of what was seen, planned and done, and of the time.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod awaited;
mod checks;
pub mod conditions;
mod dmarc;
mod dns;
pub mod events;
mod recommendations;
mod records;
pub mod schedule;
mod ses_view;
mod verification;

pub use self::records::looked_up;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::condition::{ConditionType, is_true};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{IdentityStatus, Phase, SendingDomainStatus, VerificationStatus};
use crate::error::ErrorClass;
use crate::execute::Outcome;
use crate::observe::observation::{Fault, Observation, Observed};
use crate::ownership::Ownership;
use crate::plan::{Action, Plan, Step, Subject};
use crate::ses::identity::Identity;
use crate::text::printable;

/// Everything that a status is made from.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    /// The object and the settings that concern it.
    pub subject: &'a Subject<'a>,
    /// The generation of the spec that was acted on.
    pub generation: i64,
    /// The annotation `reconcile-at`.
    pub reconcile_at: Option<&'a str>,
    /// What was seen.
    pub seen: &'a Observation,
    /// What was planned.
    pub plan: &'a Plan,
    /// What was done.
    pub outcome: &'a Outcome,
    /// `spec.verificationTimeout`.
    pub timeout: SignedDuration,
    /// When.
    pub now: Timestamp,
}

impl<'a> Report<'a> {
    /// The identity, if it is ours: nothing of another's is ever shown.
    fn identity(&self) -> Option<&'a Identity> {
        if self.outcome.done.contains(&Action::DeleteIdentity) {
            return None;
        }
        let identity = self.seen.identity.known()?.as_ref()?;
        matches!(self.subject.mark.ownership(&identity.tags), Ownership::Ours(_)).then_some(identity)
    }

    /// True if SES could not be asked, so that the last answer stands.
    fn identity_is_unavailable(&self) -> bool {
        matches!(self.seen.identity, Observed::Unavailable(_))
    }

    /// What kept SES from being asked, if it does not pass by itself.
    fn lasting_fault(&self) -> Option<&'a Fault> {
        self.seen.identity.fault().filter(|fault| !matches!(fault.class, ErrorClass::Transient { .. }))
    }

    /// The generation that the status of an object that was as `old` speaks of: one that is Ready stays so while its spec
    /// cannot be compared with SES or a change waits for its turn, and must not be taken for Ready by a spec that nobody
    /// has acted on.
    fn generation_acted_on(&self, old: &SendingDomainStatus) -> i64 {
        let is_acted_on = !self.identity_is_unavailable() && !self.plan.postponed && !self.waits_for_its_turn();
        if is_acted_on || !was_ready(old) { self.generation } else { old.observed_generation }
    }

    /// True if a change of the identity stands in the line before SES.
    fn waits_for_its_turn(&self) -> bool {
        self.outcome.faults.iter().any(|(step, fault)| {
            matches!(step, Step::Attributes | Step::Keys | Step::MailFrom)
                && fault.reason == Reason::WaitingForSESBudget
        })
    }
}

/// The new status. What could not be read keeps its last verdict.
pub fn compute(old: &SendingDomainStatus, report: &Report<'_>) -> SendingDomainStatus {
    let generation = report.generation_acted_on(old);
    let mut status = SendingDomainStatus {
        observed_generation: generation,
        phase: None,
        records_found: old.records_found.clone(),
        conditions: old.conditions.clone(),
        identity: old.identity.clone(),
        dns: Some(dns::status(old, report)),
        records: old.records.clone(),
        verification: old.verification.clone(),
        recommendations: old.recommendations.clone(),
        last_handled_reconcile_at: handled(old, report),
    };
    if !report.identity_is_unavailable() {
        status.identity =
            report.identity().map(|identity| identity_status(identity, report)).or_else(|| region_only(old));
        status.records = records::all(report);
        status.records_found = records::found(&status.records, report);
        status.verification = verification::verification(old, report);
        status.recommendations = recommendations::recommendations(report);
    }
    let judged = conditions::judge(old, &status, report);
    status.conditions = crate::api::condition::merge(&old.conditions, &judged.conditions, generation, report.now);
    status.phase = Some(judged.phase);
    if let Some(verification) = &mut status.verification
        && judged.phase == Phase::Verified
    {
        verification.verified_at.get_or_insert(Time(report.now));
        (verification.rearms, verification.dkim_rearmed_at, verification.mail_from_rearmed_at) = (0, None, None);
    }
    if judged.phase == Phase::Pending
        && status.has_identity()
        && let Some(attempt) = &mut status.verification
        && verification::is_nearly_over(attempt, report.now)
    {
        attempt.warned_at.get_or_insert(Time(report.now));
    }
    status
}

/// The status to write before the records are: it names the place to which they go for the first time. Without it, a crash
/// right after the write and a change of the spec would leave records of which nobody knows. `None` if it says so already.
pub fn ahead(old: &SendingDomainStatus, report: &Report<'_>) -> Option<SendingDomainStatus> {
    let writes = !report.plan.gives_way && report.plan.actions.iter().any(|a| a.step() == Step::Records);
    let dns = writes.then(|| dns::status(old, report)).filter(|dns| old.dns.as_ref() != Some(dns));
    // Likewise that the domain is left to another: with the identity goes what would tell it.
    let left = old.verification.as_ref().filter(|v| report.plan.gives_way && v.yielded_at.is_none());
    let left = left.map(|v| VerificationStatus { yielded_at: verification::yielded_at(v, report.now), ..v.clone() });
    if dns.is_none() && left.is_none() {
        return None;
    }
    Some(SendingDomainStatus {
        dns: dns.or_else(|| old.dns.clone()),
        verification: left.or_else(|| old.verification.clone()),
        ..old.clone()
    })
}

/// The status of a suspended object: it follows the generation, an existing Ready stays, and nothing is under way.
pub fn suspended(old: &SendingDomainStatus, generation: i64, now: Timestamp) -> SendingDomainStatus {
    let mut status = SendingDomainStatus { observed_generation: generation, ..old.clone() };
    if crate::api::condition::find(&old.conditions, ConditionType::Ready).is_none() {
        status.phase = Some(Phase::Pending);
        status.conditions =
            crate::api::condition::merge(&old.conditions, &[conditions::suspended_ready()], generation, now);
        return status;
    }
    let under_way = [ConditionType::Reconciling, ConditionType::Stalled];
    status.conditions.retain(|c| under_way.iter().all(|t| t.as_str() != c.type_));
    for condition in &mut status.conditions {
        if ConditionType::ALL.iter().any(|t| t.as_str() == condition.type_) {
            condition.observed_generation = Some(generation);
        }
    }
    status
}

/// The status of an object whose deletion cannot go on.
pub fn cleanup_blocked(
    old: &SendingDomainStatus,
    generation: i64,
    message: &str,
    identity_is_gone: bool,
    now: Timestamp,
) -> SendingDomainStatus {
    let verdicts = conditions::cleanup_blocked(&old.conditions, message, identity_is_gone);
    SendingDomainStatus {
        identity: if identity_is_gone { region_only(old) } else { old.identity.clone() },
        observed_generation: generation,
        phase: Some(Phase::Pending),
        conditions: crate::api::condition::merge(&old.conditions, &verdicts, generation, now),
        ..old.clone()
    }
}

/// A request is handled when nothing that it asked for has failed or is still to come.
fn handled(old: &SendingDomainStatus, report: &Report<'_>) -> Option<String> {
    // What the spec has left may be out of reach for ever.
    let asked_for = |step: Step| !matches!(step, Step::Left(_) | Step::Endpoint);
    let failed = report.outcome.faults.iter().any(|(step, _)| asked_for(*step));
    let done = !failed && !report.plan.postponed && !report.outcome.dry_run && !report.identity_is_unavailable();
    if done { report.reconcile_at.map(str::to_owned) } else { old.last_handled_reconcile_at.clone() }
}

/// The region stays when the identity does not: the next one is made there, and clean-up looks there.
fn region_only(old: &SendingDomainStatus) -> Option<IdentityStatus> {
    let region = old.identity.as_ref()?.region.clone()?;
    Some(IdentityStatus { region: Some(region), ..IdentityStatus::default() })
}

fn identity_status(identity: &Identity, report: &Report<'_>) -> IdentityStatus {
    let origin = match report.subject.mark.ownership(&identity.tags) {
        Ownership::Ours(origin) => Some(origin),
        Ownership::Foreign | Ownership::Unmarked => None,
    };
    let text = |value: &str| printable(value, 64);
    IdentityStatus {
        region: Some(report.subject.region.to_owned()),
        origin,
        dkim_tokens: identity.dkim.tokens.clone(),
        dkim_signing_hosted_zone: (!identity.dkim.tokens.is_empty())
            .then(|| printable(&identity.dkim_hosted_zone(report.subject.region), 253)),
        verification_status: identity.verification.as_ref().map(|s| text(s.as_str())),
        dkim_status: Some(text(identity.dkim.status.as_str())),
        mail_from_status: identity.mail_from.as_ref().map(|m| text(m.status.as_str())),
        error: identity.error.as_deref().map(text),
        mail_from_domain: identity.mail_from.as_ref().map(|m| printable(&m.domain, 253)),
        sending_enabled: Some(identity.verified_for_sending),
    }
}

/// True if the object was Ready before.
pub fn was_ready(old: &SendingDomainStatus) -> bool {
    is_true(&old.conditions, ConditionType::Ready)
}
