//! What to do about records of ours at places that the spec has left: another provider, zone or Secret. They go once the
//! new ones are in DNS and nobody asks the old place any more, so that mail never stops on the way.
//!
//! Status only says where to look. What is taken away carries our mark, and is never where records are wanted now.

use super::{Action, Plan, Step, Subject, endpoint, places, records, teardown};
use crate::api::condition::ConditionType::RecordsSynced;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{DnsProvider, DnsProviderName, PreviousPlace};
use crate::dns::cloudflare::{Zone, ZoneRecord, ZoneStatus};
use crate::dns::external_dns::Endpoint;
use crate::dns::judge;
use crate::dns::record::{DnsName, WantedRecord};
use crate::observe::observation::{Left, Observation, Observed, ServedBy, ZoneView};
use crate::ses::identity::{DKIM_TOKENS, Identity};
use crate::text::printable;

/// What becomes of a place.
enum Fate {
    /// Nothing of ours is there: it can be forgotten.
    Empty,
    /// Nothing new is known of it.
    AsBefore,
    /// Its records are still needed.
    Needed(String),
    /// Its records cannot be removed.
    LeftBehind(String),
    /// Its records go.
    Remove(Action),
}

/// Plans the removal of what is not wanted any more, for an identity of ours whose records are planned already.
pub fn plan_leftovers(subject: &Subject<'_>, identity: &Identity, seen: &Observation, plan: &mut Plan) {
    // Where a person takes over, the records stay; the places are remembered for the end.
    if seen.left.is_empty() || matches!(subject.spec.dns_provider(), DnsProvider::Manual) {
        return;
    }
    let published = is_published(subject, identity, seen, plan);
    let now = seen.zone.known().map(|view| view.zone.id.as_str());
    let is_wanted = |place: &PreviousPlace| places::is_wanted(place, subject.spec.dns_provider().name(), now);
    let mut remembered = Vec::new();
    for left in &seen.left {
        let fate = if is_wanted(&left.place) {
            Fate::Empty
        } else if !published && left.place.is_left_behind() {
            // What was told stays true while DNS or a repair is waited for.
            Fate::AsBefore
        } else if !published {
            of_unknown(left, seen, plan)
        } else if left.place.provider == DnsProviderName::ExternalDns {
            of_endpoint(left, subject, identity, seen, plan)
        } else {
            of_zone(left, subject, seen, plan)
        };
        match fate {
            Fate::Empty => {}
            Fate::AsBefore => remembered.push(left.place.clone()),
            Fate::Needed(message) => remembered.push(noted(&left.place, Reason::WaitingForDNS.as_str(), &message)),
            Fate::LeftBehind(message) => remembered.push(noted(&left.place, PreviousPlace::LEFT_BEHIND, &message)),
            Fate::Remove(action) => {
                plan.actions.push(action);
                remembered.push(PreviousPlace { reason: None, message: None, ..left.place.clone() });
            }
        }
    }
    plan.left = Some(remembered);
}

/// `place` with what is to be said of it. What was said to be left behind is said once.
fn noted(place: &PreviousPlace, reason: &str, message: &str) -> PreviousPlace {
    PreviousPlace { reason: Some(reason.to_owned()), message: Some(printable(message, 1000)), ..place.clone() }
}

/// True if everything is written at the new place, and DNS answers it.
fn is_published(subject: &Subject<'_>, identity: &Identity, seen: &Observation, plan: &Plan) -> bool {
    let is_there = match subject.spec.dns_provider() {
        DnsProvider::Cloudflare(_) => seen.zone.known().is_some(),
        DnsProvider::ExternalDns(_) => matches!(seen.endpoint, Observed::Known(Some(_))),
        DnsProvider::Manual => false,
    };
    is_there
        && identity.dkim.tokens.len() == DKIM_TOKENS
        && !identity.brings_own_dkim()
        && plan.actions.iter().all(|a| a.step() != Step::Records)
        && plan.blockers.iter().all(|b| b.condition != RecordsSynced)
        && judge::all_found(&plan.wanted, &seen.lookups)
}

/// Of a place while nobody knows that the new records are served. SES may have verified the domain by those of this very
/// place, so without look-ups there is nothing that would ever tell.
fn of_unknown(left: &Left, seen: &Observation, plan: &Plan) -> Fate {
    if seen.dns_check {
        return Fate::Needed("Its records go once the new ones are published and in DNS".to_owned());
    }
    Fate::LeftBehind(format!(
        "{} stay, since look-ups are switched off by --dns-check off and nobody knows whom the world asks; remove them once \
         the name servers of the domain are those of the new place. With the object they go by themselves",
        list(&left.place, &plan.wanted)
    ))
}

