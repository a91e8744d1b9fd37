//! One record as it is shown. What comes from outside is made printable here, once, for every format.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use sending_domain_operator::api::v1alpha1::{RecordPurpose, RecordState, RecordStatus, SendingDomain};
use sending_domain_operator::dns::dmarc::organisational;
use sending_domain_operator::dns::record::DnsName;
use sending_domain_operator::ses::identity::DKIM_TOKENS;
use sending_domain_operator::text::printable;
use serde::Serialize;

/// A record of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The namespace of the object; empty without a cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the object; empty without a cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The domain that mail is sent from.
    pub domain: String,
    /// The zone that the record is entered in.
    pub zone: String,
    /// DKIM, SPF, BounceMX or DMARC.
    pub purpose: String,
    /// CNAME, MX or TXT.
    #[serde(rename = "type")]
    pub kind: String,
    /// The full name, without a trailing dot.
    pub name: String,
    /// The name within the zone; `@` for the zone itself, the full name outside of it.
    pub relative_name: String,
    /// The right value: unquoted, without a trailing dot, an MX without its priority.
    pub value: String,
    /// The priority of an MX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// False for records without which the domain can be verified all the same.
    pub required: bool,
    /// Found, Missing, Incorrect or Unknown.
    pub state: RecordState,
    /// Why it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What is in DNS instead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The state as status spells it.
pub fn state_name(state: RecordState) -> &'static str {
    match state {
        RecordState::Found => "Found",
        RecordState::Missing => "Missing",
        RecordState::Incorrect => "Incorrect",
        RecordState::Unknown => "Unknown",
    }
}

/// True if these are the purposes of all records without which a domain is never verified: SES hands out the tokens of DKIM
/// late, and a MAIL FROM name that is somebody else's has no records.
pub fn is_complete(purposes: impl Iterator<Item = RecordPurpose>) -> bool {
    let purposes: Vec<RecordPurpose> = purposes.collect();
    let count = |purpose| purposes.iter().filter(|of| **of == purpose).count();
    count(RecordPurpose::Dkim) >= DKIM_TOKENS
        && [RecordPurpose::Spf, RecordPurpose::BounceMx].into_iter().all(|purpose| count(purpose) > 0)
}

/// What a condition says.
pub fn words(condition: &Condition) -> String {
    format!("{}: {}", printable(&condition.reason, 128), printable(&condition.message, 1000))
}

/// Why an object has no records to show, in the operator's own words.
pub fn why_none(object: &SendingDomain) -> String {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) => words(ready),
        None => "the operator has not looked at it; `kubectl sendingdomain doctor` tells whether it runs".to_owned(),
    }
}

/// Whose records they are.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    pub namespace: String,
    pub object: String,
    pub domain: String,
    pub zone: Option<String>,
}

impl Owner {
    /// The object's own words, with another zone if one is given.
    pub fn of(object: &SendingDomain, zone: Option<&str>) -> Self {
        let seen = || object.status.as_ref()?.dns.as_ref()?.zone_name.clone();
        Self {
            namespace: object.namespace().unwrap_or_default(),
            object: object.name_any(),
            domain: object.spec.domain.clone(),
            zone: zone.map(str::to_owned).or_else(seen),
        }
    }

    /// The zone, if the domain can lie in it; else the registered domain.
    fn zone(&self) -> DnsName {
        let domain = DnsName::new(&self.domain);
        let given = self.zone.as_ref().map(DnsName::new).filter(|zone| domain.is_within(zone));
        given.unwrap_or_else(|| organisational(&domain))
    }
}

/// The records of `statuses`.
pub fn rows(owner: &Owner, statuses: &[RecordStatus]) -> Vec<Row> {
    let zone = owner.zone();
    statuses.iter().map(|status| row(owner, &zone, status)).collect()
}

fn row(owner: &Owner, zone: &DnsName, status: &RecordStatus) -> Row {
    let safe = |text: &str| printable(text, usize::MAX);
    Row {
        namespace: safe(&owner.namespace),
        object: safe(&owner.object),
        domain: safe(&owner.domain),
        zone: safe(zone.as_str()),
        purpose: status.purpose.as_str().to_owned(),
        kind: safe(&status.record_type),
        name: safe(&status.name),
        relative_name: safe(&relative(&status.name, zone)),
        value: safe(&status.value),
        priority: status.priority.and_then(|priority| u16::try_from(priority).ok()),
        required: status.required,
        state: status.state,
        cause: status.cause.as_deref().map(safe),
        observed: status.observed.iter().map(|value| safe(value)).collect(),
        message: status.message.as_deref().map(safe),
    }
}

fn relative(name: &str, zone: &DnsName) -> String {
    let canonical = DnsName::new(name);
    if canonical == *zone {
        return "@".to_owned();
    }
    let suffix = format!(".{zone}");
    canonical.as_str().strip_suffix(&suffix).unwrap_or(name).to_owned()
}

