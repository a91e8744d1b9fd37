//! What resolvers say, over UDP and HTTPS.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use hickory_proto::op::{Message, ResponseCode};
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};

use crate::scripted::*;
use crate::world::*;

async fn recursive(upstream: Script) -> Lookup {
    let world = World::with(upstream, vec![], |settings| {
        settings.mode = Mode::Recursive;
        settings.timeout = Duration::from_secs(2);
    });
    world.await.txt().await
}

#[tokio::test]
async fn resolvers_are_taken_at_their_word_but_not_beyond() {
    let lookup = recursive(script(|query, _| one(&code(query, ResponseCode::NXDomain)))).await;
    assert_eq!((lookup.answer, lookup.source), (Answer::NxDomain, Source::Recursive));
    let lookup = recursive(script(|query, _| one(&code(query, ResponseCode::NoError)))).await;
    assert_eq!(lookup.answer, Answer::NoData);
    let lookup = recursive(script(|query, _| one(&negative(query, ResponseCode::NXDomain, ZONE)))).await;
    assert_eq!(lookup.negative_ttl, Some(Duration::from_secs(30)));
    let lookup = recursive(script(|query, _| {
        one(&with(query, vec![record("t.test.", txt("not ours")), record(NAME, cname("t.test."))]))
    }));
    assert_eq!(lookup.await.answer, Answer::Records(vec![RecordData::Cname(DnsName::new("t.test"))]));

    let lookup = recursive(script(|query, _| one(&code(query, ResponseCode::ServFail)))).await;
    assert!(matches!(&lookup.answer, Answer::Unknown(error) if error.is_servfail()));
    assert!(unknown(&lookup).starts_with("SERVFAIL from 127.0.0.1:"));
    let lookup = recursive(script(|query, _| one(&code(query, ResponseCode::Refused)))).await;
    assert!(unknown(&lookup).starts_with("REFUSED from 127.0.0.1:"));
    let lookup = recursive(script(|query, _| one(&referral(query, "test.", &[("a.test.", server_ip(0))])))).await;
    assert!(unknown(&lookup).starts_with("no recursion at 127.0.0.1:"));
    let lookup = recursive(silent()).await;
    assert!(unknown(&lookup).ends_with(" did not answer in time"));
    assert_eq!((lookup.servers_asked, lookup.servers_agreeing), (1, 0));
}

#[tokio::test]
async fn the_next_resolver_is_asked_when_one_fails_or_is_slow() {
    for first in [silent(), script(|query, _| one(&code(query, ResponseCode::ServFail)))] {
        let first = Scripted::start(first).await;
        let world = World::with(txt_server("second"), vec![], |settings| {
            settings.mode = Mode::Recursive;
            settings.resolvers.insert(0, ResolverAddress::Socket(first.address));
        });
        let lookup = world.await.txt().await;
        assert_eq!(lookup.answer, texts(&["second"]));
        assert_eq!((lookup.servers_asked, lookup.servers_agreeing), (2, 1));
    }
}

#[tokio::test]
async fn resolvers_may_be_at_ipv6_addresses() {
    let Some(upstream) = Scripted::start_v6(txt_server("over IPv6")).await else {
        eprintln!("not tried: this machine has no IPv6");
        return;
    };
    let settings = Settings {
        mode: Mode::Recursive,
        resolvers: vec![upstream.address.to_string().parse().unwrap()],
        ..Settings::default()
    };
    let lookup = Resolver::new(settings).unwrap().ask(&DnsName::new(NAME), RecordType::Txt).await;
    assert_eq!(lookup.answer, texts(&["over IPv6"]));
}

#[tokio::test]
async fn broken_signatures_are_told_from_broken_servers() {
    let validating = script(|query, _| {
        if query.metadata.checking_disabled {
            one(&with(query, vec![record(NAME, txt("unsigned"))]))
        } else {
            one(&code(query, ResponseCode::ServFail))
        }
    });
    let world = World::new(validating, vec![]).await;
    let name = DnsName::new(NAME);
    let validated = world.resolver.ask_recursive(&name, RecordType::Txt).await;
    assert!(matches!(validated.answer, Answer::Unknown(error) if error.is_servfail()));
    let plain = world.resolver.ask_recursive_unvalidated(&name, RecordType::Txt).await;
    assert_eq!(plain.answer, texts(&["unsigned"]));
}

/// DNS over HTTPS (plain, on loopback).
async fn doh(handler: impl Fn(Message) -> (StatusCode, Vec<u8>) + Clone + Send + Sync + 'static) -> Lookup {
    let answer = move |body: Bytes| {
        let (status, bytes) = handler(Message::from_vec(&body).unwrap());
        async move { (status, [("location", "/elsewhere"), ("content-type", "application/dns-message")], bytes) }
    };
    let elsewhere = post(|body: Bytes| async move {
        let query = Message::from_vec(&body).unwrap();
        with(&query, vec![record(NAME, txt("redirected"))]).to_vec().unwrap()
    });
    let app = Router::new().route("/dns-query", post(answer)).route("/elsewhere", elsewhere);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/dns-query", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = Settings {
        mode: Mode::Recursive,
        resolvers: vec![url.parse().unwrap()],
        timeout: Duration::from_secs(2),
        ..Settings::default()
    };
    let lookup = Resolver::new(settings).unwrap().ask(&DnsName::new(NAME), RecordType::Txt).await;
    server.abort();
    lookup
}

#[tokio::test]
async fn asks_over_https() {
    let lookup = doh(|query| {
        assert_eq!(query.metadata.id, 0);
        (StatusCode::OK, with(&query, vec![record(NAME, txt("over HTTP"))]).to_vec().unwrap())
    });
    assert_eq!(lookup.await.answer, texts(&["over HTTP"]));
    let lookup = doh(|query| (StatusCode::BAD_GATEWAY, with(&query, vec![]).to_vec().unwrap())).await;
    assert_eq!(unknown(&lookup), "HTTP status 502 from 127.0.0.1");
    let lookup = doh(|_| (StatusCode::TEMPORARY_REDIRECT, vec![])).await;
    assert_eq!(unknown(&lookup), "HTTP status 307 from 127.0.0.1");
    let lookup = doh(|query| {
        let good = with(&query, vec![record(NAME, txt("and then"))]).to_vec().unwrap();
        (StatusCode::OK, [good, vec![0; 10_000_000]].concat())
    })
    .await;
    assert_eq!(unknown(&lookup), "unreadable answer from 127.0.0.1");
    let lookup = doh(|_| (StatusCode::OK, b"<html>".to_vec())).await;
    assert_eq!(unknown(&lookup), "unreadable answer from 127.0.0.1");
    let lookup = doh(|query| (StatusCode::OK, code(&query, ResponseCode::NXDomain).to_vec().unwrap())).await;
    assert_eq!(lookup.answer, Answer::NxDomain);
}
