//! What is remembered of one object between its passes, so that a pass reads only what may have changed: the last answers
//! of SES and Cloudflare (brought up to date by what was written since), and the faults that stand. Losing it costs
//! reads, never correctness.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod identity;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::duels::Duels;
use super::holds::{Attempt, Holds};
use super::kept::Kept;
use super::observation::{Fault, Lookups, Question, ServedBy, Standing, ZoneView};
use crate::api::reason::Reason;
use crate::api::v1alpha1::SecretKeyRef;
use crate::dns::cloudflare::ApiToken;
use crate::dns::record::DnsName;
use crate::plan::Step;
use crate::ses::identity::Identity;
use crate::ses::inventory::Sighting;
use crate::status::schedule::Pace;

/// A value and when it was read.
#[derive(Clone, Debug)]
struct Read<T> {
    value: T,
    at: Timestamp,
}

/// The memory of one object.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each says one thing of one reading")]
pub struct Memory {
    identity: Option<Read<Option<Identity>>>,
    identity_is_stale: bool,
    identity_is_fresh: bool,
    /// When we made the identity.
    made_at: Option<Timestamp>,
    /// When SES took the MAIL FROM domain.
    mail_from_at: Option<Timestamp>,
    /// What SES lists, and what it listed when the identity was read last.
    sighting: Option<Sighting>,
    heeded: Option<Sighting>,
    /// Whether SES has listed the identity since we made it.
    was_listed: bool,
    /// How long a settled reading is good of which the listing says nothing new.
    rotation: Duration,
    /// Since when our own look-ups find every required record, and how often SES was read since.
    found_since: Option<Timestamp>,
    reads_since_found: u32,
    reads_without_tokens: u32,
    generation: i64,
    zone: Option<Read<ZoneView>>,
    zone_cause: u64,
    zone_is_stale: bool,
    zone_is_fresh: bool,
    /// How often the zone was read while DNS did not show what is in it.
    zone_reads_unseen: u32,
    /// The last tokens, each with the Secret that it is from; the one used last is at the end.
    tokens: Vec<(SecretKeyRef, ApiToken)>,
    /// When places that the spec has left were last looked at, and what that depended on.
    left: BTreeMap<u64, Read<u64>>,
    lookups: Option<Read<Lookups>>,
    /// Whom the world asked for the names of the records just before.
    served: BTreeMap<DnsName, ServedBy>,
    /// True from the pass that put the first look-ups off until they are made.
    owes_look: bool,
    evidence: Kept,
    holds: Holds,
    /// The names of the records that the last failed write was about.
    refused: BTreeSet<DnsName>,
    /// Who undoes our writes.
    duels: Duels,
    /// How many passes in a row have written something.
    busy: u32,
    reconcile_at: Option<String>,
    ending: bool,
    contested: bool,
}

impl Memory {
    /// The last token of a Secret, for clean-up after that is gone.
    pub fn token(&self, of: &SecretKeyRef) -> Option<&ApiToken> {
        self.tokens.iter().find(|(reference, _)| reference == of).map(|(_, token)| token)
    }

    /// Keeps the token of a Secret for clean-up, and forgets the one that was used longest ago when there are too many.
    pub fn keep_token(&mut self, of: &SecretKeyRef, token: &ApiToken) {
        self.tokens.retain(|(reference, _)| reference != of);
        self.tokens.push((of.clone(), token.clone()));
        let surplus = self.tokens.len().saturating_sub(TOKEN_LIMIT);
        self.tokens.drain(..surplus);
    }

    /// A pass begins: nothing was read in it yet.
    pub fn begin_pass(&mut self) {
        self.zone_is_fresh = false;
        self.identity_is_fresh = false;
    }

    /// True if our own look-ups do not find every required record.
    pub fn has_lost_records(&self) -> bool {
        self.lookups.is_some() && self.found_since.is_none()
    }

    /// Takes note of our own look-ups: whether SES can find every required record as far as they tell, and whether one
    /// is proven missing or wrong, which is a reason to look at the zone at once.
    pub fn looked_up(&mut self, can_be_found: bool, lost: bool, now: Timestamp) {
        if can_be_found {
            if self.found_since.is_none() {
                self.found_since = Some(now);
                self.reads_since_found = 0;
            }
            self.zone_reads_unseen = 0;
        } else if lost {
            if self.found_since.is_some() {
                self.zone_is_stale = true;
                self.identity_is_stale = true;
            }
            self.found_since = None;
        }
    }

