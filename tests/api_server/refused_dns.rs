//! Bad references, providers, choices and DMARC addresses, each with the words of their refusal.

use serde_json::{Value, json};

use crate::refused::{assert_each_refused, assert_refused, strings};

#[allow(clippy::needless_pass_by_value, reason = "a table of literals reads better")]
fn cloudflare(patch: Value) -> Value {
    let mut cloudflare = json!({ "apiTokenSecretRef": { "name": "cloudflare" } });
    for (key, value) in patch.as_object().unwrap() {
        cloudflare[key] = value.clone();
    }
    json!({ "dns": { "cloudflare": cloudflare } })
}

#[tokio::test]
async fn references_to_secrets() {
    let reference =
        |name: &Value, key: &Value| cloudflare(json!({ "apiTokenSecretRef": { "name": name, "key": key } }));
    let names = ["", "Cloudflare", "a/b", "../kube-system/x", "a..b", "-a", "a-", "a_b", "a b", "a\n", "ä"];
    let words = ["apiTokenSecretRef.name", "must be the name of a Secret in the same namespace"];
    assert_each_refused(&strings(&names), |name| reference(name, &json!("api-token")), &words).await;
    let keys = ["", "a/b", "a b", "api-token\n", "ä"];
    let words = ["apiTokenSecretRef.key", "must be a key of a Secret: letters, digits, '-', '_' and '.'"];
    assert_each_refused(&strings(&keys), |key| reference(&json!("cloudflare"), key), &words).await;
    let namespaced = cloudflare(json!({ "apiTokenSecretRef": { "name": "cloudflare", "namespace": "kube-system" } }));
    assert_refused(&[
        (namespaced, &["unknown field \"spec.dns.cloudflare.apiTokenSecretRef.namespace\""]),
        (reference(&json!("a".repeat(254)), &json!("k")), &["apiTokenSecretRef.name", "may not be more than 253"]),
        (reference(&json!("a"), &json!("k".repeat(254))), &["apiTokenSecretRef.key", "may not be more than 253"]),
        (
            cloudflare(json!({ "apiTokenSecretRef": {} })),
            &["spec.dns.cloudflare.apiTokenSecretRef.name: Required value"],
        ),
        (json!({ "dns": { "cloudflare": {} } }), &["spec.dns.cloudflare.apiTokenSecretRef: Required value"]),
    ])
    .await;
}

#[tokio::test]
async fn dns_providers() {
    let both = json!({ "dns": { "externalDNS": {}, "cloudflare": { "apiTokenSecretRef": { "name": "cloudflare" } } } });
    assert_refused(&[
        (both, &["spec.dns", "must have at most one of cloudflare and externalDNS"]),
        (json!({ "dns": { "route53": {} } }), &["unknown field \"spec.dns.route53\""]),
    ])
    .await;
    let zones =
        ["", "example.com", &"0".repeat(31), &"G".repeat(32), &"A".repeat(32), "../../../../user/tokens/verify"];
    let words = ["spec.dns.cloudflare.zoneID", "must be the zone's id: 32 lower-case hexadecimal digits"];
    assert_each_refused(&strings(&zones), |zone| cloudflare(json!({ "zoneID": zone })), &words).await;
    let long = cloudflare(json!({ "zoneID": "0".repeat(33) }));
    assert_refused(&[(long, &["spec.dns.cloudflare.zoneID", "may not be more than 32"])]).await;
}

