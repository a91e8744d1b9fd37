//! Who leads, on a real API server: also when the leader's way to it goes silent, and when others meddle.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use sending_domain_operator::leader::{self, Leadership, Settings, Timing};
use serde_json::json;
use testbed::control_plane::ControlPlane;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

/// Two cores may be busy with other things.
const SOON: Duration = Duration::from_secs(30);

/// The same proportions as in production, faster.
fn quick() -> Timing {
    let retry = Duration::from_millis(500);
    Timing::new(Duration::from_secs(6), Duration::from_secs(4), retry).unwrap()
}

fn settings(lease: &str, identity: &str) -> Settings {
    Settings { identity: identity.to_owned(), timing: quick(), ..Settings::new("default", lease) }
}

async fn config() -> Config {
    let plane = ControlPlane::shared().await.unwrap();
    let file = Kubeconfig::read_from(plane.admin_kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    leader::api_config(config)
}

async fn client() -> Client {
    Client::try_from(config().await).unwrap()
}

async fn leases() -> Api<Lease> {
    Api::namespaced(client().await, "default")
}

async fn spec(lease: &str) -> LeaseSpec {
    leases().await.get(lease).await.unwrap().spec.unwrap()
}

async fn acquire(lease: &str, identity: &str) -> Leadership {
    let acquired = timeout(SOON, leader::acquire(client().await, settings(lease, identity), || ())).await;
    acquired.unwrap_or_else(|_| panic!("{identity} does not lead"))
}

/// A candidate in the background, which leads as soon as it can.
async fn standby(lease: &str, identity: &str) -> tokio::task::JoinHandle<(Leadership, Instant)> {
    let (client, settings) = (client().await, settings(lease, identity));
    tokio::spawn(async move { (leader::acquire(client, settings, || ()).await, Instant::now()) })
}

async fn is_lost(leadership: &Leadership, within: Duration) -> bool {
    timeout(within, leadership.lost()).await.is_ok()
}

/// A way to the API server that can be made to swallow everything, as a broken network does: nothing is closed.
struct BlackHole {
    url: String,
    state: watch::Sender<Path>,
}

#[derive(Clone, Copy)]
struct Path {
    open: bool,
    /// Older connections are dead for ever.
    oldest: usize,
}

impl BlackHole {
    async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let upstream = upstream.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let (state, path) = watch::channel(Path { open: true, oldest: 0 });
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((client, _)) = listener.accept().await {
                number = (number + 1).max(path.borrow().oldest);
                let server = TcpStream::connect(&upstream).await.unwrap();
                let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
                tokio::spawn(forward(client_in, server_out, path.clone(), number));
                tokio::spawn(forward(server_in, client_out, path.clone(), number));
            }
        });
        Self { url, state }
    }

    fn swallow(&self) {
        self.state.send_modify(|path| path.open = false);
    }

    fn heal(&self) {
        self.state.send_modify(|path| path.open = true);
    }

    /// What is connected now hears nothing more; new connections work.
    fn lose_connections(&self) {
        self.state.send_modify(|path| path.oldest += 1000);
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut path: watch::Receiver<Path>,
    number: usize,
) {
    let passes = |path: &Path| path.open && number >= path.oldest;
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if path.wait_for(passes).await.is_err() || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    // The end of a connection is swallowed as well.
    let _ = path.wait_for(passes).await;
}

#[tokio::test]
async fn one_of_two_leads_and_keeps_leading() {
    let first = acquire("one-of-two", "a").await;
    let second = standby("one-of-two", "b").await;
    // Longer than the Lease lasts without renewal.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(!second.is_finished(), "two lead");
    assert!(first.is_valid_for(Duration::from_secs(3)));
    assert!(!first.is_valid_for(Duration::from_secs(7)), "longer than the Lease");
    assert!(!first.is_valid_for(Duration::MAX));
    assert!(!is_lost(&first, Duration::ZERO).await);
    let spec = spec("one-of-two").await;
    assert_eq!(spec.holder_identity.as_deref(), Some("a"));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(6), Some(0)));
    assert!(spec.renew_time.unwrap().0 > spec.acquire_time.unwrap().0);
    second.abort();
}

