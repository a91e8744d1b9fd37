//! Everything the simulated service remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::auth::{Principal, Role};
use super::clock::Clock;
use super::error::ApiError;
use super::fault::{Faults, Limiter};
use super::identity::Identity;
use super::look::Task;
use super::operation::Operation;
use super::settings::Settings;

/// An account and a region: each pair is a service of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) account: String,
    pub(super) region: String,
}

/// The account of every access key that no other account was named for.
pub const DEFAULT_ACCOUNT: &str = "123456789012";

/// One request as it was answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// What was asked for.
    pub operation: Operation,
    /// The account that the credentials belong to; empty if they were refused.
    pub account: String,
    /// The region from the signature; empty if there was none.
    pub region: String,
    /// The identity (or configuration set, role) it was about.
    pub identity: Option<String>,
    /// The HTTP status; `None` if the connection was dropped.
    pub http_status: Option<u16>,
    /// The name of the error, if it was one.
    pub error: Option<String>,
    /// When, by real time.
    pub at: Timestamp,
}

/// One request, understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) place: Place,
    pub(super) principal: Principal,
    /// The name in the path.
    pub(super) name: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn parameter(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn arn(&self, name: &str) -> String {
        format!("arn:aws:ses:{}:{}:identity/{name}", self.place.region, self.place.account)
    }

    /// The body as `T`; an empty one is an empty object.
    pub(super) fn input<T: serde::de::DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        serde_json::from_slice(body).map_err(|error| ApiError::new(400, "SerializationException", error.to_string()))
    }
}

/// What one account has in one region.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) identities: BTreeMap<String, Identity>,
    pub(super) configuration_sets: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) stores: BTreeMap<Place, Store>,
    pub(super) principals: BTreeMap<String, Principal>,
    pub(super) revoked_keys: BTreeSet<String>,
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) faults: Faults,
    pub(super) denied: BTreeSet<Operation>,
    pub(super) limiter: Limiter<Place>,
    pub(super) calls: Vec<Call>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::real(),
            settings: Settings::default(),
            stores: BTreeMap::new(),
            principals: BTreeMap::new(),
            revoked_keys: BTreeSet::new(),
            roles: BTreeMap::new(),
            faults: Faults::default(),
            denied: BTreeSet::new(),
            limiter: Limiter::default(),
            calls: Vec::new(),
        }
    }

    pub(super) fn store(&mut self, place: &Place) -> &mut Store {
        self.stores.entry(place.clone()).or_default()
    }

    pub(super) fn identity(&mut self, place: &Place, name: &str) -> Option<&mut Identity> {
        self.stores.get_mut(place)?.identities.get_mut(&name.to_ascii_lowercase())
    }

    fn watched(&self) -> impl Iterator<Item = (&Place, &Identity)> {
        let all = self.stores.iter().flat_map(|(place, store)| store.identities.values().map(move |one| (place, one)));
        all.filter(|(_, identity)| identity.is_watched())
    }

    /// When the next look is due.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        self.watched().map(|(_, identity)| identity.next_look).min()
    }

    /// Brings looks forward that are further away than one check interval.
    pub(super) fn hasten_looks(&mut self) {
        let latest = self.clock.now() + self.settings.check_interval;
        for identity in self.stores.values_mut().flat_map(|store| store.identities.values_mut()) {
            identity.next_look = identity.next_look.min(latest);
        }
    }

    /// The looks that are due now, or all there can be.
    pub(super) fn tasks(&self, even_early: bool) -> Vec<LookTask> {
        let now = self.clock.now();
        let due = self.watched().filter(|(_, identity)| even_early || identity.next_look <= now);
        due.map(|(place, identity)| LookTask {
            place: place.clone(),
            name: identity.name.clone(),
            attempt: identity.attempt,
            task: Task::of(identity, &place.region, &self.settings.signing_hosted_zone.target(&place.region)),
        })
        .collect()
    }
}

/// A look to be made, and whose it is.
#[derive(Debug)]
pub(super) struct LookTask {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) attempt: u64,
    pub(super) task: Task,
}

/// When to look next. Within a jump of the clock to `horizon` nothing in DNS changes, so only the looks that can make a
/// difference are made: the one at the deadline and the last one.
pub(super) fn next_look(
    now: Timestamp,
    interval: Duration,
    deadline: Option<Timestamp>,
    horizon: Option<Timestamp>,
) -> Timestamp {
    let interval = interval.max(Duration::from_millis(50));
    let mut next = now + interval;
    if let Some(left) = horizon.and_then(|horizon| Duration::try_from(horizon.duration_since(now)).ok()) {
        let steps = left.as_nanos() / interval.as_nanos();
        next = next.max(now + interval.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)));
    }
    deadline.filter(|deadline| *deadline > now).map_or(next, |deadline| next.min(deadline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_looks_at_the_deadline_and_at_its_end() {
        let now = Timestamp::UNIX_EPOCH;
        let minute = Duration::from_mins(1);
        let at = |seconds: u64| now + Duration::from_secs(seconds);
        assert_eq!(next_look(now, minute, None, None), at(60));
        assert_eq!(next_look(now, minute, Some(at(30)), None), at(30));
        assert_eq!(next_look(now, minute, None, Some(at(3610))), at(3600));
        assert_eq!(next_look(now, minute, Some(at(1000)), Some(at(3610))), at(1000));
        assert_eq!(next_look(now, minute, Some(at(5000)), Some(at(10))), at(60));
    }
}
