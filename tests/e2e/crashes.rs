//! The operator is killed, frozen and told to stop while it works: the end is the same, and nothing is done twice.

use std::time::{Duration, Instant};

use testbed::cloudflare::Failure;
use testbed::process::Signal;
use testbed::ses::{Failure as SesFailure, Operation};
use testbed::world::{SYSTEM_NAMESPACE, object};

use crate::rig::{LIMIT, NAME, Rig, ZONE};

/// More calls than a domain needs from apply to Verified, and than its end needs.
const CALLS: usize = 8;

/// Calls are slow, so that each can be caught: SES has done what it was asked and answers late, Cloudflare does it late.
fn slow_down(rig: &Rig) {
    rig.world.ses().fail_next(30, SesFailure::Delay(120));
    rig.world.cloudflare().fail_next(30, Failure::Slow(120));
}

/// Kills the operator at its `call`th call, unless its work is done before, and starts another.
async fn crash(rig: &mut Rig, call: usize) {
    let started = Instant::now();
    while rig.outside_calls() < call {
        let gone = rig.world.get(&rig.namespace, NAME).await.unwrap().is_none();
        if gone || started.elapsed() > Duration::from_secs(20) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    rig.operator.kill().unwrap();
    rig.world.ses().clear_failures();
    rig.world.cloudflare().clear_failures();
    rig.operator.restart().await.unwrap();
}

/// The calls of one operation that SES has carried out.
fn done(rig: &Rig, operation: Operation) -> usize {
    let calls = rig.world.ses().calls();
    calls.iter().filter(|call| call.operation == operation && call.http_status == Some(200)).count()
}

async fn survives(call: usize) {
    let mut rig = Rig::start().await;
    slow_down(&rig);
    rig.apply_cloudflare().await;
    crash(&mut rig, call).await;
    let verified = rig.ready().await;
    let identities = rig.world.ses().identities();
    assert_eq!(identities.len(), 1, "killed at call {call}");
    assert_eq!(verified["status"]["identity"]["dkimTokens"], serde_json::json!(identities[0].sorted_tokens()));
    assert_eq!(done(&rig, Operation::CreateEmailIdentity), 1, "killed at call {call}");
    assert_eq!((rig.ours().len(), rig.world.cloudflare().records(ZONE).len()), (5, 5), "killed at call {call}");

    rig.reset_calls();
    slow_down(&rig);
    rig.world.delete(&rig.namespace, NAME).await.unwrap();
    crash(&mut rig, call).await;
    rig.world.wait_gone(&rig.namespace, NAME, LIMIT).await.unwrap();
    assert!(rig.world.ses().identities().is_empty(), "killed at call {call} of the end");
    assert!(rig.world.cloudflare().records(ZONE).is_empty(), "killed at call {call} of the end");
    rig.finish().await;
}

#[tokio::test]
async fn g1_killed_at_every_call_it_ends_the_same() {
    for half in [1..=CALLS / 2, CALLS / 2 + 1..=CALLS] {
        futures::future::join_all(half.map(survives)).await;
    }
}

/// Waits until SES has been asked to create an identity, which it does at once and answers after `late`.
async fn caught_creating(rig: &Rig, late: Duration) {
    let late = u64::try_from(late.as_millis()).unwrap();
    rig.world.ses().fail_next_for(Operation::CreateEmailIdentity, 1, SesFailure::Delay(late));
    rig.apply_cloudflare().await;
    let started = Instant::now();
    while done(rig, Operation::CreateEmailIdentity) == 0 {
        assert!(started.elapsed() < LIMIT, "no identity is made");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn g15_a_termination_lets_the_write_under_way_finish() {
    let mut rig = Rig::start().await;
    caught_creating(&rig, Duration::from_secs(2)).await;
    let ended = rig.operator.stop().await.unwrap();
    assert!(ended.success(), "{ended}");
    rig.expect_event("Normal", "IdentityCreated").await;
    rig.operator.restart().await.unwrap();
    rig.ready().await;
    assert_eq!(done(&rig, Operation::CreateEmailIdentity), 1);
    rig.finish().await;
}

#[tokio::test]
async fn g3_a_leader_that_wakes_up_after_its_lease_writes_nothing() {
    let mut rig = Rig::with(|options| {
        options.args =
            vec!["--leader-elect=true".to_owned(), format!("--leader-election-namespace={SYSTEM_NAMESPACE}")];
    })
    .await;
    caught_creating(&rig, Duration::from_secs(3)).await;
    let second = rig.second_operator();
    let mut first = std::mem::replace(&mut rig.operator, second);
    first.signal(Signal::Stop).unwrap();
    rig.ready().await;
    let identity = rig.identity().unwrap();
    assert_eq!((done(&rig, Operation::CreateEmailIdentity), rig.ours().len()), (1, 5));

    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.reset_calls();
    first.signal(Signal::Continue).unwrap();
    let woken = Instant::now();
    while first.is_running() {
        assert!(woken.elapsed() < LIMIT, "it still leads");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rig.outside_writes(), [""; 0]);
    assert_eq!(rig.identity().unwrap().tokens, identity.tokens);
    assert!(object::is_ready(&rig.get().await));
    rig.finish().await;
}
