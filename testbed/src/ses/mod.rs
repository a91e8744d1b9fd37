//! A simulator of Amazon SES v2 (and as much of STS as it takes to assume a role) on loopback.
//!
//! It speaks the real protocol, so that clients made with the official SDK need no more than `AWS_ENDPOINT_URL`, and it
//! has the real states: it says `SUCCESS` only when it has itself resolved the right records, and `FAILED` when it has
//! not found them for 72 hours of its own clock, which can be moved on.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use std::time::Duration;
//! use testbed::ses::{Failure, SesSim, Status};
//!
//! let ses = SesSim::start(([127, 0, 0, 1], 5353).into()).await?;
//! println!("AWS_ENDPOINT_URL={}", ses.endpoint());
//! ses.fail_next(1, Failure::too_many_requests());
//! ses.advance(Duration::from_hours(72)).await;
//! let identity = ses.identity("eu-west-1", "mail.example.com");
//! assert!(identity.is_some_and(|identity| identity.dkim_status == Status::Failed));
//! # Ok(())
//! # }
//! ```
//!
//! A person can do all of it with curl: `GET <endpoint>/_admin` lists how.

mod account;
mod admin;
mod auth;
mod clock;
mod control;
mod create;
mod error;
mod fault;
mod identity;
mod list;
mod listener;
mod look;
mod machine;
mod operation;
mod put;
mod schedule;
mod server;
mod settings;
mod state;
mod sts;
mod tags;
mod view;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{Request, Response};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use auth::Role;
pub use control::{Control, Region};
pub use fault::Failure;
pub use look::Soa;
pub use machine::{LookError, Status};
pub use operation::Operation;
pub use settings::{HostedZone, Settings};
pub use state::{Call, DEFAULT_ACCOUNT};
pub use view::IdentityView;

use listener::{Cut, CuttableListener};
use schedule::Shared;
use server::Incoming;

/// No request to SES is near as large.
const LARGEST_BODY: usize = 1 << 20;

/// A running simulator; it ends with the last clone of its handle. What it can do is in [`Control`].
#[derive(Debug, Clone)]
pub struct SesSim {
    control: Control,
    address: SocketAddr,
    _stop: Arc<DropGuard>,
}

impl SesSim {
    /// Starts on a free loopback port; `dns` is the server that is asked for records.
    pub async fn start(dns: SocketAddr) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), dns).await
    }

    /// Starts at this address; port 0 takes a free one.
    pub async fn start_at(address: SocketAddr, dns: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(dns));
        let control = Control::new(Arc::clone(&shared));
        let stop = CancellationToken::new();
        let router = Router::new()
            .nest("/_admin", admin::router(control.clone()))
            .fallback(answer)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Cut>();
        let server =
            axum::serve(CuttableListener(listener), router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move { server.await });
        let looking = stop.clone();
        tokio::spawn(async move { shared.keep_looking(looking).await });
        Ok(Self { control, address, _stop: Arc::new(stop.drop_guard()) })
    }

    /// The address, as `AWS_ENDPOINT_URL` wants it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Deref for SesSim {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        return error::garbage_response(413);
    };
    let incoming = Incoming { method: parts.method, uri: parts.uri, headers: parts.headers, body: body.to_vec() };
    let outgoing = server::serve(&mut shared.state(), incoming);
    tokio::time::sleep(outgoing.after).await;
    outgoing.response.unwrap_or_else(|| {
        cut.now();
        Response::default()
    })
}
