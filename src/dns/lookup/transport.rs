//! Bringing one question to one server and its answer back: UDP, TCP, HTTPS.
//!
//! Plain sockets, because hickory-resolver chases CNAMEs, answers some names by itself and blurs SERVFAIL, REFUSED and
//! "nothing there" (tried with 0.26.3): the differences that this module exists for.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use reqwest::{Url, header, redirect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::error::LookupErrorKind;
use super::message::{Asking, Question};
use super::settings::{ResolverAddress, SettingsError};

/// Sockets to name servers at once.
const AUTHORITY_SOCKETS: usize = 256;
/// Sockets to resolvers at once. Kept apart, so that name servers that never answer cannot keep the resolvers from
/// being asked.
const RESOLVER_SOCKETS: usize = 128;
/// When a question is sent again over UDP, once.
const RESEND_AFTER: Duration = Duration::from_secs(1);
/// How many datagrams that are no answer are put up with.
const MAX_NOISE: usize = 32;
/// The largest DNS message.
const MAX_MESSAGE: usize = 65_535;

const DNS_MESSAGE: &str = "application/dns-message";

/// The sockets of one resolver.
pub(super) struct Transport {
    authorities: Semaphore,
    resolvers: Semaphore,
    https: Option<reqwest::Client>,
}

/// What UDP brought back.
enum Datagram {
    Answer(Box<Message>),
    Truncated,
}

impl Transport {
    /// A transport; with an HTTPS client only if there is a DoH resolver.
    pub(super) fn new(resolvers: &[ResolverAddress]) -> Result<Self, SettingsError> {
        let https = if resolvers.iter().any(|resolver| matches!(resolver, ResolverAddress::Doh(_))) {
            // A redirect could lead anywhere, plain http included.
            let builder = reqwest::Client::builder().redirect(redirect::Policy::none());
            Some(builder.build().map_err(SettingsError::Https)?)
        } else {
            None
        };
        Ok(Self { authorities: Semaphore::new(AUTHORITY_SOCKETS), resolvers: Semaphore::new(RESOLVER_SOCKETS), https })
    }

    /// Asks a name server. The answer fits the question; its code may be anything.
    pub(super) async fn ask_authority(
        &self,
        server: SocketAddr,
        question: &Question,
        deadline: Instant,
    ) -> Result<Message, LookupErrorKind> {
        let _permit = permit(&self.authorities, deadline).await?;
        plain(server, question, Asking::Authority, deadline).await
    }

    /// Asks a resolver. The answer fits the question; its code may be anything.
    pub(super) async fn ask_resolver(
        &self,
        resolver: &ResolverAddress,
        question: &Question,
        asking: Asking,
        deadline: Instant,
    ) -> Result<Message, LookupErrorKind> {
        let _permit = permit(&self.resolvers, deadline).await?;
        match (resolver, &self.https) {
            (ResolverAddress::Socket(address), _) => plain(*address, question, asking, deadline).await,
            (ResolverAddress::Doh(url), Some(client)) => {
                let asked = doh(client, url, question, asking);
                timeout_at(deadline, asked).await.unwrap_or(Err(LookupErrorKind::TimedOut))
            }
            (ResolverAddress::Doh(_), None) => Err(LookupErrorKind::NoResolver),
        }
    }
}

async fn permit(sockets: &Semaphore, deadline: Instant) -> Result<tokio::sync::SemaphorePermit<'_>, LookupErrorKind> {
    match timeout_at(deadline, sockets.acquire()).await {
        // Permits come free when the budgets of others end, which is often the end of this one too.
        Ok(Ok(permit)) if Instant::now() < deadline => Ok(permit),
        Ok(_) | Err(_) => Err(LookupErrorKind::Busy),
    }
}

/// UDP, without EDNS if the server does not take it, and TCP if the answer is cut.
async fn plain(
    server: SocketAddr,
    question: &Question,
    asking: Asking,
    deadline: Instant,
) -> Result<Message, LookupErrorKind> {
    let mut edns = true;
    let mut datagram = udp(server, question, asking, edns, deadline).await?;
    if matches!(&datagram, Datagram::Answer(reply) if refuses_edns(reply)) {
        edns = false;
        datagram = udp(server, question, asking, edns, deadline).await?;
    }
    match datagram {
        Datagram::Answer(reply) => Ok(*reply),
        Datagram::Truncated => {
            let answer = tcp(server, question, asking, edns);
            timeout_at(deadline, answer).await.unwrap_or(Err(LookupErrorKind::TimedOut))
        }
    }
}

