//! Whether an object may have its domain at all. Asked before anything outside is.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::Blocker;
use crate::api::condition::ConditionType::{self, IdentityReady, Ready};
use crate::api::condition::find;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{Phase, SendingDomain, SendingDomainSpec, SendingDomainStatus, VerificationStatus};
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
    if let Some(message) = held(claim) {
        return Some(Blocker::new(IdentityReady, Reason::DomainConflict, message));
    }
    if claim.mail_from_taken {
        return Some(mail_from_conflict(IdentityReady));
    }
    None
}

/// That somebody else has the domain, and why; `None` if nobody has.
fn held(claim: &Claim) -> Option<String> {
    let (holder, advice) = match &claim.domain_holder_here {
        Some(holder) => (format!("The SendingDomain {holder} of this namespace"), "delete one of the two"),
        None if claim.domain_held_elsewhere => {
            ("Another SendingDomain of this cluster".to_owned(), "ask the cluster's administrators")
        }
        None => return None,
    };
    Some(if claim.gave_way {
        format!("{holder} has this domain now, since the verification of this one had failed; {advice}")
    } else {
        format!("{holder}, which is older, has this domain; {advice}")
    })
}

/// One of several objects that want one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each says one thing of its status")]
pub struct Contender {
    /// Its first verification has failed: it comes after all that have not.
    pub has_failed: bool,
    /// Status says that it has the identity: among those that have failed it stays first, or they would change places for
    /// ever.
    pub holds: bool,
    /// It has left the domain to others, who have had as long since as it had.
    pub stood_back: bool,
    /// It was refused for nothing but the others, and is neither suspended nor deleted.
    pub waits: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// Decides between objects of one second.
    pub uid: String,
}

