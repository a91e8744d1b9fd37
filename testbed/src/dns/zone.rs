//! Zones and the look-up of RFC 1034, section 4.3.2.

use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{DEFAULT_TTL, DnsError, Result, value};

/// How long an absence may be cached.
const MINIMUM: u32 = 30;
/// How long name servers may be cached: short, so that a domain that moves is seen to have moved.
const DELEGATION_TTL: u32 = 2;
/// Longest chain of CNAMEs that is followed.
const CHAIN: usize = 8;

/// The records of one name and type.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RrSet {
    pub(super) ttl: u32,
    pub(super) data: Vec<RData>,
}

type Node = BTreeMap<RecordType, RrSet>;

#[derive(Debug)]
struct Zone {
    apex: Name,
    serial: u32,
    /// In canonical order, so that what is below a name follows it.
    nodes: BTreeMap<Name, Node>,
}

/// The sections of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) authoritative: bool,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
}

impl Answer {
    /// For a failure, whose code is set elsewhere.
    pub(super) fn empty() -> Self {
        Self::new(ResponseCode::NoError, false)
    }

    fn new(code: ResponseCode, authoritative: bool) -> Self {
        Self { code, authoritative, answers: Vec::new(), authorities: Vec::new(), additionals: Vec::new() }
    }
}

