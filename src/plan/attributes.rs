//! What is changed on an identity that is made already: its tags, its configuration set and the length of its DKIM keys.

use super::{Action, Blocker, Plan, Subject, tags};
use crate::api::condition::ConditionType::IdentityReady;
use crate::api::v1alpha1::{DkimKeyLength, IdentityOrigin};
use crate::observe::observation::Observation;
use crate::ownership::{Ownership, TAG_CONFIGURATION_SET};
use crate::ses::identity::Identity;

/// Plans what makes the attributes of an identity of ours those of the spec.
pub fn plan_attributes(subject: &Subject<'_>, identity: &Identity, seen: &Observation, plan: &mut Plan) {
    let set = configuration_set(subject, identity);
    let tags = tags(subject, identity, set.as_ref());
    let mut actions = Vec::new();
    // First what frees room, for AWS counts tags; then what says whose the configuration set is to be. Where one of ours is
    // replaced that comes last: if SES refuses the next one, the old one must still be ours.
    if !tags.remove.is_empty() {
        actions.push(Action::UntagIdentity { keys: tags.remove });
    }
    let tag = (!tags.set.is_empty()).then_some(Action::TagIdentity { tags: tags.set });
    let set = set.map(|name| Action::SetConfigurationSet { name });
    if has_set_of_ours(identity) {
        actions.extend(set.into_iter().chain(tag));
    } else {
        actions.extend(tag.into_iter().chain(set));
    }
    match &seen.standing.attributes {
        Some(fault) if !actions.is_empty() => plan.blockers.push(Blocker::from_fault(IdentityReady, fault)),
        _ => plan.actions.extend(actions),
    }
    let Some(length) = key_length(subject, identity) else { return };
    match &seen.standing.keys {
        Some(fault) => plan.blockers.push(Blocker::from_fault(IdentityReady, fault)),
        None => plan.actions.push(Action::ChangeKeyLength { length }),
    }
}

/// The configuration set to put, `None` in it for none at all. What somebody else has set stays where the spec says
/// nothing; only what a tag of ours remembers is taken away again.
#[allow(clippy::option_option, reason = "to put nothing is another thing than to do nothing")]
fn configuration_set(subject: &Subject<'_>, identity: &Identity) -> Option<Option<String>> {
    let there = identity.configuration_set.as_ref();
    match &subject.spec.ses.configuration_set {
        Some(wanted) => (there != Some(wanted)).then(|| Some(wanted.clone())),
        None => has_set_of_ours(identity).then_some(None),
    }
}

/// The change of the tags, `set` being the change of the configuration set.
fn tags(subject: &Subject<'_>, identity: &Identity, set: Option<&Option<String>>) -> tags::Change {
    let mut change = tags::change(&subject.spec.ses.tags, &identity.tags);
    let remembered = identity.tags.get(TAG_CONFIGURATION_SET);
    let mut remember = |name: &String| change.set.insert(TAG_CONFIGURATION_SET.to_owned(), name.clone());
    match (set, &subject.spec.ses.configuration_set) {
        (Some(Some(name)), _) if remembered != Some(name) => {
            remember(name);
        }
        (None, Some(wanted)) if remembered.is_some_and(|remembered| remembered != wanted) => {
            remember(wanted);
        }
        (None, None) if remembered.is_some() && !has_set_of_ours(identity) => {
            change.remove.push(TAG_CONFIGURATION_SET.to_owned());
        }
        _ => {}
    }
    change
}

/// True if the configuration set that the identity has is the one that we have put.
fn has_set_of_ours(identity: &Identity) -> bool {
    let there = identity.configuration_set.as_ref();
    there.is_some() && there == identity.tags.get(TAG_CONFIGURATION_SET)
}

/// The length to ask for. A length that SES is changing to already is not asked for again; of one that SES does not tell,
/// nothing is known; and adoption changes no keys.
fn key_length(subject: &Subject<'_>, identity: &Identity) -> Option<DkimKeyLength> {
    let wanted = subject.spec.ses.dkim_key_length?;
    let next = identity.dkim.next_key_length.or(identity.dkim.key_length)?;
    let ours = subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Created);
    (ours && wanted != next && !identity.brings_own_dkim()).then_some(wanted)
}
