//! The conditions, each by an ordered chain of checks of which the first that fails gives the reason.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::ses_view::SesView;
use super::{Report, was_ready};
use crate::api::RECONCILE_AT;
use crate::api::condition::ConditionType::{
    DkimVerified, DnsVerified, IdentityReady, MailFromVerified, Ready, Reconciling, RecordsSynced, Stalled,
};
use crate::api::condition::{ConditionStatus, ConditionType, Verdict, find, is_true};
use crate::api::reason::{Reason, ReasonClass};
use crate::api::v1alpha1::{DnsProvider, Phase, RecordPurpose, RecordState, RecordStatus, SendingDomainStatus};
use crate::error::ErrorClass;
use crate::observe::observation::{Fault, Observed};
use crate::plan::rearm::Part;
use crate::plan::{Action, Step};
use crate::ses::identity::{DKIM_TOKENS, Identity, SesStatus};

/// The conditions and the phase they make.
pub struct Judged {
    /// In the order of the status.
    pub conditions: Vec<(ConditionType, Verdict)>,
    /// The phase.
    pub phase: Phase,
}

/// One condition on its way: `Ok` for True.
type Check = Result<String, Unmet>;

/// A condition that is not True.
#[derive(Clone, Debug)]
struct Unmet {
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl Unmet {
    fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::False, reason, message: message.into() }
    }

    fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

