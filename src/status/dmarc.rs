//! Advice on DMARC: which policy is in force, and whether its reports arrive. It never keeps a domain from sending.

use super::Report;
use crate::api::v1alpha1::{DmarcPolicy, Recommendation};
use crate::dns::dmarc::{self, Dmarc, Published};
use crate::dns::evidence::{DmarcView, ReportConsent};
use crate::dns::lookup::Answer;
use crate::dns::record::{DnsName, RecordData};
use crate::text::printable;

/// The advice, as far as DNS answers.
pub(super) fn recommendations(report: &Report<'_>) -> Vec<Recommendation> {
    let Some(view) = &report.seen.evidence.dmarc else { return Vec::new() };
    let domain = DnsName::new(&report.subject.spec.domain);
    let mut advice: Vec<Recommendation> =
        policy(&domain, view, report.subject.spec.dmarc.is_some()).into_iter().collect();
    advice.extend(unauthorised(&view.reports));
    advice
}

fn recommend(code: &str, message: impl AsRef<str>) -> Recommendation {
    Recommendation { code: code.to_owned(), message: printable(message.as_ref(), 1000) }
}

/// What receivers do with mail of the domain that fails, if they can be asked. Where the spec has a policy of its own, its
/// record in `.status.records` speaks for itself.
fn policy(domain: &DnsName, view: &DmarcView, has_spec: bool) -> Option<Recommendation> {
    let at = domain.child("_dmarc");
    match dmarc::published_at(&view.own)? {
        _ if has_spec => None,
        Published::One(own) => Some(recommend(
            "DMARCPolicyInForce",
            format!("The DMARC policy in force is p={}, from {at}{}", own.policy.as_str(), weak(own.policy)),
        )),
        Published::Invalid(text) => Some(invalid(&at, &text)),
        Published::Several => Some(several(&at)),
        Published::None => inherited(domain, view),
    }
}

/// A domain without a policy of its own has that of its organisational domain: RFC 7489, section 6.6.3.
fn inherited(domain: &DnsName, view: &DmarcView) -> Option<Recommendation> {
    let Some((root, lookup)) = &view.inherited else { return Some(none(domain)) };
    let at = root.child("_dmarc");
    Some(match dmarc::published_at(lookup)? {
        Published::None => none(domain),
        Published::Invalid(text) => invalid(&at, &text),
        Published::Several => several(&at),
        Published::One(Dmarc { policy, subdomain_policy, .. }) => {
            let (tag, policy) = subdomain_policy.map_or(("p", policy), |sp| ("sp", sp));
            let message = format!(
                "{domain} has no DMARC policy of its own; that of {root} applies: {tag}={}, from {at}{}",
                policy.as_str(),
                weak(policy)
            );
            recommend("DMARCPolicyInForce", message)
        }
    })
}

fn weak(policy: DmarcPolicy) -> &'static str {
    match policy {
        DmarcPolicy::None => {
            ": receivers report and deliver all the same; go on to quarantine once the reports are clean"
        }
        DmarcPolicy::Quarantine | DmarcPolicy::Reject => "",
    }
}

fn none(domain: &DnsName) -> Recommendation {
    let message = format!(
        "No DMARC policy is in force for {domain}, and large receivers expect one: set spec.dmarc, with the policy none to begin \
         with, or add the TXT record _dmarc.{domain} with the value v=DMARC1; p=none"
    );
    recommend("PublishDMARC", message)
}

fn invalid(at: &DnsName, text: &str) -> Recommendation {
    let shown = crate::dns::judge::shown(std::iter::once(&RecordData::Txt(text.to_owned()))).join("");
    recommend(
        "DMARCInvalid",
        format!(
            "No DMARC policy is in force: receivers ignore the record at {at} ({shown}); it must begin with v=DMARC1; p= and one of \
             none, quarantine and reject. The operator leaves it as it is"
        ),
    )
}

fn several(at: &DnsName) -> Recommendation {
    recommend(
        "DMARCInvalid",
        format!(
            "No DMARC policy is in force: receivers ignore all of the several records at {at}; keep exactly one. The operator leaves \
             them as they are"
        ),
    )
}

/// A domain outside the organisational one must agree to reports about another: RFC 7489, section 7.1.
fn unauthorised(reports: &[ReportConsent]) -> impl Iterator<Item = Recommendation> {
    let refuses = |consent: &&ReportConsent| match &consent.lookup.answer {
        Answer::Records(records) => !records.iter().any(agrees),
        Answer::NoData | Answer::NxDomain => true,
        Answer::Unknown(_) => false,
    };
    // One entry for all of them: the list in status is short.
    let missing: Vec<&ReportConsent> = reports.iter().filter(refuses).collect();
    let list: Vec<String> =
        missing.iter().map(|c| format!("{} (to be added by whoever runs {})", c.name, c.host)).collect();
    (!missing.is_empty())
        .then(|| {
            let message = format!(
                "DMARC reports to another organisation's address are sent only with its consent, a TXT record with the value \
                 v=DMARC1 that is not there yet: {}",
                list.join(", ")
            );
            recommend("DMARCReportNotAuthorised", message)
        })
        .into_iter()
}

fn agrees(record: &RecordData) -> bool {
    matches!(record, RecordData::Txt(text) if text.split(';').next().is_some_and(|version| {
        version.split_once('=').is_some_and(|(tag, value)| tag.trim() == "v" && value.trim() == "DMARC1")
    }))
}
