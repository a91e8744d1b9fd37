//! The admin interface: the same levers as [`Control`], over http and JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::auth::Role;
use super::control::{Control, Region};
use super::fault::Failure;
use super::machine::Status;
use super::operation::Operation;
use super::settings::Settings;
use super::state::{Call, DEFAULT_ACCOUNT};
use super::view::IdentityView;

const HELP: &str = r#"The simulator's levers. Add ?region=R (default us-east-1) and &account=A where a name is in the path.

GET    /_admin/identities                     all identities, with everything SES knows
GET    /_admin/identities/NAME
PUT    /_admin/identities/NAME                {"tags": {"k": "v"}, "verified": true}   made by somebody else
DELETE /_admin/identities/NAME                behind everybody's back
PUT    /_admin/identities/NAME/status         {"dkim": "FAILED", "mailFrom": "PENDING", "pinned": false}
PUT    /_admin/configuration-sets/NAME        (DELETE too)
GET    /_admin/clock
POST   /_admin/clock                          {"advanceSeconds": 259200, "rate": 1.0}
POST   /_admin/look                           look at all records now
GET    /_admin/settings
POST   /_admin/settings                       {"checkInterval": 2, "rateLimit": 1, "identityQuota": 10000, ...}
POST   /_admin/failures                       {"count": 3, "operation": "CreateEmailIdentity", "failure": F}   (DELETE: none)
       F: "drop" | "commitThenDrop" | {"status": 502} | {"delay": 2000}
          | {"code": {"status": 429, "code": "TooManyRequestsException", "message": "Too Many Requests"}}
PUT    /_admin/denied/OPERATION               (DELETE: allow again)
POST   /_admin/roles                          {"arn": "arn:aws:iam::111122223333:role/mail", "externalId": "owner/ns"}
POST   /_admin/access-keys                    {"accessKey": "AKIA...", "account": "111122223333"}
DELETE /_admin/access-keys/KEY                refuse it from now on
POST   /_admin/expire-sessions
GET    /_admin/calls                          (DELETE: forget them)
"#;

/// The routes below `/_admin`.
pub(super) fn router<S>(control: Control) -> Router<S> {
    Router::new()
        .route("/", get(|| async { HELP }))
        .route("/identities", get(identities))
        .route("/identities/{name}", get(identity).put(put_identity).delete(delete_identity))
        .route("/identities/{name}/status", put(set_status))
        .route("/configuration-sets/{name}", put(put_configuration_set).delete(delete_configuration_set))
        .route("/clock", get(clock).post(move_clock))
        .route("/look", post(look))
        .route("/settings", get(settings).post(change_settings))
        .route("/failures", post(add_failure).delete(clear_failures))
        .route("/denied/{operation}", put(deny).delete(allow))
        .route("/roles", post(add_role))
        .route("/access-keys", post(add_access_key))
        .route("/access-keys/{key}", axum::routing::delete(revoke_access_key))
        .route("/expire-sessions", post(expire_sessions))
        .route("/calls", get(calls).delete(reset_calls))
        .with_state(control)
}

type Refused = (StatusCode, String);

