//! Questions and what answers to them say. Answers are other people's bytes: records are selected by owner and type,
//! never by position, and what does not fit is an error, never an absence.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as WireType};

use super::error::{LookupError, LookupErrorKind};
use crate::dns::record::{DnsName, RecordData, RecordType};
use crate::text::printable;

/// The EDNS payload that fits every path (DNS Flag Day 2020).
const EDNS_PAYLOAD: u16 = 1232;
/// How many records of one answer are kept.
const MAX_RECORDS: usize = 64;
/// How many aliases are followed within one answer.
const MAX_CNAME_HOPS: usize = 8;
/// RFC 2308: negative answers are not kept longer than 3 hours.
const MAX_NEGATIVE_TTL: u32 = 3 * 3600;
/// Resolvers keep nothing for longer than a day, whatever its TTL.
const MAX_POSITIVE_TTL: u32 = 24 * 3600;

/// One question: an absolute name and a type.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) record_type: WireType,
}

/// Who a question goes to decides about its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// A name server: RD = 0.
    Authority,
    /// A resolver: RD = 1.
    Resolver,
    /// A resolver that is not to validate DNSSEC: RD = 1, CD = 1.
    ResolverUnvalidated,
}

/// A piece of data at a name, comparable whatever the order or spelling it came in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Datum {
    Record(RecordData),
    Address(IpAddr),
}

/// A definite answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Sorted, without duplicates, never empty.
    Data(Vec<Datum>),
    NoData,
    NxDomain,
}

/// What a name server's answer means.
#[derive(Debug)]
pub(super) enum FromAuthority {
    Definite {
        verdict: Verdict,
        negative_ttl: Option<Duration>,
    },
    /// The name lies in a zone further down.
    Referral {
        apex: Name,
        servers: Vec<Server>,
    },
    Failed(LookupErrorKind),
}

/// A name server; without addresses as long as nobody gave any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: Name,
    pub(super) addresses: Vec<IpAddr>,
}

/// The name as DNS asks for it: absolute, so that no search list ever applies.
pub(super) fn wire_name(name: &DnsName) -> Result<Name, LookupError> {
    Name::from_ascii(format!("{name}.")).map_err(|_| LookupError::new(LookupErrorKind::InvalidName))
}

/// The canonical form of a name from an answer, with odd bytes escaped.
pub(super) fn canonical(name: &Name) -> DnsName {
    DnsName::new(name.to_ascii())
}

pub(super) fn wire_type(record_type: RecordType) -> WireType {
    match record_type {
        RecordType::Cname => WireType::CNAME,
        RecordType::Mx => WireType::MX,
        RecordType::Txt => WireType::TXT,
    }
}

impl Question {
    pub(super) fn new(name: Name, record_type: WireType) -> Self {
        Self { name, record_type }
    }

    /// The bytes to send.
    pub(super) fn encode(&self, id: u16, asking: Asking, edns: bool) -> Result<Vec<u8>, LookupErrorKind> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = asking != Asking::Authority;
        message.metadata.checking_disabled = asking == Asking::ResolverUnvalidated;
        message.add_query(Query::query(self.name.clone(), self.record_type));
        if edns {
            let mut edns = Edns::new();
            edns.set_max_payload(EDNS_PAYLOAD);
            message.set_edns(edns);
        }
        message.to_vec().map_err(|_| LookupErrorKind::InvalidName)
    }

    /// True if `reply` answers this question. Servers may leave the question out when they report an error.
    pub(super) fn is_answered_by(&self, reply: &Message, id: u16) -> bool {
        let meta = &reply.metadata;
        let repeats_question = match reply.queries.as_slice() {
            [query] => {
                query.name == self.name && query.query_type == self.record_type && query.query_class == DNSClass::IN
            }
            [] => !is_definite(meta.response_code),
            _ => false,
        };
        meta.id == id && meta.message_type == MessageType::Response && meta.op_code == OpCode::Query && repeats_question
    }
}

fn is_definite(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::NoError | ResponseCode::NXDomain)
}

