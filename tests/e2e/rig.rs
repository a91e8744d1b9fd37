//! A world with one operator and one namespace, and what nearly every test does with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use testbed::control_plane::ControlPlane;
use testbed::ses::{IdentityView, Operation};
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};
use tokio::sync::OnceCell;

use crate::{audit, watch};

/// The domain of most tests; its zone is [`ZONE`].
pub const DOMAIN: &str = "mail.example.com";
/// The parent of [`DOMAIN`].
pub const ZONE: &str = "example.com";
/// The name of most objects.
pub const NAME: &str = "mail";
/// The name of most Secrets.
pub const SECRET: &str = "cloudflare";
/// The region of all operators.
pub const REGION: &str = "us-east-1";
/// Nothing takes as long, on a machine that does nothing else.
pub const LIMIT: Duration = Duration::from_mins(1);

/// A world, an operator and a namespace.
pub struct Rig {
    pub world: World,
    pub operator: Operator,
    pub namespace: String,
    /// More namespaces that the operator watches.
    pub others: Vec<String>,
    options: OperatorOptions,
    aws_secret: String,
    is_finished: bool,
}

impl Rig {
    /// An operator that looks every one or two seconds, and an SES that looks twice a second.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other options.
    pub async fn with(change: impl FnOnce(&mut OperatorOptions)) -> Self {
        Self::over_namespaces(1, change).await
    }

    /// The same with an operator over several namespaces.
    pub async fn over_namespaces(count: usize, change: impl FnOnce(&mut OperatorOptions)) -> Self {
        let world = World::start(WorldOptions::shared()).await.unwrap();
        watch::start(ControlPlane::shared().await.unwrap());
        world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
        let mut namespaces = Vec::new();
        for _ in 0..count {
            namespaces.push(world.namespace().await.unwrap());
        }
        let aws_secret = format!("aws-canary-{:032x}", rand::random::<u128>());
        let mut options = OperatorOptions {
            namespaces: namespaces.clone(),
            log_level: "trace".to_owned(),
            env: vec![("AWS_SECRET_ACCESS_KEY".to_owned(), aws_secret.clone())],
            ..OperatorOptions::new(binary().await)
        };
        change(&mut options);
        let operator = world.operator(&options).unwrap();
        let namespace = namespaces.remove(0);
        Self { world, operator, namespace, others: namespaces, options, aws_secret, is_finished: false }
    }

    /// A second operator with the same settings and the same owner id, beside the first.
    pub fn second_operator(&self) -> Operator {
        let owner_id = Some(self.operator.owner_id().to_owned());
        self.world.operator(&OperatorOptions { owner_id, ..self.options.clone() }).unwrap()
    }

    /// Starts another operator in the place of the last one, with the same owner id and over these namespaces.
    pub async fn watch_namespaces(&mut self, namespaces: &[String]) {
        self.operator.stop().await.unwrap();
        let options = OperatorOptions {
            namespaces: namespaces.to_vec(),
            owner_id: Some(self.operator.owner_id().to_owned()),
            ..self.options.clone()
        };
        self.operator = self.world.operator(&options).unwrap();
    }

    /// A Cloudflare domain in a zone of its parent, with a good token.
    pub async fn apply_cloudflare(&self) {
        self.world.cloudflare_zone(ZONE);
        self.set_token(self.world.token()).await;
        self.create(&object::cloudflare(NAME, DOMAIN, SECRET)).await;
    }

    /// The same, Verified.
    pub async fn verified_cloudflare(&self) -> Value {
        self.apply_cloudflare().await;
        self.ready().await
    }

    /// A manual domain in a zone where nothing is.
    pub async fn apply_manual(&self) {
        self.world.manual_zone(ZONE).unwrap();
        self.create(&object::manual(NAME, DOMAIN)).await;
    }

    /// The same, its records added by a person, Verified.
    pub async fn verified_manual(&self) -> Value {
        self.apply_manual().await;
        let pending = self.until("records", |o| object::records(o).len() == 5).await;
        self.world.publish(&pending).unwrap();
        self.ready().await
    }

