//! Statuses follow the records in DNS and the clock.

use std::time::Duration;

use aws_sdk_sesv2::types::{DkimSigningAttributes, DkimSigningAttributesOrigin, DkimSigningKeyLength};
use testbed::dns::{Fault, RecordType};

use crate::{Bed, DOMAIN, bed, three};

const HOUR: Duration = Duration::from_hours(1);
const BOUNCE: &str = "bounce.mail.example.com";
const MX: &str = "10 feedback-smtp.eu-west-1.amazonses.com";

#[tokio::test]
async fn an_identity_is_verified_once_all_three_records_are_right() {
    let bed = bed().await;
    let made = bed.client.create_email_identity().email_identity(DOMAIN).send().await.unwrap();
    let dkim = made.dkim_attributes().unwrap();
    assert_eq!(dkim.status().unwrap().as_str(), "NOT_STARTED");
    assert_eq!(dkim.signing_hosted_zone(), Some("dkim.amazonses.com"));
    assert_eq!(dkim.tokens().len(), 3);
    assert!(!made.verified_for_sending_status());
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "PENDING", false));

    bed.publish(DOMAIN, &dkim.tokens()[..2]);
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "PENDING", false));
    assert_eq!(bed.error_type(DOMAIN).await.as_deref(), Some("HOST_NOT_FOUND"));

    bed.publish(DOMAIN, dkim.tokens());
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "PENDING", false), "SES has not looked yet");
    bed.ses.advance(Duration::from_mins(1)).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));

    let got = bed.get(DOMAIN).await;
    let info = got.verification_info().unwrap();
    assert_eq!(info.error_type(), None);
    assert_eq!(info.last_success_timestamp(), info.last_checked_timestamp());
    assert!(info.last_checked_timestamp().unwrap().secs() <= bed.ses.now().as_second());
    let soa = info.soa_record().unwrap();
    assert_eq!(soa.primary_name_server(), Some("ns1.example.com"));
    assert_eq!(Some(soa.serial_number()), bed.dns.serial("example.com").unwrap().map(i64::from));
}

#[tokio::test]
async fn nothing_is_found_for_72_hours_then_it_failed_until_it_is_started_again() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.ses.advance(71 * HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "PENDING", false));
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("FAILED", "FAILED", false));

    // Right records come too late: SES has stopped looking.
    bed.publish(DOMAIN, &tokens);
    bed.ses.advance(24 * HOUR).await;
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("FAILED", "FAILED", false));

    let again = sign_again(&bed, None).await;
    assert_eq!(again.0, "PENDING");
    assert_eq!(again.1, tokens, "starting again keeps the tokens");
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
}

#[tokio::test]
async fn starting_again_can_be_made_to_have_no_effect() {
    let bed = bed().await;
    bed.ses.configure(|settings| settings.rearm_refused = true);
    let tokens = bed.create(DOMAIN).await;
    bed.ses.region("eu-west-1").set_dkim_status(DOMAIN, testbed::ses::Status::Failed);
    bed.publish(DOMAIN, &tokens);
    assert_eq!(sign_again(&bed, None).await.0, "FAILED");
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("FAILED", "FAILED", false));
}

#[tokio::test]
async fn lost_records_are_a_temporary_failure_for_72_hours() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    bed.ses.advance(HOUR).await;
    bed.unpublish(DOMAIN, &tokens);
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("TEMPORARY_FAILURE", "TEMPORARY_FAILURE", true));
    bed.publish(DOMAIN, &tokens);
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
    bed.unpublish(DOMAIN, &tokens);
    bed.ses.advance(71 * HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await.0, "TEMPORARY_FAILURE");
    bed.ses.advance(2 * HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await, three("FAILED", "FAILED", false));
}

#[tokio::test]
async fn a_silent_or_failing_dns_server_changes_no_status() {
    let bed = bed().await;
    bed.ses.configure(|settings| settings.dns_timeout = Duration::from_millis(50));
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    bed.ses.look_now().await;
    for fault in [Fault::ServFail, Fault::Refused, Fault::Drop] {
        bed.dns.set_fault("*", None, fault).unwrap();
        bed.ses.advance(200 * HOUR).await;
        assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
        assert_eq!(bed.error_type(DOMAIN).await.as_deref(), Some("DNS_SERVER_ERROR"));
    }
    bed.dns.clear_faults();
    bed.dns.set_fault("*", None, Fault::Truncate).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.error_type(DOMAIN).await, None, "truncated answers are fetched over TCP");
}

