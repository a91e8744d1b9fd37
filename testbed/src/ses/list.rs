//! `ListEmailIdentities`: pages and filters.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, OpResult};
use super::identity::Identity;
use super::state::{Request, State};
use super::wire::{kind, status};

const LARGEST_PAGE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Input {
    filter: Option<BTreeMap<String, String>>,
    next_token: Option<String>,
    page_size: Option<i64>,
}

pub(super) fn list_identities(state: &mut State, request: &Request) -> OpResult {
    let mut input: Input = request.input()?;
    // The published API has these in the query string of a GET.
    input.next_token = input.next_token.or_else(|| request.parameter("NextToken").map(str::to_owned));
    if let (None, Some(size)) = (input.page_size, request.parameter("PageSize")) {
        input.page_size = Some(size.parse().map_err(|_| ApiError::bad_request("PageSize must be a number."))?);
    }
    let page_size = page_size(input.page_size)?;
    let after = input.next_token.as_deref().map(name_in_token).transpose()?;
    let filter = input.filter.unwrap_or_default();
    check_filter(&filter)?;
    let store = state.store(&request.place);
    let mut rest = store
        .identities
        .values()
        .filter(|identity| after.as_ref().is_none_or(|after| identity.name > *after))
        .filter(|identity| passes(identity, &filter));
    let page: Vec<&Identity> = rest.by_ref().take(page_size).collect();
    let last = page.last().map(|identity| token_of(&identity.name));
    let items: Vec<Value> = page.iter().map(|identity| item(identity)).collect();
    Ok(match rest.next() {
        Some(_) => json!({ "EmailIdentities": items, "NextToken": last }),
        None => json!({ "EmailIdentities": items }),
    })
}

fn item(identity: &Identity) -> Value {
    json!({
        "IdentityName": identity.name,
        "IdentityType": kind(identity),
        "SendingEnabled": identity.may_send(),
        "VerificationStatus": status(identity.verification),
    })
}

fn page_size(asked: Option<i64>) -> Result<usize, ApiError> {
    match asked.map(usize::try_from) {
        None | Some(Ok(0)) => Ok(LARGEST_PAGE),
        Some(Ok(size)) if size <= LARGEST_PAGE => Ok(size),
        Some(_) => Err(ApiError::bad_request("PageSize must be between 0 and 1000.")),
    }
}

fn check_filter(filter: &BTreeMap<String, String>) -> Result<(), ApiError> {
    const KEYS: [&str; 3] = ["IDENTITY_NAME_CONTAINS", "IDENTITY_TYPE", "VERIFICATION_STATUS"];
    let unknown = filter.keys().find(|key| !KEYS.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(ApiError::bad_request(format!("Unknown filter key <{key}>."))))
}

fn passes(identity: &Identity, filter: &BTreeMap<String, String>) -> bool {
    filter.iter().all(|(key, value)| match key.as_str() {
        "IDENTITY_NAME_CONTAINS" => identity.name.contains(&value.to_ascii_lowercase()),
        "IDENTITY_TYPE" => kind(identity) == value,
        _ => status(identity.verification) == *value,
    })
}

/// Opaque to the client, who would otherwise come to rely on what is inside.
fn token_of(name: &str) -> String {
    name.bytes().fold(String::new(), |token, byte| format!("{token}{byte:02x}"))
}

fn name_in_token(token: &str) -> Result<String, ApiError> {
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    let name = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|name| !name.is_empty());
    name.ok_or_else(|| ApiError::bad_request("The specified NextToken is not valid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back_to_the_name() {
        assert_eq!(name_in_token(&token_of("mail.example.com")).unwrap(), "mail.example.com");
        assert!(name_in_token("").is_err());
        assert!(name_in_token("zz").is_err());
    }

    #[test]
    fn page_sizes_have_bounds() {
        assert_eq!(page_size(None).unwrap(), 1000);
        assert_eq!(page_size(Some(7)).unwrap(), 7);
        assert!(page_size(Some(1001)).is_err());
        assert!(page_size(Some(-1)).is_err());
    }
}
