//! Identities that exist already: left alone, or adopted when their owner has released them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE};

/// An identity of somebody else; answers its tokens.
fn foreign_identity(rig: &Rig, tags: &[(&str, &str)], verified: bool) -> Vec<String> {
    let tags: BTreeMap<String, String> =
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let region = rig.world.ses().region(REGION);
    region.put_foreign_identity(DOMAIN, &tags, verified).unwrap().tokens
}

/// Asserts that nothing of a foreign identity is shown, and nothing was written.
fn assert_untouched(rig: &Rig, object: &Value, tokens: &[String]) {
    let shown = object.to_string();
    assert!(tokens.iter().all(|token| !shown.contains(token)), "{shown}");
    assert!(object["status"]["identity"].is_null() && object::records(object).is_empty(), "{shown}");
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!(rig.identity().unwrap().tokens, tokens);
}

#[tokio::test]
async fn c4_a_foreign_identity_is_left_alone() {
    let rig = Rig::start().await;
    let tokens = foreign_identity(&rig, &[("team", "marketing")], true);
    rig.apply_cloudflare().await;
    let refused = rig.reason("IdentityNotOwned").await;
    assert_eq!(object::condition_status(&refused, "Stalled"), "True");
    assert_eq!(object::phase(&refused), "Pending", "SES says SUCCESS, but not to us");
    assert_untouched(&rig, &refused, &tokens);
    rig.expect_event("Warning", "IdentityNotOwned").await;
    rig.patch(&json!({ "spec": { "ses": { "adoptionPolicy": "Adopt" } } })).await;
    let refused = rig.reason("IdentityNotOwned").await;
    let owner = format!("sendingdomain.dev/adoptable-by={}/{}", rig.operator.owner_id(), rig.namespace);
    assert!(object::message(&refused, "Ready").contains(&owner), "{refused}");
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(rig.identity().unwrap().tokens, tokens);
    rig.finish().await;
}

#[tokio::test]
async fn c1_an_identity_of_another_operator_is_left_alone() {
    let rig = Rig::with(|options| options.args = vec!["--allow-adoption".to_owned()]).await;
    let tags = [
        ("sendingdomain.dev/owner", "another-cluster"),
        ("sendingdomain.dev/object", "0123456789abcdef0123456789abcdef"),
        ("sendingdomain.dev/origin", "Created"),
    ];
    let tokens = foreign_identity(&rig, &tags, false);
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["ses"] = json!({ "adoptionPolicy": "Adopt" });
    rig.create(&manifest).await;
    let refused = rig.reason("IdentityNotOwned").await;
    assert_untouched(&rig, &refused, &tokens);
    rig.finish().await;
}

#[tokio::test]
async fn c4_an_identity_is_adopted_by_its_tag_and_never_deleted() {
    let rig = Rig::start().await;
    let released = format!("{}/{}", rig.operator.owner_id(), rig.namespace);
    let tokens = foreign_identity(&rig, &[("sendingdomain.dev/adoptable-by", &released), ("team", "mail")], true);
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["ses"] = json!({ "adoptionPolicy": "Adopt" });
    rig.create(&manifest).await;
    let verified = rig.ready().await;
    assert_eq!(verified["status"]["identity"]["origin"], "Adopted");
    let identity = rig.identity().unwrap();
    assert_eq!(identity.tokens, tokens, "adoption changes no keys");
    assert_eq!(identity.tags["team"], "mail");
    assert_eq!(rig.ours().len(), 5);
    rig.expect_event("Normal", "IdentityAdopted").await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(rig.identity().unwrap().tokens, tokens);
    assert_eq!(rig.ours().len(), 5, "what its mail needs stays with the identity");
    rig.expect_event("Normal", "RecordsKept").await;
    rig.finish().await;
}

#[tokio::test]
async fn a2_a_public_suffix_is_refused_without_a_call() {
    let rig = Rig::start().await;
    rig.create(&object::manual(NAME, "co.uk")).await;
    let refused = rig.reason("PublicSuffix").await;
    assert_eq!(object::condition_status(&refused, "Stalled"), "True");
    assert_eq!(rig.outside_calls(), 0);
    rig.finish().await;
}
