//! What the operator does next, cause and plan side by side.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use insta::assert_snapshot;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{
    AdoptionPolicy, ConflictPolicy, DkimKeyLength, DmarcSpec, IdentityOrigin, OnMxFailure, TagValue,
};
use sending_domain_operator::dns::cloudflare::ZoneRecord;
use sending_domain_operator::dns::external_dns::Found;
use sending_domain_operator::dns::lookup::{Answer, LookupError, LookupErrorKind, ServerAnswer};
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::observe::observation::{Claim, Fault, Lookups, Observation, Observed};
use sending_domain_operator::ownership::Mark;
use sending_domain_operator::plan::Action;
use sending_domain_operator::ses::identity::{Identity, MailFrom, SesStatus};
use support::{World, cloudflare, cname, external_dns, identity, manual, mark, mx, record, txt};

fn plan(world: &World) -> String {
    world.plan_for(&world.observe()).to_string()
}

fn with_identity() -> World {
    World { identity: Some(identity()), ..World::new(cloudflare()) }
}

/// A domain that is verified and in which nothing is left to do.
fn verified() -> World {
    let mut world = World::new(cloudflare());
    world.run_to_the_end();
    world
}

fn ours(id: &str, name: &str, data: sending_domain_operator::dns::record::RecordData) -> ZoneRecord {
    record(id, name, data, Some(mark().comment()))
}

#[test]
fn a_new_domain_gets_an_identity_first() {
    assert_snapshot!(plan(&World::new(cloudflare())), @"create the SES identity");
}

