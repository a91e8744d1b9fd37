//! From the body of a request to a record, or to the reason why not.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::{ApiError, Result};
use super::model::{Draft, Plan};

/// Cloudflare's "automatic".
const AUTOMATIC_TTL: u32 = 1;
const LONGEST_TTL: u32 = 86_400;
const LONGEST_TXT: usize = 2_048;
/// All TXT of one name together.
pub(super) const TXT_SUM: usize = 8_192;
const TYPES: [&str; 21] = [
    "A",
    "AAAA",
    "CAA",
    "CERT",
    "CNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "LOC",
    "MX",
    "NAPTR",
    "NS",
    "OPENPGPKEY",
    "PTR",
    "SMIMEA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
    "URI",
];

/// A body as sent. Unknown fields are ignored, as the API does; `null` counts as not given.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Input {
    pub(super) id: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    rtype: Option<String>,
    content: Option<String>,
    data: Option<Value>,
    priority: Option<u16>,
    ttl: Option<f64>,
    proxied: Option<bool>,
    #[serde(default)]
    comment: Comment,
    tags: Option<Vec<String>>,
    settings: Option<Map<String, Value>>,
}

/// Left out, a comment stays; `null` removes it.
#[derive(Debug, Clone, Default)]
enum Comment {
    #[default]
    Kept,
    Set(Option<String>),
}

impl<'de> Deserialize<'de> for Comment {
    fn deserialize<D: Deserializer<'de>>(input: D) -> std::result::Result<Self, D::Error> {
        Option::deserialize(input).map(Self::Set)
    }
}

impl Input {
    pub(super) fn parse(body: Value) -> Result<Self> {
        serde_json::from_value(body).map_err(|_| ApiError::body())
    }

    /// A whole record: POST and PUT. What is not given gets its default.
    pub(super) fn whole(self, zone: &str, plan: Plan) -> Result<Draft> {
        let empty = Draft {
            name: String::new(),
            rtype: String::new(),
            content: String::new(),
            data: None,
            priority: None,
            ttl: AUTOMATIC_TTL,
            proxied: false,
            comment: None,
            tags: Vec::new(),
            settings: Map::new(),
        };
        self.over(empty, zone, plan)
    }

    /// Changes to a record: PATCH.
    pub(super) fn over(self, mut draft: Draft, zone: &str, plan: Plan) -> Result<Draft> {
        if let Some(name) = &self.name {
            draft.name = full_name(name, zone)?;
        }
        if let Some(rtype) = self.rtype {
            draft.rtype = rtype.to_ascii_uppercase();
        }
        if let Some(ttl) = self.ttl {
            draft.ttl = checked_ttl(ttl, plan)?;
        }
        if let Comment::Set(comment) = self.comment {
            draft.comment = comment.filter(|text| !text.is_empty());
        }
        draft.content = self.content.unwrap_or(draft.content);
        draft.data = self.data.or(draft.data);
        draft.priority = self.priority.or(draft.priority);
        draft.proxied = self.proxied.unwrap_or(draft.proxied);
        draft.tags = self.tags.unwrap_or(draft.tags);
        draft.settings = self.settings.unwrap_or(draft.settings);
        check(&mut draft, plan)?;
        Ok(draft)
    }
}

/// `@` and names without the zone's are relative to the zone.
fn full_name(name: &str, zone: &str) -> Result<String> {
    let invalid = || ApiError::validation(9000, "DNS name is invalid.");
    let given = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    let full = match given.as_str() {
        "" => return Err(invalid()),
        "@" => zone.to_owned(),
        _ if given == zone || given.ends_with(&format!(".{zone}")) => given,
        _ => format!("{given}.{zone}"),
    };
    let parsed = Name::from_utf8(&full).map_err(|_| invalid())?;
    Ok(parsed.to_ascii())
}

