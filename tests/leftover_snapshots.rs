//! What becomes of the records when the user changes their mind about where they are.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![allow(clippy::format_push_string, reason = "a story grows line by line")]

mod support;

use insta::assert_snapshot;
use k8s_openapi::jiff::SignedDuration;
use sending_domain_operator::api::v1alpha1::{DeletionPolicy, DmarcSpec, PreviousPlace, SendingDomainSpec};
use sending_domain_operator::dns::lookup::{Answer, LookupError, LookupErrorKind};
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::Observed;
use sending_domain_operator::plan::Action;
use sending_domain_operator::plan::teardown::{Patience, Release};
use sending_domain_operator::status::events;
use support::{Asked, OTHER_SECRET, World, cloudflare, external_dns, manual, other_account, record};

/// The zone of the domain.
const ZONE: &str = "example.com";

/// A verified domain with its records at the place that the world asks.
fn verified(spec: SendingDomainSpec, asked: Asked) -> World {
    let mut world = World { asked, endpoint: Observed::Known(None), ..World::new(spec) };
    world.run_to_the_end();
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
    world
}

/// What the passes write until nothing is left to do, and the places that status remembers then.
fn story(world: &mut World) -> String {
    let plans = [world.settle(), world.settle(), world.settle()].concat();
    let mut lines: Vec<String> = plans.iter().filter(|p| !p.actions.is_empty()).map(ToString::to_string).collect();
    let previous = world.status.dns.iter().flat_map(|dns| dns.previous.iter());
    lines.extend(previous.map(|place| {
        let zone = place.zone_name.as_deref().unwrap_or("-");
        let (reason, message) = (place.reason.as_deref(), place.message.as_deref());
        format!("remembered: {:?} {zone}: {}: {}\n", place.provider, reason.unwrap_or("-"), message.unwrap_or("-"))
    }));
    lines.concat()
}

#[test]
fn another_zone_is_written_first_and_the_old_one_cleaned_when_nobody_asks_it_any_more() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    let written = story(&mut world);
    world.asked = Asked::Other;
    assert_snapshot!(format!("{written}--- the world asks the new zone ---\n{}", story(&mut world)), @"
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remembered: Cloudflare example.com: WaitingForDNS: The world still asks the zone example.com; its records go once the name servers of the domain are those of the new place
    --- the world asks the new zone ---
    remove 5 records from the zone example.com, which the spec has left
    ");
}

#[test]
fn a_zone_that_is_wanted_again_is_kept() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    story(&mut world);
    world.spec = cloudflare();
    assert_snapshot!(story(&mut world), @"remove 5 records from the zone example.com, which the spec has left");
}

#[test]
fn another_secret_for_the_same_zone_changes_nothing() {
    let mut world = verified(cloudflare(), Asked::Zone);
    let place = world.spec.dns.as_mut().unwrap().cloudflare.as_mut().unwrap();
    "rotated".clone_into(&mut place.api_token_secret_ref.name);
    assert_snapshot!(story(&mut world), @"");
    assert_eq!(world.status.dns.unwrap().secret_name.as_deref(), Some("rotated"));
}

#[test]
fn without_the_old_secret_the_records_are_left_behind_and_told_once() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.settle();
    world.asked = Asked::Other;
    world.lost_secrets = vec!["cloudflare".to_owned()];
    let mut told = Vec::new();
    for _ in 0..3 {
        let old = world.status.clone();
        world.pass();
        let notes = events::between(&old, &world.status, &Outcome::default());
        told.extend(notes.into_iter().map(|note| format!("{}: {}", note.reason, note.message)));
    }
    assert_snapshot!(told.join("\n"), @"RecordsLeftBehind: Records in example.com at Cloudflare (CNAME aaa._domainkey.mail.example.com, CNAME bbb._domainkey.mail.example.com, CNAME ccc._domainkey.mail.example.com, TXT bounce.mail.example.com, MX bounce.mail.example.com) may be left behind. There is no Secret cloudflare");
    world.lost_secrets.clear();
    assert_snapshot!(story(&mut world), @"remove 5 records from the zone example.com, which the spec has left");
}

