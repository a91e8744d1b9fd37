//! What the adapter answers and takes: zones, records, changes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::dns::record::{DnsName, RecordData};

/// The TTL that stands for "automatic": 300 seconds at Cloudflare.
pub const AUTOMATIC_TTL: u32 = 1;

/// The most changes in one batch: what a Free zone allows
/// (developers.cloudflare.com/dns/manage-dns-records/how-to/batch-record-changes).
pub const MAX_BATCH: usize = 200;

/// The most characters in a record's comment: what a Free zone allows
/// (developers.cloudflare.com/dns/manage-dns-records/reference/record-attributes).
pub const MAX_COMMENT: usize = 100;

/// A text is no zone id. Does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a zone id is 32 hexadecimal digits")]
pub struct ZoneIdError;

/// The id of a zone: 32 hexadecimal digits, lower case. Checked, so that an empty or odd id can never become part of a
/// URL (`/zones//dns_records` has been seen to happen to others).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(String);

impl ZoneId {
    /// The id's digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ZoneId {
    type Err = ZoneIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ZoneIdError)
        }
    }
}

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an account: 32 hexadecimal digits, checked like that of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(String);

impl AccountId {
    /// The id in this text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<ZoneId>().ok().map(|id| Self(id.0))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What Cloudflare says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// It works, as far as the token itself goes.
    Active,
    /// Switched off by its owner.
    Disabled,
    /// Past its date, which is told if Cloudflare tells it.
    Expired(Option<Timestamp>),
    /// Not to be used before this instant.
    NotYet(Timestamp),
    /// Something newer than this program.
    Other,
}

/// A zone as a token sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its id.
    pub id: ZoneId,
    /// The name at its top.
    pub name: DnsName,
    /// Whether the world asks Cloudflare for this zone.
    pub status: ZoneStatus,
    /// Proxying is switched off for the whole zone. Its records are answered all the same: the API reference calls
    /// this "only using Cloudflare DNS services".
    pub paused: bool,
    /// How the zone is set up.
    pub zone_type: ZoneType,
    /// The account that holds it.
    pub account_id: Option<AccountId>,
    /// The name servers that Cloudflare assigned; empty for a partial zone.
    pub name_servers: Vec<DnsName>,
}

impl Zone {
    /// True if a record written to this zone is what the world will see: active, and Cloudflare is the authority that
    /// its records are written at.
    pub fn is_served(&self) -> bool {
        self.status == ZoneStatus::Active
            && !matches!(self.zone_type, ZoneType::Partial | ZoneType::Secondary | ZoneType::Internal)
    }
}

/// The status of a zone (developers.cloudflare.com/dns/zone-setups/reference/domain-status). In all but `Active`
/// writing succeeds and the world does not see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneStatus {
    /// Delegated to Cloudflare.
    Active,
    /// Not delegated yet; Cloudflare deletes it after 28 days on the Free plan.
    Pending,
    /// Being set up.
    Initializing,
    /// No longer delegated to Cloudflare.
    Moved,
    /// Deleted.
    Deleted,
    /// Switched off.
    Deactivated,
    /// Something newer than this program, or nothing (empty).
    Other(String),
}

impl From<String> for ZoneStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "active" => Self::Active,
            "pending" => Self::Pending,
            "initializing" => Self::Initializing,
            "moved" => Self::Moved,
            "deleted" => Self::Deleted,
            "deactivated" => Self::Deactivated,
            _ => Self::Other(text),
        }
    }
}

/// How a zone is set up (developers.cloudflare.com/dns/zone-setups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneType {
    /// Cloudflare is the authority.
    Full,
    /// Another provider is the authority ("CNAME set-up"): records here are not what the world sees.
    Partial,
    /// Cloudflare answers a copy of another provider's zone: records are not written here.
    Secondary,
    /// Answered inside an account only.
    Internal,
    /// Something newer than this program, or nothing (empty).
    Other(String),
}

impl From<String> for ZoneType {
    fn from(text: String) -> Self {
        match text.as_str() {
            "full" => Self::Full,
            "partial" => Self::Partial,
            "secondary" => Self::Secondary,
            "internal" => Self::Internal,
            _ => Self::Other(text),
        }
    }
}

