//! The events of a pass: one for each thing that was done and for each turn of a condition, none while nothing changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::dns::PREVIOUS_LIMIT;
use super::was_ready;
use crate::api::condition::{ConditionType, find};
use crate::api::event::EventReason;
use crate::api::reason::{Reason, ReasonClass};
use crate::api::v1alpha1::{PreviousPlace, SendingDomainStatus};
use crate::dns::cloudflare::Change;
use crate::execute::Outcome;
use crate::plan::Action;
use crate::text::printable;

/// An event to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// True for what somebody should look at.
    pub warning: bool,
    /// CamelCase.
    pub reason: &'static str,
    /// What the operator was doing, CamelCase.
    pub action: &'static str,
    /// One sentence.
    pub message: String,
}

/// The events of what was done: told whatever becomes of status, for it is done once.
pub fn of_actions(old: &SendingDomainStatus, outcome: &Outcome) -> Vec<Note> {
    outcome.done.iter().map(done).chain(identity_lost(old, outcome)).collect()
}

/// The events between two states of an object: told once the new one is written, or they would be told again and again
/// while it cannot be.
pub fn between(old: &SendingDomainStatus, new: &SendingDomainStatus, outcome: &Outcome) -> Vec<Note> {
    // What follows from the end of an identity is told by an event of its own.
    let is_told = |note: &Note| {
        let follows = outcome.done.contains(&Action::DeleteIdentity) || identity_lost(old, outcome).is_some();
        !follows || note.reason == Reason::DomainConflict.as_str()
    };
    let mut notes: Vec<Note> = ready_turned(old, new).filter(is_told).into_iter().collect();
    notes.extend(nearly_over(old, new));
    notes.extend(broke(old, new, ConditionType::IdentityReady, "ReadIdentity"));
    notes.extend(broke(old, new, ConditionType::RecordsSynced, "SyncRecords"));
    notes.extend(broke(old, new, ConditionType::DnsVerified, "LookUp"));
    notes.extend(left_behind(old, new));
    notes.extend(forgotten(old, new));
    notes
}

/// Records at a place that the spec has left, which cannot be removed: told once.
fn left_behind(old: &SendingDomainStatus, new: &SendingDomainStatus) -> Vec<Note> {
    let places = |status: &SendingDomainStatus| -> Vec<PreviousPlace> {
        let previous = status.dns.iter().flat_map(|dns| dns.previous.iter());
        previous.filter(|place| place.is_left_behind()).cloned().collect()
    };
    let told = places(old);
    let untold = places(new).into_iter().filter(|place| told.iter().all(|other| !other.is_same(place)));
    let note = |place: PreviousPlace| Note {
        warning: true,
        reason: EventReason::RecordsLeftBehind.as_str(),
        action: "RemoveRecords",
        message: place.message.unwrap_or_default(),
    };
    untold.map(note).collect()
}

/// The spec has left more places than are remembered, so the oldest is forgotten: it is gone, and all others are still there.
fn forgotten(old: &SendingDomainStatus, new: &SendingDomainStatus) -> Option<Note> {
    let (old, new) = (&old.dns.as_ref()?.previous, &new.dns.as_ref()?.previous);
    let is_there = |place: &PreviousPlace| new.iter().any(|other| other.is_same(place));
    let (oldest, others) = old.split_first()?;
    let is_full = old.len() == PREVIOUS_LIMIT && new.len() == PREVIOUS_LIMIT;
    (is_full && !is_there(oldest) && others.iter().all(is_there)).then(|| Note {
        warning: true,
        reason: EventReason::RecordsLeftBehind.as_str(),
        action: "RemoveRecords",
        message: format!(
            "The spec has left more than {PREVIOUS_LIMIT} places, so the oldest is remembered no more: remove the records of \
             the domain from {} by hand{}",
            oldest.zone_name.as_deref().map_or("the DNSEndpoint of this name".to_owned(), |zone| printable(zone, 253)),
            if oldest.records.is_empty() { String::new() } else { format!(": {}", printable(&oldest.records.join(", "), 700)) }
        ),
    })
}

