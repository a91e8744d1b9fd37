//! Status is a report and never an authority: what a user writes into it moves nothing outside.

use serde_json::json;
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE};

const VICTIM: &str = "victim.example.com";

#[tokio::test]
async fn a10_a_forged_status_changes_nothing_of_others() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.create(&object::cloudflare("victim", VICTIM, SECRET)).await;
    let victim = rig.until_named("victim", "Ready", object::is_ready).await;
    let other_zone = rig.world.cloudflare_zone("other.example");
    let theirs = json!({ "type": "TXT", "name": "bounce.other.example", "content": "\"v=spf1 -all\"" });
    rig.world.cloudflare().add_record("other.example", theirs).unwrap();
    let untouched = rig.world.cloudflare().records("other.example");
    let victims = || {
        let ours = rig.ours().into_iter().filter(|((name, _), _)| name.ends_with(VICTIM));
        ours.collect::<Vec<_>>()
    };
    let (records, identity) = (victims(), rig.world.ses().identity(REGION, VICTIM).unwrap());
    assert_eq!(records.len(), 5);

    let forged = json!({
        "records": victim["status"]["records"],
        "identity": { "dkimTokens": identity.tokens, "mailFromDomain": format!("bounce.{VICTIM}") },
        "dns": { "zoneID": other_zone, "zoneName": "other.example" },
    });
    rig.patch_status(NAME, &forged).await;
    let is_true_again = |o: &serde_json::Value| {
        o["status"]["dns"]["zoneName"] == ZONE && o["status"]["identity"]["mailFromDomain"] == "bounce.mail.example.com"
    };
    rig.until("the truth in status", is_true_again).await;
    rig.patch_status(NAME, &forged).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.identity().is_none(), "its own goes");
    assert!(rig.ours().keys().all(|(name, _)| !name.ends_with(DOMAIN)));
    assert_eq!(victims(), records);
    assert_eq!(rig.world.cloudflare().records("other.example"), untouched);
    assert_eq!(rig.world.ses().identity(REGION, VICTIM).unwrap().tokens, identity.tokens);
    rig.finish().await;
}

#[tokio::test]
async fn a10_a_forged_place_leads_clean_up_nowhere_else() {
    let rig = Rig::start().await;
    rig.verified_manual().await;
    // A manual domain remembers no place; the forged one names a zone with records of another object of ours.
    rig.set_token(rig.world.token()).await;
    let zone = rig.world.cloudflare_zone("other.example");
    let foreign = json!({ "type": "CNAME", "name": "a._domainkey.other.example", "content": "a.dkim.amazonses.com",
        "comment": format!("sendingdomain.dev/{}/0123456789abcdef0123456789abcdef", rig.operator.owner_id()) });
    rig.world.cloudflare().add_record("other.example", foreign).unwrap();
    let untouched = rig.world.cloudflare().records("other.example");
    let place = json!({ "provider": "Cloudflare", "zoneID": zone, "zoneName": "other.example", "secretName": SECRET,
        "secretKey": "api-token" });
    rig.patch(&json!({ "spec": { "suspend": true } })).await;
    rig.until("suspended", object::is_current).await;
    rig.patch_status(NAME, &json!({ "dns": place })).await;
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/force-release", "true").await.ok();
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert_eq!(rig.world.cloudflare().records("other.example"), untouched);
    assert!(rig.identity().is_none());
    rig.finish().await;
}

#[tokio::test]
async fn a10_a_forged_zone_id_does_not_lead_clean_up_away_from_the_zone_of_the_spec() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.patch(&json!({ "spec": { "suspend": true } })).await;
    rig.until("suspended", object::is_current).await;
    // The domain is in this zone too, as far as names tell.
    let empty = rig.world.cloudflare_zone("com");
    rig.patch_status(NAME, &json!({ "dns": { "zoneID": empty } })).await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a10_a_forged_region_does_not_move_the_identity() {
    let mut rig = Rig::start().await;
    let verified = rig.verified_cloudflare().await;
    let (tokens, restored) = (rig.identity().unwrap().tokens, json!({ "identity": { "region": "eu-west-1" } }));
    rig.patch_status(NAME, &restored).await;
    rig.until("the true region", |o| o["status"]["identity"]["region"] == REGION).await;
    rig.ready().await;

    // A process that has never seen the identity has only status to go by, and asks where the mark is.
    let namespaces = [rig.namespace.clone()];
    rig.operator.stop().await.unwrap();
    rig.patch_status(NAME, &restored).await;
    rig.watch_namespaces(&namespaces).await;
    rig.until("the true region", |o| o["status"]["identity"]["region"] == REGION).await;
    assert_eq!(object::records(&rig.ready().await), object::records(&verified));
    assert_eq!(rig.identity().unwrap().tokens, tokens);

    // Nor does clean-up look only where status says.
    rig.operator.stop().await.unwrap();
    rig.patch_status(NAME, &restored).await;
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    rig.watch_namespaces(&namespaces).await;
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.identity().is_none(), "left behind");
    assert!(rig.world.ses().identity("eu-west-1", DOMAIN).is_none(), "a second identity was made");
    rig.finish().await;
}
