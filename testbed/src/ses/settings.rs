//! What a test or a person may set about the simulated service.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of the simulator; all can be changed while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, each a line a person can set")]
pub struct Settings {
    /// Virtual time between two looks at the records of an identity (seconds in JSON).
    #[serde(with = "seconds")]
    pub check_interval: Duration,
    /// How long SES looks for records before it gives up: 72 hours (seconds in JSON).
    #[serde(with = "seconds")]
    pub attempt_window: Duration,
    /// Real time to wait for one answer of the DNS server; asked twice (seconds in JSON).
    #[serde(with = "seconds")]
    pub dns_timeout: Duration,
    /// Identities per account and region; one more is `LimitExceededException`.
    pub identity_quota: usize,
    /// Requests per (real) second and account and region; `None`: unlimited.
    pub rate_limit: Option<f64>,
    /// 0: the answer to create has the tokens; n: they first appear in the n-th read after it.
    pub tokens_after_gets: u32,
    /// What `SigningHostedZone` says.
    pub signing_hosted_zone: HostedZone,
    /// Refuse a MAIL FROM domain as long as the identity is not verified.
    pub mail_from_needs_verified: bool,
    /// Putting the DKIM signing attributes again does not restart a FAILED search.
    pub rearm_refused: bool,
    /// What `GetAccount` says; false is the sandbox.
    pub production_access: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            check_interval: Duration::from_mins(1),
            attempt_window: Duration::from_hours(72),
            dns_timeout: Duration::from_secs(1),
            identity_quota: 10_000,
            rate_limit: None,
            tokens_after_gets: 0,
            signing_hosted_zone: HostedZone::OfRegion,
            mail_from_needs_verified: false,
            rearm_refused: false,
            production_access: true,
        }
    }
}

/// The zone that DKIM CNAMEs point into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HostedZone {
    /// As SES has it: `dkim.amazonses.com`, in some regions `dkim.<region>.amazonses.com`.
    OfRegion,
    /// As [`HostedZone::OfRegion`], but the answers leave the field out.
    Omitted,
    /// Any other zone, to see that a client takes what it is told.
    Custom(String),
}

/// The regions with a DKIM zone of their own.
const REGIONS_WITH_OWN_ZONE: [&str; 11] = [
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

impl HostedZone {
    /// The zone where SES really expects the CNAMEs to point.
    pub(super) fn target(&self, region: &str) -> String {
        match self {
            Self::Custom(zone) => zone.clone(),
            _ if REGIONS_WITH_OWN_ZONE.contains(&region) => format!("dkim.{region}.amazonses.com"),
            _ => "dkim.amazonses.com".to_owned(),
        }
    }

    /// The zone as the answers name it.
    pub(super) fn shown(&self, region: &str) -> Option<String> {
        (*self != Self::Omitted).then(|| self.target(region))
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_regions_have_a_zone_of_their_own() {
        assert_eq!(HostedZone::OfRegion.target("eu-west-1"), "dkim.amazonses.com");
        assert_eq!(HostedZone::OfRegion.target("eu-south-1"), "dkim.eu-south-1.amazonses.com");
        assert_eq!(HostedZone::Omitted.shown("eu-west-1"), None);
    }

    #[test]
    fn settings_are_changed_by_naming_only_what_changes() {
        let settings: Settings = serde_json::from_str(r#"{"checkInterval": 0.5}"#).unwrap();
        assert_eq!(settings.check_interval, Duration::from_millis(500));
        assert_eq!(settings.identity_quota, 10_000);
        assert!(serde_json::from_str::<Settings>(r#"{"chekInterval": 1}"#).is_err());
    }
}
