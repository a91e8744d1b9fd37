//! What is remembered of the zone at Cloudflare and of the places that the spec has left, and when they are read again.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::{Memory, Read, is_over};
use crate::dns::cloudflare::{Change, ZoneRecord};
use crate::dns::record::DnsName;
use crate::observe::holds::Attempt;
use crate::observe::observation::ZoneView;
use crate::plan::Step;
use crate::status::schedule::Pace;

impl Memory {
    /// The zone as last read or written, if that was at the place that `cause` stands for.
    pub fn zone_at(&self, cause: u64) -> Option<&ZoneView> {
        self.zone().filter(|_| self.zone_cause == cause)
    }

    /// The zone as last read or written.
    pub fn zone(&self) -> Option<&ZoneView> {
        self.zone.as_ref().map(|read| &read.value)
    }

    /// True if Cloudflare shall be read. `cause` stands for the token and the zone that the spec names.
    pub fn zone_is_due(&self, cause: u64, now: Timestamp, pace: Pace) -> bool {
        let Some(read) = &self.zone else { return true };
        if self.zone_is_stale || self.zone_cause != cause {
            return true;
        }
        let wait = match self.found_since {
            Some(_) => pace.verified,
            // What is in the zone and not in DNS may have been removed again; or DNS is slow.
            None => {
                pace.pending.saturating_mul(10 << self.zone_reads_unseen.min(8)).min(pace.verified.max(pace.pending))
            }
        };
        is_over(wait, read.at, now)
    }

    /// Remembers a read of the zone.
    pub fn zone_read(&mut self, view: ZoneView, cause: u64, now: Timestamp) {
        self.zone = Some(Read { value: view, at: now });
        self.zone_cause = cause;
        self.zone_is_stale = false;
        self.zone_is_fresh = true;
        self.zone_reads_unseen = self.zone_reads_unseen.saturating_add(1);
    }

    /// Cloudflare has carried `changes` out, and `written` is its answer to those that are not deletes.
    pub fn records_written(&mut self, changes: &[Change], written: Vec<ZoneRecord>, now: Timestamp) {
        let expected = changes.iter().filter(|c| !matches!(c, Change::Delete { .. })).count();
        let Some(read) = &mut self.zone else { return };
        let names: BTreeSet<&DnsName> = changes.iter().filter_map(|c| c.name(&read.value.records)).collect();
        for name in names {
            self.duels.wrote(name, now);
        }
        if written.len() != expected {
            self.zone_is_stale = true;
            return;
        }
        let gone = |id: &str| {
            changes.iter().any(|c| matches!(c, Change::Delete { id: d } | Change::Update { id: d, .. } if d == id))
        };
        read.value.records.retain(|r| !gone(&r.id));
        read.value.records.extend(written);
        read.at = now;
        self.zone_reads_unseen = 0;
    }

    /// Of the records at the names `tried`, which were to be written, those at `refused` were not.
    pub fn records_refused(&mut self, tried: &[DnsName], refused: BTreeSet<DnsName>) {
        self.refused.retain(|name| !tried.contains(name));
        self.refused.extend(refused);
    }

    /// The zone was, or may have been, changed in a way that only a read can tell.
    pub fn zone_changed(&mut self) {
        self.zone_is_stale = true;
    }

    /// True if a place that the spec has left shall be looked at: when `cause` has changed, now and then, and in the same
    /// pass again, whose last plan counts.
    pub fn left_is_due(&self, key: u64, cause: u64, now: Timestamp, pace: Pace) -> bool {
        let is_due = |read: &Read<u64>| read.value != cause || read.at == now || is_over(pace.verified, read.at, now);
        self.left.get(&key).is_none_or(is_due)
    }

    /// Remembers that a place was looked at.
    pub fn left_read(&mut self, key: u64, cause: u64, now: Timestamp) {
        self.left.insert(key, Read { value: cause, at: now });
    }

    /// A place was, or may have been, changed.
    pub fn left_changed(&mut self, key: u64) {
        self.left.remove(&key);
    }

    /// True if the zone was read in this pass.
    pub fn zone_is_fresh(&self) -> bool {
        self.zone_is_fresh
    }

    /// Lets go of the zone, for a spec that does not use one.
    pub fn forget_zone(&mut self) {
        self.zone = None;
        self.holds.succeeded(Attempt::Read(Step::Records));
    }
}
