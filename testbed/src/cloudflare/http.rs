//! From HTTP to the API: log, failures, rate limit, headers.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Query, Request as HttpRequest, State as Extract};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::api::Request;
use super::error::ApiError;
use super::failure::Failure;
use super::limit::Standing;
use super::query::Params;
use super::wire::Wire;
use super::{Call, Shared};

/// Largest request that is read.
const BODY_LIMIT: usize = 4 << 20;

/// Answers every path that is not the admin interface's.
pub(super) async fn serve(
    Extract(shared): Extract<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: HttpRequest,
) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return reply(413, &json!({}));
    };
    let failure = shared.lock().failures.take(head.method.as_str(), &full_path(&head.uri));
    if let Some(Failure::Slow(milliseconds)) = failure {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let answer = match &failure {
        Some(Failure::Drop | Failure::CommitThenDrop) => {
            if failure == Some(Failure::CommitThenDrop) {
                good(&shared, &head.method, &head.uri, &head.headers, &body);
            }
            wire.cut();
            None
        }
        None | Some(Failure::Slow(_)) => Some(good(&shared, &head.method, &head.uri, &head.headers, &body)),
        Some(Failure::Echo(status)) => Some(echo(*status, authorization(&head.headers).unwrap_or_default())),
        Some(failure) => Some(bad(failure)),
    };
    let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
    shared.lock().calls.push(Call {
        method: head.method.to_string(),
        path: full_path(&head.uri),
        status,
        token: bearer(&head.headers).map(str::to_owned),
    });
    answer.unwrap_or_default()
}

fn full_path(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    authorization(headers)?.strip_prefix("Bearer ")
}

fn good(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        params: Params::new(pairs),
        authorization: authorization(headers),
        body,
    };
    let mut state = shared.lock();
    let standing = state.limit.count(request.token().unwrap_or_default(), Instant::now());
    let outcome = if standing.allowed {
        state.call(&request)
    } else {
        Err(ApiError::rate_limited(standing.quota, standing.window))
    };
    let mut response = match outcome {
        Ok(success) => reply(200, &success.envelope()),
        Err(error) => reply(error.status, &error.envelope(state.wrapped_errors)),
    };
    add_standing(response.headers_mut(), standing);
    response
}

/// The headers that Cloudflare sends with every answer since September 2025.
fn add_standing(headers: &mut HeaderMap, standing: Standing) {
    let Standing { allowed, quota, window, remaining, reset } = standing;
    let mut add = |name: &'static str, value: String| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    add("ratelimit", format!("\"default\";r={remaining};t={reset}"));
    add("ratelimit-policy", format!("\"default\";q={quota};w={window}"));
    if !allowed {
        add("retry-after", reset.to_string());
    }
}

fn bad(failure: &Failure) -> Response {
    let raw = |status: u16, kind: &str, body: String| {
        let builder = Response::builder().status(status).header(header::CONTENT_TYPE, kind);
        builder.body(Body::from(body)).unwrap_or_default()
    };
    match failure {
        Failure::Status(status) => {
            let reason = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
            let error = ApiError::new(*status, u32::from(*status), reason.unwrap_or("Error"));
            reply(*status, &error.envelope(false))
        }
        Failure::Code(status, code, message) => {
            reply(*status, &ApiError::new(*status, *code, message.clone()).envelope(false))
        }
        Failure::Html502 => {
            let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
                        <body><center><h1>502 Bad Gateway</h1></center><hr>cloudflare</body></html>";
            raw(502, "text/html", page.to_owned())
        }
        Failure::NonJson => raw(200, "application/json", "{\"success\": tru".to_owned()),
        Failure::Huge(size) => {
            let body = format!("{{\"success\":true,\"errors\":[],\"messages\":[],{}\"result\":[]}}", " ".repeat(*size));
            raw(200, "application/json", body)
        }
        Failure::Redirect(target) => {
            let builder = Response::builder().status(302).header(header::LOCATION, target);
            builder.body(Body::empty()).unwrap_or_default()
        }
        // These are not answers; the caller has dealt with them.
        Failure::Drop | Failure::CommitThenDrop | Failure::Slow(_) | Failure::Echo(_) => Response::default(),
    }
}

fn echo(status: u16, secret: &str) -> Response {
    let body = format!("{{\"success\":false,\"errors\":[{{\"code\":9109,\"message\":\"{secret}\"}}]}}<p>{secret}</p>");
    let mut builder = Response::builder().status(status);
    for name in ["content-type", "location", "cf-ray", "retry-after", "ratelimit", "www-authenticate", "server"] {
        builder = builder.header(name, secret);
    }
    builder.body(Body::from(body)).unwrap_or_default()
}

/// A JSON answer.
pub(super) fn reply(status: u16, body: &Value) -> Response {
    let builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header("cf-ray", format!("{:016x}-SIM", rand::random::<u64>()));
    builder.body(Body::from(body.to_string())).unwrap_or_default()
}
