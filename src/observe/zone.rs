//! The zone at Cloudflare and its records. The zones that a token sees are listed once for all objects that use it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::observation::{Fault, ZoneView};
use crate::api::reason::Reason;
use crate::api::v1alpha1::CloudflareSpec;
use crate::dns::cloudflare::{
    ApiToken, Client, Error, Fingerprint, Kind, Zone, ZoneId, ZonePick, ZoneStatus, pick_zone,
};
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

/// How many tokens' lists are kept.
const LIST_LIMIT: usize = 1000;

type Listed = Arc<tokio::sync::Mutex<Option<(Instant, Vec<Zone>)>>>;

/// The lists of zones, one for each token.
#[derive(Default)]
pub struct Zones {
    lists: Mutex<HashMap<Fingerprint, Listed>>,
}

impl Zones {
    /// The zone for `domain` and its records.
    pub async fn view(
        &self,
        client: &Client,
        token: &ApiToken,
        spec: &CloudflareSpec,
        domain: &DnsName,
        ages: Ages,
    ) -> Result<ZoneView, Fault> {
        let zone = match &spec.zone_id {
            Some(id) => by_id(client, token, id, domain).await?,
            None => self.find(client, token, domain, ages).await?,
        };
        let error = match client.records(token, &zone.id, domain).await {
            Ok(records) => return Ok(ZoneView { zone, records }),
            Err(error) => error,
        };
        self.forget(token);
        // Cloudflare says of a zone that is gone what it says of one that the token may not edit. A new list tells them
        // apart, and finds the zone where it was set up again.
        if spec.zone_id.is_none() && may_be_gone(error.kind) {
            let listed = self.find(client, token, domain, ages).await?;
            if listed.id != zone.id {
                let records =
                    client.records(token, &listed.id, domain).await.map_err(|error| read_fault(&error, domain))?;
                return Ok(ZoneView { zone: listed, records });
            }
        }
        Err(read_fault(&error, domain))
    }

    /// Has the zones of `token` listed anew.
    pub fn forget(&self, token: &ApiToken) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).remove(&token.fingerprint());
    }

    fn list(&self, token: &ApiToken) -> Listed {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() > LIST_LIMIT {
            // Tokens that were rotated away. Listing anew costs one call each.
            lists.clear();
        }
        lists.entry(token.fingerprint()).or_default().clone()
    }

    async fn find(&self, client: &Client, token: &ApiToken, domain: &DnsName, ages: Ages) -> Result<Zone, Fault> {
        let list = self.list(token);
        let mut list = list.lock().await;
        if let Some((at, zones)) = &*list {
            let age = at.elapsed();
            match picked(zones, domain) {
                Ok(zone) if age < ages.with => return Ok(zone),
                Err(fault) if age < ages.without => return Err(fault),
                _ => {}
            }
        }
        let zones = client.zones(token).await.map_err(|error| read_fault(&error, domain))?;
        let (_, zones) = list.insert((Instant::now(), zones));
        picked(zones, domain)
    }
}

fn may_be_gone(kind: Kind) -> bool {
    matches!(kind, Kind::PermissionDenied | Kind::ZoneNotAccessible | Kind::NotFound)
}

async fn by_id(client: &Client, token: &ApiToken, id: &str, domain: &DnsName) -> Result<Zone, Fault> {
    let id: ZoneId = id
        .parse()
        .map_err(|_| terminal(Reason::ZoneNotAccessible, format!("Could not access zone: {id} is no zone id")))?;
    let zone = client.zone(token, &id).await.map_err(|error| read_fault(&error, domain))?;
    if !domain.is_within(&zone.name) {
        let message = format!(
            "Could not access zone: spec.dns.cloudflare.zoneID is the zone {}, which {domain} is not in; correct or remove it",
            zone.name
        );
        return Err(terminal(Reason::ZoneNotAccessible, message));
    }
    if zone.is_served() { Ok(zone) } else { Err(not_active(&zone)) }
}

fn picked(zones: &[Zone], domain: &DnsName) -> Result<Zone, Fault> {
    match pick_zone(zones, domain) {
        ZonePick::Found(zone) => Ok(zone.clone()),
        ZonePick::NotActive(zone) => Err(not_active(zone)),
        ZonePick::Ambiguous(zones) => {
            let name = zones.first().map_or_else(|| domain.to_string(), |z| z.name.to_string());
            let message = format!(
                "The token sees {} active zones named {name}; set spec.dns.cloudflare.zoneID to the id of the one to use",
                zones.len()
            );
            Err(terminal(Reason::ZoneAmbiguous, message))
        }
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
    let message = format!(
        "The zone {} is not active at Cloudflare: set the name servers that Cloudflare assigned ({}) at the domain's registrar",
        zone.name,
        zone.name_servers.iter().map(DnsName::as_str).collect::<Vec<_>>().join(", ")
    );
    Fault { reason: Reason::ZonePending, message, class: ErrorClass::Waiting { after: Duration::from_mins(5) } }
}

fn terminal(reason: Reason, message: String) -> Fault {
    Fault { reason, message, class: ErrorClass::Terminal }
}

/// A failed read in the words of a condition.
fn read_fault(error: &Error, domain: &DnsName) -> Fault {
    fault(error, &format!("for {domain}"))
}

/// A failed write in the words of a condition.
pub fn write_fault(error: &Error) -> Fault {
    fault(error, "of the domain")
}

fn fault(error: &Error, whose: &str) -> Fault {
    let (reason, advice) = match error.kind {
        Kind::InvalidToken => (
            Reason::InvalidAPIToken,
            "create a token with Zone Read and DNS Edit and put it into the Secret".to_owned(),
        ),
        Kind::ZoneNotAccessible | Kind::NotFound => {
            (Reason::ZoneNotAccessible, format!("give the token Zone Read and DNS Edit on the zone {whose}"))
        }
        Kind::PermissionDenied => (Reason::RecordWriteDenied, format!("give the token DNS Edit on the zone {whose}")),
        Kind::QuotaExceeded => {
            (Reason::ZoneRecordQuotaExceeded, "remove records that are not needed, or use a larger plan".to_owned())
        }
        Kind::RecordExists => (Reason::Progressing, "the zone is read again".to_owned()),
        Kind::RateLimited => (Reason::RateLimited, "it is tried again when Cloudflare allows".to_owned()),
        Kind::Unavailable => (Reason::CloudflareUnavailable, "it is tried again".to_owned()),
        Kind::Invalid | Kind::Other => (
            Reason::RecordRejected,
            "it is tried again, slowly; compare the records in .status.records with the zone".to_owned(),
        ),
    };
    Fault { reason, message: format!("{error}; {advice}"), class: error.class() }
}
