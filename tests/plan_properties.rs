//! What holds for every world: the plan converges, a second pass writes nothing, nobody else's records or identities are
//! touched, the order of answers does not matter, and what is unknown never leads to a write.

mod support;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{IdentityOrigin, Phase};
use sending_domain_operator::dns::cloudflare::{Change, ZoneRecord};
use sending_domain_operator::dns::lookup::{Answer, LookupError, LookupErrorKind};
use sending_domain_operator::dns::record::RecordData;
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Fault, Observed};
use sending_domain_operator::plan::Action;
use sending_domain_operator::plan::records::is_ours;
use sending_domain_operator::ses::identity::{Identity, MailFrom, SesStatus};
use support::{World, cloudflare, cname, identity, manual, mark, mx, record, txt};

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

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let j = usize::try_from(state >> 33).unwrap_or_default() % (i + 1);
        items.swap(i, j);
    }
}
