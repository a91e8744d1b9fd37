//! The Cloudflare simulator as its callers see it: over HTTP, and through DNS for what it publishes.

// A test may panic; the exemption in clippy.toml covers test functions, not their helpers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod access;
mod dns;
mod failures;
mod records;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testbed::cloudflare::{CloudflareSim, Perms};
use testbed::dns::{Dns, DnsServer};

/// A token as a user has it.
const TOKEN: &str = "cfut_0123456789abcdefghijABCDEFGHIJ0123456789abcd";

/// A simulator with the zone example.com and a token for everything.
struct Bed {
    sim: CloudflareSim,
    dns: Dns,
    zone: String,
    http: reqwest::Client,
    _server: DnsServer,
}

/// An answer, as far as tests look at it.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap_or_default()
    }

    fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.body["success"], true);
        &self.body["result"]
    }

    /// Status and code of a refusal, whose envelope must be whole.
    fn refusal(&self) -> (u16, u64) {
        assert_eq!(self.body["success"], false, "{}", self.body);
        assert_eq!(self.body["result"], Value::Null);
        assert_eq!(self.body["messages"], json!([]));
        assert_eq!(self.body["errors"].as_array().map(Vec::len), Some(1));
        (self.status.as_u16(), self.code())
    }

    /// One field of every entry of the result.
    fn column(&self, field: &str) -> Vec<&str> {
        let entries = self.result().as_array().unwrap();
        entries.iter().map(|entry| entry[field].as_str().unwrap()).collect()
    }
}

impl Bed {
    async fn new() -> Self {
        let server = DnsServer::start().await.unwrap();
        let dns = server.dns();
        let sim = CloudflareSim::start(dns.clone()).await.unwrap();
        let zone = sim.add_zone("example.com");
        sim.add_token(TOKEN, Perms::full());
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { sim, dns, zone, http, _server: server }
    }

    fn records_path(&self) -> String {
        format!("/zones/{}/dns_records", self.zone)
    }

    async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.sim.base_url())).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        receive(request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.try_call(Method::GET, path, None).await.unwrap()
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.sim.base_url()));
        receive(request.bearer_auth(token)).await.unwrap()
    }

    /// Lists records with a query.
    async fn list(&self, query: &str) -> Answer {
        self.get(&format!("{}?{query}", self.records_path())).await
    }

    async fn post(&self, body: Value) -> Answer {
        self.try_call(Method::POST, &self.records_path(), Some(body)).await.unwrap()
    }

    async fn batch(&self, body: Value) -> Answer {
        let path = format!("{}/batch", self.records_path());
        self.try_call(Method::POST, &path, Some(body)).await.unwrap()
    }

    async fn on(&self, method: Method, id: &str, body: Option<Value>) -> Answer {
        let path = format!("{}/{id}", self.records_path());
        self.try_call(method, &path, body).await.unwrap()
    }

    /// Creates a record and gives its id.
    async fn created(&self, body: Value) -> String {
        self.post(body).await.result()["id"].as_str().unwrap().to_owned()
    }
}

async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, headers, body })
}

fn cname(name: &str, content: &str) -> Value {
    json!({"type": "CNAME", "name": name, "content": content, "ttl": 300, "proxied": false})
}

fn txt(name: &str, content: &str) -> Value {
    json!({"type": "TXT", "name": name, "content": content, "ttl": 300})
}
