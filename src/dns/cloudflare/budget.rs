//! How much may be asked. One limiter per token, since Cloudflare counts 1,200 requests per 5 minutes per user or token
//! (developers.cloudflare.com/fundamentals/api/reference/limits) and blocks everything once that is passed; and beside
//! it an instant before which nothing is sent, fed by what Cloudflare's headers say.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;

use super::token::{Asker, Fingerprint};
use super::turns::{Ticket, Turns};
use crate::telemetry::metrics::BudgetState;

/// The window that Cloudflare counts in.
const WINDOW: Duration = Duration::from_mins(5);

/// The limiters of all tokens in use.
pub(super) struct Budget {
    quota: Quota,
    max_wait: Duration,
    principals: Mutex<Principals>,
}

struct Principals {
    by_token: HashMap<Fingerprint, Arc<Principal>>,
    /// How many there ever were: the next one's number.
    count: u64,
    swept: Instant,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

struct Principal {
    /// Stands for the token where people see it.
    number: u64,
    limiter: Limiter,
    waiting: Mutex<Waiting>,
    /// Somebody has had their turn, or has given up.
    moved: Notify,
}

struct Waiting {
    used: Instant,
    not_before: Instant,
    /// What was left of the budget after the last request.
    left: u32,
    turns: Turns<Asker>,
}

impl Budget {
    /// A budget of `requests` per 5 minutes and token (at least 1). A quarter may be used at once, the rest comes back
    /// evenly, so that no window of 5 minutes ever holds more than `requests` (2 where 1 is asked for). A caller is
    /// held up for at most `max_wait`.
    pub(super) fn new(requests: u32, max_wait: Duration) -> Self {
        let at_least_one = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let burst = at_least_one(requests / 4);
        let steady = at_least_one(requests.saturating_sub(burst.get()));
        let every = WINDOW / steady.get();
        // `with_period` knows no quota for a period of zero, which 5 minutes and a u32 cannot give.
        let quota = Quota::with_period(every.max(Duration::from_nanos(1))).unwrap_or(Quota::per_second(steady));
        let principals = Principals { by_token: HashMap::new(), count: 0, swept: Instant::now() };
        Self { quota: quota.allow_burst(burst), max_wait, principals: Mutex::new(principals) }
    }

    /// Waits for the turn of `asker` with this token. `Err` is how long it would take, if that is more than the longest
    /// wait: then the caller has better things to do.
    pub(super) async fn admit(&self, token: Fingerprint, asker: &Asker) -> Result<(), Duration> {
        self.admit_within(self.max_wait, token, asker).await
    }

    /// The same for what goes on with work that has begun: given up, all of it would have to be done again, and what is
    /// left of the limit would go into beginnings. It waits for ten times as long.
    pub(super) async fn admit_further(&self, token: Fingerprint, asker: &Asker) -> Result<(), Duration> {
        self.admit_within(self.max_wait * 10, token, asker).await
    }

