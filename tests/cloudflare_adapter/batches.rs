//! Writes of many to one zone, against the simulator: together as long as nothing is wrong, apart as far as something is.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use sending_domain_operator::dns::cloudflare::{
    AUTOMATIC_TTL, ApiToken, Change, Client, Group, Kind, MayWrite, NewRecord, Written, ZoneId,
};
use sending_domain_operator::dns::record::{DnsName, RecordData};
use serde_json::json;
use testbed::cloudflare::{CloudflareSim, Failure, Perms, ZoneChange};
use testbed::dns::DnsServer;

const ZONE: &str = "example.com";
const TOKEN: &str = "cfut_0123456789abcdefghijklmnopqrstuvwxyzABCD";

struct Place {
    cloudflare: CloudflareSim,
    client: Client,
    token: ApiToken,
    zone: ZoneId,
    _dns: DnsServer,
}

impl Place {
    async fn new() -> Self {
        Self::with(&ZoneChange::default()).await
    }

    async fn with(change: &ZoneChange) -> Self {
        let dns = DnsServer::start().await.unwrap();
        let cloudflare = CloudflareSim::start(dns.dns()).await.unwrap();
        cloudflare.add_token(TOKEN, Perms::full());
        let zone = cloudflare.add_zone_with(ZONE, change).parse().unwrap();
        let client = Client::new(cloudflare.base_url().parse().unwrap(), 1000).unwrap();
        Self { cloudflare, client, token: ApiToken::parse(TOKEN.as_bytes()).unwrap(), zone, _dns: dns }
    }

    async fn write(&self, groups: Vec<Group>) -> Vec<Written> {
        self.client.write(&self.token, &self.zone, groups, &may_write(true)).await
    }

    fn calls(&self) -> usize {
        self.cloudflare.calls().len()
    }

    /// The names in the zone, in order.
    fn names(&self) -> Vec<String> {
        let text = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
        let mut names: Vec<String> = self.cloudflare.records(ZONE).iter().map(text).collect();
        names.sort();
        names
    }

    /// Adds a record of somebody else; answers its id.
    fn foreign(&self, kind: &str, name: &str, content: &str) -> String {
        let record = json!({ "type": kind, "name": name, "content": content, "priority": 10 });
        self.cloudflare.add_record(ZONE, record).unwrap()["id"].as_str().unwrap().to_owned()
    }
}

fn may_write(may: bool) -> MayWrite {
    Arc::new(move || may)
}

fn alias(name: &str) -> NewRecord {
    NewRecord {
        name: DnsName::new(name),
        data: RecordData::Cname(DnsName::new("x.dkim.amazonses.com")),
        comment: "sendingdomain.dev/owner/object".to_owned(),
        ttl: AUTOMATIC_TTL,
        unflatten: false,
    }
}

fn create(name: &str) -> Group {
    vec![Change::Create(alias(name))]
}

/// The five records of a domain, as four names.
fn domain(name: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = ["a", "b", "c"].iter().map(|t| create(&format!("{t}._domainkey.{name}"))).collect();
    let bounce = |data| Change::Create(NewRecord { data, ..alias(&format!("bounce.{name}")) });
    let mx = RecordData::Mx { priority: 10, host: DnsName::new("feedback-smtp.us-east-1.amazonses.com") };
    groups.push(vec![bounce(RecordData::Txt("v=spf1 include:amazonses.com ~all".to_owned())), bounce(mx)]);
    groups
}

fn kinds(written: &[Written]) -> Vec<Option<Kind>> {
    written.iter().map(|w| w.as_ref().err().map(|error| error.kind)).collect()
}

#[tokio::test]
async fn d4_d13_the_others_are_made_when_one_is_refused() {
    let place = Place::new().await;
    place.foreign("A", "c.example.com", "192.0.2.1");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|label| format!("{label}.{ZONE}"));
    let written = place.write(names.iter().map(|name| create(name)).collect()).await;
    let expected: Vec<Option<Kind>> = (0..8).map(|i| (i == 2).then_some(Kind::RecordExists)).collect();
    assert_eq!(kinds(&written), expected);
    assert_eq!(written[2].as_ref().unwrap_err().codes, [81053]);
    assert_eq!(place.names(), names, "each once");
    assert!(written.iter().flatten().all(|records| records.len() == 1));
    assert_eq!(place.calls(), 7, "one for all, and two for each halving of eight");
}

