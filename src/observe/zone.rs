//! The zone at Cloudflare and its records. The zones that a token sees are listed once for all objects that use it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::credential::{Credentials, make_room};
use super::observation::{Fault, ZoneView};
use crate::api::reason::Reason;
use crate::api::v1alpha1::CloudflareSpec;
use crate::dns::cloudflare::{
    ApiToken, Client, Error, Fingerprint, Kind, Operation, Zone, ZoneId, ZonePick, ZoneStatus, pick_zone,
};
use crate::dns::lookup::Resolver;
use crate::dns::record::DnsName;
use crate::error::ErrorClass;

/// How long a list of zones is good.
const LIST_AGE: Duration = Duration::from_mins(5);

/// How old a list of zones may be.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// One that has the zone.
    with: Duration,
    /// One that has not.
    without: Duration,
}

impl Ages {
    /// A zone that appears is found within `pending`; one whose records DNS has lost may have changed its state.
    pub fn new(pending: Duration, lost: bool) -> Self {
        let soon = pending.min(LIST_AGE);
        Self { with: if lost { soon } else { LIST_AGE }, without: soon }
    }
}

/// The lists of zones, one for each token, and the tokens that Cloudflare refuses.
#[derive(Default)]
pub struct Zones {
    lists: Mutex<HashMap<Fingerprint, (Instant, Vec<Zone>)>>,
    refused: Mutex<HashMap<Fingerprint, (Instant, Fault)>>,
    credentials: Credentials,
}

/// Who is asked about zones.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Cloudflare.
    pub client: &'a Client,
    /// As whom.
    pub token: &'a ApiToken,
    /// DNS, where Cloudflare has two answers; `None` with `--dns-check off`.
    pub resolver: Option<&'a Resolver>,
}

impl Zones {
    /// The zone for `domain` and its records.
    pub async fn view(
        &self,
        asked: Asked<'_>,
        spec: &CloudflareSpec,
        domain: &DnsName,
        ages: Ages,
    ) -> Result<ZoneView, Fault> {
        let Asked { client, token, .. } = asked;
        if let Some((at, fault)) = lock(&self.refused).get(&token.fingerprint())
            && at.elapsed() < ages.without
        {
            return Err(fault.clone());
        }
        let zone = match &spec.zone_id {
            Some(id) => self.by_id(asked, id, domain).await?,
            None => self.find(asked, domain, ages).await?,
        };
        let error = match client.records(token, &zone.id, domain).await {
            Ok(records) => return Ok(ZoneView { zone, records }),
            Err(error) => error,
        };
        // Cloudflare says of a zone that is gone what it says of one that the token may not edit. A new list tells them
        // apart, and finds the zone where it was set up again.
        if spec.zone_id.is_none() && may_be_gone(error.kind) {
            self.forget(token);
            let listed = self.find(asked, domain, ages).await?;
            if listed.id != zone.id {
                return match client.records(token, &listed.id, domain).await {
                    Ok(records) => Ok(ZoneView { zone: listed, records }),
                    Err(error) => Err(self.read_fault(asked, &error, domain).await),
                };
            }
        }
        Err(self.read_fault(asked, &error, domain).await)
    }

    /// A zone by its id, whether the world asks it or not, and every record in it that is at or below the domain or has
    /// `mark` in its comment.
    pub async fn former(&self, asked: Asked<'_>, id: &str, domain: &DnsName, mark: &str) -> Result<ZoneView, Fault> {
        let zone = self.zone_of(asked, id, domain).await?;
        let mut view = match asked.client.records(asked.token, &zone.id, domain).await {
            Ok(records) => ZoneView { zone, records },
            Err(error) => return Err(self.read_fault(asked, &error, domain).await),
        };
        self.add_marked(asked, &mut view, domain, mark).await?;
        Ok(view)
    }

    /// Adds the records that have `mark` in their comment under any name: somebody may have renamed one of ours.
    pub async fn add_marked(
        &self,
        asked: Asked<'_>,
        view: &mut ZoneView,
        domain: &DnsName,
        mark: &str,
    ) -> Result<(), Fault> {
        let marked = match asked.client.marked(asked.token, &view.zone.id, mark).await {
            Ok(marked) => marked,
            Err(error) => return Err(self.read_fault(asked, &error, domain).await),
        };
        let strays: Vec<_> = marked.into_iter().filter(|m| view.records.iter().all(|r| r.id != m.id)).collect();
        view.records.extend(strays);
        Ok(())
    }

    /// Has the zones of `token` listed anew.
    fn forget(&self, token: &ApiToken) {
        lock(&self.lists).remove(&token.fingerprint());
    }

    async fn find(&self, asked: Asked<'_>, domain: &DnsName, ages: Ages) -> Result<Zone, Fault> {
        let pick = self.listed(asked, domain, ages).await?;
        match pick {
            Pick::One(zone) => Ok(zone),
            Pick::Several(zones) => told_apart(asked.resolver, zones).await,
        }
    }

