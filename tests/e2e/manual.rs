//! A domain whose records a person adds.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::dns::Fault;
use testbed::world::object;

use crate::rig::{DOMAIN, Rig};

#[tokio::test]
async fn records_are_listed_counted_and_found() {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    let pending = rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    assert_eq!(object::phase(&pending), "Pending");
    assert_eq!(object::reason(&pending, "Ready"), "WaitingForDNS");
    assert_eq!(object::condition_status(&pending, "Reconciling"), "True");
    assert!(object::condition(&pending, "RecordsSynced").is_none(), "nobody syncs manual records");
    assert_eq!(pending["status"]["recordsFound"], "0/5");
    assert_eq!(pending["status"]["dns"]["provider"], "Manual");
    let purposes: Vec<&str> = object::records(&pending).iter().filter_map(|r| r["purpose"].as_str()).collect();
    assert_eq!(purposes, ["DKIM", "DKIM", "DKIM", "SPF", "BounceMX"]);
    for record in object::records(&pending) {
        let message = record["message"].as_str().unwrap();
        assert!(message.contains(record["value"].as_str().unwrap()), "{message}");
    }

    let mut part = pending.clone();
    part["status"]["records"].as_array_mut().unwrap().truncate(3);
    rig.world.publish(&part).unwrap();
    let some = rig.until("3/5", |o| o["status"]["recordsFound"] == "3/5").await;
    assert_eq!(object::phase(&some), "Pending");
    rig.until("DKIM", |o| object::condition_status(o, "DKIMVerified") == "True").await;
    rig.world.publish(&pending).unwrap();
    let verified = rig.ready().await;
    assert_eq!((object::phase(&verified), &verified["status"]["recordsFound"]), ("Verified", &json!("5/5")));
    assert!(rig.world.cloudflare().calls().is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a_wrong_value_is_shown_with_what_was_found() {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    let pending = rig.until("records", |o| object::records(o).len() == 5).await;
    rig.world.publish(&pending).unwrap();
    let bounce = format!("bounce.{DOMAIN}");
    let token = object::records(&pending)[0]["name"].as_str().unwrap().to_owned();
    let dns = rig.world.dns();
    dns.set(&bounce, RecordType::MX, &["10 feedback-smtp.eu-west-1.amazonses.com"]).unwrap();
    dns.set(&bounce, RecordType::TXT, &["v=spf1 include:other.example -all", "unrelated"]).unwrap();
    dns.set(&token, RecordType::CNAME, &["wrong.dkim.amazonses.com"]).unwrap();
    let wrong = rig.until("three incorrect", |o| object::count(o, "Incorrect") == 3).await;
    let of = |purpose: &str, index: usize| {
        let mut records = object::records(&wrong).iter().filter(|r| r["purpose"] == purpose);
        records.nth(index).unwrap()["observed"].clone()
    };
    assert_eq!(of("BounceMX", 0), json!(["10 feedback-smtp.eu-west-1.amazonses.com"]));
    assert_eq!(of("SPF", 0), json!(["v=spf1 include:other.example -all"]));
    assert_eq!(of("DKIM", 0), json!(["wrong.dkim.amazonses.com"]));
    assert_eq!(wrong["status"]["recordsFound"], "2/5");
    assert_eq!(object::phase(&wrong), "Pending");
    rig.world.publish(&pending).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_dead_name_server_proves_nothing() {
    let rig = Rig::start().await;
    rig.verified_manual().await;
    let all_unknown = |o: &Value| object::count(o, "Unknown") == 5;
    for fault in [Fault::ServFail, Fault::Drop] {
        rig.world.dns().set_fault("*", None, fault).unwrap();
        let unknown = rig.until("five records unknown", all_unknown).await;
        assert!(object::is_ready(&unknown), "{:?}", unknown["status"]["conditions"]);
        assert_eq!(object::phase(&unknown), "Verified");
        assert_eq!(object::condition_status(&unknown, "DNSVerified"), "Unknown");
        rig.world.dns().clear_faults();
        rig.until("five records found", |o| object::count(o, "Found") == 5).await;
    }
    rig.finish().await;
}

#[tokio::test]
async fn a_dead_name_server_before_verification_is_waited_for() {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    rig.until("records", |o| object::count(o, "Missing") == 5).await;
    rig.world.dns().set_fault("*", None, Fault::ServFail).unwrap();
    let unknown = rig.until("five records unknown", |o| object::count(o, "Unknown") == 5).await;
    assert_eq!(object::phase(&unknown), "Pending");
    assert_eq!(object::condition_status(&unknown, "Reconciling"), "True");
    let writes = rig.outside_writes();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.outside_writes(), writes);
    rig.world.dns().clear_faults();
    rig.world.publish(&unknown).unwrap();
    rig.ready().await;
    rig.finish().await;
}