#[test]
fn then_its_five_records_and_its_mail_from_domain() {
    assert_snapshot!(plan(&with_identity()), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    ");
}

#[test]
fn a_manual_domain_writes_no_records() {
    assert_snapshot!(plan(&World { identity: Some(identity()), ..World::new(manual()) }), @"set the MAIL FROM domain to bounce.mail.example.com");
}

#[test]
fn f9_records_are_never_made_from_an_incomplete_list_of_tokens() {
    let mut world = with_identity();
    world.identity.as_mut().unwrap().dkim.tokens.pop();
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: IdentityReady WaitingForSES: SES has created the identity and has not handed out its three DKIM tokens yet; they are read again
    ");
}

#[test]
fn in_a_verified_domain_there_is_nothing_to_do() {
    assert_snapshot!(plan(&verified()), @"nothing to do");
}

#[test]
fn what_people_did_to_our_records_is_repaired() {
    let mut world = verified();
    world.records.retain(|r| !r.name.as_str().starts_with("aaa."));
    for record in &mut world.records {
        if record.name.as_str().starts_with("bbb.") {
            record.proxied = true;
        }
        if record.name.as_str().starts_with("ccc.") {
            record.flatten_cname = Some(true);
        }
        if record.record_type == "MX" {
            record.data = Some(mx(10, "mx.example.net"));
        }
    }
    assert_snapshot!(plan(&world), @"
    write 4 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      ~ bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com (record new-2)
      ~ ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com (record new-3)
      ~ bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com (record new-5)
    ");
}

#[test]
fn a_second_record_of_ours_is_one_too_many() {
    let mut world = verified();
    world.records.push(ours("twin", "bounce.mail.example.com", txt("v=spf1 include:amazonses.com ~all")));
    assert_snapshot!(plan(&world), @"
    remove 1 record from the zone example.com
      - record twin
    ");
}

#[test]
fn a_foreign_mail_exchanger_is_left_alone_and_reported() {
    let mut world = with_identity();
    world.records.push(record("theirs", "bounce.mail.example.com", mx(5, "mx.example.net"), None));
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 3 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
    blocked: RecordsSynced MailFromConflict: bounce.mail.example.com already has MX 5 mx.example.net, which the operator did not make and leaves alone; the domain needs MX 10 feedback-smtp.us-east-1.amazonses.com there: remove it, or choose another spec.mailFrom.subdomain
    ");
}

#[test]
fn a_mail_exchanger_that_comes_later_takes_no_spf_record_of_ours_away() {
    let mut world = verified();
    world.records.push(record("theirs", "bounce.mail.example.com", mx(5, "mx.example.net"), None));
    assert!(plan(&world).starts_with("blocked: RecordsSynced MailFromConflict"), "{}", plan(&world));
}

#[test]
fn a_dmarc_name_that_is_handed_to_somebody_is_theirs() {
    let mut world = verified();
    world.spec.dmarc = Some(DmarcSpec::default());
    let mut delegation = record("ns", "_dmarc.mail.example.com", cname("ns.vendor.example"), None);
    (delegation.record_type, delegation.data) = ("NS".to_owned(), None);
    world.records.push(delegation);
    assert_snapshot!(plan(&world), @"nothing to do");
}

#[test]
fn a_second_spf_record_is_never_added() {
    let mut world = with_identity();
    world.records.push(record("theirs", "bounce.mail.example.com", txt("v=spf1 include:example.net -all"), None));
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 4 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    blocked: RecordsSynced RecordConflict: bounce.mail.example.com already has TXT v=spf1 include:example.net -all, which the operator did not make and leaves alone; the domain needs TXT v=spf1 include:amazonses.com ~all there: add include:amazonses.com to it, or remove it
    ");
}

#[test]
fn foreign_records_that_do_the_same_satisfy() {
    let mut world = with_identity();
    world.records = vec![
        record("1", "aaa._domainkey.mail.example.com", cname("AAA.dkim.amazonses.com."), None),
        record("2", "bbb._domainkey.mail.example.com", cname("bbb.dkim.amazonses.com"), None),
        record("3", "ccc._domainkey.mail.example.com", cname("ccc.dkim.amazonses.com"), Some("by hand".to_owned())),
        record("4", "bounce.mail.example.com", mx(20, "feedback-smtp.us-east-1.amazonses.com"), None),
        record("5", "bounce.mail.example.com", txt("v=spf1 include:example.net include:amazonses.com -all"), None),
    ];
    assert_snapshot!(plan(&world), @"set the MAIL FROM domain to bounce.mail.example.com");
}

#[test]
fn a_foreign_alias_is_replaced_only_on_request() {
    let mut world = with_identity();
    world.records.push(record("theirs", "aaa._domainkey.mail.example.com", cname("elsewhere.example.net"), None));
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 4 records to the zone example.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    blocked: RecordsSynced RecordConflict: aaa._domainkey.mail.example.com already has CNAME elsewhere.example.net, which the operator did not make and leaves alone; the domain needs CNAME aaa.dkim.amazonses.com there: remove it, or set spec.dns.cloudflare.conflictPolicy to Overwrite to have a CNAME replaced
    ");
    world.spec.dns.as_mut().unwrap().cloudflare.as_mut().unwrap().conflict_policy = ConflictPolicy::Overwrite;
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 5 records to the zone example.com
      ~ aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com (record theirs)
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    ");
}

#[test]
fn an_existing_dmarc_policy_is_never_changed_or_doubled() {
    let mut world = verified();
    world.spec.dmarc = Some(DmarcSpec::default());
    assert_snapshot!(plan(&world), @"
    write 1 record to the zone example.com
      + _dmarc.mail.example.com TXT v=DMARC1; p=none
    ");
    world.records.push(record("theirs", "_dmarc.mail.example.com", txt("v=DMARC1; p=reject"), None));
    assert_snapshot!(plan(&world), @"nothing to do");
}

#[test]
fn a_dmarc_record_of_ours_goes_with_the_wish_for_it() {
    let mut world = verified();
    world.spec.dmarc = Some(DmarcSpec::default());
    world.run_to_the_end();
    world.spec.dmarc = None;
    assert_snapshot!(plan(&world), @"
    remove 1 record from the zone example.com
      - record new-6
    ");
}

#[test]
fn another_mail_from_domain_is_made_before_the_old_one_is_left() {
    let mut world = verified();
    world.spec.mail_from.subdomain = "returns".to_owned();
    let story: Vec<String> = (0..4).map(|_| world.pass().to_string()).collect();
    assert_snapshot!(story.join("--- next pass ---\n"), @"
    write 2 records to the zone example.com
      + returns.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + returns.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    --- next pass ---
    set the MAIL FROM domain to returns.mail.example.com
    --- next pass ---
    nothing to do
    --- next pass ---
    nothing to do
    ");
}

#[test]
fn an_identity_of_somebody_else_is_left_alone() {
    let foreign = Mark::new("another-cluster", "team-b", "mail").tags(IdentityOrigin::Created, None);
    let world = World { identity: Some(Identity { tags: foreign, ..identity() }), ..World::new(cloudflare()) };
    assert_snapshot!(plan(&world), @"blocked: IdentityReady IdentityNotOwned: SES already has an identity for mail.example.com that this object did not create, and it is left alone. To take it over, tag it sendingdomain.dev/adoptable-by=owner/team-a and set spec.ses.adoptionPolicy to Adopt; else delete it or use another domain");
}

#[test]
fn an_identity_that_was_released_is_adopted() {
    let tags = [("sendingdomain.dev/adoptable-by".to_owned(), "owner/team-a".to_owned())].into();
    let mut world = World { identity: Some(Identity { tags, ..identity() }), ..World::new(cloudflare()) };
    world.spec.ses.adoption_policy = AdoptionPolicy::Adopt;
    assert_snapshot!(plan(&world), @"adopt the SES identity");
}

#[test]
fn fresh_tokens_are_made_before_the_old_records_go() {
    let mut world = verified();
    world.recreate_at = Some("2026-11-23".to_owned());
    let mut story: Vec<String> = (0..3).map(|_| world.pass().to_string()).collect();
    world.ses_looks();
    story.extend((0..2).map(|_| world.pass().to_string()));
    assert_snapshot!(story.join("--- next pass ---\n"), @"
    delete the SES identity
    --- next pass ---
    create the SES identity
    --- next pass ---
    set the MAIL FROM domain to bounce.mail.example.com
    write 3 records to the zone example.com
      + x2._domainkey.mail.example.com CNAME x2.dkim.amazonses.com
      + y2._domainkey.mail.example.com CNAME y2.dkim.amazonses.com
      + z2._domainkey.mail.example.com CNAME z2.dkim.amazonses.com
    --- next pass ---
    remove 3 records from the zone example.com
      - record new-1
      - record new-2
      - record new-3
    --- next pass ---
    nothing to do
    ");
}

#[test]
fn external_dns_gets_all_records_in_one_object_of_ours() {
    let mut world = World { identity: Some(identity()), ..World::new(external_dns()) };
    world.endpoint = Observed::Known(None);
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    hand 5 records to ExternalDNS
    ");
    world.settle();
    assert_snapshot!(plan(&world), @"nothing to do");
    insta::assert_yaml_snapshot!(found_of(&mut world).content.endpoints.last().unwrap(), @"
    dnsName: bounce.mail.example.com
    recordType: MX
    targets:
      - 10 feedback-smtp.us-east-1.amazonses.com
    recordTTL: 300
    ");
    found_of(&mut world).content.endpoints.pop();
    assert_snapshot!(plan(&world), @"hand 5 records to ExternalDNS");
    found_of(&mut world).owners = vec!["somebody-else".to_owned()];
    assert_snapshot!(plan(&world), @"hand 5 records to ExternalDNS");
    found_of(&mut world).content.mark = String::new();
    assert_snapshot!(plan(&world), @"blocked: RecordsSynced RecordConflict: There is a DNSEndpoint of this name that the operator did not make, and it is left alone; delete it, or name the SendingDomain differently");
}

fn found_of(world: &mut World) -> &mut Found {
    match &mut world.endpoint {
        Observed::Known(Some(found)) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_handed_over_from_an_incomplete_list_or_to_a_cluster_without_external_dns() {
    let mut world = World { identity: Some(identity()), ..World::new(external_dns()) };
    world.endpoint = Observed::Known(None);
    world.identity.as_mut().unwrap().dkim.tokens.pop();
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: IdentityReady WaitingForSES: SES has created the identity and has not handed out its three DKIM tokens yet; they are read again
    ");
    let mut world = World { identity: Some(identity()), ..World::new(external_dns()) };
    world.endpoint = Observed::Unavailable(Fault {
        reason: Reason::ExternalDNSUnavailable,
        message: "no DNSEndpoint".to_owned(),
        class: ErrorClass::Waiting { after: std::time::Duration::MAX },
    });
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: RecordsSynced ExternalDNSUnavailable: no DNSEndpoint
    ");
}

#[test]
fn external_dns_is_not_handed_what_somebody_else_has_in_dns() {
    let mut world = World { identity: Some(identity()), ..World::new(external_dns()) };
    (world.endpoint, world.spec.dmarc) = (Observed::Known(None), Some(DmarcSpec::default()));
    let there = |name: &str, data: RecordData| ((DnsName::new(name), data.record_type()), Answer::Records(vec![data]));
    let handed = |there: &[((DnsName, RecordType), Answer)]| {
        let mut seen = world.observe();
        for (question, answer) in there {
            seen.lookups.get_mut(question).unwrap().answer = answer.clone();
        }
        world.plan_for(&seen).to_string()
    };
    let set = "set the MAIL FROM domain to bounce.mail.example.com\n";
    assert_eq!(handed(&[]), format!("{set}hand 6 records to ExternalDNS\n"));
    let dmarc = there("_dmarc.mail.example.com", txt("v=DMARC1; p=reject"));
    assert_eq!(handed(std::slice::from_ref(&dmarc)), format!("{set}hand 5 records to ExternalDNS\n"));
    let silent = (dmarc.0.clone(), Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut)));
    assert_eq!(handed(&[silent]), format!("{set}hand 5 records to ExternalDNS\n"), "nobody knows what is there");
    let silent = |data: RecordData| {
        let question = (DnsName::new("bounce.mail.example.com"), data.record_type());
        (question, Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut)))
    };
    let unknown = handed(&[silent(txt("")), silent(mx(1, "a"))]);
    assert!(unknown.contains("hand 4 records to ExternalDNS"), "{unknown}");
    assert!(
        unknown.contains("blocked: RecordsSynced Progressing: The TXT record is handed to ExternalDNS once DNS says")
    );
    assert_snapshot!(handed(&[dmarc, there("bounce.mail.example.com", mx(5, "mx.example.net"))]), @"
    set the MAIL FROM domain to bounce.mail.example.com
    hand 3 records to ExternalDNS
    blocked: RecordsSynced MailFromConflict: DNS already has 5 mx.example.net at bounce.mail.example.com, which the operator did not make, so the MX record is not handed to ExternalDNS. Change the MX record to 10 feedback-smtp.us-east-1.amazonses.com: SES accepts no other mail exchanger there, or choose another spec.mailFrom.subdomain
    ");
    let spf = there("bounce.mail.example.com", txt("v=spf1 mx -all"));
    assert!(handed(&[spf]).contains("blocked: RecordsSynced RecordConflict: DNS already has v=spf1 mx -all"));
    // What was handed over stays, whatever stands beside it.
    let mut world = world.clone();
    world.settle();
    let seen = world.observe();
    assert_snapshot!(world.plan_for(&seen).to_string(), @"nothing to do");
}

#[test]
fn keys_that_the_user_brought_are_not_managed() {
    let mut world = with_identity();
    world.identity.as_mut().unwrap().dkim.origin = Some("EXTERNAL".to_owned());
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 2 records to the zone example.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    blocked: IdentityReady UnsupportedDKIMOrigin: The identity signs with DKIM keys of its own (BYODKIM), which the operator does not manage; switch it to Easy DKIM
    ");
}

#[test]
fn signing_that_was_switched_off_is_switched_on() {
    let mut world = verified();
    world.identity.as_mut().unwrap().dkim.signing_enabled = false;
    assert_snapshot!(plan(&world), @"switch DKIM signing on");
}

#[test]
fn a_failed_verification_is_taken_up_when_dns_is_right_and_not_before() {
    let mut world = verified();
    let identity = world.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::Failed);
    identity.dkim.status = SesStatus::Failed;
    identity.mail_from = identity.mail_from.take().map(|m| MailFrom { status: SesStatus::Failed, ..m });
    let right = plan(&world);
    world.records.clear();
    assert_snapshot!(format!("{right}--- without the records ---\n{}", plan(&world)), @"
    have SES look for the DKIM records again
    set the MAIL FROM domain to bounce.mail.example.com
    --- without the records ---
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    ");
}

/// What three name servers say of every record: the last `behind` of them have none.
fn disagreeing(world: &World, behind: usize, again: bool) -> Observation {
    let mut seen = world.observe();
    for lookup in seen.lookups.values_mut() {
        let (right, old) = (lookup.answer.clone(), Answer::NxDomain);
        let said = (0..3).map(|n| ServerAnswer {
            server: DnsName::new(format!("ns{n}.example.net")),
            answer: if n + behind < 3 { right.clone() } else { old.clone() },
            again,
        });
        lookup.by_server = said.collect();
        let kind = LookupErrorKind::Disagreement { agreeing: 3 - behind, answering: 3 };
        lookup.answer = Answer::Unknown(LookupError::of_server(kind, "ns0.example.net"));
    }
    seen
}

#[test]
fn e8_a_name_server_that_stays_behind_for_ever_stops_no_search_and_no_other_mail_from_domain() {
    let mut failed = verified();
    let identity = failed.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::Failed);
    identity.dkim.status = SesStatus::Failed;
    let mut moving = verified();
    moving.spec.mail_from.subdomain = "returns".to_owned();
    moving.pass();
    for (world, action) in [
        (failed, "have SES look for the DKIM records again\n"),
        (moving, "set the MAIL FROM domain to returns.mail.example.com\n"),
    ] {
        let plan = |behind, again| world.plan_for(&disagreeing(&world, behind, again)).to_string();
        assert_eq!(plan(1, true), action);
        // What changed just now may change on, and what most have wrong is no more than hope.
        assert_eq!(plan(1, false), "nothing to do\n");
        assert_eq!(plan(2, true), "nothing to do\n");
    }
}

#[test]
fn the_waits_between_tries_to_take_it_up_grow() {
    let mut world = verified();
    let mut tries = Vec::new();
    for hour in 0..24 {
        let identity = world.identity.as_mut().unwrap();
        identity.verification = Some(SesStatus::Failed);
        identity.dkim.status = SesStatus::Failed;
        if !world.pass().actions.is_empty() {
            tries.push(hour);
        }
        world.after(1);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15]);
}

#[test]
fn an_outage_stops_nothing_but_its_own_part() {
    let mut seen = with_identity().observe();
    seen.zone = Observed::Unavailable(Fault {
        reason: Reason::InvalidAPIToken,
        message: "Invalid API token".to_owned(),
        class: ErrorClass::Terminal,
    });
    assert_snapshot!(with_identity().plan_for(&seen), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: RecordsSynced InvalidAPIToken: Invalid API token
    ");
}

#[test]
fn a_write_that_failed_is_reported_until_it_is_due_again() {
    let mut world = with_identity();
    world.standing.records = Some(Fault {
        reason: Reason::RecordWriteDenied,
        message: "Failed to create record".to_owned(),
        class: ErrorClass::Terminal,
    });
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: RecordsSynced RecordWriteDenied: Failed to create record
    ");
}

#[test]
fn a_public_suffix_is_refused_before_anything_is_asked() {
    let mut world = World::new(cloudflare());
    world.spec.domain = "co.uk".to_owned();
    assert_snapshot!(plan(&world), @"blocked: IdentityReady PublicSuffix: co.uk is a public suffix, under which anybody can register names; use a domain of your own, for example mail.example.co.uk");
}

#[test]
fn of_two_objects_with_one_domain_the_younger_waits() {
    let mut world = World::new(cloudflare());
    world.claim.domain_holder_here = Some("the-first".to_owned());
    assert_snapshot!(plan(&world), @"blocked: IdentityReady DomainConflict: The SendingDomain the-first of this namespace, which is older, has this domain; delete one of the two");
    world.claim.domain_holder_here = None;
    world.claim.domain_held_elsewhere = true;
    assert_snapshot!(plan(&world), @"blocked: IdentityReady DomainConflict: Another SendingDomain of this cluster, which is older, has this domain; ask the cluster's administrators");
}

/// The parent of a domain that sends is given the child's name for bounces: the child's mail would come back to SES.
#[test]
fn a6_a_mail_from_domain_is_never_changed_to_that_of_somebody_else() {
    let mut world = verified();
    let before = world.records.clone();
    world.spec.mail_from.subdomain = "mail".to_owned();
    world.claim.mail_from_shared = true;
    world.claim = world.claim.of_holder(world.identity.as_ref().unwrap(), &world.spec.mail_from_domain());
    assert_snapshot!(plan(&world), @"blocked: MailFromVerified MailFromConflict: Another SendingDomain has the same MAIL FROM domain, or has this one's as its domain (or the other way round); SES wants a MAIL FROM domain for nothing else and exactly one MX there; set another spec.mailFrom.subdomain");
    world.run_to_the_end();
    assert_eq!(world.records, before, "those of the MAIL FROM domain in use stay");
    assert!(world.condition("Ready").starts_with("False MailFromConflict"), "{}", world.condition("Ready"));
    world.claim = Claim::default();
    world.run_to_the_end();
    assert!(world.condition("Ready").starts_with("True"), "{}", world.condition("Ready"));
}

#[test]
fn a6_a_mail_from_domain_that_is_in_use_is_kept() {
    let claim = Claim { mail_from_taken: true, mail_from_shared: true, ..Claim::default() };
    let in_use = verified().identity.unwrap();
    assert_eq!(claim.of_holder(&in_use, "bounce.mail.example.com"), Claim::default(), "as in a restored cluster");
    assert!(claim.of_holder(&in_use, "mail.mail.example.com").mail_from_shared);
    assert!(claim.of_holder(&identity(), "bounce.mail.example.com").mail_from_shared, "an older object has it");
    let younger = Claim { mail_from_shared: true, ..Claim::default() };
    assert_eq!(younger.of_holder(&identity(), "bounce.mail.example.com"), Claim::default());
    assert!(!younger.is_contested() && claim.is_contested());
    let mut world = World { identity: Some(identity()), ..World::new(cloudflare()) };
    world.claim = claim.of_holder(&identity(), "bounce.mail.example.com");
    assert_snapshot!(plan(&world), @"
    write 3 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
    blocked: MailFromVerified MailFromConflict: Another SendingDomain has the same MAIL FROM domain, or has this one's as its domain (or the other way round); SES wants a MAIL FROM domain for nothing else and exactly one MX there; set another spec.mailFrom.subdomain
    ");
}

fn standing_fault() -> Fault {
    let message = "Request refused as invalid; it is about bounce.mail.example.com MX".to_owned();
    Fault { reason: Reason::RecordRejected, message, class: ErrorClass::Terminal }
}

#[test]
fn d13_what_was_refused_waits_and_the_rest_goes_on() {
    let mut world = with_identity();
    world.standing.records = Some(standing_fault());
    world.standing.refused = [DnsName::new("bounce.mail.example.com")].into();
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 3 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
    blocked: RecordsSynced RecordRejected: Request refused as invalid; it is about bounce.mail.example.com MX
    ");
    world.standing.refused.clear();
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: RecordsSynced RecordRejected: Request refused as invalid; it is about bounce.mail.example.com MX
    ");
}

#[test]
fn d12_what_somebody_keeps_changing_back_is_left_to_them_and_told() {
    let mut world = verified();
    for record in &mut world.records {
        record.proxied = record.record_type == "CNAME";
    }
    world.standing.duels = [DnsName::new("bbb._domainkey.mail.example.com")].into();
    assert_snapshot!(plan(&world), @"
    write 2 records to the zone example.com
      ~ aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com (record new-1)
      ~ ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com (record new-3)
    blocked: RecordsSynced RecordDueling: Something else changes the records at bbb._domainkey.mail.example.com as often as the operator puts them right, so it does that once an hour now; find out who writes there (another tool, another cluster, a person), stop it, and set the annotation sendingdomain.dev/reconcile-at to try at once
    ");
}

#[test]
fn d12_the_records_of_another_tool_are_never_touched() {
    let mut world = verified();
    let heritage = "\"heritage=external-dns,external-dns/owner=other,external-dns/resource=ingress/x/y\"";
    for name in ["bounce.mail.example.com", "cname-aaa._domainkey.mail.example.com", "mail.example.com"] {
        world.records.push(record(name, name, txt(heritage), None));
    }
    assert_snapshot!(plan(&world), @"nothing to do");
}

#[test]
fn d1_nothing_is_written_below_a_name_that_the_zone_hands_on() {
    let mut world = with_identity();
    let mut ns = record("ns", "mail.example.com", txt("x"), None);
    (ns.record_type, ns.data, ns.content) = ("NS".to_owned(), None, "ns1.other.example".to_owned());
    world.records.push(ns.clone());
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    blocked: RecordsSynced ZoneNotAccessible: Could not access zone: the zone example.com hands mail.example.com to other name servers (ns1.other.example), so nobody sees what is written below it here; give the token access to the zone mail.example.com if that is at Cloudflare, or remove spec.dns to add the records at the provider that has it
    ");
    // What is delegated beside it makes no difference, nor do the zone's own name servers.
    world.records = vec![ZoneRecord { name: DnsName::new("bounce2.mail.example.com"), ..ns.clone() }];
    world.records.push(ZoneRecord { name: DnsName::new("example.com"), ..ns });
    assert!(plan(&world).contains("write 5 records"));
}

#[test]
fn d10_a_wildcard_in_the_zone_makes_no_record_superfluous() {
    let mut world = with_identity();
    world.records.push(record("wild", "*.mail.example.com", cname("elsewhere.example"), None));
    assert!(plan(&world).contains("write 5 records"));
}

#[test]
fn d11_another_spelling_of_a_record_is_no_drift() {
    let mut world = verified();
    for record in &mut world.records {
        if record.record_type == "TXT" {
            record.content = "\"v=spf1 \" \"include:amazonses.com ~all\"".to_owned();
            record.data = Some(txt(&cloudflare_text(&record.content)));
        }
        record.ttl = 300;
    }
    assert_snapshot!(plan(&world), @"nothing to do");
}

fn cloudflare_text(content: &str) -> String {
    sending_domain_operator::dns::cloudflare::from_content(content)
}

fn tag(key: &str, value: &str) -> (String, TagValue) {
    (key.to_owned(), TagValue(value.to_owned()))
}

#[test]
fn attributes_of_a_verified_identity_follow_the_spec() {
    let mut world = verified();
    world.spec.ses.tags = [tag("team", "mail"), tag("stage", "prod")].into();
    world.spec.ses.configuration_set = Some("marketing".to_owned());
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    assert_snapshot!(plan(&world), @"
    set the tags sendingdomain.dev/configuration-set, sendingdomain.dev/managed-tags, stage, team
    set the configuration set marketing
    have SES make RSA1024 DKIM keys
    ");
}

#[test]
fn attributes_that_the_spec_drops_are_taken_away_and_those_of_others_stay() {
    let mut world = World::new(cloudflare());
    world.spec.ses.tags = [tag("team", "mail")].into();
    world.spec.ses.configuration_set = Some("marketing".to_owned());
    world.run_to_the_end();
    world.identity.as_mut().unwrap().tags.insert("cost-centre".to_owned(), "7".to_owned());
    world.spec.ses = sending_domain_operator::api::v1alpha1::SesSpec::default();
    assert_snapshot!(plan(&world), @"
    take away the tags team, sendingdomain.dev/managed-tags
    take away the configuration set
    ");
    world.run_to_the_end();
    let identity = world.identity.unwrap();
    assert_eq!(identity.configuration_set, None);
    let ours = mark().tags(IdentityOrigin::Created, None).len();
    assert_eq!(identity.tags.len(), ours + 1, "{:?}", identity.tags);
}

#[test]
fn a_configuration_set_of_ours_is_still_ours_when_the_next_one_is_refused() {
    let mut world = verified();
    world.spec.ses.configuration_set = Some("first".to_owned());
    world.settle();
    world.spec.ses.configuration_set = Some("second".to_owned());
    assert_snapshot!(plan(&world), @"
    set the configuration set second
    set the tags sendingdomain.dev/configuration-set
    ");
    // SES has no such set, and the field goes.
    world.spec.ses.configuration_set = None;
    assert_snapshot!(plan(&world), @"take away the configuration set");
    // It has one, and a crash comes before the tag.
    world.spec.ses.configuration_set = Some("second".to_owned());
    world.interrupted_pass(1);
    assert_snapshot!(plan(&world), @"set the tags sendingdomain.dev/configuration-set");
    world.settle();
    world.spec.ses.configuration_set = None;
    world.settle();
    assert_eq!(world.identity.as_ref().unwrap().configuration_set, None);
}

#[test]
fn a_configuration_set_of_somebody_else_stays_where_the_spec_names_none() {
    let mut world = verified();
    world.identity.as_mut().unwrap().configuration_set = Some("theirs".to_owned());
    assert_snapshot!(plan(&world), @"nothing to do");
}

#[test]
fn a_length_that_ses_is_changing_to_is_not_asked_for_again() {
    let mut world = verified();
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    world.settle();
    let identity = world.identity.as_ref().unwrap();
    assert_eq!(identity.dkim.key_length, Some(DkimKeyLength::Rsa2048));
    assert!(!plan(&world).contains("RSA1024"), "{}", plan(&world));
}

#[test]
fn with_keys_of_another_length_the_old_records_stay_until_ses_has_verified_the_new() {
    let mut world = verified();
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    world.settle();
    assert_eq!(world.records.len(), 8, "both sets of keys can be found");
    assert_eq!(world.identity.as_ref().unwrap().verification, Some(SesStatus::Success));
    world.ses_looks();
    assert_snapshot!(plan(&world), @"
    remove 3 records from the zone example.com
      - record new-1
      - record new-2
      - record new-3
    ");
}

#[test]
fn adoption_changes_no_keys() {
    let mut world = verified();
    world.identity.as_mut().unwrap().tags = mark().tags(IdentityOrigin::Adopted, None);
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    assert_snapshot!(plan(&world), @"nothing to do");
}

#[test]
fn what_ses_refuses_to_change_is_reported_and_stops_nothing_else() {
    let mut world = with_identity();
    world.spec.ses.configuration_set = Some("missing".to_owned());
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    world.identity.as_mut().unwrap().dkim.key_length = Some(DkimKeyLength::Rsa2048);
    let fault = |reason| {
        let class = ErrorClass::Terminal;
        Some(Fault { reason, message: "m".to_owned(), class })
    };
    world.standing.attributes = fault(Reason::ConfigurationSetNotFound);
    world.standing.keys = fault(Reason::WaitingForSES);
    assert_snapshot!(plan(&world), @"
    set the MAIL FROM domain to bounce.mail.example.com
    write 5 records to the zone example.com
      + aaa._domainkey.mail.example.com CNAME aaa.dkim.amazonses.com
      + bbb._domainkey.mail.example.com CNAME bbb.dkim.amazonses.com
      + ccc._domainkey.mail.example.com CNAME ccc.dkim.amazonses.com
      + bounce.mail.example.com TXT v=spf1 include:amazonses.com ~all
      + bounce.mail.example.com MX 10 feedback-smtp.us-east-1.amazonses.com
    blocked: IdentityReady ConfigurationSetNotFound: m
    blocked: IdentityReady WaitingForSES: m
    ");
}

#[test]
fn a_failed_verification_that_was_asked_for_is_not_taken_up_in_every_pass() {
    let mut world = verified();
    let identity = world.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::Failed);
    world.records.clear();
    world.reconcile_requested = true;
    let again = "have SES look for the DKIM records again";
    assert!(plan(&world).contains(again));
    let attempt = world.status.verification.as_mut().unwrap();
    (attempt.rearms, attempt.dkim_rearmed_at) = (1, Some(Time(world.now)));
    assert!(!plan(&world).contains(again));
    world.after(1);
    assert!(plan(&world).contains(again));
}

#[test]
fn without_look_ups_another_mail_from_domain_is_set_once_the_zone_has_its_records() {
    let mut world = verified();
    world.spec.mail_from.subdomain = "return".to_owned();
    let mut seen = world.observe();
    assert!(!world.plan_for(&seen).to_string().contains("set the MAIL FROM"));
    seen.dns_check = false;
    seen.lookups.clear();
    assert!(!world.plan_for(&seen).to_string().contains("set the MAIL FROM"), "nothing is at return. yet");
    let fault = Fault { reason: Reason::CloudflareUnavailable, message: String::new(), class: ErrorClass::Terminal };
    seen.zone = Observed::Unavailable(fault);
    assert!(!world.plan_for(&seen).to_string().contains("set the MAIL FROM"), "nobody knows what is there");
    for action in world.plan_for(&world.observe()).actions {
        if matches!(action, Action::WriteRecords { .. }) {
            world.perform(&action);
        }
    }
    let mut seen = world.observe();
    (seen.dns_check, seen.lookups) = (false, Lookups::new());
    assert!(world.plan_for(&seen).to_string().contains("set the MAIL FROM domain to return.mail.example.com"));
}

#[test]
fn a_domain_that_sends_is_never_made_to_refuse_mail_while_ses_looks_for_a_new_mail_from_domain() {
    let mut world = verified();
    (world.spec.mail_from.subdomain, world.spec.mail_from.on_mx_failure) =
        ("return".to_owned(), OnMxFailure::RejectMessage);
    let set = |world: &World| {
        world.plan_for(&world.observe()).actions.into_iter().find_map(|action| match action {
            Action::SetMailFrom { domain, on_mx_failure } => Some((domain, on_mx_failure)),
            _ => None,
        })
    };
    let domain = "return.mail.example.com".to_owned();
    while set(&world).is_none() {
        world.pass();
    }
    assert_eq!(set(&world), Some((domain.clone(), OnMxFailure::UseDefaultValue)));
    world.pass();
    let status = |world: &mut World, status: SesStatus| {
        world.identity.as_mut().unwrap().mail_from.as_mut().unwrap().status = status;
    };
    status(&mut world, SesStatus::Pending);
    assert_eq!(set(&world), None, "SES looks");
    for (found, wanted) in [(SesStatus::Success, true), (SesStatus::TemporaryFailure, true)] {
        status(&mut world, found);
        assert_eq!(set(&world), wanted.then(|| (domain.clone(), OnMxFailure::RejectMessage)));
    }
    let mut new = with_identity();
    new.spec.mail_from.on_mx_failure = OnMxFailure::RejectMessage;
    let first = ("bounce.mail.example.com".to_owned(), OnMxFailure::RejectMessage);
    assert_eq!(set(&new), Some(first), "what cannot send yet refuses nothing");
}

#[test]
fn a_foreign_alias_at_the_mail_from_name_is_not_taken_for_an_spf_record() {
    let mut world = with_identity();
    world.records.push(record("theirs", "bounce.mail.example.com", cname("www.example.com"), None));
    let seen = world.observe();
    let told: Vec<String> = world.plan_for(&seen).blockers.into_iter().map(|b| b.message).collect();
    assert_eq!(told.len(), 2);
    for message in told {
        assert!(message.ends_with("remove it, or choose another spec.mailFrom.subdomain"), "{message}");
    }
}

#[test]
fn without_look_ups_replaced_records_go_when_ses_has_verified_the_new_ones() {
    let mut world = verified();
    world.records.push(ours("old", "zzz._domainkey.mail.example.com", cname("zzz.dkim.amazonses.com")));
    let told = |world: &World| {
        let mut seen = world.observe();
        seen.dns_check = false;
        seen.lookups.clear();
        world.plan_for(&seen).to_string()
    };
    assert!(told(&world).contains("- record old"), "{}", told(&world));
    world.identity.as_mut().unwrap().dkim.status = SesStatus::Pending;
    assert!(!told(&world).contains("- record old"), "SES still signs with the old keys");
}

#[test]
fn a_request_that_comes_right_after_a_re_arm_is_carried_out_a_minute_later_and_handled_only_then() {
    let mut world = verified();
    let fail = |world: &mut World| world.identity.as_mut().unwrap().dkim.status = SesStatus::Failed;
    fail(&mut world);
    world.pass();
    assert_eq!(world.status.verification.as_ref().unwrap().rearms, 1);
    fail(&mut world);
    world.reconcile_requested = true;
    assert!(world.pass().actions.is_empty());
    assert_eq!(world.status.last_handled_reconcile_at, None, "nothing was done");
    world.now += k8s_openapi::jiff::SignedDuration::from_mins(1);
    assert!(!world.pass().actions.is_empty());
    assert_eq!(world.status.last_handled_reconcile_at.as_deref(), Some("now"));
}

#[test]
fn a_request_whose_re_arm_a_fault_keeps_back_is_not_handled_yet() {
    let refused =
        || Some(Fault { reason: Reason::AWSAccessDenied, message: "denied".to_owned(), class: ErrorClass::Terminal });
    let mut world = verified();
    world.identity.as_mut().unwrap().dkim.status = SesStatus::Failed;
    world.reconcile_requested = true;
    let mut seen = world.observe();
    assert!(!world.plan_for(&seen).postponed);
    seen.standing.identity = refused();
    assert!(world.plan_for(&seen).postponed);
    let mut world = verified();
    world.identity.as_mut().unwrap().mail_from.as_mut().unwrap().status = SesStatus::Failed;
    world.reconcile_requested = true;
    let mut seen = world.observe();
    seen.standing.mail_from = refused();
    assert!(world.plan_for(&seen).postponed);
    world.reconcile_requested = false;
    assert!(!world.plan_for(&seen).postponed);
}
