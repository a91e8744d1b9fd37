//! The records that a domain needs: from the spec, the identity's tokens and the region.

use std::fmt::Write as _;

use crate::api::v1alpha1::{DmarcAlignment, DmarcSpec, MailtoUri, RecordPurpose, SendingDomainSpec};
use crate::dns::record::{DnsName, RecordData, WantedRecord};
use crate::observe::observation::Claim;
use crate::ses::identity::{DKIM_TOKENS, Identity};

/// The priority of the MX that AWS documents; SES accepts any.
const MX_PRIORITY: u16 = 10;

/// The records of the domain, in the order of status: DKIM, SPF, BounceMX, DMARC. The DKIM records need the tokens, so
/// they are left out while there are not exactly three.
pub fn wanted_records(spec: &SendingDomainSpec, identity: &Identity, region: &str) -> Vec<WantedRecord> {
    let mut records = dkim_records(&spec.domain, identity, region);
    let mail_from = DnsName::new(spec.mail_from_domain());
    records.push(WantedRecord {
        purpose: RecordPurpose::Spf,
        name: mail_from.clone(),
        data: RecordData::Txt("v=spf1 include:amazonses.com ~all".to_owned()),
        required: true,
    });
    records.push(WantedRecord {
        purpose: RecordPurpose::BounceMx,
        name: mail_from,
        data: RecordData::Mx {
            priority: MX_PRIORITY,
            host: DnsName::new(format!("feedback-smtp.{region}.amazonses.com")),
        },
        required: true,
    });
    if let Some(dmarc) = &spec.dmarc {
        records.push(WantedRecord {
            purpose: RecordPurpose::Dmarc,
            name: DnsName::new(format!("_dmarc.{}", spec.domain)),
            data: RecordData::Txt(dmarc_record(dmarc)),
            required: false,
        });
    }
    records
}

/// The records that the domain is to have now: those that it needs, but never a record at the MAIL FROM name of somebody
/// else, and no second DMARC policy. While the spec asks for such a name, the MAIL FROM domain that SES uses keeps its records.
pub fn records_to_have(
    spec: &SendingDomainSpec,
    identity: &Identity,
    claim: &Claim,
    region: &str,
) -> Vec<WantedRecord> {
    let mut records = records_of_its_own(spec, identity, claim, region);
    records.retain(|r| r.purpose != RecordPurpose::Dmarc || !claim.dmarc_taken);
    records
}

fn records_of_its_own(spec: &SendingDomainSpec, identity: &Identity, claim: &Claim, region: &str) -> Vec<WantedRecord> {
    if !claim.mail_from_shared {
        return wanted_records(spec, identity, region);
    }
    let current = identity.mail_from.as_ref().map(|current| current.domain.to_ascii_lowercase());
    let label = current.as_ref().and_then(|current| current.strip_suffix(&format!(".{}", spec.domain)));
    if let Some(label) = label.filter(|label| !label.contains('.')) {
        let mut spec = spec.clone();
        label.clone_into(&mut spec.mail_from.subdomain);
        return wanted_records(&spec, identity, region);
    }
    let mut records = wanted_records(spec, identity, region);
    records.retain(|r| !matches!(r.purpose, RecordPurpose::Spf | RecordPurpose::BounceMx));
    records
}

fn dkim_records(domain: &str, identity: &Identity, region: &str) -> Vec<WantedRecord> {
    let tokens = &identity.dkim.tokens;
    if tokens.len() != DKIM_TOKENS || identity.brings_own_dkim() {
        return Vec::new();
    }
    let zone = identity.dkim_hosted_zone(region);
    tokens
        .iter()
        .map(|token| WantedRecord {
            purpose: RecordPurpose::Dkim,
            name: DnsName::new(format!("{token}._domainkey.{domain}")),
            data: RecordData::Cname(DnsName::new(format!("{token}.{zone}"))),
            required: true,
        })
        .collect()
}

/// The DMARC record of `dmarc`: RFC 7489, section 6.3. Tags that say the default are left out.
fn dmarc_record(dmarc: &DmarcSpec) -> String {
    let mut text = format!("v=DMARC1; p={}", dmarc.policy.as_str());
    if let Some(policy) = dmarc.subdomain_policy {
        let _ = write!(text, "; sp={}", policy.as_str());
    }
    for (tag, reports) in [("rua", &dmarc.aggregate_reports), ("ruf", &dmarc.failure_reports)] {
        if !reports.is_empty() {
            let _ = write!(text, "; {tag}={}", uris(reports));
        }
    }
    for (tag, alignment) in [("adkim", dmarc.dkim_alignment), ("aspf", dmarc.spf_alignment)] {
        if alignment == DmarcAlignment::Strict {
            let _ = write!(text, "; {tag}=s");
        }
    }
    text
}

/// The URIs as one list. What separates URIs, tags and size limits must be written in percent-encoding inside a URI (RFC
/// 7489, section 6.2), which the schema asks for; an object from before the schema must not break the record either.
fn uris(reports: &[MailtoUri]) -> String {
    reports.iter().map(|uri| encoded(&uri.0)).collect::<Vec<_>>().join(",")
}

/// `uri` with `,`, `;` and `!` encoded, but for the `!` of a size limit at its end, such as `!10m`.
fn encoded(uri: &str) -> String {
    let is_limit = |text: &str| {
        let digits = text.strip_suffix(['k', 'm', 'g', 't']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (address, limit) = match uri.rsplit_once('!') {
        Some((address, limit)) if is_limit(limit) => (address, Some(limit)),
        _ => (uri, None),
    };
    let address = address.replace(',', "%2C").replace(';', "%3B").replace('!', "%21");
    limit.map_or_else(|| address.clone(), |limit| format!("{address}!{limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::v1alpha1::DmarcPolicy;
    use crate::dns::dmarc;

    #[test]
    fn a_dmarc_record_is_valid_whatever_the_spec_says() {
        let uri = |text: &str| MailtoUri(text.to_owned());
        let spec = DmarcSpec {
            policy: DmarcPolicy::Quarantine,
            subdomain_policy: Some(DmarcPolicy::Reject),
            aggregate_reports: vec![uri("mailto:a@example.com!10m"), uri("mailto:b,c;d!e@example.net")],
            failure_reports: vec![uri("mailto:f@example.com")],
            dkim_alignment: DmarcAlignment::Strict,
            spf_alignment: DmarcAlignment::Relaxed,
        };
        let text = dmarc_record(&spec);
        assert_eq!(
            text,
            "v=DMARC1; p=quarantine; sp=reject; rua=mailto:a@example.com!10m,mailto:b%2Cc%3Bd%21e@example.net; \
             ruf=mailto:f@example.com; adkim=s"
        );
        let read = dmarc::parse(&text).unwrap();
        assert_eq!((read.policy, read.subdomain_policy), (DmarcPolicy::Quarantine, Some(DmarcPolicy::Reject)));
        assert_eq!(read.report_hosts, ["example.com", "example.net"].map(DnsName::new));
        assert_eq!(dmarc_record(&DmarcSpec::default()), "v=DMARC1; p=none");
    }
}
