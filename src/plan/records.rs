//! What to write at Cloudflare: the difference between the records that are wanted and those that are there. What is not
//! marked as ours is never changed; where it is in the way, that is a conflict and not a write.

use std::collections::BTreeSet;

use super::{Action, Blocker, Plan, Subject};
use crate::api::condition::ConditionType::RecordsSynced;
use crate::api::reason::Reason;
use crate::api::v1alpha1::{CloudflareSpec, ConflictPolicy, RecordPurpose};
use crate::dns::cloudflare::{Change, NewRecord, ZoneRecord};
use crate::dns::dmarc::is_about_dmarc;
use crate::dns::judge::{self, is_spf};
use crate::dns::record::{DnsName, RecordData, RecordType, WantedRecord};
use crate::observe::observation::{Observation, Observed, ZoneView};
use crate::ownership::Mark;
use crate::ses::identity::{DKIM_TOKENS, Identity};
use crate::text::printable;

/// What there is to do for one wanted record.
#[derive(Debug, PartialEq)]
enum Step {
    /// It is there, ours or somebody's.
    Satisfied,
    /// It has to be written.
    Write(Vec<Change>),
    /// Somebody else's record is in the way.
    Conflict(Reason, String),
}

/// Plans the writes of records for an identity of ours.
pub fn plan_records(
    subject: &Subject<'_>,
    spec: &CloudflareSpec,
    identity: &Identity,
    seen: &Observation,
    plan: &mut Plan,
) {
    let view = match &seen.zone {
        Observed::Known(view) => view,
        Observed::Unavailable(fault) => return plan.blockers.push(Blocker::from_fault(RecordsSynced, fault)),
        Observed::NotConfigured => return,
    };
    if identity.dkim.tokens.len() != DKIM_TOKENS {
        // Never write from an incomplete list.
        return;
    }
    let records = sorted(&view.records);
    let mut changes = Vec::new();
    let mut cuts = BTreeSet::new();
    for wanted in &plan.wanted {
        if let Some(cut) = delegated(&wanted.name, &records, &view.zone.name) {
            // Whoever has been handed the name of the policy alone, keeps the policy.
            if wanted.purpose != RecordPurpose::Dmarc || *cut != wanted.name {
                cuts.insert(cut);
            }
            continue;
        }
        match step_for(wanted, &records, subject.mark, spec.conflict_policy) {
            Step::Satisfied => {}
            Step::Write(writes) => changes.extend(writes),
            Step::Conflict(reason, message) => plan.blockers.push(Blocker::new(RecordsSynced, reason, message)),
        }
    }
    plan.blockers.extend(cuts.into_iter().map(|cut| cut_off(cut, &records, &view.zone.name)));
    let replaced = are_in_use(subject, identity, seen, plan);
    let own: Vec<&ZoneRecord> = own(&view.records, subject.mark, &subject.spec.domain);
    changes.extend(stale(&plan.wanted, &own, replaced));
    let changes = hold_back(changes, view, seen, plan);
    if !changes.is_empty() {
        let (zone, zone_name) = (view.zone.id.clone(), view.zone.name.clone());
        plan.actions.push(Action::WriteRecords { zone, zone_name, changes });
    }
}

/// The name at or above `name` that the zone itself hands to other name servers: what is written here below it, nobody
/// sees.
fn delegated<'a>(name: &DnsName, records: &[&'a ZoneRecord], zone: &DnsName) -> Option<&'a DnsName> {
    records.iter().find(|r| r.record_type == "NS" && r.name != *zone && name.is_within(&r.name)).map(|r| &r.name)
}

fn cut_off(cut: &DnsName, records: &[&ZoneRecord], zone: &DnsName) -> Blocker {
    let servers = records.iter().filter(|r| r.record_type == "NS" && r.name == *cut).take(3);
    let servers: Vec<String> = servers.map(|r| DnsName::new(&r.content).to_string()).collect();
    let message = format!(
        "Could not access zone: the zone {zone} hands {cut} to other name servers ({}), so nobody sees what is written below \
         it here; give the token access to the zone {cut} if that is at Cloudflare, or remove spec.dns to add the records at \
         the provider that has it",
        servers.join(", ")
    );
    Blocker::new(RecordsSynced, Reason::ZoneNotAccessible, message)
}

