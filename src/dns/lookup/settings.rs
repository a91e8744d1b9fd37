//! What the operator is told about DNS: whom to ask, and how long.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::system_conf::read_system_conf;
use reqwest::Url;

/// The port of DNS.
pub(super) const DNS_PORT: u16 = 53;

/// Who is asked (`--dns-check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The zone's name servers; resolvers when those cannot be reached.
    #[default]
    Authoritative,
    /// Resolvers.
    Recursive,
    /// Nobody. Every question is answered with `Unknown`.
    Off,
}

/// The settings of a [`Resolver`](super::Resolver).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who is asked.
    pub mode: Mode,
    /// The resolvers, asked in this order; empty: those of the system (`/etc/resolv.conf`). They may have private
    /// addresses, as a cluster's DNS has.
    pub resolvers: Vec<ResolverAddress>,
    /// The port of name servers. Anything but 53 is for test networks.
    pub authoritative_port: u16,
    /// Ask name servers at private addresses too. For test networks: it lets whoever writes NS records choose where
    /// the operator sends packets.
    pub allow_private_nameservers: bool,
    /// The budget of one question, all tries and servers included; above zero.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            resolvers: Vec::new(),
            authoritative_port: DNS_PORT,
            allow_private_nameservers: false,
            timeout: Duration::from_secs(5),
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The budget is zero.
    #[error("the time-out of DNS questions must be above zero")]
    NoTimeout,
    /// No resolvers were given, and the system has none.
    #[error("no DNS resolvers were given and the system's could not be read: {0}")]
    NoResolvers(String),
    /// The HTTPS client could not be made.
    #[error("the client for DNS over HTTPS could not be made: {0}")]
    Https(#[source] reqwest::Error),
}

/// The system's resolvers.
pub(super) fn system_resolvers() -> Result<Vec<ResolverAddress>, SettingsError> {
    let (config, _) = read_system_conf().map_err(|error| SettingsError::NoResolvers(error.to_string()))?;
    let servers = config.name_servers().iter();
    Ok(servers.map(|server| ResolverAddress::Socket(SocketAddr::new(server.ip, DNS_PORT))).collect())
}

/// Where a resolver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolverAddress {
    /// DNS over UDP and TCP.
    Socket(SocketAddr),
    /// DNS over HTTPS (RFC 8484). Plain http only at loopback addresses.
    Doh(Url),
}

/// As an error names it: the address, or the host of the URL.
impl fmt::Display for ResolverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) if address.port() == DNS_PORT => write!(f, "{}", address.ip()),
            Self::Socket(address) => write!(f, "{address}"),
            Self::Doh(url) => f.write_str(url.host_str().unwrap_or("DNS over HTTPS")),
        }
    }
}

/// A text that is not the address of a resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolverAddressError {
    /// Neither an address nor a URL.
    #[error("{0:?} is not a resolver: give an IP address, IP:port, [IPv6]:port, or an https URL")]
    NotAnAddress(String),
    /// A URL of another scheme.
    #[error("{0:?} is not a URL of DNS over HTTPS: it must start with https://")]
    NotHttps(String),
    /// A URL with a user or password, which is not repeated here.
    #[error("the URL of a resolver must not carry a user or password")]
    Credentials,
    /// Plain http to another host.
    #[error("{0:?} is plain http: allowed at loopback addresses only")]
    PlainHttp(String),
    /// Port 0.
    #[error("{0:?} has port 0")]
    NoPort(String),
}

impl FromStr for ResolverAddress {
    type Err = ResolverAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains("://") {
            return doh(text);
        }
        let address = text.parse::<SocketAddr>().ok().or_else(|| without_port(text));
        match address {
            Some(address) if address.port() == 0 => Err(ResolverAddressError::NoPort(text.to_owned())),
            Some(address) => Ok(Self::Socket(address)),
            None => Err(ResolverAddressError::NotAnAddress(text.to_owned())),
        }
    }
}

fn without_port(text: &str) -> Option<SocketAddr> {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<IpAddr>().ok(),
    };
    address.map(|address| SocketAddr::new(address, DNS_PORT))
}

fn doh(text: &str) -> Result<ResolverAddress, ResolverAddressError> {
    let url = Url::parse(text).map_err(|_| ResolverAddressError::NotAnAddress(text.to_owned()))?;
    let plain = match url.scheme() {
        "https" => false,
        "http" => true,
        _ => return Err(ResolverAddressError::NotHttps(text.to_owned())),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ResolverAddressError::Credentials);
    }
    if plain && !is_loopback(&url) {
        return Err(ResolverAddressError::PlainHttp(text.to_owned()));
    }
    Ok(ResolverAddress::Doh(url))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ResolverAddress, ResolverAddressError> {
        text.parse()
    }

    #[test]
    fn reads_addresses_with_and_without_port() {
        for (text, wanted) in [
            ("1.1.1.1", "1.1.1.1:53"),
            ("1.1.1.1:5353", "1.1.1.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(parse(text), Ok(ResolverAddress::Socket(wanted.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn reads_urls() {
        for text in ["https://dns.google/dns-query", "http://127.0.0.1:8053/dns-query", "http://[::1]:8053/"] {
            assert_eq!(parse(text), Ok(ResolverAddress::Doh(Url::parse(text).unwrap())), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        use ResolverAddressError as E;
        for (text, wanted) in [
            ("", E::NotAnAddress(String::new())),
            ("dns.google", E::NotAnAddress("dns.google".into())),
            ("1.1.1.1:", E::NotAnAddress("1.1.1.1:".into())),
            ("[1.1.1.1]", E::NotAnAddress("[1.1.1.1]".into())),
            ("1.1.1.1:99999", E::NotAnAddress("1.1.1.1:99999".into())),
            ("https://", E::NotAnAddress("https://".into())),
            ("1.1.1.1:0", E::NoPort("1.1.1.1:0".into())),
            ("tls://1.1.1.1", E::NotHttps("tls://1.1.1.1".into())),
            ("https://u:p@dns.google/", E::Credentials),
            ("http://dns.google/dns-query", E::PlainHttp("http://dns.google/dns-query".into())),
            ("http://localhost.example.com/", E::PlainHttp("http://localhost.example.com/".into())),
            ("http://127.0.0.1.example.com/", E::PlainHttp("http://127.0.0.1.example.com/".into())),
        ] {
            assert_eq!(parse(text), Err(wanted), "{text}");
        }
    }
}