    async fn admit_within(&self, max_wait: Duration, token: Fingerprint, asker: &Asker) -> Result<(), Duration> {
        let principal = self.principal(token);
        let place = Place::new(&principal, asker);
        let deadline = Instant::now() + max_wait;
        loop {
            let moved = principal.moved.notified();
            let Some(wait) = principal.take(&self.quota, place.ticket) else { return Ok(()) };
            if Instant::now() + wait > deadline {
                return Err(wait);
            }
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends nothing more with this token for `wait`.
    pub(super) fn hold(&self, token: Fingerprint, wait: Duration) {
        let principal = self.principal(token);
        let mut waiting = lock(&principal.waiting);
        waiting.not_before = waiting.not_before.max(Instant::now() + wait);
    }

    fn principal(&self, token: Fingerprint) -> Arc<Principal> {
        let mut principals = lock(&self.principals);
        let now = Instant::now();
        if now.duration_since(principals.swept) >= WINDOW {
            principals.swept = now;
            principals.by_token.retain(|_, principal| !principal.is_idle(now));
        }
        let number = principals.count + 1;
        if !principals.by_token.contains_key(&token) {
            principals.count = number;
        }
        let fresh = || Arc::new(Principal::new(number, self.quota, now));
        Arc::clone(principals.by_token.entry(token).or_insert_with(fresh))
    }

    /// The budget of every token in use as it is now. Tokens are told apart by numbers, which say nothing about them.
    pub(super) fn states(&self) -> Vec<BudgetState> {
        let now = Instant::now();
        let principals = lock(&self.principals);
        let used = principals.by_token.values().filter(|principal| !principal.is_idle(now));
        used.map(|principal| principal.state(&self.quota, now)).collect()
    }
}

/// A place in the line for a token, which is left when the caller goes on or gives up.
struct Place<'a> {
    principal: &'a Principal,
    ticket: Ticket,
}

impl<'a> Place<'a> {
    fn new(principal: &'a Principal, asker: &Asker) -> Self {
        Self { principal, ticket: lock(&principal.waiting).turns.join(asker.clone()) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.principal.waiting).turns.leave(self.ticket);
        self.principal.moved.notify_waiters();
    }
}

impl Principal {
    fn new(number: u64, quota: Quota, now: Instant) -> Self {
        let waiting = Waiting { used: now, not_before: now, left: quota.burst_size().get(), turns: Turns::new() };
        Self {
            number,
            limiter: RateLimiter::direct(quota).with_middleware(),
            waiting: Mutex::new(waiting),
            moved: Notify::new(),
        }
    }

    /// Takes one request out of the budget, if it is the turn of `ticket`; `Some` is how long to wait, about, before
    /// trying again.
    fn take(&self, quota: &Quota, ticket: Ticket) -> Option<Duration> {
        let mut waiting = lock(&self.waiting);
        let now = Instant::now();
        waiting.used = now;
        let interval = quota.replenish_interval().max(Duration::from_millis(1));
        let before = u32::try_from(waiting.turns.before(ticket)).unwrap_or(u32::MAX);
        let line = interval.saturating_mul(before);
        if waiting.not_before > now {
            return Some((waiting.not_before - now).saturating_add(line));
        }
        if before > 0 {
            return Some(line);
        }
        match self.limiter.check() {
            Ok(snapshot) => {
                waiting.left = snapshot.remaining_burst_capacity();
                waiting.turns.served(ticket);
                None
            }
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Some(wait.clamp(Duration::from_millis(1), interval))
            }
        }
    }

    fn state(&self, quota: &Quota, now: Instant) -> BudgetState {
        let waiting = lock(&self.waiting);
        let interval = quota.replenish_interval().max(Duration::from_millis(1));
        let regained = now.duration_since(waiting.used).as_nanos() / interval.as_nanos();
        let regained = u32::try_from(regained).unwrap_or(u32::MAX);
        let held = waiting.not_before.saturating_duration_since(now);
        let left = waiting.left.saturating_add(regained).min(quota.burst_size().get());
        BudgetState {
            principal: format!("token-{}", self.number),
            left: if held.is_zero() { left } else { 0 },
            waiting: waiting.turns.len(),
            backlog: held + interval.saturating_mul(u32::try_from(waiting.turns.len()).unwrap_or(u32::MAX)),
        }
    }

    /// True if forgetting this principal changes nothing: unused for a window, its budget is whole again.
    fn is_idle(&self, now: Instant) -> bool {
        let waiting = lock(&self.waiting);
        waiting.not_before <= now && now.duration_since(waiting.used) >= WINDOW
    }
}

/// A panic while one of these was held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::cloudflare::ApiToken;

    fn token(text: &str) -> Fingerprint {
        ApiToken::parse(text.as_bytes()).unwrap().fingerprint()
    }

    fn asker() -> Asker {
        Asker::default()
    }

