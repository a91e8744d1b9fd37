//! What the simulator stores: zones, records, tokens.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A zone's plan, as far as it sets limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// 200 records, comments of 100 characters, no tags, 200 operations a batch.
    #[default]
    Free,
    /// 3,500 records, comments of 500 characters, 20 tags, 3,500 operations a batch.
    Pro,
    /// As Pro, with TTLs down to 30 seconds.
    Enterprise,
}

impl Plan {
    pub(super) fn quota(self) -> usize {
        if self == Self::Free { 200 } else { 3_500 }
    }

    pub(super) fn comment_limit(self) -> usize {
        if self == Self::Free { 100 } else { 500 }
    }

    pub(super) fn tag_limit(self) -> usize {
        if self == Self::Free { 0 } else { 20 }
    }

    pub(super) fn batch_limit(self) -> usize {
        self.quota()
    }

    pub(super) fn shortest_ttl(self) -> u32 {
        if self == Self::Enterprise { 30 } else { 60 }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Free => "Free Website",
            Self::Pro => "Pro Website",
            Self::Enterprise => "Enterprise Website",
        }
    }
}

/// Life of a zone. Only an active one is served by the DNS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneStatus {
    /// Just created.
    Initializing,
    /// The registrar does not name Cloudflare's servers yet.
    Pending,
    /// Served to the world.
    #[default]
    Active,
    /// The registrar names other servers again.
    Moved,
}

impl ZoneStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Moved => "moved",
        }
    }
}

/// A zone with its records.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) account: String,
    pub(super) status: ZoneStatus,
    pub(super) paused: bool,
    pub(super) plan: Plan,
    /// Instead of the plan's.
    pub(super) quota: Option<usize>,
    /// The zone setting `flatten_all_cnames`.
    pub(super) flatten_all: bool,
    pub(super) name_servers: Vec<String>,
    /// `full`, `partial`, `secondary` or `internal`.
    pub(super) kind: String,
    pub(super) created: Timestamp,
    pub(super) records: Vec<Record>,
}

impl Zone {
    pub(super) fn to_json(&self) -> Value {
        let created = self.created.to_string();
        let activated = (self.status == ZoneStatus::Active).then_some(&created);
        json!({
            "id": self.id,
            "name": self.name,
            "status": self.status.name(),
            "paused": self.paused,
            "type": self.kind,
            "development_mode": 0,
            "name_servers": self.name_servers,
            "original_name_servers": null,
            "original_registrar": null,
            "original_dnshost": null,
            "created_on": created,
            "modified_on": created,
            "activated_on": activated,
            "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": false},
            "owner": {"id": null, "type": "user", "email": null},
            "account": {"id": self.account, "name": format!("Account {}", self.account)},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
            "plan": {"id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "name": self.plan.name(), "legacy_id": self.plan},
        })
    }

    pub(super) fn status_name(&self) -> &'static str {
        self.status.name()
    }

    pub(super) fn quota(&self) -> usize {
        self.quota.unwrap_or(self.plan.quota())
    }
}

/// A DNS record as a caller gives it, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) rtype: String,
    pub(super) content: String,
    /// The parts of types that have more than a content; kept, not interpreted.
    pub(super) data: Option<Value>,
    pub(super) priority: Option<u16>,
    pub(super) ttl: u32,
    pub(super) proxied: bool,
    pub(super) comment: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) settings: Map<String, Value>,
}

/// A stored DNS record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) draft: Draft,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) comment_modified: Option<Timestamp>,
}

impl Draft {
    pub(super) fn proxiable(&self) -> bool {
        matches!(self.rtype.as_str(), "A" | "AAAA" | "CNAME")
    }

    pub(super) fn flatten(&self) -> bool {
        self.settings.get("flatten_cname") == Some(&Value::Bool(true))
    }
}

impl Record {
    /// As the API gives it, without `zone_id` and `zone_name` since November 2024.
    pub(super) fn to_json(&self) -> Value {
        let draft = &self.draft;
        let mut value = json!({
            "id": self.id,
            "name": draft.name,
            "type": draft.rtype,
            "content": draft.content,
            "proxiable": draft.proxiable(),
            "proxied": draft.proxied,
            "ttl": draft.ttl,
            "settings": draft.settings,
            "meta": {},
            "comment": draft.comment,
            "tags": draft.tags,
            "created_on": self.created.to_string(),
            "modified_on": self.modified.to_string(),
        });
        if let Some(priority) = draft.priority {
            value["priority"] = priority.into();
        }
        if let Some(data) = &draft.data {
            value["data"] = data.clone();
        }
        if let Some(at) = self.comment_modified {
            value["comment_modified_on"] = at.to_string().into();
        }
        value
    }
}

/// Which zones a permission covers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// None.
    #[default]
    None,
    /// All, of the account for an account-owned token.
    All,
    /// These, by id or name.
    Zones(BTreeSet<String>),
}

impl Scope {
    /// The zones with these names or ids.
    pub fn of<S: Into<String>>(zones: impl IntoIterator<Item = S>) -> Self {
        Self::Zones(zones.into_iter().map(Into::into).collect())
    }

    fn covers(&self, zone: &Zone) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Zones(zones) => zones.contains(&zone.id) || zones.contains(&zone.name),
        }
    }
}

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Perms {
    /// Zone Read.
    pub zone_read: Scope,
    /// DNS Read.
    pub dns_read: Scope,
    /// DNS Edit, which includes DNS Read.
    pub dns_edit: Scope,
    /// The account that owns the token; without it, a user does.
    pub account: Option<String>,
}

impl Perms {
    /// Zone Read and DNS Edit for all zones.
    pub fn full() -> Self {
        Self::over(Scope::All)
    }

    /// Zone Read and DNS Edit for the zones with these names or ids.
    pub fn zones<S: Into<String>>(zones: impl IntoIterator<Item = S>) -> Self {
        Self::over(Scope::of(zones))
    }

    fn over(scope: Scope) -> Self {
        Self { zone_read: scope.clone(), dns_edit: scope, ..Self::default() }
    }

    /// The same as a token of this account instead of a user.
    #[must_use]
    pub fn owned_by(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    fn own(&self, zone: &Zone) -> bool {
        self.account.as_ref().is_none_or(|account| *account == zone.account)
    }

    pub(super) fn reads_zone(&self, zone: &Zone) -> bool {
        self.own(zone) && self.zone_read.covers(zone)
    }

    pub(super) fn reads_dns(&self, zone: &Zone) -> bool {
        self.own(zone) && (self.dns_read.covers(zone) || self.dns_edit.covers(zone))
    }

    pub(super) fn edits_dns(&self, zone: &Zone) -> bool {
        self.own(zone) && self.dns_edit.covers(zone)
    }
}

/// Life of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenState {
    /// Works.
    #[default]
    Active,
    /// Switched off by its owner.
    Disabled,
    /// Past its date.
    Expired,
}

/// A token as stored.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) id: String,
    pub(super) perms: Perms,
    pub(super) state: TokenState,
}

/// A new identifier: 32 hexadecimal digits.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