#[tokio::test]
async fn the_error_says_what_was_found_instead() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    let name = format!("{}._domainkey.{DOMAIN}", tokens[1]);
    bed.dns.set(&name, RecordType::CNAME, &["elsewhere.example.net"]).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.error_type(DOMAIN).await.as_deref(), Some("INVALID_VALUE"));
    bed.dns.remove(&name, RecordType::CNAME).unwrap();
    bed.dns.set(&name, RecordType::TXT, &["v=spf1 -all"]).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.error_type(DOMAIN).await.as_deref(), Some("TYPE_NOT_FOUND"));
    assert_eq!(bed.statuses(DOMAIN).await.0, "PENDING");
}

#[tokio::test]
async fn another_key_length_gives_other_tokens_but_revokes_nothing() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    bed.ses.look_now().await;
    assert_eq!(sign_again(&bed, Some(DkimSigningKeyLength::Rsa2048Bit)).await.1, tokens, "it is 2048 already");
    let changed = sign_again(&bed, Some(DkimSigningKeyLength::Rsa1024Bit)).await;
    assert_eq!(changed.0, "PENDING");
    assert!(changed.1.iter().all(|token| !tokens.contains(token)));
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "SUCCESS", true));
    assert_eq!(bed.ses.identity("eu-west-1", DOMAIN).unwrap().previous_tokens, tokens);
    let got = bed.get(DOMAIN).await;
    let dkim = got.dkim_attributes().unwrap();
    assert_eq!(dkim.current_signing_key_length(), Some(&DkimSigningKeyLength::Rsa2048Bit), "until the new are found");
    assert_eq!(dkim.next_signing_key_length(), Some(&DkimSigningKeyLength::Rsa1024Bit));
    assert!(dkim.last_key_generation_timestamp().is_some());
    bed.publish(DOMAIN, &changed.1);
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
    let got = bed.get(DOMAIN).await;
    let current = got.dkim_attributes().and_then(|dkim| dkim.current_signing_key_length());
    assert_eq!(current, Some(&DkimSigningKeyLength::Rsa1024Bit));
    let longer = DkimSigningAttributes::builder().next_signing_key_length(DkimSigningKeyLength::Rsa2048Bit).build();
    let put = bed.client.put_email_identity_dkim_signing_attributes().email_identity(DOMAIN);
    let put = put.signing_attributes_origin(DkimSigningAttributesOrigin::AwsSes).signing_attributes(longer);
    assert!(put.send().await.is_err(), "at most once per day");
}

#[tokio::test]
async fn an_own_key_is_looked_for_at_its_selector() {
    let bed = bed().await;
    let keys =
        DkimSigningAttributes::builder().domain_signing_selector("mine").domain_signing_private_key("MIIE").build();
    let create = bed.client.create_email_identity().email_identity(DOMAIN).dkim_signing_attributes(keys);
    let made = create.send().await.unwrap();
    let dkim = made.dkim_attributes().unwrap();
    assert_eq!(dkim.signing_attributes_origin(), Some(&DkimSigningAttributesOrigin::External));
    assert_eq!(dkim.tokens(), ["mine"]);
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await.0, "PENDING");
    bed.dns.set(&format!("mine._domainkey.{DOMAIN}"), RecordType::TXT, &["v=DKIM1; p=MIIB"]).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.statuses(DOMAIN).await, three("SUCCESS", "SUCCESS", true));
    assert_eq!(sign_again(&bed, None).await.1.len(), 3, "back to Easy DKIM");
}

