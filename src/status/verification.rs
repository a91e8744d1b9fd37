//! The clock of the verification: when the current attempt began, when it is over, and what came before it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::Report;
use crate::api::condition::{ConditionType, is_true};
use crate::api::v1alpha1::{SendingDomainStatus, VerificationStatus};
use crate::dns::judge;
use crate::plan::rearm::Part;
use crate::ses::identity::{DKIM_TOKENS, Identity};

/// What could not be asked of SES together is one attempt within this time.
const ONE_ATTEMPT: SignedDuration = SignedDuration::from_hours(1);

/// The attempt as it stands now. The clock starts with the identity, and starts again when SES is asked to look again, when
/// the tokens change, and when DNS becomes right after the deadline.
pub(super) fn verification(old: &SendingDomainStatus, report: &Report<'_>) -> Option<VerificationStatus> {
    let Some(identity) = report.identity() else { return spent(old, report) };
    let before = old.verification.as_ref();
    let first_verified_at = before
        .and_then(|v| v.first_verified_at.clone().or_else(|| v.verified_at.clone()))
        .or_else(|| (identity.is_dkim_verified() || identity.verified_for_sending).then_some(Time(report.now)));
    let first_started_at = match before.filter(|v| v.yielded_at.is_none()) {
        Some(attempt) => attempt.first_started_at.clone(),
        None => (!Part::Dkim.has_failed(identity)).then_some(Time(report.now)),
    };
    let deadline = |start: Timestamp| Time(start.checked_add(report.timeout).unwrap_or(Timestamp::MAX));
    let fresh = VerificationStatus {
        started_at: Time(report.now),
        deadline: deadline(report.now),
        verified_at: None,
        warned_at: None,
        yielded_at: None,
        first_verified_at: first_verified_at.clone(),
        first_started_at: first_started_at.clone(),
        dkim_rearmed_at: None,
        mail_from_rearmed_at: None,
        rearms: 0,
    };
    let Some(last) = before.filter(|_| old.has_identity() && !has_new_tokens(old, identity)) else {
        return Some(fresh);
    };
    let again = VerificationStatus {
        dkim_rearmed_at: last.dkim_rearmed_at.clone(),
        mail_from_rearmed_at: last.mail_from_rearmed_at.clone(),
        rearms: last.rearms,
        ..fresh
    };
    if let Some(attempt) = rearmed(last, &again, identity, report) {
        return Some(attempt);
    }
    if begins_again(old, last, identity, report) {
        return Some(again);
    }
    let yielded_at = if report.plan.gives_way { yielded_at(last, report.now) } else { None };
    let deadline = deadline(last.started_at.0);
    Some(VerificationStatus { deadline, yielded_at, first_verified_at, first_started_at, ..last.clone() })
}

/// True if SES signs with other keys than before. It may list them in any order, and for a moment not all.
fn has_new_tokens(old: &SendingDomainStatus, identity: &Identity) -> bool {
    let known = old.identity.iter().flat_map(|known| &known.dkim_tokens);
    let tokens = &identity.dkim.tokens;
    tokens.len() == DKIM_TOKENS && known.into_iter().any(|token| !tokens.contains(token))
}

/// The attempt that begins, as `again`, with SES having been asked to look again; or the `last` one, if this is the part of
/// it that could not be asked for at once.
fn rearmed(
    last: &VerificationStatus,
    again: &VerificationStatus,
    identity: &Identity,
    report: &Report<'_>,
) -> Option<VerificationStatus> {
    let is_rearmed = |part: &Part| report.outcome.done.iter().any(|action| part.is_rearmed_by(action, identity));
    let parts: Vec<Part> = Part::ALL.into_iter().filter(is_rearmed).collect();
    if parts.is_empty() {
        return None;
    }
    let is_owed = |part: &Part| part.rearmed_at(last).is_none_or(|at| at < last.started_at.0);
    let completes =
        last.rearms > 0 && parts.iter().all(is_owed) && report.now.duration_since(last.started_at.0) < ONE_ATTEMPT;
    let mut attempt = if completes {
        last.clone()
    } else {
        VerificationStatus { rearms: last.rearms.saturating_add(1), ..again.clone() }
    };
    for part in parts {
        let at = match part {
            Part::Dkim => &mut attempt.dkim_rearmed_at,
            Part::MailFrom => &mut attempt.mail_from_rearmed_at,
        };
        *at = Some(Time(report.now));
    }
    Some(attempt)
}

/// True if a first verification that is overdue, and for which SES looks still, gets its time anew: DNS has become right, or
/// the user asks. SES has nothing to be asked for then.
fn begins_again(
    old: &SendingDomainStatus,
    last: &VerificationStatus,
    identity: &Identity,
    report: &Report<'_>,
) -> bool {
    let is_overdue = last.verified_at.is_none() && report.now >= last.deadline.0 && !identity.has_failed();
    let wanted = &report.plan.wanted;
    let is_right = || !wanted.is_empty() && judge::all_found(wanted, &report.seen.lookups);
    let turned_right = || !is_true(&old.conditions, ConditionType::DnsVerified) && is_right();
    is_overdue && !report.plan.gives_way && (report.subject.reconcile_requested || turned_right())
}

/// True if no more than a quarter of the time of a first verification is left.
pub(super) fn is_nearly_over(attempt: &VerificationStatus, now: Timestamp) -> bool {
    let quarter = attempt.deadline.0.duration_since(attempt.started_at.0) / 4;
    attempt.verified_at.is_none() && attempt.deadline.0.duration_since(now) <= quarter
}

/// When the object left its domain to another: with the first thing that it takes away for that.
pub(super) fn yielded_at(attempt: &VerificationStatus, now: Timestamp) -> Option<Time> {
    attempt.yielded_at.clone().or(Some(Time(now)))
}

/// What is known of the attempts of an object that has no identity now, as long as anybody else wants the domain: it
/// decides who comes first.
fn spent(old: &SendingDomainStatus, report: &Report<'_>) -> Option<VerificationStatus> {
    let last = old.verification.clone().filter(|_| report.seen.claim.rivals)?;
    let first_verified_at = last.first_verified_at.clone().or_else(|| last.verified_at.clone());
    Some(VerificationStatus { verified_at: None, warned_at: None, first_verified_at, ..last })
}
