//! `SendingDomain`, version v1alpha1: what a user writes. What the operator answers is in [`super::status`].

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::dmarc::*;
pub use super::dns::*;
pub use super::status::*;

/// A domain that sends mail through Amazon SES. The operator creates the SES identity, makes or lists the DNS records
/// that it needs, and reports whether SES has verified it and, if not, what exactly is missing.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sendingdomain.dev",
    version = "v1alpha1",
    kind = "SendingDomain",
    plural = "sendingdomains",
    singular = "sendingdomain",
    shortname = "sdom",
    category = "mail",
    namespaced,
    status = "SendingDomainStatus",
    selectable = ".spec.domain",
    derive = "PartialEq",
    doc = "A domain that sends mail through Amazon SES: its identity, its DNS records, and whether SES has verified it.",
    printcolumn(
        name = "Domain",
        type_ = "string",
        json_path = ".spec.domain",
        description = "The domain mail is sent from"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.phase",
        description = "Pending, Verified or Failed"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "True when mail can be sent"
    ),
    printcolumn(
        name = "Records",
        type_ = "string",
        json_path = ".status.recordsFound",
        description = "Required records found in DNS"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why the domain is ready, or is not yet"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "DKIM",
        type_ = "string",
        json_path = ".status.identity.dkimStatus",
        priority = 1,
        description = "What SES says of DKIM"
    ),
    printcolumn(
        name = "Mail From",
        type_ = "string",
        json_path = ".status.identity.mailFromStatus",
        priority = 1,
        description = "What SES says of the MAIL FROM domain"
    ),
    printcolumn(
        name = "DNS",
        type_ = "string",
        json_path = ".status.dns.provider",
        priority = 1,
        description = "Where the records are written"
    ),
    printcolumn(
        name = "Region",
        type_ = "string",
        json_path = ".status.identity.region",
        priority = 1,
        description = "The AWS region of the identity"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1,
        description = "What to do next"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.domain == oldSelf.domain", "spec.domain is immutable: create another SendingDomain for another domain"),
    validation = (
        "has(self.ses.region) == has(oldSelf.ses.region) && (!has(self.ses.region) || self.ses.region == oldSelf.ses.region)",
        "spec.ses.region is immutable and may not be added or removed later: create another SendingDomain for another region"
    ),
    validation = (
        "has(self.ses.roleArn) == has(oldSelf.ses.roleArn) && (!has(self.ses.roleArn) || self.ses.roleArn.split(':')[4] == oldSelf.ses.roleArn.split(':')[4])",
        "spec.ses.roleArn may only change within one AWS account, and may not be added or removed later"
    ),
    validation = (
        "size(self.domain) + 1 + size(self.mailFrom.subdomain) <= 253",
        "the MAIL FROM domain (spec.mailFrom.subdomain + '.' + spec.domain) must be no longer than 253 characters"
    )
)]
pub struct SendingDomainSpec {
    /// The domain to send mail from, for example `mail.example.com`: a lower-case DNS name of at least two labels and at
    /// most 209 characters, international names as A-labels (`xn--…`), without a trailing dot. Immutable.
    #[schemars(length(max = 209))]
    #[x_kube(
        validation = (
            "self.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            "must be a lower-case DNS name of at least two labels of letters, digits and inner hyphens (international names as xn-- A-labels), without scheme, port, wildcard or trailing dot, for example mail.example.com"
        ),
        validation = ("!self.matches('[.][0-9]+$')", "must be a domain name and not an IP address: the last label must not be all digits")
    )]
    pub domain: String,

    /// The SES identity. Every field of it is optional.
    #[serde(default)]
    pub ses: SesSpec,

    /// The custom MAIL FROM domain, below `domain`: where bounces go, and what SPF is checked for.
    #[serde(default)]
    pub mail_from: MailFromSpec,

    /// The DMARC record at `_dmarc.<domain>`. Absent: no DMARC record is made. An existing one is never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmarc: Option<DmarcSpec>,

    /// Who writes the DNS records. Absent: a person, who copies them from `.status.records`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsSpec>,

    /// How long a verification may take before the domain is reported as Failed, from 1h to 72h (SES itself stops looking
    /// after 72 hours). A duration such as `72h` or `36h30m`.
    #[serde(default = "default_verification_timeout")]
    #[schemars(length(max = 16))]
    #[x_kube(
        validation = ("self.matches('^([0-9]+[hms])+$')", "must be a duration in hours, minutes and seconds such as 72h or 36h30m"),
        validation = (
            "!self.matches('^([0-9]{1,6}[hms])+$') || (duration(self) >= duration('1h') && duration(self) <= duration('72h'))",
            "must be between 1h and 72h: SES itself stops looking after 72 hours"
        ),
        validation = ("!self.matches('[0-9]{7}')", "must be between 1h and 72h: SES itself stops looking after 72 hours")
    )]
    pub verification_timeout: String,

    /// What happens to the identity and to the records that the operator made when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// True stops all work on this object, except for clean-up when it is deleted.
    #[serde(default)]
    pub suspend: bool,
}

fn default_verification_timeout() -> String {
    "72h".to_owned()
}