/// What one zone says of one name and type.
enum Found<'a> {
    Set(&'a RrSet),
    Alias(&'a RrSet, Name),
    Cut(Name, &'a RrSet),
    NoData,
    NoName,
}

impl Zone {
    fn new(apex: &Name) -> Result<Self> {
        let host = apex.prepend_label("ns1").map_err(|_| DnsError::Name(value::plain(apex)))?;
        let mut zone = Self { apex: apex.clone(), serial: 1, nodes: BTreeMap::new() };
        let set = |ttl, data| RrSet { ttl, data: vec![data] };
        zone.node(apex).insert(RecordType::NS, set(DELEGATION_TTL, RData::NS(NS(host.clone()))));
        zone.node(&host).insert(RecordType::A, set(DEFAULT_TTL, RData::A(A([127, 0, 0, 1].into()))));
        Ok(zone)
    }

    fn node(&mut self, name: &Name) -> &mut Node {
        self.nodes.entry(name.clone()).or_default()
    }

    fn set(&mut self, name: &Name, rtype: RecordType, set: RrSet) {
        if set.data.is_empty() {
            self.unset(name, rtype);
        } else if self.node(name).get(&rtype) != Some(&set) {
            self.node(name).insert(rtype, set);
            self.serial += 1;
        }
    }

    fn unset(&mut self, name: &Name, rtype: RecordType) -> bool {
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        let removed = node.remove(&rtype).is_some();
        if node.is_empty() {
            self.nodes.remove(name);
        }
        if removed {
            self.serial += 1;
        }
        removed
    }

    fn soa(&self) -> Record {
        let below = |label| self.apex.prepend_label(label).unwrap_or_else(|_| self.apex.clone());
        let soa = SOA::new(below("ns1"), below("hostmaster"), self.serial, 3600, 600, 86400, MINIMUM);
        Record::from_rdata(self.apex.clone(), DEFAULT_TTL, RData::SOA(soa))
    }

    fn find(&self, name: &Name, rtype: RecordType) -> Found<'_> {
        if let Some((cut, servers)) = self.cut_above(name) {
            return Found::Cut(cut, servers);
        }
        let node = match self.nodes.get(name) {
            Some(node) => node,
            None if self.exists(name) => return Found::NoData,
            None => match self.wildcard(name) {
                Some(node) => node,
                None => return Found::NoName,
            },
        };
        if let Some(set) = node.get(&rtype) {
            return Found::Set(set);
        }
        match node.get(&RecordType::CNAME) {
            Some(set) => match set.data.first() {
                Some(RData::CNAME(CNAME(target))) => Found::Alias(set, target.clone()),
                _ => Found::NoData,
            },
            None => Found::NoData,
        }
    }

    /// The topmost name with NS between the apex (not counted) and the name itself.
    fn cut_above(&self, name: &Name) -> Option<(Name, &RrSet)> {
        let labels = usize::from(self.apex.num_labels()) + 1;
        (labels..=usize::from(name.num_labels())).find_map(|depth| {
            let cut = name.trim_to(depth);
            let servers = self.nodes.get(&cut)?.get(&RecordType::NS)?;
            Some((cut, servers))
        })
    }

    /// The name has records, or something below it has.
    fn exists(&self, name: &Name) -> bool {
        let next = self.nodes.range(name.clone()..).next();
        next.is_some_and(|(other, _)| name.zone_of(other))
    }

    fn wildcard(&self, name: &Name) -> Option<&Node> {
        let mut encloser = name.base_name();
        while !self.exists(&encloser) && encloser != self.apex {
            encloser = encloser.base_name();
        }
        self.nodes.get(&encloser.prepend_label("*").ok()?)
    }
}

/// All zones of a server.
#[derive(Debug, Default)]
pub(super) struct Zones {
    zones: BTreeMap<Name, Zone>,
}

impl Zones {
    pub(super) fn add(&mut self, apex: &Name) -> Result<()> {
        if !self.zones.contains_key(apex) {
            self.zones.insert(apex.clone(), Zone::new(apex)?);
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, apex: &Name) -> bool {
        self.zones.remove(apex).is_some()
    }

    pub(super) fn apexes(&self) -> Vec<String> {
        self.zones.keys().map(value::plain).collect()
    }

    pub(super) fn serial(&self, apex: &Name) -> Option<u32> {
        self.zones.get(apex).map(|zone| zone.serial)
    }

    pub(super) fn set(&mut self, name: &Name, rtype: RecordType, set: RrSet) -> Result<()> {
        let zone = self.zone_mut(name).ok_or_else(|| DnsError::NoZone(value::plain(name)))?;
        zone.set(name, rtype, set);
        Ok(())
    }

    pub(super) fn unset(&mut self, name: &Name, rtype: RecordType) -> bool {
        self.zone_mut(name).is_some_and(|zone| zone.unset(name, rtype))
    }

    /// In the zone with this apex, whether the name is answered from there or from a zone below.
    pub(super) fn set_in(&mut self, apex: &Name, name: &Name, rtype: RecordType, set: RrSet) -> Result<()> {
        let zone = self.zones.get_mut(apex).ok_or_else(|| DnsError::NoZone(value::plain(apex)))?;
        zone.set(name, rtype, set);
        Ok(())
    }

    pub(super) fn get(&self, name: &Name, rtype: RecordType) -> Option<&RrSet> {
        self.zone(name)?.nodes.get(name)?.get(&rtype)
    }

    fn apex_of(&self, name: &Name) -> Option<Name> {
        (0..=usize::from(name.num_labels()))
            .rev()
            .map(|depth| name.trim_to(depth))
            .find(|apex| self.zones.contains_key(apex))
    }

    fn zone(&self, name: &Name) -> Option<&Zone> {
        self.zones.get(&self.apex_of(name)?)
    }

    fn zone_mut(&mut self, name: &Name) -> Option<&mut Zone> {
        let apex = self.apex_of(name)?;
        self.zones.get_mut(&apex)
    }

    /// Answers one question. `recursive` is the RD bit.
    pub(super) fn answer(&self, name: &Name, rtype: RecordType, recursive: bool) -> Answer {
        let Some(mut zone) = self.zone(name) else {
            return self.outside(name, recursive);
        };
        let mut answer = Answer::new(ResponseCode::NoError, true);
        let mut owner = name.clone();
        for _ in 0..CHAIN {
            let Some(target) = Self::step(zone, &owner, rtype, recursive, &mut answer) else {
                break;
            };
            let next = match self.zone(&target) {
                Some(next) if recursive || next.apex == zone.apex => next,
                _ => break,
            };
            (zone, owner) = (next, target);
        }
        self.add_addresses(&mut answer);
        answer
    }

    /// Adds what the zone says of one name; gives the target when it is an alias to be followed.
    fn step(zone: &Zone, owner: &Name, rtype: RecordType, recursive: bool, answer: &mut Answer) -> Option<Name> {
        if rtype == RecordType::SOA && *owner == zone.apex {
            answer.answers.push(zone.soa());
            return None;
        }
        match zone.find(owner, rtype) {
            Found::Set(set) => answer.answers.extend(records(owner, set)),
            Found::Alias(set, target) => {
                answer.answers.extend(records(owner, set));
                return Some(target);
            }
            // A resolver would ask the servers below the cut; they are not here, so it would fail.
            Found::Cut(..) if recursive => answer.code = ResponseCode::ServFail,
            Found::Cut(cut, servers) => {
                answer.authoritative &= !answer.answers.is_empty();
                answer.authorities.extend(records(&cut, servers));
            }
            Found::NoData => answer.authorities.push(zone.soa()),
            Found::NoName => {
                answer.code = ResponseCode::NXDomain;
                answer.authorities.push(zone.soa());
            }
        }
        None
    }

    /// A resolver's own idea of a name: these records, or that there is no such name.
    pub(super) fn view(&self, name: &Name, set: &RrSet) -> Answer {
        let mut answer = Answer::new(ResponseCode::NoError, false);
        answer.answers.extend(records(name, set));
        if set.data.is_empty() {
            answer.code = ResponseCode::NXDomain;
            answer.authorities.extend(self.zone(name).map(Zone::soa));
        }
        answer
    }

    /// A name in none of the zones; see the module documentation.
    fn outside(&self, name: &Name, recursive: bool) -> Answer {
        if !recursive {
            return Answer::new(ResponseCode::Refused, false);
        }
        let above_a_zone = self.zones.keys().any(|apex| name.zone_of(apex));
        let code = if above_a_zone { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let root = Zone { apex: Name::root(), serial: 1, nodes: BTreeMap::new() };
        let mut answer = Answer::new(code, false);
        answer.authorities.push(root.soa());
        answer
    }

    /// Addresses of the hosts that NS and MX name, as far as they are known here: also the glue of a referral.
    fn add_addresses(&self, answer: &mut Answer) {
        let named = answer.answers.iter().chain(&answer.authorities);
        let hosts: Vec<Name> = named
            .filter_map(|record| match &record.data {
                RData::NS(NS(host)) => Some(host.clone()),
                RData::MX(mx) => Some(mx.exchange.clone()),
                _ => None,
            })
            .collect();
        for host in hosts {
            for rtype in [RecordType::A, RecordType::AAAA] {
                let set = self.get(&host, rtype);
                let found = set.into_iter().flat_map(|set| records(&host, set));
                answer.additionals.extend(found);
            }
        }
    }
}

fn records<'a>(owner: &'a Name, set: &'a RrSet) -> impl Iterator<Item = Record> + 'a {
    let data = set.data.iter().cloned();
    data.map(|data| Record::from_rdata(owner.clone(), set.ttl, data))
}
