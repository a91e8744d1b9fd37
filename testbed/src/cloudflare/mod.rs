//! Simulator of the Cloudflare API v4, zones and DNS records, over plain HTTP on a free loopback port.
//!
//! Written from the public description of the API. What it stores in active zones is served by [`crate::dns`], proxied
//! and flattened records as addresses. The admin interface is [`CloudflareSim`] and, for curl, [`admin`].
//!
//! Known limits: record types with a `data` object are stored but not validated or served; filters by tag are ignored;
//! refusals whose code is not public carry 1004 and a message of ours.

pub mod admin;
mod api;
mod error;
mod failure;
mod http;
mod limit;
mod model;
mod publish;
mod query;
mod state;
mod store;
mod validate;
mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use failure::Failure;
use limit::RateLimit;
pub use model::{Perms, Plan, Scope, TokenState, ZoneStatus};
use state::State;
use validate::Input;
use wire::{Cuttable, Wire};

use crate::dns::Dns;

/// A refusal of the simulator, told to a caller of the Rust handle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refused {
    /// As in `errors[].code`.
    pub code: u32,
    /// As in `errors[].message`.
    pub message: String,
}

impl From<error::ApiError> for Refused {
    fn from(error: error::ApiError) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// One call of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Upper case.
    pub method: String,
    /// With the query string.
    pub path: String,
    /// The HTTP status; 0 where the connection was dropped instead.
    pub status: u16,
    /// The bearer token as sent.
    pub token: Option<String>,
}

/// Properties of a zone; those not given stay, or have their defaults in a new zone: active, Free, not paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoneChange {
    /// Id of the owning account.
    pub account: Option<String>,
    /// Only an active zone is served.
    pub status: Option<ZoneStatus>,
    /// Switches the proxy off for the whole zone.
    pub paused: Option<bool>,
    /// Sets the limits.
    pub plan: Option<Plan>,
    /// Number of records allowed, instead of the plan's.
    pub quota: Option<usize>,
    /// Serves every CNAME as an address.
    pub flatten_all: Option<bool>,
    /// What `name_servers` says; `ns1.<zone>` by default, which is what the DNS server serves.
    pub name_servers: Option<Vec<String>>,
    /// `full` by default; only such a zone is served.
    pub kind: Option<String>,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking test must not hide its message behind the poison of this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct CloudflareSim {
    addr: SocketAddr,
    shared: Shared,
    _stop: DropGuard,
}

impl CloudflareSim {
    /// Listens on a free port of 127.0.0.1 and publishes into this DNS server.
    pub async fn start(dns: Dns) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Shared(Arc::new(Mutex::new(State::new(dns))));
        let app = admin::router().fallback(http::serve).with_state(shared.clone());
        let service = app.into_make_service_with_connect_info::<Wire>();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = axum::serve(Cuttable(listener), service).with_graceful_shutdown(stopped);
        tokio::spawn(async move { server.await });
        Ok(Self { addr, shared, _stop: stop.drop_guard() })
    }

    /// `http://127.0.0.1:PORT/client/v4`
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.addr, api::BASE)
    }

    /// `http://127.0.0.1:PORT/admin`
    pub fn admin_url(&self) -> String {
        format!("http://{}/admin", self.addr)
    }

    /// Adds an active zone on the Free plan and gives its id.
    pub fn add_zone(&self, name: &str) -> String {
        self.add_zone_with(name, &ZoneChange::default())
    }

    /// Adds a zone with properties of its own and gives its id. Several accounts may have a zone of one name.
    pub fn add_zone_with(&self, name: &str, change: &ZoneChange) -> String {
        self.shared.lock().add_zone(name, change)
    }

    /// Changes a zone, by id or name; false if there is none.
    pub fn change_zone(&self, zone: &str, change: &ZoneChange) -> bool {
        self.shared.lock().change_zone(zone, change)
    }

    /// Removes a zone, by id or name; false if there is none.
    pub fn remove_zone(&self, zone: &str) -> bool {
        self.shared.lock().remove_zone(zone)
    }

    /// Makes a token known; an existing one gets these permissions and is active again.
    pub fn add_token(&self, token: &str, perms: Perms) {
        self.shared.lock().add_token(token, perms);
    }

    /// Disables, expires or revives a token; false if there is none.
    pub fn set_token_state(&self, token: &str, state: TokenState) -> bool {
        self.shared.lock().set_token_state(token, state)
    }

    /// Forgets a token; false if there is none.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.shared.lock().tokens.remove(token).is_some()
    }

    /// The records of a zone, by id or name, as the API shows them, oldest first.
    pub fn records(&self, zone: &str) -> Vec<Value> {
        let state = self.shared.lock();
        let records = state.zone(zone).map(|zone| zone.records.as_slice()).unwrap_or_default();
        records.iter().map(model::Record::to_json).collect()
    }

    /// Adds a record as a person in the dashboard does: not logged, not limited, no token.
    pub fn add_record(&self, zone: &str, record: Value) -> Result<Value, Refused> {
        let input = Input::parse(record)?;
        Ok(self.shared.lock().write(zone, |zone| zone.post(input))?)
    }

    /// Edits a record as a person in the dashboard does: what is not given, the comment too, stays.
    pub fn edit_record(&self, zone: &str, id: &str, change: Value) -> Result<Value, Refused> {
        let input = Input::parse(change)?;
        Ok(self.shared.lock().write(zone, |zone| zone.patch(id, input))?)
    }

    /// Deletes a record as a person in the dashboard does.
    pub fn delete_record(&self, zone: &str, id: &str) -> Result<(), Refused> {
        self.shared.lock().write(zone, |zone| zone.delete(id))?;
        Ok(())
    }

    /// The calls so far, oldest first, without those of the admin interface.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn reset_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// Lets the next calls fail, whatever they are.
    pub fn fail_next(&self, count: usize, failure: Failure) {
        self.shared.lock().failures.order(count, None, None, failure);
    }

    /// Lets the next calls with this method and this text in their path fail; others pass meanwhile.
    pub fn fail_next_on(&self, count: usize, method: &str, path: &str, failure: Failure) {
        let (method, path) = (Some(method), Some(path));
        self.shared.lock().failures.order(count, method, path, failure);
    }

    /// Takes back all failures still to come.
    pub fn clear_failures(&self) {
        self.shared.lock().failures.clear();
    }

    /// Sets the budget of each token and starts it anew. Default: 1,200 in 300 seconds.
    pub fn set_rate_limit(&self, requests: u32, window: Duration) {
        self.shared.lock().limit = RateLimit::new(requests, window);
    }

    /// Wraps faults in records into a 1004 with an `error_chain`, as the API did until October 2024.
    pub fn set_wrapped_errors(&self, wrapped: bool) {
        self.shared.lock().wrapped_errors = wrapped;
    }

    /// Has lists of records show what is there now, whatever is written, until this is taken back: lists may lag behind.
    pub fn set_lists_lag(&self, lag: bool) {
        let mut state = self.shared.lock();
        state.listed = lag.then(|| state.zones.clone());
    }

    /// Stores new records without their comments, as a plan without comments might.
    pub fn set_loses_comments(&self, loses: bool) {
        self.shared.lock().loses_comments = loses;
    }
}
