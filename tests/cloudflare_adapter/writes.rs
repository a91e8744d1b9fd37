//! Batches: the exact JSON, what comes back, and what is not sent.

use sending_domain_operator::dns::cloudflare::{AUTOMATIC_TTL, Change, Kind, MAX_BATCH, NewRecord};
use sending_domain_operator::dns::record::{DnsName, RecordData};

use crate::server::{Server, success, token, zone_id};

fn record(name: &str, data: RecordData) -> NewRecord {
    NewRecord {
        name: DnsName::new(name),
        data,
        comment: "sendingdomain ours".to_owned(),
        ttl: AUTOMATIC_TTL,
        unflatten: false,
    }
}

fn changes() -> Vec<Change> {
    let cname = RecordData::Cname(DnsName::new("A.dkim.amazonses.com."));
    let mx = RecordData::Mx { priority: 10, host: DnsName::new("feedback-smtp.eu-west-1.amazonses.com") };
    let spf = RecordData::Txt("v=spf1 include:amazonses.com ~all".to_owned());
    let long = RecordData::Txt(format!("say \"{}\"", "a".repeat(260)));
    vec![
        Change::Create(record("a._domainkey.mail.example.com", cname)),
        Change::Delete { id: "old".to_owned() },
        Change::Create(record("bounce.mail.example.com", mx)),
        Change::Update {
            id: "r1".to_owned(),
            record: NewRecord { ttl: 300, ..record("bounce.mail.example.com", spf) },
        },
        Change::Create(record("_dmarc.mail.example.com", long)),
    ]
}

#[tokio::test]
async fn a_batch_is_exactly_this_request() {
    let server = Server::always(200, success("{}")).await;
    assert_eq!(server.client().batch(&token(), &zone_id(), &changes()).await, Ok(vec![]));
    let seen = &server.seen()[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.uri, "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records/batch");
    assert_eq!(seen.headers["content-type"], "application/json");
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

#[tokio::test]
async fn only_what_there_is_to_do_is_sent() {
    let server = Server::always(200, success("{}")).await;
    let delete = Change::Delete { id: "old".to_owned() };
    server.client().batch(&token(), &zone_id(), &[delete]).await.unwrap();
    assert_eq!(server.seen()[0].body, r#"{"deletes":[{"id":"old"}]}"#);
}

#[tokio::test]
async fn the_written_records_are_answered() {
    let result = r#"{"deletes":[{"id":"old"}],"puts":null,
        "patches":[{"id":"r1","name":"bounce.mail.example.com","type":"TXT","content":"\"v=spf1 -all\"","ttl":300}],
        "posts":[{"id":"r2","name":"bounce.mail.example.com","type":"MX","content":"mx.example","priority":10,"ttl":1}]}"#;
    let server = Server::always(200, success(result)).await;
    let written = server.client().batch(&token(), &zone_id(), &changes()).await.unwrap();
    let ids: Vec<&str> = written.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["r1", "r2"]);
    assert_eq!(written[0].data, Some(RecordData::Txt("v=spf1 -all".to_owned())));
}

#[tokio::test]
async fn nothing_to_do_is_no_request() {
    let server = Server::always(500, "").await;
    assert_eq!(server.client().batch(&token(), &zone_id(), &[]).await, Ok(vec![]));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_cannot_be_right_is_not_sent() {
    let server = Server::always(200, success("{}")).await;
    let delete = |id: &str| Change::Delete { id: id.to_owned() };
    let text = RecordData::Txt("x".to_owned());
    let long = NewRecord { comment: "a".repeat(101), ..record("a.example.com", text) };
    for changes in [vec![delete("1"); MAX_BATCH + 1], vec![delete("")], vec![Change::Create(long)]] {
        let error = server.client().batch(&token(), &zone_id(), &changes).await.unwrap_err();
        assert_eq!((error.kind, error.status), (Kind::Invalid, None));
    }
    assert!(server.seen().is_empty());
    server.client().batch(&token(), &zone_id(), &vec![delete("1"); MAX_BATCH]).await.unwrap();
}
