//! A record where something else is.

use super::{Case, Cause, Diagnosis, cloudflare};
use crate::api::v1alpha1::RecordPurpose;
use crate::dns::evidence::RecordEvidence;
use crate::dns::judge::{self, is_spf};
use crate::dns::lookup::Answer;
use crate::dns::record::{RecordData, RecordType};

/// From the most to the least telling; the last always holds.
pub(super) fn diagnose(case: &Case<'_>) -> Diagnosis {
    let records = match &case.lookup.answer {
        Answer::Records(records) => records.as_slice(),
        Answer::NoData | Answer::NxDomain | Answer::Unknown(_) => &[],
    };
    let advice = case.judgement.message.clone().unwrap_or_default();
    // What is wrong as it stands is told before that somebody sees it otherwise, who may only remember the former answer.
    cloudflare::zone_pending(case)
        .or_else(|| cloudflare::held_elsewhere(case))
        .or_else(|| blocked(case, records, &advice))
        .or_else(|| several(case, records, &advice))
        .or_else(|| other_region(case, records))
        .or_else(|| doubled_value(case, records))
        .or_else(|| split_horizon(case))
        .unwrap_or_else(|| Diagnosis::new(Cause::WrongValue, with_wildcard(case, &advice)))
}

/// The operator's resolvers see the right record, and the name servers that the world asks do not have it, for longer than
/// any resolver remembers what was there before.
pub(super) fn split_horizon(case: &Case<'_>) -> Option<Diagnosis> {
    case.resolvers().filter(|lookup| case.is_right(lookup) && case.evidence.is_some_and(|e| e.outlived))?;
    Some(Diagnosis::new(
        Cause::SplitHorizon,
        format!(
            "The operator's own resolvers see the right record, the public name servers of the domain do not have it, and SES asks \
             those: add it to the public zone too, as {} {}",
            case.wanted.data.record_type(),
            case.wanted.data
        ),
    ))
}

fn blocked(case: &Case<'_>, records: &[RecordData], advice: &str) -> Option<Diagnosis> {
    let alias = records.iter().any(|r| r.record_type() == RecordType::Cname);
    (alias && case.wanted.data.record_type() != RecordType::Cname)
        .then(|| Diagnosis::new(Cause::CnameBlocksRecord, with_wildcard(case, advice)))
}

fn several(case: &Case<'_>, records: &[RecordData], advice: &str) -> Option<Diagnosis> {
    let count = |matches: fn(&RecordData) -> bool| records.iter().filter(|r| matches(r)).count();
    match case.wanted.purpose {
        RecordPurpose::BounceMx if count(|r| r.record_type() == RecordType::Mx) > 1 => {
            Some(Diagnosis::new(Cause::ExtraMx, advice))
        }
        RecordPurpose::Spf if count(|r| is_spf(r.value())) > 1 => Some(Diagnosis::new(Cause::MultipleSpf, advice)),
        _ => None,
    }
}

/// The host of the same service in another region.
fn other_region(case: &Case<'_>, records: &[RecordData]) -> Option<Diagnosis> {
    let service = |host: &str| -> Option<String> {
        let labels: Vec<&str> = host.strip_suffix(".amazonses.com")?.split('.').collect();
        match (case.wanted.purpose, labels.as_slice()) {
            (RecordPurpose::BounceMx, ["feedback-smtp", region]) | (RecordPurpose::Dkim, [_, "dkim", region]) => {
                Some((*region).to_owned())
            }
            (RecordPurpose::Dkim, [_, "dkim"]) => Some("other regions".to_owned()),
            _ => None,
        }
    };
    service(case.wanted.data.value())?;
    let same_token = |r: &&RecordData| {
        let token = |host: &str| host.split('.').next().map(str::to_owned);
        case.wanted.purpose != RecordPurpose::Dkim || token(r.value()) == token(case.wanted.data.value())
    };
    let region = records.iter().filter(same_token).find_map(|r| service(r.value()))?;
    Some(Diagnosis::new(
        Cause::WrongRegion,
        format!("The value is that of {region}: change it to {}, which the identity's region needs", case.wanted.data),
    ))
}

/// A host name that was entered without its final dot, so that the provider has added the zone.
fn doubled_value(case: &Case<'_>, records: &[RecordData]) -> Option<Diagnosis> {
    let wanted = format!("{}.", case.wanted.data.value());
    let doubled = records.iter().find(|r| {
        let rest = r.value().strip_prefix(&wanted);
        rest.is_some_and(|rest| !rest.is_empty() && case.domain.as_str().ends_with(rest))
    })?;
    Some(Diagnosis::new(
        Cause::WrongValue,
        format!(
            "The value is {}: the DNS provider has added the domain to it; enter it with a dot at the end: {wanted}",
            judge::shown(std::iter::once(doubled)).join("")
        ),
    ))
}

/// A wildcard is not where its reader would look.
fn with_wildcard(case: &Case<'_>, advice: &str) -> String {
    if !case.evidence.is_some_and(RecordEvidence::is_wildcard) {
        return advice.to_owned();
    }
    format!(
        "A wildcard record (*) answers for this name, which has none of its own: add a {} record of this name with the value {}; it \
         takes precedence",
        case.wanted.data.record_type(),
        case.wanted.data
    )
}
