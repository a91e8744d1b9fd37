//! SES as far as people's own commands read it: never a write, and never faster than one request per second, which is all
//! that the operator beside us gets too.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sesv2::Client as Ses;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::get_account::GetAccountOutput;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use aws_sdk_sesv2::types::IdentityType;
use sending_domain_operator::run::is_safe_endpoint;
use sending_domain_operator::ses::error::{Error as SesError, Kind};
use sending_domain_operator::text::printable;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The time between two requests to SES.
const PACE: Duration = Duration::from_secs(1);
/// How often a request that is throttled is made again.
const ATTEMPTS: u32 = 4;
const TIMEOUT: Duration = Duration::from_secs(15);
const PAGE_SIZE: i32 = 1000;

/// Why AWS did not answer, in words for whoever runs the command.
#[derive(Debug)]
pub struct AwsError {
    operation: &'static str,
    kind: Kind,
    code: Option<String>,
    detail: Option<String>,
}

impl AwsError {
    /// What happened.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// True if every other request would be answered the same way.
    pub fn is_the_same_for_all(&self) -> bool {
        // Not AccessDenied: a policy may name the identities that may be read.
        matches!(self.kind, Kind::NoCredentials | Kind::ClockSkewed | Kind::RegionUnavailable | Kind::Throttled)
    }

    fn of<E>(operation: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let SesError { kind, code, detail, .. } = SesError::from_sdk(operation, error);
        Self { operation, kind, code, detail }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation;
        match self.kind {
            Kind::NoCredentials => f.write_str(
                "no AWS credentials were found in the environment or in the profile; for a login by SSO or another tool, hand them on: eval \"$(aws configure export-credentials --format env)\"",
            ),
            Kind::AccessDenied => write!(f, "AWS denies {operation} to your credentials"),
            Kind::ClockSkewed => f.write_str("AWS takes the time of this machine for wrong: set its clock"),
            Kind::RegionUnavailable => f.write_str("there is no SES for this account in the region"),
            Kind::Throttled => write!(f, "AWS throttles {operation}: try again in a minute"),
            Kind::Unavailable => write!(f, "AWS does not answer {operation}: look at the network and the proxy"),
            _ => {
                let (code, detail) = (self.code.as_deref().unwrap_or("error"), self.detail.as_deref().unwrap_or_default());
                write!(f, "AWS refuses {operation}: {code} {detail}")
            }
        }
    }
}

/// Who the credentials are.
pub struct Caller {
    /// The 12 digits.
    pub account: String,
    /// The ARN of the user or role.
    pub arn: String,
}

impl Caller {
    /// The ARN of an identity of the account.
    pub fn identity_arn(&self, region: &str, name: &str) -> String {
        let partition = self.arn.split(':').nth(1).unwrap_or("aws");
        format!("arn:{partition}:ses:{region}:{}:identity/{name}", self.account)
    }
}

/// AWS, with the credentials of the environment, the profile, or the machine. Those of SSO have to be handed on: the code for
/// it would be in the operator too.
pub struct Aws {
    base: SdkConfig,
    next: Mutex<Instant>,
}

impl Aws {
    /// Loads credentials and endpoints the way every AWS tool does.
    pub async fn load() -> Result<Self, String> {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SESV2", "AWS_ENDPOINT_URL_STS"] {
            let value = std::env::var(variable).unwrap_or_default();
            if !value.is_empty() && !is_safe_endpoint(&value) {
                return Err(format!("{variable} must be an https URL: plain http is accepted for loopback only"));
            }
        }
        let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let base = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        Ok(Self { base, next: Mutex::new(Instant::now()) })
    }

    fn config(&self, region: &str) -> SdkConfig {
        self.base.to_builder().region(Region::new(region.to_owned())).build()
    }

    /// Who we are. STS tells it without any permission.
    pub async fn caller(&self, region: &str) -> Result<Caller, AwsError> {
        let answer = aws_sdk_sts::Client::new(&self.config(region)).get_caller_identity().send().await;
        let answer = answer.map_err(|error| AwsError::of("sts:GetCallerIdentity", &error))?;
        let safe = |text: Option<&str>| printable(text.unwrap_or_default(), 256);
        Ok(Caller { account: safe(answer.account()), arn: safe(answer.arn()) })
    }

    /// The names of the domain identities whose name contains `part`, by name; all pages.
    pub async fn domains(&self, region: &str, part: Option<&str>) -> Result<Vec<String>, AwsError> {
        let client = Ses::new(&self.config(region));
        let (mut names, mut token) = (Vec::new(), None::<String>);
        loop {
            let page = self
                .paced("ses:ListEmailIdentities", || {
                    client.list_email_identities().page_size(PAGE_SIZE).set_next_token(token.clone()).send()
                })
                .await?;
            let domains = page.email_identities().iter().filter(|i| i.identity_type() == Some(&IdentityType::Domain));
            names.extend(domains.filter_map(|i| Some(i.identity_name()?.to_ascii_lowercase())));
            token = page.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        names.retain(|name| part.is_none_or(|part| name.contains(&part.to_ascii_lowercase())));
        names.sort();
        Ok(names)
    }

    /// One identity.
    pub async fn identity(&self, region: &str, name: &str) -> Result<GetEmailIdentityOutput, AwsError> {
        let client = Ses::new(&self.config(region));
        self.paced("ses:GetEmailIdentity", || client.get_email_identity().email_identity(name).send()).await
    }

    /// What SES says of the account in this region.
    pub async fn account(&self, region: &str) -> Result<GetAccountOutput, AwsError> {
        let client = Ses::new(&self.config(region));
        self.paced("ses:GetAccount", || client.get_account().send()).await
    }

    /// One request when its turn has come; again after a pause if SES throttles it.
    async fn paced<T, E, F>(&self, operation: &'static str, send: impl Fn() -> F) -> Result<T, AwsError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut attempt = 1;
        loop {
            let mut next = self.next.lock().await;
            sleep_until(*next).await;
            let answer = send().await;
            *next = Instant::now() + PACE * attempt;
            drop(next);
            match answer.map_err(|error| AwsError::of(operation, &error)) {
                Err(error) if error.kind == Kind::Throttled && attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }
}
