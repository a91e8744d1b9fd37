use hickory_proto::rr::rdata::{A, CNAME, MX, NS, TXT};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn question(record_type: WireType) -> Question {
    Question::new(name("a.example.test."), record_type)
}

/// A message with some of everything.
fn everything() -> Message {
    let mut message = Message::response(7, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_query(Query::query(name("a.example.test."), WireType::TXT));
    let add = |section: &mut Vec<Record>, owner: &str, data| section.push(Record::from_rdata(name(owner), 60, data));
    let answers = &mut message.answers;
    add(answers, "a.example.test.", RData::TXT(TXT::from_bytes(vec![b"some", b"text"])));
    add(answers, "a.example.test.", RData::CNAME(CNAME(name("b.example.test."))));
    add(answers, "b.example.test.", RData::MX(MX::new(10, name("mx.example.test."))));
    let soa = SOA::new(name("ns.example.test."), name("root.example.test."), 1, 2, 3, 4, 5);
    add(&mut message.authorities, "example.test.", RData::SOA(soa));
    add(&mut message.authorities, "a.example.test.", RData::NS(NS(name("ns.example.test."))));
    add(&mut message.additionals, "ns.example.test.", RData::A(A::new(192, 0, 2, 1)));
    message.set_edns(Edns::new());
    message
}

/// Everything that is ever done with an answer.
fn read_all(bytes: &[u8]) {
    let Ok(reply) = Message::from_vec(bytes) else { return };
    for record_type in [WireType::TXT, WireType::MX, WireType::CNAME, WireType::A, WireType::SOA] {
        let question = question(record_type);
        let _ = question.is_answered_by(&reply, 7);
        let _ = from_resolver(&reply, &question);
        let _ = from_authority(&reply, &question, &name("example.test."));
        let _ = from_authority(&reply, &question, &Name::root());
        let _ = soa(&reply.answers, &question.name);
        let _ = has_cname(&reply, &question.name);
        let _ = addresses_along_chain(&reply.answers, &question.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn survives_any_change_to_a_good_message(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = everything().to_vec().unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        read_all(&bytes);
    }

    #[test]
    fn e2_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn shows_nothing_that_harms_a_terminal(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let shown = text(&TXT::from_bytes(bytes.chunks(255).collect()));
        prop_assert!(!shown.chars().any(char::is_control));
    }
}

fn chain(hops: usize) -> Vec<Record> {
    let owner = |hop: usize| {
        if hop == 0 { name("a.example.test.") } else { name(&format!("h{hop}.example.test.")) }
    };
    let mut records: Vec<Record> =
        (0..hops).map(|hop| Record::from_rdata(owner(hop), 60, RData::CNAME(CNAME(owner(hop + 1))))).collect();
    records.push(Record::from_rdata(owner(hops), 60, RData::A(A::new(192, 0, 2, 1))));
    records.reverse();
    records
}

#[test]
fn follows_eight_aliases_and_no_loop() {
    let start = name("a.example.test.");
    assert_eq!(addresses_along_chain(&chain(0), &start).len(), 1);
    assert_eq!(addresses_along_chain(&chain(8), &start).len(), 1);
    assert_eq!(addresses_along_chain(&chain(9), &start).len(), 0);
    let to_itself = [Record::from_rdata(start.clone(), 60, RData::CNAME(CNAME(start.clone())))];
    assert_eq!(addresses_along_chain(&to_itself, &start).len(), 0);
}

#[test]
fn e3_e11_keeps_absence_no_longer_than_three_hours() {
    let mut reply = Message::response(7, OpCode::Query);
    reply.metadata.response_code = ResponseCode::NXDomain;
    let soa = SOA::new(name("ns.example.test."), name("root.example.test."), 1, 2, 3, 4, u32::MAX);
    reply.add_authority(Record::from_rdata(name("example.test."), u32::MAX, RData::SOA(soa)));
    let (verdict, ttl) = from_resolver(&reply, &question(WireType::TXT)).unwrap();
    assert_eq!((verdict, ttl), (Verdict::NxDomain, Some(Duration::from_hours(3))));
}

#[test]
fn e11_a_copy_is_believed_to_live_for_a_day_at_most() {
    let lives = |ttl: u32| {
        let mut reply = Message::response(7, OpCode::Query);
        let text = TXT::new(vec!["v=spf1 -all".to_owned()]);
        reply.add_answer(Record::from_rdata(question(WireType::TXT).name, ttl, RData::TXT(text)));
        from_resolver(&reply, &question(WireType::TXT)).unwrap().1
    };
    let seconds = |ttl| Some(Duration::from_secs(ttl));
    assert_eq!([lives(0), lives(300)], [seconds(0), seconds(300)]);
    assert_eq!([lives(604_800), lives(1 << 31), lives(u32::MAX)], [seconds(86_400); 3]);
}

#[test]
fn e7_takes_glue_only_for_names_of_the_zone() {
    let mut reply = Message::response(7, OpCode::Query);
    for server in ["ns.example.test.", "ns.elsewhere.test."] {
        reply.add_authority(Record::from_rdata(name("a.example.test."), 60, RData::NS(NS(name(server)))));
        reply.add_additional(Record::from_rdata(name(server), 60, RData::A(A::new(192, 0, 2, 1))));
    }
    let FromAuthority::Referral { apex, servers } =
        from_authority(&reply, &question(WireType::TXT), &name("example.test."))
    else {
        panic!("a referral");
    };
    assert_eq!(apex, name("a.example.test."));
    let glue: Vec<(String, usize)> =
        servers.iter().map(|server| (server.name.to_ascii(), server.addresses.len())).collect();
    assert_eq!(glue, [("ns.elsewhere.test.".to_owned(), 0), ("ns.example.test.".to_owned(), 1)]);
}
