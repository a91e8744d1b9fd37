//! What users get wrong at Cloudflare: each in its own words, and mended without a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::cloudflare::{Failure, Perms, Scope, ZoneChange, ZoneStatus};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE};

/// Waits for a reason that a person has to act upon, and for its words in the message.
async fn stalled(rig: &Rig, reason: &str, words: &[&str]) -> Value {
    let object = rig.reason(reason).await;
    assert_eq!(object::condition_status(&object, "Stalled"), "True");
    let message = object::message(&object, "Ready");
    for word in words {
        assert!(message.contains(word), "does not say {word:?}: {message}");
    }
    assert_eq!(object::phase(&object), "Pending");
    rig.expect_event("Warning", reason).await;
    object
}

async fn apply_with(rig: &Rig, token: &str) {
    rig.set_token(token).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
}

#[tokio::test]
async fn b7_an_invalid_api_token() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    apply_with(&rig, "a-token-that-nobody-knows-0123456789abcd").await;
    stalled(&rig, "InvalidAPIToken", &["Invalid API token", "put it into the Secret"]).await;
    rig.set_token(rig.world.token()).await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b7_a_token_that_is_revoked_after_verification() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.world.cloudflare().revoke_token(rig.world.token());
    let is_told = |o: &Value| object::reason(o, "RecordsSynced") == "InvalidAPIToken";
    let told = rig.until("InvalidAPIToken", is_told).await;
    assert!(object::is_ready(&told), "mail can still be sent");
    rig.expect_event("Warning", "InvalidAPIToken").await;
    rig.world.cloudflare().add_token(rig.world.token(), Perms::full());
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    rig.finish().await;
}

#[tokio::test]
async fn b6_a_token_that_is_rotated_during_a_pass_serves_to_its_end_and_not_after() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let cloudflare = rig.world.cloudflare();
    // Cloudflare answers the zones late: until then the Secret has another value.
    cloudflare.fail_next_on(1, "GET", "/zones", Failure::slow(Duration::from_secs(2)));
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let started = Instant::now();
    while cloudflare.calls().is_empty() && started.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let next = "next-token-of-forty-characters-0123456789";
    cloudflare.add_token(next, Perms::full());
    rig.set_token(next).await;
    rig.ready().await;
    let calls = cloudflare.calls();
    let used: Vec<&str> = calls.iter().filter_map(|call| call.token.as_deref()).collect();
    let first_of_next = used.iter().position(|token| *token == next).unwrap_or(used.len());
    assert!(used[..first_of_next].iter().all(|token| *token == rig.world.token()), "{calls:?}");
    // What begins after the change goes with the new value, and the old one is never taken up again.
    cloudflare.revoke_token(rig.world.token());
    cloudflare.reset_calls();
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "1").await.unwrap();
    let records = cloudflare.records(ZONE);
    let mx = records.iter().find(|r| r["type"] == "MX").unwrap();
    cloudflare.delete_record(ZONE, mx["id"].as_str().unwrap()).unwrap();
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "2").await.unwrap();
    rig.until("repaired", |_| rig.ours().len() == 5).await;
    assert!(cloudflare.calls().iter().all(|call| call.token.as_deref() == Some(next)), "{:?}", cloudflare.calls());
    rig.finish().await;
}

#[tokio::test]
async fn d1_a_zone_that_is_not_there() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone("other.example");
    apply_with(&rig, rig.world.token()).await;
    stalled(&rig, "ZoneNotAccessible", &["Could not access zone", DOMAIN, "Zone Read"]).await;
    rig.world.cloudflare_zone(ZONE);
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b7_a_token_that_may_not_read_the_zone() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.world.cloudflare_zone("other.example");
    rig.world.cloudflare().add_token(rig.world.token(), Perms::zones(["other.example"]));
    apply_with(&rig, rig.world.token()).await;
    stalled(&rig, "ZoneNotAccessible", &["Could not access zone"]).await;
    rig.world.cloudflare().add_token(rig.world.token(), Perms::zones([ZONE]));
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b7_a_token_that_may_not_write() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let reader = Perms { zone_read: Scope::All, dns_read: Scope::All, ..Perms::default() };
    rig.world.cloudflare().add_token(rig.world.token(), reader);
    apply_with(&rig, rig.world.token()).await;
    stalled(&rig, "RecordWriteDenied", &["Failed to create record", "DNS:Edit"]).await;
    assert!(rig.world.cloudflare().records(ZONE).is_empty());
    rig.world.cloudflare().add_token(rig.world.token(), Perms::full());
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d1_a_zone_that_is_not_active_yet() {
    let rig = Rig::start().await;
    let pending = ZoneChange { status: Some(ZoneStatus::Pending), ..ZoneChange::default() };
    rig.world.cloudflare().add_zone_with(ZONE, &pending);
    apply_with(&rig, rig.world.token()).await;
    let waiting = rig.reason("ZonePending").await;
    assert_eq!(object::condition_status(&waiting, "Reconciling"), "True");
    assert!(object::message(&waiting, "Ready").contains("registrar"), "{waiting}");
    let active = ZoneChange { status: Some(ZoneStatus::Active), ..ZoneChange::default() };
    assert!(rig.world.cloudflare().change_zone(ZONE, &active));
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d1_two_zones_of_one_name() {
    let rig = Rig::start().await;
    let account = |id: &str| ZoneChange { account: Some(id.repeat(32)), ..ZoneChange::default() };
    let first = rig.world.cloudflare().add_zone_with(ZONE, &account("a"));
    rig.world.cloudflare().add_zone_with(ZONE, &account("b"));
    apply_with(&rig, rig.world.token()).await;
    stalled(&rig, "ZoneAmbiguous", &["2 active zones named example.com", "spec.dns.cloudflare.zoneID"]).await;
    rig.patch(&json!({ "spec": { "dns": { "cloudflare": { "zoneID": first } } } })).await;
    let synced = rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    assert_eq!(synced["status"]["dns"]["zoneID"], first);
    assert_eq!(rig.world.cloudflare().records(&first).len(), 5);
    rig.finish().await;
}

#[tokio::test]
async fn d1_a_zone_id_of_another_domain() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let other = rig.world.cloudflare_zone("other.example");
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["dns"]["cloudflare"]["zoneID"] = json!(other);
    rig.create(&manifest).await;
    stalled(&rig, "ZoneNotAccessible", &["Could not access zone", "spec.dns.cloudflare.zoneID", "other.example"]).await;
    assert!(rig.world.cloudflare().records("other.example").is_empty());
    rig.patch(&json!({ "spec": { "dns": { "cloudflare": { "zoneID": null } } } })).await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d13_a_full_zone() {
    let rig = Rig::start().await;
    let full = ZoneChange { quota: Some(3), ..ZoneChange::default() };
    rig.world.cloudflare().add_zone_with(ZONE, &full);
    apply_with(&rig, rig.world.token()).await;
    stalled(&rig, "ZoneRecordQuotaExceeded", &["quota"]).await;
    assert!(rig.world.cloudflare().records(ZONE).is_empty(), "all or nothing");
    let wide = ZoneChange { quota: Some(200), ..ZoneChange::default() };
    rig.world.cloudflare().change_zone(ZONE, &wide);
    rig.ready().await;
    rig.finish().await;
}