#[tokio::test]
async fn a_release_hands_over_at_once() {
    let first = acquire("release", "a").await;
    let second = standby("release", "b").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    let lost = tokio::spawn(first.lost());
    assert!(first.release().await);
    assert!(!first.is_valid_for(Duration::ZERO));
    let (second, led_at) = timeout(SOON, second).await.unwrap().unwrap();
    assert!(led_at - started < Duration::from_secs(5), "{:?}", led_at - started);
    assert!(second.is_valid_for(Duration::from_secs(1)));
    assert_eq!(spec("release").await.lease_transitions, Some(1));
    // On purpose is not lost: who watches for a loss exits with an error.
    assert!(!lost.is_finished());
    // Released once; a second call must not take it from the new leader.
    assert!(first.release().await);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!is_lost(&second, Duration::ZERO).await);
}

#[tokio::test]
async fn a_released_lease_names_nobody() {
    assert!(acquire("released", "a").await.release().await);
    let spec = spec("released").await;
    assert_eq!(spec.holder_identity.as_deref(), Some(""));
    assert_eq!(spec.lease_duration_seconds, Some(1));
}

#[tokio::test]
async fn g3_a_leader_that_is_cut_off_gives_up_before_another_leads() {
    let mut config = config().await;
    let proxy = BlackHole::before(&config.cluster_url.to_string()).await;
    config.cluster_url = proxy.url.parse().unwrap();
    let cut_off = Client::try_from(config).unwrap();
    let first = leader::acquire(cut_off, settings("cut-off", "a"), || ()).await;
    let second = standby("cut-off", "b").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(first.is_valid_for(Duration::from_secs(1)));

    let silent_from = Instant::now();
    proxy.swallow();
    timeout(SOON, first.lost()).await.expect("the leader believes in itself for ever");
    let lost_at = Instant::now();
    assert!(!second.is_finished(), "two led at once");
    assert!(!first.is_valid_for(Duration::ZERO));
    assert!(lost_at - silent_from < Duration::from_millis(4500), "{:?}", lost_at - silent_from);

    let (second, led_at) = timeout(SOON, second).await.unwrap().unwrap();
    // Two seconds between the renew deadline and the lease duration, less the wait for a timer on a busy machine.
    assert!(led_at - lost_at > Duration::from_secs(1), "{:?}", led_at - lost_at);
    proxy.heal();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!is_lost(&second, Duration::ZERO).await);
    assert!(!first.is_valid_for(Duration::ZERO), "the old leader came back");
    assert!(!first.release().await, "nothing is left to release");
    assert_eq!(spec("cut-off").await.holder_identity.as_deref(), Some("b"));
}

/// What makes a candidate ready.
#[tokio::test]
async fn a_candidate_knows_when_it_can_read_the_lease() {
    let mut config = config().await;
    let proxy = BlackHole::before(&config.cluster_url.to_string()).await;
    config.cluster_url = proxy.url.parse().unwrap();
    let holder = acquire("in-reach", "a").await;
    proxy.swallow();
    let (sender, mut reached) = watch::channel(false);
    let candidate = tokio::spawn(async move {
        let client = Client::try_from(config).unwrap();
        leader::acquire(client, settings("in-reach", "b"), || {
            sender.send_replace(true);
        })
        .await
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!*reached.borrow(), "nothing was answered");
    proxy.heal();
    timeout(SOON, reached.wait_for(|reached| *reached)).await.expect("never within reach").unwrap();
    assert!(!candidate.is_finished() && !is_lost(&holder, Duration::ZERO).await, "somebody else has it");
    candidate.abort();
}

#[tokio::test]
async fn a_short_cut_costs_nothing() {
    let mut config = config().await;
    let proxy = BlackHole::before(&config.cluster_url.to_string()).await;
    config.cluster_url = proxy.url.parse().unwrap();
    let first = leader::acquire(Client::try_from(config).unwrap(), settings("short-cut", "a"), || ()).await;
    let second = standby("short-cut", "b").await;
    for _ in 0..3 {
        proxy.swallow();
        tokio::time::sleep(Duration::from_millis(2200)).await;
        proxy.heal();
        tokio::time::sleep(Duration::from_millis(1800)).await;
    }
    assert!(!is_lost(&first, Duration::ZERO).await && !second.is_finished());
    second.abort();
}

/// One try must not use up all of the time: the next goes over a new connection.
#[tokio::test]
async fn a_dead_connection_costs_one_try() {
    let mut config = config().await;
    let proxy = BlackHole::before(&config.cluster_url.to_string()).await;
    config.cluster_url = proxy.url.parse().unwrap();
    let leadership = leader::acquire(Client::try_from(config).unwrap(), settings("dead-connection", "a"), || ()).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        proxy.lose_connections();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!is_lost(&leadership, Duration::ZERO).await);
    }
}

