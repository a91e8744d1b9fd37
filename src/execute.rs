//! Carries a plan out: one write after another, without choices. When a part of the work fails, its later writes are left
//! out and the other parts go on.

mod records;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;

use crate::api::reason::Reason;
use crate::dns::cloudflare::{self, ApiToken, MayWrite};
use crate::dns::external_dns;
use crate::error::ErrorClass;
use crate::observe::endpoint_fault;
use crate::observe::memory::Memory;
use crate::observe::observation::Fault;
use crate::plan::{Action, Step};
use crate::ses;
use crate::ses::client::Caller;
use crate::ses::identity::Identity;
use crate::telemetry::metrics::Metrics;

/// What came of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The writes that succeeded.
    pub done: Vec<Action>,
    /// The parts of the work that failed.
    pub faults: Vec<(Step, Fault)>,
    /// True if nothing was tried, because of `--dry-run`.
    pub dry_run: bool,
}

/// What a write needs.
pub struct Ports<'a> {
    /// SES.
    pub ses: &'a ses::client::Client,
    /// Who writes, and with whose credentials.
    pub caller: Caller<'a>,
    /// The name of the identity.
    pub domain: &'a str,
    /// The API server.
    pub kube: &'a kube::Client,
    /// The namespace of the object.
    pub namespace: &'a str,
    /// The object, as the owner of what is made for it in the cluster.
    pub owner: &'a OwnerReference,
    /// Cloudflare.
    pub cloudflare: &'a cloudflare::Client,
    /// The token for it, if there is one.
    pub token: Option<&'a ApiToken>,
    /// The tokens for the places that the spec has left.
    pub left_tokens: &'a BTreeMap<u64, ApiToken>,
    /// Whether this process may still write: asked before each write, for a lease can be lost between two.
    pub may_write: MayWrite,
    /// Counts the writes.
    pub metrics: &'a Metrics,
}

/// Carries `actions` out, and brings `memory` up to what they changed.
pub async fn execute(actions: &[Action], ports: &Ports<'_>, memory: &mut Memory, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::default();
    for action in actions {
        let step = action.step();
        if outcome.faults.iter().any(|(failed, _)| *failed == step) {
            continue;
        }
        if !(ports.may_write)() {
            outcome.faults.push((step, not_leading()));
            continue;
        }
        if let Action::WriteRecords { zone, zone_name, changes } = action {
            let records::Written { done, fault } = records::write(zone, changes, ports, memory, now).await;
            if !done.is_empty() {
                let (zone, zone_name) = (zone.clone(), zone_name.clone());
                outcome.done.push(Action::WriteRecords { zone, zone_name, changes: done });
            }
            outcome.faults.extend(fault.map(|fault| (step, fault)));
            continue;
        }
        match perform(action, ports, memory, now).await {
            Ok(()) => outcome.done.push(action.clone()),
            Err(fault) => outcome.faults.push((step, fault)),
        }
    }
    outcome
}

