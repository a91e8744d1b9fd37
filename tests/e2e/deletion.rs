//! What is ours goes with the object, nothing else does, and nothing holds it for ever.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use testbed::cloudflare::{ZoneChange, ZoneStatus};
use testbed::ses::{Failure, Operation};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, Rig, SECRET, ZONE};

const FORCE_RELEASE: &str = "sendingdomain.dev/force-release";

/// A verified domain in a zone with records of others, which are answered.
async fn verified_among_others(rig: &Rig) -> Vec<String> {
    rig.verified_cloudflare().await;
    let cloudflare = rig.world.cloudflare();
    for record in [
        json!({ "type": "A", "name": "www.example.com", "content": "192.0.2.1", "proxied": true }),
        json!({ "type": "TXT", "name": format!("bounce.{DOMAIN}"), "content": "\"unrelated\"" }),
        json!({ "type": "CNAME", "name": format!("old._domainkey.{DOMAIN}"), "content": "old.dkim.amazonses.com",
            "comment": "sendingdomain.dev/another-operator/0123456789abcdef0123456789abcdef" }),
    ] {
        cloudflare.add_record(ZONE, record).unwrap();
    }
    rig.foreign()
}

async fn gone(rig: &Rig) {
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn exactly_what_is_ours_goes() {
    let rig = Rig::start().await;
    let foreign = verified_among_others(&rig).await;
    rig.world.ses().region("us-east-1").put_foreign_identity("other.example", &[].into(), true);
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    gone(&rig).await;
    assert!(rig.identity().is_none());
    assert!(rig.ours().is_empty());
    assert_eq!(rig.foreign(), foreign);
    assert!(rig.world.ses().identity("us-east-1", "other.example").is_some());
    rig.expect_event("Normal", "IdentityDeleted").await;
    rig.finish().await;
}

#[tokio::test]
async fn a_zone_that_is_not_active_any_more_is_cleaned_too() {
    let rig = Rig::start().await;
    let object = rig.verified_cloudflare().await;
    let id = object["status"]["dns"]["zoneID"].clone();
    rig.patch(&json!({ "spec": { "dns": { "cloudflare": { "zoneID": id } } } })).await;
    rig.until("Ready with the zone's id", |o| object::is_ready(o) && object::is_current(o)).await;
    let foreign = rig.foreign();
    let moved = ZoneChange { status: Some(ZoneStatus::Moved), ..ZoneChange::default() };
    rig.world.cloudflare().change_zone(ZONE, &moved);
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    gone(&rig).await;
    assert!(rig.ours().is_empty());
    assert_eq!(rig.foreign(), foreign);
    rig.finish().await;
}

#[tokio::test]
async fn g11_what_is_retained_is_taken_up_again_without_a_write() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.patch(&json!({ "spec": { "deletionPolicy": "Retain" } })).await;
    let (identity, ours) = (rig.identity().unwrap(), rig.ours());
    rig.reset_calls();
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    gone(&rig).await;
    assert_eq!(rig.identity().unwrap().tokens, identity.tokens);
    assert_eq!(rig.ours(), ours);
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let again = rig.ready().await;
    assert_eq!(again["status"]["identity"]["dkimTokens"], json!(identity.sorted_tokens()));
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!(rig.ours(), ours);
    rig.finish().await;
}

#[tokio::test]
async fn g8_a_token_in_memory_serves_when_its_secret_is_gone() {
    let rig = Rig::start().await;
    let foreign = verified_among_others(&rig).await;
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    gone(&rig).await;
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    assert_eq!(rig.foreign(), foreign);
    rig.finish().await;
}