    #[tokio::test]
    async fn a_crowd_in_one_namespace_holds_another_up_for_one_turn() {
        // One at once, and then one in 20 ms.
        let budget = Budget {
            quota: Quota::with_period(Duration::from_millis(20)).unwrap(),
            ..Budget::new(1, Duration::from_secs(5))
        };
        let (budget, served) = (Arc::new(budget), Arc::new(Mutex::new(0_usize)));
        let crowd: Vec<_> = (0..60)
            .map(|_| {
                let (budget, served) = (Arc::clone(&budget), Arc::clone(&served));
                tokio::spawn(async move {
                    if budget.admit(token("shared"), &Asker::new("crowd")).await.is_ok() {
                        *lock(&served) += 1;
                    }
                })
            })
            .collect();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let before = *lock(&served);
            budget.admit(token("shared"), &Asker::new("quiet")).await.unwrap();
            let overtaken_by = *lock(&served) - before;
            assert!(overtaken_by <= 2, "{overtaken_by} were served first");
        }
        assert!(*lock(&served) < 60, "the crowd was still waiting");
        crowd.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn whoever_is_far_back_is_told_at_once_when_to_come_again() {
        let budget = Budget {
            quota: Quota::with_period(Duration::from_millis(100)).unwrap(),
            ..Budget::new(1, Duration::from_secs(1))
        };
        let (token, asker) = (token("a"), asker());
        let ask = |_| budget.admit(token, &asker);
        let answers = futures::future::join_all((0..40).map(ask)).await;
        let put_off: Vec<Duration> = answers.into_iter().filter_map(Result::err).collect();
        assert!((25..=32).contains(&put_off.len()), "{}", put_off.len());
        assert!(put_off.iter().any(|wait| *wait >= Duration::from_secs(1)), "{put_off:?}");
    }

    #[tokio::test]
    async fn a_quarter_may_be_used_at_once_and_the_rest_comes_evenly() {
        let budget = Budget::new(100, Duration::ZERO);
        for _ in 0..25 {
            assert_eq!(budget.admit(token("a"), &asker()).await, Ok(()));
        }
        let wait = budget.admit(token("a"), &asker()).await.unwrap_err();
        assert!(wait <= Duration::from_secs(4), "75 in 5 minutes is one in 4 s, not {wait:?}");
        assert_eq!(budget.admit(token("b"), &asker()).await, Ok(()), "another token has its own budget");
    }

    #[tokio::test]
    async fn a_short_wait_is_slept_and_a_long_one_is_told() {
        let budget = Budget::new(3000, Duration::from_secs(2));
        budget.hold(token("a"), Duration::from_millis(50));
        let before = Instant::now();
        assert_eq!(budget.admit(token("a"), &asker()).await, Ok(()));
        assert!(before.elapsed() >= Duration::from_millis(50));

        budget.hold(token("a"), Duration::from_mins(5));
        budget.hold(token("a"), Duration::from_secs(1));
        let wait = budget.admit(token("a"), &asker()).await.unwrap_err();
        assert!(wait > Duration::from_secs(299), "a shorter hold does not end a longer one: {wait:?}");
        assert_eq!(budget.admit(token("b"), &asker()).await, Ok(()));
    }

    #[tokio::test]
    async fn the_smallest_and_largest_budgets_work() {
        for requests in [0, 1, 2, 3, u32::MAX] {
            let budget = Budget::new(requests, Duration::ZERO);
            assert_eq!(budget.admit(token("a"), &asker()).await, Ok(()), "{requests}");
        }
        let budget = Budget::new(1, Duration::ZERO);
        assert_eq!(budget.admit(token("a"), &asker()).await, Ok(()));
        assert!(budget.admit(token("a"), &asker()).await.unwrap_err() > Duration::from_secs(299));
    }

    #[tokio::test]
    async fn unused_limiters_are_dropped_and_held_ones_are_not() {
        let budget = Budget::new(1000, Duration::ZERO);
        for name in ["idle", "held", "used"] {
            assert_eq!(budget.admit(token(name), &asker()).await, Ok(()));
        }
        budget.hold(token("held"), Duration::from_mins(15));
        let long_ago = Instant::now().checked_sub(WINDOW).unwrap();
        for name in ["idle", "held"] {
            lock(&budget.principal(token(name)).waiting).used = long_ago;
        }
        lock(&budget.principals).swept = long_ago;
        drop(budget.principal(token("used")));
        let known = |name| lock(&budget.principals).by_token.contains_key(&token(name));
        assert_eq!((known("idle"), known("held"), known("used")), (false, true, true));
    }
}
