//! What can happen to the cluster itself, on a control plane of the test's own: the CRD is not there, is newer, goes; a
//! right is taken away; the API server is down. The operator is never restarted, but where the test says so.

use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};

use crate::rig::{DOMAIN, LIMIT, NAME, SECRET, ZONE, binary};

const CRD: &str = "crd/sendingdomains.sendingdomain.dev";
const CRD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/sendingdomains.yaml");
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/rbac");
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema/properties";

struct Cluster {
    world: World,
    operator: Operator,
    namespace: String,
}

impl Cluster {
    async fn kubectl(&self, args: &[&str]) -> String {
        self.world.control_plane().kubectl_ok(args).await.unwrap()
    }

    async fn patch_crd(&self, patch: &Value) {
        self.kubectl(&["patch", CRD, "--type=json", "-p", &patch.to_string()]).await;
    }

    async fn install_crd(&self) {
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", CRD_FILE]).await;
        self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", CRD]).await;
    }

    async fn until(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let waited = self.world.wait_for(&self.namespace, name, what, condition, LIMIT).await;
        waited.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn answers(&mut self, path: &str) -> u16 {
        let port = self.operator.port("health").await.unwrap();
        reqwest::get(format!("http://127.0.0.1:{port}{path}")).await.unwrap().status().as_u16()
    }

    async fn until_ready(&mut self) {
        let started = Instant::now();
        while self.answers("/readyz").await != 200 {
            assert!(started.elapsed() < LIMIT, "not ready:\n{}", self.world.log_tails());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn until_logged(&self, words: &str, from: usize) {
        let started = Instant::now();
        while !self.operator.log().get(from..).is_some_and(|log| log.contains(words)) {
            assert!(started.elapsed() < LIMIT, "no {words:?}:\n{}", self.world.log_tails());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn has_event(&self, reason: &str, about: &str) -> bool {
        let events = self.world.events(&self.namespace).await.unwrap();
        events.iter().any(|event| {
            event.reason.as_deref() == Some(reason)
                && event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref()) == Some(about)
        })
    }

    async fn until_event(&self, reason: &str, about: &str) {
        let started = Instant::now();
        while !self.has_event(reason, about).await {
            assert!(started.elapsed() < LIMIT, "no {reason} about {about}:\n{}", self.world.log_tails());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn ours(&self) -> usize {
        self.world.cloudflare().records("example.org").len()
    }
}

#[tokio::test]
async fn a14_g4_g6_g12_g20_whatever_happens_to_the_cluster_the_operator_goes_on() {
    let world = World::start(WorldOptions::default()).await.unwrap();
    world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
    world.control_plane().kubectl_ok(&["delete", CRD]).await.unwrap();
    let namespace = world.namespace().await.unwrap();
    let options = OperatorOptions {
        serve: true,
        args: vec!["--cleanup-grace=3s".to_owned()],
        ..OperatorOptions::new(binary().await)
    };
    let operator = world.operator(&options).unwrap();
    let mut cluster = Cluster { world, operator, namespace };

    without_its_crd(&mut cluster).await;
    beside_an_older_crd(&mut cluster).await;
    beside_a_newer_crd(&cluster).await;
    with_fewer_rights(&mut cluster).await;
    without_an_api_server(&mut cluster).await;
    when_its_crd_goes(&mut cluster).await;
    assert!(cluster.operator.is_running());
    cluster.operator.stop().await.unwrap();
    assert!(!cluster.operator.log().contains("panicked at"));
}

/// A14: the CRD is installed after the operator.
async fn without_its_crd(cluster: &mut Cluster) {
    cluster.until_logged("the watch of SendingDomains failed", 0).await;
    assert_eq!((cluster.answers("/readyz").await, cluster.answers("/livez").await), (503, 200));
    cluster.install_crd().await;
    cluster.until_ready().await;
    cluster.world.manual_zone(ZONE).unwrap();
    cluster.world.create(&cluster.namespace, &object::manual(NAME, DOMAIN)).await.unwrap();
    let pending = cluster.until(NAME, "records", |o| object::records(o).len() == 5).await;
    cluster.world.publish(&pending).unwrap();
    cluster.until(NAME, "Ready", object::is_ready).await;
}

/// A14: the operator was upgraded and its CRD was not.
async fn beside_an_older_crd(cluster: &mut Cluster) {
    cluster
        .patch_crd(&json!([{ "op": "remove", "path": format!("{SCHEMA}/status/properties/recommendations") }]))
        .await;
    let started = Instant::now();
    while cluster
        .kubectl(&["get", "--raw", "/openapi/v3/apis/sendingdomain.dev/v1alpha1"])
        .await
        .contains("\"recommendations\"")
    {
        assert!(started.elapsed() < LIMIT, "the older schema is not served");
    }
    let from = cluster.operator.log().len();
    cluster.operator.restart().await.unwrap();
    cluster.until_logged("older than this operator", from).await;
    cluster.until_logged("status.recommendations", from).await;
    cluster.until_ready().await;
    cluster.install_crd().await;
}

/// G20 and A14: fields of a newer version stay, and values of a newer version concern their own object only.
async fn beside_a_newer_crd(cluster: &Cluster) {
    let add = |path: &str, value: Value| json!({ "op": "add", "path": format!("{SCHEMA}{path}"), "value": value });
    cluster
        .patch_crd(&json!([
            add("/status/properties/forecast", json!({ "type": "string" })),
            add("/status/properties/identity/properties/rating", json!({ "type": "integer" })),
            add("/spec/properties/deletionPolicy/enum/-", json!("Archive")),
        ]))
        .await;
    let newer = json!({ "status": { "forecast": "fair", "identity": { "rating": 5 } } }).to_string();
    let write = ["patch", "sdom", NAME, "-n", &cluster.namespace, "--subresource=status", "--type=merge", "-p", &newer];
    let is_kept = |o: &Value| o["status"]["forecast"] == "fair" && o["status"]["identity"]["rating"] == 5;
    let started = Instant::now();
    loop {
        // The new schema holds some moments after it is stored.
        cluster.kubectl(&write).await;
        if is_kept(&cluster.world.get(&cluster.namespace, NAME).await.unwrap().unwrap()) {
            break;
        }
        assert!(started.elapsed() < LIMIT, "the newer schema does not hold");
    }
    cluster.world.dns().remove(&format!("bounce.{DOMAIN}"), RecordType::TXT).unwrap();
    let changed = cluster.until(NAME, "a change of status", |o| o["status"]["recordsFound"] == "4/5").await;
    assert!(is_kept(&changed), "what a newer version wrote is gone: {}", changed["status"]);
    cluster.world.publish(&changed).unwrap();
    cluster.until(NAME, "Ready", object::is_ready).await;

    let mut manifest = object::manual("newer", "newer.example.com");
    manifest["spec"]["deletionPolicy"] = json!("Archive");
    manifest["metadata"]["finalizers"] = json!(["sendingdomain.dev/cleanup"]);
    cluster.world.create(&cluster.namespace, &manifest).await.unwrap();
    cluster.until_event("Unreadable", "newer").await;
    cluster.world.annotate(&cluster.namespace, NAME, "sendingdomain.dev/reconcile-at", "beside").await.unwrap();
    cluster.until(NAME, "the others go on", |o| o["status"]["lastHandledReconcileAt"] == "beside").await;
    cluster.world.delete(&cluster.namespace, "newer").await.unwrap();
    cluster.until_event("CleanupBlocked", "newer").await;
    cluster.world.wait_gone(&cluster.namespace, "newer", LIMIT).await.unwrap();
    cluster.until_event("CleanupIncomplete", "newer").await;
}

/// G12: rights are taken away and given back.
async fn with_fewer_rights(cluster: &mut Cluster) {
    let world = &cluster.world;
    world.cloudflare_zone("example.org");
    world.create_secret(&cluster.namespace, SECRET, "api-token", world.token()).await.unwrap();
    let role = "clusterrole/sending-domain-operator";
    let restore = ["apply", "--server-side", "--force-conflicts", "-k", RBAC];
    let without = |resource: &'static str| async move {
        let role: Value =
            serde_json::from_str(&world.control_plane().kubectl_ok(&["get", role, "-o", "json"]).await.unwrap())
                .unwrap();
        let rules = role["rules"].as_array().unwrap().iter();
        let kept: Vec<&Value> = rules.filter(|rule| rule["resources"][0] != resource).collect();
        let patch = json!([{ "op": "replace", "path": "/rules", "value": kept }]).to_string();
        let args = ["patch", "clusterrole/sending-domain-operator", "--type=json", "-p", &patch];
        world.control_plane().kubectl_ok(&args).await.unwrap();
    };
    without("secrets").await;
    // The authorizer follows some moments later.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let with_cloudflare = object::cloudflare("at-cloudflare", "mail.example.org", SECRET);
    world.create(&cluster.namespace, &with_cloudflare).await.unwrap();
    let says = |o: &Value| object::message(o, "Ready").contains("needs the verb get on secrets");
    cluster.until("at-cloudflare", "the missing right named", says).await;
    cluster.kubectl(&restore).await;
    cluster.until("at-cloudflare", "Ready", object::is_ready).await;

    without("sendingdomains").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let from = cluster.operator.log().len();
    // The watch that runs would go on: only a new one asks again.
    cluster.operator.restart().await.unwrap();
    cluster.until_logged("the watch of SendingDomains failed", from).await;
    assert!(cluster.operator.is_running(), "no crash loop");
    cluster.kubectl(&restore).await;
    cluster.until_ready().await;
}

/// G4 and G6: nothing is written outside while the API server is down, and everything goes on when it is back.
async fn without_an_api_server(cluster: &mut Cluster) {
    let pid = cluster.operator.pid();
    cluster.until("at-cloudflare", "Ready", object::is_ready).await;
    cluster.world.own_control_plane().unwrap().stop_apiserver().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let record = cluster.world.cloudflare().records("example.org").remove(0);
    cluster.world.cloudflare().delete_record("example.org", record["id"].as_str().unwrap()).unwrap();
    cluster.world.ses().reset_calls();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(cluster.ours(), 4, "a write without a fresh look at the cluster");
    assert_eq!(cluster.answers("/livez").await, 200);
    cluster.world.own_control_plane().unwrap().start_apiserver().await.unwrap();
    let back = Instant::now();
    while cluster.ours() != 5 {
        assert!(back.elapsed() < LIMIT, "not repaired:\n{}", cluster.world.log_tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The watches are taken up again, too.
    cluster.world.annotate(&cluster.namespace, NAME, "sendingdomain.dev/reconcile-at", "back").await.unwrap();
    cluster.until(NAME, "the watch", |o| o["status"]["lastHandledReconcileAt"] == "back").await;
    assert_eq!(cluster.operator.pid(), pid);
    assert!(cluster.operator.is_running());
}

/// A14: the CRD is deleted, and with it every object, each cleaned up; then it is installed again.
async fn when_its_crd_goes(cluster: &mut Cluster) {
    cluster.kubectl(&["delete", CRD, "--timeout=90s"]).await;
    assert!(cluster.world.ses().identities().is_empty() && cluster.ours() == 0);
    cluster.install_crd().await;
    cluster.world.create(&cluster.namespace, &object::manual(NAME, DOMAIN)).await.unwrap();
    cluster.until(NAME, "records", |o| object::records(o).len() == 5).await;
}
