//! The places that the spec has left: looked at only when what is there can go, or the object ends.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt};

use super::memory::Memory;
use super::observation::{Left, Lookups, Observed, ServedBy, ZoneView};
use super::records::QUESTIONS;
use super::zone::Asked;
use super::{Sources, Viewpoint, hash};
use crate::api::v1alpha1::{DnsProvider, DnsProviderName, PreviousPlace};
use crate::dns::cloudflare::ApiToken;
use crate::dns::judge;
use crate::dns::lookup::Resolver;
use crate::dns::record::{DnsName, WantedRecord};
use crate::plan::{Step, places, records};

/// What was seen of them.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) places: Vec<Left>,
    pub(super) served: BTreeMap<DnsName, ServedBy>,
    pub(super) tokens: BTreeMap<u64, ApiToken>,
}

/// Looks at the places that status names. `now` is the zone that is written, `wanted` what has to be found first, and
/// `cause` what failed writes depend on.
pub(super) async fn observe(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    now: Option<&ZoneView>,
    wanted: &[WantedRecord],
    lookups: &Lookups,
    cause: u64,
) -> Seen {
    let mut seen = Seen::default();
    let places = from.places().left;
    if places.is_empty() {
        return seen;
    }
    let manual = matches!(from.spec().dns_provider(), DnsProvider::Manual);
    // Nothing is taken away by answers of an earlier pass.
    let served = memory.served(from.now).filter(|_| !manual && !wanted.is_empty() && judge::all_found(wanted, lookups));
    let published = served.is_some();
    seen.served = served.cloned().unwrap_or_default();
    for place in places {
        let key = hash(&place.zone_id);
        // The zone that is looked at as the one to write is looked at once.
        let is_current = places::is_wanted(&place, DnsProviderName::Cloudflare, now.map(|view| view.zone.id.as_str()));
        let twice = seen.places.iter().any(|other| other.place.is_same(&place));
        let can_be_read = place.provider == DnsProviderName::Cloudflare && !is_current;
        if twice || (from.ends() && is_current) {
            continue;
        }
        let zone = if can_be_read && (published || from.ends()) {
            read(from, sources, memory, &place, key, cause, &mut seen).await
        } else {
            Observed::NotConfigured
        };
        seen.places.push(Left { place, key, zone });
    }
    if published && let Some(resolver) = sources.resolver {
        let views = seen.places.iter().filter_map(|left| left.zone.known());
        let ours = views.flat_map(|view| records::own(&view.records, from.mark, &from.spec().domain));
        let names: BTreeSet<DnsName> = ours.map(|r| r.name.clone()).filter(|n| !seen.served.contains_key(n)).collect();
        seen.served.extend(who_serves(resolver, names).await);
    }
    seen
}

/// Reads one place; a place whose records are still needed is read again when the world asks somebody else, and rarely.
async fn read(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    place: &PreviousPlace,
    key: u64,
    cause: u64,
    seen: &mut Seen,
) -> Observed<ZoneView> {
    let (Some(reference), Some(id)) = (places::secret_of(place), &place.zone_id) else {
        return Observed::NotConfigured;
    };
    let token = match super::read_token(from, sources, &reference, memory).await {
        Ok(token) => token,
        Err(fault) => return Observed::Unavailable(fault),
    };
    let step = Step::Left(key);
    let depends_on = hash(&(from.generation, token.fingerprint(), &seen.served));
    seen.tokens.insert(key, token.clone());
    if let Some(fault) = memory.standing_write(step, cause, from.now) {
        return Observed::Unavailable(fault);
    }
    if let Some(fault) = memory.standing_read(step, depends_on, from.now) {
        return Observed::Unavailable(fault);
    }
    if !from.ends() && !memory.left_is_due(key, depends_on, from.now, from.pace) {
        return Observed::NotConfigured;
    }
    let domain = DnsName::new(&from.spec().domain);
    let asked = Asked { client: sources.cloudflare, token: &token, resolver: sources.resolver };
    match sources.zones.former(asked, id, &domain, &from.mark.comment()).await {
        Ok(view) => {
            memory.read_succeeded(step);
            memory.left_read(key, depends_on, from.now);
            Observed::Known(view)
        }
        Err(fault) => {
            memory.read_failed(step, fault.clone(), depends_on, from.now, from.pace);
            Observed::Unavailable(fault)
        }
    }
}

/// Whom the world asks for these names, as far as it can be found out: what the authority of the zone and the zone above
/// say now. Resolvers elsewhere may go on asking the old name servers until the TTL of the delegation is over, which is why
/// the old records stay until the name servers themselves have changed.
pub(super) async fn who_serves(
    resolver: &Resolver,
    names: impl IntoIterator<Item = DnsName>,
) -> BTreeMap<DnsName, ServedBy> {
    let names: Vec<DnsName> = names.into_iter().collect();
    stream::iter(names)
        .map(|name| async move {
            let cut = resolver.name_servers(&name).await.ok()?;
            let servers: BTreeSet<DnsName> = cut.servers.into_iter().map(|(server, _)| server).collect();
            Some((name, ServedBy { apex: cut.apex, servers: servers.into_iter().collect() }))
        })
        .buffer_unordered(QUESTIONS)
        .filter_map(std::future::ready)
        .collect()
        .await
}
