//! Name servers that answer badly, one script each.

use std::sync::Arc;

use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{NS, NULL};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::scripted::*;

/// What is to come of a script. Texts of TXT records unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Texts(Vec<String>),
    Cname(&'static str),
    Mx(Vec<(u16, &'static str)>),
    NoData,
    NxDomain,
    /// The error's text.
    Unknown(&'static str),
    /// The name server does not count and the resolver is asked.
    Resolver,
}

pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) record_type: RecordType,
    pub(crate) tcp: bool,
    pub(crate) script: Script,
    pub(crate) want: Want,
}

fn case<F>(what: &'static str, script: F, want: Want) -> Case
where
    F: Fn(&Message, Via) -> Vec<Vec<u8>> + Send + Sync + 'static,
{
    Case { what, record_type: RecordType::TXT, tcp: true, script: Arc::new(script), want }
}

fn texts(texts: &[&str]) -> Want {
    Want::Texts(texts.iter().map(ToString::to_string).collect())
}

fn good(query: &Message) -> Message {
    with(query, vec![record(NAME, txt("v=spf1 -all"))])
}

/// `good`, with one thing changed.
fn but(change: impl Fn(&mut Message) + Send + Sync + 'static) -> impl Fn(&Message, Via) -> Vec<Vec<u8>> {
    move |query, _| {
        let mut reply = good(query);
        change(&mut reply);
        one(&reply)
    }
}

fn says(rcode: ResponseCode) -> impl Fn(&Message, Via) -> Vec<Vec<u8>> {
    move |query, _| one(&code(query, rcode))
}

/// An answer over UDP that only says that there is more, and `whole` over TCP.
fn cut(whole: impl Fn(&Message) -> Message + Send + Sync + 'static) -> impl Fn(&Message, Via) -> Vec<Vec<u8>> {
    move |query, via| match via {
        Via::Udp => {
            let mut reply = reply(query);
            reply.metadata.truncation = true;
            one(&reply)
        }
        Via::Tcp => one(&whole(query)),
    }
}

const UNREADABLE: Want = Want::Unknown("unreadable answer from ns1.example.test");
const UNPROVEN: Want = Want::Unknown("negative answer without SOA from ns1.example.test");

pub(crate) fn cases() -> Vec<Case> {
    [
        aliases_and_order(),
        owners_types_and_classes(),
        fitting(),
        truncation(),
        codes(),
        negatives(),
        authority(),
        bytes(),
        content(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Records are chosen by owner, type and class.
fn aliases_and_order() -> Vec<Case> {
    let ours = || record(NAME, txt("ours"));
    let only = |answers: Vec<Record>| move |query: &Message, _: Via| one(&with(query, answers.clone()));
    vec![
        case("the right answer", but(|_| {}), texts(&["v=spf1 -all"])),
        case("two, in reverse", only(vec![record(NAME, txt("b")), record(NAME, txt("a"))]), texts(&["a", "b"])),
        case("twice the same", only(vec![ours(), ours()]), texts(&["ours"])),
        case("an alias alone", only(vec![record(NAME, cname("T.example."))]), Want::Cname("t.example")),
        case(
            "an alias before its target",
            only(vec![record(NAME, cname("t.example.")), record("t.example.", txt("not ours"))]),
            Want::Cname("t.example"),
        ),
        case(
            "an alias after its target",
            only(vec![record("t.example.", txt("not ours")), record(NAME, cname("t.example."))]),
            Want::Cname("t.example"),
        ),
        case(
            "an alias beside a record",
            only(vec![ours(), record(NAME, cname("t.example."))]),
            Want::Cname("t.example"),
        ),
        case("an alias to itself", only(vec![record(NAME, cname(NAME))]), Want::Cname("bounce.example.test")),
    ]
}

/// Records of somebody else, or of another kind.
fn owners_types_and_classes() -> Vec<Case> {
    let ours = || record(NAME, txt("ours"));
    let other = || record("other.example.test.", txt("not ours"));
    let only = |answers: Vec<Record>| move |query: &Message, _: Via| one(&with(query, answers.clone()));
    vec![
        case("somebody else's first", only(vec![other(), ours()]), texts(&["ours"])),
        case("somebody else's alias first", only(vec![record("o.test.", cname(NAME)), ours()]), texts(&["ours"])),
        case("somebody else's alone", only(vec![other()]), UNPROVEN),
        case("other types beside", only(vec![record(NAME, mx(10, "m.test.")), ours()]), texts(&["ours"])),
        case(
            "a signature beside",
            only(vec![
                record(NAME, RData::Unknown { code: RecordType::from(46), rdata: NULL::with(vec![0; 40]) }),
                ours(),
            ]),
            texts(&["ours"]),
        ),
        case("upper case", only(vec![record("BOUNCE.Example.TEST.", txt("ours"))]), texts(&["ours"])),
        case(
            "another class",
            only({
                let mut chaos = record(NAME, txt("not ours"));
                chaos.dns_class = DNSClass::CH;
                vec![chaos]
            }),
            UNPROVEN,
        ),
        Case {
            record_type: RecordType::MX,
            ..case(
                "mail exchangers",
                only(vec![record(NAME, mx(20, "B.test.")), record(NAME, mx(10, "a.test."))]),
                Want::Mx(vec![(10, "a.test"), (20, "b.test")]),
            )
        },
        Case {
            record_type: RecordType::MX,
            ..case("no mail at all", only(vec![record(NAME, mx(0, "."))]), Want::Mx(vec![(0, "")]))
        },
        case(
            "a hundred",
            |query, via| {
                cut(|query| with(query, (0..100).map(|n| record(NAME, txt(&format!("{n:03}")))).collect()))(query, via)
            },
            Want::Texts((0..64).map(|n| format!("{n:03}")).collect()),
        ),
    ]
}

/// Answers must belong to the question.
fn fitting() -> Vec<Case> {
    vec![
        case("the wrong id", but(|reply| reply.metadata.id ^= 1), UNREADABLE),
        case("the wrong name", but(|reply| reply.queries[0].name = name("other.example.test.")), UNREADABLE),
        case("the wrong type", but(|reply| reply.queries[0].query_type = RecordType::MX), UNREADABLE),
        case("the wrong class", but(|reply| reply.queries[0].query_class = DNSClass::CH), UNREADABLE),
        case("no question", but(|reply| reply.queries.clear()), UNREADABLE),
        case(
            "two questions",
            but(|reply| reply.queries.push(Query::query(name("x.test."), RecordType::TXT))),
            UNREADABLE,
        ),
        case("a question for an answer", |query, _| one(query), UNREADABLE),
        case("another kind of message", but(|reply| reply.metadata.op_code = OpCode::Notify), UNREADABLE),
        case(
            "a forgery before the answer",
            |query, _| {
                let mut forged = with(query, vec![record(NAME, txt("forged"))]);
                forged.metadata.id ^= 0x5555;
                vec![b"junk".to_vec(), forged.to_vec().unwrap(), good(query).to_vec().unwrap()]
            },
            texts(&["v=spf1 -all"]),
        ),
        case("a flood of junk", |_, _| vec![b"junk".to_vec(); 200], UNREADABLE),
    ]
}

fn truncation() -> Vec<Case> {
    let long = "x".repeat(60_000);
    let whole = long.clone();
    vec![
        case("cut, whole over TCP", cut(good), texts(&["v=spf1 -all"])),
        case(
            "cut in the middle of a record",
            |query, via| match via {
                Via::Udp => {
                    let mut reply = good(query);
                    reply.metadata.truncation = true;
                    let bytes = reply.to_vec().unwrap();
                    vec![bytes[..bytes.len() - 20].to_vec()]
                }
                Via::Tcp => one(&good(query)),
            },
            texts(&["v=spf1 -all"]),
        ),
        case(
            "cut over TCP as well",
            |query, _| {
                let mut reply = good(query);
                reply.metadata.truncation = true;
                one(&reply)
            },
            UNREADABLE,
        ),
        case("60 KB over TCP", cut(move |query| with(query, vec![record(NAME, txt(&long))])), Want::Texts(vec![whole])),
        case(
            "nothing over TCP",
            |query, via| if via == Via::Udp { cut(good)(query, via) } else { vec![] },
            Want::Resolver,
        ),
        case(
            "junk over TCP",
            |query, via| {
                if via == Via::Udp { cut(good)(query, via) } else { vec![b"junk".to_vec()] }
            },
            UNREADABLE,
        ),
        case(
            "the wrong id over TCP",
            |query, via| {
                if via == Via::Udp { cut(good)(query, via) } else { but(|r| r.metadata.id ^= 1)(query, via) }
            },
            UNREADABLE,
        ),
        Case { tcp: false, ..case("cut, and a TCP port that hangs", cut(good), Want::Resolver) },
    ]
}

fn codes() -> Vec<Case> {
    vec![
        case("SERVFAIL", says(ResponseCode::ServFail), Want::Unknown("SERVFAIL from ns1.example.test")),
        case("FORMERR", says(ResponseCode::FormErr), Want::Unknown("FORMERR from ns1.example.test")),
        case("NOTIMP", says(ResponseCode::NotImp), Want::Unknown("NOTIMP from ns1.example.test")),
        case("YXDOMAIN", says(ResponseCode::YXDomain), Want::Unknown("RCODE 6 from ns1.example.test")),
        case("REFUSED", says(ResponseCode::Refused), Want::Resolver),
        case("NOTAUTH", says(ResponseCode::NotAuth), Want::Resolver),
        case(
            "SERVFAIL without question",
            |query, _| {
                let mut reply = code(query, ResponseCode::ServFail);
                reply.queries.clear();
                one(&reply)
            },
            Want::Unknown("SERVFAIL from ns1.example.test"),
        ),
        case(
            "SERVFAIL with records",
            but(|reply| reply.metadata.response_code = ResponseCode::ServFail),
            Want::Unknown("SERVFAIL from ns1.example.test"),
        ),
        case(
            "FORMERR to EDNS",
            |query, _| {
                if query.edns.is_none() {
                    return one(&good(query));
                }
                let mut reply = code(query, ResponseCode::FormErr);
                reply.edns = None;
                one(&reply)
            },
            texts(&["v=spf1 -all"]),
        ),
        case(
            "FORMERR in a bare header to EDNS",
            |query, _| {
                if query.edns.is_none() {
                    return one(&good(query));
                }
                let [high, low] = query.metadata.id.to_be_bytes();
                vec![vec![high, low, 0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]]
            },
            texts(&["v=spf1 -all"]),
        ),
        case("silence", |_, _| vec![], Want::Resolver),
    ]
}

/// What is not there must be proven.
fn negatives() -> Vec<Case> {
    let absent = |rcode, zone| move |query: &Message, _: Via| one(&negative(query, rcode, zone));
    vec![
        case("NXDOMAIN", absent(ResponseCode::NXDomain, ZONE), Want::NxDomain),
        case("NODATA", absent(ResponseCode::NoError, ZONE), Want::NoData),
        case("NXDOMAIN without SOA", says(ResponseCode::NXDomain), UNPROVEN),
        case("NODATA without SOA", says(ResponseCode::NoError), UNPROVEN),
        case("NXDOMAIN by the zone above", absent(ResponseCode::NXDomain, "test."), Want::Resolver),
        case("NODATA by the root", absent(ResponseCode::NoError, "."), Want::Resolver),
        case("NXDOMAIN with a stranger's SOA", absent(ResponseCode::NXDomain, "example.org."), UNPROVEN),
        case(
            "NXDOMAIN for an alias's target",
            |query, _| {
                let mut reply = negative(query, ResponseCode::NXDomain, "t.example.");
                reply.answers = vec![record(NAME, cname("gone.t.example."))];
                one(&reply)
            },
            Want::Cname("gone.t.example"),
        ),
        case("an SOA in the answer section", |query, _| one(&with(query, vec![soa(ZONE)])), UNPROVEN),
    ]
}

/// Only who has authority counts.
fn authority() -> Vec<Case> {
    let not_mine = |mut reply: Message| {
        reply.metadata.authoritative = false;
        one(&reply)
    };
    let delegates = |zone: &'static str| {
        move |query: &Message, _: Via| one(&referral(query, zone, &[("ns1.example.test.", server_ip(0))]))
    };
    vec![
        case("a record without authority", move |query, _| not_mine(good(query)), Want::Resolver),
        case(
            "NXDOMAIN without authority",
            move |query, _| not_mine(negative(query, ResponseCode::NXDomain, ZONE)),
            Want::Resolver,
        ),
        case(
            "NODATA without authority",
            move |query, _| not_mine(negative(query, ResponseCode::NoError, ZONE)),
            Want::Resolver,
        ),
        case("an empty answer without authority", move |query, _| not_mine(reply(query)), Want::Resolver),
        case("a referral to the root", delegates("."), Want::Resolver),
        case("a referral upwards", delegates("test."), Want::Resolver),
        case("a referral to the same zone", delegates(ZONE), Want::Resolver),
        case("a referral sideways", delegates("other.example.test."), Want::Resolver),
        case("a referral to itself", delegates(NAME), Want::Resolver),
        Case {
            record_type: RecordType::CNAME,
            ..case(
                "the asked alias",
                |query, _| one(&with(query, vec![record(NAME, cname("t.test."))])),
                Want::Cname("t.test"),
            )
        },
        case(
            "a referral with an SOA",
            |query, _| {
                let mut reply = negative(query, ResponseCode::NoError, ZONE);
                reply.authorities.push(record(NAME, RData::NS(NS(name("ns1.example.test.")))));
                one(&reply)
            },
            Want::NoData,
        ),
    ]
}

/// Not DNS at all.
fn bytes() -> Vec<Case> {
    let raw = |tail: &'static [u8]| {
        move |query: &Message, _: Via| {
            let id = query.metadata.id.to_be_bytes();
            vec![[&id[..], tail].concat()]
        }
    };
    vec![
        case("an empty datagram", |_, _| vec![vec![]], UNREADABLE),
        case("one byte", |_, _| vec![vec![0]], UNREADABLE),
        case("noise", |_, _| vec![(0..=255).cycle().take(1000).collect()], UNREADABLE),
        case("a header alone", raw(&[0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0]), UNREADABLE),
        case("counts that lie", raw(&[0x84, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), UNREADABLE),
        case(
            "a name that points to itself",
            raw(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 16, 0, 1]),
            UNREADABLE,
        ),
        case("a name that points ahead", raw(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 0xff, 0, 16, 0, 1]), UNREADABLE),
        case(
            "a record longer than the message",
            |query, _| {
                let mut bytes = good(query).to_vec().unwrap();
                bytes.truncate(bytes.len() - 15);
                vec![bytes]
            },
            UNREADABLE,
        ),
        case(
            "two EDNS records",
            |query, _| {
                let mut bytes = good(query).to_vec().unwrap();
                bytes.extend([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
                bytes[11] = 2;
                vec![bytes]
            },
            UNREADABLE,
        ),
        case(
            "EDNS and nothing else",
            |query, _| {
                let mut reply = reply(query);
                reply.set_edns(Edns::new());
                one(&reply)
            },
            UNPROVEN,
        ),
        case(
            "bytes after the end",
            |query, _| vec![[good(query).to_vec().unwrap(), vec![0xff; 100]].concat()],
            texts(&["v=spf1 -all"]),
        ),
    ]
}

/// Values are text that is safe to show.
fn content() -> Vec<Case> {
    let value = |strings: &'static [&'static [u8]]| {
        move |query: &Message, _: Via| one(&with(query, vec![record(NAME, txt_bytes(strings))]))
    };
    vec![
        case(
            "a value in pieces",
            value(&[b"v=spf1 include:", b"amazonses.com", b"", b" ~all"]),
            texts(&["v=spf1 include:amazonses.com ~all"]),
        ),
        case("no value", value(&[b""]), texts(&[""])),
        case("quotes and backslashes", value(&[b"\"v=spf1\" \\ -all"]), texts(&["\"v=spf1\" \\ -all"])),
        case("bytes that are no text", value(&[b"a\xff\xfeb"]), texts(&["a\u{fffd}\u{fffd}b"])),
        case("a character cut in two", value(&[b"\xc3", b"\xa4"]), texts(&["ä"])),
        case("control characters", value(&[b"a\x1b[31m\r\n\0b"]), texts(&["a\\u{1b}[31m\\r\\n\\u{0}b"])),
        case(
            "the direction of writing",
            |query, _| one(&with(query, vec![record(NAME, txt("a\u{202e}b"))])),
            texts(&["a\\u{202e}b"]),
        ),
        case(
            "an alias with odd bytes",
            |query, _| {
                let target = hickory_proto::rr::Name::from_labels([&b"a\x1bb"[..], b"test"]).unwrap();
                let data = RData::CNAME(hickory_proto::rr::rdata::CNAME(target));
                one(&with(query, vec![record(NAME, data)]))
            },
            Want::Cname("a\\033b.test"),
        ),
    ]
}
