//! What holds for every world: the plan converges, a second pass writes nothing, nobody else's records or identities are
//! touched, the order of answers does not matter, and what is unknown never leads to a write.

mod support;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestCaseError;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{DeletionPolicy, DkimKeyLength, DnsProviderName, IdentityOrigin, Phase};
use sending_domain_operator::dns::cloudflare::{Change, ZoneRecord};
use sending_domain_operator::dns::external_dns::{Endpoint, Found, HandOver};
use sending_domain_operator::dns::judge;
use sending_domain_operator::dns::lookup::{Answer, LookupError, LookupErrorKind};
use sending_domain_operator::dns::record::{RecordData, WantedRecord};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Fault, Observation, Observed, Standing};
use sending_domain_operator::ownership::{Mark, Ownership};
use sending_domain_operator::plan::desired::wanted_records;
use sending_domain_operator::plan::records::is_ours;
use sending_domain_operator::plan::teardown::{Patience, Release};
use sending_domain_operator::plan::{Action, Plan, Step};
use sending_domain_operator::ses::identity::{Identity, MailFrom, SesStatus};
use support::{
    Asked, OTHER_SECRET, Refused, UID, World, cloudflare, cname, external_dns, identity, manual, mark, mx,
    other_account, record, txt,
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
        Mark::new("elsewhere", "n", "x").tags(IdentityOrigin::Created, None),
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
    let places = select(vec![cloudflare(), cloudflare(), external_dns(), manual()]);
    let endpoint = select(vec![None, Some(their_endpoint()), Some(our_endpoint())]);
    (places, prop::bool::weighted(0.4), some_identity(), records, endpoint).prop_map(
        |(spec, dmarc, identity, records, endpoint)| {
            let mut world = World { endpoint: Observed::Known(endpoint), ..World::new(spec) };
            ask_the_place(&mut world);
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

/// A `DNSEndpoint` of our name that somebody else made.
fn their_endpoint() -> Found {
    let theirs = Endpoint {
        dns_name: "theirs.mail.example.com".to_owned(),
        record_type: "TXT".to_owned(),
        targets: vec!["unrelated=1".to_owned()],
        record_ttl: None,
    };
    let content =
        HandOver { labels: BTreeMap::new(), endpoints: vec![theirs], mark: String::new(), goes_with_owner: false };
    Found {
        owners: vec!["somebody".to_owned()],
        version: None,
        is_going: false,
        content,
        own_labels: std::collections::BTreeSet::new(),
    }
}

/// One of ours that is not up to date.
fn our_endpoint() -> Found {
    let mut found = their_endpoint();
    found.content.mark = mark().comment();
    found
}

/// Records of others that are in nobody's way: some are beside ours, two say just what ours would.
fn their_records() -> Vec<ZoneRecord> {
    let sibling = Mark::new(support::OWNER, "team-b", "mail-example-com").comment();
    vec![
        record("t1", "www.mail.example.com", cname("elsewhere.example.net"), None),
        record("t2", "mail.example.com", mx(10, "mx.example.net"), Some("by hand".to_owned())),
        record("t3", "zzz._domainkey.mail.example.com", cname("zzz.dkim.amazonses.com"), None),
        record("t4", "sub.mail.example.com", txt("v=spf1 include:amazonses.com ~all"), Some(sibling)),
        record("t5", "bounce.mail.example.com", txt("v=spf1 include:amazonses.com ~all"), None),
        record("t6", "aaa._domainkey.mail.example.com", cname("aaa.dkim.amazonses.com"), None),
    ]
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
    KeyLength(Option<DkimKeyLength>),
    /// No look-up is answered, or all are again.
    DnsFails(bool),
    /// These writes are refused until all work again.
    WritesFail(Refused),
    WritesWork,
    /// The cluster forgets the kind `DNSEndpoint`, and all objects of it with it.
    NoCrd(bool),
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
        1 => select(vec![None, Some(DkimKeyLength::Rsa1024), Some(DkimKeyLength::Rsa2048)]).prop_map(Turn::KeyLength),
        1 => any::<bool>().prop_map(Turn::DnsFails),
        1 => select(vec![Refused::Ses, Refused::Records, Refused::Left, Refused::Endpoint]).prop_map(Turn::WritesFail),
        2 => Just(Turn::WritesWork),
        1 => prop::bool::weighted(0.3).prop_map(Turn::NoCrd),
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
        Turn::KeyLength(length) => world.spec.ses.dkim_key_length = length,
        Turn::DnsFails(fails) => world.deaf = fails,
        Turn::WritesFail(which) => drop(world.refused.insert(which)),
        Turn::WritesWork => {
            world.refused.clear();
            world.standing = Standing::default();
        }
        Turn::NoCrd(gone) => {
            world.no_crd = gone;
            if gone {
                world.endpoint = Observed::Known(None);
            }
        }
    }
    Ok(())
}

/// What a run of many cases found once.
#[test]
fn a_hand_over_stays_while_ses_uses_what_it_alone_has() {
    let mut world = World::new(external_dns());
    world.external_in_zone = true;
    world.endpoint = Observed::Known(None);
    world.run_to_the_end();
    for turn in [
        Turn::Want(cloudflare().dns),
        Turn::KeyLength(Some(DkimKeyLength::Rsa1024)),
        Turn::Subdomain("returns"),
        Turn::Pass,
        Turn::Pass,
        Turn::Pass,
    ] {
        take(&mut world, turn).unwrap();
    }
    assert!(matches!(world.endpoint, Observed::Known(Some(_))), "SES signs with the old keys");
    world.run_to_the_end();
    assert!(matches!(world.endpoint, Observed::Known(None)), "it is not needed any more");
}

/// A pass: what SES uses stays in DNS, and what is not ours stays as it is.
fn passes(world: &mut World, writes: usize) -> Result<(), TestCaseError> {
    let (served, theirs, created) = (world.serves_what_ses_uses(), theirs(world), world.created);
    let new = world.signing_tokens.is_empty().then(|| tokens(world));
    let plan = world.interrupted_pass(writes);
    // Before the first look SES signs with nothing yet.
    let recreated = world.identity.is_none() || world.created != created || new.is_some_and(|new| new != tokens(world));
    prop_assert!(!served || recreated || world.serves_what_ses_uses(), "live mail broke by: {plan}{world:#?}");
    prop_assert_eq!(self::theirs(world), theirs, "another's was touched by: {}", plan);
    Ok(())
}

fn tokens(world: &World) -> Option<Vec<String>> {
    world.identity.as_ref().map(|identity| identity.dkim.tokens.clone())
}

/// Everything that is not ours.
fn theirs(world: &World) -> (Vec<ZoneRecord>, Vec<ZoneRecord>, Option<Found>) {
    let endpoint = world.endpoint.known().and_then(Option::as_ref).filter(|found| !found.is_ours(UID, &mark()));
    (foreign(&world.records), foreign(&world.other), endpoint.cloned())
}

/// Has `world` ask the place that its spec names.
fn ask_the_place(world: &mut World) {
    world.asked = match &world.spec.dns {
        Some(dns) if dns.external_dns.is_some() && !world.external_in_zone => Asked::Elsewhere,
        dns if *dns == other_account().dns => Asked::Other,
        _ => Asked::Zone,
    };
}

/// A domain at the place that the world asks, among records of others.
fn domain() -> impl Strategy<Value = World> {
    let places = vec![cloudflare(), other_account(), external_dns(), manual()];
    let theirs = || subsequence(their_records(), 0..=6);
    let rest = (any::<bool>(), prop::bool::weighted(0.3), prop::bool::weighted(0.2));
    (select(places), theirs(), theirs(), rest).prop_map(|(spec, here, there, (child, external_in_zone, endpoint))| {
        let mut world = World { records: here, other: there, external_in_zone, ..World::new(spec) };
        world.other_name = if child { "mail.example.com" } else { "example.com" };
        let is_free = world.spec.dns != external_dns().dns;
        world.endpoint = Observed::Known((endpoint && is_free).then(their_endpoint));
        ask_the_place(&mut world);
        world.run_to_the_end();
        world
    })
}

/// What is seen when a plan first does what `is_sought` asks for.
fn seen_when(world: &mut World, is_sought: impl Fn(&World, &Plan) -> bool) -> Option<Observation> {
    for _ in 0..12 {
        let seen = world.observe();
        if is_sought(world, &world.plan_for(&seen)) {
            return Some(seen);
        }
        world.pass();
        world.ses_looks();
    }
    None
}

fn unanswered(seen: &mut Observation) {
    for lookup in seen.lookups.values_mut() {
        lookup.answer = Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut));
    }
}

