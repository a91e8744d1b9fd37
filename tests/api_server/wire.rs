//! Manifests that are odd as text: unknown and double keys, nulls, far too much.

use serde_json::{Value, json};

use crate::plane::{assert_says, client, namespace, object, plane, post, send, spec_with, try_create};

const STRICT: &str = "dryRun=All&fieldValidation=Strict";

/// What kubectl says to a manifest that it or the API server refuses.
async fn refusal_of_kubectl(manifest: &str, more: &[&str]) -> String {
    let plane = plane().await;
    let args = [&["apply", "--dry-run=server", "-f", "-"], more].concat();
    let output = plane.kubectl_as(plane.admin_kubeconfig(), &args, Some(manifest)).await.unwrap();
    assert!(!output.status.success(), "accepted: {manifest}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const UNKNOWN: &str = "
apiVersion: sendingdomain.dev/v1alpha1
kind: SendingDomain
metadata: {name: unknown}
spec:
  domain: mail.example.com
  mailfrom: {subdomain: bounce}
  ses: {Region: us-east-1}
";

#[tokio::test]
async fn a9_unknown_fields_are_named() {
    let words = ["unknown field \"spec.mailfrom\"", "unknown field \"spec.ses.Region\""];
    // Strict is also what kubectl asks for by default.
    for more in [&["--validate=strict"][..], &[]] {
        assert_says(&refusal_of_kubectl(UNKNOWN, more).await, &words);
    }
    // The merge of server-side apply stops at any of them.
    let refusal = refusal_of_kubectl(UNKNOWN, &["--server-side"]).await;
    assert_says(&refusal, &["field not declared in schema"]);
    assert!([".spec.mailfrom", ".spec.ses.Region"].iter().any(|field| refusal.contains(field)), "{refusal}");
}

#[tokio::test]
async fn a9_unknown_fields_are_dropped_where_nobody_asks() {
    let body: Value = serde_yaml::from_str(UNKNOWN).unwrap();
    let stored = post(&client().await, "default", "dryRun=All", serde_json::to_vec(&body).unwrap()).await.unwrap();
    assert!(stored["spec"].get("mailfrom").is_none() && stored["spec"]["ses"].get("Region").is_none(), "{stored}");
}

#[tokio::test]
async fn a9_keys_may_not_come_twice() {
    let twice = "
apiVersion: sendingdomain.dev/v1alpha1
kind: SendingDomain
metadata: {name: twice}
spec:
  domain: mail.example.com
  suspend: false
  suspend: true
";
    let client = client().await;
    // As a program sends it: kubectl's own reader of YAML keeps the last and says nothing.
    let refusal = send(&client, "default", STRICT, "application/yaml", twice.into()).await.unwrap_err();
    assert_says(&refusal, &["\"suspend\" already set"]);
    let mut body = object("twice", &spec_with(&json!({ "suspend": false }))).to_string();
    body = body.replacen("\"suspend\":false", "\"suspend\":false,\"suspend\":true", 1);
    let refusal = post(&client, "default", STRICT, body.into_bytes()).await.unwrap_err();
    assert_says(&refusal, &["duplicate field \"spec.suspend\""]);
}

#[tokio::test]
async fn a9_a_null_is_as_good_as_absent() {
    let nulls = json!({ "ses": null, "mailFrom": null, "dmarc": null, "dns": null, "verificationTimeout": null,
        "deletionPolicy": null, "suspend": null });
    let bare = try_create(&client().await, &spec_with(&json!({}))).await.unwrap();
    let with_nulls = try_create(&client().await, &spec_with(&nulls)).await.unwrap();
    assert_eq!(with_nulls["spec"], bare["spec"]);
    let inner = json!({ "mailFrom": { "subdomain": null }, "ses": { "region": null, "tags": null } });
    assert_eq!(try_create(&client().await, &spec_with(&inner)).await.unwrap()["spec"], bare["spec"]);
}

#[tokio::test]
async fn a_spec_is_needed() {
    let client = client().await;
    let bare = |spec: Value| {
        let mut body = object("bare", &spec);
        if spec.is_null() {
            body.as_object_mut().unwrap().remove("spec");
        }
        serde_json::to_vec(&body).unwrap()
    };
    let refusal = post(&client, "default", STRICT, bare(Value::Null)).await.unwrap_err();
    assert_says(&refusal, &["spec: Required value"]);
    let refusal = post(&client, "default", STRICT, bare(json!({}))).await.unwrap_err();
    assert_says(&refusal, &["spec.domain: Required value"]);
    let refusal = post(&client, "default", STRICT, bare(json!([]))).await.unwrap_err();
    assert_says(&refusal, &["spec", "must be of type object"]);
}

#[tokio::test]
async fn a9_there_is_a_limit_to_annotations() {
    let mut body = object("annotated", &spec_with(&json!({})));
    body["metadata"]["annotations"] = json!({ "note": "x".repeat(256 * 1024) });
    let refusal = post(&client().await, "default", STRICT, serde_json::to_vec(&body).unwrap()).await.unwrap_err();
    assert_says(&refusal, &["metadata.annotations", "may not be more than 262144 bytes"]);
}

#[tokio::test]
async fn a9_there_is_a_limit_to_objects() {
    namespace("oversize").await;
    let client = client().await;
    let labels: serde_json::Map<String, Value> =
        (0..24_000).map(|i| (format!("label-{i}"), json!("x".repeat(60)))).collect();
    let mut body = object("huge", &spec_with(&json!({})));
    body["metadata"]["labels"] = labels.into();
    let body = serde_json::to_vec(&body).unwrap();
    assert!(body.len() > 3 * 512 * 1024);
    // Not a trial: the limit is that of the store.
    let refusal = post(&client, "oversize", "fieldValidation=Strict", body).await.unwrap_err();
    assert_says(&refusal, &["too large"]);
    let huge = object("huge", &spec_with(&json!({ "domain": "a".repeat(4 << 20) })));
    let refusal = post(&client, "oversize", STRICT, serde_json::to_vec(&huge).unwrap()).await.unwrap_err();
    assert_says(&refusal, &["too large"]);
}

#[tokio::test]
async fn text_that_is_no_json_is_refused() {
    let refusal = post(&client().await, "default", STRICT, b"{\"spec\": {".to_vec()).await.unwrap_err();
    assert_says(&refusal, &["unexpected"]);
}