    /// What the list of zones says, which is read anew when it is too old for what it says.
    async fn listed(&self, asked: Asked<'_>, domain: &DnsName, ages: Ages) -> Result<Pick, Fault> {
        if let Some((at, zones)) = lock(&self.lists).get(&asked.token.fingerprint()) {
            let age = at.elapsed();
            match picked(zones, domain) {
                Ok(Pick::One(zone)) if age < ages.with => return Ok(Pick::One(zone)),
                Ok(Pick::Several(zones)) if age < ages.without => return Ok(Pick::Several(zones)),
                Err(fault) if age < ages.without => return Err(fault),
                _ => {}
            }
        }
        let zones = match asked.client.zones(asked.token).await {
            Ok(zones) => zones,
            Err(error) => return Err(self.read_fault(asked, &error, domain).await),
        };
        self.credentials.seen(asked.token, &zones);
        let pick = picked(&zones, domain);
        let mut lists = lock(&self.lists);
        make_room(&mut lists);
        lists.insert(asked.token.fingerprint(), (Instant::now(), zones));
        pick
    }

    async fn by_id(&self, asked: Asked<'_>, id: &str, domain: &DnsName) -> Result<Zone, Fault> {
        let zone = self.zone_of(asked, id, domain).await?;
        if zone.is_served() { Ok(zone) } else { Err(not_active(&zone)) }
    }

    async fn zone_of(&self, asked: Asked<'_>, id: &str, domain: &DnsName) -> Result<Zone, Fault> {
        let id: ZoneId = id
            .parse()
            .map_err(|_| terminal(Reason::ZoneNotAccessible, format!("Could not access zone: {id} is no zone id")))?;
        let zone = match asked.client.zone(asked.token, &id).await {
            Ok(zone) => zone,
            Err(error) => return Err(self.read_fault(asked, &error, domain).await),
        };
        self.credentials.seen(asked.token, std::slice::from_ref(&zone));
        if !domain.is_within(&zone.name) {
            let message = format!(
                "Could not access zone: spec.dns.cloudflare.zoneID is the zone {}, which {domain} is not in; correct or remove it",
                zone.name
            );
            return Err(terminal(Reason::ZoneNotAccessible, message));
        }
        Ok(zone)
    }

