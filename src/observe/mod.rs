//! Reads the world for one pass, and only what may have changed since the last. Never writes.

pub mod check;
pub mod credential;
pub mod duels;
mod endpoint;
mod evidence;
pub mod holds;
pub mod kept;
mod left;
pub mod memory;
pub mod observation;
pub mod secret;
pub mod zone;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

pub use self::endpoint::fault as endpoint_fault;

use futures::stream::{self, StreamExt};
use k8s_openapi::jiff::Timestamp;

use self::evidence::Inquiry;
use self::memory::Memory;
use self::observation::{Claim, Fault, Lookups, Observation, Observed, Question, ZoneView};
use self::zone::{Ages, Asked, Zones};
use crate::api::v1alpha1::{
    CloudflareSpec, ConflictPolicy, DeletionPolicy, DnsProvider, DnsProviderName, PreviousPlace, RecordPurpose,
    RecordState, SecretKeyRef, SendingDomain, SendingDomainSpec, SendingDomainStatus,
};
use crate::dns::cloudflare::{self, ApiToken};
use crate::dns::evidence::Evidence;
use crate::dns::judge;
use crate::dns::lookup::{Lookup, Resolver};
use crate::dns::record::{DnsName, WantedRecord};
use crate::ownership::{Mark, Ownership};
use crate::plan::{Step, claims, desired};
use crate::ses;
use crate::ses::client::{Account, Caller};
use crate::ses::error::Kind;
use crate::ses::inventory::Seen;
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

    /// Where the records are: at the place of the spec, and for the clean-up of a spec without one where status says that
    /// they were written. That is a hint, and needs no more: only what carries our mark is taken away there.
    fn place(&self) -> Option<CloudflareSpec> {
        if let DnsProvider::Cloudflare(spec) = self.spec().dns_provider() {
            return Some(spec.clone());
        }
        let last = self.last_place().filter(|_| self.ends())?;
        let api_token_secret_ref = left::secret_of(&last)?;
        Some(CloudflareSpec { api_token_secret_ref, zone_id: last.zone_id, conflict_policy: ConflictPolicy::Fail })
    }

    /// The zone that status says the records were written to last, if the domain can be in it.
    fn last_place(&self) -> Option<PreviousPlace> {
        let place = self.object.status.as_ref()?.dns.as_ref()?.zone_place()?;
        self.can_be_in(&place).then_some(place)
    }

    /// The places that status says the spec has left, as far as the domain can be there. For clean-up also the last one: it
    /// is looked at beside that of the spec, for status may be wrong, and the zone of the spec may have changed.
    fn left_places(&self) -> Vec<PreviousPlace> {
        let dns = self.object.status.as_ref().and_then(|s| s.dns.as_ref());
        let mut places: Vec<PreviousPlace> = dns.map(|dns| dns.previous.clone()).unwrap_or_default();
        if self.ends() {
            let is_here = |last: &PreviousPlace| {
                self.place().is_some_and(|p| {
                    p.zone_id == last.zone_id && left::secret_of(last).as_ref() == Some(&p.api_token_secret_ref)
                })
            };
            places.extend(self.last_place().filter(|last| !is_here(last)));
        }
        places.retain(|place| place.provider == DnsProviderName::ExternalDns || self.can_be_in(place));
        places
    }

    fn can_be_in(&self, place: &PreviousPlace) -> bool {
        let zone = place.zone_name.as_deref().map(DnsName::new);
        zone.is_some_and(|zone| DnsName::new(&self.spec().domain).is_within(&zone))
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
    let identity = observe_identity(from, sources, memory).await;
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
        Some(identity) if !from.ends() => Box::pin(observe_dns(from, sources, memory, identity, &claim)).await,
        Some(_) | None => (Lookups::new(), Evidence::default()),
    };
    let wanted = ours.map(|identity| desired::records_to_have(from.spec(), identity, &claim, &from.account.region));
    let wanted = wanted.filter(|wanted| is_complete(wanted)).unwrap_or_default();
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

async fn observe_identity(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
) -> Observed<Option<ses::identity::Identity>> {
    let cause = hash(&(from.generation, from.account));
    // Whose it is decides how soon it is looked at again: what is in the way may be taken away at any time.
    let foreign = memory.identity().and_then(Option::as_ref).is_some_and(|i| !is_ours(from, i));
    let pace = if foreign { Pace { verified: from.pace.terminal(), ..from.pace } } else { from.pace };
    let mut waiting = None;
    if let Err(error) = sight(from, sources, memory, foreign).await {
        waiting = Some(fault_of(&error));
    } else if memory.identity_is_due(from.ready, from.now, pace)
        && memory.standing_read(Step::Identity, cause, from.now).is_none()
    {
        match sources.ses.get(from.caller(), &from.spec().domain).await {
            Ok(identity) => {
                memory.read_succeeded(Step::Identity);
                memory.identity_read(identity, Timestamp::now());
            }
            // Its place in the line is kept, and it is woken.
            Err(error) if error.kind == Kind::NoBudget => waiting = Some(fault_of(&error)),
            Err(error) => memory.read_failed(Step::Identity, fault_of(&error), cause, from.now, from.pace),
        }
    }
    // What was read before a read that failed is not known any more; only a read that had to wait for its turn is none
    // that failed, as long as nothing is to be taken away.
    let fault = memory.standing_read(Step::Identity, cause, from.now);
    match (memory.identity(), fault, waiting) {
        (Some(identity), None, waiting) if waiting.is_none() || !from.ends() => Observed::Known(identity.clone()),
        (_, Some(fault), _) | (_, None, Some(fault)) => Observed::Unavailable(fault),
        (_, None, None) => Observed::NotConfigured,
    }
}

