//! The DNS server as its askers see it: over real sockets, with plain messages and with a resolver.

// A test may panic; the exemption in clippy.toml covers test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use testbed::dns::{Dns, DnsServer, Fault, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_millis(500);

fn question(name: &str, rtype: RecordType, recursive: bool) -> Message {
    let mut message = Message::new(4711, hickory_proto::op::MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursive;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message
}

async fn udp(addr: SocketAddr, message: &Message) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(addr).await.unwrap();
    socket.send(&message.to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.ok()?.unwrap();
    Some(Message::from_vec(&buffer[..length]).unwrap())
}

async fn tcp(addr: SocketAddr, message: &Message) -> Message {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let bytes = message.to_vec().unwrap();
    stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut buffer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut buffer).await.unwrap();
    Message::from_vec(&buffer).unwrap()
}

/// Asks the authority.
async fn ask(server: &DnsServer, name: &str, rtype: RecordType) -> Message {
    udp(server.addr(), &question(name, rtype, false)).await.unwrap()
}

/// Asks the resolver.
async fn resolve(server: &DnsServer, name: &str, rtype: RecordType) -> Message {
    udp(server.addr(), &question(name, rtype, true)).await.unwrap()
}

async fn started() -> (DnsServer, Dns) {
    let server = DnsServer::start().await.unwrap();
    let dns = server.dns();
    dns.add_zone("example.com").unwrap();
    (server, dns)
}

fn values(message: &Message) -> Vec<String> {
    message.answers.iter().map(|r| r.data.to_string()).collect()
}

fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

#[tokio::test]
async fn a_new_zone_has_soa_name_server_and_its_address() {
    let (server, _dns) = started().await;
    let soa = ask(&server, "example.com.", RecordType::SOA).await;
    assert!(soa.metadata.authoritative);
    let RData::SOA(data) = &soa.answers[0].data else { panic!("no SOA") };
    assert_eq!((soa.answers[0].ttl, data.minimum), (60, 30));

    let ns = ask(&server, "EXAMPLE.com.", RecordType::NS).await;
    assert_eq!(values(&ns), ["ns1.example.com."]);
    assert_eq!(ns.additionals[0].data.to_string(), "127.0.0.1");
    let glue = ask(&server, "ns1.example.com.", RecordType::A).await;
    assert_eq!(values(&glue), ["127.0.0.1"]);
}

#[tokio::test]
async fn records_appear_change_and_vanish_and_the_serial_rises() {
    let (server, dns) = started().await;
    let first = dns.serial("example.com").unwrap().unwrap();
    dns.set("mail.example.com", RecordType::MX, &["10 mx.example.net"]).unwrap();
    assert_eq!(values(&ask(&server, "mail.example.com.", RecordType::MX).await), ["10 mx.example.net."]);
    dns.set("mail.example.com", RecordType::MX, &["20 mx.example.net".to_owned()]).unwrap();
    assert_eq!(values(&ask(&server, "mail.example.com.", RecordType::MX).await), ["20 mx.example.net."]);
    assert_eq!(dns.get("MAIL.example.com.", RecordType::MX).unwrap(), ["20 mx.example.net"]);

    dns.set("mail.example.com", RecordType::MX, &["20 mx.example.net"]).unwrap();
    assert_eq!(dns.serial("example.com").unwrap(), Some(first + 2), "no change, no new serial");
    assert!(dns.remove("mail.example.com", RecordType::MX).unwrap());
    assert!(!dns.remove("mail.example.com", RecordType::MX).unwrap());
    assert_eq!(dns.serial("example.com").unwrap(), Some(first + 3));
    assert_eq!(code(&ask(&server, "mail.example.com.", RecordType::MX).await), ResponseCode::NXDomain);
    assert!(dns.set("www.example.org", RecordType::A, &["192.0.2.1"]).is_err());
}

#[tokio::test]
async fn absences_carry_the_soa() {
    let (server, dns) = started().await;
    dns.set("a.b.example.com", RecordType::TXT, &["x"]).unwrap();
    for (name, rtype, expected) in [
        ("nothing.example.com.", RecordType::A, ResponseCode::NXDomain),
        ("a.b.example.com.", RecordType::A, ResponseCode::NoError),
        ("b.example.com.", RecordType::A, ResponseCode::NoError),
        ("xb.example.com.", RecordType::A, ResponseCode::NXDomain),
    ] {
        let answer = ask(&server, name, rtype).await;
        assert_eq!(code(&answer), expected, "{name}");
        assert!(answer.answers.is_empty());
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA, "{name}");
    }
}