#[tokio::test]
async fn mail_from_wants_exactly_one_mx() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    bed.put_mail_from(DOMAIN, BOUNCE).await;
    bed.ses.look_now().await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "PENDING");
    bed.dns.set(BOUNCE, RecordType::MX, &["10 feedback-smtp.us-east-1.amazonses.com"]).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "PENDING", "of another region");
    bed.dns.set(BOUNCE, RecordType::MX, &[MX]).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "SUCCESS", "without any SPF record");
    bed.dns.remove(BOUNCE, RecordType::MX).unwrap();
    bed.ses.look_now().await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "TEMPORARY_FAILURE");
    bed.ses.advance(72 * HOUR).await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "FAILED");

    bed.dns.set(BOUNCE, RecordType::MX, &[MX, "20 mx.example.net"]).unwrap();
    bed.put_mail_from(DOMAIN, BOUNCE).await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "PENDING", "putting the same again starts again");
    bed.ses.look_now().await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "FAILED", "more than one MX");
    bed.dns.set(BOUNCE, RecordType::MX, &[MX]).unwrap();
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "FAILED", "SES has stopped looking");
    bed.put_mail_from(DOMAIN, BOUNCE).await;
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "SUCCESS");
}

#[tokio::test]
async fn mail_from_is_given_up_after_72_hours() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    bed.ses.advance(HOUR).await;
    bed.put_mail_from(DOMAIN, BOUNCE).await;
    bed.ses.advance(71 * HOUR).await;
    assert_eq!(bed.statuses(DOMAIN).await.0, "FAILED");
    assert_eq!(bed.mail_from_status(DOMAIN).await, "PENDING", "its own 72 hours are not over");
    bed.ses.advance(HOUR).await;
    assert_eq!(bed.mail_from_status(DOMAIN).await, "FAILED");
}

#[tokio::test]
async fn the_clock_looks_on_its_own_when_it_runs() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    bed.ses.configure(|settings| settings.check_interval = Duration::from_millis(500));
    bed.ses.set_clock_rate(1.0);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while bed.statuses(DOMAIN).await.0 != "SUCCESS" {
        assert!(tokio::time::Instant::now() < deadline, "never looked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_look_that_began_before_a_recreation_says_nothing_about_the_new_identity() {
    let bed = bed().await;
    let tokens = bed.create(DOMAIN).await;
    bed.publish(DOMAIN, &tokens);
    bed.dns.set_fault("*", None, Fault::Delay(Duration::from_millis(400))).unwrap();
    let ses = bed.ses.clone();
    let look = tokio::spawn(async move { ses.look_now().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    bed.client.delete_email_identity().email_identity(DOMAIN).send().await.unwrap();
    bed.create(DOMAIN).await;
    look.await.unwrap();
    assert_eq!(bed.statuses(DOMAIN).await, three("PENDING", "PENDING", false));
    assert_eq!(bed.ses.identity("eu-west-1", DOMAIN).unwrap().last_checked, None);
}

/// Puts the signing attributes of Easy DKIM again; the status and the tokens of the answer.
async fn sign_again(bed: &Bed, length: Option<DkimSigningKeyLength>) -> (String, Vec<String>) {
    let attributes = length.map(|length| DkimSigningAttributes::builder().next_signing_key_length(length).build());
    let put = bed.client.put_email_identity_dkim_signing_attributes().email_identity(DOMAIN);
    let put = put.signing_attributes_origin(DkimSigningAttributesOrigin::AwsSes).set_signing_attributes(attributes);
    let answer = put.send().await.unwrap();
    assert_eq!(answer.signing_hosted_zone(), Some("dkim.amazonses.com"));
    (answer.dkim_status().unwrap().as_str().to_owned(), answer.dkim_tokens().to_vec())
}

#[tokio::test]
async fn a_hundred_identities_live_through_three_days_in_seconds() {
    let bed = bed().await;
    for n in 0..100 {
        let name = format!("d{n}.example.com");
        let tokens = bed.create(&name).await;
        bed.put_mail_from(&name, &format!("bounce.{name}")).await;
        if n % 2 == 0 {
            bed.publish(&name, &tokens);
        }
        bed.ses.advance(Duration::from_millis(700)).await;
    }
    let start = tokio::time::Instant::now();
    bed.ses.advance(73 * HOUR).await;
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
    let verified = bed.ses.identities().iter().filter(|identity| identity.verified_for_sending).count();
    assert_eq!(verified, 50);
}
