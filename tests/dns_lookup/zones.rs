//! A real authority: hickory-server with a zone and a zone below it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{RData, Record};
use hickory_server::Server;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};

use crate::scripted::{cname, mx, name, record, soa, sockets, txt};

type Zone = InMemoryZoneHandler<TokioRuntimeProvider>;

async fn zone(origin: &str, records: Vec<Record>) -> Arc<Zone> {
    let zone = Zone::empty(name(origin), ZoneType::Primary, AxfrPolicy::Deny);
    assert!(zone.upsert(soa(origin), 1).await);
    for record in records {
        assert!(zone.upsert(record, 1).await);
    }
    Arc::new(zone)
}

fn ns(owner: &str) -> Vec<Record> {
    let server = format!("ns1.{owner}");
    vec![record(owner, RData::NS(NS(name(&server)))), record(&server, RData::A(A(Ipv4Addr::LOCALHOST)))]
}

/// The server, and a resolver that takes it for a recursive one: it has the authority over everything asked here.
async fn authority() -> (Server<Catalog>, Resolver, Arc<Zone>) {
    let many = (0..60).map(|n| record("many.example.test.", txt(&format!("{n:02} {}", "x".repeat(100)))));
    let records = [
        record("a._domainkey.example.test.", cname("A.dkim.amazonses.com.")),
        record("bounce.example.test.", txt("v=spf1 include:amazonses.com ~all")),
        record("bounce.example.test.", mx(10, "feedback-smtp.us-east-1.amazonses.com.")),
        record("alias.example.test.", cname("bounce.example.test.")),
        record("*.wild.example.test.", txt("anything")),
    ];
    let parent = zone("example.test.", ns("example.test.").into_iter().chain(records).chain(many).collect()).await;
    let child_records = vec![record("bounce.sub.example.test.", txt("in the child"))];
    let child = zone("sub.example.test.", ns("sub.example.test.").into_iter().chain(child_records).collect()).await;
    let mut catalog = Catalog::new();
    catalog.upsert(name("example.test.").into(), vec![parent.clone()]);
    catalog.upsert(name("sub.example.test.").into(), vec![child]);
    let (socket, listener) = sockets().await;
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(catalog);
    server.register_socket(socket);
    server.register_listener(listener, Duration::from_secs(2), 32);
    let settings = Settings {
        resolvers: vec![ResolverAddress::Socket(address)],
        authoritative_port: address.port(),
        allow_private_nameservers: true,
        ..Settings::default()
    };
    (server, Resolver::new(settings).unwrap(), parent)
}

#[tokio::test]
async fn sees_what_a_real_authority_serves() {
    let (_server, resolver, _) = authority().await;
    let one = |data| Answer::Records(vec![data]);
    for (asked, record_type, wanted) in [
        ("a._domainkey.example.test", RecordType::Cname, one(RecordData::Cname(DnsName::new("a.dkim.amazonses.com")))),
        ("bounce.example.test", RecordType::Txt, one(RecordData::Txt("v=spf1 include:amazonses.com ~all".into()))),
        (
            "BOUNCE.example.test.",
            RecordType::Mx,
            one(RecordData::Mx { priority: 10, host: DnsName::new("feedback-smtp.us-east-1.amazonses.com") }),
        ),
        ("bounce.example.test", RecordType::Cname, Answer::NoData),
        ("alias.example.test", RecordType::Txt, one(RecordData::Cname(DnsName::new("bounce.example.test")))),
        ("alias.example.test", RecordType::Mx, one(RecordData::Cname(DnsName::new("bounce.example.test")))),
        ("x.wild.example.test", RecordType::Txt, one(RecordData::Txt("anything".into()))),
        ("_domainkey.example.test", RecordType::Txt, Answer::NoData),
        ("gone.example.test", RecordType::Mx, Answer::NxDomain),
        ("bounce.sub.example.test", RecordType::Txt, one(RecordData::Txt("in the child".into()))),
        ("gone.sub.example.test", RecordType::Txt, Answer::NxDomain),
    ] {
        let lookup = resolver.ask(&DnsName::new(asked), record_type).await;
        assert_eq!(lookup.answer, wanted, "{record_type} {asked}");
        assert_eq!((lookup.source, lookup.servers_asked, lookup.servers_agreeing), (Source::Authoritative, 1, 1));
        let recursive = resolver.ask_recursive(&DnsName::new(asked), record_type).await;
        assert_eq!(recursive.answer, wanted, "{record_type} {asked}, recursively");
        assert_eq!(recursive.source, Source::Recursive);
    }
}

#[tokio::test]
async fn e2_reads_a_large_answer_over_tcp() {
    let (_server, resolver, _) = authority().await;
    let lookup = resolver.ask(&DnsName::new("many.example.test"), RecordType::Txt).await;
    assert!(matches!(lookup.answer, Answer::Records(records) if records.len() == 60));
}

#[tokio::test]
async fn sees_a_change_at_once() {
    let (_server, resolver, zone) = authority().await;
    let fresh = DnsName::new("_dmarc.example.test");
    let before = resolver.ask(&fresh, RecordType::Txt).await;
    assert_eq!(before.answer, Answer::NxDomain);
    assert_eq!(before.negative_ttl, Some(Duration::from_secs(30)));
    zone.upsert(record("_dmarc.example.test.", txt("v=DMARC1; p=none")), 2).await;
    let after = resolver.ask(&fresh, RecordType::Txt).await;
    assert_eq!(after.answer, Answer::Records(vec![RecordData::Txt("v=DMARC1; p=none".into())]));
}

#[tokio::test]
async fn finds_zone_cuts_of_parent_and_child() {
    let (_server, resolver, _) = authority().await;
    for (asked, apex) in [
        ("bounce.example.test", "example.test"),
        ("example.test", "example.test"),
        ("x.y.bounce.sub.example.test", "sub.example.test"),
        ("a._domainkey.example.test", "example.test"),
    ] {
        let cut = resolver.name_servers(&DnsName::new(asked)).await.unwrap();
        assert_eq!(cut.apex, DnsName::new(apex), "{asked}");
        let server = DnsName::new(format!("ns1.{apex}"));
        assert_eq!(cut.servers, [(server, IpAddr::V4(Ipv4Addr::LOCALHOST))], "{asked}");
    }
}

#[tokio::test]
async fn sees_the_addresses_at_a_name() {
    let (_server, resolver, _) = authority().await;
    for (asked, wanted) in [
        ("ns1.example.test", Addresses::Found(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])),
        ("alias.example.test", Addresses::Alias(DnsName::new("bounce.example.test"))),
        ("bounce.example.test", Addresses::NoData),
        ("gone.example.test", Addresses::NxDomain),
    ] {
        assert_eq!(resolver.addresses(&DnsName::new(asked)).await, wanted, "{asked}");
    }
}
