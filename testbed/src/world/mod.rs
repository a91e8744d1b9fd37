//! The whole small world of a test or of the demo: a control plane with the CRD and the shipped RBAC, a DNS server, the
//! simulators of Cloudflare and SES, and the operator's real binary, told about them by the settings that a user has.
//!
//! ```no_run
//! # async fn example() -> Result<(), testbed::world::WorldError> {
//! use std::time::Duration;
//! use testbed::world::{OperatorOptions, World, WorldOptions, object};
//!
//! let world = World::start(WorldOptions::shared()).await?;
//! let namespace = world.namespace().await?;
//! let mut operator = world.operator(&OperatorOptions {
//!     namespaces: vec![namespace.clone()],
//!     ..OperatorOptions::new("target/debug/sending-domain-operator")
//! })?;
//! world.cloudflare_zone("example.com");
//! world.create_secret(&namespace, "cloudflare", "api-token", world.token()).await?;
//! world.create(&namespace, &object::cloudflare("mail", "mail.example.com", "cloudflare")).await?;
//! world.ses().advance(Duration::from_mins(2)).await;
//! world.wait_for(&namespace, "mail", "Ready", object::is_ready, Duration::from_secs(30)).await?;
//! operator.stop().await?;
//! # Ok(())
//! # }
//! ```

mod install;
mod kubernetes;
pub mod object;
mod operator;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use kube::Client;
use serde_json::Value;

use crate::cloudflare::{CloudflareSim, Perms};
use crate::control_plane::{self, ControlPlane, ControlPlaneError};
use crate::dns::{Dns, DnsError, DnsServer};
use crate::process::ProcessError;
use crate::ses::SesSim;

pub use install::{OPERATOR, SYSTEM_NAMESPACE};
pub use operator::{Operator, OperatorOptions};

/// Lines of an operator's log in the message of a failure.
const TAIL_LINES: usize = 40;

/// The token of [`World::token`]; 40 characters as real ones have.
const TOKEN: &str = "testbed-token-of-all-zones-0123456789abc";

/// Why the world, or something asked of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The control plane.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The operator's process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The DNS server.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// A simulator could not listen, or a file could not be read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The API server said no.
    #[error("{what}: {source}")]
    Kube {
        /// What was being done.
        what: String,
        /// What was answered.
        source: Box<kube::Error>,
    },
    /// Something did not come in time.
    #[error("{what} did not come within {} s\n{details}", waited.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        waited: Duration,
        /// How things stood at the end: the object, and the end of the operator's log.
        details: String,
    },
}

impl WorldError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kube { what, source: Box::new(source) }
    }
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, WorldError>;

/// How to start a [`World`].
#[derive(Debug, Clone, Default)]
pub struct WorldOptions {
    /// Use the one control plane of this process, as tests do; each then keeps to namespaces of its own.
    pub shared_control_plane: bool,
    /// Keep the files of a control plane of one's own after the end.
    pub keep_files: bool,
    /// Install nothing, on a control plane of its own: the test does, and then calls [`World::installed`].
    pub uninstalled: bool,
}

impl WorldOptions {
    /// For tests: on [`ControlPlane::shared`].
    pub fn shared() -> Self {
        Self { shared_control_plane: true, ..Self::default() }
    }
}

#[derive(Debug)]
enum Plane {
    Own(Box<ControlPlane>),
    Shared(&'static ControlPlane),
}

/// A running world. What it started ends with it; operators are the caller's and should end first.
pub struct World {
    cloudflare: CloudflareSim,
    ses: SesSim,
    dns: DnsServer,
    client: Client,
    operator_kubeconfig: PathBuf,
    // One log for each operator ever started here: a failure shows their ends.
    operator_logs: Mutex<Vec<PathBuf>>,
    namespaces: AtomicU32,
    plane: Plane,
}

impl World {
    /// Starts everything, installs the CRD and RBAC, and waits until the operator's ServiceAccount may do its work.
    ///
    /// # Errors
    /// With the reason, and the end of the log of the program that did not come up.
    pub async fn start(options: WorldOptions) -> Result<Self> {
        let (plane, operator_kubeconfig) = install::plane(&options).await?;
        let client = match &plane {
            Plane::Own(plane) => plane.admin_client().await?,
            Plane::Shared(plane) => plane.admin_client().await?,
        };
        let dns = DnsServer::start().await?;
        let cloudflare = CloudflareSim::start(dns.dns()).await.map_err(WorldError::io("the Cloudflare simulator"))?;
        cloudflare.add_token(TOKEN, Perms::full());
        let ses = SesSim::start(dns.addr()).await.map_err(WorldError::io("the SES simulator"))?;
        Ok(Self {
            cloudflare,
            ses,
            dns,
            client,
            operator_kubeconfig,
            operator_logs: Mutex::default(),
            namespaces: AtomicU32::default(),
            plane,
        })
    }

