//! What the world sees of a DNS name.
//!
//! The name servers of the zone are asked themselves, all of them (up to four), and compared; resolvers are asked for
//! where those are, and instead of them when they cannot be reached. *Unknown is not absent*: a time-out, an error
//! code or a disagreement is [`Answer::Unknown`], and only a server that has the authority to say so (or a resolver's
//! definite word) makes a record absent.
//!
//! ```text
//! settings ─► mod (Resolver) ─► authority ─┬─► transport ─► sockets
//!                   │             │  zone ─┤
//!                   └─► recursive ◄────────┘       message: questions and answers, pure
//!                                                  address: who may be asked, pure
//! ```
//!
//! All names are asked as absolute names, and answers are bounded: 64 sockets, one budget per question, 64 KiB per
//! message, 64 records per answer, 8 aliases, 2 delegations.

mod address;
mod authority;
mod error;
mod message;
mod recursive;
mod settings;
mod transport;
mod zone;

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::rr::RecordType as WireType;
use tokio::time::Instant;
use tracing::Instrument;

use self::message::{Asking, Datum, Question, Verdict, wire_name, wire_type};
use self::transport::Transport;
use self::zone::Cuts;
use super::record::{DnsName, RecordData, RecordType};
use crate::stage;
use crate::telemetry::metrics::{Metrics, Upstream};

pub use self::address::is_public;
pub use self::error::{LookupError, LookupErrorKind};
pub use self::settings::{Mode, ResolverAddress, ResolverAddressError, Settings, SettingsError};
pub use self::zone::ZoneCut;

/// What was asked of DNS came back as…
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The records of the asked type, or the CNAME that sits at the name instead. Sorted, never empty, at most 64.
    Records(Vec<RecordData>),
    /// The name exists, without a record of the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Nobody gave a definite answer. Not to be read as absent.
    Unknown(LookupError),
}

/// Who gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The name servers of the zone.
    Authoritative,
    /// Resolvers.
    Recursive,
}

/// The result of one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Who gave the answer.
    pub source: Source,
    /// The answer.
    pub answer: Answer,
    /// For `NoData` and `NxDomain`: how long resolvers remember that, at most 3 hours.
    pub negative_ttl: Option<Duration>,
    /// How many servers were asked.
    pub servers_asked: usize,
    /// How many of them gave the answer; with a disagreement, the most frequent one.
    pub servers_agreeing: usize,
    /// For records that resolvers answer: how long they keep them yet, at most a day.
    pub positive_ttl: Option<Duration>,
    /// Why resolvers gave the answer that the name servers were asked for.
    pub instead: Option<LookupErrorKind>,
    /// What each name server said, by name; empty if all said the same.
    pub by_server: Vec<ServerAnswer>,
}

/// What one of several name servers said that do not all say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// The name server.
    pub server: DnsName,
    /// What it said.
    pub answer: Answer,
    /// True if it said so the last time too: a lost packet is no news.
    pub again: bool,
}

impl Lookup {
    /// Of a question that was not answered in time.
    pub fn too_late() -> Self {
        Seen::unknown(Source::Recursive, LookupError::new(LookupErrorKind::TimedOut), 0).publish()
    }

    /// True if the name servers are at private addresses, which the operator may not ask and the world cannot: resolvers
    /// told of an internal zone, and what they said of it proves nothing.
    pub fn is_internal(&self) -> bool {
        self.instead == Some(LookupErrorKind::PrivateServers)
    }

    /// Takes note of which name servers said the same in `last`. Of one that does not answer, the reason does not matter.
    #[must_use]
    pub fn compared_with(mut self, last: Option<&Self>) -> Self {
        let same = |one: &Answer, other: &Answer| match (one, other) {
            (Answer::Unknown(_), Answer::Unknown(_)) => true,
            _ => one == other,
        };
        for said in &mut self.by_server {
            let before = last.and_then(|last| last.by_server.iter().find(|b| b.server == said.server));
            said.again = before.is_some_and(|before| same(&before.answer, &said.answer));
        }
        self
    }
}

