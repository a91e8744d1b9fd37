//! What becomes of a verification that SES gives up, or takes back.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::ses::{Failure, Operation, Status};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, REGION, Rig};

/// How long SES looks, and one hour.
const LONGER_THAN_SES_LOOKS: Duration = Duration::from_hours(73);

#[tokio::test]
async fn f8_what_ses_gave_up_is_taken_up_again_once_dns_is_right() {
    let rig = Rig::start().await;
    // Looks in between would only cost time.
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let pending = rig.until("records", |o| object::records(o).len() == 5).await;
    rig.world.ses().advance(LONGER_THAN_SES_LOOKS).await;
    let failed = rig.reason("VerificationFailed").await;
    assert_eq!(object::phase(&failed), "Failed");
    assert_eq!(object::condition_status(&failed, "Stalled"), "True");
    assert_eq!(object::condition_status(&failed, "Ready"), "False");
    assert_eq!(failed["status"]["identity"]["verificationStatus"], "FAILED");
    assert!(object::message(&failed, "Ready").contains("again by itself once DNS is right"), "{failed}");
    rig.expect_event("Warning", "VerificationFailed").await;

    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
    let tokens = rig.identity().unwrap().tokens;
    rig.world.publish(&pending).unwrap();
    let verified = rig.ready().await;
    assert_eq!(object::phase(&verified), "Verified");
    assert_eq!(rig.identity().unwrap().tokens, tokens, "the same keys");
    rig.expect_event("Normal", "VerificationRearmed").await;
    rig.expect_event("Normal", "Verified").await;
    rig.finish().await;
}

#[tokio::test]
async fn f8_half_a_re_arm_is_made_whole_at_once() {
    let rig = Rig::start().await;
    let ses = rig.world.ses();
    ses.configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let pending = rig.until("records", |o| object::records(o).len() == 5).await;
    ses.advance(LONGER_THAN_SES_LOOKS).await;
    rig.reason("VerificationFailed").await;
    ses.configure(|settings| settings.check_interval = Duration::from_millis(500));
    ses.fail_next_for(
        Operation::PutEmailIdentityMailFromAttributes,
        1,
        Failure::code(503, "ServiceUnavailable", "No."),
    );
    rig.world.publish(&pending).unwrap();
    rig.ready().await;
    let attempt = &rig.get().await["status"]["verification"];
    assert!(attempt.get("mailFromRearmedAt").is_none() && attempt["rearms"] == 0, "{attempt}");
    rig.finish().await;
}

#[tokio::test]
async fn f5_f8_a_verified_domain_that_cannot_be_read_any_more_says_so_and_stays_ready() {
    let rig = Rig::start().await;
    rig.verified_manual().await;
    let ses = rig.world.ses();
    ses.deny(Operation::GetEmailIdentity);
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "1").await.unwrap();
    let told = rig.until("the denial", |o| object::condition_status(o, "IdentityReady") == "Unknown").await;
    assert!(object::message(&told, "IdentityReady").contains("ses:GetEmailIdentity"), "{told}");
    assert!(object::is_ready(&told), "{told}");
    rig.expect_event("Warning", "AWSAccessDenied").await;
    // A change that nobody can make is not acted on.
    rig.patch(&json!({ "spec": { "ses": { "tags": { "team": "mail" } } } })).await;
    let generation = rig.get().await["metadata"]["generation"].clone();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = rig.get().await;
    assert_ne!(told["status"]["observedGeneration"], generation, "{told}");
    ses.allow(Operation::GetEmailIdentity);
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "2").await.unwrap();
    rig.until("the change", |o| o["status"]["observedGeneration"] == generation && object::is_ready(o)).await;
    assert_eq!(rig.identity().unwrap().tags.get("team").map(String::as_str), Some("mail"));
    rig.finish().await;
}

#[tokio::test]
async fn a_failed_domain_at_cloudflare_recovers_when_its_zone_does() {
    let rig = Rig::start().await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, crate::rig::SECRET)).await;
    rig.reason("ZoneNotAccessible").await;
    rig.world.ses().advance(LONGER_THAN_SES_LOOKS).await;
    rig.until("Failed", |o| object::phase(o) == "Failed").await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
    rig.world.cloudflare_zone(crate::rig::ZONE);
    rig.ready().await;
    rig.finish().await;
}

fn is_lost(object: &Value) -> bool {
    object::reason(object, "Ready") == "VerificationLost"
}

#[tokio::test]
async fn f8_a_lost_verification_is_told_and_comes_back() {
    let rig = Rig::start().await;
    let verified = rig.verified_manual().await;
    let dns = rig.world.dns();
    for record in object::records(&verified).iter().filter(|r| r["type"] == "CNAME") {
        dns.remove(record["name"].as_str().unwrap(), RecordType::CNAME).unwrap();
    }
    let lost = rig.until("VerificationLost", is_lost).await;
    assert_eq!(object::phase(&lost), "Pending");
    assert_eq!(object::condition_status(&lost, "Reconciling"), "True");
    assert!(object::condition(&lost, "Stalled").is_none());
    assert_eq!(rig.identity().unwrap().dkim_status, Status::TemporaryFailure);
    rig.expect_event("Warning", "VerificationLost").await;
    let missing = object::count(&lost, "Missing");
    assert_eq!(missing, 3, "{:?}", object::records(&lost));

    rig.world.publish(&verified).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_lost_verification_that_ses_gives_up_fails_and_comes_back() {
    let rig = Rig::start().await;
    let verified = rig.verified_manual().await;
    let dns = rig.world.dns();
    for record in object::records(&verified).iter().filter(|r| r["type"] == "CNAME") {
        dns.remove(record["name"].as_str().unwrap(), RecordType::CNAME).unwrap();
    }
    rig.until("VerificationLost", is_lost).await;
    rig.world.ses().region(REGION).set_dkim_status(DOMAIN, Status::Failed);
    let failed = rig.until("Failed", |o| object::phase(o) == "Failed").await;
    assert_eq!(object::condition_status(&failed, "Stalled"), "True");
    rig.world.publish(&verified).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn f12_a_mail_from_domain_with_another_exchanger_is_not_ready() {
    let rig = Rig::start().await;
    let verified = rig.verified_manual().await;
    let bounce = format!("bounce.{DOMAIN}");
    let dns = rig.world.dns();
    let both = ["10 feedback-smtp.us-east-1.amazonses.com", "20 mx.other.example"];
    dns.set(&bounce, RecordType::MX, &both).unwrap();
    let wrong = rig.until("one record incorrect", |o| object::count(o, "Incorrect") == 1).await;
    let record = object::records(&wrong).iter().find(|r| r["purpose"] == "BounceMX").unwrap();
    assert_eq!(record["observed"].as_array().unwrap().len(), 2);
    rig.until("not Ready", |o| !object::is_ready(o)).await;
    rig.world.publish(&verified).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_missing_spf_record_is_not_ready() {
    let rig = Rig::start().await;
    let verified = rig.verified_manual().await;
    // SES judges by the MX alone and goes on saying SUCCESS.
    rig.world.dns().remove(&format!("bounce.{DOMAIN}"), RecordType::TXT).unwrap();
    let wrong = rig.until("not Ready", |o| !object::is_ready(o)).await;
    assert_eq!(object::condition_status(&wrong, "MailFromVerified"), "True");
    assert_eq!(object::condition_status(&wrong, "DNSVerified"), "False");
    rig.world.publish(&verified).unwrap();
    rig.ready().await;
    rig.finish().await;
}
