//! What the name servers of a zone answer, and whether they agree.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::rr::Name;
use tokio::time::{Instant, timeout_at};

use super::address::is_public;
use super::error::{LookupError, LookupErrorKind};
use super::message::{FromAuthority, Question, Server, Verdict, canonical, from_authority};
use super::{Resolver, Seen, ServerAnswer, Source};

/// How many name servers are asked.
const MAX_ASKED: usize = 4;
/// How many addresses of one name server are tried, each only if the one before cannot be reached.
const MAX_ADDRESSES: usize = 2;
/// How often a delegation further down is followed.
const MAX_REFERRALS: usize = 2;
/// How long, counted from the first question, the others are waited for once one name server has answered: enough for
/// the second try of each.
const STRAGGLERS: Duration = Duration::from_secs(2);

/// What asking the name servers of one zone came to.
enum Polled {
    /// Answered, for better or worse. `stale` if one of them has no authority.
    Settled {
        seen: Seen,
        stale: bool,
    },
    Referral {
        apex: Name,
        servers: Vec<Server>,
    },
    /// Nobody with authority could be reached.
    Unreached(LookupError),
}

/// One name server's answer.
struct Reported {
    server: Name,
    answer: FromAuthority,
}

impl Resolver {
    /// What the name servers of the zone of `question` say. An error if none with authority could be found or reached.
    pub(super) async fn look_authoritative(&self, question: &Question, deadline: Instant) -> Result<Seen, LookupError> {
        let cut = self.cut(&question.name, deadline).await?;
        let (mut zone, mut servers) = (cut.apex.clone(), cut.servers.clone());
        for _ in 0..=MAX_REFERRALS {
            match self.poll(question, &zone, &servers, deadline).await {
                Polled::Settled { seen, stale } => {
                    if stale {
                        self.cuts.forget(&cut.apex);
                    }
                    return Ok(seen);
                }
                Polled::Unreached(error) => {
                    self.cuts.forget(&cut.apex);
                    return Err(error);
                }
                Polled::Referral { apex, servers: further } => {
                    zone = apex;
                    servers = self.with_addresses(further, deadline).await?;
                }
            }
        }
        let error = LookupError::new(LookupErrorKind::TooManyReferrals);
        Ok(Seen::unknown(Source::Authoritative, error, servers.len().min(MAX_ASKED)))
    }

    /// Asks up to four of `servers` at once and compares their answers.
    async fn poll(&self, question: &Question, zone: &Name, servers: &[Server], deadline: Instant) -> Polled {
        let targets = self.targets(servers);
        if targets.is_empty() {
            return Polled::Unreached(LookupError::new(LookupErrorKind::PrivateServers));
        }
        let started = Instant::now();
        // Each report keeps the deadline itself, and knows more about what happened until then than "too late".
        let mut patience = deadline + STRAGGLERS;
        let mut missing: Vec<Name> = targets.iter().map(|server| server.name.clone()).collect();
        let mut running: FuturesUnordered<_> =
            targets.iter().map(|server| self.report(server, question, zone, deadline)).collect();
        let mut reports = Vec::new();
        while let Ok(Some(report)) = timeout_at(patience, running.next()).await {
            if matches!(report.answer, FromAuthority::Definite { .. } | FromAuthority::Referral { .. }) {
                patience = patience.min(started + STRAGGLERS);
            }
            missing.retain(|name| *name != report.server);
            reports.push(report);
        }
        let silent = |server| Reported { server, answer: FromAuthority::Failed(LookupErrorKind::TimedOut) };
        reports.extend(missing.into_iter().map(silent));
        // By name, so that the same state of affairs reads the same each time.
        reports.sort_by(|one, other| one.server.cmp(&other.server));
        judge(reports)
    }

    /// The name servers to ask with the addresses to try; each address only once, and only those that may be asked.
    fn targets(&self, servers: &[Server]) -> Vec<Server> {
        let mut seen: HashSet<IpAddr> = HashSet::new();
        let mut may_ask = |address: &IpAddr| {
            (self.settings.allow_private_nameservers || is_public(*address)) && seen.insert(*address)
        };
        let targets = servers.iter().map(|server| {
            let addresses = server.addresses.iter().copied().filter(&mut may_ask).collect();
            Server { name: server.name.clone(), addresses }
        });
        targets.filter(|server| !server.addresses.is_empty()).take(MAX_ASKED).collect()
    }

