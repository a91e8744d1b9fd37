//! Events as users see them, on a real API server.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, Config};
use sending_domain_operator::leader::api_config;
use sending_domain_operator::recorder::{REPORTING_CONTROLLER, Recorder};
use sending_domain_operator::telemetry::metrics::Metrics;
use testbed::control_plane::ControlPlane;
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(30);

async fn client() -> Client {
    ControlPlane::shared().await.unwrap().admin_client().await.unwrap()
}

/// A namespace of its own, and a recorder.
async fn set_up(namespace: &str) -> (Recorder, Metrics) {
    let namespaces: Api<Namespace> = Api::all(client().await);
    let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
    let created = Namespace { metadata, ..Namespace::default() };
    namespaces.create(&PostParams::default(), &created).await.unwrap();
    let metrics = Metrics::new();
    (Recorder::new(client().await, "operator-0", metrics.clone()), metrics)
}

fn about(namespace: &str, name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("sendingdomain.dev/v1alpha1".to_owned()),
        kind: Some("SendingDomain".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some("7f1b2a54-0000-4000-8000-000000000001".to_owned()),
        ..ObjectReference::default()
    }
}

async fn events(namespace: &str) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(client().await, namespace);
    api.list(&ListParams::default()).await.unwrap().items
}

async fn notes(namespace: &str) -> Vec<String> {
    let mut notes: Vec<String> = events(namespace).await.into_iter().filter_map(|event| event.note).collect();
    notes.sort();
    notes
}

fn lost(metrics: &Metrics, cause: &str) -> u32 {
    let text = metrics.openmetrics().unwrap();
    let series = format!("sendingdomain_events_dropped_total{{cause=\"{cause}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn kubectl_shows_it() {
    let (recorder, metrics) = set_up("shown").await;
    recorder.publish(about("shown", "mail"), true, "InvalidAPIToken", "WriteRecords", "The token is revoked.");
    assert!(recorder.flush(LIMIT).await);
    let plane = ControlPlane::shared().await.unwrap();
    let printed = plane.kubectl_ok(&["get", "events", "-n", "shown"]).await.unwrap();
    for words in ["Warning", "InvalidAPIToken", "sendingdomain/mail", "The token is revoked."] {
        assert!(printed.contains(words), "no {words} in\n{printed}");
    }
    let event = events("shown").await.remove(0);
    assert_eq!(event.reporting_controller.as_deref(), Some(REPORTING_CONTROLLER));
    assert_eq!(event.reporting_instance.as_deref(), Some("operator-0"));
    assert_eq!(event.action.as_deref(), Some("WriteRecords"));
    assert_eq!(lost(&metrics, "refused"), 0);
}

#[tokio::test]
async fn a8_long_names_notes_and_words_are_taken() {
    let (recorder, metrics) = set_up("long").await;
    // Cut after 200 characters each of these ends in what a name may not end in.
    let names = [
        "a".repeat(253),
        format!("{}.{}", "a".repeat(199), "b".repeat(53)),
        format!("{}--{}", "a".repeat(199), "b".repeat(52)),
    ];
    for name in &names {
        recorder.publish(about("long", name), false, "Note", "Test", &format!("{}{}", name.len(), "€".repeat(500)));
    }
    recorder.publish(about("long", "mail"), false, &"R".repeat(500), &"A".repeat(500), "a\u{1b}[2Jb\nc");
    assert!(recorder.flush(LIMIT).await);
    assert_eq!(lost(&metrics, "refused"), 0);
    let events = events("long").await;
    assert_eq!(events.len(), 4);
    for name in &names {
        let of = |event: &&Event| event.regarding.as_ref().and_then(|object| object.name.as_ref()) == Some(name);
        let note = events.iter().find(of).unwrap().note.as_deref().unwrap();
        assert!(note.len() <= 1000 && note.ends_with("€…"), "{note}");
    }
    let escaped = events.iter().filter(|event| event.note.as_deref() == Some("a\\u{1b}[2Jb\\nc"));
    assert_eq!(escaped.count(), 1);
}

#[tokio::test]
async fn g18_the_same_is_said_once_and_news_at_once() {
    let (recorder, _) = set_up("repeated").await;
    for _ in 0..5 {
        recorder.clone().publish(about("repeated", "mail"), false, "WaitingForDNS", "Verify", "Found 3 of 5.");
    }
    recorder.publish(about("repeated", "mail"), false, "WaitingForDNS", "Verify", "Found 4 of 5.");
    recorder.publish(about("repeated", "mail"), false, "WaitingForDNS", "Verify", "Found 3 of 5.");
    assert!(recorder.flush(LIMIT).await);
    assert_eq!(notes("repeated").await, ["Found 3 of 5.", "Found 4 of 5."]);
    // Another object of the same name, created after the first was deleted.
    let again = ObjectReference { uid: Some("another".to_owned()), ..about("repeated", "mail") };
    recorder.publish(again, false, "WaitingForDNS", "Verify", "Found 3 of 5.");
    assert!(recorder.flush(LIMIT).await);
    assert_eq!(notes("repeated").await.len(), 3);
}

#[tokio::test]
async fn g17_an_event_that_somebody_deleted_stops_nothing() {
    let (recorder, metrics) = set_up("deleted").await;
    recorder.publish(about("deleted", "mail"), false, "Verified", "Verify", "first");
    assert!(recorder.flush(LIMIT).await);
    let api: Api<Event> = Api::namespaced(client().await, "deleted");
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    recorder.publish(about("deleted", "mail"), false, "Verified", "Verify", "second");
    assert!(recorder.flush(LIMIT).await);
    assert_eq!(notes("deleted").await, ["second"]);
    assert_eq!(lost(&metrics, "refused"), 0);
}

#[tokio::test]
async fn an_object_without_a_namespace_has_its_events_in_default() {
    let (recorder, metrics) = set_up("unused").await;
    let node = ObjectReference { namespace: None, kind: Some("Node".to_owned()), ..about("", "node-1") };
    recorder.publish(node, false, "Test", "Test", "about a node");
    assert!(recorder.flush(LIMIT).await);
    assert!(notes("default").await.contains(&"about a node".to_owned()));
    assert_eq!(lost(&metrics, "refused"), 0);
}

#[tokio::test]
async fn g17_a_refused_event_is_counted_and_not_tried_again() {
    let (recorder, metrics) = set_up("refusing").await;
    recorder.publish(about("no-such-namespace", "mail"), false, "Verified", "Verify", "nobody hears it");
    recorder.publish(about("refusing", "mail"), false, "Verified", "Verify", "heard");
    assert!(recorder.flush(LIMIT).await);
    assert_eq!(lost(&metrics, "refused"), 1);
    assert_eq!(notes("refusing").await, ["heard"]);
}

#[tokio::test]
async fn g17_an_api_server_that_does_not_answer_costs_events_and_no_time() {
    // Accepts connections, by its backlog, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let client = Client::try_from(api_config(Config::new(url.parse().unwrap()))).unwrap();
    let metrics = Metrics::new();
    let recorder = Recorder::new(client, "operator-0", metrics.clone());
    let started = Instant::now();
    for number in 0..1000 {
        recorder.publish(about("any", "mail"), false, "Test", "Test", &number.to_string());
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let dropped = lost(&metrics, "queue_full");
    assert!((743..=744).contains(&dropped), "{dropped}");
    assert!(!recorder.flush(Duration::from_millis(200)).await);
    drop(silent);
}
