//! Advice that does not stop the domain from sending.

use super::Report;
use crate::api::v1alpha1::{IdentityOrigin, Recommendation};
use crate::ownership::Ownership;

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
    let length = report.subject.spec.ses.dkim_key_length;
    if adopted && length.is_some_and(|wanted| identity.dkim.key_length.is_some_and(|there| there != wanted)) {
        recommendations.push(Recommendation {
            code: "KeyLengthKept".to_owned(),
            message: "The identity was adopted, which changes no keys; change their length at SES, or remove \
                      spec.ses.dkimKeyLength"
                .to_owned(),
        });
    }
    recommendations
}
