//! Between presentation form and wire form of names and values.

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, TXT};
use hickory_proto::rr::{Name, RData, RecordType};

use super::{DnsError, Result};

/// Longest character-string inside a TXT record.
const TXT_STRING: usize = 255;

/// An absolute, lower-case name; the final dot may be missing.
pub(super) fn name(text: &str) -> Result<Name> {
    let mut name = Name::from_ascii(text).map_err(|_| DnsError::Name(text.to_owned()))?;
    if text.is_empty() {
        return Err(DnsError::Name(text.to_owned()));
    }
    name.set_fqdn(true);
    Ok(name.to_lowercase())
}

/// A name as tests and people write it: lower case, without the final dot.
pub(super) fn plain(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').map(str::to_owned).unwrap_or(text)
}

/// One value in presentation form.
pub(super) fn parse(rtype: RecordType, value: &str) -> Result<RData> {
    parse_known(rtype, value).ok_or_else(|| DnsError::Value { rtype, value: value.to_owned() })
}

fn parse_known(rtype: RecordType, value: &str) -> Option<RData> {
    match rtype {
        RecordType::A => value.parse().ok().map(|ip| RData::A(A(ip))),
        RecordType::AAAA => value.parse().ok().map(|ip| RData::AAAA(AAAA(ip))),
        RecordType::CNAME => name(value).ok().map(|n| RData::CNAME(CNAME(n))),
        RecordType::NS => name(value).ok().map(|n| RData::NS(NS(n))),
        RecordType::MX => {
            let (preference, host) = value.trim().split_once(char::is_whitespace)?;
            let host = name(host.trim()).ok()?;
            Some(RData::MX(MX::new(preference.parse().ok()?, host)))
        }
        RecordType::TXT => Some(RData::TXT(txt(value))),
        // The SOA belongs to the zone.
        RecordType::SOA => None,
        other => RData::try_from_str(other, value).ok(),
    }
}

fn txt(text: &str) -> TXT {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return TXT::from_bytes(vec![b""]);
    }
    TXT::from_bytes(bytes.chunks(TXT_STRING).collect())
}

/// The value as [`parse`] takes it.
pub(super) fn present(data: &RData) -> String {
    match data {
        RData::CNAME(CNAME(target)) | RData::NS(NS(target)) => plain(target),
        RData::MX(mx) => format!("{} {}", mx.preference, plain(&mx.exchange)),
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(rtype: RecordType, value: &str) -> String {
        present(&parse(rtype, value).unwrap())
    }

    #[test]
    fn values_survive_the_round_trip_in_plain_form() {
        for (rtype, value, back) in [
            (RecordType::CNAME, "X.Example.", "x.example"),
            (RecordType::MX, "10  Mail.Example", "10 mail.example"),
            (RecordType::A, "192.0.2.1", "192.0.2.1"),
            (RecordType::AAAA, "2001:db8::1", "2001:db8::1"),
            (RecordType::TXT, "v=spf1 \"x\" -all", "v=spf1 \"x\" -all"),
            (RecordType::NS, "ns1.example", "ns1.example"),
        ] {
            assert_eq!(round_trip(rtype, value), back);
        }
    }

    #[test]
    fn long_text_is_split_and_joined() {
        let long = "k".repeat(600);
        let RData::TXT(txt) = parse(RecordType::TXT, &long).unwrap() else {
            panic!("not TXT");
        };
        let lengths: Vec<_> = txt.txt_data.iter().map(|s| s.len()).collect();
        assert_eq!(lengths, [255, 255, 90]);
        assert_eq!(round_trip(RecordType::TXT, &long), long);
    }

    #[test]
    fn nonsense_is_refused() {
        for (rtype, value) in [
            (RecordType::A, "2001:db8::1"),
            (RecordType::MX, "mail.example"),
            (RecordType::CNAME, ""),
            (RecordType::SOA, "a. b. 1 2 3 4 5"),
        ] {
            assert!(parse(rtype, value).is_err(), "{rtype} {value}");
        }
        assert!(name("").is_err());
    }
}
