//! The requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::answer::{self, Answer, Reply};
use super::base_url::BaseUrl;
use super::budget::Budget;
use super::error::{Error, Kind, Operation};
use super::lane::Lanes;
use super::model::{AccountId, Change, MAX_BATCH, TokenStatus, Zone, ZoneId, ZoneRecord};
use super::paging::{Pages, Step};
use super::token::{ApiToken, Asker, Fingerprint};
use super::wire::{self, Batch, Malformed, WireRecord, WireTokenStatus, WireZone};
use super::write::{Job, Written};
use crate::dns::record::DnsName;
use crate::stage;
use crate::telemetry::metrics::{Metrics, Upstream};

/// How often a list that changes under our hands is read before that is an error.
const LIST_ATTEMPTS: usize = 3;

/// The most zones on a page (the API's own limit).
const ZONES_PER_PAGE: u32 = 50;

/// Records asked for on a page; the API allows 5,000, but the page has to stay well below the body's limit.
const RECORDS_PER_PAGE: u32 = 1000;

/// The HTTP client could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for Cloudflare cannot be set up")]
pub struct BuildError(#[source] reqwest::Error);

/// Limits of the client.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Requests per 5 minutes and token.
    pub requests_per_5m: u32,
    /// The longest time for a connection, TLS included.
    pub connect_timeout: Duration,
    /// The longest time for a request, from its start to the last byte of the answer.
    pub timeout: Duration,
    /// The longest time a call is held up for its turn; beyond it fails with [`Kind::RateLimited`]. A write and the further
    /// pages of a list are held up for up to ten times as long.
    pub max_wait: Duration,
    /// The most bytes of an answer.
    pub max_body: usize,
}

impl Default for Settings {
    /// 1,000 requests per 5 minutes (of Cloudflare's 1,200, shared with dashboard and other tokens of the user), 5 s to
    /// connect, 20 s in all, 2 s to wait, 4 MiB.
    fn default() -> Self {
        Self {
            requests_per_5m: 1000,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            max_wait: Duration::from_secs(2),
            max_body: 4 * 1024 * 1024,
        }
    }
}

/// Cloudflare's API. One for the process: it holds the connections and every token's budget. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>, Metrics);

struct Inner {
    http: reqwest::Client,
    base: BaseUrl,
    budget: Budget,
    max_body: usize,
    listers: Lanes<Fingerprint, Asker, Shared<Zone>>,
    readers: Lanes<(Fingerprint, ZoneId), (DnsName, Asker), Shared<ZoneRecord>>,
    writers: Writers,
}

/// The writes to each zone, by token.
pub(super) type Writers = Lanes<(Fingerprint, ZoneId), Job, Vec<Written>>;

/// What one listing for several callers says to one of them.
enum Shared<T> {
    Read(Result<Vec<T>, Error>),
    /// The zone is too large to be read for few, or whoever asked was held back and this one need not be: everybody asks
    /// for themselves.
    Apart,
}

impl<T> Shared<T> {
    /// A failure as it concerns `asker`, when `leader` had asked for both.
    fn failed(error: &Error, leader: &Asker, asker: &Asker) -> Self {
        if error.is_held_back() && leader != asker { Self::Apart } else { Self::Read(Err(error.clone())) }
    }
}

/// One request: a POST if it has a body, else a GET.
struct Call<'a> {
    operation: Operation,
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<Vec<u8>>,
}

impl Call<'_> {
    /// True for a write, which comes after a reading, and for all pages of a list but the first.
    fn goes_on(&self) -> bool {
        self.body.is_some() || self.query.iter().any(|(key, value)| *key == "page" && *value != "1")
    }
}

/// A list to read.
struct List<'a> {
    operation: Operation,
    path: &'a str,
    per_page: u32,
    filter: &'a [(&'a str, &'a str)],
    /// It is not worth more pages than these.
    max_pages: u64,
}

impl Client {
    /// A client for the API at `base` that makes at most `requests_per_5m` requests per 5 minutes and token.
    pub fn new(base: BaseUrl, requests_per_5m: u32) -> Result<Self, BuildError> {
        Self::with_settings(base, Settings { requests_per_5m, ..Settings::default() })
    }

