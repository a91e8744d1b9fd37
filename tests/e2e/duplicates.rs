//! Two objects that want one domain: the older has it, and the younger learns nothing.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::ses::Status;
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE};

/// Creation times have seconds; of two in one second the uid decides.
async fn later() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

fn is_refused(object: &Value) -> bool {
    object::reason(object, "Ready") == "DomainConflict"
}

fn assert_shows_nothing(object: &Value) {
    let status = &object["status"];
    assert!(status["identity"].is_null() && object::records(object).is_empty(), "{status}");
    assert_eq!(object::condition_status(object, "Stalled"), "True");
    assert_eq!(object::phase(object), "Pending");
}

#[tokio::test]
async fn a4_in_one_namespace_the_older_has_it_and_is_named() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    later().await;
    rig.reset_calls();
    rig.create(&object::cloudflare("second", DOMAIN, SECRET)).await;
    let refused = rig.until_named("second", "DomainConflict", is_refused).await;
    assert_shows_nothing(&refused);
    let message = object::message(&refused, "Ready");
    assert!(message.contains(NAME), "{message}");
    rig.expect_event("Warning", "DomainConflict").await;
    assert!(object::is_ready(&rig.get().await));
    assert_eq!(rig.outside_writes(), [""; 0]);

    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    rig.until_named("second", "Ready", object::is_ready).await;
    assert_eq!(rig.ours().len(), 5);
    rig.finish().await;
}

#[tokio::test]
async fn c2_the_younger_takes_nothing_with_it() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let (tokens, ours) = (rig.identity().unwrap().tokens, rig.ours());
    later().await;
    rig.create(&object::cloudflare("second", DOMAIN, SECRET)).await;
    rig.until_named("second", "DomainConflict", is_refused).await;
    rig.world.delete_and_wait(&rig.namespace, "second", LIMIT).await.unwrap();
    assert_eq!((rig.identity().unwrap().tokens, rig.ours()), (tokens, ours));
    assert!(object::is_ready(&rig.get().await));
    rig.finish().await;
}

#[tokio::test]
async fn a5_c1_in_another_namespace_the_older_is_not_named() {
    let rig = Rig::over_namespaces(2, |_| {}).await;
    rig.verified_cloudflare().await;
    let (tokens, ours) = (rig.identity().unwrap().tokens, rig.ours());
    later().await;
    let other = rig.others[0].clone();
    rig.world.create_secret(&other, SECRET, "api-token", rig.world.token()).await.unwrap();
    rig.world.create(&other, &object::cloudflare("intruder", DOMAIN, SECRET)).await.unwrap();
    let refused = rig.world.wait_for(&other, "intruder", "DomainConflict", is_refused, LIMIT).await.unwrap();
    assert_shows_nothing(&refused);
    let told = refused["status"].to_string();
    assert!(!told.contains(&rig.namespace) && tokens.iter().all(|token| !told.contains(token)), "{told}");
    let events: Vec<_> = rig.world.events(&other).await.unwrap().into_iter().filter_map(|event| event.note).collect();
    assert!(events.iter().all(|note| !note.contains(&rig.namespace)), "{events:?}");
    rig.world.delete_and_wait(&other, "intruder", LIMIT).await.unwrap();
    assert_eq!((rig.identity().unwrap().tokens, rig.ours()), (tokens, ours));
    rig.finish().await;
}

