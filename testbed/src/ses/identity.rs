//! One email identity as SES keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::look::{Findings, Soa};
use super::machine::{LookError, Process, Status, Verdict};

/// The two kinds that can be created through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Domain,
    Address,
}

/// Who makes the DKIM keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Ses,
    /// The customer (BYODKIM); the only token is the selector.
    External,
}

/// The DKIM side of an identity.
#[derive(Debug)]
pub(super) struct Dkim {
    pub(super) enabled: bool,
    pub(super) origin: Origin,
    pub(super) tokens: Vec<String>,
    /// Those before the last change of keys.
    pub(super) previous_tokens: Vec<String>,
    /// Reads that still do not show the tokens.
    pub(super) hidden_gets: u32,
    /// Of the keys in use.
    pub(super) key_length: String,
    /// Of the keys that are made next; in use once their records are found.
    pub(super) next_key_length: String,
    /// When the length was last changed.
    pub(super) length_changed: Option<Timestamp>,
    pub(super) generated: Timestamp,
    pub(super) process: Process,
}

/// The custom MAIL FROM domain of an identity.
#[derive(Debug)]
pub(super) struct MailFrom {
    pub(super) domain: String,
    pub(super) process: Process,
}

/// What SES tells about its last look.
#[derive(Debug, Default)]
pub(super) struct Info {
    pub(super) checked: Option<Timestamp>,
    pub(super) succeeded: Option<Timestamp>,
    pub(super) error: Option<LookError>,
    pub(super) soa: Option<Soa>,
}

#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) created: Timestamp,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) configuration_set: Option<String>,
    /// Apart from DKIM's own: a change of keys sets that back, but not this.
    pub(super) verification: Status,
    pub(super) dkim: Dkim,
    pub(super) mail_from: Option<MailFrom>,
    pub(super) mx_failure_behavior: String,
    pub(super) info: Info,
    pub(super) next_look: Timestamp,
    /// Left alone by the looks: its status is only what somebody set it to.
    pub(super) pinned: bool,
    /// Changes whenever a search restarts; a look that began before does not count.
    pub(super) attempt: u64,
}

pub(super) const DEFAULT_KEY_LENGTH: &str = "RSA_2048_BIT";
pub(super) const DEFAULT_MX_BEHAVIOR: &str = "USE_DEFAULT_VALUE";

impl Identity {
    /// A new identity with Easy DKIM.
    pub(super) fn new(name: &str, now: Timestamp, check_interval: Duration) -> Self {
        let kind = if name.contains('@') { Kind::Address } else { Kind::Domain };
        let (status, tokens) = match kind {
            Kind::Domain => (Status::Pending, new_tokens()),
            Kind::Address => (Status::NotStarted, Vec::new()),
        };
        Self {
            name: name.to_owned(),
            kind,
            created: now,
            tags: BTreeMap::new(),
            configuration_set: None,
            verification: Status::Pending,
            dkim: Dkim {
                enabled: kind == Kind::Domain,
                origin: Origin::Ses,
                tokens,
                previous_tokens: Vec::new(),
                hidden_gets: 0,
                key_length: DEFAULT_KEY_LENGTH.to_owned(),
                next_key_length: DEFAULT_KEY_LENGTH.to_owned(),
                length_changed: None,
                generated: now,
                process: Process::at(status, now),
            },
            mail_from: None,
            mx_failure_behavior: DEFAULT_MX_BEHAVIOR.to_owned(),
            info: Info::default(),
            next_look: now + check_interval,
            pinned: false,
            attempt: rand::random(),
        }
    }

    /// The domain part: of an address what follows the `@`.
    pub(super) fn domain(&self) -> &str {
        self.name.rsplit('@').next().unwrap_or(&self.name)
    }

    /// SES goes on sending through a temporary failure.
    pub(super) fn may_send(&self) -> bool {
        matches!(self.verification, Status::Success | Status::TemporaryFailure)
    }

    pub(super) fn looks_for_dkim(&self) -> bool {
        self.kind == Kind::Domain && self.dkim.hidden_gets == 0 && self.dkim.process.is_watched()
    }

    pub(super) fn looks_for_mail_from(&self) -> Option<&MailFrom> {
        self.mail_from.as_ref().filter(|mail_from| mail_from.process.is_watched())
    }

    /// Whether there is anything to look for.
    pub(super) fn is_watched(&self) -> bool {
        !self.pinned && (self.looks_for_dkim() || self.looks_for_mail_from().is_some())
    }

    /// The next moment at which SES gives up on something.
    pub(super) fn deadline(&self, window: Duration) -> Option<Timestamp> {
        let dkim = self.dkim.process.deadline(window).filter(|_| self.looks_for_dkim());
        let mail_from = self.looks_for_mail_from().and_then(|mail_from| mail_from.process.deadline(window));
        dkim.into_iter().chain(mail_from).min()
    }

    /// Starts the search for the DKIM records over; the tokens stay.
    pub(super) fn restart_dkim(&mut self, now: Timestamp, check_interval: Duration) {
        self.dkim.process = Process::start(now);
        if self.verification == Status::Failed {
            self.verification = Status::Pending;
        }
        self.restarted(now, check_interval);
    }

