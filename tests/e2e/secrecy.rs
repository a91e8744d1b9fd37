//! Tokens and keys stay where they belong, also when everything goes wrong at the most talkative level. Every other test
//! looks for them too when it ends; here the faults are the point.

use std::time::Duration;

use testbed::cloudflare::{Failure, Perms};
use testbed::ses::Failure as SesFailure;
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE};

#[tokio::test]
async fn no_fault_tells_a_secret() {
    // Both formats at the most talkative level, side by side.
    tokio::join!(every_fault("text"), every_fault("json"));
}

async fn every_fault(format: &str) {
    let rig = Rig::with(|options| {
        options.serve = true;
        format.clone_into(&mut options.log_format);
    })
    .await;
    let token = rig.world.token();
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(format!("{token}\n")).await;
    let code = |status| Failure::Code(status, 9109, format!("Invalid access token {token}"));
    let echoes = [403, 400, 502, 200, 302].map(Failure::Echo);
    for failure in [code(403), Failure::Html502, Failure::NonJson, Failure::Drop, code(500)].into_iter().chain(echoes) {
        rig.world.cloudflare().fail_next(1, failure);
    }
    let canonical = format!("The Canonical String should have been 'x-amz-security-token:{token}'");
    rig.world.ses().fail_next(1, SesFailure::code(403, "InvalidSignatureException", &canonical));
    rig.world.ses().fail_next(1, SesFailure::code(400, "IncompleteSignatureException", &canonical));
    rig.world.ses().fail_next(2, SesFailure::Status(503));
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    // Each echo is answered by patience, which a request cuts short.
    for number in 0..10 {
        rig.world.annotate(&rig.namespace, NAME, "sendingdomain.dev/reconcile-at", &number.to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    rig.world.cloudflare().clear_failures();
    rig.ready().await;
    rig.set_token(format!("{token}\u{0}")).await;
    rig.until("SecretInvalid", |o| object::reason(o, "RecordsSynced") == "SecretInvalid").await;
    rig.set_token(token).await;
    rig.world.cloudflare().revoke_token(token);
    rig.until("InvalidAPIToken", |o| object::reason(o, "RecordsSynced") == "InvalidAPIToken").await;
    rig.world.cloudflare().add_token(token, Perms::full());
    rig.until("synced", |o| object::condition_status(o, "RecordsSynced") == "True").await;
    let log = rig.operator.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not at its most talkative");
    rig.finish().await;
}
