//! What is taken away with a deleted object, and when it may go.

mod support;

use insta::assert_snapshot;
use k8s_openapi::jiff::SignedDuration;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{DeletionPolicy, IdentityOrigin, SendingDomainStatus};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::observe::observation::{Fault, Observation, Observed};
use sending_domain_operator::ownership::Mark;
use sending_domain_operator::plan::Action;
use sending_domain_operator::plan::teardown::{Patience, Release};
use support::{World, cloudflare, external_dns, mark, record, txt};

fn verified() -> World {
    let mut world = World::new(cloudflare());
    world.run_to_the_end();
    world
}

/// Plans the end of `world`, hopeless for `minutes`, seen as `change` leaves it.
fn end(world: &World, minutes: i64, forced: bool, change: impl FnOnce(&mut Observation)) -> String {
    let mut seen = world.observe_end();
    change(&mut seen);
    let hopeless_since = Some(world.now - SignedDuration::from_mins(minutes));
    let patience = Patience { hopeless_since, grace: SignedDuration::from_mins(10), forced };
    let teardown = world.plan_end(&seen, patience);
    let mut lines: Vec<String> = teardown.actions.iter().map(ToString::to_string).collect();
    lines.extend((!teardown.kept.is_empty()).then(|| format!("keep {}", teardown.kept.join(", "))));
    lines.push(match teardown.release {
        Release::Clean => "then let it go".to_owned(),
        Release::Blocked { blockers, .. } => {
            format!("wait: {}", blockers.iter().map(|b| b.reason.as_str()).collect::<Vec<_>>().join(", "))
        }
        Release::Incomplete(left) => format!("let it go, leaving behind {}", left.join("; ")),
    });
    lines.join("\n")
}

fn fault(reason: Reason, class: ErrorClass) -> Fault {
    Fault { reason, message: "m".to_owned(), class }
}

fn no_secret() -> Fault {
    fault(Reason::SecretNotFound, ErrorClass::Terminal)
}

fn throttled() -> Fault {
    fault(Reason::RateLimited, ErrorClass::Transient { retry_after: None })
}

#[test]
fn records_that_status_has_forgotten_are_not_left_without_a_word() {
    let mut world = verified();
    world.status = SendingDomainStatus::default();
    let blind = |seen: &mut Observation| seen.zone = Observed::Unavailable(no_secret());
    assert_eq!(end(&world, 9, false, blind), "wait: SecretNotFound", "the identity tells that there were records");
    let silent = end(&world, 6000, false, |seen| seen.zone = Observed::Unavailable(throttled()));
    assert_eq!(silent, "wait: RateLimited");
    let over = end(&world, 10, false, blind);
    assert!(
        over.starts_with("delete the SES identity\nlet it go, leaving behind records of mail.example.com"),
        "{over}"
    );
}

#[test]
fn a_kept_endpoint_is_never_lost_to_an_outage() {
    for (policy, origin) in
        [(DeletionPolicy::Retain, IdentityOrigin::Created), (DeletionPolicy::Delete, IdentityOrigin::Adopted)]
    {
        let mut world = World::new(external_dns());
        world.endpoint = Observed::Known(None);
        world.settle();
        world.spec.deletion_policy = policy;
        if origin == IdentityOrigin::Adopted {
            world.identity.as_mut().unwrap().tags = mark().tags(origin, None);
        }
        let refused = fault(Reason::ExternalDNSUnavailable, ErrorClass::Transient { retry_after: None });
        let ended = end(&world, 6000, false, |seen| seen.standing.endpoint = Some(refused.clone()));
        assert!(ended.ends_with("wait: Progressing"), "{ended}");
        let unread = end(&world, 6000, false, |seen| seen.endpoint = Observed::Unavailable(refused));
        assert!(unread.ends_with("wait: Progressing"), "{unread}");
    }
}

