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
    /// No policy: the parent's applies.
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
    let head: String = text.chars().filter(|c| !c.is_whitespace()).take(7).collect();
    head.eq_ignore_ascii_case("v=dmarc")
}

/// Looser still: somebody's policy, however it is spoilt (in quotes, in another order, without its head). Beside it none of ours
/// is put: once its owner has mended it there would be two, which are none.
pub fn is_about_dmarc(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    is_meant_as_dmarc(&text) || text.to_ascii_lowercase().contains("dmarc1")
}

/// The tags of a record, if it begins with the version, which is case-sensitive. All others are discarded before anything
/// else is looked at.
fn tags(text: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let mut tags = text.split(';').map(|tag| tag.split_once('=').map(|(name, value)| (name.trim(), value.trim())));
    let (name, version) = tags.next().flatten()?;
    (name.eq_ignore_ascii_case("v") && version == "DMARC1").then(|| tags.flatten())
}

/// Reads a record; `None` if receivers ignore it. Without a good `p`, or with a bad `sp`, it is one that only asks for reports,
/// if it does: RFC 7489, section 6.6.3.
pub fn parse(text: &str) -> Option<Dmarc> {
    let tags: Vec<(&str, &str)> = tags(text)?.collect();
    let of = |name: &str| tags.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let hosts = |names: &[&str]| report_hosts(names.iter().copied().filter_map(of).flat_map(|uris| uris.split(',')));
    let report_hosts = hosts(&["rua", "ruf"]);
    let subdomain_policy = of("sp").map(policy);
    match (of("p").and_then(policy), subdomain_policy) {
        (Some(policy), None) => Some(Dmarc { policy, subdomain_policy: None, report_hosts }),
        (Some(policy), Some(Some(sp))) => Some(Dmarc { policy, subdomain_policy: Some(sp), report_hosts }),
        _ if hosts(&["rua"]).is_empty() => None,
        _ => Some(Dmarc { policy: DmarcPolicy::None, subdomain_policy: None, report_hosts }),
    }
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

/// What `records`, found at a `_dmarc` name, come to: those of another version are as good as not there.
pub fn published(records: &[RecordData]) -> Published {
    let mut of_version = texts(records).filter(|text| tags(text).is_some());
    match (of_version.next(), of_version.next()) {
        (None, _) => Published::None,
        (Some(only), None) => parse(only).map_or_else(|| Published::Invalid(only.to_owned()), Published::One),
        (Some(_), Some(_)) => Published::Several,
    }
}

/// A record among `records` that was meant as a policy and that receivers discard unread, for its version is written wrong.
pub fn discarded(records: &[RecordData]) -> Option<&str> {
    texts(records).find(|text| is_meant_as_dmarc(text) && tags(text).is_none())
}

/// True if the answer at `<domain>._report._dmarc.<host>` lets reports on the domain go to the host; `None` if it is not known:
/// RFC 7489, section 7.1.
pub fn consents(lookup: &Lookup) -> Option<bool> {
    match &lookup.answer {
        _ if lookup.is_internal() => None,
        Answer::Records(records) => Some(texts(records).any(|text| tags(text).is_some())),
        Answer::NoData | Answer::NxDomain => Some(false),
        Answer::Unknown(_) => None,
    }
}

fn texts(records: &[RecordData]) -> impl Iterator<Item = &str> {
    records.iter().filter(|r| matches!(r, RecordData::Txt(_))).map(RecordData::value)
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
        assert_eq!(read("v = DMARC1 ; p = reject"), Some(("reject", None)));
        assert_eq!(read("v=DMARC1;p=None;sp=Quarantine;"), Some(("none", Some("quarantine"))));
        assert_eq!(read("v=dmarc1; p=none"), None, "the version is case-sensitive");
        assert_eq!(read("p=none; v=DMARC1"), None, "the version comes first");
        let hosts = parse("v=DMARC1; p=none; rua=mailto:a@B.example!10m, mailto:c@d.example; ruf=mailto:x@b.example");
        assert_eq!(hosts.unwrap().report_hosts, ["b.example", "d.example"].map(DnsName::new));
        // Without a good policy it asks for reports, or for nothing.
        for bad in ["", "p=maybe;", "p=reject; sp=rejct;", "sp=reject;"] {
            assert_eq!(read(&format!("v=DMARC1; {bad}")), None, "{bad}");
            assert_eq!(read(&format!("v=DMARC1; {bad} ruf=mailto:a@b.example")), None, "{bad}");
            assert_eq!(read(&format!("v=DMARC1; {bad} rua=nobody")), None, "{bad}");
            assert_eq!(read(&format!("v=DMARC1; {bad} rua=mailto:a@b.example")), Some(("none", None)), "{bad}");
        }
    }

    #[test]
    fn d8_what_was_meant_as_a_policy_is_known_however_it_is_written() {
        for text in ["v=DMARC1; p=none", " V = dmarc1", "v=DMARC2; p=none", "v=\u{a0}DMARC1"] {
            assert!(is_meant_as_dmarc(text) && is_about_dmarc(text), "{text}");
        }
        for text in [
            "\"v=DMARC1; p=none\"",
            "\u{201c}v=DMARC1; p=none\u{201d}",
            "p=none; v=DMARC1",
            "TXT v=DMARC1; p=none",
            "DMARC1; p=none",
            "version=DMARC1; p=none",
        ] {
            assert!(is_about_dmarc(text), "{text}");
        }
        assert!(!is_about_dmarc("v=spf1 include:_dmarc.example.com -all") && !is_about_dmarc(""));
        assert!(!is_meant_as_dmarc("v=spf1 -all") && !is_meant_as_dmarc(""));
    }

    #[test]
    fn d8_several_policies_are_none_and_those_of_another_version_do_not_count() {
        let records = |texts: &[&str]| texts.iter().map(|t| RecordData::Txt((*t).to_owned())).collect::<Vec<_>>();
        let of = |texts: &[&str]| published(&records(texts));
        assert_eq!(of(&["something else"]), Published::None);
        assert!(matches!(of(&["something else", "v=DMARC1; p=none"]), Published::One(_)));
        assert_eq!(of(&["v=DMARC1; p=none", "v=DMARC1; p=reject"]), Published::Several);
        assert_eq!(of(&["v=DMARC1; p=none", "v=DMARC1; p=rejct"]), Published::Several);
        assert_eq!(of(&["v=DMARC1; p=non"]), Published::Invalid("v=DMARC1; p=non".to_owned()));
        assert_eq!(of(&["v=dmarc1; p=reject"]), Published::None);
        let with_discarded = records(&["v=dmarc1; p=none", "v=DMARC1; p=reject"]);
        assert!(matches!(published(&with_discarded), Published::One(Dmarc { policy: DmarcPolicy::Reject, .. })));
        assert_eq!(discarded(&with_discarded), Some("v=dmarc1; p=none"));
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
