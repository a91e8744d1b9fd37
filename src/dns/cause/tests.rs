//! Every cause and every near miss, with what the user is told.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::*;
use crate::api::reason::Reason;
use crate::api::v1alpha1::RecordPurpose;
use crate::dns::cloudflare::{Zone, ZoneRecord, ZoneStatus, ZoneType};
use crate::dns::evidence::{DmarcView, Elsewhere};
use crate::dns::lookup::{Addresses, LookupError, ServerAnswer};
use crate::dns::record::RecordData;
use crate::error::ErrorClass;
use crate::observe::observation::{Fault, Lookups};

use super::places::{Slip, likely};

/// One situation, with what is usual in it.
struct Scene {
    wanted: WantedRecord,
    answer: Answer,
    evidence: RecordEvidence,
    cut: Option<Result<ZoneCut, LookupErrorKind>>,
    view: Observed<ZoneView>,
    /// What is unusual in the look-up itself.
    instead: Option<LookupErrorKind>,
    by_server: Vec<ServerAnswer>,
    denied: bool,
    given_up: bool,
    dmarc: Option<DmarcView>,
}

fn name(text: &str) -> DnsName {
    DnsName::new(text)
}

fn cname(target: &str) -> RecordData {
    RecordData::Cname(name(target))
}

fn txt(text: &str) -> RecordData {
    RecordData::Txt(text.to_owned())
}

fn mx(priority: u16, host: &str) -> RecordData {
    RecordData::Mx { priority, host: name(host) }
}

fn records(records: &[RecordData]) -> Answer {
    Answer::Records(records.to_vec())
}

fn wanted(purpose: RecordPurpose) -> WantedRecord {
    let (at, data) = match purpose {
        RecordPurpose::Dkim => ("aaa._domainkey.mail.example.com", cname("aaa.dkim.amazonses.com")),
        RecordPurpose::Spf => ("bounce.mail.example.com", txt("v=spf1 include:amazonses.com ~all")),
        RecordPurpose::BounceMx => ("bounce.mail.example.com", mx(10, "feedback-smtp.us-east-1.amazonses.com")),
        RecordPurpose::Dmarc => ("_dmarc.mail.example.com", txt("v=DMARC1; p=none")),
    };
    WantedRecord { purpose, name: name(at), data, required: purpose != RecordPurpose::Dmarc }
}

fn cut(apex: &str, server: &str) -> ZoneCut {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    ZoneCut { apex: name(apex), servers: vec![(name(server), address)], primary: name(server), serial: 7 }
}

fn lookup(answer: Answer, source: Source) -> Lookup {
    let negative_ttl = matches!(answer, Answer::NoData | Answer::NxDomain).then(|| Duration::from_mins(1));
    Lookup {
        source,
        answer,
        negative_ttl,
        servers_asked: 2,
        servers_agreeing: 2,
        positive_ttl: None,
        instead: None,
        by_server: Vec::new(),
    }
}

fn scene(purpose: RecordPurpose, answer: Answer) -> Scene {
    let cut = Some(Ok(cut("example.com", "ns1.dns-host.example")));
    Scene {
        wanted: wanted(purpose),
        answer,
        evidence: RecordEvidence::default(),
        cut,
        view: Observed::NotConfigured,
        instead: None,
        by_server: Vec::new(),
        denied: false,
        given_up: false,
        dmarc: None,
    }
}

impl Scene {
    fn found_at(mut self, place: &str, slip: Slip) -> Self {
        self.evidence.elsewhere = vec![Elsewhere { name: name(place), slip, is_there: Some(true) }];
        self
    }

    fn addresses(mut self, octets: [u8; 4]) -> Self {
        self.evidence.addresses = Some(Addresses::Found(vec![octets.into()]));
        self
    }

    fn resolvers(mut self, answer: Answer) -> Self {
        self.evidence.resolvers = Some(lookup(answer, Source::Recursive));
        self
    }

    /// Resolvers go on answering so for longer than any copy lives.
    fn for_ever(mut self) -> Self {
        self.evidence.outlived = true;
        self
    }

    /// Only resolvers could be asked.
    fn instead(mut self, of: LookupErrorKind, denied: bool) -> Self {
        (self.instead, self.denied) = (Some(of), denied);
        self
    }

    /// SES has FAILED.
    fn given_up(mut self) -> Self {
        self.given_up = true;
        self
    }