#[cfg(test)]
pub mod samples {
    use super::*;

    fn status(purpose: RecordPurpose, kind: &str, name: &str, value: &str, state: RecordState) -> RecordStatus {
        RecordStatus {
            purpose,
            record_type: kind.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            priority: (kind == "MX").then_some(10),
            required: purpose != RecordPurpose::Dmarc,
            state,
            cause: None,
            observed: Vec::new(),
            message: None,
        }
    }

    /// A domain with a record in every state.
    pub fn mail() -> Vec<Row> {
        let dkim = |token: &str, state| {
            let (name, value) = (format!("{token}._domainkey.mail.example.com"), format!("{token}.dkim.amazonses.com"));
            status(RecordPurpose::Dkim, "CNAME", &name, &value, state)
        };
        let mut statuses = vec![
            dkim("aaaa", RecordState::Found),
            dkim("bbbb", RecordState::Missing),
            dkim("cccc", RecordState::Incorrect),
            status(
                RecordPurpose::Spf,
                "TXT",
                "bounce.mail.example.com",
                "v=spf1 include:amazonses.com ~all",
                RecordState::Unknown,
            ),
            status(
                RecordPurpose::BounceMx,
                "MX",
                "bounce.mail.example.com",
                "feedback-smtp.eu-west-1.amazonses.com",
                RecordState::Missing,
            ),
            status(
                RecordPurpose::Dmarc,
                "TXT",
                "_dmarc.mail.example.com",
                "v=DMARC1; p=none; rua=mailto:dmarc@example.com",
                RecordState::Missing,
            ),
        ];
        statuses[1].cause = Some("SuffixDoubled".to_owned());
        statuses[1].message = Some("It was found at bbbb._domainkey.mail.example.com.example.com".to_owned());
        statuses[2].cause = Some("RecordProxied".to_owned());
        statuses[2].observed = vec!["104.16.1.1".to_owned()];
        statuses[2].message = Some("Set Proxy status to DNS only".to_owned());
        let owner = Owner {
            namespace: "team".to_owned(),
            object: "mail-example-com".to_owned(),
            domain: "mail.example.com".to_owned(),
            zone: None,
        };
        rows(&owner, &statuses)
    }

    /// What somebody writes who may write status and means no good.
    pub fn hostile() -> Vec<Row> {
        let mut evil = status(
            RecordPurpose::Spf,
            "TXT",
            "<script>alert(1)</script>.evil.example",
            "\"';--></style><script>alert(2)</script>\u{1b}[2J\nIN A 6.6.6.6 ${file(\"/etc/passwd\")} %{x} \\ ,",
            RecordState::Incorrect,
        );
        evil.record_type = "TXT\r\n".to_owned();
        evil.cause = Some("<b onmouseover=alert(3)>".to_owned());
        evil.observed = vec!["<img src=https://evil.example/x>".to_owned()];
        evil.message = Some("see https://evil.example \u{202e}\u{7} <a href='javascript:alert(4)'>".to_owned());
        let owner = Owner {
            namespace: "team".to_owned(),
            object: "evil".to_owned(),
            domain: "evil.example".to_owned(),
            zone: Some("<script>".to_owned()),
        };
        rows(&owner, &[evil])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_needs_three_tokens_and_a_mail_from_domain() {
        let [dkim, spf, mx] = [RecordPurpose::Dkim, RecordPurpose::Spf, RecordPurpose::BounceMx];
        assert!(is_complete([dkim, dkim, dkim, spf, mx, RecordPurpose::Dmarc].into_iter()));
        for some in [vec![spf, mx], vec![dkim, dkim, spf, mx], vec![dkim, dkim, dkim], vec![dkim, dkim, dkim, spf]] {
            assert!(!is_complete(some.into_iter()));
        }
    }

    #[test]
    fn names_are_told_as_the_form_of_a_provider_wants_them() {
        let zone = DnsName::new("example.com");
        assert_eq!(relative("a._domainkey.mail.example.com", &zone), "a._domainkey.mail");
        assert_eq!(relative("example.com", &zone), "@");
        assert_eq!(relative("mail.notexample.com", &zone), "mail.notexample.com");
    }

    #[test]
    fn the_zone_is_the_registered_domain_unless_something_better_is_known() {
        let owner = |domain: &str, zone: Option<&str>| {
            let zone = zone.map(str::to_owned);
            Owner { domain: domain.to_owned(), zone, ..Owner::default() }.zone()
        };
        assert_eq!(owner("mail.example.co.uk", None).as_str(), "example.co.uk");
        assert_eq!(owner("mail.example.com", Some("mail.example.com.")).as_str(), "mail.example.com");
        assert_eq!(owner("mail.example.com", Some("other.org")).as_str(), "example.com");
    }

    #[test]
    fn nothing_that_moves_a_cursor_is_left() {
        let rows = samples::hostile();
        let text = serde_json::to_string(&rows).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{7}', '\n']), "{text}");
    }
}
