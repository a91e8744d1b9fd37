//! The JSON that SES v2 speaks.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::identity::{Identity, Info, Kind, Origin};
use super::machine::Status;
use super::settings::HostedZone;

/// The status by its name on the wire.
pub(super) fn status(status: Status) -> String {
    named(&status)
}

/// Enumerations are written as serde names them.
pub(super) fn named(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Epoch seconds with a fraction, as SES writes them.
pub(super) fn epoch(at: Timestamp) -> Value {
    json!(at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64())
}

pub(super) fn kind(identity: &Identity) -> &'static str {
    match identity.kind {
        Kind::Domain => "DOMAIN",
        Kind::Address => "EMAIL_ADDRESS",
    }
}

/// `DkimAttributes`; for an address, `of` is the domain that it inherits them from.
pub(super) fn dkim_attributes(of: &Identity, zone: &HostedZone, region: &str) -> Value {
    let dkim = &of.dkim;
    let shown_status = if dkim.hidden_gets > 0 { Status::NotStarted } else { dkim.process.status };
    let shown_tokens: &[String] = if dkim.hidden_gets > 0 { &[] } else { &dkim.tokens };
    let mut out = json!({
        "SigningEnabled": dkim.enabled,
        "Status": status(shown_status),
        "Tokens": shown_tokens,
        "SigningAttributesOrigin": origin(dkim.origin),
    });
    if of.kind == Kind::Domain && dkim.origin == Origin::Ses {
        out["CurrentSigningKeyLength"] = json!(dkim.key_length);
        out["NextSigningKeyLength"] = json!(dkim.next_key_length);
        out["LastKeyGenerationTimestamp"] = epoch(dkim.generated);
        if let Some(zone) = zone.shown(region) {
            out["SigningHostedZone"] = json!(zone);
        }
    }
    out
}

pub(super) fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Ses => "AWS_SES",
        Origin::External => "EXTERNAL",
    }
}

/// `MailFromAttributes`; without a MAIL FROM domain only its behaviour is there.
pub(super) fn mail_from_attributes(identity: &Identity) -> Value {
    let mut out = json!({ "BehaviorOnMxFailure": identity.mx_failure_behavior });
    if let Some(mail_from) = &identity.mail_from {
        out["MailFromDomain"] = json!(mail_from.domain);
        out["MailFromDomainStatus"] = json!(status(mail_from.process.status));
    }
    out
}

/// `VerificationInfo`; empty before the first look.
pub(super) fn verification_info(info: &Info) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(key.to_owned(), value);
        }
    };
    put("LastCheckedTimestamp", info.checked.map(epoch));
    put("LastSuccessTimestamp", info.succeeded.map(epoch));
    put("ErrorType", info.error.map(|error| json!(error)));
    put("SOARecord", info.soa.as_ref().map(|soa| json!(soa)));
    Value::Object(out)
}

/// Tags as a list, the way AWS has them.
pub(super) fn tags<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    tags.into_iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}
