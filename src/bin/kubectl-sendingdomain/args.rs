//! The command line.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use sending_domain_operator::api::condition::ConditionType;
use sending_domain_operator::api::duration;
use sending_domain_operator::dns::cloudflare::BaseUrl;
use sending_domain_operator::dns::lookup::{Mode, ResolverAddress};

/// See, check and mend domains that send mail through Amazon SES.
#[derive(Debug, Parser)]
#[command(name = "kubectl-sendingdomain", bin_name = "kubectl sendingdomain", version, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub access: Access,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  # what has to be in DNS, as a page for whoever owns it
  kubectl sendingdomain records mail-example-com -o html > records.html

  # why is it not verified yet?
  kubectl sendingdomain check mail-example-com

  # in a pipeline
  kubectl sendingdomain wait mail-example-com --timeout 2h

  # is everything there that the operator needs?
  kubectl sendingdomain doctor

Exit codes:
  0 all right   1 could not be done   2 wrong usage
  3 check: a record is missing   4 check: a record is incorrect   5 check: a record could not be looked up
  6 wait: the domain is Stalled   7 wait: the time is over
  8 doctor: something has to be mended   9 recreate: not confirmed";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the DNS records of domains, for people and for tools.
    Records(RecordsArgs),
    /// Look the records up in DNS from here, and tell why one is not right.
    Check(CheckArgs),
    /// Wait until a domain is Ready, or another condition holds.
    Wait(WaitArgs),
    /// Have the operator look at everything now, and begin a failed verification again.
    Reconcile(NameArgs),
    /// Have SES make new DKIM tokens. Sending stops until the new records are verified.
    Recreate(RecreateArgs),
    /// Print manifests for the domain identities that are at SES already.
    Import(ImportArgs),
    /// Find out what is missing around the operator: CRD, rights, AWS, Cloudflare, DNS.
    Doctor(DoctorArgs),
    /// Print a completion script for a shell.
    Completion(CompletionArgs),
}

/// Which cluster, as kubectl's own flags say it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct Access {
    /// The kubeconfig file. [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The cluster of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The user of the kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// The namespace. [default: that of the context]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sendingdomain records                              # all of the namespace
  kubectl sendingdomain records mail-example-com -o html > records.html
  kubectl sendingdomain records mail-example-com -o bind >> example.com.zone
  kubectl sendingdomain records -A -o json | jq '.[] | select(.state != \"Found\")'
  kubectl sendingdomain records mail-example-com -o terraform --terraform-provider aws