#[derive(Debug, Deserialize)]
struct At {
    #[serde(default = "default_region")]
    region: String,
    #[serde(default = "default_account")]
    account: String,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_account() -> String {
    DEFAULT_ACCOUNT.to_owned()
}

impl At {
    fn region(&self, control: &Control) -> Region {
        control.account_region(&self.account, &self.region)
    }
}

fn found<T>(value: Option<T>) -> Result<T, Refused> {
    value.ok_or_else(|| (StatusCode::NOT_FOUND, "no such thing in this account and region\n".to_owned()))
}

async fn identities(State(control): State<Control>) -> Json<Vec<IdentityView>> {
    Json(control.identities())
}

async fn identity(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(at): Query<At>,
) -> Result<Json<IdentityView>, Refused> {
    found(at.region(&control).identity(&name)).map(Json)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Foreign {
    tags: BTreeMap<String, String>,
    verified: bool,
}

async fn put_identity(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(at): Query<At>,
    Json(foreign): Json<Foreign>,
) -> Result<Json<IdentityView>, Refused> {
    let made = at.region(&control).put_foreign_identity(&name, &foreign.tags, foreign.verified);
    made.map(Json).ok_or_else(|| (StatusCode::BAD_REQUEST, "not the name of an identity\n".to_owned()))
}

async fn delete_identity(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(at): Query<At>,
) -> Result<(), Refused> {
    found(at.region(&control).delete_identity(&name).then_some(()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct SetStatus {
    dkim: Option<Status>,
    mail_from: Option<Status>,
    pinned: Option<bool>,
}

async fn set_status(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(at): Query<At>,
    Json(set): Json<SetStatus>,
) -> Result<Json<IdentityView>, Refused> {
    let region = at.region(&control);
    if let Some(status) = set.dkim {
        found(region.set_dkim_status(&name, status).then_some(()))?;
    }
    if let Some(status) = set.mail_from {
        found(region.set_mail_from_status(&name, status).then_some(()))?;
    }
    if let Some(pinned) = set.pinned {
        found(region.set_pinned(&name, pinned).then_some(()))?;
    }
    found(region.identity(&name)).map(Json)
}

async fn put_configuration_set(State(control): State<Control>, Path(name): Path<String>, Query(at): Query<At>) {
    at.region(&control).create_configuration_set(&name);
}

async fn delete_configuration_set(
    State(control): State<Control>,
    Path(name): Path<String>,
    Query(at): Query<At>,
) -> Result<(), Refused> {
    found(at.region(&control).delete_configuration_set(&name).then_some(()))
}

async fn clock(State(control): State<Control>) -> Json<Value> {
    Json(json!({ "now": control.now(), "rate": control.clock_rate() }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct MoveClock {
    advance_seconds: Option<f64>,
    rate: Option<f64>,
}

async fn move_clock(State(control): State<Control>, Json(step): Json<MoveClock>) -> Result<Json<Value>, Refused> {
    if let Some(rate) = step.rate {
        control.set_clock_rate(rate);
    }
    if let Some(seconds) = step.advance_seconds {
        let step = Duration::try_from_secs_f64(seconds);
        control.advance(step.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?).await;
    }
    Ok(clock(State(control)).await)
}

async fn look(State(control): State<Control>) -> Json<Vec<IdentityView>> {
    control.look_now().await;
    Json(control.identities())
}

async fn settings(State(control): State<Control>) -> Json<Settings> {
    Json(control.settings())
}

/// Only the settings that are named change.
async fn change_settings(
    State(control): State<Control>,
    Json(changes): Json<serde_json::Map<String, Value>>,
) -> Result<Json<Settings>, Refused> {
    let bad = |error: serde_json::Error| (StatusCode::BAD_REQUEST, format!("{error}\n"));
    let mut merged = serde_json::to_value(control.settings()).map_err(bad)?;
    for (name, value) in changes {
        merged[name] = value;
    }
    let merged: Settings = serde_json::from_value(merged).map_err(bad)?;
    control.configure(|settings| *settings = merged.clone());
    Ok(Json(merged))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AddFailure {
    #[serde(default = "once")]
    count: u32,
    operation: Option<Operation>,
    failure: Failure,
}

fn once() -> u32 {
    1
}

async fn add_failure(State(control): State<Control>, Json(add): Json<AddFailure>) {
    match add.operation {
        Some(operation) => control.fail_next_for(operation, add.count, add.failure),
        None => control.fail_next(add.count, add.failure),
    }
}

async fn clear_failures(State(control): State<Control>) {
    control.clear_failures();
}

async fn deny(State(control): State<Control>, Path(operation): Path<Operation>) {
    control.deny(operation);
}

async fn allow(State(control): State<Control>, Path(operation): Path<Operation>) {
    control.allow(operation);
}

async fn add_role(State(control): State<Control>, Json(role): Json<Role>) {
    control.add_role(&role.arn, role.external_id.as_deref());
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessKey {
    access_key: String,
    account: String,
}

async fn add_access_key(State(control): State<Control>, Json(key): Json<AccessKey>) {
    control.add_access_key(&key.access_key, &key.account);
}

async fn revoke_access_key(State(control): State<Control>, Path(key): Path<String>) {
    control.revoke_access_key(&key);
}

async fn expire_sessions(State(control): State<Control>) {
    control.expire_sessions();
}

async fn calls(State(control): State<Control>) -> Json<Vec<Call>> {
    Json(control.calls())
}

async fn reset_calls(State(control): State<Control>) {
    control.reset_calls();
}
