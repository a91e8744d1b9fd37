//! Secrets that are not there, or hold no token: told, waited for, and mended without a restart.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE};

#[tokio::test]
async fn b1_b2_a_missing_secret_and_a_missing_key_are_waited_for() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let waiting = rig.reason("SecretNotFound").await;
    assert_eq!(object::phase(&waiting), "Pending");
    assert_eq!(object::condition_status(&waiting, "Reconciling"), "True", "a Secret may come later");
    assert!(object::message(&waiting, "Ready").contains("cloudflare"), "{waiting}");
    let secret = (rig.namespace.as_str(), SECRET);
    rig.world.create_secret(secret.0, secret.1, "other-key", "x").await.unwrap();
    let is_named = |o: &serde_json::Value| object::message(o, "Ready").contains("has no key api-token");
    rig.until("the missing key named", is_named).await;
    rig.set_token(rig.world.token()).await;
    let appeared = Instant::now();
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    // Ten pending intervals, for the machine may be busy; nothing else would wake the object.
    assert!(appeared.elapsed() < Duration::from_secs(10), "{:?}", appeared.elapsed());
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b2_b3_a_value_that_is_no_token_is_told_and_mended() {
    let rig = Rig::start().await;
    rig.set_token("").await;
    rig.world.cloudflare_zone(ZONE);
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    let huge = vec![b'x'; 1_000_000];
    let bad: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\xff\xfe\x00binary", "outside ASCII"),
        (b"two words", "space"),
        (&[b'x'; 5000], "longer than 4096 bytes"),
        (&huge, "longer than 4096 bytes"),
    ];
    for (value, words) in bad {
        rig.set_token(value).await;
        let says = |o: &serde_json::Value| {
            object::reason(o, "Ready") == "SecretInvalid" && object::message(o, "Ready").contains(words)
        };
        let invalid = rig.until(words, says).await;
        assert_eq!(object::condition_status(&invalid, "Stalled"), "True");
    }
    rig.expect_event("Warning", "SecretInvalid").await;
    assert!(rig.world.cloudflare().calls().is_empty(), "nothing of it was ever sent");
    // A file that ends with a newline is the most common of all tokens.
    rig.set_token(format!("{}\n", rig.world.token())).await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b5_a_secret_that_is_not_meant_for_it_is_never_sent() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let secrets: Api<Secret> = Api::namespaced(rig.world.client().clone(), &rig.namespace);
    for (name, kind) in [("robot", "kubernetes.io/service-account-token"), ("release", "helm.sh/release.v1")] {
        let secret = json!({
            "metadata": { "name": name, "annotations": { "kubernetes.io/service-account.name": "default" } },
            "type": kind, "stringData": { "api-token": "a-token-of-something-else" },
        });
        let secret: Secret = serde_json::from_value(secret).unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
    rig.create(&object::cloudflare(NAME, DOMAIN, "robot")).await;
    let refused = rig.reason("SecretInvalid").await;
    assert!(object::message(&refused, "Ready").contains("kubernetes.io/service-account-token"), "{refused}");
    let release = json!({ "spec": { "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "release" } } } } });
    rig.patch(&release).await;
    rig.until("the other type named", |o| object::message(o, "Ready").contains("helm.sh/release")).await;
    assert!(rig.world.cloudflare().calls().is_empty());
    rig.set_token(rig.world.token()).await;
    let good = json!({ "spec": { "dns": { "cloudflare": { "apiTokenSecretRef": { "name": SECRET } } } } });
    rig.patch(&good).await;
    rig.ready().await;
    rig.finish().await;
}

#[tokio::test]
async fn b7_a_secret_that_goes_after_verification_does_not_end_it() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.world.delete_secret(&rig.namespace, SECRET).await.unwrap();
    let is_told = |o: &serde_json::Value| object::reason(o, "RecordsSynced") == "SecretNotFound";
    let told = rig.until("SecretNotFound", is_told).await;
    assert!(object::is_ready(&told), "mail can still be sent");
    rig.expect_event("Warning", "SecretNotFound").await;
    rig.set_token(rig.world.token()).await;
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    rig.finish().await;
}
