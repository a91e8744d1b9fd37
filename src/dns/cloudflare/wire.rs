//! The JSON of the API. Strict where a misreading would be dangerous (the envelope, ids, names, types), lenient
//! everywhere else: zones hold types and fields that this program knows nothing of, and one of them must not make a
//! zone unreadable.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::Fault;
use super::model::{AccountId, Change, MAX_COMMENT, NewRecord, TokenStatus, Zone, ZoneRecord};
use super::txt;
use crate::dns::record::{DnsName, RecordData};

/// An answer is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// What every answer is wrapped in. An object without `success` is no answer of this API.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub(super) success: bool,
    #[serde(default, deserialize_with = "lenient")]
    errors: Vec<ErrorEntry>,
    #[serde(default)]
    pub(super) result: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) result_info: ResultInfo,
}

/// Where a page stands in its list; every field may be missing.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultInfo {
    pub(super) total_count: Option<u64>,
    pub(super) total_pages: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorEntry {
    #[serde(deserialize_with = "lenient")]
    code: u32,
    #[serde(deserialize_with = "lenient")]
    message: String,
    #[serde(deserialize_with = "lenient")]
    error_chain: Vec<ErrorEntry>,
}

/// The most faults that are looked at, so that an answer cannot fill our messages.
const MAX_FAULTS: usize = 16;

impl Envelope {
    /// The envelope in an answer's body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        // Serde would read an array as a struct, too, field by field.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Malformed);
        }
        serde_json::from_slice(body).map_err(|_| Malformed)
    }

    /// The errors with their chains, outermost first.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        flatten(&self.errors, &mut faults);
        faults
    }

    /// The result as `T`; `null` is no result.
    pub(super) fn result<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        let raw = self.result.as_ref().ok_or(Malformed)?;
        serde_json::from_str(raw.get()).map_err(|_| Malformed)
    }
}

fn flatten(entries: &[ErrorEntry], faults: &mut Vec<Fault>) {
    for entry in entries {
        if faults.len() >= MAX_FAULTS {
            return;
        }
        faults.push(Fault { code: entry.code, message: entry.message.clone() });
        flatten(&entry.error_chain, faults);
    }
}

/// Anything that is not a `T` becomes the default.
fn lenient<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// A zone as answered.
#[derive(Debug, Deserialize)]
pub(super) struct WireZone {
    id: String,
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    paused: bool,
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    zone_type: String,
    #[serde(default, deserialize_with = "lenient")]
    account: WireAccount,
    #[serde(default, deserialize_with = "lenient")]
    name_servers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct WireAccount {
    id: Option<String>,
}

impl TryFrom<WireZone> for Zone {
    type Error = Malformed;

    fn try_from(wire: WireZone) -> Result<Self, Malformed> {
        Ok(Self {
            id: wire.id.parse().map_err(|_| Malformed)?,
            name: ascii(&wire.name),
            status: wire.status.into(),
            paused: wire.paused,
            zone_type: wire.zone_type.into(),
            account_id: wire.account.id.as_deref().and_then(AccountId::parse),
            name_servers: wire.name_servers.into_iter().map(DnsName::new).collect(),
        })
    }
}

/// Zones are named in Unicode, and their records in ASCII.
/// Source: <https://github.com/cloudflare/cloudflare-go/pull/690>.
fn ascii(name: &str) -> DnsName {
    idna::domain_to_ascii(name).map_or_else(|_| DnsName::new(name), DnsName::new)
}

/// What is said of a token; `expires_on` and `not_before` only where they were set.
#[derive(Debug, Deserialize)]
pub(super) struct WireTokenStatus {
    status: String,
    #[serde(default, deserialize_with = "lenient")]
    expires_on: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient")]
    not_before: Option<Timestamp>,
}

impl WireTokenStatus {
    /// What it means at `now`.
    pub(super) fn at(&self, now: Timestamp) -> TokenStatus {
        match self.status.as_str() {
            "expired" => TokenStatus::Expired(self.expires_on),
            "disabled" => TokenStatus::Disabled,
            "active" => match (self.expires_on, self.not_before) {
                (Some(end), _) if end <= now => TokenStatus::Expired(Some(end)),
                (_, Some(begin)) if begin > now => TokenStatus::NotYet(begin),
                _ => TokenStatus::Active,
            },
            _ => TokenStatus::Other,
        }
    }
}

/// A record as answered.
#[derive(Debug, Deserialize)]
pub(super) struct WireRecord {
    id: String,
    name: String,
    #[serde(rename = "type")]
    record_type: String,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    priority: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    data: WireData,
    #[serde(default, deserialize_with = "lenient")]
    proxied: bool,
    #[serde(default, deserialize_with = "lenient")]
    ttl: u32,
    #[serde(default, deserialize_with = "lenient")]
    comment: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    settings: WireSettings,
}

/// The structured form that some types come in beside or instead of `content` and `priority`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireData {
    #[serde(deserialize_with = "lenient")]
    priority: Option<u16>,
    #[serde(deserialize_with = "lenient")]
    target: Option<String>,
}

