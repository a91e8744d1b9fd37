//! A model of the world in memory: SES, a zone at Cloudflare and the DNS that it publishes, with the clock in the hand of
//! the test. It executes plans the way the real parts do.

#![allow(dead_code, reason = "each test binary uses its own part of the model")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{
    CloudflareSpec, ConflictPolicy, DkimKeyLength, DnsProviderName, DnsSpec, DnsStatus, ExternalDnsSpec, LabelValue,
    PreviousPlace, SecretKeyRef, SendingDomainSpec, SendingDomainStatus,
};
use sending_domain_operator::dns::cloudflare::{Change, Zone, ZoneRecord, ZoneStatus, ZoneType};
use sending_domain_operator::dns::evidence::Evidence;
use sending_domain_operator::dns::external_dns::{Endpoint, Found};
use sending_domain_operator::dns::judge;
use sending_domain_operator::dns::lookup::{Answer, Lookup, LookupError, LookupErrorKind, Source};
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType, WantedRecord};
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{
    Claim, Fault, Left, Lookups, Observation, Observed, ServedBy, Standing, ZoneView,
};
use sending_domain_operator::ownership::Mark;
use sending_domain_operator::plan::desired::{records_to_have, wanted_records};
use sending_domain_operator::plan::teardown::{Ending, Patience, Teardown, plan_teardown};
use sending_domain_operator::plan::{self, Action, Plan, Step, Subject};
use sending_domain_operator::ses::identity::{Dkim, Identity, MailFrom, SesStatus};
use sending_domain_operator::status::{self, Report};

pub const DOMAIN: &str = "mail.example.com";
pub const UID: &str = "5f6c9d3e-0000-4000-8000-000000000001";
pub const REGION: &str = "us-east-1";
pub const OWNER: &str = "0e8e4a44-1b2f-4d37-9f5e-0a3c7a0a9b11";
pub const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";
/// Another zone of the same name, in another account.
pub const OTHER_ZONE_ID: &str = "11111111111111111111111111111111";
/// The Secret of the other account.
pub const OTHER_SECRET: &str = "other-account";

/// Whom the world asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The zone [`ZONE_ID`].
    Zone,
    /// The zone [`OTHER_ZONE_ID`].
    Other,
    /// A zone of another provider, which ExternalDNS writes.
    Elsewhere,
}

/// Whose writes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    Ses,
    Records,
    Left,
    Endpoint,
}

/// The world of one object.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing that can go wrong by itself")]
pub struct World {
    pub spec: SendingDomainSpec,
    pub status: SendingDomainStatus,
    pub identity: Option<Identity>,
    /// The tokens that SES signs with: those of the identity once it has verified them.
    pub signing_tokens: Vec<String>,
    pub records: Vec<ZoneRecord>,
    /// The records of the other zone.
    pub other: Vec<ZoneRecord>,
    /// The name of the other zone: that of the first, or one below it that the first hands on while the other is asked.
    pub other_name: &'static str,
    /// Whether ExternalDNS writes into the zone [`ZONE_ID`], and not somewhere else.
    pub external_in_zone: bool,
    pub asked: Asked,
    /// Secrets that are not there.
    pub lost_secrets: Vec<String>,
    pub endpoint: Observed<Option<Found>>,
    /// Whether the cluster knows no `DNSEndpoint`.
    pub no_crd: bool,
    /// Whether no look-up is answered.
    pub deaf: bool,
    pub refused: BTreeSet<Refused>,
    pub standing: Standing,
    pub claim: Claim,
    pub now: Timestamp,
    pub recreate_at: Option<String>,
    /// Of the spec.
    pub generation: i64,
    pub reconcile_requested: bool,
    pub next_id: u32,
    pub created: u32,
}

pub fn mark() -> Mark {
    Mark::new(OWNER, "team-a", "mail-example-com")
}

pub fn manual() -> SendingDomainSpec {
    serde_json::from_value(serde_json::json!({ "domain": DOMAIN })).unwrap()
}