/// The addresses at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// A and AAAA records at the name itself: what a proxied or flattened CNAME turns into. Sorted, never empty.
    Found(Vec<IpAddr>),
    /// An alias sits at the name; it is not followed.
    Alias(DnsName),
    /// The name exists, without an address.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Nobody gave a definite answer.
    Unknown(LookupError),
}

/// Asks DNS. One per process: it bounds sockets and remembers zone cuts.
pub struct Resolver {
    settings: Settings,
    /// Those of the settings, or the system's.
    resolvers: Vec<ResolverAddress>,
    transport: Transport,
    cuts: Cuts,
    metrics: Metrics,
}

/// What asking came to, before it is told in terms of the record model.
#[derive(Debug)]
struct Seen {
    source: Source,
    outcome: Result<Verdict, LookupError>,
    negative_ttl: Option<Duration>,
    asked: usize,
    agreeing: usize,
    positive_ttl: Option<Duration>,
    instead: Option<LookupErrorKind>,
    by_server: Vec<ServerAnswer>,
}

impl Seen {
    fn unknown(source: Source, error: LookupError, asked: usize) -> Self {
        Self {
            source,
            outcome: Err(error),
            negative_ttl: None,
            asked,
            agreeing: 0,
            positive_ttl: None,
            instead: None,
            by_server: Vec::new(),
        }
    }

    /// A bounded label for metrics. That a record is not there is an answer, too.
    fn label(&self) -> &'static str {
        self.outcome.as_ref().map_or_else(LookupError::label, |_| "ok")
    }

    fn publish(self) -> Lookup {
        Lookup {
            source: self.source,
            answer: answer(self.outcome),
            negative_ttl: self.negative_ttl,
            servers_asked: self.asked,
            servers_agreeing: self.agreeing,
            positive_ttl: self.positive_ttl,
            instead: self.instead,
            by_server: self.by_server,
        }
    }
}

fn answer(outcome: Result<Verdict, LookupError>) -> Answer {
    match outcome {
        Ok(Verdict::Data(data)) => Answer::Records(data.into_iter().filter_map(record).collect()),
        Ok(Verdict::NoData) => Answer::NoData,
        Ok(Verdict::NxDomain) => Answer::NxDomain,
        Err(error) => Answer::Unknown(error),
    }
}

fn record(datum: Datum) -> Option<RecordData> {
    match datum {
        Datum::Record(data) => Some(data),
        Datum::Address(_) => None,
    }
}

