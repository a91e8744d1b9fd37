//! What SES lists of each account and region: which identities there are, and how their verification stands. One request
//! for a thousand identities takes the place of a thousand readings; what a listing does not say (DKIM, MAIL FROM, marks)
//! is read when it tells of a change.
//!
//! A listing is asked for with the very credentials of those that it answers, and answers each for its own domain only:
//! two roles of one AWS account share the rate, not what they see. It is a hint where to look and never an authority:
//! what is in the way, and what is ours, is decided by reading the identity itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::client::Account;
use super::identity::{Identity, SesStatus};
use super::line::Asker;

/// What a listing says of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The verification of the domain.
    pub verification: SesStatus,
    /// Whether SES lets the identity send.
    pub sending_enabled: bool,
}

impl Listed {
    /// True if it says something else than what was read of `identity`.
    pub fn differs_from(&self, identity: &Identity) -> bool {
        let begun = |status: &SesStatus| !matches!(status, SesStatus::Pending | SesStatus::NotStarted);
        let known = identity.verification.as_ref().filter(|status| begun(status));
        let listed = Some(&self.verification).filter(|status| begun(status));
        known != listed || self.sending_enabled != identity.verified_for_sending
    }
}

/// What a listing says of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When the listing was begun: what happened since it may not know.
    pub at: Timestamp,
    /// `None` if SES does not list the domain.
    pub entry: Option<Listed>,
}

/// What the inventory answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the last listing says.
    Listed(Sighting),
    /// There is none yet.
    NotYet,
    /// SES cannot be asked for one: each identity has to be read.
    Unlisted,
}

/// A whole listing.
#[derive(Clone, Debug)]
pub struct Listing {
    /// When its first page was asked for.
    pub at: Timestamp,
    /// The domains in it.
    pub entries: HashMap<String, Listed>,
    /// How many requests it took.
    pub pages: u32,
}

impl Listing {
    /// A listing whose first page is asked for now.
    pub fn begun(at: Timestamp) -> Self {
        Self { at, entries: HashMap::new(), pages: 0 }
    }
}

/// One page of a listing.
pub(super) struct Page {
    pub(super) entries: Vec<(String, Listed)>,
    /// What the next page is asked for with, if there is one.
    pub(super) next: Option<String>,
}

/// An object that is answered from a listing.
#[derive(Clone, Debug)]
struct Watcher {
    domain: String,
    /// How old a listing may be to serve it.
    wants: Duration,
    asked: Instant,
}

/// One account's and region's part of the inventory.
#[derive(Debug, Default)]
struct Shelf {
    listing: Option<(Listing, Instant)>,
    watchers: HashMap<Asker, Watcher>,
    /// Whether a listing is under way: there is never more than one.
    is_refreshing: bool,
    /// Until when no other listing is tried, after so many that failed in a row.
    trouble: Option<(Instant, u32)>,
}

/// The listings of all accounts and regions in use; those that nobody asks for any more are forgotten.
#[derive(Debug)]
pub struct Inventory {
    shelves: HashMap<Account, Shelf>,
    /// How long an object is remembered that does not ask again.
    idle: Duration,
    /// How long a failed listing stands that only a person can mend.
    refusal: Duration,
}

/// A listing takes at most one request in so many.
const SHARE: u32 = 10;

impl Inventory {
    /// An inventory for objects that ask at least every `interval`.
    pub fn new(interval: Duration) -> Self {
        let idle = interval.saturating_mul(2).max(Duration::from_mins(2));
        Self { shelves: HashMap::new(), idle, refusal: interval }
    }

    /// What is known of `domain`, from a listing of whatever age; `asker` wants one no older than `wants` from now on, and
    /// is told when it says something new.
    pub fn look(&mut self, account: &Account, asker: &Asker, domain: &str, wants: Duration, now: Instant) -> Seen {
        let place = self.shelves.entry(account.clone()).or_default();
        place.watchers.insert(asker.clone(), Watcher { domain: domain.to_owned(), wants, asked: now });
        match (&place.listing, place.trouble) {
            (Some((listing, _)), _) => {
                Seen::Listed(Sighting { at: listing.at, entry: listing.entries.get(domain).cloned() })
            }
            (None, Some(_)) => Seen::Unlisted,
            (None, None) => Seen::NotYet,
        }
    }

    /// `asker` does not ask any more.
    pub fn forget(&mut self, asker: &Asker) {
        for place in self.shelves.values_mut() {
            place.watchers.remove(asker);
        }
    }

