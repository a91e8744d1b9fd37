//! Several name servers, whether they agree, and where they are found.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, NS};
use hickory_proto::rr::{RData, RecordType as WireType};
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};

use crate::scripted::*;
use crate::world::*;

#[tokio::test]
async fn name_servers_that_agree_are_counted_whatever_the_order() {
    let forward = script(|query, _| one(&with(query, vec![record(NAME, txt("a")), record(NAME, txt("b"))])));
    let backward = script(|query, _| one(&with(query, vec![record(NAME, txt("b")), record(NAME, txt("a"))])));
    let world = World::new(resolver(2), vec![forward, backward]).await;
    let lookup = world.txt().await;
    assert_eq!(lookup.answer, texts(&["a", "b"]));
    assert_eq!((lookup.source, lookup.servers_asked, lookup.servers_agreeing), (Source::Authoritative, 2, 2));
    assert_eq!(lookup.negative_ttl, None);
}

#[tokio::test]
async fn e8_name_servers_that_disagree_leave_the_matter_open() {
    let world = World::new(resolver(3), vec![txt_server("a"), txt_server("b"), txt_server("a")]).await;
    let lookup = world.txt().await;
    assert_eq!(unknown(&lookup), "name servers disagree: 2 of 3 give the same answer");
    assert_eq!((lookup.source, lookup.servers_asked, lookup.servers_agreeing), (Source::Authoritative, 3, 2));
}

#[tokio::test]
async fn there_on_one_server_and_absent_on_another_is_unknown() {
    let absent = script(|query, _| one(&negative(query, ResponseCode::NXDomain, ZONE)));
    let world = World::new(resolver(2), vec![txt_server("a"), absent]).await;
    let lookup = world.txt().await;
    assert_eq!(unknown(&lookup), "name servers disagree: 1 of 2 give the same answer");
    assert_eq!(lookup.negative_ttl, None);
}

#[tokio::test]
async fn two_ways_of_saying_absent_agree_on_the_weaker_one() {
    let gone = script(|query, _| one(&negative(query, ResponseCode::NXDomain, ZONE)));
    let empty = script(|query, _| one(&negative(query, ResponseCode::NoError, ZONE)));
    let lookup = World::new(resolver(2), vec![gone, empty]).await.txt().await;
    assert_eq!(lookup.answer, Answer::NoData);
    assert_eq!(lookup.servers_agreeing, 2);
    assert_eq!(lookup.negative_ttl, Some(Duration::from_secs(30)), "the SOA has TTL 60 and minimum 30");
}

#[tokio::test]
async fn e8_lame_and_broken_servers_are_left_out() {
    let lame = script(|query, _| {
        let mut reply = with(query, vec![record(NAME, txt("stale"))]);
        reply.metadata.authoritative = false;
        one(&reply)
    });
    let broken = script(|query, _| one(&code(query, ResponseCode::ServFail)));
    let world = World::new(resolver(4), vec![lame, txt_server("a"), broken, txt_server("a")]).await;
    let lookup = world.txt().await;
    assert_eq!(lookup.answer, texts(&["a"]));
    assert_eq!((lookup.servers_asked, lookup.servers_agreeing), (4, 2));
    let failed: Vec<String> = lookup
        .by_server
        .iter()
        .filter_map(|said| if let Answer::Unknown(error) = &said.answer { Some(error.to_string()) } else { None })
        .collect();
    assert_eq!((lookup.by_server.len(), failed.len()), (4, 2), "{failed:?}");
    // Only what is so twice in a row is more than a lost packet.
    let again = |lookup: &Lookup| lookup.by_server.iter().filter(|said| said.again).count();
    assert_eq!(again(&lookup), 0);
    let next = world.txt().await.compared_with(Some(&lookup));
    assert_eq!(again(&next), 4);
}