    /// The name servers do not all say the same, for the first time or again.
    fn by(mut self, said: &[(&str, Answer)], again: bool) -> Self {
        let (agreeing, answering) = (said.len() - 1, said.len());
        self.answer = Answer::Unknown(LookupError::new(LookupErrorKind::Disagreement { agreeing, answering }));
        let server =
            |(server, answer): &(&str, Answer)| ServerAnswer { server: name(server), answer: answer.clone(), again };
        self.by_server = said.iter().map(server).collect();
        self
    }

    /// The record is an alias, at whose end this is.
    fn alias(mut self, end: Answer) -> Self {
        let own = lookup(end, Source::Authoritative);
        let alias = Some(name("dmarc.example.net"));
        self.dmarc = Some(DmarcView { own, alias, inherited: None, reports: Vec::new() });
        self
    }

    fn served_by(self, server: &str) -> Self {
        self.in_zone("example.com", server)
    }

    fn in_zone(mut self, apex: &str, server: &str) -> Self {
        self.cut = Some(Ok(cut(apex, server)));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut RecordEvidence)) -> Self {
        change(&mut self.evidence);
        self
    }

    /// The zone at Cloudflare holds the right record under this name.
    fn at_cloudflare(mut self, at: &str, change: impl FnOnce(&mut ZoneRecord)) -> Self {
        let zone = Zone {
            id: "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap(),
            name: name("example.com"),
            status: ZoneStatus::Active,
            paused: false,
            zone_type: ZoneType::Full,
            account_id: None,
            name_servers: vec![name("ada.ns.cloudflare.com")],
        };
        let data = self.wanted.data.clone();
        let mut record = ZoneRecord {
            id: "1".to_owned(),
            name: name(at),
            record_type: data.record_type().as_str().to_owned(),
            content: data.to_string(),
            data: Some(data),
            proxied: false,
            ttl: 1,
            comment: None,
            flatten_cname: None,
        };
        change(&mut record);
        self.view = Observed::Known(ZoneView { zone, records: vec![record] });
        self
    }

    fn diagnose(&self) -> Option<Diagnosis> {
        let source = if self.instead.is_some() { Source::Recursive } else { Source::Authoritative };
        let (instead, by_server) = (self.instead, self.by_server.clone());
        let lookup = Lookup { instead, by_server, ..lookup(self.answer.clone(), source) };
        let key = (self.wanted.name.clone(), self.wanted.data.record_type());
        let judgement = judge::judge(&self.wanted, &Lookups::from([(key, lookup.clone())]));
        diagnose(&Case {
            wanted: &self.wanted,
            domain: &name("mail.example.com"),
            lookup: &lookup,
            judgement: &judgement,
            evidence: Some(&self.evidence),
            cut: self.cut.as_ref(),
            view: &self.view,
            denied: self.denied,
            given_up: self.given_up,
            dmarc: self.dmarc.as_ref(),
        })
    }
}

fn servfail() -> Answer {
    Answer::Unknown(LookupError::of_server(LookupErrorKind::Rcode(2), "192.0.2.53"))
}

fn pending() -> Observed<ZoneView> {
    let message = "The zone example.com is not active at Cloudflare: …".to_owned();
    Observed::Unavailable(Fault {
        reason: Reason::ZonePending,
        message,
        class: ErrorClass::Waiting { after: Duration::ZERO },
    })
}

use RecordPurpose::{BounceMx, Dkim, Dmarc, Spf};

