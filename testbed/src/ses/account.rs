//! Configuration sets and the account, as much as a client of identities sees of them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{ApiError, OpResult};
use super::state::{Request, State};
use super::tags::{Tag, merged};
use super::wire;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateInput {
    configuration_set_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn create_configuration_set(state: &mut State, request: &Request) -> OpResult {
    let input: CreateInput = request.input()?;
    let name = input.configuration_set_name;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
        return Err(ApiError::bad_request(format!("Invalid configuration set name <{name}>.")));
    }
    let sets = &mut state.store(&request.place).configuration_sets;
    if sets.contains_key(&name) {
        let message = format!("Configuration set {name} already exists.");
        return Err(ApiError::new(400, "AlreadyExistsException", message));
    }
    sets.insert(name, merged(&std::collections::BTreeMap::new(), input.tags)?);
    Ok(Value::Object(serde_json::Map::default()))
}

pub(super) fn get_configuration_set(state: &mut State, request: &Request) -> OpResult {
    let tags = state.store(&request.place).configuration_sets.get(&request.name);
    let tags = tags.ok_or_else(|| ApiError::configuration_set_not_found(&request.name))?;
    Ok(json!({
        "ConfigurationSetName": request.name,
        "DeliveryOptions": { "TlsPolicy": "OPTIONAL" },
        "ReputationOptions": { "ReputationMetricsEnabled": false },
        "SendingOptions": { "SendingEnabled": true },
        "Tags": wire::tags(tags),
    }))
}

pub(super) fn get_account(state: &State) -> Value {
    let production = state.settings.production_access;
    let (daily, per_second) = if production { (50_000.0, 14.0) } else { (200.0, 1.0) };
    json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": production,
        "SendQuota": { "Max24HourSend": daily, "MaxSendRate": per_second, "SentLast24Hours": 0.0 },
        "SendingEnabled": true,
    })
}
