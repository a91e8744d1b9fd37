//! Logs on standard error: JSON lines for machines, or text for people.
//!
//! HTTP libraries print headers and bodies at `debug` and `trace`, and with them tokens and Secrets. So only targets
//! known to be harmless may go below `info`, whatever level is asked for; a library added later cannot either.

use std::io::{self, IsTerminal};

use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::traces::{is_logged, is_traced};

/// The crates that may log at `debug` and `trace`: ours, which wraps what is secret in types that do not print, and
/// two that see no credentials (kube's controller machinery, above the HTTP client, and DNS).
const HARMLESS: [&str; 6] = [
    "sending_domain_operator",
    "kubectl_sendingdomain",
    "kube_runtime",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
];

/// Libraries whose `info` is of no interest. A prefix covers all crates that begin with it.
const QUIET: [&str; 7] = ["aws", "h2", "hickory", "hyper", "kube_client", "rustls", "tower"];

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// For reading; coloured on a terminal.
    Text,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is no level and no list of directives.
    #[error("log level {level:?}: {source}")]
    Level {
        /// What was asked for.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// This process logs already.
    #[error(transparent)]
    Twice(#[from] TryInitError),
}

/// Logs from here on. `level` is a level (`error`, `warn`, `info`, `debug`, `trace`, `off`) or a list of directives in
/// the syntax of [`EnvFilter`]; empty means `info`. Spans of `info` and above go to `tracer`, too.
///
/// # Errors
/// [`LoggingError`] if the level cannot be read, or on a second call.
pub fn init(format: Format, level: &str, tracer: Option<SdkTracer>) -> Result<(), LoggingError> {
    let ansi = io::stderr().is_terminal();
    let exported = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(is_traced))
    });
    subscriber(format, level, ansi, io::stderr)?.with(exported).try_init()?;
    Ok(())
}

fn subscriber<W>(
    format: Format,
    level: &str,
    ansi: bool,
    writer: W,
) -> Result<impl Subscriber + for<'span> LookupSpan<'span> + Send + Sync, LoggingError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(directives(level))
        .map_err(|source| LoggingError::Level { level: level.to_owned(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        Format::Text => lines.boxed(),
    };
    // Both filters are global: what either refuses exists for no layer.
    Ok(Registry::default().with(filter).with(no_secrets()).with(lines.with_filter(filter_fn(is_logged))))
}

/// The asked-for level over the defaults: of two directives for one target, the later counts.
fn directives(level: &str) -> String {
    let level = if level.trim().is_empty() { "info" } else { level.trim() };
    let general = level.split(',').filter_map(|directive| directive.trim().parse::<LevelFilter>().ok()).next_back();
    let quiet = general.unwrap_or(LevelFilter::INFO).min(LevelFilter::WARN);
    let defaults: String = QUIET.iter().map(|target| format!("{target}={quiet},").to_lowercase()).collect();
    format!("info,{defaults}{level}")
}

fn no_secrets() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(is_harmless)
}

fn is_harmless(metadata: &Metadata<'_>) -> bool {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= LevelFilter::INFO || HARMLESS.contains(&crate_name)
}

#[cfg(test)]
mod tests;
