//! An authoritative DNS server on loopback, UDP and TCP on one free port.
//!
//! [`DnsServer`] owns the sockets and dies with its last owner; [`Dns`] is the handle through which zones, records and
//! faults change at run time. Every change is visible to the next query: nothing is cached here.
//!
//! The same server plays two parts, told apart by the RD bit as on a real combined server:
//!
//! - **Authority** (RD=0): answers from the most specific zone with AA=1, with the SOA in negative answers, refers
//!   below a zone cut, follows a CNAME only inside the zone, and refuses names outside its zones.
//! - **Resolver** (RD=1, answered with RA=1): the same data, CNAMEs followed through all zones. A CNAME whose target is
//!   in none of them is answered as just the CNAME. Outside all zones the world is empty: names above a zone exist
//!   without data, every other one is NXDOMAIN, both with the SOA of a root that has nothing but these zones. REFUSED
//!   would make `hickory-resolver` try other servers and then report a failure instead of an absence.

mod fault;
mod handler;
pub(crate) mod query;
mod value;
mod zone;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::rr::Name;
pub use hickory_proto::rr::RecordType;
use hickory_server::Server;
use tokio::net::{TcpListener, UdpSocket};

pub use fault::Fault;
use fault::Faults;
pub use query::dig;
use zone::{RrSet, Zones};

/// TTL of a record that is set without one, and of the SOA.
pub const DEFAULT_TTL: u32 = 60;
/// TTL of what resolvers answer on their own: short, so that it is soon known to be no copy.
const VIEW_TTL: u32 = 2;
/// Queries kept in the log; older ones are dropped so that a long demo does not grow without end.
const LOG_LIMIT: usize = 100_000;
/// How often a UDP port taken by somebody else is answered by trying another pair.
const BIND_ATTEMPTS: usize = 20;

/// What a caller did wrong, or the machine.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// No socket could be had.
    #[error("cannot listen: {0}")]
    Io(#[from] std::io::Error),
    /// Not a domain name.
    #[error("{0:?} is not a domain name")]
    Name(String),
    /// The value does not fit the type.
    #[error("{value:?} is not the value of a {rtype} record")]
    Value {
        /// The type that was asked for.
        rtype: RecordType,
        /// The value as given.
        value: String,
    },
    /// No zone of this server holds the name.
    #[error("no zone here holds {0}")]
    NoZone(String),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, DnsError>;

/// One query as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Lower case, without the final dot.
    pub name: String,
    /// The type asked for.
    pub rtype: RecordType,
    /// RD=1: asked as a resolver, not as an authority.
    pub recursion_desired: bool,
    /// Over TCP.
    pub tcp: bool,
}

type Views = BTreeMap<(Name, RecordType), View>;

/// What resolvers answer instead of a zone's own records.
#[derive(Debug)]
struct View {
    set: RrSet,
    /// When the copy is thrown away.
    until: Option<Instant>,
}

impl View {
    /// What is answered now, with what is left of the TTL.
    fn now(&self) -> Option<RrSet> {
        let Some(until) = self.until else { return Some(self.set.clone()) };
        let left = until.checked_duration_since(Instant::now())?;
        Some(RrSet { ttl: u32::try_from(left.as_secs()).unwrap_or(u32::MAX), data: self.set.data.clone() })
    }
}

#[derive(Debug, Default)]
struct State {
    zones: Zones,
    /// What resolvers answer instead of the zones' own records.
    views: Views,
    faults: Faults,
    /// How many questions there were for what [`Fault::Hiccup`] is set for.
    hiccups: BTreeMap<(Name, RecordType), usize>,
    log: VecDeque<Query>,
}

/// Handle to a running server: cheap to clone, usable from any thread.
#[derive(Debug, Clone, Default)]
pub struct Dns {
    state: Arc<Mutex<State>>,
}

