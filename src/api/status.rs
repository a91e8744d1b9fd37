//! What the operator answers in `.status`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::EventReason;

/// What the operator knows of the domain. It is a report, never an authority: what is owned is decided by the marks on
/// the identity and on the records.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendingDomainStatus {
    /// The generation of the spec that this status speaks of; -1 before the first look.
    #[serde(default = "never_observed")]
    pub observed_generation: i64,

    /// Pending, Verified or Failed, for people: programs read conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Phase")]
    pub phase: Option<Phase>,

    /// How many of the required records are in DNS with the right value, for example `3/5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub records_found: Option<String>,

    /// The conditions: Ready sums up; IdentityReady, RecordsSynced, DNSVerified, DKIMVerified and MailFromVerified tell
    /// the steps apart; Reconciling and Stalled are present only while True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 32))]
    pub conditions: Vec<Condition>,

    /// The SES identity as last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityStatus>,

    /// Where the records are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsStatus>,

    /// The records that the domain needs: copy them into any DNS provider when `spec.dns` is absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub records: Vec<RecordStatus>,

    /// The current attempt at verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,

    /// Advice that does not stop the domain from sending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub recommendations: Vec<Recommendation>,

    /// The last value of the annotation `sendingdomain.dev/reconcile-at` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
}

impl SendingDomainStatus {
    /// True if it shows an identity, and not only the region of one.
    pub fn has_identity(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.origin.is_some())
    }
}

fn never_observed() -> i64 {
    -1
}

impl Default for SendingDomainStatus {
    fn default() -> Self {
        Self {
            observed_generation: never_observed(),
            phase: None,
            records_found: None,
            conditions: Vec::new(),
            identity: None,
            dns: None,
            records: Vec::new(),
            verification: None,
            recommendations: Vec::new(),
            last_handled_reconcile_at: None,
        }
    }
}

/// The state of a domain in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Not verified yet, or not any more.
    Pending,
    /// Ready to send.
    Verified,
    /// SES has given up, or the deadline has passed. It recovers by itself once DNS is right.
    Failed,
}

/// The SES identity as last read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// The AWS region of the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub region: Option<String>,
    /// Whether the operator created or adopted the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IdentityOrigin")]
    pub origin: Option<IdentityOrigin>,
    /// The DKIM tokens: the names of the three CNAMEs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63)))]
    pub dkim_tokens: Vec<String>,
    /// The zone in which SES publishes the DKIM keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub dkim_signing_hosted_zone: Option<String>,
    /// SES's own VerificationStatus: PENDING, SUCCESS, FAILED, TEMPORARY_FAILURE, NOT_STARTED or a newer value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub verification_status: Option<String>,
    /// SES's own DKIM status, of the same values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub dkim_status: Option<String>,
    /// SES's own MAIL FROM status: PENDING, SUCCESS, FAILED, TEMPORARY_FAILURE or a newer value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub mail_from_status: Option<String>,
    /// SES's own error of its last look at DNS, for example HOST_NOT_FOUND.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub error: Option<String>,
    /// The MAIL FROM domain that SES has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub mail_from_domain: Option<String>,
    /// Whether SES lets this identity send (VerifiedForSendingStatus).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_enabled: Option<bool>,
}

/// Where an identity came from. A tag on the identity is the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IdentityOrigin {
    /// The operator created it, and deletes it.
    Created,
    /// It existed before, and is never deleted.
    Adopted,
}

/// Where the records are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsStatus {
    /// Who writes the records.
    pub provider: DnsProviderName,
    /// The name of the zone at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone_name: Option<String>,
    /// The id of the zone at the provider.
    #[serde(default, rename = "zoneID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub zone_id: Option<String>,
    /// The Secret with which the records were written: a hint for clean-up after a change of provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// The key of that Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_key: Option<String>,
    /// Places that the spec has left, and that may still have records of ours: a hint for removing them. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub previous: Vec<PreviousPlace>,
}

/// A place that the spec has left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviousPlace {
    /// Who wrote the records there: Cloudflare, or ExternalDNS for the `DNSEndpoint` of this object.
    pub provider: DnsProviderName,
    /// The name of the zone at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone_name: Option<String>,
    /// The id of the zone at the provider.
    #[serde(default, rename = "zoneID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub zone_id: Option<String>,
    /// The Secret with which the records were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_name: Option<String>,
    /// The key of that Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub secret_key: Option<String>,
    /// The records that were written there, such as MX bounce.example.com: a hint for telling what may be left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 280)))]
    pub records: Vec<String>,
    /// WaitingForDNS while the records there are still needed; RecordsLeftBehind when they cannot be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// What keeps the records there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

impl DnsStatus {
    /// Records of which nothing is known but who writes them.
    pub fn new(provider: DnsProviderName) -> Self {
        Self { provider, zone_name: None, zone_id: None, secret_name: None, secret_key: None, previous: Vec::new() }
    }

    /// The zone at Cloudflare as a place to come back to; `None` if there is none, or nothing to open it with.
    pub fn zone_place(&self) -> Option<PreviousPlace> {
        Some(PreviousPlace {
            provider: DnsProviderName::Cloudflare,
            zone_name: Some(self.zone_name.clone()?),
            zone_id: Some(self.zone_id.clone()?),
            secret_name: Some(self.secret_name.clone()?),
            secret_key: Some(self.secret_key.clone()?),
            records: Vec::new(),
            reason: None,
            message: None,
        })
    }
}

