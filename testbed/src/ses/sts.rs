//! As much of STS (query protocol, XML) as it takes to assume a role.

use std::time::Duration;

use axum::http::Uri;
use jiff::Timestamp;

use super::auth::Principal;
use super::error::{ApiError, request_id, xml_escaped};
use super::operation::Operation;
use super::state::State;

/// The parameters of a form body.
pub(super) fn parameters(body: &[u8]) -> Vec<(String, String)> {
    let uri: Option<Uri> = std::str::from_utf8(body).ok().and_then(|form| format!("/?{form}").parse().ok());
    uri.map(|uri| query_parameters(&uri)).unwrap_or_default()
}

/// The parameters of a query string; none if it is not one.
pub(super) fn query_parameters(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri).map(|query| query.0).unwrap_or_default()
}

/// Which operation the form asks for, and the role it is about.
pub(super) fn route(parameters: &[(String, String)]) -> (Operation, Option<String>) {
    match get(parameters, "Action") {
        Some("AssumeRole") => (Operation::AssumeRole, get(parameters, "RoleArn").map(str::to_owned)),
        Some("GetCallerIdentity") => (Operation::GetCallerIdentity, None),
        _ => (Operation::Unknown, None),
    }
}

/// Carries out the operation; the answer is the XML body.
pub(super) fn serve(
    state: &mut State,
    operation: Operation,
    caller: &Principal,
    parameters: &[(String, String)],
) -> Result<String, ApiError> {
    match operation {
        Operation::AssumeRole => assume_role(state, caller, parameters),
        Operation::GetCallerIdentity => Ok(caller_identity(caller)),
        _ => Err(ApiError::new(400, "InvalidAction", "Could not find this operation for version 2011-06-15")),
    }
}

fn assume_role(state: &mut State, caller: &Principal, parameters: &[(String, String)]) -> Result<String, ApiError> {
    let required = |key: &str| {
        let message = format!("Value at '{key}' failed to satisfy constraint: Member must not be null");
        get(parameters, key).ok_or_else(|| ApiError::new(400, "ValidationError", message))
    };
    let (arn, session_name) = (required("RoleArn")?, required("RoleSessionName")?);
    let external_id = get(parameters, "ExternalId");
    let trusted = state
        .roles
        .get(arn)
        .is_some_and(|role| role.external_id.as_deref().is_none_or(|needed| external_id == Some(needed)));
    if !trusted {
        // The same for a missing role, a wrong external id and a missing one: STS does not say which.
        let message = format!("User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}", caller.arn);
        return Err(ApiError::new(403, "AccessDenied", message));
    }
    let account = arn.split(':').nth(4).unwrap_or_default().to_owned();
    let role_name = arn.rsplit('/').next().unwrap_or_default();
    let session_arn = format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}");
    let seconds = get(parameters, "DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
    let expires = Timestamp::now() + Duration::from_secs(seconds).min(Duration::from_hours(12));
    let (access_key, token) = (format!("ASIA{}", id(16)), format!("session{}", id(64)));
    let session = Some((token.clone(), expires));
    state.principals.insert(access_key.clone(), Principal { account, arn: session_arn.clone(), session });
    let result = format!(
        "<Credentials><AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires:.0}</Expiration></Credentials>\
         <AssumedRoleUser><AssumedRoleId>AROA{}:{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>",
        id(40),
        id(17),
        xml_escaped(session_name),
        xml_escaped(&session_arn),
    );
    Ok(response("AssumeRole", &result))
}

fn caller_identity(caller: &Principal) -> String {
    let result = format!(
        "<Arn>{}</Arn><UserId>AIDAEXAMPLE</UserId><Account>{}</Account>",
        xml_escaped(&caller.arn),
        xml_escaped(&caller.account)
    );
    response("GetCallerIdentity", &result)
}

fn response(operation: &str, result: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        request_id()
    )
}

fn get<'a>(parameters: &'a [(String, String)], key: &str) -> Option<&'a str> {
    parameters.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn id(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..length).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect()
}
