//! `/metrics`, `/livez` and `/readyz`.

use std::net::SocketAddr;
use std::time::Duration;
use std::{fmt, io};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::metrics::{ContentType, Metrics, to_text};
use super::probes::{Liveness, Readiness};

/// How long requests that are being answered may hold a shutdown up.
const DRAIN: Duration = Duration::from_secs(2);

/// What the servers tell.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/readyz`.
    pub readiness: Readiness,
    /// For `/livez`.
    pub liveness: Liveness,
}

/// The running servers.
#[derive(Debug)]
pub struct Servers {
    /// Where `/metrics` is; `None` if switched off.
    pub metrics: Option<SocketAddr>,
    /// Where `/livez` and `/readyz` are; `None` if switched off.
    pub health: Option<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Servers {
    /// Ends when the servers have, at most two seconds after they were told to.
    pub async fn stopped(self) {
        for task in self.tasks {
            // A server that panicked has stopped, too.
            let _ = task.await;
        }
    }
}

/// An address that cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address:?} for {what}: {source}")]
pub struct ServeError {
    address: String,
    what: &'static str,
    source: io::Error,
}

/// Starts the servers; they run until `shutdown`.
///
/// Addresses are `host:port`, or `:port` for all interfaces. Port 0 takes a free port; the result says which. `0` and
/// the empty string switch a server off. Equal addresses make one server with all three paths.
///
/// # Errors
/// [`ServeError`] if an address cannot be resolved or is taken.
pub async fn serve(
    metrics_address: &str,
    health_address: &str,
    endpoints: Endpoints,
    shutdown: CancellationToken,
) -> Result<Servers, ServeError> {
    let metrics = Router::new().route("/metrics", get(scrape));
    let health = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
    let mut servers = Servers { metrics: None, health: None, tasks: Vec::new() };
    if metrics_address == health_address {
        if let Some(listener) = listen(metrics_address, "metrics and health").await? {
            let address = local_address(&listener, metrics_address)?;
            (servers.metrics, servers.health) = (Some(address), Some(address));
            servers.tasks.push(run(listener, metrics.merge(health), endpoints, shutdown));
        }
        return Ok(servers);
    }
    let metrics_listener = listen(metrics_address, "metrics").await?;
    let health_listener = listen(health_address, "health").await?;
    if let Some(listener) = metrics_listener {
        servers.metrics = Some(local_address(&listener, metrics_address)?);
        servers.tasks.push(run(listener, metrics, endpoints.clone(), shutdown.clone()));
    }
    if let Some(listener) = health_listener {
        servers.health = Some(local_address(&listener, health_address)?);
        servers.tasks.push(run(listener, health, endpoints, shutdown));
    }
    Ok(servers)
}

async fn listen(address: &str, what: &'static str) -> Result<Option<TcpListener>, ServeError> {
    let bound = match address.strip_prefix(':') {
        None if matches!(address, "" | "0") => return Ok(None),
        None => TcpListener::bind(address).await,
        // Both families where the kernel has IPv6, else the one it has.
        Some(port) => match TcpListener::bind(format!("[::]:{port}")).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind(format!("0.0.0.0:{port}")).await
            }
            bound => bound,
        },
    };
    bound.map(Some).map_err(|source| ServeError { address: address.to_owned(), what, source })
}

fn local_address(listener: &TcpListener, address: &str) -> Result<SocketAddr, ServeError> {
    let failed = |source| ServeError { address: address.to_owned(), what: "its own address", source };
    listener.local_addr().map_err(failed)
}

fn run(
    listener: TcpListener,
    routes: Router<Endpoints>,
    endpoints: Endpoints,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let stop = shutdown.clone().cancelled_owned();
    let serving = axum::serve(listener, routes.with_state(endpoints)).with_graceful_shutdown(stop);
    tokio::spawn(async move {
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            ended = serving.into_future() => if let Err(error) = ended {
                tracing::error!(error = &error as &dyn std::error::Error, "an HTTP server ended");
            },
            () = overdue => tracing::debug!("an HTTP server left requests unanswered"),
        }
    })
}

async fn scrape(State(endpoints): State<Endpoints>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let kind = ContentType::for_accept(accept);
    match endpoints.metrics.openmetrics() {
        Ok(text) => {
            let body = if kind == ContentType::Text { to_text(&text) } else { text };
            ([(header::CONTENT_TYPE, kind.as_str())], body).into_response()
        }
        Err(fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn livez(State(endpoints): State<Endpoints>) -> Response {
    answer(endpoints.liveness.check())
}

async fn readyz(State(endpoints): State<Endpoints>) -> Response {
    answer(endpoints.readiness.check())
}

fn answer(check: Result<(), String>) -> Response {
    match check {
        Ok(()) => "ok\n".into_response(),
        Err(mut why) => {
            why.push('\n');
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
