//! What the zone at Cloudflare holds, and the name servers that the world asks do not answer.

use super::missing::{addresses, flattened, proxied};
use super::{Case, Cause, Diagnosis};
use crate::api::reason::Reason;
use crate::dns::cloudflare::ZoneRecord;
use crate::dns::lookup::LookupErrorKind;
use crate::dns::record::DnsName;
use crate::observe::observation::ZoneView;

/// The zone waits for its delegation.
pub(super) fn zone_pending(case: &Case<'_>) -> Option<Diagnosis> {
    let fault = case.view.fault().filter(|fault| fault.reason == Reason::ZonePending)?;
    Some(Diagnosis::new(Cause::ZonePending, fault.message.clone()))
}

/// The record is right there, and is not answered.
pub(super) fn held_there(case: &Case<'_>) -> Option<Diagnosis> {
    let (view, record) = right_record(case)?;
    if record.proxied {
        return Some(proxied());
    }
    if record.flatten_cname == Some(true) {
        return Some(flattened("Cloudflare"));
    }
    let not_asked = not_asked(case, view);
    if not_asked.is_some() {
        return not_asked;
    }
    // The zone's own setting flattens what no record tells of; the record is known not to be proxied.
    if addresses(case).is_some() {
        return Some(flattened("Cloudflare"));
    }
    Some(Diagnosis::new(
        Cause::NotPublished,
        "Written at Cloudflare, whose name servers do not answer it yet: that usually takes seconds; nothing is to do but wait",
    ))
}

/// The record is right there, and somebody else is asked, who has something else.
pub(super) fn held_elsewhere(case: &Case<'_>) -> Option<Diagnosis> {
    let (view, _) = right_record(case)?;
    not_asked(case, view)
}

fn right_record<'a>(case: &Case<'a>) -> Option<(&'a ZoneView, &'a ZoneRecord)> {
    let view = case.view.known()?;
    let right = |r: &&ZoneRecord| r.name == case.wanted.name && r.data.as_ref() == Some(&case.wanted.data);
    Some((view, view.records.iter().find(right)?))
}

/// The world asks other name servers than those of the zone.
fn not_asked(case: &Case<'_>, view: &ZoneView) -> Option<Diagnosis> {
    let (zone, assigned) = (&view.zone.name, &view.zone.name_servers);
    let is_elsewhere = match case.cut? {
        Ok(cut) => cut.apex != *zone || !cut.servers.iter().any(|(server, _)| assigned.contains(server)),
        Err(kind) => *kind == LookupErrorKind::NoZone,
    };
    if !is_elsewhere {
        return None;
    }
    let Some(cut) = case.zone() else {
        let asked = format!("the world finds no name servers for {zone}");
        return Some(undelegated(&asked, view));
    };
    let asked = format!("the world asks {} for {}", servers(cut.servers.iter().map(|(name, _)| name)), cut.apex);
    if cut.apex == *zone || !cut.apex.is_within(zone) {
        return Some(undelegated(&asked, view));
    }
    Some(Diagnosis::new(
        Cause::ZoneNotDelegated,
        format!(
            "Written at Cloudflare, but {asked}, which is a zone of its own below {zone}: give the token access to the zone \
             {} if that is at Cloudflare too, or remove spec.dns and add the records at the provider that has it",
            cut.apex
        ),
    ))
}

fn undelegated(asked: &str, view: &ZoneView) -> Diagnosis {
    let message = format!(
        "Written at Cloudflare, but {asked}: check at the registrar that {} is delegated to the name servers that Cloudflare \
         assigned ({})",
        view.zone.name,
        servers(view.zone.name_servers.iter())
    );
    Diagnosis::new(Cause::ZoneNotDelegated, message)
}

fn servers<'a>(names: impl Iterator<Item = &'a DnsName>) -> String {
    let mut names: Vec<&str> = names.map(DnsName::as_str).collect();
    names.dedup();
    names.truncate(4);
    names.join(", ")
}
