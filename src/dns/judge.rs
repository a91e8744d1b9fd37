//! What a look-up means for a wanted record: Found, Missing, Incorrect or Unknown, and one sentence of advice.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use super::dmarc::{self, Published};
use super::lookup::{Answer, Lookup, ServerAnswer, Source};
use super::record::{RecordData, RecordType, WantedRecord};
use super::spf;
use crate::api::v1alpha1::{RecordPurpose, RecordState};
use crate::observe::observation::Lookups;
use crate::text::printable;

pub use super::dmarc::is_dmarc;
pub use super::spf::{includes_ses, is_spf};

/// What DNS says of one wanted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub state: RecordState,
    /// What was found instead, safe to show.
    pub observed: Vec<String>,
    /// What to do next; absent when nothing is to do.
    pub message: Option<String>,
}

/// At most this many observed values are kept, each of at most [`OBSERVED_LENGTH`] bytes.
const OBSERVED_COUNT: usize = 5;
const OBSERVED_LENGTH: usize = 255;

/// Judges `wanted` by what DNS answered for it.
pub fn judge(wanted: &WantedRecord, lookups: &Lookups) -> Judgement {
    let Some(lookup) = lookups.get(&(wanted.name.clone(), wanted.data.record_type())) else {
        return Judgement { state: RecordState::Unknown, observed: Vec::new(), message: None };
    };
    let judgement = judge_answer(wanted, lookup);
    if lookup.is_internal() && judgement.state != RecordState::Unknown {
        return internal(wanted, judgement.state);
    }
    judgement
}

/// True if the record would be found if `lookup` were all there is, whoever gave the answer.
pub fn is_answered_right(wanted: &WantedRecord, lookup: &Lookup) -> bool {
    judge_answer(wanted, lookup).state == RecordState::Found
}

fn judge_answer(wanted: &WantedRecord, lookup: &Lookup) -> Judgement {
    match &lookup.answer {
        Answer::Unknown(error) => unknown(disagreement(wanted, lookup).unwrap_or_else(|| {
            format!("Could not be looked up ({error}); it is tried again. This says nothing about the record.")
        })),
        Answer::NxDomain | Answer::NoData => missing(wanted, lookup),
        Answer::Records(records) => judge_records(wanted, lookup, records),
    }
}

fn unknown(message: String) -> Judgement {
    Judgement { state: RecordState::Unknown, observed: Vec::new(), message: Some(message) }
}

/// What an internal zone says of a record is no word about the one that SES asks.
fn internal(wanted: &WantedRecord, state: RecordState) -> Judgement {
    let there = match state {
        RecordState::Found => "It is right in an internal zone",
        _ => "It is not right in an internal zone",
    };
    unknown(format!(
        "{there}, whose name servers have private addresses; SES asks the public ones, which need a {} record of this name with \
         the value {}. To have the operator look there, give it resolvers that see the public zone (--dns-resolvers); to have it \
         believe the internal ones, set --dns-check=recursive",
        wanted.data.record_type(),
        wanted.data
    ))
}

/// Who says what, once name servers have disagreed in the same way twice.
fn disagreement(wanted: &WantedRecord, lookup: &Lookup) -> Option<String> {
    let mut said: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for server in lookup.by_server.iter().filter(|s| !matches!(s.answer, Answer::Unknown(_))) {
        if !server.again {
            return None;
        }
        let what = match &server.answer {
            Answer::Records(records) if judge_records(wanted, lookup, records).state == RecordState::Found => {
                "the right record".to_owned()
            }
            Answer::Records(records) => shown(records.iter()).join(" and "),
            Answer::NoData | Answer::NxDomain | Answer::Unknown(_) => "no such record".to_owned(),
        };
        said.entry(what).or_default().push(server.server.as_str());
    }
    let list: Vec<String> = said.iter().map(|(what, servers)| format!("{what} at {}", servers.join(", "))).collect();
    (list.len() > 1).then(|| {
        format!(
            "The name servers of the domain disagree, and SES may ask any of them: {}. Have the DNS provider bring them all up to \
             date, or take those that are not the domain's any more out of its delegation",
            list.join("; ")
        )
    })
}

