//! Each condition by an ordered chain of checks, of which the first that fails gives the reason.

use super::Report;
use super::awaited::{awaited, found, rearm_was_refused};
use super::ses_view::SesView;
use crate::api::condition::ConditionStatus;
use crate::api::condition::ConditionType::{self, DkimVerified, IdentityReady, MailFromVerified, RecordsSynced};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{RecordPurpose, RecordState, RecordStatus, SendingDomainStatus};
use crate::observe::observation::{Fault, Observed};
use crate::plan::rearm::Part;
use crate::plan::{Action, Step};
use crate::ses::identity::{DKIM_TOKENS, SesStatus};

/// One condition on its way: `Ok` for True.
pub(super) type Check = Result<String, Unmet>;

/// A condition that is not True.
#[derive(Clone, Debug)]
pub(super) struct Unmet {
    pub(super) status: ConditionStatus,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Unmet {
    pub(super) fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::False, reason, message: message.into() }
    }

    pub(super) fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self { status: ConditionStatus::Unknown, reason, message: message.into() }
    }
}

pub(super) fn provider_fault<'a>(report: &Report<'a>) -> Option<&'a Fault> {
    report.seen.zone.fault().or_else(|| report.seen.endpoint.fault())
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

pub(super) fn identity_ready(report: &Report<'_>) -> Check {
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

pub(super) fn records_synced(report: &Report<'_>) -> Check {
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

pub(super) fn dns_verified(status: &SendingDomainStatus, report: &Report<'_>) -> Check {
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

pub(super) fn dkim_verified(old: &SendingDomainStatus, status: &SendingDomainStatus, report: &Report<'_>) -> Check {
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

pub(super) fn mail_from_verified(
    old: &SendingDomainStatus,
    status: &SendingDomainStatus,
    report: &Report<'_>,
) -> Check {
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
