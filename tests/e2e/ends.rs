//! Ends of objects whose things are gone already, or cannot be reached.

use serde_json::json;
use testbed::cloudflare::{Failure, Perms, Scope};
use testbed::ses::{Failure as SesFailure, Operation};
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, REGION, Rig, SECRET, ZONE};

#[tokio::test]
async fn g9_what_is_gone_is_done_and_what_fails_for_a_while_is_tried_again() {
    let rig = Rig::with(|options| options.args = vec!["--cleanup-grace=4s".to_owned()]).await;
    rig.verified_cloudflare().await;
    rig.world.cloudflare_zone("other.example");
    rig.create(&object::cloudflare("other", "mail.other.example", SECRET)).await;
    rig.until_named("other", "Ready", object::is_ready).await;
    // Suspended, so that it is not mended before it is deleted.
    for name in [NAME, "other"] {
        rig.world.patch(&rig.namespace, name, &json!({ "spec": { "suspend": true } })).await.unwrap();
        rig.until_named(name, "suspended", object::is_current).await;
    }

    rig.world.ses().region(REGION).delete_identity(DOMAIN);
    rig.reset_calls();
    rig.world.ses().fail_next(2, SesFailure::Status(503));
    rig.world.cloudflare().fail_next(2, Failure::Status(500));
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.world.cloudflare().records(ZONE).is_empty());
    let calls = rig.world.ses().calls();
    assert!(calls.iter().all(|call| call.operation != Operation::CreateEmailIdentity), "it was made again");

    // A zone that is gone looks like one that the token no longer sees: it is waited for, and then named.
    rig.world.cloudflare().remove_zone("other.example");
    rig.world.delete(&rig.namespace, "other").await.unwrap();
    let is_blocked = |o: &serde_json::Value| object::reason(o, "Ready") == "CleanupBlocked";
    rig.until_named("other", "CleanupBlocked", is_blocked).await;
    rig.world.wait_gone(&rig.namespace, "other", LIMIT).await.unwrap();
    let note = rig.expect_event("Warning", "CleanupIncomplete").await;
    assert!(note.contains("other.example"), "{note}");
    assert!(rig.world.ses().identities().is_empty());
    rig.finish().await;
}

/// The refusal of a write counts although it is tried again in between: the wait has one beginning.
#[tokio::test]
async fn what_may_not_be_taken_away_is_waited_for_and_then_left() {
    let rig = Rig::with(|options| {
        options.args = vec!["--cleanup-grace=4s".to_owned()];
        (options.pending_interval, options.verified_interval) = ("2s".to_owned(), "2s".to_owned());
    })
    .await;
    rig.verified_cloudflare().await;
    let reader = Perms { zone_read: Scope::All, dns_read: Scope::All, ..Perms::default() };
    rig.world.cloudflare().add_token(rig.world.token(), reader);
    rig.world.ses().deny(Operation::DeleteEmailIdentity);
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    let note = rig.expect_event("Warning", "CleanupIncomplete").await;
    assert!(note.contains("MX bounce.mail.example.com"), "{note}");
    rig.finish().await;
}
