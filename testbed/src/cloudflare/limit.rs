//! The rate limit: so many requests per token in a fixed window, then nothing until it ends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What the headers say after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) allowed: bool,
    pub(super) quota: u32,
    pub(super) window: u64,
    pub(super) remaining: u32,
    /// Whole seconds until the window ends, at least one.
    pub(super) reset: u64,
}

#[derive(Debug)]
struct Window {
    started: Instant,
    used: u32,
}

/// Counts requests per token.
#[derive(Debug)]
pub(super) struct RateLimit {
    quota: u32,
    window: Duration,
    users: HashMap<String, Window>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(1200, Duration::from_mins(5))
    }
}

impl RateLimit {
    pub(super) fn new(quota: u32, window: Duration) -> Self {
        Self { quota, window, users: HashMap::new() }
    }

    pub(super) fn count(&mut self, user: &str, now: Instant) -> Standing {
        let fresh = || Window { started: now, used: 0 };
        let entry = self.users.entry(user.to_owned()).or_insert_with(fresh);
        if now.duration_since(entry.started) >= self.window {
            *entry = fresh();
        }
        let allowed = entry.used < self.quota;
        entry.used = entry.used.saturating_add(1);
        let left = self.window.saturating_sub(now.duration_since(entry.started));
        Standing {
            allowed,
            quota: self.quota,
            window: self.window.as_secs(),
            remaining: self.quota.saturating_sub(entry.used),
            reset: left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_tokens_do_not_share() {
        let mut limit = RateLimit::new(2, Duration::from_secs(10));
        let start = Instant::now();
        assert_eq!(limit.count("a", start).remaining, 1);
        assert!(limit.count("a", start).allowed);
        let over = limit.count("a", start + Duration::from_millis(2500));
        assert_eq!((over.allowed, over.remaining, over.reset), (false, 0, 8));
        assert!(limit.count("b", start).allowed);
        assert!(limit.count("a", start + Duration::from_secs(10)).allowed);
    }
}
