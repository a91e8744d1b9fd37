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
    // Gone while somebody waits: suspended, so that it can only end by its deletion.
    rig.world.patch(&rig.namespace, NAME, &json!({"spec": {"suspend": true}})).await.unwrap();
    rig.world
        .wait_for(
            &rig.namespace,
            NAME,
            "suspended",
            |o| object::condition_status(o, "Stalled").is_empty(),
            crate::rig::LIMIT,
        )
        .await
        .unwrap();
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
