//! Leader election by a `coordination.k8s.io/v1` Lease, with client-go's algorithm.
//!
//! Two clocks keep two leaders apart, both monotonic and neither another machine's:
//!
//! - The leader counts from *before* it sent the last renewal that succeeded, and gives up after the renew deadline,
//!   whatever the network does in between.
//! - A candidate counts from when it *saw* the Lease change last, and takes over no sooner than a whole lease duration
//!   later. That is always the later of the two.
//!
//! A lease fences nothing outside of Kubernetes: SES and Cloudflare take a late write from a former leader. So each
//! write asks [`Leadership::is_valid_for`] its own time-out first, and writes stay harmless when doubled.
//!
//! Why not a library: `docs/adr/0002-own-leader-election.md`.

use std::time::Duration;

use kube::{Client, Config};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod claim;
mod renewal;
mod settings;
mod transition;

use claim::Claim;
pub use settings::{InvalidTiming, LEASE, Settings, Timing, own_identity};
use transition::Observation;

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the API server may take to answer, or to take in, a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Changes a client configuration into one for requests that have to fail in time: no hidden retries, 5 s to connect,
/// 15 s for the answer.
///
/// kube's own defaults retry 429, 503 and 504 up to 15 times, and wait for an answer for ever. Not for watches: they may
/// be silent for longer than 15 s and would be cut.
#[must_use]
pub fn api_config(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(ANSWER_TIMEOUT);
    config.write_timeout = Some(ANSWER_TIMEOUT);
    // Otherwise the time that a pooled connection was idle counts as waiting for the answer.
    config.reset_reader_on_write = true;
    config
}

/// Where the leadership stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody else takes the Lease before this instant.
    Held { until: Instant },
    /// Somebody else has the Lease, or may soon.
    Lost,
    /// Given up on purpose; true if the Lease says so, too.
    Released(bool),
}

/// The right to act, for as long as it lasts. Clones are handles to the same one.
///
/// Dropping it gives up nothing: the Lease is renewed until [`Leadership::release`] or the end of the process.
#[derive(Clone, Debug)]
#[must_use = "the Lease is held until it is released"]
pub struct Leadership {
    state: watch::Receiver<State>,
    stop: CancellationToken,
}

/// Waits until this process leads, for as long as that takes: failing requests are logged and tried again.
///
/// `client` should be made from [`api_config`]. Cancel-safe; a Lease that was won in that very moment is free again
/// after its duration.
///
/// `reached` is called at each try that could read the Lease, whoever has it: until then this process may never lead.
pub async fn acquire(client: Client, settings: Settings, reached: impl Fn()) -> Leadership {
    let claim = Claim::new(client, settings);
    let timing = claim.settings().timing;
    let mut observation = Observation::default();
    let mut failing = false;
    tracing::info!(lease = %claim.settings(), identity = claim.settings().identity, "waiting to lead");
    loop {
        let started = Instant::now();
        let tried = tokio::time::timeout(timing.try_timeout(), claim.take(&mut observation)).await;
        if matches!(tried, Ok(Ok(_))) {
            reached();
        }
        match tried {
            Ok(Ok(Some(lease))) => {
                tracing::info!(lease = %claim.settings(), identity = claim.settings().identity, "leading");
                return start(claim, lease, started);
            }
            Ok(Ok(None)) => failing = false,
            Ok(Err(error)) => report(&mut failing, &error),
            Err(elapsed) => report(&mut failing, &elapsed),
        }
        tokio::time::sleep(timing.jittered_retry()).await;
    }
}

/// Once per outage: a candidate tries every two seconds, and may do so for hours.
fn report(failing: &mut bool, error: &(dyn std::error::Error + 'static)) {
    if *failing {
        tracing::debug!(error, "the Lease is still out of reach");
    } else {
        tracing::warn!(error, "the Lease is out of reach; trying on");
    }
    *failing = true;
}

fn start(claim: Claim, lease: k8s_openapi::api::coordination::v1::Lease, started: Instant) -> Leadership {
    let until = started + claim.settings().timing.lease_duration();
    let (sender, state) = watch::channel(State::Held { until });
    let stop = CancellationToken::new();
    tokio::spawn(renewal::hold(claim, lease, started, sender, stop.clone()));
    Leadership { state, stop }
}

impl Leadership {
    /// Ends when the Lease is lost: somebody else holds it, or it could not be renewed within the renew deadline.
    ///
    /// Never ends because of [`Leadership::release`]. Who sees it end has to stop at once: `exit(1)`.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.state.clone();
        async move {
            // An error says that the renewal itself is gone, and with it the Lease.
            let ended = state.wait_for(|state| !matches!(state, State::Held { .. })).await.map(|state| *state);
            if let Ok(State::Released(_)) = ended {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether nobody else can lead within the next `duration`, by the monotonic clock. A write asks this with its own
    /// time-out before it starts.
    ///
    /// Just after a renewal the whole lease duration (15 s) is left, and one retry period (2 s) less before the next;
    /// with one failed renewal still less: keep time-outs of writes at or below half of the lease duration.
    pub fn is_valid_for(&self, duration: Duration) -> bool {
        let State::Held { until } = *self.state.borrow() else {
            return false;
        };
        let renewing = self.state.has_changed().is_ok() && !self.stop.is_cancelled();
        renewing && Instant::now().checked_add(duration).is_some_and(|end| end <= until)
    }

    /// Hands the Lease back, so that the next leader need not wait for it to expire. Stop writing first.
    ///
    /// Returns within half of the renew deadline; true if the Lease is free now. A second call changes nothing.
    pub async fn release(&self) -> bool {
        self.stop.cancel();
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| !matches!(state, State::Held { .. })).await.map(|state| *state);
        matches!(ended, Ok(State::Released(true)))
    }
}
