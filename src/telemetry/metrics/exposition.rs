//! The two text formats that scrapers read.

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// OpenMetrics 1.0: for who asks for it.
    OpenMetrics,
    /// Prometheus text format 0.0.4: for everybody else.
    Text,
}

impl ContentType {
    /// The format for a request with this `Accept` header (empty for none).
    pub fn for_accept(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of the header `Content-Type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics as Prometheus text. Samples are the same in both; the older format names a counter with its `_total` in
/// `HELP` and `TYPE` too, and has no `UNIT` and no end mark.
///
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
pub fn to_text(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, words)| words);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let help = help.take().unwrap_or_default();
            text.extend(["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# ") {
            text.extend([line, "\n"]);
        }
    }
    text
}
