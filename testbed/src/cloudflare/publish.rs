//! From stored records to what the DNS server answers.

use std::collections::BTreeMap;

use hickory_proto::rr::RecordType;

use super::model::{Draft, Zone, ZoneStatus};
use crate::dns::Dns;

/// TTL that is served for "automatic".
const AUTOMATIC: u32 = 300;
/// The address of the proxy, which stands in for proxied records and for flattened ones whose target is unknown here.
const PROXY: &str = "104.16.1.1";

type Sets = BTreeMap<(String, RecordType), (u32, Vec<String>)>;

/// What of the simulator is in the DNS server: only differences are written, so that records put there by others stay.
#[derive(Debug, Default)]
pub(super) struct Published {
    zones: BTreeMap<String, Sets>,
}

impl Published {
    /// Brings the DNS server up to date. Of several zones with one name the first active one is served.
    pub(super) fn update(&mut self, dns: &Dns, zones: &[Zone]) {
        let mut wanted: BTreeMap<&str, &Zone> = BTreeMap::new();
        for zone in zones.iter().filter(|zone| zone.status == ZoneStatus::Active && zone.kind == "full") {
            wanted.entry(&zone.name).or_insert(zone);
        }
        let gone: Vec<String> = self.zones.keys().filter(|name| !wanted.contains_key(name.as_str())).cloned().collect();
        for name in gone {
            self.zones.remove(&name);
            log(&name, dns.remove_zone(&name));
        }
        for (name, zone) in wanted {
            if !self.zones.contains_key(name) {
                log(name, dns.add_zone(name));
            }
            let new = sets(dns, zone);
            let old = self.zones.insert(name.to_owned(), new.clone()).unwrap_or_default();
            apply(dns, name, &old, &new);
        }
    }
}

fn apply(dns: &Dns, zone: &str, old: &Sets, new: &Sets) {
    for (name, rtype) in old.keys().filter(|key| !new.contains_key(key)) {
        log(name, dns.set_in(zone, name, *rtype, AUTOMATIC, &[""; 0]));
    }
    for ((name, rtype), (ttl, values)) in new {
        if old.get(&(name.clone(), *rtype)) != Some(&(*ttl, values.clone())) {
            log(name, dns.set_in(zone, name, *rtype, *ttl, values));
        }
    }
}

fn log<T>(name: &str, outcome: crate::dns::Result<T>) {
    if let Err(error) = outcome {
        tracing::warn!(%name, %error, "not published");
    }
}

fn sets(dns: &Dns, zone: &Zone) -> Sets {
    let mut sets = Sets::new();
    for draft in zone.records.iter().map(|record| &record.draft) {
        let Some((rtype, values)) = served(dns, zone, draft) else {
            continue;
        };
        let ttl = if draft.ttl == 1 { AUTOMATIC } else { draft.ttl };
        let set = sets.entry((draft.name.clone(), rtype)).or_insert((ttl, Vec::new()));
        // Two proxied records of one name are one address.
        set.1.extend(values.into_iter().filter(|value| !set.1.contains(value)).collect::<Vec<_>>());
    }
    sets
}

/// Type and values under which the world sees a record; nothing for types that the simulator only stores.
fn served(dns: &Dns, zone: &Zone, draft: &Draft) -> Option<(RecordType, Vec<String>)> {
    // A paused zone is plain DNS.
    if draft.proxied && !zone.paused {
        return Some((RecordType::A, vec![PROXY.to_owned()]));
    }
    let value = |text: String| vec![text];
    match draft.rtype.as_str() {
        "CNAME" if draft.flatten() || zone.flatten_all || draft.name == zone.name => {
            Some((RecordType::A, flattened(dns, &draft.content)))
        }
        "CNAME" => Some((RecordType::CNAME, value(draft.content.clone()))),
        "A" => Some((RecordType::A, value(draft.content.clone()))),
        "AAAA" => Some((RecordType::AAAA, value(draft.content.clone()))),
        // The name servers of the zone itself are not the user's to choose.
        "NS" if draft.name == zone.name => None,
        "NS" => Some((RecordType::NS, value(draft.content.clone()))),
        "PTR" => Some((RecordType::PTR, value(draft.content.clone()))),
        "TXT" => Some((RecordType::TXT, value(text(&draft.content)))),
        "MX" => Some((RecordType::MX, value(format!("{} {}", draft.priority?, draft.content)))),
        _ => None,
    }
}

fn flattened(dns: &Dns, target: &str) -> Vec<String> {
    let known = dns.get(target, RecordType::A).unwrap_or_default();
    if known.is_empty() { vec![PROXY.to_owned()] } else { known }
}

/// TXT content without its quotes: quoted strings are unescaped and joined, anything else is taken as it is.
pub(super) fn text(content: &str) -> String {
    let trimmed = content.trim();
    unquoted(trimmed).unwrap_or_else(|| trimmed.to_owned())
}

fn unquoted(content: &str) -> Option<String> {
    let mut joined = String::new();
    let mut rest = content;
    while !rest.is_empty() {
        let mut chars = rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => joined.push(escaped(&mut chars)?),
                plain => joined.push(plain),
            }
        }
        rest = chars.as_str().trim_start();
    }
    (!content.is_empty()).then_some(joined)
}

/// `\"`, `\\` or `\DDD`.
fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let first = chars.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits: String = [first, chars.next()?, chars.next()?].iter().collect();
    digits.parse::<u8>().ok().map(char::from)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn quotes_are_no_part_of_the_text() {
        for (content, expected) in [
            ("v=spf1 -all", "v=spf1 -all"),
            ("\"v=spf1 -all\"", "v=spf1 -all"),
            ("\"one\" \"two\"", "onetwo"),
            ("\"say \\\"hi\\\" \\\\ \\065\"", "say \"hi\" \\ A"),
            ("\"open", "\"open"),
            ("a \"b\"", "a \"b\""),
            ("\"a\" b", "\"a\" b"),
        ] {
            assert_eq!(text(content), expected, "{content}");
        }
    }
}