#[test]
fn what_was_told_to_be_left_behind_stays_told_while_dns_fails_and_records_are_repaired() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.settle();
    world.asked = Asked::Other;
    world.lost_secrets = vec!["cloudflare".to_owned()];
    world.settle();
    let told = world.status.dns.clone().unwrap().previous;
    assert_eq!(told[0].reason.as_deref(), Some("RecordsLeftBehind"));
    let mut seen = world.observe();
    let unknown = || Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut));
    seen.lookups.values_mut().for_each(|lookup| lookup.answer = unknown());
    let plan = world.plan_for(&seen);
    world.report(&seen, &plan, &Outcome::default());
    assert_eq!(world.status.dns.as_ref().unwrap().previous, told);
    world.other.pop();
    assert!(!world.pass().actions.is_empty(), "what is missing is written again");
    assert_eq!(world.status.dns.as_ref().unwrap().previous, told);
    world.settle();
    assert_eq!(world.status.dns.unwrap().previous, told);
}

#[test]
fn at_a_place_that_was_left_records_for_another_domain_stay_and_are_told() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.records.extend(support::of_another_domain());
    world.spec = other_account();
    world.asked = Asked::Other;
    assert_snapshot!(story(&mut world), @"
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remove 5 records from the zone example.com, which the spec has left
    remembered: Cloudflare example.com: RecordsLeftBehind: Left alone are records in example.com at Cloudflare that carry the mark sendingdomain.dev/0e8e4a44-1b2f-4d37-9f5e-0a3c7a0a9b11/9c6c8d82d2a4b4cae3d920c4fa42cde5 and have no name that mail.example.com uses: TXT _dmarc.eu.mail.example.com, MX bounce.news.example.com, CNAME ddd._domainkey.news.example.com, CNAME eee._domainkey.example.com, CNAME fff._domainkey.eu.mail.example.com. They may be in use for another domain; remove them if they are not
    ");
    assert_eq!(world.records, support::of_another_domain());
}

#[test]
fn an_endpoint_that_was_kept_for_another_domain_is_left_alone() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    let Observed::Known(Some(found)) = &mut world.endpoint else { panic!() };
    found.owners.clear();
    for endpoint in &mut found.content.endpoints {
        endpoint.dns_name = endpoint.dns_name.replace("mail.example.com", "news.example.com");
    }
    let kept = world.endpoint.clone();
    assert!(world.settle().iter().all(|plan| plan.actions.is_empty()));
    assert_snapshot!(world.condition("RecordsSynced"), @"False RecordConflict: There is a DNSEndpoint of this name for another domain (aaa._domainkey.news.example.com, bbb._domainkey.news.example.com, bounce.news.example.com), which a SendingDomain of this name has kept, and it is left alone; delete it if that domain needs it no more, or name the SendingDomain differently");
    let patience = Patience { hopeless_since: None, grace: SignedDuration::from_mins(10), forced: false };
    let end = world.plan_end(&world.observe_end(), patience);
    assert_eq!(end.actions, [Action::DeleteIdentity]);
    assert_snapshot!(format!("{:?}", end.release), @r#"Incomplete(["the DNSEndpoint of the same name, which is for another domain (aaa._domainkey.news.example.com, bbb._domainkey.news.example.com, bounce.news.example.com)"])"#);
    world.spec = cloudflare();
    story(&mut world);
    world.asked = Asked::Zone;
    story(&mut world);
    assert_eq!(world.endpoint, kept);
}

#[test]
fn what_is_left_behind_is_told_by_the_names_that_it_had() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.spec.mail_from.subdomain = "returns".to_owned();
    world.lost_secrets = vec!["cloudflare".to_owned()];
    world.settle();
    world.asked = Asked::Other;
    world.run_to_the_end();
    let place = world.status.dns.clone().unwrap().previous.remove(0);
    let message = place.message.unwrap();
    assert!(message.contains("MX bounce.mail.example.com") && !message.contains("returns"), "{message}");
    let patience = Patience { hopeless_since: None, grace: SignedDuration::from_mins(10), forced: false };
    let Release::Incomplete(left) = world.plan_end(&world.observe_end(), patience).release else { panic!() };
    assert!(left[0].contains("MX bounce.mail.example.com") && !left[0].contains("returns"), "{left:?}");
}