fn missing() -> Vec<(&'static str, Scene)> {
    let dkim = "aaa._domainkey.mail.example.com";
    let gone = |purpose| scene(purpose, Answer::NxDomain);
    vec![
        ("nothing there", gone(Dkim)),
        ("nothing there, at Route 53", gone(BounceMx).served_by("ns-1.awsdns-07.org")),
        ("the name is there, of another type", scene(BounceMx, Answer::NoData)),
        ("the zone doubled", gone(Spf).found_at("bounce.mail.example.com.example.com", Slip::SuffixDoubled)),
        (
            "the zone doubled at GoDaddy",
            gone(Dkim)
                .served_by("ns07.domaincontrol.com")
                .found_at("aaa._domainkey.mail.example.com.example.com", Slip::SuffixDoubled),
        ),
        ("no _domainkey", gone(Dkim).found_at("aaa.mail.example.com", Slip::MissingDomainkey)),
        ("under the parent", gone(Dkim).found_at("aaa._domainkey.example.com", Slip::Typo)),
        ("bounces for bounce", gone(BounceMx).found_at("bounces.mail.example.com", Slip::Typo)),
        ("on the domain itself", gone(BounceMx).found_at("mail.example.com", Slip::Elsewhere)),
        ("a typo in Cloudflare's list", gone(Spf).at_cloudflare("bonce.mail.example.com", |_| {})),
        ("a DKIM value anywhere in Cloudflare's list", gone(Dkim).at_cloudflare("aaa.mail.example.com", |_| {})),
        (
            "another object's record nearby in Cloudflare's list",
            gone(Spf).at_cloudflare("bounce.a.mail.example.com", |r| {
                r.comment = Some("sendingdomain.dev/owner/0123".to_owned());
            }),
        ),
        ("the MAIL FROM domain of the parent", gone(BounceMx).found_at("bounce.example.com", Slip::Elsewhere)),
        ("far from the name in Cloudflare's list", gone(Spf).at_cloudflare("news.mail.example.com", |_| {})),
        ("written, delegated elsewhere", gone(Dkim).at_cloudflare(dkim, |_| {})),
        ("written, served in a moment", gone(Dkim).served_by("ada.ns.cloudflare.com").at_cloudflare(dkim, |_| {})),
        ("no name servers at all", Scene { cut: Some(Err(LookupErrorKind::NoZone)), ..gone(Dkim) }),
        ("not registered", Scene { cut: Some(Ok(cut("com", "a.gtld-servers.net"))), ..gone(Dkim) }),
        ("zone not active", Scene { view: pending(), ..gone(Dkim) }),
        ("e10: only inside the cluster", gone(Dkim).resolvers(records(&[cname("aaa.dkim.amazonses.com")])).for_ever()),
        ("e10: just deleted, resolvers have a copy", gone(Dkim).resolvers(records(&[cname("aaa.dkim.amazonses.com")]))),
        (
            "e10: inside the cluster, and under a wrong name outside",
            gone(Dkim)
                .resolvers(records(&[cname("aaa.dkim.amazonses.com")]))
                .for_ever()
                .found_at("aaa.mail.example.com", Slip::MissingDomainkey),
        ),
    ]
}

fn both_mx() -> [RecordData; 2] {
    [mx(5, "mx.example.net"), mx(10, "feedback-smtp.us-east-1.amazonses.com")]
}

