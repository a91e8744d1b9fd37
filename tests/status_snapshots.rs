//! What the user is told, cause and conditions side by side.

mod support;

use insta::assert_snapshot;
use k8s_openapi::jiff::SignedDuration;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{
    DkimKeyLength, OnMxFailure, Phase, Recommendation, SendingDomainStatus, TagValue,
};
use sending_domain_operator::dns::evidence::{DmarcView, ReportConsent};
use sending_domain_operator::dns::lookup::{
    Answer, Lookup, LookupError, LookupErrorKind, ServerAnswer, Source, ZoneCut,
};
use sending_domain_operator::dns::record::{DnsName, RecordType};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Fault, Lookups, Observation, Observed};
use sending_domain_operator::plan::{self, Action, Step};
use sending_domain_operator::ses::identity::{SesStatus, ZoneSeen};
use sending_domain_operator::status;
use support::{World, cloudflare, manual, mx, record, txt};

/// A manual domain whose records nobody has added yet.
fn waiting() -> World {
    let mut world = World::new(manual());
    world.settle();
    world
}

fn verified() -> World {
    let mut world = World::new(cloudflare());
    world.run_to_the_end();
    world
}

fn see(world: &mut World, change: impl FnOnce(&mut Observation)) -> String {
    let mut seen = world.observe();
    change(&mut seen);
    let plan = world.plan_for(&seen);
    world.report(&seen, &plan, &Outcome::default());
    world.summary()
}

fn fault(reason: Reason, class: ErrorClass) -> Fault {
    Fault { reason, message: "What to do next.".to_owned(), class }
}

