//! Reads the world for one pass, and only what may have changed since the last. Never writes.

pub mod check;
pub mod credential;
pub mod duels;
mod endpoint;
mod evidence;
pub mod holds;
mod identity;
pub mod kept;
mod left;
pub mod memory;
pub mod observation;
mod records;
pub mod secret;
pub mod zone;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

pub use self::endpoint::fault as endpoint_fault;

use k8s_openapi::jiff::Timestamp;

use self::memory::Memory;
use self::observation::{Claim, Fault, Lookups, Observation, Observed, ZoneView};
use self::zone::{Ages, Asked, Zones};
use crate::api::v1alpha1::{DeletionPolicy, SecretKeyRef, SendingDomain, SendingDomainSpec, SendingDomainStatus};
use crate::dns::cloudflare::{self, ApiToken};
use crate::dns::evidence::Evidence;
use crate::dns::lookup::Resolver;
use crate::dns::record::DnsName;
use crate::ownership::{Mark, Ownership};
use crate::plan::places::Places;
use crate::plan::{Step, claims, desired};
use crate::ses;
use crate::ses::client::{Account, Caller};
use crate::ses::line::Asker;
use crate::status::schedule::Pace;

/// Where the world is read.
pub struct Sources<'a> {
    /// The API server, for the Secret.
    pub kube: &'a kube::Client,
    /// SES.
    pub ses: &'a ses::client::Client,
    /// Cloudflare.
    pub cloudflare: &'a cloudflare::Client,
    /// The zones at Cloudflare, shared by all objects.
    pub zones: &'a Zones,
    /// DNS; `None` with `--dns-check off`.
    pub resolver: Option<&'a Resolver>,
}

/// Whom the world is read for.
#[derive(Clone, Copy)]
pub struct Viewpoint<'a> {
    /// The object.
    pub object: &'a SendingDomain,
    /// Its namespace.
    pub namespace: &'a str,
    /// Whose identity.
    pub account: &'a Account,
    /// The object as it stands in the line before SES.
    pub asker: &'a Asker,
    /// How many objects use the same account and region.
    pub fleet: usize,
    /// The mark of the object: what is not marked with it is nobody's business here.
    pub mark: &'a Mark,
    /// True if the object is Ready.
    pub ready: bool,
    /// True if the object gives its domain up for another.
    pub gives_way: bool,
    /// The generation of the spec: a new one has failed writes tried again.
    pub generation: i64,
    /// How often to look.
    pub pace: Pace,
    /// When.
    pub now: Timestamp,
}

impl Viewpoint<'_> {
    fn spec(&self) -> &SendingDomainSpec {
        &self.object.spec
    }

    /// Who asks SES.
    pub fn caller(&self) -> Caller<'_> {
        Caller { account: self.account, asker: self.asker }
    }

    /// True if the object is being deleted, or gives its domain up: DNS does not matter any more.
    fn ends(&self) -> bool {
        self.gives_way || self.object.metadata.deletion_timestamp.is_some()
    }

    /// True if status says that the object had its identity when SES could be asked last.
    fn had_identity(&self) -> bool {
        self.object.status.as_ref().is_some_and(SendingDomainStatus::has_identity)
    }

    fn places(&self) -> Places {
        Places::of(self.spec(), self.object.status.as_ref(), self.ends())
    }
}

/// What was seen, and what the writes of the same pass need.
pub struct Sight {
    /// What was seen.
    pub observation: Observation,
    /// The token for Cloudflare. One snapshot for the whole pass.
    pub token: Option<ApiToken>,
    /// The tokens for the places that the spec has left.
    pub left_tokens: BTreeMap<u64, ApiToken>,
    /// What failed writes depend on: when it changes, they are tried again.
    pub cause: u64,
}

impl Sight {
    /// A sight without anything that a write to Cloudflare would need.
    fn of(observation: Observation) -> Self {
        Self { observation, token: None, left_tokens: BTreeMap::new(), cause: 0 }
    }
}

