//! What Cloudflare, its zones and its other users do to us: hostile cases D1 to D15 and B7, end to end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::cloudflare::{Failure, Perms, TokenState, ZoneChange, ZoneStatus};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE, text};

/// The account of the simulator's zones.
const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// Waits until `condition` has this reason and a message with these words.
async fn told(rig: &Rig, condition: &str, reason: &str, words: &str) -> Value {
    let is_so = |o: &Value| object::reason(o, condition) == reason && object::message(o, condition).contains(words);
    rig.until(&format!("{condition} with {reason}: {words}"), is_so).await
}

async fn apply(rig: &Rig) {
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
}

async fn synced(rig: &Rig) -> Value {
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await
}

#[tokio::test]
async fn b7_a_refused_token_is_told_apart_by_what_cloudflare_says_of_it() {
    let rig = Rig::start().await;
    let cloudflare = rig.world.cloudflare();
    cloudflare.add_zone(ZONE);
    let user = rig.world.token();
    let owned = "cfat_0123456789abcdefghijklmnopqrstuvwxyzABCD";
    cloudflare.add_token(owned, Perms::full().owned_by(ACCOUNT));
    apply(&rig).await;
    rig.ready().await;
    cloudflare.set_token_state(user, TokenState::Expired);
    let object = told(&rig, "RecordsSynced", "InvalidAPIToken", "it expired on 2026-01-31").await;
    assert!(object::is_ready(&object), "mail can still be sent");

    rig.set_token(owned).await;
    synced(&rig).await;
    cloudflare.set_token_state(owned, TokenState::Disabled);
    told(&rig, "RecordsSynced", "InvalidAPIToken", "it is disabled at Cloudflare").await;
    rig.set_token("cfut_nobodyknowsthistoken0123456789abcdefghij").await;
    told(&rig, "RecordsSynced", "InvalidAPIToken", "Cloudflare does not know it").await;
    rig.set_token("cfk_0123456789abcdefghijklmnopqrstuvwxyz").await;
    told(&rig, "RecordsSynced", "SecretInvalid", "Global API Key").await;

    cloudflare.set_token_state(owned, TokenState::Active);
    rig.set_token(owned).await;
    synced(&rig).await;
    let asked = cloudflare.calls().iter().filter(|call| call.path.ends_with("/tokens/verify")).count();
    assert_eq!(asked, 3, "once for each refused token, and never before a refusal");
    rig.finish().await;
}