#[tokio::test]
async fn wildcards_stop_at_names_that_exist() {
    let (server, dns) = started().await;
    dns.set("*.example.com", RecordType::TXT, &["any"]).unwrap();
    dns.set("here.example.com", RecordType::A, &["192.0.2.1"]).unwrap();
    let txt = ask(&server, "x.y.example.com.", RecordType::TXT).await;
    assert_eq!(values(&txt), ["any"]);
    assert_eq!(txt.answers[0].name.to_string(), "x.y.example.com.");
    assert!(ask(&server, "here.example.com.", RecordType::TXT).await.answers.is_empty());
    assert_eq!(code(&ask(&server, "x.here.example.com.", RecordType::TXT).await), ResponseCode::NXDomain);
}

#[tokio::test]
async fn aliases_are_followed_as_far_as_the_role_allows() {
    let (server, dns) = started().await;
    dns.add_zone("example.net").unwrap();
    dns.set("t.example.net", RecordType::TXT, &["key"]).unwrap();
    dns.set("in.example.com", RecordType::CNAME, &["t.example.com"]).unwrap();
    dns.set("t.example.com", RecordType::TXT, &["near"]).unwrap();
    dns.set("other.example.com", RecordType::CNAME, &["t.example.net"]).unwrap();
    dns.set("out.example.com", RecordType::CNAME, &["t.dkim.amazonses.com"]).unwrap();

    let near = ["t.example.com.", "near"];
    assert_eq!(values(&ask(&server, "in.example.com.", RecordType::TXT).await), near);
    assert_eq!(values(&ask(&server, "other.example.com.", RecordType::TXT).await), ["t.example.net."]);
    assert_eq!(values(&resolve(&server, "other.example.com.", RecordType::TXT).await), ["t.example.net.", "key"]);
    for answer in [
        ask(&server, "out.example.com.", RecordType::TXT).await,
        resolve(&server, "out.example.com.", RecordType::TXT).await,
    ] {
        assert_eq!(code(&answer), ResponseCode::NoError);
        assert_eq!(values(&answer), ["t.dkim.amazonses.com."]);
    }
}

#[tokio::test]
async fn the_most_specific_zone_answers_and_cuts_refer() {
    let (server, dns) = started().await;
    dns.set("x.sub.example.com", RecordType::TXT, &["parent"]).unwrap();
    dns.add_zone("sub.example.com").unwrap();
    dns.set("x.sub.example.com", RecordType::TXT, &["child"]).unwrap();
    assert_eq!(values(&ask(&server, "x.sub.example.com.", RecordType::TXT).await), ["child"]);
    assert!(dns.remove_zone("sub.example.com").unwrap());
    assert_eq!(values(&ask(&server, "x.sub.example.com.", RecordType::TXT).await), ["parent"]);

    dns.set("sub.example.com", RecordType::NS, &["ns.sub.example.com"]).unwrap();
    dns.set("ns.sub.example.com", RecordType::A, &["192.0.2.53"]).unwrap();
    let referral = ask(&server, "x.sub.example.com.", RecordType::TXT).await;
    assert!(referral.answers.is_empty() && !referral.metadata.authoritative);
    assert_eq!(referral.authorities[0].data.to_string(), "ns.sub.example.com.");
    assert_eq!(referral.additionals[0].data.to_string(), "192.0.2.53");
    assert_eq!(code(&resolve(&server, "x.sub.example.com.", RecordType::TXT).await), ResponseCode::ServFail);
}

#[tokio::test]
async fn outside_the_zones_an_authority_refuses_and_a_resolver_finds_nothing() {
    let (server, _dns) = started().await;
    assert_eq!(code(&ask(&server, "example.org.", RecordType::A).await), ResponseCode::Refused);
    let absent = resolve(&server, "example.org.", RecordType::A).await;
    assert_eq!(code(&absent), ResponseCode::NXDomain);
    assert!(absent.metadata.recursion_available);
    assert_eq!(absent.authorities[0].record_type(), RecordType::SOA);
    let above = resolve(&server, "com.", RecordType::NS).await;
    assert_eq!(code(&above), ResponseCode::NoError);
}

#[tokio::test]
async fn large_answers_are_truncated_over_udp_and_whole_over_tcp() {
    let (server, dns) = started().await;
    let many: Vec<String> = (0..40).map(|i| format!("{i:02}{}", "x".repeat(60))).collect();
    dns.set("big.example.com", RecordType::TXT, &many).unwrap();
    let query = question("big.example.com.", RecordType::TXT, false);
    assert!(udp(server.addr(), &query).await.unwrap().metadata.truncation);
    assert_eq!(tcp(server.addr(), &query).await.answers.len(), 40);
}