#[test]
fn a_manual_domain_waits_for_its_records() {
    assert_snapshot!(waiting().summary(), @r#"
    Some(Pending), records Some("0/5")
    Ready = False WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    IdentityReady = True Synced: SES has the identity in us-east-1
    DNSVerified = False WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    DKIMVerified = False WaitingForDNS: SES verifies DKIM once its records are in DNS; see .status.records
    MailFromVerified = False WaitingForDNS: SES verifies MAIL FROM once its records are in DNS; see .status.records
    Reconciling = True WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    "#);
}

#[test]
fn a_verified_domain_has_neither_reconciling_nor_stalled() {
    assert_snapshot!(verified().summary(), @r#"
    Some(Verified), records Some("5/5")
    Ready = True Verified: mail.example.com is verified: mail can be sent
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    "#);
}

#[test]
fn e12_records_in_dns_wait_for_ses() {
    let mut world = World::new(cloudflare());
    world.settle();
    assert_snapshot!(world.summary(), @r#"
    Some(Pending), records Some("5/5")
    Ready = False WaitingForSES: The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = False WaitingForSES: The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    MailFromVerified = False WaitingForSES: The MAIL FROM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    Reconciling = True WaitingForSES: The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    "#);
}

#[test]
fn after_the_deadline_the_domain_has_failed_and_says_what_is_missing() {
    let mut world = waiting();
    world.after(72);
    world.pass();
    assert_snapshot!(world.summary(), @r#"
    Some(Failed), records Some("0/5")
    Ready = False VerificationFailed: Verification failed (begun 2026-11-23T10:00:00Z); it begins again by itself once DNS is right. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    IdentityReady = True Synced: SES has the identity in us-east-1
    DNSVerified = False VerificationFailed: Verification failed (begun 2026-11-23T10:00:00Z); it begins again by itself once DNS is right. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    DKIMVerified = False VerificationFailed: Verification failed (begun 2026-11-23T10:00:00Z); it begins again by itself once DNS is right. SES verifies DKIM once its records are in DNS; see .status.records
    MailFromVerified = False VerificationFailed: Verification failed (begun 2026-11-23T10:00:00Z); it begins again by itself once DNS is right. SES verifies MAIL FROM once its records are in DNS; see .status.records
    Stalled = True VerificationFailed: Verification failed (begun 2026-11-23T10:00:00Z); it begins again by itself once DNS is right. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    "#);
}

#[test]
fn a_failed_domain_recovers() {
    let mut world = World::new(cloudflare());
    world.settle();
    for status in [SesStatus::Failed, SesStatus::Pending] {
        let identity = world.identity.as_mut().unwrap();
        identity.dkim.status = status.clone();
        identity.verification = Some(status);
    }
    world.after(73);
    world.pass();
    assert_eq!(format!("{:?}", world.status.phase), "Some(Failed)");
    world.run_to_the_end();
    assert_snapshot!(world.summary(), @r#"
    Some(Verified), records Some("5/5")
    Ready = True Verified: mail.example.com is verified: mail can be sent
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    "#);
}

#[test]
fn a_verification_that_ses_loses_is_told_at_once() {
    let mut world = World::new(manual());
    world.settle();
    world.records = verified().records;
    world.run_to_the_end();
    world.records.clear();
    let identity = world.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::TemporaryFailure);
    identity.dkim.status = SesStatus::TemporaryFailure;
    assert_snapshot!(see(&mut world, |_| {}), @r#"
    Some(Pending), records Some("0/5")
    Ready = False VerificationLost: SES does not find the records of this verified domain any more. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    IdentityReady = True Synced: SES has the identity in us-east-1
    DNSVerified = False VerificationLost: SES does not find the records of this verified domain any more. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    DKIMVerified = False VerificationLost: SES does not find the records of this verified domain any more. SES verifies DKIM once its records are in DNS; see .status.records
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    Reconciling = True VerificationLost: SES does not find the records of this verified domain any more. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    "#);
}

#[test]
fn a_re_arm_that_ses_does_not_take_is_said_after_an_hour() {
    let mut world = verified();
    let fail = |world: &mut World| {
        let identity = world.identity.as_mut().unwrap();
        identity.verification = Some(SesStatus::Failed);
        identity.dkim.status = SesStatus::Failed;
    };
    fail(&mut world);
    world.pass();
    fail(&mut world);
    world.after(1);
    world.pass();
    fail(&mut world);
    world.pass();
    assert_snapshot!(world.condition("Ready"), @"False RearmRefused: SES still says FAILED for DKIM, although DNS is right and SES was asked to look again; open a case with AWS, or set the annotation sendingdomain.dev/recreate-at for fresh DKIM tokens");
}

#[test]
fn unknown_is_not_absent() {
    let mut world = verified();
    let timed_out = || Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut));
    let summary = see(&mut world, |seen| seen.lookups.values_mut().for_each(|l| l.answer = timed_out()));
    assert_snapshot!(summary, @r#"
    Some(Verified), records Some("0/5")
    Ready = True Verified: mail.example.com is verified: mail can be sent
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = Unknown WaitingForDNS: CNAME aaa._domainkey.mail.example.com: Could not be looked up (name servers did not answer in time); it is tried again. This says nothing about the record.
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    "#);
}

#[test]
fn a_missing_spf_record_ends_ready() {
    let mut world = verified();
    world.records.retain(|r| r.record_type != "TXT");
    assert_snapshot!(see(&mut world, |seen| seen.zone = Observed::NotConfigured), @r#"
    Some(Pending), records Some("4/5")
    Ready = False WaitingForDNS: 1 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. TXT bounce.mail.example.com: The name exists at the domain's name servers, without a TXT record: add one of this name with the value v=spf1 include:amazonses.com ~all
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are handed over
    DNSVerified = False WaitingForDNS: 1 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. TXT bounce.mail.example.com: The name exists at the domain's name servers, without a TXT record: add one of this name with the value v=spf1 include:amazonses.com ~all
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    Reconciling = True WaitingForDNS: 1 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. TXT bounce.mail.example.com: The name exists at the domain's name servers, without a TXT record: add one of this name with the value v=spf1 include:amazonses.com ~all
    "#);
}

#[test]
fn a_revoked_token_does_not_unmake_a_verified_domain() {
    let mut world = verified();
    let revoked = fault(Reason::InvalidAPIToken, ErrorClass::Terminal);
    assert_snapshot!(see(&mut world, |seen| seen.zone = Observed::Unavailable(revoked)), @r#"
    Some(Verified), records Some("5/5")
    Ready = True Verified: mail.example.com is verified: mail can be sent
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = False InvalidAPIToken: What to do next.
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    "#);
}

#[test]
fn before_verification_the_same_token_stalls_it() {
    let mut world = World::new(cloudflare());
    world.pass();
    let revoked = fault(Reason::InvalidAPIToken, ErrorClass::Terminal);
    assert_snapshot!(see(&mut world, |seen| seen.zone = Observed::Unavailable(revoked)), @r#"
    Some(Pending), records Some("0/5")
    Ready = False InvalidAPIToken: What to do next.
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = False InvalidAPIToken: What to do next.
    DNSVerified = False WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    DKIMVerified = False WaitingForDNS: SES verifies DKIM once its records are in DNS; see .status.records
    MailFromVerified = False Progressing: Under way: set the MAIL FROM domain to bounce.mail.example.com
    Stalled = True InvalidAPIToken: What to do next.
    "#);
}

#[test]
fn what_ses_said_last_stands_while_it_cannot_be_asked() {
    let mut world = verified();
    let before = world.status.clone();
    let outage = fault(Reason::AWSUnavailable, ErrorClass::Transient { retry_after: None });
    see(&mut world, |seen| seen.identity = Observed::Unavailable(outage));
    assert_eq!(world.status.records, before.records);
    assert_eq!(world.status.identity, before.identity);
    assert_eq!(world.condition("Ready"), "True Verified: mail.example.com is verified: mail can be sent");
}

#[test]
fn f5_a_ready_domain_whose_aws_access_is_gone_says_so_and_stays_ready() {
    let mut world = verified();
    let denied = fault(Reason::AWSAccessDenied, ErrorClass::Terminal);
    let told = notes_of(&mut world, |seen| seen.identity = Observed::Unavailable(denied.clone()));
    assert_eq!(told, ["! AWSAccessDenied: What to do next."]);
    assert_snapshot!(world.summary(), @r#"
    Some(Verified), records Some("5/5")
    Ready = True Verified: mail.example.com is verified: mail can be sent
    IdentityReady = Unknown AWSAccessDenied: What to do next.
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = True Verified: SES has verified the domain by DKIM
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    "#);
    let told = notes_of(&mut world, |seen| seen.identity = Observed::Unavailable(denied));
    assert_eq!(told, [""; 0], "once");
    // The provider's part has a fault of its own.
    let outage = fault(Reason::AWSUnavailable, ErrorClass::Transient { retry_after: None });
    let told = notes_of(&mut world, |seen| {
        seen.identity = Observed::Unavailable(outage);
        seen.zone = Observed::Unavailable(fault(Reason::SecretNotFound, ErrorClass::Terminal));
    });
    assert_eq!(told, ["! SecretNotFound: What to do next."]);
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
    world.pass();
    assert!(world.condition("IdentityReady").starts_with("True"), "{}", world.summary());
}

#[test]
fn f4_a_suspended_account_sends_nothing() {
    let mut world = verified();
    let suspended = fault(Reason::AWSAccountSuspended, ErrorClass::Terminal);
    let told = notes_of(&mut world, |seen| seen.identity = Observed::Unavailable(suspended));
    assert_eq!(told, ["! AWSAccountSuspended: What to do next."]);
    assert!(world.condition("Stalled").starts_with("True AWSAccountSuspended"), "{}", world.summary());
    world.pass();
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
}

/// The generations that status and its conditions speak of.
fn generations(world: &World) -> Vec<i64> {
    let of_conditions = world.status.conditions.iter().filter_map(|c| c.observed_generation);
    let mut all: Vec<i64> = of_conditions.chain([world.status.observed_generation]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn a11_a_spec_that_nobody_could_act_on_is_not_taken_for_ready() {
    let mut world = verified();
    world.generation = 2;
    let outage = fault(Reason::AWSUnavailable, ErrorClass::Transient { retry_after: None });
    see(&mut world, |seen| seen.identity = Observed::Unavailable(outage.clone()));
    assert_eq!(generations(&world), [1]);
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
    world.pass();
    assert_eq!(generations(&world), [2]);

    // One that was not Ready follows, for it says that it is on its way.
    let mut world = waiting();
    world.generation = 2;
    see(&mut world, |seen| seen.identity = Observed::Unavailable(outage));
    assert_eq!(generations(&world), [2]);
}

#[test]
fn advice_stands_while_ses_cannot_be_asked() {
    let mut world = verified();
    let advice = vec![Recommendation { code: "PublishDMARC".to_owned(), message: "Publish one.".to_owned() }];
    world.status.recommendations.clone_from(&advice);
    let outage = fault(Reason::AWSUnavailable, ErrorClass::Transient { retry_after: None });
    see(&mut world, |seen| seen.identity = Observed::Unavailable(outage));
    assert_eq!(world.status.recommendations, advice);
    see(&mut world, |_| {});
    assert!(world.status.recommendations.is_empty(), "it was asked again");
}

/// SES has looked at a zone of another primary name server, and found nothing there.
fn not_found(seen: &mut Observation, source: Source) {
    let Observed::Known(Some(identity)) = &mut seen.identity else { return };
    identity.error = Some("HOST_NOT_FOUND".to_owned());
    identity.zone_seen = Some(ZoneSeen { primary: DnsName::new("ns.old.example"), serial: 1 });
    let apex = DnsName::new("example.com");
    let primary = DnsName::new("ns.new.example");
    seen.evidence.zone = Some(Ok(ZoneCut { apex, servers: Vec::new(), primary, serial: 2 }));
    seen.lookups.values_mut().for_each(|lookup| lookup.source = source);
}

#[test]
fn what_ses_saw_is_compared_only_with_what_name_servers_answer() {
    let told = |source, dns_check| {
        let mut world = World::new(cloudflare());
        world.settle();
        see(&mut world, |seen| {
            not_found(seen, source);
            seen.dns_check = dns_check;
        });
        (world.status.records[0].message.clone().unwrap_or_default(), world.condition("DKIMVerified"))
    };
    let (record, condition) = told(Source::Authoritative, true);
    assert!(record.starts_with("The name servers answer it right. SES said HOST_NOT_FOUND"), "{record}");
    assert!(condition.contains("the zone is now served by ns.new.example"), "{condition}");
    let (record, condition) = told(Source::Recursive, true);
    assert_eq!(record, "");
    assert!(condition.contains("HOST_NOT_FOUND") && !condition.contains("ns.new.example"), "{condition}");
    assert!(!told(Source::Authoritative, false).1.contains("ns.new.example"));
}

#[test]
fn e1_how_a_name_server_does_not_answer_is_no_news() {
    let mut world = verified();
    let errors = [LookupErrorKind::TimedOut, LookupErrorKind::Unreachable, LookupErrorKind::Rcode(2)];
    let told = errors.map(|kind| {
        see(&mut world, |seen| {
            for lookup in seen.lookups.values_mut() {
                let server = DnsName::new("ns2.dns-host.example");
                let answer = Answer::Unknown(LookupError::of_server(kind, &server));
                lookup.servers_asked = 2;
                lookup.by_server = vec![ServerAnswer { server, answer, again: true }];
            }
        });
        world.status.records.clone()
    });
    assert_snapshot!(told[0][0].message.clone().unwrap_or_default(), @"Answered right by 1 of 2 name servers; have the DNS provider mend the others, which do not answer it: ns2.dns-host.example");
    assert!(told.iter().all(|records| *records == told[0]));
}

#[test]
fn e10_who_sees_only_an_internal_zone_is_told_to_ask_ses_again_once_it_has_failed() {
    let told = |status: SesStatus| {
        let mut world = World::new(cloudflare());
        world.settle();
        see(&mut world, |seen| {
            let Observed::Known(Some(identity)) = &mut seen.identity else { return };
            identity.error = Some("HOST_NOT_FOUND".to_owned());
            identity.dkim.status = status;
            for lookup in seen.lookups.values_mut() {
                lookup.source = Source::Recursive;
                lookup.instead = Some(LookupErrorKind::PrivateServers);
            }
        });
        let record = &world.status.records[0];
        (record.cause.clone().unwrap_or_default(), record.message.clone().unwrap_or_default())
    };
    let (cause, message) = told(SesStatus::Failed);
    assert_eq!(cause, "SplitHorizon");
    assert!(message.ends_with("set the annotation sendingdomain.dev/reconcile-at then"), "{message}");
    let (cause, message) = told(SesStatus::Pending);
    assert_eq!(cause, "SplitHorizon");
    assert!(!message.contains("reconcile-at"), "SES looks again by itself: {message}");
}

#[test]
fn d8_e10_what_an_internal_zone_says_of_dmarc_is_no_advice() {
    let told = |instead: Option<LookupErrorKind>, own: Answer, consent: Answer| {
        let mut world = verified();
        let lookup = |answer| Lookup { answer, instead, ..Lookup::too_late() };
        see(&mut world, |seen| {
            let (host, name) =
                (DnsName::new("example.net"), DnsName::new("mail.example.com._report._dmarc.example.net"));
            let reports = vec![ReportConsent { host, name, lookup: lookup(consent.clone()) }];
            seen.evidence.dmarc = Some(DmarcView { own: lookup(own.clone()), alias: None, inherited: None, reports });
        });
        world.status.recommendations.iter().map(|r| r.code.clone()).collect::<Vec<_>>()
    };
    let txt = |text: &str| Answer::Records(vec![txt(text)]);
    let discarded = || txt("v=dmarc1; p=none");
    let internal = Some(LookupErrorKind::PrivateServers);
    for consent in [Answer::NxDomain, Answer::NoData, txt("no")] {
        assert!(told(internal, discarded(), consent.clone()).is_empty(), "{consent:?}");
        assert_eq!(told(None, discarded(), consent), ["PublishDMARC", "DMARCInvalid", "DMARCReportNotAuthorised"]);
    }
    // Tags have names of either case, the version has not.
    let good = || txt("v=DMARC1; p=reject");
    assert_eq!(told(None, good(), txt("V = DMARC1;")), ["DMARCPolicyInForce"]);
    assert_eq!(told(None, good(), txt("v=dmarc1")), ["DMARCPolicyInForce", "DMARCReportNotAuthorised"]);
}

#[test]
fn a_write_that_fails_is_the_reason() {
    let mut world = World::new(cloudflare());
    world.pass();
    let seen = world.observe();
    let plan = world.plan_for(&seen);
    let faults = vec![(Step::Records, fault(Reason::RecordWriteDenied, ErrorClass::Terminal))];
    world.report(&seen, &plan, &Outcome { faults, ..Outcome::default() });
    assert_snapshot!(world.condition("Ready"), @"False RecordWriteDenied: What to do next.");
}

#[test]
fn what_was_found_instead_is_shown() {
    let mut world = waiting();
    world.records = vec![
        record("1", "bounce.mail.example.com", mx(5, "mx.example.net"), None),
        record("2", "bounce.mail.example.com", txt("v=spf1 include:example.net\u{1b}[31m -all"), None),
    ];
    world.pass();
    let records: Vec<String> = world
        .status
        .records
        .iter()
        .map(|r| {
            format!(
                "{} {} {:?} {:?}: {}",
                r.record_type,
                r.name,
                r.state,
                r.observed,
                r.message.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_snapshot!(records.join("\n"), @r#"
    CNAME aaa._domainkey.mail.example.com Missing []: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    CNAME bbb._domainkey.mail.example.com Missing []: Not at the domain's name servers yet: add a CNAME record of this name with the value bbb.dkim.amazonses.com
    CNAME ccc._domainkey.mail.example.com Missing []: Not at the domain's name servers yet: add a CNAME record of this name with the value ccc.dkim.amazonses.com
    TXT bounce.mail.example.com Incorrect ["v=spf1 include:example.net\\u{1b}[31m -all"]: Add include:amazonses.com to the SPF record, before its last term, for example v=spf1 include:amazonses.com -all
    MX bounce.mail.example.com Incorrect ["5 mx.example.net"]: Change the MX record to 10 feedback-smtp.us-east-1.amazonses.com: SES accepts no other mail exchanger there
    "#);
}

#[test]
fn suspending_keeps_what_is_ready_and_ends_what_is_under_way() {
    let mut world = waiting();
    world.status = status::suspended(&world.status, 2, world.now);
    assert_snapshot!(world.summary(), @r#"
    Some(Pending), records Some("0/5")
    Ready = False WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    IdentityReady = True Synced: SES has the identity in us-east-1
    DNSVerified = False WaitingForDNS: 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com
    DKIMVerified = False WaitingForDNS: SES verifies DKIM once its records are in DNS; see .status.records
    MailFromVerified = False WaitingForDNS: SES verifies MAIL FROM once its records are in DNS; see .status.records
    "#);
    world.status = status::suspended(&SendingDomainStatus::default(), 1, world.now);
    assert_snapshot!(world.summary(), @"
    Some(Pending), records None
    Ready = False Suspended: Suspended before the first reconciliation; set spec.suspend to false to begin
    ");
}

/// The events of the next pass, as `type reason: message`.
/// The notes of a pass in which the world is seen so and nothing is done.
fn notes_of(world: &mut World, change: impl FnOnce(&mut Observation)) -> Vec<String> {
    let old = world.status.clone();
    see(world, change);
    let notes = status::events::between(&old, &world.status, &Outcome::default());
    notes.iter().map(|n| format!("{}{}: {}", if n.warning { "! " } else { "" }, n.reason, n.message)).collect()
}

fn notes_of_a_pass(world: &mut World) -> Vec<String> {
    let seen = world.observe();
    let plan = world.plan_for(&seen);
    let outcome = Outcome { done: plan.actions.clone(), ..Outcome::default() };
    let old = world.status.clone();
    world.pass();
    let done = status::events::of_actions(&old, &outcome);
    let turned = status::events::between(&old, &world.status, &outcome);
    let notes: Vec<_> = done.into_iter().chain(turned).collect();
    notes.iter().map(|n| format!("{}{}: {}", if n.warning { "! " } else { "" }, n.reason, n.message)).collect()
}

#[test]
fn that_a_quarter_of_the_time_is_left_is_told_once() {
    let mut world = waiting();
    world.after(53);
    assert_eq!(notes_of_a_pass(&mut world), [""; 0]);
    world.after(1);
    let told = notes_of_a_pass(&mut world);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_snapshot!(told[0], @"! DeadlineNear: Three quarters of the time for the verification have passed; it counts as failed from 2026-11-26T10:00:00Z. 5 of 5 required records are not right in DNS yet, which usually takes 15 to 30 minutes, at most 48 hours. CNAME aaa._domainkey.mail.example.com: Not at the domain's name servers yet: add a CNAME record of this name with the value aaa.dkim.amazonses.com");
    world.after(1);
    assert_eq!(notes_of_a_pass(&mut world), [""; 0], "also after a restart, for status remembers");
}

#[test]
fn a_verification_that_is_taken_up_again_has_its_whole_time_and_its_own_warning() {
    let mut world = World::new(cloudflare());
    world.settle();
    world.after(72);
    world.identity.as_mut().unwrap().verification = Some(SesStatus::Failed);
    world.pass();
    let attempt = world.status.verification.clone().unwrap();
    assert_eq!((attempt.rearms, attempt.started_at.0, attempt.warned_at), (1, world.now, None));
    assert_eq!(attempt.deadline.0.duration_since(world.now).as_hours(), 72);
    world.pass();
    world.after(60);
    let told = notes_of_a_pass(&mut world);
    assert!(told.iter().any(|note| note.starts_with("! DeadlineNear")), "{told:?}");
}

#[test]
fn f7_an_identity_that_somebody_has_deleted_is_told_of_once() {
    let mut world = verified();
    world.identity = None;
    let told = notes_of_a_pass(&mut world);
    assert!(!told.iter().any(|note| note.starts_with("! Progressing")), "{told:?}");
    assert_snapshot!(told.join("\n"), @"
    IdentityCreated: Created the SES identity
    ! IdentityLost: Somebody has deleted the SES identity, so another was created. It has new DKIM tokens: nothing can be sent from the domain until the new records are in DNS and SES has verified them
    ");
    assert_snapshot!(world.condition("Ready"), @"False Progressing: Under way: create the SES identity");
    let told = notes_of_a_pass(&mut world);
    assert!(!told.iter().any(|note| note.contains("IdentityLost")), "{told:?}");
    assert_eq!(world.records.len(), 8, "the old records go after the new ones are in use");
}

#[test]
fn f8_a_search_that_ses_does_not_take_up_within_an_hour_is_refused() {
    let mut world = verified();
    let fail = |world: &mut World| world.identity.as_mut().unwrap().verification = Some(SesStatus::Failed);
    let ready = |world: &World| world.condition("DKIMVerified");
    fail(&mut world);
    world.pass();
    fail(&mut world);
    world.pass();
    assert!(ready(&world).starts_with("False VerificationFailed"), "{}", ready(&world));
    world.after(1);
    world.pass();
    assert!(ready(&world).starts_with("False RearmRefused"), "{}", ready(&world));
    // The next tries are none that SES has taken.
    fail(&mut world);
    world.pass();
    assert_eq!(world.status.verification.as_ref().unwrap().rearms, 2);
    assert!(ready(&world).starts_with("False RearmRefused"), "{}", ready(&world));
}

/// Fails everything that SES can fail.
fn fail_all(world: &mut World) {
    let Some(identity) = &mut world.identity else { return };
    (identity.verification, identity.dkim.status) = (Some(SesStatus::Failed), SesStatus::Failed);
    if let Some(mail_from) = &mut identity.mail_from {
        mail_from.status = SesStatus::Failed;
    }
}

#[test]
fn f8_the_part_that_could_not_be_asked_for_with_the_other_is_not_put_off_for_an_hour() {
    let mut world = verified();
    fail_all(&mut world);
    let seen = world.observe();
    let plan = world.plan_for(&seen);
    let [Action::RestartDkim, Action::SetMailFrom { .. }] = &plan.actions[..] else { panic!("{plan}") };
    let full = fault(Reason::WaitingForSESBudget, ErrorClass::Transient { retry_after: None });
    world.perform(&plan.actions[0]);
    let outcome =
        Outcome { done: vec![Action::RestartDkim], faults: vec![(Step::MailFrom, full)], ..Outcome::default() };
    world.report(&seen, &plan, &outcome);
    world.now += SignedDuration::from_secs(5);
    let begun = world.status.verification.clone().unwrap();
    let plan = world.pass();
    assert!(matches!(&plan.actions[..], [Action::SetMailFrom { .. }]), "{plan}");
    let attempt = world.status.verification.clone().unwrap();
    assert_eq!((attempt.rearms, &attempt.started_at), (1, &begun.started_at), "it is one attempt");
    // An hour after each was asked for, and not before, it counts as refused.
    fail_all(&mut world);
    world.now = begun.started_at.0 + SignedDuration::from_secs(3601);
    world.pass();
    assert!(world.condition("DKIMVerified").starts_with("False RearmRefused"), "{}", world.summary());
    assert!(world.condition("MailFromVerified").starts_with("False VerificationFailed"), "{}", world.summary());
}

#[test]
fn f8_another_behaviour_of_mail_from_puts_off_no_search_for_dkim() {
    let mut world = verified();
    fail_all(&mut world);
    world.spec.mail_from.on_mx_failure = OnMxFailure::RejectMessage;
    let silent = |seen: &mut Observation| seen.lookups.values_mut().for_each(|l| l.answer = Answer::NxDomain);
    let mut seen = world.observe();
    silent(&mut seen);
    let plan = world.plan_for(&seen);
    assert!(matches!(&plan.actions[..], [Action::SetMailFrom { .. }]), "{plan}");
    world.perform(&plan.actions[0]);
    world.report(&seen, &plan, &Outcome { done: plan.actions.clone(), ..Outcome::default() });
    world.now += SignedDuration::from_mins(5);
    assert_eq!(world.pass().actions, [Action::RestartDkim]);
}

#[test]
fn after_the_deadline_a_verification_begins_again_once_dns_is_right_or_somebody_asks() {
    let mut world = waiting();
    world.after(72);
    world.pass();
    assert_eq!(world.status.phase, Some(Phase::Failed));
    world.after(1);
    world.spec = cloudflare();
    world.settle();
    let attempt = world.status.verification.clone().unwrap();
    assert_eq!((world.status.phase, attempt.started_at.0, attempt.rearms), (Some(Phase::Pending), world.now, 0));

    // DNS was right all the while: SES takes its time, and only a person can say that it shall count anew.
    world.after(72);
    world.pass();
    assert_eq!(world.status.phase, Some(Phase::Failed));
    world.pass();
    assert_eq!(world.status.phase, Some(Phase::Failed));
    world.reconcile_requested = true;
    assert_eq!(world.pass().actions, [], "SES has nothing to be asked for");
    let attempt = world.status.verification.clone().unwrap();
    assert_eq!((world.status.phase, attempt.started_at.0), (Some(Phase::Pending), world.now));
}

#[test]
fn a_verified_domain_that_stays_broken_is_stalled_after_a_grace_and_recovers() {
    let mut world = verified();
    let without_spf = |seen: &mut Observation| {
        let spf = seen
            .lookups
            .iter_mut()
            .find(|((name, kind), _)| name.as_str() == "bounce.mail.example.com" && *kind == RecordType::Txt);
        spf.unwrap().1.answer = Answer::NxDomain;
    };
    for (hours, phase, kind) in
        [(0, Phase::Pending, "Reconciling"), (71, Phase::Pending, "Reconciling"), (1, Phase::Failed, "Stalled")]
    {
        world.after(hours);
        see(&mut world, without_spf);
        assert_eq!(world.status.phase, Some(phase), "{}", world.summary());
        assert!(world.condition(kind).starts_with("True"), "{}", world.summary());
    }
    assert!(
        world.condition("Ready").contains("has not been so for longer than spec.verificationTimeout"),
        "{}",
        world.summary()
    );
    world.pass();
    assert_eq!(world.status.phase, Some(Phase::Verified), "{}", world.summary());
}

#[test]
fn e7_the_order_in_which_ses_lists_its_tokens_starts_no_clock() {
    let mut world = verified();
    let begun = world.status.verification.clone();
    world.after(1);
    world.identity.as_mut().unwrap().dkim.tokens.reverse();
    world.pass();
    assert_eq!(world.status.verification, begun);
    // For a moment SES does not list all.
    let last = world.identity.as_mut().unwrap().dkim.tokens.pop().unwrap();
    world.pass();
    world.identity.as_mut().unwrap().dkim.tokens.push(last);
    world.pass();
    assert_eq!(world.status.verification, begun);
    world.identity.as_mut().unwrap().dkim.tokens[0] = "ddd".to_owned();
    world.pass();
    assert_ne!(world.status.verification.as_ref().map(|v| &v.started_at), begun.as_ref().map(|v| &v.started_at));
}

#[test]
fn what_ses_verifies_and_does_not_let_send_is_told() {
    let mut world = verified();
    world.identity.as_mut().unwrap().verified_for_sending = false;
    world.pass();
    assert!(world.condition("Ready").contains("does not let it send"), "{}", world.summary());
}

#[test]
fn f8_re_arms_come_less_and_less_often() {
    let mut world = verified();
    let mut hours = Vec::new();
    for hour in 0..120 {
        world.identity.as_mut().unwrap().verification = Some(SesStatus::Failed);
        let plan = world.pass();
        if plan.to_string().contains("look for the DKIM records again") {
            hours.push(hour);
        }
        world.after(1);
    }
    assert_eq!(hours, [0, 1, 3, 7, 15, 31, 55, 79, 103]);
}

#[test]
fn f10_what_ses_never_said_before_is_waited_for() {
    let mut world = verified();
    let identity = world.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::parse("UNDER_REVIEW"));
    identity.dkim.hosted_zone = None;
    world.pass();
    assert_snapshot!(world.condition("Ready"), @"False WaitingForSES: The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours");
    assert_eq!(world.status.identity.as_ref().unwrap().verification_status.as_deref(), Some("UNDER_REVIEW"));
}

#[test]
fn what_ses_missed_when_it_looked_last_is_told_once_the_records_are_there() {
    let mut world = verified();
    let identity = world.identity.as_mut().unwrap();
    identity.verification = Some(SesStatus::Pending);
    identity.dkim.status = SesStatus::Pending;
    identity.error = Some("HOST_NOT_FOUND".to_owned());
    world.pass();
    assert_snapshot!(world.condition("DKIMVerified"), @"False WaitingForSES: The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours. SES said HOST_NOT_FOUND when it looked last, and looks again by itself");
    world.records.clear();
    world.pass();
    assert!(!world.condition("DKIMVerified").contains("HOST_NOT_FOUND"), "{}", world.summary());
}

#[test]
fn f12_mail_from_can_fail_alone() {
    let mut world = verified();
    world.identity.as_mut().unwrap().mail_from.as_mut().unwrap().status = SesStatus::Failed;
    world.records.retain(|r| r.record_type != "MX");
    let summary = see(&mut world, |_| {});
    assert!(summary.contains("DKIMVerified = True"), "{summary}");
    assert!(summary.contains("MailFromVerified = False VerificationFailed"), "{summary}");
    assert!(summary.starts_with("Some(Failed)"), "{summary}");
}

#[test]
fn while_keys_are_changed_the_domain_is_not_ready_and_says_why() {
    let mut world = verified();
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    world.settle();
    assert_snapshot!(world.summary(), @r#"
    Some(Pending), records Some("5/5")
    Ready = False WaitingForSES: The DKIM keys are new, and SES keeps the domain verified meanwhile. The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    IdentityReady = True Synced: SES has the identity in us-east-1
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = False WaitingForSES: The DKIM keys are new, and SES keeps the domain verified meanwhile. The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    MailFromVerified = True Verified: SES has verified the MAIL FROM domain bounce.mail.example.com
    Reconciling = True WaitingForSES: The DKIM keys are new, and SES keeps the domain verified meanwhile. The DKIM records are in DNS; SES looks by itself, usually within 15 to 30 minutes, at most 72 hours
    "#);
}

#[test]
fn what_waits_for_its_turn_before_ses_does_not_end_ready() {
    let mut world = verified();
    world.spec.ses.tags = [("team".to_owned(), TagValue("mail".to_owned()))].into();
    world.spec.ses.dkim_key_length = Some(DkimKeyLength::Rsa1024);
    let seen = world.observe();
    let mut plan = world.plan_for(&seen);
    assert_eq!(plan.actions.len(), 2, "{plan}");
    plan.put_off(|_| false);
    world.generation = 2;
    world.report(&seen, &plan, &Outcome::default());
    assert_eq!(generations(&world), [1], "the change is not made yet");
    assert!(plan.actions.is_empty() && world.condition("Ready").starts_with("True"), "{}", world.summary());

    // The reading had its turn, and the second write has none.
    let plan = world.plan_for(&seen);
    let full = fault(Reason::WaitingForSESBudget, ErrorClass::Transient { retry_after: None });
    let faults = vec![(Step::Attributes, full.clone()), (Step::Keys, full)];
    world.report(&seen, &plan, &Outcome { faults, ..Outcome::default() });
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
    assert_eq!(generations(&world), [1]);
    world.settle();
    assert_eq!(generations(&world), [2]);
}

#[test]
fn tags_and_configuration_sets_that_could_be_set_do_not_end_ready() {
    let mut world = verified();
    world.spec.ses.tags = [("team".to_owned(), TagValue("mail".to_owned()))].into();
    world.spec.ses.configuration_set = Some("marketing".to_owned());
    let told = notes_of_a_pass(&mut world);
    assert!(world.condition("Ready").starts_with("True"), "{}", world.summary());
    assert_snapshot!(told.join("\n"), @"
    TagsChanged: Changed the SES identity: set the tags sendingdomain.dev/configuration-set, sendingdomain.dev/managed-tags, team
    ConfigurationSetChanged: Changed the SES identity: set the configuration set marketing
    ");
}

#[test]
fn a_deletion_that_waits_tells_that_the_identity_is_gone() {
    let mut world = verified();
    world.status = status::cleanup_blocked(&world.status, 2, "Deletion waits.", true, world.now);
    assert_snapshot!(world.summary(), @r#"
    Some(Pending), records Some("5/5")
    Ready = False CleanupBlocked: Deletion waits.
    IdentityReady = False TakenAway: SES does not have the identity any more
    RecordsSynced = True Synced: All records are in the Cloudflare zone example.com
    DNSVerified = True Verified: All 5 required records are in DNS
    DKIMVerified = False TakenAway: SES does not have the identity any more
    MailFromVerified = False TakenAway: SES does not have the identity any more
    Reconciling = True CleanupBlocked: Deletion waits.
    "#);
}

#[test]
fn a_forged_clock_neither_fails_a_domain_nor_holds_it_up() {
    let mut world = waiting();
    let created = world.now;
    world.after(1);
    let day = SignedDuration::from_hours(24);
    for (forged, believed) in [(created - day * 2000, created), (world.now + day * 2000, world.now)] {
        let attempt = world.status.verification.as_mut().unwrap();
        (attempt.started_at.0, attempt.deadline.0) = (forged, forged + day);
        world.status = plan::rearm::believed(world.status, created, day, world.now);
        world.pass();
        let attempt = world.status.verification.as_ref().unwrap();
        assert_eq!(attempt.started_at.0, believed);
        assert_eq!(format!("{:?}", world.status.phase), "Some(Pending)");
    }
}

#[test]
fn without_look_ups_nobody_claims_what_nobody_saw() {
    let mut world = World::new(manual());
    world.settle();
    let summary = see(&mut world, |seen| {
        seen.dns_check = false;
        seen.lookups.clear();
    });
    let records: Vec<&str> = world.status.records.iter().filter_map(|r| r.message.as_deref()).collect();
    assert_snapshot!(format!("{summary}\n{}", records.join("\n")), @r#"
    Some(Pending), records Some("0/5")
    Ready = False WaitingForSES: Look-ups are switched off by --dns-check off, so SES alone judges: once the DKIM records of .status.records are in DNS, SES finds them by itself, usually within 15 to 30 minutes, at most 72 hours
    IdentityReady = True Synced: SES has the identity in us-east-1
    DNSVerified = Unknown CheckDisabled: Look-ups are switched off by --dns-check off
    DKIMVerified = False WaitingForSES: Look-ups are switched off by --dns-check off, so SES alone judges: once the DKIM records of .status.records are in DNS, SES finds them by itself, usually within 15 to 30 minutes, at most 72 hours
    MailFromVerified = False WaitingForSES: Look-ups are switched off by --dns-check off, so SES alone judges: once the MAIL FROM records of .status.records are in DNS, SES finds them by itself, usually within 15 to 30 minutes, at most 72 hours
    Reconciling = True WaitingForSES: Look-ups are switched off by --dns-check off, so SES alone judges: once the DKIM records of .status.records are in DNS, SES finds them by itself, usually within 15 to 30 minutes, at most 72 hours
    Not looked up (--dns-check off); DNS needs a record of this name and of the type CNAME with the value aaa.dkim.amazonses.com
    Not looked up (--dns-check off); DNS needs a record of this name and of the type CNAME with the value bbb.dkim.amazonses.com
    Not looked up (--dns-check off); DNS needs a record of this name and of the type CNAME with the value ccc.dkim.amazonses.com
    Not looked up (--dns-check off); DNS needs a record of this name and of the type TXT with the value v=spf1 include:amazonses.com ~all
    Not looked up (--dns-check off); DNS needs a record of this name and of the type MX with the value 10 feedback-smtp.us-east-1.amazonses.com
    "#);
    let failed = see(&mut world, |seen| {
        (seen.dns_check, seen.lookups) = (false, Lookups::new());
        if let Observed::Known(Some(identity)) = &mut seen.identity {
            identity.verification = Some(SesStatus::Failed);
        }
    });
    assert!(failed.contains("set the annotation sendingdomain.dev/reconcile-at"), "{failed}");
}

#[test]
fn a_re_arm_that_changed_nothing_yet_is_told_with_its_times() {
    let mut world = verified();
    let fail = |world: &mut World| {
        let identity = world.identity.as_mut().unwrap();
        (identity.verification, identity.dkim.status) = (Some(SesStatus::Failed), SesStatus::Failed);
    };
    fail(&mut world);
    world.pass();
    fail(&mut world);
    world.now += SignedDuration::from_secs(30);
    world.pass();
    assert_snapshot!(world.condition("DKIMVerified"), @"False VerificationFailed: SES was asked at 2026-11-23T10:00:00Z to look for the DKIM records again, and still says FAILED; it is asked again at 2026-11-23T11:00:00Z if DNS is right then, or when the annotation sendingdomain.dev/reconcile-at is set");
    world.reconcile_requested = true;
    world.now += SignedDuration::from_secs(30);
    assert_eq!(world.pass().actions, [Action::RestartDkim]);
}

#[test]
fn records_that_are_missing_are_told_before_the_tokens_come() {
    let mut world = World::new(manual());
    world.settle();
    let summary = see(&mut world, |seen| {
        if let Observed::Known(Some(identity)) = &mut seen.identity {
            identity.dkim.tokens.clear();
        }
    });
    assert!(summary.contains("DNSVerified = False WaitingForDNS: 2 of 5 required records"), "{summary}");
}

#[test]
fn the_records_of_a_deleted_identity_are_not_shown() {
    let mut world = verified();
    world.recreate_at = Some("1".to_owned());
    assert_eq!(world.pass().actions, [Action::DeleteIdentity]);
    assert_eq!(world.status.records, []);
    assert!(world.condition("DNSVerified").starts_with("Unknown"), "{}", world.summary());
}
