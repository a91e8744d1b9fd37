//! Which zone a name lies in and who its name servers are, as resolvers say, remembered for a few minutes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType as WireType};
use tokio::time::Instant;

use super::Resolver;
use super::error::{LookupError, LookupErrorKind};
use super::message::{
    Asking, Question, Server, addresses_along_chain, canonical, has_cname, name_servers, soa, wire_name,
};
use crate::dns::record::DnsName;

/// How many labels are tried on the way up to a zone.
const MAX_STEPS: usize = 10;
/// How many name servers of a zone are looked up.
const MAX_SERVERS: usize = 8;
/// How long a zone cut is remembered at most; shorter if its TTL is.
const MAX_AGE: u32 = 300;
/// How many names are remembered.
const MAX_CUTS: usize = 16_384;

/// Where a zone starts and who serves it, as resolvers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneCut {
    /// The name of the zone.
    pub apex: DnsName,
    /// Name servers with each of their addresses, by name; at most 8 names. Those without an address are left out.
    pub servers: Vec<(DnsName, IpAddr)>,
    /// The primary name server that the SOA names.
    pub primary: DnsName,
    /// The serial number of the SOA.
    pub serial: u32,
}

/// A zone cut in the form that questions need.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) apex: Name,
    pub(super) servers: Vec<Server>,
    start: Start,
    expires: Instant,
}

/// What the SOA of a zone says.
#[derive(Clone, Debug)]
struct Start {
    primary: DnsName,
    serial: u32,
    ttl: u32,
}

impl Cut {
    fn publish(&self) -> ZoneCut {
        let pairs = self.servers.iter().flat_map(|server| {
            let name = canonical(&server.name);
            server.addresses.iter().map(move |address| (name.clone(), *address))
        });
        ZoneCut {
            apex: canonical(&self.apex),
            servers: pairs.collect(),
            primary: self.start.primary.clone(),
            serial: self.start.serial,
        }
    }
}

/// The zone cuts of names asked about lately.
#[derive(Default)]
pub(super) struct Cuts(Mutex<HashMap<Name, Arc<Cut>>>);

impl Cuts {
    fn get(&self, name: &Name) -> Option<Arc<Cut>> {
        self.lock().get(name).filter(|cut| cut.expires > Instant::now()).cloned()
    }

    /// Remembers `cut` for `name`, unless there is no room: forgetting is always safe.
    fn insert(&self, name: Name, cut: Arc<Cut>) {
        let mut cuts = self.lock();
        if cuts.len() >= MAX_CUTS {
            let now = Instant::now();
            cuts.retain(|_, cut| cut.expires > now);
        }
        if cuts.len() < MAX_CUTS {
            cuts.insert(name, cut);
        }
    }

    /// Forgets all names of the zone, because its name servers have moved or stopped.
    pub(super) fn forget(&self, apex: &Name) {
        self.lock().retain(|_, cut| cut.apex != *apex);
    }

    /// A panic elsewhere leaves the map whole: every change to it is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Arc<Cut>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// The zone that `name` lies in and its name servers, as resolvers see them now: what was remembered is asked anew. Not
    /// limited to public addresses: nothing is sent to them.
    pub async fn name_servers(&self, name: &DnsName) -> Result<ZoneCut, LookupError> {
        self.check_enabled()?;
        let deadline = Instant::now() + self.settings.timeout;
        let name = wire_name(name)?;
        if let Some(cut) = self.cuts.get(&name) {
            self.cuts.forget(&cut.apex);
        }
        Ok(self.cut(&name, deadline).await?.publish())
    }

    /// The zone cut of `name`, from memory or from the resolvers.
    pub(super) async fn cut(&self, name: &Name, deadline: Instant) -> Result<Arc<Cut>, LookupError> {
        if let Some(cut) = self.cuts.get(name) {
            return Ok(cut);
        }
        let (apex, start) = self.apex(name, deadline).await?;
        let cut = match self.cuts.get(&apex) {
            Some(cut) => cut,
            None => Arc::new(self.servers_of(apex, start, deadline).await?),
        };
        self.cuts.insert(cut.apex.clone(), Arc::clone(&cut));
        self.cuts.insert(name.clone(), Arc::clone(&cut));
        Ok(cut)
    }