#[tokio::test]
async fn external_dns() {
    let ttl = |value: Value| json!({ "dns": { "externalDNS": { "recordTTLSeconds": value } } });
    let label = |key: &str, value: &str| json!({ "dns": { "externalDNS": { "labels": { key: value } } } });
    let valid: &[&str] =
        &["spec.dns.externalDNS.labels", "must have keys and values that are valid as Kubernetes labels"];
    let many: Value = (0..17).map(|i| (format!("label{i}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_refused(&[
        (ttl(json!(0)), &["recordTTLSeconds", "should be greater than or equal to 1"]),
        (ttl(json!(-1)), &["recordTTLSeconds", "should be greater than or equal to 1"]),
        (ttl(json!(86401)), &["recordTTLSeconds", "should be less than or equal to 86400"]),
        (ttl(json!(1.5)), &["recordTTLSeconds", "must be of type integer"]),
        (ttl(json!("60")), &["recordTTLSeconds", "must be of type integer"]),
        (ttl(json!(9_223_372_036_854_775_807_i64)), &["recordTTLSeconds"]),
        (label("", "x"), valid),
        (label("-a", "x"), valid),
        (label("UPPER.example/a", "x"), valid),
        (label("a/b/c", "x"), valid),
        (label("a", "x y"), valid),
        (label("a", "-x"), valid),
        (label(&"a".repeat(64), "x"), valid),
        (label("a", &"x".repeat(64)), &["labels.a", "may not be more than 63"]),
        (json!({ "dns": { "externalDNS": { "labels": many } } }), &["labels", "must have at most 16"]),
    ])
    .await;
}

#[tokio::test]
async fn values_outside_their_choice() {
    assert_refused(&[
        (
            json!({ "ses": { "dkimKeyLength": "RSA4096" } }),
            &["dkimKeyLength", "Unsupported value", "\"RSA1024\", \"RSA2048\""],
        ),
        (json!({ "ses": { "dkimKeyLength": 2048 } }), &["dkimKeyLength", "must be of type string"]),
        (json!({ "ses": { "adoptionPolicy": "Always" } }), &["adoptionPolicy", "\"Never\", \"Adopt\""]),
        (
            json!({ "mailFrom": { "onMxFailure": "Reject" } }),
            &["onMxFailure", "\"UseDefaultValue\", \"RejectMessage\""],
        ),
        (json!({ "dmarc": { "policy": "Reject" } }), &["dmarc.policy", "\"none\", \"quarantine\", \"reject\""]),
        (json!({ "dmarc": { "subdomainPolicy": "" } }), &["subdomainPolicy", "\"none\", \"quarantine\", \"reject\""]),
        (json!({ "dmarc": { "dkimAlignment": "r" } }), &["dkimAlignment", "\"Relaxed\", \"Strict\""]),
        (json!({ "dmarc": { "spfAlignment": "strict" } }), &["spfAlignment", "\"Relaxed\", \"Strict\""]),
        (cloudflare(json!({ "conflictPolicy": "Force" })), &["conflictPolicy", "\"Fail\", \"Overwrite\""]),
        (json!({ "deletionPolicy": "Orphan" }), &["deletionPolicy", "\"Delete\", \"Retain\""]),
        (json!({ "suspend": "yes" }), &["spec.suspend", "must be of type boolean"]),
    ])
    .await;
}

#[tokio::test]
async fn addresses_of_reports() {
    let bad = [
        "",
        "dmarc@example.com",
        "mailto:",
        "mailto:dmarc",
        "mailto:dmarc@localhost",
        "mailto:@example.com",
        "https://example.com/dmarc",
        "mailto:a b@example.com",
        "mailto:a@example.com,mailto:b@example.com",
        "mailto:a@example.com; p=none",
        "mailto:a@example.com\n",
        "mailto:a@exa mple.com",
        "mailto:a@example.com!10x",
        "MAILTO:a@example.com",
        "mailto:a@@example.com",
        "mailto:a!b@example.com",
    ];
    for list in ["aggregateReports", "failureReports"] {
        let words = [list, "must be mailto: URIs of one address each, for example mailto:dmarc@example.com"];
        assert_each_refused(&strings(&bad), |uri| json!({ "dmarc": { list: [uri] } }), &words).await;
        let second = json!({ "dmarc": { list: ["mailto:dmarc@example.com", "dmarc@example.com"] } });
        let long = json!({ "dmarc": { list: [format!("mailto:{}@example.com", "a".repeat(236))] } });
        let many = json!({ "dmarc": { list: vec!["mailto:dmarc@example.com"; 11] } });
        assert_refused(&[
            (second, &words),
            (long, &[list, "may not be more than 254"]),
            (many, &[list, "must have at most 10 items"]),
            (json!({ "dmarc": { list: "mailto:dmarc@example.com" } }), &[list, "must be of type array"]),
        ])
        .await;
    }
}
