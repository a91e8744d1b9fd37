//! The command line: the only reader of flags and environment.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::api::duration;
use crate::dns::cloudflare::BaseUrl;
use crate::dns::lookup::{Mode, ResolverAddress};
use crate::leader;
use crate::ownership::OWNER_ID_LIMIT;
use crate::telemetry::logging::Format;

/// Makes domains ready to send mail through Amazon SES: identities, DNS records, verification.
#[derive(Debug, Parser)]
#[command(name = "sending-domain-operator", version, args_conflicts_with_subcommands = true, args_override_self = true)]
pub struct Cli {
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator (the default).
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
}

/// Every flag of `run`. Each can also be set by an environment variable; lists are repeated or comma-separated;
/// durations look like `30s`, `15m` or `1h30m`.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RunArgs {
    /// Namespaces to watch; all if absent. [default: all namespaces]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_WATCH_NAMESPACE", value_delimiter = ',', value_name = "NAMESPACE")]
    pub watch_namespace: Vec<String>,

    /// Watch only objects with these labels, so that several operators can share a fleet. [default: all objects]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_WATCH_LABEL_SELECTOR", value_parser = selector, value_name = "SELECTOR")]
    pub watch_label_selector: Option<String>,

    /// What marks identities and records as this operator's, at most 36 characters. A new cluster with the same id picks
    /// everything up. [default: the UID of the namespace kube-system]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_OWNER_ID", value_parser = owner_id, value_name = "ID")]
    pub owner_id: Option<String>,

    /// The AWS region of new identities whose spec names none. [default: $AWS_REGION, else us-east-1]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_AWS_REGION", value_parser = region, value_name = "REGION")]
    pub aws_region: Option<String>,

    /// Requests per second to SES, for each account and region. AWS allows about one.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_SES_REQUESTS_PER_SECOND", default_value = "1", value_name = "N")]
    pub ses_requests_per_second: NonZeroU32,

    /// Use the operator's own AWS credentials for objects without spec.ses.roleArn; false makes that field required.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_AMBIENT_CREDENTIALS", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub ambient_credentials: bool,

    /// Let objects with adoptionPolicy Adopt take over any identity that nobody has marked.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_ALLOW_ADOPTION", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub allow_adoption: bool,

    /// Require the namespace's annotations to allow a domain and a role.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_REQUIRE_NAMESPACE_CLAIMS", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub require_namespace_claims: bool,

    /// The base of the Cloudflare API including /client/v4; plain http for loopback only. [default: $CLOUDFLARE_BASE_URL,
    /// else https://api.cloudflare.com/client/v4]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_CLOUDFLARE_BASE_URL", value_name = "URL")]
    pub cloudflare_base_url: Option<BaseUrl>,

    /// Requests per 5 minutes to Cloudflare, for each token. Cloudflare allows 1200 per user.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_CLOUDFLARE_REQUESTS_PER_5M", default_value = "1000", value_name = "N")]
    pub cloudflare_requests_per_5m: NonZeroU32,

    /// Who is asked whether a record is in DNS: its name servers (resolvers when those cannot be reached), resolvers, or
    /// nobody.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_DNS_CHECK", value_enum, default_value_t = DnsCheck::Authoritative)]
    pub dns_check: DnsCheck,

    /// Resolvers: IP, IP:port, [IPv6]:port, or the https URL of DNS over HTTPS. [default: the system's]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_DNS_RESOLVERS", value_delimiter = ',', value_name = "ADDRESS")]
    pub dns_resolvers: Vec<ResolverAddress>,

    /// The port of name servers; anything but 53 is for test networks.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_DNS_AUTHORITATIVE_PORT", default_value = "53", value_name = "PORT")]
    pub dns_authoritative_port: NonZeroU16,

    /// Ask name servers at private addresses too; for test networks, since NS records of users choose whom to ask.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_DNS_ALLOW_PRIVATE_NAMESERVERS", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub dns_allow_private_nameservers: bool,

    /// How often an object that is not Ready is looked at.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_PENDING_INTERVAL", default_value = "30s", value_parser = interval, value_name = "DURATION")]
    pub pending_interval: Duration,

    /// How often a Ready object is looked at.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_VERIFIED_INTERVAL", default_value = "15m", value_parser = interval, value_name = "DURATION")]
    pub verified_interval: Duration,

    /// How long a deletion waits for credentials that are missing or denied before it gives up clean-up.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_CLEANUP_GRACE", default_value = "10m", value_parser = duration::parse, value_name = "DURATION")]
    pub cleanup_grace: Duration,

    /// Where metrics are served, ADDRESS:PORT; 0 for nowhere.
    #[arg(
        long,
        env = "SENDING_DOMAIN_OPERATOR_METRICS_ADDRESS",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS"
    )]
    pub metrics_address: String,

    /// Where /livez and /readyz are served, ADDRESS:PORT; 0 for nowhere.
    #[arg(
        long,
        env = "SENDING_DOMAIN_OPERATOR_HEALTH_ADDRESS",
        default_value = "0.0.0.0:8081",
        value_name = "ADDRESS"
    )]
    pub health_address: String,

    /// Elect a leader by a Lease, so that several replicas can run.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_LEADER_ELECT", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub leader_elect: bool,

    /// The namespace of the Lease. [default: $POD_NAMESPACE, else that of the ServiceAccount or kubeconfig]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_LEADER_ELECTION_NAMESPACE", value_name = "NAMESPACE")]
    pub leader_election_namespace: Option<String>,

    /// The name of the Lease. Operators that share a namespace and not their work, by --watch-label-selector say, need one
    /// each.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_LEADER_ELECTION_ID", default_value = leader::LEASE, value_parser = object_name, value_name = "NAME")]
    pub leader_election_id: String,

    /// Plan and report, and write nothing but status.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_DRY_RUN", default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub dry_run: bool,

    /// Send OpenTelemetry traces (OTLP over HTTP, protobuf) to the collector with this base URL, to which /v1/traces is added.
    /// The SDK's own variables OTEL_EXPORTER_OTLP_… work too. [default: $OTEL_EXPORTER_OTLP_ENDPOINT, else no traces]
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// The format of the log.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_LOG_FORMAT", value_enum, default_value_t = Format::Json)]
    pub log_format: Format,

    /// The level of the log: error, warn, info, debug or trace, or a filter such as info,sending_domain_operator=debug.
    #[arg(long, env = "SENDING_DOMAIN_OPERATOR_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// Who is asked whether a record is in DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DnsCheck {
    /// The zone's name servers; resolvers when those cannot be reached.
    Authoritative,
    /// Resolvers.
    Recursive,
    /// Nobody.
    Off,
}