/// True if the plan takes a record of ours away where records are wanted now.
fn drops_some(world: &World, plan: &Plan) -> bool {
    let handed = world.endpoint.known().and_then(Option::as_ref).map(|found| found.content.endpoints.as_slice());
    plan.actions.iter().any(|action| match action {
        Action::WriteRecords { changes, .. } => changes.iter().any(|c| matches!(c, Change::Delete { .. })),
        Action::HandOver(new) => handed.unwrap_or_default().iter().any(|e| !new.endpoints.contains(e)),
        _ => false,
    })
}

fn empties_a_place(_: &World, plan: &Plan) -> bool {
    plan.actions.iter().any(|a| matches!(a, Action::RemoveRecords { .. } | Action::RemoveEndpoint { .. }))
}

/// Ready only if it is; what is not right is told, with what to do.
fn right_or_reported(world: &World) -> Result<(), TestCaseError> {
    let (status, summary) = (&world.status, world.summary());
    let identity = world.identity.as_ref();
    if status.phase == Some(Phase::Verified) {
        prop_assert!(identity.is_some_and(Identity::is_dkim_verified), "{}", summary);
    } else {
        let told = |c: &&Condition| c.type_ != "Ready" && c.status != "True" && !c.message.is_empty();
        prop_assert!(status.conditions.iter().any(|c| told(&c)), "{}", summary);
    }
    let ours = identity.filter(|i| matches!(mark().ownership(&i.tags), Ownership::Ours(_)));
    let Some(identity) = ours.filter(|i| i.dkim.tokens.len() == 3) else { return Ok(()) };
    let wanted = wanted_records(&world.spec, identity, support::REGION);
    let found = judge::all_found(&wanted, &world.observe().lookups);
    prop_assert_eq!(world.condition("DNSVerified").starts_with("True"), found, "{}", summary);
    let synced = world.condition("RecordsSynced").starts_with("True");
    prop_assert!(found || !synced || world.spec.dns.is_none(), "{}", summary);
    Ok(())
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
        right_or_reported(&world)?;
    }

    /// Whatever is not marked as ours stays as it is, byte for byte, and an identity of others is never written to.
    #[test]
    fn never_touches_what_is_not_ours(mut world in world()) {
        let before = (theirs(&world), world.identity.clone());
        world.settle();
        prop_assert_eq!(&theirs(&world), &before.0);
        let foreign_identity = before.1.filter(|i| !matches!(mark().ownership(&i.tags), Ownership::Ours(_)));
        if let Some(identity) = foreign_identity {
            prop_assert_eq!(world.identity.as_ref(), Some(&identity));
            prop_assert!(world.status.identity.is_none() && world.status.records.is_empty(), "nothing of another's is shown");
        }
    }

    /// Answers come in any order.
    #[test]
    fn e7_order_of_answers_never_matters(world in world(), seed in any::<u64>()) {
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
            zoneless.zone = Observed::Unavailable(fault.clone());
        }
        zoneless.endpoint = Observed::Unavailable(fault);
        let writes_records = |actions: &[Action]| actions.iter().any(|a| a.step() == Step::Records);
        prop_assert!(!writes_records(&world.plan_for(&zoneless).actions));
        // Look-ups that fail neither remove a record nor have SES switched to another MAIL FROM domain.
        let mut deaf = world.observe();
        unanswered(&mut deaf);
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
        world.endpoint = Observed::Known(None);
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
            1 => seen.endpoint = Observed::Unavailable(fault),
            _ => unanswered(&mut seen),
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
        world.heal();
        ask_the_place(&mut world);
        let theirs = theirs(&world);
        for _ in 0..3 {
            world.run_to_the_end();
        }
        prop_assert_eq!(&self::theirs(&world), &theirs);
        all_is_where_it_belongs(&world)?;
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
        world.heal();
        let theirs = theirs(&world);
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
        prop_assert_eq!(&self::theirs(&world), &theirs);
        prop_assert!(world.identity.is_none() && world.endpoint == Observed::Known(theirs.2));
    }

    /// Nothing is taken away elsewhere for what nobody could tell: the same plan does take it away when all is known.
    #[test]
    fn unknown_never_removes_what_was_left(
        mut world in domain(),
        turns in prop::collection::vec(turn(), 0..20),
        places in Just(vec![cloudflare().dns, other_account().dns, external_dns().dns]).prop_shuffle(),
        which in 0..5,
    ) {
        // Two zones of one name: from one of them to ExternalDNS nobody could tell which is asked.
        if places[..2] == [other_account().dns, external_dns().dns] {
            world.other_name = "example.com";
        }
        for turn in turns {
            take(&mut world, turn)?;
        }
        world.heal();
        world.spec.suspend = false;
        // Nothing of others that does the same, and so would have to stay.
        world.external_in_zone = false;
        world.records.retain(|r| is_ours(r, &mark()));
        world.other.retain(|r| is_ours(r, &mark()));
        world.endpoint = Observed::Known(world.endpoint.known().cloned().flatten().filter(|e| e.is_ours(UID, &mark())));
        for place in places.into_iter().take(2) {
            world.run_to_the_end();
            world.spec.dns = place;
            ask_the_place(&mut world);
            if world.status.dns.as_ref().is_none_or(|dns| dns.previous.is_empty()) {
                world.pass();
            }
        }
        let Some(mut seen) = seen_when(&mut world, empties_a_place) else {
            return Err(TestCaseError::fail(format!("nothing is ever removed: {world:#?}")));
        };
        let fault = Fault { reason: Reason::CloudflareUnavailable, message: "m".to_owned(), class: ErrorClass::Transient { retry_after: None } };
        match which {
            0 => seen.served.clear(),
            1 => unanswered(&mut seen),
            2 => {
                for left in &mut seen.left {
                    left.zone = Observed::Unavailable(fault.clone());
                }
                seen.endpoint = Observed::Unavailable(fault);
            }
            3 => {
                seen.zone = Observed::Unavailable(fault.clone());
                seen.endpoint = Observed::Unavailable(fault);
            }
            _ => seen.identity = Observed::Unavailable(fault),
        }
        let plan = world.plan_for(&seen);
        prop_assert!(!empties_a_place(&world, &plan), "{}", plan);
    }

    /// Nor is what was replaced: it goes when the new is known to be there, and SES is known to use it.
    #[test]
    fn unknown_never_removes_what_was_replaced(
        mut world in domain(),
        place in select(vec![cloudflare().dns, other_account().dns, external_dns().dns]),
        change in select(vec![Turn::Subdomain("new"), Turn::KeyLength(Some(DkimKeyLength::Rsa1024)), Turn::Recreate("new")]),
        which in 0..3,
    ) {
        world.external_in_zone = false;
        world.endpoint = Observed::Known(world.endpoint.known().cloned().flatten().filter(|e| e.is_ours(UID, &mark())));
        world.spec.dns = place;
        ask_the_place(&mut world);
        for _ in 0..2 {
            world.run_to_the_end();
        }
        take(&mut world, change)?;
        let Some(mut seen) = seen_when(&mut world, drops_some) else {
            return Err(TestCaseError::fail(format!("nothing is ever removed: {world:#?}")));
        };
        match which {
            0 => unanswered(&mut seen),
            1 => seen.lookups.clear(),
            _ => if let Observed::Known(Some(identity)) = &mut seen.identity {
                identity.dkim.status = SesStatus::Pending;
            },
        }
        let plan = world.plan_for(&seen);
        prop_assert!(!drops_some(&world, &plan), "{}", plan);
    }
}