/// The mark on the identity says whose it is, not the age: otherwise a fleet that comes into sight in another order (a
/// restored cluster, a wider `--watch-namespace`) would stop sending.
#[tokio::test]
async fn whoever_has_the_identity_keeps_it_from_an_older_one_that_comes_into_sight() {
    let mut rig = Rig::over_namespaces(2, |options| {
        options.namespaces.truncate(1);
    })
    .await;
    let other = rig.others[0].clone();
    rig.world.create(&other, &object::manual("elder", DOMAIN)).await.unwrap();
    later().await;
    rig.verified_cloudflare().await;
    let tokens = rig.identity().unwrap().tokens;
    rig.operator.stop().await.unwrap();
    rig.watch_namespaces(&[rig.namespace.clone(), other.clone()]).await;
    let is_stalled = |o: &Value| object::condition_status(o, "Stalled") == "True";
    let elder = rig.world.wait_for(&other, "elder", "Stalled", is_stalled, LIMIT).await.unwrap();
    assert_shows_nothing(&elder);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let younger = rig.get().await;
    assert!(object::is_ready(&younger), "{}", younger["status"]);
    assert_eq!(rig.identity().unwrap().tokens, tokens);
    rig.finish().await;
}

/// Takes the DKIM records out of DNS, and not out of the zone.
fn hide(rig: &Rig) {
    for ((name, kind), _) in rig.ours() {
        if kind == "CNAME" {
            rig.world.dns().remove(&name, RecordType::CNAME).unwrap();
        }
    }
}

/// A holder that SES gives up before it ever was verified leaves the domain to the next, and comes after it from then on.
#[tokio::test]
async fn a4_a_holder_that_failed_gives_way_to_the_next_and_stays_behind_it() {
    let rig = Rig::over_namespaces(2, |_| {}).await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_cloudflare().await;
    rig.until("records", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    let (tokens, theirs) = (rig.identity().unwrap().tokens, rig.foreign());
    later().await;
    let other = rig.others[0].clone();
    rig.world.create_secret(&other, SECRET, "api-token", rig.world.token()).await.unwrap();
    rig.world.create(&other, &object::cloudflare("next", DOMAIN, SECRET)).await.unwrap();
    rig.world.wait_for(&other, "next", "DomainConflict", is_refused, LIMIT).await.unwrap();

    // DNS does not show the records, or SES would be asked to look again.
    hide(&rig);
    // The records go with their owner's token, the identity last; the next one makes its own.
    rig.world.ses().region(REGION).set_dkim_status(DOMAIN, Status::Failed);
    let gave_way = rig.until("DomainConflict", |o| is_refused(o) && o["status"]["identity"]["origin"].is_null()).await;
    assert!(object::records(&gave_way).is_empty(), "{}", gave_way["status"]);
    let has_records = |o: &Value| object::condition_status(o, "RecordsSynced") == "True";
    let next = rig.world.wait_for(&other, "next", "records", has_records, LIMIT).await.unwrap();
    let fresh = rig.identity().unwrap().tokens;
    assert!(fresh.iter().all(|token| !tokens.contains(token)), "an identity of its own");
    let told = rig.get().await["status"].to_string();
    assert!(!told.contains(&other) && tokens.iter().chain(&fresh).all(|token| !told.contains(token)), "{told}");
    assert_eq!((rig.ours().len(), rig.foreign()), (5, theirs));
    rig.expect_event("Warning", "DomainConflict").await;

    // That one fails too: whoever has failed already does not come back for that.
    hide(&rig);
    rig.world.ses().region(REGION).set_dkim_status(DOMAIN, Status::Failed);
    let is_failed = |o: &Value| object::phase(o) == "Failed";
    rig.world.wait_for(&other, "next", "Failed", is_failed, LIMIT).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.identity().unwrap().tokens, fresh);
    let behind = rig.get().await;
    assert!(is_refused(&behind) && object::records(&behind).is_empty(), "{}", behind["status"]);
    let events = rig.world.events(&rig.namespace).await.unwrap();
    let told = events.iter().filter(|event| event.reason.as_deref() == Some("DomainConflict"));
    assert_eq!(told.count(), 1, "one event");

    // And it is its turn again when the other is gone.
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
    rig.world.delete_and_wait(&other, "next", LIMIT).await.unwrap();
    rig.ready().await;
    assert_eq!(rig.ours().len(), 5);
    drop(next);
    rig.finish().await;
}

