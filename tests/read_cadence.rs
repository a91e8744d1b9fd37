//! How rarely the outside is read: what is remembered of an object, and when it is read again.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

mod support;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::OnMxFailure;
use sending_domain_operator::dns::cloudflare::Change;
use sending_domain_operator::dns::record::DnsName;
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::observe::memory::Memory;
use sending_domain_operator::observe::observation::{Fault, Observed, ZoneView};
use sending_domain_operator::plan::Step;
use sending_domain_operator::status::schedule::Pace;
use support::{World, cloudflare, identity};

const PACE: Pace = Pace { pending: Duration::from_secs(30), verified: Duration::from_mins(15) };
const PLACE: u64 = 7;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

fn view() -> ZoneView {
    let mut world = World::new(cloudflare());
    world.run_to_the_end();
    match world.observe().zone {
        Observed::Known(view) => view,
        other => panic!("{other:?}"),
    }
}

/// When SES is read within `seconds`, seen every 10 seconds. A read may come a tenth early, as passes do.
fn reads(memory: &mut Memory, ready: bool, from: i64, seconds: i64) -> Vec<i64> {
    let mut times = Vec::new();
    for t in (from..from + seconds).step_by(10) {
        if memory.identity_is_due(ready, at(t), PACE) {
            memory.identity_read(Some(identity()), at(t));
            times.push(t);
        }
    }
    times
}

#[test]
fn ses_is_read_at_growing_intervals_once_the_records_are_in_dns() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.looked_up(true, false, at(0));
    assert_eq!(reads(&mut memory, false, 0, 3600), [30, 140, 580, 1120, 1660, 2200, 2740, 3280]);
}

#[test]
fn ses_is_read_rarely_while_the_records_are_missing_and_when_ready() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.looked_up(false, true, at(0));
    assert_eq!(reads(&mut memory, false, 0, 3600), [810, 1620, 2430, 3240]);
    memory.looked_up(true, false, at(3600));
    assert_eq!(reads(&mut memory, true, 3600, 3600), [4050, 4860, 5670, 6480]);
}

#[test]
fn a_record_that_is_lost_has_everything_read_at_once() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.zone_read(view(), PLACE, at(0));
    memory.looked_up(true, false, at(0));
    assert!(!memory.zone_is_due(PLACE, at(10), PACE));
    memory.looked_up(false, true, at(10));
    assert!(memory.zone_is_due(PLACE, at(10), PACE) && memory.identity_is_due(true, at(10), PACE));
}

#[test]
fn an_unknown_look_up_changes_nothing() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.zone_read(view(), PLACE, at(0));
    memory.looked_up(true, false, at(0));
    memory.looked_up(false, false, at(10));
    assert!(!memory.zone_is_due(PLACE, at(10), PACE) && !memory.identity_is_due(true, at(10), PACE));
}

#[test]
fn b6_another_token_or_zone_has_cloudflare_read_at_once() {
    let mut memory = Memory::default();
    memory.zone_read(view(), PLACE, at(0));
    assert!(!memory.zone_is_due(PLACE, at(1), PACE));
    assert!(memory.zone_is_due(PLACE + 1, at(1), PACE));
}

#[test]
fn what_was_written_is_known_without_a_read() {
    let mut memory = Memory::default();
    let mut view = view();
    let last = view.records.pop().unwrap();
    let deleted = view.records[0].id.clone();
    memory.zone_read(view.clone(), PLACE, at(0));
    let new = sending_domain_operator::dns::cloudflare::NewRecord {
        name: last.name.clone(),
        data: last.data.clone().unwrap(),
        comment: String::new(),
        ttl: 1,
    };
    let changes = [Change::Delete { id: deleted.clone() }, Change::Create(new)];
    memory.records_written(&changes, vec![last.clone()], at(1));
    let records = &memory.zone_at(PLACE).unwrap().records;
    assert!(records.contains(&last) && records.iter().all(|r| r.id != deleted));
    assert!(!memory.zone_is_due(PLACE, at(2), PACE));
    // An answer that does not match what was asked is no basis for anything.
    memory.records_written(&changes, Vec::new(), at(3));
    assert!(memory.zone_is_due(PLACE, at(3), PACE));
}

#[test]
fn what_ses_took_is_known_without_a_read() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.mail_from_set("bounce.mail.example.com", OnMxFailure::UseDefaultValue);
    let known = memory.identity().unwrap().as_ref().unwrap();
    assert_eq!(known.mail_from.as_ref().unwrap().domain, "bounce.mail.example.com");
    assert!(!memory.identity_is_due(false, at(1), PACE));
    memory.identity_changed();
    assert!(memory.identity_is_due(false, at(1), PACE));
}

#[test]
fn a_failed_write_stands_until_its_time_or_until_its_cause_changes() {
    let mut memory = Memory::default();
    let fault = Fault { reason: Reason::RecordWriteDenied, message: "m".to_owned(), class: ErrorClass::Terminal };
    memory.wrote(&[], &[(Step::Records, fault.clone())], 1, at(0), PACE);
    assert_eq!(memory.standing(1, at(299)).records, Some(fault));
    assert_eq!(memory.standing(1, at(300)).records, None);
    assert_eq!(memory.standing(2, at(1)).records, None);
    memory.request(Some("now"));
    assert_eq!(memory.standing(1, at(1)).records, None);
}

#[test]
fn a_request_has_everything_read_once() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.request(Some("a"));
    assert!(memory.identity_is_due(true, at(1), PACE));
    memory.identity_read(Some(identity()), at(1));
    memory.request(Some("a"));
    assert!(!memory.identity_is_due(true, at(2), PACE));
}

#[test]
fn d13_a_refused_record_stands_while_others_are_written() {
    let mut memory = Memory::default();
    let fault = Fault { reason: Reason::RecordRejected, message: "m".to_owned(), class: ErrorClass::Terminal };
    let names = |names: &[&str]| names.iter().map(DnsName::new).collect::<Vec<_>>();
    memory.records_refused(&names(&["a", "b"]), names(&["b"]).into_iter().collect());
    memory.wrote(&[Step::Records], &[(Step::Records, fault.clone())], 1, at(0), PACE);
    let standing = memory.standing(1, at(1));
    assert_eq!(standing.records_at(Some(&DnsName::new("b"))), Some(&fault));
    assert_eq!((standing.records_at(Some(&DnsName::new("a"))), standing.records_at(None)), (None, Some(&fault)));

    memory.records_refused(&names(&["a"]), names(&[]).into_iter().collect());
    memory.wrote(&[Step::Records], &[], 1, at(2), PACE);
    assert!(memory.standing(1, at(3)).records.is_some(), "writing a says nothing about b");
    memory.records_refused(&names(&["b"]), names(&[]).into_iter().collect());
    memory.wrote(&[Step::Records], &[], 1, at(4), PACE);
    assert_eq!(memory.standing(1, at(5)).records, None);
}

#[test]
fn d12_what_is_written_again_and_again_is_left_until_the_spec_or_somebody_asks() {
    let mut memory = Memory::default();
    let view = view();
    let broken = view.records.iter().find(|r| r.record_type == "MX").expect("an MX").clone();
    for i in 0..6 {
        memory.zone_read(view.clone(), PLACE, at(i));
        assert!(memory.standing(1, at(i)).duels.is_empty(), "{i}");
        memory.records_written(&[Change::Delete { id: broken.id.clone() }], Vec::new(), at(i));
    }
    assert!(memory.standing(1, at(6)).duels.contains(&broken.name));
    memory.request(Some("now"));
    assert!(memory.standing(1, at(6)).duels.is_empty());
}