async fn edit(lease: &str, patch: serde_json::Value) {
    let (leases, patch) = (leases().await, Patch::Merge(patch));
    leases.patch(lease, &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test]
async fn a_thief_is_noticed_and_keeps_the_lease() {
    for (lease, thief) in [("stolen", "a-third-party"), ("cleared", "")] {
        let leadership = acquire(lease, "a").await;
        edit(lease, json!({"spec": {"holderIdentity": thief}})).await;
        assert!(is_lost(&leadership, Duration::from_secs(3)).await, "{lease}: not noticed");
        assert!(!leadership.is_valid_for(Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(spec(lease).await.holder_identity.as_deref(), Some(thief));
    }
}

#[tokio::test]
async fn an_edit_that_leaves_the_holder_alone_is_no_theft() {
    let leadership = acquire("edited", "a").await;
    for seconds in [1, 3600] {
        let patch = json!({"metadata": {"labels": {"edited": "yes"}}, "spec": {"leaseDurationSeconds": seconds}});
        edit("edited", patch).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!is_lost(&leadership, Duration::ZERO).await);
        assert_eq!(spec("edited").await.lease_duration_seconds, Some(6));
    }
}

#[tokio::test]
async fn a_deleted_lease_is_brought_back_by_its_leader() {
    let first = acquire("deleted", "a").await;
    let second = standby("deleted", "b").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..3 {
        leases().await.delete("deleted", &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert!(!is_lost(&first, Duration::ZERO).await && !second.is_finished());
    assert_eq!(spec("deleted").await.holder_identity.as_deref(), Some("a"));
    second.abort();
}

/// Someone who died yesterday, or whose clock is off by years: only a change counts.
#[tokio::test]
async fn a_dead_holders_lease_is_free_one_duration_after_it_was_first_seen() {
    for (lease, time) in [("dead", "2001-01-01T00:00:00.000000Z"), ("ahead", "2101-01-01T00:00:00.000000Z")] {
        let dead = json!({
            "metadata": {"name": lease},
            "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 3, "leaseTransitions": 41, "renewTime": time},
        });
        let dead: Lease = serde_json::from_value(dead).unwrap();
        leases().await.create(&kube::api::PostParams::default(), &dead).await.unwrap();
        let started = Instant::now();
        let _leadership = acquire(lease, "a").await;
        let waited = started.elapsed();
        assert!(waited >= Duration::from_secs(3), "{lease}: {waited:?}");
        assert!(waited < Duration::from_secs(6), "{lease}: {waited:?}");
        assert_eq!(spec(lease).await.lease_transitions, Some(42));
    }
}

#[tokio::test]
async fn of_ten_that_start_together_one_leads() {
    let leading = Arc::new(AtomicUsize::new(0));
    let mut candidates = Vec::new();
    for number in 0..10 {
        let (client, settings, leading) = (client().await, settings("crowd", &number.to_string()), leading.clone());
        candidates.push(tokio::spawn(async move {
            let leadership = leader::acquire(client, settings, || ()).await;
            leading.fetch_add(1, Ordering::SeqCst);
            leadership
        }));
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(leading.load(Ordering::SeqCst), 1);
    for candidate in candidates {
        candidate.abort();
    }
}

/// An API server that is too busy, and counts.
async fn overloaded() -> (String, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            seen.lock().unwrap().push(Instant::now());
            let answer = "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, requests)
}

#[tokio::test]
async fn the_client_has_no_retries_of_its_own() {
    let (url, requests) = overloaded().await;
    let config = leader::api_config(Config::new(url.parse().unwrap()));
    let leases: Api<Lease> = Api::namespaced(Client::try_from(config).unwrap(), "default");
    let answered = timeout(Duration::from_secs(10), leases.get("any")).await;
    answered.expect("retries for ever").unwrap_err();
    assert_eq!(requests.lock().unwrap().len(), 1);
}
