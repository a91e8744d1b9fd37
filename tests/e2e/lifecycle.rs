//! Suspended, resumed, restarted, asked to look at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, Rig, SECRET, ZONE};

const RECONCILE_AT: &str = "sendingdomain.dev/reconcile-at";

#[tokio::test]
async fn a12_a_suspended_object_is_left_alone_and_can_be_deleted() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.patch(&json!({ "spec": { "suspend": true } })).await;
    rig.until("the generation to be observed", object::is_current).await;
    rig.reset_calls();
    rig.patch(&json!({ "spec": { "mailFrom": { "subdomain": "return" } } })).await;
    let suspended = rig.until("the generation to be observed", object::is_current).await;
    assert!(object::is_ready(&suspended), "an existing Ready stays");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.outside_calls(), 0);
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a12_an_object_that_is_suspended_from_the_start_begins_when_resumed() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let mut manifest = object::cloudflare(NAME, DOMAIN, SECRET);
    manifest["spec"]["suspend"] = json!(true);
    rig.create(&manifest).await;
    let suspended = rig.reason("Suspended").await;
    assert_eq!(object::condition_status(&suspended, "Ready"), "False");
    assert!(
        object::condition(&suspended, "Reconciling").is_none() && object::condition(&suspended, "Stalled").is_none()
    );
    assert_eq!(rig.outside_calls(), 0);
    rig.patch(&json!({ "spec": { "suspend": false } })).await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a13_a_reconciliation_on_request_comes_at_once() {
    // So long that only the request can be the cause.
    let rig = Rig::with(|options| options.verified_interval = "1h".to_owned()).await;
    let verified = rig.verified_cloudflare().await;
    assert!(verified["status"]["lastHandledReconcileAt"].is_null());
    let dkim = rig.ours().into_iter().find(|((_, kind), _)| kind == "CNAME").unwrap().1;
    rig.world.cloudflare().delete_record(ZONE, dkim["id"].as_str().unwrap()).unwrap();
    for value in ["2026-01-01T00:00:00Z", "anything else"] {
        rig.world.annotate(&rig.namespace, NAME, RECONCILE_AT, value).await.unwrap();
        let is_handled = |o: &Value| o["status"]["lastHandledReconcileAt"] == value;
        rig.until("lastHandledReconcileAt", is_handled).await;
    }
    let started = Instant::now();
    while rig.ours().len() < 5 {
        assert!(started.elapsed() < LIMIT, "not repaired");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn a_failed_verification_is_taken_up_again_on_request() {
    let rig = Rig::start().await;
    rig.world.ses().configure(|settings| settings.check_interval = Duration::from_hours(1));
    rig.apply_manual().await;
    rig.until("records", |o| object::records(o).len() == 5).await;
    rig.world.ses().advance(Duration::from_hours(73)).await;
    let failed = rig.until("Failed", |o| object::phase(o) == "Failed").await;
    rig.world.annotate(&rig.namespace, NAME, RECONCILE_AT, "now").await.unwrap();
    let is_pending = |o: &Value| object::phase(o) == "Pending" && o["status"]["verification"]["rearms"] == 1;
    let pending = rig.until("Pending again", is_pending).await;
    let started = |o: &Value| o["status"]["verification"]["startedAt"].as_str().unwrap().to_owned();
    assert!(started(&pending) > started(&failed), "the clock starts again");
    rig.finish().await;
}

#[tokio::test]
async fn a_restart_writes_nothing() {
    let mut rig = Rig::start().await;
    rig.verified_cloudflare().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.operator.stop().await.unwrap();
    let (before, written) = (rig.get().await, rig.kubernetes_writes());
    rig.reset_calls();
    rig.operator.restart().await.unwrap();
    let started = Instant::now();
    while rig.world.cloudflare().calls().len() < 3 {
        assert!(started.elapsed() < LIMIT, "it does not look");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!((rig.get().await, rig.kubernetes_writes()), (before, written));
    rig.finish().await;
}

#[tokio::test]
async fn a9_a_foreign_finalizer_is_left_alone() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    let ours = rig.get().await["metadata"]["finalizers"].clone();
    let both = [ours.as_array().unwrap().as_slice(), &[json!("example.com/theirs")]].concat();
    rig.patch(&json!({ "metadata": { "finalizers": both } })).await;
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    let is_released = |o: &Value| o["metadata"]["finalizers"] == json!(["example.com/theirs"]);
    rig.until("our finalizer gone", is_released).await;
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.patch(&json!({ "metadata": { "finalizers": [] } })).await;
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap();
    rig.finish().await;
}
