//! Every format says the same, to parsers that know nothing of the plugin.

use std::collections::BTreeSet;

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::txt::Parser;
use serde_json::Value;
use testbed::world::object;

use crate::rig::{NAME, Rig, ZONE, program, text};

/// Type, name and value (an MX with its priority) of a record.
type Entry = (String, String, String);

fn entry(kind: &str, name: &str, value: &str, priority: &str) -> Entry {
    let value = if priority.is_empty() { value.to_owned() } else { format!("{priority} {value}") };
    (kind.to_owned(), name.to_owned(), value)
}

fn entries(records: &[Value]) -> BTreeSet<Entry> {
    let priority = |record: &Value| record["priority"].as_u64().map(|p| p.to_string()).unwrap_or_default();
    records.iter().map(|r| entry(text(r, "type"), text(r, "name"), text(r, "value"), &priority(r))).collect()
}

fn of_csv(csv: &str) -> BTreeSet<Entry> {
    let mut reader = csv::ReaderBuilder::new().from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |title: &str| header.iter().position(|h| h == title).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    rows.iter().map(|row| entry(&row[at("type")], &row[at("name")], &row[at("value")], &row[at("priority")])).collect()
}

/// As a name server reads it, in a zone whose name must not matter.
fn of_zone_file(fragment: &str) -> BTreeSet<Entry> {
    let origin = Name::from_ascii("unrelated.test.").unwrap();
    let (_, sets) = Parser::new(fragment.to_owned(), None, Some(origin)).parse().unwrap();
    let mut entries = BTreeSet::new();
    for set in sets.values() {
        for record in set.records_without_rrsigs() {
            let bare = |name: &Name| name.to_ascii().trim_end_matches('.').to_owned();
            let value = match &record.data {
                RData::CNAME(target) => bare(&target.0),
                RData::MX(mx) => format!("{} {}", mx.preference, bare(&mx.exchange)),
                RData::TXT(txt) => txt.txt_data.iter().map(|part| String::from_utf8(part.to_vec()).unwrap()).collect(),
                other => panic!("{other:?}"),
            };
            entries.insert((record.record_type().to_string(), bare(&record.name), value));
        }
    }
    entries
}

#[tokio::test]
async fn every_format_says_what_status_says() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    let wanted = entries(object::records(&pending));
    let format = async |format: &str| rig.run(&["records", NAME, "-o", format]).await.ok();
    let json: Vec<Value> = serde_json::from_str(&format("json").await).unwrap();
    assert_eq!(entries(&json), wanted);
    let cause = &json[0]["cause"];
    assert_eq!((text(&json[0], "zone"), text(&json[0], "state"), cause.is_string()), (ZONE, "Missing", true));
    let yaml: Vec<Value> = serde_yaml::from_str(&format("yaml").await).unwrap();
    assert_eq!(yaml, json);
    assert_eq!(of_csv(&format("csv").await), wanted);
    let bind = format("bind").await;
    assert_eq!(of_zone_file(&bind), wanted);
    named_checkzone(&bind).await;
    let table = format("table").await;
    for (kind, name, value) in &wanted {
        let line =
            table.lines().find(|line| line.contains(&format!(" {name} ")) && line.contains(&format!(" {kind} ")));
        assert!(line.unwrap_or_else(|| panic!("{name}: {table}")).contains(value), "{value}: {table}");
    }
    assert!(table.contains("add an MX record"), "{table}");
    let terraform = format("terraform").await;
    for (_, name, _) in &wanted {
        assert!(terraform.contains(&format!("name     = \"{name}\"")), "{terraform}");
    }
    let aws = rig.run(&["records", NAME, "-o", "terraform", "--terraform-provider", "aws"]).await.ok();
    assert_eq!(aws.matches("resource \"aws_route53_record\"").count(), 5, "{aws}");

    // What was printed for the name server, published, is what the operator and SES want.
    for (kind, name, value) in of_zone_file(&bind) {
        let kind: RecordType = kind.parse().unwrap();
        rig.world.dns().set(&name, kind, &[value]).unwrap();
    }
    rig.until("Ready", object::is_ready).await;
    rig.finish().await;
}

