//! A look at DNS from where the user sits: what it finds, and how it ends.

use hickory_proto::rr::RecordType;
use serde_json::Value;
use testbed::dns::Fault;
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, ZONE, text};

fn of<'a>(records: &'a [Value], purpose: &str) -> &'a Value {
    records.iter().find(|record| record["purpose"] == purpose).unwrap()
}

#[tokio::test]
async fn it_ends_as_the_worst_record_is_and_names_the_cause() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    let dns = rig.world.dns();
    let bounce = format!("bounce.{DOMAIN}");
    assert!(rig.run_with_dns(&["check", NAME]).await.with(3).contains("NotPublished"));

    rig.world.publish(&pending).unwrap();
    let found = rig.run_with_dns(&["check", NAME]).await.ok();
    assert_eq!(found.matches("\nFound").count(), 5, "{found}");

    dns.set(&bounce, RecordType::MX, &["10 feedback-smtp.eu-west-1.amazonses.com"]).unwrap();
    let doubled = format!("{bounce}.{ZONE}");
    dns.remove(&bounce, RecordType::TXT).unwrap();
    dns.set(&doubled, RecordType::TXT, &["v=spf1 include:amazonses.com ~all"]).unwrap();
    let wrong = rig.run_with_dns(&["check", NAME, "-o", "json"]).await.with(4);
    let wrong: Vec<Value> = serde_json::from_str(&wrong).unwrap();
    assert_eq!(text(of(&wrong, "BounceMX"), "cause"), "WrongRegion");
    assert_eq!(text(of(&wrong, "SPF"), "cause"), "SuffixDoubled");
    assert!(text(of(&wrong, "SPF"), "message").contains(&doubled));

    rig.world.publish(&pending).unwrap();
    dns.set_fault("*", None, Fault::ServFail).unwrap();
    assert!(rig.run_with_dns(&["check", NAME]).await.with(5).contains("LookupFailed"));
    rig.finish().await;
}

#[tokio::test]
async fn it_needs_no_cluster_for_a_domain_and_its_tokens() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    let tokens: Vec<&str> =
        pending["status"]["identity"]["dkimTokens"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let tokens = tokens.join(",");
    let check = async |more: &[&str]| {
        let mut command = rig.command();
        // Neither a kubeconfig nor a place where one might be, and a region that is not meant.
        command.env_remove("KUBECONFIG").env("HOME", "/nonexistent").env("AWS_REGION", "eu-west-1");
        command.args(["check", "--domain", DOMAIN, "--tokens", &tokens, "-o", "json"]).args(rig.dns_flags()).args(more);
        let ran: crate::rig::Ran = command.output().await.unwrap().into();
        ran
    };
    let missing: Vec<Value> = serde_json::from_str(&check(&["--region", "us-east-1"]).await.with(3)).unwrap();
    let names = |records: &[Value]| {
        records.iter().map(|r| (text(r, "name").to_owned(), text(r, "value").to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(names(&missing), names(object::records(&pending)));
    rig.world.publish(&pending).unwrap();
    check(&["--region", "us-east-1"]).await.with(0);
    check(&["--region", "us-east-1", "--mail-from", "sp"]).await.with(3);
    let elsewhere = check(&[]).await.with(4);
    assert!(elsewhere.contains("WrongRegion"), "the region of the environment: {elsewhere}");
    let two = rig.command().args(["check", "--domain", DOMAIN, "--tokens", "a,b"]).output().await.unwrap();
    assert_eq!(two.status.code(), Some(2));
    rig.finish().await;
}
