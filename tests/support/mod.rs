//! A model of the world in memory: SES, a zone at Cloudflare and the DNS that it publishes, with the clock in the hand of
//! the test. It executes plans the way the real parts do.

#![allow(dead_code, reason = "each test binary uses its own part of the model")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sending_domain_operator::api::v1alpha1::{
    CloudflareSpec, ConflictPolicy, DnsSpec, ExternalDnsSpec, LabelValue, SecretKeyRef, SendingDomainSpec,
    SendingDomainStatus,
};
use sending_domain_operator::dns::cloudflare::{Change, Zone, ZoneRecord, ZoneStatus, ZoneType};
use sending_domain_operator::dns::external_dns::Found;
use sending_domain_operator::dns::lookup::{Answer, Lookup, Source};
use sending_domain_operator::dns::record::{DnsName, RecordData, RecordType};
use sending_domain_operator::execute::Outcome;
use sending_domain_operator::observe::observation::{Claim, Lookups, Observation, Observed, Standing, ZoneView};
use sending_domain_operator::ownership::Mark;
use sending_domain_operator::plan::desired::wanted_records;
use sending_domain_operator::plan::{self, Action, Plan, Subject};
use sending_domain_operator::ses::identity::{Dkim, Identity, MailFrom, SesStatus};
use sending_domain_operator::status::{self, Report};

pub const DOMAIN: &str = "mail.example.com";
pub const UID: &str = "5f6c9d3e-0000-4000-8000-000000000001";
pub const REGION: &str = "us-east-1";
pub const OWNER: &str = "0e8e4a44-1b2f-4d37-9f5e-0a3c7a0a9b11";
pub const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// The world of one object.
#[derive(Clone, Debug)]
pub struct World {
    pub spec: SendingDomainSpec,
    pub status: SendingDomainStatus,
    pub identity: Option<Identity>,
    pub records: Vec<ZoneRecord>,
    pub endpoint: Observed<Option<Found>>,
    pub standing: Standing,
    pub claim: Claim,
    pub now: Timestamp,
    pub recreate_at: Option<String>,
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
        },
        mail_from: None,
        configuration_set: None,
        tags: mark().tags(sending_domain_operator::api::v1alpha1::IdentityOrigin::Created, None),
        error: None,
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
            records: Vec::new(),
            endpoint: Observed::NotConfigured,
            standing: Standing::default(),
            claim: Claim::default(),
            now: "2026-11-23T10:00:00Z".parse().unwrap(),
            recreate_at: None,
            next_id: 0,
            created: 0,
        }
    }

    pub fn after(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    /// What a pass sees.
    pub fn observe(&self) -> Observation {
        let managed = self.spec.dns.as_ref().is_some_and(|d| d.cloudflare.is_some());
        Observation {
            identity: Observed::Known(self.identity.clone()),
            zone: if managed { Observed::Known(self.zone()) } else { Observed::NotConfigured },
            endpoint: self.endpoint.clone(),
            lookups: self.lookups(),
            dns_check: true,
            claim: self.claim.clone(),
            standing: self.standing.clone(),
        }
    }

    fn zone(&self) -> ZoneView {
        let zone = Zone {
            id: ZONE_ID.parse().unwrap(),
            name: DnsName::new("example.com"),
            status: ZoneStatus::Active,
            paused: false,
            zone_type: ZoneType::Full,
            account_id: None,
            name_servers: Vec::new(),
        };
        ZoneView { zone, records: self.records.clone() }
    }

    /// DNS answers what is in the zone; a proxied alias is answered as an address, so not as an alias.
    fn lookups(&self) -> Lookups {
        let Some(identity) = &self.identity else {
            return Lookups::new();
        };
        wanted_records(&self.spec, identity, REGION)
            .into_iter()
            .map(|w| {
                let kind = w.data.record_type();
                ((w.name.clone(), kind), self.answer(&w.name, kind))
            })
            .collect()
    }

    fn answer(&self, name: &DnsName, kind: RecordType) -> Lookup {
        let at: Vec<&ZoneRecord> = self.records.iter().filter(|r| r.name == *name && !r.proxied).collect();
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
        Lookup { source: Source::Authoritative, answer, negative_ttl: None, servers_asked: 2, servers_agreeing: 2 }
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
            reconcile_requested: false,
            verification: self.status.verification.as_ref(),
        })
    }

    /// One whole pass; answers what was done.
    pub fn pass(&mut self) -> Plan {
        let seen = self.observe();
        let plan = self.plan_for(&seen);
        for action in &plan.actions {
            self.perform(action);
        }
        let outcome = Outcome { done: plan.actions.clone(), ..Outcome::default() };
        self.report(&seen, &plan, &outcome);
        plan
    }

    /// Brings the status up to date.
    pub fn report(&mut self, seen: &Observation, plan: &Plan, outcome: &Outcome) {
        self.status = self.with_subject(|subject| {
            let report = Report {
                subject,
                generation: 1,
                reconcile_at: None,
                seen,
                plan,
                outcome,
                timeout: SignedDuration::from_hours(72),
                now: self.now,
            };
            status::compute(&self.status, &report)
        });
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

    fn perform(&mut self, action: &Action) {
        match action {
            Action::CreateIdentity(new) => {
                self.created += 1;
                let mut made = Identity { tags: new.tags.clone(), ..identity() };
                if self.created > 1 {
                    made.dkim.tokens = ["x", "y", "z"].map(|t| format!("{t}{}", self.created)).into();
                }
                self.identity = Some(made);
            }
            Action::AdoptIdentity { tags } => self.of_identity(|i| i.tags.extend(tags.clone())),
            Action::EnableSigning => self.of_identity(|i| i.dkim.signing_enabled = true),
            Action::RestartDkim => self.of_identity(|i| {
                i.verification = Some(SesStatus::Pending);
                i.dkim.status = SesStatus::Pending;
            }),
            Action::SetMailFrom { domain, on_mx_failure } => self.of_identity(|i| {
                let status = SesStatus::Pending;
                i.mail_from = Some(MailFrom { domain: domain.clone(), status, on_mx_failure: *on_mx_failure });
            }),
            Action::DeleteIdentity => self.identity = None,
            Action::HandOver(content) => {
                self.endpoint = Observed::Known(Some(Found { owners: vec![UID.to_owned()], content: content.clone() }));
            }
            Action::WriteRecords { changes, .. } => changes.iter().for_each(|change| self.write(change)),
        }
    }

    fn of_identity(&mut self, change: impl FnOnce(&mut Identity)) {
        change(self.identity.as_mut().expect("only an identity that exists is changed"));
    }

    fn write(&mut self, change: &Change) {
        let new = match change {
            Change::Create(new) => {
                self.next_id += 1;
                Some((format!("new-{}", self.next_id), new))
            }
            Change::Update { id, record } => Some((id.clone(), record)),
            Change::Delete { .. } => None,
        };
        if let Change::Update { id, .. } | Change::Delete { id } = change {
            let before = self.records.len();
            self.records.retain(|r| r.id != *id);
            assert_eq!(self.records.len() + 1, before, "a change of a record that is not there: {id}");
        }
        if let Some((id, new)) = new {
            self.records.push(record(&id, new.name.as_str(), new.data.clone(), Some(new.comment.clone())));
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

/// The records of a zone by id, for comparing what must not change.
pub fn by_id(records: &[ZoneRecord]) -> BTreeMap<&str, &ZoneRecord> {
    records.iter().map(|r| (r.id.as_str(), r)).collect()
}
