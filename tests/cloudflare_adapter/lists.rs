//! Lists: what is asked, what is read, and that all pages are.

use std::sync::atomic::{AtomicUsize, Ordering};

use sending_domain_operator::dns::cloudflare::{AccountId, Kind, ZonePick, ZoneStatus, ZoneType, pick_zone};
use sending_domain_operator::dns::record::{DnsName, RecordData};

use crate::server::{Seen, Server, answer, listing, success, token, zone_id};

fn domain() -> DnsName {
    DnsName::new("mail.example.com")
}

fn txt(id: usize, name: &str) -> String {
    format!(r#"{{"id":"r{id}","name":"{name}","type":"TXT","content":"\"{id}\"","ttl":1}}"#)
}

/// A page of the records `from..total` as a server with pages of at most `cap` answers it.
fn page(seen: &Seen, cap: usize, total: usize) -> String {
    let (page, size) = (seen.number("page"), seen.number("per_page").min(cap));
    let records = (0..total).skip((page - 1) * size).take(size).map(|id| txt(id, "mail.example.com"));
    let records: Vec<String> = records.collect();
    format!(
        r#"{{"success":true,"errors":[],"result":[{}],"result_info":
            {{"page":{page},"per_page":{size},"count":{},"total_count":{total},"total_pages":{}}}}}"#,
        records.join(","),
        records.len(),
        total.div_ceil(size)
    )
}

#[tokio::test]
async fn the_requests_say_what_is_needed_and_no_more() {
    let server = Server::always(200, success("[]")).await;
    let client = server.client();
    assert_eq!(client.zones(&token()).await, Ok(vec![]));
    assert_eq!(client.records(&token(), &zone_id(), &domain()).await, Ok(vec![]));
    let seen = server.seen();
    assert_eq!(seen[0].uri, "/client/v4/zones?page=1&per_page=50");
    let records = "/client/v4/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records\
                   ?page=1&per_page=1000&name.endswith=mail.example.com";
    assert_eq!(seen[1].uri, records);
    for request in &seen {
        assert_eq!((request.method.as_str(), request.body.as_str()), ("GET", ""));
        assert_eq!(request.headers["authorization"], "Bearer a-token");
        assert_eq!(request.headers["accept"], "application/json");
        let agent = concat!("sending-domain-operator/", env!("CARGO_PKG_VERSION"));
        assert_eq!(request.headers["user-agent"], agent);
    }
}

#[tokio::test]
async fn a_zone_is_read_whole() {
    let zones = [
        r##"{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"Example.com","status":"active","paused":true,"type":"full",
            "development_mode":0,"name_servers":["Bob.ns.cloudflare.com","lola.ns.cloudflare.com"],
            "original_name_servers":null,"owner":{"id":null,"type":"user"},"account":{"id":"0123456789abcdef0123456789ABCDEF","name":"x"},
            "permissions":["#dns_records:edit"],"plan":{"legacy_id":"free"},"new":{"field":[1]}}"##,
        r#"{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":"example.org","status":"initializing","type":"partial",
            "name_servers":null,"account":null}"#,
        r#"{"id":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","name":"example.net","status":"suspended","type":"quantum"}"#,
        r#"{"id":"cccccccccccccccccccccccccccccccc","name":"example.edu"}"#,
    ];
    let zones = Server::always(200, listing(&zones)).await.client().zones(&token()).await.unwrap();
    let first = &zones[0];
    assert_eq!((first.id.clone(), first.name.as_str(), first.paused), (zone_id(), "example.com", true));
    assert_eq!((&first.status, &first.zone_type), (&ZoneStatus::Active, &ZoneType::Full));
    assert_eq!(first.account_id, AccountId::parse("0123456789abcdef0123456789abcdef"));
    assert_eq!(first.name_servers[0], DnsName::new("bob.ns.cloudflare.com"));
    assert_eq!((&zones[1].status, &zones[1].zone_type), (&ZoneStatus::Initializing, &ZoneType::Partial));
    assert_eq!(zones[2].status, ZoneStatus::Other("suspended".to_owned()));
    assert_eq!(zones[3].zone_type, ZoneType::Other(String::new()));
    assert_eq!(pick_zone(&zones, &domain()), ZonePick::Found(first));

    let one = r#"{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"example.com","status":"pending"}"#;
    let zone = Server::always(200, success(one)).await.client().zone(&token(), &zone_id()).await.unwrap();
    assert_eq!(zone.status, ZoneStatus::Pending);
}