    /// The accounts whose listing is older than somebody wants. Each is counted as under way from now on. `line` answers
    /// how long a request takes, and how long it waits for its turn.
    pub fn due(&mut self, now: Instant, line: impl Fn(&Account) -> (Duration, Duration)) -> Vec<Account> {
        let idle = self.idle;
        self.shelves.retain(|_, place| {
            place.watchers.retain(|_, watcher| now.duration_since(watcher.asked) < idle);
            place.is_refreshing || !place.watchers.is_empty()
        });
        let settled = self.refusal * 3 / 5;
        let mut due = Vec::new();
        for (account, place) in &mut self.shelves {
            if place.is_due(now, settled, || line(account)) {
                place.is_refreshing = true;
                due.push(account.clone());
            }
        }
        due
    }

    /// Takes a new listing in; answers whom it tells something new.
    pub fn learn(&mut self, account: &Account, listing: Listing, now: Instant) -> Vec<Asker> {
        let Some(place) = self.shelves.get_mut(account) else { return Vec::new() };
        let before = place.listing.take();
        let is_news = |domain: &str| {
            before.as_ref().is_none_or(|(before, _)| before.entries.get(domain) != listing.entries.get(domain))
        };
        let told = place.watchers.iter().filter(|(_, watcher)| is_news(&watcher.domain));
        let told = told.map(|(asker, _)| asker.clone()).collect();
        (place.listing, place.trouble, place.is_refreshing) = (Some((listing, now)), None, false);
        told
    }

    /// A listing has failed; `refused` if only a person can mend that. An old one serves a while longer; without one every
    /// identity is read by itself. Answers who waited.
    pub fn failed(&mut self, account: &Account, refused: bool, now: Instant) -> Vec<Asker> {
        let (idle, refusal) = (self.idle, self.refusal);
        let Some(place) = self.shelves.get_mut(account) else { return Vec::new() };
        let tries = place.trouble.map_or(0, |(_, tries)| tries.saturating_add(1));
        let wait = if refused { refusal } else { Duration::from_secs(2_u64.saturating_pow(tries.min(8))).min(refusal) };
        place.trouble = Some((now + wait, tries));
        place.is_refreshing = false;
        if refused || place.listing.as_ref().is_some_and(|(_, at)| now.duration_since(*at) > idle) {
            place.listing = None;
        }
        if place.listing.is_none() { place.watchers.keys().cloned().collect() } else { Vec::new() }
    }
}

