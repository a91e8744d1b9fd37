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
use sending_domain_operator::plan::{Action, Step};
use sending_domain_operator::ses::client::NewIdentity;
use sending_domain_operator::ses::identity::{Identity, MailFrom, SesStatus};
use sending_domain_operator::ses::inventory::{Listed, Sighting};
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
fn d5_what_was_written_is_known_without_a_read() {
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
        unflatten: false,
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

const ROTATION: Duration = Duration::from_hours(7);

fn listed(memory: &mut Memory, verification: Option<SesStatus>, seconds: i64) {
    let entry = verification.map(|verification| {
        let sending_enabled = verification == SesStatus::Success;
        Listed { verification, sending_enabled }
    });
    memory.sighted(Some(Sighting { at: at(seconds), entry }), ROTATION);
}

fn verified(mail_from: SesStatus) -> Identity {
    let mut identity = identity();
    identity.verification = Some(SesStatus::Success);
    identity.dkim.status = SesStatus::Success;
    identity.verified_for_sending = true;
    let domain = "bounce.mail.example.com".to_owned();
    identity.mail_from = Some(MailFrom { domain, status: mail_from, on_mx_failure: OnMxFailure::UseDefaultValue });
    identity
}

/// An identity made at 0 whose MAIL FROM domain was set at 100, and whose records are found.
fn made() -> Memory {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    memory.looked_up(true, false, at(10));
    memory.mail_from_set("bounce.mail.example.com", OnMxFailure::UseDefaultValue);
    memory.wrote(&[Step::MailFrom], &[], 1, at(100), PACE);
    memory
}

#[test]
fn what_is_not_listed_needs_no_read_before_it_is_made_and_what_is_listed_does() {
    let mut memory = Memory::default();
    listed(&mut memory, None, 0);
    assert_eq!(memory.identity(), Some(&None));
    assert!(!memory.identity_is_due(false, at(1), PACE));
    let new = NewIdentity { tags: [].into(), configuration_set: None, key_length: None };
    assert!(memory.identity_is_fresh_for(&Action::CreateIdentity(new.clone()), at(1)));
    assert!(!memory.identity_is_fresh_for(&Action::DeleteIdentity, at(1)));
    listed(&mut memory, Some(SesStatus::Pending), 2);
    assert!(memory.identity_is_due(false, at(3), PACE), "somebody has made it");
    assert!(!memory.identity_is_fresh_for(&Action::CreateIdentity(new), at(3)));
    let mut memory = Memory::default();
    listed(&mut memory, Some(SesStatus::Success), 0);
    assert!(memory.identity().is_none() && memory.identity_is_due(false, at(1), PACE));
}

#[test]
fn while_the_listing_says_nothing_new_nothing_is_read() {
    let mut memory = made();
    listed(&mut memory, Some(SesStatus::Pending), 130);
    assert_eq!(reads(&mut memory, false, 130, 3600), [0; 0]);
    listed(&mut memory, Some(SesStatus::TemporaryFailure), 3800);
    assert!(memory.identity_is_due(false, at(3800), PACE));
}

#[test]
fn a_verification_is_read_once_and_when_mail_from_had_its_time() {
    let mut memory = made();
    listed(&mut memory, Some(SesStatus::Success), 120);
    assert!(!memory.identity_is_due(false, at(159), PACE), "SES has not looked for the MX");
    assert_eq!(memory.identity_due_in(false, at(130), PACE), Some(Duration::from_secs(30)));
    assert!(memory.identity_is_due(false, at(160), PACE));
    memory.identity_read(Some(verified(SesStatus::Success)), at(160));
    listed(&mut memory, Some(SesStatus::Success), 200);
    assert_eq!(reads(&mut memory, true, 200, 4 * 3600), [0; 0]);
}

#[test]
fn without_a_record_for_mail_from_its_verdict_is_not_waited_for() {
    let mut memory = made();
    memory.looked_up(false, true, at(110));
    memory.identity_read(Some(identity()), at(110));
    listed(&mut memory, Some(SesStatus::Success), 120);
    assert!(memory.identity_is_due(false, at(121), PACE));
}

#[test]
fn what_the_listing_does_not_tell_is_read_at_growing_intervals() {
    let mut memory = made();
    listed(&mut memory, Some(SesStatus::Success), 120);
    let mut times = Vec::new();
    for t in (160..3000).step_by(10) {
        if memory.identity_is_due(false, at(t), PACE) {
            memory.identity_read(Some(verified(SesStatus::Pending)), at(t));
            times.push(t);
        }
    }
    assert_eq!(times, [160, 280, 760, 1360, 1960, 2560]);
}

#[test]
fn a_settled_identity_is_read_when_the_listing_changes_and_in_rotation() {
    let settled = || {
        let mut memory = made();
        memory.identity_read(Some(verified(SesStatus::Success)), at(200));
        memory
    };
    let mut memory = settled();
    listed(&mut memory, Some(SesStatus::Success), 300);
    assert!(!memory.identity_is_due(true, at(200 + 3600), PACE));
    assert!(memory.identity_is_due(true, at(200 + 7 * 3600), PACE));
    listed(&mut memory, Some(SesStatus::TemporaryFailure), 400);
    assert!(memory.identity_is_due(true, at(401), PACE));
    // A listing that goes on saying something else than the identity itself is no news.
    memory.identity_read(Some(verified(SesStatus::Success)), at(402));
    listed(&mut memory, Some(SesStatus::TemporaryFailure), 500);
    assert!(!memory.identity_is_due(true, at(501), PACE));
    let mut memory = settled();
    listed(&mut memory, None, 300);
    assert!(memory.identity_is_due(true, at(301), PACE), "one read confirms that it is gone");
}

#[test]
fn an_identity_that_the_listing_lacks_is_read_by_itself() {
    let mut memory = made();
    listed(&mut memory, None, 2000);
    assert!(memory.identity_is_due(false, at(2001), PACE), "is it gone?");
    memory.identity_read(Some(identity()), at(2001));
    let times = reads(&mut memory, false, 2010, 3600);
    assert!((3..=10).contains(&times.len()), "{times:?}");
}

#[test]
fn what_fails_again_after_it_was_taken_up_is_read_again() {
    let with = |status: SesStatus| Identity { verification: Some(status), ..identity() };
    let mut memory = Memory::default();
    listed(&mut memory, Some(SesStatus::Failed), 0);
    memory.identity_read(Some(with(SesStatus::Failed)), at(1));
    // Asked to look again.
    memory.identity_read(Some(with(SesStatus::Pending)), at(2));
    listed(&mut memory, Some(SesStatus::Pending), 60);
    assert!(!memory.identity_is_due(false, at(61), PACE), "that is known");
    listed(&mut memory, Some(SesStatus::Failed), 120);
    assert!(memory.identity_is_due(false, at(121), PACE), "and that is news, though it was once told before");
}

#[test]
fn what_was_just_made_may_be_listed_late_and_its_mail_from_domain_set_without_a_read() {
    let mut memory = Memory::default();
    memory.identity_created(identity(), at(0));
    let mail_from = Action::SetMailFrom { domain: "b.example".to_owned(), on_mx_failure: OnMxFailure::UseDefaultValue };
    memory.begin_pass();
    assert!(memory.identity_is_fresh_for(&mail_from, at(900)), "the line may be long");
    assert!(!memory.identity_is_fresh_for(&Action::RestartDkim, at(900)));
    assert!(!memory.identity_is_fresh_for(&mail_from, at(1300)));
    listed(&mut memory, None, 60);
    assert!(!memory.identity_is_due(false, at(60), PACE) && memory.identity_is_due(false, at(121), PACE));
    assert!(memory.identity_is_fresh_for(&mail_from, at(61)));
    listed(&mut memory, None, 121);
    assert!(!memory.identity_is_fresh_for(&mail_from, at(122)), "it may be gone");
}

#[test]
fn a_listing_is_wanted_the_less_often_the_longer_ses_takes() {
    let mut memory = made();
    let wanted = |memory: &Memory, t| memory.listing_wanted(false, at(t), PACE).as_secs();
    assert_eq!([wanted(&memory, 20), wanted(&memory, 490), wanted(&memory, 86_400)], [30, 60, 540]);
    assert_eq!(memory.listing_wanted(true, at(20), PACE).as_secs(), 540);
    memory.looked_up(false, true, at(30));
    assert_eq!(wanted(&memory, 40), 540);
}