/// What a resolver's answer says, and how long it will be remembered.
pub(super) fn from_resolver(
    reply: &Message,
    question: &Question,
) -> Result<(Verdict, Option<Duration>), LookupErrorKind> {
    usable(reply)?;
    let data = data_at(reply, question);
    if !data.is_empty() {
        return Ok((Verdict::Data(data), Some(positive_ttl(reply, question))));
    }
    let verdict =
        if reply.metadata.response_code == ResponseCode::NXDomain { Verdict::NxDomain } else { Verdict::NoData };
    Ok((verdict, negative_ttl(reply, question)))
}

/// Refuses what a resolver cannot mean as an answer.
pub(super) fn usable(reply: &Message) -> Result<(), LookupErrorKind> {
    let meta = &reply.metadata;
    if !is_definite(meta.response_code) {
        return Err(LookupErrorKind::Rcode(meta.response_code.into()));
    }
    if meta.truncation {
        return Err(LookupErrorKind::Malformed);
    }
    // A referral looks like NODATA to whoever reads the answer section alone.
    let refers = reply.authorities.iter().any(|record| matches!(record.data, RData::NS(_)));
    let proves = reply.authorities.iter().any(|record| matches!(record.data, RData::SOA(_)));
    if reply.answers.is_empty() && refers && !proves && !meta.recursion_available {
        return Err(LookupErrorKind::NotRecursive);
    }
    Ok(())
}

/// What a name server's answer means, `zone` being the zone it was asked about. Only what it says with authority
/// counts, and an absence only with the SOA of that zone: a server that knows nothing of the zone but is the
/// authority of one above it would otherwise deny everything.
pub(super) fn from_authority(reply: &Message, question: &Question, zone: &Name) -> FromAuthority {
    let meta = &reply.metadata;
    match meta.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        // Servers refuse what is not theirs: the usual form of a lame delegation today.
        ResponseCode::Refused | ResponseCode::NotAuth => return FromAuthority::Failed(LookupErrorKind::Lame),
        code => return FromAuthority::Failed(LookupErrorKind::Rcode(code.into())),
    }
    if meta.truncation {
        return FromAuthority::Failed(LookupErrorKind::Malformed);
    }
    let data = data_at(reply, question);
    if !data.is_empty() {
        // Whatever the code: with a CNAME at the name, it speaks of the end of the chain.
        return if meta.authoritative { definite(Verdict::Data(data), None) } else { lame() };
    }
    if let Some((apex, servers)) = referral(reply, question, zone) {
        return FromAuthority::Referral { apex, servers };
    }
    if !meta.authoritative {
        return lame();
    }
    match soa(&reply.authorities, &question.name) {
        None => FromAuthority::Failed(LookupErrorKind::NoProof),
        Some((owner, _)) if !zone.zone_of(&owner.name) => lame(),
        Some(_) if meta.response_code == ResponseCode::NXDomain => {
            definite(Verdict::NxDomain, negative_ttl(reply, question))
        }
        Some(_) => definite(Verdict::NoData, negative_ttl(reply, question)),
    }
}

fn definite(verdict: Verdict, negative_ttl: Option<Duration>) -> FromAuthority {
    FromAuthority::Definite { verdict, negative_ttl }
}

fn lame() -> FromAuthority {
    FromAuthority::Failed(LookupErrorKind::Lame)
}

/// The delegation in `reply` that leads from `zone` down towards the name. Upward and sideward ones lead nowhere and
/// could be followed for ever.
fn referral(reply: &Message, question: &Question, zone: &Name) -> Option<(Name, Vec<Server>)> {
    let leads_down = |apex: &Name| *apex != *zone && zone.zone_of(apex) && apex.zone_of(&question.name);
    let proves = reply.authorities.iter().any(|record| matches!(record.data, RData::SOA(_)));
    if proves || reply.metadata.response_code != ResponseCode::NoError {
        return None;
    }
    let is_delegation = |record: &&Record| matches!(record.data, RData::NS(_)) && leads_down(&record.name);
    let apex = reply.authorities.iter().filter(is_delegation).map(|record| &record.name).min()?.clone();
    // Glue counts only for names of the zone itself: for others this server has no say.
    let glue = |name: &Name| {
        if zone.zone_of(name) { addresses_along_chain(&reply.additionals, name) } else { Vec::new() }
    };
    let servers = name_servers(&reply.authorities, &apex);
    Some((apex, servers.into_iter().map(|name| Server { addresses: glue(&name), name }).collect()))
}

