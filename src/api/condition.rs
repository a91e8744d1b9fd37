//! The condition types, and how a list of conditions is brought up to date.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::text::printable;

/// The types of condition that this operator owns. Others in the list are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Mail can be sent.
    Ready,
    /// The identity exists, is ours or adopted, has three tokens, and matches the spec.
    IdentityReady,
    /// Every record is as wanted at the provider. Absent for manual records.
    RecordsSynced,
    /// Every required record is found in DNS.
    DnsVerified,
    /// SES has verified the domain by DKIM.
    DkimVerified,
    /// SES has verified the MAIL FROM domain.
    MailFromVerified,
    /// kstatus: work is under way. Present only while True.
    Reconciling,
    /// kstatus: a person has to act. Present only while True.
    Stalled,
}

impl ConditionType {
    /// Every type, in the order in which status lists them.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::IdentityReady,
        Self::RecordsSynced,
        Self::DnsVerified,
        Self::DkimVerified,
        Self::MailFromVerified,
        Self::Reconciling,
        Self::Stalled,
    ];

    /// When it is True, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ready => {
                "`IdentityReady`, `DKIMVerified` and `MailFromVerified` are, and the SPF record is not proven missing or wrong: mail \
                 can be sent. Look-ups that fail neither stop nor end it."
            }
            Self::IdentityReady => {
                "The SES identity exists, is the object's or adopted, has three tokens, and matches the spec."
            }
            Self::RecordsSynced => "Every record is as wanted at the provider. Absent where a person adds the records.",
            Self::DnsVerified => {
                "Every required record is found in DNS; Unknown if one could not be looked up and none is missing or wrong."
            }
            Self::DkimVerified => "SES has verified the domain by DKIM, signs its mail, and lets it send.",
            Self::MailFromVerified => "SES has verified the MAIL FROM domain, which it does by its MX record alone.",
            Self::Reconciling => "Work is under way, or waited for.",
            Self::Stalled => "A person has to act.",
        }
    }

    /// The name in `.status.conditions[].type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::IdentityReady => "IdentityReady",
            Self::RecordsSynced => "RecordsSynced",
            Self::DnsVerified => "DNSVerified",
            Self::DkimVerified => "DKIMVerified",
            Self::MailFromVerified => "MailFromVerified",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// True, False or Unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It is proven not to hold.
    False,
    /// Nobody could say.
    Unknown,
}

impl ConditionStatus {
    /// The name in `.status.conditions[].status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// The condition of type `condition_type` in `conditions`.
pub fn find(conditions: &[Condition], condition_type: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == condition_type.as_str())
}

/// True if the condition of that type is there and True.
pub fn is_true(conditions: &[Condition], condition_type: ConditionType) -> bool {
    find(conditions, condition_type).is_some_and(|c| c.status == ConditionStatus::True.as_str())
}

/// What a condition shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// CamelCase, one of the documented reasons.
    pub reason: &'static str,
    /// What to do next.
    pub message: String,
}

/// The longest message the API server accepts in a condition, in bytes.
const MESSAGE_LIMIT: usize = 32_768;

/// Replaces our conditions in `old` by `verdicts`: a transition time moves only when the status does, conditions of
/// others stay, and ours that have no verdict go.
pub fn merge(
    old: &[Condition],
    verdicts: &[(ConditionType, Verdict)],
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let ours = verdicts.iter().map(|(condition_type, verdict)| {
        let status = verdict.status.as_str();
        let since = find(old, *condition_type).filter(|c| c.status == status).map(|c| c.last_transition_time.clone());
        Condition {
            type_: condition_type.as_str().to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: printable(&verdict.message, MESSAGE_LIMIT),
            observed_generation: Some(generation),
            last_transition_time: since.unwrap_or(Time(now)),
        }
    });
    let foreign = old.iter().filter(|c| ConditionType::ALL.iter().all(|t| t.as_str() != c.type_)).cloned();
    ours.chain(foreign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: ConditionStatus) -> Verdict {
        Verdict { status, reason: "Verified", message: "m".to_owned() }
    }

    #[test]
    fn g16_a_transition_time_moves_only_with_the_status() {
        let [t0, t1, t2]: [Timestamp; 3] = [0, 60, 120].map(|s| Timestamp::from_second(s).unwrap());
        let first = merge(&[], &[(ConditionType::Ready, verdict(ConditionStatus::False))], 1, t0);
        let same = merge(&first, &[(ConditionType::Ready, verdict(ConditionStatus::False))], 2, t1);
        assert_eq!(same[0].last_transition_time.0, t0);
        assert_eq!(same[0].observed_generation, Some(2));
        let turned = merge(&same, &[(ConditionType::Ready, verdict(ConditionStatus::True))], 2, t2);
        assert_eq!(turned[0].last_transition_time.0, t2);
    }

    #[test]
    fn conditions_of_others_stay_and_ours_without_a_verdict_go() {
        let now = Timestamp::from_second(0).unwrap();
        let mut old = merge(&[], &[(ConditionType::Stalled, verdict(ConditionStatus::True))], 1, now);
        old.push(Condition { type_: "Audited".to_owned(), ..old[0].clone() });
        let merged = merge(&old, &[(ConditionType::Ready, verdict(ConditionStatus::True))], 1, now);
        let types: Vec<&str> = merged.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(types, ["Ready", "Audited"]);
    }
}
