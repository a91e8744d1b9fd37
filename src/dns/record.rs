//! The DNS record model: canonical names and values, so that a wanted and an observed record compare as equal exactly
//! when mail software would treat them as equal (case, trailing dots and the splitting of TXT strings do not count).
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::fmt;

use crate::api::v1alpha1::RecordPurpose;

/// A DNS name in canonical form: lower case, no trailing dot. Not validated beyond that: what DNS or a provider answers
/// must always be representable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// Brings `name` into canonical form.
    pub fn new(name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        Self(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
    }

    /// The name without a trailing dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name one label up; `None` for a single label and for the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, parent)| Self(parent.to_owned()))
    }

    /// The longest name that this one and `other` both are or lie below.
    #[must_use]
    pub fn common_ancestor(&self, other: &Self) -> Self {
        let shared = self.0.rsplit('.').zip(other.0.rsplit('.')).take_while(|(a, b)| a == b).map(|(label, _)| label);
        let mut labels: Vec<&str> = shared.collect();
        labels.reverse();
        Self(labels.join("."))
    }

    /// True if this name is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0 == ancestor.0 || self.0.strip_suffix(&ancestor.0).is_some_and(|head| head.ends_with('.'))
    }

    /// The name `label.self`.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        Self::new(format!("{label}.{}", self.0))
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The types of record this operator reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// An alias (RFC 1035).
    Cname,
    /// A mail exchanger (RFC 1035).
    Mx,
    /// Text (RFC 1035).
    Txt,
}

impl RecordType {
    /// The type as zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Txt => "TXT",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The data of one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordData {
    /// The target of an alias.
    Cname(DnsName),
    /// A mail exchanger.
    Mx {
        /// Lower is tried first.
        priority: u16,
        /// The exchanger.
        host: DnsName,
    },
    /// The text, its character-strings joined, unquoted.
    Txt(String),
}

impl RecordData {
    /// The type this data belongs to.
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Cname(_) => RecordType::Cname,
            Self::Mx { .. } => RecordType::Mx,
            Self::Txt(_) => RecordType::Txt,
        }
    }

    /// The value as status shows it: unquoted, no trailing dot, an MX without its priority.
    pub fn value(&self) -> &str {
        match self {
            Self::Cname(target) => target.as_str(),
            Self::Mx { host, .. } => host.as_str(),
            Self::Txt(text) => text,
        }
    }

    /// The priority of an MX.
    pub fn priority(&self) -> Option<u16> {
        match self {
            Self::Mx { priority, .. } => Some(*priority),
            Self::Cname(_) | Self::Txt(_) => None,
        }
    }
}

/// As an observer sees it: an MX with its priority in front.
impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mx { priority, host } => write!(f, "{priority} {host}"),
            Self::Cname(target) => write!(f, "{target}"),
            Self::Txt(text) => f.write_str(text),
        }
    }
}

/// A record that the domain needs, or would profit from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRecord {
    /// What the record is for.
    pub purpose: RecordPurpose,
    /// The full name.
    pub name: DnsName,
    /// The right value.
    pub data: RecordData,
    /// False for records without which the domain can still become Verified.
    pub required: bool,
}
