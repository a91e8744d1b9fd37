//! The admin interface over HTTP, for a person with curl beside a running demo.
//!
//! `zone` is an id or a name, everything is JSON:
//!
//! | call | does |
//! |---|---|
//! | `GET /admin/zones` | all zones |
//! | `POST /admin/zones` `{"name": …, "status": …, "plan": …}` | adds one |
//! | `PATCH /admin/zones/{zone}` `{"status": "moved"}` | changes one ([`ZoneChange`]) |
//! | `DELETE /admin/zones/{zone}` | removes one |
//! | `GET`, `POST /admin/zones/{zone}/records` | the records, as the dashboard shows them; adds one |
//! | `PATCH`, `DELETE /admin/zones/{zone}/records/{id}` | edits or deletes one |
//! | `POST /admin/tokens` `{"token": …, "perms": {"zone_read": "all", "dns_edit": {"zones": ["example.com"]}}}` | adds one |
//! | `PATCH /admin/tokens/{token}` `{"state": "expired"}`, `DELETE` | changes or revokes one |
//! | `GET`, `DELETE /admin/calls` | the calls so far; forgets them |
//! | `POST /admin/fail` `{"count": 2, "failure": "html502", "method": "POST", "path": "/batch"}` | orders failures |
//! | `POST /admin/rate-limit` `{"requests": 5, "window_seconds": 60}` | sets the budget |

use axum::Json;
use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Result;
use super::failure::Failure;
use super::http::reply;
use super::limit::RateLimit;
use super::model::{Perms, TokenState};
use super::validate::Input;
use super::{Shared, ZoneChange};

#[derive(Deserialize)]
struct NewZone {
    name: String,
    #[serde(flatten)]
    change: ZoneChange,
}

#[derive(Deserialize)]
struct NewToken {
    token: String,
    #[serde(default = "Perms::full")]
    perms: Perms,
}

#[derive(Deserialize)]
struct TokenChange {
    state: TokenState,
}

#[derive(Deserialize)]
struct Order {
    #[serde(default = "once")]
    count: usize,
    failure: Failure,
    method: Option<String>,
    path: Option<String>,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
struct Budget {
    requests: u32,
    window_seconds: u64,
}

type Sim = Extract<Shared>;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/admin/zones", get(zones).post(add_zone))
        .route("/admin/zones/{zone}", patch(change_zone).delete(remove_zone))
        .route("/admin/zones/{zone}/records", get(records).post(add_record))
        .route("/admin/zones/{zone}/records/{id}", patch(edit_record).delete(delete_record))
        .route("/admin/tokens", post(add_token))
        .route("/admin/tokens/{token}", patch(change_token).delete(revoke_token))
        .route("/admin/calls", get(calls).delete(reset_calls))
        .route("/admin/fail", post(fail))
        .route("/admin/rate-limit", post(rate_limit))
}

fn found(found: bool) -> StatusCode {
    if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn outcome(outcome: Result<Value>) -> Response {
    match outcome {
        Ok(value) => reply(200, &value),
        Err(error) => reply(error.status, &error.envelope(false)),
    }
}

async fn zones(Extract(sim): Sim) -> Json<Value> {
    let state = sim.lock();
    Json(state.zones.iter().map(super::model::Zone::to_json).collect())
}

async fn add_zone(Extract(sim): Sim, Json(new): Json<NewZone>) -> Json<Value> {
    let id = sim.lock().add_zone(&new.name, &new.change);
    Json(json!({"id": id}))
}

async fn change_zone(Extract(sim): Sim, Path(zone): Path<String>, Json(change): Json<ZoneChange>) -> StatusCode {
    found(sim.lock().change_zone(&zone, &change))
}

async fn remove_zone(Extract(sim): Sim, Path(zone): Path<String>) -> StatusCode {
    found(sim.lock().remove_zone(&zone))
}

async fn records(Extract(sim): Sim, Path(zone): Path<String>) -> Json<Value> {
    let state = sim.lock();
    let records = state.zone(&zone).map(|zone| zone.records.as_slice()).unwrap_or_default();
    Json(records.iter().map(super::model::Record::to_json).collect())
}

async fn add_record(Extract(sim): Sim, Path(zone): Path<String>, Json(body): Json<Value>) -> Response {
    outcome(Input::parse(body).and_then(|input| sim.lock().write(&zone, |zone| zone.post(input))))
}

async fn edit_record(Extract(sim): Sim, Path((zone, id)): Path<(String, String)>, Json(body): Json<Value>) -> Response {
    outcome(Input::parse(body).and_then(|input| sim.lock().write(&zone, |zone| zone.patch(&id, input))))
}

async fn delete_record(Extract(sim): Sim, Path((zone, id)): Path<(String, String)>) -> Response {
    outcome(sim.lock().write(&zone, |zone| zone.delete(&id)))
}

async fn add_token(Extract(sim): Sim, Json(new): Json<NewToken>) -> StatusCode {
    sim.lock().add_token(&new.token, new.perms);
    StatusCode::NO_CONTENT
}

async fn change_token(Extract(sim): Sim, Path(token): Path<String>, Json(change): Json<TokenChange>) -> StatusCode {
    found(sim.lock().set_token_state(&token, change.state))
}

async fn revoke_token(Extract(sim): Sim, Path(token): Path<String>) -> StatusCode {
    found(sim.lock().tokens.remove(&token).is_some())
}

async fn calls(Extract(sim): Sim) -> Json<Value> {
    Json(json!(sim.lock().calls))
}

async fn reset_calls(Extract(sim): Sim) -> StatusCode {
    sim.lock().calls.clear();
    StatusCode::NO_CONTENT
}

async fn fail(Extract(sim): Sim, Json(order): Json<Order>) -> StatusCode {
    let (method, path) = (order.method.as_deref(), order.path.as_deref());
    sim.lock().failures.order(order.count, method, path, order.failure);
    StatusCode::NO_CONTENT
}

async fn rate_limit(Extract(sim): Sim, Json(budget): Json<Budget>) -> StatusCode {
    let window = std::time::Duration::from_secs(budget.window_seconds);
    sim.lock().limit = RateLimit::new(budget.requests, window);
    StatusCode::NO_CONTENT
}
