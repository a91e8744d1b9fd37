//! What can go wrong at Cloudflare, classed once. The words are ours: an answer's own text never leaves this module,
//! because it may carry anything, the token included.

use std::fmt;
use std::time::Duration;

use crate::error::ErrorClass;

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Listing the zones that the token sees.
    ListZones,
    /// Reading one zone by its id.
    ReadZone,
    /// Listing records of a zone.
    ListRecords,
    /// Writing records of a zone.
    WriteRecords,
    /// Asking what became of the token.
    VerifyToken,
}

impl Operation {
    /// A short name, good as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListZones => "list_zones",
            Self::ReadZone => "read_zone",
            Self::ListRecords => "list_records",
            Self::WriteRecords => "write_records",
            Self::VerifyToken => "verify_token",
        }
    }

    fn doing(self) -> &'static str {
        match self {
            Self::ListZones => "listing zones",
            Self::ReadZone => "reading the zone",
            Self::ListRecords => "listing records",
            Self::WriteRecords => "writing records",
            Self::VerifyToken => "asking about the token",
        }
    }
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// "Invalid API token": revoked, expired, malformed, or not allowed from this address.
    InvalidToken,
    /// "Could not access zone": the token may not list zones, or not read this one.
    ZoneNotAccessible,
    /// "Failed to create record": the token sees the zone and may not read or write its records.
    PermissionDenied,
    /// A record in the way, or an equal one. Look again, then decide.
    RecordExists,
    /// The zone holds as many records as its plan allows.
    QuotaExceeded,
    /// Refused for what it says; also what this adapter itself refuses to send.
    Invalid,
    /// The zone or the record is gone.
    NotFound,
    /// The record was stored without the comment that marks it as ours.
    Unmarked,
    /// Not sent, because another replica leads.
    NotLeading,
    /// Over a rate limit, Cloudflare's or our own.
    RateLimited,
    /// No usable answer. A write may or may not have been carried out.
    Unavailable,
    /// An answer that means nothing to this program.
    Other,
}

impl Kind {
    /// A bounded label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::ZoneNotAccessible => "zone_not_accessible",
            Self::PermissionDenied => "permission_denied",
            Self::RecordExists => "record_exists",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Unmarked => "unmarked",
            Self::NotLeading => "not_leading",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What it means.
    pub kind: Kind,
    /// What was being done.
    pub operation: Operation,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Cloudflare's codes, those of the error chain included (the useful one is often only there).
    pub codes: Vec<u32>,
    /// The id of the request at Cloudflare.
    pub ray_id: Option<String>,
    /// How long to stay away, at most 15 minutes.
    pub retry_after: Option<Duration>,
    /// More, in our own words.
    pub detail: Option<&'static str>,
}

impl Error {
    pub(super) fn new(operation: Operation, kind: Kind, detail: impl Into<Option<&'static str>>) -> Self {
        let detail = detail.into();
        Self { kind, operation, status: None, codes: vec![], ray_id: None, retry_after: None, detail }
    }

    /// What this failure means for the next try. A record in the way is transient because it is the next look at the
    /// zone that says whether it is a conflict; likewise a record that was gone when it was to be changed.
    pub fn class(&self) -> ErrorClass {
        let transient = ErrorClass::Transient { retry_after: self.retry_after };
        match self.kind {
            Kind::RateLimited | Kind::Unavailable | Kind::RecordExists | Kind::NotLeading => transient,
            Kind::NotFound if self.operation == Operation::WriteRecords => transient,
            Kind::Other if !self.status.is_some_and(|status| (400..500).contains(&status)) => transient,
            Kind::InvalidToken
            | Kind::ZoneNotAccessible
            | Kind::PermissionDenied
            | Kind::QuotaExceeded
            | Kind::Invalid
            | Kind::Unmarked
            | Kind::NotFound
            | Kind::Other => ErrorClass::Terminal,
        }
    }

    /// True if nothing was sent, because it was not this caller's turn: that says nothing of another's.
    pub(super) fn is_held_back(&self) -> bool {
        self.kind == Kind::RateLimited && self.status.is_none()
    }

