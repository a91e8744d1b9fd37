//! What can end a pass early. Faults of SES, Cloudflare and DNS do not: they are reported in status.

use std::time::Duration;

use crate::status::schedule;

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object changed meanwhile; it is looked at again.
    #[error("the object has changed meanwhile")]
    Conflict,
    /// The API server refused or did not answer.
    #[error("the API server: {0}")]
    Kube(#[source] Box<kube::Error>),
    /// The pass took too long.
    #[error("the pass took too long and was cut off")]
    TimedOut,
    /// The pass hit a defect of the operator.
    #[error("the pass hit a defect of the operator; please report it with the log")]
    Panicked,
    /// The object comes without what every stored object has.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

impl Error {
    /// Reads an error of a write: a failed test or a moved version is a conflict.
    pub fn of_write(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => Self::Conflict,
            // A failed test of a JSON patch; an object that the schema refuses is named as invalid.
            kube::Error::Api(status) if status.code == 422 && !status.message.contains(" is invalid: ") => {
                Self::Conflict
            }
            _ => Self::Kube(Box::new(error)),
        }
    }

    /// When to try again after `attempts` failures in a row.
    pub fn retry(&self, attempts: u32) -> Duration {
        match self {
            Self::Conflict if attempts < 3 => Duration::from_millis(200),
            Self::Conflict | Self::Kube(_) | Self::TimedOut | Self::Panicked | Self::Incomplete(_) => {
                schedule::hold(crate::error::ErrorClass::Transient { retry_after: None }, attempts, PACE)
            }
        }
    }

    /// True for what happens in normal operation.
    pub fn is_routine(&self) -> bool {
        matches!(self, Self::Conflict)
    }

    /// A bounded label for metrics, one of [`LABELS`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Kube(_) => "kubernetes",
            Self::TimedOut => "timeout",
            Self::Panicked => "panic",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// Every [`Error::label`].
pub const LABELS: [&str; 5] = ["conflict", "kubernetes", "timeout", "panic", "incomplete"];

/// Transient faults do not depend on the pace of looking.
const PACE: schedule::Pace = schedule::Pace { pending: Duration::ZERO, verified: Duration::ZERO };

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Kube(Box::new(error))
    }
}
