//! Looks when they are due, by the virtual clock.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::clock::LONGEST_STEP;
use super::look::{Asker, Findings};
use super::state::{LookTask, State, next_look};

/// Looks that are made at the same time.
const PARALLEL_LOOKS: usize = 16;

/// How often (real time) the schedule is consulted.
const TICK: Duration = Duration::from_millis(100);

/// What the server, the schedule and the handles share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    dns: SocketAddr,
    /// Held while looking, so that two clocks' worth of looks never interleave.
    looking: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(super) fn new(dns: SocketAddr) -> Self {
        Self { state: Mutex::new(State::new()), dns, looking: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic in one request must not take the whole simulator with it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks on schedule until told to stop.
    pub(super) async fn keep_looking(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_some() {
            let _looking = self.looking.lock().await;
            let tasks = self.state().tasks(false);
            self.look(tasks, None).await;
        }
    }

    /// Looks at everything that is looked at at all, whether due or not.
    pub(super) async fn look_now(&self) {
        let _looking = self.looking.lock().await;
        let tasks = self.state().tasks(true);
        self.look(tasks, None).await;
    }

    /// Moves the clock on and makes the looks that fall due on the way, each at its time.
    pub(super) async fn advance(&self, step: Duration) {
        let _looking = self.looking.lock().await;
        let target = self.state().clock.now() + step.min(LONGEST_STEP);
        loop {
            let tasks = {
                let mut state = self.state();
                match state.next_look().filter(|next| *next <= target) {
                    Some(next) => state.clock.jump_to(next),
                    None => break,
                }
                state.tasks(false)
            };
            self.look(tasks, Some(target)).await;
        }
        self.state().clock.jump_to(target);
    }

    async fn look(&self, tasks: Vec<LookTask>, horizon: Option<Timestamp>) {
        let asker = Asker { server: self.dns, wait: self.state().settings.dns_timeout };
        let looks = tasks.into_iter().map(|task| async move {
            let findings = task.task.run(asker).await;
            (task, findings)
        });
        let mut looks = futures::stream::iter(looks).buffer_unordered(PARALLEL_LOOKS);
        while let Some((task, findings)) = looks.next().await {
            self.learn(&task, &findings, horizon);
        }
    }

    fn learn(&self, task: &LookTask, findings: &Findings, horizon: Option<Timestamp>) {
        let mut state = self.state();
        let now = state.clock.now();
        let (interval, window) = (state.settings.check_interval, state.settings.attempt_window);
        let Some(identity) = state.identity(&task.place, &task.name) else {
            return;
        };
        // Restarted or made anew meanwhile: what was found belongs to the past.
        if identity.attempt != task.attempt {
            return;
        }
        identity.learn(findings, now, window);
        identity.next_look = next_look(now, interval, identity.deadline(window), horizon);
    }
}
