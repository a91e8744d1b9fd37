//! Many objects of one tenant beside one of another, on a small budget at SES.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::ListParams;
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
