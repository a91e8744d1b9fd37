//! The API itself: who calls, what, and may they.

use serde_json::{Value, json};

use super::error::{ApiError, Result};
use super::model::{Perms, Token, TokenState, Zone};
use super::query::{Page, Params};
use super::state::State;
use super::store::Batch;
use super::validate::Input;

/// Path below which the API lives.
pub(super) const BASE: &str = "/client/v4";

/// A request, as far as it matters.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// The whole path.
    pub(super) path: &'a str,
    pub(super) params: Params,
    pub(super) authorization: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// What goes into the envelope of a success.
#[derive(Debug, Default)]
pub(super) struct Success {
    result: Value,
    info: Option<Value>,
    message: Option<(u32, &'static str)>,
}

impl Success {
    pub(super) fn envelope(self) -> Value {
        let message = |(code, text)| json!({"code": code, "message": text, "type": null});
        let messages: Vec<Value> = self.message.map(message).into_iter().collect();
        let mut envelope = json!({"success": true, "errors": [], "messages": messages, "result": self.result});
        if let Some(info) = self.info {
            envelope["result_info"] = info;
        }
        envelope
    }
}

impl From<Value> for Success {
    fn from(result: Value) -> Self {
        Self { result, ..Self::default() }
    }
}

impl From<Page> for Success {
    fn from(page: Page) -> Self {
        Self { result: page.items.into(), info: Some(page.info), message: None }
    }
}

impl Request<'_> {
    /// The bearer token as sent.
    pub(super) fn token(&self) -> Option<&str> {
        self.authorization.and_then(|header| header.strip_prefix("Bearer "))
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_slice(self.body).map_err(|_| ApiError::body())
    }

    fn input(&self) -> Result<Input> {
        Input::parse(self.json()?)
    }
}

/// Shape of an identifier. Routing fails on anything else, which is how an empty one shows itself.
fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Shape of a token: 40 characters, or one of the prefixed formats since 2026.
fn is_token(text: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let prefixed = text.starts_with("cfut_") || text.starts_with("cfat_");
    plain(text) && (text.len() == 40 || (prefixed && text.len() > 40))
}

impl State {
    /// One call from its routing to its result.
    pub(super) fn call(&mut self, request: &Request<'_>) -> Result<Success> {
        let no_route = || ApiError::no_route(request.path);
        let below = request.path.strip_prefix(BASE).ok_or_else(no_route)?;
        let parts: Vec<&str> = below.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["user", "tokens", "verify"] => self.verify(request, None),
            ["accounts", account, "tokens", "verify"] => self.verify(request, Some(account)),
            ["zones"] => self.list_zones(request),
            ["zones", zone] if is_id(zone) => self.get_zone(request, zone),
            ["zones", zone, "dns_records"] if is_id(zone) => self.collection(request, zone),
            ["zones", zone, "dns_records", "batch"] if is_id(zone) => self.batch(request, zone),
            ["zones", zone, "dns_records", record] if is_id(zone) && is_id(record) => {
                self.single(request, zone, record)
            }
            _ => Err(no_route()),
        }
    }

    /// The token of a request, whatever its state.
    fn token(&self, request: &Request<'_>) -> Result<Option<&Token>> {
        if request.authorization.is_none() {
            return Err(ApiError::no_credentials());
        }
        let text = request.token().ok_or_else(ApiError::malformed_token)?;
        match self.tokens.get(text) {
            None if !is_token(text) => Err(ApiError::malformed_token()),
            found => Ok(found),
        }
    }

    fn perms(&self, request: &Request<'_>) -> Result<Perms> {
        let active = self.token(request)?.filter(|token| token.state == TokenState::Active);
        active.map(|token| token.perms.clone()).ok_or_else(ApiError::unknown_token)
    }

    /// A user's token is known at the user's address, an account's at that account's.
    fn verify(&self, request: &Request<'_>, account: Option<&str>) -> Result<Success> {
        only(request, "GET")?;
        let token = self.token(request)?.filter(|token| token.perms.account.as_deref() == account);
        let token = token.ok_or_else(ApiError::not_a_token)?;
        let active = token.state == TokenState::Active;
        let mut result = json!({"id": token.id, "status": token.state});
        if token.state == TokenState::Expired {
            result["expires_on"] = "2026-01-31T23:59:59Z".into();
        }
        Ok(Success { result, message: active.then_some((10000, "This API Token is valid and active")), info: None })
    }

    fn list_zones(&self, request: &Request<'_>) -> Result<Success> {
        only(request, "GET")?;
        let perms = self.perms(request)?;
        if perms.zone_read == super::Scope::None {
            return Err(ApiError::cannot_list_zones());
        }
        let zones = self.zones.iter().filter(|zone| perms.reads_zone(zone));
        Ok(request.params.zones(zones)?.into())
    }

    fn get_zone(&self, request: &Request<'_>, id: &str) -> Result<Success> {
        only(request, "GET")?;
        let perms = self.perms(request)?;
        let zone = self.zones.iter().find(|zone| zone.id == id && perms.reads_zone(zone));
        Ok(zone.ok_or_else(ApiError::zone_denied)?.to_json().into())
    }

    /// The zone, if the token may do this to its records.
    fn dns_zone(&self, request: &Request<'_>, id: &str) -> Result<&Zone> {
        let perms = self.perms(request)?;
        let may = |zone: &Zone| match request.method {
            "GET" => perms.reads_dns(zone),
            _ => perms.edits_dns(zone),
        };
        let zone = self.zones.iter().find(|zone| zone.id == id && may(zone));
        zone.ok_or_else(ApiError::dns_denied)
    }

    fn collection(&mut self, request: &Request<'_>, zone: &str) -> Result<Success> {
        let found = self.dns_zone(request, zone)?;
        match request.method {
            "GET" => {
                let listed = self.listed.iter().flatten().find(|listed| listed.id == found.id).unwrap_or(found);
                Ok(request.params.records(listed)?.into())
            }
            "POST" => {
                let input = request.input()?;
                Ok(self.write(zone, |zone| zone.post(input))?.into())
            }
            other => Err(ApiError::method(other)),
        }
    }

    fn single(&mut self, request: &Request<'_>, zone: &str, record: &str) -> Result<Success> {
        let found = self.dns_zone(request, zone)?;
        let result = match request.method {
            "GET" => found.record(record)?.to_json(),
            "PUT" => {
                let input = request.input()?;
                self.write(zone, |zone| zone.put(record, input))?
            }
            "PATCH" => {
                let input = request.input()?;
                self.write(zone, |zone| zone.patch(record, input))?
            }
            "DELETE" => {
                let deleted = self.write(zone, |zone| zone.delete(record))?;
                json!({"id": deleted["id"]})
            }
            other => return Err(ApiError::method(other)),
        };
        Ok(result.into())
    }

    fn batch(&mut self, request: &Request<'_>, zone: &str) -> Result<Success> {
        only(request, "POST")?;
        self.dns_zone(request, zone)?;
        let batch: Batch = serde_json::from_value(request.json()?).map_err(|_| ApiError::body())?;
        Ok(self.write(zone, |zone| zone.batch(batch))?.into())
    }
}

fn only(request: &Request<'_>, method: &str) -> Result<()> {
    if request.method == method {
        return Ok(());
    }
    Err(ApiError::method(request.method))
}