    /// Puts a value into the Secret.
    pub async fn set_token(&self, value: impl AsRef<[u8]>) {
        self.world.create_secret(&self.namespace, SECRET, "api-token", value).await.unwrap();
    }

    /// Creates an object.
    pub async fn create(&self, manifest: &Value) -> Value {
        self.world.create(&self.namespace, manifest).await.unwrap()
    }

    /// Changes the object by a merge patch.
    pub async fn patch(&self, patch: &Value) -> Value {
        self.world.patch(&self.namespace, NAME, patch).await.unwrap()
    }

    /// Writes status as a user might who has the right to.
    pub async fn patch_status(&self, name: &str, status: &Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        let api = self.world.domains(&self.namespace);
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// The object as it is.
    pub async fn get(&self) -> Value {
        self.world.get(&self.namespace, NAME).await.unwrap().unwrap()
    }

    /// Waits for the object.
    pub async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.until_named(NAME, what, condition).await
    }

    /// Waits for another object of the namespace.
    pub async fn until_named(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.world
            .wait_for(&self.namespace, name, what, condition, LIMIT)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until mail can be sent.
    pub async fn ready(&self) -> Value {
        self.until("Ready", object::is_ready).await
    }

    /// Waits until Ready, being current, has this reason.
    pub async fn reason(&self, reason: &str) -> Value {
        let is_so = |o: &Value| object::is_current(o) && object::reason(o, "Ready") == reason;
        self.until(&format!("Ready with the reason {reason}"), is_so).await
    }

    /// Waits until an event of this reason about the object is told.
    pub async fn expect_event(&self, kind: &str, reason: &str) -> String {
        let started = Instant::now();
        loop {
            let events = self.world.events(&self.namespace).await.unwrap();
            let is_it = |event: &&k8s_openapi::api::events::v1::Event| {
                event.reason.as_deref() == Some(reason) && event.type_.as_deref() == Some(kind)
            };
            if let Some(event) = events.iter().find(is_it) {
                return event.note.clone().unwrap_or_default();
            }
            let told: Vec<_> = events.iter().map(|e| (e.type_.clone(), e.reason.clone())).collect();
            assert!(started.elapsed() < LIMIT, "no event {kind} {reason}: {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The identity of [`DOMAIN`] at SES.
    pub fn identity(&self) -> Option<IdentityView> {
        self.world.ses().identity(REGION, DOMAIN)
    }

    /// The records of [`ZONE`] at Cloudflare that carry a mark of this operator, by name and type.
    pub fn ours(&self) -> BTreeMap<(String, String), Value> {
        let owner = format!("sendingdomain.dev/{}/", self.operator.owner_id());
        let records = self.world.cloudflare().records(ZONE).into_iter();
        let ours = records.filter(|r| r["comment"].as_str().is_some_and(|comment| comment.contains(&owner)));
        ours.map(|r| ((text(&r, "name"), text(&r, "type")), r)).collect()
    }

    /// The records of [`ZONE`] at Cloudflare that do not, byte by byte.
    pub fn foreign(&self) -> Vec<String> {
        let owner = format!("sendingdomain.dev/{}/", self.operator.owner_id());
        let records = self.world.cloudflare().records(ZONE).into_iter();
        records.map(|r| r.to_string()).filter(|r| !r.contains(&owner)).collect()
    }

    /// The writes to SES and Cloudflare so far.
    pub fn outside_writes(&self) -> Vec<String> {
        let ses = self.world.ses().calls();
        let reads = [Operation::GetEmailIdentity, Operation::ListEmailIdentities, Operation::AssumeRole];
        let ses = ses.iter().filter(|call| !reads.contains(&call.operation)).map(|call| call.operation.to_string());
        let cloudflare = self.world.cloudflare().calls();
        let cloudflare = cloudflare.iter().filter(|call| call.method != Method::GET.as_str());
        ses.chain(cloudflare.map(|call| format!("{} {}", call.method, call.path))).collect()
    }

    /// The calls of SES and Cloudflare so far.
    pub fn outside_calls(&self) -> usize {
        self.world.ses().calls().len() + self.world.cloudflare().calls().len()
    }

    /// Forgets the calls so far.
    pub fn reset_calls(&self) {
        self.world.ses().reset_calls();
        self.world.cloudflare().reset_calls();
    }

    /// The operator's writes to the API server so far, in the namespace of this rig.
    pub fn kubernetes_writes(&self) -> Vec<String> {
        audit::writes(self.world.control_plane(), &self.namespace)
    }

    /// Ends the operator, and holds all that it wrote to what must never be.
    pub async fn finish(mut self) {
        self.is_finished = true;
        assert!(self.operator.is_running(), "the operator has ended:\n{}", self.world.log_tails());
        self.assert_silent_metrics().await;
        self.operator.stop().await.unwrap();
        let namespaces: Vec<String> = std::iter::once(&self.namespace).chain(&self.others).cloned().collect();
        for namespace in &namespaces {
            self.assert_invariants(namespace).await;
            self.assert_secrecy(namespace).await;
        }
        let log = self.operator.log();
        assert!(!log.contains("panicked at"), "the operator has panicked:\n{}", self.world.log_tails());
        self.assert_silent_about_secrets(&log, "the log");
    }

    /// What is served on the port of the metrics.
    async fn assert_silent_metrics(&mut self) {
        if self.options.serve {
            let port = self.operator.port("metrics").await.unwrap();
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(text.contains("sendingdomain_"), "{text}");
            self.assert_silent_about_secrets(&text, "a metric");
        }
    }

    async fn assert_invariants(&self, namespace: &str) {
        let mut last = object::manual("the-last-of-all", "last.example");
        last["spec"]["suspend"] = json!(true);
        // A namespace that the test has deleted takes no more objects.
        if self.world.create(namespace, &last).await.is_ok() {
            watch::caught_up(namespace, "the-last-of-all").await;
        }
        let breaches = watch::breaches(namespace);
        assert!(breaches.is_empty(), "versions that broke a rule:\n{}", breaches.join("\n"));
    }

    async fn assert_secrecy(&self, namespace: &str) {
        let objects = self.world.domains(namespace).list(&kube::api::ListParams::default()).await.unwrap();
        self.assert_silent_about_secrets(&serde_json::to_string(&objects).unwrap(), "an object");
        let events = self.world.events(namespace).await.unwrap();
        self.assert_silent_about_secrets(&serde_json::to_string(&events).unwrap(), "an event");
        let audited = audit::lines(self.world.control_plane(), namespace).join("\n");
        assert!(!audited.is_empty(), "the audit log does not know the operator");
        let refused = audited.lines().find(|line| line.contains(audit::REFUSED));
        assert_eq!(refused, None, "RBAC has refused a request: the rights of the chart are too few");
        self.assert_silent_about_secrets(&audited, "a request to the API server");
    }

    fn assert_silent_about_secrets(&self, text: &str, place: &str) {
        let token = self.world.token();
        for canary in [token.to_owned(), base64(token.as_bytes()), self.aws_secret.clone()] {
            assert!(!text.contains(&canary), "{place} has {canary}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        assert!(self.is_finished || std::thread::panicking(), "the test must end with finish()");
    }
}

/// A string field of a JSON object.
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// As a Secret has it in JSON.
fn base64(bytes: &[u8]) -> String {
    let value = serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).unwrap();
    value.as_str().unwrap().to_owned()
}

/// The binary under test, under a name of its own: a build that goes on meanwhile must not change it.
pub async fn binary() -> PathBuf {
    static COPY: OnceCell<PathBuf> = OnceCell::const_new();
    let copy = COPY.get_or_init(|| async {
        let copy = ControlPlane::shared().await.unwrap().directory().join("operator-under-test");
        std::fs::copy(env!("CARGO_BIN_EXE_sending-domain-operator"), &copy).unwrap();
        copy
    });
    copy.await.clone()
}
