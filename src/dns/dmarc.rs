//! DMARC records as they are found in DNS (RFC 7489), and whose reports go where.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use super::lookup::{Answer, Lookup};
use super::record::{DnsName, RecordData};
use crate::api::v1alpha1::DmarcPolicy;

/// A valid DMARC record, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmarc {
    /// Tag `p`.
    pub policy: DmarcPolicy,
    /// Tag `sp`.
    pub subdomain_policy: Option<DmarcPolicy>,
    /// The domains of the addresses that reports go to, each once, sorted.
    pub report_hosts: Vec<DnsName>,
}

/// What the records at a `_dmarc` name come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// No record is meant as a policy.
    None,
    /// One valid policy.
    One(Dmarc),
    /// One that receivers ignore: its text.
    Invalid(String),
    /// Several, which receivers ignore all.
    Several,
}

/// True for a DMARC record: RFC 7489, section 6.6.3.
pub fn is_dmarc(text: &str) -> bool {
    parse(text).is_some()
}

/// Looser than [`is_dmarc`]: what was meant as a policy, even if it has a fault.
pub fn is_meant_as_dmarc(text: &str) -> bool {
    text.trim_start().get(..7).is_some_and(|head| head.eq_ignore_ascii_case("v=dmarc"))
}

/// Reads a record; `None` if receivers ignore it.
pub fn parse(text: &str) -> Option<Dmarc> {
    let mut tags = text.split(';').map(|tag| tag.split_once('=').map(|(name, value)| (name.trim(), value.trim())));
    // The version comes first and is case-sensitive.
    if tags.next().flatten() != Some(("v", "DMARC1")) {
        return None;
    }
    let tags: Vec<(&str, &str)> = tags.flatten().collect();
    let of = |name: &str| tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let report_hosts = report_hosts(["rua", "ruf"].into_iter().filter_map(of).flat_map(|uris| uris.split(',')));
    Some(Dmarc { policy: policy(of("p")?)?, subdomain_policy: of("sp").and_then(policy), report_hosts })
}

fn policy(text: &str) -> Option<DmarcPolicy> {
    [DmarcPolicy::None, DmarcPolicy::Quarantine, DmarcPolicy::Reject]
        .into_iter()
        .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
}

/// The domains of `mailto:` URIs, each once, sorted; a size limit at the end (`!10m`) is no part of them.
pub fn report_hosts<'a>(uris: impl Iterator<Item = &'a str>) -> Vec<DnsName> {
    let mut hosts: Vec<DnsName> = uris
        .filter_map(|uri| {
            let uri = uri.trim();
            let address = uri.get(7..).filter(|_| uri.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("mailto:")))?;
            let (_, host) = address.rsplit_once('@')?;
            let host = host.split(['!', '?']).next().unwrap_or(host);
            (!host.is_empty()).then(|| DnsName::new(host))
        })
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// What `records`, found at a `_dmarc` name, come to.
pub fn published(records: &[RecordData]) -> Published {
    let texts: Vec<&str> = records.iter().filter(|r| matches!(r, RecordData::Txt(_))).map(RecordData::value).collect();
    let meant: Vec<&str> = texts.into_iter().filter(|text| is_meant_as_dmarc(text)).collect();
    match meant.as_slice() {
        [] => Published::None,
        [only] => parse(only).map_or_else(|| Published::Invalid((*only).to_owned()), Published::One),
        _ => Published::Several,
    }
}

/// What the answer at a `_dmarc` name comes to; `None` if it is not known. An alias that leads nowhere is no policy.
pub fn published_at(lookup: &Lookup) -> Option<Published> {
    match &lookup.answer {
        _ if lookup.is_internal() => None,
        Answer::Records(records) => Some(published(records)),
        Answer::NoData | Answer::NxDomain => Some(Published::None),
        Answer::Unknown(_) => None,
    }
}

/// The organisational domain: RFC 7489, section 3.2.
pub fn organisational(domain: &DnsName) -> DnsName {
    psl::domain_str(domain.as_str()).map_or_else(|| domain.clone(), DnsName::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_a_record_is_read_as_receivers_read_it() {
        let read = |text: &str| parse(text).map(|d| (d.policy.as_str(), d.subdomain_policy.map(DmarcPolicy::as_str)));
        assert_eq!(read("v=DMARC1; p=reject"), Some(("reject", None)));
        assert_eq!(read("v=DMARC1;p=None;sp=Quarantine;"), Some(("none", Some("quarantine"))));
        assert_eq!(read("v=DMARC1; rua=mailto:a@b.example"), None, "no policy");
        assert_eq!(read("v=dmarc1; p=none"), None, "the version is case-sensitive");
        assert_eq!(read("p=none; v=DMARC1"), None, "the version comes first");
        assert_eq!(read("v=DMARC1; p=maybe"), None);
        let hosts = parse("v=DMARC1; p=none; rua=mailto:a@B.example!10m, mailto:c@d.example; ruf=mailto:x@b.example");
        assert_eq!(hosts.unwrap().report_hosts, ["b.example", "d.example"].map(DnsName::new));
    }

    #[test]
    fn d8_several_policies_are_none() {
        let of =
            |texts: &[&str]| published(&texts.iter().map(|t| RecordData::Txt((*t).to_owned())).collect::<Vec<_>>());
        assert_eq!(of(&["something else"]), Published::None);
        assert!(matches!(of(&["something else", "v=DMARC1; p=none"]), Published::One(_)));
        assert_eq!(of(&["v=DMARC1; p=none", "v=DMARC1; p=reject"]), Published::Several);
        assert_eq!(of(&["v=DMARC1; p=non"]), Published::Invalid("v=DMARC1; p=non".to_owned()));
    }

    #[test]
    fn the_organisational_domain_is_one_below_the_public_suffix() {
        for (domain, expected) in [
            ("mail.example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("example.com", "example.com"),
        ] {
            assert_eq!(organisational(&DnsName::new(domain)).as_str(), expected);
        }
    }
}
