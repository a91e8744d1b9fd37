//! Tokens and keys stay where they belong, also when everything goes wrong at the most talkative level. Every other test
//! looks for them too when it ends; here the faults are the point.

use testbed::cloudflare::{Failure, Perms};
use testbed::ses::Failure as SesFailure;
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE};

#[tokio::test]
async fn no_fault_tells_a_secret() {
    let rig = Rig::start().await;
    let token = rig.world.token();
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(format!("{token}\n")).await;
    let echo = |status| Failure::Code(status, 9109, format!("Invalid access token {token}"));
    for failure in [echo(403), Failure::Html502, Failure::NonJson, Failure::Drop, echo(500)] {
        rig.world.cloudflare().fail_next(1, failure);
    }
    rig.world.ses().fail_next(1, SesFailure::code(403, "InvalidSignatureException", "The signature does not match"));
    rig.world.ses().fail_next(2, SesFailure::Status(503));
    rig.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
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
