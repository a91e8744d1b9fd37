//! `spec.dns`: who writes the DNS records.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::DnsProviderName;

/// Who writes the DNS records: at most one of the providers.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!(has(self.cloudflare) && has(self.externalDNS))",
        "must have at most one of cloudflare and externalDNS; with neither, the records are listed in status for a person to add"
    )
)]
pub struct DnsSpec {
    /// The operator writes the records at Cloudflare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudflare: Option<CloudflareSpec>,

    /// The operator hands the records to ExternalDNS as a `DNSEndpoint`.
    #[serde(default, rename = "externalDNS", skip_serializing_if = "Option::is_none")]
    pub external_dns: Option<ExternalDnsSpec>,
}

/// Records at Cloudflare.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudflareSpec {
    /// The Secret with the API token, in the namespace of this object. The token needs Zone Read and DNS Edit.
    pub api_token_secret_ref: SecretKeyRef,

    /// The zone's id, 32 hexadecimal digits. Absent: the most specific active zone that the token can see.
    #[serde(default, rename = "zoneID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = ("self.matches('^[0-9a-f]{32}$')", "must be the zone's id: 32 lower-case hexadecimal digits"))]
    pub zone_id: Option<String>,

    /// What happens where a record of somebody else has the name of one of ours with another value.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
}

/// A key of a Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(length(max = 253))]
    #[x_kube(
        validation = (
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "must be the name of a Secret in the same namespace (a lower-case DNS subdomain)"
        )
    )]
    pub name: String,

    /// The key in the Secret.
    #[serde(default = "default_secret_key")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = ("self.matches('^[-._a-zA-Z0-9]+$')", "must be a key of a Secret: letters, digits, '-', '_' and '.'"))]
    pub key: String,
}

fn default_secret_key() -> String {
    "api-token".to_owned()
}

/// What happens where somebody else's record is in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// It is left alone and reported.
    #[default]
    Fail,
    /// A CNAME is replaced. A foreign MX, SPF or DMARC record is left alone even then.
    Overwrite,
}

/// Records handed to ExternalDNS.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalDnsSpec {
    /// Labels of the `DNSEndpoint`, for ExternalDNS's `--label-filter`. At most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    // The bound is in the schema, not in a rule: the API server refuses rules over maps of any size as too costly.
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(
        validation = (
            "self.all(k, size(k) <= 317 && k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))",
            "must have keys and values that are valid as Kubernetes labels, for example team: mail or example.com/team: mail"
        )
    )]
    pub labels: BTreeMap<String, LabelValue>,

    /// The TTL of the records in seconds, 1 to 86400. Absent: ExternalDNS's own default.
    #[serde(default, rename = "recordTTLSeconds", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86400))]
    pub record_ttl_seconds: Option<i32>,
}

/// The value of a label, at most 63 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LabelValue(#[schemars(length(max = 63))] pub String);

/// Who writes the records of a domain.
#[derive(Clone, Copy, Debug)]
pub enum DnsProvider<'a> {
    /// A person.
    Manual,
    /// The operator, at Cloudflare.
    Cloudflare(&'a CloudflareSpec),
    /// ExternalDNS.
    ExternalDns(&'a ExternalDnsSpec),
}

impl DnsProvider<'_> {
    /// Its name in status.
    pub fn name(&self) -> DnsProviderName {
        match self {
            Self::Manual => DnsProviderName::Manual,
            Self::Cloudflare(_) => DnsProviderName::Cloudflare,
            Self::ExternalDns(_) => DnsProviderName::ExternalDns,
        }
    }
}