    /// New keys: other tokens, and the search starts over.
    pub(super) fn change_keys(&mut self, tokens: Vec<String>, now: Timestamp, check_interval: Duration) {
        self.dkim.previous_tokens = std::mem::replace(&mut self.dkim.tokens, tokens);
        self.dkim.generated = now;
        self.restart_dkim(now, check_interval);
    }

    /// Asks for keys of another length, which SES grants "at most once per day".
    pub(super) fn change_key_length(&mut self, length: &str, now: Timestamp) -> Result<(), &'static str> {
        let a_day_ago = now - Duration::from_hours(24);
        if self.dkim.length_changed.is_some_and(|changed| changed > a_day_ago) {
            return Err("The signing key length can be changed at most once per day.");
        }
        length.clone_into(&mut self.dkim.next_key_length);
        self.dkim.length_changed = Some(now);
        Ok(())
    }

    /// Sets the MAIL FROM domain; setting the same again starts its search over, too.
    pub(super) fn set_mail_from(&mut self, domain: Option<String>, now: Timestamp, check_interval: Duration) {
        self.mail_from = domain.map(|domain| MailFrom { domain, process: Process::start(now) });
        self.restarted(now, check_interval);
    }

    /// Sets the DKIM status behind everybody's back, and what follows from it.
    pub(super) fn force_dkim(&mut self, status: Status, now: Timestamp) {
        self.dkim.process = Process::at(status, now);
        self.dkim.hidden_gets = 0;
        self.verification = if status == Status::NotStarted { Status::Pending } else { status };
        self.attempt = rand::random();
    }

    fn restarted(&mut self, now: Timestamp, check_interval: Duration) {
        let next = now + check_interval;
        // A look that is planned for sooner stays, or a client that keeps putting would put it off for ever.
        if self.next_look <= now || self.next_look > next {
            self.next_look = next;
        }
        self.pinned = false;
        self.attempt = rand::random();
    }

    /// Takes in what a look has found.
    pub(super) fn learn(&mut self, findings: &Findings, now: Timestamp, window: Duration) {
        if let Some(verdict) = findings.dkim {
            self.dkim.process = self.dkim.process.judged(verdict, now, window);
            self.info.checked = Some(now);
            self.info.error = verdict.error();
            self.info.soa = findings.soa.clone().or_else(|| self.info.soa.take());
            if verdict == Verdict::Right {
                self.info.succeeded = Some(now);
                self.dkim.key_length.clone_from(&self.dkim.next_key_length);
            }
            // A search that goes on says nothing: after a change of keys the identity stays verified.
            if self.dkim.process.status != Status::Pending {
                self.verification = self.dkim.process.status;
            }
        }
        if let (Some(verdict), Some(mail_from)) = (findings.mail_from, &mut self.mail_from) {
            mail_from.process = mail_from.process.judged(verdict, now, window);
        }
    }
}

/// Three tokens of 32 letters and digits.
pub(super) fn new_tokens() -> Vec<String> {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let letter = || char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    (0..3).map(|_| (0..32).map(|_| letter()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_hours(72);
    const MINUTE: Duration = Duration::from_mins(1);

    fn found(verdict: Verdict) -> Findings {
        Findings { dkim: Some(verdict), mail_from: None, soa: None }
    }

    #[test]
    fn a_change_of_keys_does_not_revoke_the_verification() {
        let now = Timestamp::UNIX_EPOCH;
        let mut identity = Identity::new("example.com", now, MINUTE);
        identity.learn(&found(Verdict::Right), now, WINDOW);
        let before = identity.dkim.tokens.clone();
        identity.change_keys(new_tokens(), now, MINUTE);
        identity.learn(&found(Verdict::Wrong(LookError::HostNotFound)), now, WINDOW);
        assert_eq!(identity.dkim.process.status, Status::Pending);
        assert_eq!(identity.verification, Status::Success);
        assert_eq!(identity.dkim.previous_tokens, before);
        assert_ne!(identity.dkim.tokens, before);
    }

    #[test]
    fn a_failed_identity_is_not_looked_at_until_it_is_restarted() {
        let now = Timestamp::UNIX_EPOCH;
        let mut identity = Identity::new("example.com", now, MINUTE);
        identity.learn(&found(Verdict::Wrong(LookError::HostNotFound)), now + WINDOW, WINDOW);
        assert_eq!(identity.verification, Status::Failed);
        assert!(!identity.is_watched() && !identity.may_send());
        identity.restart_dkim(now + WINDOW, MINUTE);
        assert!(identity.is_watched());
        assert_eq!(identity.verification, Status::Pending);
        assert_eq!(identity.deadline(WINDOW), Some(now + WINDOW + WINDOW));
    }

    #[test]
    fn tokens_look_like_those_of_ses() {
        let tokens = new_tokens();
        assert_eq!(tokens.len(), 3);
        assert!(tokens.iter().all(|token| token.len() == 32));
        assert!(tokens.concat().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
    }
}
