//! The admission policies that ship with the operator, on a control plane of their own: here they hold for everybody.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sending_domain_operator::plan::claims::{ALLOWED_DOMAINS, ALLOWED_ROLE_ARNS, not_allowed};
use serde_json::{Value, json};
use testbed::control_plane::{ControlPlane, Options};
use tokio::sync::OnceCell;

use crate::plane::{CRD, assert_says, object};

const POLICIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/admission");
const ROLE: &str = "arn:aws:iam::123456789012:role/ses";

async fn plane() -> &'static ControlPlane {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    PLANE
        .get_or_init(|| async {
            let plane = ControlPlane::start(Options::default()).await.unwrap();
            plane.apply_yaml(CRD).await.unwrap();
            let established = ["wait", "--for=condition=Established", "crd/sendingdomains.sendingdomain.dev"];
            plane.kubectl_ok(&established).await.unwrap();
            plane.kubectl_ok(&["apply", "--server-side", "-k", POLICIES]).await.unwrap();
            // The API server compiles a policy some seconds after it is stored.
            let started = Instant::now();
            loop {
                let told = create(&plane, "default", &json!({ "domain": "example.com" })).await;
                if told.as_ref().is_err_and(|refusal| refusal.contains("may not claim") && refusal.contains("Warning"))
                {
                    break;
                }
                assert!(started.elapsed() < Duration::from_mins(1), "the policies do not hold: {told:?}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            plane
        })
        .await
}

/// Makes a namespace with these annotations.
async fn namespace(plane: &ControlPlane, name: &str, annotations: &Value) {
    let manifest = json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "annotations": annotations } });
    plane.apply_yaml(&manifest.to_string()).await.unwrap();
}

/// What kubectl says to the trial of a creation: everything if refused, else the warnings.
async fn create(plane: &ControlPlane, namespace: &str, spec: &Value) -> Result<String, String> {
    let body = object("tried", spec).to_string();
    let args = ["create", "--dry-run=server", "-n", namespace, "-f", "-"];
    let output = plane.kubectl_as(plane.admin_kubeconfig(), &args, Some(&body)).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

fn spec(domain: &str, role: Option<&str>) -> Value {
    match role {
        Some(role) => json!({ "domain": domain, "ses": { "roleArn": role } }),
        None => json!({ "domain": domain }),
    }
}

/// What a namespace may be allowed, and what its objects may then want.
const LISTS: [(&str, &str); 9] = [
    ("", ""),
    ("example.com", ROLE),
    ("Example.COM.", ""),
    (
        "a.example.com, b.example.com\tc.example.com\n",
        "arn:aws:iam::123456789012:role/other, arn:aws:iam::123456789012:role/ses",
    ),
    ("a.example.com,,  ,b.example.com", "arn:aws:iam::123456789012:role/ses-two"),
    (".example.com", ""),
    (".", ""),
    ("*.example.com example.com..", ROLE),
    ("example.com\u{a0}example.org", "ARN:AWS:IAM::123456789012:ROLE/SES"),
];
const DOMAINS: [&str; 7] = [
    "example.com",
    "mail.example.com",
    "notexample.com",
    "a.example.com",
    "x.b.example.com",
    "c.example.com",
    "example.org",
];

#[tokio::test]
async fn c3_the_policy_and_the_operator_agree_on_every_claim() {
    let plane = plane().await;
    let (mut allowed, mut refused) = (0, 0);
    for (number, (domains, roles)) in LISTS.iter().enumerate() {
        let name = format!("claims-{number}");
        let annotations: BTreeMap<String, String> = [(ALLOWED_DOMAINS, domains), (ALLOWED_ROLE_ARNS, roles)]
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(key, list)| (key.to_owned(), (*list).to_owned()))
            .collect();
        namespace(plane, &name, &json!(annotations)).await;
        for domain in DOMAINS {
            // One role for each domain is enough, and none must be as good as one that is allowed.
            for role in [None, Some(ROLE)] {
                let spec = spec(domain, role);
                let ours = not_allowed(&annotations, &serde_json::from_value(spec.clone()).unwrap());
                let theirs = create(plane, &name, &spec).await;
                match (&ours, &theirs) {
                    (None, Ok(_)) => allowed += 1,
                    (Some(message), Err(refusal)) => {
                        assert_says(refusal, &[message]);
                        refused += 1;
                    }
                    _ => panic!("{domains:?} {roles:?} {spec}: the operator says {ours:?}, the policy {theirs:?}"),
                }
            }
        }
    }
    assert!(allowed > 10 && refused > 60, "{allowed} allowed, {refused} refused");
}

