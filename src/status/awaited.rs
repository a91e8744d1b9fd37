//! Where a part of the verification stands that SES has not verified, in the words that DKIM and MAIL FROM share.

use super::Report;
use super::checks::Unmet;
use crate::api::RECONCILE_AT;
use crate::api::condition::ConditionType::{self, DnsVerified};
use crate::api::condition::{find, is_true};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{RecordPurpose, RecordState, SendingDomainStatus};
use crate::dns::judge;
use crate::plan::rearm::Part;
use crate::ses::identity::SesStatus;

/// Where a part of the verification stands, in the words that DKIM and MAIL FROM share.
pub(super) fn awaited(
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
pub(super) fn given_up(part: Part, status: &SendingDomainStatus, report: &Report<'_>) -> String {
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
pub(super) fn found(status: &SendingDomainStatus, purpose: RecordPurpose, report: &Report<'_>) -> bool {
    let mut records = status.records.iter().filter(|r| r.purpose == purpose).peekable();
    records.peek().is_some() && records.all(|r| r.state == RecordState::Found || !report.seen.dns_check)
}

/// A re-arm of `part`, the condition of which is `kind`, that SES has not taken within an hour, DNS being right all the while.
/// It stays refused through the next tries.
pub(super) fn rearm_was_refused(
    old: &SendingDomainStatus,
    part: Part,
    kind: ConditionType,
    report: &Report<'_>,
) -> bool {
    let before = find(&old.conditions, kind).is_some_and(|c| c.reason == Reason::RearmRefused.as_str());
    let asked = old.verification.as_ref().and_then(|attempt| part.rearmed_at(attempt));
    let waited = asked.is_some_and(|asked| report.now.duration_since(asked).as_hours() >= 1)
        && is_true(&old.conditions, DnsVerified);
    (waited || before) && judge::all_found(&report.plan.wanted, &report.seen.lookups)
}
