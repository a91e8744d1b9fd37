//! The samples, and values at the very edge of what is allowed.

use serde_json::{Value, json};

use crate::plane::{client, namespace, plane, spec_with, try_create};
use crate::refused::domain_of_length;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/samples");

#[tokio::test]
async fn every_sample_for_a_trial_and_for_real() {
    let plane = plane().await;
    namespace("samples").await;
    let mut count = 0;
    for directory in [SAMPLES.to_owned(), format!("{SAMPLES}/features")] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let file = path.to_str().unwrap();
            for more in [&["--dry-run=server"][..], &[]] {
                let args = [&["apply", "--validate=strict", "-n", "samples", "-f", file], more].concat();
                plane.kubectl_ok(&args).await.unwrap();
            }
            count += 1;
        }
    }
    assert!(count >= 10, "{count} samples");
}

async fn assert_accepted(patches: &[Value]) {
    let client = client().await;
    for patch in patches {
        if let Err(refusal) = try_create(&client, &spec_with(patch)).await {
            panic!("{patch} is refused: {refusal}");
        }
    }
}

#[tokio::test]
async fn names_at_the_edge() {
    let label = format!("{}.example.com", "a".repeat(63));
    let long_last = format!("a.{}", "b".repeat(63));
    let domains = [
        "a.b",
        "1.a",
        "a-b.c-d.ef",
        "xn--bcher-kva.example",
        "mail.xn--p1ai",
        "xn--80akhbyknj4f.xn--p1ai",
        "a--b.example.com",
        "0.0.0.0a",
        "123.example",
        "mail.example.c0m",
        &label,
        &long_last,
        &domain_of_length(209),
    ];
    assert_accepted(&domains.map(|domain| json!({ "domain": domain }))).await;
    assert_accepted(&[
        json!({ "domain": domain_of_length(209), "mailFrom": { "subdomain": "a".repeat(43) } }),
        json!({ "domain": domain_of_length(189), "mailFrom": { "subdomain": "a".repeat(63) } }),
        json!({ "mailFrom": { "subdomain": "x" } }),
        json!({ "mailFrom": { "subdomain": "xn--bcher-kva" } }),
    ])
    .await;
}

#[tokio::test]
async fn durations_at_the_edge() {
    let timeouts = ["72h", "1h", "60m", "3600s", "259200s", "36h30m", "71h59m60s", "1h0m0s", "1m3540s", "4320m"];
    assert_accepted(&timeouts.map(|timeout| json!({ "verificationTimeout": timeout }))).await;
}

#[tokio::test]
async fn everything_of_ses_at_the_edge() {
    let tags: Value = (0..40).map(|i| (format!("tag{i}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let odd = json!({ "team": "", "Gerät": "größe 東京", "a b_.:/=+-@9": "a b_.:/=+-@9", "aws": "x", "k".repeat(128): "v".repeat(256) });
    assert_accepted(&[json!({ "ses": {} }), json!({ "ses": { "tags": tags } }), json!({ "ses": { "tags": odd } })])
        .await;
    let regions = [
        "us-east-1",
        "eu-west-3",
        "ap-southeast-5",
        "us-gov-west-1",
        "cn-northwest-1",
        "us-iso-east-1",
        "mx-central-1",
        "eusc-de-east-1",
    ];
    assert_accepted(&regions.map(|region| json!({ "ses": { "region": region } }))).await;
    let roles = [
        "arn:aws:iam::123456789012:role/ses",
        "arn:aws-us-gov:iam::123456789012:role/a/b/c+=,.@_-",
        "arn:aws-cn:iam::000000000000:role/x",
    ];
    assert_accepted(&roles.map(|role| json!({ "ses": { "roleArn": role } }))).await;
    assert_accepted(&[
        json!({ "ses": { "configurationSet": "A-z_9".repeat(12) } }),
        json!({ "ses": { "dkimKeyLength": "RSA1024", "adoptionPolicy": "Adopt" } }),
    ])
    .await;
}

#[tokio::test]
async fn providers_and_dmarc_at_the_edge() {
    let labels: Value =
        (0..16).map(|i| (format!("example.com/label{i}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let uris = [
        "mailto:dmarc@example.com",
        "mailto:o'brien+dmarc@a.b.example.co.uk!10m",
        "mailto:a%2Cb@example.com!99",
        "mailto:D@EXAMPLE.COM",
    ];
    assert_accepted(&[
        json!({ "dns": {} }),
        json!({ "dns": { "externalDNS": {} } }),
        json!({ "dns": { "externalDNS": { "recordTTLSeconds": 1, "labels": labels } } }),
        json!({ "dns": { "externalDNS": { "recordTTLSeconds": 86400, "labels": { "a": "" } } } }),
        json!({ "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "a".repeat(253) }, "zoneID": "0123456789abcdef".repeat(2) } } }),
        json!({ "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "a.b-c", "key": "._-" }, "conflictPolicy": "Overwrite" } } }),
        json!({ "dmarc": {} }),
        json!({ "dmarc": { "policy": "reject", "aggregateReports": uris, "failureReports": vec![uris[0]; 10] } }),
    ])
    .await;
}
