//! New tokens: an identity that was deleted behind the operator's back, and one that the user wants anew.

use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig};

fn tokens_of(object: &Value) -> &Value {
    &object["status"]["identity"]["dkimTokens"]
}

/// Waits until the zone has the records of the identity as it is now, and no others of ours.
async fn only_new_records(rig: &Rig) {
    let started = Instant::now();
    loop {
        let tokens = rig.identity().map(|identity| identity.tokens).unwrap_or_default();
        let names: Vec<String> = rig.ours().into_keys().map(|(name, _)| name).collect();
        let has = |token: &String| names.contains(&format!("{token}._domainkey.{DOMAIN}"));
        if names.len() == 5 && tokens.len() == 3 && tokens.iter().all(has) {
            return;
        }
        assert!(started.elapsed() < LIMIT, "{tokens:?} {names:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn f7_an_identity_deleted_behind_the_back_is_made_anew() {
    let rig = Rig::start().await;
    let first = rig.verified_cloudflare().await;
    let foreign = rig.foreign();
    assert!(rig.world.ses().region(REGION).delete_identity(DOMAIN));
    let is_new = |o: &Value| object::is_ready(o) && tokens_of(o) != tokens_of(&first);
    rig.until("Ready with new tokens", is_new).await;
    rig.expect_event("Warning", "IdentityLost").await;
    only_new_records(&rig).await;
    assert_eq!(rig.foreign(), foreign);
    rig.finish().await;
}

#[tokio::test]
async fn an_identity_deleted_and_made_by_somebody_else_is_theirs() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.world.ses().region(REGION).delete_identity(DOMAIN);
    rig.world.ses().region(REGION).put_foreign_identity(DOMAIN, &[].into(), false);
    let theirs = rig.identity().unwrap().tokens;
    let refused = rig.reason("IdentityNotOwned").await;
    let shown = refused["status"].to_string();
    assert!(theirs.iter().all(|token| !shown.contains(token)), "{shown}");
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(rig.identity().unwrap().tokens, theirs);
    rig.finish().await;
}

#[tokio::test]
async fn fresh_tokens_on_request() {
    let rig = Rig::start().await;
    let first = rig.verified_cloudflare().await;
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/recreate-at", "2026-01-01").await.unwrap();
    let is_new = |o: &Value| object::is_ready(o) && tokens_of(o) != tokens_of(&first);
    let second = rig.until("Ready with new tokens", is_new).await;
    only_new_records(&rig).await;
    // The same value asks for nothing more, whatever else happens.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(tokens_of(&rig.get().await), tokens_of(&second));
    rig.finish().await;
}
