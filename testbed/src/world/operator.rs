//! The operator's real binary as a child process, set up by nothing but what a user can set.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Result, World, WorldError};
use crate::process::{Guarded, Program, Signal};

/// How long the operator may take to finish its running passes.
const STOP_GRACE: Duration = Duration::from_secs(20);
const START_LIMIT: Duration = Duration::from_secs(30);

/// How the operator is started; the intervals are short, for nobody wants to wait in a test.
#[derive(Debug, Clone)]
pub struct OperatorOptions {
    /// The binary: tests pass `env!("CARGO_BIN_EXE_sending-domain-operator")`.
    pub program: PathBuf,
    /// `--watch-namespace`; empty: all.
    pub namespaces: Vec<String>,
    /// `--owner-id`; a random one if absent, so that operators beside each other do not share marks. A restart keeps it.
    /// Empty: the flag is not given.
    pub owner_id: Option<String>,
    /// `AWS_REGION`.
    pub region: String,
    /// `--pending-interval`.
    pub pending_interval: String,
    /// `--verified-interval`.
    pub verified_interval: String,
    /// `--ses-requests-per-second`.
    pub ses_requests_per_second: u32,
    /// `--log-level`.
    pub log_level: String,
    /// `--log-format`.
    pub log_format: String,
    /// The operator's resolver; absent: the world's own.
    pub resolver: Option<SocketAddr>,
    /// `--dns-allow-private-nameservers`: all name servers here are on loopback.
    pub private_name_servers: bool,
    /// Serve metrics and health on free ports of loopback instead of nowhere; see [`Operator::port`].
    pub serve: bool,
    /// More arguments; clap takes the last of a flag given twice only where it may be repeated, so not those above.
    pub args: Vec<String>,
    /// More environment, or other values for what is set here.
    pub env: Vec<(String, String)>,
}

impl OperatorOptions {
    /// All namespaces, looked at every second, and with much more of a budget at SES than AWS gives.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            namespaces: Vec::new(),
            owner_id: None,
            region: "us-east-1".to_owned(),
            pending_interval: "1s".to_owned(),
            verified_interval: "2s".to_owned(),
            ses_requests_per_second: 100,
            log_level: "info".to_owned(),
            log_format: "text".to_owned(),
            resolver: None,
            private_name_servers: true,
            serve: false,
            args: Vec::new(),
            env: Vec::new(),
        }
    }
}

/// A running operator. Dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    program: Program,
    process: Guarded,
    owner_id: String,
}

impl Operator {
    pub(super) fn start(world: &World, options: &OperatorOptions) -> Result<Self> {
        let owner_id = options.owner_id.clone().unwrap_or_else(|| format!("testbed-{:016x}", rand::random::<u64>()));
        let program = program(world, options, &owner_id);
        let process = program.start()?;
        Ok(Self { program, process, owner_id })
    }

    /// Its `--owner-id`.
    pub fn owner_id(&self) -> &str {
        &self.owner_id
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Sends it a signal: [`Signal::Stop`] freezes it.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        Ok(self.process.signal(signal)?)
    }

    /// Ends it in order, with SIGTERM, and answers how it ended.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        Ok(self.process.stop(STOP_GRACE).await?)
    }

    /// Ends it at once, with SIGKILL.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        Ok(self.process.kill()?)
    }

    /// Starts it again with the same settings, after ending it in order if it still runs. The log goes on.
    ///
    /// # Errors
    /// If it cannot be ended or started.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.process = self.program.start()?;
        Ok(())
    }

    /// Everything that it and its predecessors have logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The file of [`Operator::log`].
    pub fn log_file(&self) -> &Path {
        self.process.log()
    }

    /// The port on which it serves `metrics` or `health`, as it logs on starting; waits until it does.
    ///
    /// # Errors
    /// [`WorldError::TimedOut`] if it logs none, as without [`OperatorOptions::serve`].
    pub async fn port(&mut self, what: &str) -> Result<u16> {
        let started = Instant::now();
        loop {
            if let Some(port) = self.log().lines().rev().find_map(|line| logged_port(line, what)) {
                return Ok(port);
            }
            if started.elapsed() > START_LIMIT || !self.is_running() {
                return Err(WorldError::TimedOut {
                    what: format!("the port of {what}"),
                    waited: started.elapsed(),
                    details: self.process.log_tail(super::TAIL_LINES),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn program(world: &World, options: &OperatorOptions, owner_id: &str) -> Program {
    let plane = world.control_plane();
    let dns = world.dns_server().addr();
    let log = plane.directory().join(format!("operator-{:08x}.log", rand::random::<u32>()));
    let listen = if options.serve { "127.0.0.1:0" } else { "0" };
    let mut program = Program::new("the operator", absolute(&options.program), log)
        .env_clear()
        .env("HOME", plane.directory())
        .env("NO_COLOR", "1")
        .env("KUBECONFIG", world.operator_kubeconfig())
        .env("AWS_ENDPOINT_URL", world.ses().endpoint())
        .env("AWS_ACCESS_KEY_ID", "AKIATESTBED000000000")
        .env("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        .env("AWS_REGION", &options.region)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("CLOUDFLARE_BASE_URL", world.cloudflare().base_url())
        .arg(format!("--dns-resolvers={}", options.resolver.unwrap_or(dns)))
        .arg(format!("--dns-authoritative-port={}", dns.port()))
        .arg(format!("--dns-allow-private-nameservers={}", options.private_name_servers))
        .arg(format!("--pending-interval={}", options.pending_interval))
        .arg(format!("--verified-interval={}", options.verified_interval))
        .arg(format!("--ses-requests-per-second={}", options.ses_requests_per_second))
        .arg(format!("--metrics-address={listen}"))
        .arg(format!("--health-address={listen}"))
        .arg(format!("--log-format={}", options.log_format))
        .arg(format!("--log-level={}", options.log_level));
    if !owner_id.is_empty() {
        program = program.arg(format!("--owner-id={owner_id}"));
    }
    if !options.namespaces.is_empty() {
        program = program.arg(format!("--watch-namespace={}", options.namespaces.join(",")));
    }
    for (name, value) in &options.env {
        program = program.env(name, value);
    }
    program.args(&options.args)
}

/// Relative to us: the child has no other way to know where that is.
fn absolute(program: &Path) -> PathBuf {
    let made: io::Result<PathBuf> = std::path::absolute(program);
    made.unwrap_or_else(|_| program.to_owned())
}

/// The port in `metrics=Some(127.0.0.1:8080)`, `metrics: Some(8080)` and the like, of the line that tells the start.
fn logged_port(line: &str, what: &str) -> Option<u16> {
    let (_, rest) = line.contains("starting").then(|| line.split_once(what))??;
    let value = rest.split_once("Some(")?.1.split_once(')')?.0;
    value.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_the_line_of_the_start_only() {
        let line = r#"INFO starting version="0.1.0" metrics=Some(127.0.0.1:4711) health=Some(4712)"#;
        assert_eq!((logged_port(line, "metrics"), logged_port(line, "health")), (Some(4711), Some(4712)));
        for other in ["INFO running metrics=Some(1)", "INFO starting metrics=None", "INFO starting"] {
            assert_eq!(logged_port(other, "metrics"), None, "{other}");
        }
    }
}