/// The SES identity.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SesSpec {
    /// The AWS region of the identity, for example `us-east-1`. Immutable. Absent: the operator's `--aws-region` at first
    /// sight, from then on the region in which the identity is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = ("self.matches('^[a-z]{2,8}(-[a-z]+)+-[0-9]{1,2}$')", "must be the name of an AWS region, for example us-east-1"))]
    pub region: Option<String>,

    /// An IAM role to assume for this identity, with the ExternalId `<owner-id>/<namespace>`. Absent: the operator's own
    /// credentials. May change within one AWS account only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = ("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/[!-~]+$')", "must be the ARN of an IAM role, for example arn:aws:iam::123456789012:role/ses")
    )]
    pub role_arn: Option<String>,

    /// The name of an existing SES configuration set that becomes the identity's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = ("self.matches('^[A-Za-z0-9_-]+$')", "must be the name of a configuration set: letters, digits, '_' and '-'"))]
    pub configuration_set: Option<String>,

    /// Tags of the identity, at most 40, besides the operator's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    // Letters and digits of any script are AWS's own rule for tags:
    // <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>.
    // The bound is in the schema, not in a rule: the API server refuses rules over maps of any size as too costly.
    #[schemars(extend("maxProperties" = 40))]
    #[x_kube(
        validation = (
            "self.all(k, !k.lowerAscii().startsWith('aws:') && !k.startsWith('sendingdomain.dev/'))",
            "must not use the key prefixes 'aws:' and 'sendingdomain.dev/': they are reserved"
        ),
        validation = (
            "self.all(k, size(k) >= 1 && size(k) <= 128 && k.matches(r'^[\\p{L}\\p{N} _.:/=+@-]+$') && self[k].matches(r'^[\\p{L}\\p{N} _.:/=+@-]*$'))",
            "must have keys of 1 to 128 and values of at most 256 characters out of letters, digits, space and _ . : / = + - @"
        )
    )]
    pub tags: BTreeMap<String, TagValue>,

    /// The length of the DKIM keys. Absent: what SES takes by default (RSA2048). A change means new tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DkimKeyLength")]
    pub dkim_key_length: Option<DkimKeyLength>,

    /// Whether an identity that exists already and is not the operator's may be taken over. It is then never deleted.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
}

/// The value of a tag, at most 256 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct TagValue(#[schemars(length(max = 256))] pub String);

/// The length of DKIM keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DkimKeyLength {
    /// RSA with 1024 bits.
    #[serde(rename = "RSA1024")]
    Rsa1024,
    /// RSA with 2048 bits.
    #[serde(rename = "RSA2048")]
    Rsa2048,
}

impl DkimKeyLength {
    /// The spelling of the spec.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa1024 => "RSA1024",
            Self::Rsa2048 => "RSA2048",
        }
    }
}

/// Whether an existing identity may be taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// An existing identity without this object's mark is left alone and reported.
    #[default]
    Never,
    /// An existing identity is taken over if its tag `sendingdomain.dev/adoptable-by` names this owner and namespace, or
    /// the operator runs with `--allow-adoption`.
    Adopt,
}

/// The custom MAIL FROM domain.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailFromSpec {
    /// The label below `domain`: `bounce` makes `bounce.<domain>`. One DNS label.
    #[serde(default = "default_subdomain")]
    #[schemars(length(max = 63))]
    #[x_kube(
        validation = (
            "self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            "must be one lower-case DNS label, without dots: the MAIL FROM domain is always this label directly below spec.domain"
        )
    )]
    pub subdomain: String,

    /// What SES does with mail while the MX of the MAIL FROM domain is not right.
    #[serde(default)]
    pub on_mx_failure: OnMxFailure,
}

fn default_subdomain() -> String {
    "bounce".to_owned()
}

impl Default for MailFromSpec {
    fn default() -> Self {
        Self { subdomain: default_subdomain(), on_mx_failure: OnMxFailure::default() }
    }
}

/// What SES does with mail while the MX of the MAIL FROM domain is not right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMxFailure {
    /// Mail is sent with a MAIL FROM below amazonses.com.
    #[default]
    UseDefaultValue,
    /// Mail is refused.
    RejectMessage,
}

/// What happens at deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The identity and the records that the operator created are removed.
    #[default]
    Delete,
    /// Everything stays, with its marks: the same namespace and name can take it up again.
    Retain,
}

impl SendingDomainSpec {
    /// The MAIL FROM domain.
    pub fn mail_from_domain(&self) -> String {
        format!("{}.{}", self.mail_from.subdomain, self.domain)
    }

    /// Who writes the records. The schema admits at most one provider.
    pub fn dns_provider(&self) -> DnsProvider<'_> {
        match &self.dns {
            Some(DnsSpec { cloudflare: Some(cloudflare), .. }) => DnsProvider::Cloudflare(cloudflare),
            Some(DnsSpec { external_dns: Some(external_dns), .. }) => DnsProvider::ExternalDns(external_dns),
            Some(DnsSpec { cloudflare: None, external_dns: None }) | None => DnsProvider::Manual,
        }
    }
}
