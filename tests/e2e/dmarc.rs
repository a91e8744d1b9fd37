//! DMARC: the policy in force is told, an existing one is never touched, and reports to strangers need their consent.

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE, text};

fn advice(object: &Value, code: &str) -> Option<String> {
    let list = object["status"]["recommendations"].as_array()?;
    list.iter().find(|r| r["code"] == code).map(|r| text(r, "message"))
}

async fn advised(rig: &Rig, code: &str, part: &str) -> Value {
    rig.until(&format!("{code}: {part}"), |o| advice(o, code).is_some_and(|message| message.contains(part))).await
}

#[tokio::test]
async fn the_policy_in_force_is_told_also_an_inherited_one_and_never_keeps_from_ready() {
    let rig = Rig::start().await;
    let verified = rig.verified_manual().await;
    let (dns, own, root) = (rig.world.dns(), format!("_dmarc.{DOMAIN}"), format!("_dmarc.{ZONE}"));
    assert!(object::is_ready(&verified));
    advised(&rig, "PublishDMARC", &format!("No DMARC policy is in force for {DOMAIN}")).await;
    dns.set(&root, RecordType::TXT, &["v=DMARC1; p=reject; sp=quarantine"]).unwrap();
    advised(&rig, "DMARCPolicyInForce", "that of example.com applies: sp=quarantine").await;
    dns.set(&root, RecordType::TXT, &["v=DMARC1; p=reject; rua=mailto:a@reports.example.net!10m"]).unwrap();
    let told = advised(&rig, "DMARCReportNotAuthorised", &format!("{ZONE}._report._dmarc.reports.example.net")).await;
    assert!(advice(&told, "DMARCPolicyInForce").unwrap().contains("p=reject"), "{told}");
    rig.world.manual_zone("example.net").unwrap();
    let consent = format!("{ZONE}._report._dmarc.reports.example.net");
    dns.set(&consent, RecordType::TXT, &["v=DMARC1"]).unwrap();
    rig.until("consent", |o| advice(o, "DMARCReportNotAuthorised").is_none()).await;
    dns.set(&own, RecordType::TXT, &["v=DMARC1; p=none", "v=DMARC1; p=reject"]).unwrap();
    let told = advised(&rig, "DMARCInvalid", "keep exactly one").await;
    assert!(object::is_ready(&told));
    // What receivers discard unread leaves the parent's policy in force.
    dns.set(&own, RecordType::TXT, &["v=dmarc1; p=none"]).unwrap();
    let told = advised(&rig, "DMARCInvalid", "unread: it must begin with v=DMARC1").await;
    assert!(advice(&told, "DMARCPolicyInForce").unwrap().contains("that of example.com applies: p=reject"), "{told}");
    // An alias that leads nowhere is no policy, and no TXT record can be beside it.
    dns.remove(&own, RecordType::TXT).unwrap();
    dns.remove(&root, RecordType::TXT).unwrap();
    dns.set(&own, RecordType::CNAME, &["nowhere.example.net"]).unwrap();
    advised(&rig, "PublishDMARC", "is an alias of nowhere.example.net, where there is none").await;
    rig.patch(&json!({"spec": {"dmarc": {"policy": "none"}}})).await;
    let at = |o: &Value| object::records(o).iter().find(|r| r["purpose"] == "DMARC").cloned().unwrap_or_default();
    let told = rig.until("the alias", |o| at(o)["cause"] == "CNAMEBlocksRecord").await;
    assert!(object::is_ready(&told) && text(&at(&told), "message").contains("replace the alias"), "{told}");
    // A policy of its own takes the place of a stricter one that the domain would inherit.
    dns.remove(&own, RecordType::CNAME).unwrap();
    dns.set(&root, RecordType::TXT, &["v=DMARC1; p=quarantine; sp=reject"]).unwrap();
    advised(&rig, "DMARCWeakerThanInherited", "is weaker than sp=reject, which example.com has").await;
    rig.patch(&json!({"spec": {"dmarc": {"policy": "reject"}}})).await;
    rig.until("as strict", |o| advice(o, "DMARCWeakerThanInherited").is_none()).await;
    rig.finish().await;
}

#[tokio::test]
async fn d8_an_existing_dmarc_record_is_never_weakened_or_doubled() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let name = format!("_dmarc.{DOMAIN}");
    let strict = json!({"type": "TXT", "name": name, "content": "\"v=DMARC1; p=reject\"", "ttl": 1});
    rig.world.cloudflare().add_record(ZONE, strict).unwrap();
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["dmarc"] = json!({"policy": "none", "aggregateReports": ["mailto:dmarc@other.example"]});
    rig.create(&manifest).await;
    let verified = rig.ready().await;
    let at = |o: &Value| object::records(o).iter().find(|r| r["purpose"] == "DMARC").cloned().unwrap_or_default();
    let record = at(&verified);
    assert_eq!(record["state"], "Found");
    assert!(text(&record, "message").contains("(p=reject) and is left as it is"), "{record}");
    assert_eq!(record["observed"], json!(["v=DMARC1; p=reject"]));
    let there =
        |rig: &Rig| rig.world.cloudflare().records(ZONE).into_iter().filter(|r| r["name"] == name).collect::<Vec<_>>();
    assert_eq!(there(&rig).len(), 1);
    // Gone, ours takes its place, and its reports need the consent of the other organisation.
    let id = text(&there(&rig)[0], "id");
    rig.world.cloudflare().delete_record(ZONE, &id).unwrap();
    advised(&rig, "DMARCReportNotAuthorised", &format!("{DOMAIN}._report._dmarc.other.example")).await;
    rig.until("our own", |o| at(o)["message"].is_null() && at(o)["state"] == "Found").await;
    let ours = there(&rig);
    assert!(ours.len() == 1 && text(&ours[0], "content").contains("p=none"), "{ours:?}");
    rig.finish().await;
}