impl Resolver {
    /// A resolver with these settings. Reads the system's resolvers if none are given, unless look-ups are off.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        if settings.timeout.is_zero() {
            return Err(SettingsError::NoTimeout);
        }
        let resolvers = if settings.resolvers.is_empty() && settings.mode != Mode::Off {
            settings::system_resolvers()?
        } else {
            settings.resolvers.clone()
        };
        let transport = Transport::new(&resolvers)?;
        Ok(Self { settings, resolvers, transport, cuts: Cuts::default(), metrics: Metrics::default() })
    }

    /// The same resolver, which counts its questions in `metrics`.
    #[must_use]
    pub fn counted_in(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// What the world sees at `name`: by the name servers of its zone or by resolvers, as the mode says.
    pub async fn ask(&self, name: &DnsName, record_type: RecordType) -> Lookup {
        match wire_name(name) {
            Ok(name) => self.look(&Question::new(name, wire_type(record_type))).await.publish(),
            Err(error) => Seen::unknown(Source::Recursive, error, 0).publish(),
        }
    }

    /// What resolvers see at `name`, whatever the mode (but `Off`).
    pub async fn ask_recursive(&self, name: &DnsName, record_type: RecordType) -> Lookup {
        self.ask_resolvers(name, record_type, Asking::Resolver).await
    }

    /// What resolvers see at `name` if they do not validate DNSSEC. A definite answer here after a
    /// [SERVFAIL](LookupError::is_servfail) from [`ask_recursive`](Self::ask_recursive) means that signatures are
    /// broken.
    pub async fn ask_recursive_unvalidated(&self, name: &DnsName, record_type: RecordType) -> Lookup {
        self.ask_resolvers(name, record_type, Asking::ResolverUnvalidated).await
    }

    /// The addresses at `name` itself, asked as [`ask`](Self::ask) asks.
    pub async fn addresses(&self, name: &DnsName) -> Addresses {
        let name = match wire_name(name) {
            Ok(name) => name,
            Err(error) => return Addresses::Unknown(error),
        };
        let (v4, v6) = (Question::new(name.clone(), WireType::A), Question::new(name, WireType::AAAA));
        let (v4, v6) = tokio::join!(self.look(&v4), self.look(&v6));
        join_addresses(v4.outcome, v6.outcome)
    }

    async fn ask_resolvers(&self, name: &DnsName, record_type: RecordType, asking: Asking) -> Lookup {
        let name = match self.check_enabled().and_then(|()| wire_name(name)) {
            Ok(name) => name,
            Err(error) => return Seen::unknown(Source::Recursive, error, 0).publish(),
        };
        let deadline = Instant::now() + self.settings.timeout;
        self.ask_resolver(&Question::new(name, wire_type(record_type)), asking, deadline).await.publish()
    }

    async fn look(&self, question: &Question) -> Seen {
        if let Err(error) = self.check_enabled() {
            return Seen::unknown(Source::Recursive, error, 0);
        }
        let started = Instant::now();
        let mut instead = None;
        if self.settings.mode == Mode::Authoritative {
            // Leaves time to ask the resolvers, with a second try.
            let deadline = started + self.settings.timeout * 3 / 5;
            let span = stage!("dns", otel.name = "AskNameServers", otel.kind = "client");
            let asked = self.look_authoritative(question, deadline).instrument(span).await;
            self.count(Source::Authoritative, asked.as_ref().map_or_else(LookupError::label, Seen::label), started);
            match asked {
                Ok(seen) => return seen,
                Err(error) => instead = Some(error.kind()),
            }
        }
        let seen = self.ask_resolver(question, Asking::Resolver, started + self.settings.timeout).await;
        Seen { instead, ..seen }
    }

    async fn ask_resolver(&self, question: &Question, asking: Asking, deadline: Instant) -> Seen {
        let began = Instant::now();
        let span = stage!("dns", otel.name = "AskResolvers", otel.kind = "client");
        let seen = self.look_recursive(question, asking, deadline).instrument(span).await;
        self.count(Source::Recursive, seen.label(), began);
        seen
    }

    fn count(&self, source: Source, outcome: &'static str, began: Instant) {
        let operation = match source {
            Source::Authoritative => "AskNameServers",
            Source::Recursive => "AskResolvers",
        };
        self.metrics.upstream(Upstream::Dns, operation, outcome, began.elapsed());
    }

    fn check_enabled(&self) -> Result<(), LookupError> {
        match self.settings.mode {
            Mode::Off => Err(LookupError::new(LookupErrorKind::TurnedOff)),
            Mode::Authoritative | Mode::Recursive => Ok(()),
        }
    }
}

fn join_addresses(v4: Result<Verdict, LookupError>, v6: Result<Verdict, LookupError>) -> Addresses {
    let mut addresses = Vec::new();
    let mut negative = Addresses::NxDomain;
    let mut failure = None;
    for outcome in [v4, v6] {
        match outcome {
            Ok(Verdict::Data(data)) => {
                for datum in data {
                    match datum {
                        Datum::Record(RecordData::Cname(target)) => return Addresses::Alias(target),
                        Datum::Address(address) => addresses.push(address),
                        Datum::Record(_) => {}
                    }
                }
            }
            Ok(Verdict::NoData) => negative = Addresses::NoData,
            Ok(Verdict::NxDomain) => {}
            Err(error) => failure = Some(error),
        }
    }
    if !addresses.is_empty() {
        return Addresses::Found(addresses);
    }
    failure.map_or(negative, Addresses::Unknown)
}