#[tokio::test]
async fn d4_an_identical_record_is_told_of_and_not_doubled() {
    let place = Place::new().await;
    place.write(vec![create("a.example.com")]).await;
    let written = place.write(vec![create("a.example.com"), create("b.example.com")]).await;
    assert_eq!(kinds(&written), [Some(Kind::RecordExists), None]);
    assert_eq!(place.names(), ["a.example.com", "b.example.com"]);
}

#[tokio::test]
async fn d13_each_of_several_refusals_is_told_with_its_own_code() {
    let place = Place::new().await;
    place.foreign("A", "a.example.com", "192.0.2.1");
    let itself =
        Change::Create(NewRecord { data: RecordData::Cname(DnsName::new("b.example.com")), ..alias("b.example.com") });
    let gone = Change::Delete { id: "f".repeat(32) };
    let written = place.write(vec![create("a.example.com"), vec![itself], vec![gone], create("d.example.com")]).await;
    let found = [Some(Kind::RecordExists), Some(Kind::Invalid), Some(Kind::NotFound), None];
    assert_eq!(kinds(&written), found);
    let codes: Vec<u32> = written.iter().filter_map(|w| w.as_ref().err()).flat_map(|e| e.codes.clone()).collect();
    assert_eq!(codes, [81053, 9039, 81044]);
    assert_eq!(place.names(), ["a.example.com", "d.example.com"]);
}

#[tokio::test]
async fn d13_what_makes_room_stays_with_what_needs_it() {
    let place = Place::new().await;
    let old = place.foreign("A", "a.example.com", "192.0.2.1");
    let itself = NewRecord { data: RecordData::Cname(DnsName::new("a.example.com")), ..alias("a.example.com") };
    let replaced = vec![Change::Delete { id: old.clone() }, Change::Create(itself)];
    let written = place.write(vec![replaced, create("b.example.com")]).await;
    assert_eq!(kinds(&written), [Some(Kind::Invalid), None]);
    assert_eq!(place.names(), ["a.example.com", "b.example.com"], "the old one is not taken away for nothing");

    let good = vec![Change::Delete { id: old }, Change::Create(alias("a.example.com"))];
    assert_eq!(kinds(&place.write(vec![good]).await), [None]);
}

#[tokio::test]
async fn d13_a_full_zone_takes_no_half_domain_and_still_frees_room() {
    let place = Place::with(&ZoneChange { quota: Some(6), ..ZoneChange::default() }).await;
    let old = ["x.example.com", "y.example.com"].map(|name| place.foreign("A", name, "192.0.2.1"));
    let mut groups = domain("one.example.com");
    groups.push(vec![Change::Delete { id: old[0].clone() }]);
    let written = place.write(groups).await;
    assert_eq!(kinds(&written), [None; 5], "with the room that it makes itself it fits");

    let mut groups = domain("two.example.com");
    groups.push(vec![Change::Delete { id: old[1].clone() }]);
    let full = Some(Kind::QuotaExceeded);
    assert_eq!(kinds(&place.write(groups).await), [full, full, full, full, None]);
    assert_eq!(place.names().iter().filter(|name| name.contains("two")).count(), 0);
    assert!(!place.names().contains(&"y.example.com".to_owned()));
}

#[tokio::test]
async fn d2_what_is_wrong_for_all_is_asked_once() {
    let place = Place::new().await;
    let groups = || domain("mail.example.com");
    for (failure, kind) in [
        (Failure::Html502, Kind::Unavailable),
        (Failure::Drop, Kind::Unavailable),
        (Failure::Code(403, 10000, "Authentication error".to_owned()), Kind::PermissionDenied),
        (Failure::Code(403, 9109, "Invalid access token".to_owned()), Kind::InvalidToken),
        (Failure::Code(404, 7003, "Could not route".to_owned()), Kind::NotFound),
    ] {
        place.cloudflare.reset_calls();
        place.cloudflare.fail_next(1, failure);
        assert_eq!(kinds(&place.write(groups()).await), [Some(kind); 4]);
        assert_eq!(place.calls(), 1);
    }
    let written = place.client.write(&place.token, &place.zone, groups(), &may_write(false)).await;
    assert_eq!(kinds(&written), [Some(Kind::NotLeading); 4]);
    assert!(place.names().is_empty());
}

