//! The conditions and the phase: what the checks say, what stands while nobody can be asked, and what has failed or is lost.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::checks::{
    Check, Unmet, dkim_verified, dns_verified, identity_ready, mail_from_verified, provider_fault, records_synced,
};
use super::{Report, was_ready};
use crate::api::condition::ConditionType::{
    DkimVerified, DnsVerified, IdentityReady, MailFromVerified, Ready, Reconciling, RecordsSynced, Stalled,
};
use crate::api::condition::{ConditionStatus, ConditionType, Verdict, find};
use crate::api::reason::{Reason, ReasonClass};
use crate::api::v1alpha1::{DnsProvider, Phase, RecordPurpose, RecordState, SendingDomainStatus};
use crate::error::ErrorClass;
use crate::ses::identity::{Identity, SesStatus};

/// The conditions and the phase they make.
pub struct Judged {
    /// In the order of the status.
    pub conditions: Vec<(ConditionType, Verdict)>,
    /// The phase.
    pub phase: Phase,
}

/// Judges every condition. `status` holds the records and the verification of this pass already.
pub fn judge(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> Judged {
    let failed = has_failed(old, status, report);
    let mut checks = checks(old, status, report);
    if failed {
        for (_, check, _) in &mut checks {
            give_up_waiting(check, status);
        }
    } else if is_lost(status, report) {
        // The provider's part has reasons of its own.
        for (_, check, _) in checks.iter_mut().filter(|(t, _, _)| *t != RecordsSynced) {
            tell_loss(check);
        }
    }

    let needed = |t: &ConditionType| matches!(t, IdentityReady | DkimVerified | MailFromVerified);
    let spf_is_wrong = status
        .records
        .iter()
        .any(|r| r.purpose == RecordPurpose::Spf && matches!(r.state, RecordState::Missing | RecordState::Incorrect));
    let met =
        !spf_is_wrong && checks.iter().all(|(t, check, _)| !needed(t) || check.is_ok() || stands(old, report, check));
    // That nobody looks is no reason to wait.
    let first = checks
        .iter()
        .find_map(|(_, check, _)| check.as_ref().err().filter(|unmet| unmet.reason != Reason::CheckDisabled).cloned());
    let ready = match first {
        _ if met => Ok(format!("{} is verified: mail can be sent", report.subject.spec.domain)),
        Some(unmet) => Err(Unmet { status: ConditionStatus::False, ..unmet }),
        None => Err(Unmet::no(Reason::Progressing, "The next step is under way")),
    };
    let phase = match &ready {
        Ok(_) => Phase::Verified,
        Err(_) if failed => Phase::Failed,
        Err(_) => Phase::Pending,
    };
    let mut conditions = vec![(Ready, verdict(&ready, Reason::Verified))];
    conditions.extend(checks.iter().map(|(t, check, reason)| (*t, verdict(check, *reason))));
    if let Err(unmet) = &ready {
        let stalled = failed || unmet.reason.class() == ReasonClass::Terminal;
        let condition = if stalled { Stalled } else { Reconciling };
        let verdict =
            Verdict { status: ConditionStatus::True, reason: unmet.reason.as_str(), message: unmet.message.clone() };
        conditions.push((condition, verdict));
    }
    Judged { conditions, phase }
}

/// Each condition but Ready, with the reason that it has when it is True.
fn checks(
    old: &SendingDomainStatus,
    status: &SendingDomainStatus,
    report: &Report<'_>,
) -> Vec<(ConditionType, Check, Reason)> {
    let kept = |condition_type, check| kept(old, condition_type, report, check);
    let mut checks = vec![(IdentityReady, kept(IdentityReady, identity_ready(report)), Reason::Synced)];
    if !matches!(report.subject.spec.dns_provider(), DnsProvider::Manual) {
        checks.push((RecordsSynced, kept(RecordsSynced, records_synced(report)), Reason::Synced));
    }
    checks.extend(
        [
            (DnsVerified, dns_verified(status, report)),
            (DkimVerified, dkim_verified(old, status, report)),
            (MailFromVerified, mail_from_verified(old, status, report)),
        ]
        .map(|(condition_type, check)| (condition_type, kept(condition_type, check), Reason::Verified)),
    );
    checks
}

/// Ready of an object that was suspended before it was ever reconciled.
pub fn suspended_ready() -> (ConditionType, Verdict) {
    let message = "Suspended before the first reconciliation; set spec.suspend to false to begin".to_owned();
    (Ready, Verdict { status: ConditionStatus::False, reason: Reason::Suspended.as_str(), message })
}

/// The conditions of an object whose deletion cannot go on: what SES has said goes with the identity, the others stay as
/// they were.
pub fn cleanup_blocked(old: &[Condition], message: &str, identity_is_gone: bool) -> Vec<(ConditionType, Verdict)> {
    let reason = Reason::CleanupBlocked.as_str();
    let blocked = |status| Verdict { status, reason, message: message.to_owned() };
    let mut verdicts = vec![(Ready, blocked(ConditionStatus::False))];
    let gone = || Verdict {
        status: ConditionStatus::False,
        reason: Reason::TakenAway.as_str(),
        message: "SES does not have the identity any more".to_owned(),
    };
    for condition_type in [IdentityReady, RecordsSynced, DnsVerified, DkimVerified, MailFromVerified] {
        if identity_is_gone && matches!(condition_type, IdentityReady | DkimVerified | MailFromVerified) {
            verdicts.push((condition_type, gone()));
            continue;
        }
        verdicts.extend(find(old, condition_type).and_then(as_it_was).map(|v| (condition_type, v)));
    }
    verdicts.push((Reconciling, blocked(ConditionStatus::True)));
    verdicts
}

fn as_it_was(condition: &Condition) -> Option<Verdict> {
    let status = match condition.status.as_str() {
        "True" => ConditionStatus::True,
        "False" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    let reason = reason_of(condition)?;
    Some(Verdict { status, reason: reason.as_str(), message: condition.message.clone() })
}

fn verdict(check: &Check, reason: Reason) -> Verdict {
    match check {
        Ok(message) => Verdict { status: ConditionStatus::True, reason: reason.as_str(), message: message.clone() },
        Err(unmet) => Verdict { status: unmet.status, reason: unmet.reason.as_str(), message: unmet.message.clone() },
    }
}

/// What was said last stands while SES cannot be asked: an outage is no loss of verification. Only IdentityReady tells of
/// it, of an object that is Ready only if it does not pass by itself; and RecordsSynced tells of the provider's own faults.
fn kept(old: &SendingDomainStatus, condition_type: ConditionType, report: &Report<'_>, check: Check) -> Check {
    let tells = match condition_type {
        IdentityReady => !was_ready(old) || report.lasting_fault().is_some(),
        RecordsSynced => {
            provider_fault(report).is_some_and(|fault| !matches!(fault.class, ErrorClass::Transient { .. }))
        }
        _ => false,
    };
    match find(&old.conditions, condition_type).and_then(|condition| Some((condition, reason_of(condition)?))) {
        Some((condition, reason)) if report.identity_is_unavailable() && !tells => match condition.status.as_str() {
            "True" => Ok(condition.message.clone()),
            "False" => Err(Unmet::no(reason, condition.message.clone())),
            _ => Err(Unmet::unknown(reason, condition.message.clone())),
        },
        _ => check,
    }
}

/// True if a Ready object stays so although `check` is not met: what AWS does not tell any more was so when it did. A
/// suspended account sends nothing.
fn stands(old: &SendingDomainStatus, report: &Report<'_>, check: &Check) -> bool {
    let sends = check.as_ref().err().is_some_and(|unmet| unmet.reason != Reason::AWSAccountSuspended);
    sends && was_ready(old) && report.identity_is_unavailable()
}

fn reason_of(condition: &Condition) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|r| r.as_str() == condition.reason)
}

