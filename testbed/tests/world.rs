//! The world is set up as a cluster's administrator would, and its helpers say what went wrong.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own helpers may fail the test")]

use std::time::Duration;

use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::json;
use testbed::dns::RecordType;
use testbed::world::{OperatorOptions, SYSTEM_NAMESPACE, World, WorldOptions, object};

#[tokio::test]
async fn the_operators_account_may_do_its_work_and_no_more() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    let domains: Api<DynamicObject> = Api::all_with(world.operator_client().await.unwrap(), &object::kind());
    domains.list(&ListParams::default()).await.unwrap();
    let kubeconfig = world.operator_kubeconfig();
    let plane = world.control_plane();
    for (asked, answer) in [
        (["get", "secrets"], "yes"),
        (["list", "secrets"], "no"),
        (["delete", "sendingdomains"], "no"),
        (["create", "deployments"], "no"),
    ] {
        let args = ["auth", "can-i", asked[0], asked[1], "-n", "default"];
        let output = plane.kubectl_as(kubeconfig, &args, None).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), answer, "{asked:?}");
    }
    assert!(std::fs::read_to_string(kubeconfig).unwrap().contains(SYSTEM_NAMESPACE));
}

#[tokio::test]
async fn objects_live_in_namespaces_of_their_own_until_deleted() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    let (here, there) = (world.namespace().await.unwrap(), world.namespace().await.unwrap());
    let stored = world.create(&here, &object::manual("news", "news.example.org")).await.unwrap();
    assert_eq!(stored["status"]["observedGeneration"], -1, "{stored}");
    assert!(world.get(&there, "news").await.unwrap().is_none());
    let changed = world.annotate(&here, "news", "example.com/note", "hello").await.unwrap();
    assert_eq!(changed["metadata"]["annotations"]["example.com/note"], "hello");
    let refused = world.patch(&here, "news", &json!({"spec": {"domain": "other.example.org"}})).await;
    assert!(refused.unwrap_err().to_string().contains("domain"));
    world.delete_and_wait(&here, "news", Duration::from_secs(10)).await.unwrap();
}

#[tokio::test]
async fn a_secret_has_the_last_key_only() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    let namespace = world.namespace().await.unwrap();
    for key in ["api-token", "other"] {
        world.create_secret(&namespace, "cloudflare", key, world.token()).await.unwrap();
    }
    let args = ["get", "secret", "cloudflare", "-n", &namespace, "-o", "jsonpath={.data}"];
    let data = world.control_plane().kubectl_ok(&args).await.unwrap();
    assert!(data.contains("other") && !data.contains("api-token"), "{data}");
    world.delete_secret(&namespace, "cloudflare").await.unwrap();
    assert!(world.delete_secret(&namespace, "cloudflare").await.is_err());
}

#[tokio::test]
async fn what_does_not_come_is_told_with_the_object_and_the_log() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    let namespace = world.namespace().await.unwrap();
    world.create(&namespace, &object::manual("news", "news.example.org")).await.unwrap();
    // Any program stands in for the operator here; this one prints its arguments and ends.
    let mut operator = world.operator(&OperatorOptions::new("/bin/echo")).unwrap();
    while operator.is_running() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let never = world.wait_for(&namespace, "news", "Ready", object::is_ready, Duration::from_millis(100));
    let message = never.await.unwrap_err().to_string();
    for expected in ["news: Ready did not come", "domain: news.example.org", operator.owner_id()] {
        assert!(message.contains(expected), "no {expected} in {message}");
    }
}

#[tokio::test]
async fn a_person_copies_the_records_of_a_status_into_a_zone() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    world.manual_zone("example.org").unwrap();
    let object = json!({"status": {"records": [
        {"type": "CNAME", "name": "a._domainkey.news.example.org", "value": "a.dkim.amazonses.com"},
        {"type": "TXT", "name": "bounce.news.example.org", "value": "v=spf1 include:amazonses.com ~all"},
        {"type": "MX", "name": "bounce.news.example.org", "value": "feedback-smtp.us-east-1.amazonses.com", "priority": 10},
    ]}});
    world.publish(&object).unwrap();
    let mx = world.dns().get("bounce.news.example.org", RecordType::MX).unwrap();
    assert_eq!(mx, ["10 feedback-smtp.us-east-1.amazonses.com"]);
    assert_eq!(world.dns().get("a._domainkey.news.example.org", RecordType::CNAME).unwrap().len(), 1);
}