fn of_zone(left: &Left, subject: &Subject<'_>, seen: &Observation, plan: &Plan) -> Fate {
    let view = match &left.zone {
        Observed::Known(view) => view,
        Observed::Unavailable(fault) if teardown::is_hopeless(fault.reason) => {
            return Fate::LeftBehind(format!(
                "{} may be left behind. {}",
                list(&left.place, &plan.wanted),
                fault.message
            ));
        }
        Observed::Unavailable(_) | Observed::NotConfigured => return Fate::AsBefore,
    };
    let ours: Vec<&ZoneRecord> = records::own(&view.records, subject.mark, &subject.spec.domain);
    if ours.is_empty() {
        return match records::strays(view, subject.mark, &subject.spec.domain) {
            Some(strays) => Fate::LeftBehind(format!(
                "Left alone are {strays}. They may be in use for another domain; remove them if they are not"
            )),
            None => Fate::Empty,
        };
    }
    let now = seen.zone.known().map(|view| &view.zone);
    let is_asked = |name: &DnsName| seen.served.get(name).is_none_or(|by| may_be_asked(&view.zone, by, now));
    if ours.iter().any(|r| is_asked(&r.name)) {
        return Fate::Needed(format!(
            "The world still asks the zone {}; its records go once the name servers of the domain are those of the new place",
            view.zone.name
        ));
    }
    Fate::Remove(remove(left.key, view, subject))
}

fn remove(left: u64, view: &ZoneView, subject: &Subject<'_>) -> Action {
    Action::RemoveRecords {
        left,
        zone: view.zone.id.clone(),
        zone_name: view.zone.name.clone(),
        changes: records::deletions(&view.records, subject.mark, &subject.spec.domain),
    }
}

/// Deleting the `DNSEndpoint` has ExternalDNS remove its records, wherever those are: only when the world asks the zone
/// that we write ourselves, and every record in it is our own, can that do no harm.
fn of_endpoint(left: &Left, subject: &Subject<'_>, identity: &Identity, seen: &Observation, plan: &Plan) -> Fate {
    let found = match &seen.endpoint {
        Observed::Known(Some(found)) if found.is_going => return Fate::AsBefore,
        Observed::Known(Some(found)) if endpoint::is_ours(found, subject.uid, subject.mark, &subject.spec.domain) => {
            found
        }
        Observed::Known(_) => return Fate::Empty,
        Observed::NotConfigured | Observed::Unavailable(_) => return Fate::AsBefore,
    };
    let Some(view) = seen.zone.known() else { return Fate::AsBefore };
    let required = || plan.wanted.iter().filter(|w| w.required);
    if left.place.is_left_behind() && required().any(|w| !seen.served.contains_key(&w.name)) {
        // What was told stays true while nobody has asked again.
        return Fate::AsBefore;
    }
    if !required().all(|w| seen.served.get(&w.name).is_some_and(|by| is_asked(&view.zone, by))) {
        return Fate::Needed(format!(
            "The DNSEndpoint goes once the world asks the Cloudflare zone {}, which has the records now",
            view.zone.name
        ));
    }
    let theirs = endpoint::not_of_ses(found, &subject.spec.domain, &plan.wanted);
    if !theirs.is_empty() {
        return Fate::LeftBehind(format!(
            "The DNSEndpoint of this name is left, with {theirs}, which the operator has not put there: delete it when nobody \
             needs that any more"
        ));
    }
    let is_wanted = |e: &Endpoint| {
        let name = DnsName::new(&e.dns_name);
        plan.wanted.iter().any(|w| w.name == name && w.data.record_type().as_str() == e.record_type)
    };
    if !found.content.endpoints.iter().all(is_wanted) && !records::are_in_use(subject, identity, seen, plan) {
        return Fate::Needed(
            "The DNSEndpoint goes once SES has verified the new keys and MAIL FROM domain: it alone has the records of the old ones"
                .to_owned(),
        );
    }
    let is_our_own = |w: &WantedRecord| {
        let kind = w.data.record_type().as_str();
        view.records.iter().any(|r| r.name == w.name && r.record_type == kind && records::is_ours(r, subject.mark))
    };
    if !required().all(is_our_own) {
        return Fate::LeftBehind(format!(
            "The DNSEndpoint of this name is left, with {}: the zone {} has such records that the operator did not write, which \
             may be those of ExternalDNS and would go with it. Delete it when they are not",
            names(&plan.wanted),
            view.zone.name
        ));
    }
    match &seen.standing.endpoint {
        Some(_) => Fate::AsBefore,
        None => Fate::Remove(Action::RemoveEndpoint { version: found.version.clone() }),
    }
}

/// True if these name servers are those of `zone`.
fn is_asked(zone: &Zone, by: &ServedBy) -> bool {
    by.apex == zone.name && zone.name_servers.iter().any(|server| by.servers.contains(server))
}

/// False only if it is proven that the world does not ask `zone`. Name servers may go by names that no zone tells, so of
/// two zones of one name the old is out only if the new is known to be asked, or Cloudflare says that the old is not.
fn may_be_asked(zone: &Zone, by: &ServedBy, now: Option<&Zone>) -> bool {
    let is_out = now.is_some_and(|now| is_asked(now, by)) || zone.status != ZoneStatus::Active;
    by.apex == zone.name && (is_asked(zone, by) || !is_out)
}

/// The records that may be at `place`, in words.
pub(super) fn list(place: &PreviousPlace, wanted: &[WantedRecord]) -> String {
    let zone = place.zone_name.as_deref().unwrap_or("the former zone");
    // What is wanted now may have other names than what was written there.
    let names = if place.records.is_empty() { names(wanted) } else { place.records.join(", ") };
    format!("Records in {zone} at Cloudflare ({names})")
}

fn names(wanted: &[WantedRecord]) -> String {
    wanted.iter().map(|w| format!("{} {}", w.data.record_type(), w.name)).collect::<Vec<_>>().join(", ")
}