/// Source: <https://developers.cloudflare.com/dns/cname-flattening/set-up-cname-flattening/>.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct WireSettings {
    flatten_cname: Option<bool>,
}

impl WireRecord {
    /// The record's data, for the three types we know and if it can be understood.
    fn record_data(&self, record_type: &str) -> Option<RecordData> {
        let content = self.content.as_deref().or(self.data.target.as_deref());
        match record_type {
            "CNAME" => Some(RecordData::Cname(DnsName::new(content?))),
            "MX" => {
                let priority = self.priority.or(self.data.priority)?;
                Some(RecordData::Mx { priority, host: DnsName::new(content?) })
            }
            "TXT" => Some(RecordData::Txt(txt::from_content(content?))),
            _ => None,
        }
    }
}

impl TryFrom<WireRecord> for ZoneRecord {
    type Error = Malformed;

    fn try_from(wire: WireRecord) -> Result<Self, Malformed> {
        if wire.id.is_empty() || wire.record_type.is_empty() {
            return Err(Malformed);
        }
        let record_type = wire.record_type.to_ascii_uppercase();
        Ok(Self {
            data: wire.record_data(&record_type),
            id: wire.id,
            name: DnsName::new(wire.name),
            record_type,
            content: wire.content.unwrap_or_default(),
            proxied: wire.proxied,
            ttl: wire.ttl,
            comment: wire.comment,
            flatten_cname: wire.settings.flatten_cname,
        })
    }
}

/// The body of a batch. Only what is there is sent. Updates go as `patches`: a `put` would reset every attribute that
/// is not named, tags and settings included.
#[derive(Debug, Default, Serialize)]
pub(super) struct Batch<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deletes: Vec<Id<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    patches: Vec<WireChange<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    posts: Vec<WireChange<'a>>,
}

#[derive(Debug, Serialize)]
struct Id<'a> {
    id: &'a str,
}

#[derive(Debug, Serialize)]
struct WireChange<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "type")]
    record_type: &'static str,
    name: &'a str,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u16>,
    ttl: u32,
    proxied: bool,
    comment: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<WireSettings>,
}

impl<'a> Batch<'a> {
    /// The body for `changes`; in words what is wrong with them otherwise.
    pub(super) fn new(changes: &'a [Change]) -> Result<Self, &'static str> {
        let mut batch = Self::default();
        for change in changes {
            match change {
                Change::Delete { id } => batch.deletes.push(Id { id: present(id)? }),
                Change::Update { id, record } => batch.patches.push(WireChange::new(Some(present(id)?), record)?),
                Change::Create(record) => batch.posts.push(WireChange::new(None, record)?),
            }
        }
        Ok(batch)
    }
}

impl<'a> WireChange<'a> {
    fn new(id: Option<&'a str>, record: &'a NewRecord) -> Result<Self, &'static str> {
        let comment = record.comment.as_str();
        if comment.chars().count() > MAX_COMMENT || comment.chars().any(char::is_control) {
            return Err("a comment is longer than 100 characters or not on one line");
        }
        Ok(Self {
            id,
            record_type: record.data.record_type().as_str(),
            name: record.name.as_str(),
            content: match &record.data {
                RecordData::Txt(text) => txt::to_content(text),
                data => data.value().to_owned(),
            },
            priority: record.data.priority(),
            ttl: record.ttl,
            proxied: false,
            comment,
            settings: record.unflatten.then_some(WireSettings { flatten_cname: Some(false) }),
        })
    }
}

fn present(id: &str) -> Result<&str, &'static str> {
    if id.is_empty() { Err("a change has no record id") } else { Ok(id) }
}

/// The answer to a batch: lists of records by what was done to them, `null` or missing where nothing was.
pub(super) type BatchResult = serde_json::Map<String, Value>;

