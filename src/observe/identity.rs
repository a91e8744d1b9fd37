//! Reads the identity at SES, or learns from the listing of the fleet that there is no need to.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::memory::Memory;
use super::observation::{Fault, Observed};
use super::{Sources, Viewpoint, hash, is_ours};
use crate::plan::Step;
use crate::ses;
use crate::ses::error::Kind;
use crate::ses::inventory::Seen;
use crate::status::schedule::Pace;

/// The identity, read if it is due.
pub(super) async fn observe(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
) -> Observed<Option<ses::identity::Identity>> {
    let cause = hash(&(from.generation, from.account));
    // Whose it is decides how soon it is looked at again: what is in the way may be taken away at any time.
    let foreign = memory.identity().and_then(Option::as_ref).is_some_and(|i| !is_ours(from, i));
    let pace = if foreign { Pace { verified: from.pace.terminal(), ..from.pace } } else { from.pace };
    let mut waiting = None;
    if let Err(error) = sight(from, sources, memory, foreign).await {
        waiting = Some(fault_of(&error));
    } else if memory.identity_is_due(from.ready, from.now, pace)
        && memory.standing_read(Step::Identity, cause, from.now).is_none()
    {
        match sources.ses.get(from.caller(), &from.spec().domain).await {
            Ok(identity) => {
                memory.read_succeeded(Step::Identity);
                memory.identity_read(identity, Timestamp::now());
            }
            // Its place in the line is kept, and it is woken.
            Err(error) if error.kind == Kind::NoBudget => waiting = Some(fault_of(&error)),
            Err(error) => memory.read_failed(Step::Identity, fault_of(&error), cause, from.now, from.pace),
        }
    }
    // What was read before a read that failed is not known any more; only a read that had to wait for its turn is none
    // that failed, as long as nothing is to be taken away.
    let fault = memory.standing_read(Step::Identity, cause, from.now);
    match (memory.identity(), fault, waiting) {
        (Some(identity), None, waiting) if waiting.is_none() || !from.ends() => Observed::Known(identity.clone()),
        (_, Some(fault), _) | (_, None, Some(fault)) => Observed::Unavailable(fault),
        (_, None, None) => Observed::NotConfigured,
    }
}

fn fault_of(error: &ses::error::Error) -> Fault {
    Fault { reason: error.reason(), message: error.to_string(), class: error.class() }
}

/// Looks into the inventory, where a fleet is worth a listing.
///
/// # Errors
/// If the first listing is not there yet, and nothing is known of the identity.
async fn sight(
    from: &Viewpoint<'_>,
    sources: &Sources<'_>,
    memory: &mut Memory,
    foreign: bool,
) -> Result<(), ses::error::Error> {
    // Only a reading tells whether what is in the way has changed hands, and what is ours when it is to be taken away.
    if from.fleet <= FEW || foreign || from.ends() {
        memory.sighted(None, Duration::ZERO);
        return Ok(());
    }
    let wants = memory.listing_wanted(from.ready, from.now, from.pace);
    let seen = sources.ses.look(from.caller(), &from.spec().domain, wants).await;
    let sighting = match seen {
        Seen::Listed(sighting) => Some(sighting),
        Seen::NotYet if memory.identity().is_none() => {
            return Err(ses::error::Error::no_budget("ListEmailIdentities", Duration::ZERO));
        }
        Seen::NotYet | Seen::Unlisted => None,
    };
    let turns = u32::try_from(from.fleet).unwrap_or(u32::MAX).saturating_mul(ROTATION);
    let rotation = sources.ses.pace().saturating_mul(turns).min(LONGEST_ROTATION).max(from.pace.verified);
    memory.sighted(sighting, rotation);
    Ok(())
}

/// So few identities are read one by one, which tells more than a listing and costs no more.
const FEW: usize = 3;
/// Identities that the listing says nothing new of are read in rotation, one in so many requests that SES would take: of a
/// hundred domains each every seven hours.
const ROTATION: u32 = 250;
/// However many there are, each is read once in this time.
const LONGEST_ROTATION: Duration = Duration::from_hours(7 * 24);