/// Once failed, nobody waits any more: what is still missing is what has to be mended.
fn give_up_waiting(check: &mut Check, status: &SendingDomainStatus) {
    let Err(unmet) = check else { return };
    if matches!(unmet.reason, Reason::WaitingForDNS | Reason::WaitingForSES) {
        unmet.reason = Reason::VerificationFailed;
        let attempt = status.verification.as_ref();
        let what = match attempt.map(|v| (&v.verified_at, v.started_at.0)) {
            Some((Some(_), _)) => {
                "The domain was verified, and has not been so for longer than spec.verificationTimeout; it recovers by itself \
                 once DNS is right"
                    .to_owned()
            }
            Some((None, started)) => {
                format!("Verification failed (begun {started}); it begins again by itself once DNS is right")
            }
            None => "Verification failed; it begins again by itself once DNS is right".to_owned(),
        };
        unmet.message = format!("{what}. {}", unmet.message);
    }
}

/// Once lost, the reason is the loss and not the wait.
fn tell_loss(check: &mut Check) {
    let Err(unmet) = check else { return };
    if matches!(unmet.reason, Reason::WaitingForDNS | Reason::WaitingForSES | Reason::Progressing) {
        unmet.reason = Reason::VerificationLost;
        unmet.message = format!("SES does not find the records of this verified domain any more. {}", unmet.message);
    }
}

/// SES had verified the domain and does not find its records now, but has not given up.
fn is_lost(status: &SendingDomainStatus, report: &Report<'_>) -> bool {
    let was_verified = status.verification.as_ref().is_some_and(|v| v.verified_at.is_some());
    let is_lost = |s: &SesStatus| *s == SesStatus::TemporaryFailure;
    was_verified
        && report.identity().is_some_and(|identity| {
            identity.verification.as_ref().is_some_and(is_lost)
                || is_lost(&identity.dkim.status)
                || identity.mail_from.as_ref().is_some_and(|m| is_lost(&m.status))
        })
}

/// A verified domain that is not Ready for as long as a verification may take, though SES does not say so itself.
fn is_broken_for_long(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> bool {
    let was_verified = status.verification.as_ref().is_some_and(|v| v.verified_at.is_some());
    let broken = find(&old.conditions, Ready).filter(|ready| ready.status == "False");
    was_verified
        && report.identity().is_some()
        && !is_lost(status, report)
        && broken.is_some_and(|ready| report.now.duration_since(ready.last_transition_time.0) >= report.timeout)
}

/// SES has given up, a first verification has passed its deadline, or a later loss has lasted as long.
fn has_failed(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> bool {
    if report.identity_is_unavailable() && old.phase == Some(Phase::Failed) {
        return true;
    }
    let attempt = status.verification.as_ref().filter(|_| status.has_identity());
    let overdue = attempt.is_some_and(|v| v.verified_at.is_none() && report.now >= v.deadline.0);
    report.identity().is_some_and(Identity::has_failed) || overdue || is_broken_for_long(old, status, report)
}
