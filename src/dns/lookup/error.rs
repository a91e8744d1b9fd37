//! Why a question to DNS has no answer.

use std::fmt;

use crate::text::printable;

/// How much of a server's name an error shows, in bytes. Names come from other people's DNS.
const SERVER_LIMIT: usize = 80;

/// Why nothing is known. Never to be read as "the record is not there".
///
/// Its text is one short English phrase, safe to show: names in it are escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    kind: LookupErrorKind,
    server: Option<String>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupErrorKind {
    /// No answer within the budget.
    TimedOut,
    /// The network refused: no route, port closed, connection reset.
    Unreachable,
    /// An answer with this error code (SERVFAIL = 2, REFUSED = 5, …).
    Rcode(u16),
    /// A message that cannot be read, or does not fit the question.
    Malformed,
    /// A name server that has no authority over the zone it is listed for.
    Lame,
    /// A negative answer without the SOA that would prove it.
    NoProof,
    /// Name servers with authority give different answers.
    Disagreement {
        /// How many give the most frequent answer.
        agreeing: usize,
        /// How many gave a definite answer at all.
        answering: usize,
    },
    /// A resolver that only knows where to ask further.
    NotRecursive,
    /// A DoH resolver's HTTP status.
    Http(u16),
    /// There is no resolver to ask.
    NoResolver,
    /// No zone was found for the name.
    NoZone,
    /// The zone has no name server with an address.
    NoServer,
    /// All name servers have private addresses and may not be asked.
    PrivateServers,
    /// Delegated further and further.
    TooManyReferrals,
    /// The name cannot be asked for in DNS.
    InvalidName,
    /// No socket was free within the budget.
    Busy,
    /// Look-ups are turned off.
    TurnedOff,
}

impl LookupError {
    /// An error that no one server is responsible for.
    pub fn new(kind: LookupErrorKind) -> Self {
        Self { kind, server: None }
    }

    /// An error of the server with this name or address.
    pub fn of_server(kind: LookupErrorKind, server: impl fmt::Display) -> Self {
        Self { kind, server: Some(printable(&server.to_string(), SERVER_LIMIT)) }
    }

    /// What went wrong.
    pub fn kind(&self) -> LookupErrorKind {
        self.kind
    }

    /// A bounded label for metrics.
    pub fn label(&self) -> &'static str {
        match self.kind {
            LookupErrorKind::TimedOut => "timed_out",
            LookupErrorKind::Unreachable => "unreachable",
            LookupErrorKind::Rcode(2) => "servfail",
            LookupErrorKind::Rcode(5) => "refused",
            LookupErrorKind::Rcode(_) => "rcode",
            LookupErrorKind::Malformed => "malformed",
            LookupErrorKind::Lame => "lame",
            LookupErrorKind::NoProof => "no_proof",
            LookupErrorKind::Disagreement { .. } => "disagreement",
            LookupErrorKind::NotRecursive => "not_recursive",
            LookupErrorKind::Http(_) => "http",
            LookupErrorKind::NoResolver => "no_resolver",
            LookupErrorKind::NoZone => "no_zone",
            LookupErrorKind::NoServer => "no_server",
            LookupErrorKind::PrivateServers => "private_servers",
            LookupErrorKind::TooManyReferrals => "too_many_referrals",
            LookupErrorKind::InvalidName => "invalid_name",
            LookupErrorKind::Busy => "busy",
            LookupErrorKind::TurnedOff => "turned_off",
        }
    }

    /// True if the server itself said SERVFAIL, as a validating resolver does for a bogus DNSSEC signature.
    pub fn is_servfail(&self) -> bool {
        self.kind == LookupErrorKind::Rcode(2)
    }
}

impl std::error::Error for LookupError {}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.as_deref();
        let subject = server.unwrap_or("name servers");
        let from = server.unwrap_or("the name servers");
        match self.kind {
            LookupErrorKind::TimedOut => write!(f, "{subject} did not answer in time"),
            LookupErrorKind::Unreachable => write!(f, "{subject} could not be reached"),
            LookupErrorKind::Rcode(code) => write!(f, "{} from {from}", Rcode(code)),
            LookupErrorKind::Malformed => write!(f, "unreadable answer from {from}"),
            LookupErrorKind::Lame => write!(f, "no authority over the zone at {from}"),
            LookupErrorKind::NoProof => write!(f, "negative answer without SOA from {from}"),
            LookupErrorKind::Disagreement { agreeing, answering } => {
                write!(f, "name servers disagree: {agreeing} of {answering} give the same answer")
            }
            LookupErrorKind::NotRecursive => write!(f, "no recursion at {from}"),
            LookupErrorKind::Http(status) => write!(f, "HTTP status {status} from {from}"),
            LookupErrorKind::NoResolver => f.write_str("no DNS resolver is configured"),
            LookupErrorKind::NoZone => f.write_str("no zone was found for the name"),
            LookupErrorKind::NoServer => f.write_str("the zone's name servers have no address"),
            LookupErrorKind::PrivateServers => f.write_str("the zone's name servers have private addresses only"),
            LookupErrorKind::TooManyReferrals => f.write_str("too many delegations"),
            LookupErrorKind::InvalidName => f.write_str("not a name that DNS can hold"),
            LookupErrorKind::Busy => f.write_str("too many look-ups at once"),
            LookupErrorKind::TurnedOff => f.write_str("DNS look-ups are turned off"),
        }
    }
}

/// An error code by the name that other DNS tools use.
struct Rcode(u16);

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("FORMERR"),
            2 => f.write_str("SERVFAIL"),
            4 => f.write_str("NOTIMP"),
            5 => f.write_str("REFUSED"),
            9 => f.write_str("NOTAUTH"),
            16 => f.write_str("BADVERS"),
            code => write!(f, "RCODE {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_phrase() {
        for (error, text) in [
            (LookupError::new(LookupErrorKind::TimedOut), "name servers did not answer in time"),
            (
                LookupError::of_server(LookupErrorKind::TimedOut, "ns1.example.com"),
                "ns1.example.com did not answer in time",
            ),
            (LookupError::of_server(LookupErrorKind::Rcode(2), "ns1.example.com"), "SERVFAIL from ns1.example.com"),
            (LookupError::of_server(LookupErrorKind::Rcode(4095), "10.0.0.1"), "RCODE 4095 from 10.0.0.1"),
            (
                LookupError::new(LookupErrorKind::Disagreement { agreeing: 2, answering: 3 }),
                "name servers disagree: 2 of 3 give the same answer",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn shows_no_control_characters_and_no_endless_names() {
        let error = LookupError::of_server(LookupErrorKind::Malformed, "evil\u{1b}[31m\n\u{202e}");
        assert_eq!(error.to_string(), "unreadable answer from evil\\u{1b}[31m\\n\\u{202e}");
        let error = LookupError::of_server(LookupErrorKind::Malformed, "ä".repeat(10_000));
        assert!(error.to_string().chars().count() < 120);
    }
}