impl From<DnsCheck> for Mode {
    fn from(check: DnsCheck) -> Self {
        match check {
            DnsCheck::Authoritative => Self::Authoritative,
            DnsCheck::Recursive => Self::Recursive,
            DnsCheck::Off => Self::Off,
        }
    }
}

/// Where Cloudflare's API is.
/// Source: <https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/>.
pub const CLOUDFLARE_API: &str = "https://api.cloudflare.com/client/v4";

fn owner_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > OWNER_ID_LIMIT || !text.chars().all(allowed) {
        return Err(format!("must be 1 to {OWNER_ID_LIMIT} letters, digits, '-', '_' and '.'"));
    }
    Ok(text.to_owned())
}

/// Reads what Kubernetes takes as an object's name: a wrong one would leave the operator waiting to lead for ever.
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
fn object_name(text: &str) -> Result<String, String> {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(is_label) {
        return Err("must be a name in lower case such as sending-domain-operator".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads the name of an AWS region, which becomes part of a host name.
pub fn region(text: &str) -> Result<String, String> {
    let valid = (5..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if valid { Ok(text.to_owned()) } else { Err("must be the name of an AWS region such as us-east-1".to_owned()) }
}

/// Reads a label selector as Kubernetes does: `team=mail,tier!=test,zone in (a,b),!old`. A wrong one would fail every watch.
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api>.
fn selector(text: &str) -> Result<String, String> {
    let mut depth = 0_i32;
    let parts = text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    if text.is_empty() || parts.collect::<Vec<_>>().into_iter().all(is_requirement) {
        return Ok(text.to_owned());
    }
    Err("must be a label selector such as team=mail,tier!=test,zone in (a,b),!old".to_owned())
}

fn is_requirement(text: &str) -> bool {
    let allowed = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let is_key = |key: &str| !key.trim().is_empty() && allowed(&key.trim().replacen('/', "", 1));
    let is_value = |value: &str| value.trim().len() <= 63 && allowed(value.trim());
    let text = text.trim();
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let head = head.trim_end();
        let key = head.strip_suffix(" notin").or_else(|| head.strip_suffix(" in"));
        return key.is_some_and(is_key) && values.split(',').all(is_value);
    }
    let compared = ["!=", "==", "=", ">", "<"].into_iter().find_map(|operator| text.split_once(operator));
    match compared {
        Some((key, value)) => is_key(key) && is_value(value),
        None => is_key(text.strip_prefix('!').unwrap_or(text)),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("must be at least 1s".to_owned()),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_an_environment_variable_of_its_name() {
        for arg in Cli::command().get_arguments() {
            let Some(flag) = arg.get_long().filter(|f| !["help", "version"].contains(f)) else {
                continue;
            };
            let expected = format!("SENDING_DOMAIN_OPERATOR_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(arg.get_env().and_then(|e| e.to_str()), Some(expected.as_str()), "--{flag}");
        }
    }

    #[test]
    fn a_label_selector_that_kubernetes_would_refuse_is_refused_at_the_start() {
        for good in ["a", "!a", "a=b", "a==b", "a!=b", "x.io/a=b,c", "a in (b, c),d notin (e)", "a=", "n>1", ""] {
            assert_eq!(selector(good).as_deref(), Ok(good));
        }
        for bad in ["(((", "a,,b", "a=b=c", "a in b", "a in (b", "a b", "=b", "a=b)", "ä=b"] {
            let arg = format!("--watch-label-selector={bad}");
            assert!(Cli::try_parse_from(["x", "run", &arg]).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_a_flag_that_is_given_twice_the_last_counts_and_lists_add_up() {
        let twice = ["--pending-interval=2s", "--dry-run", "--watch-namespace=a", "--leader-elect=true"];
        let again = ["--pending-interval=3s", "--dry-run", "--watch-namespace=b", "--leader-elect=false"];
        for head in [&["x"][..], &["x", "run"][..]] {
            let cli = Cli::try_parse_from(head.iter().chain(&twice).chain(&again)).unwrap();
            let run = match cli.command {
                Some(Command::Run(run)) => *run,
                _ => cli.run,
            };
            assert_eq!((run.pending_interval, run.dry_run, run.leader_elect), (Duration::from_secs(3), true, false));
            assert_eq!(run.watch_namespace, ["a", "b"]);
        }
    }

    #[test]
    fn run_is_the_default_and_unknown_flags_are_refused() {
        let cli = Cli::try_parse_from(["x", "--dry-run", "--watch-namespace=a,b", "--watch-namespace", "c"]).unwrap();
        assert!(cli.command.is_none() && cli.run.dry_run && cli.run.ambient_credentials);
        assert_eq!(cli.run.watch_namespace, ["a", "b", "c"]);
        assert_eq!(cli.run.leader_election_id, "sending-domain-operator");
        let cli = Cli::try_parse_from(["x", "run", "--ambient-credentials=false", "--pending-interval", "2s"]).unwrap();
        let Some(Command::Run(run)) = cli.command else { panic!("not run") };
        assert!(!run.ambient_credentials);
        assert_eq!(run.pending_interval, Duration::from_secs(2));
        for bad in [
            "--nonsense",
            "--pending-interval=0s",
            "--pending-interval=5",
            "--owner-id=a/b",
            "--leader-election-id=Lease",
            "--leader-election-id=",
            "--leader-election-id=a..b",
            "--cloudflare-base-url=http://example.com",
        ] {
            assert!(Cli::try_parse_from(["x", "run", bad]).is_err(), "{bad}");
        }
    }
}
