//! `spec.dmarc`: the DMARC record.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The DMARC record (RFC 7489).
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DmarcSpec {
    /// What receivers are asked to do with mail that fails: tag `p`.
    #[serde(default)]
    pub policy: DmarcPolicy,

    /// The same for subdomains: tag `sp`. Absent: as `policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DmarcPolicy")]
    pub subdomain_policy: Option<DmarcPolicy>,

    /// Where aggregate reports go: tag `rua`. At most 10 `mailto:` URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = (
            r"self.all(uri, uri.matches('^mailto:[A-Za-z0-9._%+\'/=?^{}~#&*-]+@([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?[.])+[A-Za-z0-9-]+(![0-9]+[kmgt]?)?$'))",
            "must be mailto: URIs of one address each, for example mailto:dmarc@example.com (',', ';' and '!' written as %2C, %3B and %21)"
        )
    )]
    pub aggregate_reports: Vec<MailtoUri>,

    /// Where failure reports go: tag `ruf`. At most 10 `mailto:` URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(
        validation = (
            r"self.all(uri, uri.matches('^mailto:[A-Za-z0-9._%+\'/=?^{}~#&*-]+@([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?[.])+[A-Za-z0-9-]+(![0-9]+[kmgt]?)?$'))",
            "must be mailto: URIs of one address each, for example mailto:dmarc@example.com (',', ';' and '!' written as %2C, %3B and %21)"
        )
    )]
    pub failure_reports: Vec<MailtoUri>,

    /// How closely the DKIM domain must match the From domain: tag `adkim`.
    #[serde(default)]
    pub dkim_alignment: DmarcAlignment,

    /// How closely the MAIL FROM domain must match the From domain: tag `aspf`. Strict never passes by SPF here, for the
    /// MAIL FROM domain is a subdomain.
    #[serde(default)]
    pub spf_alignment: DmarcAlignment,
}

/// A `mailto:` URI as DMARC takes it, at most 254 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MailtoUri(#[schemars(length(max = 254))] pub String);

/// A DMARC policy. In order, the strictest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DmarcPolicy {
    /// Deliver as usual, report only.
    #[default]
    None,
    /// Treat as suspicious.
    Quarantine,
    /// Refuse.
    Reject,
}

impl DmarcPolicy {
    /// The value as the record has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// How closely a domain must match the From domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DmarcAlignment {
    /// The same organisational domain.
    #[default]
    Relaxed,
    /// The same domain.
    Strict,
}