fn instead() -> Vec<(&'static str, Scene)> {
    let dkim = "aaa._domainkey.mail.example.com";
    vec![
        ("proxied, by its address", scene(Dkim, Answer::NoData).addresses([104, 16, 1, 1])),
        ("proxied, by the list", scene(Dkim, Answer::NoData).at_cloudflare(dkim, |r| r.proxied = true)),
        ("flattened, by its address", scene(Dkim, Answer::NoData).addresses([192, 0, 2, 7])),
        ("flattened, by the list", scene(Dkim, Answer::NoData).at_cloudflare(dkim, |r| r.flatten_cname = Some(true))),
        (
            "e5: addresses of a wildcard",
            scene(Dkim, Answer::NoData).addresses([104, 16, 1, 1]).with(|e| e.wildcard = Some(true)),
        ),
        (
            "a TXT record for a CNAME",
            scene(Dkim, Answer::NoData).with(|e| e.text = Some(vec![txt("aaa.dkim.amazonses.com")])),
        ),
        ("another target", scene(Dkim, records(&[cname("bbb.dkim.amazonses.com")]))),
        (
            "right at Cloudflare, and another provider is asked, who has something else",
            scene(Dkim, records(&[cname("old.example.net")])).at_cloudflare(dkim, |_| {}),
        ),
        (
            "right at Cloudflare, in a zone that hands the domain on",
            scene(Dkim, records(&[cname("old.example.net")]))
                .at_cloudflare(dkim, |_| {})
                .in_zone("mail.example.com", "ns1.dns-host.example"),
        ),
        ("another region's DKIM", scene(Dkim, records(&[cname("aaa.dkim.eu-south-1.amazonses.com")]))),
        ("no dot at the end", scene(Dkim, records(&[cname("aaa.dkim.amazonses.com.example.com")]))),
        (
            "e5: a wildcard alias at a DKIM name",
            scene(Dkim, records(&[cname("www.example.com")])).with(|e| e.wildcard = Some(true)),
        ),
        ("another region's MX", scene(BounceMx, records(&[mx(10, "feedback-smtp.eu-west-1.amazonses.com")]))),
        ("somebody's MX", scene(BounceMx, records(&[mx(10, "mx.example.net")]))),
        (
            "one MX too many",
            scene(BounceMx, records(&[mx(5, "mx.example.net"), mx(10, "feedback-smtp.us-east-1.amazonses.com")])),
        ),
        ("an alias in the way", scene(BounceMx, records(&[cname("www.example.com")]))),
        ("SPF in quotes", scene(Spf, records(&[txt("\"v=spf1 include:amazonses.com ~all\"")]))),
        ("DMARC in quotes", scene(Dmarc, records(&[txt("\"v=DMARC1; p=none\"")]))),
        ("d8: SPF without SES", scene(Spf, records(&[txt("v=spf1 mx -all")]))),
        (
            "d8: two SPF records",
            scene(Spf, records(&[txt("v=spf1 mx -all"), txt("v=spf1 include:amazonses.com ~all")])),
        ),
        ("d8: two DMARC records", scene(Dmarc, records(&[txt("v=DMARC1; p=none"), txt("v=DMARC1; p=reject")]))),
        ("d8: a DMARC record of no version", scene(Dmarc, records(&[txt("v=dmarc1; p=reject")]))),
        (
            "d8: a DMARC alias that leads nowhere",
            scene(Dmarc, records(&[cname("dmarc.example.net")])).alias(Answer::NxDomain),
        ),
        ("d8: a DMARC record with a fault", scene(Dmarc, records(&[txt("v=DMARC1; p=rejct")]))),
        ("one MX too many, everywhere", scene(BounceMx, records(&both_mx())).resolvers(records(&both_mx()))),
        (
            "one MX too many, and caches do not know yet",
            scene(BounceMx, records(&both_mx())).resolvers(records(&[mx(10, "feedback-smtp.us-east-1.amazonses.com")])),
        ),
        (
            "the zone flattens every alias",
            scene(Dkim, Answer::NoData)
                .served_by("ada.ns.cloudflare.com")
                .at_cloudflare(dkim, |_| {})
                .addresses([52, 94, 1, 2]),
        ),
        ("SPF in single quotes", scene(Spf, records(&[txt("'v=spf1 include:amazonses.com ~all'")]))),
        ("SPF without its space", scene(Spf, records(&[txt("v=spf1include:amazonses.com ~all")]))),
        ("SPF with a space of a web page", scene(Spf, records(&[txt("v=spf1\u{a0}include:amazonses.com ~all")]))),
        ("SPF without its head", scene(Spf, records(&[txt("spf1 include:amazonses.com ~all")]))),
        ("DMARC without its head", scene(Dmarc, records(&[txt("DMARC1; p=none")]))),
        (
            "right inside the cluster only",
            scene(Dkim, records(&[cname("old.example.net")]))
                .resolvers(records(&[cname("aaa.dkim.amazonses.com")]))
                .for_ever(),
        ),
        (
            "e10: changed just now, resolvers have a copy",
            scene(Dkim, records(&[cname("old.example.net")])).resolvers(records(&[cname("aaa.dkim.amazonses.com")])),
        ),
    ]
}

/// Three name servers that have the record and one that has not.
fn behind() -> Vec<(&'static str, Answer)> {
    let right = || records(&[cname("aaa.dkim.amazonses.com")]);
    vec![
        ("ns1.example.net", right()),
        ("ns2.example.net", right()),
        ("ns3.example.net", records(&[cname("old.example.net")])),
        ("ns4.example.net", right()),
    ]
}

