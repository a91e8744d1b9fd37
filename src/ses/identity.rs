//! The SES identity in our own types.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt;

use crate::api::v1alpha1::{DkimKeyLength, OnMxFailure};
use crate::dns::record::DnsName;

/// A status of SES: of the verification, of DKIM or of MAIL FROM. Open, for SES has added values before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SesStatus {
    /// SES is looking for the records.
    Pending,
    /// SES found the records.
    Success,
    /// SES has given up looking.
    Failed,
    /// SES does not find the records any more, and goes on looking for up to 72 hours.
    TemporaryFailure,
    /// SES has not begun.
    NotStarted,
    /// A value that this version does not know.
    Other(String),
}

impl SesStatus {
    /// Reads SES's spelling.
    pub fn parse(text: &str) -> Self {
        match text {
            "PENDING" => Self::Pending,
            "SUCCESS" => Self::Success,
            "FAILED" => Self::Failed,
            "TEMPORARY_FAILURE" => Self::TemporaryFailure,
            "NOT_STARTED" => Self::NotStarted,
            other => Self::Other(other.to_owned()),
        }
    }

    /// SES's spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::TemporaryFailure => "TEMPORARY_FAILURE",
            Self::NotStarted => "NOT_STARTED",
            Self::Other(other) => other,
        }
    }
}

impl fmt::Display for SesStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An SES domain identity as SES answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The verification of the domain itself. `None` before the first read: creating answers none.
    pub verification: Option<SesStatus>,
    /// Whether SES lets the identity send. False means «not yet» as well as «not any more».
    pub verified_for_sending: bool,
    /// The state of DKIM.
    pub dkim: Dkim,
    /// The custom MAIL FROM domain, if one is set.
    pub mail_from: Option<MailFrom>,
    /// The default configuration set.
    pub configuration_set: Option<String>,
    /// All tags, ours among them.
    pub tags: BTreeMap<String, String>,
    /// SES's error of its last look at DNS.
    pub error: Option<String>,
    /// The zone that SES saw when it looked.
    pub zone_seen: Option<ZoneSeen>,
    /// True if SES has found the domain's records once (`VerificationInfo.LastSuccessTimestamp`).
    pub succeeded_once: bool,
}

/// What SES tells of the zone's start of authority (`VerificationInfo.SOARecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSeen {
    /// The primary name server.
    pub primary: DnsName,
    /// The serial number.
    pub serial: u32,
}

/// The DKIM part of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dkim {
    /// SES's verdict on the three CNAMEs.
    pub status: SesStatus,
    /// Whether SES signs mail of this identity.
    pub signing_enabled: bool,
    /// The names of the CNAMEs. Can be empty for a moment after creation.
    pub tokens: Vec<String>,
    /// The zone in which SES publishes the keys.
    pub hosted_zone: Option<String>,
    /// `AWS_SES` for Easy DKIM, `EXTERNAL` for keys that the user brought.
    pub origin: Option<String>,
    /// The length of the keys in use.
    pub key_length: Option<DkimKeyLength>,
    /// The length of the keys that SES makes next: it differs while a change is under way.
    pub next_key_length: Option<DkimKeyLength>,
}

/// The MAIL FROM part of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// The MAIL FROM domain.
    pub domain: String,
    /// SES's verdict on its MX.
    pub status: SesStatus,
    /// What SES does while the MX is not right.
    pub on_mx_failure: OnMxFailure,
}

/// How many DKIM tokens Easy DKIM has. Records are never made from fewer.
/// Source: <https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-easy.html>.
pub const DKIM_TOKENS: usize = 3;

impl Identity {
    /// True if SES has verified the domain by DKIM and signs with it.
    pub fn is_dkim_verified(&self) -> bool {
        self.verification == Some(SesStatus::Success)
            && self.dkim.status == SesStatus::Success
            && self.dkim.signing_enabled
            && self.verified_for_sending
    }

    /// True if SES has verified `mail_from` as the MAIL FROM domain.
    pub fn is_mail_from_verified(&self, mail_from: &str) -> bool {
        self.mail_from
            .as_ref()
            .is_some_and(|m| m.domain.eq_ignore_ascii_case(mail_from) && m.status == SesStatus::Success)
    }

    /// True if SES has given up on any part of the identity.
    pub fn has_failed(&self) -> bool {
        self.verification == Some(SesStatus::Failed)
            || self.dkim.status == SesStatus::Failed
            || self.mail_from.as_ref().is_some_and(|m| m.status == SesStatus::Failed)
    }

    /// True if the DKIM keys are the user's own.
    pub fn brings_own_dkim(&self) -> bool {
        self.dkim.origin.as_deref() == Some("EXTERNAL")
    }

    /// The zone below which the CNAMEs point: what SES says, else what AWS documents for the region.
    /// Source: <https://docs.aws.amazon.com/general/latest/gr/ses.html#ses_dkim_domains>.
    pub fn dkim_hosted_zone(&self, region: &str) -> String {
        const REGIONAL: [&str; 11] = [
            "af-south-1",
            "ap-northeast-3",
            "ap-south-2",
            "ap-southeast-3",
            "ap-southeast-5",
            "ca-west-1",
            "eu-central-2",
            "eu-south-1",
            "il-central-1",
            "me-central-1",
            "us-gov-east-1",
        ];
        match &self.dkim.hosted_zone {
            Some(zone) => zone.clone(),
            None if REGIONAL.contains(&region) => format!("dkim.{region}.amazonses.com"),
            None => "dkim.amazonses.com".to_owned(),
        }
    }
}
