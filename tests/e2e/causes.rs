//! Each cause as it comes about in real life: something is wrong in DNS, and status names what and says how to mend it.

use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::cloudflare::{ZoneChange, ZoneStatus};
use testbed::dns::{Dns, DnsServer, Fault};
use testbed::world::{World, object};

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE, text};

/// A record of status with what was done to it, and what status must say of it.
struct Told {
    name: String,
    kind: &'static str,
    state: &'static str,
    cause: &'static str,
    advice: String,
}

fn told(name: &str, kind: &'static str, state: &'static str, cause: &'static str, advice: &str) -> Told {
    Told { name: name.to_owned(), kind, state, cause, advice: advice.to_owned() }
}

fn record<'a>(object: &'a Value, told: &Told) -> Option<&'a Value> {
    object::records(object).iter().find(|r| r["name"] == told.name.as_str() && r["type"] == told.kind)
}

fn says(object: &Value, told: &Told) -> bool {
    record(object, told).is_some_and(|r| {
        r["state"] == told.state && r["cause"] == told.cause && text(r, "message").contains(&told.advice)
    })
}

/// Waits until status tells all of it.
async fn expect(rig: &Rig, expected: &[Told]) -> Value {
    let what: Vec<String> = expected.iter().map(|t| format!("{} {} {}", t.name, t.cause, t.advice)).collect();
    rig.until(&what.join("\n"), |o| expected.iter().all(|t| says(o, t))).await
}

/// The three DKIM names of the object, without the domain.
fn tokens(object: &Value) -> Vec<String> {
    object::records(object)
        .iter()
        .filter(|r| r["purpose"] == "DKIM")
        .filter_map(|r| r["name"].as_str()?.split('.').next().map(str::to_owned))
        .collect()
}

fn dkim(token: &str) -> String {
    format!("{token}._domainkey.{DOMAIN}")
}

fn target(token: &str) -> String {
    format!("{token}.dkim.amazonses.com")
}

fn bounce() -> String {
    format!("bounce.{DOMAIN}")
}

async fn waiting() -> (Rig, Vec<String>, Dns) {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    let pending = rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    let (tokens, dns) = (tokens(&pending), rig.world.dns());
    (rig, tokens, dns)
}

#[tokio::test]
async fn near_misses_are_recognised_by_what_is_found_at_wrong_places() {
    let (rig, t, dns) = waiting().await;
    let not_published =
        told(&dkim(&t[0]), "CNAME", "Missing", "NotPublished", &format!("enter only {}._domainkey.mail", t[0]));
    expect(&rig, &[not_published]).await;
    dns.set(&format!("{}.{ZONE}", dkim(&t[0])), RecordType::CNAME, &[target(&t[0])]).unwrap();
    dns.set(&format!("{}.{DOMAIN}", t[1]), RecordType::CNAME, &[target(&t[1])]).unwrap();
    dns.set(&format!("{}._domainkey.{ZONE}", t[2]), RecordType::CNAME, &[target(&t[2])]).unwrap();
    dns.set(&bounce(), RecordType::TXT, &["\"v=spf1 include:amazonses.com ~all\""]).unwrap();
    dns.set(&bounce(), RecordType::MX, &["10 feedback-smtp.eu-west-1.amazonses.com"]).unwrap();
    let doubled = format!("found at {}.{ZONE}: the DNS provider adds the domain by itself", dkim(&t[0]));
    let expected = [
        told(&dkim(&t[0]), "CNAME", "Missing", "SuffixDoubled", &doubled),
        told(
            &dkim(&t[1]),
            "CNAME",
            "Missing",
            "MissingDomainkey",
            &format!("found at {}.{DOMAIN}: its name lacks ._domainkey", t[1]),
        ),
        told(&dkim(&t[2]), "CNAME", "Missing", "NameTypo", &format!("found at {}._domainkey.{ZONE}", t[2])),
        told(&bounce(), "TXT", "Incorrect", "LiteralQuotes", "enter it without them"),
        told(&bounce(), "MX", "Incorrect", "WrongRegion", "The value is that of eu-west-1"),
    ];
    expect(&rig, &expected).await;
    rig.finish().await;
}

