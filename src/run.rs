//! Puts the parts together from the flags, and runs them until told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::client::ClientBuilder;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::cli::{CLOUDFLARE_API, DnsCheck, RunArgs, region};
use crate::controller::context::{Context, Memories, SENDING_DOMAINS, Settings};
use crate::controller::{self, Scope};
use crate::dns::cloudflare::{self, BaseUrl, BaseUrlError};
use crate::dns::lookup::{self, Resolver};
use crate::leader::{self, Leadership};
use crate::observe::zone::Zones;
use crate::recorder::Recorder;
use crate::ses;
use crate::status::schedule::Pace;
use crate::telemetry::http::{self, Endpoints};
use crate::telemetry::kube_requests::KubeRequests;
use crate::telemetry::logging;
use crate::telemetry::metrics::{Metrics, Upstream};
use crate::telemetry::probes::Readiness;
use crate::telemetry::traces::{Traces, TracesError};
use crate::wake::Wakes;

/// Why the operator cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No kubeconfig and no service account.
    #[error("cannot find out how to reach the API server: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The API server.
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
    /// The base of the Cloudflare API.
    #[error("CLOUDFLARE_BASE_URL: {0}")]
    BaseUrl(#[from] BaseUrlError),
    /// The Cloudflare client.
    #[error("the Cloudflare client: {0}")]
    Cloudflare(#[from] cloudflare::BuildError),
    /// The resolvers.
    #[error("--dns-resolvers: {0}")]
    Resolvers(#[from] lookup::SettingsError),
    /// The default region.
    #[error("AWS_REGION {0}")]
    Region(String),
    /// An AWS endpoint that would send signed requests in the clear.
    #[error("{variable} must be an https URL: plain http is accepted for loopback only")]
    InsecureEndpoint {
        /// The environment variable, or the key of the config file.
        variable: &'static str,
    },
    /// The owner id could not be found.
    #[error("the namespace kube-system has no UID; set --owner-id")]
    NoOwnerId,
    /// The servers of metrics and health.
    #[error(transparent)]
    Serve(#[from] http::ServeError),
    /// The handlers of signals.
    #[error("cannot handle signals: {0}")]
    Signals(#[from] std::io::Error),
    /// The log.
    #[error("--log-level: {0}")]
    Log(#[from] logging::LoggingError),
    /// The collector of traces.
    #[error("--otlp-endpoint: {0}")]
    Traces(#[from] TracesError),
    /// The lease went to somebody else.
    #[error("the leader's lease was lost")]
    LeaseLost,
}

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot start, or loses its lease.
pub async fn run(args: RunArgs) -> Result<(), RunError> {
    let traces = Traces::to(args.otlp_endpoint.as_deref())?;
    logging::init(args.log_format, &args.log_level, traces.as_ref().map(Traces::tracer))?;
    check_aws_endpoints()?;
    let config = leader::api_config(kube::Config::infer().await?);
    // A watch may be silent for minutes.
    let mut watch_config = config.clone();
    watch_config.read_timeout = None;

    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let endpoints = Endpoints::default();
    let Endpoints { metrics, readiness, liveness } = endpoints.clone();
    let kube = client(config.clone(), &metrics)?;
    let watch_client = client(watch_config, &metrics)?;
    let servers = http::serve(&args.metrics_address, &args.health_address, endpoints, stop.clone()).await?;
    info!(version = env!("CARGO_PKG_VERSION"), metrics = ?servers.metrics, health = ?servers.health, "starting");

    let leadership = elect(&args, &config, &kube, &metrics, &stop, &readiness).await;
    if stop.is_cancelled() {
        return Ok(());
    }
    let scope = Scope { namespaces: args.watch_namespace.clone(), selector: args.watch_label_selector.clone() };
    let watches = controller::watches(&watch_client, &scope);
    let recorder = Recorder::new(kube.clone(), &leader::own_identity(), metrics.clone());
    let told = Endpoints { metrics, readiness: readiness.clone(), liveness };
    let context = Arc::new(context(&args, kube, &watches, told, recorder.clone(), leadership.clone()).await?);
    info!(owner = context.settings.owner, region = context.settings.region, "running");
    readiness.leading(&[SENDING_DOMAINS]);
    let outdated = tokio::spawn(controller::outdated::watch(context.kube.clone()));
    let fleet = tokio::spawn(context.ses.clone().keep());
    let lost =
        run_until_stopped(controller::run(watches, &scope, context, stop.clone()), leadership.as_ref(), &stop).await;
    fleet.abort();
    outdated.abort();
    match (lost, leadership) {
        (true, _) => return Err(RunError::LeaseLost),
        (false, Some(leadership)) => {
            leadership.release().await;
        }
        (false, None) => {}
    }
    // What was reported last is often what explains the rest.
    recorder.flush(FLUSH).await;
    if let Some(traces) = traces {
        traces.end().await;
    }
    servers.stopped().await;
    Ok(())
}

/// How long passes that are under way may hold the end up: less than the 30 seconds that Kubernetes gives.
const GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// How long events that are still on their way may hold the end up.
const FLUSH: std::time::Duration = std::time::Duration::from_secs(2);

/// A client of the API server whose requests are counted.
fn client(config: kube::Config, metrics: &Metrics) -> Result<kube::Client, kube::Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&KubeRequests(metrics.clone())).build())
}

/// Waits for the lease, if leaders are elected.
async fn elect(
    args: &RunArgs,
    config: &kube::Config,
    kube: &kube::Client,
    metrics: &Metrics,
    stop: &CancellationToken,
    readiness: &Readiness,
) -> Option<Arc<Leadership>> {
    if !args.leader_elect {
        metrics.leading(true);
        return None;
    }
    let namespace = args
        .leader_election_namespace
        .clone()
        .or_else(|| std::env::var("POD_NAMESPACE").ok().filter(|n| !n.is_empty()))
        .unwrap_or_else(|| config.default_namespace.clone());
    let settings = leader::Settings::new(namespace, &args.leader_election_id);
    let acquired = tokio::select! {
        leadership = leader::acquire(kube.clone(), settings, || readiness.standby()) => Some(Arc::new(leadership)),
        () = stop.cancelled() => None,
    };
    metrics.leading(acquired.is_some());
    acquired
}

/// Runs the controllers; answers true if they ended because the lease was lost.
async fn run_until_stopped(
    controllers: impl Future<Output = ()>,
    leadership: Option<&Arc<Leadership>>,
    stop: &CancellationToken,
) -> bool {
    let lost = async {
        match leadership {
            Some(leadership) => leadership.lost().await,
            None => std::future::pending().await,
        }
    };
    // A controller that never listed would wait for that before it ends.
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = overdue => {
            info!("not waiting any longer for passes that are under way");
            false
        }
        () = controllers => {
            if !stop.is_cancelled() {
                error!("the controllers have ended");
            }
            false
        }
        () = lost => {
            error!("the lease was lost; another replica goes on");
            true
        }
    }
}

async fn context(
    args: &RunArgs,
    kube: kube::Client,
    watches: &[controller::Watch],
    told: Endpoints,
    recorder: Recorder,
    leadership: Option<Arc<Leadership>>,
) -> Result<Context, RunError> {
    let Endpoints { metrics, readiness, liveness } = told;
    let owner = match &args.owner_id {
        Some(owner) => owner.clone(),
        None => cluster_id(&kube).await?,
    };
    let from_env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let base: BaseUrl = match &args.cloudflare_base_url {
        Some(base) => base.clone(),
        None => from_env("CLOUDFLARE_BASE_URL").unwrap_or_else(|| CLOUDFLARE_API.to_owned()).parse()?,
    };
    let from_aws = from_env("AWS_REGION").map(|r| region(&r)).transpose().map_err(RunError::Region)?;
    let region = args.aws_region.clone().or(from_aws).unwrap_or_else(|| "us-east-1".to_owned());
    let wakes = Wakes::default();
    let interval = args.verified_interval.max(args.pending_interval);
    let ses = ses::client::Client::load(args.ses_requests_per_second, interval, wakes.clone(), metrics.clone()).await;
    if ses.configured_endpoints().iter().any(|url| !is_safe_endpoint(url)) {
        return Err(RunError::InsecureEndpoint { variable: "endpoint_url in the AWS config file" });
    }
    let ses = Arc::new(ses);
    let keeper = Arc::downgrade(&ses);
    metrics.budgets(Upstream::Ses, move || keeper.upgrade().map(|ses| ses.budget_states()));
    Ok(Context {
        ses,
        wakes,
        cloudflare: cloudflare::Client::new(base, args.cloudflare_requests_per_5m.get())?.counted_in(metrics.clone()),
        zones: Zones::default(),
        resolver: resolver(args)?.map(|resolver| resolver.counted_in(metrics.clone())),
        settings: Settings {
            owner,
            region,
            ambient_credentials: args.ambient_credentials,
            require_namespace_claims: args.require_namespace_claims,
            allow_adoption: args.allow_adoption,
            pace: Pace { pending: args.pending_interval, verified: args.verified_interval },
            cleanup_grace: args.cleanup_grace,
            dry_run: args.dry_run,
        },
        memories: Memories::default(),
        unlisted: AtomicUsize::new(watches.len()),
        readiness,
        liveness,
        stores: watches.iter().map(controller::Watch::store).collect(),
        recorder,
        kube,
        metrics,
        leadership,
    })
}

fn resolver(args: &RunArgs) -> Result<Option<Resolver>, RunError> {
    if args.dns_check == DnsCheck::Off {
        return Ok(None);
    }
    let settings = lookup::Settings {
        mode: args.dns_check.into(),
        resolvers: args.dns_resolvers.clone(),
        authoritative_port: args.dns_authoritative_port.get(),
        allow_private_nameservers: args.dns_allow_private_nameservers,
        ..lookup::Settings::default()
    };
    Ok(Some(Resolver::new(settings)?))
}

/// The UID of kube-system stands for the cluster: it is as old as the cluster, and nobody deletes that namespace.
async fn cluster_id(kube: &kube::Client) -> Result<String, RunError> {
    let namespaces: Api<Namespace> = Api::all(kube.clone());
    namespaces.get("kube-system").await?.metadata.uid.ok_or(RunError::NoOwnerId)
}

/// Requests to AWS are signed, but not encrypted by that: in the clear they may only go to this machine.
fn check_aws_endpoints() -> Result<(), RunError> {
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SESV2", "AWS_ENDPOINT_URL_STS"] {
        let Ok(value) = std::env::var(variable) else { continue };
        if !value.is_empty() && !is_safe_endpoint(&value) {
            return Err(RunError::InsecureEndpoint { variable });
        }
    }
    Ok(())
}

/// True for https, and for plain http to this machine.
pub fn is_safe_endpoint(value: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(value) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

fn stop_on_signals(stop: &CancellationToken) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping: running passes are finished");
        stop.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_to_aws_is_for_loopback_only() {
        for good in ["http://127.0.0.1:4566", "http://localhost:1", "http://[::1]:80", "https://email.example.com"] {
            assert!(is_safe_endpoint(good), "{good}");
        }
        for bad in ["http://10.0.0.1:80", "http://localhost.example.com", "http://example.com", "ftp://127.0.0.1", "x"]
        {
            assert!(!is_safe_endpoint(bad), "{bad}");
        }
    }
}