    /// True if one change of a batch is at fault, and the others may be as good as any.
    pub(super) fn is_about_one_change(&self) -> bool {
        match self.kind {
            Kind::RecordExists | Kind::QuotaExceeded => true,
            // Without a status it was this adapter that refused; a 413 is about the batch as a whole, and smaller ones fit.
            Kind::Invalid | Kind::Other => self.status.is_some_and(|status| (400..500).contains(&status)),
            Kind::NotFound => self.codes.iter().any(|code| RECORD_GONE.contains(code)),
            Kind::InvalidToken
            | Kind::ZoneNotAccessible
            | Kind::PermissionDenied
            | Kind::Unmarked
            | Kind::NotLeading
            | Kind::RateLimited
            | Kind::Unavailable => false,
        }
    }

    fn sentence(&self) -> &'static str {
        match (self.kind, self.operation) {
            (Kind::InvalidToken, _) => "Invalid API token: Cloudflare refused it",
            (Kind::ZoneNotAccessible, _) => "Could not access zone: the token needs the permission Zone:Read for it",
            (Kind::PermissionDenied, Operation::WriteRecords) => {
                "Failed to create record: the token needs the permission DNS:Edit for the zone"
            }
            (Kind::PermissionDenied, _) => {
                "Could not read records: the token needs the permission DNS:Edit for the zone"
            }
            (Kind::RecordExists, _) => "Failed to create record: Cloudflare has a record in its way",
            (Kind::QuotaExceeded, _) => "Failed to create record: the zone's quota of records is used up",
            (Kind::Invalid, _) => "Request refused as invalid",
            (Kind::NotFound, Operation::WriteRecords) => "A record to be changed is gone",
            (Kind::NotFound, _) => "Could not access zone: there is no zone with this id",
            (Kind::Unmarked, _) => {
                "Failed to create record: Cloudflare did not keep the comment by which the operator knows its records, so \
                 what it had created was taken back"
            }
            (Kind::NotLeading, _) => {
                "This replica may not write now, since its lease is not being renewed; the leader goes on"
            }
            (Kind::RateLimited, _) => "Cloudflare's rate limit is reached",
            (Kind::Unavailable, _) => "Cloudflare gave no usable answer",
            (Kind::Other, _) => "Cloudflare refused the request",
        }
    }
}

/// `Invalid API token: Cloudflare refused it (listing zones, HTTP 403, code 9109)`. Without the ray, which is another in
/// every answer: the message becomes a condition's, and the same fault must read the same. The log has it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())?;
        if let Some(detail) = self.detail {
            write!(f, ": {detail}")?;
        }
        write!(f, " ({}", self.operation.doing())?;
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        for code in &self.codes {
            write!(f, ", code {code}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {}

/// One entry of an answer's `errors`, or of the chain below it. The message is looked at, never repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: u32,
    pub(super) message: String,
}

/// The faults of one refused request.
pub(super) struct Refusal<'a> {
    pub(super) operation: Operation,
    pub(super) status: u16,
    pub(super) faults: &'a [Fault],
}

/// Malformed credentials: "Invalid request headers", "Invalid format for X-Auth-Key / Authorization header", "Missing
/// X-Auth-Key, X-Auth-Email or Authorization headers", "Unable to authenticate request".
const MALFORMED_TOKEN: &[u32] = &[6003, 6103, 6111, 9106, 10001];
/// "… record with that host already exists" (A/AAAA/CNAME, CNAME, NS), "record already exists", "identical record".
const RECORD_EXISTS: &[u32] = &[81053, 81054, 81056, 81057, 81058];
/// "The record quota has been exceeded."
const QUOTA: &[u32] = &[81045];
/// "No route for that URI", "Could not route to …, perhaps your object identifier is invalid?".
const NO_ROUTE: &[u32] = &[7000, 7003];
/// "Record does not exist."
const RECORD_GONE: &[u32] = &[81044];
/// "Please wait and consider throttling your request speed", and the older texts of the same limit.
const THROTTLED: &[u32] = &[971, 10100, 10300];
/// "You cannot use this API for domains with a .cf, .ga, .gq, .ml, or .tk TLD".
const FREE_TLD: u32 = 1038;
/// "DNS Validation Error"; the rule that was broken is in its chain.
const VALIDATION: u32 = 1004;

