//! Which of the zones that a token sees serves a domain.
//!
//! The choice is made here, from the whole list, and not by asking Cloudflare for names: a token that is limited to some
//! zones gets a 403 for every name that is not one of them, which says nothing about its permissions.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::cmp::Reverse;

use super::model::{Zone, ZoneStatus};
use crate::dns::record::DnsName;

/// The zone that serves a domain, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZonePick<'a> {
    /// Write here.
    Found(&'a Zone),
    /// The most specific zone of that name is not served by Cloudflare: look at its status (pending, moved, …) and, if
    /// that is active, at its type (partial, secondary).
    NotActive(&'a Zone),
    /// Several zones of one name are served (in different accounts): only a person can say which.
    Ambiguous(Vec<&'a Zone>),
    /// The token sees no zone at or above the domain.
    None,
}

/// Picks the most specific served zone at or above `domain`.
///
/// A zone that is not served never shadows a served one above it: while `mail.example.com` is pending its delegation is
/// not in place, so the world still asks `example.com`, and that is where the records have to be. Once it turns active
/// the pick moves with the world. A paused zone is served: pausing ends proxying, not DNS.
pub fn pick_zone<'a>(zones: &'a [Zone], domain: &DnsName) -> ZonePick<'a> {
    let mut matching: Vec<&Zone> = zones.iter().filter(|zone| domain.is_within(&zone.name)).collect();
    // All are suffixes of one name, so longer is more specific. The rest makes the pick independent of the list's order.
    matching.sort_by_key(|zone| (Reverse(zone.name.as_str().len()), hopeless(&zone.status), &zone.id));
    matching.dedup_by_key(|zone| &zone.id);

    let mut served = matching.iter().copied().filter(|zone| zone.is_served());
    if let Some(best) = served.next() {
        let rivals: Vec<&Zone> = served.filter(|zone| zone.name == best.name).collect();
        if rivals.is_empty() {
            return ZonePick::Found(best);
        }
        return ZonePick::Ambiguous([vec![best], rivals].concat());
    }
    matching.first().map_or(ZonePick::None, |zone| ZonePick::NotActive(zone))
}

/// False for a zone that is on its way to active, or is active and of the wrong type: of several equally specific ones
/// it is the one worth telling about.
fn hopeless(status: &ZoneStatus) -> bool {
    !matches!(status, ZoneStatus::Active | ZoneStatus::Pending | ZoneStatus::Initializing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::cloudflare::model::ZoneType;

    fn zone(digit: char, name: &str, status: ZoneStatus) -> Zone {
        Zone {
            id: digit.to_string().repeat(32).parse().unwrap(),
            name: DnsName::new(name),
            status,
            paused: false,
            zone_type: ZoneType::Full,
            account_id: None,
            name_servers: vec![],
        }
    }

    fn active(digit: char, name: &str) -> Zone {
        zone(digit, name, ZoneStatus::Active)
    }

    fn pick<'a>(zones: &'a [Zone], domain: &str) -> ZonePick<'a> {
        let forward = pick_zone(zones, &DnsName::new(domain));
        let backward: Vec<Zone> = zones.iter().rev().cloned().collect();
        assert_eq!(pick_zone(&backward, &DnsName::new(domain)), forward, "the order of the list must not matter");
        forward
    }

    #[test]
    fn the_most_specific_active_zone_wins() {
        let zones = [active('1', "example.com"), active('2', "mail.example.com"), active('3', "example.org")];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[1]));
        assert_eq!(pick(&zones, "a.mail.example.com"), ZonePick::Found(&zones[1]));
        assert_eq!(pick(&zones, "news.example.com"), ZonePick::Found(&zones[0]));
        assert_eq!(pick(&zones, "example.com"), ZonePick::Found(&zones[0]));
    }

    #[test]
    fn a_zone_matches_at_label_boundaries_only() {
        let zones = [active('1', "ample.com"), active('2', "mail.example.com")];
        assert_eq!(pick(&zones, "example.com"), ZonePick::None);
        assert_eq!(pick(&[], "example.com"), ZonePick::None);
    }

    #[test]
    fn case_and_trailing_dots_do_not_matter() {
        let zones = [active('1', "Example.COM.")];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[0]));
    }

    #[test]
    fn an_inactive_zone_alone_is_told() {
        for status in [ZoneStatus::Pending, ZoneStatus::Moved, ZoneStatus::Other("new".to_owned())] {
            let zones = [zone('1', "example.com", status)];
            assert_eq!(pick(&zones, "mail.example.com"), ZonePick::NotActive(&zones[0]));
        }
    }

    #[test]
    fn an_inactive_zone_never_shadows_an_active_one() {
        let zones = [active('1', "example.com"), zone('2', "mail.example.com", ZoneStatus::Pending)];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[0]));
        let zones = [zone('1', "example.com", ZoneStatus::Moved), active('2', "example.com")];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[1]));
    }

    #[test]
    fn of_inactive_zones_the_most_specific_and_most_hopeful_is_told() {
        let zones = [
            zone('1', "example.com", ZoneStatus::Moved),
            zone('2', "mail.example.com", ZoneStatus::Moved),
            zone('3', "mail.example.com", ZoneStatus::Pending),
        ];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::NotActive(&zones[2]));
    }

    #[test]
    fn two_active_zones_of_one_name_are_ambiguous() {
        let zones = [active('1', "example.com"), active('2', "example.com"), active('3', "com")];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Ambiguous(vec![&zones[0], &zones[1]]));
        let zones = [active('1', "example.com"), active('2', "example.com"), active('3', "mail.example.com")];
        assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[2]), "only the most specific name counts");
    }

    #[test]
    fn one_zone_answered_twice_is_one_zone() {
        let zones = [active('1', "example.com"), active('1', "example.com")];
        assert_eq!(pick(&zones, "example.com"), ZonePick::Found(&zones[0]));
    }

    #[test]
    fn a_paused_zone_is_served() {
        let zones = [Zone { paused: true, ..active('1', "example.com") }];
        assert_eq!(pick(&zones, "example.com"), ZonePick::Found(&zones[0]));
    }

    #[test]
    fn a_zone_that_is_answered_elsewhere_is_not_picked() {
        for zone_type in [ZoneType::Partial, ZoneType::Secondary, ZoneType::Internal] {
            let zones = [active('1', "example.com"), Zone { zone_type, ..active('2', "mail.example.com") }];
            assert_eq!(pick(&zones, "mail.example.com"), ZonePick::Found(&zones[0]));
            assert_eq!(pick(&zones[1..], "mail.example.com"), ZonePick::NotActive(&zones[1]));
        }
        let zones = [Zone { zone_type: ZoneType::Other(String::new()), ..active('1', "example.com") }];
        assert_eq!(pick(&zones, "example.com"), ZonePick::Found(&zones[0]), "an unknown type is given the benefit");
    }
}