#[tokio::test]
async fn d8_e4_e5_something_else_in_the_place_of_a_record_is_named() {
    let (rig, t, dns) = waiting().await;
    // A wildcard answers for every DKIM name that has no record of its own.
    dns.set(&format!("*._domainkey.{DOMAIN}"), RecordType::CNAME, &["www.example.com"]).unwrap();
    dns.set(&dkim(&t[1]), RecordType::CNAME, &["somewhere.example.net"]).unwrap();
    dns.set(&dkim(&t[2]), RecordType::A, &["192.0.2.7"]).unwrap();
    dns.set(&bounce(), RecordType::TXT, &["v=spf1 mx -all", "v=spf1 include:amazonses.com ~all"]).unwrap();
    let both = ["10 feedback-smtp.us-east-1.amazonses.com", "20 mx.example.net"];
    dns.set(&bounce(), RecordType::MX, &both).unwrap();
    let expected = [
        told(&dkim(&t[0]), "CNAME", "Incorrect", "WrongValue", "A wildcard record (*) answers"),
        told(
            &dkim(&t[1]),
            "CNAME",
            "Incorrect",
            "WrongValue",
            &format!("Change the value of the CNAME record to {}", target(&t[1])),
        ),
        told(&dkim(&t[2]), "CNAME", "Incorrect", "CNAMEFlattened", "switch CNAME flattening off"),
        told(&bounce(), "TXT", "Incorrect", "MultipleSPF", "for example v=spf1 include:amazonses.com mx ~all"),
        told(&bounce(), "MX", "Incorrect", "ExtraMX", "SES wants exactly one"),
    ];
    let wrong = expect(&rig, &expected).await;
    let flattened = record(&wrong, &expected[2]).unwrap();
    assert_eq!(flattened["observed"], json!(["192.0.2.7"]));
    // An alias that leads in circles is an alias in the way.
    for kind in [RecordType::TXT, RecordType::MX] {
        dns.remove(&bounce(), kind).unwrap();
    }
    dns.set(&bounce(), RecordType::CNAME, &[format!("loop.{ZONE}")]).unwrap();
    dns.set(&format!("loop.{ZONE}"), RecordType::CNAME, &[bounce()]).unwrap();
    let blocked = ["TXT", "MX"].map(|kind| {
        told(&bounce(), kind, "Incorrect", "CNAMEBlocksRecord", &format!("Remove the CNAME at bounce.{DOMAIN}"))
    });
    expect(&rig, &blocked).await;
    rig.finish().await;
}

#[tokio::test]
async fn e1_e3_e9_e10_what_resolvers_see_is_told_apart_from_what_is_published() {
    let rig = Rig::start().await;
    // SES must not be done before the causes are told.
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let pending = rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    let (t, dns) = (tokens(&pending), rig.world.dns());
    dns.set_view(&dkim(&t[0]), RecordType::CNAME, &["old.example.net"]).unwrap();
    dns.set_view(&dkim(&t[1]), RecordType::CNAME, &[""; 0]).unwrap();
    dns.set_fault(&dkim(&t[2]), Some(RecordType::CNAME), Fault::Bogus).unwrap();
    // A single failure of a resolver proves nothing.
    dns.set_fault(&dkim(&t[0]), Some(RecordType::CNAME), Fault::Hiccup).unwrap();
    dns.set_fault(&bounce(), Some(RecordType::TXT), Fault::ServFail).unwrap();
    dns.set_view(&bounce(), RecordType::MX, &["10 feedback-smtp.us-east-1.amazonses.com"]).unwrap();
    rig.world.publish(&pending).unwrap();
    dns.remove(&bounce(), RecordType::MX).unwrap();
    let expected = [
        told(&dkim(&t[0]), "CNAME", "Found", "NotYetVisible", "resolvers still answer old.example.net"),
        told(&dkim(&t[1]), "CNAME", "Found", "NegativelyCached", "resolvers remember until 20"),
        told(&dkim(&t[2]), "CNAME", "Unknown", "DNSSECBogus", "DNSSEC of example.com is broken"),
        told(&bounce(), "TXT", "Unknown", "LookupFailed", "SERVFAIL from"),
        told(&bounce(), "MX", "Incorrect", "SplitHorizon", "add it to the public zone too"),
    ];
    expect(&rig, &expected).await;
    // What waits for time alone is not written again and again.
    rig.finish().await;
}