    /// A client with limits of one's own.
    pub fn with_settings(base: BaseUrl, settings: Settings) -> Result<Self, BuildError> {
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("sending-domain-operator/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the token to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .https_only(!base.is_plain())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout);
        if base.is_plain() {
            // The system's proxy is for the way out, and must not see a token in plain text.
            http = http.no_proxy();
        }
        let http = http.build().map_err(BuildError)?;
        let budget = Budget::new(settings.requests_per_5m, settings.max_wait);
        let max_body = settings.max_body;
        let (listers, readers, writers) = (Lanes::default(), Lanes::default(), Lanes::default());
        Ok(Self(Arc::new(Inner { http, base, budget, max_body, listers, readers, writers }), Metrics::default()))
    }

    /// The same client, which counts its requests in `metrics`.
    #[must_use]
    pub fn counted_in(self, metrics: Metrics) -> Self {
        let keeper = Arc::downgrade(&self.0);
        metrics.budgets(Upstream::Cloudflare, move || keeper.upgrade().map(|inner| inner.budget.states()));
        Self(self.0, metrics)
    }

    pub(super) fn writers(&self) -> &Writers {
        &self.0.writers
    }

    /// Every zone that the token sees: all pages, or an error. A token without any zone may get an empty list or a
    /// [`Kind::ZoneNotAccessible`].
    ///
    /// Who asks while a listing is under way shares the next one, with the same token only, and its failure too.
    pub async fn zones(&self, token: &ApiToken) -> Result<Vec<Zone>, Error> {
        let (client, leader) = (self.clone(), token.clone());
        let serve = async move |askers: Vec<Asker>| {
            let all = client.list_zones(&leader).await;
            let of = |asker: Asker| match &all {
                Ok(zones) => Shared::Read(Ok(zones.clone())),
                Err(error) => Shared::failed(error, leader.asker(), &asker),
            };
            askers.into_iter().map(of).collect()
        };
        match self.0.listers.ride(token.fingerprint(), token.asker().clone(), serve).await {
            Some(Shared::Read(zones)) => zones,
            Some(Shared::Apart) | None => self.list_zones(token).await,
        }
    }

    async fn list_zones(&self, token: &ApiToken) -> Result<Vec<Zone>, Error> {
        let (operation, path) = (Operation::ListZones, "zones");
        let list = List { operation, path, per_page: ZONES_PER_PAGE, filter: &[], max_pages: u64::MAX };
        let identify = |wire: WireZone| {
            let zone = Zone::try_from(wire)?;
            Ok((zone.id.to_string(), Some(zone)))
        };
        Ok(self.list(token, list, identify).await?.unwrap_or_default())
    }

    /// What Cloudflare says of the token itself: of one of a user, or of one that this account owns. An account-owned
    /// token is unknown at the users' address and the other way round.
    pub async fn verify(&self, token: &ApiToken, account: Option<&AccountId>) -> Result<TokenStatus, Error> {
        let path = account.map_or_else(|| "user/tokens/verify".to_owned(), |id| format!("accounts/{id}/tokens/verify"));
        let call = Call { operation: Operation::VerifyToken, path: &path, query: &[], body: None };
        self.call(token, call).await?.result(|wire: WireTokenStatus| Ok(wire.at(Timestamp::now())))
    }

    /// One zone.
    pub async fn zone(&self, token: &ApiToken, id: &ZoneId) -> Result<Zone, Error> {
        let path = format!("zones/{id}");
        let call = Call { operation: Operation::ReadZone, path: &path, query: &[], body: None };
        let the_one =
            |wire: WireZone| Zone::try_from(wire).and_then(|zone| (zone.id == *id).then_some(zone).ok_or(Malformed));
        self.call(token, call).await?.result(the_one)
    }

    /// Every record of the zone whose name is `at_or_below` or below it: all pages, or an error. The filter is sent to
    /// keep the answer small (one request for up to 1,000 matching records) and applied again here, so a server that
    /// does not know it, or matches inside a label, makes no difference.
    ///
    /// Who asks while a listing of the zone is under way shares the next one, with the same token only: a listing
    /// never began before it was asked for.
    pub async fn records(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        at_or_below: &DnsName,
    ) -> Result<Vec<ZoneRecord>, Error> {
        let key = (token.fingerprint(), zone.clone());
        let job = (at_or_below.clone(), token.asker().clone());
        let (client, leader, id) = (self.clone(), token.clone(), zone.clone());
        let serve = async move |jobs| client.records_for(&leader, &id, jobs).await;
        match self.0.readers.ride(key, job, serve).await {
            Some(Shared::Read(records)) => records,
            Some(Shared::Apart) | None => {
                Ok(self.list_records(token, zone, at_or_below, u64::MAX).await?.unwrap_or_default())
            }
        }
    }

    /// One listing for all who wait, as long as it takes fewer requests than one for each.
    async fn records_for(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        jobs: Vec<(DnsName, Asker)>,
    ) -> Vec<Shared<ZoneRecord>> {
        let names = jobs.iter().map(|(name, _)| name.clone());
        let Some(top) = names.reduce(|a, b| a.common_ancestor(&b)) else { return Vec::new() };
        let max_pages = match jobs.len() {
            1 => u64::MAX,
            // Names of one zone have at least its name in common.
            _ if top.as_str().is_empty() => 0,
            several => several as u64 - 1,
        };
        let all = self.list_records(token, zone, &top, max_pages).await;
        let of = |(name, asker): (DnsName, Asker)| match &all {
            Ok(Some(all)) => Shared::Read(Ok(all.iter().filter(|r| r.name.is_within(&name)).cloned().collect())),
            Ok(None) => Shared::Apart,
            Err(error) => Shared::failed(error, token.asker(), &asker),
        };
        jobs.into_iter().map(of).collect()
    }

    async fn list_records(
        &self,
        token: &ApiToken,
        zone: &ZoneId,
        at_or_below: &DnsName,
        max_pages: u64,
    ) -> Result<Option<Vec<ZoneRecord>>, Error> {
        let list = List {
            operation: Operation::ListRecords,
            path: &format!("zones/{zone}/dns_records"),
            per_page: RECORDS_PER_PAGE,
            filter: &[("name.endswith", at_or_below.as_str())],
            max_pages,
        };
        let identify = |wire: WireRecord| {
            let record = ZoneRecord::try_from(wire)?;
            let id = record.id.clone();
            Ok((id, record.name.is_within(at_or_below).then_some(record)))
        };
        self.list(token, list, identify).await
    }

    /// Every record of the zone whose comment has `mark` in it, whatever its name: all pages, or an error.
    pub async fn marked(&self, token: &ApiToken, zone: &ZoneId, mark: &str) -> Result<Vec<ZoneRecord>, Error> {
        let list = List {
            operation: Operation::ListRecords,
            path: &format!("zones/{zone}/dns_records"),
            per_page: RECORDS_PER_PAGE,
            filter: &[("comment.contains", mark)],
            max_pages: u64::MAX,
        };
        let identify = |wire: WireRecord| {
            let record = ZoneRecord::try_from(wire)?;
            let id = record.id.clone();
            let is_marked = record.comment.as_deref().is_some_and(|comment| comment.contains(mark));
            Ok((id, is_marked.then_some(record)))
        };
        Ok(self.list(token, list, identify).await?.unwrap_or_default())
    }

    /// Carries out at most [`MAX_BATCH`] changes in one transaction: all of them, or none and the first error. Answers
    /// the updated records, then the created ones, as far as Cloudflare lists them. No changes, no request.
    ///
    /// After [`Kind::Unavailable`] the changes may have been made all the same: look again before trying again.
    pub async fn batch(&self, token: &ApiToken, zone: &ZoneId, changes: &[Change]) -> Result<Vec<ZoneRecord>, Error> {
        let operation = Operation::WriteRecords;
        let invalid = |detail| Error::new(operation, Kind::Invalid, detail);
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        if changes.len() > MAX_BATCH {
            return Err(invalid("more than 200 changes in one batch"));
        }
        let batch = Batch::new(changes).map_err(invalid)?;
        let body = serde_json::to_vec(&batch).map_err(|_| invalid("the changes cannot be written as JSON"))?;
        let path = format!("zones/{zone}/dns_records/batch");
        let call = Call { operation, path: &path, query: &[], body: Some(body) };
        self.call(token, call).await?.result(wire::written)
    }

    /// Reads a whole list, or answers `None` if it is longer than it is worth; `identify` gives each item's id, and the
    /// item if it is of interest.
    async fn list<W: DeserializeOwned, T>(
        &self,
        token: &ApiToken,
        list: List<'_>,
        identify: impl Fn(W) -> Result<(String, Option<T>), Malformed>,
    ) -> Result<Option<Vec<T>>, Error> {
        let unavailable = |detail| Error::new(list.operation, Kind::Unavailable, detail);
        let per_page = list.per_page.to_string();
        for _ in 0..LIST_ATTEMPTS {
            let mut pages = Pages::new(!list.filter.is_empty());
            let mut step = Step::Next(1);
            while let Step::Next(page) = step {
                if page > list.max_pages {
                    return Ok(None);
                }
                let page = page.to_string();
                let query = [&[("page", page.as_str()), ("per_page", per_page.as_str())], list.filter].concat();
                let call = Call { operation: list.operation, path: list.path, query: &query, body: None };
                let reply = self.call(token, call).await?;
                let items = reply.result(|items: Vec<W>| items.into_iter().map(&identify).collect())?;
                step = pages.add(items, reply.envelope.result_info);
            }
            match step {
                Step::Done => return Ok(Some(pages.into_items())),
                Step::Stuck => return Err(unavailable("the pages of a list do not end")),
                Step::Changed | Step::Next(_) => {}
            }
        }
        Err(unavailable("a list kept changing while it was read"))
    }

    /// Makes one request within the token's budget.
    async fn call(&self, token: &ApiToken, call: Call<'_>) -> Result<Reply, Error> {
        let operation = call.operation;
        let principal = token.fingerprint();
        let asked = Instant::now();
        let turn = if call.goes_on() {
            self.0.budget.admit_further(principal, token.asker()).await
        } else {
            self.0.budget.admit(principal, token.asker()).await
        };
        turn.map_err(|wait| Error {
            retry_after: Some(wait),
            ..Error::new(operation, Kind::RateLimited, "held back so as not to pass it")
        })?;
        let began = Instant::now();
        self.1.budget_waited(Upstream::Cloudflare, began.duration_since(asked));
        let span = stage!("cloudflare", otel.name = operation.as_str(), otel.kind = "client");
        let outcome = self.exchange(token, call).instrument(span).await;
        let label = outcome.as_ref().map_or_else(|error| error.kind.label(), |_| "ok");
        self.1.upstream(Upstream::Cloudflare, operation.as_str(), label, began.elapsed());
        outcome
    }

    /// Sends one request and reads its answer.
    async fn exchange(&self, token: &ApiToken, call: Call<'_>) -> Result<Reply, Error> {
        let (operation, principal) = (call.operation, token.fingerprint());
        let mut response = self.send(token, call).await?;
        let answer = Answer::new(operation, &response, Timestamp::now());
        if let Some(wait) = answer.wait.max(answer.pace) {
            self.0.budget.hold(principal, wait);
        }
        let (status, ray) = (answer.status, answer.ray.clone());
        let outcome = answer.read(&mut response, self.0.max_body).await;
        match &outcome {
            Ok(_) => tracing::debug!(operation = operation.as_str(), status, ray, "cloudflare answered"),
            // What Cloudflare's support asks for is here only: no condition carries the ray.
            Err(error) => {
                tracing::info!(operation = operation.as_str(), status, ray, kind = ?error.kind, "cloudflare refused");
            }
        }
        outcome
    }

    async fn send(&self, token: &ApiToken, call: Call<'_>) -> Result<Response, Error> {
        let error = |kind, detail| Error::new(call.operation, kind, detail);
        let url = self.0.base.join(call.path).ok_or_else(|| error(Kind::Invalid, "the URL cannot be built"))?;
        let header = token.authorization();
        let authorization = header.map_err(|_| error(Kind::Invalid, "the token is no header value"))?;
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let request = self.0.http.request(method, url).query(call.query);
        let mut request = request.header(AUTHORIZATION, authorization).header(ACCEPT, "application/json");
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.send().await.map_err(|cause| error(Kind::Unavailable, answer::describe(&cause)))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.0.base.to_string()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_namespace_that_is_held_back_is_held_back() {
        let held = Error::new(Operation::ListRecords, Kind::RateLimited, None);
        let told = Error { status: Some(429), ..held.clone() };
        let (crowd, quiet) = (Asker::new("crowd"), Asker::new("quiet"));
        let is_apart = |error, asker| matches!(Shared::<Zone>::failed(error, &crowd, asker), Shared::Apart);
        assert!(is_apart(&held, &quiet) && !is_apart(&held, &crowd));
        assert!(!is_apart(&told, &quiet), "what Cloudflare says is for all");
    }
}