#[tokio::test]
async fn d5_a_list_that_does_not_show_what_was_just_written_doubles_nothing() {
    let mut rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let records = |rig: &Rig| rig.world.cloudflare().records(ZONE).len();
    let before = records(&rig);
    rig.world.cloudflare().set_lists_lag(true);
    apply(&rig).await;
    rig.ready().await;
    assert_eq!(records(&rig), before + 5);
    // One that remembers nothing of what was written believes the list, and is refused.
    rig.reset_calls();
    rig.operator.restart().await.unwrap();
    let started = Instant::now();
    let is_write = |call: &testbed::cloudflare::Call| call.method == "POST" && call.path.contains("/dns_records");
    while !rig.world.cloudflare().calls().iter().any(is_write) {
        assert!(started.elapsed() < LIMIT, "nothing was tried");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(records(&rig), before + 5);
    let writes = rig.world.cloudflare().calls().iter().filter(|call| is_write(call)).count();
    // A batch of five that are refused is halved until each stands alone, which takes nine calls, and is held back then.
    assert!(writes <= 27, "{writes} tries in a few seconds");
    rig.world.cloudflare().set_lists_lag(false);
    let object = synced(&rig).await;
    assert!(object::is_ready(&object), "{object}");
    assert_eq!(records(&rig), before + 5);
    rig.finish().await;
}

#[tokio::test]
async fn d1_of_two_zones_of_one_name_the_one_that_the_world_asks_is_used() {
    let rig = Rig::start().await;
    let servers = |name: &str| Some(vec![format!("{name}.ns.cloudflare.example")]);
    let other = ZoneChange { account: Some("b".repeat(32)), name_servers: servers("lola"), ..ZoneChange::default() };
    // The first one is served, and its name server is ns1.example.com.
    let asked = rig.world.cloudflare().add_zone(ZONE);
    rig.world.cloudflare().add_zone_with(ZONE, &other);
    apply(&rig).await;
    let verified = rig.ready().await;
    assert_eq!(verified["status"]["dns"]["zoneID"], asked);
    rig.finish().await;
}

#[tokio::test]
async fn d1_what_is_written_where_nobody_looks_is_not_written() {
    let rig = Rig::start().await;
    let cloudflare = rig.world.cloudflare();
    let moved = ZoneChange { status: Some(ZoneStatus::Moved), ..ZoneChange::default() };
    cloudflare.add_zone_with(ZONE, &moved);
    apply(&rig).await;
    told(&rig, "Ready", "ZonePending", "has moved to other name servers").await;
    let partial = |kind: &str| ZoneChange {
        status: Some(ZoneStatus::Active),
        kind: Some(kind.to_owned()),
        ..ZoneChange::default()
    };
    cloudflare.change_zone(ZONE, &partial("partial"));
    told(&rig, "Ready", "ZoneNotAccessible", "partial, secondary or internal zone").await;
    let ns = json!({ "type": "NS", "name": DOMAIN, "content": "ns1.other.example" });
    let ns = text(&cloudflare.add_record(ZONE, ns).unwrap(), "id");
    cloudflare.change_zone(ZONE, &partial("full"));
    told(&rig, "RecordsSynced", "ZoneNotAccessible", "hands mail.example.com to other name servers").await;
    assert_eq!(cloudflare.records(ZONE).len(), 1, "nothing was written in all that time");

    cloudflare.delete_record(ZONE, &ns).unwrap();
    let paused = ZoneChange { paused: Some(true), ..ZoneChange::default() };
    cloudflare.change_zone(ZONE, &paused);
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d2_d4_d5_lost_and_garbled_answers_double_nothing() {
    let rig = Rig::start().await;
    let cloudflare = rig.world.cloudflare();
    cloudflare.fail_next_on(1, "GET", "/dns_records", Failure::NonJson);
    cloudflare.fail_next_on(1, "GET", "/zones?", Failure::Html502);
    cloudflare.fail_next_on(1, "POST", "/batch", Failure::Drop);
    cloudflare.fail_next_on(1, "POST", "/batch", Failure::CommitThenDrop);
    rig.apply_cloudflare().await;
    rig.ready().await;
    assert_eq!((rig.ours().len(), cloudflare.records(ZONE).len()), (5, 5));
    rig.finish().await;
}

#[tokio::test]
async fn d12_whoever_keeps_changing_a_record_back_is_not_fought_for_ever() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.reset_calls();
    let cloudflare = rig.world.cloudflare();
    let mx = || rig.ours().into_iter().find(|((_, kind), _)| kind == "MX").unwrap().1;
    let started = Instant::now();
    let mut undone = 0;
    // Another priority does not end verification, and is not what we wrote.
    while object::reason(&rig.get().await, "RecordsSynced") != "RecordDueling" {
        if mx()["priority"] == 10 {
            cloudflare.edit_record(ZONE, &text(&mx(), "id"), json!({ "priority": 20 })).unwrap();
            undone += 1;
        }
        assert!(started.elapsed() < LIMIT, "undone {undone} times, and still fought for");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(undone, 6, "five corrections, and the one that was one too many");
    rig.expect_event("Warning", "RecordDueling").await;
    let object = rig.get().await;
    assert!(object::is_ready(&object), "mail can still be sent");
    assert!(object::message(&object, "RecordsSynced").contains("bounce.mail.example.com"));
    rig.reset_calls();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.outside_writes(), [""; 0]);

    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", "now").await.unwrap();
    synced(&rig).await;
    assert_eq!(mx()["priority"], 10);
    rig.finish().await;
}

#[tokio::test]
async fn d13_one_refused_record_keeps_no_other_from_being_written() {
    let rig = Rig::start().await;
    let cloudflare = rig.world.cloudflare();
    cloudflare.add_zone(ZONE);
    let bounce = format!("bounce.{DOMAIN}");
    // All texts of a name together have a limit.
    let texts: Vec<String> = (0..4)
        .map(|i| {
            let content = format!("\"{i}{}\"", "x".repeat(2040));
            let record = json!({ "type": "TXT", "name": bounce, "content": content });
            text(&cloudflare.add_record(ZONE, record).unwrap(), "id")
        })
        .collect();
    apply(&rig).await;
    let refused = told(&rig, "RecordsSynced", "RecordRejected", "code 1004").await;
    let message = object::message(&refused, "RecordsSynced");
    assert!(message.contains("bounce.mail.example.com TXT and bounce.mail.example.com MX"), "{message}");
    let kinds: Vec<String> = rig.ours().into_keys().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["CNAME"; 3]);
    for id in texts {
        cloudflare.delete_record(ZONE, &id).unwrap();
    }
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d13_records_without_their_mark_are_told_and_not_left() {
    let rig = Rig::start().await;
    rig.world.cloudflare().set_loses_comments(true);
    rig.apply_cloudflare().await;
    told(&rig, "RecordsSynced", "RecordRejected", "did not keep the comment").await;
    rig.world.cloudflare().set_loses_comments(false);
    rig.ready().await;
    assert_eq!((rig.ours().len(), rig.world.cloudflare().records(ZONE).len()), (5, 5));
    rig.finish().await;
}

#[tokio::test]
async fn d14_a_zone_that_is_removed_is_waited_for_and_nothing_is_deleted() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.reset_calls();
    rig.world.cloudflare().remove_zone(ZONE);
    let gone = told(&rig, "RecordsSynced", "ZoneNotAccessible", "the API token sees no zone").await;
    // SES may have looked meanwhile; either way what it says is shown.
    let dkim = text(&gone["status"]["identity"], "dkimStatus");
    assert!(["SUCCESS", "TEMPORARY_FAILURE"].contains(&dkim.as_str()), "{gone}");
    assert!(rig.identity().is_some());
    assert_eq!(rig.outside_writes(), [""; 0]);
    rig.world.cloudflare_zone(ZONE);
    rig.until("five records in DNS", |o| object::is_ready(o) && object::count(o, "Found") == 5).await;
    rig.finish().await;
}

