//! What of the records the DNS server serves.

use reqwest::Method;
use serde_json::json;
use testbed::cloudflare::{ZoneChange, ZoneStatus};
use testbed::dns::RecordType;

use crate::{Bed, cname, txt};

impl Bed {
    fn served(&self, name: &str, rtype: RecordType) -> Vec<String> {
        self.dns.get(name, rtype).unwrap()
    }

    fn change(&self, change: &ZoneChange) {
        assert!(self.sim.change_zone(&self.zone, change));
    }
}

#[tokio::test]
async fn records_are_published_and_withdrawn() {
    let bed = Bed::new().await;
    let serial = bed.dns.serial("example.com").unwrap();
    let id = bed.created(cname("k._domainkey.mail", "k.dkim.amazonses.com")).await;
    bed.created(json!({"type": "MX", "name": "mail", "content": "mx.example.net", "priority": 10})).await;
    assert_eq!(bed.served("k._domainkey.mail.example.com", RecordType::CNAME), ["k.dkim.amazonses.com"]);
    assert_eq!(bed.served("mail.example.com", RecordType::MX), ["10 mx.example.net"]);
    assert!(bed.dns.serial("example.com").unwrap() > serial);
    bed.on(Method::PATCH, &id, Some(json!({"content": "l.dkim.amazonses.com"}))).await.result();
    assert_eq!(bed.served("k._domainkey.mail.example.com", RecordType::CNAME), ["l.dkim.amazonses.com"]);
    bed.on(Method::DELETE, &id, None).await.result();
    assert!(bed.served("k._domainkey.mail.example.com", RecordType::CNAME).is_empty());
}

#[tokio::test]
async fn text_is_stored_as_given_and_served_without_quotes() {
    let bed = Bed::new().await;
    for content in ["\"v=spf1 -all\"", "plain text", "\"one\" \"two\""] {
        let made = bed.post(txt("t", content)).await;
        assert_eq!(made.result()["content"], content);
    }
    assert_eq!(bed.served("t.example.com", RecordType::TXT), ["v=spf1 -all", "plain text", "onetwo"]);
}

#[tokio::test]
async fn proxied_and_flattened_records_are_addresses() {
    let bed = Bed::new().await;
    let mut record = cname("p", "t.example.net");
    record["proxied"] = json!(true);
    let proxied = bed.created(record).await;
    let mut record = cname("f", "t.example.net");
    record["settings"] = json!({"flatten_cname": true});
    bed.created(record).await;
    for (rtype, content) in [("A", "192.0.2.1"), ("AAAA", "2001:db8::1")] {
        bed.created(json!({"type": rtype, "name": "web", "content": content, "proxied": true})).await;
    }
    bed.created(cname("plain", "t.example.net")).await;
    bed.created(cname("@", "t.example.net")).await;
    for name in ["p.example.com", "f.example.com", "web.example.com", "example.com"] {
        assert_eq!(bed.served(name, RecordType::A), ["104.16.1.1"], "{name}");
        assert!(bed.served(name, RecordType::CNAME).is_empty(), "{name}");
    }
    let read = bed.on(Method::GET, &proxied, None).await;
    assert_eq!(read.result()["ttl"], 1, "proxied records have the automatic TTL");

    bed.change(&ZoneChange { paused: Some(true), ..ZoneChange::default() });
    assert_eq!(bed.served("p.example.com", RecordType::CNAME), ["t.example.net"]);
    assert_eq!(bed.served("plain.example.com", RecordType::CNAME), ["t.example.net"]);
    bed.change(&ZoneChange { flatten_all: Some(true), ..ZoneChange::default() });
    assert!(bed.served("plain.example.com", RecordType::CNAME).is_empty());
}

#[tokio::test]
async fn only_active_zones_are_served() {
    let bed = Bed::new().await;
    bed.created(txt("t", "x")).await;
    for status in [ZoneStatus::Pending, ZoneStatus::Moved, ZoneStatus::Initializing] {
        bed.change(&ZoneChange { status: Some(status), ..ZoneChange::default() });
        assert!(bed.dns.zones().is_empty());
        bed.created(txt(&format!("{status:?}"), "written, but unseen")).await;
        bed.change(&ZoneChange { status: Some(ZoneStatus::Active), ..ZoneChange::default() });
        assert_eq!(bed.served("t.example.com", RecordType::TXT), ["x"]);
    }
    assert_eq!(bed.served("moved.example.com", RecordType::TXT), ["written, but unseen"]);
    let twin = bed.sim.add_zone("example.com");
    bed.sim.add_record(&twin, txt("twin", "x")).unwrap();
    assert!(bed.served("twin.example.com", RecordType::TXT).is_empty(), "the first active zone of a name is served");
    bed.sim.remove_zone(&bed.zone);
    assert_eq!(bed.served("twin.example.com", RecordType::TXT), ["x"]);
    assert!(bed.served("t.example.com", RecordType::TXT).is_empty());
}

#[tokio::test]
async fn what_others_put_into_the_zone_stays() {
    let bed = Bed::new().await;
    bed.dns.set("hand.example.com", RecordType::TXT, &["by hand"]).unwrap();
    bed.created(txt("t", "x")).await;
    assert_eq!(bed.served("hand.example.com", RecordType::TXT), ["by hand"]);
}