    /// Has the identity read anew when the spec has changed: what was refused before may be wanted now.
    pub fn seen_generation(&mut self, generation: i64) {
        if self.generation != generation && self.identity.is_some() && self.generation != 0 {
            self.identity_is_stale = true;
            self.duels.forget();
        }
        self.generation = generation;
    }

    /// Has everything read anew when the annotation `reconcile-at` has a value that it did not have before.
    pub fn request(&mut self, reconcile_at: Option<&str>) {
        if reconcile_at.is_some() && self.reconcile_at.as_deref() != reconcile_at {
            self.reconcile_at = reconcile_at.map(str::to_owned);
            self.refresh();
        }
    }

    /// Has everything read anew, and every failed write tried again.
    pub fn refresh(&mut self) {
        self.identity_is_stale = true;
        self.zone_is_stale = true;
        self.lookups = None;
        self.left.clear();
        self.evidence = Kept::default();
        self.holds.clear();
        self.duels.forget();
    }

    /// Takes note of whether somebody older wants the same domain. When nobody does any more, what was read of the
    /// identity meanwhile was theirs.
    pub fn contested(&mut self, contested: bool) {
        if self.contested && !contested {
            self.identity_is_stale = true;
        }
        self.contested = contested;
    }

    /// Has everything read anew when the object is first seen deleted, and the identity in each pass while it is there:
    /// only what carries our mark now is taken away.
    pub fn begin_end(&mut self) {
        if self.identity.as_ref().is_some_and(|read| read.value.is_some()) {
            self.identity_is_stale = true;
        }
        if !self.ending {
            self.ending = true;
            self.refresh();
        }
    }

    /// The answers of DNS to these questions, if they need not be asked again yet: those of a Ready object are good for
    /// the verified interval.
    pub fn lookups(&self, questions: &[Question], ready: bool, now: Timestamp, pace: Pace) -> Option<&Lookups> {
        let read = self.lookups.as_ref().filter(|read| ready && !is_over(pace.verified, read.at, now))?;
        let same = read.value.len() == questions.len() && questions.iter().all(|q| read.value.contains_key(q));
        same.then_some(&read.value)
    }

    /// What DNS answered the last time.
    pub fn last_lookups(&self) -> Option<&Lookups> {
        self.lookups.as_ref().map(|read| &read.value)
    }

    /// True once, before the first look-ups: they are then made by the next pass, which follows at once.
    pub fn puts_first_look_off(&mut self) -> bool {
        self.owes_look = self.lookups.is_none() && !self.owes_look;
        self.owes_look
    }

    /// True if look-ups were put off.
    pub fn owes_look(&self) -> bool {
        self.owes_look
    }

    /// Whom the world asked just before DNS was asked, if that was in this pass.
    pub fn served(&self, now: Timestamp) -> Option<&BTreeMap<DnsName, ServedBy>> {
        self.lookups.as_ref().filter(|read| read.at == now).map(|_| &self.served)
    }

    /// Remembers whom the world asks.
    pub fn served_read(&mut self, served: BTreeMap<DnsName, ServedBy>) {
        self.served = served;
    }

    /// Remembers the answers of DNS.
    pub fn lookups_read(&mut self, lookups: Lookups, now: Timestamp) {
        self.owes_look = false;
        self.lookups = Some(Read { value: lookups, at: now });
    }

    /// The evidence that was gathered on the records.
    pub fn evidence(&mut self) -> &mut Kept {
        &mut self.evidence
    }

    /// The failed writes that are not due again. `cause` stands for what they depend on.
    pub fn standing(&self, cause: u64, now: Timestamp) -> Standing {
        let of = |step: Step| self.holds.standing(Attempt::Write(step), cause, now);
        let records = of(Step::Records);
        let refused = records.as_ref().map(|_| self.refused.clone()).unwrap_or_default();
        let duels = self.duels.lost(now);
        let endpoint = of(Step::Endpoint);
        Standing {
            identity: of(Step::Identity),
            attributes: of(Step::Attributes),
            keys: of(Step::Keys),
            mail_from: of(Step::MailFrom),
            records,
            refused,
            duels,
            endpoint,
        }
    }

    /// A failed write at one place that is not due again.
    pub fn standing_write(&self, step: Step, cause: u64, now: Timestamp) -> Option<Fault> {
        self.holds.standing(Attempt::Write(step), cause, now)
    }

    /// A failed read that is not due again.
    pub fn standing_read(&self, step: Step, cause: u64, now: Timestamp) -> Option<Fault> {
        self.holds.standing(Attempt::Read(step), cause, now)
    }

    /// Remembers a failed read.
    pub fn read_failed(&mut self, step: Step, fault: Fault, cause: u64, now: Timestamp, pace: Pace) {
        self.holds.failed(Attempt::Read(step), fault, cause, now, pace);
    }