#[tokio::test]
async fn faults_hit_the_name_and_type_they_name() {
    let (server, dns) = started().await;
    dns.set("f.example.com", RecordType::TXT, &["x"]).unwrap();
    for (fault, expected) in [(Fault::ServFail, ResponseCode::ServFail), (Fault::Refused, ResponseCode::Refused)] {
        dns.set_fault("f.example.com", Some(RecordType::TXT), fault).unwrap();
        assert_eq!(code(&ask(&server, "F.example.com.", RecordType::TXT).await), expected);
        assert_eq!(code(&ask(&server, "f.example.com.", RecordType::MX).await), ResponseCode::NoError);
    }
    dns.set_fault("*.example.com", None, Fault::NotAuthoritative).unwrap();
    assert!(!ask(&server, "f.example.com.", RecordType::TXT).await.metadata.authoritative);
    assert!(ask(&server, "example.com.", RecordType::SOA).await.metadata.authoritative);
    dns.clear_faults();
    assert!(ask(&server, "f.example.com.", RecordType::TXT).await.metadata.authoritative);
}

#[tokio::test]
async fn faults_of_time_and_transport() {
    let (server, dns) = started().await;
    dns.set("f.example.com", RecordType::TXT, &["x"]).unwrap();
    let query = question("f.example.com.", RecordType::TXT, false);

    dns.set_fault("*", None, Fault::Drop).unwrap();
    assert!(udp(server.addr(), &query).await.is_none());
    dns.set_fault("f.example.com", None, Fault::Truncate).unwrap();
    let short = udp(server.addr(), &query).await.unwrap();
    assert!(short.metadata.truncation && short.answers.is_empty());
    assert_eq!(values(&tcp(server.addr(), &query).await), ["x"]);

    dns.set_fault("f.example.com", None, Fault::Delay(Duration::from_millis(200))).unwrap();
    let asked = Instant::now();
    assert_eq!(values(&udp(server.addr(), &query).await.unwrap()), ["x"]);
    assert!(asked.elapsed() >= Duration::from_millis(200));

    let log = dns.queries();
    assert_eq!(log.len(), 4);
    assert!(log.iter().all(|q| q.name == "f.example.com" && !q.recursion_desired));
    assert_eq!(log.iter().filter(|q| q.tcp).count(), 1);
    dns.reset_queries();
    assert!(dns.queries().is_empty());
}

#[tokio::test]
async fn the_sockets_close_with_the_server() {
    let (server, _dns) = started().await;
    let addr = server.addr();
    drop(server);
    let freed = async {
        while UdpSocket::bind(addr).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), freed).await.unwrap();
}

#[tokio::test]
async fn two_servers_share_a_port_on_two_addresses() {
    let (first, dns) = started().await;
    let second = DnsServer::start_on(SocketAddr::new([127, 0, 0, 2].into(), first.addr().port())).await.unwrap();
    second.dns().add_zone("example.com").unwrap();
    dns.set("example.com", RecordType::TXT, &["new"]).unwrap();
    assert_eq!(values(&ask(&first, "example.com.", RecordType::TXT).await), ["new"]);
    assert!(ask(&second, "example.com.", RecordType::TXT).await.answers.is_empty());
}

fn resolver(addr: SocketAddr) -> TokioResolver {
    let mut server = NameServerConfig::udp_and_tcp(addr.ip());
    for connection in &mut server.connections {
        connection.port = addr.port();
    }
    let mut options = ResolverOpts::default();
    options.attempts = 0;
    options.cache_size = 0;
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().unwrap()
}

#[tokio::test]
async fn a_resolver_library_is_content_with_the_answers() {
    let (server, dns) = started().await;
    let resolver = resolver(server.addr());
    dns.set("a.example.com", RecordType::A, &["192.0.2.7"]).unwrap();
    dns.set("alias.example.com", RecordType::CNAME, &["a.example.com"]).unwrap();
    let found = resolver.lookup_ip("alias.example.com.").await.unwrap();
    assert_eq!(found.iter().next().unwrap().to_string(), "192.0.2.7");

    for (name, rtype, expected) in [
        ("none.example.com.", RecordType::A, ResponseCode::NXDomain),
        ("a.example.com.", RecordType::TXT, ResponseCode::NoError),
        ("elsewhere.example.org.", RecordType::TXT, ResponseCode::NXDomain),
    ] {
        let error = resolver.lookup(name, rtype).await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("NoRecordsFound"), "{name}: {text}");
        assert!(text.contains(&format!("response_code: {expected:?}")), "{name}: {text}");
    }
}
