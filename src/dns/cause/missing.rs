//! A record that the name servers do not have.

use std::net::IpAddr;

use super::places::{Slip, slip_of};
use super::{Case, Cause, Diagnosis, cloudflare, incorrect};
use crate::api::v1alpha1::RecordPurpose;
use crate::dns::cloudflare::ZoneRecord;
use crate::dns::evidence::RecordEvidence;
use crate::dns::judge;
use crate::dns::lookup::{Addresses, Answer, LookupErrorKind};
use crate::dns::record::{DnsName, RecordType};
use crate::ownership::TAG_PREFIX;

/// From the most to the least telling; [`not_published`] always holds.
pub(super) fn diagnose(case: &Case<'_>) -> Diagnosis {
    cloudflare::zone_pending(case)
        .or_else(|| cloudflare::held_there(case))
        .or_else(|| no_zone(case))
        .or_else(|| literal_quotes(case))
        .or_else(|| misspelt(case))
        .or_else(|| addresses(case))
        .or_else(|| text(case))
        .or_else(|| elsewhere(case))
        .or_else(|| incorrect::split_horizon(case))
        .unwrap_or_else(|| not_published(case))
}

/// Nobody serves the domain: it is not registered, or its registrar does not know any name servers.
fn no_zone(case: &Case<'_>) -> Option<Diagnosis> {
    let is_suffix = |apex: &DnsName| psl::domain_str(apex.as_str()).is_none();
    let nobody = match case.cut? {
        Ok(cut) => is_suffix(&cut.apex),
        Err(kind) => *kind == LookupErrorKind::NoZone,
    };
    nobody.then(|| {
        Diagnosis::new(
            Cause::ZoneNotDelegated,
            format!(
                "No name server serves {}: check at the registrar that the domain is registered, paid for, and delegated to the \
                 name servers of your DNS provider",
                crate::dns::dmarc::organisational(case.domain)
            ),
        )
    })
}

/// What people, zone files and word processors put around a value.
const QUOTES: [char; 8] = ['"', '\'', '`', '\\', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];

/// A TXT record whose value is right but for the quotes around it.
fn literal_quotes(case: &Case<'_>) -> Option<Diagnosis> {
    let Answer::Records(records) = &case.lookup.answer else { return None };
    let quoted = records.iter().find(|record| {
        let bare = record.value().trim().trim_matches(QUOTES);
        bare != record.value() && judge::is_right(case.wanted, &crate::dns::record::RecordData::Txt(bare.to_owned()))
    })?;
    Some(Diagnosis::new(
        Cause::LiteralQuotes,
        format!(
            "The record's value begins and ends with quotes ({}): enter it without them, your DNS provider adds its own",
            judge::shown(std::iter::once(quoted)).join("")
        ),
    ))
}

/// A TXT record that was meant to be the wanted one, and that no receiver takes for it.
fn misspelt(case: &Case<'_>) -> Option<Diagnosis> {
    let Answer::Records(records) = &case.lookup.answer else { return None };
    let gist = match case.wanted.purpose {
        RecordPurpose::Spf => "include:amazonses.com",
        RecordPurpose::Dmarc => "dmarc1",
        RecordPurpose::Dkim | RecordPurpose::BounceMx => return None,
    };
    // Spaces that only look like spaces come with what is pasted from a web page.
    let plain = |text: &str| text.chars().filter(char::is_ascii_graphic).collect::<String>().to_ascii_lowercase();
    let wanted = plain(case.wanted.data.value());
    let meant = records.iter().find(|record| {
        let text = plain(record.value());
        record.record_type() == RecordType::Txt && (text.contains(gist) || distance(&text, &wanted) <= 3)
    })?;
    Some(Diagnosis::new(
        Cause::WrongValue,
        format!(
            "The TXT record there ({}) has a slip that keeps receivers from reading it: change its value to {}",
            judge::shown(std::iter::once(meant)).join(""),
            case.wanted.data
        ),
    ))
}

/// Addresses where a CNAME should be answered.
pub(super) fn addresses(case: &Case<'_>) -> Option<Diagnosis> {
    let evidence = case.evidence.filter(|evidence| !evidence.is_wildcard())?;
    let Addresses::Found(found) = evidence.addresses.as_ref()? else { return None };
    if case.wanted.data.record_type() != RecordType::Cname {
        return None;
    }
    if found.iter().copied().any(is_cloudflare) {
        return Some(proxied());
    }
    Some(flattened(case.provider().map_or("The DNS provider", |p| p.name)))
}

pub(super) fn proxied() -> Diagnosis {
    Diagnosis::new(
        Cause::RecordProxied,
        "Turn the Cloudflare proxy off for this record: set its Proxy status to DNS only (the grey cloud)",
    )
}

pub(super) fn flattened(who: &str) -> Diagnosis {
    Diagnosis::new(
        Cause::CnameFlattened,
        format!(
            "{who} answers the addresses of the CNAME's target instead of the CNAME: switch CNAME flattening off for this record, \
             and use the type CNAME, not ALIAS or ANAME"
        ),
    )
}