pub fn cloudflare() -> SendingDomainSpec {
    let secret = SecretKeyRef { name: "cloudflare".to_owned(), key: "api-token".to_owned() };
    let place = CloudflareSpec { api_token_secret_ref: secret, zone_id: None, conflict_policy: ConflictPolicy::Fail };
    SendingDomainSpec { dns: Some(DnsSpec { cloudflare: Some(place), external_dns: None }), ..manual() }
}

/// The same in the other account.
pub fn other_account() -> SendingDomainSpec {
    let mut spec = cloudflare();
    if let Some(place) = spec.dns.as_mut().and_then(|dns| dns.cloudflare.as_mut()) {
        OTHER_SECRET.clone_into(&mut place.api_token_secret_ref.name);
    }
    spec
}

pub fn external_dns() -> SendingDomainSpec {
    let labels = [("mail".to_owned(), LabelValue("yes".to_owned()))].into();
    let spec = ExternalDnsSpec { labels, record_ttl_seconds: Some(300) };
    SendingDomainSpec { dns: Some(DnsSpec { cloudflare: None, external_dns: Some(spec) }), ..manual() }
}

/// An identity as SES has it right after it was created for us.
pub fn identity() -> Identity {
    Identity {
        verification: Some(SesStatus::Pending),
        verified_for_sending: false,
        dkim: Dkim {
            status: SesStatus::Pending,
            signing_enabled: true,
            tokens: ["aaa", "bbb", "ccc"].map(str::to_owned).into(),
            hosted_zone: Some("dkim.amazonses.com".to_owned()),
            origin: Some("AWS_SES".to_owned()),
            key_length: None,
            next_key_length: None,
        },
        mail_from: None,
        configuration_set: None,
        tags: mark().tags(sending_domain_operator::api::v1alpha1::IdentityOrigin::Created, None),
        error: None,
        zone_seen: None,
        succeeded_once: false,
    }
}

/// A record at Cloudflare; `comment` decides whose it is.
pub fn record(id: &str, name: &str, data: RecordData, comment: Option<String>) -> ZoneRecord {
    ZoneRecord {
        id: id.to_owned(),
        name: DnsName::new(name),
        record_type: data.record_type().as_str().to_owned(),
        content: data.to_string(),
        data: Some(data),
        proxied: false,
        ttl: 1,
        comment,
        flatten_cname: None,
    }
}

/// Records that an object of the same name has left for other domains: beside this one, above it and below it.
pub fn of_another_domain() -> Vec<ZoneRecord> {
    let marked = |id: &str, name: &str, data| record(id, name, data, Some(mark().comment()));
    vec![
        marked("kept-1", "ddd._domainkey.news.example.com", cname("ddd.dkim.amazonses.com")),
        marked("kept-2", "bounce.news.example.com", mx(10, "feedback-smtp.us-east-1.amazonses.com")),
        marked("kept-3", "eee._domainkey.example.com", cname("eee.dkim.amazonses.com")),
        marked("kept-4", "fff._domainkey.eu.mail.example.com", cname("fff.dkim.amazonses.com")),
        marked("kept-5", "_dmarc.eu.mail.example.com", txt("v=DMARC1; p=none")),
    ]
}

pub fn txt(text: &str) -> RecordData {
    RecordData::Txt(text.to_owned())
}

pub fn cname(target: &str) -> RecordData {
    RecordData::Cname(DnsName::new(target))
}

