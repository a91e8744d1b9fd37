//! Where a record ends up when somebody makes one of the usual slips.

use crate::api::v1alpha1::RecordPurpose;
use crate::dns::record::{DnsName, WantedRecord};

/// A usual slip with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slip {
    /// The full name was entered where the provider adds the zone by itself.
    SuffixDoubled,
    /// `token.example.com` for `token._domainkey.example.com`.
    MissingDomainkey,
    /// Another name nearby: a missing underscore, the parent domain, `bounces` for `bounce`.
    Typo,
    /// A place where the same value can be right for another domain: SPF and MX are the same for all of a region.
    Elsewhere,
}

/// So many wrong names are asked about for one record.
pub const MAX_PLACES: usize = 6;

/// The likely wrong names of a record, all within the zone of the domain: at most [`MAX_PLACES`], the likeliest first.
/// `zone` is the top of the zone that the domain lies in, which may be the domain itself.
pub fn likely(wanted: &WantedRecord, domain: &DnsName, zone: &DnsName) -> Vec<(DnsName, Slip)> {
    let under = |head: &str, parent: &DnsName| DnsName::new(format!("{head}.{parent}"));
    let full = wanted.name.as_str();
    let mut places = vec![(under(full, zone), Slip::SuffixDoubled), (under(full, domain), Slip::SuffixDoubled)];
    let head = full.strip_suffix(domain.as_str()).and_then(|head| head.strip_suffix('.')).unwrap_or(full);
    match wanted.purpose {
        RecordPurpose::Dkim => {
            let token = head.split('.').next().unwrap_or(head);
            places.push((under(token, domain), Slip::MissingDomainkey));
            places.push((under(head, zone), Slip::Typo));
            places.push((under(&format!("{token}.domainkey"), domain), Slip::Typo));
            places.push((under(token, zone), Slip::MissingDomainkey));
            // Where the domain is the top of the zone, several of the others are one.
            for label in ["_domainkeys", "_domain_key", "domainkeys"] {
                places.push((under(&format!("{token}.{label}"), domain), Slip::Typo));
            }
        }
        RecordPurpose::Spf | RecordPurpose::BounceMx => {
            let other =
                if let Some(singular) = head.strip_suffix('s') { singular.to_owned() } else { format!("{head}s") };
            places.push((under(&other, domain), Slip::Typo));
            places.push((under(head, zone), Slip::Elsewhere));
            places.push((domain.clone(), Slip::Elsewhere));
            places.push((under(&format!("_{head}"), domain), Slip::Typo));
        }
        RecordPurpose::Dmarc => {
            places.push((under("dmarc", domain), Slip::Typo));
            places.push((under("_demarc", domain), Slip::Typo));
            places.push((domain.clone(), Slip::Typo));
        }
    }
    let mut seen = vec![wanted.name.clone()];
    places.retain(|(name, _)| {
        let is_new = !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    places.truncate(MAX_PLACES);
    places
}

/// The slip that leads from the right name to `found`.
pub fn slip_of(wanted: &WantedRecord, found: &DnsName, domain: &DnsName, zone: &DnsName) -> Slip {
    likely(wanted, domain, zone)
        .into_iter()
        .find(|(name, _)| name == found)
        .map_or_else(|| unlisted(wanted, found), |(_, slip)| slip)
}

/// A DKIM or DMARC record, or one beside the right name, can only be meant for this domain; any other may be right where it
/// is.
fn unlisted(wanted: &WantedRecord, found: &DnsName) -> Slip {
    match wanted.purpose {
        RecordPurpose::Spf | RecordPurpose::BounceMx if found.parent() != wanted.name.parent() => Slip::Elsewhere,
        _ => Slip::Typo,
    }
}
