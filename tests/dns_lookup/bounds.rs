//! What is never exceeded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sending_domain_operator::dns::lookup::*;
use sending_domain_operator::dns::record::{DnsName, RecordType};

use crate::scripted::*;
use crate::world::*;

#[tokio::test]
async fn nothing_leaves_when_look_ups_are_off() {
    let world = World::with(resolver(1), vec![(txt_server("a"), true)], |settings| {
        settings.mode = Mode::Off;
    })
    .await;
    assert_eq!(unknown(&world.txt().await), "DNS look-ups are turned off");
    assert!(world.resolver.name_servers(&DnsName::new(NAME)).await.is_err());
    assert_eq!((world.upstream.queries(), world.servers[0].queries()), (0, 0));
}

#[tokio::test]
async fn names_that_dns_cannot_hold_are_unknown() {
    let world = World::new(resolver(1), vec![]).await;
    for text in ["a..b", "bücher.example", &"x.".repeat(200), &"y".repeat(64), "a\nb"] {
        let lookup = world.resolver.ask(&DnsName::new(text), RecordType::Txt).await;
        assert_eq!(unknown(&lookup), "not a name that DNS can hold", "{text:?}");
    }
}

/// Asks 300 times at once; also tells the most sockets that were seen open to `server`: a few may be counted twice, for they
/// come and go while they are counted.
async fn crowd(world: &World, server: &Scripted) -> (Vec<Lookup>, usize) {
    let most = AtomicUsize::new(0);
    let watch = async {
        loop {
            most.fetch_max(server.connected(), Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let lookups = tokio::select! {
        lookups = join_all((0..300).map(|_| world.txt())) => lookups,
        () = watch => unreachable!("watches for ever"),
    };
    (lookups, most.into_inner())
}

#[tokio::test]
async fn sockets_are_bounded_whatever_is_asked() {
    let world = World::with(silent(), vec![], |settings| {
        settings.mode = Mode::Recursive;
        settings.timeout = Duration::from_millis(700);
    });
    let world = world.await;
    let started = Instant::now();
    let (lookups, sockets) = crowd(&world, &world.upstream).await;
    assert!(lookups.iter().all(|lookup| matches!(lookup.answer, Answer::Unknown(_))));
    assert!((10..=160).contains(&sockets), "{sockets} sockets");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn silent_name_servers_keep_nobody_from_the_resolvers() {
    let world = World::new(resolver(1), vec![silent()]).await;
    let (lookups, sockets) = crowd(&world, &world.servers[0]).await;
    assert!((10..=280).contains(&sockets), "{sockets} sockets");
    assert!(lookups.iter().all(|lookup| lookup.answer == texts(&["from the resolver"])), "{lookups:?}");
}

#[tokio::test]
async fn the_budget_holds_with_everything_dead() {
    let world = World::with(silent(), vec![], |settings| settings.timeout = Duration::from_secs(1)).await;
    let started = Instant::now();
    assert!(unknown(&world.txt().await).ends_with(" did not answer in time"));
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let settings = Settings { timeout: Duration::ZERO, ..Settings::default() };
    assert!(matches!(Resolver::new(settings), Err(SettingsError::NoTimeout)));
    assert!(Resolver::new(Settings { mode: Mode::Off, ..Settings::default() }).is_ok());
}