#[tokio::test]
async fn c3_what_is_withdrawn_later_can_still_be_edited_and_deleted() {
    let plane = plane().await;
    namespace(plane, "withdrawn", &json!({ ALLOWED_DOMAINS: "mail.example.com" })).await;
    let mut manifest = object("kept", &json!({ "domain": "mail.example.com" }));
    manifest["metadata"]["finalizers"] = json!(["sendingdomain.dev/cleanup"]);
    manifest["metadata"]["namespace"] = json!("withdrawn");
    plane.apply_yaml(&manifest.to_string()).await.unwrap();
    let withdraw = format!("{ALLOWED_DOMAINS}-");
    plane.kubectl_ok(&["annotate", "namespace", "withdrawn", &withdraw]).await.unwrap();
    let started = Instant::now();
    while create(plane, "withdrawn", &json!({ "domain": "mail.example.com" })).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(30), "still allowed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let patch = |patch: &'static str| ["patch", "sdom", "kept", "-n", "withdrawn", "--type=merge", "-p", patch];
    plane.kubectl_ok(&patch(r#"{"spec":{"suspend":true}}"#)).await.unwrap();
    plane.kubectl_ok(&["delete", "sdom", "kept", "-n", "withdrawn", "--wait=false"]).await.unwrap();
    plane.kubectl_ok(&patch(r#"{"metadata":{"finalizers":null}}"#)).await.unwrap();
    let left = plane.kubectl_ok(&["get", "sdom", "-n", "withdrawn", "-o", "name"]).await.unwrap();
    assert_eq!(left, "");
}

#[tokio::test]
async fn c3_another_role_of_the_account_is_another_claim() {
    let plane = plane().await;
    namespace(plane, "roles", &json!({ ALLOWED_DOMAINS: "example.com", ALLOWED_ROLE_ARNS: ROLE })).await;
    let mut manifest = object("role", &spec("mail.example.com", Some(ROLE)));
    manifest["metadata"]["namespace"] = json!("roles");
    plane.apply_yaml(&manifest.to_string()).await.unwrap();
    manifest["spec"]["ses"]["roleArn"] = json!("arn:aws:iam::123456789012:role/admin");
    let refusal = plane.apply_yaml(&manifest.to_string()).await.unwrap_err().to_string();
    assert_says(
        &refusal,
        &["This namespace may not use the role arn:aws:iam::123456789012:role/admin", ALLOWED_ROLE_ARNS],
    );
}

#[tokio::test]
async fn a_root_domain_is_advised_against_and_not_refused() {
    let plane = plane().await;
    namespace(plane, "roots", &json!({ ALLOWED_DOMAINS: "com org uk jp" })).await;
    for domain in ["example.com", "example.org", "example.co.uk", "example.or.jp"] {
        let warned = create(plane, "roots", &json!({ "domain": domain })).await.unwrap();
        assert_says(
            &warned,
            &[
                "Warning:",
                "root-domain.sendingdomain.dev",
                &format!("{domain} is a root domain: mail from a subdomain such as mail.{domain}"),
            ],
        );
    }
    for domain in ["mail.example.com", "mail.example.co.uk", "a.co.org"] {
        assert_eq!(create(plane, "roots", &json!({ "domain": domain })).await.unwrap(), "", "{domain}");
    }
}
