//! Watches every object of every namespace for as long as the tests run, and keeps what was wrong with any version.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use testbed::control_plane::{self, ControlPlane};
use testbed::world::object;

use crate::invariants::violations;

/// A version that broke a rule, in words.
struct Breach {
    namespace: String,
    what: String,
}

#[derive(Default)]
struct Record {
    /// Namespace and name of everything seen.
    seen: BTreeSet<(String, String)>,
    versions: u64,
    breaches: Vec<Breach>,
}

fn record() -> std::sync::MutexGuard<'static, Record> {
    static RECORD: Mutex<Record> = Mutex::new(Record { seen: BTreeSet::new(), versions: 0, breaches: Vec::new() });
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the watch, once in this process. It has a thread of its own, for a test's runtime ends with the test.
pub fn start(plane: &'static ControlPlane) {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = control_plane::client(plane.admin_kubeconfig()).await.unwrap();
                watch(client).await;
            });
        });
    });
}

async fn watch(client: Client) {
    let api: Api<DynamicObject> = Api::all_with(client, &object::kind());
    let mut events = watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object) | watcher::Event::Delete(object)) => {
                note(&object);
            }
            Ok(_) => {}
            // The control plane goes before this thread does.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn note(object: &DynamicObject) {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["metadata"].as_object_mut().map(|metadata| metadata.remove("managedFields"));
    let broken = violations(&value);
    let mut record = record();
    record.versions += 1;
    record.seen.insert((namespace.clone(), name.clone()));
    for rule in broken {
        let what = format!("{name}: {rule}: {}", value["status"]);
        record.breaches.push(Breach { namespace: namespace.clone(), what });
    }
}

/// Waits until the watch has come to this object, and so has seen everything that was written before it.
pub async fn caught_up(namespace: &str, name: &str) {
    let key = (namespace.to_owned(), name.to_owned());
    let started = Instant::now();
    while !record().seen.contains(&key) {
        assert!(started.elapsed() < Duration::from_secs(30), "the watch does not see {namespace}/{name}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What was wrong in a namespace.
pub fn breaches(namespace: &str) -> Vec<String> {
    let record = record();
    assert!(record.versions > 0, "the watch has seen nothing");
    let of_it = record.breaches.iter().filter(|breach| breach.namespace == namespace);
    of_it.map(|breach| breach.what.clone()).collect()
}
