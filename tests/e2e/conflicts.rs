//! Records of others where ours must be: told, never touched, and as good as ours when they are equal.

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE, text};

fn bounce() -> String {
    format!("bounce.{DOMAIN}")
}

/// Applies a domain to a zone in which somebody has a record; answers the id of that record.
async fn apply_beside(rig: &Rig, record: Value) -> String {
    rig.world.cloudflare_zone(ZONE);
    let added = rig.world.cloudflare().add_record(ZONE, record).unwrap();
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    text(&added, "id")
}

#[tokio::test]
async fn d9_a_foreign_mx_is_refused() {
    let rig = Rig::start().await;
    let record = json!({ "type": "MX", "name": bounce(), "content": "mx.other.example", "priority": 5 });
    let id = apply_beside(&rig, record).await;
    let foreign = rig.foreign();
    let refused = rig.reason("MailFromConflict").await;
    assert_eq!(object::condition_status(&refused, "Stalled"), "True");
    let message = object::message(&refused, "RecordsSynced");
    assert!(message.contains("mx.other.example") && message.contains("spec.mailFrom.subdomain"), "{message}");
    assert_eq!(rig.foreign(), foreign);
    rig.expect_event("Warning", "MailFromConflict").await;
    rig.world.cloudflare().delete_record(ZONE, &id).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d8_a_foreign_spf_record_is_refused_and_mended_by_its_owner() {
    let rig = Rig::start().await;
    let record = json!({ "type": "TXT", "name": bounce(), "content": "\"v=spf1 include:other.example -all\"" });
    let id = apply_beside(&rig, record).await;
    let foreign = rig.foreign();
    let refused = rig.reason("RecordConflict").await;
    let message = object::message(&refused, "RecordsSynced");
    assert!(message.contains("add include:amazonses.com to it"), "{message}");
    assert_eq!(rig.foreign(), foreign);
    let mended = json!({ "content": "\"v=spf1 include:other.example include:amazonses.com -all\"" });
    rig.world.cloudflare().edit_record(ZONE, &id, mended).unwrap();
    let mended = rig.foreign();
    rig.ready().await;
    assert_eq!(rig.ours().len(), 4, "a second SPF record would break both");
    assert_eq!(rig.foreign(), mended);
    rig.finish().await;
}

#[tokio::test]
async fn d10_a_foreign_alias_of_the_mail_from_name_is_refused_even_to_overwrite() {
    let rig = Rig::start().await;
    let record = json!({ "type": "CNAME", "name": bounce(), "content": "bounces.other.example" });
    let id = apply_beside(&rig, record).await;
    rig.patch(&json!({ "spec": { "dns": { "cloudflare": { "conflictPolicy": "Overwrite" } } } })).await;
    let foreign = rig.foreign();
    let refused = rig.reason("RecordConflict").await;
    let message = object::message(&refused, "RecordsSynced");
    assert!(
        message.contains("CNAME bounces.other.example") && message.contains("spec.mailFrom.subdomain"),
        "{message}"
    );
    assert_eq!(rig.foreign(), foreign);
    rig.world.cloudflare().delete_record(ZONE, &id).unwrap();
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn d7_a_foreign_alias_at_a_dkim_name_is_overwritten_only_if_asked_for() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let dkim = rig.ours().into_iter().find(|((_, kind), _)| kind == "CNAME").unwrap().1;
    let (id, name) = (text(&dkim, "id"), text(&dkim, "name"));
    // Without our comment it is ours no more.
    let taken = json!({ "comment": null, "content": "elsewhere.example.net" });
    rig.world.cloudflare().edit_record(ZONE, &id, taken).unwrap();
    let foreign = rig.foreign();
    assert_eq!(foreign.len(), 1);
    let is_refused = |o: &Value| object::reason(o, "RecordsSynced") == "RecordConflict";
    let refused = rig.until("RecordConflict", is_refused).await;
    let message = object::message(&refused, "RecordsSynced");
    assert!(message.contains(&name) && message.contains("conflictPolicy to Overwrite"), "{message}");
    assert_eq!(rig.foreign(), foreign);

    rig.patch(&json!({ "spec": { "dns": { "cloudflare": { "conflictPolicy": "Overwrite" } } } })).await;
    let is_synced = |o: &Value| object::is_ready(o) && object::condition_status(o, "RecordsSynced") == "True";
    rig.until("overwritten", is_synced).await;
    assert_eq!((rig.ours().len(), rig.foreign().len()), (5, 0));
    rig.finish().await;
}

#[tokio::test]
async fn d7_an_equal_foreign_record_satisfies_and_survives() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let cloudflare = rig.world.cloudflare();
    for record in [
        json!({ "type": "TXT", "name": bounce(), "content": "\"v=spf1 mx include:amazonses.com ~all\"", "comment": "mail team" }),
        json!({ "type": "MX", "name": bounce(), "content": format!("feedback-smtp.{REGION}.amazonses.com"), "priority": 20 }),
    ] {
        cloudflare.add_record(ZONE, record).unwrap();
    }
    let foreign = rig.foreign();
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    rig.ready().await;
    assert_eq!(rig.ours().len(), 3);
    assert_eq!(rig.foreign(), foreign);
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.ours().is_empty());
    assert_eq!(rig.foreign(), foreign);
    rig.finish().await;
}
