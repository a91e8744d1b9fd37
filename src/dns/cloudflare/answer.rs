//! What an answer means: the way there, the headers, the envelope.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::error::{Error, Kind, Operation, Refusal};
use super::headers;
use super::wire::{Envelope, Malformed};

/// What is known of an answer before its body.
pub(super) struct Answer {
    operation: Operation,
    pub(super) status: u16,
    pub(super) ray: Option<String>,
    /// How long we are asked to stay away.
    pub(super) wait: Option<Duration>,
    /// How long to let pass before the next request, so as not to be asked.
    pub(super) pace: Option<Duration>,
}

/// An answer that says success.
pub(super) struct Reply {
    answer: Answer,
    pub(super) envelope: Envelope,
}

impl Reply {
    /// The result, read as a `W` and made into a `T`.
    pub(super) fn result<W, T>(&self, read: impl FnOnce(W) -> Result<T, Malformed>) -> Result<T, Error>
    where
        W: DeserializeOwned,
    {
        let result = self.envelope.result().and_then(read);
        result.map_err(|Malformed| self.answer.error(Kind::Unavailable, "the result is not what was asked for"))
    }
}

impl Answer {
    pub(super) fn new(operation: Operation, response: &Response, now: Timestamp) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let (ray, wait) = (headers::ray_id(headers), headers::asked_wait(status, headers, now));
        Self { operation, status: status.as_u16(), ray, wait, pace: headers::pace(headers) }
    }

    /// Reads the body, up to `limit` bytes, and judges it.
    pub(super) async fn read(self, response: &mut Response, limit: usize) -> Result<Reply, Error> {
        if (300..400).contains(&self.status) {
            return Err(self.error(Kind::Unavailable, "a redirect, which is never followed"));
        }
        match body(response, limit).await {
            Ok(body) => self.judge(&body),
            Err(detail) => Err(self.unusable(detail)),
        }
    }

    /// Success is a 2xx with an envelope that says so. A refusal counts as Cloudflare's only if it comes in an
    /// envelope: a 403 page of a proxy on the way says nothing about the token.
    fn judge(self, body: &[u8]) -> Result<Reply, Error> {
        let Ok(envelope) = Envelope::parse(body) else {
            return Err(self.unusable("the answer is not the API's JSON"));
        };
        if envelope.success && (200..300).contains(&self.status) {
            return Ok(Reply { answer: self, envelope });
        }
        let faults = envelope.faults();
        let refusal = Refusal { operation: self.operation, status: self.status, faults: &faults };
        let (kind, detail) = refusal.classify();
        Err(Error { codes: faults.iter().map(|fault| fault.code).collect(), ..self.error(kind, detail) })
    }

    /// An answer without an envelope. Of a 429 the status is enough.
    fn unusable(&self, detail: &'static str) -> Error {
        self.error(if self.status == 429 { Kind::RateLimited } else { Kind::Unavailable }, detail)
    }

    fn error(&self, kind: Kind, detail: impl Into<Option<&'static str>>) -> Error {
        Error {
            status: Some(self.status),
            ray_id: self.ray.clone(),
            retry_after: self.wait,
            ..Error::new(self.operation, kind, detail)
        }
    }
}

async fn body(response: &mut Response, limit: usize) -> Result<Vec<u8>, &'static str> {
    let too_large = "the answer is too large";
    if response.content_length().is_some_and(|announced| announced > limit as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong on the way, in our own words.
pub(super) fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return if error.is_connect() { "no connection in time" } else { "no answer in time" };
    }
    let mut cause = error.source();
    while let Some(current) = cause {
        if let Some(words) = current.downcast_ref::<std::io::Error>().and_then(describe_io) {
            return words;
        }
        cause = current.source();
    }
    if error.is_connect() { "no connection" } else { "the connection broke" }
}

/// An I/O error's own `source` skips the error it wraps, which is where TLS faults are, wrapped twice.
fn describe_io(error: &std::io::Error) -> Option<&'static str> {
    if let Some(inner) = error.get_ref() {
        if inner.downcast_ref::<rustls::Error>().is_some() {
            return Some("TLS failed: is the certificate trusted?");
        }
        return inner.downcast_ref::<std::io::Error>().and_then(describe_io);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => Some("the connection was refused"),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Some("the network cannot be reached"),
        _ => None,
    }
}