    /// Forgets a failed read after one that succeeded.
    pub fn read_succeeded(&mut self, step: Step) {
        self.holds.succeeded(Attempt::Read(step));
    }

    /// Remembers what came of the writes of a pass: the parts of the work that succeeded, and those that failed.
    pub fn wrote(&mut self, done: &[Step], faults: &[(Step, Fault)], cause: u64, now: Timestamp, pace: Pace) {
        self.busy = if done.is_empty() { 0 } else { self.busy.saturating_add(1) };
        if done.contains(&Step::MailFrom) {
            self.mail_from_at = Some(now);
        }
        // Records of other names were written: that says nothing of those that were refused.
        for step in done.iter().filter(|step| **step != Step::Records || self.refused.is_empty()) {
            self.holds.succeeded(Attempt::Write(*step));
        }
        // Whoever waits for a turn keeps its place by asking again.
        for (step, fault) in faults.iter().filter(|(_, fault)| fault.reason != Reason::WaitingForSESBudget) {
            self.holds.failed(Attempt::Write(*step), fault.clone(), cause, now, pace);
        }
    }

    /// How many passes in a row have written something.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// How long until the first fault is due again.
    pub fn next_due(&self, now: Timestamp) -> Option<Duration> {
        self.holds.next_due(now)
    }
}

/// How many tokens are kept: that of the spec, and those of the places that it has left.
const TOKEN_LIMIT: usize = 9;

/// Passes come up to a tenth early, so that many objects do not wake together: whoever waits to the second is always
/// just too early, and then reads in every second pass only.
pub(super) fn is_over(wait: Duration, since: Timestamp, now: Timestamp) -> bool {
    elapsed(since, now) >= wait.saturating_sub(wait / 10)
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_has_its_own_token_and_only_so_many_are_kept() {
        let secret = |i: usize| SecretKeyRef { name: format!("secret-{i}"), key: "token".to_owned() };
        let token = |i: usize| ApiToken::parse(format!("token-of-secret-{i}-0123456789abcdefghij").as_bytes()).unwrap();
        let mut memory = Memory::default();
        memory.keep_token(&secret(0), &token(0));
        assert!(memory.token(&secret(1)).is_none(), "one Secret's token is nothing to another's place");
        memory.keep_token(&secret(1), &token(1));
        let kept = memory.token(&secret(0)).unwrap();
        assert_eq!(kept.fingerprint(), token(0).fingerprint(), "a place that the spec has left keeps its own");
        for i in 2..=TOKEN_LIMIT {
            memory.keep_token(&secret(i), &token(i));
        }
        assert!(memory.token(&secret(0)).is_none() && memory.token(&secret(1)).is_some());
        assert_eq!(memory.tokens.len(), TOKEN_LIMIT);
    }

    #[test]
    fn whom_the_world_asks_is_known_only_in_the_pass_that_has_asked_dns() {
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut memory = Memory::default();
        assert!(memory.served(after(0)).is_none());
        memory.lookups_read(Lookups::new(), after(0));
        memory.served_read(BTreeMap::new());
        assert!(memory.served(after(0)).is_some() && memory.served(after(1)).is_none());
    }

    #[test]
    fn a_place_is_looked_at_again_in_the_same_pass_and_then_rarely() {
        let pace = Pace { pending: Duration::from_secs(1), verified: Duration::from_mins(15) };
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut memory = Memory::default();
        assert!(memory.left_is_due(7, 1, after(0), pace));
        memory.left_read(7, 1, after(0));
        assert!(memory.left_is_due(7, 1, after(0), pace), "the second reading of a pass sees what the first saw");
        assert!(!memory.left_is_due(7, 1, after(1), pace));
        assert!(memory.left_is_due(7, 2, after(1), pace), "the world asks somebody else now");
        assert!(memory.left_is_due(7, 1, after(900), pace));
    }

    #[test]
    fn a_pass_that_comes_a_tenth_early_still_reads() {
        let (interval, last) = (Duration::from_mins(15), Timestamp::UNIX_EPOCH);
        let after = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(!is_over(interval, last, after(809)));
        assert!(is_over(interval, last, after(810)));
    }

    #[test]
    fn the_first_look_is_put_off_by_one_pass_only() {
        let mut memory = Memory::default();
        assert!(memory.puts_first_look_off() && memory.owes_look());
        assert!(!memory.puts_first_look_off());
        memory.lookups_read(Lookups::new(), Timestamp::UNIX_EPOCH);
        assert!(!memory.puts_first_look_off() && !memory.owes_look());
    }
}