#[test]
fn the_place_that_is_remembered_no_more_is_told() {
    let mut world = verified(cloudflare(), Asked::Zone);
    let dns = world.status.dns.as_mut().unwrap();
    let place = dns.zone_place().unwrap();
    dns.previous = (1..=8)
        .map(|i| PreviousPlace {
            zone_id: Some(format!("{i:032x}")),
            zone_name: Some(ZONE.to_owned()),
            ..place.clone()
        })
        .collect();
    dns.previous[0].records = vec!["MX old.mail.example.com".to_owned()];
    let old = world.status.clone();
    world.spec = other_account();
    world.pass();
    assert_eq!(world.status.dns.as_ref().unwrap().previous.len(), 8);
    let told = events::between(&old, &world.status, &Outcome::default());
    let told: Vec<_> = told.into_iter().filter(|note| note.reason == "RecordsLeftBehind").map(|n| n.message).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("MX old.mail.example.com") && told[0].contains(ZONE), "{told:?}");
    let old = world.status.clone();
    world.pass();
    assert_eq!(events::between(&old, &world.status, &Outcome::default()), [], "and that once");
}

#[test]
fn an_endpoint_that_was_told_stays_told_while_nobody_asks_whom_the_world_asks() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec = cloudflare();
    let mut theirs: Vec<_> = World { asked: Asked::Elsewhere, ..world.clone() }.answered();
    theirs.iter_mut().enumerate().for_each(|(i, r)| r.id = format!("theirs-{i}"));
    world.records = theirs;
    world.asked = Asked::Zone;
    story(&mut world);
    let told = world.status.dns.clone().unwrap().previous;
    assert_eq!(told[0].reason.as_deref(), Some("RecordsLeftBehind"));
    let mut seen = world.observe();
    seen.served.clear();
    assert_eq!(world.plan_for(&seen).left, Some(told));
}

#[test]
fn from_cloudflare_to_external_dns_and_back() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = external_dns();
    let mut told = story(&mut world);
    world.asked = Asked::Elsewhere;
    told += &format!("--- the world asks the zone of ExternalDNS ---\n{}", story(&mut world));
    world.spec = cloudflare();
    told += &format!("--- Cloudflare is wanted again ---\n{}", story(&mut world));
    world.asked = Asked::Zone;
    told += &format!("--- and asked ---\n{}", story(&mut world));
    assert_snapshot!(told, @"
    hand 5 records to ExternalDNS
    remembered: Cloudflare example.com: WaitingForDNS: The world still asks the zone example.com; its records go once the name servers of the domain are those of the new place
    --- the world asks the zone of ExternalDNS ---
    remove 5 records from the zone example.com, which the spec has left
    --- Cloudflare is wanted again ---
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remembered: ExternalDns -: WaitingForDNS: The DNSEndpoint goes once the world asks the Cloudflare zone example.com, which has the records now
    --- and asked ---
    delete the DNSEndpoint
    ");
}

#[test]
fn the_records_that_external_dns_wrote_to_the_same_zone_are_not_pulled_from_under_us() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec = cloudflare();
    // ExternalDNS has written them to the zone that we shall write now.
    let found = world.endpoint.known().unwrap().clone().unwrap();
    let mut theirs: Vec<_> = World { asked: Asked::Elsewhere, ..world.clone() }.answered();
    theirs.iter_mut().enumerate().for_each(|(i, r)| r.id = format!("theirs-{i}"));
    world.records = theirs;
    world.asked = Asked::Zone;
    assert_snapshot!(story(&mut world), @"remembered: ExternalDns -: RecordsLeftBehind: The DNSEndpoint of this name is left, with CNAME aaa._domainkey.mail.example.com, CNAME bbb._domainkey.mail.example.com, CNAME ccc._domainkey.mail.example.com, TXT bounce.mail.example.com, MX bounce.mail.example.com: the zone example.com has such records that the operator did not write, which may be those of ExternalDNS and would go with it. Delete it when they are not");
    assert_eq!(world.endpoint, Observed::Known(Some(found)));
}

