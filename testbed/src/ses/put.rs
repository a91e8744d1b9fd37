//! Operations that change an identity.

use serde::Deserialize;
use serde_json::{Value, json};

use super::create::SigningAttributes;
use super::error::{ApiError, OpResult};
use super::identity::{DEFAULT_MX_BEHAVIOR, Identity, Kind, Origin, new_tokens};
use super::machine::Status;
use super::settings::Settings;
use super::state::{Request, State};
use super::wire;

fn nothing() -> Value {
    Value::Object(serde_json::Map::default())
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MailFromInput {
    mail_from_domain: Option<String>,
    behavior_on_mx_failure: Option<String>,
}

pub(super) fn mail_from(state: &mut State, request: &Request) -> OpResult {
    let input: MailFromInput = request.input()?;
    let (now, settings) = (state.clock.now(), state.settings.clone());
    // SES answers 400 here where its own model has a 404.
    let missing = || ApiError::bad_request(format!("Identity {} does not exist.", request.name));
    let identity = state.identity(&request.place, &request.name).ok_or_else(missing)?;
    let behavior = input.behavior_on_mx_failure.unwrap_or_else(|| DEFAULT_MX_BEHAVIOR.to_owned());
    if !matches!(behavior.as_str(), "USE_DEFAULT_VALUE" | "REJECT_MESSAGE") {
        return Err(ApiError::bad_request(format!("Invalid behavior on MX failure <{behavior}>.")));
    }
    let domain = input.mail_from_domain.filter(|domain| !domain.is_empty()).map(|domain| domain.to_ascii_lowercase());
    if let Some(domain) = &domain {
        check_mail_from(identity, domain, &settings)?;
    }
    identity.mx_failure_behavior = behavior;
    identity.set_mail_from(domain, now, settings.check_interval);
    Ok(nothing())
}

fn check_mail_from(identity: &Identity, domain: &str, settings: &Settings) -> Result<(), ApiError> {
    let parent = format!(".{}", identity.domain());
    if !domain.ends_with(&parent) || domain.len() == parent.len() {
        return Err(ApiError::bad_request(format!(
            "Provided MAIL-FROM domain <{domain}> is not subdomain of the domain of the identity <{}>.",
            identity.name
        )));
    }
    if settings.mail_from_needs_verified && !identity.may_send() {
        return Err(ApiError::bad_request(format!(
            "Domain <{domain}> or its parents are not verified for identity <{}>.",
            identity.name
        )));
    }
    Ok(())
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DkimInput {
    signing_enabled: bool,
}

pub(super) fn dkim(state: &mut State, request: &Request) -> OpResult {
    let input: DkimInput = request.input()?;
    found(state, request)?.dkim.enabled = input.signing_enabled;
    Ok(nothing())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SigningInput {
    signing_attributes_origin: String,
    #[serde(default)]
    signing_attributes: Option<SigningAttributes>,
}

pub(super) fn dkim_signing(state: &mut State, request: &Request) -> OpResult {
    let input: SigningInput = request.input()?;
    let attributes = input.signing_attributes.unwrap_or_default();
    let (now, settings) = (state.clock.now(), state.settings.clone());
    let identity = found(state, request)?;
    if identity.kind == Kind::Address {
        return Err(ApiError::bad_request("DKIM signing attributes can only be set for a domain."));
    }
    let interval = settings.check_interval;
    match (input.signing_attributes_origin.as_str(), attributes.selector()?, attributes.key_length()?) {
        ("EXTERNAL", Some(selector), _) => {
            identity.dkim.origin = Origin::External;
            identity.change_keys(vec![selector.to_owned()], now, interval);
        }
        ("AWS_SES", None, length) => {
            let back = identity.dkim.origin == Origin::External;
            let other_length = length.filter(|length| *length != identity.dkim.next_key_length);
            if let Some(length) = other_length {
                identity.change_key_length(length, now).map_err(ApiError::bad_request)?;
            }
            if back || other_length.is_some() {
                identity.dkim.origin = Origin::Ses;
                identity.change_keys(new_tokens(), now, interval);
            } else if identity.dkim.process.status == Status::Failed && !settings.rearm_refused {
                identity.restart_dkim(now, interval);
            }
        }
        _ => return Err(ApiError::bad_request("The signing attributes do not fit their origin.")),
    }
    let attributes = wire::dkim_attributes(identity, &settings.signing_hosted_zone, &request.place.region);
    let mut answer = json!({ "DkimStatus": attributes["Status"], "DkimTokens": attributes["Tokens"] });
    if let Some(zone) = attributes.get("SigningHostedZone") {
        answer["SigningHostedZone"] = zone.clone();
    }
    Ok(answer)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigurationSetInput {
    configuration_set_name: Option<String>,
}

pub(super) fn configuration_set(state: &mut State, request: &Request) -> OpResult {
    let input: ConfigurationSetInput = request.input()?;
    found(state, request)?;
    let wanted = input.configuration_set_name.filter(|name| !name.is_empty());
    if let Some(name) = &wanted
        && !state.store(&request.place).configuration_sets.contains_key(name)
    {
        return Err(ApiError::configuration_set_not_found(name));
    }
    found(state, request)?.configuration_set = wanted;
    Ok(nothing())
}

fn found<'a>(state: &'a mut State, request: &Request) -> Result<&'a mut Identity, ApiError> {
    state.identity(&request.place, &request.name).ok_or_else(|| ApiError::identity_not_found(&request.name))
}
