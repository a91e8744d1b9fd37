//! What status says of each record.

use super::Report;
use super::ses_view::SesView;
use crate::api::v1alpha1::{RecordState, RecordStatus};
use crate::dns::cause::{self, Case, Diagnosis};
use crate::dns::judge::{self, Judgement};
use crate::dns::lookup::{Addresses, Answer, ServerAnswer};
use crate::dns::record::{DnsName, WantedRecord};
use crate::observe::observation::Observation;
use crate::plan::Action;
use crate::ses::identity::DKIM_TOKENS;
use crate::text::printable;

/// The status of every record that the domain needs.
pub(super) fn all(report: &Report<'_>) -> Vec<RecordStatus> {
    if report.outcome.done.contains(&Action::DeleteIdentity) {
        // They were those of the deleted identity; the next one has records of its own.
        return Vec::new();
    }
    let domain = DnsName::new(&report.subject.spec.domain);
    let ses = SesView(report.identity());
    report.plan.wanted.iter().map(|wanted| status(wanted, &domain, report.seen, ses)).collect()
}

/// What the look-ups alone say of `wanted`, without SES.
pub fn looked_up(wanted: &[WantedRecord], domain: &DnsName, seen: &Observation) -> Vec<RecordStatus> {
    wanted.iter().map(|wanted| status(wanted, domain, seen, SesView(None))).collect()
}

fn status(wanted: &WantedRecord, domain: &DnsName, seen: &Observation, ses: SesView<'_>) -> RecordStatus {
    let mut judgement = judge::judge(wanted, &seen.lookups);
    let diagnosis = diagnose(wanted, domain, seen, &judgement, ses);
    if let Some(diagnosis) = &diagnosis {
        judgement.state = diagnosis.cause.state();
        judgement.message = Some(diagnosis.message.clone());
        if judgement.observed.is_empty() {
            judgement.observed = instead(wanted, seen);
        }
    } else if judgement.state == RecordState::Found && judgement.message.is_none() {
        judgement.message = ses.lags_behind(wanted, seen).or_else(|| few_servers(wanted, seen));
    } else if judgement.state == RecordState::Unknown && judgement.message.is_none() {
        judgement.message = Some(not_looked_up(wanted, seen));
    }
    RecordStatus {
        purpose: wanted.purpose,
        record_type: wanted.data.record_type().as_str().to_owned(),
        name: wanted.name.to_string(),
        value: wanted.data.value().to_owned(),
        priority: wanted.data.priority().map(i32::from),
        required: wanted.required,
        state: judgement.state,
        cause: diagnosis.map(|d| d.cause.as_str().to_owned()),
        observed: judgement.observed,
        message: judgement.message.map(|m| printable(&m, 1000)),
    }
}

/// The cause of a record that was looked up.
fn diagnose(
    wanted: &WantedRecord,
    domain: &DnsName,
    seen: &Observation,
    judgement: &Judgement,
    ses: SesView<'_>,
) -> Option<Diagnosis> {
    let key = (wanted.name.clone(), wanted.data.record_type());
    let case = Case {
        wanted,
        domain,
        lookup: seen.lookups.get(&key)?,
        judgement,
        evidence: seen.evidence.records.get(&key),
        cut: seen.evidence.zone.as_ref(),
        view: &seen.zone,
        denied: ses.denies(wanted, seen),
        given_up: ses.has_given_up(wanted),
        dmarc: seen.evidence.dmarc.as_ref(),
    };
    cause::diagnose(&case)
}

/// The addresses or the text at the name of a CNAME that is not answered.
fn instead(wanted: &WantedRecord, seen: &Observation) -> Vec<String> {
    let Some(evidence) = seen.evidence.records.get(&(wanted.name.clone(), wanted.data.record_type())) else {
        return Vec::new();
    };
    match &evidence.addresses {
        Some(Addresses::Found(addresses)) => addresses.iter().take(5).map(ToString::to_string).collect(),
        _ => judge::shown(evidence.text.iter().flatten()),
    }
}

fn not_looked_up(wanted: &WantedRecord, seen: &Observation) -> String {
    let why = if seen.dns_check { "Not looked up yet" } else { "Not looked up (--dns-check off)" };
    let (kind, value) = (wanted.data.record_type(), &wanted.data);
    format!("{why}; DNS needs a record of this name and of the type {kind} with the value {value}")
}

/// Some of the name servers have had no answer twice in a row: the others do, and that is what counts.
fn few_servers(wanted: &WantedRecord, seen: &Observation) -> Option<String> {
    let lookup = seen.lookups.get(&(wanted.name.clone(), wanted.data.record_type()))?;
    let failure = |said: &ServerAnswer| match &said.answer {
        // Not how: one that times out now and says SERVFAIL next is no news.
        Answer::Unknown(_) if said.again => Some(said.server.to_string()),
        _ => None,
    };
    let failures: Vec<String> = lookup.by_server.iter().filter_map(failure).collect();
    let (asked, failed) = (lookup.servers_asked, failures.len());
    (failed > 0).then(|| {
        format!(
            "Answered right by {} of {asked} name servers; have the DNS provider mend the others, which do not answer it: {}",
            asked.saturating_sub(failed),
            failures.join(", ")
        )
    })
}

/// How many of the required records are found, as `3/5`; absent until the DKIM records are known.
pub(super) fn found(records: &[RecordStatus], report: &Report<'_>) -> Option<String> {
    let identity = report.identity()?;
    if identity.dkim.tokens.len() != DKIM_TOKENS {
        return None;
    }
    let required: Vec<&RecordStatus> = records.iter().filter(|r| r.required).collect();
    let found = required.iter().filter(|r| r.state == RecordState::Found).count();
    Some(format!("{found}/{}", required.len()))
}
