//! Where the records of an object are, and where they may still be: the one answer that observe, plan and status share.
//!
//! The place of the spec is for sure. What status tells of former places is a hint where to look, and needs no more: only
//! what carries our mark is ever taken away there.

use crate::api::v1alpha1::{
    CloudflareSpec, ConflictPolicy, DnsProvider, DnsProviderName, DnsStatus, PreviousPlace, SecretKeyRef,
    SendingDomainSpec, SendingDomainStatus,
};
use crate::dns::record::DnsName;

/// The places of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// The zone at Cloudflare that is read and written; `None` if somebody else writes the records.
    pub current: Option<CloudflareSpec>,
    /// The places that the spec has left, the oldest first.
    pub left: Vec<PreviousPlace>,
}

impl Places {
    /// The places of an object with this spec and status. One that `ends` is cleaned up at the zone written last even if its
    /// spec names none any more, and at that zone beside the one of the spec, for status may be wrong, and the zone of the
    /// spec may have changed.
    pub fn of(spec: &SendingDomainSpec, status: Option<&SendingDomainStatus>, ends: bool) -> Self {
        let domain = DnsName::new(&spec.domain);
        let dns = status.and_then(|status| status.dns.as_ref());
        let last = dns.and_then(DnsStatus::zone_place).filter(|place| ends && can_hold(place, &domain));
        let current = match spec.dns_provider() {
            DnsProvider::Cloudflare(named) => Some(named.clone()),
            DnsProvider::ExternalDns(_) | DnsProvider::Manual => last.as_ref().and_then(as_spec),
        };
        let mut left = dns.map(|dns| dns.previous.clone()).unwrap_or_default();
        left.extend(last.filter(|last| current.as_ref().is_none_or(|current| !is_opened_by(last, current))));
        left.retain(|place| can_hold(place, &domain));
        Self { current, left }
    }
}

/// True if the records of an object with this provider, in this zone of it, are wanted at `place` (again).
pub fn is_wanted(place: &PreviousPlace, provider: DnsProviderName, zone_id: Option<&str>) -> bool {
    match place.provider {
        DnsProviderName::ExternalDns => provider == DnsProviderName::ExternalDns,
        DnsProviderName::Cloudflare | DnsProviderName::Manual => {
            provider == DnsProviderName::Cloudflare && zone_id.is_some() && place.zone_id.as_deref() == zone_id
        }
    }
}

/// True if records of `domain` can be at `place`.
pub fn can_hold(place: &PreviousPlace, domain: &DnsName) -> bool {
    let is_around = |zone: &String| domain.is_within(&DnsName::new(zone));
    place.provider == DnsProviderName::ExternalDns || place.zone_name.as_ref().is_some_and(is_around)
}

/// The Secret that opens a place.
pub fn secret_of(place: &PreviousPlace) -> Option<SecretKeyRef> {
    Some(SecretKeyRef { name: place.secret_name.clone()?, key: place.secret_key.clone()? })
}

fn as_spec(place: &PreviousPlace) -> Option<CloudflareSpec> {
    let api_token_secret_ref = secret_of(place)?;
    Some(CloudflareSpec { api_token_secret_ref, zone_id: place.zone_id.clone(), conflict_policy: ConflictPolicy::Fail })
}

/// True if looking at `current` looks at `place`, by the same Secret.
fn is_opened_by(place: &PreviousPlace, current: &CloudflareSpec) -> bool {
    current.zone_id == place.zone_id && secret_of(place).as_ref() == Some(&current.api_token_secret_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "mail.example.com";

    fn spec(dns: &str) -> SendingDomainSpec {
        serde_json::from_str(&format!(r#"{{"domain": "{DOMAIN}", "dns": {dns}}}"#)).unwrap()
    }

    fn written_in(zone: &str, id: &str) -> DnsStatus {
        DnsStatus {
            zone_name: Some(zone.to_owned()),
            zone_id: Some(id.to_owned()),
            secret_name: Some("cloudflare".to_owned()),
            secret_key: Some("api-token".to_owned()),
            ..DnsStatus::new(DnsProviderName::Cloudflare)
        }
    }

    fn status(dns: DnsStatus) -> SendingDomainStatus {
        SendingDomainStatus { dns: Some(dns), ..SendingDomainStatus::default() }
    }

    #[test]
    fn only_the_end_goes_back_to_the_zone_that_was_written_last() {
        let status = status(written_in("example.com", "abc"));
        assert_eq!(Places::of(&spec("{}"), Some(&status), false), Places::default());
        let at_the_end = Places::of(&spec("{}"), Some(&status), true);
        assert_eq!(at_the_end.current.and_then(|current| current.zone_id).as_deref(), Some("abc"));
        assert_eq!(at_the_end.left, []);
    }

    #[test]
    fn the_end_looks_at_the_last_zone_beside_that_of_the_spec() {
        let cloudflare = spec(r#"{"cloudflare": {"apiTokenSecretRef": {"name": "cloudflare"}, "zoneID": "abc"}}"#);
        let same = Places::of(&cloudflare, Some(&status(written_in("example.com", "abc"))), true);
        assert_eq!(same.left, []);
        let other = Places::of(&cloudflare, Some(&status(written_in("mail.example.com", "def"))), true);
        assert_eq!(other.left.iter().map(|place| place.zone_id.as_deref()).collect::<Vec<_>>(), [Some("def")]);
    }

    #[test]
    fn a10_status_leads_to_no_zone_that_the_domain_cannot_be_in() {
        for zone in ["example.org", "bounce.mail.example.com", "ail.example.com"] {
            let forged = status(written_in(zone, "abc"));
            assert_eq!(Places::of(&spec("{}"), Some(&forged), true), Places::default(), "{zone}");
            let previous = vec![written_in(zone, "abc").zone_place().unwrap()];
            let forged = status(DnsStatus { previous, ..DnsStatus::new(DnsProviderName::Manual) });
            assert_eq!(Places::of(&spec("{}"), Some(&forged), false), Places::default(), "{zone}");
        }
    }

    #[test]
    fn a_place_is_wanted_by_its_provider_and_zone() {
        let zone = written_in("example.com", "abc").zone_place().unwrap();
        assert!(is_wanted(&zone, DnsProviderName::Cloudflare, Some("abc")));
        for (provider, id) in [
            (DnsProviderName::Cloudflare, Some("def")),
            (DnsProviderName::Cloudflare, None),
            (DnsProviderName::Manual, Some("abc")),
            (DnsProviderName::ExternalDns, Some("abc")),
        ] {
            assert!(!is_wanted(&zone, provider, id), "{provider:?} {id:?}");
        }
        assert!(is_wanted(&PreviousPlace::endpoint(), DnsProviderName::ExternalDns, None));
        assert!(!is_wanted(&PreviousPlace::endpoint(), DnsProviderName::Cloudflare, Some("abc")));
    }
}