/// A record as Cloudflare holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Its id within the zone.
    pub id: String,
    /// The full name.
    pub name: DnsName,
    /// The type, upper case; open, since a zone holds types that this program knows nothing of.
    pub record_type: String,
    /// The data in canonical form; `None` for the types we do not write, and where it could not be understood.
    pub data: Option<RecordData>,
    /// The content as answered.
    pub content: String,
    /// Answered with Cloudflare's own addresses instead of the content.
    pub proxied: bool,
    /// Seconds; 1 is automatic, 0 is not answered.
    pub ttl: u32,
    /// The comment: where our mark is.
    pub comment: Option<String>,
    /// The record's own CNAME flattening, if the answer speaks of it: a flattened CNAME is answered as addresses.
    pub flatten_cname: Option<bool>,
}

/// A record to write. It is always written DNS only (never proxied).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The full name.
    pub name: DnsName,
    /// The data.
    pub data: RecordData,
    /// The comment, at most [`MAX_COMMENT`] characters on one line.
    pub comment: String,
    /// Seconds (60 to 86400), or [`AUTOMATIC_TTL`].
    pub ttl: u32,
    /// True to switch the record's own CNAME flattening off. Only then is it spoken of: not every plan takes the setting.
    pub unflatten: bool,
}

/// One change of a batch. Cloudflare carries out deletes first, then updates, then creates, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add a record.
    Create(NewRecord),
    /// Change a record. Attributes that [`NewRecord`] does not name (tags, settings) stay.
    Update {
        /// The record's id.
        id: String,
        /// What it becomes.
        record: NewRecord,
    },
    /// Remove a record.
    Delete {
        /// The record's id.
        id: String,
    },
}

impl Change {
    /// The record that it writes; none for a delete.
    pub fn record(&self) -> Option<&NewRecord> {
        match self {
            Self::Create(record) | Self::Update { record, .. } => Some(record),
            Self::Delete { .. } => None,
        }
    }

    /// The name that it is about: of a delete as `records` knows it.
    pub fn name<'a>(&'a self, records: &'a [ZoneRecord]) -> Option<&'a DnsName> {
        match self {
            Self::Create(record) | Self::Update { record, .. } => Some(&record.name),
            Self::Delete { id } => records.iter().find(|record| record.id == *id).map(|record| &record.name),
        }
    }
}

/// The changes by name, in their order: those of one name stay together, since one may make room for another. `records`
/// tells the names of deletes; one of an unknown record stands alone.
pub fn by_name(changes: &[Change], records: &[ZoneRecord]) -> Vec<Vec<Change>> {
    let mut groups: Vec<(Option<&DnsName>, Vec<Change>)> = Vec::new();
    for change in changes {
        let name = change.name(records);
        match groups.iter_mut().find(|(of, _)| name.is_some() && *of == name) {
            Some((_, group)) => group.push(change.clone()),
            None => groups.push((name, vec![change.clone()])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_one_name_stay_together() {
        let record = |name: &str| NewRecord {
            name: DnsName::new(name),
            data: RecordData::Txt("x".to_owned()),
            comment: String::new(),
            ttl: 1,
            unflatten: false,
        };
        let old = ZoneRecord {
            id: "old".to_owned(),
            name: DnsName::new("a.example.com"),
            record_type: "CNAME".to_owned(),
            data: None,
            content: String::new(),
            proxied: false,
            ttl: 1,
            comment: None,
            flatten_cname: None,
        };
        let delete = |id: &str| Change::Delete { id: id.to_owned() };
        let (a, b) = (Change::Create(record("a.example.com")), Change::Create(record("b.example.com")));
        let changes = [a.clone(), b.clone(), delete("old"), delete("unknown"), delete("lost")];
        let groups = by_name(&changes, &[old]);
        assert_eq!(groups, [vec![a, delete("old")], vec![b], vec![delete("unknown")], vec![delete("lost")]]);
    }

    #[test]
    fn a_zone_id_is_32_hexadecimal_digits() {
        let id: ZoneId = "023E105F4ECEF8AD9CA31A8372D0C353".parse().unwrap();
        assert_eq!(id.as_str(), "023e105f4ecef8ad9ca31a8372d0c353");
        for text in [
            "",
            "023e105f4ecef8ad9ca31a8372d0c35",
            "../../accounts/aaaaaaaaaaaaaaaaa",
            "023e105f4ecef8ad9ca31a8372d0c35g",
        ] {
            assert_eq!(text.parse::<ZoneId>().unwrap_err(), ZoneIdError, "{text}");
        }
    }
}
