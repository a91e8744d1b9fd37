//! What the API says when it refuses, with the codes that are publicly known.

use serde_json::{Value, json};

/// Where Cloudflare explains which records may share a name; part of its messages.
const SAME_NAME: &str = "For more details, refer to \
    <https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/>.";

/// Code of validation failures whose own code is not publicly known.
const VALIDATION: u32 = 1004;

/// One refusal: an HTTP status and one entry of `errors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) chain: Vec<(u32, String)>,
    /// A fault in a record: until October 2024 these came wrapped in a 1004, today they come bare.
    validation: bool,
}

pub(super) type Result<T> = std::result::Result<T, ApiError>;

impl ApiError {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), chain: Vec::new(), validation: false }
    }

    /// A fault in a record with its public code.
    pub(super) fn validation(code: u32, message: impl Into<String>) -> Self {
        Self { validation: true, ..Self::new(400, code, message) }
    }

    /// A fault in a record whose code is not publicly known.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, VALIDATION, message)
    }

    pub(super) fn body() -> Self {
        Self::new(400, 9207, "Request body is invalid.")
    }

    pub(super) fn no_credentials() -> Self {
        Self::new(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    }

    pub(super) fn malformed_token() -> Self {
        let chain = vec![(6111, "Invalid format for Authorization header".to_owned())];
        Self { chain, ..Self::new(400, 6003, "Invalid request headers") }
    }

    /// What `tokens/verify` says of a token it does not know.
    pub(super) fn not_a_token() -> Self {
        Self::new(401, 1000, "Invalid API Token")
    }

    /// What everything else says of such a token.
    pub(super) fn unknown_token() -> Self {
        Self::new(403, 9109, "Invalid access token")
    }

    /// The zone is not this token's, or does not exist: not to be told apart.
    pub(super) fn zone_denied() -> Self {
        Self::new(403, 9109, "Unauthorized to access requested resource")
    }

    /// The token lacks the permission for DNS records of the zone.
    pub(super) fn dns_denied() -> Self {
        Self::new(403, 10000, "Authentication error")
    }

    pub(super) fn cannot_list_zones() -> Self {
        let message = "Actor 'com.cloudflare.api.token' requires permission \
                       'com.cloudflare.api.account.zone.list' to list zones";
        Self::new(403, 0, message)
    }

    pub(super) fn no_route(path: &str) -> Self {
        let message = format!("Could not route to {path}, perhaps your object identifier is invalid?");
        Self::new(404, 7003, message)
    }

    pub(super) fn method(method: &str) -> Self {
        let message = format!("{method} method not allowed for this endpoint");
        Self::new(405, 10000, message)
    }

    pub(super) fn no_record() -> Self {
        Self::new(404, 81044, "Record does not exist.")
    }

    pub(super) fn quota() -> Self {
        Self::new(400, 81045, "Record quota exceeded.")
    }

    /// A new CNAME meets an address or a CNAME.
    pub(super) fn host_taken() -> Self {
        let message = format!("An A, AAAA, or CNAME record with that host already exists. {SAME_NAME}");
        Self::new(400, 81053, message)
    }

    /// A new address meets a CNAME.
    pub(super) fn cname_taken() -> Self {
        let message = format!("A CNAME record with that host already exists. {SAME_NAME}");
        Self::new(400, 81054, message)
    }

    /// Anything but NS meets a delegation.
    pub(super) fn delegated() -> Self {
        Self::new(400, 81056, format!("NS records with that host already exist. {SAME_NAME}"))
    }

    /// Same name, type and content, but other attributes.
    pub(super) fn exists() -> Self {
        Self::new(400, 81057, "Record already exists.")
    }

    /// Same in everything.
    pub(super) fn identical() -> Self {
        Self::new(400, 81058, "An identical record already exists.")
    }

    pub(super) fn rate_limited(requests: u32, seconds: u64) -> Self {
        let message = format!(
            "More than {requests} requests per {seconds} seconds reached. \
             Please wait and consider throttling your request speed"
        );
        Self::new(429, 10100, message)
    }

    /// The envelope of a refusal. `wrapped` gives faults in records as they were until October 2024.
    pub(super) fn envelope(&self, wrapped: bool) -> Value {
        let entry = if wrapped && self.validation {
            json!({
                "code": VALIDATION,
                "message": "DNS Validation Error",
                "error_chain": [{"code": self.code, "message": self.message}],
            })
        } else {
            self.entry()
        };
        json!({"success": false, "errors": [entry], "messages": [], "result": null})
    }

    fn entry(&self) -> Value {
        let mut entry = json!({"code": self.code, "message": self.message});
        if !self.chain.is_empty() {
            let link = |(code, message): &(u32, String)| json!({"code": code, "message": message});
            entry["error_chain"] = self.chain.iter().map(link).collect();
        }
        entry
    }
}