/// True if every required record of `wanted` is found.
pub fn all_found(wanted: &[WantedRecord], lookups: &Lookups) -> bool {
    wanted.iter().filter(|w| w.required).all(|w| judge(w, lookups).state == RecordState::Found)
}

/// True if `wanted` is found, or if more than half of the name servers that answer have had it right twice in a row. One
/// that stays behind for ever makes the record [`Unknown`](RecordState::Unknown), for SES may ask just that one; whether
/// it does, only SES can tell, so it must be let try.
pub fn is_worth_trying(wanted: &WantedRecord, lookups: &Lookups) -> bool {
    if judge(wanted, lookups).state == RecordState::Found {
        return true;
    }
    let Some(lookup) = lookups.get(&(wanted.name.clone(), wanted.data.record_type())) else { return false };
    let answering = lookup.by_server.iter().filter(|said| !matches!(said.answer, Answer::Unknown(_)));
    let is_right = |said: &&ServerAnswer| {
        said.again
            && matches!(&said.answer, Answer::Records(records)
                if judge_records(wanted, lookup, records).state == RecordState::Found)
    };
    let (answering, right) = (answering.clone().count(), answering.filter(is_right).count());
    matches!(lookup.answer, Answer::Unknown(_)) && !lookup.is_internal() && right * 2 > answering
}

fn missing(wanted: &WantedRecord, lookup: &Lookup) -> Judgement {
    let kind = match wanted.data.record_type() {
        RecordType::Mx => "an MX",
        RecordType::Cname => "a CNAME",
        RecordType::Txt => "a TXT",
    };
    let whom = match lookup.source {
        Source::Authoritative => "the domain's name servers",
        Source::Recursive => "the resolvers",
    };
    let message = match lookup.answer {
        // The name is there: what was added has another type, or sits below it.
        Answer::NoData => format!(
            "The name exists at {whom}, without {kind} record: add one of this name with the value {}",
            wanted.data
        ),
        _ => format!("Not at {whom} yet: add {kind} record of this name with the value {}", wanted.data),
    };
    Judgement { state: RecordState::Missing, observed: Vec::new(), message: Some(message) }
}

fn judge_records(wanted: &WantedRecord, lookup: &Lookup, records: &[RecordData]) -> Judgement {
    let kind = wanted.data.record_type();
    let of_type: Vec<&RecordData> = records.iter().filter(|r| r.record_type() == kind).collect();
    if of_type.is_empty() {
        if records.is_empty() {
            return missing(wanted, lookup);
        }
        if wanted.purpose == RecordPurpose::Dmarc {
            // A policy may be kept elsewhere: receivers follow the alias.
            return Judgement {
                message: Some("An alias is there and is left alone: the policy that it leads to applies".to_owned()),
                observed: shown(records.iter()),
                ..found()
            };
        }
        let message = format!("Remove the CNAME at {}: next to it no {kind} record can exist.", wanted.name);
        return incorrect(records.iter(), message);
    }
    match wanted.purpose {
        RecordPurpose::Dkim => judge_single(wanted, &of_type, "Keep exactly one CNAME there."),
        RecordPurpose::BounceMx => judge_mx(wanted, &of_type),
        RecordPurpose::Spf => judge_spf(wanted, lookup, &of_type),
        RecordPurpose::Dmarc => judge_dmarc(wanted, lookup, &of_type),
    }
}

fn judge_single(wanted: &WantedRecord, records: &[&RecordData], several: &str) -> Judgement {
    match records {
        [only] if **only == wanted.data => found(),
        [_] => {
            let message =
                format!("Change the value of the {} record to {}", wanted.data.record_type(), wanted.data.value());
            incorrect(records.iter().copied(), message)
        }
        _ => incorrect(records.iter().copied(), several.to_owned()),
    }
}

/// SES wants exactly one MX, of its own host; the priority does not matter.
/// Source: <https://docs.aws.amazon.com/ses/latest/dg/mail-from.html>.
fn judge_mx(wanted: &WantedRecord, records: &[&RecordData]) -> Judgement {
    match records {
        [only] if only.value() == wanted.data.value() => found(),
        [_] => incorrect(
            records.iter().copied(),
            format!("Change the MX record to 10 {}: SES accepts no other mail exchanger there", wanted.data.value()),
        ),
        _ => incorrect(
            records.iter().copied(),
            format!("Remove every MX record at {} but 10 {}: SES wants exactly one", wanted.name, wanted.data.value()),
        ),
    }
}

