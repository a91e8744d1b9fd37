//! Waiting, and how it ends.

use std::time::{Duration, Instant};

use serde_json::json;
use testbed::world::object;

use crate::rig::{NAME, Rig};

#[tokio::test]
async fn it_ends_when_the_condition_holds_or_the_time_is_over() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    let late = rig.run(&["wait", NAME, "--timeout", "1s"]).await.with(7);
    assert!(late.contains("mail is not Ready after 1s: Pending, records 0/5, WaitingForDNS"), "{late}");
    // Begun before it can hold.
    let mut waiting = rig.command();
    waiting.args(["wait", NAME, "--timeout", "1m", "-n", &rig.namespace]);
    let publish = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.world.publish(&pending).unwrap();
    };
    let (output, ()) = tokio::join!(waiting.output(), publish);
    let ready = crate::rig::Ran::from(output.unwrap());
    assert!(ready.err.contains("WaitingForDNS"), "progress: {}", ready.err);
    assert!(ready.ok().starts_with("mail is Ready: Verified, records 5/5"));
    let began = Instant::now();
    rig.run(&["wait", NAME, "--for", "condition=DKIMVerified"]).await.ok();
    assert!(began.elapsed() < Duration::from_secs(10), "it holds already");
    rig.finish().await;
}

#[tokio::test]
async fn it_does_not_wait_for_what_only_a_person_can_mend() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(crate::rig::ZONE);
    rig.world.create_secret(&rig.namespace, "cloudflare", "api-token", " ").await.unwrap();
    rig.world.create(&rig.namespace, &object::cloudflare(NAME, crate::rig::DOMAIN, "cloudflare")).await.unwrap();
    let stalled = rig.run(&["wait", NAME, "--timeout", "50s"]).await.with(6);
    assert!(stalled.contains("mail is Stalled: SecretInvalid"), "{stalled}");
    let absent = rig.run(&["wait", "absent"]).await.with(1);
    assert!(absent.contains("there is no SendingDomain absent"), "{absent}");
    // A person can only resume it.
    rig.world.patch(&rig.namespace, NAME, &json!({"spec": {"suspend": true}})).await.unwrap();
    let suspended = rig.run(&["wait", NAME, "--timeout", "50s"]).await.with(1);
    assert!(suspended.contains("mail is suspended: nothing is looked at"), "{suspended}");
    rig.finish().await;
}

#[tokio::test]
async fn it_ends_when_the_object_goes() {
    let rig = Rig::start().await;
    rig.pending().await;
    let mut waiting = rig.command();
    waiting.args(["wait", NAME, "--timeout", "50s", "-n", &rig.namespace]);
    let delete = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        rig.world.delete(&rig.namespace, NAME).await.unwrap();
    };
    let (output, ()) = tokio::join!(waiting.output(), delete);
    assert!(crate::rig::Ran::from(output.unwrap()).with(1).contains("was deleted"));
    rig.finish().await;
}

#[tokio::test]
async fn what_held_before_a_recreation_does_not_count() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    rig.world.publish(&pending).unwrap();
    rig.run(&["wait", NAME]).await.ok();
    // The new records are nowhere, so that it cannot become Ready again.
    rig.run(&["recreate", NAME, "--yes"]).await.ok();
    let late = rig.run(&["wait", NAME, "--timeout", "3s"]).await.with(7);
    assert!(late.contains("mail is not Ready after 3s"), "{late}");
    rig.finish().await;
}
