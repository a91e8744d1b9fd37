use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::*;
use crate::api::condition::{ConditionStatus, ConditionType};
use crate::api::reason::Reason;
use crate::api::status::Phase;
use crate::api::v1alpha1::SendingDomainStatus;

fn state(phase: Phase, reason: Reason, ready: ConditionStatus) -> ObjectState {
    let conditions = vec![(ConditionType::Ready, ready)];
    let (verified_at, pending_since, deleted_since) = (None, None, None);
    ObjectState { phase, reason: Some(reason), records: None, conditions, verified_at, pending_since, deleted_since }
}

fn busy() -> Metrics {
    let metrics = Metrics::new();
    metrics.reconcile(ReconcileResult::Success, Duration::from_millis(30));
    metrics.upstream(Upstream::Cloudflare, "BatchRecords", "81053", Duration::from_millis(300));
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let verified = state(Phase::Verified, Reason::Verified, ConditionStatus::True);
    let dueling = ObjectState { records: Some(Reason::RecordDueling), verified_at: at(1_800_000_000), ..verified };
    metrics.object("team-a", "mail", Some(dueling));
    let waiting = state(Phase::Pending, Reason::WaitingForDNS, ConditionStatus::False);
    metrics.object("team-b", "mail", Some(ObjectState { pending_since: at(1_800_000_001), ..waiting }));
    metrics.drift_corrected(RecordType::Cname);
    metrics.panicked();
    metrics.event_lost(EventLoss::QueueFull);
    metrics.leading(true);
    metrics.listed("sendingdomains", "/a");
    metrics.watch_failed();
    metrics.due("team-a", "mail", Duration::ZERO);
    metrics.due("team-b", "mail", Duration::ZERO);
    drop(metrics.begin("team-a", "mail"));
    metrics.reconcile_error("timeout");
    metrics.verified(Duration::from_mins(20));
    metrics.regressed();
    metrics.event("RecordsLeftBehind");
    metrics.event("IdentityCreated");
    metrics.budget_waited(Upstream::Ses, Duration::from_secs(2));
    let principal = "ambient/us-east-1".to_owned();
    let budget = BudgetState { principal, left: 1, waiting: 3, backlog: Duration::from_millis(1500) };
    metrics.budgets(Upstream::Ses, move || Some(vec![budget.clone()]));
    metrics
}

fn has(text: &str, sample: &str) -> bool {
    text.lines().any(|line| line == sample)
}

