//! What holds for every world: the plan converges, a second pass writes nothing, nobody else's records or identities are
//! touched, the order of answers does not matter, and what is unknown never leads to a write.

mod support;

use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseError;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{DeletionPolicy, IdentityOrigin, Phase};
use sending_domain_operator::dns::cloudflare::{Change, ZoneRecord};
use sending_domain_operator::dns::lookup::{Answer, LookupError, LookupErrorKind};
use sending_domain_operator::dns::record::RecordData;
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Fault, Observed};
use sending_domain_operator::plan::Action;
use sending_domain_operator::plan::records::is_ours;
use sending_domain_operator::plan::teardown::{Patience, Release};
use sending_domain_operator::ses::identity::{Identity, MailFrom, SesStatus};
use support::{
    Asked, OTHER_SECRET, World, cloudflare, cname, external_dns, identity, manual, mark, mx, other_account, record, txt,
};

/// Names at which records of ours, or in their way, can be.
const NAMES: [&str; 7] = [
    "aaa._domainkey.mail.example.com",
    "bbb._domainkey.mail.example.com",
    "old._domainkey.mail.example.com",
    "bounce.mail.example.com",
    "former.mail.example.com",
    "_dmarc.mail.example.com",
    "mail.example.com",
];

fn data() -> impl Strategy<Value = RecordData> {
    prop_oneof![
        select(vec!["aaa.dkim.amazonses.com", "bbb.dkim.amazonses.com", "elsewhere.example.net"]).prop_map(cname),
        (select(vec![10_u16, 20]), select(vec!["feedback-smtp.us-east-1.amazonses.com", "mx.example.net"]))
            .prop_map(|(priority, host)| mx(priority, host)),
        select(vec![
            "v=spf1 include:amazonses.com ~all",
            "v=spf1 include:example.net -all",
            "v=DMARC1; p=none",
            "v=DMARC1; p=reject",
            "unrelated=1",
        ])
        .prop_map(txt),
    ]
}

fn zone_record() -> impl Strategy<Value = ZoneRecord> {
    let comments =
        vec![None, Some("by hand".to_owned()), Some(mark().comment()), Some(format!("{} (mail)", mark().comment()))];
    (any::<u32>(), select(NAMES.to_vec()), data(), select(comments), prop::bool::weighted(0.1)).prop_map(
        |(id, name, data, comment, proxied)| ZoneRecord {
            proxied: proxied && matches!(data, RecordData::Cname(_)),
            ..record(&format!("r{id}"), name, data, comment)
        },
    )
}

fn ses_status() -> impl Strategy<Value = SesStatus> {
    select(vec![
        SesStatus::Pending,
        SesStatus::Success,
        SesStatus::Failed,
        SesStatus::TemporaryFailure,
        SesStatus::Other("NEW".to_owned()),
    ])
}

fn some_identity() -> impl Strategy<Value = Option<Identity>> {
    let tags = select(vec![
        mark().tags(IdentityOrigin::Created, None),
        mark().tags(IdentityOrigin::Adopted, None),
        sending_domain_operator::ownership::Mark::new("elsewhere", "n", "x").tags(IdentityOrigin::Created, None),
        std::collections::BTreeMap::new(),
    ]);
    let mail_from =
        prop::option::of((select(vec!["bounce.mail.example.com", "former.mail.example.com"]), ses_status()));
    let known = (tags, mail_from, ses_status(), any::<bool>(), subsequence(vec!["aaa", "bbb", "ccc"], 0..=3)).prop_map(
        |(tags, mail_from, status, signing, tokens)| {
            let mut identity = Identity { tags, verification: Some(status.clone()), ..identity() };
            identity.verified_for_sending = status == SesStatus::Success;
            identity.dkim.status = status;
            identity.dkim.signing_enabled = signing;
            identity.dkim.tokens = tokens.into_iter().map(str::to_owned).collect();
            identity.mail_from = mail_from.map(|(domain, status)| MailFrom {
                domain: domain.to_owned(),
                status,
                on_mx_failure: sending_domain_operator::api::v1alpha1::OnMxFailure::UseDefaultValue,
            });
            identity
        },
    );
    prop::option::weighted(0.8, known)
}

fn world() -> impl Strategy<Value = World> {
    let records = prop::collection::vec(zone_record(), 0..12);
    (any::<bool>(), prop::bool::weighted(0.4), some_identity(), records).prop_map(
        |(managed, dmarc, identity, records)| {
            let mut world = World::new(if managed { cloudflare() } else { manual() });
            world.spec.dmarc = dmarc.then(Default::default);
            world.identity = identity;
            for record in records {
                if world.records.iter().all(|r| r.id != record.id) {
                    world.records.push(record);
                }
            }
            world
        },
    )
}

