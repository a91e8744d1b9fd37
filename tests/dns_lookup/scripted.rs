//! A name server that says exactly what a test wants, over UDP and TCP at one address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

/// The zone of most tests.
pub(crate) const ZONE: &str = "example.test.";
/// The name of most questions.
pub(crate) const NAME: &str = "bounce.example.test.";

/// How a question came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    Udp,
    Tcp,
}

/// What a server does with a question: the messages it sends back.
pub(crate) type Script = Arc<dyn Fn(&Message, Via) -> Vec<Vec<u8>> + Send + Sync>;

/// A running server; stops when dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    queries: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Scripted {
    /// Serves `script` at a free port of 127.0.0.1.
    pub(crate) async fn start(script: Script) -> Self {
        let (socket, listener) = sockets().await;
        Self::serve(socket, Some(listener), script)
    }

    /// Serves `script` at a free port of `::1`, over UDP alone. None if the machine has no IPv6.
    pub(crate) async fn start_v6(script: Script) -> Option<Self> {
        let socket = UdpSocket::bind("[::1]:0").await.ok()?;
        Some(Self::serve(socket, None, script))
    }

    /// Serves `script` at this address; without `tcp`, connections hang.
    async fn start_at(ip: Ipv4Addr, port: u16, tcp: bool, script: Script) -> std::io::Result<Self> {
        let listener = TcpListener::bind((ip, port)).await?;
        let socket = UdpSocket::bind(listener.local_addr()?).await?;
        if tcp {
            return Ok(Self::serve(socket, Some(listener), script));
        }
        let mut server = Self::serve(socket, None, script);
        server.tasks.push(tokio::spawn(async move {
            let _open = listener;
            std::future::pending::<()>().await;
        }));
        Ok(server)
    }

    fn serve(socket: UdpSocket, listener: Option<TcpListener>, script: Script) -> Self {
        let address = socket.local_addr().unwrap();
        let queries = Arc::new(AtomicUsize::new(0));
        let mut tasks = vec![tokio::spawn(serve_udp(socket, script.clone(), queries.clone()))];
        tasks.extend(listener.map(|listener| tokio::spawn(serve_tcp(listener, script))));
        Self { address, queries, tasks }
    }

    /// How many datagrams came in.
    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    /// How many UDP sockets are connected to this server right now.
    pub(crate) fn connected(&self) -> usize {
        let [a, b, c, d] = match self.address.ip() {
            std::net::IpAddr::V4(ip) => ip.octets(),
            std::net::IpAddr::V6(_) => unreachable!("servers are at 127.0.0.x"),
        };
        let remote = format!("{d:02X}{c:02X}{b:02X}{a:02X}:{:04X}", self.address.port());
        let sockets = std::fs::read_to_string("/proc/net/udp").expect("Linux");
        sockets.lines().filter(|line| line.split_whitespace().nth(2) == Some(&remote)).count()
    }
}

async fn serve_udp(socket: UdpSocket, script: Script, queries: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 65_535];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        queries.fetch_add(1, Ordering::SeqCst);
        let query = Message::from_vec(&buffer[..length]).expect("the operator sends good messages");
        for reply in script(&query, Via::Udp) {
            let _ = socket.send_to(&reply, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, script: Script) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let script = script.clone();
        tokio::spawn(async move {
            let Ok(length) = stream.read_u16().await else { return };
            let mut bytes = vec![0; usize::from(length)];
            if stream.read_exact(&mut bytes).await.is_err() {
                return;
            }
            let query = Message::from_vec(&bytes).expect("the operator sends good messages");
            for reply in script(&query, Via::Tcp) {
                let _ = stream.write_all(&u16::try_from(reply.len()).unwrap().to_be_bytes()).await;
                let _ = stream.write_all(&reply).await;
            }
            // Leave time to read before the connection closes.
            tokio::time::sleep(Duration::from_millis(50)).await;
        });
    }
}

/// Sockets for UDP and TCP at one free port of 127.0.0.1.
pub(crate) async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            return (socket, listener);
        }
    }
    panic!("no port is free");
}