/// Judges every condition. `status` holds the records and the verification of this pass already.
pub fn judge(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> Judged {
    let failed = has_failed(old, status, report);
    let mut checks: Vec<(ConditionType, Check, Reason)> =
        vec![(IdentityReady, kept(old, IdentityReady, report, identity_ready(report)), Reason::Synced)];
    if !matches!(report.subject.spec.dns_provider(), DnsProvider::Manual) {
        checks.push((RecordsSynced, kept(old, RecordsSynced, report, records_synced(report)), Reason::Synced));
    }
    checks.push((DnsVerified, kept(old, DnsVerified, report, dns_verified(status, report)), Reason::Verified));
    checks.push((DkimVerified, kept(old, DkimVerified, report, dkim_verified(old, status, report)), Reason::Verified));
    checks.push((
        MailFromVerified,
        kept(old, MailFromVerified, report, mail_from_verified(old, status, report)),
        Reason::Verified,
    ));
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

fn provider_fault<'a>(report: &Report<'a>) -> Option<&'a Fault> {
    report.seen.zone.fault().or_else(|| report.seen.endpoint.fault())
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

fn blocker(report: &Report<'_>, condition: ConditionType) -> Option<Unmet> {
    let found = report.plan.blockers.iter().find(|b| b.condition == condition)?;
    Some(Unmet::no(found.reason, found.message.clone()))
}

fn fault_of(report: &Report<'_>, step: Step) -> Option<Unmet> {
    let (_, fault) = report.outcome.faults.iter().find(|(s, _)| *s == step)?;
    Some(unmet_by(fault))
}

fn unmet_by(fault: &Fault) -> Unmet {
    Unmet::no(fault.reason, fault.message.clone())
}

fn under_way(report: &Report<'_>, step: Step) -> Option<Unmet> {
    // That SES looks again changes nothing of what it has.
    let shows = |a: &&Action| **a != Action::RestartDkim || report.outcome.dry_run;
    let action = report.plan.actions.iter().filter(|a| a.step() == step).find(shows)?;
    if report.outcome.dry_run {
        return Some(Unmet::no(Reason::DryRun, format!("The operator runs with --dry-run and would {action}")));
    }
    Some(Unmet::no(Reason::Progressing, format!("Under way: {action}")))
}

/// A change of the identity that could not be made. One that was made in this pass, or stands in the line before SES, stops
/// nothing meanwhile.
fn not_applied(report: &Report<'_>, step: Step) -> Option<Unmet> {
    let fault = fault_of(report, step).filter(|fault| fault.reason != Reason::WaitingForSESBudget);
    fault.or_else(|| under_way(report, step).filter(|_| report.outcome.dry_run))
}

fn identity_ready(report: &Report<'_>) -> Check {
    if let Observed::Unavailable(fault) = &report.seen.identity {
        return Err(Unmet { status: ConditionStatus::Unknown, ..unmet_by(fault) });
    }
    let unmet = fault_of(report, Step::Identity)
        .or_else(|| blocker(report, IdentityReady))
        .or_else(|| under_way(report, Step::Identity))
        .or_else(|| [Step::Attributes, Step::Keys].into_iter().find_map(|step| not_applied(report, step)));
    match (unmet, report.identity()) {
        (Some(unmet), _) => Err(unmet),
        (None, Some(identity)) if identity.dkim.tokens.len() == DKIM_TOKENS => {
            Ok(format!("SES has the identity in {}", report.subject.region))
        }
        (None, _) => Err(Unmet::no(Reason::Progressing, "The identity is being made")),
    }
}

fn records_synced(report: &Report<'_>) -> Check {
    let unmet = fault_of(report, Step::Records)
        .or_else(|| provider_fault(report).map(unmet_by))
        .or_else(|| blocker(report, RecordsSynced))
        .or_else(|| under_way(report, Step::Records));
    match (unmet, report.identity()) {
        (Some(unmet), _) => Err(unmet),
        (None, Some(identity)) if identity.dkim.tokens.len() == DKIM_TOKENS => Ok(match report.seen.zone.known() {
            Some(view) => format!("All records are in the Cloudflare zone {}", view.zone.name),
            None => "All records are handed over".to_owned(),
        }),
        (None, _) => {
            Err(Unmet::no(Reason::WaitingForSES, "The records are written when SES has handed out its DKIM tokens"))
        }
    }
}

fn dns_verified(status: &SendingDomainStatus, report: &Report<'_>) -> Check {
    if !report.seen.dns_check {
        return Err(Unmet::unknown(Reason::CheckDisabled, "Look-ups are switched off by --dns-check off"));
    }
    let required: Vec<&RecordStatus> = status.records.iter().filter(|r| r.required).collect();
    // Those of DKIM may not be known yet.
    let others = required.iter().filter(|r| r.purpose != RecordPurpose::Dkim).count();
    let wrong: Vec<&RecordStatus> =
        required.iter().copied().filter(|r| matches!(r.state, RecordState::Missing | RecordState::Incorrect)).collect();
    if let Some(first) = wrong.first() {
        return Err(Unmet::no(Reason::WaitingForDNS, waiting_for_dns(first, wrong.len(), others + DKIM_TOKENS)));
    }
    if required.len() - others != DKIM_TOKENS {
        return Err(Unmet::unknown(
            Reason::WaitingForSES,
            "The records are known when SES has handed out its DKIM tokens",
        ));
    }
    match required.iter().find(|r| r.state == RecordState::Unknown) {
        Some(unknown) => {
            let why = unknown.message.as_deref().unwrap_or("it was not looked up yet");
            Err(Unmet::unknown(Reason::WaitingForDNS, format!("{} {}: {why}", unknown.record_type, unknown.name)))
        }
        None => Ok(format!("All {} required records are in DNS", required.len())),
    }
}

fn waiting_for_dns(first: &RecordStatus, wrong: usize, required: usize) -> String {
    let advice = first.message.as_deref().unwrap_or("see .status.records");
    format!(
        "{wrong} of {required} required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 \
         hours. {} {}: {advice}",
        first.record_type, first.name
    )
}

/// Where a part of the verification stands, in the words that DKIM and MAIL FROM share.
fn awaited(
    part: Part,
    state: Option<&SesStatus>,
    records_found: bool,
    refused: bool,
    status: &SendingDomainStatus,
    report: &Report<'_>,
) -> Unmet {
    let name = part.as_str();
    match state {
        Some(SesStatus::Failed) if refused => Unmet::no(
            Reason::RearmRefused,
            format!(
                "SES still says FAILED for {name}, although DNS is right and SES was asked to look again; open a case with AWS, \
                 or set the annotation sendingdomain.dev/recreate-at for fresh DKIM tokens"
            ),
        ),
        Some(SesStatus::Failed) => Unmet::no(Reason::VerificationFailed, given_up(part, status, report)),
        _ if !records_found => Unmet::no(
            Reason::WaitingForDNS,
            format!("SES verifies {name} once its records are in DNS; see .status.records"),
        ),
        _ if !report.seen.dns_check => Unmet::no(
            Reason::WaitingForSES,
            format!(
                "Look-ups are switched off by --dns-check off, so SES alone judges: once the {name} records of .status.records \
                 are in DNS, SES finds them by itself, usually within 15 to 30 minutes, at most 72 hours"
            ),
        ),
        _ => Unmet::no(
            Reason::WaitingForSES,
            format!(
                "The {name} records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours"
            ),
        ),
    }
}

/// What becomes of a part that SES does not look for any more.
fn given_up(part: Part, status: &SendingDomainStatus, report: &Report<'_>) -> String {
    let name = part.as_str();
    let attempt = status.verification.as_ref();
    let asked = attempt.and_then(|attempt| Some((part.rearmed_at(attempt)?, part.next_rearm(attempt)?)));
    let Some((asked, next)) = asked else {
        return if report.seen.dns_check {
            format!("SES has given up looking for the {name} records; it is asked to look again once DNS is right")
        } else {
            format!(
                "SES has given up looking for the {name} records; once they are in DNS, set the annotation {RECONCILE_AT} to have \
                 it asked to look again"
            )
        };
    };
    let when = match next {
        _ if !report.seen.dns_check => format!("it is asked again when the annotation {RECONCILE_AT} is set"),
        next if next <= report.now => "it is asked again once DNS is right".to_owned(),
        next => {
            format!("it is asked again at {next} if DNS is right then, or when the annotation {RECONCILE_AT} is set")
        }
    };
    format!("SES was asked at {asked} to look for the {name} records again, and still says FAILED; {when}")
}

/// True if every record for `purpose` is in DNS. Without look-ups nobody knows better than SES.
fn found(status: &SendingDomainStatus, purpose: RecordPurpose, report: &Report<'_>) -> bool {
    let mut records = status.records.iter().filter(|r| r.purpose == purpose).peekable();
    records.peek().is_some() && records.all(|r| r.state == RecordState::Found || !report.seen.dns_check)
}

/// A re-arm of `part`, the condition of which is `kind`, that SES has not taken within an hour, DNS being right all the while.
/// It stays refused through the next tries.
fn rearm_was_refused(old: &SendingDomainStatus, part: Part, kind: ConditionType, report: &Report<'_>) -> bool {
    let before = find(&old.conditions, kind).is_some_and(|c| c.reason == Reason::RearmRefused.as_str());
    let asked = old.verification.as_ref().and_then(|attempt| part.rearmed_at(attempt));
    let waited = asked.is_some_and(|asked| report.now.duration_since(asked).as_hours() >= 1)
        && is_true(&old.conditions, DnsVerified);
    (waited || before) && crate::dns::judge::all_found(&report.plan.wanted, &report.seen.lookups)
}

fn dkim_verified(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> Check {
    let Some(identity) = report.identity() else {
        return Err(without_identity(report));
    };
    if identity.is_dkim_verified() {
        return Ok("SES has verified the domain by DKIM".to_owned());
    }
    let state = match &identity.verification {
        Some(SesStatus::Success) | None => Some(&identity.dkim.status),
        other => other.as_ref(),
    };
    let state = if identity.dkim.status == SesStatus::Failed { Some(&identity.dkim.status) } else { state };
    if state == Some(&SesStatus::Success) && !identity.dkim.signing_enabled {
        return Err(Unmet::no(Reason::Progressing, "DKIM signing is switched off at SES; it is being switched on"));
    }
    let refused = rearm_was_refused(old, Part::Dkim, DkimVerified, report);
    let mut unmet = awaited(Part::Dkim, state, found(status, RecordPurpose::Dkim, report), refused, status, report);
    if unmet.reason == Reason::WaitingForSES
        && let Some(look) = SesView(Some(identity)).last_look(report.seen)
    {
        unmet.message = format!("{}. {look}", unmet.message);
    }
    if identity.verification == Some(SesStatus::Success) && identity.dkim.status == SesStatus::Success {
        let message = "SES has verified the domain and does not let it send (VerifiedForSendingStatus is false); look at the \
                       account dashboard of SES, and open a case with AWS if nothing is to be mended there";
        return Err(Unmet::no(Reason::WaitingForSES, message));
    }
    if identity.verification == Some(SesStatus::Success) && identity.dkim.status == SesStatus::Pending {
        let message = format!("The DKIM keys are new, and SES keeps the domain verified meanwhile. {}", unmet.message);
        return Err(Unmet { message, ..unmet });
    }
    Err(unmet)
}

fn mail_from_verified(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> Check {
    let Some(identity) = report.identity() else {
        return Err(without_identity(report));
    };
    let domain = report.subject.spec.mail_from_domain();
    if identity.is_mail_from_verified(&domain) {
        return Ok(format!("SES has verified the MAIL FROM domain {domain}"));
    }
    let unmet = fault_of(report, Step::MailFrom)
        .or_else(|| blocker(report, MailFromVerified))
        .or_else(|| under_way(report, Step::MailFrom));
    if let Some(unmet) = unmet {
        return Err(unmet);
    }
    let state = identity.mail_from.as_ref().map(|m| &m.status);
    let refused = rearm_was_refused(old, Part::MailFrom, MailFromVerified, report);
    let records = found(status, RecordPurpose::BounceMx, report);
    Err(awaited(Part::MailFrom, state, records, refused, status, report))
}

fn without_identity(report: &Report<'_>) -> Unmet {
    match identity_ready(report) {
        Err(unmet) => Unmet { status: ConditionStatus::Unknown, ..unmet },
        Ok(_) => Unmet::unknown(Reason::Progressing, "The identity is being made"),
    }
}