/// Everything of ours is at the place that the spec names, and nowhere else but where it may not go and is told.
fn all_is_where_it_belongs(world: &World) -> Result<(), TestCaseError> {
    let Some(dns) = &world.spec.dns else { return Ok(()) };
    let found = world.endpoint.known().and_then(Option::as_ref);
    let wants_endpoint = dns.external_dns.is_some();
    if wants_endpoint && found.is_some_and(|found| !found.is_ours(UID, &mark())) {
        prop_assert!(world.condition("RecordsSynced").starts_with("False RecordConflict"), "{}", world.summary());
        return Ok(());
    }
    prop_assert_eq!(world.status.phase, Some(Phase::Verified), "{}", world.summary());
    let Some(identity) = &world.identity else { return Err(TestCaseError::fail("there is no identity")) };
    let wanted = wanted_records(&world.spec, identity, support::REGION);
    let in_zone = world.in_zone();
    let is_theirs = |records: &[ZoneRecord], w: &WantedRecord| {
        let kind = w.data.record_type().as_str();
        records.iter().any(|r| r.name == w.name && r.record_type == kind && !is_ours(r, &mark()))
    };
    let (mut zone, mut other) = (0, 0);
    let mut endpoint_may_stay = false;
    if !wants_endpoint {
        let (records, count) =
            if world.spec.dns == cloudflare().dns { (&in_zone, &mut zone) } else { (&world.other, &mut other) };
        *count = wanted.iter().filter(|w| !is_theirs(records, w)).count();
        endpoint_may_stay = wanted.iter().any(|w| w.required && is_theirs(records, w));
    }
    let previous = world.status.dns.as_ref().map(|dns| dns.previous.clone()).unwrap_or_default();
    let told = |provider| previous.iter().any(|p| p.provider == provider && p.reason.is_some() && p.message.is_some());
    let handed = found.filter(|f| f.is_ours(UID, &mark())).map_or(0, |f| f.content.endpoints.len());
    if wants_endpoint {
        prop_assert_eq!(handed, wanted.len());
    } else {
        let stays = endpoint_may_stay && told(DnsProviderName::ExternalDns);
        prop_assert!(handed == 0 || stays, "the DNSEndpoint is left: {:#?}", world);
    }
    // ExternalDNS writes into a zone of the same name, perhaps the very zone: what we wrote there may be asked for.
    let may_stay = wants_endpoint && told(DnsProviderName::Cloudflare);
    let zone_may_stay = may_stay && world.external_in_zone;
    let other_may_stay = may_stay && world.external_in_zone == (world.other_name == "example.com");
    prop_assert!(marked(&world.other) == other || other_may_stay, "{other} wanted: {world:#?}");
    prop_assert!(marked(&world.records) == zone || zone_may_stay, "{zone} wanted: {world:#?}");
    let stays = zone_may_stay || other_may_stay || (endpoint_may_stay && handed > 0);
    prop_assert!(previous.is_empty() || stays, "{:?}", previous);
    Ok(())
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed | 1;
    for i in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let j = usize::try_from(state >> 33).unwrap_or_default() % (i + 1);
        items.swap(i, j);
    }
}