impl Dns {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panicking test must not hide its message behind the poison of this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a zone: SOA (TTL 60, minimum 30), NS `ns1.<apex>` and its A 127.0.0.1. An existing zone is left alone.
    pub fn add_zone(&self, apex: &str) -> Result<()> {
        let apex = value::name(apex)?;
        self.state().zones.add(&apex)
    }

    /// Ends a zone with everything in it; false if there was none.
    pub fn remove_zone(&self, apex: &str) -> Result<bool> {
        let apex = value::name(apex)?;
        Ok(self.state().zones.remove(&apex))
    }

    /// Apexes of all zones, lower case without the final dot.
    pub fn zones(&self) -> Vec<String> {
        self.state().zones.apexes()
    }

    /// Replaces the set of records of one name and type, in the most specific zone that holds the name.
    ///
    /// Values are in presentation form: a host for CNAME and NS (always absolute, final dot or not), `10 host` for MX,
    /// an address for A and AAAA. TXT is the plain text, without quotes, split here into strings of 255 bytes; quotes
    /// given are served as part of the text. No values removes the set.
    pub fn set(&self, name: &str, rtype: RecordType, values: &[impl AsRef<str>]) -> Result<()> {
        self.set_with_ttl(name, rtype, DEFAULT_TTL, values)
    }

    /// As [`Dns::set`], with a TTL.
    pub fn set_with_ttl(&self, name: &str, rtype: RecordType, ttl: u32, values: &[impl AsRef<str>]) -> Result<()> {
        let name = value::name(name)?;
        let data = values.iter().map(|v| value::parse(rtype, v.as_ref())).collect::<Result<Vec<_>>>()?;
        self.state().zones.set(&name, rtype, RrSet { ttl, data })
    }

    /// Has resolvers (RD=1) answer this for one name and type, whatever the zone says: an old copy, or an internal zone of
    /// the same name. No values: they say that the name does not exist. Ends with [`Dns::clear_views`].
    pub fn set_view(&self, name: &str, rtype: RecordType, values: &[impl AsRef<str>]) -> Result<()> {
        let name = value::name(name)?;
        let data = values.iter().map(|v| value::parse(rtype, v.as_ref())).collect::<Result<Vec<_>>>()?;
        let set = RrSet { ttl: VIEW_TTL, data };
        self.state().views.insert((name, rtype), View { set, until: None });
        Ok(())
    }

    /// Has resolvers (RD=1) go on answering what is at one name and type now for `ttl` seconds, as a cache does: with the
    /// TTL counting down, whatever the zone says meanwhile.
    pub fn remember(&self, name: &str, rtype: RecordType, ttl: u32) -> Result<()> {
        let name = value::name(name)?;
        let mut state = self.state();
        let data = state.zones.get(&name, rtype).map_or_else(Vec::new, |set| set.data.clone());
        let until = Instant::now() + Duration::from_secs(u64::from(ttl));
        state.views.insert((name, rtype), View { set: RrSet { ttl, data }, until: Some(until) });
        Ok(())
    }

    /// Resolvers answer what the zones say again.
    pub fn clear_views(&self) {
        self.state().views.clear();
    }

    /// As [`Dns::set_with_ttl`], in the zone with this apex even if the name is answered from a zone below it. No values
    /// remove the set.
    pub fn set_in(
        &self,
        apex: &str,
        name: &str,
        rtype: RecordType,
        ttl: u32,
        values: &[impl AsRef<str>],
    ) -> Result<()> {
        let (apex, name) = (value::name(apex)?, value::name(name)?);
        let data = values.iter().map(|v| value::parse(rtype, v.as_ref())).collect::<Result<Vec<_>>>()?;
        self.state().zones.set_in(&apex, &name, rtype, RrSet { ttl, data })
    }

    /// Removes the set of records of one name and type; false if there was none.
    pub fn remove(&self, name: &str, rtype: RecordType) -> Result<bool> {
        let name = value::name(name)?;
        Ok(self.state().zones.unset(&name, rtype))
    }

