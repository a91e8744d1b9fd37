//! Events about objects (`events.k8s.io/v1`), told without anybody waiting for them.
//!
//! Events are news, not records: what does not get through is counted and forgotten. Why not kube's own recorder:
//! `docs/adr/0003-own-event-recorder.md`.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::{mpsc, oneshot};

use crate::telemetry::metrics::{EventLoss, Metrics};
use crate::text::printable;

/// `reportingController` of every event.
pub const REPORTING_CONTROLLER: &str = "sendingdomain.dev/sending-domain-operator";

/// Events that may wait for the API server.
const QUEUE: usize = 256;
/// For how long the same note about the same object is not said again.
const REPEAT_AFTER: Duration = Duration::from_mins(10);
/// Notes that are remembered for that purpose; the oldest are forgotten first.
const REMEMBERED: usize = 4096;
/// One event may take this long, so that a slow API server costs events and not memory.
const CREATE_TIMEOUT: Duration = Duration::from_secs(5);

/// The API's limits, in bytes: 1024 for the note, 128 for the others.
const NOTE_LIMIT: usize = 1000;
const WORD_LIMIT: usize = 128;
/// A name has at most 253 bytes, and `.` with 24 hex digits follow.
const NAME_LIMIT: usize = 200;

/// Tells events. Clones share the queue and the memory of what was said.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Message>,
    said: Arc<Mutex<Said>>,
    reporting_instance: Arc<str>,
    metrics: Metrics,
}

enum Message {
    Event(Box<Event>),
    Flush(oneshot::Sender<()>),
}

impl Recorder {
    /// Starts the worker task, which ends with the last clone. `reporting_instance` names this process (the pod), at
    /// most 128 bytes of it.
    pub fn new(client: Client, reporting_instance: &str, metrics: Metrics) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE);
        tokio::spawn(work(client, messages, metrics.clone()));
        let reporting_instance = printable(reporting_instance, WORD_LIMIT).into();
        Self { queue, said: Arc::default(), reporting_instance, metrics }
    }

    /// Tells an event about `reference`, in its namespace; returns at once.
    ///
    /// `reason` and `action` are CamelCase, at most 128 bytes. Of `note`, 1,000 bytes are kept and control characters
    /// are escaped. The same object, reason and note within ten minutes is said once. What does not fit into the queue
    /// or is refused by the API server is counted and lost.
    pub fn publish(&self, reference: ObjectReference, warning: bool, reason: &str, action: &str, note: &str) {
        let note = printable(note, NOTE_LIMIT);
        // Held until it is queued: of two callers with the same news, one speaks.
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let key = said.key(&reference, reason, &note);
        let now = Instant::now();
        if said.lately(key, now) {
            return;
        }
        let event = self.event(reference, warning, reason, action, note);
        if self.queue.try_send(Message::Event(Box::new(event))).is_ok() {
            said.remember(key, now);
        } else {
            tracing::debug!(reason, "event dropped: too many are waiting");
            self.metrics.event_lost(EventLoss::QueueFull);
        }
    }

    /// Waits until everything published so far has been tried, at most `limit`; false if that was not enough. For the
    /// end of the process.
    pub async fn flush(&self, limit: Duration) -> bool {
        let (done, flushed) = oneshot::channel();
        let flush = async {
            self.queue.send(Message::Flush(done)).await.ok()?;
            flushed.await.ok()
        };
        matches!(tokio::time::timeout(limit, flush).await, Ok(Some(())))
    }

    fn event(&self, reference: ObjectReference, warning: bool, reason: &str, action: &str, note: String) -> Event {
        let now = Timestamp::now();
        Event {
            metadata: ObjectMeta {
                name: Some(event_name(reference.name.as_deref().unwrap_or_default(), now)),
                namespace: Some(namespace(&reference).to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(printable(action, WORD_LIMIT)),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(printable(reason, WORD_LIMIT)),
            regarding: Some(reference),
            reporting_controller: Some(REPORTING_CONTROLLER.to_owned()),
            reporting_instance: Some(self.reporting_instance.to_string()),
            type_: Some(if warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

/// Events about objects without a namespace live in `default`, by the API's own rule.
fn namespace(reference: &ObjectReference) -> &str {
    reference.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
}

/// Unique among replicas and restarts, and a DNS subdomain however long the object's name is.
fn event_name(object: &str, now: Timestamp) -> String {
    let base = cut(object, NAME_LIMIT).trim_end_matches(['.', '-']);
    // Cannot be negative unless the clock is set before 1970; then chance alone keeps names apart.
    let nanos = u64::try_from(now.as_nanosecond()).unwrap_or(0);
    format!("{base}.{nanos:016x}{:08x}", rand::random::<u32>())
}

async fn work(client: Client, mut messages: mpsc::Receiver<Message>, metrics: Metrics) {
    while let Some(message) = messages.recv().await {
        match message {
            Message::Event(event) => {
                if let Err(error) = create(&client, &event).await {
                    // Expected: 403 in a terminating namespace, 409, 429. A second try would be older news.
                    let reason = event.reason.as_deref();
                    tracing::debug!(error = error.as_ref() as &dyn std::error::Error, reason, "event lost");
                    metrics.event_lost(EventLoss::Refused);
                }
            }
            // Who asked may have stopped waiting.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

async fn create(client: &Client, event: &Event) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    tokio::time::timeout(CREATE_TIMEOUT, api.create(&PostParams::default(), event)).await??;
    Ok(())
}

/// What was said lately. Hashes are enough: a false match costs one event.
#[derive(Default)]
struct Said {
    hasher: RandomState,
    order: VecDeque<(Instant, u64)>,
    keys: HashSet<u64>,
}

impl Said {
    fn key(&self, about: &ObjectReference, reason: &str, note: &str) -> u64 {
        self.hasher.hash_one((&about.uid, &about.namespace, &about.name, reason, note))
    }

    fn lately(&mut self, key: u64, now: Instant) -> bool {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= REPEAT_AFTER) {
            self.forget_oldest();
        }
        self.keys.contains(&key)
    }

    fn remember(&mut self, key: u64, now: Instant) {
        if self.order.len() >= REMEMBERED {
            self.forget_oldest();
        }
        if self.keys.insert(key) {
            self.order.push_back((now, key));
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

/// The longest start of `text` of at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_subdomain_however_long_the_objects_is() {
        let now = Timestamp::now();
        assert!(event_name("mail", now).starts_with("mail."));
        assert_ne!(event_name("mail", now), event_name("mail", now));
        let long = event_name(&format!("{}.{}", "a".repeat(199), "b".repeat(53)), now);
        assert!(long.starts_with(&format!("{}.", "a".repeat(199))) && !long.contains(".."), "{long}");
        assert_eq!(event_name(&"a".repeat(253), now).len(), 225);
    }

    #[test]
    fn the_same_is_said_once_in_ten_minutes_and_the_memory_is_bounded() {
        let mut said = Said::default();
        let start = Instant::now();
        let about = ObjectReference { uid: Some("1".into()), ..ObjectReference::default() };
        let key = said.key(&about, "Reason", "note");
        assert_ne!(key, said.key(&about, "Reason", "another note"));
        assert!(!said.lately(key, start));
        said.remember(key, start);
        assert!(said.lately(key, start + Duration::from_secs(599)));
        assert!(!said.lately(key, start + Duration::from_mins(10)));
        for other in 0..10_000 {
            said.remember(other, start);
        }
        assert_eq!((said.order.len(), said.keys.len()), (REMEMBERED, REMEMBERED));
    }
}
