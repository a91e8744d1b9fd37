//! What is remembered of the identity, and when SES is read again.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{Memory, Read, elapsed, is_over};
use crate::api::v1alpha1::OnMxFailure;
use crate::plan::Action;
use crate::ses::identity::{DKIM_TOKENS, Identity, MailFrom, SesStatus};
use crate::ses::inventory::Sighting;
use crate::status::schedule::Pace;

impl Memory {
    /// The identity as last read or written; `None` if it never was.
    pub fn identity(&self) -> Option<&Option<Identity>> {
        self.identity.as_ref().map(|read| &read.value)
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
        if sighting.entry.is_none() {
            // A listing that lacks it, though it is there, will tell nothing of it.
            let found = self.found_since.filter(|_| !ready);
            let wait = found.map_or(pace.verified, |_| backoff(self.reads_since_found, pace));
            return after(read.at.max(found.unwrap_or(read.at)), wait);
        }
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
        // A later listing that says what was read is heeded without another read: what comes after it is news again.
        if let (Some(Read { value: Some(identity), at }), Some(sighting)) = (&self.identity, &sighting)
            && sighting.at > *at
            && sighting.entry.as_ref().is_some_and(|listed| !listed.differs_from(identity))
        {
            self.heeded = Some(sighting.clone());
        }
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

    /// True if the identity was read in this pass.
    pub fn identity_is_fresh(&self) -> bool {
        self.identity_is_fresh
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
}

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
