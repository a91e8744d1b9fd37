//! Whether an object may have its domain at all. Asked before anything outside is.

use super::Blocker;
use crate::api::condition::ConditionType::IdentityReady;
use crate::api::reason::Reason;
use crate::observe::observation::Rivals;

/// Why the object may not have its domain; `None` if it may.
pub fn refusal(domain: &str, rivals: &Rivals) -> Option<Blocker> {
    if is_public_suffix(domain) {
        let message = format!(
            "{domain} is a public suffix, under which anybody can register names; use a domain of your own, for example \
             mail.example.{domain}"
        );
        return Some(Blocker::new(IdentityReady, Reason::PublicSuffix, message));
    }
    if let Some(holder) = &rivals.domain_holder_here {
        let message = format!(
            "The SendingDomain {holder} of this namespace, which is older, has this domain; delete one of the two"
        );
        return Some(Blocker::new(IdentityReady, Reason::DomainConflict, message));
    }
    if rivals.domain_held_elsewhere {
        let message = "Another SendingDomain of this cluster, which is older, has this domain; ask the cluster's administrators";
        return Some(Blocker::new(IdentityReady, Reason::DomainConflict, message));
    }
    if rivals.mail_from_taken {
        let message = "Another SendingDomain has the same MAIL FROM domain, and SES wants exactly one MX there; set another \
                       spec.mailFrom.subdomain";
        return Some(Blocker::new(IdentityReady, Reason::MailFromConflict, message));
    }
    None
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
    fn knows_public_suffixes() {
        for suffix in ["co.uk", "github.io", "com"] {
            assert!(is_public_suffix(suffix), "{suffix}");
        }
        for domain in ["example.com", "example.co.uk", "mail.example.com", "example.internal", "corp.test"] {
            assert!(!is_public_suffix(domain), "{domain}");
        }
    }
}
