//! Keeping the Lease, and giving it up in time.

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::State;
use super::claim::{Claim, Renewal};

/// Renews the Lease until it is lost or `stop` asks for its release, and tells the outcome.
pub(super) async fn hold(
    claim: Claim,
    lease: Lease,
    started: Instant,
    state: watch::Sender<State>,
    stop: CancellationToken,
) {
    let end = tokio::select! {
        biased;
        () = stop.cancelled() => State::Released(release(&claim).await),
        () = keep(&claim, lease, started, &state) => State::Lost,
    };
    state.send_replace(end);
}

/// Ends when the Lease is lost.
async fn keep(claim: &Claim, mut lease: Lease, mut renewed_at: Instant, state: &watch::Sender<State>) {
    let timing = claim.settings().timing;
    loop {
        let deadline = renewed_at + timing.renew_deadline();
        sleep_until(deadline.min(Instant::now() + timing.retry_period())).await;
        let started = Instant::now();
        // Asked of the clock and not of a timer: this process may have been stopped for longer than the Lease lasts.
        let left = deadline.saturating_duration_since(started);
        if left.is_zero() {
            tracing::error!(lease = %claim.settings(), "lost the Lease: not renewed in time");
            return;
        }
        match timeout(left.min(timing.try_timeout()), claim.renew(lease.clone())).await {
            Ok(Ok(Renewal::Renewed(now))) => {
                lease = *now;
                // From before the request: others see the change no earlier.
                renewed_at = started;
                state.send_replace(State::Held { until: started + timing.lease_duration() });
            }
            Ok(Ok(Renewal::TakenBy(holder))) => {
                tracing::error!(lease = %claim.settings(), holder, "lost the Lease to another holder");
                return;
            }
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "could not renew the Lease"),
            Err(_) => tracing::warn!("could not renew the Lease: no answer in time"),
        }
    }
}

async fn release(claim: &Claim) -> bool {
    let released = timeout(claim.settings().timing.try_timeout(), claim.release()).await;
    match &released {
        Ok(Ok(true)) => tracing::info!(lease = %claim.settings(), "released the Lease"),
        Ok(Ok(false)) => tracing::warn!("could not release the Lease: others keep changing it"),
        Ok(Err(error)) => tracing::warn!(error = error as &dyn std::error::Error, "could not release the Lease"),
        Err(_) => tracing::warn!("could not release the Lease: no answer in time"),
    }
    matches!(released, Ok(Ok(true)))
}
