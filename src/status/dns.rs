//! Where the records are written, and where they were: hints for looking there, and for nothing else.

use super::Report;
use crate::api::v1alpha1::{DnsProvider, DnsProviderName, DnsStatus, PreviousPlace, SendingDomainStatus};
use crate::dns::record::DnsName;
use crate::plan::places;

/// The most places that are remembered; the oldest are forgotten.
pub(super) const PREVIOUS_LIMIT: usize = 8;

/// What status says of the place of the records.
pub(super) fn status(old: &SendingDomainStatus, report: &Report<'_>) -> DnsStatus {
    let provider = report.subject.spec.dns_provider().name();
    let Some(last) = old.dns.clone() else { return with_zone(DnsStatus::new(provider), report) };
    // The last zone stays while the new one cannot be read, and when a person takes the records over.
    let kept = match provider {
        DnsProviderName::ExternalDns => DnsStatus::new(provider),
        DnsProviderName::Cloudflare | DnsProviderName::Manual => DnsStatus { provider, ..last.clone() },
    };
    let new = with_zone(kept, report);
    let previous = previous(old, &last, &new, report);
    DnsStatus { previous, ..new }
}

fn with_zone(status: DnsStatus, report: &Report<'_>) -> DnsStatus {
    match (report.subject.spec.dns_provider(), report.seen.zone.known()) {
        (DnsProvider::Cloudflare(cloudflare), Some(view)) => DnsStatus {
            zone_name: Some(view.zone.name.to_string()),
            zone_id: Some(view.zone.id.to_string()),
            secret_name: Some(cloudflare.api_token_secret_ref.name.clone()),
            secret_key: Some(cloudflare.api_token_secret_ref.key.clone()),
            ..status
        },
        _ => status,
    }
}

/// The places that were left: those of before, as far as something of ours may still be there, and the last one.
fn previous(old: &SendingDomainStatus, last: &DnsStatus, new: &DnsStatus, report: &Report<'_>) -> Vec<PreviousPlace> {
    let mut left = report.plan.left.clone().unwrap_or_else(|| last.previous.clone());
    let domain = DnsName::new(&report.subject.spec.domain);
    let mut leave = |place: PreviousPlace| {
        if left.iter().all(|other| !other.is_same(&place)) {
            left.push(place);
        }
    };
    if last.provider == DnsProviderName::ExternalDns && new.provider != DnsProviderName::ExternalDns {
        leave(PreviousPlace::endpoint());
    }
    if last.zone_id != new.zone_id
        && let Some(place) = last.zone_place().filter(|place| places::can_hold(place, &domain))
    {
        let records = old.records.iter().take(16).map(|r| format!("{} {}", r.record_type, r.name)).collect();
        leave(PreviousPlace { records, ..place });
    }
    left.retain(|place| !places::is_wanted(place, new.provider, new.zone_id.as_deref()));
    let surplus = left.len().saturating_sub(PREVIOUS_LIMIT);
    left.split_off(surplus)
}