    /// The values of one name and type as [`Dns::set`] takes them; empty if there are none.
    pub fn get(&self, name: &str, rtype: RecordType) -> Result<Vec<String>> {
        let name = value::name(name)?;
        let state = self.state();
        let set = state.zones.get(&name, rtype);
        Ok(set.map_or_else(Vec::new, |set| set.data.iter().map(value::present).collect()))
    }

    /// The SOA serial of the zone with this apex.
    pub fn serial(&self, apex: &str) -> Result<Option<u32>> {
        let apex = value::name(apex)?;
        Ok(self.state().zones.serial(&apex))
    }

    /// Answers queries for a name badly until [`Dns::clear_faults`]. `*.<domain>` means every name below the domain, `*`
    /// every name at all; `None` means every type. The latest fault that fits wins.
    pub fn set_fault(&self, name: &str, rtype: Option<RecordType>, fault: Fault) -> Result<()> {
        self.state().faults.set(name, rtype, fault)
    }

    /// Everything is answered well again.
    pub fn clear_faults(&self) {
        self.state().faults = Faults::default();
    }

    /// The queries so far, oldest first (the last 100,000).
    pub fn queries(&self) -> Vec<Query> {
        self.state().log.iter().cloned().collect()
    }

    /// Forgets the queries so far.
    pub fn reset_queries(&self) {
        self.state().log.clear();
    }

    fn record_query(&self, query: Query) {
        let mut state = self.state();
        if state.log.len() == LOG_LIMIT {
            state.log.pop_front();
        }
        state.log.push_back(query);
    }

    /// True for the first of each two questions.
    fn hiccups(&self, name: &Name, rtype: RecordType) -> bool {
        let mut state = self.state();
        let count = state.hiccups.entry((name.to_lowercase(), rtype)).or_default();
        *count += 1;
        *count % 2 == 1
    }

    fn fault_for(&self, name: &Name, rtype: RecordType) -> Option<Fault> {
        self.state().faults.find(name, rtype)
    }

    fn answer(&self, name: &Name, rtype: RecordType, recursive: bool) -> zone::Answer {
        let state = self.state();
        let view = state.views.get(&(name.to_lowercase(), rtype)).filter(|_| recursive);
        match view.and_then(View::now) {
            Some(view) => state.zones.view(name, &view),
            None => state.zones.answer(name, rtype, recursive),
        }
    }
}

/// A running server. Dropping it closes its sockets.
pub struct DnsServer {
    addr: SocketAddr,
    dns: Dns,
    _server: Server<Dns>,
}

impl DnsServer {
    /// Listens on 127.0.0.1 on a port that is free for both UDP and TCP.
    pub async fn start() -> Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Listens on the given address, for a second name server on the port of the first (127.0.0.2:…). Port 0 takes a
    /// free one.
    pub async fn start_on(addr: SocketAddr) -> Result<Self> {
        let (tcp, udp) = bind_pair(addr).await?;
        let addr = tcp.local_addr()?;
        let dns = Dns::default();
        let mut server = Server::new(dns.clone());
        server.register_socket(udp);
        server.register_listener(tcp, Duration::from_secs(5), 32);
        Ok(Self { addr, dns, _server: server })
    }

    /// Where the server listens, UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Handle for changing what is served.
    pub fn dns(&self) -> Dns {
        self.dns.clone()
    }
}

/// TCP first, then UDP on the same port: the kernel picks a port per protocol, so the pair is tried until both are free.
async fn bind_pair(addr: SocketAddr) -> Result<(TcpListener, UdpSocket)> {
    let mut attempt = 1;
    loop {
        let tcp = TcpListener::bind(addr).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if addr.port() != 0 || attempt == BIND_ATTEMPTS => return Err(error.into()),
            Err(_) => attempt += 1,
        }
    }
}
