//! The SES simulator under the official AWS SDK, with records in a real DNS server.

#![allow(clippy::unwrap_used, reason = "a test whose set-up fails has failed")]

mod accounts;
mod admin;
mod failures;
mod identities;
mod listing;
mod verification;

use std::collections::BTreeMap;
use std::fmt::Debug;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Credentials;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use testbed::dns::{Dns, DnsServer, RecordType};
use testbed::ses::SesSim;

const REGION: &str = "eu-west-1";
const DOMAIN: &str = "mail.example.com";

/// A simulator with stopped clock, a DNS server with the zone `example.com`, and a client.
struct Bed {
    ses: SesSim,
    dns: Dns,
    client: Client,
    _server: DnsServer,
}

async fn bed() -> Bed {
    let server = DnsServer::start().await.unwrap();
    let dns = server.dns();
    dns.add_zone("example.com").unwrap();
    let ses = SesSim::start(server.addr()).await.unwrap();
    ses.set_clock_rate(0.0);
    let client = Client::new(&config(&ses, REGION, "AKIDTEST").await);
    Bed { ses, dns, client, _server: server }
}

async fn config(ses: &SesSim, region: &str, access_key: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .endpoint_url(ses.endpoint())
        .credentials_provider(Credentials::new(access_key, "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .load()
        .await
}

impl Bed {
    /// Creates the identity and gives its tokens.
    async fn create(&self, name: &str) -> Vec<String> {
        let made = self.client.create_email_identity().email_identity(name).send().await.unwrap();
        made.dkim_attributes.unwrap().tokens.unwrap()
    }

    async fn get(&self, name: &str) -> GetEmailIdentityOutput {
        self.client.get_email_identity().email_identity(name).send().await.unwrap()
    }

    /// (DKIM status, verification status, verified for sending).
    async fn statuses(&self, name: &str) -> (String, String, bool) {
        let got = self.get(name).await;
        let dkim = got.dkim_attributes().unwrap().status().unwrap().as_str().to_owned();
        let verification = got.verification_status().unwrap().as_str().to_owned();
        (dkim, verification, got.verified_for_sending_status())
    }

    async fn mail_from_status(&self, name: &str) -> String {
        let got = self.get(name).await;
        got.mail_from_attributes().unwrap().mail_from_domain_status().as_str().to_owned()
    }

    async fn error_type(&self, name: &str) -> Option<String> {
        let got = self.get(name).await;
        got.verification_info().unwrap().error_type().map(|error| error.as_str().to_owned())
    }

    async fn put_mail_from(&self, name: &str, domain: &str) {
        let put = self.client.put_email_identity_mail_from_attributes();
        put.email_identity(name).mail_from_domain(domain).send().await.unwrap();
    }

    /// Publishes what SES asks for.
    fn publish(&self, name: &str, tokens: &[String]) {
        for token in tokens {
            let target = format!("{token}.dkim.amazonses.com");
            self.dns.set(&format!("{token}._domainkey.{name}"), RecordType::CNAME, &[target]).unwrap();
        }
    }

    fn unpublish(&self, name: &str, tokens: &[String]) {
        for token in tokens {
            self.dns.remove(&format!("{token}._domainkey.{name}"), RecordType::CNAME).unwrap();
        }
    }
}

fn three(dkim: &str, verification: &str, verified: bool) -> (String, String, bool) {
    (dkim.to_owned(), verification.to_owned(), verified)
}

/// (HTTP status, code, message) of a refusal by the service.
fn refusal<T: Debug, E: ProvideErrorMetadata + Debug>(
    result: Result<T, SdkError<E>>,
) -> (u16, Option<String>, Option<String>) {
    let error = result.unwrap_err();
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().map(str::to_owned), error.message().map(str::to_owned))
}

fn refused(status: u16, code: &str, message: &str) -> (u16, Option<String>, Option<String>) {
    (status, Some(code.to_owned()), Some(message.to_owned()))
}

fn pairs(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
