//! Writes of records at Cloudflare: what is refused of them keeps nothing else from being made.

use k8s_openapi::jiff::Timestamp;

use super::{Ports, count_corrections, not_leading};
use crate::api::reason::Reason;
use crate::dns::cloudflare::{self, Change, Error, Kind, ZoneId, ZoneRecord};
use crate::dns::record::DnsName;
use crate::error::ErrorClass;
use crate::observe::memory::Memory;
use crate::observe::observation::Fault;
use crate::observe::zone::write_fault;

/// What came of the changes.
#[derive(Default)]
pub(super) struct Written {
    /// Those that were made.
    pub(super) done: Vec<Change>,
    /// Why others were not.
    pub(super) fault: Option<Fault>,
}

/// Changes of one name that were refused.
type Refused = (Vec<Change>, Error);

/// Carries out `changes`, and brings `memory` up to what became of them.
pub(super) async fn write(
    zone: &ZoneId,
    changes: &[Change],
    ports: &Ports<'_>,
    memory: &mut Memory,
    now: Timestamp,
) -> Written {
    let Some(token) = ports.token else { return Written { fault: Some(no_token()), ..Written::default() } };
    let known = memory.zone().map(|view| view.records.clone()).unwrap_or_default();
    let groups = cloudflare::by_name(changes, &known);
    let answers = ports.cloudflare.write(token, zone, groups.clone(), &ports.may_write).await;
    let (mut done, mut records, mut refused) = (Vec::new(), Vec::new(), Vec::<Refused>::new());
    for (group, answer) in groups.into_iter().zip(answers) {
        match answer {
            Ok(own) => {
                done.extend(group);
                records.extend(own);
            }
            Err(error) => refused.push((group, error)),
        }
    }
    let names =
        |changes: &[Change]| -> Vec<DnsName> { changes.iter().filter_map(|c| c.name(&known)).cloned().collect() };
    memory.records_refused(&names(changes), refused.iter().flat_map(|(group, _)| names(group)).collect());
    if !done.is_empty() {
        count_corrections(&done, ports.metrics);
        memory.records_written(&done, records, now);
    }
    if !refused.is_empty() {
        // What is in the way may have come after the zone was read; and what failed without an answer may have been made.
        memory.zone_changed();
    }
    Written { fault: fault(&refused, &known, changes.len()), done }
}

/// Removes records at a place that the spec has left. One that somebody else has removed meanwhile is none that fails.
pub(super) async fn remove_left(left: u64, zone: &ZoneId, changes: &[Change], ports: &Ports<'_>) -> Result<(), Fault> {
    let token = ports.left_tokens.get(&left).ok_or_else(no_token)?;
    let groups = changes.iter().map(|change| vec![change.clone()]).collect();
    let answers = ports.cloudflare.write(token, zone, groups, &ports.may_write).await;
    let errors = changes.iter().zip(answers).filter_map(|(change, answer)| Some((change, answer.err()?)));
    let refused = errors.filter(|(_, error)| error.kind != Kind::NotFound);
    let refused: Vec<Refused> = refused.map(|(change, error)| (vec![change.clone()], error)).collect();
    fault(&refused, &[], changes.len()).map_or(Ok(()), Err)
}

/// The refusals in the words of one condition: the first that a person has to mend, else the first. It is tried again as
/// soon as any of them may pass by itself.
fn fault(refused: &[Refused], known: &[ZoneRecord], tried: usize) -> Option<Fault> {
    let (_, first) = refused.iter().find(|(_, e)| e.class() == ErrorClass::Terminal).or(refused.first())?;
    if first.kind == Kind::NotLeading {
        return Some(not_leading());
    }
    let same: Vec<&Change> =
        refused.iter().filter(|(_, e)| e.kind == first.kind).flat_map(|(group, _)| group).collect();
    let about = (same.len() < tried).then(|| described(&same, known));
    let told = write_fault(first, about.as_deref());
    let soon = refused.iter().map(|(_, e)| e.class()).find(|class| matches!(class, ErrorClass::Transient { .. }));
    Some(Fault { class: soon.unwrap_or(told.class), ..told })
}

/// `bounce.mail.example.com MX and 2 more`.
fn described(changes: &[&Change], known: &[ZoneRecord]) -> String {
    let words = changes.iter().filter_map(|change| {
        let kind = change.record().map_or("(removal)", |record| record.data.record_type().as_str());
        Some(format!("{} {kind}", change.name(known)?))
    });
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [] => "records that are gone".to_owned(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}

fn no_token() -> Fault {
    let message = "There is no API token to write the records with".to_owned();
    Fault { reason: Reason::SecretNotFound, message, class: ErrorClass::Transient { retry_after: None } }
}
