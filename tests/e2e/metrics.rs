//! What a running operator exposes, held to what the documentation, the alerts and the dashboard say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use testbed::ses::{Operation, Status};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, ZONE};

const DOCUMENTED: &str = include_str!("../../docs/reference/metrics.md");
const ALERTS: &str = include_str!("../../charts/sending-domain-operator/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../charts/sending-domain-operator/files/dashboard.json");

async fn scrape(rig: &mut Rig) -> String {
    let port = rig.operator.port("metrics").await.unwrap();
    reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap()
}

/// The value of a sample; 0 if it is not there.
fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().unwrap())
}

async fn until(rig: &mut Rig, sample: &str, is_so: impl Fn(f64) -> bool) -> String {
    let started = Instant::now();
    loop {
        let text = scrape(rig).await;
        if is_so(value(&text, sample)) {
            return text;
        }
        assert!(started.elapsed() < LIMIT, "{sample} is {}:\n{text}", value(&text, sample));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The metrics that a text of PromQL reads, with the labels that it chooses by. JSON writes a quote with a backslash.
fn read(promql: &str) -> BTreeMap<String, BTreeSet<String>> {
    let promql = promql.replace('\\', "");
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, _) in promql.match_indices("sendingdomain_") {
        let rest = &promql[at..];
        let (name, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap());
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
        let labels = matchers.split('"').step_by(2).map(|part| part.trim_matches([',', ' ', '=', '!', '~']).to_owned());
        read.entry(name.to_owned()).or_default().extend(labels.filter(|label| !label.is_empty()));
    }
    read
}

fn families(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split_once(' ')?.0.to_owned())).collect()
}

#[tokio::test]
async fn what_is_exposed_is_what_is_documented_and_what_alerts_and_dashboard_read() {
    let mut rig = Rig::with(|options| options.serve = true).await;
    let pending = of_one_that_waits(&mut rig).await;
    rig.verified_cloudflare().await;
    let text = until(&mut rig, r#"sendingdomain_domains{phase="Verified",reason="Verified"}"#, |n| n > 0.0).await;

    let documented = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = documented.map(|(name, _)| name.to_owned()).collect();
    assert_eq!(families(&text), documented, "docs/reference/metrics.md");
    for (what, promql) in [("the alerts", ALERTS), ("the dashboard", DASHBOARD)] {
        let read = read(promql);
        assert!(read.len() > 10, "{what} read only {read:?}");
        for (name, labels) in read {
            let samples = || {
                text.lines()
                    .chain(pending.lines())
                    .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")))
            };
            assert!(samples().next().is_some(), "{what} read {name}, which is not exposed");
            for label in labels {
                assert!(
                    samples().all(|line| line.contains(&format!("{label}=\""))),
                    "{what}: {name} has no label {label}"
                );
            }
        }
    }
    for sample in [
        r#"sendingdomain_upstream_requests_total{upstream="ses",operation="CreateEmailIdentity",outcome="ok"}"#,
        r#"sendingdomain_upstream_requests_total{upstream="cloudflare",operation="write_records",outcome="ok"}"#,
        r#"sendingdomain_upstream_requests_total{upstream="dns",operation="AskNameServers",outcome="ok"}"#,
        r#"sendingdomain_upstream_requests_total{upstream="kubernetes",operation="GetSecret",outcome="ok"}"#,
        r#"sendingdomain_upstream_requests_total{upstream="kubernetes",operation="WatchSendingDomains",outcome="ok"}"#,
        r#"sendingdomain_budget_left{upstream="cloudflare",principal="token-1"}"#,
        r#"sendingdomain_last_successful_list_timestamp_seconds{resource="sendingdomains"}"#,
        "sendingdomain_time_to_verified_seconds_count",
        "sendingdomain_queue_latency_seconds_count",
        "sendingdomain_leader",
    ] {
        assert!(value(&text, sample) > 0.0, "{sample}\n{text}");
    }
    assert!(!text.contains(r#"operation="Other""#), "a request to the API server without a name:\n{text}");
    a_domain_breaks_and_goes(&mut rig).await;
    rig.finish().await;
}

/// What is exposed while a domain is on its way to Verified. Some series are there only then.
async fn of_one_that_waits(rig: &mut Rig) -> String {
    let (name, domain) = ("waiting", "waiting.example.org");
    rig.world.create(&rig.namespace, &object::manual(name, domain)).await.unwrap();
    let labels = format!(r#"{{namespace="{}",name="{name}"}}"#, rig.namespace);
    let text = until(rig, &format!("sendingdomain_pending_since_timestamp_seconds{labels}"), |at| at > 1.7e9).await;
    assert!(!text.contains(&format!("sendingdomain_verified_timestamp_seconds{labels}")), "{text}");
    rig.world.delete(&rig.namespace, name).await.unwrap();
    rig.world.wait_gone(&rig.namespace, name, LIMIT).await.unwrap();
    text
}

/// The series of an object follow it, and go with it.
async fn a_domain_breaks_and_goes(rig: &mut Rig) {
    assert!(value(&scrape(rig).await, "sendingdomain_regressions_total") < 1.0);
    rig.world.ses().region(REGION).set_dkim_status(DOMAIN, Status::Failed);
    until(rig, "sendingdomain_regressions_total", |n| n > 0.0).await;
    rig.ready().await;
    let spf = rig.ours().into_iter().find(|((_, kind), _)| kind == "TXT").unwrap().1;
    let content = serde_json::json!({ "content": "\"v=spf1 -all\"" });
    rig.world.cloudflare().edit_record(ZONE, spf["id"].as_str().unwrap(), content).unwrap();
    until(rig, r#"sendingdomain_drift_corrected_total{record_type="TXT"}"#, |n| n > 0.0).await;
    rig.ready().await;

    rig.world.ses().deny(Operation::DeleteEmailIdentity);
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    until(rig, "sendingdomain_cleanup_pending_seconds", |age| age > 1.0).await;
    rig.world.ses().allow(Operation::DeleteEmailIdentity);
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap();
    let text = until(rig, "sendingdomain_cleanup_pending_seconds", |age| age < 0.1).await;
    assert!(!text.contains(&rig.namespace) && !text.contains("sendingdomain_domains{"), "{text}");
}
