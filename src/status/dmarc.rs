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
    let mut advice = match &report.subject.spec.dmarc {
        // The record of a policy of its own speaks for itself in `.status.records`.
        Some(spec) => weakened(&domain, spec.policy, view).into_iter().collect(),
        None => policy(&domain, view),
    };
    advice.extend(unauthorised(&view.reports));
    advice
}

fn recommend(code: &str, message: impl AsRef<str>) -> Recommendation {
    Recommendation { code: code.to_owned(), message: printable(message.as_ref(), 1000) }
}

/// What receivers do with mail of the domain that fails, if they can be asked.
fn policy(domain: &DnsName, view: &DmarcView) -> Vec<Recommendation> {
    let at = domain.child("_dmarc");
    let in_force = match dmarc::published_at(&view.own) {
        None => None,
        Some(Published::One(own)) => Some(recommend(
            "DMARCPolicyInForce",
            format!("The DMARC policy in force is p={}, from {at}{}", own.policy.as_str(), weak(own.policy)),
        )),
        Some(Published::Invalid(text)) => Some(invalid(&at, &text)),
        Some(Published::Several) => Some(several(&at)),
        Some(Published::None) => inherited(domain, view),
    };
    let unread = match &view.own.answer {
        // What an internal zone answers is not what receivers read.
        Answer::Records(records) if !view.own.is_internal() => {
            dmarc::discarded(records).map(|text| discarded(&at, text))
        }
        _ => None,
    };
    in_force.into_iter().chain(unread).collect()
}

/// A domain without a policy of its own has that of its organisational domain: RFC 7489, section 6.6.3.
fn inherited(domain: &DnsName, view: &DmarcView) -> Option<Recommendation> {
    let Some((root, lookup)) = &view.inherited else { return Some(none(domain, view)) };
    let at = root.child("_dmarc");
    Some(match dmarc::published_at(lookup)? {
        Published::None => none(domain, view),
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

/// A domain with a policy of its own, `spec` or what is there instead, does without a stricter one that it would inherit.
fn weakened(domain: &DnsName, spec: DmarcPolicy, view: &DmarcView) -> Option<Recommendation> {
    let (root, lookup) = view.inherited.as_ref()?;
    let Published::One(Dmarc { policy, subdomain_policy, .. }) = dmarc::published_at(lookup)? else { return None };
    let (tag, stricter) = subdomain_policy.map_or(("p", policy), |sp| ("sp", sp));
    let own = match dmarc::published_at(&view.own) {
        Some(Published::One(own)) => own.policy,
        _ => spec,
    };
    let remedy = if spec < stricter {
        let wanted = stricter.as_str();
        format!("set spec.dmarc.policy to {wanted}, or remove spec.dmarc to have that of {root} apply")
    } else {
        // What the spec asks for is stricter: what is there is somebody else's, or on its way out.
        format!("the TXT record _dmarc.{domain} has to be changed to p={}, or removed", stricter.as_str())
    };
    (own < stricter).then(|| {
        recommend(
            "DMARCWeakerThanInherited",
            format!(
                "The DMARC policy p={} of {domain} is weaker than {tag}={}, which {root} has for its subdomains, and takes its \
                 place: {remedy}",
                own.as_str(),
                stricter.as_str()
            ),
        )
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

fn none(domain: &DnsName, view: &DmarcView) -> Recommendation {
    // Beside an alias there can be no other record.
    let add = match &view.alias {
        Some(target) => {
            format!("_dmarc.{domain} is an alias of {target}, where there is none: have it added there, or put")
        }
        None => {
            format!("set spec.dmarc, with the policy none to begin with, or add the TXT record _dmarc.{domain} with")
        }
    };
    let instead = view.alias.as_ref().map_or("", |_| "a TXT record in the place of the alias, with ");
    let message = format!(
        "No DMARC policy is in force for {domain}, and large receivers expect one: {add} {instead}the value v=DMARC1; p=none"
    );
    recommend("PublishDMARC", message)
}

fn discarded(at: &DnsName, text: &str) -> Recommendation {
    recommend(
        "DMARCInvalid",
        format!(
            "Receivers discard a record at {at} ({}) unread: it must begin with v=DMARC1, in capital letters; mend it or remove it. \
             The operator leaves it as it is",
            shown(text)
        ),
    )
}

fn shown(text: &str) -> String {
    crate::dns::judge::shown(std::iter::once(&RecordData::Txt(text.to_owned()))).join("")
}

fn invalid(at: &DnsName, text: &str) -> Recommendation {
    recommend(
        "DMARCInvalid",
        format!(
            "No DMARC policy is in force: receivers ignore the record at {at} ({}); it must begin with v=DMARC1; p= and one of \
             none, quarantine and reject, and so must sp= be if it is there. The operator leaves it as it is",
            shown(text)
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
    let refuses = |consent: &&ReportConsent| dmarc::consents(&consent.lookup) == Some(false);
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
