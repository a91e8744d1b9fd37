//! How the status of DKIM and MAIL FROM changes with what SES finds in DNS, and with time.
//!
//! Pure: the clock and the findings are arguments.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The statuses that SES v2 has for DKIM and for an identity; MAIL FROM has all but `NOT_STARTED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are those of the SES v2 API")]
pub enum Status {
    NotStarted,
    Pending,
    Success,
    Failed,
    TemporaryFailure,
}

/// Why a look did not find what it looked for: the values of `VerificationInfo.ErrorType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are those of the SES v2 API")]
pub enum LookError {
    HostNotFound,
    TypeNotFound,
    InvalidValue,
    DnsServerError,
}

/// What one look means for one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it must be.
    Right,
    /// Not there, or something else is.
    Wrong(LookError),
    /// So wrong that SES does not wait for it to get better: more than one MX.
    Hopeless(LookError),
    /// No answer; says nothing about the records.
    Unknown(LookError),
}

impl Verdict {
    /// Of several records that must all be right: one that is wrong decides, then one that is unknown.
    pub(super) fn of_all(verdicts: &[Verdict]) -> Verdict {
        let wrong = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Wrong(_) | Verdict::Hopeless(_)));
        let unknown = verdicts.iter().find(|verdict| matches!(verdict, Verdict::Unknown(_)));
        wrong.or(unknown).copied().unwrap_or(Verdict::Right)
    }

    pub(super) fn error(self) -> Option<LookError> {
        match self {
            Verdict::Right => None,
            Verdict::Wrong(error) | Verdict::Hopeless(error) | Verdict::Unknown(error) => Some(error),
        }
    }
}

/// A status with the moment from which its 72 hours count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) status: Status,
    since: Timestamp,
}

impl Process {
    /// A search that begins now.
    pub(super) fn start(now: Timestamp) -> Self {
        Self::at(Status::Pending, now)
    }

    pub(super) fn at(status: Status, since: Timestamp) -> Self {
        Self { status, since }
    }

    /// Whether SES looks at all; what has FAILED is not looked at again.
    pub(super) fn is_watched(self) -> bool {
        matches!(self.status, Status::Pending | Status::Success | Status::TemporaryFailure)
    }

    /// When SES gives up, if nothing gets better until then.
    pub(super) fn deadline(self, window: Duration) -> Option<Timestamp> {
        matches!(self.status, Status::Pending | Status::TemporaryFailure).then(|| self.since + window)
    }

    /// The process after a look.
    pub(super) fn judged(self, verdict: Verdict, now: Timestamp, window: Duration) -> Self {
        let overdue = self.deadline(window).is_some_and(|deadline| now >= deadline);
        match (self.status, verdict) {
            (Status::Failed | Status::NotStarted, _) | (Status::Success, Verdict::Right) => self,
            (_, Verdict::Right) => Self::at(Status::Success, now),
            // Set-up never worked, so there is nothing to wait for.
            (Status::Pending, Verdict::Hopeless(_)) => Self::at(Status::Failed, now),
            (Status::Success, Verdict::Wrong(_) | Verdict::Hopeless(_)) => Self::at(Status::TemporaryFailure, now),
            (Status::Pending | Status::TemporaryFailure, _) if overdue => Self::at(Status::Failed, now),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_hours(72);
    const WRONG: Verdict = Verdict::Wrong(LookError::HostNotFound);
    const UNKNOWN: Verdict = Verdict::Unknown(LookError::DnsServerError);
    const HOPELESS: Verdict = Verdict::Hopeless(LookError::InvalidValue);

    fn judged(status: Status, verdict: Verdict, hours: u64) -> Status {
        let start = Timestamp::UNIX_EPOCH;
        let now = start + Duration::from_hours(hours);
        Process::at(status, start).judged(verdict, now, WINDOW).status
    }

    #[test]
    fn statuses_follow_the_findings_and_the_clock() {
        use Status::{Failed, Pending, Success, TemporaryFailure};
        for (status, verdict, hours, expected) in [
            (Pending, Verdict::Right, 1, Success),
            (Pending, WRONG, 71, Pending),
            (Pending, WRONG, 72, Failed),
            (Pending, UNKNOWN, 72, Failed),
            (Pending, HOPELESS, 1, Failed),
            (Pending, Verdict::Right, 72, Success),
            (Success, WRONG, 500, TemporaryFailure),
            (Success, HOPELESS, 500, TemporaryFailure),
            (Success, UNKNOWN, 500, Success),
            (TemporaryFailure, WRONG, 71, TemporaryFailure),
            (TemporaryFailure, HOPELESS, 71, TemporaryFailure),
            (TemporaryFailure, WRONG, 72, Failed),
            (TemporaryFailure, Verdict::Right, 71, Success),
            (Failed, Verdict::Right, 1, Failed),
        ] {
            assert_eq!(judged(status, verdict, hours), expected, "{status:?} {verdict:?} after {hours} h");
        }
    }

    #[test]
    fn a_lost_record_gets_its_own_72_hours() {
        let start = Timestamp::UNIX_EPOCH;
        let lost = start + Duration::from_hours(1000);
        let process = Process::at(Status::Success, start).judged(WRONG, lost, WINDOW);
        assert_eq!(process.deadline(WINDOW), Some(lost + WINDOW));
    }

    #[test]
    fn what_is_certainly_wrong_outweighs_what_is_unknown() {
        assert_eq!(Verdict::of_all(&[Verdict::Right, UNKNOWN, WRONG]), WRONG);
        assert_eq!(Verdict::of_all(&[Verdict::Right, UNKNOWN]), UNKNOWN);
        assert_eq!(Verdict::of_all(&[Verdict::Right; 3]), Verdict::Right);
    }
}