pub fn mx(priority: u16, host: &str) -> RecordData {
    RecordData::Mx { priority, host: DnsName::new(host) }
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(spec: SendingDomainSpec) -> Self {
        Self {
            spec,
            status: SendingDomainStatus::default(),
            identity: None,
            signing_tokens: Vec::new(),
            records: Vec::new(),
            other: Vec::new(),
            other_name: "example.com",
            external_in_zone: false,
            asked: Asked::Zone,
            lost_secrets: Vec::new(),
            endpoint: Observed::NotConfigured,
            no_crd: false,
            deaf: false,
            refused: BTreeSet::new(),
            standing: Standing::default(),
            claim: Claim::default(),
            now: "2026-11-23T10:00:00Z".parse().unwrap(),
            recreate_at: None,
            reconcile_requested: false,
            next_id: 0,
            created: 0,
            generation: 1,
        }
    }

    pub fn after(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    /// What a pass sees.
    pub fn observe(&self) -> Observation {
        let zone = match self.secret() {
            Some(secret) => self.open(secret, if secret == OTHER_SECRET { OTHER_ZONE_ID } else { ZONE_ID }),
            None => Observed::NotConfigured,
        };
        let mut lookups = self.lookups();
        if self.deaf {
            for lookup in lookups.values_mut() {
                lookup.answer = Answer::Unknown(LookupError::new(LookupErrorKind::TimedOut));
            }
        }
        let wanted = self.identity.as_ref().map(|i| wanted_records(&self.spec, i, REGION)).unwrap_or_default();
        let published = judge::all_found(&wanted, &lookups);
        let hints = self.status.dns.as_ref().map(|dns| dns.previous.clone()).unwrap_or_default();
        let is_endpoint = |place: &PreviousPlace| place.provider == DnsProviderName::ExternalDns;
        let endpoint_matters = self.secret().is_none() || hints.iter().any(is_endpoint);
        let left: Vec<Left> = hints.into_iter().map(|place| self.left(place, published)).collect();
        Observation {
            identity: Observed::Known(self.identity.clone()),
            zone,
            endpoint: if endpoint_matters { self.see_endpoint() } else { Observed::NotConfigured },
            served: if self.deaf { BTreeMap::new() } else { self.served(&wanted, &left) },
            left,
            lookups,
            evidence: Evidence::default(),
            dns_check: true,
            claim: self.claim.clone(),
            standing: self.standing.clone(),
        }
    }

    fn see_endpoint(&self) -> Observed<Option<Found>> {
        let wanted = self.spec.dns.as_ref().is_some_and(|dns| dns.external_dns.is_some());
        if self.no_crd && wanted {
            return Observed::Unavailable(fault(Reason::ExternalDNSUnavailable, "There is no resource DNSEndpoint"));
        }
        self.endpoint.clone()
    }

    /// What is seen of the world at the end of the object.
    pub fn observe_end(&self) -> Observation {
        let dns = self.status.dns.as_ref();
        let last = dns.and_then(DnsStatus::zone_place);
        let mut hints = dns.map(|dns| dns.previous.clone()).unwrap_or_default();
        let zone = match (self.secret(), &last) {
            (Some(secret), _) => self.open(secret, if secret == OTHER_SECRET { OTHER_ZONE_ID } else { ZONE_ID }),
            (None, Some(last)) => self.open(last.secret_name.as_ref().unwrap(), last.zone_id.as_ref().unwrap()),
            (None, None) => Observed::NotConfigured,
        };
        let here = id_of(&zone).map(str::to_owned);
        hints.extend(last);
        hints.retain(|place| place.zone_id.is_some() && place.zone_id != here);
        let left: Vec<Left> = hints.into_iter().map(|place| self.left(place, true)).collect();
        Observation { zone, left, endpoint: self.endpoint.clone(), ..self.observe() }
    }

    /// Plans the end of the object.
    pub fn plan_end(&self, seen: &Observation, patience: Patience) -> Teardown {
        let mark = mark();
        let ending = Ending { spec: &self.spec, uid: UID, region: REGION, mark: &mark };
        plan_teardown(&ending, &self.status, seen, patience, self.now)
    }

    /// Plans for an object that leaves its domain to another.
    pub fn plan_giving_way(&self, seen: &Observation) -> Plan {
        self.with_subject(|subject| plan::giving_way::plan_giving_way(subject, &self.status, seen, self.now))
    }

    /// The Secret that the spec names.
    fn secret(&self) -> Option<&str> {
        Some(self.spec.dns.as_ref()?.cloudflare.as_ref()?.api_token_secret_ref.name.as_str())
    }

    /// A place that the spec has left. Its zone is looked at once the new records are found.
    fn left(&self, place: PreviousPlace, published: bool) -> Left {
        let zone = match (&place.secret_name, &place.zone_id) {
            (Some(secret), Some(id)) if published => self.open(secret, id),
            _ => Observed::NotConfigured,
        };
        Left { place, key: u64::from(id_of(&zone) == Some(OTHER_ZONE_ID)), zone }
    }

    fn open(&self, secret: &str, id: &str) -> Observed<ZoneView> {
        if self.lost_secrets.iter().any(|lost| lost == secret) {
            return Observed::Unavailable(fault(Reason::SecretNotFound, &format!("There is no Secret {secret}")));
        }
        Observed::Known(self.zone(id))
    }

    fn zone(&self, id: &str) -> ZoneView {
        let (name, server, records) = if id == OTHER_ZONE_ID {
            (self.other_name, "other.ns.example", self.other.clone())
        } else {
            ("example.com", "zone.ns.example", self.in_zone())
        };
        let zone = Zone {
            id: id.parse().unwrap(),
            name: DnsName::new(name),
            status: ZoneStatus::Active,
            paused: false,
            zone_type: ZoneType::Full,
            account_id: None,
            name_servers: vec![DnsName::new(server)],
        };
        ZoneView { zone, records }
    }

    /// Everything in the first zone: what was written there, what ExternalDNS adds, and the delegation of the other.
    pub fn in_zone(&self) -> Vec<ZoneRecord> {
        let mut records = self.records.clone();
        if self.external_in_zone {
            let added = self.handed_over().into_iter();
            let is_free =
                |r: &ZoneRecord| !self.records.iter().any(|o| o.name == r.name && o.record_type == r.record_type);
            records.extend(added.filter(is_free));
        }
        if self.asked == Asked::Other && self.other_name != "example.com" {
            let (data, record_type, content) = (None, "NS".to_owned(), "other.ns.example".to_owned());
            let cut = record("cut", self.other_name, txt(""), None);
            records.push(ZoneRecord { data, record_type, content, ..cut });
        }
        records
    }

    fn handed_over(&self) -> Vec<ZoneRecord> {
        match &self.endpoint {
            Observed::Known(Some(found)) => found.content.endpoints.iter().map(of_endpoint).collect(),
            _ => Vec::new(),
        }
    }

    fn served(&self, wanted: &[WantedRecord], left: &[Left]) -> BTreeMap<DnsName, ServedBy> {
        let (apex, server) = match self.asked {
            Asked::Zone => ("example.com", "zone.ns.example"),
            Asked::Other => (self.other_name, "other.ns.example"),
            Asked::Elsewhere => ("mail.example.com", "elsewhere.ns.example"),
        };
        let by = ServedBy { apex: DnsName::new(apex), servers: vec![DnsName::new(server)] };
        let in_zones = left.iter().filter_map(|left| left.zone.known()).flat_map(|view| &view.records);
        let names = wanted.iter().map(|w| w.name.clone()).chain(in_zones.map(|r| r.name.clone()));
        names.map(|name| (name, by.clone())).collect()
    }

    /// The records that the world is answered.
    pub fn answered(&self) -> Vec<ZoneRecord> {
        match self.asked {
            Asked::Zone => self.in_zone(),
            Asked::Other => self.other.clone(),
            Asked::Elsewhere if self.external_in_zone => Vec::new(),
            Asked::Elsewhere => self.handed_over(),
        }
    }

    /// True if everything that SES uses now is answered: mail is signed, and bounces come back.
    pub fn serves_what_ses_uses(&self) -> bool {
        let Some(identity) = &self.identity else { return false };
        let mut spec = self.spec.clone();
        if let Some(label) = identity.mail_from.as_ref().and_then(|m| m.domain.strip_suffix(&format!(".{DOMAIN}"))) {
            label.clone_into(&mut spec.mail_from.subdomain);
        }
        let mut identity = identity.clone();
        if !self.signing_tokens.is_empty() {
            identity.dkim.tokens.clone_from(&self.signing_tokens);
        }
        let wanted = wanted_records(&spec, &identity, REGION);
        let complete = wanted.iter().filter(|w| w.data.record_type() == RecordType::Cname).count() == 3;
        complete && judge::all_found(&wanted, &self.look_up(&wanted))
    }

    /// DNS answers what is in the zone; a proxied alias is answered as an address, so not as an alias.
    fn lookups(&self) -> Lookups {
        let Some(identity) = &self.identity else {
            return Lookups::new();
        };
        self.look_up(&records_to_have(&self.spec, identity, &self.claim, REGION))
    }

    fn look_up(&self, wanted: &[WantedRecord]) -> Lookups {
        wanted
            .iter()
            .map(|w| {
                let kind = w.data.record_type();
                ((w.name.clone(), kind), self.answer(&w.name, kind))
            })
            .collect()
    }

    fn answer(&self, name: &DnsName, kind: RecordType) -> Lookup {
        let answered = self.answered();
        let at: Vec<&ZoneRecord> = answered.iter().filter(|r| r.name == *name && !r.proxied).collect();
        let of = |kind: RecordType| -> Vec<RecordData> {
            let data = at.iter().filter_map(|r| r.data.clone());
            data.filter(|d| d.record_type() == kind).collect()
        };
        let aliases = of(RecordType::Cname);
        let found = if aliases.is_empty() { of(kind) } else { aliases };
        let answer = match (found.is_empty(), at.is_empty()) {
            (false, _) => Answer::Records(found),
            (true, false) => Answer::NoData,
            (true, true) => Answer::NxDomain,
        };
        Lookup {
            source: Source::Authoritative,
            answer,
            negative_ttl: None,
            servers_asked: 2,
            servers_agreeing: 2,
            positive_ttl: None,
            instead: None,
            by_server: Vec::new(),
        }
    }

    /// Plans for this world, seen as `seen`.
    pub fn plan_for(&self, seen: &Observation) -> Plan {
        self.with_subject(|subject| plan::plan(subject, seen, self.now))
    }

    fn with_subject<T>(&self, then: impl FnOnce(&Subject<'_>) -> T) -> T {
        let mark = mark();
        then(&Subject {
            spec: &self.spec,
            uid: UID,
            region: REGION,
            mark: &mark,
            adopter: "owner/team-a",
            allow_adoption: false,
            recreate_at: self.recreate_at.as_deref(),
            reconcile_requested: self.reconcile_requested,
            verification: self.status.verification.as_ref().filter(|_| self.status.has_identity()),
        })
    }

    /// One whole pass; answers what was done.
    pub fn pass(&mut self) -> Plan {
        self.interrupted_pass(usize::MAX)
    }

    /// A pass that ends after so many writes, as by a crash: without a word in status. A whole one does not.
    pub fn interrupted_pass(&mut self, writes: usize) -> Plan {
        if self.spec.suspend {
            self.status = status::suspended(&self.status, self.generation, self.now);
            return Plan::default();
        }
        let seen = self.observe();
        let plan = self.plan_for(&seen);
        let old = self.status.clone();
        if let Some(ahead) = self.with_report(&seen, &plan, &Outcome::default(), |report| status::ahead(&old, report)) {
            self.status = ahead;
        }
        let mut outcome = Outcome::default();
        for action in plan.actions.iter().take(writes) {
            let step = action.step();
            if self.refuses(step) {
                outcome.faults.push((step, fault(Reason::Progressing, "The write was refused")));
            } else {
                self.perform(action);
                outcome.done.push(action.clone());
            }
        }
        if writes >= plan.actions.len() {
            self.remember(&outcome);
            self.status = self.with_report(&seen, &plan, &outcome, |report| status::compute(&old, report));
        }
        plan
    }

    fn refuses(&self, step: Step) -> bool {
        self.refused.contains(&match step {
            Step::Identity | Step::Attributes | Step::Keys | Step::MailFrom => Refused::Ses,
            Step::Records => Refused::Records,
            Step::Left(_) => Refused::Left,
            Step::Endpoint => Refused::Endpoint,
        })
    }

    /// What was refused is not tried again before it is due.
    fn remember(&mut self, outcome: &Outcome) {
        for (step, fault) in outcome.faults.iter().cloned() {
            match step {
                Step::Identity => self.standing.identity = Some(fault),
                Step::Attributes => self.standing.attributes = Some(fault),
                Step::Keys => self.standing.keys = Some(fault),
                Step::MailFrom => self.standing.mail_from = Some(fault),
                Step::Records => self.standing.records = Some(fault),
                Step::Left(_) => {}
                Step::Endpoint => self.standing.endpoint = Some(fault),
            }
        }
    }

    /// Whatever failed works again, and is due.
    pub fn heal(&mut self) {
        self.lost_secrets.clear();
        self.refused.clear();
        self.standing = Standing::default();
        self.deaf = false;
        self.no_crd = false;
    }

    /// Brings the status up to date.
    pub fn report(&mut self, seen: &Observation, plan: &Plan, outcome: &Outcome) {
        self.status = self.with_report(seen, plan, outcome, |report| status::compute(&self.status, report));
    }

    fn with_report<T>(
        &self,
        seen: &Observation,
        plan: &Plan,
        outcome: &Outcome,
        then: impl FnOnce(&Report<'_>) -> T,
    ) -> T {
        self.with_subject(|subject| {
            then(&Report {
                subject,
                generation: self.generation,
                reconcile_at: self.reconcile_requested.then_some("now"),
                seen,
                plan,
                outcome,
                timeout: SignedDuration::from_hours(72),
                now: self.now,
            })
        })
    }

    /// Passes until nothing is written any more; fails the test if that does not end.
    pub fn settle(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for _ in 0..10 {
            let plan = self.pass();
            let done = plan.actions.is_empty();
            plans.push(plan);
            if done {
                return plans;
            }
        }
        panic!("does not settle: {plans:?}");
    }

    pub fn perform(&mut self, action: &Action) {
        match action {
            Action::CreateIdentity(new) => {
                self.created += 1;
                let configuration_set = new.configuration_set.clone();
                let mut made = Identity { tags: new.tags.clone(), configuration_set, ..identity() };
                made.dkim.key_length = new.key_length.or(Some(DkimKeyLength::Rsa2048));
                made.dkim.next_key_length = made.dkim.key_length;
                if self.created > 1 {
                    made.dkim.tokens = ["x", "y", "z"].map(|t| format!("{t}{}", self.created)).into();
                }
                self.identity = Some(made);
            }
            Action::AdoptIdentity { tags } => self.of_identity(|i| i.tags.extend(tags.clone())),
            Action::TagIdentity { tags } => self.of_identity(|i| i.tags.extend(tags.clone())),
            Action::UntagIdentity { keys } => self.of_identity(|i| i.tags.retain(|key, _| !keys.contains(key))),
            Action::SetConfigurationSet { name } => self.of_identity(|i| i.configuration_set.clone_from(name)),
            Action::ChangeKeyLength { length } => self.of_identity(|i| {
                i.dkim.next_key_length = Some(*length);
                i.dkim.tokens = i.dkim.tokens.iter().map(|token| format!("{token}2")).collect();
                i.dkim.status = SesStatus::Pending;
            }),
            Action::EnableSigning => self.of_identity(|i| i.dkim.signing_enabled = true),
            Action::RestartDkim => self.of_identity(|i| {
                i.verification = Some(SesStatus::Pending);
                i.dkim.status = SesStatus::Pending;
            }),
            Action::SetMailFrom { domain, on_mx_failure } => self.of_identity(|i| {
                let status = SesStatus::Pending;
                i.mail_from = Some(MailFrom { domain: domain.clone(), status, on_mx_failure: *on_mx_failure });
            }),
            Action::DeleteIdentity => {
                self.identity = None;
                self.signing_tokens.clear();
            }
            Action::HandOver(content) | Action::KeepEndpoint(content) => {
                let owners = if content.goes_with_owner { vec![UID.to_owned()] } else { Vec::new() };
                let own_labels = content.labels.keys().cloned().collect();
                let content = content.clone();
                self.endpoint =
                    Observed::Known(Some(Found { owners, version: None, is_going: false, content, own_labels }));
            }
            Action::RemoveEndpoint { .. } => self.endpoint = Observed::Known(None),
            Action::WriteRecords { zone, changes, .. } | Action::RemoveRecords { zone, changes, .. } => {
                for change in changes {
                    self.write(zone.as_str(), change);
                }
            }
        }
    }

    fn of_identity(&mut self, change: impl FnOnce(&mut Identity)) {
        change(self.identity.as_mut().expect("only an identity that exists is changed"));
    }

    fn write(&mut self, zone: &str, change: &Change) {
        let new = match change {
            Change::Create(new) => {
                self.next_id += 1;
                Some((format!("new-{}", self.next_id), new))
            }
            Change::Update { id, record } => Some((id.clone(), record)),
            Change::Delete { .. } => None,
        };
        let records = if zone == OTHER_ZONE_ID { &mut self.other } else { &mut self.records };
        if let Change::Update { id, .. } | Change::Delete { id } = change {
            let before = records.len();
            records.retain(|r| r.id != *id);
            assert_eq!(records.len() + 1, before, "a change of a record that is not there: {id}");
        }
        if let Some((id, new)) = new {
            records.push(record(&id, new.name.as_str(), new.data.clone(), Some(new.comment.clone())));
        }
    }

    /// SES looks at DNS: what a person would wait for.
    pub fn ses_looks(&mut self) {
        let lookups = self.lookups();
        let Some(identity) = &mut self.identity else { return };
        let wanted = wanted_records(&self.spec, identity, REGION);
        let right = |kind: RecordType| {
            wanted.iter().filter(|w| w.data.record_type() == kind).all(|w| {
                lookups.get(&(w.name.clone(), kind)).is_some_and(|l| l.answer == Answer::Records(vec![w.data.clone()]))
            })
        };
        if right(RecordType::Cname) && identity.dkim.status == SesStatus::Pending {
            identity.verification = Some(SesStatus::Success);
            identity.dkim.status = SesStatus::Success;
            identity.dkim.key_length = identity.dkim.next_key_length;
            self.signing_tokens.clone_from(&identity.dkim.tokens);
            identity.verified_for_sending = true;
        }
        if right(RecordType::Mx)
            && let Some(mail_from) = &mut identity.mail_from
            && mail_from.status == SesStatus::Pending
        {
            mail_from.status = SesStatus::Success;
        }
    }

    /// All passes and looks of SES until nothing changes.
    pub fn run_to_the_end(&mut self) {
        for _ in 0..4 {
            self.settle();
            self.ses_looks();
        }
        self.settle();
    }

    /// The condition of that type: `status reason: message`.
    pub fn condition(&self, name: &str) -> String {
        let found = self.status.conditions.iter().find(|c| c.type_ == name);
        found.map_or_else(|| "absent".to_owned(), |c| format!("{} {}: {}", c.status, c.reason, c.message))
    }

    /// All conditions, with the phase on top.
    pub fn summary(&self) -> String {
        let mut lines = vec![format!("{:?}, records {:?}", self.status.phase, self.status.records_found)];
        lines.extend(
            self.status.conditions.iter().map(|c| format!("{} = {} {}: {}", c.type_, c.status, c.reason, c.message)),
        );
        lines.join("\n")
    }
}

/// Something that only a person mends.
fn fault(reason: Reason, message: &str) -> Fault {
    let class = ErrorClass::Waiting { after: std::time::Duration::MAX };
    Fault { reason, message: message.to_owned(), class }
}

fn id_of(zone: &Observed<ZoneView>) -> Option<&str> {
    zone.known().map(|view| view.zone.id.as_str())
}

/// What ExternalDNS makes of an entry.
fn of_endpoint(endpoint: &Endpoint) -> ZoneRecord {
    let target = endpoint.targets.first().unwrap();
    let data = match endpoint.record_type.as_str() {
        "CNAME" => cname(target),
        "MX" => {
            let (priority, host) = target.split_once(' ').unwrap();
            mx(priority.parse().unwrap(), host)
        }
        _ => txt(target),
    };
    record(&format!("external {} {}", endpoint.record_type, endpoint.dns_name), &endpoint.dns_name, data, None)
}

/// The records of a zone by id, for comparing what must not change.
pub fn by_id(records: &[ZoneRecord]) -> BTreeMap<&str, &ZoneRecord> {
    records.iter().map(|r| (r.id.as_str(), r)).collect()
}
