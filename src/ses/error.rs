//! What can go wrong at AWS, in our own words. Classified by error code and HTTP status, for the SDK's own variants
//! differ between operations.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::RequestId;

use crate::api::reason::Reason;
use crate::error::ErrorClass;
use crate::text::printable;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The identity is not there.
    NotFound,
    /// The identity is there already.
    AlreadyExists,
    /// AWS denies the operation to these credentials.
    AccessDenied,
    /// There are no usable credentials, or the role cannot be assumed.
    NoCredentials,
    /// The account has as many identities as it may.
    QuotaExceeded,
    /// Too many requests; ours to slow down.
    Throttled,
    /// The operator's own budget has no request left for now.
    NoBudget,
    /// AWS refuses the request as such.
    Rejected,
    /// Two writes met; trying again is enough.
    Conflict,
    /// 5xx, time-outs, connections, unreadable answers.
    Unavailable,
}

impl Kind {
    /// A bounded label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::AccessDenied => "access_denied",
            Self::NoCredentials => "no_credentials",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Throttled => "throttled",
            Self::NoBudget => "no_budget",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A failed call to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    /// The operation, as IAM names it without `ses:`.
    pub operation: &'static str,
    /// AWS's error code, if there was one.
    pub code: Option<String>,
    /// AWS's message, shown for refused requests only, where it names the fault.
    pub detail: Option<String>,
    /// AWS's request id, for its support. In the log only: it is another in every answer, and the message becomes a
    /// condition's, where the same fault must read the same.
    pub request_id: Option<String>,
    /// How long to wait, if somebody said.
    pub retry_after: Option<Duration>,
}

impl StdError for Error {}

impl Error {
    /// An error of the operator's own budget.
    pub fn no_budget(operation: &'static str, retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self { kind: Kind::NoBudget, operation, code: None, detail: None, request_id: None, retry_after }
    }

    /// A request that is not even sent.
    pub fn rejected(operation: &'static str, detail: String) -> Self {
        let detail = Some(detail);
        Self { kind: Kind::Rejected, operation, code: None, detail, request_id: None, retry_after: None }
    }

    /// Reads what the SDK answers.
    pub fn from_sdk<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let code = error.code().map(|code| printable(code, 64));
        let status = error.raw_response().map(|r| r.status().as_u16());
        let kind = kind_of(code.as_deref(), status, is_credentials_fault(error));
        let retry_after = error
            .raw_response()
            .and_then(|r| r.headers().get("x-amz-retry-after"))
            .and_then(|ms| ms.parse().ok())
            .map(Duration::from_millis);
        let request_id = error.request_id().map(|id| printable(id, 64));
        if kind != Kind::NotFound {
            tracing::info!(operation, code, request_id, "SES refused or did not answer");
        }
        Self { kind, operation, detail: error.message().map(|m| printable(m, 300)), request_id, code, retry_after }
    }

    /// What this means for the next try.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            Kind::AccessDenied | Kind::QuotaExceeded | Kind::Rejected | Kind::AlreadyExists => ErrorClass::Terminal,
            Kind::NoCredentials => ErrorClass::Waiting { after: Duration::from_mins(1) },
            Kind::NotFound | Kind::Throttled | Kind::NoBudget | Kind::Conflict | Kind::Unavailable => {
                ErrorClass::Transient { retry_after: self.retry_after }
            }
        }
    }

    /// The reason that a condition shows.
    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::AccessDenied => Reason::AWSAccessDenied,
            Kind::NoCredentials => Reason::AWSCredentialsUnavailable,
            Kind::QuotaExceeded => Reason::IdentityQuotaExceeded,
            Kind::Rejected => Reason::AWSRequestRejected,
            Kind::NoBudget => Reason::WaitingForSESBudget,
            Kind::Throttled => Reason::RateLimited,
            Kind::AlreadyExists | Kind::NotFound | Kind::Conflict | Kind::Unavailable => Reason::AWSUnavailable,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match self.kind {
            Kind::NotFound => write!(f, "SES does not have the identity ({operation})")?,
            Kind::AlreadyExists => write!(f, "SES has the identity already ({operation}); it is read again")?,
            Kind::AccessDenied => write!(
                f,
                "AWS denies ses:{operation} to the operator's credentials; allow it in the IAM policy of its role"
            )?,
            Kind::NoCredentials => write!(
                f,
                "No AWS credentials for ses:{operation}; check the operator's service account, and for spec.ses.roleArn the \
                 role's trust policy and its ExternalId"
            )?,
            Kind::QuotaExceeded => {
                write!(f, "The AWS account has reached its limit of SES identities; delete some or ask AWS for more")?;
            }
            Kind::Throttled => write!(f, "SES throttles requests ({operation}); it is tried again")?,
            Kind::NoBudget => write!(f, "Waiting for a free request to SES ({operation}); others are served first")?,
            Kind::Conflict => {
                write!(f, "SES was busy with another change of the identity ({operation}); it is tried again")?;
            }
            Kind::Rejected => {
                let detail = self.detail.as_deref().unwrap_or("no message");
                write!(f, "SES refuses {operation}: {detail}")?;
            }
            Kind::Unavailable => {
                write!(f, "SES cannot be reached or does not answer properly ({operation}); it is tried again")?;
            }
        }
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        Ok(())
    }
}

fn kind_of(code: Option<&str>, status: Option<u16>, credentials: bool) -> Kind {
    match code {
        Some("NotFoundException") => Kind::NotFound,
        Some("AlreadyExistsException") => Kind::AlreadyExists,
        // The SDK counts this one as throttling; for SES it is the quota of identities.
        Some("LimitExceededException") => Kind::QuotaExceeded,
        Some("TooManyRequestsException" | "ThrottlingException" | "Throttling" | "RequestLimitExceeded") => {
            Kind::Throttled
        }
        Some("ConcurrentModificationException") => Kind::Conflict,
        Some("AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "UnauthorizedOperation") => {
            Kind::AccessDenied
        }
        Some(
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "MissingAuthenticationTokenException"
            | "RequestTimeTooSkewed"
            | "IncompleteSignature"
            | "IncompleteSignatureException",
        ) => Kind::NoCredentials,
        _ if credentials => Kind::NoCredentials,
        _ => match status {
            Some(429) => Kind::Throttled,
            Some(403) => Kind::AccessDenied,
            Some(404) if code.is_none() => Kind::Unavailable,
            Some(400..=499) if code.is_some() => Kind::Rejected,
            _ => Kind::Unavailable,
        },
    }
}

/// Missing credentials and a refused AssumeRole arrive as dispatch failures, with the truth somewhere in the chain.
fn is_credentials_fault(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(current) = next {
        if current.is::<aws_credential_types::provider::error::CredentialsError>() {
            return true;
        }
        next = current.source();
    }
    false
}