/// Leaves out what was refused lately and what somebody else keeps changing back; the rest goes on. The changes of one
/// name stay together.
fn hold_back(changes: Vec<Change>, view: &ZoneView, seen: &Observation, plan: &mut Plan) -> Vec<Change> {
    let standing = &seen.standing;
    let name = |change: &Change| change.name(&view.records).cloned();
    let (refused, changes): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|c| standing.records_at(name(c).as_ref()).is_some());
    if let Some(fault) = standing.records.as_ref().filter(|_| !refused.is_empty()) {
        plan.blockers.push(Blocker::from_fault(RecordsSynced, fault));
    }
    let (lost, changes): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|c| name(c).is_some_and(|name| standing.duels.contains(&name)));
    for name in lost.iter().filter_map(name).collect::<BTreeSet<_>>() {
        let message = format!(
            "Something else changes the records at {name} as often as the operator puts them right, so it does that once an \
             hour now; find out who writes there (another tool, another cluster, a person), stop it, and set the annotation \
             sendingdomain.dev/reconcile-at to try at once"
        );
        plan.blockers.push(Blocker::new(RecordsSynced, Reason::RecordDueling, message));
    }
    changes
}

/// True if the wanted records are in DNS and SES uses them: what they replace can go. Without look-ups it is SES that has
/// found them.
pub(super) fn are_in_use(subject: &Subject<'_>, identity: &Identity, seen: &Observation, plan: &Plan) -> bool {
    // SES goes on signing with the old keys until it has verified the new ones.
    (!seen.dns_check || judge::all_found(&plan.wanted, &seen.lookups))
        && identity.is_dkim_verified()
        && identity.is_mail_from_verified(&subject.spec.mail_from_domain())
}

/// Deletes of all records of ours for `domain`: for the end of the object, and for places that it has left.
pub fn deletions(records: &[ZoneRecord], mark: &Mark, domain: &str) -> Vec<Change> {
    own(records, mark, domain).into_iter().map(|r| Change::Delete { id: r.id.clone() }).collect()
}

/// The records that carry our mark and that an object of `domain` could have written. The mark stands for a namespace and a
/// name: what an object of that name wrote before for another domain carries it too, and may be retained and live.
pub fn own<'a>(records: &'a [ZoneRecord], mark: &Mark, domain: &str) -> Vec<&'a ZoneRecord> {
    sorted(records).into_iter().filter(|r| is_ours(r, mark) && is_name_for(&r.name, domain)).collect()
}

/// The records that carry our mark and were not written for `domain`, in words; `None` if there are none.
pub(super) fn strays(view: &ZoneView, mark: &Mark, domain: &str) -> Option<String> {
    let strays = sorted(&view.records).into_iter().filter(|r| is_ours(r, mark) && !is_name_for(&r.name, domain));
    let strays: Vec<String> = strays.map(|r| printable(&format!("{} {}", r.record_type, r.name), 300)).collect();
    let more = strays.len().saturating_sub(STRAYS_TOLD);
    let mut told = strays.get(..STRAYS_TOLD).unwrap_or(&strays).join(", ");
    if more > 0 {
        told = format!("{told} and {more} more");
    }
    let (zone, mark) = (&view.zone.name, mark.comment());
    (!strays.is_empty()).then(|| {
        format!(
            "records in {zone} at Cloudflare that carry the mark {mark} and have no name that {domain} uses: {told}"
        )
    })
}

/// How many strays are named.
const STRAYS_TOLD: usize = 10;

/// True if an object of `domain` may write a record of this name: `<token>._domainkey.<domain>`, `<label>.<domain>` for
/// MAIL FROM, or `_dmarc.<domain>`.
pub(super) fn is_name_for(name: &DnsName, domain: &str) -> bool {
    let domain = DnsName::new(domain);
    name.parent().is_some_and(|parent| parent == domain || parent == domain.child("_domainkey"))
}

/// In an order that does not depend on that of the answer.
fn sorted(records: &[ZoneRecord]) -> Vec<&ZoneRecord> {
    let mut sorted: Vec<&ZoneRecord> = records.iter().collect();
    sorted.sort_by_key(|r| (&r.name, &r.record_type, &r.content, &r.id));
    sorted
}

/// True if the record carries our mark.
pub fn is_ours(record: &ZoneRecord, mark: &Mark) -> bool {
    mark.is_in_comment(record.comment.as_deref())
}

