//! Advice that does not stop the domain from sending.

use super::Report;
use crate::api::v1alpha1::{IdentityOrigin, Recommendation, SesSpec};
use crate::ownership::Ownership;
use crate::ses::identity::Identity;

/// The advice for this object, in an order of its own.
pub(super) fn recommendations(report: &Report<'_>) -> Vec<Recommendation> {
    let Some(identity) = report.identity() else { return Vec::new() };
    let domain = &report.subject.spec.domain;
    let mut recommendations = Vec::new();
    if psl::domain(domain.as_bytes()).is_some_and(|root| root.as_bytes() == domain.as_bytes()) {
        recommendations.push(Recommendation {
            code: "UseSubdomain".to_owned(),
            message: format!(
                "Mail from a subdomain such as mail.{domain} keeps the reputation of {domain} apart from that of its applications"
            ),
        });
    }
    let unapplied = unapplied(&report.subject.spec.ses, identity);
    if !unapplied.is_empty() {
        recommendations.push(Recommendation {
            code: "ChangeNotApplied".to_owned(),
            message: format!(
                "This version sets {} only when it creates an identity; change it at SES, or ask for a new identity with the \
                 annotation sendingdomain.dev/recreate-at",
                unapplied.join(", ")
            ),
        });
    }
    let adopted = report.subject.mark.ownership(&identity.tags) == Ownership::Ours(IdentityOrigin::Adopted);
    if adopted && report.subject.recreate_at.is_some() {
        recommendations.push(Recommendation {
            code: "RecreateRefused".to_owned(),
            message:
                "The identity was adopted and is never deleted, so the annotation sendingdomain.dev/recreate-at does \
                      nothing; remove it"
                    .to_owned(),
        });
    }
    recommendations.extend(super::dmarc::recommendations(report));
    recommendations
}

/// The fields of the spec that the identity does not have.
fn unapplied(spec: &SesSpec, identity: &Identity) -> Vec<&'static str> {
    let differs = |wanted: Option<&str>, there: Option<&str>| wanted.is_some() && wanted != there;
    let set = differs(spec.configuration_set.as_deref(), identity.configuration_set.as_deref());
    let tags = spec.tags.iter().any(|(key, value)| differs(Some(&value.0), identity.tags.get(key).map(String::as_str)));
    let length = spec.dkim_key_length.zip(identity.dkim.key_length).is_some_and(|(wanted, there)| wanted != there);
    [(set, "spec.ses.configurationSet"), (tags, "spec.ses.tags"), (length, "spec.ses.dkimKeyLength")]
        .into_iter()
        .filter_map(|(differs, field)| differs.then_some(field))
        .collect()
}