#[tokio::test]
async fn d5_a_lost_answer_is_not_sent_again_here() {
    let place = Place::new().await;
    place.cloudflare.fail_next(1, Failure::CommitThenDrop);
    let written = place.write(domain("mail.example.com")).await;
    assert_eq!(kinds(&written), [Some(Kind::Unavailable); 4]);
    assert_eq!((place.calls(), place.names().len()), (1, 5));
    let again = place.write(domain("mail.example.com")).await;
    assert_eq!(kinds(&again), [Some(Kind::RecordExists); 4]);
    assert_eq!(place.names().len(), 5, "and if it is, nothing is doubled");
}

#[tokio::test]
async fn a_record_that_lost_its_mark_is_taken_back() {
    let place = Place::new().await;
    place.cloudflare.set_loses_comments(true);
    let written = place.write(domain("mail.example.com")).await;
    assert_eq!(kinds(&written), [Some(Kind::Unmarked); 4]);
    assert!(place.names().is_empty(), "nobody would ever take them away");
    assert_eq!(place.calls(), 2);
}

#[tokio::test]
async fn the_writes_of_many_go_out_together_and_the_fault_of_one_is_nobody_elses() {
    let place = Place::new().await;
    place.foreign("A", "a._domainkey.d7.example.com", "192.0.2.1");
    place.cloudflare.fail_next(1, Failure::slow(Duration::from_millis(200)));
    let names: Vec<String> = (0..30).map(|i| format!("d{i}.example.com")).collect();
    let written = join_all(names.iter().map(|name| place.write(domain(name)))).await;
    for (i, written) in written.iter().enumerate() {
        let first = (i == 7).then_some(Kind::RecordExists);
        assert_eq!(kinds(written), [first, None, None, None], "{i}");
        assert_eq!(written[3].as_ref().unwrap().len(), 2);
    }
    assert_eq!(place.names().len(), 30 * 5);
    let calls = place.calls();
    assert!(calls <= 16, "{calls} calls for 30 domains with one culprit");
}

#[tokio::test]
async fn d13_when_everything_is_refused_that_is_found_out_soon() {
    let place = Place::new().await;
    let itself = |i: usize| {
        let name = format!("d{i}.example.com");
        vec![Change::Create(NewRecord { data: RecordData::Cname(DnsName::new(&name)), ..alias(&name) })]
    };
    let written = place.write((0..120).map(itself).collect()).await;
    assert!(kinds(&written).iter().all(|kind| *kind == kinds(&written)[0] && kind.is_some()), "{written:?}");
    assert!(place.calls() <= 16, "{} calls", place.calls());
}

#[tokio::test]
async fn the_lists_of_many_are_one_after_the_first() {
    let place = Place::new().await;
    place.cloudflare.fail_next(1, Failure::slow(Duration::from_millis(200)));
    let listed = join_all((0..30).map(|_| place.client.zones(&place.token))).await;
    assert!(listed.iter().all(|zones| zones.as_ref().is_ok_and(|zones| zones.len() == 1)));
    assert_eq!(place.calls(), 2);
}

#[tokio::test]
async fn the_reads_of_many_are_one_after_the_first() {
    let place = Place::new().await;
    let names: Vec<String> = (0..30).map(|i| format!("d{i}.example.com")).collect();
    let all = names.iter().flat_map(|name| domain(name)).collect();
    assert!(place.write(all).await.iter().all(Result::is_ok));
    place.cloudflare.reset_calls();
    place.cloudflare.fail_next(1, Failure::slow(Duration::from_millis(200)));
    let read =
        async |name: &String| place.client.records(&place.token, &place.zone, &DnsName::new(name)).await.unwrap();
    let read = join_all(names.iter().map(read)).await;
    for (name, records) in names.iter().zip(read) {
        let name = DnsName::new(name);
        assert!(records.len() == 5 && records.iter().all(|r| r.name.is_within(&name)), "{name}: {records:?}");
    }
    assert_eq!(place.calls(), 2);

    // Another token has a listing of its own, and its own refusal.
    let other = ApiToken::parse(b"cfut_another0123456789abcdefghijklmnopqrstuvw").unwrap();
    let name = DnsName::new("d1.example.com");
    let ours = place.client.records(&place.token, &place.zone, &name);
    let (ours, theirs) = tokio::join!(ours, place.client.records(&other, &place.zone, &name));
    assert!(ours.is_ok_and(|records| records.len() == 5));
    assert_eq!(theirs.unwrap_err().kind, Kind::InvalidToken);
}