fn step_for(wanted: &WantedRecord, records: &[&ZoneRecord], mark: &Mark, policy: ConflictPolicy) -> Step {
    let there = records.iter().copied().filter(|r| r.name == wanted.name);
    let kind = wanted.data.record_type().as_str();
    let (ours, foreign): (Vec<&ZoneRecord>, Vec<&ZoneRecord>) = there.partition(|r| is_ours(r, mark));
    let ours: Vec<&ZoneRecord> = ours.into_iter().filter(|r| r.record_type == kind).collect();
    match obstacle(wanted, &foreign) {
        Obstacle::Equal if ours.is_empty() => Step::Satisfied,
        // Somebody has taken it over: a second record of ours beside it would break both.
        Obstacle::Equal => Step::Write(ours.iter().map(|r| Change::Delete { id: r.id.clone() }).collect()),
        Obstacle::Other(reason, in_the_way) => overwrite(wanted, &in_the_way, mark, policy)
            .unwrap_or_else(|| Step::Conflict(reason, conflict(wanted, &in_the_way))),
        // The MX is told as a conflict, and a policy of ours would make suspect what they send from their name.
        Obstacle::None if wanted.purpose == RecordPurpose::Spf && ours.is_empty() && is_mailbox_host(&foreign) => {
            Step::Satisfied
        }
        Obstacle::None => write_ours(wanted, &ours, mark),
    }
}

/// True if somebody else receives mail at the name: it has an MX that is none of SES's.
fn is_mailbox_host(foreign: &[&ZoneRecord]) -> bool {
    let is_of_ses = |r: &ZoneRecord| {
        let host = r.data.as_ref().map(RecordData::value);
        host.is_some_and(|host| host.starts_with("feedback-smtp.") && host.ends_with(".amazonses.com"))
    };
    foreign.iter().any(|r| r.record_type == "MX" && !is_of_ses(r))
}

/// Writes a record of ours, or leaves it if it is right already; more than one of ours is one too many.
fn write_ours(wanted: &WantedRecord, ours: &[&ZoneRecord], mark: &Mark) -> Step {
    let right = ours.iter().position(|r| is_right(r, wanted));
    let keep = right.or(if ours.is_empty() { None } else { Some(0) });
    let mut changes = Vec::new();
    match (right, keep.and_then(|i| ours.get(i))) {
        (Some(_), _) => {}
        (None, Some(record)) => {
            changes.push(update(record, wanted, mark));
        }
        (None, None) => changes.push(Change::Create(new_record(wanted, mark))),
    }
    let surplus = ours.iter().enumerate().filter(|(i, _)| Some(*i) != keep);
    changes.extend(surplus.map(|(_, r)| Change::Delete { id: r.id.clone() }));
    if changes.is_empty() { Step::Satisfied } else { Step::Write(changes) }
}

fn new_record(wanted: &WantedRecord, mark: &Mark) -> NewRecord {
    NewRecord {
        name: wanted.name.clone(),
        data: wanted.data.clone(),
        comment: mark.comment(),
        ttl: 1,
        unflatten: false,
    }
}

fn update(there: &ZoneRecord, wanted: &WantedRecord, mark: &Mark) -> Change {
    let unflatten = there.flatten_cname == Some(true);
    Change::Update { id: there.id.clone(), record: NewRecord { unflatten, ..new_record(wanted, mark) } }
}

/// What somebody else has at the name of a wanted record.
enum Obstacle<'a> {
    /// Nothing that matters.
    None,
    /// A record that does the same: it satisfies us and is left alone for ever.
    Equal,
    /// Records that are in the way.
    Other(Reason, Vec<&'a ZoneRecord>),
}