/// The updated records of a batch, then the created ones.
pub(super) fn written(mut result: BatchResult) -> Result<Vec<ZoneRecord>, Malformed> {
    let mut records = Vec::new();
    for done in ["patches", "puts", "posts"] {
        let list = result.remove(done).unwrap_or_default();
        let list: Option<Vec<WireRecord>> = serde_json::from_value(list).map_err(|_| Malformed)?;
        for wire in list.unwrap_or_default() {
            records.push(ZoneRecord::try_from(wire)?);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Result<ZoneRecord, Malformed> {
        serde_json::from_str::<WireRecord>(json).map_err(|_| Malformed)?.try_into()
    }

    #[test]
    fn the_three_types_are_understood_in_every_spelling() {
        let data = |json: &str| record(json).unwrap().data.unwrap();
        let cname = data(r#"{"id":"1","name":"A.Example.com","type":"cname","content":"B.Example.com."}"#);
        assert_eq!(cname, RecordData::Cname(DnsName::new("b.example.com")));
        let mx = RecordData::Mx { priority: 10, host: DnsName::new("mx.example.com") };
        for priority in [r#""priority":10"#, r#""data":{"priority":10}"#, r#""priority":null,"data":{"priority":10}"#] {
            let json = format!(r#"{{"id":"1","name":"a","type":"MX","content":"mx.example.com",{priority}}}"#);
            assert_eq!(data(&json), mx);
        }
        let txt = data(r#"{"id":"1","name":"a","type":"TXT","content":"\"v=spf1 \" \"-all\""}"#);
        assert_eq!(txt, RecordData::Txt("v=spf1 -all".to_owned()));
    }

    #[test]
    fn a_zone_is_known_by_its_name_in_ascii() {
        let zone = |name: &str| {
            let json = serde_json::json!({"id": "0123456789abcdef0123456789abcdef", "name": name, "status": "active"});
            Zone::try_from(serde_json::from_value::<WireZone>(json).unwrap()).unwrap().name
        };
        for name in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
            assert_eq!(zone(name), DnsName::new("xn--bcher-kva.example"));
        }
        assert_eq!(zone("_odd_.example"), DnsName::new("_odd_.example"));
    }

    #[test]
    fn unknown_types_and_odd_fields_are_kept() {
        let caa = r#"{"id":"1","name":"a","type":"CAA","content":"0 issue \"ca.example\"","data":{"flags":0},
                      "ttl":"x","proxied":"no","comment":7,"settings":[],"meta":{"auto_added":false},"new":[1]}"#;
        let caa = record(caa).unwrap();
        assert_eq!((caa.record_type.as_str(), caa.data, caa.ttl), ("CAA", None, 0));
        assert_eq!(caa.content, "0 issue \"ca.example\"");
        assert_eq!(record(r#"{"id":"1","name":"a","type":"MX","content":"b"}"#).unwrap().data, None);
        assert_eq!(record(r#"{"id":"1","name":"a","type":"HTTPS","data":{"value":1}}"#).unwrap().content, "");
    }

    #[test]
    fn a_record_without_id_name_or_type_is_malformed() {
        for json in [
            r#"{"name":"a","type":"TXT","content":"x"}"#,
            r#"{"id":"","name":"a","type":"TXT","content":"x"}"#,
            r#"{"id":"1","type":"TXT","content":"x"}"#,
            r#"{"id":"1","name":"a","content":"x"}"#,
            "[]",
            "null",
        ] {
            assert_eq!(record(json), Err(Malformed), "{json}");
        }
    }

    #[test]
    fn faults_are_flattened_and_counted() {
        let envelope = |json: &str| serde_json::from_str::<Envelope>(json).unwrap();
        let json = r#"{"success":false,"errors":[{"code":1004,"message":"m","error_chain":[{"code":9300,"message":7}]},
                       {"code":4294967296},{"code":"81057"},{}],"result":null}"#;
        let codes: Vec<u32> = envelope(json).faults().iter().map(|fault| fault.code).collect();
        assert_eq!(codes, [1004, 9300, 0, 0, 0]);
        for errors in ["null", "\"no\"", "{}", "[1]"] {
            assert!(envelope(&format!(r#"{{"success":false,"errors":{errors}}}"#)).faults().is_empty());
        }
        let many = vec![r#"{"code":1}"#; 1000].join(",");
        assert_eq!(envelope(&format!(r#"{{"success":false,"errors":[{many}]}}"#)).faults().len(), MAX_FAULTS);
    }

    #[test]
    fn changes_that_cannot_be_meant_are_refused() {
        let record = |comment: &str| NewRecord {
            name: DnsName::new("a.example.com"),
            data: RecordData::Txt("x".to_owned()),
            comment: comment.to_owned(),
            ttl: 1,
            unflatten: false,
        };
        let ok = |change: Change| Batch::new(&[change]).is_ok();
        assert!(ok(Change::Create(record(&"\u{e4}".repeat(100)))));
        assert!(!ok(Change::Create(record(&"a".repeat(101)))));
        assert!(!ok(Change::Create(record("a\nb"))));
        assert!(!ok(Change::Delete { id: String::new() }));
        assert!(!ok(Change::Update { id: String::new(), record: record("") }));
    }
}
