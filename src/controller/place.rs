//! Where the identity is, when nothing but status tells. Status may have been written by somebody else, or come back from an
//! old copy: taken at its word it would have a second identity made, or the true one left behind.

use crate::api::v1alpha1::SendingDomain;
use crate::observe::observation::{Fault, Observed};
use crate::ownership::{Mark, Ownership};
use crate::ses::client::{Account, Caller};
use crate::ses::identity::Identity;

use super::context::{Context, Remembered};

/// What came of looking into the operator's default region.
pub enum Elsewhere {
    /// There was no reason to look, or nothing of ours is there.
    Nothing,
    /// The identity is there, and is looked for there from now on.
    Found,
    /// Nobody can say.
    Unknown(Fault),
}

/// Looks for the identity of `object` in the operator's default region, if only status names another and `seen` is not
/// ours there: the mark on an identity tells where it is.
pub async fn look_elsewhere(
    object: &SendingDomain,
    seen: &Observed<Option<Identity>>,
    caller: Caller<'_>,
    mark: &Mark,
    context: &Context,
    remembered: &mut Remembered,
) -> Elsewhere {
    let is_ours = |identity: &Identity| matches!(mark.ownership(&identity.tags), Ownership::Ours(_));
    if seen.known().and_then(Option::as_ref).is_some_and(is_ours) {
        // Only where it was seen is it for sure.
        remembered.region = Some(caller.account.region.clone());
        return Elsewhere::Nothing;
    }
    let default = &context.settings.region;
    let is_told = object.spec.ses.region.is_some() || caller.account.region == *default;
    if is_told || remembered.region.is_some() || remembered.default_is_empty || *seen == Observed::NotConfigured {
        return Elsewhere::Nothing;
    }
    let account = Account { region: default.clone(), ..caller.account.clone() };
    match context.ses.get(Caller { account: &account, ..caller }, &object.spec.domain).await {
        Ok(Some(identity)) if is_ours(&identity) => {
            remembered.region = Some(account.region);
            remembered.memory.identity_changed();
            Elsewhere::Found
        }
        Ok(_) => {
            remembered.default_is_empty = true;
            Elsewhere::Nothing
        }
        Err(error) => {
            Elsewhere::Unknown(Fault { reason: error.reason(), message: error.to_string(), class: error.class() })
        }
    }
}