A state is as the operator saw it last; `check` looks from here and now.")]
pub struct RecordsArgs {
    /// The SendingDomain. [default: all of the namespace]
    pub name: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
    /// Only objects with these labels.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "name")]
    pub selector: Option<String>,
    /// The zone that the records are entered in; names are also shown relative to it. [default: as the operator found it,
    /// else the registered domain]
    #[arg(long, value_name = "DOMAIN")]
    pub zone: Option<String>,
    /// Whose resources `-o terraform` prints.
    #[arg(long, value_enum, default_value_t = Terraform::Cloudflare)]
    pub terraform_provider: Terraform,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns, and what to do.
    Table,
    /// A fragment of a zone file (RFC 1035), with absolute names.
    Bind,
    /// Comma-separated values (RFC 4180), with a header.
    Csv,
    /// A list of records.
    Json,
    /// The same list.
    Yaml,
    /// Terraform resources; see --terraform-provider.
    Terraform,
    /// One page to send to whoever owns the DNS.
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Terraform {
    /// cloudflare_dns_record, of cloudflare/cloudflare 5.
    Cloudflare,
    /// aws_route53_record, of hashicorp/aws.
    Aws,
}

impl Terraform {
    /// Where the provider comes from, and which version has these resources.
    pub fn source(self) -> &'static str {
        match self {
            Self::Cloudflare => "cloudflare/cloudflare, version 5 or newer",
            Self::Aws => "hashicorp/aws",
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sendingdomain check mail-example-com
  # without a cluster
  kubectl sendingdomain check --domain mail.example.com --tokens aaa,bbb,ccc --region eu-west-1
  # as another resolver sees it
  kubectl sendingdomain check mail-example-com --dns-resolvers 9.9.9.9

The name servers of the domain are asked themselves, and resolvers beside them. Where a firewall keeps DNS from leaving, give a
resolver that can be reached, DNS over HTTPS too: --dns-resolvers https://dns.google/dns-query --dns-check recursive

Exit codes: 0 every required record is found, 3 one is missing, 4 one is incorrect, 5 one could not be looked up.")]
pub struct CheckArgs {
    /// The SendingDomain.
    #[arg(required_unless_present = "domain", conflicts_with_all = ["domain", "tokens", "region", "dkim_zone", "mail_from"])]
    pub name: Option<String>,
    /// A domain, instead of a SendingDomain; no cluster is asked.
    #[arg(long, requires = "tokens", value_parser = domain)]
    pub domain: Option<String>,
    /// Its three DKIM tokens, as SES shows them.
    #[arg(long, value_delimiter = ',', value_name = "TOKEN", requires = "domain", value_parser = token)]
    pub tokens: Vec<String>,
    /// The AWS region of its identity. [default: $AWS_REGION, else us-east-1]
    // Not from the environment here: a variable that is set must not conflict with NAME.
    #[arg(long, requires = "domain", value_parser = region)]
    pub region: Option<String>,
    /// The subdomain of its MAIL FROM domain. [default: bounce]
    #[arg(long, requires = "domain", value_name = "LABEL", value_parser = label)]
    pub mail_from: Option<String>,
    /// The zone that the DKIM records point into. [default: that of the region]
    #[arg(long, requires = "domain", value_name = "ZONE", value_parser = domain)]
    pub dkim_zone: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = CheckFormat::Table)]
    pub output: CheckFormat,
    #[command(flatten)]
    pub dns: DnsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// Columns, and what to do.
    Table,
    /// A list of records.
    Json,
    /// The same list.
    Yaml,
}

/// Whom to ask about DNS; the operator has flags of the same names.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "DNS")]
#[allow(clippy::struct_field_names, reason = "flags have one name space")]
pub struct DnsArgs {
    /// Resolvers: IP, IP:port, [IPv6]:port, or the https URL of DNS over HTTPS. [default: the system's]
    #[arg(long, value_delimiter = ',', value_name = "ADDRESS")]
    pub dns_resolvers: Vec<ResolverAddress>,
    /// Who is asked: the name servers of the domain (resolvers when those cannot be reached), or resolvers alone.
    #[arg(long, value_enum, default_value_t = DnsCheck::Authoritative)]
    pub dns_check: DnsCheck,
    /// The port of name servers; anything but 53 is for test networks.
    #[arg(long, default_value = "53", value_name = "PORT")]
    pub dns_authoritative_port: NonZeroU16,
    /// Ask name servers at private addresses too.
    #[arg(long)]
    pub dns_allow_private_nameservers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DnsCheck {
    /// The domain's name servers.
    Authoritative,
    /// Resolvers.
    Recursive,
}

impl From<DnsCheck> for Mode {
    fn from(check: DnsCheck) -> Self {
        match check {
            DnsCheck::Authoritative => Self::Authoritative,
            DnsCheck::Recursive => Self::Recursive,
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sendingdomain wait mail-example-com
  kubectl sendingdomain wait mail-example-com --for DKIMVerified --timeout 2h

A condition counts once the operator has seen the spec as it is now, and has looked since `reconcile` or `recreate`.
Exit codes: 0 it holds, 6 the domain is Stalled: a person has to act, 7 the time is over.")]
pub struct WaitArgs {
    /// The SendingDomain.
    pub name: String,
    /// The condition: Ready, IdentityReady, RecordsSynced, DNSVerified, DKIMVerified or MailFromVerified.
    #[arg(long = "for", value_name = "CONDITION", default_value = "Ready", value_parser = condition)]
    pub condition: String,
    /// How long, such as 90s or 2h. SES usually needs 15 to 30 minutes from the moment the records are there.
    #[arg(long, default_value = "30m", value_parser = duration::parse, value_name = "DURATION")]
    pub timeout: Duration,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  kubectl sendingdomain reconcile mail-example-com && kubectl sendingdomain wait mail-example-com")]
pub struct NameArgs {
    /// The SendingDomain.
    pub name: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
The identity is deleted and made anew. Until the new records are in DNS and SES has verified them, SES refuses mail from the
domain. The operator writes the records itself at Cloudflare; otherwise somebody has to replace them by hand.
Needed only after DKIM keys were lost or mixed up; `reconcile` begins a failed verification again with the tokens that are there.

Exit codes: 0 asked for, 9 not confirmed.")]
pub struct RecreateArgs {
    /// The SendingDomain.
    pub name: String,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sendingdomain import --region eu-west-1 -n mail > domains.yaml
  kubectl sendingdomain import --region eu-west-1 --contains example.com --owner-id my-cluster

Only reads: ses:ListEmailIdentities and ses:GetEmailIdentity, at one request per second, with the credentials of the environment
or of $AWS_PROFILE; for a login by SSO: eval \"$(aws configure export-credentials --format env)\". Above each manifest stands
the command that lets this namespace adopt the identity; adoption changes no keys and never deletes the identity.

Exit codes: 0 all were read, 1 some were not: they are named at the end.")]
pub struct ImportArgs {
    /// The AWS regions.
    #[arg(long, value_delimiter = ',', value_name = "REGION", default_value = "us-east-1", env = "AWS_REGION", value_parser = region)]
    pub region: Vec<String>,
    /// Only identities whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub contains: Option<String>,
    /// The operator's --owner-id. [default: as its Deployment says, else the UID of the namespace kube-system]
    #[arg(long, value_name = "ID")]
    pub owner_id: Option<String>,
    /// The namespace of the operator, for its Deployment.
    #[arg(long, default_value = "sending-domain-operator-system", value_name = "NAMESPACE")]
    pub operator_namespace: String,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  kubectl sendingdomain doctor
  kubectl sendingdomain doctor -n mail --region eu-west-1
  kubectl sendingdomain doctor --skip aws,cloudflare

Only reads (at SES ses:GetAccount and ses:ListEmailIdentities). AWS is asked with the credentials of whoever runs this, which
may not be the operator's; Cloudflare with the tokens in the Secrets that the SendingDomains of the namespace name, or with
$CLOUDFLARE_API_TOKEN. No token is ever printed.
Exit codes: 0 nothing has to be mended (warnings may be there), 8 something has.")]
pub struct DoctorArgs {
    /// What is left out.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "AREA")]
    pub skip: Vec<Area>,
    /// The AWS region.
    #[arg(long, default_value = "us-east-1", env = "AWS_REGION", value_parser = region)]
    pub region: String,
    /// The namespace of the operator.
    #[arg(long, default_value = "sending-domain-operator-system", value_name = "NAMESPACE")]
    pub operator_namespace: String,
    /// The operator's ServiceAccount.
    #[arg(long, default_value = "sending-domain-operator", value_name = "NAME")]
    pub operator_service_account: String,
    /// The base of the Cloudflare API.
    #[arg(
        long,
        env = "CLOUDFLARE_BASE_URL",
        default_value = "https://api.cloudflare.com/client/v4",
        value_name = "URL"
    )]
    pub cloudflare_base_url: BaseUrl,
    #[command(flatten)]
    pub dns: DnsArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Area {
    /// API server, CRD, rights.
    Kubernetes,
    /// Credentials, SES.
    Aws,
    /// Tokens, zones.
    Cloudflare,
    /// Resolvers, name servers.
    Dns,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  # the program itself
  source <(kubectl-sendingdomain completion bash)

  # `kubectl sendingdomain` too: kubectl asks a program of this name
  ln -s \"$(command -v kubectl-sendingdomain)\" ~/.local/bin/kubectl_complete-sendingdomain")]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn domain(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let valid = name.len() <= 209 && name.contains('.') && name.split('.').all(is_label);
    if valid { Ok(name) } else { Err("must be a domain name such as mail.example.com".to_owned()) }
}

fn label(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_ascii_lowercase()) } else { Err("must be one label such as bounce".to_owned()) }
}

fn token(text: &str) -> Result<String, String> {
    if is_label(text) { Ok(text.to_ascii_lowercase()) } else { Err("must be a DKIM token of SES".to_owned()) }
}

fn region(text: &str) -> Result<String, String> {
    sending_domain_operator::cli::region(text)
}

fn condition(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("condition=").unwrap_or(text);
    let known = ConditionType::ALL.map(ConditionType::as_str);
    let found = known.into_iter().find(|name| name.eq_ignore_ascii_case(text));
    found.map(str::to_owned).ok_or_else(|| format!("must be one of {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound_and_every_command_is_explained() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn the_documentation_knows_every_command_format_and_exit_code() {
        let page = include_str!("../../../docs/kubectl-plugin.md");
        for command in Cli::command().get_subcommands() {
            assert!(page.contains(command.get_name()), "{}", command.get_name());
        }
        for format in Format::value_variants() {
            let name = format.to_possible_value().unwrap().get_name().to_owned();
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        for code in 0..=9 {
            assert!(page.contains(&format!("\n| {code} | ")) && AFTER_HELP.contains(&format!("{code} ")), "{code}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("p check --domain mail.example.com --tokens a,b,c").is_ok());
        assert!(parse("p wait x --for condition=ready --timeout 90s").is_ok());
        for bad in [
            "p check",
            "p check x --domain mail.example.com --tokens a,b,c",
            "p check --domain example --tokens a,b,c",
            "p check --domain mail.example.com",
            "p check --domain mail.example.com --tokens a,b\u{1b}c",
            "p records x -A",
            "p wait x --for Happy",
            "p wait x --timeout 5",
            "p import --region ../x",
            "p recreate",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