fn checked_ttl(ttl: f64, plan: Plan) -> Result<u32> {
    let shortest = plan.shortest_ttl();
    let fits = |whole: &u32| *whole == AUTOMATIC_TTL || (shortest..=LONGEST_TTL).contains(whole);
    // JSON has no whole numbers, and the official clients send this one as a float.
    let whole = (ttl.fract() == 0.0).then(|| format!("{ttl:.0}").parse().ok()).flatten();
    whole.filter(fits).ok_or_else(|| {
        let message = format!("Invalid TTL. Must be between {shortest} and {LONGEST_TTL} seconds, or 1 for Automatic.");
        ApiError::validation(9021, message)
    })
}

fn check(draft: &mut Draft, plan: Plan) -> Result<()> {
    if draft.name.is_empty() {
        return Err(ApiError::validation(9000, "DNS name is invalid."));
    }
    if !TYPES.contains(&draft.rtype.as_str()) {
        return Err(ApiError::invalid("Invalid DNS record type."));
    }
    check_content(draft)?;
    if draft.rtype == "MX" || draft.rtype == "URI" {
        if draft.priority.is_none() {
            return Err(ApiError::validation(9100, "priority is a required field."));
        }
    } else {
        draft.priority = None;
    }
    if draft.proxied && !draft.proxiable() {
        return Err(ApiError::validation(9004, "This record type cannot be proxied."));
    }
    if draft.proxied {
        draft.ttl = AUTOMATIC_TTL;
    }
    if draft.rtype == "CNAME" {
        draft.settings.entry("flatten_cname").or_insert(Value::Bool(false));
    }
    check_notes(draft, plan)
}

fn check_content(draft: &mut Draft) -> Result<()> {
    let content = draft.content.trim().to_owned();
    draft.content = match draft.rtype.as_str() {
        "A" => content
            .parse::<Ipv4Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| ApiError::validation(9005, "Content for A record must be a valid IPv4 address."))?,
        "AAAA" => content
            .parse::<Ipv6Addr>()
            .map(|ip| ip.to_string())
            .map_err(|_| ApiError::validation(9006, "Content for AAAA record must be a valid IPv6 address."))?,
        "CNAME" => host(&content).ok_or_else(|| ApiError::validation(9007, "Content for CNAME record is invalid."))?,
        "MX" => {
            host(&content).ok_or_else(|| ApiError::validation(9009, "Content for MX record must be a hostname."))?
        }
        "NS" | "PTR" => host(&content)
            .ok_or_else(|| ApiError::invalid(format!("Content for {} record must be a hostname.", draft.rtype)))?,
        "TXT" if content.is_empty() || content.len() > LONGEST_TXT => {
            return Err(ApiError::invalid("Content for TXT record must have 1 to 2048 characters."));
        }
        _ if content.is_empty() && draft.data.is_none() => {
            return Err(ApiError::invalid("Content or data is required."));
        }
        _ => content,
    };
    if draft.rtype == "CNAME" && draft.content.eq_ignore_ascii_case(&draft.name) {
        return Err(ApiError::validation(9039, "Content for CNAME record cannot reference itself."));
    }
    Ok(())
}

/// A host name without its final dot; addresses are none.
fn host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let valid = !text.is_empty() && text.parse::<Ipv4Addr>().is_err() && !text.contains([' ', ':', '/', '@', '"']);
    let name = valid.then(|| Name::from_utf8(text).ok()).flatten()?;
    Some(name.to_ascii())
}

fn check_notes(draft: &Draft, plan: Plan) -> Result<()> {
    let comment = draft.comment.as_deref().unwrap_or_default();
    let limit = plan.comment_limit();
    if comment.chars().count() > limit {
        let message = format!("DNS record comment exceeds the maximum length of {limit} characters.");
        return Err(ApiError::validation(9313, message));
    }
    if comment.contains(['\n', '\r']) {
        return Err(ApiError::invalid("DNS record comment must not contain line breaks."));
    }
    let (tags, quota) = (draft.tags.len(), plan.tag_limit());
    if tags > quota {
        let message = format!("DNS record has {tags} tags, exceeding the quota of {quota}.");
        return Err(ApiError::validation(9300, message));
    }
    Ok(())
}
