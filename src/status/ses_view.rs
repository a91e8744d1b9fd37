//! What SES saw in DNS when it looked last, compared with what is there now.

use crate::api::v1alpha1::RecordPurpose;
use crate::dns::lookup::{LookupErrorKind, Source};
use crate::dns::record::WantedRecord;
use crate::observe::observation::Observation;
use crate::ses::identity::{Identity, SesStatus};

/// SES's last look, as `VerificationInfo` tells it.
#[derive(Clone, Copy)]
pub(super) struct SesView<'a>(pub(super) Option<&'a Identity>);

impl SesView<'_> {
    /// What to say of a DKIM record that the name servers answer right and SES says that it has not found.
    pub(super) fn lags_behind(self, wanted: &WantedRecord, seen: &Observation) -> Option<String> {
        let key = (wanted.name.clone(), wanted.data.record_type());
        // What resolvers say is not what the name servers answer to SES.
        let asked_there = seen.lookups.get(&key).is_some_and(|lookup| lookup.source == Source::Authoritative);
        let look = self.last_look(seen).filter(|_| wanted.purpose == RecordPurpose::Dkim && asked_there)?;
        Some(format!("The name servers answer it right. {look}"))
    }

    /// True if SES did not find the record when it looked last, and asked other name servers than those that the operator's
    /// resolvers know: where these may not be asked, or have no authority.
    pub(super) fn denies(self, wanted: &WantedRecord, seen: &Observation) -> bool {
        let Some(identity) = self.0 else { return false };
        let did_not_find = match wanted.purpose {
            RecordPurpose::Dkim => !identity.is_dkim_verified() && identity.error.as_deref().is_some_and(is_not_found),
            RecordPurpose::BounceMx => identity.mail_from.as_ref().is_some_and(|m| {
                *wanted.name.as_str() == *m.domain
                    && matches!(m.status, SesStatus::Failed | SesStatus::TemporaryFailure)
            }),
            RecordPurpose::Spf | RecordPurpose::Dmarc => false,
        };
        let key = (wanted.name.clone(), wanted.data.record_type());
        let elsewhere = match seen.lookups.get(&key).and_then(|lookup| lookup.instead) {
            Some(LookupErrorKind::PrivateServers) => true,
            Some(LookupErrorKind::Lame | LookupErrorKind::NoServer) => match (&identity.zone_seen, &seen.evidence.zone)
            {
                (Some(saw), Some(Ok(live))) => saw.primary != live.primary,
                _ => false,
            },
            _ => false,
        };
        did_not_find && elsewhere
    }

    /// True if SES has FAILED what the record is for, and looks no more until it is asked.
    pub(super) fn has_given_up(self, wanted: &WantedRecord) -> bool {
        let Some(identity) = self.0 else { return false };
        match wanted.purpose {
            RecordPurpose::Dkim => {
                [identity.verification.as_ref(), Some(&identity.dkim.status)].contains(&Some(&SesStatus::Failed))
            }
            RecordPurpose::BounceMx | RecordPurpose::Spf => {
                identity.mail_from.as_ref().is_some_and(|mail_from| mail_from.status == SesStatus::Failed)
            }
            RecordPurpose::Dmarc => false,
        }
    }

    /// Where SES looked last for the DKIM records of a domain that it has not verified, and what has changed there since.
    pub(super) fn last_look(self, seen: &Observation) -> Option<String> {
        let identity = self.0.filter(|identity| !identity.is_dkim_verified())?;
        let error = identity.error.as_deref()?;
        match error {
            error if is_not_found(error) => {}
            "DNS_SERVER_ERROR" => {
                return Some(format!(
                    "SES said {error} when it looked last, which means that the name servers did not answer it: check that they \
                     answer from everywhere, and that DNSSEC is right. SES looks again by itself"
                ));
            }
            "SERVICE_ERROR" => {
                return Some(format!(
                    "SES said {error} when it looked last, a fault of its own, and looks again by itself"
                ));
            }
            _ => return None,
        }
        // What resolvers tell of a zone is not what SES looks at, if the name servers could not be asked.
        let is_asked_there = seen.lookups.values().any(|lookup| lookup.source == Source::Authoritative);
        let live = seen.evidence.zone.as_ref().filter(|_| seen.dns_check && is_asked_there);
        let (Some(saw), Some(Ok(live))) = (&identity.zone_seen, live) else {
            return Some(format!("SES said {error} when it looked last, and looks again by itself"));
        };
        let said = format!("SES said {error} when it last looked at {}, serial {}", saw.primary, saw.serial);
        Some(if saw.primary != live.primary {
            format!(
                "{said}; the zone is now served by {}: SES asks the old provider until it sees the new delegation, and looks \
                 again by itself. If the domain was not moved, check its name servers at the registrar",
                live.primary
            )
        } else if is_older(saw.serial, live.serial) {
            format!("{said}; the zone has changed since, and SES looks again by itself")
        } else {
            format!("{said}, and looks again by itself")
        })
    }
}

/// The errors by which SES says that the records were not there, or not right.
fn is_not_found(error: &str) -> bool {
    matches!(error, "HOST_NOT_FOUND" | "TYPE_NOT_FOUND" | "INVALID_VALUE")
}

/// Serial numbers go round: RFC 1982.
fn is_older(one: u32, other: u32) -> bool {
    one != other && other.wrapping_sub(one) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn serial_numbers_go_round() {
        for (one, other, older) in
            [(1, 2, true), (2, 1, false), (1, 1, false), (u32::MAX, 0, true), (0, u32::MAX, false)]
        {
            assert_eq!(is_older(one, other), older, "{one} {other}");
        }
    }
}
