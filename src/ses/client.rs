//! The client of SES v2: reads and writes one identity, one request per method, within the budget. It makes no choices.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sesv2::Client as Sdk;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{
    BehaviorOnMxFailure, DkimSigningAttributes, DkimSigningAttributesOrigin, IdentityInfo, IdentityType,
};
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::Notify;
use tracing::Instrument;

use super::accounts::Clients;
use super::budget::Budget;
use super::error::{Error, Kind};
use super::identity::{Identity, SesStatus};
use super::inventory::{Inventory, Listed, Page};
use super::line::{Asker, Class};
use super::wire;
use crate::api::v1alpha1::{DkimKeyLength, OnMxFailure};
use crate::stage;
use crate::telemetry::metrics::{BudgetState, Metrics, Upstream};
use crate::wake::Wakes;

pub use super::accounts::{Account, Role};

/// Who asks, and with whose credentials.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The credentials and the region.
    pub account: &'a Account,
    /// The object that the request is made for: its place in the line.
    pub asker: &'a Asker,
}

/// What a new identity shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIdentity {
    /// All tags, the mark among them.
    pub tags: BTreeMap<String, String>,
    /// The default configuration set.
    pub configuration_set: Option<String>,
    /// The length of the DKIM keys; `None` leaves it to SES.
    pub key_length: Option<DkimKeyLength>,
}

/// The clients of all accounts and regions in use, and what they share.
pub struct Client {
    base: SdkConfig,
    per_second: NonZeroU32,
    metrics: Metrics,
    pub(super) wakes: Wakes,
    clients: Mutex<Clients>,
    budgets: Mutex<HashMap<String, Arc<Budget>>>,
    inventory: Mutex<Inventory>,
    /// A first listing is wanted; a listing has come, or failed.
    pub(super) wanted: Notify,
    pub(super) listed: Notify,
    /// The AWS account of the operator's own credentials; asked for once a role is used beside them.
    home: OnceLock<String>,
    home_asked: tokio::sync::Mutex<Option<Instant>>,
}

/// So many lines are kept, at least while they are empty.
const BUDGETS: usize = 256;
/// How long STS may take to say whose the operator's own credentials are; without it a role's account counts as another.
const HOME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it is left alone after it could not say.
const HOME_RETRY: Duration = Duration::from_secs(30);
/// One try, from the first byte sent to the last byte read.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The whole of a call, credentials included.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

