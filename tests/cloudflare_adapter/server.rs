//! A server of canned answers on loopback, which remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use sending_domain_operator::dns::cloudflare::{ApiToken, BaseUrl, Client, Settings, ZoneId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    /// The decoded value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://localhost{}", self.uri)).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A query parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.query(name).unwrap().parse().unwrap()
    }
}

/// The server; it stops with the test's runtime.
pub(crate) struct Server {
    base: BaseUrl,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers every request with what `answer` makes of it.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let handler = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            let request = Seen { method, uri, headers, body };
            let response = answer(&request);
            log.lock().unwrap().push(request);
            response
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = base(&listener);
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { base, seen }
    }

    /// Answers every request with this.
    pub(crate) async fn always(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| answer(status, &[], body.clone())).await
    }

    /// Writes `bytes` to every connection once a request has come, and closes it after `delay`.
    pub(crate) async fn raw(bytes: &'static [u8], delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = base(&listener);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(bytes).await;
                    tokio::time::sleep(delay).await;
                });
            }
        });
        Self { base, seen: Arc::default() }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(Settings::default())
    }

    pub(crate) fn client_with(&self, settings: Settings) -> Client {
        Client::with_settings(self.base.clone(), settings).unwrap()
    }

    /// What it was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn base(listener: &TcpListener) -> BaseUrl {
    format!("http://{}/client/v4", listener.local_addr().unwrap()).parse().unwrap()
}

/// A response with headers.
pub(crate) fn answer(status: u16, headers: &[(&'static str, &str)], body: impl Into<String>) -> Response {
    let mut response = body.into().into_response();
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

/// A successful envelope.
pub(crate) fn success(result: &str) -> String {
    format!(r#"{{"success":true,"errors":[],"messages":[],"result":{result}}}"#)
}

/// A successful envelope around a whole list.
pub(crate) fn listing(items: &[impl AsRef<str>]) -> String {
    let joined = items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",");
    let (count, result) = (items.len(), format!("[{joined}]"));
    let info = format!(r#"{{"page":1,"per_page":50,"count":{count},"total_count":{count},"total_pages":1}}"#);
    format!(r#"{{"success":true,"errors":[],"messages":[],"result":{result},"result_info":{info}}}"#)
}

/// A refusal with one error.
pub(crate) fn refusal(code: u32, message: &str) -> String {
    format!(r#"{{"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"messages":[],"result":null}}"#)
}

pub(crate) fn token() -> ApiToken {
    ApiToken::parse(b"a-token").unwrap()
}

pub(crate) fn zone_id() -> ZoneId {
    "023e105f4ecef8ad9ca31a8372d0c353".parse().unwrap()
}
