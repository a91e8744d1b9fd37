//! Many objects of one tenant beside one of another, on a small budget at SES.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::ListParams;
use testbed::dns::Fault;
use testbed::world::object;

use crate::rig::{DOMAIN, LIMIT, NAME, Rig, ZONE};

const CROWD: usize = 120;

/// How many objects of a namespace show their records.
async fn listed(rig: &Rig, namespace: &str) -> usize {
    let objects = rig.world.domains(namespace).list(&ListParams::default()).await.unwrap();
    objects.iter().filter(|object| object.data["status"]["records"].as_array().is_some_and(|r| r.len() == 5)).count()
}

#[tokio::test]
async fn c5_g13_a_crowd_keeps_nobody_waiting_for_long_and_a_restart_is_cheap() {
    let mut rig = Rig::over_namespaces(2, |options| {
        options.ses_requests_per_second = 40;
        options.pending_interval = "5s".to_owned();
        options.verified_interval = "60s".to_owned();
        options.log_level = "info".to_owned();
    })
    .await;
    rig.world.manual_zone(ZONE).unwrap();
    let crowd = rig.others[0].clone();
    let (world, namespace) = (&rig.world, crowd.as_str());
    let created = stream::iter(0..CROWD).for_each_concurrent(16, |number| async move {
        let manifest = object::manual(&format!("crowd-{number}"), &format!("crowd-{number}.{ZONE}"));
        world.create(namespace, &manifest).await.unwrap();
    });
    created.await;
    let began = Instant::now();
    rig.create(&object::manual(NAME, DOMAIN)).await;
    rig.until("records", |o| object::records(o).len() == 5).await;
    let waited = began.elapsed();
    while listed(&rig, &crowd).await < CROWD {
        assert!(began.elapsed() < 2 * LIMIT, "the crowd waits:\n{}", rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let calls = rig.world.ses().calls().len();
    println!("{waited:?} for the one, {:?} for the {CROWD}, {calls} calls", began.elapsed());
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    assert!(calls <= 6 * (CROWD + 1), "{calls} calls");

    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.operator.stop().await.unwrap();
    rig.reset_calls();
    rig.operator.restart().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let calls = rig.world.ses().calls().len();
    assert!(calls <= 2 * (CROWD + 1), "{calls} calls of a restart");
    assert_eq!(rig.outside_writes(), [""; 0]);
    rig.finish().await;
}

#[tokio::test]
async fn c6_name_servers_of_one_tenant_that_never_answer_keep_no_other_waiting() {
    const SILENT: &str = "silent.example.net";
    let rig = Rig::over_namespaces(2, |options| {
        options.ses_requests_per_second = 1000;
        options.log_level = "info".to_owned();
    })
    .await;
    rig.world.manual_zone(ZONE).unwrap();
    rig.world.manual_zone(SILENT).unwrap();
    rig.world.dns().set_fault(&format!("*.{SILENT}"), None, Fault::Drop).unwrap();
    let crowd = rig.others[0].clone();
    for number in 0..60 {
        let manifest = object::manual(&format!("silent-{number}"), &format!("s{number}.{SILENT}"));
        rig.world.create(&crowd, &manifest).await.unwrap();
    }
    // Theirs are listed although nobody answers for them, and all of them are being looked up now.
    let began = Instant::now();
    while listed(&rig, &crowd).await < 60 {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let began = Instant::now();
    rig.create(&object::manual(NAME, DOMAIN)).await;
    rig.until("records", |o| object::records(o).len() == 5).await;
    let listed = began.elapsed();
    rig.until("an answer", |o| object::records(o).iter().all(|r| r["state"] == "Missing")).await;
    println!("{listed:?} until the records, {:?} until they were looked up", began.elapsed());
    assert!(listed < Duration::from_secs(5), "{listed:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    rig.finish().await;
}

/// AWS allows *about* one request per second, and others may use the account: a write that comes right after its reading must
/// not be refused for ever.
#[tokio::test]
async fn an_account_that_takes_a_little_less_than_allowed_gets_on() {
    let rig = Rig::with(|options| options.ses_requests_per_second = 1).await;
    rig.world.ses().configure(|settings| settings.rate_limit = Some(0.9));
    rig.verified_cloudflare().await;
    rig.world.delete_and_wait(&rig.namespace, NAME, LIMIT).await.unwrap();
    rig.finish().await;
}
