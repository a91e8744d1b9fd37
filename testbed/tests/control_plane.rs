//! The control plane is real: it serves, authorizes, terminates namespaces, and goes with its process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use serde_json::Value;
use testbed::control_plane::{self, ControlPlane, Options};

mod common;
use common::{KilledParent, gone_within, lives};

/// Two cores may be busy with other things.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn kubectl_sees_the_namespaces() {
    let plane = ControlPlane::shared().await.unwrap();
    let printed = plane.kubectl_ok(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(printed.contains("namespace/kube-system"), "{printed}");
    let error = plane.kubectl_ok(&["get", "nothing-of-this-kind"]).await.unwrap_err();
    assert!(error.to_string().contains("nothing-of-this-kind"), "{error}");
}

#[tokio::test]
async fn a_deleted_namespace_is_gone_with_all_that_was_in_it() {
    let plane = ControlPlane::shared().await.unwrap();
    if !plane.has_controllers() {
        return;
    }
    let namespaces: Api<Namespace> = Api::all(plane.admin_client().await.unwrap());
    plane.apply_yaml(&manifests("short-lived")).await.unwrap();
    namespaces.delete("short-lived", &DeleteParams::default()).await.unwrap();
    let started = Instant::now();
    while namespaces.get_opt("short-lived").await.unwrap().is_some() {
        assert!(started.elapsed() < SOON, "still terminating");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn what_is_owned_is_collected_with_its_owner() {
    let plane = ControlPlane::shared().await.unwrap();
    if !plane.has_controllers() {
        return;
    }
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin_client().await.unwrap(), "default");
    let named = |name: &str| ConfigMap {
        metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    let owner = maps.create(&PostParams::default(), &named("owner")).await.unwrap();
    let mut dependent = named("owned");
    dependent.metadata.owner_references = Some(vec![kube::Resource::owner_ref(&owner, &()).unwrap()]);
    maps.create(&PostParams::default(), &dependent).await.unwrap();
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    let started = Instant::now();
    while maps.get_opt("owned").await.unwrap().is_some() {
        assert!(started.elapsed() < SOON, "not collected");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says_and_nothing_else() {
    let plane = ControlPlane::shared().await.unwrap();
    plane.apply_yaml(&manifests("roles")).await.unwrap();
    let kubeconfig = plane.service_account_kubeconfig("roles", "robot").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(control_plane::client(&kubeconfig).await.unwrap(), "roles");
    let refused = maps.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(refused.contains("system:serviceaccount:roles:robot"), "{refused}");
    // Roles of our own: `view` and its like are empty here, nobody fills aggregated roles.
    let role = ["create", "role", "reader", "-n", "roles", "--verb=get,list", "--resource=configmaps"];
    plane.kubectl_ok(&role).await.unwrap();
    let account = "--serviceaccount=roles:robot";
    plane.kubectl_ok(&["create", "rolebinding", "reader", "-n", "roles", "--role=reader", account]).await.unwrap();
    // The authorizer learns of a new binding from a watch.
    let started = Instant::now();
    while maps.list(&ListParams::default()).await.is_err() {
        assert!(started.elapsed() < SOON, "still refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = maps.delete("settings", &DeleteParams::default()).await.unwrap_err().to_string();
    assert!(refused.contains("cannot delete"), "{refused}");
    let absent = plane.service_account_kubeconfig("roles", "nobody").await.unwrap_err().to_string();
    assert!(absent.contains("roles/nobody"), "{absent}");
}

#[tokio::test]
async fn admission_enforces_pod_security() {
    let plane = ControlPlane::shared().await.unwrap();
    plane.apply_yaml(&manifests("strict")).await.unwrap();
    plane.kubectl_ok(&["label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted"]).await.unwrap();
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root", "namespace": "strict"},
        "spec": {"serviceAccountName": "robot", "containers": [{"name": "c", "image": "i"}]}}"#;
    let refused = plane.apply_yaml(pod).await.unwrap_err().to_string();
    assert!(refused.contains("violates PodSecurity \"restricted"), "{refused}");
}

#[tokio::test]
async fn the_audit_log_has_bodies_but_no_secrets() {
    let plane = ControlPlane::shared().await.unwrap();
    plane.apply_yaml(&manifests("audited")).await.unwrap();
    plane.service_account_kubeconfig("audited", "robot").await.unwrap();
    let log = std::fs::read_to_string(plane.audit_log()).unwrap();
    let of = |resource: &str| {
        let event = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|event| {
            let object = &event["objectRef"];
            object["namespace"] == "audited" && object["resource"] == resource && event["verb"] == "patch"
        });
        event.unwrap_or_else(|| panic!("no write of {resource}"))
    };
    assert_eq!(of("configmaps")["requestObject"]["data"]["colour"], "blue");
    assert_eq!(of("configmaps")["user"]["username"], "admin");
    assert!(of("secrets").get("requestObject").is_none());
    let token = std::fs::read_to_string(plane.directory().join("audited.robot.kubeconfig")).unwrap();
    let token = token.lines().find_map(|line| line.trim().strip_prefix("token: ")).unwrap();
    assert!(!log.contains(token) && !log.contains("aHVzaA=="));
}

#[tokio::test]
async fn it_starts_in_any_task_and_tells_its_version() {
    let plane = tokio::spawn(ControlPlane::shared()).await.unwrap().unwrap();
    let version = plane.admin_client().await.unwrap().apiserver_version().await.unwrap();
    assert_eq!(version.major, "1");
    assert!(version.minor.parse::<u32>().unwrap() >= 30, "{version:?}");
}

#[test]
fn nothing_is_left_when_the_process_is_killed() {
    let parent = KilledParent::start("a_parent_with_a_control_plane");
    let (pids, directories) = (parent.pids("child"), parent.directories());
    assert!(pids.len() >= 2 && directories.len() == 1, "{pids:?} {directories:?}");
    assert!(pids.iter().all(|pid| lives(*pid)));
    parent.kill();
    assert!(pids.iter().all(|pid| gone_within(SOON, *pid)));
    assert!(directories.iter().all(|directory| common::removed_within(SOON, directory)));
    assert!(common::no_process_names_within(SOON, &pids));
}

#[tokio::test]
#[ignore = "the parent that nothing_is_left_when_the_process_is_killed starts"]
async fn a_parent_with_a_control_plane() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    for pid in plane.pids() {
        println!("child {pid}");
    }
    println!("directory {}", plane.directory().display());
    println!("up");
    tokio::time::sleep(SOON).await;
}

/// A namespace with a ServiceAccount, a ConfigMap and a Secret.
fn manifests(namespace: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot, namespace: {namespace}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: {namespace}}}
data: {{colour: blue}}
---
apiVersion: v1
kind: Secret
metadata: {{name: key, namespace: {namespace}}}
data: {{token: aHVzaA==}}
"
    )
}