/// Many domains, few calls: for listing zones, reading and writing one call for all who wait.
#[tokio::test]
async fn thirty_domains_of_one_zone_share_their_calls() {
    const DOMAINS: usize = 30;
    let rig = Rig::with(|options| options.pending_interval = "5s".to_owned()).await;
    let cloudflare = rig.world.cloudflare();
    cloudflare.add_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    // As slow as the real thing.
    cloudflare.fail_next(1000, Failure::slow(Duration::from_millis(200)));
    for i in 0..DOMAINS {
        rig.create(&object::cloudflare(&format!("d{i}"), &format!("d{i}.{ZONE}"), SECRET)).await;
    }
    let started = Instant::now();
    while cloudflare.records(ZONE).len() < DOMAINS * 5 {
        assert!(started.elapsed() < LIMIT, "{} records", cloudflare.records(ZONE).len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let calls = cloudflare.calls();
    let count = |method: &str, part: &str| {
        calls.iter().filter(|call| call.method == method && call.path.contains(part)).count()
    };
    let (zones, reads, writes) = (count("GET", "/zones?"), count("GET", "/dns_records"), count("POST", "/batch"));
    println!(
        "{DOMAINS} domains: {zones} lists of zones, {reads} of records, {writes} batches, {:?}",
        started.elapsed()
    );
    assert!(zones <= 2 && reads + writes <= DOMAINS, "{zones} + {reads} + {writes}");
    cloudflare.clear_failures();
    for i in 0..DOMAINS {
        rig.until_named(&format!("d{i}"), "Ready", object::is_ready).await;
    }
    assert!(rig.world.ses().identity(REGION, "d0.example.com").is_some());
    rig.finish().await;
}
