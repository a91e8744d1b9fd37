//! Whether an object may have its domain at all. Asked before anything outside is.

use std::collections::BTreeMap;

use super::Blocker;
use crate::api::condition::ConditionType::{self, IdentityReady};
use crate::api::reason::Reason;
use crate::api::v1alpha1::SendingDomainSpec;
use crate::dns::record::DnsName;
use crate::observe::observation::Claim;

/// Annotation of a Namespace: the domains that its objects may claim, with everything below them; separated by commas or
/// ASCII white space. `config/admission/claims.yaml` says the same.
pub const ALLOWED_DOMAINS: &str = "sendingdomain.dev/allowed-domains";
/// Annotation of a Namespace: the roles that its objects may name, separated likewise.
pub const ALLOWED_ROLE_ARNS: &str = "sendingdomain.dev/allowed-role-arns";

/// Why the object may not have its domain, whatever SES says; `None` if that is open.
pub fn forbidden(domain: &str, claim: &Claim) -> Option<Blocker> {
    if let Some((reason, message)) = &claim.refused {
        return Some(Blocker::new(IdentityReady, *reason, message.clone()));
    }
    if is_public_suffix(domain) {
        let message = format!(
            "{domain} is a public suffix, under which anybody can register names; use a domain of your own, for example \
             mail.example.{domain}"
        );
        return Some(Blocker::new(IdentityReady, Reason::PublicSuffix, message));
    }
    None
}

/// Why the object may not have its domain; `None` if it may. An object whose mark the identity carries has no rivals.
pub fn refusal(domain: &str, claim: &Claim) -> Option<Blocker> {
    if let Some(blocker) = forbidden(domain, claim) {
        return Some(blocker);
    }
    if let Some(holder) = &claim.domain_holder_here {
        let message = format!(
            "The SendingDomain {holder} of this namespace, which is older, has this domain; delete one of the two"
        );
        return Some(Blocker::new(IdentityReady, Reason::DomainConflict, message));
    }
    if claim.domain_held_elsewhere {
        let message =
            "Another SendingDomain of this cluster, which is older, has this domain; ask the cluster's administrators";
        return Some(Blocker::new(IdentityReady, Reason::DomainConflict, message));
    }
    if claim.mail_from_taken {
        return Some(mail_from_conflict(IdentityReady));
    }
    None
}

/// That the MAIL FROM domain of the spec belongs to somebody else.
pub(super) fn mail_from_conflict(condition: ConditionType) -> Blocker {
    let message = "Another SendingDomain has the same MAIL FROM domain, or has this one's as its domain (or the other way round); \
         SES wants a MAIL FROM domain for nothing else and exactly one MX there; set another spec.mailFrom.subdomain";
    Blocker::new(condition, Reason::MailFromConflict, message)
}

/// What the annotations of the namespace do not allow; `None` if they allow everything.
pub fn not_allowed(annotations: &BTreeMap<String, String>, spec: &SendingDomainSpec) -> Option<String> {
    let list = |key: &str| -> Vec<&str> {
        let text = annotations.get(key).map_or("", String::as_str);
        text.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|item| !item.is_empty()).collect()
    };
    let domain = DnsName::new(&spec.domain);
    if !list(ALLOWED_DOMAINS).into_iter().any(|suffix| domain.is_within(&DnsName::new(suffix))) {
        return Some(format!(
            "This namespace may not claim {domain}; an administrator can allow it in the namespace's annotation {ALLOWED_DOMAINS}"
        ));
    }
    match &spec.ses.role_arn {
        Some(role) if !list(ALLOWED_ROLE_ARNS).contains(&role.as_str()) => Some(format!(
            "This namespace may not use the role {role}; an administrator can allow it in the namespace's annotation \
             {ALLOWED_ROLE_ARNS}"
        )),
        Some(_) | None => None,
    }
}

/// True if `domain` is a public suffix as a whole. Names below unknown top-level domains count as private.
/// Source: the Public Suffix List, <https://publicsuffix.org>.
pub fn is_public_suffix(domain: &str) -> bool {
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == domain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_a_namespace_may_claim_what_its_annotations_say() {
        let spec = |domain: &str, role: Option<&str>| -> SendingDomainSpec {
            serde_json::from_value(serde_json::json!({ "domain": domain, "ses": { "roleArn": role } })).unwrap()
        };
        let annotations: BTreeMap<String, String> = [
            (ALLOWED_DOMAINS.to_owned(), "Example.com., a.example.org\n b.example.org".to_owned()),
            (ALLOWED_ROLE_ARNS.to_owned(), "arn:aws:iam::1:role/a".to_owned()),
        ]
        .into();
        for domain in ["example.com", "mail.example.com", "b.example.org"] {
            assert_eq!(not_allowed(&annotations, &spec(domain, None)), None, "{domain}");
        }
        for domain in ["notexample.com", "example.org", "com"] {
            assert!(
                not_allowed(&annotations, &spec(domain, None)).is_some_and(|m| m.contains(ALLOWED_DOMAINS)),
                "{domain}"
            );
        }
        assert!(not_allowed(&BTreeMap::new(), &spec("example.com", None)).is_some());
        assert_eq!(not_allowed(&annotations, &spec("example.com", Some("arn:aws:iam::1:role/a"))), None);
        let other = not_allowed(&annotations, &spec("example.com", Some("arn:aws:iam::1:role/b")));
        assert!(other.is_some_and(|m| m.contains(ALLOWED_ROLE_ARNS)));
    }

    #[test]
    fn a2_knows_public_suffixes() {
        for suffix in ["co.uk", "github.io", "com"] {
            assert!(is_public_suffix(suffix), "{suffix}");
        }
        for domain in ["example.com", "example.co.uk", "mail.example.com", "example.internal", "corp.test"] {
            assert!(!is_public_suffix(domain), "{domain}");
        }
    }
}
