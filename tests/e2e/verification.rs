//! What becomes of a verification that SES gives up, or takes back.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;
use testbed::ses::Status;
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