async fn perform(action: &Action, ports: &Ports<'_>, memory: &mut Memory, now: Timestamp) -> Result<(), Fault> {
    let (ses, by, domain) = (ports.ses, ports.caller, ports.domain);
    let written: Result<(), ses::error::Error> = match action {
        Action::CreateIdentity(new) => ses.create(by, domain, new).await.map(|i| memory.identity_created(i, now)),
        Action::AdoptIdentity { tags } => ses.add_tags(by, domain, tags).await.map(|()| memory.identity_changed()),
        Action::TagIdentity { tags } => ses.add_tags(by, domain, tags).await.map(|()| memory.identity_changed()),
        Action::UntagIdentity { keys } => ses.remove_tags(by, domain, keys).await.map(|()| memory.identity_changed()),
        Action::SetConfigurationSet { name } => {
            ses.set_configuration_set(by, domain, name.as_deref()).await.map(|()| memory.identity_changed())
        }
        Action::ChangeKeyLength { length } => {
            ses.change_key_length(by, domain, *length).await.map(|()| memory.identity_changed())
        }
        Action::EnableSigning => ses.enable_signing(by, domain).await.map(|()| memory.identity_changed()),
        Action::RestartDkim => ses.restart_dkim(by, domain).await.map(|()| memory.identity_changed()),
        Action::SetMailFrom { domain: mail_from, on_mx_failure } => ses
            .set_mail_from(by, domain, mail_from, *on_mx_failure)
            .await
            .map(|()| memory.mail_from_set(mail_from, *on_mx_failure)),
        Action::DeleteIdentity => ses.delete(by, domain).await.map(|()| memory.identity_deleted(now)),
        Action::RemoveEndpoint { version } => {
            let removed = external_dns::delete(ports.kube, ports.namespace, &ports.owner.name, version.clone()).await;
            return removed.map_err(|error| endpoint_fault(&error));
        }
        Action::RemoveRecords { left, zone, changes, .. } => {
            memory.left_changed(*left);
            return records::remove_left(*left, zone, changes, ports).await;
        }
        Action::HandOver(content) | Action::KeepEndpoint(content) => {
            let handed = external_dns::apply(ports.kube, ports.namespace, ports.owner, content).await;
            return handed.map_err(|error| endpoint_fault(&error));
        }
        // Written by `execute`, which can tell one record from another.
        Action::WriteRecords { .. } => Ok(()),
    };
    written.map_err(|error| {
        if matches!(error.kind, ses::error::Kind::AlreadyExists | ses::error::Kind::NotFound) {
            memory.identity_changed();
        }
        // The write may have taken effect although its answer was lost.
        if matches!(error.kind, ses::error::Kind::Unavailable | ses::error::Kind::Conflict) {
            memory.identity_changed();
        }
        ses_fault(action, &error, memory)
    })
}

fn not_leading() -> Fault {
    let message = "This replica may not write now, since its lease is not being renewed; the leader goes on".to_owned();
    Fault { reason: Reason::Progressing, message, class: ErrorClass::Transient { retry_after: None } }
}

fn count_corrections(changes: &[cloudflare::Change], metrics: &Metrics) {
    for change in changes {
        if let cloudflare::Change::Update { record, .. } = change {
            metrics.drift_corrected(record.data.record_type());
        }
    }
}

/// What some refusals mean for the write that met them.
fn ses_fault(action: &Action, error: &ses::error::Error, memory: &Memory) -> Fault {
    let verified = memory.identity().and_then(Option::as_ref).is_some_and(Identity::is_dkim_verified);
    if matches!(action, Action::SetMailFrom { .. }) && error.kind == ses::error::Kind::Rejected && !verified {
        // SES has been seen both to take it before the domain is verified and to refuse it.
        let message =
            format!("SES does not take the MAIL FROM domain yet; it is set once SES has verified the domain. {error}");
        return Fault { reason: Reason::WaitingForSES, message, class: ErrorClass::Terminal };
    }
    if matches!(action, Action::ChangeKeyLength { .. }) && error.kind == ses::error::Kind::Rejected {
        let message = format!(
            "SES does not change the DKIM keys now, which it does at most once per day; it is asked again every hour, and the \
             keys in use stay. {error}"
        );
        return Fault {
            reason: Reason::WaitingForSES,
            message,
            class: ErrorClass::Transient { retry_after: Some(HOUR) },
        };
    }
    // SES answers an unknown configuration set with the same code as an unknown identity.
    if let (Some(name), ses::error::Kind::NotFound) = (configuration_set(action), error.kind) {
        let message =
            format!("SES has no configuration set named {name}; create it, or correct spec.ses.configurationSet");
        return Fault { reason: Reason::ConfigurationSetNotFound, message, class: ErrorClass::Terminal };
    }
    Fault { reason: error.reason(), message: error.to_string(), class: error.class() }
}

/// The configuration set that the write names.
fn configuration_set(action: &Action) -> Option<&String> {
    match action {
        Action::CreateIdentity(new) => new.configuration_set.as_ref(),
        Action::SetConfigurationSet { name } => name.as_ref(),
        _ => None,
    }
}

const HOUR: Duration = Duration::from_hours(1);
