//! Everything the simulator knows, and the operations that people and programs share.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::error::{ApiError, Result};
use super::failure::Failures;
use super::limit::RateLimit;
use super::model::{Perms, Plan, Token, TokenState, Zone, ZoneStatus, new_id};
use super::publish::Published;
use super::{Call, ZoneChange};
use crate::dns::Dns;

/// Account of zones for which no other is named.
pub(super) const DEFAULT_ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// The simulator's memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) dns: Dns,
    pub(super) zones: Vec<Zone>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) calls: Vec<Call>,
    pub(super) failures: Failures,
    pub(super) limit: RateLimit,
    /// Faults in records wrapped in a 1004, as until October 2024.
    pub(super) wrapped_errors: bool,
    /// Comments are left out of what is stored.
    pub(super) loses_comments: bool,
    /// The zones as lists of records still show them.
    pub(super) listed: Option<Vec<Zone>>,
    published: Published,
}

impl State {
    pub(super) fn new(dns: Dns) -> Self {
        Self {
            dns,
            zones: Vec::new(),
            tokens: BTreeMap::new(),
            calls: Vec::new(),
            failures: Failures::default(),
            limit: RateLimit::default(),
            wrapped_errors: false,
            loses_comments: false,
            listed: None,
            published: Published::default(),
        }
    }

    pub(super) fn publish(&mut self) {
        self.published.update(&self.dns, &self.zones);
    }

    pub(super) fn add_zone(&mut self, name: &str, change: &ZoneChange) -> String {
        let name = name.trim_end_matches('.').to_lowercase();
        let zone = Zone {
            id: new_id(),
            account: DEFAULT_ACCOUNT.to_owned(),
            status: ZoneStatus::default(),
            paused: false,
            plan: Plan::default(),
            quota: None,
            flatten_all: false,
            // The name server that the DNS server gives to each of its zones.
            name_servers: vec![format!("ns1.{name}")],
            kind: "full".to_owned(),
            created: Timestamp::now(),
            records: Vec::new(),
            name,
        };
        let id = zone.id.clone();
        self.zones.push(zone);
        self.change_zone(&id, change);
        id
    }

    /// False if there is no such zone.
    pub(super) fn change_zone(&mut self, key: &str, change: &ZoneChange) -> bool {
        let Some(zone) = self.zone_mut(key) else {
            return false;
        };
        let change = change.clone();
        zone.account = change.account.unwrap_or(zone.account.clone());
        zone.status = change.status.unwrap_or(zone.status);
        zone.paused = change.paused.unwrap_or(zone.paused);
        zone.plan = change.plan.unwrap_or(zone.plan);
        zone.quota = change.quota.or(zone.quota);
        zone.flatten_all = change.flatten_all.unwrap_or(zone.flatten_all);
        zone.name_servers = change.name_servers.unwrap_or(zone.name_servers.clone());
        zone.kind = change.kind.unwrap_or(zone.kind.clone());
        self.publish();
        true
    }

    pub(super) fn remove_zone(&mut self, key: &str) -> bool {
        let Some(id) = self.zone(key).map(|zone| zone.id.clone()) else {
            return false;
        };
        self.zones.retain(|zone| zone.id != id);
        self.publish();
        true
    }

    /// By id, or else the first one by name.
    pub(super) fn zone(&self, key: &str) -> Option<&Zone> {
        let by_id = self.zones.iter().find(|zone| zone.id == key);
        by_id.or_else(|| self.zones.iter().find(|zone| zone.name == key))
    }

    fn zone_mut(&mut self, key: &str) -> Option<&mut Zone> {
        let id = self.zone(key)?.id.clone();
        self.zones.iter_mut().find(|zone| zone.id == id)
    }

    /// Changes a zone's records and publishes what came of it.
    pub(super) fn write(&mut self, key: &str, change: impl FnOnce(&mut Zone) -> Result<Value>) -> Result<Value> {
        let loses_comments = self.loses_comments;
        let zone = self.zone_mut(key).ok_or_else(ApiError::zone_denied)?;
        let known: Vec<String> = zone.records.iter().map(|record| record.id.clone()).collect();
        let mut done = change(zone);
        if loses_comments {
            zone.records.iter_mut().filter(|r| !known.contains(&r.id)).for_each(|r| r.draft.comment = None);
            if let Ok(answer) = &mut done {
                without_comments(answer);
            }
        }
        self.publish();
        done
    }

    pub(super) fn add_token(&mut self, token: &str, perms: Perms) {
        let entry = Token { id: new_id(), perms, state: TokenState::Active };
        self.tokens.insert(token.to_owned(), entry);
    }

    pub(super) fn set_token_state(&mut self, token: &str, state: TokenState) -> bool {
        let found = self.tokens.get_mut(token);
        found.map(|entry| entry.state = state).is_some()
    }
}

/// The answer to a write, its comments left out.
fn without_comments(answer: &mut Value) {
    if let Some(comment) = answer.get_mut("comment") {
        *comment = Value::Null;
    }
    for record in answer.get_mut("posts").and_then(Value::as_array_mut).into_iter().flatten() {
        record["comment"] = Value::Null;
    }
}
