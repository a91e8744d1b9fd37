//! What status says of each record.

use super::Report;
use crate::api::v1alpha1::{RecordState, RecordStatus};
use crate::dns::cloudflare::ZoneRecord;
use crate::dns::judge;
use crate::dns::record::WantedRecord;
use crate::observe::observation::Observation;
use crate::ses::identity::DKIM_TOKENS;
use crate::text::printable;

/// The status of one record.
pub(super) fn status(wanted: &WantedRecord, seen: &Observation) -> RecordStatus {
    let mut judgement = judge::judge(wanted, &seen.lookups);
    if judgement.state == RecordState::Missing && is_in_zone(wanted, seen) {
        judgement.message = Some(
            "Written at Cloudflare, and not at the domain's name servers yet; if that stays so, check at the registrar that the \
             domain is delegated to the name servers of its Cloudflare zone"
                .to_owned(),
        );
    }
    RecordStatus {
        purpose: wanted.purpose,
        record_type: wanted.data.record_type().as_str().to_owned(),
        name: wanted.name.to_string(),
        value: wanted.data.value().to_owned(),
        priority: wanted.data.priority().map(i32::from),
        required: wanted.required,
        state: judgement.state,
        cause: None,
        observed: judgement.observed,
        message: judgement.message.map(|m| printable(&m, 1000)),
    }
}

fn is_in_zone(wanted: &WantedRecord, seen: &Observation) -> bool {
    let is_it = |r: &ZoneRecord| r.name == wanted.name && r.data.as_ref() == Some(&wanted.data);
    seen.zone.known().is_some_and(|view| view.records.iter().any(is_it))
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