impl Contender {
    /// Reads `object` at the time `now`. Status can be edited by hand: it only tells who stands back, and what an identity
    /// or a record carries decides over it.
    pub fn of(object: &SendingDomain, now: Timestamp) -> Self {
        let new = SendingDomainStatus::default();
        let status = object.status.as_ref().unwrap_or(&new);
        let (has_failed, holds) = (has_failed(status, now), status.has_identity());
        let is_refused =
            find(&status.conditions, Ready).is_some_and(|ready| ready.reason == Reason::DomainConflict.as_str());
        let is_still = object.spec.suspend || object.metadata.deletion_timestamp.is_some();
        Self {
            has_failed,
            holds,
            stood_back: status.verification.as_ref().is_some_and(|attempt| has_stood_back(attempt, now)),
            waits: is_refused && !is_still && !has_failed && !holds,
            created: object.metadata.creation_timestamp.as_ref().map(|time| time.0),
            uid: object.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// It as it stands where nobody `holds` the domain: who was let through and did not come to it for as long does not
    /// keep it from others.
    #[must_use]
    pub fn among(self, holds: bool) -> Self {
        Self { has_failed: self.has_failed && (holds || !self.stood_back), ..self }
    }

    /// True if it comes before `other`.
    pub fn is_before(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }

    /// True if it was created before `other`.
    pub fn is_older(&self, other: &Self) -> bool {
        (self.created, &self.uid) < (other.created, &other.uid)
    }

    fn rank(&self) -> (bool, bool, Option<Timestamp>, &str) {
        (self.has_failed, self.has_failed && !self.holds, self.created, &self.uid)
    }
}

/// True if the first verification of an object has failed, or had when it left its domain to another.
fn has_failed(status: &SendingDomainStatus, now: Timestamp) -> bool {
    let first = status.verification.as_ref().filter(|attempt| !attempt.was_verified());
    first.is_some_and(|a| a.yielded_at.is_some() || status.phase == Some(Phase::Failed) || a.is_over(now))
}

fn has_stood_back(attempt: &VerificationStatus, now: Timestamp) -> bool {
    let time = attempt.deadline.0.duration_since(attempt.started_at.0);
    attempt.yielded_at.as_ref().is_some_and(|since| now.duration_since(since.0) >= time)
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

    fn contender(has_failed: bool, holds: bool, second: i64) -> Contender {
        let created = Timestamp::from_second(second).ok();
        Contender {
            has_failed,
            holds,
            stood_back: false,
            waits: !has_failed && !holds,
            created,
            uid: second.to_string(),
        }
    }

    #[test]
    fn a4_the_oldest_comes_first_and_whoever_has_failed_after_the_others() {
        let (failed, holds) = (true, true);
        for (first, second, why) in [
            (contender(!failed, !holds, 1), contender(!failed, !holds, 2), "the oldest"),
            (contender(!failed, !holds, 1), contender(!failed, holds, 2), "the mark decides who has it, not status"),
            (contender(!failed, !holds, 2), contender(failed, holds, 1), "a holder that has failed gives way"),
            (contender(!failed, holds, 2), contender(failed, !holds, 1), "and does not come back"),
            (contender(failed, holds, 2), contender(failed, !holds, 1), "nor when the next has failed too"),
            (contender(failed, !holds, 1), contender(failed, !holds, 2), "all have failed: the oldest"),
        ] {
            assert!(first.is_before(&second) && !second.is_before(&first), "{why}");
        }
    }

    #[test]
    fn a4_who_was_let_through_and_does_not_come_keeps_the_domain_from_nobody_for_ever() {
        let (failed, holds) = (true, true);
        let stood_back = Contender { stood_back: true, ..contender(failed, !holds, 1) };
        let next = contender(!failed, !holds, 2);
        assert!(next.is_before(&stood_back.clone().among(holds)), "somebody has it: nobody comes back");
        assert!(stood_back.clone().among(!holds).is_before(&next), "nobody does");
        let just_left = contender(failed, !holds, 1);
        assert!(next.is_before(&just_left.among(!holds)), "the next one has its time first");
    }

    #[test]
    fn a4_only_who_was_refused_for_the_others_alone_waits() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let reads = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut object = serde_json::json!({
                "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain",
                "metadata": { "name": "a", "uid": "u" }, "spec": { "domain": "example.com" },
                "status": { "observedGeneration": 1, "phase": "Pending", "conditions": [{ "type": "Ready",
                    "status": "False", "reason": "DomainConflict", "message": "m",
                    "lastTransitionTime": "1970-01-01T00:00:00Z" }] },
            });
            change(&mut object);
            Contender::of(&serde_json::from_value(object).unwrap(), now)
        };
        let attempt = |extra: serde_json::Value| {
            let mut attempt = serde_json::json!({ "startedAt": "1970-01-01T00:00:00Z",
                "deadline": "1970-01-04T00:00:00Z", "rearms": 0 });
            json_patch::merge(&mut attempt, &extra);
            attempt
        };
        assert!(reads(&|_| {}).waits);
        assert!(!reads(&|o| o["spec"]["suspend"] = true.into()).waits);
        assert!(!reads(&|o| o["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into()).waits);
        assert!(!reads(&|o| o["status"]["conditions"][0]["reason"] = "DomainNotAllowed".into()).waits);
        assert!(!reads(&|o| o["status"]["identity"] = serde_json::json!({ "origin": "Created" })).waits);
        let overdue = reads(&|o| o["status"]["verification"] = attempt(serde_json::json!({})));
        assert!(overdue.has_failed && !overdue.waits);
        let early = serde_json::json!({ "deadline": "1971-01-01T00:00:00Z" });
        assert!(!reads(&|o| o["status"]["verification"] = attempt(early.clone())).has_failed);
        let again = serde_json::json!({ "startedAt": "1970-01-11T00:00:00Z", "deadline": "1970-01-14T00:00:00Z",
            "firstStartedAt": "1970-01-01T00:00:00Z" });
        assert!(reads(&|o| o["status"]["verification"] = attempt(again.clone())).has_failed, "no time is gained");
        let once = serde_json::json!({ "firstVerifiedAt": "1970-01-02T00:00:00Z" });
        assert!(!reads(&|o| o["status"]["verification"] = attempt(once.clone())).has_failed, "it was verified once");
        let yielded = serde_json::json!({ "deadline": "1971-01-01T00:00:00Z", "yieldedAt": "1970-01-02T00:00:00Z" });
        assert!(reads(&|o| o["status"]["verification"] = attempt(yielded.clone())).has_failed);
        let verified = serde_json::json!({ "verifiedAt": "1970-01-02T00:00:00Z" });
        assert!(!reads(&|o| o["status"]["verification"] = attempt(verified.clone())).has_failed);
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
