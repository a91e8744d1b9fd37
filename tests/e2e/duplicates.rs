//! Two objects that want one domain: the older has it, and the younger learns nothing.

use std::time::Duration;

use serde_json::Value;
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, Rig, SECRET};

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
