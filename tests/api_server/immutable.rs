//! What may not change on a live object, by every way of changing it.

use serde_json::{Value, json};

use crate::plane::{assert_says, namespace, object, plane, spec_with};

const DOMAIN: &[&str] = &["spec.domain is immutable", "create another SendingDomain"];
const REGION: &[&str] = &["spec.ses.region is immutable", "may not be added or removed later"];
const ROLE: &[&str] = &["spec.ses.roleArn may only change within one AWS account", "may not be added or removed later"];

/// The ways of a user to write an object; the first creates it too.
const WAYS: [&[&str]; 4] = [
    &["apply"],
    &["apply", "--server-side"],
    &["replace"],
    // kubectl turns the manifest into a JSON patch of the whole spec.
    &["patch", "--type=json"],
];

fn role(account: u64, name: &str) -> String {
    format!("arn:aws:iam::{account:012}:role/{name}")
}

/// Writes an object of the namespace in one of the ways.
async fn write(way: &[&str], namespace: &str, name: &str, spec: &Value) -> Result<(), String> {
    let plane = plane().await;
    let body = object(name, spec).to_string();
    let patch = json!([{ "op": "replace", "path": "/spec", "value": spec }]).to_string();
    let mut args = way.to_vec();
    args.extend(["-n", namespace]);
    let input = if way[0] == "patch" {
        args.extend(["sendingdomain", name, "-p", &patch]);
        None
    } else {
        args.extend(["-f", "-"]);
        Some(body.as_str())
    };
    let output = plane.kubectl_as(plane.admin_kubeconfig(), &args, input).await.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Tries one change in every way, each on an object of its own.
async fn change(namespace: &str, case: usize, before: &Value, after: &Value) -> Vec<Result<(), String>> {
    let mut outcomes = Vec::new();
    for (number, way) in WAYS.iter().enumerate() {
        let name = format!("case-{case}-{number}");
        let creation = if way.contains(&"--server-side") { way } else { WAYS[0] };
        write(creation, namespace, &name, &spec_with(before)).await.unwrap();
        outcomes.push(write(way, namespace, &name, &spec_with(after)).await);
    }
    outcomes
}

#[tokio::test]
async fn a3_what_makes_the_identity_stays() {
    namespace("immutable").await;
    let ses = |field: &str, value: &str| json!({ "ses": { field: value } });
    let cases = [
        (json!({}), json!({ "domain": "other.example.com" }), DOMAIN),
        (ses("region", "us-east-1"), ses("region", "eu-west-1"), REGION),
        (json!({}), ses("region", "us-east-1"), REGION),
        (ses("region", "us-east-1"), json!({ "ses": { "adoptionPolicy": "Never" } }), REGION),
        (ses("region", "us-east-1"), json!({}), REGION),
        (ses("roleArn", &role(1, "a")), ses("roleArn", &role(2, "a")), ROLE),
        (json!({}), ses("roleArn", &role(1, "a")), ROLE),
        (ses("roleArn", &role(1, "a")), json!({}), ROLE),
    ];
    for (number, (before, after, words)) in cases.iter().enumerate() {
        for outcome in change("immutable", number, before, after).await {
            assert_says(&outcome.expect_err(&format!("{before} became {after}")), words);
        }
    }
}

#[tokio::test]
async fn the_rest_may_change() {
    namespace("mutable").await;
    let cloudflare = json!({ "dns": { "cloudflare": { "apiTokenSecretRef": { "name": "a" } } } });
    let cases = [
        (json!({ "ses": { "roleArn": role(1, "a") } }), json!({ "ses": { "roleArn": role(1, "path/b") } })),
        (json!({}), json!({ "mailFrom": { "subdomain": "return" } })),
        (json!({}), cloudflare.clone()),
        (cloudflare, json!({})),
        (
            json!({ "ses": { "tags": { "a": "b" }, "dkimKeyLength": "RSA1024" } }),
            json!({ "suspend": true, "deletionPolicy": "Retain" }),
        ),
    ];
    for (number, (before, after)) in cases.iter().enumerate() {
        for outcome in change("mutable", number, before, after).await {
            assert_eq!(outcome, Ok(()), "{before} to {after}");
        }
    }
}

#[tokio::test]
async fn a_write_of_status_does_not_change_the_spec() {
    namespace("status-writes").await;
    write(WAYS[0], "status-writes", "kept", &spec_with(&json!({}))).await.unwrap();
    let patch = json!({ "spec": { "domain": "other.example.com" }, "status": { "phase": "Pending" } }).to_string();
    let args = ["patch", "sdom", "kept", "-n", "status-writes", "--subresource=status", "--type=merge", "-p", &patch];
    plane().await.kubectl_ok(&args).await.unwrap();
    let domain = ["get", "sdom", "kept", "-n", "status-writes", "-o", "jsonpath={.spec.domain} {.status.phase}"];
    assert_eq!(plane().await.kubectl_ok(&domain).await.unwrap(), "mail.example.com Pending");
}
