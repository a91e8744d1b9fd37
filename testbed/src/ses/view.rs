//! What the handle and the admin interface show of an identity.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::identity::Identity;
use super::look::Soa;
use super::machine::{LookError, Status};
use super::settings::Settings;
use super::state::Place;

/// An identity with all that SES knows of it, whatever its API would show at this moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the SES v2 API where there is no comment")]
pub struct IdentityView {
    pub account: String,
    pub region: String,
    pub name: String,
    pub arn: String,
    pub created: Timestamp,
    pub tags: BTreeMap<String, String>,
    pub configuration_set: Option<String>,
    pub verification_status: Status,
    pub verified_for_sending: bool,
    pub signing_enabled: bool,
    pub dkim_status: Status,
    pub tokens: Vec<String>,
    /// The tokens before the last change of keys.
    pub previous_tokens: Vec<String>,
    /// Where the CNAMEs must point, also when the API leaves it out.
    pub signing_hosted_zone: String,
    pub key_length: String,
    pub mail_from_domain: Option<String>,
    pub mail_from_status: Option<Status>,
    pub behavior_on_mx_failure: String,
    pub last_checked: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    pub error_type: Option<LookError>,
    pub soa: Option<Soa>,
    /// Whether SES looks at its records at all.
    pub watched: bool,
    /// When it looks next, by the virtual clock.
    pub next_look: Timestamp,
    /// When it gives up on something, by the virtual clock.
    pub deadline: Option<Timestamp>,
}

impl IdentityView {
    /// The tokens in the one order in which the operator tells them, since SES may list them in any.
    #[must_use]
    pub fn sorted_tokens(&self) -> Vec<String> {
        let mut tokens = self.tokens.clone();
        tokens.sort_unstable();
        tokens
    }

    pub(super) fn of(identity: &Identity, place: &Place, settings: &Settings) -> Self {
        let mail_from = identity.mail_from.as_ref();
        Self {
            account: place.account.clone(),
            region: place.region.clone(),
            name: identity.name.clone(),
            arn: format!("arn:aws:ses:{}:{}:identity/{}", place.region, place.account, identity.name),
            created: identity.created,
            tags: identity.tags.clone(),
            configuration_set: identity.configuration_set.clone(),
            verification_status: identity.verification,
            verified_for_sending: identity.may_send(),
            signing_enabled: identity.dkim.enabled,
            dkim_status: identity.dkim.process.status,
            tokens: identity.dkim.tokens.clone(),
            previous_tokens: identity.dkim.previous_tokens.clone(),
            signing_hosted_zone: settings.signing_hosted_zone.target(&place.region),
            key_length: identity.dkim.key_length.clone(),
            mail_from_domain: mail_from.map(|mail_from| mail_from.domain.clone()),
            mail_from_status: mail_from.map(|mail_from| mail_from.process.status),
            behavior_on_mx_failure: identity.mx_failure_behavior.clone(),
            last_checked: identity.info.checked,
            last_success: identity.info.succeeded,
            error_type: identity.info.error,
            soa: identity.info.soa.clone(),
            watched: identity.is_watched(),
            next_look: identity.next_look,
            deadline: identity.deadline(settings.attempt_window),
        }
    }
}
