//! Odd objects: very long names, edits without end, names that meet.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, Rig, SECRET, ZONE, text};

const RECONCILE_AT: &str = "sendingdomain.dev/reconcile-at";

#[tokio::test]
async fn a8_a_name_of_253_characters_works() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let name = "n".repeat(253);
    rig.create(&object::cloudflare(&name, DOMAIN, SECRET)).await;
    rig.until_named(&name, "Ready", object::is_ready).await;
    rig.expect_event("Normal", "Verified").await;
    assert_eq!(rig.ours().len(), 5);
    assert!(rig.ours().values().all(|record| text(record, "comment").len() <= 100));
    assert!(rig.identity().unwrap().tags.values().all(|value| value.len() <= 256));
    rig.world.delete_and_wait(&rig.namespace, &name, LIMIT).await.unwrap();
    assert!(rig.identity().is_none() && rig.ours().is_empty());
    rig.finish().await;
}

#[tokio::test]
async fn a11_a13_g2_edits_without_end_lead_to_the_newest() {
    let rig = Rig::start().await;
    rig.apply_cloudflare().await;
    for number in 0..100 {
        let patch = json!({
            "metadata": { "annotations": { RECONCILE_AT: format!("request {number}") }, "labels": { "n": number.to_string() } },
            "spec": { "mailFrom": { "subdomain": format!("bounce-{}", number / 25) } },
        });
        rig.patch(&patch).await;
    }
    let is_newest = |o: &Value| {
        object::is_ready(o)
            && o["status"]["lastHandledReconcileAt"] == "request 99"
            && o["status"]["identity"]["mailFromDomain"] == "bounce-3.mail.example.com"
    };
    let newest = rig.until("the newest", is_newest).await;
    let names: Vec<String> = object::records(&newest).iter().map(|record| text(record, "name")).collect();
    let of_it = |name: &String| name.contains("_domainkey") || name == "bounce-3.mail.example.com";
    assert!(names.iter().all(of_it), "{names:?}");
    let started = std::time::Instant::now();
    while rig.ours().len() != 5 {
        assert!(started.elapsed() < LIMIT, "records of older versions stay: {:?}", rig.ours().keys());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let writes = rig.kubernetes_writes();
    assert!(writes.len() < 60, "one write for each edit: {writes:?}");
    let log = rig.operator.log();
    assert!(!log.contains("the pass failed"), "conflicts are routine");
    rig.finish().await;
}

/// Creation times have seconds; of two in one second the uid decides.
async fn later() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn a6_parent_and_child_get_along_and_a_mail_from_name_belongs_to_one() {
    let rig = Rig::start().await;
    rig.verified_cloudflare().await;
    rig.create(&object::cloudflare("parent", ZONE, SECRET)).await;
    rig.create(&object::cloudflare("elder", "bounce.news.example.com", SECRET)).await;
    for name in ["parent", "elder"] {
        rig.until_named(name, "Ready", object::is_ready).await;
    }
    assert_eq!(rig.ours().len(), 15);
    later().await;
    rig.reset_calls();
    // The domain of one is the MAIL FROM name of another, in both directions.
    rig.create(&object::cloudflare("child", "bounce.mail.example.com", SECRET)).await;
    rig.create(&object::cloudflare("news", "news.example.com", SECRET)).await;
    let is_refused = |o: &Value| object::reason(o, "Ready") == "MailFromConflict";
    for name in ["child", "news"] {
        let refused = rig.until_named(name, "MailFromConflict", is_refused).await;
        assert_eq!(object::condition_status(&refused, "Stalled"), "True");
        assert!(refused["status"]["identity"].is_null() && object::records(&refused).is_empty());
    }
    assert_eq!(rig.outside_writes(), [""; 0]);
    let other = json!({ "spec": { "mailFrom": { "subdomain": "return" } } });
    rig.world.patch(&rig.namespace, "news", &other).await.unwrap();
    rig.until_named("news", "Ready", object::is_ready).await;
    assert!(object::is_ready(&rig.world.get(&rig.namespace, NAME).await.unwrap().unwrap()));
    // Nor does one that has its identity take the domain of another for its MAIL FROM later.
    later().await;
    rig.reset_calls();
    let taken = json!({ "spec": { "mailFrom": { "subdomain": "mail" } } });
    rig.world.patch(&rig.namespace, "parent", &taken).await.unwrap();
    let refused = rig.until_named("parent", "MailFromConflict", is_refused).await;
    assert_eq!(object::records(&refused).len(), 5, "its own records stay");
    later().await;
    assert_eq!(rig.outside_writes(), [""; 0]);
    let own = json!({ "spec": { "mailFrom": { "subdomain": "bounce" } } });
    rig.world.patch(&rig.namespace, "parent", &own).await.unwrap();
    rig.until_named("parent", "Ready", object::is_ready).await;
    rig.finish().await;
}