fn obstacle<'a>(wanted: &WantedRecord, foreign: &[&'a ZoneRecord]) -> Obstacle<'a> {
    let of = |kind: &str| foreign.iter().copied().filter(|r| r.record_type == kind).collect::<Vec<_>>();
    let aliases = of("CNAME");
    match wanted.purpose {
        RecordPurpose::Dkim if foreign.is_empty() => Obstacle::None,
        RecordPurpose::Dkim => match foreign {
            [only] if is_right(only, wanted) => Obstacle::Equal,
            _ => Obstacle::Other(Reason::RecordConflict, foreign.to_vec()),
        },
        RecordPurpose::BounceMx | RecordPurpose::Spf if !aliases.is_empty() => {
            Obstacle::Other(Reason::RecordConflict, aliases)
        }
        RecordPurpose::BounceMx => match of("MX").as_slice() {
            [] => Obstacle::None,
            [only] if only.data.as_ref().is_some_and(|d| d.value() == wanted.data.value()) => Obstacle::Equal,
            several => Obstacle::Other(Reason::MailFromConflict, several.to_vec()),
        },
        RecordPurpose::Spf => {
            let spf: Vec<&ZoneRecord> = of("TXT").into_iter().filter(|r| text_of(r).is_some_and(is_spf)).collect();
            match spf.as_slice() {
                [] => Obstacle::None,
                [only] if judge::includes_ses(text_of(only).unwrap_or_default()) => Obstacle::Equal,
                several => Obstacle::Other(Reason::RecordConflict, several.to_vec()),
            }
        }
        RecordPurpose::Dmarc if !aliases.is_empty() => Obstacle::Equal,
        // An existing DMARC policy of any kind is never changed or doubled.
        RecordPurpose::Dmarc if of("TXT").iter().any(|r| text_of(r).is_some_and(is_about_dmarc)) => Obstacle::Equal,
        RecordPurpose::Dmarc => Obstacle::None,
    }
}

/// A foreign CNAME where a CNAME of ours must be can be replaced if the user says so; nothing else can.
fn overwrite(wanted: &WantedRecord, in_the_way: &[&ZoneRecord], mark: &Mark, policy: ConflictPolicy) -> Option<Step> {
    match (policy, wanted.purpose, in_the_way) {
        (ConflictPolicy::Overwrite, RecordPurpose::Dkim, [only]) if only.record_type == "CNAME" => {
            Some(Step::Write(vec![update(only, wanted, mark)]))
        }
        _ => None,
    }
}

fn conflict(wanted: &WantedRecord, in_the_way: &[&ZoneRecord]) -> String {
    let found: Vec<String> = in_the_way
        .iter()
        .take(3)
        .map(|r| {
            let proxied = if r.proxied { " (proxied)" } else { "" };
            format!("{}{proxied}", printable(&format!("{} {}", r.record_type, r.content), 100))
        })
        .collect();
    let (name, kind, value) = (&wanted.name, wanted.data.record_type(), &wanted.data);
    let is_alias = in_the_way.iter().any(|r| r.record_type == "CNAME");
    let advice = match wanted.purpose {
        RecordPurpose::Dkim => {
            "remove it, or set spec.dns.cloudflare.conflictPolicy to Overwrite to have a CNAME replaced"
        }
        RecordPurpose::Spf if !is_alias => "add include:amazonses.com to it, or remove it",
        RecordPurpose::Spf | RecordPurpose::BounceMx => "remove it, or choose another spec.mailFrom.subdomain",
        RecordPurpose::Dmarc => "remove it",
    };
    format!(
        "{name} already has {}, which the operator did not make and leaves alone; the domain needs {kind} {value} there: {advice}",
        found.join(" and ")
    )
}

/// Records of ours that are not wanted any more. They go when the new ones are in DNS and SES uses them, so that mail in
/// flight still finds the old. At once go a DMARC record, which has no successor, and what keeps a wanted record from existing.
fn stale(wanted: &[WantedRecord], own: &[&ZoneRecord], replaced: bool) -> Vec<Change> {
    let is_wanted =
        |r: &ZoneRecord| wanted.iter().any(|w| w.name == r.name && w.data.record_type().as_str() == r.record_type);
    let in_the_way = |r: &ZoneRecord| {
        let exclusive = |w: &WantedRecord| w.data.record_type() == RecordType::Cname || r.record_type == "CNAME";
        wanted.iter().any(|w| w.name == r.name && exclusive(w))
    };
    own.iter()
        .filter(|r| !is_wanted(r))
        .filter(|r| replaced || is_dmarc_name(&r.name) || in_the_way(r))
        .map(|r| Change::Delete { id: r.id.clone() })
        .collect()
}

fn is_dmarc_name(name: &DnsName) -> bool {
    name.as_str().starts_with("_dmarc.")
}

/// True if the record is as wanted, and answered as it stands: a CNAME that is proxied or flattened is answered as an
/// address.
fn is_right(record: &ZoneRecord, wanted: &WantedRecord) -> bool {
    record.data.as_ref() == Some(&wanted.data) && !record.proxied && record.flatten_cname != Some(true)
}

fn text_of(record: &ZoneRecord) -> Option<&str> {
    match &record.data {
        Some(RecordData::Txt(text)) => Some(text),
        Some(RecordData::Cname(_) | RecordData::Mx { .. }) | None => None,
    }
}