/// Addresses that Cloudflare's proxy answers with, by their first bits; <https://www.cloudflare.com/ips/>.
fn is_cloudflare(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(
            v4.octets(),
            [104, 16..=31, ..]
                | [172, 64..=71, ..]
                | [162, 158..=159, ..]
                | [188, 114, 96..=111, _]
                | [198, 41, 128..=255, _]
                | [141, 101, 64..=127, _]
                | [108, 162, 192..=255, _]
                | [190, 93, 240..=255, _]
                | [173, 245, 48..=63, _]
        ),
        IpAddr::V6(v6) => {
            matches!(
                v6.segments(),
                [0x2606, 0x4700, ..] | [0x2803, 0xf800, ..] | [0x2400, 0xcb00, ..] | [0x2a06, 0x98c0..=0x98c7, ..]
            )
        }
    }
}

/// The value was entered with the wrong type.
fn text(case: &Case<'_>) -> Option<Diagnosis> {
    let evidence = case.evidence.filter(|evidence| !evidence.is_wildcard())?;
    let text = evidence.text.as_ref().filter(|text| !text.is_empty())?;
    Some(Diagnosis::new(
        Cause::WrongValue,
        format!(
            "A TXT record is there ({}), where a CNAME must be: replace it by a CNAME with the value {}",
            judge::shown(text.iter()).join(" and "),
            case.wanted.data
        ),
    ))
}

/// The right value under a wrong name, in DNS or in the zone at Cloudflare.
fn elsewhere(record: &Case<'_>) -> Option<Diagnosis> {
    let asked = record.evidence.and_then(RecordEvidence::found_elsewhere).map(|e| (e.name.clone(), e.slip));
    let (name, slip) = asked.or_else(|| listed(record))?;
    let (cause, why) = match slip {
        Slip::SuffixDoubled => (Cause::SuffixDoubled, "the DNS provider adds the domain by itself; "),
        Slip::MissingDomainkey => (Cause::MissingDomainkey, "its name lacks ._domainkey; "),
        Slip::Typo => (Cause::NameTypo, ""),
        Slip::Elsewhere => {
            return Some(Diagnosis::new(
                Cause::NameTypo,
                format!(
                    "A record with this value is at {name}, where it may be needed for another domain: leave it, and add {} {} at {} \
                     ({})",
                    record.wanted.data.record_type(),
                    record.wanted.data,
                    record.wanted.name,
                    record.enter()
                ),
            ));
        }
    };
    Some(Diagnosis::new(
        cause,
        format!("The record was found at {name}: {why}rename it to {} ({})", record.wanted.name, record.enter()),
    ))
}

/// What is right in Cloudflare's list, under a name below the domain. The value of a DKIM record is its own; any other
/// value can be meant for another name.
fn listed(case: &Case<'_>) -> Option<(DnsName, Slip)> {
    let view = case.view.known()?;
    let zone = &view.zone.name;
    let is_it = |r: &&ZoneRecord| {
        // What the operator wrote for another object is where it belongs.
        if r.comment.as_deref().is_some_and(|comment| comment.contains(TAG_PREFIX)) {
            return false;
        }
        let near = case.wanted.data.record_type() == RecordType::Cname || is_near(&r.name, &case.wanted.name);
        near && r.name != case.wanted.name && r.data.as_ref() == Some(&case.wanted.data)
    };
    let name = view.records.iter().filter(is_it).map(|r| &r.name).min()?;
    Some((name.clone(), slip_of(case.wanted, name, case.domain, zone)))
}

/// True if one is the other with at most two characters added, left out or changed, or with the zone doubled.
fn is_near(one: &DnsName, other: &DnsName) -> bool {
    distance(one.as_str(), other.as_str()) <= 2 || one.as_str().starts_with(&format!("{other}."))
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for (b, (above, above_left)) in other.iter().zip(row.iter().skip(1).zip(&row)) {
            let left = next.last().copied().unwrap_or_default();
            next.push((above + 1).min(left + 1).min(above_left + usize::from(a != *b)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn not_published(case: &Case<'_>) -> Diagnosis {
    let mut message = case.judgement.message.clone().unwrap_or_default();
    if let Some(zone) = case.zone() {
        message = format!("{message}; the zone is {}: {}", zone.apex, case.enter());
    }
    if case.resolvers().is_some_and(|lookup| case.is_right(lookup)) {
        message =
            format!("{message}. Resolvers still answer it: a copy from before, or a zone that the world does not ask");
    }
    let long = case.lookup.negative_ttl.filter(|ttl| ttl.as_secs() > 300);
    if let Some(ttl) = long {
        message = format!(
            "{message}. Who has asked before remembers for up to {} minutes that it was not there",
            ttl.as_secs().div_ceil(60)
        );
    }
    Diagnosis::new(Cause::NotPublished, message)
}
