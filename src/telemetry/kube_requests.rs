//! Counts the requests to the API server, in front of the client that sends them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::http::{Method, Request, Response, StatusCode};
use tower::{Layer, Service};
use tracing::Instrument;

use crate::stage;

use super::metrics::{Metrics, Upstream};

/// The resource that is watched.
const WATCHED: &str = "sendingdomains";

/// Counts what a client sends.
#[derive(Clone, Debug)]
pub struct KubeRequests(pub Metrics);

impl<S> Layer<S> for KubeRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, Sent, Got> Service<Request<Sent>> for Counted<S>
where
    S: Service<Request<Sent>, Response = Response<Got>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let operation = operation(request.method(), &path, request.uri().query().unwrap_or_default());
        let metrics = self.metrics.clone();
        let began = Instant::now();
        let span = stage!("kubernetes", otel.name = operation, otel.kind = "client");
        let answer = self.inner.call(request).instrument(span);
        Box::pin(async move {
            let answer = answer.await;
            let outcome = answer.as_ref().map_or("unavailable", |answer| outcome(answer.status()));
            metrics.upstream(Upstream::Kubernetes, operation, outcome, began.elapsed());
            if matches!(operation, "ListSendingDomains" | "WatchSendingDomains") && outcome == "ok" {
                metrics.listed(WATCHED, &path);
            }
            answer
        })
    }
}

/// What a request asks for, from a fixed set: those that RBAC gives.
fn operation(method: &Method, path: &str, query: &str) -> &'static str {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if method == Method::GET && segments.first() == Some(&"openapi") {
        return "GetSchema";
    }
    // `api/v1` or `apis/GROUP/VERSION`, then perhaps `namespaces/NAME`.
    let rest = segments.get(if segments.first() == Some(&"api") { 2 } else { 3 }..).unwrap_or_default();
    let rest = if rest.first() == Some(&"namespaces") && rest.len() > 2 { &rest[2..] } else { rest };
    let is_watch = query.split('&').any(|pair| matches!(pair, "watch" | "watch=true" | "watch=1"));
    match (method.as_str(), rest) {
        ("GET", [WATCHED]) if is_watch => "WatchSendingDomains",
        ("GET", [WATCHED]) => "ListSendingDomains",
        ("GET", [WATCHED, _]) => "GetSendingDomain",
        ("PATCH", [WATCHED, _]) => "PatchSendingDomain",
        ("PATCH", [WATCHED, _, "status"]) => "PatchSendingDomainStatus",
        ("GET", ["secrets", _]) => "GetSecret",
        ("GET", ["dnsendpoints", _]) => "GetDNSEndpoint",
        ("PATCH", ["dnsendpoints", _]) => "ApplyDNSEndpoint",
        ("DELETE", ["dnsendpoints", _]) => "DeleteDNSEndpoint",
        ("POST", ["events"]) => "CreateEvent",
        ("GET", ["namespaces", _]) => "GetNamespace",
        ("GET", ["leases", _]) => "GetLease",
        ("POST", ["leases"]) => "CreateLease",
        ("PUT", ["leases", _]) => "UpdateLease",
        _ => "Other",
    }
}

pub(super) fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "ok",
        401 => "unauthorized",
        403 => "access_denied",
        404 => "not_found",
        409 => "conflict",
        422 => "invalid",
        429 => "throttled",
        500..=599 => "unavailable",
        _ => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_what_it_asks_for_and_never_by_a_name() {
        let of = |method: Method, path, query| operation(&method, path, query);
        let domains = "/apis/sendingdomain.dev/v1alpha1/sendingdomains";
        let named = "/apis/sendingdomain.dev/v1alpha1/namespaces/events/sendingdomains/secrets";
        let status = format!("{named}/status");
        assert_eq!(of(Method::GET, domains, "watch=true&resourceVersion=1"), "WatchSendingDomains");
        assert_eq!(of(Method::GET, domains, "limit=500"), "ListSendingDomains");
        assert_eq!(of(Method::GET, named, ""), "GetSendingDomain");
        assert_eq!(of(Method::PATCH, &status, ""), "PatchSendingDomainStatus");
        assert_eq!(of(Method::GET, "/api/v1/namespaces/secrets/secrets/leases", ""), "GetSecret");
        assert_eq!(of(Method::GET, "/api/v1/namespaces/kube-system", ""), "GetNamespace");
        assert_eq!(of(Method::POST, "/apis/events.k8s.io/v1/namespaces/a/events", ""), "CreateEvent");
        assert_eq!(of(Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", ""), "UpdateLease");
        assert_eq!(of(Method::GET, "/openapi/v3/apis/sendingdomain.dev/v1alpha1", ""), "GetSchema");
        for other in ["/", "/api", "/version", "/apis/apps/v1/deployments", "//"] {
            assert_eq!(of(Method::GET, other, ""), "Other", "{other}");
        }
    }
}
