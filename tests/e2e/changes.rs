//! A change of mind about where the records are: written at the new place first, taken away at the old one when nobody asks
//! it any more, and told where that cannot be done.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::cloudflare::Perms;
use testbed::world::object;

use crate::external_dns::endpoints;
use crate::rig::{DOMAIN, LIMIT, NAME, Rig, SECRET, ZONE};

const OTHER_SECRET: &str = "other-account";
const OTHER_TOKEN: &str = "testbed-token-of-one-zone-0123456789abcd";

/// The records in a zone that carry a mark of this operator.
fn ours_in(rig: &Rig, zone: &str) -> usize {
    let owner = format!("sendingdomain.dev/{}/", rig.operator.owner_id());
    let records = rig.world.cloudflare().records(zone);
    records.iter().filter(|r| r["comment"].as_str().is_some_and(|comment| comment.contains(&owner))).count()
}

async fn until_ours(rig: &Rig, zone: &str, count: usize) {
    let started = Instant::now();
    while ours_in(rig, zone) != count {
        assert!(started.elapsed() < LIMIT, "{} in {zone}:\n{}", ours_in(rig, zone), rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The domain's own zone, in another account, with a Secret that opens only it.
async fn other_account(rig: &Rig) -> Value {
    rig.world.cloudflare_zone(DOMAIN);
    rig.world.cloudflare().add_token(OTHER_TOKEN, Perms::zones([DOMAIN]));
    rig.world.create_secret(&rig.namespace, OTHER_SECRET, "api-token", OTHER_TOKEN).await.unwrap();
    json!({ "spec": { "dns": { "cloudflare": { "apiTokenSecretRef": { "name": OTHER_SECRET, "key": "api-token" } } } } })
}

fn remembered(object: &Value) -> usize {
    object["status"]["dns"]["previous"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn another_zone_and_secret_are_written_before_the_old_ones_are_cleaned() {
    let mut rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let foreign = rig.foreign();
    let change = other_account(&rig).await;
    rig.patch(&change).await;
    until_ours(&rig, DOMAIN, 5).await;
    // In the middle: suspended, and with another process when it goes on.
    rig.patch(&json!({ "spec": { "suspend": true, "dmarc": {} } })).await;
    rig.until("the generation to be observed", object::is_current).await;
    rig.operator.restart().await.unwrap();
    rig.patch(&json!({ "spec": { "suspend": false } })).await;
    until_ours(&rig, ZONE, 0).await;
    until_ours(&rig, DOMAIN, 6).await;
    assert_eq!(rig.foreign(), foreign);
    let settled = rig.until("nothing to remember", |o| object::is_ready(o) && remembered(o) == 0).await;
    assert_eq!(settled["status"]["dns"]["zoneName"], DOMAIN);
    rig.patch(&json!({ "spec": { "dmarc": null } })).await;
    until_ours(&rig, DOMAIN, 5).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(ours_in(&rig, DOMAIN), 0);
    rig.finish().await;
}

#[tokio::test]
async fn the_old_zone_is_cleaned_soon_however_rarely_a_ready_domain_is_looked_at() {
    let rig = Rig::with(|options| "15m".clone_into(&mut options.verified_interval)).await;
    rig.verified_cloudflare().await;
    let change = other_account(&rig).await;
    rig.patch(&change).await;
    until_ours(&rig, DOMAIN, 5).await;
    until_ours(&rig, ZONE, 0).await;
    rig.finish().await;
}

#[tokio::test]
async fn g8_each_place_is_cleaned_with_its_own_token_from_memory() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let change = other_account(&rig).await;
    // As long as the new place is not complete the old one is needed.
    let theirs =
        json!({ "type": "MX", "name": format!("bounce.{DOMAIN}"), "content": "mx.example.net", "priority": 5 });
    rig.world.cloudflare().add_record(DOMAIN, theirs).unwrap();
    rig.patch(&change).await;
    rig.until("the old place to be remembered", |o| remembered(o) == 1).await;
    // Nothing of ours is put beside their exchanger, SPF no more than an MX.
    until_ours(&rig, DOMAIN, 3).await;
    assert_eq!(ours_in(&rig, ZONE), 5);
    for secret in [SECRET, OTHER_SECRET] {
        rig.world.delete_secret(&rig.namespace, secret).await.unwrap();
    }
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!((ours_in(&rig, ZONE), ours_in(&rig, DOMAIN)), (0, 0));
    rig.finish().await;
}

#[tokio::test]
async fn what_cannot_be_removed_for_want_of_the_old_secret_is_told_once() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let change = other_account(&rig).await;
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    rig.patch(&change).await;
    let note = rig.expect_event("Warning", "RecordsLeftBehind").await;
    assert!(note.contains(ZONE) && note.contains(&format!("bounce.{DOMAIN}")) && note.contains(SECRET), "{note}");
    rig.until("Ready, and the place remembered", |o| object::is_ready(o) && remembered(o) == 1).await;
    assert_eq!((ours_in(&rig, ZONE), ours_in(&rig, DOMAIN)), (5, 5));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let events = rig.world.events(&rig.namespace).await.unwrap();
    let told: Vec<_> = events.iter().filter(|e| e.reason.as_deref() == Some("RecordsLeftBehind")).collect();
    assert!(told.len() == 1 && told[0].series.is_none(), "{told:?}");
    rig.set_token(rig.world.token()).await;
    until_ours(&rig, ZONE, 0).await;
    rig.finish().await;
}

/// Part of a test of [`crate::external_dns`]: from there on the cluster has the CRD.
pub async fn from_cloudflare_to_external_dns_and_back_and_retained() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let external = json!({ "spec": { "dns": { "cloudflare": null, "externalDNS": {} } } });
    rig.patch(&external).await;
    let handed = rig.until("handed over", |o| object::is_current(o) && remembered(o) == 1).await;
    assert_eq!(ours_in(&rig, ZONE), 5, "the world still asks for them");
    // ExternalDNS writes to a zone of its own, to which the domain is delegated then.
    rig.world.manual_zone(DOMAIN).unwrap();
    rig.world.publish(&handed).unwrap();
    until_ours(&rig, ZONE, 0).await;
    let cloudflare = json!({ "apiTokenSecretRef": { "name": SECRET, "key": "api-token" } });
    rig.patch(&json!({ "spec": { "dns": { "cloudflare": cloudflare, "externalDNS": null } } })).await;
    until_ours(&rig, ZONE, 5).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(endpoints(&rig).await.len(), 1, "the world still asks for its records");
    rig.world.dns().remove_zone(DOMAIN).unwrap();
    let started = Instant::now();
    while !endpoints(&rig).await.is_empty() {
        assert!(started.elapsed() < LIMIT, "the DNSEndpoint stays:\n{}", rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    rig.until("Ready", |o| object::is_ready(o) && remembered(o) == 0).await;

    rig.patch(&external).await;
    rig.until("handed over", |o| object::is_current(o) && object::condition_status(o, "RecordsSynced") == "True").await;
    rig.patch(&json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    let kept = endpoints(&rig).await;
    assert!(kept.len() == 1 && kept[0].metadata.owner_references.is_none(), "{kept:?}");
    let mut again = object::manual(NAME, DOMAIN);
    again["spec"]["dns"] = json!({ "externalDNS": {} });
    rig.create(&again).await;
    rig.ready().await;
    let owners = endpoints(&rig).await[0].metadata.owner_references.clone().unwrap_or_default();
    assert_eq!(owners.len(), 1, "taken up again by its mark");
    rig.finish().await;
}
