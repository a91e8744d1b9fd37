//! Records of ours that somebody changes are put right; records of others are left as they are.

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE, text};

/// What does not change when a record is made anew.
fn essence(rig: &Rig) -> Vec<(String, String, String, Value, String)> {
    let ours = rig.ours();
    let of =
        |r: &Value| (text(r, "name"), text(r, "type"), text(r, "content"), r["proxied"].clone(), text(r, "comment"));
    ours.values().map(of).collect()
}

/// Waits until the zone is as it was.
async fn repaired(rig: &Rig, wanted: &[(String, String, String, Value, String)], what: &str) {
    let started = std::time::Instant::now();
    while essence(rig) != wanted || rig.ours().len() != rig.world.cloudflare().records(ZONE).len() - 3 {
        assert!(started.elapsed() < crate::rig::LIMIT, "{what}: {:#?}", rig.world.cloudflare().records(ZONE));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn d7_d11_d15_drift_is_repaired_and_foreign_records_stay() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let cloudflare = rig.world.cloudflare();
    for record in [
        json!({ "type": "A", "name": "www.example.com", "content": "192.0.2.1", "proxied": true }),
        json!({ "type": "TXT", "name": format!("bounce.{DOMAIN}"), "content": "\"unrelated\"", "comment": "by hand" }),
        json!({ "type": "MX", "name": ZONE, "content": "mx.example.net", "priority": 10, "comment": "sendingdomain.dev/other/0" }),
    ] {
        cloudflare.add_record(ZONE, record).unwrap();
    }
    let foreign = rig.foreign();
    assert_eq!(foreign.len(), 3);
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    rig.ready().await;
    let wanted = essence(&rig);
    assert_eq!(wanted.len(), 5);

    let id_of = |kind: &str| text(rig.ours().iter().find(|((_, of), _)| of == kind).unwrap().1, "id");
    cloudflare.delete_record(ZONE, &id_of("CNAME")).unwrap();
    repaired(&rig, &wanted, "deleted").await;
    cloudflare.edit_record(ZONE, &id_of("TXT"), json!({ "content": "\"v=spf1 -all\"" })).unwrap();
    repaired(&rig, &wanted, "edited").await;
    cloudflare.edit_record(ZONE, &id_of("CNAME"), json!({ "proxied": true })).unwrap();
    repaired(&rig, &wanted, "proxied").await;
    let renamed = json!({ "name": format!("bounces.{DOMAIN}") });
    cloudflare.edit_record(ZONE, &id_of("MX"), renamed).unwrap();
    repaired(&rig, &wanted, "renamed").await;
    let copy = json!({ "type": "TXT", "name": format!("bounce.{DOMAIN}"), "content": "\"v=spf1 include:amazonses.com -all\"",
        "comment": wanted[0].4 });
    cloudflare.add_record(ZONE, copy).unwrap();
    repaired(&rig, &wanted, "doubled").await;
    assert_eq!(rig.foreign(), foreign);
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn an_identity_that_was_changed_by_hand_is_put_right() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let change = json!({ "spec": { "mailFrom": { "subdomain": "return", "onMxFailure": "RejectMessage" } } });
    rig.patch(&change).await;
    let is_moved =
        |o: &Value| object::is_ready(o) && o["status"]["identity"]["mailFromDomain"] == "return.mail.example.com";
    rig.until("another MAIL FROM domain", is_moved).await;
    let identity = rig.identity().unwrap();
    assert_eq!(identity.behavior_on_mx_failure, "REJECT_MESSAGE");
    let started = std::time::Instant::now();
    while rig.ours().keys().any(|(name, _)| name.starts_with("bounce.")) {
        assert!(started.elapsed() < crate::rig::LIMIT, "the old records stay");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(rig.ours().len(), 5);
    rig.finish().await;
}