/// BIND's own opinion, where the machine has BIND.
async fn named_checkzone(fragment: &str) {
    let Some(checker) = program(&["named-checkzone"]) else { return };
    let zone = tempfile::NamedTempFile::new().unwrap();
    let head = format!(
        "$TTL 60\n{ZONE}. IN SOA ns1.{ZONE}. h.{ZONE}. 1 1 1 1 1\n{ZONE}. IN NS ns1.{ZONE}.\nns1.{ZONE}. IN A 192.0.2.1\n"
    );
    std::fs::write(zone.path(), head + fragment).unwrap();
    let ran = tokio::process::Command::new(checker).args(["-i", "none", ZONE]).arg(zone.path()).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[tokio::test]
async fn several_domains_are_listed_and_what_is_not_known_is_said() {
    let rig = Rig::start().await;
    let nothing = rig.run(&["records"]).await;
    assert!(nothing.err.contains("No SendingDomains in the namespace"), "{}", nothing.err);
    assert_eq!(rig.run(&["records", "-o", "json"]).await.ok().trim(), "[]");
    rig.pending().await;
    let mut second = object::manual("news", "news.example.com");
    second["metadata"]["labels"] = serde_json::json!({"team": "news"});
    second["spec"]["suspend"] = serde_json::json!(true);
    rig.world.create(&rig.namespace, &second).await.unwrap();
    let all = rig.run(&["records"]).await;
    assert!(all.err.contains(&format!("The records of {}/news are not all known yet", rig.namespace)), "{}", all.err);
    assert!(all.out.contains("._domainkey.mail.example.com"), "{}", all.out);
    assert_eq!(rig.run(&["records", "-l", "team=news", "-o", "json"]).await.ok().trim(), "[]");
    let everywhere: Vec<Value> = serde_json::from_str(&rig.run(&["records", "-A", "-o", "json"]).await.ok()).unwrap();
    assert!(everywhere.iter().any(|r| text(r, "namespace") == rig.namespace));
    let absent = rig.run(&["records", "absent"]).await.with(1);
    assert!(absent.contains("there is no SendingDomain absent in the namespace"), "{absent}");
    rig.finish().await;
}

#[tokio::test]
async fn an_object_that_may_not_have_the_domain_says_so() {
    let rig = Rig::start().await;
    rig.world
        .ses()
        .region(crate::rig::REGION)
        .put_foreign_identity(crate::rig::DOMAIN, &std::collections::BTreeMap::new(), true)
        .unwrap();
    rig.world.create(&rig.namespace, &object::manual(NAME, crate::rig::DOMAIN)).await.unwrap();
    rig.until("refused", |o| object::reason(o, "Ready") == "IdentityNotOwned").await;
    for command in ["records", "check"] {
        let refused = rig.run(&[command, NAME]).await.with(1);
        assert!(refused.contains("IdentityNotOwned: "), "{command}: {refused}");
    }
    for name in ["first", "second"] {
        rig.world.create(&rig.namespace, &object::manual(name, "news.example.org")).await.unwrap();
        let is_settled = |o: &Value| object::records(o).len() == 5 || object::reason(o, "Ready") == "DomainConflict";
        rig.world.wait_for(&rig.namespace, name, "settled", is_settled, crate::rig::LIMIT).await.unwrap();
    }
    for command in ["records", "check"] {
        let refused = rig.run(&[command, "second"]).await.with(1);
        assert!(refused.contains("DomainConflict: "), "{command}: {refused}");
    }
    let usage = rig.run(&["check", NAME, "--mail-from", "bounce"]).await.with(2);
    assert!(usage.contains("--mail-from"), "{usage}");
    rig.finish().await;
}
