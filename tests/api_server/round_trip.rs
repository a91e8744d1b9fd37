//! What the Rust types write comes back from the API server as it was: the schema prunes nothing and changes nothing.

use std::collections::BTreeMap;

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sending_domain_operator::api::v1alpha1::*;
use serde_json::json;

use crate::plane::{client, namespace};

const CASES: u32 = 200;

fn ses() -> impl Strategy<Value = SesSpec> {
    let tags = btree_map("[a-z][A-Za-z0-9 _.:/=+@-]{0,20}", "[A-Za-z0-9 _.:/=+@-]{0,40}".prop_map(TagValue), 0..5);
    let tags =
        tags.prop_map(|tags| tags.into_iter().filter(|(key, _)| !key.to_lowercase().starts_with("aws:")).collect());
    (
        option::of(prop_oneof![Just("us-east-1"), Just("eu-west-1"), Just("us-gov-west-1")]),
        option::of("arn:aws:iam::[0-9]{12}:role/[a-zA-Z/_-]{1,40}"),
        option::of("[A-Za-z0-9_-]{1,64}"),
        tags,
        option::of(prop_oneof![Just(DkimKeyLength::Rsa1024), Just(DkimKeyLength::Rsa2048)]),
        prop_oneof![Just(AdoptionPolicy::Never), Just(AdoptionPolicy::Adopt)],
    )
        .prop_map(|(region, role_arn, configuration_set, tags, dkim_key_length, adoption_policy)| SesSpec {
            region: region.map(str::to_owned),
            role_arn,
            configuration_set,
            tags,
            dkim_key_length,
            adoption_policy,
        })
}

fn mail_from() -> impl Strategy<Value = MailFromSpec> {
    let failure = prop_oneof![Just(OnMxFailure::UseDefaultValue), Just(OnMxFailure::RejectMessage)];
    ("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", failure)
        .prop_map(|(subdomain, on_mx_failure)| MailFromSpec { subdomain, on_mx_failure })
}

fn dmarc() -> impl Strategy<Value = DmarcSpec> {
    let policy = || prop_oneof![Just(DmarcPolicy::None), Just(DmarcPolicy::Quarantine), Just(DmarcPolicy::Reject)];
    let alignment = || prop_oneof![Just(DmarcAlignment::Relaxed), Just(DmarcAlignment::Strict)];
    let reports =
        || vec("mailto:[a-z0-9._%+'-]{1,20}@[a-z]{1,10}[.]example(![0-9]{1,3}[kmgt])?".prop_map(MailtoUri), 0..=10);
    (policy(), option::of(policy()), reports(), reports(), alignment(), alignment()).prop_map(
        |(policy, subdomain_policy, aggregate_reports, failure_reports, dkim_alignment, spf_alignment)| DmarcSpec {
            policy,
            subdomain_policy,
            aggregate_reports,
            failure_reports,
            dkim_alignment,
            spf_alignment,
        },
    )
}

fn dns() -> impl Strategy<Value = DnsSpec> {
    let policy = prop_oneof![Just(ConflictPolicy::Fail), Just(ConflictPolicy::Overwrite)];
    let cloudflare = ("[a-z]([a-z0-9-]{0,20}[a-z0-9])?", "[-._a-zA-Z0-9]{1,20}", option::of("[0-9a-f]{32}"), policy)
        .prop_map(|(name, key, zone_id, conflict_policy)| DnsSpec {
            cloudflare: Some(CloudflareSpec {
                api_token_secret_ref: SecretKeyRef { name, key },
                zone_id,
                conflict_policy,
            }),
            external_dns: None,
        });
    let labels = btree_map("([a-z]{1,9}[.]example/)?[A-Za-z0-9]{1,20}", "[A-Za-z0-9]{0,20}".prop_map(LabelValue), 0..5);
    let external = (labels, option::of(1..=86400)).prop_map(|(labels, record_ttl_seconds)| DnsSpec {
        cloudflare: None,
        external_dns: Some(ExternalDnsSpec { labels, record_ttl_seconds }),
    });
    prop_oneof![Just(DnsSpec::default()), cloudflare, external]
}

fn spec() -> impl Strategy<Value = SendingDomainSpec> {
    let deletion = prop_oneof![Just(DeletionPolicy::Delete), Just(DeletionPolicy::Retain)];
    let timeout = prop_oneof!["([1-9]|[1-6][0-9]|70)h([0-5]?[0-9]m)?([0-5]?[0-9]s)?", Just("72h".to_owned())];
    let domain = "([a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?[.]){1,4}[a-z]([a-z0-9-]{0,10}[a-z0-9])?";
    (domain, ses(), mail_from(), option::of(dmarc()), option::of(dns()), timeout, deletion, any::<bool>()).prop_map(
        |(domain, ses, mail_from, dmarc, dns, verification_timeout, deletion_policy, suspend)| SendingDomainSpec {
            domain,
            ses,
            mail_from,
            dmarc,
            dns,
            verification_timeout,
            deletion_policy,
            suspend,
        },
    )
}

