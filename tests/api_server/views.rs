//! How the resource looks to a person with kubectl, and to programs that judge it by its status.

use serde_json::{Value, json};

use crate::plane::{client, namespace, object, plane, post, spec_with};

async fn create(namespace: &str, name: &str, patch: &Value) -> Value {
    let body = serde_json::to_vec(&object(name, &spec_with(patch))).unwrap();
    post(&client().await, namespace, "fieldValidation=Strict", body).await.unwrap()
}

async fn kubectl(args: &[&str]) -> String {
    plane().await.kubectl_ok(args).await.unwrap()
}

fn header(printed: &str) -> String {
    printed.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn names_and_columns() {
    namespace("columns").await;
    create("columns", "one", &json!({})).await;
    for name in ["sendingdomains", "sendingdomain", "sdom", "sendingdomains.sendingdomain.dev"] {
        let printed = kubectl(&["get", name, "-n", "columns"]).await;
        assert_eq!(header(&printed), "NAME DOMAIN STATUS READY RECORDS REASON AGE", "{name}");
        assert!(printed.contains("mail.example.com"), "{printed}");
    }
    assert!(
        kubectl(&["get", "mail", "-n", "columns", "-o", "name"]).await.contains("sendingdomain.sendingdomain.dev/one")
    );
    let wide = kubectl(&["get", "sdom", "-n", "columns", "-o", "wide"]).await;
    assert_eq!(header(&wide), "NAME DOMAIN STATUS READY RECORDS REASON AGE DKIM MAIL FROM DNS REGION MESSAGE");
}

#[tokio::test]
async fn the_line_of_a_pending_domain_fits_a_terminal() {
    namespace("narrow").await;
    create("narrow", "mail-example-com", &json!({})).await;
    let ready = json!([{ "type": "Ready", "status": "False", "reason": "ZoneNotAccessible", "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1 }]);
    let status = json!({ "status": { "observedGeneration": 1, "phase": "Pending", "recordsFound": "3/5", "conditions": ready } });
    let patch = status.to_string();
    kubectl(&[
        "patch",
        "sdom",
        "mail-example-com",
        "-n",
        "narrow",
        "--subresource=status",
        "--type=merge",
        "-p",
        &patch,
    ])
    .await;
    let printed = kubectl(&["get", "sdom", "-n", "narrow"]).await;
    let line = printed.lines().nth(1).unwrap();
    for cell in ["mail-example-com", "mail.example.com", "Pending", "False", "3/5", "ZoneNotAccessible"] {
        assert!(line.contains(cell), "{printed}");
    }
    assert!(line.len() <= 100, "{line}");
}

#[tokio::test]
async fn a_domain_is_found_by_its_field() {
    namespace("selected").await;
    create("selected", "one", &json!({})).await;
    create("selected", "two", &json!({ "domain": "other.example.com" })).await;
    let of = |selector: &'static str| async move {
        kubectl(&["get", "sdom", "-n", "selected", "-o", "name", "--field-selector", selector]).await
    };
    assert_eq!(of("spec.domain=other.example.com").await, "sendingdomain.sendingdomain.dev/two\n");
    assert_eq!(of("spec.domain!=other.example.com").await, "sendingdomain.sendingdomain.dev/one\n");
    assert_eq!(of("spec.domain=third.example.com").await, "");
}

#[tokio::test]
async fn explain_reads_as_documentation() {
    let explained = kubectl(&["explain", "sendingdomain.spec", "--recursive"]).await;
    for field in ["apiTokenSecretRef", "verificationTimeout", "onMxFailure", "aggregateReports", "recordTTLSeconds"] {
        assert!(explained.contains(field), "{field}: {explained}");
    }
    let explained = kubectl(&["explain", "sdom.spec.dns.cloudflare.zoneID"]).await;
    assert!(explained.contains("32 hexadecimal digits"), "{explained}");
    let explained = kubectl(&["explain", "sdom.status.phase"]).await;
    assert!(explained.contains("programs read conditions"), "{explained}");
}

/// The heart of kstatus: an object whose status speaks of another generation is under way, whatever else it says.
/// Source: `sigs.k8s.io/cli-utils/pkg/kstatus/status/generic.go`.
fn kstatus(object: &Value) -> &'static str {
    let observed = object["status"]["observedGeneration"].as_i64();
    let condition = |kind: &str| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.filter(|c| c["type"] == kind).any(|c| c["status"] == "True")
    };
    if observed.is_some_and(|observed| Some(observed) != object["metadata"]["generation"].as_i64())
        || condition("Reconciling")
    {
        "InProgress"
    } else if condition("Stalled") {
        "Failed"
    } else {
        "Current"
    }
}

#[tokio::test]
async fn a_new_object_is_in_progress_even_without_an_operator() {
    namespace("fresh").await;
    let created = create("fresh", "new", &json!({})).await;
    assert_eq!(created["status"], json!({ "observedGeneration": -1 }));
    assert_eq!(kstatus(&created), "InProgress");
}

#[tokio::test]
async fn the_defaults_are_those_of_the_design() {
    namespace("defaults").await;
    let cloudflare = json!({ "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "cloudflare" } } }, "dmarc": {} });
    assert_eq!(
        create("defaults", "all", &cloudflare).await["spec"],
        json!({
            "domain": "mail.example.com",
            "ses": { "adoptionPolicy": "Never" },
            "mailFrom": { "subdomain": "bounce", "onMxFailure": "UseDefaultValue" },
            "dmarc": { "policy": "none", "dkimAlignment": "Relaxed", "spfAlignment": "Relaxed" },
            "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "cloudflare", "key": "api-token" }, "conflictPolicy": "Fail" } },
            "verificationTimeout": "72h", "deletionPolicy": "Delete", "suspend": false,
        })
    );
}

#[tokio::test]
async fn a_user_cannot_apply_a_status() {
    namespace("faked").await;
    let plane = plane().await;
    let mut body = object("faked", &spec_with(&json!({})));
    body["status"] = json!({ "observedGeneration": 1, "phase": "Verified" });
    for way in [
        &["apply", "-f", "-"][..],
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &["replace", "-f", "-"],
    ] {
        let args = [way, &["-n", "faked"]].concat();
        let output = plane.kubectl_as(plane.admin_kubeconfig(), &args, Some(&body.to_string())).await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status = kubectl(&["get", "sdom", "faked", "-n", "faked", "-o", "jsonpath={.status}"]).await;
        assert_eq!(serde_json::from_str::<Value>(&status).unwrap(), json!({ "observedGeneration": -1 }), "{way:?}");
    }
}

#[tokio::test]
async fn the_schema_is_structural_and_the_names_are_free() {
    let crd = kubectl(&["get", "crd", "sendingdomains.sendingdomain.dev", "-o", "json"]).await;
    let crd: Value = serde_json::from_str(&crd).unwrap();
    let conditions = crd["status"]["conditions"].as_array().unwrap();
    let is_true = |kind: &str| conditions.iter().any(|c| c["type"] == kind && c["status"] == "True");
    assert!(is_true("Established") && is_true("NamesAccepted") && !is_true("NonStructuralSchema"), "{conditions:?}");
}