fn found_and_unknown() -> Vec<(&'static str, Scene)> {
    let right = || scene(Dkim, records(&[cname("aaa.dkim.amazonses.com")]));
    let until = Some("2026-11-23T10:05:00Z".parse().unwrap());
    let unvalidated = Some(lookup(records(&[cname("aaa.dkim.amazonses.com")]), Source::Recursive));
    let bogus = |scene: Scene| {
        let unvalidated = unvalidated.clone();
        scene.resolvers(servfail()).with(|e| e.unvalidated = unvalidated)
    };
    vec![
        ("found everywhere", right().resolvers(records(&[cname("aaa.dkim.amazonses.com")]))),
        ("found, resolvers down", right().resolvers(servfail())),
        ("found, an old value in caches", right().resolvers(records(&[cname("old.example.net")]))),
        ("e3: found, an absence in caches", right().resolvers(Answer::NxDomain).with(|e| e.forgotten_at = until)),
        ("found, not seen by resolvers", right().resolvers(Answer::NoData)),
        ("e9: found, signatures broken", bogus(right())),
        ("e9: unknown, signatures broken", bogus(scene(Dkim, servfail()))),
        ("e1: unknown", scene(Dkim, servfail()).resolvers(servfail())),
        (
            "e8: unknown, name servers disagree",
            scene(Spf, Answer::Unknown(LookupError::new(LookupErrorKind::Disagreement { agreeing: 3, answering: 4 }))),
        ),
        ("e8: one of them is behind, for the first time", scene(Dkim, Answer::NoData).by(&behind(), false)),
        ("e8: one of them is behind, again", scene(Dkim, Answer::NoData).by(&behind(), true)),
        ("e10: right in an internal zone", right().instead(LookupErrorKind::PrivateServers, false)),
        ("e10: right in an internal zone, and not for SES", right().instead(LookupErrorKind::PrivateServers, true)),
        ("e10: not in an internal zone", scene(Dkim, Answer::NxDomain).instead(LookupErrorKind::PrivateServers, true)),
        ("e10: the same, SES has failed", right().instead(LookupErrorKind::PrivateServers, true).given_up()),
        (
            "e10: the same, not right there",
            scene(Dkim, Answer::NxDomain).instead(LookupErrorKind::PrivateServers, false).given_up(),
        ),
        ("e10: right where nobody has authority, and not for SES", right().instead(LookupErrorKind::Lame, true)),
        ("e10: name servers out of reach", right().instead(LookupErrorKind::TimedOut, false)),
        (
            "d8: a DMARC alias that leads to a policy",
            scene(Dmarc, records(&[cname("dmarc.example.net")])).alias(records(&[txt("v=DMARC1; p=none")])),
        ),
        (
            "d8: a DMARC alias whose end is unknown",
            scene(Dmarc, records(&[cname("dmarc.example.net")])).alias(servfail()),
        ),
        ("d8: a DMARC record with white space", scene(Dmarc, records(&[txt("v = DMARC1; p=reject")]))),
        ("d8: another DMARC policy", scene(Dmarc, records(&[txt("v=DMARC1; p=reject")]))),
    ]
}

fn told(scenes: Vec<(&'static str, Scene)>) -> String {
    let mut text = String::new();
    for (what, scene) in scenes {
        let line = scene.diagnose().map_or_else(
            || "no cause".to_owned(),
            |d| format!("{:?} {}: {}", d.cause.state(), d.cause.as_str(), d.message),
        );
        let _ = writeln!(text, "{what}\n  {line}");
    }
    text
}

#[test]
fn a_missing_record_and_what_is_found_at_wrong_places() {
    insta::assert_snapshot!(told(missing()));
}

#[test]
fn e5_d8_a_record_with_something_else_in_its_place() {
    insta::assert_snapshot!(told(instead()));
}

#[test]
fn e1_e3_e8_e9_a_record_that_is_found_or_unknown() {
    insta::assert_snapshot!(told(found_and_unknown()));
}

#[test]
fn every_cause_is_told_somewhere() {
    let scenes = [missing(), instead(), found_and_unknown()].into_iter().flatten();
    let mut causes: Vec<Cause> = scenes.filter_map(|(_, scene)| scene.diagnose()).map(|d| d.cause).collect();
    causes.sort();
    causes.dedup();
    assert_eq!(causes, Cause::ALL);
}

#[test]
fn every_cause_is_described_for_users() {
    let guide = include_str!("../../../docs/causes.md");
    for cause in Cause::ALL {
        assert!(guide.contains(&format!("\n### {}\n", cause.as_str())), "docs/causes.md lacks {}", cause.as_str());
    }
}

#[test]
fn e10_wrong_names_are_sought_within_the_zone_only_and_never_more_than_six() {
    for purpose in [Dkim, Spf, BounceMx, Dmarc] {
        for zone in ["example.com", "mail.example.com"] {
            let places = likely(&wanted(purpose), &name("mail.example.com"), &name(zone));
            assert!(places.len() <= places::MAX_PLACES);
            for (place, _) in places {
                assert!(place.is_within(&name(zone)) && place != wanted(purpose).name, "{place}");
            }
        }
    }
}
