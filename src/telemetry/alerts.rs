//! The alerts and the dashboard choose by values of labels, as words. Here those words are held to the program: each is one
//! that it can emit, and each way in which a request can fail is told by one alert or belongs to one domain.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;

use super::kube_requests;
use super::metrics::ReconcileResult;
use crate::api::condition::{ConditionStatus, ConditionType};
use crate::api::reason::{Reason, ReasonClass};
use crate::dns::cloudflare;
use crate::dns::lookup::{LookupError, LookupErrorKind};
use crate::ses;

const ALERTS: &str = include_str!("../../charts/sending-domain-operator/files/alerts.yaml");
const DASHBOARD: &str = include_str!("../../charts/sending-domain-operator/files/dashboard.json");

/// Failures that are no fault of an upstream, nor of the way there: what they mean shows in the status of a domain, and
/// in its own alerts.
const OF_ONE_DOMAIN: &[&str] = &[
    // What somebody asked for cannot be had.
    "invalid",
    "quota_exceeded",
    "record_exists",
    "region_unavailable",
    "rejected",
    "unmarked",
    // Answers, and races that the next pass settles.
    "already_exists",
    "conflict",
    "not_found",
    // Held back by the operator itself.
    "busy",
    "no_budget",
    "not_leading",
    "turned_off",
    // Name servers and delegations of one domain.
    "disagreement",
    "invalid_name",
    "lame",
    "no_proof",
    "no_server",
    "no_zone",
    "private_servers",
    "rcode",
    "refused",
    "servfail",
    "too_many_referrals",
];

/// All variants of an enum; one more is one more to name here, or this does not compile.
macro_rules! all {
    ($kind:path { $($name:ident $(($value:expr))? $({ $($field:ident: $fill:expr),+ })?),+ $(,)? }) => {{
        use $kind as Kind;
        let _every_one_is_here = |kind: Kind| match kind { $(Kind::$name { .. } => {})+ };
        [$(Kind::$name $(($value))? $({ $($field: $fill),+ })?),+]
    }};
}

/// Every outcome of a request but `ok`.
fn outcomes() -> BTreeSet<&'static str> {
    let ses = all!(ses::error::Kind {
        NotFound,
        AlreadyExists,
        AccessDenied,
        NoCredentials,
        RoleDenied,
        ClockSkewed,
        RegionUnavailable,
        Suspended,
        QuotaExceeded,
        Throttled,
        NoBudget,
        Rejected,
        Conflict,
        Unavailable,
    });
    let cloudflare = all!(cloudflare::Kind {
        InvalidToken,
        ZoneNotAccessible,
        PermissionDenied,
        RecordExists,
        QuotaExceeded,
        Invalid,
        NotFound,
        Unmarked,
        NotLeading,
        RateLimited,
        Unavailable,
        Other,
    });
    let dns = all!(LookupErrorKind {
        TimedOut,
        Unreachable,
        Rcode(0),
        Malformed,
        Lame,
        NoProof,
        Disagreement { agreeing: 0, answering: 0 },
        NotRecursive,
        Http(0),
        NoResolver,
        NoZone,
        NoServer,
        PrivateServers,
        TooManyReferrals,
        InvalidName,
        Busy,
        TurnedOff,
    });
    let codes = [2, 5].map(LookupErrorKind::Rcode);
    let mut outcomes: BTreeSet<&str> = ses.iter().map(|kind| kind.label()).collect();
    outcomes.extend(cloudflare.iter().map(|kind| kind.label()));
    outcomes.extend(dns.into_iter().chain(codes).map(|kind| LookupError::new(kind).label()));
    outcomes.extend((100..600).map(|status| kube_requests::outcome(StatusCode::from_u16(status).unwrap())));
    outcomes.remove("ok");
    outcomes
}

/// What a label can be; `None` for one that has too many values to list, or that others set.
fn values(label: &str) -> Option<BTreeSet<&'static str>> {
    let reasons = || Reason::ALL.iter().map(|reason| reason.as_str());
    Some(match label {
        "outcome" => outcomes().into_iter().chain(["ok"]).collect(),
        "reason" => reasons().collect(),
        "records" => reasons().chain(["None"]).collect(),
        "type" => ConditionType::ALL.into_iter().map(ConditionType::as_str).collect(),
        "status" => [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown]
            .map(ConditionStatus::as_str)
            .into(),
        "phase" => ["Pending", "Verified", "Failed"].into(),
        "result" => ReconcileResult::ALL.map(ReconcileResult::as_str).into(),
        "upstream" => ["ses", "sts", "cloudflare", "dns", "kubernetes"].into(),
        "namespace" => return None,
        _ => panic!("the label {label}: say here what it can be"),
    })
}

