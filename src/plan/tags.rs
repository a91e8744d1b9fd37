//! Which tags of the identity are set and taken away for `spec.ses.tags`.
//!
//! An identity has one set of tags for everybody, so a tag of ours remembers which of the others were set for the spec: a
//! fingerprint of each key. A tag that was there before with the value of the spec is not ours, and what a person adds at
//! AWS never is.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::api::v1alpha1::TagValue;
use crate::ownership::{
    TAG_CONFIGURATION_SET, TAG_MANAGED, TAG_OBJECT, TAG_ORIGIN, TAG_OWNER, TAG_PREFIX, TAG_RECREATE_AT,
};

/// The tags of an identity.
pub type Tags = BTreeMap<String, String>;

/// What to do to the tags of an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Tags to add or to give another value.
    pub set: Tags,
    /// Keys of tags to take away.
    pub remove: Vec<String>,
}

/// The tags of `spec` for a new identity, with the one that remembers them.
pub fn at_creation(spec: &BTreeMap<String, TagValue>) -> Tags {
    change(spec, &Tags::new()).set
}

/// What to do that the identity with the tags `there` has those of `spec`.
pub fn change(spec: &BTreeMap<String, TagValue>, there: &Tags) -> Change {
    let remembered = remembered(there);
    let differs = |key: &str, value: &str| there.get(key).map(String::as_str) != Some(value);
    let mut change = Change::default();
    let mut managed = Vec::new();
    for (key, TagValue(value)) in spec {
        let differs = differs(key, value);
        if differs {
            change.set.insert(key.clone(), value.clone());
        }
        if differs || remembered.contains(&fingerprint(key)) {
            managed.push(fingerprint(key));
        }
    }
    change.remove = set_for_the_spec(there).filter(|key| !spec.contains_key(*key)).cloned().collect();
    managed.sort_unstable();
    let memory = managed.concat();
    if memory.is_empty() && there.contains_key(TAG_MANAGED) {
        change.remove.push(TAG_MANAGED.to_owned());
    } else if !memory.is_empty() && differs(TAG_MANAGED, &memory) {
        change.set.insert(TAG_MANAGED.to_owned(), memory);
    }
    change
}

/// The keys of the tags that were set for a spec.
pub fn set_for_the_spec(there: &Tags) -> impl Iterator<Item = &String> {
    let remembered = remembered(there);
    there.keys().filter(move |key| !key.starts_with(TAG_PREFIX) && remembered.contains(&fingerprint(key)))
}

/// The keys of all tags that we have set: those for the spec, and our own. A release for adoption is not ours.
pub fn ours(there: &Tags) -> Vec<String> {
    let own = there.keys().filter(|key| OWN.contains(&key.as_str()));
    set_for_the_spec(there).chain(own).cloned().collect()
}

/// The tags that the operator puts for itself.
const OWN: [&str; 6] = [TAG_OWNER, TAG_OBJECT, TAG_ORIGIN, TAG_RECREATE_AT, TAG_MANAGED, TAG_CONFIGURATION_SET];

/// How many characters a fingerprint has: those of forty keys fit into one tag's 256.
const FINGERPRINT: usize = 6;

/// 36 bits of a hash of `key`, in characters that a tag's value may have.
fn fingerprint(key: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte % 64)]);
    Sha256::digest(key.as_bytes()).iter().take(FINGERPRINT).map(|byte| letter(*byte)).collect()
}

fn remembered(there: &Tags) -> Vec<String> {
    let text: Vec<char> = there.get(TAG_MANAGED).map_or_else(Vec::new, |memory| memory.chars().collect());
    text.chunks_exact(FINGERPRINT).map(|chunk| chunk.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(tags: &[(&str, &str)]) -> BTreeMap<String, TagValue> {
        tags.iter().map(|(key, value)| ((*key).to_owned(), TagValue((*value).to_owned()))).collect()
    }

    fn tags(tags: &[(&str, &str)]) -> Tags {
        tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// The tags after the change that `wanted` asks for.
    fn applied(wanted: &[(&str, &str)], there: &Tags) -> Tags {
        let change = change(&spec(wanted), there);
        let mut after: Tags = there.clone().into_iter().filter(|(key, _)| !change.remove.contains(key)).collect();
        after.extend(change.set);
        after
    }

    fn without_memory(mut tags: Tags) -> Tags {
        tags.remove(TAG_MANAGED);
        tags
    }

    #[test]
    fn tags_follow_the_spec_and_then_there_is_nothing_to_do() {
        let mut there = tags(&[("cost-centre", "1")]);
        for wanted in [&[("team", "mail"), ("stage", "prod")][..], &[("team", "post")], &[("other", "")], &[]] {
            there = applied(wanted, &there);
            let mut expected = tags(wanted);
            expected.insert("cost-centre".to_owned(), "1".to_owned());
            assert_eq!(without_memory(there.clone()), expected);
            assert_eq!(change(&spec(wanted), &there), Change::default());
        }
        assert_eq!(there, tags(&[("cost-centre", "1")]), "nothing is left behind");
    }

    #[test]
    fn what_a_person_did_to_a_tag_of_the_spec_is_put_right() {
        let wanted = [("team", "mail")];
        let mut there = applied(&wanted, &Tags::new());
        there.insert("team".to_owned(), "marketing".to_owned());
        assert_eq!(change(&spec(&wanted), &there).set, tags(&wanted));
        there.remove("team");
        assert_eq!(change(&spec(&wanted), &there).set, tags(&wanted));
    }

    #[test]
    fn a_tag_that_was_there_with_the_same_value_is_not_ours() {
        let there = tags(&[("team", "mail")]);
        assert_eq!(change(&spec(&[("team", "mail")]), &there), Change::default());
        assert_eq!(change(&spec(&[]), &there), Change::default());
    }

    #[test]
    fn our_own_tags_are_never_taken_for_tags_of_the_spec() {
        let owner = format!("{TAG_PREFIX}owner");
        let there = tags(&[(&owner, "x"), (TAG_MANAGED, &fingerprint(&owner))]);
        assert_eq!(change(&spec(&[]), &there).remove, [TAG_MANAGED]);
    }

    #[test]
    fn forty_keys_fit_into_one_tag_and_a_damaged_memory_does_no_harm() {
        let keys: Vec<String> = (0..40).map(|n| format!("key-{n}")).collect();
        let wanted: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
        let mut there = applied(&wanted, &Tags::new());
        assert_eq!(there.len(), 41);
        assert!(there[TAG_MANAGED].chars().count() <= 256);
        there.insert(TAG_MANAGED.to_owned(), "äöü cut off".to_owned());
        assert_eq!(set_for_the_spec(&there).count(), 0);
    }
}
