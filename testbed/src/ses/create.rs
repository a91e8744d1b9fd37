//! Operations that make, read and delete identities.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, OpResult};
use super::identity::{Identity, Kind, Origin};
use super::machine::Status;
use super::operation::Operation;
use super::server::denial;
use super::state::{Place, Request, State};
use super::tags::{Tag, merged};
use super::wire;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    email_identity: String,
    #[serde(default)]
    tags: Vec<Tag>,
    dkim_signing_attributes: Option<SigningAttributes>,
    configuration_set_name: Option<String>,
}

/// `DkimSigningAttributes`, of create and of its own put.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct SigningAttributes {
    pub(super) domain_signing_selector: Option<String>,
    pub(super) domain_signing_private_key: Option<String>,
    pub(super) next_signing_key_length: Option<String>,
    pub(super) domain_signing_attributes_origin: Option<String>,
}

impl SigningAttributes {
    /// The selector of BYODKIM, which must come with its key.
    pub(super) fn selector(&self) -> Result<Option<&str>, ApiError> {
        match (&self.domain_signing_selector, &self.domain_signing_private_key) {
            (Some(selector), Some(key)) if !selector.is_empty() && !key.is_empty() => Ok(Some(selector)),
            (None, None) => Ok(None),
            _ => Err(ApiError::bad_request("Both a selector and a private key must be provided.")),
        }
    }

    /// The key length, if one is asked for and exists.
    pub(super) fn key_length(&self) -> Result<Option<&str>, ApiError> {
        match self.next_signing_key_length.as_deref() {
            None => Ok(None),
            Some(length @ ("RSA_1024_BIT" | "RSA_2048_BIT")) => Ok(Some(length)),
            Some(other) => Err(ApiError::bad_request(format!("Invalid signing key length <{other}>."))),
        }
    }
}

pub(super) fn create(state: &mut State, request: &Request) -> OpResult {
    let input: Input = request.input()?;
    let name = valid_name(&input.email_identity)?;
    // Tags at creation need the right to tag, too; a policy that forgets it is a common trap.
    if !input.tags.is_empty() && state.denied.contains(&Operation::TagResource) {
        return Err(denial(request, Operation::TagResource, &name));
    }
    let (now, settings) = (state.clock.now(), state.settings.clone());
    let store = state.store(&request.place);
    if store.identities.contains_key(&name) {
        let message = format!("Email identity {name} already exist.");
        return Err(ApiError::new(400, "AlreadyExistsException", message));
    }
    if let Some(set) = input.configuration_set_name.as_ref().filter(|set| !store.configuration_sets.contains_key(*set))
    {
        return Err(ApiError::configuration_set_not_found(set));
    }
    if store.identities.len() >= settings.identity_quota {
        let message = format!("You have reached the limit of {} email identities.", settings.identity_quota);
        return Err(ApiError::new(400, "LimitExceededException", message));
    }
    let mut identity = Identity::new(&name, now, settings.check_interval);
    identity.tags = merged(&identity.tags, input.tags)?;
    identity.configuration_set = input.configuration_set_name;
    sign(&mut identity, &input.dkim_signing_attributes.unwrap_or_default())?;
    if identity.kind == Kind::Domain && identity.dkim.origin == Origin::Ses {
        identity.dkim.hidden_gets = settings.tokens_after_gets;
    }
    let mut dkim = wire::dkim_attributes(&identity, &settings.signing_hosted_zone, &request.place.region);
    dkim["Status"] = json!(Status::NotStarted);
    let answer = json!({
        "IdentityType": wire::kind(&identity),
        "VerifiedForSendingStatus": false,
        "DkimAttributes": dkim,
    });
    store.identities.insert(name, identity);
    Ok(answer)
}

fn sign(identity: &mut Identity, attributes: &SigningAttributes) -> Result<(), ApiError> {
    if let Some(origin) = attributes.domain_signing_attributes_origin.as_deref()
        && !matches!(origin, "AWS_SES" | "EXTERNAL")
    {
        return Err(ApiError::bad_request(format!("Replication from <{origin}> is not available.")));
    }
    if let Some(selector) = attributes.selector()? {
        identity.dkim.origin = Origin::External;
        identity.dkim.tokens = vec![selector.to_owned()];
    } else if let Some(length) = attributes.key_length()? {
        length.clone_into(&mut identity.dkim.key_length);
        length.clone_into(&mut identity.dkim.next_key_length);
    }
    Ok(())
}

/// Names are compared without case, so they are kept in lower case.
pub(super) fn valid_name(name: &str) -> Result<String, ApiError> {
    let name = name.to_ascii_lowercase();
    let domain = name.rsplit('@').next().unwrap_or_default();
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() < 64 && label.chars().all(inner) && !label.starts_with('-')
    };
    let good = domain.contains('.') && domain.len() < 254 && domain.split('.').all(label) && !name.starts_with('@');
    if good { Ok(name) } else { Err(ApiError::bad_request(format!("Invalid email identity <{name}>."))) }
}

pub(super) fn get(state: &mut State, request: &Request) -> OpResult {
    let name = request.name.to_ascii_lowercase();
    let settings = state.settings.clone();
    let identity = state.identity(&request.place, &name).ok_or_else(|| ApiError::identity_not_found(&request.name))?;
    identity.dkim.hidden_gets = identity.dkim.hidden_gets.saturating_sub(1);
    let domain = identity.domain().to_owned();
    let store = state.store(&request.place);
    let identity = store.identities.get(&name).ok_or_else(|| ApiError::identity_not_found(&request.name))?;
    // An address takes DKIM from the identity of exactly its domain.
    let signer = store.identities.get(&domain).unwrap_or(identity);
    let mut answer = json!({
        "IdentityType": wire::kind(identity),
        "FeedbackForwardingStatus": true,
        "VerifiedForSendingStatus": identity.may_send(),
        "VerificationStatus": wire::status(identity.verification),
        "DkimAttributes": wire::dkim_attributes(signer, &settings.signing_hosted_zone, &request.place.region),
        "MailFromAttributes": wire::mail_from_attributes(identity),
        "VerificationInfo": wire::verification_info(&identity.info),
        "Policies": {},
        "Tags": wire::tags(&identity.tags),
    });
    if let Some(set) = &identity.configuration_set {
        answer["ConfigurationSetName"] = json!(set);
    }
    Ok(answer)
}

pub(super) fn delete(state: &mut State, request: &Request) -> OpResult {
    if remove(state, &request.place, &request.name) {
        return Ok(Value::Object(serde_json::Map::default()));
    }
    Err(ApiError::identity_not_found(&request.name))
}

/// Whether there was one to remove.
pub(super) fn remove(state: &mut State, place: &Place, name: &str) -> bool {
    state.store(place).identities.remove(&name.to_ascii_lowercase()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lowered() {
        assert_eq!(valid_name("Mail.Example.COM").unwrap(), "mail.example.com");
        assert_eq!(valid_name("me@example.com").unwrap(), "me@example.com");
        for bad in ["", "localhost", "a..b", "-a.example", "a b.example", "@example.com", "example.com."] {
            assert!(valid_name(bad).is_err(), "{bad}");
        }
    }
}
