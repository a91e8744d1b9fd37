//! What a look-up means for a wanted record: Found, Missing, Incorrect or Unknown, and one sentence of advice.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use super::lookup::{Answer, Lookup, Source};
use super::record::{RecordData, WantedRecord};
use crate::api::v1alpha1::{RecordPurpose, RecordState};
use crate::observe::observation::Lookups;
use crate::text::printable;

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
    match &lookup.answer {
        Answer::Unknown(error) => Judgement {
            state: RecordState::Unknown,
            observed: Vec::new(),
            message: Some(format!(
                "Could not be looked up ({error}); it is tried again. This says nothing about the record."
            )),
        },
        Answer::NxDomain | Answer::NoData => missing(wanted, lookup),
        Answer::Records(records) => judge_records(wanted, lookup, records),
    }
}

/// True if every required record of `wanted` is found.
pub fn all_found(wanted: &[WantedRecord], lookups: &Lookups) -> bool {
    wanted.iter().filter(|w| w.required).all(|w| judge(w, lookups).state == RecordState::Found)
}

fn missing(wanted: &WantedRecord, lookup: &Lookup) -> Judgement {
    let kind = wanted.data.record_type();
    let whom = match lookup.source {
        Source::Authoritative => "the domain's name servers",
        Source::Recursive => "the resolvers",
    };
    Judgement {
        state: RecordState::Missing,
        observed: Vec::new(),
        message: Some(format!("Not at {whom} yet: add a {kind} record of this name with the value {}", wanted.data)),
    }
}

fn judge_records(wanted: &WantedRecord, lookup: &Lookup, records: &[RecordData]) -> Judgement {
    let kind = wanted.data.record_type();
    let of_type: Vec<&RecordData> = records.iter().filter(|r| r.record_type() == kind).collect();
    if of_type.is_empty() {
        if records.is_empty() {
            return missing(wanted, lookup);
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
    let spf: Vec<&RecordData> = records.iter().copied().filter(|r| is_spf(r.value())).collect();
    match spf.as_slice() {
        [] => Judgement { observed: shown(records.iter().copied()), ..missing(wanted, lookup) },
        [only] if includes_ses(only.value()) => found(),
        [_] => incorrect(
            spf.iter().copied(),
            "Add include:amazonses.com to the SPF record, before its last term".to_owned(),
        ),
        _ => incorrect(
            spf.iter().copied(),
            format!("Merge the SPF records at {} into one: with several, SPF fails for every mail", wanted.name),
        ),
    }
}

/// Any single valid DMARC record satisfies, whoever made it.
fn judge_dmarc(wanted: &WantedRecord, lookup: &Lookup, records: &[&RecordData]) -> Judgement {
    let dmarc: Vec<&RecordData> = records.iter().copied().filter(|r| is_dmarc(r.value())).collect();
    match dmarc.as_slice() {
        [] => Judgement { observed: shown(records.iter().copied()), ..missing(wanted, lookup) },
        [_] => found(),
        _ => incorrect(
            dmarc.iter().copied(),
            "Keep exactly one DMARC record: receivers ignore all of several".to_owned(),
        ),
    }
}

/// True for an SPF record: RFC 7208, section 4.5.
pub fn is_spf(text: &str) -> bool {
    let mut terms = text.split(' ').filter(|t| !t.is_empty());
    terms.next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

/// True if an SPF record lets SES send.
pub fn includes_ses(spf: &str) -> bool {
    spf.split_ascii_whitespace()
        .map(|term| term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase())
        .any(|term| term.strip_suffix('.').unwrap_or(&term) == "include:amazonses.com")
}

/// True for a DMARC record: RFC 7489, section 6.6.3.
pub fn is_dmarc(text: &str) -> bool {
    let mut tags = text.split(';').map(|tag| tag.split_once('=').map(|(name, value)| (name.trim(), value.trim())));
    // The version comes first and is case-sensitive.
    tags.next().flatten() == Some(("v", "DMARC1"))
        && tags.flatten().any(|(name, value)| {
            name.eq_ignore_ascii_case("p")
                && ["none", "quarantine", "reject"].iter().any(|p| value.eq_ignore_ascii_case(p))
        })
}

fn found() -> Judgement {
    Judgement { state: RecordState::Found, observed: Vec::new(), message: None }
}

fn incorrect<'a>(records: impl Iterator<Item = &'a RecordData>, message: String) -> Judgement {
    Judgement { state: RecordState::Incorrect, observed: shown(records), message: Some(message) }
}

fn shown<'a>(records: impl Iterator<Item = &'a RecordData>) -> Vec<String> {
    let mut values: Vec<String> = records.map(|r| printable(&r.to_string(), OBSERVED_LENGTH)).collect();
    values.sort();
    values.truncate(OBSERVED_COUNT);
    values
}