/// A port that is free for UDP and TCP at all of `127.0.0.1` to `127.0.0.<last>`, and servers there.
pub(crate) async fn start_group(scripts: Vec<(Script, bool)>) -> (u16, Vec<Scripted>) {
    'port: for _ in 0..100 {
        let mut servers: Vec<Scripted> = Vec::new();
        let mut port = 0;
        for (index, (script, tcp)) in scripts.iter().enumerate() {
            match Scripted::start_at(server_ip(index), port, *tcp, script.clone()).await {
                Ok(server) => {
                    port = server.address.port();
                    servers.push(server);
                }
                Err(_) => continue 'port,
            }
        }
        return (port, servers);
    }
    panic!("no port is free at all addresses");
}

/// The address of the name server with this index.
pub(crate) fn server_ip(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, u8::try_from(index + 2).unwrap())
}

/// The name of the name server with this index.
pub(crate) fn server_name(index: usize) -> Name {
    name(&format!("ns{}.example.test.", index + 1))
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The start of an answer with authority to `query`: no error, no records.
pub(crate) fn reply(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.authoritative = true;
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.queries.clone_from(&query.queries);
    if query.edns.is_some() {
        reply.set_edns(Edns::new());
    }
    reply
}

/// An answer with an error code.
pub(crate) fn code(query: &Message, code: ResponseCode) -> Message {
    let mut reply = reply(query);
    reply.metadata.response_code = code;
    reply
}

/// An answer with these records.
pub(crate) fn with(query: &Message, answers: Vec<Record>) -> Message {
    let mut reply = reply(query);
    reply.answers = answers;
    reply
}

/// A negative answer with the SOA of `zone`.
pub(crate) fn negative(query: &Message, rcode: ResponseCode, zone: &str) -> Message {
    let mut reply = code(query, rcode);
    reply.authorities = vec![soa(zone)];
    reply
}

/// A referral to `servers` of `zone`, with glue.
pub(crate) fn referral(query: &Message, zone: &str, servers: &[(&str, Ipv4Addr)]) -> Message {
    let mut reply = reply(query);
    reply.metadata.authoritative = false;
    for (server, ip) in servers {
        reply.authorities.push(record(zone, RData::NS(NS(name(server)))));
        reply.additionals.push(record(server, RData::A(A(*ip))));
    }
    reply
}

pub(crate) fn one(message: &Message) -> Vec<Vec<u8>> {
    vec![message.to_vec().unwrap()]
}

pub(crate) fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

pub(crate) fn txt(text: &str) -> RData {
    txt_bytes(&text.as_bytes().chunks(255).collect::<Vec<_>>())
}

pub(crate) fn txt_bytes(strings: &[&[u8]]) -> RData {
    RData::TXT(TXT::from_bytes(strings.to_vec()))
}

pub(crate) fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

pub(crate) fn mx(priority: u16, host: &str) -> RData {
    RData::MX(MX::new(priority, name(host)))
}

/// TTL 60, minimum 30.
pub(crate) fn soa(zone: &str) -> Record {
    let soa = SOA::new(name("ns1.example.test."), name("hostmaster.example.test."), 7, 3600, 600, 86400, 30);
    record(zone, RData::SOA(soa))
}

/// What the resolver of most tests says: where `example.test` is, with `servers` name servers, and to every other
/// question a TXT record that only it knows.
pub(crate) fn resolver(servers: usize) -> Script {
    Arc::new(move |query, _| one(&resolve(query, servers)))
}

pub(crate) fn resolve(query: &Message, servers: usize) -> Message {
    let question = query.queries[0].clone();
    let mut answer = match question.query_type {
        RecordType::SOA if question.name == name(ZONE) => with(query, vec![soa(ZONE)]),
        RecordType::SOA => negative(query, ResponseCode::NXDomain, ZONE),
        RecordType::NS => {
            let ns = |index| record(ZONE, RData::NS(NS(server_name(index))));
            with(query, (0..servers).map(ns).collect())
        }
        RecordType::A => match (0..servers).find(|index| server_name(*index) == question.name) {
            Some(index) => with(query, vec![address(&question, server_ip(index))]),
            None => negative(query, ResponseCode::NXDomain, ZONE),
        },
        RecordType::AAAA => negative(query, ResponseCode::NoError, ZONE),
        _ => with(query, vec![Record::from_rdata(question.name, 60, txt("from the resolver"))]),
    };
    answer.metadata.authoritative = false;
    answer.metadata.recursion_available = true;
    answer
}

fn address(question: &Query, ip: Ipv4Addr) -> Record {
    Record::from_rdata(question.name.clone(), 60, RData::A(A(ip)))
}