#[test]
fn to_manual_everything_stays_and_is_found_again_by_what_comes_next() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = manual();
    let mut told = story(&mut world);
    world.spec = other_account();
    world.asked = Asked::Other;
    told += &format!("--- then to another zone ---\n{}", story(&mut world));
    assert_snapshot!(told, @"
    --- then to another zone ---
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remove 5 records from the zone example.com, which the spec has left
    ");
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec = manual();
    assert_snapshot!(story(&mut world), @"remembered: ExternalDns -: -: -");
}

#[test]
fn two_changes_in_a_row_are_cleaned_at_both_places() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec = cloudflare();
    story(&mut world);
    world.spec = other_account();
    let waiting = story(&mut world);
    world.asked = Asked::Other;
    assert_snapshot!(format!("{waiting}--- the world asks the last one ---\n{}", story(&mut world)), @"
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remove 5 records from the zone example.com, which the spec has left
    remembered: ExternalDns -: WaitingForDNS: The DNSEndpoint goes once the world asks the Cloudflare zone example.com, which has the records now
    --- the world asks the last one ---
    delete the DNSEndpoint
    ");
}

#[test]
fn a_conflict_at_the_new_place_keeps_the_old_one() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.other.push(record("theirs", "bounce.mail.example.com", support::mx(5, "mx.example.net"), None));
    world.spec = other_account();
    let told = story(&mut world);
    assert!(told.contains("remembered: Cloudflare example.com: WaitingForDNS"), "{told}");
    assert_eq!(world.records.len(), 5);
}

#[test]
fn a_suspended_change_goes_on_when_it_is_resumed() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.interrupted_pass(0);
    world.spec.suspend = true;
    let mut told = story(&mut world);
    world.asked = Asked::Other;
    world.spec.suspend = false;
    told += &format!("--- resumed ---\n{}", story(&mut world));
    assert_snapshot!(told, @"
    remembered: Cloudflare example.com: -: -
    --- resumed ---
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    remove 5 records from the zone example.com, which the spec has left
    ");
}

#[test]
fn external_dns_is_told_of_new_records_before_it_is_told_to_forget_the_old() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.recreate_at = Some("2026-11-23".to_owned());
    let mut told = story(&mut world);
    let during = world.endpoint.known().unwrap().clone().unwrap().content.endpoints.len();
    world.run_to_the_end();
    let after = world.endpoint.known().unwrap().clone().unwrap().content.endpoints.len();
    told += &format!("{during} records, then {after}\n");
    world.spec.mail_from.subdomain = "returns".to_owned();
    world.pass();
    told += &format!("{}\n", world.endpoint.known().unwrap().clone().unwrap().content.endpoints.len());
    assert!(world.serves_what_ses_uses());
    world.run_to_the_end();
    told += &format!("{}\n", world.endpoint.known().unwrap().clone().unwrap().content.endpoints.len());
    assert_snapshot!(told, @"
    delete the SES identity
    create the SES identity
    set the MAIL FROM domain to bounce.mail.example.com
    hand 8 records to ExternalDNS
    8 records, then 5
    7
    5
    ");
}

#[test]
fn what_is_written_into_the_endpoint_by_hand_is_repaired() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    let Observed::Known(Some(found)) = &mut world.endpoint else { panic!() };
    found.content.endpoints[0].targets = vec!["elsewhere.example.net".to_owned()];
    let mut added = found.content.endpoints[4].clone();
    added.dns_name = "www.mail.example.com".to_owned();
    added.targets = vec!["10 mx.example.net".to_owned()];
    found.content.endpoints.push(added);
    world.settle();
    assert_eq!(world.endpoint.known().unwrap().clone().unwrap().content.endpoints.len(), 5);
    assert!(world.serves_what_ses_uses());
}