    /// Walks up from `name` to where its zone starts.
    async fn apex(&self, name: &Name, deadline: Instant) -> Result<(Name, Start), LookupError> {
        let mut failure = None;
        let mut candidate = name.clone();
        for _ in 0..MAX_STEPS {
            if candidate.is_root() {
                break;
            }
            let question = Question::new(candidate.to_lowercase(), WireType::SOA);
            // Unvalidated: a zone with broken DNSSEC has name servers all the same.
            match self.resolve(&question, Asking::ResolverUnvalidated, deadline).await {
                Ok(resolved) => {
                    if let Some(found) = start_of_zone(&resolved.reply, &question.name) {
                        return Ok(found);
                    }
                }
                // A zone whose name servers are all broken: the one above can still tell.
                Err(error) if matches!(error.kind(), LookupErrorKind::Rcode(_)) => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
            candidate = candidate.base_name();
        }
        Err(failure.unwrap_or_else(|| LookupError::new(LookupErrorKind::NoZone)))
    }

    async fn servers_of(&self, apex: Name, start: Start, deadline: Instant) -> Result<Cut, LookupError> {
        let question = Question::new(apex.clone(), WireType::NS);
        let reply = self.resolve(&question, Asking::ResolverUnvalidated, deadline).await?.reply;
        let names = name_servers(&reply.answers, &apex);
        let ttl = reply.answers.iter().map(|record| record.ttl).fold(start.ttl, u32::min).min(MAX_AGE);
        let servers = names.into_iter().map(|name| Server { name, addresses: Vec::new() }).collect();
        let servers = self.with_addresses(servers, deadline).await?;
        Ok(Cut { apex, servers, start, expires: Instant::now() + Duration::from_secs(u64::from(ttl)) })
    }

    /// Looks up the addresses of those servers that have none yet, and leaves out those that have none at all.
    pub(super) async fn with_addresses(
        &self,
        mut servers: Vec<Server>,
        deadline: Instant,
    ) -> Result<Vec<Server>, LookupError> {
        servers.truncate(MAX_SERVERS);
        let lookups = servers.into_iter().map(|server| async {
            if server.addresses.is_empty() {
                let addresses = self.addresses_of(&server.name, deadline).await?;
                return Ok(Server { addresses, ..server });
            }
            Ok(server)
        });
        let mut failure = LookupError::new(LookupErrorKind::NoServer);
        let mut found = Vec::new();
        for server in join_all(lookups).await {
            match server {
                Ok(server) if !server.addresses.is_empty() => found.push(server),
                Ok(_) => {}
                Err(error) => failure = error,
            }
        }
        if found.is_empty() { Err(failure) } else { Ok(found) }
    }

    /// IPv4 first: more clusters can reach it.
    async fn addresses_of(&self, name: &Name, deadline: Instant) -> Result<Vec<IpAddr>, LookupError> {
        let ask = async |record_type| {
            let question = Question::new(name.clone(), record_type);
            let resolved = self.resolve(&question, Asking::ResolverUnvalidated, deadline).await?;
            Ok(addresses_along_chain(&resolved.reply.answers, name))
        };
        match tokio::join!(ask(WireType::A), ask(WireType::AAAA)) {
            (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => Ok(found),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// The zone that `reply`, to a question for the SOA of `name`, puts `name` in. With an alias at the name, a resolver
/// answers with the SOA of the alias's target, which says nothing about the name, even if it happens to lie above it.
fn start_of_zone(reply: &Message, name: &Name) -> Option<(Name, Start)> {
    if has_cname(reply, name) {
        return None;
    }
    let (record, soa) = soa(&reply.answers, name)
        .filter(|(record, _)| record.name == *name)
        .or_else(|| soa(&reply.authorities, name))?;
    let apex = record.name.to_lowercase();
    (!apex.is_root()).then(|| {
        let start = Start { primary: canonical(&soa.mname), serial: soa.serial, ttl: record.ttl };
        (apex, start)
    })
}