impl PreviousPlace {
    /// The `DNSEndpoint` of the object.
    pub fn endpoint() -> Self {
        Self {
            provider: DnsProviderName::ExternalDns,
            zone_name: None,
            zone_id: None,
            secret_name: None,
            secret_key: None,
            records: Vec::new(),
            reason: None,
            message: None,
        }
    }

    /// The reason of a place at which records cannot be removed, and of the event that tells so.
    pub const LEFT_BEHIND: &'static str = EventReason::RecordsLeftBehind.as_str();

    /// True if the records there cannot be removed, which was told.
    pub fn is_left_behind(&self) -> bool {
        self.reason.as_deref() == Some(Self::LEFT_BEHIND)
    }

    /// True if both are one place.
    pub fn is_same(&self, other: &Self) -> bool {
        self.provider == other.provider && self.zone_id == other.zone_id
    }
}

/// Who writes the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsProviderName {
    /// A person.
    Manual,
    /// The operator, at Cloudflare.
    Cloudflare,
    /// ExternalDNS.
    #[serde(rename = "ExternalDNS")]
    ExternalDns,
}

/// One record that the domain needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// What the record is for.
    pub purpose: RecordPurpose,
    /// CNAME, MX or TXT.
    #[serde(rename = "type")]
    #[schemars(length(max = 16))]
    pub record_type: String,
    /// The full name, without a trailing dot.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The right value, unquoted and without a trailing dot.
    #[schemars(length(max = 8192))]
    pub value: String,
    /// The priority, of an MX only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 65535))]
    pub priority: Option<i32>,
    /// False for a record without which the domain can still be verified.
    pub required: bool,
    /// What DNS says.
    pub state: RecordState,
    /// The one cause, where there is one. Missing: NotPublished, SuffixDoubled, NameTypo, MissingDomainkey, ZoneNotDelegated,
    /// ZonePending. Incorrect: WrongValue, WrongRegion, LiteralQuotes, RecordProxied, CNAMEFlattened, ExtraMX, MultipleSPF,
    /// CNAMEBlocksRecord, SplitHorizon. Found: NotYetVisible, NegativelyCached. Unknown: LookupFailed, DNSSECBogus. More may
    /// be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cause: Option<String>,
    /// What was found instead: at most 5 values of at most 255 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), inner(length(max = 255)))]
    pub observed: Vec<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RecordPurpose {
    /// One of the three CNAMEs under which SES publishes the DKIM keys.
    #[serde(rename = "DKIM")]
    Dkim,
    /// The SPF policy of the MAIL FROM name.
    #[serde(rename = "SPF")]
    Spf,
    /// The MX that brings bounces of the MAIL FROM name to SES.
    #[serde(rename = "BounceMX")]
    BounceMx,
    /// The DMARC policy of the domain.
    #[serde(rename = "DMARC")]
    Dmarc,
}

impl RecordPurpose {
    /// The purpose as users read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dkim => "DKIM",
            Self::Spf => "SPF",
            Self::BounceMx => "BounceMX",
            Self::Dmarc => "DMARC",
        }
    }
}

/// What DNS says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RecordState {
    /// It is there, with a right value.
    Found,
    /// It is proven absent.
    Missing,
    /// Something else is there.
    Incorrect,
    /// Nobody could say: never taken for absence.
    Unknown,
}

/// The current attempt at verification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// When the attempt began: with the identity, with a re-arm or with a re-creation. Not before the object was created.
    pub started_at: Time,
    /// When the domain is reported as Failed: `startedAt` plus `spec.verificationTimeout`.
    pub deadline: Time,
    /// Since when the domain has been verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    /// When it was told that a quarter of the time is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_at: Option<Time>,
    /// When the domain was left to another object that waited for it, since the verification had failed. This one comes
    /// after all others then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yielded_at: Option<Time>,
    /// When SES first had the domain verified; stays through later attempts. Whoever has it leaves the domain to nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_verified_at: Option<Time>,
    /// When the first attempt began; later ones do not put off when the domain is left to another object that waits.
    /// Absent if SES had given the identity up before this object came to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_started_at: Option<Time>,
    /// When SES, having given up, was last asked to look for the DKIM records again. Absent once the domain is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dkim_rearmed_at: Option<Time>,
    /// When SES, having given up, was last asked to look for the MX of the MAIL FROM domain again. Absent once the domain is
    /// verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_from_rearmed_at: Option<Time>,
    /// How often a failed verification was taken up again; 0 again once the domain is verified.
    #[serde(default)]
    #[schemars(range(min = 0, max = i32::MAX))]
    pub rearms: i32,
}

impl VerificationStatus {
    /// True if SES has had the domain verified.
    pub fn was_verified(&self) -> bool {
        self.first_verified_at.is_some() || self.verified_at.is_some()
    }

    /// True if the time for a verification is over: that of this attempt, or that of the first, so that nobody gains
    /// time by beginning anew.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let time = self.deadline.0.duration_since(self.started_at.0);
        let first = self.first_started_at.as_ref().and_then(|start| start.0.checked_add(time).ok());
        now >= self.deadline.0 || first.is_some_and(|deadline| now >= deadline)
    }
}

/// Advice that does not stop the domain from sending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recommendation {
    /// UseSubdomain, PublishDMARC, DMARCPolicyInForce, DMARCInvalid, DMARCWeakerThanInherited, DMARCReportNotAuthorised,
    /// KeyLengthKept, RecreateRefused, …
    #[schemars(length(max = 64))]
    pub code: String,
    /// The advice.
    #[schemars(length(max = 1024))]
    pub message: String,
}