#[tokio::test]
async fn c7_e10_an_internal_zone_proves_nothing_and_is_told_once_ses_finds_nothing() {
    // The operator's resolver knows the domain from a zone inside, whose name servers it may not ask.
    let inside = DnsServer::start().await.unwrap();
    inside.dns().add_zone(ZONE).unwrap();
    let address = inside.addr();
    let rig = Rig::with(|options| {
        (options.resolver, options.private_name_servers) = (Some(address), false);
    })
    .await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let is_inside = |r: &Value| text(r, "message").contains("not right in an internal zone");
    let told_of = |o: &Value| object::count(o, "Unknown") == 5 && object::records(o).iter().all(is_inside);
    let pending = rig.until("an internal zone", told_of).await;
    World::publish_at(&inside.dns(), &pending).unwrap();
    let unknown: Vec<Told> = tokens(&pending)
        .iter()
        .map(|t| told(&dkim(t), "CNAME", "Unknown", "LookupFailed", "--dns-resolvers"))
        .collect();
    let found = expect(&rig, &unknown).await;
    assert_eq!(found["status"]["recordsFound"], "0/5", "{found}");
    rig.world.ses().look_now().await;
    let hidden = "SES did not find it when it looked last: add it to the public zone too";
    let split: Vec<Told> =
        tokens(&pending).iter().map(|t| told(&dkim(t), "CNAME", "Incorrect", "SplitHorizon", hidden)).collect();
    expect(&rig, &split).await;
    // Nothing of it keeps the domain from being verified.
    rig.world.publish(&pending).unwrap();
    rig.world.ses().look_now().await;
    rig.ready().await;
    assert!(rig.world.dns().queries().iter().all(|q| q.recursion_desired), "a private name server was asked");
    rig.finish().await;
}

#[tokio::test]
async fn e10_a_deleted_record_that_resolvers_remember_is_no_split_horizon() {
    let rig = Rig::start().await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let pending = rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    rig.world.publish(&pending).unwrap();
    rig.until("five records found", |o| object::count(o, "Found") == 5).await;
    rig.world.dns().remember(&bounce(), RecordType::MX, 8).unwrap();
    rig.world.dns().remove(&bounce(), RecordType::MX).unwrap();
    let copied = told(&bounce(), "MX", "Missing", "NotPublished", "Resolvers still answer it");
    expect(&rig, &[copied]).await;
    let name = bounce();
    rig.until("the copy is gone", |o| {
        let mx = object::records(o).iter().find(|r| r["name"] == name.as_str() && r["type"] == "MX").unwrap();
        assert_eq!(mx["cause"], "NotPublished", "{mx}");
        !text(mx, "message").contains("Resolvers")
    })
    .await;
    rig.finish().await;
}

#[tokio::test]
async fn e8_a_name_server_that_stays_behind_is_named_with_what_it_answers() {
    let rig = Rig::start().await;
    rig.apply_manual().await;
    let pending = rig.until("five records missing", |o| object::count(o, "Missing") == 5).await;
    let (dns, token) = (rig.world.dns(), tokens(&pending).remove(0));
    let port = rig.world.dns_server().addr().port();
    let behind = DnsServer::start_on(([127, 0, 0, 2], port).into()).await.unwrap();
    behind.dns().add_zone(ZONE).unwrap();
    World::publish_at(&behind.dns(), &pending).unwrap();
    behind.dns().set(&dkim(&token), RecordType::CNAME, &["old.example.net"]).unwrap();
    let names = [format!("ns1.{ZONE}"), format!("ns2.{ZONE}")];
    dns.set(&names[1], RecordType::A, &["127.0.0.2"]).unwrap();
    dns.set(ZONE, RecordType::NS, &names).unwrap();
    rig.world.publish(&pending).unwrap();
    let advice = format!("old.example.net at ns2.{ZONE}; the right record at ns1.{ZONE}");
    expect(&rig, &[told(&dkim(&token), "CNAME", "Unknown", "LookupFailed", &advice)]).await;
    // It ends no Ready, and one that does not answer twice in a row is named too.
    let ready = rig.ready().await;
    assert_eq!(ready["status"]["recordsFound"], "4/5");
    behind.dns().set_fault("*", None, Fault::ServFail).unwrap();
    let silent = format!(
        "Answered right by 1 of 2 name servers; have the DNS provider mend the others, which do not answer it: ns2.{ZONE}"
    );
    rig.until("the silent one", |o| object::records(o).iter().all(|r| text(r, "message") == silent)).await;
    rig.finish().await;
}