impl Shelf {
    fn is_due(&self, now: Instant, settled: Duration, line: impl FnOnce() -> (Duration, Duration)) -> bool {
        let is_held = self.trouble.is_some_and(|(until, _)| now < until);
        // Whoever does not ask again soon is not in a hurry any more.
        let wants = |watcher: &Watcher| watcher.wants.max(now.duration_since(watcher.asked).min(settled));
        let Some(wants) = self.watchers.values().map(wants).min().filter(|_| !self.is_refreshing && !is_held) else {
            return false;
        };
        let Some((listing, at)) = &self.listing else { return true };
        let (pace, backlog) = line();
        // Whoever learns something from it has to wait behind those who wait already.
        let wants = wants.max(backlog).max(pace.saturating_mul(SHARE.saturating_mul(listing.pages)));
        now.duration_since(*at) >= wants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_mins(15);
    const SECOND: Duration = Duration::from_secs(1);

    fn account(region: &str) -> Account {
        Account { region: region.to_owned(), role: None }
    }

    fn asker(name: &str) -> Asker {
        Asker { namespace: "n".to_owned(), name: name.to_owned() }
    }

    fn listing(entries: &[(&str, SesStatus)]) -> Listing {
        let entry = |(name, verification): &(&str, SesStatus)| {
            let sending_enabled = *verification == SesStatus::Success;
            ((*name).to_owned(), Listed { verification: verification.clone(), sending_enabled })
        };
        Listing { at: Timestamp::UNIX_EPOCH, entries: entries.iter().map(entry).collect(), pages: 1 }
    }

    fn free(_: &Account) -> (Duration, Duration) {
        (SECOND, Duration::ZERO)
    }

    #[test]
    fn nothing_is_listed_that_nobody_asks_for_and_nothing_twice_at_once() {
        let (mut inventory, here, now) = (Inventory::new(INTERVAL), account("here"), Instant::now());
        assert_eq!(inventory.due(now, free), []);
        assert_eq!(inventory.look(&here, &asker("a"), "a.example", INTERVAL, now), Seen::NotYet);
        assert_eq!(inventory.look(&here, &asker("b"), "b.example", INTERVAL, now), Seen::NotYet);
        assert_eq!(inventory.due(now, free), vec![here.clone()]);
        assert_eq!(inventory.due(now, free), [], "one is under way");
        let mut told = inventory.learn(&here, listing(&[("a.example", SesStatus::Pending)]), now);
        told.sort();
        assert_eq!(told, [asker("a"), asker("b")]);
        let seen = |inventory: &mut Inventory, name: &str| {
            inventory.look(&here, &asker(name), &format!("{name}.example"), INTERVAL, now)
        };
        assert!(matches!(seen(&mut inventory, "a"), Seen::Listed(Sighting { entry: Some(_), .. })));
        assert!(matches!(seen(&mut inventory, "b"), Seen::Listed(Sighting { entry: None, .. })));
    }

    #[test]
    fn a_listing_is_as_young_as_the_most_eager_wants_it_and_the_line_allows() {
        let (mut inventory, here, now) = (Inventory::new(INTERVAL), account("here"), Instant::now());
        inventory.look(&here, &asker("a"), "a.example", INTERVAL, now);
        inventory.due(now, free);
        inventory.learn(&here, Listing { pages: 4, ..listing(&[]) }, now);
        assert_eq!(inventory.due(now + 100 * SECOND, free), []);
        inventory.look(&here, &asker("b"), "b.example", 30 * SECOND, now);
        assert_eq!(inventory.due(now + 39 * SECOND, free), [], "four pages are not listed every thirty seconds");
        assert_eq!(inventory.due(now + 100 * SECOND, |_| (SECOND, 101 * SECOND)), [], "the line is long");
        assert_eq!(inventory.due(now + 40 * SECOND, free), vec![here]);
    }

    #[test]
    fn who_does_not_ask_again_is_not_in_a_hurry() {
        let (mut inventory, here, mut now) = (Inventory::new(INTERVAL), account("here"), Instant::now());
        let mut listings = 0;
        inventory.look(&here, &asker("a"), "a.example", 30 * SECOND, now);
        for _ in 0..900 {
            now += SECOND;
            if !inventory.due(now, free).is_empty() {
                inventory.learn(&here, listing(&[]), now);
                listings += 1;
            }
        }
        assert_eq!(listings, 2);
    }

    #[test]
    fn only_those_are_told_whose_domain_has_changed() {
        let (mut inventory, here, now) = (Inventory::new(INTERVAL), account("here"), Instant::now());
        for name in ["a", "b", "c"] {
            inventory.look(&here, &asker(name), &format!("{name}.example"), INTERVAL, now);
        }
        inventory.learn(&here, listing(&[("a.example", SesStatus::Pending), ("b.example", SesStatus::Success)]), now);
        let next = listing(&[("a.example", SesStatus::Success), ("b.example", SesStatus::Success)]);
        assert_eq!(inventory.learn(&here, next.clone(), now), [asker("a")]);
        assert_eq!(inventory.learn(&here, next, now), []);
        assert_eq!(inventory.learn(&here, listing(&[("a.example", SesStatus::Success)]), now), [asker("b")]);
    }

    #[test]
    fn a_listing_that_fails_is_no_absence() {
        let (mut inventory, here, now) = (Inventory::new(INTERVAL), account("here"), Instant::now());
        let look = |inventory: &mut Inventory, at| inventory.look(&here, &asker("a"), "a.example", SECOND, at);
        look(&mut inventory, now);
        inventory.due(now, free);
        assert_eq!(inventory.failed(&here, false, now), [asker("a")], "it is read by itself");
        assert_eq!(look(&mut inventory, now), Seen::Unlisted);
        assert_eq!(inventory.due(now, free), []);
        assert_eq!(inventory.due(now + SECOND, free), vec![here.clone()]);
        inventory.learn(&here, listing(&[]), now);
        assert_eq!(inventory.failed(&here, false, now), [], "the old one serves a while");
        assert!(matches!(look(&mut inventory, now), Seen::Listed(_)));
        inventory.failed(&here, true, now);
        assert_eq!(look(&mut inventory, now), Seen::Unlisted);
        assert_eq!(inventory.due(now + 60 * SECOND, free), [], "a refusal stands");
    }

    #[test]
    fn an_account_sees_only_its_own_and_is_forgotten_when_nobody_asks_any_more() {
        let (mut inventory, now) = (Inventory::new(INTERVAL), Instant::now());
        let (here, there) = (account("here"), account("there"));
        inventory.look(&here, &asker("a"), "a.example", INTERVAL, now);
        inventory.due(now, free);
        inventory.learn(&here, listing(&[("a.example", SesStatus::Pending)]), now);
        assert_eq!(inventory.look(&there, &asker("b"), "a.example", INTERVAL, now), Seen::NotYet);
        inventory.forget(&asker("b"));
        assert_eq!(inventory.due(now + 3 * INTERVAL, free), []);
        assert!(inventory.shelves.is_empty());
    }
}