impl Refusal<'_> {
    /// What the refusal means, and a detail where the codes allow one. The codes that name one thing only come first;
    /// 401, 403 and the codes that Cloudflare uses for several things are read by what was being done.
    pub(super) fn classify(&self) -> (Kind, Option<&'static str>) {
        let kind = match self.status {
            429 => Kind::RateLimited,
            500.. => Kind::Unavailable,
            _ if self.has(THROTTLED) => Kind::RateLimited,
            _ if self.has(RECORD_EXISTS) => Kind::RecordExists,
            _ if self.has(QUOTA) || self.says("record quota") => Kind::QuotaExceeded,
            _ if self.has(RECORD_GONE) => Kind::NotFound,
            _ if self.has(&[FREE_TLD]) => {
                return (Kind::PermissionDenied, Some("the API takes no changes under this top-level domain"));
            }
            _ => return self.access().unwrap_or_else(|| (self.rest(), None)),
        };
        (kind, None)
    }

    /// Who may do what. Two codes mean different things at different places:
    ///
    /// - 9109 is "Invalid access token" for a token that is wrong, "Cannot use the access token from location: …" for
    ///   one used from elsewhere than it may, and "Unauthorized to access requested resource" for a good token without
    ///   the permission. The text decides; were it to change, a list of zones is refused to wrong tokens only (a good
    ///   one without permission gets code 0 or an empty list), and the rest is read as a missing permission.
    /// - 10000 "Authentication error" is what records answer to a good token without DNS:Edit; where no particular
    ///   resource is asked for (the list of zones) it can only mean the token itself.
    fn access(&self) -> Option<(Kind, Option<&'static str>)> {
        let foreign_address = "the token may not be used from the operator's address";
        let invalid = (Kind::InvalidToken, None);
        if self.says("access token from location") {
            return Some((Kind::InvalidToken, Some(foreign_address)));
        }
        if self.status == 401 || self.has(MALFORMED_TOKEN) || self.says("invalid access token") {
            return Some(invalid);
        }
        // 1000 "Invalid API Token" and 1001 "Missing Authorization header" mean other things with other statuses.
        if self.says("invalid api token") || (self.status == 403 && self.has(&[1000, 1001])) {
            return Some(invalid);
        }
        if !(self.status == 403 || self.has(&[9109, 10000])) {
            return None;
        }
        let token_itself = self.has(&[10000]) || (self.has(&[9109]) && !self.says("unauthorized"));
        let kind = match self.operation {
            Operation::ListZones if token_itself => Kind::InvalidToken,
            Operation::VerifyToken => Kind::InvalidToken,
            Operation::ListZones | Operation::ReadZone => Kind::ZoneNotAccessible,
            Operation::ListRecords | Operation::WriteRecords => Kind::PermissionDenied,
        };
        Some((kind, None))
    }

    fn rest(&self) -> Kind {
        match self.status {
            404 | 410 => Kind::NotFound,
            _ if self.has(NO_ROUTE) || self.says("invalid zone identifier") => Kind::NotFound,
            400 | 409 | 413 | 415 | 422 => Kind::Invalid,
            _ if self.has(&[VALIDATION]) => Kind::Invalid,
            _ => Kind::Other,
        }
    }

    fn has(&self, codes: &[u32]) -> bool {
        self.faults.iter().any(|fault| codes.contains(&fault.code))
    }

    fn says(&self, words: &str) -> bool {
        self.faults.iter().any(|fault| fault.message.to_ascii_lowercase().contains(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{ListRecords, ListZones, ReadZone, WriteRecords};

    fn kind(operation: Operation, status: u16, faults: &[(u32, &str)]) -> Kind {
        let faults: Vec<Fault> =
            faults.iter().map(|&(code, message)| Fault { code, message: message.to_owned() }).collect();
        Refusal { operation, status, faults: &faults }.classify().0
    }

    #[test]
    fn code_9109_is_read_by_its_text_and_by_what_was_done() {
        for operation in [ListZones, ReadZone, ListRecords, WriteRecords] {
            assert_eq!(kind(operation, 403, &[(9109, "Invalid access token")]), Kind::InvalidToken);
            let elsewhere = "Cannot use the access token from location: 192.0.2.1";
            assert_eq!(kind(operation, 403, &[(9109, elsewhere)]), Kind::InvalidToken);
        }
        let scope = "Unauthorized to access requested resource";
        assert_eq!(kind(ListZones, 403, &[(9109, scope)]), Kind::ZoneNotAccessible);
        assert_eq!(kind(ReadZone, 403, &[(9109, scope)]), Kind::ZoneNotAccessible);
        assert_eq!(kind(ListRecords, 403, &[(9109, scope)]), Kind::PermissionDenied);
        assert_eq!(kind(WriteRecords, 403, &[(9109, scope)]), Kind::PermissionDenied);
        assert_eq!(kind(ListZones, 403, &[(9109, "new words")]), Kind::InvalidToken);
        assert_eq!(kind(WriteRecords, 403, &[(9109, "new words")]), Kind::PermissionDenied);
    }

    #[test]
    fn code_10000_is_read_by_what_was_done() {
        let text = "Authentication error";
        assert_eq!(kind(ListZones, 403, &[(10000, text)]), Kind::InvalidToken);
        assert_eq!(kind(ReadZone, 403, &[(10000, text)]), Kind::ZoneNotAccessible);
        assert_eq!(kind(ListRecords, 403, &[(10000, text)]), Kind::PermissionDenied);
        assert_eq!(kind(WriteRecords, 403, &[(10000, text)]), Kind::PermissionDenied);
        assert_eq!(kind(WriteRecords, 401, &[(10000, text)]), Kind::InvalidToken, "401 speaks of the token");
    }

    #[test]
    fn codes_1000_and_1001_are_about_the_token_with_401_and_403_only() {
        assert_eq!(kind(ListZones, 401, &[(1000, "Invalid API Token")]), Kind::InvalidToken);
        assert_eq!(kind(ListZones, 400, &[(1000, "Invalid API Token")]), Kind::InvalidToken);
        assert_eq!(kind(ListZones, 403, &[(1001, "Missing \"Authorization\" header")]), Kind::InvalidToken);
        assert_eq!(kind(ReadZone, 400, &[(1001, "Invalid zone identifier")]), Kind::NotFound);
    }

    #[test]
    fn a_code_that_names_one_thing_beats_the_status() {
        assert_eq!(kind(WriteRecords, 403, &[(81045, "")]), Kind::QuotaExceeded);
        assert_eq!(kind(WriteRecords, 400, &[(0, "Record quota exceeded.")]), Kind::QuotaExceeded);
        assert_eq!(kind(WriteRecords, 404, &[(81044, "Record does not exist.")]), Kind::NotFound);
        assert_eq!(kind(WriteRecords, 400, &[(1004, ""), (81057, "")]), Kind::RecordExists);
        assert_eq!(kind(WriteRecords, 200, &[(10100, "")]), Kind::RateLimited);
        assert_eq!(
            kind(WriteRecords, 400, &[(1004, ""), (9300, "DNS record has 1 tags, exceeding the quota of 0.")]),
            Kind::Invalid
        );
    }

    #[test]
    fn a_server_fault_is_never_read_as_an_answer() {
        for status in [500, 502, 521, 530] {
            assert_eq!(kind(WriteRecords, status, &[(10000, ""), (81057, "")]), Kind::Unavailable);
        }
    }

    #[test]
    fn the_class_follows_the_kind() {
        let class = |kind, operation, status| {
            let retry_after = Some(Duration::from_secs(7));
            Error { status, retry_after, ..Error::new(operation, kind, None) }.class()
        };
        let transient = ErrorClass::Transient { retry_after: Some(Duration::from_secs(7)) };
        for kind in [Kind::RateLimited, Kind::Unavailable, Kind::RecordExists] {
            assert_eq!(class(kind, WriteRecords, None), transient);
        }
        for kind in [Kind::InvalidToken, Kind::ZoneNotAccessible, Kind::PermissionDenied, Kind::QuotaExceeded] {
            assert_eq!(class(kind, WriteRecords, Some(403)), ErrorClass::Terminal);
        }
        assert_eq!(class(Kind::NotFound, ReadZone, Some(404)), ErrorClass::Terminal);
        assert_eq!(class(Kind::NotFound, WriteRecords, Some(404)), transient);
        assert_eq!(class(Kind::Other, ReadZone, Some(418)), ErrorClass::Terminal);
        assert_eq!(class(Kind::Other, ReadZone, Some(200)), transient);
    }

    #[test]
    fn the_message_says_what_was_done_and_is_the_same_every_time() {
        let error = Error {
            status: Some(403),
            codes: vec![9109],
            ray_id: Some("8f3c2a-FRA".to_owned()),
            ..Error::new(ListZones, Kind::InvalidToken, None)
        };
        let message = "Invalid API token: Cloudflare refused it (listing zones, HTTP 403, code 9109)";
        assert_eq!(error.to_string(), message);
        let error = Error::new(WriteRecords, Kind::Unavailable, "no answer in time");
        assert_eq!(error.to_string(), "Cloudflare gave no usable answer: no answer in time (writing records)");
    }
}