#[tokio::test]
async fn records_of_every_type_are_read() {
    let records = [
        r#"{"id":"1","name":"A._domainkey.mail.example.com","type":"CNAME","content":"a.dkim.amazonses.com","proxied":true,
            "proxiable":true,"ttl":300,"comment":"ours","settings":{"flatten_cname":true},"meta":{},"tags":[]}"#,
        r#"{"id":"2","name":"bounce.mail.example.com","type":"MX","content":"feedback-smtp.eu-west-1.amazonses.com",
            "priority":10,"ttl":1,"comment":null}"#,
        r#"{"id":"3","name":"bounce.mail.example.com","type":"TXT","content":"\"v=spf1 \" \"-all\"","ttl":1}"#,
        r#"{"id":"4","name":"mail.example.com","type":"TXT","content":"unquoted","ttl":1}"#,
        r#"{"id":"5","name":"mail.example.com","type":"CAA","data":{"flags":0,"tag":"issue","value":"ca"},
            "content":"0 issue \"ca\"","ttl":1}"#,
        r#"{"id":"6","name":"mail.example.com","type":"HTTPS","data":{"priority":"1","target":".","value":"alpn=\"h3\""},
            "ttl":1}"#,
        r#"{"id":"7","name":"mail.example.com","type":"A","content":"192.0.2.1","proxied":false,"ttl":1}"#,
    ];
    let server = Server::always(200, listing(&records)).await;
    let records = server.client().records(&token(), &zone_id(), &domain()).await.unwrap();
    let data: Vec<_> = records.iter().map(|record| record.data.clone()).collect();
    let text = |text: &str| Some(RecordData::Txt(text.to_owned()));
    let mx = RecordData::Mx { priority: 10, host: DnsName::new("feedback-smtp.eu-west-1.amazonses.com") };
    let cname = RecordData::Cname(DnsName::new("a.dkim.amazonses.com"));
    assert_eq!(data, [Some(cname), Some(mx), text("v=spf1 -all"), text("unquoted"), None, None, None]);
    assert_eq!(records[0].name.as_str(), "a._domainkey.mail.example.com");
    assert_eq!((records[0].proxied, records[0].ttl, records[0].flatten_cname), (true, 300, Some(true)));
    assert_eq!((records[0].comment.as_deref(), records[1].comment.as_deref()), (Some("ours"), None));
    assert_eq!(records[2].content, "\"v=spf1 \" \"-all\"", "the content stays as answered");
    assert_eq!((records[5].record_type.as_str(), records[5].content.as_str()), ("HTTPS", ""));
}

#[tokio::test]
async fn d6_a_server_that_ignores_the_filter_makes_no_difference() {
    let names =
        ["example.com", "mail.example.com", "a.Mail.Example.com.", "xmail.example.com", "mail.example.com.evil"];
    let records: Vec<String> = names.iter().enumerate().map(|(id, name)| txt(id, name)).collect();
    let server = Server::always(200, listing(&records)).await;
    let records = server.client().records(&token(), &zone_id(), &domain()).await.unwrap();
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["mail.example.com", "a.mail.example.com"]);
}

#[tokio::test]
async fn d6_all_pages_are_read_whatever_their_size() {
    for (cap, total, requests) in
        [(1000, 0, 1), (1000, 999, 1), (1000, 1000, 1), (1000, 1001, 2), (100, 250, 3), (100, 300, 3)]
    {
        let server = Server::start(move |seen| answer(200, &[], page(seen, cap, total))).await;
        let records = server.client().records(&token(), &zone_id(), &domain()).await.unwrap();
        assert_eq!(records.len(), total);
        assert_eq!(server.seen().len(), requests, "a cap of {cap} for {total} records");
    }
}

#[tokio::test]
async fn d6_a_failing_page_fails_the_list() {
    let server = Server::start(|seen| match seen.number("page") {
        1 => answer(200, &[], page(seen, 100, 150)),
        _ => answer(502, &[], ""),
    });
    let error = server.await.client().records(&token(), &zone_id(), &domain()).await.unwrap_err();
    assert_eq!((error.kind, error.status), (Kind::Unavailable, Some(502)));
}

#[tokio::test]
async fn d6_a_list_that_changes_once_is_read_again() {
    let requests = AtomicUsize::new(0);
    let server = Server::start(move |seen| {
        let total = if requests.fetch_add(1, Ordering::Relaxed) == 0 { 150 } else { 149 };
        answer(200, &[], page(seen, 100, total))
    })
    .await;
    let records = server.client().records(&token(), &zone_id(), &domain()).await.unwrap();
    assert_eq!((records.len(), server.seen().len()), (149, 4));
}

#[tokio::test]
async fn d6_a_list_that_keeps_changing_is_an_error() {
    let requests = AtomicUsize::new(150);
    let server =
        Server::start(move |seen| answer(200, &[], page(seen, 100, requests.fetch_add(1, Ordering::Relaxed)))).await;
    let error = server.client().records(&token(), &zone_id(), &domain()).await.unwrap_err();
    assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("a list kept changing while it was read")));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn d6_a_server_that_repeats_its_page_is_an_error() {
    let server = Server::always(200, success(&format!("[{}]", txt(1, "mail.example.com")))).await;
    let error = server.client().records(&token(), &zone_id(), &domain()).await.unwrap_err();
    assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("the pages of a list do not end")));
    assert_eq!(server.seen().len(), 2);
}
