//! Tags of identities.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, OpResult};
use super::identity::Identity;
use super::state::{Request, State};
use super::wire;

type Tags = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagInput {
    resource_arn: String,
    tags: Vec<Tag>,
}

pub(super) fn tag(state: &mut State, request: &Request) -> OpResult {
    let input: TagInput = request.input()?;
    let identity = found(state, request, &input.resource_arn)?;
    identity.tags = merged(&identity.tags, input.tags)?;
    Ok(Value::Object(serde_json::Map::default()))
}

pub(super) fn untag(state: &mut State, request: &Request) -> OpResult {
    let identity = found(state, request, request.parameter("ResourceArn").unwrap_or_default())?;
    for (_, key) in request.query.iter().filter(|(name, _)| name == "TagKeys") {
        identity.tags.remove(key);
    }
    Ok(Value::Object(serde_json::Map::default()))
}

pub(super) fn list_tags(state: &mut State, request: &Request) -> OpResult {
    let identity = found(state, request, request.parameter("ResourceArn").unwrap_or_default())?;
    Ok(json!({ "Tags": wire::tags(&identity.tags) }))
}

fn found<'a>(state: &'a mut State, request: &Request, arn: &str) -> Result<&'a mut Identity, ApiError> {
    let prefix = request.arn("");
    let name = arn.strip_prefix(&prefix).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::bad_request(format!("Invalid resource ARN <{arn}>.")))?;
    state.identity(&request.place, name).ok_or_else(|| ApiError::identity_not_found(name))
}

/// The tags with `added` to them, within the limits of AWS.
pub(super) fn merged(tags: &Tags, added: Vec<Tag>) -> Result<Tags, ApiError> {
    let mut merged = tags.clone();
    for Tag { key, value } in added {
        let length = key.chars().count();
        if length == 0 || length > 128 || value.chars().count() > 256 {
            return Err(ApiError::bad_request(format!(
                "Invalid tag <{key}>: key 1 to 128, value up to 256 characters."
            )));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::bad_request(format!("Tag <{key}> begins with the reserved prefix aws:.")));
        }
        let allowed = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        if !key.chars().chain(value.chars()).all(allowed) {
            return Err(ApiError::bad_request(format!("Tag <{key}> contains characters that are not allowed.")));
        }
        merged.insert(key, value);
    }
    if merged.len() > 50 {
        return Err(ApiError::bad_request("A resource can have at most 50 tags."));
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Result<Tags, ApiError> {
        merged(&Tags::new(), vec![Tag { key: key.to_owned(), value: value.to_owned() }])
    }

    #[test]
    fn tags_have_the_limits_of_aws() {
        assert!(one("team", "").is_ok());
        assert!(one("sending-domain/owner", "ns/name=1").is_ok());
        assert!(one("", "x").is_err());
        assert!(one(&"k".repeat(129), "x").is_err());
        assert!(one("k", &"v".repeat(257)).is_err());
        assert!(one("AWS:x", "y").is_err());
        assert!(one("k", "a*b").is_err());
        let fifty: Tags = (0..50).map(|n| (n.to_string(), String::new())).collect();
        assert!(merged(&fifty, vec![Tag { key: "0".to_owned(), value: "again".to_owned() }]).is_ok());
        assert!(merged(&fifty, vec![Tag { key: "more".to_owned(), value: String::new() }]).is_err());
    }
}
