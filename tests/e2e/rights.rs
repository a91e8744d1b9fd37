//! The rights that the chart gives are those that the operator uses, all of them and no other, by the API server's own log.
//!
//! That nothing else is used anywhere in this suite follows: every operator here runs with these rights only, and
//! [`crate::rig::Rig::finish`] looks for requests that RBAC has refused.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::control_plane::ControlPlane;
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};
use tokio::process::Command;

use crate::rig::{DOMAIN, LIMIT, NAME, SECRET, ZONE, binary};
use crate::{audit, external_dns};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One verb on one resource; in a namespace or everywhere, on one name or on all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    namespace: Option<String>,
    resource: String,
    name: Option<String>,
    verb: String,
}

impl Right {
    fn covers(&self, used: &Self) -> bool {
        let fits = |granted: &Option<String>, used: &Option<String>| granted.is_none() || granted == used;
        (&self.resource, &self.verb) == (&used.resource, &used.verb)
            && fits(&self.namespace, &used.namespace)
            && fits(&self.name, &used.name)
    }
}

/// The objects of the chart that give rights, as helm renders them for a release of the namespace's name.
async fn chart(namespace: &str, values: &str) -> Vec<Value> {
    let script = "helm=$(hack/build-tools.sh helm) && exec \"$helm/helm\" template \"$@\"";
    let chart = "charts/sending-domain-operator";
    let templates = ["templates/rbac.yaml", "templates/serviceaccount.yaml"];
    let shown = templates.iter().flat_map(|template| ["--show-only", template]);
    let rendered = Command::new("bash")
        .args(["-c", script, "helm", namespace, chart, "--namespace", namespace, "--set", values])
        .args(shown)
        .current_dir(ROOT)
        .output()
        .await
        .unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let documents = serde_yaml::Deserializer::from_slice(&rendered.stdout);
    let objects = documents.map(|document| serde::Deserialize::deserialize(document).unwrap());
    objects.filter(|object: &Value| !object.is_null()).collect()
}

/// What the roles among `objects` allow. The chart's bindings give each of them to its one ServiceAccount.
fn granted(objects: &[Value]) -> BTreeSet<Right> {
    let roles = objects.iter().filter(|o| ["Role", "ClusterRole"].contains(&o["kind"].as_str().unwrap()));
    roles.flat_map(|role| role["rules"].as_array().unwrap().iter().flat_map(|grant| allowed(role, grant))).collect()
}

fn allowed(role: &Value, grant: &Value) -> Vec<Right> {
    let words = |field: &str| -> Vec<String> {
        grant[field].as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let names: Vec<Option<String>> = match words("resourceNames") {
        names if names.is_empty() => vec![None],
        names => names.into_iter().map(Some).collect(),
    };
    let mut rights = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                rights.extend(names.iter().map(|name| Right {
                    namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
                    resource: format!("{resource}.{group}"),
                    name: name.clone(),
                    verb: verb.clone(),
                }));
            }
        }
    }
    rights
}

/// What the ServiceAccount has asked for.
fn used(plane: &ControlPlane, user: &str) -> BTreeSet<Right> {
    audit::events(plane, user).iter().filter(|event| event["objectRef"].is_object()).flat_map(asked).collect()
}

fn asked(event: &Value) -> Vec<Right> {
    let object = &event["objectRef"];
    let word = |field: &str| object[field].as_str().map(str::to_owned);
    let subresource = word("subresource").map_or_else(String::new, |name| format!("/{name}"));
    let right = |verb: &str| Right {
        namespace: word("namespace"),
        resource: format!("{}{subresource}.{}", word("resource").unwrap(), word("apiGroup").unwrap_or_default()),
        name: word("name"),
        verb: verb.to_owned(),
    };
    let verb = event["verb"].as_str().unwrap();
    let mut rights = vec![right(verb)];
    // An apply that makes the object: the server asks the authorizer for both verbs and logs one.
    if verb == "patch" && event["responseStatus"]["code"] == 201 {
        rights.push(right("create"));
    }
    rights
}

/// An operator with what the chart gives in `system` for these values, and nothing else.
struct Installed {
    operator: Operator,
    user: String,
    granted: BTreeSet<Right>,
}

