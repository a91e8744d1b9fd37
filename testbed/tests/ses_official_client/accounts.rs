//! Credentials, roles and what belongs to whom.

use aws_config::sts::AssumeRoleProvider;
use aws_sdk_sesv2::Client;
use testbed::ses::SesSim;

use crate::{Bed, DOMAIN, REGION, bed, config, refusal, refused};

const ROLE: &str = "arn:aws:iam::111122223333:role/mail";

async fn as_role(bed: &Bed, external_id: Option<&str>) -> Client {
    let base = config(&bed.ses, REGION, "AKIDTEST").await;
    let provider = AssumeRoleProvider::builder(ROLE).session_name("operator").configure(&base);
    let provider = match external_id {
        Some(id) => provider.external_id(id),
        None => provider,
    };
    let provider = provider.build().await;
    Client::new(
        &base
            .into_builder()
            .credentials_provider(aws_sdk_sesv2::config::SharedCredentialsProvider::new(provider))
            .build(),
    )
}

#[tokio::test]
async fn a_role_works_in_its_own_account() {
    let bed = bed().await;
    bed.ses.add_role(ROLE, Some("owner/namespace"));
    let client = as_role(&bed, Some("owner/namespace")).await;
    client.create_email_identity().email_identity(DOMAIN).send().await.unwrap();
    assert!(bed.ses.identity(REGION, DOMAIN).is_none());
    let identity = bed.ses.account_region("111122223333", REGION).identity(DOMAIN).unwrap();
    assert_eq!(identity.arn, "arn:aws:ses:eu-west-1:111122223333:identity/mail.example.com");
    bed.create(DOMAIN).await;
    let operations: Vec<String> = bed.ses.calls().iter().map(|call| call.operation.to_string()).collect();
    assert_eq!(operations, ["AssumeRole", "CreateEmailIdentity", "CreateEmailIdentity"]);

    bed.ses.deny(testbed::ses::Operation::GetAccount);
    let (_, _, message) = refusal(client.get_account().send().await);
    let who = "User: arn:aws:sts::111122223333:assumed-role/mail/operator is not authorized";
    assert!(message.unwrap().starts_with(who));
    bed.ses.expire_sessions();
    let (status, code, _) = refusal(client.list_email_identities().send().await);
    assert_eq!((status, code.as_deref()), (403, Some("ExpiredTokenException")));
}

#[tokio::test]
async fn a_role_is_refused_without_its_external_id() {
    let bed = bed().await;
    for (known, given) in [(false, Some("right")), (true, Some("wrong")), (true, None)] {
        if known {
            bed.ses.add_role(ROLE, Some("right"));
        }
        let client = as_role(&bed, given).await;
        let error = client.list_email_identities().send().await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("AccessDenied") && text.contains("sts:AssumeRole on resource"), "{text}");
    }
    bed.ses.add_role(ROLE, None);
    as_role(&bed, None).await.list_email_identities().send().await.unwrap();
}

#[tokio::test]
async fn keys_belong_to_accounts_and_can_be_revoked() {
    let bed = bed().await;
    bed.ses.add_access_key("AKIAOTHER", "444455556666");
    let other = Client::new(&config(&bed.ses, REGION, "AKIAOTHER").await);
    other.create_email_identity().email_identity(DOMAIN).send().await.unwrap();
    assert!(bed.ses.account_region("444455556666", REGION).identity(DOMAIN).is_some());
    bed.ses.revoke_access_key("AKIAOTHER");
    let expected =
        refused(403, "UnrecognizedClientException", "The security token included in the request is invalid.");
    assert_eq!(refusal(other.list_email_identities().send().await), expected);
    let invented = Client::new(&config(&bed.ses, REGION, "ASIAINVENTED").await);
    assert_eq!(refusal(invented.list_email_identities().send().await), expected);
}

#[tokio::test]
async fn account_shows_sandbox_and_production() {
    let bed = bed().await;
    assert!(bed.client.get_account().send().await.unwrap().production_access_enabled());
    bed.ses.configure(|settings| settings.production_access = false);
    let account = bed.client.get_account().send().await.unwrap();
    assert!(!account.production_access_enabled());
    assert!((account.send_quota().unwrap().max24_hour_send() - 200.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn requests_that_are_not_signed_properly_are_refused() {
    let bed = bed().await;
    let signed = |service: &str| {
        let signature = "0".repeat(64);
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260801/eu-west-1/{service}/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        )
    };
    assert_eq!(ask(&bed.ses, None).await, (403, "MissingAuthenticationTokenException".to_owned()));
    assert_eq!(ask(&bed.ses, Some("Bearer x")).await, (403, "IncompleteSignatureException".to_owned()));
    assert_eq!(ask(&bed.ses, Some(&signed("s3"))).await, (403, "SignatureDoesNotMatchException".to_owned()));
    assert_eq!(ask(&bed.ses, Some(&signed("ses"))).await, (200, String::new()));

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let whoami = http.post(bed.ses.endpoint()).body("Action=GetCallerIdentity&Version=2011-06-15");
    let unsigned = whoami.try_clone().unwrap().send().await.unwrap();
    assert_eq!(unsigned.status().as_u16(), 403);
    assert!(unsigned.text().await.unwrap().contains("<Code>MissingAuthenticationToken</Code>"));
    let whoami = whoami.header("x-amz-date", "20260801T000000Z").header("authorization", signed("sts"));
    let answer = whoami.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("<Account>123456789012</Account>"), "{answer}");
}

/// Lists identities with this `Authorization`; the status and the error type.
async fn ask(ses: &SesSim, authorization: Option<&str>) -> (u16, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.get(format!("{}/v2/email/identities", ses.endpoint()));
    request = request.header("x-amz-date", "20260801T000000Z");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let response = request.send().await.unwrap();
    let error = response.headers().get("x-amzn-errortype").map(|error| error.to_str().unwrap().to_owned());
    (response.status().as_u16(), error.unwrap_or_default())
}