#[tokio::test]
async fn one_dead_server_does_not_use_up_the_budget() {
    let world = World::with(resolver(2), vec![(txt_server("a"), true), (silent(), true)], |settings| {
        settings.timeout = Duration::from_secs(30);
    });
    let world = world.await;
    let started = Instant::now();
    let lookup = world.txt().await;
    assert_eq!(lookup.answer, texts(&["a"]));
    assert_eq!((lookup.servers_asked, lookup.servers_agreeing), (2, 1));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn at_most_four_servers_are_asked() {
    let world = World::new(resolver(7), (0..7).map(|_| txt_server("a")).collect()).await;
    assert_eq!(world.txt().await.servers_asked, 4);
    assert_eq!(world.servers.iter().map(Scripted::queries).collect::<Vec<_>>(), [1, 1, 1, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_server_with_two_names_has_one_vote() {
    let upstream = script(|query, _| {
        let question = &query.queries[0];
        if question.query_type == WireType::A {
            return one(&with(query, vec![record(&question.name.to_ascii(), RData::A(A(server_ip(0))))]));
        }
        one(&resolve(query, 3))
    });
    let lookup = World::new(upstream, vec![txt_server("a")]).await.txt().await;
    assert_eq!((lookup.servers_asked, lookup.servers_agreeing), (1, 1));
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let tries = AtomicUsize::new(0);
    let second_time = script(move |query, _| {
        if tries.fetch_add(1, Ordering::SeqCst) == 0 { vec![] } else { one(&with(query, vec![record(NAME, txt("a"))])) }
    });
    let lookup = World::new(resolver(1), vec![second_time]).await.txt().await;
    assert_eq!((lookup.answer, lookup.source), (texts(&["a"]), Source::Authoritative));
}

#[tokio::test]
async fn the_authority_is_asked_without_recursion_and_the_resolver_with() {
    let asked = script(|query, _| {
        let rd = query.metadata.recursion_desired;
        one(&with(query, vec![record(NAME, txt(&format!("rd={rd} edns={}", query.max_payload())))]))
    });
    let world = World::new(resolver(1), vec![asked.clone()]).await;
    assert_eq!(world.txt().await.answer, texts(&["rd=false edns=1232"]));
    let world = World::new(asked, vec![]).await;
    let lookup = world.resolver.ask_recursive(&DnsName::new(NAME), RecordType::Txt).await;
    assert_eq!(lookup.answer, texts(&["rd=true edns=1232"]));
}

#[tokio::test]
async fn c7_private_name_servers_are_never_asked_unless_allowed() {
    let world = World::with(resolver(1), vec![(txt_server("secret"), true)], |settings| {
        settings.allow_private_nameservers = false;
    });
    let world = world.await;
    let lookup = world.txt().await;
    assert!(lookup.is_internal() && lookup.positive_ttl == Some(Duration::from_mins(1)), "{lookup:?}");
    assert_eq!((lookup.answer, lookup.source), (texts(&["from the resolver"]), Source::Recursive));
    let addresses = world.resolver.addresses(&DnsName::new(NAME)).await;
    assert_eq!(addresses, Addresses::NoData, "by the resolver");
    assert_eq!(world.servers[0].queries(), 0);
}

/// A resolver for a name that is an alias into the zone above the name's own.
#[tokio::test]
async fn the_soa_of_an_alias_target_is_not_the_zone() {
    let upstream = script(|query, _| {
        let question = &query.queries[0];
        let mut reply = match (question.query_type, question.name.to_ascii().as_str()) {
            (WireType::SOA, NAME) => with(query, vec![record(NAME, cname("test.")), soa("test.")]),
            (WireType::SOA, "above.example.test.") => {
                let mut reply = with(query, vec![record("above.example.test.", cname("empty.test."))]);
                reply.authorities = vec![soa("test.")];
                reply
            }
            (WireType::SOA, "other.example.test.") => {
                let mut reply = with(query, vec![record("other.example.test.", cname("x.example.org."))]);
                reply.authorities = vec![soa("example.org.")];
                reply
            }
            (WireType::NS, "test.") => with(query, vec![record("test.", RData::NS(NS(name("a.test."))))]),
            _ => resolve(query, 1),
        };
        reply.metadata.authoritative = false;
        one(&reply)
    });
    let alias = script(|query, _| one(&with(query, vec![record(NAME, cname("test."))])));
    let world = World::new(upstream, vec![alias]).await;
    for asked in [NAME, "above.example.test.", "other.example.test."] {
        let cut = world.resolver.name_servers(&DnsName::new(asked)).await.unwrap();
        assert_eq!(cut.apex, DnsName::new(ZONE), "{asked}");
    }
    assert_eq!(world.txt().await.answer, Answer::Records(vec![RecordData::Cname(DnsName::new("test"))]));
}

#[tokio::test]
async fn tells_the_zone_and_its_name_servers() {
    let world = World::new(resolver(2), vec![]).await;
    let cut = world.resolver.name_servers(&DnsName::new("a.b.bounce.example.test")).await.unwrap();
    assert_eq!(
        cut,
        ZoneCut {
            apex: DnsName::new("example.test"),
            servers: vec![
                (DnsName::new("ns1.example.test"), IpAddr::V4(server_ip(0))),
                (DnsName::new("ns2.example.test"), IpAddr::V4(server_ip(1))),
            ],
            primary: DnsName::new("ns1.example.test"),
            serial: 7,
        }
    );
}

#[tokio::test]
async fn remembers_the_zone_and_forgets_it_when_its_servers_are_lame() {
    let refusing = Arc::new(AtomicUsize::new(0));
    let flag = refusing.clone();
    let server = script(move |query, _| match flag.load(Ordering::SeqCst) {
        0 => one(&with(query, vec![record(NAME, txt("a"))])),
        _ => one(&code(query, ResponseCode::Refused)),
    });
    let world = World::new(resolver(1), vec![server]).await;
    world.txt().await;
    let asked = world.upstream.queries();
    assert_eq!(asked, 4, "SOA, NS, A and AAAA");
    world.txt().await;
    assert_eq!(world.upstream.queries(), asked, "remembered");
    world.resolver.ask(&DnsName::new("other.example.test"), RecordType::Txt).await;
    assert_eq!(world.upstream.queries(), asked + 1, "another name costs one question: its zone");
    refusing.store(1, Ordering::SeqCst);
    assert_eq!(world.txt().await.source, Source::Recursive);
    let asked = world.upstream.queries();
    refusing.store(0, Ordering::SeqCst);
    assert_eq!(world.txt().await.source, Source::Authoritative);
    assert_eq!(world.upstream.queries(), asked + 4, "asked anew");
}

/// `bounce.example.test` is delegated by `example.test`, of which resolvers know nothing yet.
#[tokio::test]
async fn follows_a_delegation_by_glue_and_by_name() {
    for server in ["ns2.example.test.", "ns2.elsewhere.test."] {
        let upstream = script(|query, _| {
            let question = &query.queries[0];
            if question.query_type == WireType::A && question.name == name("ns2.elsewhere.test.") {
                return one(&with(query, vec![record("ns2.elsewhere.test.", RData::A(A(server_ip(1))))]));
            }
            one(&resolve(query, 1))
        });
        // The glue for a name elsewhere is a lie, and not this server's to give.
        let glue = if server == "ns2.example.test." { server_ip(1) } else { Ipv4Addr::new(127, 0, 0, 99) };
        let parent = script(move |query, _| one(&referral(query, NAME, &[(server, glue)])));
        let world = World::new(upstream, vec![parent, txt_server("from the child")]).await;
        let lookup = world.txt().await;
        assert_eq!((lookup.answer, lookup.source), (texts(&["from the child"]), Source::Authoritative), "{server}");
    }
}

#[tokio::test]
async fn gives_up_on_ever_more_delegations() {
    let deep = "a.b.c.d.example.test.";
    let server = script(|query, _| {
        // Each question leads one label further down; the count of questions tells where.
        static LEVEL: AtomicUsize = AtomicUsize::new(0);
        let zones = ["d.example.test.", "c.d.example.test.", "b.c.d.example.test.", "a.b.c.d.example.test."];
        let zone = zones[LEVEL.fetch_add(1, Ordering::SeqCst).min(3)];
        one(&referral(query, zone, &[("ns1.d.example.test.", server_ip(0))]))
    });
    // Glue below the delegation is in the zone of whoever gives it only once.
    let upstream = script(|query, _| {
        let question = &query.queries[0];
        if question.query_type == WireType::A {
            return one(&with(query, vec![record(&question.name.to_ascii(), RData::A(A(server_ip(0))))]));
        }
        one(&resolve(query, 1))
    });
    let world = World::new(upstream, vec![server]).await;
    let lookup = world.resolver.ask(&DnsName::new(deep), RecordType::Txt).await;
    assert_eq!(unknown(&lookup), "too many delegations");
    assert_eq!(world.servers[0].queries(), 3);
}

#[tokio::test]
async fn a_delegation_on_some_servers_only_is_a_disagreement() {
    let parent = script(|query, _| one(&referral(query, NAME, &[("ns2.example.test.", server_ip(1))])));
    let absent = script(|query, _| one(&negative(query, ResponseCode::NXDomain, ZONE)));
    let lookup = World::new(resolver(2), vec![parent, absent]).await.txt().await;
    assert_eq!(unknown(&lookup), "name servers disagree: 1 of 2 give the same answer");
}

#[tokio::test]
async fn addresses_show_what_a_proxied_alias_turned_into() {
    let proxied = script(|query, _| match query.queries[0].query_type {
        WireType::A => one(&with(query, vec![record(NAME, RData::A(A(Ipv4Addr::new(104, 16, 1, 1))))])),
        _ => one(&negative(query, ResponseCode::NoError, ZONE)),
    });
    let world = World::new(resolver(1), vec![proxied]).await;
    let found = world.resolver.addresses(&DnsName::new(NAME)).await;
    assert_eq!(found, Addresses::Found(vec!["104.16.1.1".parse().unwrap()]));
    assert_eq!(world.txt().await.answer, Answer::NoData);

    let chased = script(|query, _| {
        one(&with(query, vec![record(NAME, cname("t.test.")), record("t.test.", RData::A(A(Ipv4Addr::LOCALHOST)))]))
    });
    let world = World::new(resolver(1), vec![chased]).await;
    assert_eq!(world.resolver.addresses(&DnsName::new(NAME)).await, Addresses::Alias(DnsName::new("t.test")));

    let half = script(|query, _| match query.queries[0].query_type {
        WireType::A => one(&negative(query, ResponseCode::NoError, ZONE)),
        _ => one(&code(query, ResponseCode::ServFail)),
    });
    let world = World::new(resolver(1), vec![half]).await;
    assert!(matches!(world.resolver.addresses(&DnsName::new(NAME)).await, Addresses::Unknown(_)));
}