impl Installed {
    async fn start(world: &World, system: &str, values: &str, namespaces: &[String]) -> Self {
        let plane = world.control_plane();
        plane.kubectl_ok(&["create", "namespace", system]).await.unwrap();
        let objects = chart(system, values).await;
        for object in &objects {
            plane.apply_yaml(&object.to_string()).await.unwrap();
        }
        let account = format!("{system}-sending-domain-operator");
        let kubeconfig = plane.service_account_kubeconfig(system, &account).await.unwrap();
        let options = OperatorOptions {
            namespaces: namespaces.to_vec(),
            // So that it asks for the UID of kube-system.
            owner_id: Some(String::new()),
            env: vec![("KUBECONFIG".to_owned(), kubeconfig.display().to_string())],
            args: ["--leader-elect=true", "--leader-election-id=shard-1", "--require-namespace-claims=true"]
                .map(str::to_owned)
                .to_vec(),
            ..OperatorOptions::new(binary().await)
        };
        let operator = world.operator(&options).unwrap();
        let user = format!("system:serviceaccount:{system}:{account}");
        Self { operator, user, granted: granted(&objects) }
    }

    /// Ends the operator, and compares.
    async fn finish(mut self, plane: &ControlPlane) {
        self.operator.stop().await.unwrap();
        let used = used(plane, &self.user);
        let idle: Vec<&Right> =
            self.granted.iter().filter(|right| !used.iter().any(|used| right.covers(used))).collect();
        assert!(idle.is_empty(), "granted and not used by {}: {idle:#?}\nused: {used:#?}", self.user);
        let over: Vec<&Right> =
            used.iter().filter(|used| !self.granted.iter().any(|right| right.covers(used))).collect();
        assert!(over.is_empty(), "used by {} and not granted: {over:#?}", self.user);
    }
}

/// Everything that an operator ever asks the API server for: a domain at Cloudflare, with its Secret, and one that is
/// handed to ExternalDNS, changed once; both are taken away again.
async fn a_life(world: &World, namespace: &str) {
    let plane = world.control_plane();
    plane
        .kubectl_ok(&["annotate", "namespace", namespace, "sendingdomain.dev/allowed-domains=example.com"])
        .await
        .unwrap();
    world.create_secret(namespace, SECRET, "api-token", world.token()).await.unwrap();
    let mut handed = object::manual("handed", "news.example.com");
    handed["spec"]["dns"] = json!({ "externalDNS": {} });
    world.create(namespace, &object::cloudflare(NAME, DOMAIN, SECRET)).await.unwrap();
    world.create(namespace, &handed).await.unwrap();
    let until = async |name: &str, what: &str, is_so: &dyn Fn(&Value) -> bool| {
        world.wait_for(namespace, name, what, is_so, LIMIT).await.unwrap_or_else(|error| panic!("{error}"))
    };
    let synced = |o: &Value| object::is_current(o) && object::condition_status(o, "RecordsSynced") == "True";
    until(NAME, "Ready", &object::is_ready).await;
    until("handed", "handed over", &synced).await;
    let labels = json!({ "spec": { "dns": { "externalDNS": { "labels": { "team": "mail" } } } } });
    world.patch(namespace, "handed", &labels).await.unwrap();
    let labelled = ["get", "dnsendpoints", "-n", namespace, "-l", "team=mail", "-o", "name"];
    let started = Instant::now();
    while plane.kubectl_ok(&labelled).await.unwrap().is_empty() {
        assert!(started.elapsed() < LIMIT, "the DNSEndpoint stays as it is:\n{}", world.log_tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in [NAME, "handed"] {
        world.delete_and_wait(namespace, name, LIMIT).await.unwrap();
    }
}

async fn world() -> World {
    let world = World::start(WorldOptions::default()).await.unwrap();
    world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
    world.control_plane().apply_yaml(external_dns::CRD).await.unwrap();
    world.cloudflare_zone(ZONE);
    world
}

#[tokio::test]
async fn every_right_of_the_chart_is_used_and_no_other_over_the_cluster_and_in_one_namespace() {
    let world = world().await;
    let plane = world.control_plane();

    let scoped = world.namespace().await.unwrap();
    let values = format!("operator.watchNamespaces={{{scoped}}},leaderElection.id=shard-1");
    let installed = Installed::start(&world, "scoped-system", &values, std::slice::from_ref(&scoped)).await;
    let everywhere: Vec<&Right> = installed.granted.iter().filter(|right| right.namespace.is_none()).collect();
    assert!(everywhere.is_empty(), "rights over the whole cluster: {everywhere:#?}");
    a_life(&world, &scoped).await;
    installed.finish(plane).await;

    let namespace = world.namespace().await.unwrap();
    let installed = Installed::start(&world, "wide-system", "leaderElection.id=shard-1", &[]).await;
    a_life(&world, &namespace).await;
    installed.finish(plane).await;
}
