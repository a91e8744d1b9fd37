//! Identities that are at SES already become objects that adopt them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::Value;
use testbed::ses::{Failure, Operation};
use testbed::world::object;
use tokio::io::AsyncBufReadExt;

use crate::rig::{DOMAIN, Rig, text};

const REGION: &str = "eu-west-1";

#[tokio::test]
async fn what_is_imported_is_adopted_once_the_command_above_it_was_run() {
    let rig = Rig::start().await;
    let ses = rig.world.ses().region(REGION);
    ses.put_foreign_identity(DOMAIN, &BTreeMap::new(), true).unwrap();
    ses.put_foreign_identity("other.example.org", &BTreeMap::new(), true).unwrap();
    let managed = BTreeMap::from([("sendingdomain.dev/owner".to_owned(), "somebody".to_owned())]);
    ses.put_foreign_identity("managed.example.com", &managed, true).unwrap();
    rig.world.ses().reset_calls();
    let began = Instant::now();
    let owner = rig.operator.owner_id().to_owned();
    let printed =
        rig.run(&["import", "--region", REGION, "--contains", "example.com", "--owner-id", &owner]).await.ok();
    let calls: Vec<Operation> = rig.world.ses().calls().iter().map(|call| call.operation).collect();
    let reads = |operation: Operation| calls.iter().filter(|o| **o == operation).count();
    assert!(reads(Operation::GetEmailIdentity) >= 2 && reads(Operation::ListEmailIdentities) >= 1, "{calls:?}");
    assert!(began.elapsed().as_secs() >= 2, "three requests to SES take two seconds");
    for write in [Operation::TagResource, Operation::PutEmailIdentityMailFromAttributes, Operation::CreateEmailIdentity]
    {
        assert_eq!(reads(write), 0, "{calls:?}");
    }
    assert!(
        printed.contains("# managed.example.com (eu-west-1): left out, an operator manages it already"),
        "{printed}"
    );
    assert!(!printed.contains("other.example.org"), "{printed}");

    let documents: Vec<Value> = serde_yaml::Deserializer::from_str(&printed)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect();
    assert_eq!(documents.len(), 1, "{printed}");
    let manifest = &documents[0];
    assert_eq!(text(&manifest["spec"]["ses"], "adoptionPolicy"), "Adopt");
    assert_eq!(text(&manifest["metadata"], "namespace"), rig.namespace);
    rig.world.control_plane().apply_yaml(&printed).await.unwrap();
    let name = text(&manifest["metadata"], "name").to_owned();
    let until = async |what: &str, holds: fn(&Value) -> bool| {
        rig.world
            .wait_for(&rig.namespace, &name, what, holds, crate::rig::LIMIT)
            .await
            .unwrap_or_else(|e| panic!("{e}"))
    };
    until("not yet adoptable", |o| object::reason(o, "Ready") == "IdentityNotOwned").await;

    // The tag of the printed command, as the AWS CLI would set it.
    let tag = printed.split("--tags ").nth(1).unwrap().lines().next().unwrap();
    let (key, value) = tag.split_once(',').unwrap();
    let (key, value) = (key.strip_prefix("Key=").unwrap(), value.strip_prefix("Value=").unwrap());
    assert_eq!((key, value), ("sendingdomain.dev/adoptable-by", &*format!("{owner}/{}", rig.namespace)));
    assert!(printed.contains(&format!("--resource-arn arn:aws:ses:{REGION}:")), "{printed}");
    ses.set_tags(DOMAIN, &BTreeMap::from([(key.to_owned(), value.to_owned())]));
    rig.run(&["reconcile", &name]).await.ok();
    until("adopted", |o| o["status"]["identity"]["origin"] == "Adopted").await;
    rig.finish().await;
}

#[tokio::test]
async fn an_identity_that_cannot_be_read_loses_none_of_the_others() {
    let rig = Rig::start().await;
    let ses = rig.world.ses().region(REGION);
    for domain in ["a.example.com", "b.example.com"] {
        ses.put_foreign_identity(domain, &BTreeMap::new(), true).unwrap();
    }
    let denied = Failure::code(403, "AccessDeniedException", "No.");
    rig.world.ses().fail_next_for(Operation::GetEmailIdentity, 1, denied);
    let ran = rig.run(&["import", "--region", REGION]).await;
    assert!(ran.out.contains("domain: b.example.com") && !ran.out.contains("a.example.com"), "{}", ran.out);
    assert!(ran.err.contains("tells its owner id: it is taken to be"), "{}", ran.err);
    let told = ran.with(1);
    assert!(
        told.contains("not read: a.example.com (eu-west-1): AWS denies ses:GetEmailIdentity to your credentials\n"),
        "{told}"
    );
    assert!(told.contains("error: not all identities were read"), "{told}");
    // Nor does a region that cannot be listed.
    let refused = Failure::code(403, "AccessDeniedException", "No.");
    rig.world.ses().fail_next_for(Operation::ListEmailIdentities, 1, refused);
    let ran = rig.run(&["import", "--region", "us-east-1,eu-west-1"]).await;
    assert!(ran.out.contains("domain: a.example.com") && ran.out.contains("domain: b.example.com"), "{}", ran.out);
    assert!(ran.with(1).contains("not read: all of us-east-1: AWS denies ses:ListEmailIdentities"));
    // And whoever ends it before its end has what was read until then.
    let mut command = rig.command();
    command.args(["import", "--region", REGION, "-n", &rig.namespace]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("a manifest").contains("domain: a.example.com") {}
    assert!(child.try_wait().unwrap().is_none(), "the second identity is read a second later");
    rig.finish().await;
}

#[tokio::test]
async fn without_rights_at_aws_it_says_which() {
    let rig = Rig::start().await;
    rig.world.ses().deny(Operation::ListEmailIdentities);
    let denied = rig.run(&["import"]).await.with(1);
    assert!(denied.contains("AWS denies ses:ListEmailIdentities to your credentials"), "{denied}");
    let mut plain = rig.command();
    let refused = plain.args(["import"]).env("AWS_ENDPOINT_URL", "http://ses.example.com").output().await.unwrap();
    assert!(crate::rig::Ran::from(refused).with(1).contains("AWS_ENDPOINT_URL must be an https URL"));
    rig.finish().await;
}
