//! One control plane with the CRD, and ways to send it manifests.

use axum::http::Request;
use kube::Client;
use serde_json::{Value, json};
use testbed::control_plane::ControlPlane;
use tokio::sync::OnceCell;

pub const CRD: &str = include_str!("../../crds/sendingdomains.yaml");

/// The shared control plane, with the CRD established.
pub async fn plane() -> &'static ControlPlane {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let plane = ControlPlane::shared().await.unwrap();
    INSTALLED
        .get_or_init(|| async {
            plane.apply_yaml(CRD).await.unwrap();
            let established = ["wait", "--for=condition=Established", "crd/sendingdomains.sendingdomain.dev"];
            plane.kubectl_ok(&established).await.unwrap();
        })
        .await;
    plane
}

/// A client of the control plane with the CRD.
pub async fn client() -> Client {
    plane().await.admin_client().await.unwrap()
}

/// Creates a namespace that no other test uses.
pub async fn namespace(name: &str) {
    plane().await.kubectl_ok(&["create", "namespace", name]).await.unwrap();
}

/// An object of that name and spec.
pub fn object(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain", "metadata": { "name": name }, "spec": spec })
}

/// A spec with only the domain, changed by a JSON merge patch.
pub fn spec_with(patch: &Value) -> Value {
    let mut spec = json!({ "domain": "mail.example.com" });
    merge(&mut spec, patch);
    spec
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(json!({})), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// Posts JSON to the collection in a namespace.
///
/// # Errors
/// With the words of the API server.
pub async fn post(client: &Client, namespace: &str, query: &str, body: Vec<u8>) -> Result<Value, String> {
    send(client, namespace, query, "application/json", body).await
}

/// Posts a body of any type to the collection in a namespace.
///
/// # Errors
/// With the words of the API server.
pub async fn send(
    client: &Client,
    namespace: &str,
    query: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Value, String> {
    let path = format!("/apis/sendingdomain.dev/v1alpha1/namespaces/{namespace}/sendingdomains?{query}");
    let request = Request::post(path).header("content-type", content_type).body(body).unwrap();
    client.request::<Value>(request).await.map_err(|error| match error {
        kube::Error::Api(status) => status.message,
        other => panic!("no answer: {other}"),
    })
}

/// What the API server would say to a new object, strictly.
pub async fn try_create(client: &Client, spec: &Value) -> Result<Value, String> {
    let body = serde_json::to_vec(&object("tried", spec)).unwrap();
    post(client, "default", "dryRun=All&fieldValidation=Strict", body).await
}

/// Asserts that a text contains all of the words.
#[track_caller]
pub fn assert_says(text: &str, words: &[&str]) {
    let text = text.replace("\\\"", "\"");
    for word in words {
        assert!(text.contains(word), "does not say {word:?}: {text}");
    }
}
