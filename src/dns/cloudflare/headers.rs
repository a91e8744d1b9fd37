//! What the answer's headers say besides the body: how long to wait, and the id to name to Cloudflare's support.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The wait after a 429 that names none. Over the limit everything is blocked for the rest of five minutes
/// (developers.cloudflare.com/fundamentals/api/reference/limits), so asking every minute is often enough.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// The longest wait that is believed. Cloudflare's own block lasts five minutes.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// How long the other side asks us to stay away: `Retry-After`, or `Ratelimit` when it says that nothing is left; a
/// 429 always asks. At most 15 minutes.
pub(super) fn asked_wait(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let explicit = text(RETRY_AFTER.as_str()).and_then(|value| retry_after(value, now));
    let exhausted = text("ratelimit").and_then(exhausted_for);
    let default = (status == StatusCode::TOO_MANY_REQUESTS).then_some(DEFAULT_WAIT);
    explicit.max(exhausted).or(default).map(|wait| wait.min(MAX_WAIT))
}

/// The id of the request at Cloudflare, for support: `8f3c…-FRA`. Anything of another form is dropped, since this goes
/// into messages.
pub(super) fn ray_id(headers: &HeaderMap) -> Option<String> {
    let ray = headers.get("cf-ray")?.to_str().ok()?;
    let fits = (1..=40).contains(&ray.len()) && ray.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then(|| ray.to_owned())
}

/// Seconds, or a date (RFC 9110, 10.2.3). A date in the past is no wait.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(until.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

/// One item of `Ratelimit`: what is left of a limit, and the seconds until it is whole again.
#[derive(Clone, Copy, Debug)]
struct Left<'a> {
    policy: &'a str,
    requests: u64,
    reset: u64,
}

/// The items of `"default";r=0;t=30`, several after commas (the API's changelog of 2025-09-03).
fn items(value: &str) -> impl Iterator<Item = Left<'_>> {
    value
        .split(',')
        .filter_map(|item| Some(Left { policy: name(item), requests: number(item, "r")?, reset: number(item, "t")? }))
}

fn name(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

fn number(item: &str, key: &str) -> Option<u64> {
    let mut pairs = item.split(';').filter_map(|part| part.trim().split_once('='));
    pairs.find(|(found, _)| *found == key).and_then(|(_, value)| value.parse().ok())
}

/// The seconds until the window resets, if a limit has no request left.
fn exhausted_for(value: &str) -> Option<Duration> {
    items(value).filter(|left| left.requests == 0).map(|left| Duration::from_secs(left.reset)).max()
}

/// Without a policy in the answer, so few requests are little.
const FEW: u64 = 20;

/// How long to let pass before the next request, when little of a limit is left (a fifth of what `Ratelimit-Policy`
/// allows): what is left is then spread over what is left of the window, and lasts until it ends. The dashboard and the
/// other tokens of a user draw on the same limit, so our own count does not know how much is left.
pub(super) fn pace(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let policy = text("ratelimit-policy");
    let quota = |of: &str| policy.split(',').find(|item| name(item) == of).and_then(|item| number(item, "q"));
    let is_little = |left: &Left<'_>| left.requests > 0 && left.requests <= quota(left.policy).map_or(FEW, |q| q / 5);
    let share = |requests: u64| u32::try_from(requests).unwrap_or(u32::MAX).saturating_add(1);
    let spread = |left: Left<'_>| Duration::from_secs(left.reset) / share(left.requests);
    items(text("ratelimit")).filter(is_little).map(spread).max().map(|wait| wait.min(MAX_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(status: u16, headers: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        let now = "2026-10-01T12:00:00Z".parse().unwrap();
        asked_wait(StatusCode::from_u16(status).unwrap(), &headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_honoured_in_both_forms() {
        assert_eq!(wait(429, &[("retry-after", "17")]), Some(17));
        assert_eq!(wait(503, &[("retry-after", " 5 ")]), Some(5));
        assert_eq!(wait(429, &[("retry-after", "Thu, 01 Oct 2026 12:02:00 GMT")]), Some(120));
        assert_eq!(wait(429, &[("retry-after", "Thu, 01 Oct 2026 11:00:00 GMT")]), Some(0));
    }

    #[test]
    fn an_exhausted_ratelimit_asks_for_its_reset() {
        assert_eq!(wait(200, &[("ratelimit", r#""default";r=50;t=30"#)]), None);
        assert_eq!(wait(200, &[("ratelimit", r#""default";r=0;t=30"#)]), Some(30));
        assert_eq!(wait(200, &[("ratelimit", r#""a";r=9;t=90, "b"; r=0; t=7"#)]), Some(7));
        assert_eq!(wait(429, &[("ratelimit", r#""default";r=0;t=30"#), ("retry-after", "40")]), Some(40));
    }

    #[test]
    fn what_little_is_left_is_spread_over_the_window() {
        let pace = |limit: &str, policy: &str| {
            let pairs = [("ratelimit", limit), ("ratelimit-policy", policy)];
            let headers = pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            super::pace(&HeaderMap::from_iter(headers)).map(|wait| wait.as_millis())
        };
        let policy = r#""default";q=1200;w=300"#;
        assert_eq!(pace(r#""default";r=241;t=100"#, policy), None);
        assert_eq!(pace(r#""default";r=199;t=100"#, policy), Some(500));
        assert_eq!(pace(r#""default";r=1;t=300"#, policy), Some(150_000));
        assert_eq!(pace(r#""default";r=0;t=30"#, policy), None, "that is a wait, not a pace");
        assert_eq!(pace(r#""default";r=50;t=30"#, ""), None);
        assert_eq!(pace(r#""default";r=19;t=30"#, ""), Some(1500));
        assert_eq!(pace(r#""a";r=900;t=9, "b";r=4;t=60"#, r#""a";q=1200;w=300, "b";q=100;w=60"#), Some(12_000));
        assert_eq!(pace("r", "q"), None);
        assert_eq!(pace(r#""x";r=1;t=18446744073709551615"#, ""), Some(900_000));
    }

    #[test]
    fn nonsense_is_no_wait_but_a_429_always_is() {
        assert_eq!(wait(200, &[]), None);
        for value in ["", "soon", "-1", "r=0", ";;;", "\u{e4}"] {
            assert_eq!(wait(200, &[("retry-after", value), ("ratelimit", value)]), None, "{value}");
            assert_eq!(wait(429, &[("retry-after", value), ("ratelimit", value)]), Some(60), "{value}");
        }
        assert_eq!(wait(429, &[("retry-after", "18446744073709551615")]), Some(900));
    }

    #[test]
    fn only_a_well_formed_ray_is_repeated() {
        let ray = |value: &str| ray_id(&HeaderMap::from_iter([("cf-ray".parse().unwrap(), value.parse().unwrap())]));
        assert_eq!(ray("8f3c2a-FRA").as_deref(), Some("8f3c2a-FRA"));
        assert_eq!(ray("<b>").as_deref(), None);
        assert_eq!(ray(&"a".repeat(41)), None);
        assert_eq!(ray(""), None);
    }
}
