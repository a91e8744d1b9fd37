//! OpenTelemetry traces, where somebody wants them: a span for each pass, and in it one for each of its stages and for each
//! request to the outside. They go out by OTLP over HTTP, protobuf, with the TLS stack of everything else here.
//!
//! A span carries names of operations and of objects, and an outcome's class; no value from a Secret, an answer or a
//! record. They are no part of the log: [`TARGET`] is kept out of its lines.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Metadata;

/// The target of the spans that are for traces only.
pub const TARGET: &str = "sending_domain_operator::trace";

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may hold the end up.
const FLUSH: Duration = Duration::from_secs(2);

/// A span that is for traces only, with `key = value` fields.
#[macro_export]
macro_rules! stage {
    ($name:literal $(, $($field:tt)*)?) => {
        tracing::info_span!(target: "sending_domain_operator::trace", $name $(, $($field)*)?)
    };
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The HTTP client.
    #[error("the client of the collector: {0}")]
    Client(#[from] reqwest::Error),
    /// The endpoint, or one of the variables `OTEL_…`.
    #[error("the collector: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends traces, until it is flushed at the end.
#[derive(Clone, Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Traces to the collector at `endpoint`, the base to which `/v1/traces` is added; without it as the variables
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_ENDPOINT` say; `None` if nobody wants traces.
    /// Has to be called on the runtime that is to send them.
    ///
    /// # Errors
    /// [`TracesError`] if the endpoint is no URL.
    pub fn to(endpoint: Option<&str>) -> Result<Option<Self>, TracesError> {
        let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if endpoint.is_none()
            && !["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().any(is_set)
        {
            return Ok(None);
        }
        let http = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { http, runtime: Handle::current() })
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT);
        let exporter = match endpoint {
            Some(base) => exporter.with_endpoint(format!("{}/v1/traces", base.trim_end_matches('/'))),
            None => exporter,
        };
        let resource = Resource::builder()
            .with_service_name("sending-domain-operator")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter.build()?).with_resource(resource.build());
        Ok(Some(Self(provider.build())))
    }

    /// Where spans begin.
    pub fn tracer(&self) -> SdkTracer {
        self.0.tracer("sending-domain-operator")
    }

    /// Sends what is left, for two seconds at most.
    pub async fn end(self) {
        // It waits for the thread that sends, which waits for this runtime.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(FLUSH)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::debug!("the last traces were not sent");
        }
    }
}

/// True for the spans that traces are made of: those for traces only, and that of a pass.
pub fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && (metadata.target() == TARGET || metadata.target().starts_with("sending_domain_operator::controller"))
}

/// True for what the log may show.
pub fn is_logged(metadata: &Metadata<'_>) -> bool {
    metadata.target() != TARGET
}

/// Sends from the runtime: the exporter has a thread of its own, where no request can be made.
#[derive(Clone, Debug)]
struct Sender {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request.try_into()?).await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        });
        let (status, body) = sent.await??;
        Ok(Response::builder().status(status).body(body)?)
    }
}