    async fn report(&self, server: &Server, question: &Question, zone: &Name, deadline: Instant) -> Reported {
        let mut answer = FromAuthority::Failed(LookupErrorKind::Unreachable);
        for address in first_of_each_family(&server.addresses) {
            let address = SocketAddr::new(address, self.settings.authoritative_port);
            answer = match self.transport.ask_authority(address, question, deadline).await {
                Ok(reply) => from_authority(&reply, question, zone),
                Err(kind) => FromAuthority::Failed(kind),
            };
            // No route to that family, perhaps.
            if !matches!(answer, FromAuthority::Failed(LookupErrorKind::Unreachable)) {
                break;
            }
        }
        Reported { server: server.name.clone(), answer }
    }
}

fn first_of_each_family(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let v4 = addresses.iter().find(|address| address.is_ipv4());
    let v6 = addresses.iter().find(|address| address.is_ipv6());
    v4.into_iter().chain(v6).copied().take(MAX_ADDRESSES)
}

/// Compares the answers. Those without authority are left out; all others must say the same.
fn judge(reports: Vec<Reported>) -> Polled {
    let asked = reports.len();
    let mut verdicts: Vec<Verdict> = Vec::new();
    let mut ttl = None;
    let mut referrals: Vec<(Name, Vec<Server>)> = Vec::new();
    let mut failures: Vec<LookupError> = Vec::new();
    let mut by_server: Vec<ServerAnswer> = Vec::new();
    for Reported { server, answer } in reports {
        let server = canonical(&server);
        let outcome = match answer {
            FromAuthority::Definite { verdict, negative_ttl } => {
                verdicts.push(verdict.clone());
                ttl = ttl.max(negative_ttl);
                Ok(verdict)
            }
            FromAuthority::Referral { apex, servers } => {
                referrals.push((apex, servers));
                continue;
            }
            FromAuthority::Failed(kind) => {
                let failure = LookupError::of_server(kind, &server);
                failures.push(failure.clone());
                Err(failure)
            }
        };
        by_server.push(ServerAnswer { server, answer: super::answer(outcome), again: false });
    }
    let stale = failures.iter().any(|failure| failure.kind() == LookupErrorKind::Lame);
    if verdicts.is_empty() {
        return match referrals.into_iter().min_by(|one, other| one.0.cmp(&other.0)) {
            Some((apex, servers)) => Polled::Referral { apex, servers },
            None => failed(failures, asked, stale),
        };
    }
    let answering = verdicts.len() + referrals.len();
    let (outcome, agreeing) = agree(verdicts, answering);
    let negative_ttl = if outcome.is_ok() { ttl } else { None };
    if agreeing == asked {
        by_server.clear();
    }
    let seen = Seen {
        source: Source::Authoritative,
        outcome,
        negative_ttl,
        asked,
        agreeing,
        positive_ttl: None,
        instead: None,
        by_server,
    };
    Polled::Settled { seen, stale }
}

/// The verdict that all share, or the disagreement; and how many share the most frequent one.
fn agree(mut verdicts: Vec<Verdict>, answering: usize) -> (Result<Verdict, LookupError>, usize) {
    // NXDOMAIN here and NODATA there still agree on what was asked; NODATA claims less. Old servers say NXDOMAIN for
    // names that only have names below them.
    if verdicts.contains(&Verdict::NoData) {
        for verdict in verdicts.iter_mut().filter(|verdict| **verdict == Verdict::NxDomain) {
            *verdict = Verdict::NoData;
        }
    }
    let sharing = |wanted: &Verdict| verdicts.iter().filter(|verdict| *verdict == wanted).count();
    let most = verdicts.iter().max_by_key(|verdict| sharing(verdict)).cloned();
    let agreeing = most.as_ref().map_or(0, sharing);
    match most {
        Some(verdict) if agreeing == answering => (Ok(verdict), agreeing),
        _ => (Err(LookupError::new(LookupErrorKind::Disagreement { agreeing, answering })), agreeing),
    }
}

/// Nobody gave a definite answer. A server that was there and failed settles the matter as unknown; if all are out of
/// reach or have no authority, resolvers may know more.
fn failed(failures: Vec<LookupError>, asked: usize, stale: bool) -> Polled {
    use LookupErrorKind as Kind;
    let out_of_reach =
        |failure: &&LookupError| matches!(failure.kind(), Kind::TimedOut | Kind::Unreachable | Kind::Busy | Kind::Lame);
    if let Some(error) = failures.iter().find(|failure| !out_of_reach(failure)) {
        return Polled::Settled { seen: Seen::unknown(Source::Authoritative, error.clone(), asked), stale };
    }
    let first = failures.into_iter().next();
    Polled::Unreached(first.unwrap_or_else(|| LookupError::new(LookupErrorKind::NoServer)))
}
