//! A small DNS client: one question to one server.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::value;

/// How long `dig` waits for one answer.
const DIG_WAIT: Duration = Duration::from_secs(2);
/// How often a question is sent before the server counts as silent.
const TRIES: u32 = 2;

/// What `dig +short` shows: the values of one name and type in presentation form, a CNAME's own target included; none if
/// there are none or nobody answers.
pub async fn dig(server: SocketAddr, name: &str, kind: RecordType) -> Vec<String> {
    let Ok(name) = value::name(name) else { return Vec::new() };
    let answer = ask(server, &name, kind, DIG_WAIT).await;
    let answers = answer.iter().flat_map(|message| &message.answers);
    answers.map(|record| value::present(&record.data)).collect()
}

/// Asks `server`; `None` if there is no usable answer.
pub(crate) async fn ask(server: SocketAddr, name: &Name, kind: RecordType, wait: Duration) -> Option<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name.clone(), kind));
    let bytes = question.to_vec().ok()?;
    for _ in 0..TRIES {
        match timeout(wait, over_udp(server, &question, &bytes)).await {
            Ok(Some(answer)) if answer.metadata.truncation => {
                return timeout(wait, over_tcp(server, &question, &bytes)).await.ok().flatten();
            }
            Ok(Some(answer)) => return Some(answer),
            // Refused or silent: a second packet may get through.
            Ok(None) | Err(_) => {}
        }
    }
    None
}

async fn over_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Option<Message> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(bytes).await.ok()?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.ok()?;
        if let Some(answer) = matching(question, &buffer[..length]) {
            return Some(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Option<Message> {
    let mut stream = TcpStream::connect(server).await.ok()?;
    stream.write_u16(u16::try_from(bytes.len()).ok()?).await.ok()?;
    stream.write_all(bytes).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.ok()?;
    matching(question, &buffer)
}

fn matching(question: &Message, bytes: &[u8]) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    (answer.metadata.id == question.metadata.id && answer.queries == question.queries).then_some(answer)
}