    /// Takes over what somebody else has installed, once the operator's ServiceAccount may do its work.
    ///
    /// # Errors
    /// If there is no such ServiceAccount, or it may not.
    pub async fn installed(&mut self) -> Result<()> {
        self.operator_kubeconfig = install::kubeconfig(self.control_plane()).await?;
        Ok(())
    }

    /// Starts the operator's binary as its own ServiceAccount.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn operator(&self, options: &OperatorOptions) -> Result<Operator> {
        let operator = Operator::start(self, options)?;
        self.logs().push(operator.log_file().to_owned());
        Ok(operator)
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        match &self.plane {
            Plane::Own(plane) => plane,
            Plane::Shared(plane) => plane,
        }
    }

    /// The control plane, if it is this world's own: what one does to a shared one hits every other test.
    pub fn own_control_plane(&mut self) -> Option<&mut ControlPlane> {
        match &mut self.plane {
            Plane::Own(plane) => Some(plane),
            Plane::Shared(_) => None,
        }
    }

    /// A client of the user who may do everything.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client that acts as the operator's ServiceAccount.
    ///
    /// # Errors
    /// If its kubeconfig cannot be read.
    pub async fn operator_client(&self) -> Result<Client> {
        Ok(control_plane::client(&self.operator_kubeconfig).await?)
    }

    /// The kubeconfig of the operator's ServiceAccount.
    pub fn operator_kubeconfig(&self) -> &Path {
        &self.operator_kubeconfig
    }

    /// The DNS server, which is the authority of every zone here and the world's resolver too.
    pub fn dns(&self) -> Dns {
        self.dns.dns()
    }

    /// Where the DNS server listens.
    pub fn dns_server(&self) -> &DnsServer {
        &self.dns
    }

    /// The Cloudflare simulator.
    pub fn cloudflare(&self) -> &CloudflareSim {
        &self.cloudflare
    }

    /// The SES simulator.
    pub fn ses(&self) -> &SesSim {
        &self.ses
    }

    /// An API token that may read every zone at Cloudflare and edit its records.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// Adds an active zone at Cloudflare, which serves it; answers its id.
    pub fn cloudflare_zone(&self, name: &str) -> String {
        self.cloudflare.add_zone(name)
    }

    /// Adds an empty zone at some other DNS provider, where records are added by hand: [`World::publish`].
    ///
    /// # Errors
    /// If it is not a domain name.
    pub fn manual_zone(&self, apex: &str) -> Result<()> {
        Ok(self.dns().add_zone(apex)?)
    }

    /// Plays the person who copies the records of an object's status into the zone of their DNS provider.
    ///
    /// # Errors
    /// If no zone here holds a name.
    pub fn publish(&self, object: &Value) -> Result<()> {
        Self::publish_at(&self.dns(), object)
    }

    /// The same at another DNS server.
    ///
    /// # Errors
    /// If no zone there holds a name.
    pub fn publish_at(dns: &Dns, object: &Value) -> Result<()> {
        for record in object["status"]["records"].as_array().into_iter().flatten() {
            let text = |field: &str| record[field].as_str().unwrap_or_default();
            let (rtype, value) = match text("type") {
                "CNAME" => (RecordType::CNAME, text("value").to_owned()),
                "MX" => (RecordType::MX, format!("{} {}", record["priority"], text("value"))),
                _ => (RecordType::TXT, text("value").to_owned()),
            };
            dns.set(text("name"), rtype, &[value])?;
        }
        Ok(())
    }

    /// The ends of the logs of all operators that this world has started.
    pub fn log_tails(&self) -> String {
        let mut tails = String::new();
        for log in self.logs().iter() {
            let text = std::fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            let _ = writeln!(tails, "the end of {}:\n{end}", log.display());
        }
        tails
    }

    fn logs(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.operator_logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_number(&self) -> u32 {
        self.namespaces.fetch_add(1, Ordering::Relaxed)
    }
}
