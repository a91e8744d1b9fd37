//! The page of metrics, from what `/metrics` prints once everything has been counted. That a running operator has these
//! metrics and no others is tried end to end.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use sending_domain_operator::api::condition::{ConditionStatus, ConditionType};
use sending_domain_operator::api::status::Phase;
use sending_domain_operator::telemetry::metrics::{
    BudgetState, Metrics, ObjectState, ReconcileResult, Upstream, to_text,
};

use super::markdown::{code, head, table};

const INTRODUCTION: &str = "\
The operator serves these at `--metrics-address` under `/metrics`, in Prometheus's text format and, for whoever asks for it, as
OpenMetrics. Labels are bounded: they come from this program, but for the names of objects, which stand only on
the metrics with the label `name`, and go with their object. No metric carries a token, a key or a text from outside.

A histogram has the usual `_bucket`, `_sum` and `_count`. `upstream` is `ses`, `sts`, `cloudflare`, `dns` or `kubernetes`;
`operation` says what was asked (`GetEmailIdentity`, `write_records`, `WatchSendingDomains`); `outcome` is `ok` or an
error's class. `principal` says against whose limit requests count: an AWS account and region, or the number of a Cloudflare
token within the process. [Alerts](../runbooks.md) and a dashboard come with the chart.

";

pub fn page() -> String {
    let text = to_text(&everything().openmetrics().unwrap());
    let labels = labels(&text);
    let mut help = "";
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some((_, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help = words;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let labels = labels.get(name).unwrap_or_else(|| panic!("{name} has no samples"));
            let labels = labels.iter().map(|label| code(label)).collect::<Vec<_>>().join(", ");
            rows.push([code(name), kind.to_owned(), labels, help.to_owned()]);
        }
    }
    rows.sort();
    head("Metrics", "src/telemetry/metrics.rs") + INTRODUCTION + &table(["metric", "type", "labels", "meaning"], rows)
}

/// The labels of each family's samples, `le` left out.
fn labels(text: &str) -> BTreeMap<String, Vec<String>> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let mut labels = BTreeMap::new();
    for (name, rest) in samples.map(|sample| sample.split_at(sample.find(['{', ' ']).unwrap())) {
        let family = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let names = rest.split('"').step_by(2).filter_map(|part| part.strip_suffix('='));
        let names = names.map(|label| label.trim_start_matches(['{', ',']).to_owned()).filter(|label| label != "le");
        labels.entry(family.to_owned()).or_insert_with(|| names.collect::<Vec<_>>());
    }
    labels
}

/// Metrics of which every family has a sample.
fn everything() -> Metrics {
    let metrics = Metrics::new();
    let state = ObjectState {
        phase: Phase::Pending,
        reason: None,
        records: None,
        conditions: vec![(ConditionType::Ready, ConditionStatus::False)],
        verified_at: Some(Timestamp::UNIX_EPOCH),
        pending_since: Some(Timestamp::UNIX_EPOCH),
        deleted_since: None,
    };
    metrics.object("namespace", "name", Some(state));
    metrics.reconcile(ReconcileResult::Success, Duration::ZERO);
    metrics.upstream(Upstream::Ses, "GetEmailIdentity", "ok", Duration::ZERO);
    metrics.budget_waited(Upstream::Ses, Duration::ZERO);
    metrics.listed("sendingdomains", "/");
    let budget = BudgetState { principal: "p".to_owned(), left: 1, waiting: 0, backlog: Duration::ZERO };
    metrics.budgets(Upstream::Ses, move || Some(vec![budget.clone()]));
    metrics
}
