//! Which operation a request is, by its method and path.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The operations that the simulator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the SES v2 and STS API")]
pub enum Operation {
    CreateEmailIdentity,
    GetEmailIdentity,
    DeleteEmailIdentity,
    ListEmailIdentities,
    PutEmailIdentityMailFromAttributes,
    PutEmailIdentityDkimAttributes,
    PutEmailIdentityDkimSigningAttributes,
    PutEmailIdentityConfigurationSetAttributes,
    TagResource,
    UntagResource,
    ListTagsForResource,
    GetConfigurationSet,
    CreateConfigurationSet,
    GetAccount,
    AssumeRole,
    GetCallerIdentity,
    /// Anything else that was asked for.
    Unknown,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The operation and the identity or configuration set in its path.
pub(super) fn route(method: &str, path: &str) -> (Operation, Option<String>) {
    let segments: Vec<String> = path.trim_matches('/').split('/').map(percent_decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // The published API has the DKIM signing operation under v1 and the listing as a plain GET; both forms are in use.
    let Some(("v1" | "v2", ["email", rest @ ..])) = segments.split_first().map(|(first, rest)| (*first, rest)) else {
        return (Operation::Unknown, None);
    };
    match (method, rest) {
        ("POST", ["identities"]) => (Operation::CreateEmailIdentity, None),
        ("POST", ["list-identities"]) | ("GET", ["identities"]) => (Operation::ListEmailIdentities, None),
        ("POST", ["configuration-sets"]) => (Operation::CreateConfigurationSet, None),
        ("GET", ["configuration-sets", name]) => (Operation::GetConfigurationSet, Some((*name).to_owned())),
        ("GET", ["account"]) => (Operation::GetAccount, None),
        ("POST", ["tags"]) => (Operation::TagResource, None),
        ("DELETE", ["tags"]) => (Operation::UntagResource, None),
        ("GET", ["tags"]) => (Operation::ListTagsForResource, None),
        (_, ["identities", name, action @ ..]) => (identity_operation(method, action), Some((*name).to_owned())),
        _ => (Operation::Unknown, None),
    }
}

fn identity_operation(method: &str, action: &[&str]) -> Operation {
    match (method, action) {
        ("GET", []) => Operation::GetEmailIdentity,
        ("DELETE", []) => Operation::DeleteEmailIdentity,
        ("PUT", ["mail-from"]) => Operation::PutEmailIdentityMailFromAttributes,
        ("PUT", ["dkim"]) => Operation::PutEmailIdentityDkimAttributes,
        ("PUT", ["dkim", "signing"]) => Operation::PutEmailIdentityDkimSigningAttributes,
        ("PUT", ["configuration-set"]) => Operation::PutEmailIdentityConfigurationSetAttributes,
        _ => Operation::Unknown,
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        if let Some(byte) = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_routed_with_the_name_decoded() {
        let (operation, name) = route("PUT", "/v2/email/identities/a%40b.example/dkim/signing");
        assert_eq!(operation, Operation::PutEmailIdentityDkimSigningAttributes);
        assert_eq!(name.as_deref(), Some("a@b.example"));
        assert_eq!(route("GET", "/v2/email/identities").0, Operation::ListEmailIdentities);
        assert_eq!(route("PATCH", "/v2/email/identities/x").0, Operation::Unknown);
        assert_eq!(route("GET", "/").0, Operation::Unknown);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
        assert_eq!(percent_decoded("%é"), "%é");
    }
}