    /// A failed read in the words of a condition.
    async fn read_fault(&self, asked: Asked<'_>, error: &Error, domain: &DnsName) -> Fault {
        let why = self.credentials.explain(asked.client, asked.token, error).await;
        let fault = fault(error, why.as_deref(), &format!("for {domain}"));
        if error.kind == Kind::InvalidToken {
            // Nobody else need ask with it for a while.
            let mut refused = lock(&self.refused);
            make_room(&mut refused);
            refused.insert(asked.token.fingerprint(), (Instant::now(), fault.clone()));
        }
        fault
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The zone that a list of zones gives for a domain, or the active ones of one name.
enum Pick {
    One(Zone),
    Several(Vec<Zone>),
}

/// Of several active zones of one name (in different accounts) the world asks the one whose name servers it is delegated
/// to: each has a pair of its own.
async fn told_apart(resolver: Option<&Resolver>, zones: Vec<Zone>) -> Result<Zone, Fault> {
    let name = zones.first().map(|zone| zone.name.clone());
    if let (Some(resolver), Some(name)) = (resolver, &name) {
        let Ok(cut) = resolver.name_servers(name).await else { return Err(not_told_apart(zones.len(), name)) };
        let is_asked = |zone: &&Zone| {
            cut.apex == *name
                && !cut.servers.is_empty()
                && cut.servers.iter().all(|(server, _)| zone.name_servers.contains(server))
        };
        if let [only] = zones.iter().filter(is_asked).collect::<Vec<_>>().as_slice() {
            return Ok((*only).clone());
        }
    }
    let message = format!(
        "The token sees {} active zones named {}; set spec.dns.cloudflare.zoneID to the id of the one to use",
        zones.len(),
        name.as_ref().map_or("", DnsName::as_str)
    );
    Err(terminal(Reason::ZoneAmbiguous, message))
}

/// DNS gave no answer, which says nothing of the zones.
fn not_told_apart(count: usize, name: &DnsName) -> Fault {
    let message = format!(
        "The token sees {count} active zones named {name}, and DNS does not answer which of them the world asks; it is asked \
         again. Or set spec.dns.cloudflare.zoneID to the id of the one to use"
    );
    Fault { reason: Reason::Progressing, message, class: ErrorClass::Transient { retry_after: None } }
}

fn may_be_gone(kind: Kind) -> bool {
    matches!(kind, Kind::PermissionDenied | Kind::ZoneNotAccessible | Kind::NotFound)
}

fn picked(zones: &[Zone], domain: &DnsName) -> Result<Pick, Fault> {
    match pick_zone(zones, domain) {
        ZonePick::Found(zone) => Ok(Pick::One(zone.clone())),
        ZonePick::NotActive(zone) => Err(not_active(zone)),
        ZonePick::Ambiguous(zones) => Ok(Pick::Several(zones.into_iter().cloned().collect())),
        ZonePick::None => {
            let message = format!(
                "Could not access zone: the API token sees no zone for {domain} or a parent of it; add the zone at Cloudflare, or \
                 give the token Zone Read and DNS Edit on it"
            );
            Err(terminal(Reason::ZoneNotAccessible, message))
        }
    }
}

fn not_active(zone: &Zone) -> Fault {
    if zone.status == ZoneStatus::Active {
        let message = format!(
            "Could not access zone: Cloudflare does not answer for the zone {} (it is a partial, secondary or internal zone); \
             remove spec.dns to add the records at the provider that does",
            zone.name
        );
        return terminal(Reason::ZoneNotAccessible, message);
    }
    let servers = zone.name_servers.iter().map(DnsName::as_str).collect::<Vec<_>>().join(", ");
    let name = &zone.name;
    let message = match zone.status {
        ZoneStatus::Moved => format!(
            "The zone {name} is not active at Cloudflare: the domain has moved to other name servers, and nobody sees what is \
             written here; set {servers} at the domain's registrar again, or remove spec.dns to add the records at the \
             provider that answers now. Cloudflare deletes such a zone after a while (on the Free plan after 7 days)"
        ),
        ZoneStatus::Deactivated | ZoneStatus::Deleted => format!(
            "The zone {name} is not active at Cloudflare: it was switched off or deleted; switch it on again or add it anew"
        ),
        ZoneStatus::Pending | ZoneStatus::Initializing | ZoneStatus::Active | ZoneStatus::Other(_) => format!(
            "The zone {name} is not active at Cloudflare: set the name servers that Cloudflare assigned ({servers}) at the \
             domain's registrar. Cloudflare deletes a zone that stays so (on the Free plan after 28 days)"
        ),
    };
    Fault { reason: Reason::ZonePending, message, class: ErrorClass::Waiting { after: Duration::from_mins(5) } }
}

fn terminal(reason: Reason, message: String) -> Fault {
    Fault { reason, message, class: ErrorClass::Terminal }
}

/// A failed write in the words of a condition. `records` are those that it is about, if it is about some only.
pub fn write_fault(error: &Error, records: Option<&str>) -> Fault {
    let about = records.map(|records| format!("it is about {records}, and the rest goes on"));
    fault(error, about.as_deref(), "of the domain")
}

fn fault(error: &Error, more: Option<&str>, whose: &str) -> Fault {
    let (reason, advice) = match error.kind {
        Kind::InvalidToken => (
            Reason::InvalidAPIToken,
            "create a token with Zone Read and DNS Edit and put it into the Secret".to_owned(),
        ),
        Kind::NotFound if error.operation == Operation::WriteRecords => {
            (Reason::Progressing, "the zone is read again".to_owned())
        }
        Kind::ZoneNotAccessible | Kind::NotFound => {
            (Reason::ZoneNotAccessible, format!("give the token Zone Read and DNS Edit on the zone {whose}"))
        }
        Kind::PermissionDenied => (Reason::RecordWriteDenied, format!("give the token DNS Edit on the zone {whose}")),
        Kind::QuotaExceeded => {
            (Reason::ZoneRecordQuotaExceeded, "remove records that are not needed, or use a larger plan".to_owned())
        }
        Kind::Unmarked => (
            Reason::RecordRejected,
            "it is tried again, slowly; see whether the zone's plan allows comments of 100 characters".to_owned(),
        ),
        Kind::RecordExists | Kind::NotLeading => (Reason::Progressing, "the zone is read again".to_owned()),
        Kind::RateLimited => (Reason::RateLimited, "it is tried again when Cloudflare allows".to_owned()),
        Kind::Unavailable => (Reason::CloudflareUnavailable, "it is tried again".to_owned()),
        Kind::Invalid | Kind::Other => (
            Reason::RecordRejected,
            "it is tried again, slowly; compare the records in .status.records with the zone".to_owned(),
        ),
    };
    let more = more.map_or_else(String::new, |more| format!("{more}; "));
    Fault { reason, message: format!("{error}; {more}{advice}"), class: error.class() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::cloudflare::Kind;

    #[test]
    fn a_record_that_is_gone_says_nothing_of_the_token() {
        let gone = |operation| {
            write_fault(
                &Error {
                    kind: Kind::NotFound,
                    operation,
                    status: Some(404),
                    codes: vec![81044],
                    ray_id: None,
                    retry_after: None,
                    detail: None,
                },
                None,
            )
            .reason
        };
        assert_eq!(gone(Operation::WriteRecords), Reason::Progressing);
        assert_eq!(gone(Operation::ReadZone), Reason::ZoneNotAccessible);
    }
}