/// The name servers of `apex` among `records`, in order of their names.
pub(super) fn name_servers(records: &[Record], apex: &Name) -> Vec<Name> {
    let mut servers: Vec<Name> = at(records, apex)
        .filter_map(|record| if let RData::NS(ns) = &record.data { Some(ns.0.to_lowercase()) } else { None })
        .collect();
    servers.sort();
    servers.dedup();
    servers.truncate(MAX_RECORDS);
    servers
}

/// The SOA among `records` whose zone holds `name`, and its record.
pub(super) fn soa<'a>(records: &'a [Record], name: &Name) -> Option<(&'a Record, &'a SOA)> {
    records
        .iter()
        .filter(|record| record.dns_class == DNSClass::IN && record.name.zone_of(name))
        .find_map(|record| if let RData::SOA(soa) = &record.data { Some((record, soa)) } else { None })
}

/// True if an alias sits at `name`.
pub(super) fn has_cname(reply: &Message, name: &Name) -> bool {
    at(&reply.answers, name).any(|record| matches!(record.data, RData::CNAME(_)))
}

/// The addresses of `name`, through the aliases that the answer itself carries.
pub(super) fn addresses_along_chain(records: &[Record], name: &Name) -> Vec<IpAddr> {
    let mut owner = name;
    for _ in 0..=MAX_CNAME_HOPS {
        let mut addresses: Vec<IpAddr> = at(records, owner).filter_map(address).collect();
        if !addresses.is_empty() {
            addresses.sort();
            addresses.dedup();
            addresses.truncate(MAX_RECORDS);
            return addresses;
        }
        let target = at(records, owner).find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        match target {
            Some(target) => owner = target,
            None => break,
        }
    }
    Vec::new()
}

/// The data of the asked type at the name, or else the CNAME there. Where a broken server gives both, the CNAME: it
/// is what resolvers follow.
fn data_at(reply: &Message, question: &Question) -> Vec<Datum> {
    let of_type = |wanted: WireType| {
        at(&reply.answers, &question.name).filter(move |record| record.record_type() == wanted).filter_map(datum)
    };
    let mut data: Vec<Datum> = of_type(WireType::CNAME).collect();
    if data.is_empty() {
        data = of_type(question.record_type).collect();
    }
    data.sort();
    data.dedup();
    data.truncate(MAX_RECORDS);
    data
}

fn at<'a>(records: &'a [Record], owner: &Name) -> impl Iterator<Item = &'a Record> {
    records.iter().filter(move |record| record.dns_class == DNSClass::IN && record.name == *owner)
}

fn datum(record: &Record) -> Option<Datum> {
    match &record.data {
        RData::CNAME(target) => Some(Datum::Record(RecordData::Cname(canonical(&target.0)))),
        RData::MX(mx) => Some(Datum::Record(RecordData::Mx { priority: mx.preference, host: canonical(&mx.exchange) })),
        RData::TXT(txt) => Some(Datum::Record(RecordData::Txt(text(txt)))),
        _ => address(record).map(Datum::Address),
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match &record.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    }
}

/// The character-strings joined, without what could harm a terminal. Bytes that are not UTF-8 become U+FFFD.
fn text(txt: &TXT) -> String {
    // Whole, for it is compared; a message bounds it.
    printable(&String::from_utf8_lossy(&txt.txt_data.concat()), usize::MAX)
}

/// How long the records at the name are kept yet.
fn positive_ttl(reply: &Message, question: &Question) -> Duration {
    let longest = at(&reply.answers, &question.name).map(|record| record.ttl).max().unwrap_or_default();
    Duration::from_secs(u64::from(longest.min(MAX_POSITIVE_TTL)))
}

fn negative_ttl(reply: &Message, question: &Question) -> Option<Duration> {
    let (record, soa) = soa(&reply.authorities, &question.name)?;
    let seconds = record.ttl.min(soa.minimum).min(MAX_NEGATIVE_TTL);
    Some(Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests;