#[tokio::test]
async fn g8_without_credentials_clean_up_is_given_up_after_the_grace() {
    let mut rig = Rig::with(|options| options.args = vec!["--cleanup-grace=6s".to_owned()]).await;
    let foreign = verified_among_others(&rig).await;
    rig.operator.stop().await.unwrap();
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    rig.operator.restart().await.unwrap();
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    let deleted = Instant::now();
    let blocked = rig.reason("CleanupBlocked").await;
    assert_eq!(object::condition_status(&blocked, "Reconciling"), "True");
    let message = object::message(&blocked, "Ready");
    assert!(message.contains(SECRET) && message.contains(FORCE_RELEASE), "{message}");
    rig.expect_event("Warning", "CleanupBlocked").await;
    gone(&rig).await;
    assert!(deleted.elapsed() > Duration::from_secs(4), "{:?}", deleted.elapsed());
    let note = rig.expect_event("Warning", "CleanupIncomplete").await;
    assert!(note.contains(ZONE) && note.contains(&format!("bounce.{DOMAIN}")), "{note}");
    assert!(rig.identity().is_none(), "SES is cleaned in any case");
    assert_eq!((rig.ours().len(), rig.foreign()), (5, foreign));
    rig.finish().await;
}

#[tokio::test]
async fn g8_a_secret_that_comes_back_lets_clean_up_finish() {
    let mut rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.operator.stop().await.unwrap();
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    rig.operator.restart().await.unwrap();
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    rig.reason("CleanupBlocked").await;
    rig.set_token(rig.world.token()).await;
    gone(&rig).await;
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn g8_force_release_gives_up_at_once() {
    let mut rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.operator.stop().await.unwrap();
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    rig.operator.restart().await.unwrap();
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    rig.reason("CleanupBlocked").await;
    rig.world.annotate(&rig.namespace, NAME, FORCE_RELEASE, "true").await.unwrap();
    gone(&rig).await;
    rig.expect_event("Warning", "CleanupIncomplete").await;
    assert!(rig.identity().is_none());
    assert_eq!(rig.ours().len(), 5);
    rig.finish().await;
}

#[tokio::test]
async fn b8_g7_a_namespace_finishes_terminating() {
    let rig = Rig::start().await;
    if !rig.world.control_plane().has_controllers() {
        return rig.finish().await;
    }
    let foreign = verified_among_others(&rig).await;
    let namespaces: Api<Namespace> = Api::all(rig.world.client().clone());
    namespaces.delete(&rig.namespace, &DeleteParams::default()).await.unwrap();
    let started = Instant::now();
    while namespaces.get_opt(&rig.namespace).await.unwrap().is_some() {
        assert!(started.elapsed() < LIMIT, "still terminating:\n{}", rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    assert_eq!(rig.foreign(), foreign);
    rig.finish().await;
}

#[tokio::test]
async fn an_object_that_never_got_anywhere_goes_at_once() {
    let rig = Rig::start().await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    rig.reason("SecretNotFound").await;
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    gone(&rig).await;
    assert!(rig.identity().is_none());
    rig.finish().await;
}

/// The clean-up of an object is under way when somebody takes its finalizer away and creates it again.
#[tokio::test]
async fn g5_a_clean_up_that_comes_late_leaves_the_next_object_of_the_name_alone() {
    let rig = Rig::start().await;
    let first = rig.verified_cloudflare().await;
    let (tokens, ours) = (rig.identity().unwrap().tokens, rig.ours());
    rig.reset_calls();
    rig.world.ses().fail_next_for(Operation::GetEmailIdentity, 1, Failure::Delay(4000));
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    let asked = Instant::now();
    while rig.outside_calls() == 0 {
        assert!(asked.elapsed() < LIMIT, "no clean-up began");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.patch(&json!({ "metadata": { "finalizers": null } })).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    tokio::time::sleep(Duration::from_secs(4).saturating_sub(asked.elapsed())).await;
    let second = rig.ready().await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(rig.identity().unwrap().tokens, tokens, "it takes the identity up");
    assert_eq!(rig.ours(), ours);
    assert!(rig.outside_writes().is_empty(), "{:?}", rig.outside_writes());
    assert_eq!(second["metadata"]["finalizers"], json!(["sendingdomain.dev/cleanup"]));
    rig.finish().await;
}

#[tokio::test]
async fn g5_what_is_created_again_under_the_same_name_is_another_object() {
    let rig = Rig::start().await;
    let first = rig.verified_cloudflare().await;
    let tokens = rig.identity().unwrap().tokens;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let second = rig.ready().await;
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_ne!(rig.identity().unwrap().tokens, tokens);
    assert_eq!(rig.ours().len(), 5);
    rig.finish().await;
}