fn done(action: &Action) -> Note {
    let (reason, verb, message) = match action {
        Action::CreateIdentity(_) => {
            (EventReason::IdentityCreated, "CreateIdentity", "Created the SES identity".to_owned())
        }
        Action::AdoptIdentity { .. } => {
            (EventReason::IdentityAdopted, "AdoptIdentity", "Adopted the SES identity".to_owned())
        }
        Action::TagIdentity { .. } | Action::UntagIdentity { .. } => {
            (EventReason::TagsChanged, "TagIdentity", format!("Changed the SES identity: {action}"))
        }
        Action::SetConfigurationSet { .. } => {
            (EventReason::ConfigurationSetChanged, "SetConfigurationSet", format!("Changed the SES identity: {action}"))
        }
        Action::ChangeKeyLength { length } => (
            EventReason::DKIMKeysChanged,
            "ChangeKeyLength",
            format!(
                "Had SES make {} DKIM keys: they have new tokens, and the old records stay until SES has verified the new",
                length.as_str()
            ),
        ),
        Action::EnableSigning => {
            (EventReason::SigningEnabled, "EnableSigning", "Switched DKIM signing on at SES".to_owned())
        }
        Action::RestartDkim => {
            (EventReason::VerificationRearmed, "RestartDkim", "Asked SES to look for the DKIM records again".to_owned())
        }
        Action::SetMailFrom { domain, .. } => {
            (EventReason::MailFromSet, "SetMailFrom", format!("Set the MAIL FROM domain {domain} at SES"))
        }
        Action::DeleteIdentity => (
            EventReason::IdentityDeleted,
            "DeleteIdentity",
            "Deleted the SES identity: nothing can be sent from the domain until there is another".to_owned(),
        ),
        Action::RemoveRecords { zone_name, changes, .. } => {
            let message =
                format!("Removed {} records from the zone {zone_name}, which the spec has left", changes.len());
            (EventReason::OldRecordsRemoved, "RemoveRecords", message)
        }
        Action::RemoveEndpoint { .. } => {
            (EventReason::EndpointRemoved, "RemoveRecords", "Deleted the DNSEndpoint of the object".to_owned())
        }
        Action::KeepEndpoint(_) => {
            (EventReason::EndpointRetained, "CleanUp", "The DNSEndpoint stays without the object".to_owned())
        }
        Action::HandOver(content) => {
            let message = format!("Handed {} records to ExternalDNS", content.endpoints.len());
            (EventReason::RecordsHandedOver, "HandOver", message)
        }
        Action::WriteRecords { zone_name, changes, .. } => {
            let count = |matches: fn(&Change) -> bool| changes.iter().filter(|c| matches(c)).count();
            let message = format!(
                "Wrote to the Cloudflare zone {zone_name}: {} created, {} corrected, {} removed",
                count(|c| matches!(c, Change::Create(_))),
                count(|c| matches!(c, Change::Update { .. })),
                count(|c| matches!(c, Change::Delete { .. })),
            );
            (EventReason::RecordsWritten, "WriteRecords", message)
        }
    };
    Note { warning: reason.is_warning(), reason: reason.as_str(), action: verb, message }
}

/// Another identity had to be made, though nobody had asked for it.
fn identity_lost(old: &SendingDomainStatus, outcome: &Outcome) -> Option<Note> {
    let had_one = old.identity.as_ref().is_some_and(|identity| !identity.dkim_tokens.is_empty());
    let made = outcome.done.iter().any(|action| matches!(action, Action::CreateIdentity(_)));
    (had_one && made).then(|| Note {
        warning: true,
        reason: EventReason::IdentityLost.as_str(),
        action: "CreateIdentity",
        message: "Somebody has deleted the SES identity, so another was created. It has new DKIM tokens: nothing can be sent \
                  from the domain until the new records are in DNS and SES has verified them"
            .to_owned(),
    })
}

/// Three quarters of the time for a verification have passed.
fn nearly_over(old: &SendingDomainStatus, new: &SendingDomainStatus) -> Option<Note> {
    let warned = |status: &SendingDomainStatus| status.verification.as_ref().and_then(|v| v.warned_at.clone());
    let attempt = new.verification.as_ref().filter(|_| warned(new).is_some() && warned(new) != warned(old))?;
    let missing = find(&new.conditions, ConditionType::Ready).map_or("", |ready| ready.message.as_str());
    Some(Note {
        warning: true,
        reason: EventReason::DeadlineNear.as_str(),
        action: "Verify",
        message: format!(
            "Three quarters of the time for the verification have passed; it counts as failed from {}. {missing}",
            attempt.deadline.0
        ),
    })
}

/// Ready became True, or is not True for another reason than before.
fn ready_turned(old: &SendingDomainStatus, new: &SendingDomainStatus) -> Option<Note> {
    let ready = find(&new.conditions, ConditionType::Ready)?;
    let before = find(&old.conditions, ConditionType::Ready);
    if before.is_some_and(|b| b.status == ready.status && b.reason == ready.reason) {
        return None;
    }
    let reason = *Reason::ALL.iter().find(|r| r.as_str() == ready.reason)?;
    let lost = was_ready(old) && ready.status != "True";
    let warning = lost || reason.class() == ReasonClass::Terminal;
    (warning || !reason.is_routine()).then(|| Note {
        warning,
        reason: reason.as_str(),
        action: "Verify",
        message: ready.message.clone(),
    })
}

/// What breaks without ending Ready (a revoked token, a record that is gone while SES has not looked) is told here.
fn broke(
    old: &SendingDomainStatus,
    new: &SendingDomainStatus,
    condition_type: ConditionType,
    action: &'static str,
) -> Option<Note> {
    if !was_ready(new) {
        return None;
    }
    // Of the identity nothing is known while AWS does not let it be read.
    let is_broken =
        |c: &&Condition| c.status == "False" || (condition_type == ConditionType::IdentityReady && c.status != "True");
    let now = find(&new.conditions, condition_type).filter(is_broken)?;
    let before = find(&old.conditions, condition_type);
    if before.is_some_and(|b| b.status == now.status && b.reason == now.reason) {
        return None;
    }
    let reason = *Reason::ALL.iter().find(|r| r.as_str() == now.reason)?;
    if matches!(reason, Reason::Progressing | Reason::DryRun) {
        return None;
    }
    Some(Note { warning: true, reason: reason.as_str(), action, message: now.message.clone() })
}