impl Client {
    /// Loads credentials and endpoints the way every AWS tool does. Each account and region gets `per_second` requests.
    /// Objects ask at least every `interval`, and are woken by `wakes`.
    pub async fn load(per_second: NonZeroU32, interval: Duration, wakes: Wakes, metrics: Metrics) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        // Retries are the controller's: it knows the budget, the SDK does not.
        let base = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .load()
            .await;
        Self {
            base,
            per_second,
            metrics,
            wakes,
            clients: Mutex::default(),
            budgets: Mutex::default(),
            inventory: Mutex::new(Inventory::new(interval)),
            wanted: Notify::new(),
            listed: Notify::new(),
            home: OnceLock::new(),
            home_asked: tokio::sync::Mutex::default(),
        }
    }

    /// The URLs that the environment or the AWS config file gives for SES and STS; none as a rule, for then AWS's own hold.
    pub fn configured_endpoints(&self) -> Vec<String> {
        endpoints(&self.base)
    }

    /// The identity `name`, or `None` if SES does not have it.
    pub async fn get(&self, by: Caller<'_>, name: &str) -> Result<Option<Identity>, Error> {
        let send = |client: Sdk| client.get_email_identity().email_identity(name).send();
        match self.call(by, "GetEmailIdentity", send).await {
            Ok(output) => Ok(Some(wire::identity(&output))),
            Err(Error { kind: Kind::NotFound, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// One page of the identities: the first, or that which `token` leads to.
    pub(super) async fn list_page(&self, by: Caller<'_>, token: Option<&str>) -> Result<Page, Error> {
        let token = token.map(str::to_owned);
        let send = |client: Sdk| client.list_email_identities().page_size(PAGE_SIZE).set_next_token(token).send();
        let output = self.call(by, "ListEmailIdentities", send).await?;
        let domains = output.email_identities().iter().filter(|i| i.identity_type() == Some(&IdentityType::Domain));
        let entry = |info: &IdentityInfo| {
            let verification = info.verification_status().map_or("", |status| status.as_str());
            let listed =
                Listed { verification: SesStatus::parse(verification), sending_enabled: info.sending_enabled() };
            Some((info.identity_name()?.to_ascii_lowercase(), listed))
        };
        let next = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Page { entries: domains.filter_map(entry).collect(), next })
    }

    /// Creates the identity with Easy DKIM. The answer holds what SES answers: the tokens, as a rule, and no verification
    /// status.
    pub async fn create(&self, by: Caller<'_>, name: &str, new: &NewIdentity) -> Result<Identity, Error> {
        let signing = new.key_length.map(|length| {
            DkimSigningAttributes::builder().next_signing_key_length(wire::sdk_key_length(length)).build()
        });
        let tags = wire::sdk_tags(&new.tags)?;
        let send = |client: Sdk| {
            client
                .create_email_identity()
                .email_identity(name)
                .set_tags(Some(tags))
                .set_configuration_set_name(new.configuration_set.clone())
                .set_dkim_signing_attributes(signing)
                .send()
        };
        let output = self.call(by, "CreateEmailIdentity", send).await?;
        Ok(Identity {
            verification: None,
            verified_for_sending: output.verified_for_sending_status(),
            dkim: wire::dkim(output.dkim_attributes()),
            mail_from: None,
            configuration_set: new.configuration_set.clone(),
            tags: new.tags.clone(),
            error: None,
            zone_seen: None,
            succeeded_once: false,
        })
    }

    /// Sets the MAIL FROM domain, which also starts SES's search for its MX (again).
    pub async fn set_mail_from(
        &self,
        by: Caller<'_>,
        name: &str,
        domain: &str,
        on_mx_failure: OnMxFailure,
    ) -> Result<(), Error> {
        let behavior = match on_mx_failure {
            OnMxFailure::UseDefaultValue => BehaviorOnMxFailure::UseDefaultValue,
            OnMxFailure::RejectMessage => BehaviorOnMxFailure::RejectMessage,
        };
        let send = |client: Sdk| {
            let put = client.put_email_identity_mail_from_attributes();
            put.email_identity(name).mail_from_domain(domain).behavior_on_mx_failure(behavior).send()
        };
        self.call(by, "PutEmailIdentityMailFromAttributes", send).await.map(drop)
    }

    /// Adds `tags` to the identity, or gives them new values.
    pub async fn add_tags(&self, by: Caller<'_>, name: &str, tags: &BTreeMap<String, String>) -> Result<(), Error> {
        let arn = self.arn(by.account, name).await?;
        let tags = wire::sdk_tags(tags)?;
        let send = |client: Sdk| client.tag_resource().resource_arn(arn).set_tags(Some(tags)).send();
        self.call(by, "TagResource", send).await.map(drop)
    }

    /// Takes tags away from the identity. Keys that it does not have are no fault.
    pub async fn remove_tags(&self, by: Caller<'_>, name: &str, keys: &[String]) -> Result<(), Error> {
        let arn = self.arn(by.account, name).await?;
        let keys = Some(keys.to_vec());
        let send = |client: Sdk| client.untag_resource().resource_arn(arn).set_tag_keys(keys).send();
        self.call(by, "UntagResource", send).await.map(drop)
    }

    /// Sets the default configuration set, or none.
    pub async fn set_configuration_set(
        &self,
        by: Caller<'_>,
        name: &str,
        configuration_set: Option<&str>,
    ) -> Result<(), Error> {
        let set = configuration_set.map(str::to_owned);
        let send = |client: Sdk| {
            let put = client.put_email_identity_configuration_set_attributes().email_identity(name);
            put.set_configuration_set_name(set).send()
        };
        self.call(by, "PutEmailIdentityConfigurationSetAttributes", send).await.map(drop)
    }

    /// Has SES make DKIM keys of another length, which have new tokens. SES does so at most once per day.
    pub async fn change_key_length(&self, by: Caller<'_>, name: &str, length: DkimKeyLength) -> Result<(), Error> {
        let signing = DkimSigningAttributes::builder().next_signing_key_length(wire::sdk_key_length(length)).build();
        let send = |client: Sdk| {
            let put = client.put_email_identity_dkim_signing_attributes().email_identity(name);
            put.signing_attributes_origin(DkimSigningAttributesOrigin::AwsSes).signing_attributes(signing).send()
        };
        self.call(by, "PutEmailIdentityDkimSigningAttributes", send).await.map(drop)
    }

    /// Switches DKIM signing on.
    pub async fn enable_signing(&self, by: Caller<'_>, name: &str) -> Result<(), Error> {
        let send =
            |client: Sdk| client.put_email_identity_dkim_attributes().email_identity(name).signing_enabled(true).send();
        self.call(by, "PutEmailIdentityDkimAttributes", send).await.map(drop)
    }

    /// Starts SES's search for the DKIM records again, with the same keys.
    pub async fn restart_dkim(&self, by: Caller<'_>, name: &str) -> Result<(), Error> {
        let send = |client: Sdk| {
            let put = client.put_email_identity_dkim_signing_attributes().email_identity(name);
            put.signing_attributes_origin(DkimSigningAttributesOrigin::AwsSes).send()
        };
        self.call(by, "PutEmailIdentityDkimSigningAttributes", send).await.map(drop)
    }

    /// Deletes the identity. One that is gone already counts as deleted.
    pub async fn delete(&self, by: Caller<'_>, name: &str) -> Result<(), Error> {
        let send = |client: Sdk| client.delete_email_identity().email_identity(name).send();
        match self.call(by, "DeleteEmailIdentity", send).await {
            Ok(_) | Err(Error { kind: Kind::NotFound, .. }) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Makes one call, once the budget allows it, and counts what came of it.
    async fn call<T, E, F>(
        &self,
        by: Caller<'_>,
        operation: &'static str,
        send: impl FnOnce(Sdk) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if by.account.role.is_some() {
            self.home(&by.account.region).await;
        }
        let budget = self.budget(by.account);
        let client = self.client(by.account).await;
        let asked = Instant::now();
        budget
            .turn(by.asker, class(operation))
            .await
            .map_err(|wait| Error::no_budget(operation, wait).at(by.account))?;
        let began = Instant::now();
        self.metrics.budget_waited(Upstream::Ses, began.duration_since(asked));
        let span = stage!("ses", otel.name = operation, otel.kind = "client", region = by.account.region);
        let answer =
            send(client).instrument(span).await.map_err(|error| Error::from_sdk(operation, &error).at(by.account));
        budget.answered(answer.as_ref().is_err_and(|error| error.kind == Kind::Throttled), began);
        if answer.as_ref().is_err_and(|error| matches!(error.kind, Kind::AccessDenied | Kind::NoCredentials)) {
            self.clients.lock().unwrap_or_else(PoisonError::into_inner).refused(by.account, Instant::now());
        }
        let outcome = answer.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        self.metrics.upstream(Upstream::Ses, operation, outcome, began.elapsed());
        answer
    }

    async fn client(&self, account: &Account) -> Sdk {
        let clients = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients().get(account) {
            return client;
        }
        let client = Sdk::new(&self.config(account).await);
        clients().insert(account.clone(), client.clone());
        client
    }

    fn budget(&self, account: &Account) -> Arc<Budget> {
        let mut budgets = self.budgets();
        if budgets.len() >= BUDGETS {
            budgets.retain(|_, budget| !budget.is_idle() || Arc::strong_count(budget) > 1);
        }
        let new = || Arc::new(Budget::new(self.per_second, self.wakes.clone()));
        budgets.entry(self.principal(account)).or_insert_with(new).clone()
    }

    /// Every budget in use as it is now, by account and region.
    pub fn budget_states(&self) -> Vec<BudgetState> {
        self.budgets().iter().map(|(principal, budget)| budget.state(principal)).collect()
    }

    /// The time from one request to the next, while there are more to make.
    pub fn pace(&self) -> Duration {
        Budget::pace_of(self.per_second)
    }

    /// The budget of `account`, if it was ever used.
    pub(super) fn known_budget(&self, account: &Account) -> Option<Arc<Budget>> {
        self.budgets().get(&self.principal(account)).cloned()
    }

    pub(super) fn budgets(&self) -> MutexGuard<'_, HashMap<String, Arc<Budget>>> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn principal(&self, account: &Account) -> String {
        account.principal(self.home.get().map(String::as_str))
    }

    /// Finds out the AWS account of the operator's own credentials. STS tells it without any permission, and its requests
    /// are none to SES. Where that fails it is asked again, for two budgets for one limit would have half of the requests
    /// refused; not with each request, for an operator without credentials of its own never learns it.
    async fn home(&self, region: &str) {
        if self.home.get().is_some() {
            return;
        }
        let mut asked = self.home_asked.lock().await;
        if self.home.get().is_some() || asked.is_some_and(|asked| asked.elapsed() < HOME_RETRY) {
            return;
        }
        let own = Account { region: region.to_owned(), role: None };
        let caller = aws_sdk_sts::Client::new(&self.config(&own).await).get_caller_identity().send();
        let began = Instant::now();
        let caller = tokio::time::timeout(HOME_TIMEOUT, caller).await;
        let caller = caller.ok().and_then(Result::ok);
        let outcome = if caller.is_some() { "ok" } else { Kind::Unavailable.label() };
        self.metrics.upstream(Upstream::Sts, "GetCallerIdentity", outcome, began.elapsed());
        if let Some(account) = caller.as_ref().and_then(|caller| caller.account()) {
            self.home.get_or_init(|| account.to_owned());
        }
        *asked = Some(Instant::now());
    }

    /// The ARN of an identity. Its account is that of the credentials, which STS tells without any permission.
    /// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>.
    async fn arn(&self, account: &Account, name: &str) -> Result<String, Error> {
        let sts = aws_sdk_sts::Client::new(&self.config(account).await);
        let began = Instant::now();
        let caller = sts.get_caller_identity().send().await;
        let caller = caller.map_err(|e| Error::from_sdk("sts:GetCallerIdentity", &e).at(account));
        let outcome = caller.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        self.metrics.upstream(Upstream::Sts, "GetCallerIdentity", outcome, began.elapsed());
        let caller = caller?;
        let partition = caller.arn().and_then(|arn| arn.split(':').nth(1)).unwrap_or("aws");
        let id = caller.account().unwrap_or_default();
        Ok(format!("arn:{partition}:ses:{}:{id}:identity/{name}", account.region))
    }

    async fn config(&self, account: &Account) -> SdkConfig {
        let config = self.base.to_builder().region(Region::new(account.region.clone())).build();
        let Some(role) = &account.role else { return config };
        let provider = AssumeRoleProvider::builder(&role.arn)
            .external_id(&role.external_id)
            .session_name("sending-domain-operator")
            .configure(&config)
            .build()
            .await;
        config
            .into_builder()
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(provider))
            .build()
    }
}

/// What a turn for `operation` is for.
fn class(operation: &str) -> Class {
    match operation {
        "CreateEmailIdentity" => Class::First,
        _ if operation.starts_with("Get") || operation.starts_with("List") => Class::Read,
        _ => Class::Write,
    }
}

/// The most identities that a page may have.
/// Source: <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListEmailIdentities.html>.
const PAGE_SIZE: i32 = 1000;

fn endpoints(base: &SdkConfig) -> Vec<String> {
    let of_service = |id: &str| {
        let key = ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        base.service_config()?.load_config(key.ok()?)
    };
    let services = ["SESv2", "STS"].into_iter().filter_map(of_service);
    base.endpoint_url().map(str::to_owned).into_iter().chain(services).collect()
}

#[cfg(test)]
mod tests {
    #![allow(deprecated, reason = "the loader takes the files under no other name")]
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};

    use super::*;

    #[tokio::test]
    async fn endpoints_of_a_config_file_are_known() {
        let text = "[default]\nendpoint_url = http://a.test\nservices = s\n[services s]\nsesv2 =\n  endpoint_url = http://b.test\n\
                    sts =\n  endpoint_url = http://c.test\n";
        let files = ProfileFiles::builder().with_contents(ProfileFileKind::Config, text).build();
        let base = aws_config::defaults(BehaviorVersion::latest()).profile_files(files).load().await;
        assert_eq!(endpoints(&base), ["http://a.test", "http://b.test", "http://c.test"]);
    }
}
