//! A holder that never verified its domain and has failed leaves it to an object that waits.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use insta::assert_snapshot;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{DeletionPolicy, IdentityOrigin, SendingDomainStatus, VerificationStatus};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Awaited, Claim, Fault, Observation, Observed};
use sending_domain_operator::plan::Plan;
use sending_domain_operator::plan::identity::TAG_ADOPTABLE_BY;
use sending_domain_operator::ses::identity::{Identity, SesStatus};
use support::{Asked, World, cloudflare, mark, record, txt};

/// What the cluster tells the holder while another object, which would not adopt, waits.
fn awaited() -> Claim {
    Claim { rivals: true, awaited: Some(Awaited { adopter: None }), ..Claim::default() }
}

/// A domain whose records are in its zone, which nobody asks, and that SES has given up, with somebody who waits for it.
fn failed() -> World {
    let mut world = World::new(cloudflare());
    world.settle();
    world.asked = Asked::Elsewhere;
    world.after(72);
    world.identity.as_mut().unwrap().verification = Some(SesStatus::Failed);
    world.claim = awaited();
    world
}

/// The plan of a pass that finds that it has to give way.
fn plan(world: &World, seen: &Observation) -> Plan {
    let plan = world.plan_for(seen);
    if plan.gives_way { world.plan_giving_way(seen) } else { plan }
}

fn told(plan: &Plan) -> String {
    let actions = plan.actions.iter().map(ToString::to_string);
    let blockers = plan.blockers.iter().map(|b| format!("{}: {}", b.reason, b.message));
    actions.chain(blockers).collect::<Vec<_>>().join("\n")
}

#[test]
fn a4_the_records_go_first_and_the_identity_last() {
    let mut world = failed();
    world.records.push(record("theirs", "other.mail.example.com", txt("hello"), None));
    let first = plan(&world, &world.observe_end());
    assert_snapshot!(told(&first));
    first.actions.iter().for_each(|action| world.perform(action));
    assert_eq!(world.records.len(), 1, "what is not ours stays");
    let last = plan(&world, &world.observe_end());
    assert_snapshot!(told(&last));
}

#[test]
fn a4_what_a_deletion_would_retain_goes_too() {
    let mut world = failed();
    world.spec.deletion_policy = DeletionPolicy::Retain;
    let plan = plan(&world, &world.observe_end());
    assert!(told(&plan).starts_with("remove 5 records"), "{}", told(&plan));
}

fn identity(world: &mut World) -> &mut Identity {
    world.identity.as_mut().unwrap()
}

fn attempt(world: &mut World) -> &mut VerificationStatus {
    world.status.verification.as_mut().unwrap()
}

#[test]
fn a4_nobody_loses_a_domain_that_ses_has_verified_or_that_may_still_be() {
    let keeps = |change: &dyn Fn(&mut World)| {
        let mut world = failed();
        change(&mut world);
        let plan = world.plan_for(&world.observe());
        assert!(!plan.gives_way, "{}", told(&plan));
    };
    keeps(&|w| identity(w).verification = Some(SesStatus::Success));
    keeps(&|w| identity(w).verification = Some(SesStatus::TemporaryFailure));
    keeps(&|w| identity(w).dkim.status = SesStatus::Success);
    keeps(&|w| identity(w).verified_for_sending = true);
    keeps(&|w| identity(w).succeeded_once = true);
    keeps(&|w| w.claim.awaited = None);
    keeps(&|w| w.status.verification = None);
    keeps(&|w| {
        w.after(-1);
        identity(w).verification = Some(SesStatus::Pending);
    });
    keeps(&|w| {
        let now = w.now;
        attempt(w).verified_at = Some(Time(now));
    });
    keeps(&|w| {
        let now = w.now;
        attempt(w).first_verified_at = Some(Time(now));
    });
    // Its records are there, and SES is asked once more.
    keeps(&|w| w.asked = Asked::Zone);
    // The time of the object is over, but not that of SES, which may find what nobody could look up just now.
    keeps(&|w| {
        w.after(-1);
        identity(w).verification = Some(SesStatus::Pending);
        let now = w.now;
        attempt(w).deadline = Time(now);
        w.deaf = true;
    });
    // The MAIL FROM domain is another matter than whose the domain is.
    keeps(&|w| {
        w.after(-1);
        identity(w).verification = Some(SesStatus::Pending);
        identity(w).mail_from.as_mut().unwrap().status = SesStatus::Failed;
    });
    // An adopted identity stays, which is of no use to who would not adopt it.
    keeps(&|w| identity(w).tags = mark().tags(IdentityOrigin::Adopted, None));
}

/// Brings a domain to where SES has given it up with somebody waiting, after `before`.
fn given_up_after(before: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(cloudflare());
    world.settle();
    before(&mut world);
    world.claim = awaited();
    world.asked = Asked::Elsewhere;
    world.after(100);
    identity(&mut world).verified_for_sending = false;
    identity(&mut world).verification = Some(SesStatus::Failed);
    identity(&mut world).dkim.status = SesStatus::Failed;
    world
}

#[test]
fn a4_a_domain_that_was_verified_once_is_left_to_nobody_whatever_comes_between() {
    let verified = |world: &mut World| world.run_to_the_end();
    let sends_without_mail_from = |world: &mut World| {
        world.run_to_the_end();
        world.status.verification.as_mut().unwrap().verified_at = None;
    };
    for before in [&verified as &dyn Fn(&mut World), &sends_without_mail_from] {
        let mut world = given_up_after(before);
        world.pass();
        assert!(!world.plan_for(&world.observe()).gives_way, "at once");
        // SES is asked again, in vain; and once more with new tokens.
        world.reconcile_requested = true;
        world.pass();
        assert!(attempt(&mut world).rearms > 0 && attempt(&mut world).verified_at.is_none());
        world.reconcile_requested = false;
        world.after(100);
        identity(&mut world).verification = Some(SesStatus::Failed);
        assert!(!world.plan_for(&world.observe()).gives_way, "after it was taken up again");
        identity(&mut world).dkim.tokens[0] = "new".to_owned();
        world.pass();
        world.after(100);
        assert!(!world.plan_for(&world.observe()).gives_way, "after new tokens");
    }
}

