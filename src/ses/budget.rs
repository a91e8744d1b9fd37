//! The shared budget of requests: SES answers about one request per second and account and region, whatever the
//! operation. Source: <https://docs.aws.amazon.com/ses/latest/APIReference/API_GetIdentityVerificationAttributes.html>.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::line::{Answer, Asker, Class, Line};
use crate::telemetry::metrics::BudgetState;
use crate::wake::Wakes;

/// How long a pass that was called waits for its turn. So few are called at once that it comes within three seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much slower than allowed requests are sent: each that is refused is lost.
const HEADROOM: f64 = 1.01;

/// One account's and region's budget.
pub struct Budget {
    line: Mutex<Line>,
    moved: Notify,
    wakes: Wakes,
}

impl Budget {
    /// A budget of `per_second` requests, without bursts. Whoever has to wait longer than a pass may is woken by `wakes`.
    pub fn new(per_second: NonZeroU32, wakes: Wakes) -> Self {
        Self { line: Mutex::new(Line::new(Self::pace_of(per_second))), moved: Notify::new(), wakes }
    }

    /// The time from one request to the next at `per_second`.
    pub fn pace_of(per_second: NonZeroU32) -> Duration {
        Duration::from_secs(1).mul_f64(HEADROOM / f64::from(per_second.get()))
    }

    /// Waits for the turn of `asker`, if it is near.
    ///
    /// # Errors
    /// How long the line is, if it is not. `asker` keeps its place and is woken when its turn is near.
    pub async fn turn(&self, asker: &Asker, class: Class) -> Result<(), Duration> {
        let presence = Presence { budget: self, asker };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let moved = self.moved.notified();
            self.line().join(asker, class, Instant::now());
            self.call_up_others(Some(asker));
            let answer = self.line().ask(asker, Instant::now());
            let wait = match answer {
                Answer::Go => break,
                Answer::Soon(wait) => wait,
                Answer::Later => return Err(self.backlog()),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.backlog());
            }
            tokio::select! {
                () = moved => {}
                () = tokio::time::sleep(wait.min(left)) => {}
            }
        }
        drop(presence);
        self.call_up();
        Ok(())
    }

    /// SES has answered a request that was sent at `sent`.
    pub fn answered(&self, refused: bool, sent: Instant) {
        self.line().answered(refused, sent, Instant::now());
    }

    /// A pass of `asker` has ended.
    pub fn pass_ended(&self, asker: &Asker) {
        self.line().pass_ended(asker);
    }

    /// `asker` is gone.
    pub fn forget(&self, asker: &Asker) {
        self.line().forget(asker);
    }

    /// Wakes those whose turn is near.
    pub fn call_up(&self) {
        self.call_up_others(None);
    }

    fn call_up_others(&self, awake: Option<&Asker>) {
        let called = self.line().call_up(Instant::now());
        for asker in called.iter().filter(|asker| Some(*asker) != awake) {
            self.wakes.wake(asker);
        }
    }

    /// The time from one request to the next.
    pub fn pace(&self) -> Duration {
        self.line().pace()
    }

    /// How long the line is, in time.
    pub fn backlog(&self) -> Duration {
        self.line().backlog()
    }

    /// As it is now, for the metrics.
    pub fn state(&self, principal: &str) -> BudgetState {
        let line = self.line();
        BudgetState {
            principal: principal.to_owned(),
            left: u32::from(line.is_open(Instant::now())),
            waiting: line.len(),
            backlog: line.backlog(),
        }
    }

    /// True if nobody waits and nothing keeps the next request back: another budget in its place would do the same.
    pub fn is_idle(&self) -> bool {
        let line = self.line();
        line.is_empty() && line.is_open(Instant::now())
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waiting in a pass; when the pass goes on or is cut off, the line moves.
struct Presence<'a> {
    budget: &'a Budget,
    asker: &'a Asker,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.budget.line().leave(self.asker);
        self.budget.moved.notify_waiters();
    }
}