#[test]
fn everything_is_counted_under_its_name() {
    let text = busy().openmetrics().unwrap();
    for sample in [
        r#"sendingdomain_reconcile_total{result="success"} 1"#,
        r#"sendingdomain_reconcile_total{result="error"} 0"#,
        r#"sendingdomain_reconcile_duration_seconds_bucket{le="0.025"} 0"#,
        r#"sendingdomain_reconcile_duration_seconds_bucket{le="0.05"} 1"#,
        r#"sendingdomain_upstream_requests_total{upstream="cloudflare",operation="BatchRecords",outcome="81053"} 1"#,
        r#"sendingdomain_upstream_request_duration_seconds_count{upstream="cloudflare",operation="BatchRecords"} 1"#,
        r#"sendingdomain_status_condition{namespace="team-a",name="mail",type="Ready",status="True"} 1"#,
        r#"sendingdomain_status_condition{namespace="team-b",name="mail",type="Ready",status="True"} 0"#,
        r#"sendingdomain_status_condition{namespace="team-b",name="mail",type="Ready",status="False"} 1"#,
        r#"sendingdomain_domains{phase="Verified",reason="Verified"} 1"#,
        r#"sendingdomain_domains{phase="Pending",reason="WaitingForDNS"} 1"#,
        r#"sendingdomain_info{namespace="team-a",name="mail",phase="Verified",reason="Verified",records="RecordDueling"} 1"#,
        r#"sendingdomain_info{namespace="team-b",name="mail",phase="Pending",reason="WaitingForDNS",records="None"} 1"#,
        r#"sendingdomain_verified_timestamp_seconds{namespace="team-a",name="mail"} 1800000000"#,
        r#"sendingdomain_pending_since_timestamp_seconds{namespace="team-b",name="mail"} 1800000001"#,
        r#"sendingdomain_drift_corrected_total{record_type="CNAME"} 1"#,
        "sendingdomain_panics_total 1",
        "sendingdomain_queue_depth 1",
        "sendingdomain_queue_latency_seconds_count 1",
        "sendingdomain_reconciles_in_flight 0",
        r#"sendingdomain_reconcile_errors_total{class="timeout"} 1"#,
        r#"sendingdomain_time_to_verified_seconds_bucket{le="900.0"} 0"#,
        r#"sendingdomain_time_to_verified_seconds_bucket{le="1800.0"} 1"#,
        "sendingdomain_regressions_total 1",
        "sendingdomain_oldest_pending_seconds 0.0",
        "sendingdomain_cleanup_pending_seconds 0.0",
        r#"sendingdomain_orphaned_total{reason="RecordsLeftBehind"} 1"#,
        r#"sendingdomain_orphaned_total{reason="CleanupIncomplete"} 0"#,
        r#"sendingdomain_budget_left{upstream="ses",principal="ambient/us-east-1"} 1"#,
        r#"sendingdomain_budget_waiting{upstream="ses",principal="ambient/us-east-1"} 3"#,
        r#"sendingdomain_budget_backlog_seconds{upstream="ses",principal="ambient/us-east-1"} 1.5"#,
        r#"sendingdomain_budget_wait_seconds_count{upstream="ses"} 1"#,
        r#"sendingdomain_watch_errors_total{resource="sendingdomains"} 1"#,
        r#"sendingdomain_events_dropped_total{cause="queue_full"} 1"#,
        r#"sendingdomain_events_dropped_total{cause="refused"} 0"#,
        "sendingdomain_leader 1",
        concat!(r#"sendingdomain_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
    ] {
        assert!(has(&text, sample), "no {sample} in\n{text}");
    }
    let listed = text.lines().find(|line| line.starts_with("sendingdomain_last_successful_list_timestamp_seconds{"));
    let listed: f64 = listed.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!(listed > 1.7e9, "{listed}");
}

#[test]
fn the_series_of_an_object_go_with_it() {
    let metrics = busy();
    metrics.object("team-a", "mail", None);
    let text = metrics.openmetrics().unwrap();
    assert!(!text.contains("team-a"), "{text}");
    assert!(!text.contains(r#"domains{phase="Verified""#), "{text}");
    metrics.no_objects();
    assert!(!metrics.openmetrics().unwrap().contains("team-b"));
}

#[test]
fn an_object_that_changes_leaves_no_old_series() {
    let metrics = busy();
    metrics.object("team-a", "mail", Some(state(Phase::Failed, Reason::VerificationFailed, ConditionStatus::Unknown)));
    let text = metrics.openmetrics().unwrap();
    let of_a: Vec<&str> = text.lines().filter(|line| line.contains("team-a") && !line.ends_with(" 0")).collect();
    assert_eq!(
        of_a,
        [
            r#"sendingdomain_status_condition{namespace="team-a",name="mail",type="Ready",status="Unknown"} 1"#,
            r#"sendingdomain_info{namespace="team-a",name="mail",phase="Failed",reason="VerificationFailed",records="None"} 1"#,
        ]
    );
}

/// Both formats by their own rules: each family has one HELP with words and one TYPE, before its samples.
fn assert_well_formed(text: &str, total_in_type: bool) {
    let mut family: Option<(&str, &str)> = None;
    let mut help = None;
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(words.len() > 10 && words.ends_with('.'), "{line}");
            help = Some(name);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(help, Some(name), "TYPE without HELP");
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("sendingdomain_"), "{name}");
            assert_eq!(name.ends_with("_total"), total_in_type && kind == "counter", "{line}");
            family = Some((name, kind));
        } else {
            let (family, kind) = family.unwrap();
            let name = line.split(['{', ' ']).next().unwrap();
            let suffixes: &[&str] = match kind {
                "counter" if total_in_type => &[""],
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&name.strip_prefix(family).unwrap()), "{line} in {family}");
            line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        }
    }
    assert!(seen.len() >= 12, "{seen:?}");
}

#[test]
fn both_formats_are_well_formed() {
    let openmetrics = busy().openmetrics().unwrap();
    assert!(openmetrics.ends_with("# EOF\n"));
    assert_well_formed(&openmetrics, false);
    let text = to_text(&openmetrics);
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    assert_well_formed(&text, true);
    let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples(&openmetrics), samples(&text));
}

#[test]
fn openmetrics_is_for_who_asks_for_it() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    assert_eq!(ContentType::for_accept(prometheus), ContentType::OpenMetrics);
    assert_eq!(ContentType::for_accept("*/*"), ContentType::Text);
    assert_eq!(ContentType::for_accept(""), ContentType::Text);
}

