//! What is remembered of one object between its passes, so that a pass reads only what may have changed: the last answers
//! of SES and Cloudflare (brought up to date by what was written since), and the faults that stand. Losing it costs
//! reads, never correctness.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::duels::Duels;
use super::holds::{Attempt, Holds};
use super::kept::Kept;
use super::observation::{Fault, Lookups, Question, ServedBy, Standing, ZoneView};
use crate::api::reason::Reason;
use crate::api::v1alpha1::{OnMxFailure, SecretKeyRef};
use crate::dns::cloudflare::{ApiToken, Change, ZoneRecord};
use crate::dns::record::DnsName;
use crate::plan::{Action, Step};
use crate::ses::identity::{DKIM_TOKENS, Identity, MailFrom, SesStatus};
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
    /// The identity as last read or written; `None` if it never was.
    pub fn identity(&self) -> Option<&Option<Identity>> {
        self.identity.as_ref().map(|read| &read.value)
    }

    /// The zone as last read or written, if that was at the place that `cause` stands for.
    pub fn zone_at(&self, cause: u64) -> Option<&ZoneView> {
        self.zone().filter(|_| self.zone_cause == cause)
    }

    /// The zone as last read or written.
    pub fn zone(&self) -> Option<&ZoneView> {
        self.zone.as_ref().map(|read| &read.value)
    }

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

    /// True if SES shall be read. Reads follow what can have changed: what the listing says, where there is one; else soon
    /// after our own look-ups find everything, then at growing intervals; rarely while the records are missing or the
    /// object is settled.
    pub fn identity_is_due(&self, ready: bool, now: Timestamp, pace: Pace) -> bool {
        let Some(read) = &self.identity else { return true };
        if self.identity_is_stale {
            return true;
        }
        match &self.sighting {
            Some(sighting) => now >= self.due_by_listing(read, sighting, ready, pace),
            None => self.is_due_by_time(read, ready, now, pace),
        }
    }

    /// How long until SES shall be read although nothing more is learned until then.
    pub fn identity_due_in(&self, ready: bool, now: Timestamp, pace: Pace) -> Option<Duration> {
        let (read, sighting) = (self.identity.as_ref()?, self.sighting.as_ref()?);
        let due = self.due_by_listing(read, sighting, ready, pace);
        Duration::try_from(due.duration_since(now)).ok()
    }

    fn is_due_by_time(&self, read: &Read<Option<Identity>>, ready: bool, now: Timestamp, pace: Pace) -> bool {
        let has_tokens = read.value.as_ref().is_none_or(|i| i.dkim.tokens.len() == DKIM_TOKENS);
        let (since, wait) = match self.found_since {
            // Tokens are handed out a moment late, or never.
            _ if !has_tokens => (read.at, backoff(self.reads_without_tokens, pace)),
            Some(found) if !ready => {
                // After 1, 5 and 21 pending intervals, then every twenty.
                (read.at.max(found), backoff(self.reads_since_found, pace))
            }
            _ => (read.at, pace.verified),
        };
        is_over(wait, since, now)
    }

    /// When SES shall be read, as far as the listing and what it leaves out tell.
    fn due_by_listing(&self, read: &Read<Option<Identity>>, sighting: &Sighting, ready: bool, pace: Pace) -> Timestamp {
        let after = |since: Timestamp, wait: Duration| since.checked_add(wait).unwrap_or(Timestamp::MAX);
        let Some(identity) = &read.value else {
            let is_new = sighting.entry.is_some() && sighting.at > read.at;
            return if is_new { sighting.at } else { Timestamp::MAX };
        };
        if identity.dkim.tokens.len() != DKIM_TOKENS {
            return after(read.at, backoff(self.reads_without_tokens, pace));
        }
        let is_news =
            sighting.at > read.at && self.heeded.as_ref().map(|heeded| &heeded.entry) != Some(&sighting.entry);
        // The listing does not tell how MAIL FROM stands: once it is set, SES is given time to find its MX.
        let mail_from_is_set = identity.mail_from.as_ref().is_some_and(|m| m.status == SesStatus::Pending);
        let set_at = self.mail_from_at.max(self.found_since).filter(|_| self.found_since.is_some() && mail_from_is_set);
        let settled = set_at.map_or(Timestamp::MIN, |at| after(at, pace.pending.saturating_mul(2).min(pace.verified)));
        match &sighting.entry {
            // SES may list what was just made a moment late.
            None if is_news => return self.lacking_from(),
            Some(listed) if is_news && listed.differs_from(identity) => return settled,
            _ => {}
        }
        let rotation = after(read.at, spread(self.rotation, read.at));
        let next = match self.found_since {
            // Nothing but SES's own verdict is missing, and the listing will tell of it.
            _ if identity.verification != Some(SesStatus::Success) => rotation,
            Some(found) if !ready => {
                let wait = backoff(self.reads_since_found, pace);
                after(read.at.max(found).max(self.mail_from_at.unwrap_or(found)), wait).max(settled)
            }
            Some(_) => rotation,
            None => after(read.at, pace.verified.saturating_sub(pace.verified / 10)),
        };
        next.min(rotation)
    }

    /// From when on a listing that lacks the identity says that it is gone, and not that it was just made.
    fn lacking_from(&self) -> Timestamp {
        let made = self.made_at.filter(|_| !self.was_listed).unwrap_or(Timestamp::MIN);
        made.checked_add(LISTED_LATE).unwrap_or(Timestamp::MAX)
    }

    /// How old a listing may be to serve the object: while SES is waited for, an eighth of the time waited so far.
    pub fn listing_wanted(&self, ready: bool, now: Timestamp, pace: Pace) -> Duration {
        let settled = (pace.verified * 3 / 5).max(pace.pending);
        match self.found_since {
            Some(found) if !ready => (elapsed(found, now) / 8).clamp(pace.pending, settled),
            _ => settled,
        }
    }

    /// Remembers what SES lists; `None` if it is not asked for a listing. An object that was never seen and is not listed
    /// is taken for absent: creating it is the proof, which SES refuses for what exists.
    pub fn sighted(&mut self, sighting: Option<Sighting>, rotation: Duration) {
        if let (None, Some(Sighting { at, entry: None })) = (&self.identity, &sighting) {
            self.identity = Some(Read { value: None, at: *at });
        }
        self.was_listed |= sighting.as_ref().is_some_and(|s| s.entry.is_some());
        (self.sighting, self.rotation) = (sighting, rotation);
    }

    /// Remembers a read of the identity.
    pub fn identity_read(&mut self, identity: Option<Identity>, now: Timestamp) {
        self.heeded.clone_from(&self.sighting);
        self.identity = Some(Read { value: identity, at: now });
        self.identity_is_stale = false;
        self.identity_is_fresh = true;
        self.reads_since_found = self.reads_since_found.saturating_add(1);
        self.reads_without_tokens = self.reads_without_tokens.saturating_add(1);
    }

    /// SES has created the identity, and this is its answer.
    pub fn identity_created(&mut self, identity: Identity, now: Timestamp) {
        self.identity_read(Some(identity), now);
        (self.heeded, self.mail_from_at, self.was_listed) = (None, None, false);
        self.reads_without_tokens = 0;
        self.made_at = Some(now);
    }

    /// SES has deleted the identity.
    pub fn identity_deleted(&mut self, now: Timestamp) {
        self.identity_read(None, now);
    }

    /// SES has taken the MAIL FROM domain, and is looking for its MX.
    pub fn mail_from_set(&mut self, domain: &str, on_mx_failure: OnMxFailure) {
        self.reads_since_found = 0;
        if let Some(Read { value: Some(identity), .. }) = &mut self.identity {
            identity.mail_from =
                Some(MailFrom { domain: domain.to_owned(), status: SesStatus::Pending, on_mx_failure });
        }
    }

    /// The identity was changed in a way that only a read can tell.
    pub fn identity_changed(&mut self) {
        self.identity_is_stale = true;
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

    /// A pass begins: nothing was read in it yet.
    pub fn begin_pass(&mut self) {
        self.zone_is_fresh = false;
        self.identity_is_fresh = false;
    }

    /// True if the identity was read in this pass.
    pub fn identity_is_fresh(&self) -> bool {
        self.identity_is_fresh
    }

    /// True if our own look-ups do not find every required record.
    pub fn has_lost_records(&self) -> bool {
        self.lookups.is_some() && self.found_since.is_none()
    }

    /// True if the zone was read in this pass.
    pub fn zone_is_fresh(&self) -> bool {
        self.zone_is_fresh
    }

    /// True if what is known of the identity is good enough for `action`: it was read in this pass, or made by us less than
    /// a minute ago. Two writes may come from further away, since the line before SES may be long: SES itself refuses to
    /// create what exists, and nobody has a reason to touch what did not exist before we made it.
    pub fn identity_is_fresh_for(&self, action: &Action, now: Timestamp) -> bool {
        let unlisted = self.sighting.as_ref().filter(|sighting| sighting.entry.is_none());
        let made_within =
            |limit| self.made_at.is_some_and(|made| elapsed(made, now) < limit) && !self.identity_is_stale;
        self.identity_is_fresh
            || match action {
                Action::CreateIdentity(_) => unlisted.is_some(),
                Action::SetMailFrom { .. } => {
                    made_within(MADE_LATELY) && unlisted.is_none_or(|sighting| sighting.at < self.lacking_from())
                }
                _ => made_within(JUST_MADE),
            }
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

    /// Lets go of the zone, for a spec that does not use one.
    pub fn forget_zone(&mut self) {
        self.zone = None;
        self.holds.succeeded(Attempt::Read(Step::Records));
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

/// How long until a read that has come `reads` times without what is waited for: 1, 4, 16 pending intervals, then twenty.
fn backoff(reads: u32, pace: Pace) -> Duration {
    let step = 4_u32.saturating_pow(reads.min(3)).min(20);
    pace.pending.saturating_mul(step).min(pace.verified.max(pace.pending))
}

/// What we made ourselves so recently need not be read before it is written to.
const JUST_MADE: Duration = Duration::from_mins(1);

/// The same for what follows the creation in the line of a large fleet, as long as no listing lacks it.
const MADE_LATELY: Duration = Duration::from_mins(20);

/// How long SES may take to list what was made.
const LISTED_LATE: Duration = Duration::from_mins(2);

/// `wait` shortened by up to a quarter, so that what was read together is not read together again.
fn spread(wait: Duration, read: Timestamp) -> Duration {
    wait.saturating_sub(wait / 4000 * read.subsec_millisecond().unsigned_abs())
}

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