#[test]
fn a_retained_endpoint_has_no_owner_and_is_taken_up_by_its_mark() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec.deletion_policy = DeletionPolicy::Retain;
    let kept = story(&mut world);
    let found = world.endpoint.known().unwrap().clone().unwrap();
    assert_eq!(found.owners, [""; 0]);
    world.status = sending_domain_operator::api::v1alpha1::SendingDomainStatus::default();
    let again = story(&mut world);
    world.spec.deletion_policy = DeletionPolicy::Delete;
    assert_snapshot!(format!("{kept}--- applied again ---\n{again}--- to be deleted ---\n{}", story(&mut world)), @"
    hand 5 records to ExternalDNS
    --- applied again ---
    --- to be deleted ---
    hand 5 records to ExternalDNS
    ");
}

#[test]
fn dmarc_comes_and_goes_wherever_the_records_are() {
    for (spec, asked) in
        [(cloudflare(), Asked::Zone), (other_account(), Asked::Other), (external_dns(), Asked::Elsewhere)]
    {
        let mut world = verified(spec, asked);
        for wanted in [true, false, true] {
            world.spec.dmarc = wanted.then(DmarcSpec::default);
            world.settle();
            assert_eq!(world.answered().len(), 5 + usize::from(wanted));
            assert!(world.condition("Ready").starts_with("True"));
        }
    }
}

#[test]
fn the_end_looks_at_every_place_and_does_not_wait_again_for_what_was_told() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.settle();
    let patience = Patience { hopeless_since: None, grace: SignedDuration::from_mins(10), forced: false };
    let end = |world: &World| {
        let end = world.plan_end(&world.observe_end(), patience);
        let mut lines: Vec<String> = end.actions.iter().map(ToString::to_string).collect();
        lines.push(match end.release {
            Release::Clean => "clean".to_owned(),
            Release::Incomplete(left) => format!("leaving {}", left.join("; ")),
            Release::Blocked { blockers, .. } => format!("blocked by {}", blockers[0].reason),
        });
        lines.join("\n")
    };
    let mut told = end(&world);
    world.lost_secrets = vec!["cloudflare".to_owned()];
    told += &format!("\n--- without the old Secret ---\n{}", end(&world));
    world.asked = Asked::Other;
    world.settle();
    told += &format!("\n--- and told before ---\n{}", end(&world));
    assert_snapshot!(told, @"
    delete the SES identity
    remove 5 records from the zone example.com
    remove 5 records from the zone example.com, which the spec has left
    clean
    --- without the old Secret ---
    delete the SES identity
    remove 5 records from the zone example.com
    blocked by SecretNotFound
    --- and told before ---
    delete the SES identity
    remove 5 records from the zone example.com
    leaving records of mail.example.com in example.com at Cloudflare: CNAME aaa._domainkey.mail.example.com, CNAME bbb._domainkey.mail.example.com, CNAME ccc._domainkey.mail.example.com, TXT bounce.mail.example.com, MX bounce.mail.example.com
    ");
    assert_eq!(OTHER_SECRET, "other-account");
}

#[test]
fn without_look_ups_the_records_of_another_place_stay_and_are_told() {
    let mut world = verified(cloudflare(), Asked::Zone);
    world.spec = other_account();
    world.settle();
    let mut seen = world.observe();
    (seen.dns_check, seen.lookups) = (false, std::collections::BTreeMap::new());
    let plan = world.plan_for(&seen);
    assert!(plan.actions.is_empty(), "{plan}");
    let place = &plan.left.unwrap()[0];
    assert!(place.is_left_behind());
    assert!(place.message.as_deref().is_some_and(|m| m.contains("--dns-check off")), "{place:?}");
}

#[test]
fn an_endpoint_into_which_somebody_has_put_something_is_left_to_him() {
    let mut world = verified(external_dns(), Asked::Elsewhere);
    world.spec = manual();
    story(&mut world);
    let Observed::Known(Some(found)) = &mut world.endpoint else { panic!() };
    let mut added = found.content.endpoints[0].clone();
    (added.dns_name, added.record_type) = ("www.example.com".to_owned(), "A".to_owned());
    found.content.endpoints.push(added);
    (world.spec, world.asked) = (cloudflare(), Asked::Zone);
    let told = story(&mut world);
    assert!(!told.contains("delete the DNSEndpoint"), "{told}");
    assert!(told.contains("RecordsLeftBehind: The DNSEndpoint of this name is left, with A www.example.com"), "{told}");
}