#[test]
fn a4_whose_dkim_was_never_asked_for_again_is_asked_first_whatever_else_was() {
    let mut world = failed();
    world.asked = Asked::Zone;
    world.status.verification.as_mut().unwrap().mail_from_rearmed_at = Some(Time(world.now));
    world.status.verification.as_mut().unwrap().rearms = 1;
    assert!(!world.plan_for(&world.observe()).gives_way, "DNS is right, and SES is to look once more");
    world.status.verification.as_mut().unwrap().dkim_rearmed_at = Some(Time(world.now));
    assert!(world.plan_for(&world.observe()).gives_way);
}

#[test]
fn a4_a_new_beginning_gains_no_time() {
    let mut world = given_up_after(|_| {});
    identity(&mut world).verification = Some(SesStatus::Pending);
    identity(&mut world).dkim.status = SesStatus::Pending;
    identity(&mut world).dkim.tokens[0] = "new".to_owned();
    let claim = std::mem::take(&mut world.claim);
    world.pass();
    assert!(world.status.verification.as_ref().unwrap().deadline.0 > world.now);
    world.claim = claim;
    assert!(world.plan_for(&world.observe()).gives_way);
}

#[test]
fn a4_what_ses_had_given_up_before_status_knew_of_it_is_given_time() {
    let mut world = failed();
    world.status = SendingDomainStatus::default();
    world.pass();
    assert!(attempt(&mut world).first_started_at.is_none());
    assert!(!world.plan_for(&world.observe()).gives_way, "it may have been verified");
    world.after(72);
    assert!(world.plan_for(&world.observe()).gives_way);
}

#[test]
fn a4_an_identity_that_is_gone_without_a_word_is_none_that_was_given_up() {
    let mut world = failed();
    let began = attempt(&mut world).first_started_at.clone();
    world.claim = Claim { rivals: true, ..Claim::default() };
    world.identity = None;
    world.pass();
    assert!(!is_marked(&world.status));
    world.pass();
    assert_eq!(attempt(&mut world).first_started_at, began, "and no time is gained by it");
}

#[test]
fn a4_an_adopted_identity_only_loses_our_tags() {
    let mut world = failed();
    let adopter = "owner/next";
    world.claim.awaited = Some(Awaited { adopter: Some(adopter.to_owned()) });
    identity(&mut world).tags = mark().tags(IdentityOrigin::Adopted, None);
    assert!(!plan(&world, &world.observe_end()).gives_way, "the next one may not adopt it");
    identity(&mut world).tags.insert(TAG_ADOPTABLE_BY.to_owned(), adopter.to_owned());
    let plan = plan(&world, &world.observe_end());
    assert!(told(&plan).starts_with("take away the tags"), "{}", told(&plan));
}

#[test]
fn a4_what_only_a_person_can_mend_holds_nobody_up_and_an_outage_does() {
    let told = |reason: Reason, class: ErrorClass| {
        let world = failed();
        let mut seen = world.observe_end();
        seen.zone = Observed::Unavailable(Fault { reason, message: "m".to_owned(), class });
        told(&plan(&world, &seen))
    };
    assert_snapshot!(told(Reason::InvalidAPIToken, ErrorClass::Terminal));
    assert_snapshot!(told(Reason::CloudflareUnavailable, ErrorClass::Transient { retry_after: None }));
}

/// Deletes the identity as [`a4_the_records_go_first_and_the_identity_last`] does, and reports it.
fn gone() -> World {
    let mut world = failed();
    for _ in 0..2 {
        let seen = world.observe_end();
        let plan = plan(&world, &seen);
        plan.actions.iter().for_each(|action| world.perform(action));
        let outcome = Outcome { done: plan.actions.clone(), ..Outcome::default() };
        world.report(&seen, &plan, &outcome);
    }
    assert!(world.identity.is_none());
    world
}

fn is_marked(status: &SendingDomainStatus) -> bool {
    status.verification.as_ref().is_some_and(|v| v.yielded_at.is_some())
}

#[test]
fn a4_the_one_that_gave_way_remembers_it_as_long_as_anybody_wants_the_domain() {
    let mut world = gone();
    assert!(is_marked(&world.status));
    world.claim = Claim { rivals: true, gave_way: true, domain_held_elsewhere: true, ..Claim::default() };
    for _ in 0..3 {
        let plan = world.pass();
        assert!(plan.actions.is_empty());
        assert!(is_marked(&world.status) && world.status.records.is_empty() && !world.status.has_identity());
    }
    assert_snapshot!(world.summary());

    world.claim = Claim::default();
    world.pass();
    assert!(world.status.verification.is_none(), "all others are gone");
    world.asked = Asked::Zone;
    world.run_to_the_end();
    assert!(world.condition("Ready").starts_with("True"), "{}", world.condition("Ready"));
}

#[test]
fn a4_a_new_attempt_begins_with_a_new_clock_and_is_not_left_at_once() {
    let mut world = gone();
    // Next in line again, with somebody new who waits.
    world.claim = awaited();
    world.pass();
    assert!(world.identity.is_some());
    let plan = world.plan_for(&world.observe());
    assert!(!plan.gives_way);
    world.pass();
    let attempt = world.status.verification.as_ref().unwrap();
    assert!(attempt.yielded_at.is_none() && attempt.deadline.0 > world.now);
}
