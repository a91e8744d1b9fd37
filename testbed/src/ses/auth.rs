//! Who calls: the SigV4 header, access keys, and roles.
//!
//! The signature itself is not computed anew (the simulator does not know the secrets of its users), only its form.

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::state::{DEFAULT_ACCOUNT, State};

/// Whose credentials a request was signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principal {
    pub(super) account: String,
    pub(super) arn: String,
    /// Of a role session: the token that must come along, and when it ends (real time).
    pub(super) session: Option<(String, Timestamp)>,
}

/// A role that can be assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Its ARN; the account number in it is the account that the session works in.
    pub arn: String,
    /// What the caller must name as `ExternalId`; `None` if the role does not ask for one.
    pub external_id: Option<String>,
}

/// The credential scope of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key: String,
    pub(super) region: String,
    pub(super) service: String,
}

/// Reads the `Authorization` header.
pub(super) fn scope(headers: &HeaderMap) -> Result<Scope, ApiError> {
    let header = headers.get("authorization").and_then(|value| value.to_str().ok());
    let header = header
        .ok_or_else(|| ApiError::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token"))?;
    if !headers.contains_key("x-amz-date") {
        return Err(garbled("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."));
    }
    parsed_scope(header)
        .ok_or_else(|| garbled("The Authorization header does not have the form of Signature Version 4."))
}

fn garbled(message: &str) -> ApiError {
    ApiError::new(403, "IncompleteSignatureException", message)
}

fn parsed_scope(header: &str) -> Option<Scope> {
    let parameters = header.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let parameter = |name: &str| {
        parameters.split(',').find_map(|part| part.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    let signature = parameter("Signature")?;
    if signature.len() != 64 || !signature.chars().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    parameter("SignedHeaders")?.split(';').find(|header| *header == "host")?;
    let credential: Vec<&str> = parameter("Credential")?.split('/').collect();
    match credential[..] {
        [access_key, _date, region, service, "aws4_request"] if !access_key.is_empty() && !region.is_empty() => {
            let (access_key, region, service) = (access_key.to_owned(), region.to_owned(), service.to_owned());
            Some(Scope { access_key, region, service })
        }
        _ => None,
    }
}

/// Whom the credentials belong to, if they are good for `service`.
pub(super) fn principal(
    state: &State,
    scope: &Scope,
    headers: &HeaderMap,
    service: &str,
) -> Result<Principal, ApiError> {
    if scope.service != service {
        let message = format!("Credential should be scoped to correct service: '{service}'.");
        return Err(ApiError::new(403, "SignatureDoesNotMatchException", message));
    }
    let unknown = if service == "sts" { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
    let unknown = || ApiError::new(403, unknown, "The security token included in the request is invalid.");
    if state.revoked_keys.contains(&scope.access_key) {
        return Err(unknown());
    }
    let Some(principal) = state.principals.get(&scope.access_key) else {
        // Keys of sessions are known since they were handed out; any other is a user of the default account.
        return if scope.access_key.starts_with("ASIA") { Err(unknown()) } else { Ok(user(scope, DEFAULT_ACCOUNT)) };
    };
    if let Some((token, expires)) = &principal.session {
        let sent = headers.get("x-amz-security-token").and_then(|value| value.to_str().ok());
        if sent != Some(token.as_str()) {
            return Err(unknown());
        }
        if *expires <= Timestamp::now() {
            let message = "The security token included in the request is expired";
            return Err(ApiError::new(403, "ExpiredTokenException", message));
        }
    }
    Ok(principal.clone())
}

fn user(scope: &Scope, account: &str) -> Principal {
    named_user(&scope.access_key, account)
}

/// The user with this access key.
pub(super) fn named_user(access_key: &str, account: &str) -> Principal {
    let arn = format!("arn:aws:iam::{account}:user/{access_key}");
    Principal { account: account.to_owned(), arn, session: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_signatures_are_read() {
        let signature = "0".repeat(64);
        let good = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260801/eu-west-1/ses/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let scope = parsed_scope(&good).unwrap();
        assert_eq!((scope.region.as_str(), scope.service.as_str()), ("eu-west-1", "ses"));
        for bad in [
            "Bearer abc".to_owned(),
            good.replace("aws4_request", "aws4"),
            good.replace(&signature, "0123"),
            good.replace("SignedHeaders=host", "SignedHeaders=date"),
            good.replace("AKIDEXAMPLE", ""),
        ] {
            assert_eq!(parsed_scope(&bad), None, "{bad}");
        }
    }
}