/// The labels that PromQL chooses by, each with its words. An escape of JSON is none of PromQL.
fn chosen(promql: &str) -> Vec<(String, BTreeSet<String>)> {
    let promql = promql.replace('\\', "");
    let mut chosen = Vec::new();
    for part in promql.split("sendingdomain_").skip(1) {
        let inside = part.find(|c: char| !c.is_ascii_lowercase() && c != '_').map(|at| &part[at..]);
        let Some((matchers, _)) = inside.and_then(|rest| rest.strip_prefix('{')?.split_once('}')) else { continue };
        let mut pieces = matchers.split('"');
        while let (Some(label), Some(words)) = (pieces.next(), pieces.next()) {
            let label = label.trim_matches([',', ' ', '=', '!', '~']).to_owned();
            chosen.push((label, words.split('|').map(str::to_owned).collect()));
        }
    }
    chosen
}

#[test]
fn alerts_and_dashboard_choose_by_words_that_the_operator_says() {
    for (what, promql) in [("the alerts", ALERTS), ("the dashboard", DASHBOARD)] {
        let chosen = chosen(promql);
        assert!(chosen.len() > 10, "{what}: {chosen:?}");
        for (label, words) in chosen {
            let Some(known) = values(&label) else { continue };
            for word in words {
                assert!(known.contains(word.as_str()), "{what}: no {label} is ever {word:?}");
            }
        }
    }
}

/// The series that exist once for each object.
const OF_OBJECTS: [&str; 4] =
    ["info", "status_condition", "verified_timestamp_seconds", "pending_since_timestamp_seconds"];

#[test]
fn the_dashboard_can_be_narrowed_to_namespaces_wherever_it_tells_of_objects() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().any(|variable| variable["name"] == "namespace" && variable["multi"] == true));
    let mut read = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            // Totals of the operator know no namespaces of objects, and the panel has to say so.
            let is_total = query.contains("sendingdomain_domains");
            assert!(!is_total || panel["title"] == "Domains of all namespaces", "{}: {query}", panel["title"]);
            for part in query.split("sendingdomain_").skip(1) {
                let (name, rest) = part.split_at(part.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap());
                if OF_OBJECTS.contains(&name) {
                    let matchers =
                        rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(inside, _)| inside);
                    let is_narrowed = matchers.is_some_and(|inside| inside.contains(r#"namespace=~"$namespace""#));
                    assert!(is_narrowed, "{}: {query}", panel["title"]);
                    read += 1;
                }
            }
        }
    }
    assert!(read >= 14, "only {read}");
}

/// The expressions, by the name of the alert.
fn expressions() -> BTreeMap<String, String> {
    let file: serde_json::Value = serde_yaml::from_str(ALERTS).unwrap();
    let rules = file["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let text = |rule: &serde_json::Value, field: &str| rule[field].as_str().unwrap().to_owned();
    rules.map(|rule| (text(rule, "alert"), text(rule, "expr"))).collect()
}

#[test]
fn every_way_in_which_a_request_fails_is_told_by_one_alert_or_belongs_to_one_domain() {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (alert, expression) in expressions().into_iter().filter(|(alert, _)| alert.starts_with("SendingDomainUpstream"))
    {
        for (_, words) in chosen(&expression).into_iter().filter(|(label, _)| label == "outcome") {
            for word in words {
                told.entry(word).or_default().push(alert.clone());
            }
        }
    }
    for outcome in outcomes() {
        let alerts = told.get(outcome).map(Vec::as_slice).unwrap_or_default();
        let expected = usize::from(!OF_ONE_DOMAIN.contains(&outcome));
        assert_eq!(alerts.len(), expected, "{outcome} is told by {alerts:?}");
    }
    for outcome in OF_ONE_DOMAIN {
        assert!(outcomes().contains(outcome), "no outcome is {outcome}");
    }
}

#[test]
fn every_clash_is_told() {
    let words = chosen(&expressions()["SendingDomainConflict"]);
    let (_, told) = words.into_iter().find(|(label, _)| label == "reason").unwrap();
    let clashes = Reason::ALL.iter().filter(|reason| reason.as_str().ends_with("Conflict"));
    for clash in clashes {
        assert_eq!(clash.class(), ReasonClass::Terminal);
        assert!(told.contains(clash.as_str()), "{clash}");
    }
}