#[test]
fn any_spec_comes_back_equal() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api: Api<SendingDomain> = runtime.block_on(async {
        namespace("round-trip").await;
        Api::namespaced(client().await, "round-trip")
    });
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let outcome = TestRunner::new(config).run(&spec(), |spec| {
        runtime.block_on(async {
            let object = SendingDomain::new("any", spec.clone());
            let created = api.create(&PostParams::default(), &object).await;
            created.map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            let read = api.get("any").await.unwrap();
            api.delete("any", &DeleteParams::default()).await.unwrap();
            prop_assert_eq!(read.spec, spec);
            Ok(())
        })
    });
    outcome.unwrap();
}

/// A status with every field set, at the edge where there is one.
fn full_status() -> SendingDomainStatus {
    let text = |length: usize| Some("x".repeat(length));
    let record = json!({
        "purpose": "DMARC", "type": "TXT", "name": "n".repeat(253), "value": "v".repeat(4096), "priority": 65535, "required": false,
        "state": "Incorrect", "cause": "RecordProxied", "observed": vec!["ä".repeat(255); 5], "message": "m".repeat(1024),
    });
    let conditions: Vec<_> = ["Ready", "IdentityReady", "example.com/Other"]
        .iter()
        .map(|kind| {
            json!({ "type": kind, "status": "Unknown", "reason": "AWSUnavailable", "message": "ü".repeat(1000),
            "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 7 })
        })
        .collect();
    let full = json!({
        "observedGeneration": 7, "phase": "Failed", "recordsFound": "5/5", "conditions": conditions, "records": vec![record; 6],
        "dns": { "provider": "ExternalDNS", "zoneName": "example.com", "zoneID": text(64), "secretName": text(253), "secretKey": text(253) },
        "identity": {
            "region": "us-east-1", "origin": "Adopted", "dkimTokens": vec!["t".repeat(63); 3], "dkimSigningHostedZone": text(253),
            "verificationStatus": text(64), "dkimStatus": "A_NEW_VALUE", "mailFromStatus": "SUCCESS", "error": "HOST_NOT_FOUND",
            "mailFromDomain": text(253), "sendingEnabled": false,
        },
        "verification": { "startedAt": "2026-01-02T03:04:05Z", "deadline": "2026-01-05T03:04:05Z", "verifiedAt": "2026-01-02T04:00:00Z", "rearms": 3 },
        "recommendations": [{ "code": "UseSubdomain", "message": "m".repeat(1024) }], "lastHandledReconcileAt": text(256),
    });
    serde_json::from_value(full).unwrap()
}

#[tokio::test]
async fn any_status_comes_back_equal() {
    namespace("round-trip-status").await;
    let api: Api<SendingDomain> = Api::namespaced(client().await, "round-trip-status");
    let spec = serde_json::from_value(json!({ "domain": "mail.example.com" })).unwrap();
    api.create(&PostParams::default(), &SendingDomain::new("any", spec)).await.unwrap();
    for status in [full_status(), SendingDomainStatus { observed_generation: 1, ..SendingDomainStatus::default() }] {
        let patch = json!({ "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain", "status": status });
        let params = PatchParams::apply("round-trip").force();
        api.patch_status("any", &params, &Patch::Apply(&patch)).await.unwrap();
        assert_eq!(api.get("any").await.unwrap().status, Some(status));
    }
}

#[tokio::test]
async fn two_managers_of_conditions_do_not_harm_each_other() {
    namespace("managers").await;
    let api: Api<SendingDomain> = Api::namespaced(client().await, "managers");
    let spec = serde_json::from_value(json!({ "domain": "mail.example.com" })).unwrap();
    api.create(&PostParams::default(), &SendingDomain::new("shared", spec)).await.unwrap();
    let apply = |manager: &'static str, kinds: Vec<&'static str>| {
        let conditions: Vec<_> = kinds
            .iter()
            .map(|kind| json!({ "type": kind, "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }))
            .collect();
        let patch = json!({ "apiVersion": "sendingdomain.dev/v1alpha1", "kind": "SendingDomain", "status": { "conditions": conditions } });
        let api = api.clone();
        async move {
            let object = api.patch_status("shared", &PatchParams::apply(manager), &Patch::Apply(&patch)).await.unwrap();
            let conditions = object.status.unwrap().conditions.into_iter();
            conditions.map(|c| (c.type_, c.status)).collect::<BTreeMap<_, _>>().into_keys().collect::<Vec<_>>()
        }
    };
    assert_eq!(apply("alice", vec!["Ready"]).await, ["Ready"]);
    assert_eq!(apply("bob", vec!["Audited"]).await, ["Audited", "Ready"]);
    assert_eq!(apply("alice", vec![]).await, ["Audited"]);
}
