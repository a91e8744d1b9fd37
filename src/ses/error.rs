//! What can go wrong at AWS, in our own words. Classified by error code and HTTP status, for the SDK's own variants
//! differ between operations.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::RequestId;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::client::{Account, Role};

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
    /// There are no usable credentials.
    NoCredentials,
    /// AWS does not let the operator assume the role.
    RoleDenied,
    /// AWS takes the time of our requests for wrong.
    ClockSkewed,
    /// There is no SES for this account in the region.
    RegionUnavailable,
    /// AWS has suspended the account, or paused its sending.
    Suspended,
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
            Self::RoleDenied => "role_denied",
            Self::ClockSkewed => "clock_skewed",
            Self::RegionUnavailable => "region_unavailable",
            Self::Suspended => "suspended",
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
    /// With whose credentials, and where, it was tried.
    pub account: Option<Box<Account>>,
}

impl StdError for Error {}

impl Error {
    /// An error of the operator's own budget.
    pub fn no_budget(operation: &'static str, retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self { kind: Kind::NoBudget, operation, code: None, detail: None, request_id: None, retry_after, account: None }
    }

    /// The same, tried for `account`.
    #[must_use]
    pub fn at(self, account: &Account) -> Self {
        Self { account: Some(Box::new(account.clone())), ..self }
    }

    /// A request that is not even sent.
    pub fn rejected(operation: &'static str, detail: String) -> Self {
        let detail = Some(detail);
        Self { kind: Kind::Rejected, operation, code: None, detail, request_id: None, retry_after: None, account: None }
    }

