//! Many domains and an SES that takes few requests: nobody is starved, and little is asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testbed::ses::{Operation, Status};
use testbed::world::object;

use crate::rig::{REGION, Rig, ZONE};

const DOMAINS: usize = 12;
/// Requests per second, of SES and of the operator.
const RATE: u32 = 4;

async fn fleet_rig() -> Rig {
    let rig = Rig::with(|options| {
        "3s".clone_into(&mut options.pending_interval);
        "20s".clone_into(&mut options.verified_interval);
        options.ses_requests_per_second = RATE;
    })
    .await;
    rig.world.ses().configure(|settings| settings.rate_limit = Some(f64::from(RATE)));
    rig.world.manual_zone(ZONE).unwrap();
    rig
}

async fn apply(rig: &Rig, name: &str) {
    rig.create(&object::manual(name, &format!("{name}.{ZONE}"))).await;
}

/// Publishes what appears in status until all are Ready; answers when each had its records.
async fn publish_until_ready(rig: &Rig, names: &[String], began: Instant) -> BTreeMap<String, Duration> {
    let mut published = BTreeMap::new();
    loop {
        let mut ready = 0;
        for name in names {
            let object = rig.world.get(&rig.namespace, name).await.unwrap().unwrap();
            if object::records(&object).len() == 5 && !published.contains_key(name) {
                rig.world.publish(&object).unwrap();
                published.insert(name.clone(), began.elapsed());
            }
            ready += usize::from(object::is_ready(&object));
        }
        if ready == names.len() {
            return published;
        }
        assert!(began.elapsed() < crate::rig::LIMIT, "{ready} are Ready: {}", rig.world.log_tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_flood_is_verified_with_few_calls_and_one_more_is_served_in_the_middle() {
    let rig = fleet_rig().await;
    let mut names: Vec<String> = (0..DOMAINS).map(|n| format!("d{n:02}")).collect();
    for name in &names {
        apply(&rig, name).await;
    }
    apply(&rig, "late").await;
    names.push("late".to_owned());
    let began = Instant::now();
    let published = publish_until_ready(&rig, &names, began).await;
    assert!(published["late"] < Duration::from_secs(5), "{published:?}");

    let calls = rig.world.ses().calls();
    let refused = calls.iter().filter(|call| call.http_status == Some(429)).count();
    let of = |operation| calls.iter().filter(|call| call.operation == operation).count();
    let told: Vec<String> = calls.iter().map(|call| format!("{} {:?}", call.operation, call.identity)).collect();
    assert_eq!((of(Operation::CreateEmailIdentity), of(Operation::PutEmailIdentityMailFromAttributes)), (13, 13));
    // Three for each, the few that were read before there was a fleet, and listings.
    let listings = of(Operation::ListEmailIdentities);
    assert!(calls.len() - listings <= names.len() * 33 / 10, "{told:#?}");
    assert!(listings <= 8, "{told:#?}");
    assert!(refused * 50 < calls.len(), "{refused} of {} refused", calls.len());
    rig.finish().await;
}

#[tokio::test]
async fn a_settled_fleet_is_listed_and_a_lost_verification_and_a_deleted_identity_are_noticed() {
    let rig = fleet_rig().await;
    let names: Vec<String> = (0..DOMAINS).map(|n| format!("d{n:02}")).collect();
    for name in &names {
        apply(&rig, name).await;
    }
    publish_until_ready(&rig, &names, Instant::now()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    rig.reset_calls();
    let region = rig.world.ses().region(REGION);
    region.set_pinned(&format!("d03.{ZONE}"), true);
    region.set_dkim_status(&format!("d03.{ZONE}"), Status::TemporaryFailure);
    let before = rig.world.get(&rig.namespace, "d05").await.unwrap().unwrap();
    region.delete_identity(&format!("d05.{ZONE}"));
    rig.until_named("d03", "VerificationLost", |o| object::reason(o, "Ready") == "VerificationLost").await;
    let tokens = |o: &serde_json::Value| o["status"]["identity"]["dkimTokens"].clone();
    let is_new = |o: &serde_json::Value| tokens(o).is_array() && tokens(o) != tokens(&before);
    rig.until_named("d05", "an identity made anew", is_new).await;
    let calls = rig.world.ses().calls();
    let others = calls.iter().filter(|call| {
        let about = call.identity.as_deref().unwrap_or_default();
        call.operation == Operation::GetEmailIdentity && !about.starts_with("d03") && !about.starts_with("d05")
    });
    assert_eq!(others.count(), 0, "{calls:#?}");
    rig.finish().await;
}

#[tokio::test]
async fn without_the_right_to_list_every_identity_is_read_by_itself() {
    let rig = fleet_rig().await;
    rig.world.ses().deny(Operation::ListEmailIdentities);
    let names: Vec<String> = (0..5).map(|n| format!("d{n:02}")).collect();
    for name in &names {
        apply(&rig, name).await;
    }
    publish_until_ready(&rig, &names, Instant::now()).await;
    let calls = rig.world.ses().calls();
    let listings = calls.iter().filter(|call| call.operation == Operation::ListEmailIdentities).count();
    assert!((1..=3).contains(&listings), "{listings}");
    rig.finish().await;
}