/// What happens to a domain, in any order.
#[derive(Clone, Debug)]
enum Turn {
    /// The user wants the records elsewhere.
    Want(Option<sending_domain_operator::api::v1alpha1::DnsSpec>),
    /// The world asks somebody else.
    Ask(Asked),
    /// A Secret is gone.
    Lose(&'static str),
    /// All Secrets are back.
    Find,
    Dmarc(bool),
    Subdomain(&'static str),
    Retain(bool),
    Suspend(bool),
    Recreate(&'static str),
    Pass,
    /// A pass that ends after so many writes.
    Crash(usize),
    SesLooks,
}

fn turn() -> impl Strategy<Value = Turn> {
    let places = vec![manual().dns, cloudflare().dns, other_account().dns, external_dns().dns];
    prop_oneof![
        3 => select(places).prop_map(Turn::Want),
        2 => select(vec![Asked::Zone, Asked::Other, Asked::Elsewhere]).prop_map(Turn::Ask),
        1 => select(vec!["cloudflare", OTHER_SECRET]).prop_map(Turn::Lose),
        1 => Just(Turn::Find),
        1 => any::<bool>().prop_map(Turn::Dmarc),
        1 => select(vec!["bounce", "returns"]).prop_map(Turn::Subdomain),
        1 => any::<bool>().prop_map(Turn::Retain),
        1 => any::<bool>().prop_map(Turn::Suspend),
        1 => select(vec!["one", "two"]).prop_map(Turn::Recreate),
        6 => Just(Turn::Pass),
        2 => (0_usize..4).prop_map(Turn::Crash),
        2 => Just(Turn::SesLooks),
    ]
}

/// Takes one turn. No pass may take from the world what SES uses, whatever else happens.
fn take(world: &mut World, turn: Turn) -> Result<(), TestCaseError> {
    match turn {
        Turn::Want(dns) => world.spec.dns = dns,
        Turn::Ask(asked) => world.asked = asked,
        Turn::Lose(secret) => world.lost_secrets.push(secret.to_owned()),
        Turn::Find => world.lost_secrets.clear(),
        Turn::Dmarc(wanted) => world.spec.dmarc = wanted.then(Default::default),
        Turn::Subdomain(label) => label.clone_into(&mut world.spec.mail_from.subdomain),
        Turn::Retain(retain) => {
            world.spec.deletion_policy = if retain { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        }
        Turn::Suspend(suspend) => world.spec.suspend = suspend,
        Turn::Recreate(value) => world.recreate_at = Some(value.to_owned()),
        Turn::Pass => passes(world, usize::MAX)?,
        Turn::Crash(writes) => passes(world, writes)?,
        Turn::SesLooks => world.ses_looks(),
    }
    Ok(())
}

fn passes(world: &mut World, writes: usize) -> Result<(), TestCaseError> {
    let (served, tokens) = (world.serves_what_ses_uses(), tokens(world));
    let plan = world.interrupted_pass(writes);
    let recreated = tokens != self::tokens(world);
    prop_assert!(!served || recreated || world.serves_what_ses_uses(), "live mail broke by: {plan}{world:#?}");
    Ok(())
}

fn tokens(world: &World) -> Option<Vec<String>> {
    world.identity.as_ref().map(|identity| identity.dkim.tokens.clone())
}

/// A domain at the place that the world asks.
fn domain() -> impl Strategy<Value = World> {
    select(vec![
        (cloudflare(), Asked::Zone),
        (other_account(), Asked::Other),
        (external_dns(), Asked::Elsewhere),
        (manual(), Asked::Zone),
    ])
    .prop_map(|(spec, asked)| {
        let mut world = World { asked, endpoint: Observed::Known(None), ..World::new(spec) };
        world.run_to_the_end();
        world
    })
}

/// How many records of ours a zone has.
fn marked(records: &[ZoneRecord]) -> usize {
    records.iter().filter(|r| is_ours(r, &mark())).count()
}

fn foreign(records: &[ZoneRecord]) -> Vec<ZoneRecord> {
    let mut foreign: Vec<ZoneRecord> = records.iter().filter(|r| !is_ours(r, &mark())).cloned().collect();
    foreign.sort_by(|a, b| a.id.cmp(&b.id));
    foreign
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// From any world the writes end, and what is written then is right or reported.
    #[test]
    fn converges(mut world in world()) {
        world.run_to_the_end();
        let again = world.pass();
        prop_assert!(again.actions.is_empty(), "{again}");
        let status = world.status.clone();
        world.pass();
        prop_assert_eq!(&world.status, &status, "a status that says the same is written again");
    }

    /// Whatever is not marked as ours stays as it is, byte for byte, and an identity of others is never written to.
    #[test]
    fn never_touches_what_is_not_ours(mut world in world()) {
        let before = (foreign(&world.records), world.identity.clone());
        world.settle();
        prop_assert_eq!(&foreign(&world.records), &before.0);
        let foreign_identity = before.1.filter(|i| !matches!(mark().ownership(&i.tags), sending_domain_operator::ownership::Ownership::Ours(_)));
        if let Some(identity) = foreign_identity {
            prop_assert_eq!(world.identity.as_ref(), Some(&identity));
            prop_assert!(world.status.identity.is_none() && world.status.records.is_empty(), "nothing of another's is shown");
        }
    }

    /// Answers come in any order.
    #[test]
    fn order_of_answers_never_matters(world in world(), seed in any::<u64>()) {
        let seen = world.observe();
        let mut turned = seen.clone();
        if let Observed::Known(view) = &mut turned.zone {
            shuffle(&mut view.records, seed);
        }
        for lookup in turned.lookups.values_mut() {
            if let Answer::Records(records) = &mut lookup.answer {
                shuffle(records, seed);
            }
        }
        prop_assert_eq!(world.plan_for(&seen), world.plan_for(&turned));
        let (mut one, mut other) = (world.clone(), world.clone());
        one.report(&seen, &world.plan_for(&seen), &Outcome::default());
        other.report(&turned, &world.plan_for(&turned), &Outcome::default());
        prop_assert_eq!(one.status, other.status);
    }

    /// A source that cannot be read is never taken for an empty one.
    #[test]
    fn unknown_never_leads_to_a_write(world in world()) {
        let fault = Fault { reason: Reason::AWSUnavailable, message: "m".to_owned(), class: ErrorClass::Transient { retry_after: None } };
        let mut blind = world.observe();
        blind.identity = Observed::Unavailable(fault.clone());
        prop_assert!(world.plan_for(&blind).actions.is_empty());
        let mut zoneless = world.observe();
        if zoneless.zone.known().is_some() {
            zoneless.zone = Observed::Unavailable(fault);
        }
        let writes_records = |actions: &[Action]| actions.iter().any(|a| matches!(a, Action::WriteRecords { .. }));
        prop_assert!(!writes_records(&world.plan_for(&zoneless).actions));
        // Look-ups that fail neither remove a record nor have SES switched to another MAIL FROM domain.
        let mut deaf = world.observe();
        for lookup in deaf.lookups.values_mut() {
            lookup.answer = Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut));
        }
        let plan = world.plan_for(&deaf);
        let old = world.records.iter().filter(|r| r.name.as_str().starts_with("old.") || r.name.as_str().starts_with("former."));
        let old: Vec<&str> = old.map(|r| r.id.as_str()).collect();
        for action in &plan.actions {
            if let Action::WriteRecords { changes, .. } = action {
                let removed = changes.iter().any(|c| matches!(c, Change::Delete { id } if old.contains(&id.as_str())));
                prop_assert!(!removed);
            }
        }
        let switched = world.identity.as_ref().and_then(|i| i.mail_from.as_ref()).is_some_and(|m| m.domain != "bounce.mail.example.com");
        let sets = plan.actions.iter().any(|a| matches!(a, Action::SetMailFrom { .. }));
        prop_assert!(!switched || !sets);
    }

    /// A Ready domain stays Ready when look-ups, SES or Cloudflare fail.
    #[test]
    fn faults_of_others_never_end_ready(mut world in world(), which in 0..3) {
        // Most worlds get there when nobody else's records are in the way.
        world.identity = None;
        world.records.retain(|r| is_ours(r, &mark()));
        if world.spec.dns.is_none() {
            world.spec = cloudflare();
        }
        world.run_to_the_end();
        prop_assert_eq!(world.status.phase, Some(Phase::Verified), "{}", world.summary());
        let fault = Fault { reason: Reason::AWSAccessDenied, message: "m".to_owned(), class: ErrorClass::Terminal };
        let mut seen = world.observe();
        match which {
            0 => seen.identity = Observed::Unavailable(fault),
            1 if seen.zone.known().is_some() => seen.zone = Observed::Unavailable(fault),
            _ => seen.lookups.values_mut().for_each(|l| l.answer = Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut))),
        }
        let plan = world.plan_for(&seen);
        world.report(&seen, &plan, &Outcome::default());
        prop_assert_eq!(world.status.phase, Some(Phase::Verified), "{}", world.summary());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However often a user changes their mind, and whatever fails on the way: what SES uses is served all the time, and in
    /// the end nothing of ours is left where it is not wanted.
    #[test]
    fn a_change_of_mind_breaks_nothing_and_leaves_nothing(
        mut world in domain(),
        turns in prop::collection::vec(turn(), 1..40),
    ) {
        for turn in turns {
            take(&mut world, turn)?;
        }
        world.spec.suspend = false;
        world.lost_secrets.clear();
        let (zone, other, endpoint) = match &world.spec.dns {
            None => return Ok(()),
            Some(dns) if dns.external_dns.is_some() => (0, 0, 1),
            dns if *dns == cloudflare().dns => (1, 0, 0),
            Some(_) => (0, 1, 0),
        };
        world.asked = if zone == 1 { Asked::Zone } else if other == 1 { Asked::Other } else { Asked::Elsewhere };
        for _ in 0..3 {
            world.run_to_the_end();
        }
        let wanted = 5 + usize::from(world.spec.dmarc.is_some());
        prop_assert_eq!((marked(&world.records), marked(&world.other)), (zone * wanted, other * wanted), "{:#?}", world);
        let handed = world.endpoint.known().and_then(Option::as_ref).map_or(0, |found| found.content.endpoints.len());
        prop_assert_eq!(handed, endpoint * wanted);
        prop_assert_eq!(world.status.phase, Some(Phase::Verified), "{}", world.summary());
        let dns = world.status.dns.clone().unwrap();
        prop_assert!(dns.previous.is_empty(), "{:?}", dns);
        let status = world.status.clone();
        prop_assert!(world.pass().actions.is_empty());
        prop_assert_eq!(world.status, status, "a status that says the same is written again");
    }

    /// At any moment the object can be deleted, and everything of ours goes with it.
    #[test]
    fn the_end_takes_everything_away_whatever_was_before(
        mut world in domain(),
        turns in prop::collection::vec(turn(), 1..40),
    ) {
        for turn in turns {
            take(&mut world, turn)?;
        }
        world.lost_secrets.clear();
        world.spec.deletion_policy = DeletionPolicy::Delete;
        let patience = Patience { hopeless_since: None, grace: SignedDuration::from_mins(10), forced: false };
        for _ in 0..2 {
            let end = world.plan_end(&world.observe_end(), patience);
            for action in &end.actions {
                world.perform(action);
            }
        }
        let end = world.plan_end(&world.observe_end(), patience);
        prop_assert_eq!((end.actions.len(), end.release), (0, Release::Clean));
        prop_assert_eq!((marked(&world.records), marked(&world.other)), (0, 0), "{:#?}", world);
        prop_assert!(world.identity.is_none() && world.endpoint == Observed::Known(None));
    }

    /// Nothing is taken away elsewhere for what nobody could tell.
    #[test]
    fn unknown_never_removes_what_was_left(
        mut world in domain(),
        turns in prop::collection::vec(turn(), 1..40),
        which in 0..4,
    ) {
        for turn in turns {
            take(&mut world, turn)?;
        }
        let mut seen = world.observe();
        let fault = Fault { reason: Reason::CloudflareUnavailable, message: "m".to_owned(), class: ErrorClass::Transient { retry_after: None } };
        match which {
            0 => seen.served.clear(),
            1 => seen.lookups.values_mut().for_each(|l| l.answer = Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut))),
            2 => {
                for left in &mut seen.left {
                    left.zone = Observed::Unavailable(fault.clone());
                }
                seen.endpoint = Observed::Unavailable(fault);
            }
            _ => {
                seen.zone = Observed::Unavailable(fault.clone());
                seen.endpoint = Observed::Unavailable(fault);
            }
        }
        let removes = |a: &Action| matches!(a, Action::RemoveRecords { .. } | Action::RemoveEndpoint { .. });
        let plan = world.plan_for(&seen);
        prop_assert!(!plan.actions.iter().any(removes), "{}", plan);
    }
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let j = usize::try_from(state >> 33).unwrap_or_default() % (i + 1);
        items.swap(i, j);
    }
}