    /// Reads what the SDK answers.
    pub fn from_sdk<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let code = error.code().map(|code| printable(code, 64));
        let status = error.raw_response().map(|r| r.status().as_u16());
        let detail = error.message().map(|m| printable(m, 300));
        let kind = kind_of(code.as_deref(), detail.as_deref(), status).unwrap_or_else(|| kind_of_dispatch(error));
        let retry_after = error
            .raw_response()
            .and_then(|r| r.headers().get("x-amz-retry-after"))
            .and_then(|ms| ms.parse().ok())
            .map(Duration::from_millis);
        let request_id = error.request_id().map(|id| printable(id, 64));
        if kind != Kind::NotFound {
            tracing::info!(operation, code, request_id, "SES refused or did not answer");
        }
        Self { kind, operation, detail, request_id, code, retry_after, account: None }
    }

    fn role(&self) -> Option<&Role> {
        self.account.as_ref()?.role.as_ref()
    }

    fn region(&self) -> &str {
        self.account.as_ref().map_or("of spec.ses.region", |account| &account.region)
    }

    /// What this means for the next try.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            Kind::AccessDenied | Kind::QuotaExceeded | Kind::Rejected | Kind::RegionUnavailable | Kind::Suspended => {
                ErrorClass::Terminal
            }
            Kind::NoCredentials | Kind::RoleDenied | Kind::ClockSkewed => {
                ErrorClass::Waiting { after: Duration::from_mins(1) }
            }
            // What exists already is read, and then is no fault any more.
            Kind::NotFound
            | Kind::AlreadyExists
            | Kind::Throttled
            | Kind::NoBudget
            | Kind::Conflict
            | Kind::Unavailable => ErrorClass::Transient { retry_after: self.retry_after },
        }
    }

    /// The reason that a condition shows.
    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::AccessDenied | Kind::RoleDenied => Reason::AWSAccessDenied,
            Kind::NoCredentials | Kind::ClockSkewed => Reason::AWSCredentialsUnavailable,
            Kind::RegionUnavailable => Reason::RegionUnavailable,
            Kind::Suspended => Reason::AWSAccountSuspended,
            Kind::QuotaExceeded => Reason::IdentityQuotaExceeded,
            Kind::Rejected => Reason::AWSRequestRejected,
            Kind::NoBudget => Reason::WaitingForSESBudget,
            Kind::Throttled => Reason::RateLimited,
            // Nobody has to hear of what the next pass sets right.
            Kind::AlreadyExists | Kind::Conflict => Reason::Progressing,
            Kind::NotFound | Kind::Unavailable => Reason::AWSUnavailable,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match self.kind {
            Kind::NotFound => write!(f, "SES does not have the identity ({operation})")?,
            Kind::AlreadyExists => write!(f, "SES has the identity already ({operation}); it is read again")?,
            Kind::AccessDenied => {
                let action = action(operation);
                match self.role() {
                    Some(role) => {
                        write!(f, "AWS denies {action} to the role {}; allow it in the policy of that role", role.arn)?;
                    }
                    None => write!(
                        f,
                        "AWS denies {action} to the operator's credentials; allow it in the IAM policy of its role"
                    )?,
                }
            }
            Kind::NoCredentials => write!(
                f,
                "AWS does not take the operator's credentials, or there are none ({operation}); check its service account and \
                 its keys, and that the region {} is enabled for the account",
                self.region()
            )?,
            Kind::RoleDenied => {
                let (arn, id) = self.role().map_or(("", ""), |role| (&role.arn, &role.external_id));
                write!(
                    f,
                    "AWS does not let the operator assume the role {arn}: allow sts:AssumeRole on it to the operator's own \
                     role, and let its trust policy trust that role on the condition that sts:ExternalId is {id}"
                )?;
            }
            Kind::ClockSkewed => write!(
                f,
                "AWS refuses requests as too old or too new ({operation}): the clock of the operator's node is wrong; \
                 synchronise it"
            )?,
            Kind::RegionUnavailable => write!(
                f,
                "There is no SES in the region {} for this account; enable the region at AWS, or create the object anew with \
                 another spec.ses.region",
                self.region()
            )?,
            Kind::Suspended => write!(
                f,
                "AWS has suspended the account or paused its sending in {}; see the account dashboard of SES, and answer the \
                 case that AWS has opened",
                self.region()
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

/// The operation as a policy names it.
fn action(operation: &str) -> String {
    if operation.contains(':') { operation.to_owned() } else { format!("ses:{operation}") }
}

/// What AWS's answer means; `None` if there was none.
fn kind_of(code: Option<&str>, detail: Option<&str>, status: Option<u16>) -> Option<Kind> {
    let kind = match code {
        _ if is_skew(code, detail) => Kind::ClockSkewed,
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
        Some("RegionDisabledException" | "OptInRequired" | "SubscriptionRequiredException") => Kind::RegionUnavailable,
        Some("AccountSuspendedException" | "SendingPausedException") => Kind::Suspended,
        Some(
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "MissingAuthenticationTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException",
        ) => Kind::NoCredentials,
        _ => match status? {
            429 => Kind::Throttled,
            403 => Kind::AccessDenied,
            404 if code.is_none() => Kind::Unavailable,
            400..=499 if code.is_some() => Kind::Rejected,
            _ => Kind::Unavailable,
        },
    };
    Some(kind)
}

/// AWS has a code of its own for a wrong clock, and says it of signatures in words.
fn is_skew(code: Option<&str>, detail: Option<&str>) -> bool {
    let signature = matches!(code, Some("InvalidSignatureException" | "SignatureDoesNotMatch"));
    let says = |words| detail.is_some_and(|text| text.contains(words));
    matches!(code, Some("RequestTimeTooSkewed" | "RequestExpired"))
        || (signature && (says("Signature expired") || says("Signature not yet current")))
}

/// Missing credentials, a refused AssumeRole and a host that does not exist arrive as requests that were never answered,
/// with the truth somewhere in the chain.
fn kind_of_dispatch(error: &(dyn StdError + 'static)) -> Kind {
    let mut credentials = false;
    let mut next = Some(error);
    while let Some(current) = next {
        credentials |= current.is::<CredentialsError>();
        if let Some(refused) = current.downcast_ref::<SdkError<AssumeRoleError>>() {
            let status = refused.raw_response().map(|r| r.status().as_u16());
            match kind_of(refused.code(), refused.message(), status) {
                Some(Kind::AccessDenied) => return Kind::RoleDenied,
                Some(kind @ (Kind::ClockSkewed | Kind::RegionUnavailable | Kind::Throttled)) => return kind,
                Some(Kind::Unavailable) | None => return Kind::Unavailable,
                Some(_) => return Kind::NoCredentials,
            }
        }
        if !credentials && is_unknown_host(&current.to_string()) {
            return Kind::RegionUnavailable;
        }
        next = current.source();
    }
    if credentials { Kind::NoCredentials } else { Kind::Unavailable }
}

/// True of the words in which the C libraries say that a name does not exist, as against a resolver that does not answer.
/// Every region with SES has a host of its own.
fn is_unknown_host(text: &str) -> bool {
    ["Name or service not known", "Name does not resolve", "nodename nor servname provided"]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as AWS would have caused it, for an account with a role.
    fn error(kind: Kind) -> Error {
        let role = Role { arn: "arn:aws:iam::111122223333:role/mail".to_owned(), external_id: "owner/ns".to_owned() };
        let account = Account { region: "eu-west-9".to_owned(), role: Some(role) };
        let failed = Error::rejected("GetEmailIdentity", "m".to_owned()).at(&account);
        Error { kind, detail: None, ..failed }
    }

    #[test]
    fn f2_f3_f4_f5_f6_f11_every_answer_is_told_apart() {
        let skew = Some("Signature expired: 20261123T100000Z is now earlier than 20261123T110000Z");
        for (code, detail, status, kind) in [
            ("TooManyRequestsException", None, 429, Kind::Throttled),
            ("ThrottlingException", None, 400, Kind::Throttled),
            ("ConcurrentModificationException", None, 500, Kind::Conflict),
            ("LimitExceededException", None, 400, Kind::QuotaExceeded),
            ("AccountSuspendedException", None, 400, Kind::Suspended),
            ("SendingPausedException", None, 400, Kind::Suspended),
            ("AccessDeniedException", None, 403, Kind::AccessDenied),
            ("ExpiredTokenException", None, 403, Kind::NoCredentials),
            ("InvalidSignatureException", None, 403, Kind::NoCredentials),
            ("InvalidSignatureException", skew, 403, Kind::ClockSkewed),
            ("RequestTimeTooSkewed", None, 403, Kind::ClockSkewed),
            ("OptInRequired", None, 403, Kind::RegionUnavailable),
            ("RegionDisabledException", None, 403, Kind::RegionUnavailable),
            ("SomethingNew", None, 400, Kind::Rejected),
            ("SomethingNew", None, 503, Kind::Unavailable),
        ] {
            assert_eq!(kind_of(Some(code), detail, Some(status)), Some(kind), "{code}");
        }
        assert_eq!(kind_of(None, None, None), None);
    }

    #[test]
    fn f11_a_host_that_does_not_exist_is_a_region_without_ses() {
        assert!(is_unknown_host("failed to lookup address information: Name or service not known"));
        assert!(!is_unknown_host("failed to lookup address information: Temporary failure in name resolution"));
    }

    #[test]
    fn f5_f6_f11_the_message_says_what_to_mend() {
        for (kind, reason, words) in [
            (Kind::AccessDenied, Reason::AWSAccessDenied, "denies ses:GetEmailIdentity to the role arn:aws:iam::1111"),
            (Kind::RoleDenied, Reason::AWSAccessDenied, "sts:ExternalId is owner/ns"),
            (Kind::ClockSkewed, Reason::AWSCredentialsUnavailable, "clock of the operator's node is wrong"),
            (Kind::RegionUnavailable, Reason::RegionUnavailable, "region eu-west-9"),
            (Kind::Suspended, Reason::AWSAccountSuspended, "paused its sending in eu-west-9"),
            (Kind::QuotaExceeded, Reason::IdentityQuotaExceeded, "ask AWS for more"),
        ] {
            let error = error(kind);
            assert_eq!(error.reason(), reason);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