fn fault_of(error: &ses::error::Error) -> Fault {
    Fault { reason: error.reason(), message: error.to_string(), class: error.class() }
}

/// Looks into the inventory, where a fleet is worth a listing.
///
/// # Errors
/// If the first listing is not there yet, and nothing is known of the identity.
async fn sight(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    foreign: bool,
) -> Result<(), ses::error::Error> {
    // Only a reading tells whether what is in the way has changed hands, and what is ours when it is to be taken away.
    if from.fleet <= FEW || foreign || from.ends() {
        memory.sighted(None, Duration::ZERO);
        return Ok(());
    }
    let wants = memory.listing_wanted(from.ready, from.now, from.pace);
    let seen = sources.ses.look(from.caller(), &from.spec().domain, wants).await;
    let sighting = match seen {
        Seen::Listed(sighting) => Some(sighting),
        Seen::NotYet if memory.identity().is_none() => {
            return Err(ses::error::Error::no_budget("ListEmailIdentities", Duration::ZERO));
        }
        Seen::NotYet | Seen::Unlisted => None,
    };
    let turns = u32::try_from(from.fleet).unwrap_or(u32::MAX).saturating_mul(ROTATION);
    let rotation = sources.ses.pace().saturating_mul(turns).min(LONGEST_ROTATION).max(from.pace.verified);
    memory.sighted(sighting, rotation);
    Ok(())
}

/// So few identities are read one by one, which tells more than a listing and costs no more.
const FEW: usize = 3;
/// Identities that the listing says nothing new of are read in rotation, one in so many requests that SES would take: of a
/// hundred domains each every seven hours.
const ROTATION: u32 = 250;
/// However many there are, each is read once in this time.
const LONGEST_ROTATION: Duration = Duration::from_hours(7 * 24);

async fn observe_zone(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    has_tokens: bool,
) -> (Option<ApiToken>, Observed<ZoneView>, u64) {
    let Some(spec) = from.place() else {
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

async fn observe_dns(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    identity: &ses::identity::Identity,
    claim: &Claim,
) -> (Lookups, Evidence) {
    let wanted = desired::records_to_have(from.spec(), identity, claim, &from.account.region);
    let Some(resolver) = sources.resolver else {
        // Nobody looks, so nothing keeps SES from finding the records.
        memory.looked_up(is_complete(&wanted), false, from.now);
        return (Lookups::new(), Evidence::default());
    };
    // Whoever waits for the list of records gets it first: silent name servers can draw the look-ups out.
    let is_listed = from.object.status.as_ref().is_some_and(|s| !s.records.is_empty());
    if !is_listed && !identity.is_dkim_verified() && memory.puts_first_look_off() {
        return (Lookups::new(), Evidence::default());
    }
    let lookups = observe_records(from, resolver, memory, &wanted).await;
    let inquiry = Inquiry {
        resolver,
        domain: DnsName::new(&from.spec().domain),
        wanted: &wanted,
        lookups: &lookups,
        dmarc: from.spec().dmarc.as_ref(),
        ready: from.ready,
        pace: from.pace,
        now: from.now,
    };
    let evidence = inquiry.gather(memory.evidence()).await;
    (lookups, evidence)
}

async fn observe_records(
    from: &Viewpoint<'_>,
    resolver: &Resolver,
    memory: &mut Memory,
    wanted: &[WantedRecord],
) -> Lookups {
    let questions: Vec<Question> = wanted.iter().map(|w| (w.name.clone(), w.data.record_type())).collect();
    // While something is to be taken away elsewhere, only what DNS says now counts. What was told to be left behind is
    // looked at again as rarely as everything else of a Ready object.
    let places = from.left_places();
    let settled = from.ready && places.iter().all(PreviousPlace::is_left_behind);
    if let Some(lookups) = memory.lookups(&questions, settled, from.now, from.pace) {
        return lookups.clone();
    }
    let names = wanted.iter().filter(|w| w.required && !places.is_empty()).map(|w| w.name.clone());
    // Before the questions, which then go to just those name servers and not to what was remembered.
    let served = left::who_serves(resolver, names).await;
    let before = memory.last_lookups();
    let compared = |(question, lookup): (Question, Lookup)| {
        let compared = lookup.compared_with(before.and_then(|before| before.get(&question)));
        (question, compared)
    };
    let lookups: Lookups = look_up(resolver, questions).await.into_iter().map(compared).collect();
    let wrong =
        |w: &WantedRecord| matches!(judge::judge(w, &lookups).state, RecordState::Missing | RecordState::Incorrect);
    let lost = wanted.iter().filter(|w| w.required).any(wrong);
    memory.looked_up(is_complete(wanted) && !lost, lost, from.now);
    memory.lookups_read(lookups.clone(), from.now);
    memory.served_read(served);
    lookups
}

/// True if the DKIM records are among the wanted ones: they are left out until SES has handed out its tokens.
fn is_complete(wanted: &[WantedRecord]) -> bool {
    wanted.iter().filter(|w| w.purpose == RecordPurpose::Dkim).count() == ses::identity::DKIM_TOKENS
}

/// How many questions of one object are under way at once.
const QUESTIONS: usize = 8;

async fn look_up(resolver: &Resolver, questions: Vec<Question>) -> Lookups {
    stream::iter(questions)
        .map(|(name, record_type)| async move {
            let answer = resolver.ask(&name, record_type).await;
            ((name, record_type), answer)
        })
        .buffer_unordered(QUESTIONS)
        .collect()
        .await
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The longest that one pass may read, before it is cut off and tried again.
pub const PASS_TIMEOUT: Duration = Duration::from_mins(2);