/// Exactly one SPF record (RFC 7208, section 4.5), which includes SES. Other TXT records beside it do not matter.
fn judge_spf(wanted: &WantedRecord, lookup: &Lookup, records: &[&RecordData]) -> Judgement {
    let mut policies: Vec<&RecordData> = records.iter().copied().filter(|r| is_spf(r.value())).collect();
    // The advice must not depend on the order of the answer.
    policies.sort_by_key(|policy| policy.value());
    let merged = Some(spf::merged(policies.iter().map(|r| r.value()))).filter(|text| text.len() <= OBSERVED_LENGTH);
    let merged = merged.map_or_else(String::new, |text| format!(", for example {text}"));
    match policies.as_slice() {
        [] => Judgement { observed: shown(records.iter().copied()), ..missing(wanted, lookup) },
        [only] if spf::has_too_many_lookups(only.value()) => incorrect(
            policies.iter().copied(),
            "Remove terms from the SPF record: with more than 10 that need a look-up, SPF fails for every mail"
                .to_owned(),
        ),
        [only] if includes_ses(only.value()) => found(),
        [_] => incorrect(
            policies.iter().copied(),
            format!("Add include:amazonses.com to the SPF record, before its last term{merged}"),
        ),
        _ => incorrect(
            policies.iter().copied(),
            format!(
                "Merge the SPF records at {} into one: with several, SPF fails for every mail{merged}",
                wanted.name
            ),
        ),
    }
}

/// Any single valid DMARC record satisfies, whoever made it: it is never changed, and never doubled.
fn judge_dmarc(wanted: &WantedRecord, lookup: &Lookup, records: &[&RecordData]) -> Judgement {
    let all: Vec<RecordData> = records.iter().copied().cloned().collect();
    let meant = || all.iter().filter(|r| dmarc::is_meant_as_dmarc(r.value()));
    match dmarc::published(&all) {
        Published::None if meant().next().is_none() => {
            Judgement { observed: shown(records.iter().copied()), ..missing(wanted, lookup) }
        }
        Published::One(_) if meant().any(|r| *r == wanted.data) => found(),
        Published::One(policy) => Judgement {
            message: Some(format!(
                "Another DMARC record is there (p={}) and is left as it is; for what spec.dmarc says, change it to {}",
                policy.policy.as_str(),
                wanted.data
            )),
            observed: shown(meant()),
            ..found()
        },
        Published::None | Published::Invalid(_) => incorrect(
            meant(),
            format!(
                "Receivers ignore the DMARC record that is there; it is left as it is. Change it to {}",
                wanted.data
            ),
        ),
        Published::Several => {
            incorrect(meant(), "Keep exactly one DMARC record: receivers ignore all of several".to_owned())
        }
    }
}

fn found() -> Judgement {
    Judgement { state: RecordState::Found, observed: Vec::new(), message: None }
}

fn incorrect<'a>(records: impl Iterator<Item = &'a RecordData>, message: String) -> Judgement {
    Judgement { state: RecordState::Incorrect, observed: shown(records), message: Some(message) }
}

/// True if `data` is what `wanted` asks for, as mail software and SES see it.
pub fn is_right(wanted: &WantedRecord, data: &RecordData) -> bool {
    match wanted.purpose {
        RecordPurpose::Dkim => *data == wanted.data,
        RecordPurpose::BounceMx => {
            data.record_type() == wanted.data.record_type() && data.value() == wanted.data.value()
        }
        RecordPurpose::Spf => matches!(data, RecordData::Txt(text) if is_spf(text) && includes_ses(text)),
        RecordPurpose::Dmarc => matches!(data, RecordData::Txt(text) if is_dmarc(text)),
    }
}

/// Values in the form of [`Judgement::observed`].
pub fn shown<'a>(records: impl Iterator<Item = &'a RecordData>) -> Vec<String> {
    let mut values: Vec<String> = records.map(|r| printable(&r.to_string(), OBSERVED_LENGTH)).collect();
    values.sort();
    values.truncate(OBSERVED_COUNT);
    values
}