#[test]
fn what_was_created_is_taken_away() {
    assert_snapshot!(end(&verified(), 0, false, |_| {}), @"
    delete the SES identity
    remove 5 records from the zone example.com
    then let it go
    ");
}

#[test]
fn what_is_not_ours_stays() {
    let mut world = verified();
    world.records.push(record("theirs", "other.mail.example.com", txt("hello"), None));
    for record in &mut world.records {
        record.comment = Some("taken over by hand".to_owned());
    }
    world.identity.as_mut().unwrap().tags = Mark::new("elsewhere", "n", "x").tags(IdentityOrigin::Created, None);
    assert_snapshot!(end(&world, 0, false, |_| {}), @"then let it go");
}

#[test]
fn what_was_retained_for_another_domain_under_the_same_name_stays_and_is_told() {
    let mut world = verified();
    world.records.extend(support::of_another_domain());
    assert_snapshot!(end(&world, 0, false, |_| {}), @"
    delete the SES identity
    remove 5 records from the zone example.com
    let it go, leaving behind records in example.com at Cloudflare that carry the mark sendingdomain.dev/0e8e4a44-1b2f-4d37-9f5e-0a3c7a0a9b11/9c6c8d82d2a4b4cae3d920c4fa42cde5 and have no name that mail.example.com uses: TXT _dmarc.eu.mail.example.com, MX bounce.news.example.com, CNAME ddd._domainkey.news.example.com, CNAME eee._domainkey.example.com, CNAME fff._domainkey.eu.mail.example.com
    ");
    let plan = world
        .plan_end(&world.observe_end(), Patience { hopeless_since: None, grace: SignedDuration::ZERO, forced: true });
    plan.actions.iter().for_each(|action| world.perform(action));
    assert_eq!(world.records, support::of_another_domain());
    world.identity = None;
    world.run_to_the_end();
    assert_eq!(world.records.len(), 5 + support::of_another_domain().len(), "and so while the domain lives");
}

#[test]
fn an_adopted_identity_stays_with_the_records_that_its_mail_needs() {
    let mut world = verified();
    world.records.push(record("old", "old.mail.example.com", txt("v=spf1 -all"), Some(mark().comment())));
    world.identity.as_mut().unwrap().tags = mark().tags(IdentityOrigin::Adopted, None);
    let keeps = "keep CNAME aaa._domainkey.mail.example.com, CNAME bbb._domainkey.mail.example.com, MX \
                 bounce.mail.example.com, TXT bounce.mail.example.com, CNAME ccc._domainkey.mail.example.com";
    let rest = format!("remove 1 record from the zone example.com\n{keeps}\nthen let it go");
    let untagged =
        "take away the tags sendingdomain.dev/object, sendingdomain.dev/origin, sendingdomain.dev/owner\n".to_owned();
    assert_eq!(end(&world, 0, false, |_| {}), untagged + &rest);
    world.identity.as_mut().unwrap().tags.clear();
    assert_eq!(end(&world, 0, false, |_| {}), rest, "nor does it suffer once our tags are off");
    world.status.identity.as_mut().unwrap().origin = Some(IdentityOrigin::Adopted);
    let blind = |seen: &mut Observation| seen.identity = Observed::Unavailable(throttled());
    assert!(end(&world, 0, false, blind).contains(keeps), "nor while SES cannot be asked");
}

#[test]
fn a_hand_over_that_an_adopted_identity_needs_stays() {
    let mut world = World::new(support::external_dns());
    world.endpoint = Observed::Known(None);
    world.settle();
    world.identity.as_mut().unwrap().tags = mark().tags(IdentityOrigin::Adopted, None);
    let told = end(&world, 0, false, |_| {});
    let kept = world
        .plan_end(&world.observe_end(), Patience { hopeless_since: None, grace: SignedDuration::ZERO, forced: false });
    assert!(matches!(kept.actions.first(), Some(Action::KeepEndpoint(_))), "{told}");
}

#[test]
fn retain_keeps_everything() {
    let mut world = verified();
    world.spec.deletion_policy = DeletionPolicy::Retain;
    assert_snapshot!(end(&world, 0, false, |_| {}), @"then let it go");
}

#[test]
fn missing_credentials_are_waited_for_and_then_given_up() {
    let blind = |seen: &mut Observation| seen.zone = Observed::Unavailable(no_secret());
    assert_snapshot!(end(&verified(), 9, false, blind), @"
    delete the SES identity
    wait: SecretNotFound
    ");
    let blind = |seen: &mut Observation| seen.zone = Observed::Unavailable(no_secret());
    let given_up = end(&verified(), 10, false, blind);
    assert!(
        given_up.starts_with(
            "delete the SES identity\nlet it go, leaving behind records of mail.example.com in example.com"
        )
    );
    assert!(given_up.contains("MX bounce.mail.example.com"));
}

#[test]
fn throttling_and_outages_are_waited_for_for_ever_unless_the_user_gives_up() {
    let blind = |seen: &mut Observation| seen.identity = Observed::Unavailable(throttled());
    assert_snapshot!(end(&verified(), 6000, false, blind), @"
    remove 5 records from the zone example.com
    wait: RateLimited
    ");
    let blind = |seen: &mut Observation| seen.identity = Observed::Unavailable(throttled());
    assert_snapshot!(end(&verified(), 0, true, blind), @"
    remove 5 records from the zone example.com
    let it go, leaving behind the SES identity mail.example.com in us-east-1
    ");
}

#[test]
fn a_domain_that_never_had_a_zone_does_not_wait_for_one() {
    let mut world = World::new(cloudflare());
    world.identity = Some(support::identity());
    let blind = |seen: &mut Observation| seen.zone = Observed::Unavailable(no_secret());
    assert_snapshot!(end(&world, 0, false, blind), @"
    delete the SES identity
    then let it go
    ");
}