/// RFC 6891: servers without EDNS say FORMERR or NOTIMP, and show none of their own.
fn refuses_edns(reply: &Message) -> bool {
    matches!(reply.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp) && reply.edns.is_none()
}

async fn udp(
    server: SocketAddr,
    question: &Question,
    asking: Asking,
    edns: bool,
    deadline: Instant,
) -> Result<Datagram, LookupErrorKind> {
    // A socket and an id of its own for every question, connected: a forger has to guess port and id, and the kernel
    // keeps other senders out.
    let socket = connect(server).await.map_err(|_| LookupErrorKind::Unreachable)?;
    let id = rand::random();
    let request = question.encode(id, asking, edns)?;
    socket.send(&request).await.map_err(|_| LookupErrorKind::Unreachable)?;
    let mut resend = Some(Instant::now() + RESEND_AFTER).filter(|at| *at < deadline);
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut noise = 0;
    while noise < MAX_NOISE {
        match timeout_at(resend.unwrap_or(deadline), socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => match read(buffer.get(..length).unwrap_or_default(), id, question) {
                Some(datagram) => return Ok(datagram),
                // Not an error yet: the real answer may be behind a forged one.
                None => noise += 1,
            },
            Ok(Err(_)) => return Err(LookupErrorKind::Unreachable),
            Err(_) if resend.take().is_some() => {
                socket.send(&request).await.map_err(|_| LookupErrorKind::Unreachable)?;
            }
            Err(_) => break,
        }
    }
    Err(if noise > 0 { LookupErrorKind::Malformed } else { LookupErrorKind::TimedOut })
}

async fn connect(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr =
        if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

fn read(bytes: &[u8], id: u16, question: &Question) -> Option<Datagram> {
    match Message::from_vec(bytes) {
        Ok(reply) if !question.is_answered_by(&reply, id) => None,
        Ok(reply) if reply.metadata.truncation => Some(Datagram::Truncated),
        Ok(reply) => Some(Datagram::Answer(Box::new(reply))),
        // Some servers cut in the middle of a record. The header is enough to know that TCP has the whole.
        Err(_) if is_truncated(bytes, id) => Some(Datagram::Truncated),
        Err(_) => None,
    }
}

fn is_truncated(bytes: &[u8], id: u16) -> bool {
    const QR: u8 = 0x80;
    const TC: u8 = 0x02;
    match bytes {
        [high, low, flags, ..] => u16::from_be_bytes([*high, *low]) == id && flags & QR != 0 && flags & TC != 0,
        _ => false,
    }
}

async fn tcp(server: SocketAddr, question: &Question, asking: Asking, edns: bool) -> Result<Message, LookupErrorKind> {
    let id = rand::random();
    let request = question.encode(id, asking, edns)?;
    let bytes = exchange(server, &request).await.map_err(|_| LookupErrorKind::Unreachable)?;
    fitting(&bytes, id, question)
}

async fn exchange(server: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u16::try_from(request.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    // In one piece: some servers cannot take the length alone.
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn fitting(bytes: &[u8], id: u16, question: &Question) -> Result<Message, LookupErrorKind> {
    Message::from_vec(bytes).ok().filter(|reply| question.is_answered_by(reply, id)).ok_or(LookupErrorKind::Malformed)
}

async fn doh(
    client: &reqwest::Client,
    url: &Url,
    question: &Question,
    asking: Asking,
) -> Result<Message, LookupErrorKind> {
    // RFC 8484: id 0, so that equal questions are equal requests.
    const ID: u16 = 0;
    let request = client
        .post(url.clone())
        .header(header::CONTENT_TYPE, DNS_MESSAGE)
        .header(header::ACCEPT, DNS_MESSAGE)
        .body(question.encode(ID, asking, true)?);
    let mut response = request.send().await.map_err(|_| LookupErrorKind::Unreachable)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(LookupErrorKind::Http(response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| LookupErrorKind::Unreachable)? {
        if bytes.len() + chunk.len() > MAX_MESSAGE {
            return Err(LookupErrorKind::Malformed);
        }
        bytes.extend_from_slice(&chunk);
    }
    fitting(&bytes, ID, question)
}
