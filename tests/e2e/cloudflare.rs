//! A domain at Cloudflare, from apply to Verified and for ever after.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, REGION, Rig, SECRET, ZONE, text};

/// Calls that one domain may cost from apply to Verified.
const SES_CALLS: usize = 5;
const CLOUDFLARE_CALLS: usize = 3;

#[tokio::test]
async fn from_apply_to_verified_with_few_calls() {
    // The ratio of the default intervals: nothing is looked at for the sake of looking.
    let rig = Rig::with(|options| {
        options.pending_interval = "3s".to_owned();
        options.verified_interval = "90s".to_owned();
    })
    .await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_mins(1));
    rig.apply_cloudflare().await;
    rig.until("five records in DNS", |o| object::count(o, "Found") == 5).await;
    rig.world.ses().advance(Duration::from_mins(2)).await;
    let verified = rig.ready().await;

    let ses: Vec<String> = rig.world.ses().calls().iter().map(|call| call.operation.to_string()).collect();
    assert!(ses.len() <= SES_CALLS, "{ses:?}");
    let cloudflare = rig.world.cloudflare().calls();
    assert!(cloudflare.len() <= CLOUDFLARE_CALLS, "{cloudflare:?}");
    assert_verified(&rig, &verified);
    for reason in ["IdentityCreated", "MailFromSet", "RecordsWritten", "Verified"] {
        rig.expect_event("Normal", reason).await;
    }
    rig.finish().await;
}

/// Status, identity and zone agree.
fn assert_verified(rig: &Rig, object: &Value) {
    let status = &object["status"];
    assert_eq!((object::phase(object), &status["recordsFound"]), ("Verified", &json!("5/5")));
    for kind in ["IdentityReady", "RecordsSynced", "DNSVerified", "DKIMVerified", "MailFromVerified"] {
        assert_eq!(object::condition_status(object, kind), "True", "{kind}");
    }
    let identity = rig.identity().unwrap();
    assert_eq!(status["identity"]["dkimTokens"], json!(identity.sorted_tokens()));
    assert_eq!(status["identity"]["region"], REGION);
    assert_eq!(status["identity"]["origin"], "Created");
    assert_eq!(status["dns"]["zoneName"], ZONE);
    assert!(identity.verified_for_sending);
    assert_eq!(identity.mail_from_domain.as_deref(), Some("bounce.mail.example.com"));
    assert_records(rig, &identity.tokens);
}

/// The five records stand in the zone as the design wants them, and nothing else does.
fn assert_records(rig: &Rig, tokens: &[String]) {
    let bounce = format!("bounce.{DOMAIN}");
    let mut wanted: Vec<(String, &str, String)> = tokens
        .iter()
        .map(|token| (format!("{token}._domainkey.{DOMAIN}"), "CNAME", format!("{token}.dkim.amazonses.com")))
        .collect();
    wanted.push((bounce.clone(), "MX", format!("feedback-smtp.{REGION}.amazonses.com")));
    wanted.push((bounce, "TXT", "v=spf1 include:amazonses.com ~all".to_owned()));
    wanted.sort();
    let ours = rig.ours();
    let found: Vec<(String, String, String)> = ours
        .iter()
        .map(|((name, kind), record)| {
            (name.clone(), kind.clone(), text(record, "content").trim_matches('"').to_owned())
        })
        .collect();
    let wanted: Vec<_> = wanted.into_iter().map(|(name, kind, value)| (name, kind.to_owned(), value)).collect();
    assert_eq!(found, wanted);
    assert_eq!(rig.world.cloudflare().records(ZONE).len(), ours.len());
    for record in ours.values() {
        assert_eq!(record["proxied"], false, "{record}");
        let comment = text(record, "comment");
        assert!(comment.len() <= 100 && comment.starts_with("sendingdomain.dev/"), "{comment}");
    }
}

#[tokio::test]
async fn g19_nothing_is_written_while_nothing_changes() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.expect_event("Normal", "Verified").await;
    // What follows from the last step is written by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = rig.get().await;
    rig.reset_calls();
    let written = rig.kubernetes_writes();

    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(rig.outside_calls() > 0, "nobody has looked");
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!(rig.kubernetes_writes(), written);
    assert_eq!(rig.get().await, before);
    rig.finish().await;
}

#[tokio::test]
async fn g19_nothing_is_written_while_a_person_is_waited_for() {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = rig.get().await;
    rig.reset_calls();
    let written = rig.kubernetes_writes();

    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!(rig.kubernetes_writes(), written);
    assert_eq!(rig.get().await, before);
    rig.finish().await;
}

#[tokio::test]
async fn the_most_specific_zone_is_used() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let specific = rig.world.cloudflare_zone(DOMAIN);
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let verified = rig.ready().await;
    assert_eq!(verified["status"]["dns"]["zoneID"], specific);
    assert_eq!(rig.world.cloudflare().records(DOMAIN).len(), 5);
    assert!(rig.world.cloudflare().records(ZONE).is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a_dmarc_record_is_made_when_asked_for_and_goes_when_not() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let dmarc =
        json!({ "spec": { "dmarc": { "policy": "quarantine", "aggregateReports": ["mailto:dmarc@example.com"] } } });
    rig.patch(&dmarc).await;
    let is_found = |o: &Value| object::is_ready(o) && object::count(o, "Found") == 6;
    let with_dmarc = rig.until("the DMARC record", is_found).await;
    assert_eq!(with_dmarc["status"]["recordsFound"], "5/5", "only required records count");
    let name = format!("_dmarc.{DOMAIN}");
    let record = rig.ours()[&(name.clone(), "TXT".to_owned())].clone();
    assert!(text(&record, "content").contains("v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com"), "{record}");
    rig.patch(&json!({ "spec": { "dmarc": null } })).await;
    rig.until("five records again", |o| object::is_ready(o) && object::records(o).len() == 5).await;
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    assert!(rig.ours().keys().all(|(other, _)| *other != name));
    rig.finish().await;
}
