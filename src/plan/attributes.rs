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
    // First what frees room, for AWS counts tags; then what says whose the configuration set is to be.
    if !tags.remove.is_empty() {
        actions.push(Action::UntagIdentity { keys: tags.remove });
    }
    if !tags.set.is_empty() {
        actions.push(Action::TagIdentity { tags: tags.set });
    }
    actions.extend(set.map(|name| Action::SetConfigurationSet { name }));
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
        None => (there.is_some() && there == identity.tags.get(TAG_CONFIGURATION_SET)).then_some(None),
    }
}

/// The change of the tags, `set` being the change of the configuration set.
fn tags(subject: &Subject<'_>, identity: &Identity, set: Option<&Option<String>>) -> tags::Change {
    let mut change = tags::change(&subject.spec.ses.tags, &identity.tags);
    let there = identity.configuration_set.as_ref();
    let remembered = identity.tags.get(TAG_CONFIGURATION_SET);
    let is_ours = there.is_some() && there == remembered;
    let mut remember = |name: &String| change.set.insert(TAG_CONFIGURATION_SET.to_owned(), name.clone());
    match (set, &subject.spec.ses.configuration_set) {
        // One of ours is replaced first and the next remembered after: if SES refuses that, the old one is still ours.
        (Some(Some(name)), _) if remembered != Some(name) && !is_ours => {
            remember(name);
        }
        (None, Some(wanted)) if remembered.is_some_and(|remembered| remembered != wanted) => {
            remember(wanted);
        }
        (None, None) if remembered.is_some() && !is_ours => change.remove.push(TAG_CONFIGURATION_SET.to_owned()),
        _ => {}
    }
    change
}

/// The length to ask for. A length that SES is changing to already is not asked for again; of one that SES does not tell,
/// nothing is known; and adoption changes no keys.
fn key_length(subject: &Subject<'_>, identity: &Identity) -> Option<DkimKeyLength> {
    let wanted = subject.spec.ses.dkim_key_length?;
    let next = identity.dkim.next_key_length.or(identity.dkim.key_length)?;
    let ours = subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Created);
    (ours && wanted != next && !identity.brings_own_dkim()).then_some(wanted)
}
