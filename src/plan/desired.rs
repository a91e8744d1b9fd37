//! The records that a domain needs: from the spec, the identity's tokens and the region.

use std::fmt::Write as _;

use crate::api::v1alpha1::{DmarcAlignment, DmarcSpec, MailtoUri, RecordPurpose, SendingDomainSpec};
use crate::dns::record::{DnsName, RecordData, WantedRecord};
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

/// Commas and exclamation marks inside a URI must be written in percent-encoding (RFC 7489, section 6.4); the schema
/// admits the latter only as the size limit at the end.
fn uris(reports: &[MailtoUri]) -> String {
    reports.iter().map(|uri| uri.0.as_str()).collect::<Vec<_>>().join(",")
}