#[tokio::test]
async fn what_stands_in_cloudflares_zone_and_not_in_dns_is_told() {
    let rig = Rig::start().await;
    // The records are added by hand, at a provider that the operator has no token for.
    rig.world.cloudflare_zone(ZONE);
    rig.create(&object::manual(NAME, DOMAIN)).await;
    let pending = rig.until("records", |o| object::records(o).len() == 5).await;
    let token = &tokens(&pending)[0];
    let proxied = json!({"type": "CNAME", "name": dkim(token), "content": target(token), "proxied": true, "ttl": 1});
    rig.world.cloudflare().add_record(ZONE, proxied).unwrap();
    expect(&rig, &[told(&dkim(token), "CNAME", "Incorrect", "RecordProxied", "Proxy status to DNS only")]).await;

    // From now on with a token: the records are written into the zone, which nobody asks.
    rig.set_token(rig.world.token()).await;
    rig.world
        .cloudflare()
        .change_zone(ZONE, &ZoneChange { status: Some(ZoneStatus::Pending), ..ZoneChange::default() });
    let dns = json!({"cloudflare": {"apiTokenSecretRef": {"name": SECRET, "key": "api-token"}}});
    rig.patch(&json!({"spec": {"dns": dns}})).await;
    let name = format!("bounce.{DOMAIN}");
    expect(&rig, &[told(&name, "MX", "Missing", "ZonePending", "is not active at Cloudflare")]).await;
    rig.finish().await;
}

#[tokio::test]
async fn a_zone_that_flattens_every_alias_is_told() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let flatten = ZoneChange { flatten_all: Some(true), ..ZoneChange::default() };
    rig.world.cloudflare().change_zone(ZONE, &flatten);
    rig.set_token(rig.world.token()).await;
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let listed = rig.until("records", |o| object::records(o).len() == 5).await;
    let flattened = |t: &String| told(&dkim(t), "CNAME", "Incorrect", "CNAMEFlattened", "switch CNAME flattening off");
    expect(&rig, &tokens(&listed).iter().map(flattened).collect::<Vec<_>>()).await;
    rig.world.cloudflare().change_zone(ZONE, &ZoneChange { flatten_all: Some(false), ..flatten });
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_zone_that_nobody_asks_is_told() {
    let mut rig = Rig::start().await;
    rig.verified_cloudflare().await;
    // Delegated to somebody else below the zone at Cloudflare. A new operator remembers no delegation.
    rig.world.manual_zone(DOMAIN).unwrap();
    rig.operator.restart().await.unwrap();
    let advice = format!("Written at Cloudflare, but the world asks ns1.{DOMAIN} for {DOMAIN}");
    expect(&rig, &[told(&bounce(), "MX", "Missing", "ZoneNotDelegated", &advice)]).await;
    rig.finish().await;
}

#[tokio::test]
async fn what_ses_saw_is_compared_with_the_zone_as_it_is() {
    let mut rig = Rig::start().await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    let pending = rig.until("records", |o| object::records(o).len() == 5).await;
    rig.world.ses().look_now().await;
    rig.world.publish(&pending).unwrap();
    let token = &tokens(&pending)[0];
    let seen = rig
        .until("what SES saw", |o| {
            let found = object::records(o).iter().find(|r| r["name"] == dkim(token).as_str());
            found.is_some_and(|r| text(r, "message").contains("the zone has changed since"))
        })
        .await;
    assert_eq!(seen["status"]["identity"]["error"], "HOST_NOT_FOUND");
    let message = object::records(&seen).iter().find(|r| r["name"] == dkim(token).as_str()).unwrap();
    let message = text(message, "message");
    assert!(
        message.contains(&format!("SES said HOST_NOT_FOUND when it last looked at ns1.{ZONE}, serial 1")),
        "{message}"
    );

    // The domain moves into a zone of its own: what SES saw was the old provider.
    rig.world.manual_zone(DOMAIN).unwrap();
    rig.world.publish(&pending).unwrap();
    rig.operator.restart().await.unwrap();
    rig.until("another provider", |o| {
        object::message(o, "DKIMVerified").contains("the zone is now served by")
            && object::records(o)
                .iter()
                .any(|r| text(r, "message").contains(&format!("the zone is now served by ns1.{DOMAIN}")))
    })
    .await;
    rig.world.ses().look_now().await;
    rig.ready().await;
    rig.finish().await;
}