#[test]
fn a_status_tells_the_state_and_what_is_not_known_is_left_out() {
    let status: SendingDomainStatus = serde_json::from_value(serde_json::json!({
        "observedGeneration": 1,
        "phase": "Failed",
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "OfANewerVersion", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "DKIMVerified", "status": "Unknown", "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Foreign", "status": "True", "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
    }))
    .unwrap();
    let conditions =
        vec![(ConditionType::Ready, ConditionStatus::False), (ConditionType::DkimVerified, ConditionStatus::Unknown)];
    let expected =
        ObjectState { reason: None, conditions, ..state(Phase::Failed, Reason::Verified, ConditionStatus::True) };
    assert_eq!(ObjectState::from(&status), expected);
}

#[test]
fn a_lost_verification_is_pending_since_its_loss_and_was_verified_when_it_was() {
    let state = |attempt: serde_json::Value| {
        let status: SendingDomainStatus = serde_json::from_value(serde_json::json!({
            "observedGeneration": 1,
            "phase": "Pending",
            "verification": attempt,
            "conditions": [
                {"type": "Ready", "status": "False", "reason": "WaitingForDNS", "message": "", "lastTransitionTime": "2026-05-01T00:00:00Z"},
                {"type": "RecordsSynced", "status": "False", "reason": "RecordDueling", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        }))
        .unwrap();
        let state = ObjectState::from(&status);
        assert_eq!(state.records, Some(Reason::RecordDueling));
        (state.verified_at.map(|at| at.to_string()), state.pending_since.map(|at| at.to_string()))
    };
    let (started, verified) = ("2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z");
    let attempt = |verified_at: Option<&str>, first: Option<&str>| {
        let deadline = "2025-01-04T00:00:00Z";
        state(
            serde_json::json!({"startedAt": started, "deadline": deadline, "verifiedAt": verified_at, "firstVerifiedAt": first}),
        )
    };
    let told = |at: &str| Some(at.to_owned());
    assert_eq!(attempt(None, None), (None, told(started)));
    assert_eq!(attempt(Some(verified), Some("2024-01-01T00:00:00Z")), (told(verified), told("2026-05-01T00:00:00Z")));
    assert_eq!(attempt(None, Some(verified)), (told(verified), told(started)), "with fresh tokens");
}

#[test]
fn the_oldest_counts_from_its_verification_or_its_creation_until_it_is_verified_suspended_or_gone() {
    let metrics = Metrics::new();
    let ago = |seconds: i64| Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).unwrap();
    let metadata = |created: i64, deleted: Option<i64>| ObjectMeta {
        creation_timestamp: Some(Time(ago(created))),
        deletion_timestamp: deleted.map(|at| Time(ago(at))),
        ..ObjectMeta::default()
    };
    let pending = |reason| state(Phase::Pending, reason, ConditionStatus::False);
    let value = |name: &str| {
        let text = metrics.openmetrics().unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("sendingdomain_{name}_seconds "))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    metrics.object("a", "suspended", Some(pending(Reason::Suspended).of(&metadata(90_000, None))));
    metrics.object("a", "no-secret", Some(pending(Reason::SecretNotFound).of(&metadata(600, None))));
    let verifying = ObjectState { pending_since: Some(ago(300)), ..pending(Reason::WaitingForDNS) };
    metrics.object("a", "verifying", Some(verifying.of(&metadata(90_000, None))));
    assert!((600.0..660.0).contains(&value("oldest_pending")));
    metrics.object("a", "no-secret", Some(pending(Reason::CleanupBlocked).of(&metadata(600, Some(200)))));
    assert!((300.0..360.0).contains(&value("oldest_pending")));
    assert!((200.0..260.0).contains(&value("cleanup_pending")));
    metrics.no_objects();
    assert!(value("oldest_pending") + value("cleanup_pending") < 0.1);
}

#[test]
fn of_several_watches_the_one_that_was_answered_longest_ago_counts() {
    let metrics = Metrics::new();
    metrics.lists.set("sendingdomains", "/a", 1_000.0);
    metrics.lists.set("sendingdomains", "/b", 2_000.0);
    metrics.lists.set("sendingdomains", "/a", 3_000.0);
    let line = r#"sendingdomain_last_successful_list_timestamp_seconds{resource="sendingdomains"} 2000.0"#;
    assert!(has(&metrics.openmetrics().unwrap(), line));
}
