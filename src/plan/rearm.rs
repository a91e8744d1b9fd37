//! What SES has given up looking for, and when it is asked to look again: each part by itself, DKIM and MAIL FROM.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Action, Plan, Subject};
use crate::api::v1alpha1::{SendingDomainStatus, VerificationStatus};
use crate::dns::judge;
use crate::observe::observation::Observation;
use crate::ses::identity::{Identity, SesStatus};

/// A part of the verification that SES can give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The DKIM records, and with them the domain.
    Dkim,
    /// The MX of the MAIL FROM domain.
    MailFrom,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dkim, Self::MailFrom];

    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dkim => "DKIM",
            Self::MailFrom => "MAIL FROM",
        }
    }

    /// True if SES does not look for it any more.
    pub fn has_failed(self, identity: &Identity) -> bool {
        match self {
            Self::Dkim => identity.verification == Some(SesStatus::Failed) || identity.dkim.status == SesStatus::Failed,
            Self::MailFrom => identity.mail_from.as_ref().is_some_and(|m| m.status == SesStatus::Failed),
        }
    }

    /// When SES was last asked to look for it again, if it was in this run of attempts.
    pub fn rearmed_at(self, attempt: &VerificationStatus) -> Option<Timestamp> {
        let at = match self {
            Self::Dkim => &attempt.dkim_rearmed_at,
            Self::MailFrom => &attempt.mail_from_rearmed_at,
        };
        at.as_ref().map(|at| at.0)
    }

    /// True if `action` has SES look for it again, after it has given up on `identity`.
    pub fn is_rearmed_by(self, action: &Action, identity: &Identity) -> bool {
        let asks = match (self, action) {
            (Self::Dkim, Action::RestartDkim) => true,
            (Self::MailFrom, Action::SetMailFrom { domain, .. }) => {
                identity.mail_from.as_ref().is_some_and(|m| m.domain.eq_ignore_ascii_case(domain))
            }
            _ => false,
        };
        asks && self.has_failed(identity)
    }

    /// When it may be asked for again; `None` if it was not asked for again yet.
    pub fn next_rearm(self, attempt: &VerificationStatus) -> Option<Timestamp> {
        let hours = 1_i64 << (attempt.rearms - 1).clamp(0, 5);
        let last = self.rearmed_at(attempt)?;
        Some(last.checked_add(SignedDuration::from_hours(hours.min(24))).unwrap_or(Timestamp::MAX))
    }

    /// SES stops looking once it says FAILED. It is asked to look again when our own look-ups find everything right, or the
    /// user asks; the waits between tries double from an hour to a day.
    pub fn is_due(
        self,
        subject: &Subject<'_>,
        identity: &Identity,
        seen: &Observation,
        now: Timestamp,
        plan: &Plan,
    ) -> bool {
        if !self.has_failed(identity) {
            return false;
        }
        if subject.reconcile_requested {
            // A request that is not handled yet, since something else failed, must not have SES asked in every pass.
            return !self.was_rearmed_just_now(subject, now);
        }
        let required = || plan.wanted.iter().filter(|w| w.required);
        let right = required().next().is_some() && required().all(|w| judge::is_worth_trying(w, &seen.lookups));
        right && subject.verification.and_then(|attempt| self.next_rearm(attempt)).is_none_or(|next| now >= next)
    }

    /// True if SES was asked so lately that it is left alone, whoever asks.
    pub fn was_rearmed_just_now(self, subject: &Subject<'_>, now: Timestamp) -> bool {
        let last = subject.verification.and_then(|attempt| self.rearmed_at(attempt));
        last.is_some_and(|last| now.duration_since(last) < REQUESTED)
    }
}

/// How long a re-arm is left alone, whoever asks.
const REQUESTED: SignedDuration = SignedDuration::from_mins(1);

/// `status` as far as it can be true. It can be edited by hand, and a clock that starts before the object was `created`, or in
/// the future, would fail a domain that SES still looks at, or keep it from being taken up again.
pub fn believed(
    mut status: SendingDomainStatus,
    created: Timestamp,
    timeout: SignedDuration,
    now: Timestamp,
) -> SendingDomainStatus {
    if let Some(attempt) = &mut status.verification {
        let others = [&mut attempt.first_started_at, &mut attempt.dkim_rearmed_at, &mut attempt.mail_from_rearmed_at];
        for at in others.into_iter().flatten().chain([&mut attempt.started_at]) {
            *at = Time(at.0.max(created).min(now));
        }
        attempt.deadline = Time(attempt.started_at.0.checked_add(timeout).unwrap_or(Timestamp::MAX));
    }
    status
}