/// Reads the world for one object.
pub async fn observe(from: &Viewpoint<'_>, sources: &Sources<'_>, memory: &mut Memory, claim: Claim) -> Sight {
    memory.begin_pass();
    memory.seen_generation(from.generation);
    if !from.ends() && claims::forbidden(&from.spec().domain, &claim).is_some() {
        return Sight::of(nothing_seen(claim));
    }
    if from.ends() && !from.gives_way && from.spec().deletion_policy == DeletionPolicy::Retain {
        // Everything stays but what the cluster would collect.
        let standing = memory.standing(0, from.now);
        return Sight::of(Observation {
            endpoint: endpoint::observe(from, sources).await,
            standing,
            ..nothing_seen(claim)
        });
    }
    memory.contested(claim.is_contested());
    let identity = identity::observe(from, sources, memory).await;
    // Nothing is asked on behalf of an identity of somebody else.
    let ours = identity.known().and_then(Option::as_ref).filter(|identity| is_ours(from, identity));
    let claim = match ours {
        Some(identity) => claim.of_holder(identity, &from.spec().mail_from_domain()),
        None if identity.fault().is_some() && from.had_identity() => claim.of_last_holder(),
        None => claim,
    };
    if !from.ends() && claims::refusal(&from.spec().domain, &claim).is_some() {
        // Whoever may not have the domain learns nothing about it.
        return Sight::of(nothing_seen(claim));
    }
    let has_tokens = ours.is_some_and(|identity| identity.dkim.tokens.len() == ses::identity::DKIM_TOKENS);
    let (token, zone, place) = observe_zone(from, sources, memory, has_tokens).await;
    let cause = hash(&(place, ours.is_some_and(ses::identity::Identity::is_dkim_verified)));
    let endpoint = endpoint::observe(from, sources).await;
    let (lookups, evidence) = match ours {
        Some(identity) if !from.ends() => Box::pin(records::observe(from, sources, memory, identity, &claim)).await,
        Some(_) | None => (Lookups::new(), Evidence::default()),
    };
    let wanted = ours.map(|identity| desired::records_to_have(from.spec(), identity, &claim, &from.account.region));
    let wanted = wanted.filter(|wanted| records::is_complete(wanted)).unwrap_or_default();
    let left = left::observe(from, sources, memory, zone.known(), &wanted, &lookups, cause).await;
    let observation = Observation {
        identity,
        zone,
        endpoint,
        left: left.places,
        served: left.served,
        lookups,
        evidence,
        dns_check: sources.resolver.is_some(),
        claim,
        standing: memory.standing(cause, from.now),
    };
    Sight { observation, token, left_tokens: left.tokens, cause }
}

fn nothing_seen(claim: Claim) -> Observation {
    Observation {
        identity: Observed::NotConfigured,
        zone: Observed::NotConfigured,
        endpoint: Observed::NotConfigured,
        left: Vec::new(),
        served: BTreeMap::new(),
        lookups: Lookups::new(),
        evidence: Evidence::default(),
        dns_check: true,
        claim,
        standing: observation::Standing::default(),
    }
}

fn is_ours(from: &Viewpoint<'_>, identity: &ses::identity::Identity) -> bool {
    matches!(from.mark.ownership(&identity.tags), Ownership::Ours(_))
}

async fn observe_zone(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    has_tokens: bool,
) -> (Option<ApiToken>, Observed<ZoneView>, u64) {
    let Some(spec) = from.places().current else {
        memory.forget_zone();
        return (None, Observed::NotConfigured, hash(&from.generation));
    };
    let token = match read_token(from, sources, &spec.api_token_secret_ref, memory).await {
        Ok(token) => token,
        Err(fault) => return (None, Observed::Unavailable(fault), hash(&from.generation)),
    };
    let place = hash(&(token.fingerprint(), &spec.zone_id));
    let cause = hash(&(from.generation, place));
    // Without the DKIM tokens there is nothing to compare with; what is read is then read in the pass that writes.
    let due = (has_tokens || from.ends()) && memory.zone_is_due(place, from.now, from.pace);
    if due && memory.standing_read(Step::Records, cause, from.now).is_none() {
        let domain = DnsName::new(&from.spec().domain);
        let ages = Ages::new(from.pace.pending, memory.has_lost_records());
        let asked = Asked { client: sources.cloudflare, token: &token, resolver: sources.resolver };
        let mark = from.mark.comment();
        let view = match &spec.zone_id {
            // What is to be taken away can be, whether the world asks the zone or not.
            Some(id) if from.ends() => sources.zones.former(asked, id, &domain, &mark).await,
            Some(_) | None => match sources.zones.view(asked, &spec, &domain, ages).await {
                Ok(mut view) if from.ends() => {
                    sources.zones.add_marked(asked, &mut view, &domain, &mark).await.map(|()| view)
                }
                view => view,
            },
        };
        match view {
            Ok(view) => {
                memory.read_succeeded(Step::Records);
                memory.zone_read(view, place, from.now);
            }
            Err(fault) => memory.read_failed(Step::Records, fault, cause, from.now, from.pace),
        }
    }
    let zone = match (memory.standing_read(Step::Records, cause, from.now), memory.zone_at(place)) {
        (Some(fault), _) => Observed::Unavailable(fault),
        (None, Some(view)) => Observed::Known(view.clone()),
        (None, None) => Observed::NotConfigured,
    };
    (Some(token), zone, cause)
}

/// The token; for clean-up the last one serves when its Secret is gone.
async fn read_token(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    reference: &SecretKeyRef,
    memory: &mut Memory,
) -> Result<ApiToken, Fault> {
    match secret::read(sources.kube, from.namespace, reference).await {
        Ok(token) => {
            memory.keep_token(reference, &token);
            Ok(token)
        }
        Err(fault) if from.ends() => memory.token(reference).cloned().ok_or(fault),
        Err(fault) => Err(fault),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The longest that one pass may read, before it is cut off and tried again.
pub const PASS_TIMEOUT: Duration = Duration::from_mins(2);
