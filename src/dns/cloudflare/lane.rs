//! Callers who want the same at about the same time share one turn: what queues up while a turn is under way is served
//! together in the next. So nobody is ever served by work that began before they asked, and nobody waits for more than
//! the turn under way and their own. A turn has a task of its own: it goes on for the others when the caller who began it
//! is cut off.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{self, Sender};
use tracing::Instrument;

/// So many lanes are kept before those that nobody uses are dropped.
const LANES: usize = 1000;

/// One lane for each key: jobs `J`, answers `R`.
pub(super) struct Lanes<K, J, R>(Mutex<HashMap<K, Arc<Lane<J, R>>>>);

struct Lane<J, R> {
    queue: Mutex<Vec<(J, Sender<R>)>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl<K, J, R> Default for Lanes<K, J, R> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<J, R> Default for Lane<J, R> {
    fn default() -> Self {
        Self { queue: Mutex::default(), turn: Arc::default() }
    }
}

impl<K: Eq + Hash, J, R: Send + 'static> Lanes<K, J, R> {
    /// Queues `job` and has it served: by `serve`, which gets every job that waits and answers each in the same order, or
    /// by the turn of another caller. `None` if that turn broke off: nobody knows how far it came.
    pub(super) async fn ride<F>(&self, key: K, job: J, serve: impl FnOnce(Vec<J>) -> F) -> Option<R>
    where
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let lane = self.lane(key);
        let (sender, mut answer) = oneshot::channel();
        lock(&lane.queue).push((job, sender));
        let turn = tokio::select! {
            biased;
            done = &mut answer => return done.ok(),
            turn = Arc::clone(&lane.turn).lock_owned() => turn,
        };
        match answer.try_recv() {
            Ok(done) => return Some(done),
            Err(oneshot::error::TryRecvError::Closed) => return None,
            Err(oneshot::error::TryRecvError::Empty) => {}
        }
        // Whoever has stopped waiting does not want it any more.
        let waiting = std::mem::take(&mut *lock(&lane.queue)).into_iter().filter(|(_, sender)| !sender.is_closed());
        let (jobs, senders): (Vec<J>, Vec<Sender<R>>) = waiting.unzip();
        let served = serve(jobs);
        let task = async move {
            for (sender, done) in senders.into_iter().zip(served.await) {
                // The one that does not listen any more was cut off meanwhile.
                let _ = sender.send(done);
            }
            drop(turn);
        };
        tokio::spawn(task.in_current_span());
        answer.await.ok()
    }

    fn lane(&self, key: K) -> Arc<Lane<J, R>> {
        let mut lanes = lock(&self.0);
        if lanes.len() >= LANES {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        Arc::clone(lanes.entry(key).or_default())
    }
}

/// A panic while one of these was held leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn what_queues_up_meanwhile_is_served_together() {
        let lanes = Lanes::default();
        let turns = AtomicUsize::new(0);
        let serve = |jobs: Vec<usize>| {
            turns.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                jobs.into_iter().map(|job| job * 10).collect()
            }
        };
        let answers = join_all((0..30).map(|job| lanes.ride("zone", job, serve))).await;
        assert_eq!(answers, (0..30).map(|job| Some(job * 10)).collect::<Vec<_>>());
        assert_eq!(turns.load(Ordering::Relaxed), 2, "the first alone, the others together");
        join_all(["a", "b"].map(|key| lanes.ride(key, 1, serve))).await;
        assert_eq!(turns.load(Ordering::Relaxed), 4, "lanes are apart");
    }

    #[tokio::test]
    async fn a_turn_goes_on_for_the_others_when_its_leader_is_cut_off() {
        let lanes = Lanes::default();
        let serve = |jobs: Vec<usize>| async move {
            tokio::time::sleep(Duration::from_millis(60)).await;
            jobs
        };
        let after = async |millis, job| {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            lanes.ride("zone", job, serve).await
        };
        // The second leads the turn that serves the third.
        let second = tokio::time::timeout(Duration::from_millis(90), after(10, 2));
        let (first, second, third) = tokio::join!(after(0, 1), second, after(20, 3));
        assert_eq!((first, third), (Some(1), Some(3)));
        assert!(second.is_err());
        assert_eq!(lanes.ride("zone", 4, serve).await, Some(4), "and the lane is free");
    }

    #[tokio::test]
    async fn a_turn_that_breaks_off_is_told_and_the_next_goes_on() {
        let lanes = Lanes::<_, usize, usize>::default();
        let broken = |_: Vec<usize>| std::future::poll_fn(|_| panic!("broken"));
        let good = |jobs: Vec<usize>| std::future::ready(jobs);
        assert_eq!(lanes.ride("zone", 1, broken).await, None);
        assert_eq!(lanes.ride("zone", 2, good).await, Some(2));
    }
}
