//! The shared budget of requests: SES answers about one request per second and account and region, whatever the
//! operation. Source: <https://docs.aws.amazon.com/ses/latest/APIReference/API_GetIdentityVerificationAttributes.html>.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, QuantaClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// How long a call may wait in line before its object is put off instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// One account's and region's budget.
pub struct Budget {
    limiter: DefaultDirectRateLimiter,
    clock: QuantaClock,
}

impl Budget {
    /// A budget of `per_second` requests, without bursts beyond one second's worth.
    pub fn new(per_second: NonZeroU32) -> Self {
        Self { limiter: RateLimiter::direct(Quota::per_second(per_second)), clock: QuantaClock::default() }
    }

    /// Takes one request out of the budget, waiting in line for a short time.
    ///
    /// # Errors
    /// How long it would have had to wait, if that is too long to hold the object up.
    pub async fn take(&self) -> Result<(), Duration> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let Err(not_until) = self.limiter.check() else {
                return Ok(());
            };
            let wait = not_until.wait_time_from(self.clock.now());
            if tokio::time::Instant::now() + wait > deadline {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
    }
}