/// Status is no authority: whatever it says of the past, SES's own word keeps a domain that is verified.
#[tokio::test]
async fn a10_a_forged_failure_makes_nobody_lose_a_verified_domain() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let (tokens, ours) = (rig.identity().unwrap().tokens, rig.ours());
    later().await;
    rig.create(&object::cloudflare("second", DOMAIN, SECRET)).await;
    rig.until_named("second", "DomainConflict", is_refused).await;
    let forged = json!({ "verification": { "verifiedAt": null, "yieldedAt": "2026-01-01T00:00:00Z",
        "startedAt": "2026-01-01T00:00:00Z", "deadline": "2026-01-02T00:00:00Z" } });
    for _ in 0..3 {
        rig.patch_status(NAME, &forged).await;
        rig.world
            .annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", &rand::random::<u32>().to_string())
            .await
            .unwrap();
        rig.ready().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!((rig.identity().unwrap().tokens, rig.ours()), (tokens, ours));
    rig.until_named("second", "DomainConflict", is_refused).await;
    rig.finish().await;
}

/// Two regions have a name in DNS in common: one policy is published, that of the older, and the younger's once it is gone.
#[tokio::test]
async fn of_two_places_of_a_domain_one_publishes_the_policy() {
    let rig = Rig::start().await;
    let with = |name: &str, region: &str, subdomain: &str, policy: &str| {
        let mut object = object::cloudflare(name, DOMAIN, SECRET);
        object["spec"]["ses"] = json!({ "region": region });
        object["spec"]["mailFrom"] = json!({ "subdomain": subdomain });
        object["spec"]["dmarc"] = json!({ "policy": policy });
        object
    };
    rig.world.cloudflare_zone(ZONE);
    rig.world.create_secret(&rig.namespace, SECRET, "api-token", rig.world.token()).await.unwrap();
    rig.world.create(&rig.namespace, &with("elder", "us-east-1", "one", "none")).await.unwrap();
    later().await;
    rig.world.create(&rig.namespace, &with("younger", "eu-west-1", "two", "reject")).await.unwrap();
    for name in ["elder", "younger"] {
        rig.world.wait_for(&rig.namespace, name, "Ready", object::is_ready, LIMIT).await.unwrap();
    }
    let policies = || -> Vec<String> {
        let records = rig.world.cloudflare().records(ZONE).into_iter();
        let policies = records.filter(|r| r["name"] == format!("_dmarc.{DOMAIN}"));
        policies.map(|r| r["content"].as_str().unwrap().to_owned()).collect()
    };
    let until = async |policy: &str| {
        let began = std::time::Instant::now();
        while !matches!(&*policies(), [one] if one.contains(policy)) {
            assert!(began.elapsed() < LIMIT && policies().len() < 2, "{policy}: {:?}", policies());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until("p=none").await;
    rig.world.delete_and_wait(&rig.namespace, "elder", LIMIT).await.unwrap();
    until("p=reject").await;
    rig.finish().await;
}

/// With claims required, an object of a namespace that may not have a name keeps it from nobody.
#[tokio::test]
async fn c3_what_a_namespace_may_not_have_it_takes_from_nobody() {
    let rig = Rig::over_namespaces(2, |options| {
        options.args.push("--require-namespace-claims=true".to_owned());
    })
    .await;
    let plane = rig.world.control_plane();
    let allow = ["annotate", "namespace", &rig.namespace, "sendingdomain.dev/allowed-domains=example.com"];
    plane.kubectl_ok(&allow).await.unwrap();
    let other = rig.others[0].clone();
    // Its domain is the MAIL FROM domain of the one to come, and it is the older.
    rig.world.create(&other, &object::manual("intruder", &format!("bounce.{DOMAIN}"))).await.unwrap();
    let refused = |o: &Value| object::reason(o, "Ready") == "DomainNotAllowed";
    rig.world.wait_for(&other, "intruder", "DomainNotAllowed", refused, LIMIT).await.unwrap();
    later().await;
    rig.verified_cloudflare().await;
    rig.finish().await;
}
