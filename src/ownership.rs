//! The marks by which the operator knows what it made: in the comment of a DNS record and in the tags of an identity.
//! Only they decide what may be changed or deleted; status never does.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::api::status::IdentityOrigin;

/// Tag: the owner id of the operator.
pub const TAG_OWNER: &str = "sendingdomain.dev/owner";
/// Tag: the hash of namespace and name of the object.
pub const TAG_OBJECT: &str = "sendingdomain.dev/object";
/// Tag: whether the identity was created or adopted.
pub const TAG_ORIGIN: &str = "sendingdomain.dev/origin";
/// Tag: the value of the annotation `recreate-at` with which the identity was created.
pub const TAG_RECREATE_AT: &str = "sendingdomain.dev/recreate-at";
/// Tag: which tags were set for `spec.ses.tags`.
pub const TAG_MANAGED: &str = "sendingdomain.dev/managed-tags";
/// Tag: the configuration set that was set for `spec.ses.configurationSet`.
pub const TAG_CONFIGURATION_SET: &str = "sendingdomain.dev/configuration-set";
/// The prefix of every tag of ours.
pub const TAG_PREFIX: &str = "sendingdomain.dev/";

/// The longest owner id, in characters: with it a mark takes 87 of the 100 characters that Cloudflare's Free plan allows
/// in a comment.
pub const OWNER_ID_LIMIT: usize = 36;

/// The mark of one object: who runs the operator, and a 128-bit hash of the object's namespace and name. Stable when the
/// object is deleted and created again, and when the cluster is lost, as long as the owner id stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    owner: String,
    object: String,
}

/// Whose an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// This object's.
    Ours(IdentityOrigin),
    /// Another object's or another operator's.
    Foreign,
    /// Nobody has marked it.
    Unmarked,
}

impl Mark {
    /// The mark of the object `namespace`/`name` of the operator `owner`.
    pub fn new(owner: &str, namespace: &str, name: &str) -> Self {
        let digest = Sha256::digest(format!("{namespace}/{name}").as_bytes());
        let object = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { owner: owner.to_owned(), object }
    }

    /// The comment of a record of ours.
    pub fn comment(&self) -> String {
        format!("sendingdomain.dev/{}/{}", self.owner, self.object)
    }

    /// True if `comment` carries this mark. People may have added words of their own around it.
    pub fn is_in_comment(&self, comment: Option<&str>) -> bool {
        let mark = self.comment();
        comment.is_some_and(|text| text.split_whitespace().any(|word| word == mark))
    }

    /// The tags that carry the mark on an identity.
    pub fn tags(&self, origin: IdentityOrigin, recreate_at: Option<&str>) -> BTreeMap<String, String> {
        let origin = match origin {
            IdentityOrigin::Created => "Created",
            IdentityOrigin::Adopted => "Adopted",
        };
        let mut tags: BTreeMap<_, _> = [(TAG_OWNER, &*self.owner), (TAG_OBJECT, &*self.object), (TAG_ORIGIN, origin)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        if let Some(value) = recreate_at {
            tags.insert(TAG_RECREATE_AT.to_owned(), tag_value(value));
        }
        tags
    }

    /// True if the tags are those of another object of the same operator.
    pub fn is_sibling_of(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.get(TAG_OWNER) == Some(&self.owner) && tags.get(TAG_OBJECT).is_some_and(|object| *object != self.object)
    }

    /// Whose the identity with these tags is. Without a readable origin an identity of ours counts as adopted, which is
    /// the reading under which it is never deleted.
    pub fn ownership(&self, tags: &BTreeMap<String, String>) -> Ownership {
        match (tags.get(TAG_OWNER), tags.get(TAG_OBJECT)) {
            (Some(owner), Some(object)) if *owner == self.owner && *object == self.object => {
                match tags.get(TAG_ORIGIN).map(String::as_str) {
                    Some("Created") => Ownership::Ours(IdentityOrigin::Created),
                    _ => Ownership::Ours(IdentityOrigin::Adopted),
                }
            }
            (None, None) => Ownership::Unmarked,
            _ => Ownership::Foreign,
        }
    }
}

/// `text` as a tag's value: what AWS does not allow there becomes `_`, and it ends after 256 characters.
pub fn tag_value(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    text.chars().take(256).map(|c| if allowed(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "0e8e4a44-1b2f-4d37-9f5e-0a3c7a0a9b11";

    #[test]
    fn a_comment_fits_the_free_plan_and_is_recognised() {
        let mark = Mark::new(OWNER, &"n".repeat(63), &"x".repeat(253));
        assert!(mark.comment().len() <= 100, "{}", mark.comment().len());
        assert!(mark.is_in_comment(Some(&mark.comment())));
        assert!(mark.is_in_comment(Some(&format!("mail team: {} do not touch", mark.comment()))));
        assert!(!mark.is_in_comment(None));
        assert!(!mark.is_in_comment(Some("")));
        assert!(!mark.is_in_comment(Some(&format!("{}0", mark.comment()))));
        assert!(!mark.is_in_comment(Some(&Mark::new(OWNER, "n", "y").comment())));
        assert!(!mark.is_in_comment(Some(&Mark::new("other", &"n".repeat(63), &"x".repeat(253)).comment())));
    }

    #[test]
    fn c1_only_the_very_object_owns_an_identity() {
        let mark = Mark::new(OWNER, "mail", "example");
        let tags = mark.tags(IdentityOrigin::Created, None);
        assert_eq!(mark.ownership(&tags), Ownership::Ours(IdentityOrigin::Created));
        assert_eq!(Mark::new(OWNER, "mail", "other").ownership(&tags), Ownership::Foreign);
        assert!(Mark::new(OWNER, "mail", "other").is_sibling_of(&tags) && !mark.is_sibling_of(&tags));
        assert_eq!(Mark::new("elsewhere", "mail", "example").ownership(&tags), Ownership::Foreign);
        assert_eq!(mark.ownership(&BTreeMap::new()), Ownership::Unmarked);
        let half: BTreeMap<_, _> = tags.clone().into_iter().filter(|(key, _)| key != TAG_OBJECT).collect();
        assert_eq!(mark.ownership(&half), Ownership::Foreign);
        let garbled: BTreeMap<_, _> = tags.into_iter().filter(|(key, _)| key != TAG_ORIGIN).collect();
        assert_eq!(mark.ownership(&garbled), Ownership::Ours(IdentityOrigin::Adopted));
    }

    #[test]
    fn namespace_and_name_cannot_be_shifted_into_each_other() {
        assert_ne!(Mark::new(OWNER, "a", "b-c"), Mark::new(OWNER, "a-b", "c"));
    }

    #[test]
    fn a_tag_value_is_made_acceptable() {
        assert_eq!(tag_value("2026-11-23T10:00:00Z\n<x>"), "2026-11-23T10:00:00Z__x_");
        assert_eq!(tag_value(&"a".repeat(400)).len(), 256);
    }
}
