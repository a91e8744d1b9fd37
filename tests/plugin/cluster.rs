//! Which cluster is asked, by kubectl's own flags.

use std::path::Path;

use testbed::control_plane::ControlPlane;

use crate::rig::{NAME, Ran, Rig};

/// A kubeconfig for a bearer of `token`.
pub fn with_token(plane: &ControlPlane, token: &str) -> tempfile::NamedTempFile {
    kubeconfig(plane.url(), plane.ca_file(), token)
}

fn kubeconfig(url: &str, ca: &Path, token: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
        "clusters": [
            {"name": "here", "cluster": {"server": url, "certificate-authority": ca}},
            {"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": ca}},
        ],
        "users": [{"name": "bearer", "user": {"token": token}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "bearer", "namespace": "from-the-context"}},
            {"name": "nowhere", "context": {"cluster": "here", "user": "bearer"}},
            {"name": "broken", "context": {"cluster": "nowhere", "user": "bearer"}},
        ],
    });
    std::fs::write(file.path(), text.to_string()).unwrap();
    file
}

#[tokio::test]
async fn contexts_namespaces_and_kubeconfigs_are_chosen_as_with_kubectl() {
    let rig = Rig::start().await;
    let plane = rig.world.control_plane();
    let token = "secret-token-canary";
    let file = with_token(plane, token);
    let run = async |args: &[&str]| {
        let mut command = rig.command();
        command.env("KUBECONFIG", file.path()).args(args);
        Ran::from(command.output().await.unwrap())
    };
    let unknown = run(&["records", "--context", "absent"]).await.with(1);
    assert!(unknown.contains("look at --kubeconfig, --context and $KUBECONFIG"), "{unknown}");
    let unreachable = run(&["records", NAME, "--context", "broken"]).await.with(1);
    assert!(unreachable.contains("the API server does not answer"), "{unreachable}");
    let refused = run(&["--context", "here", "records", NAME]).await.with(1);
    assert!(!refused.contains(token), "{refused}");
    let mut explicit = rig.command();
    let admin = plane.admin_kubeconfig();
    explicit
        .env("KUBECONFIG", file.path())
        .args(["records", "-n", &rig.namespace, "-o", "json", "--kubeconfig"])
        .arg(admin);
    assert_eq!(Ran::from(explicit.output().await.unwrap()).ok().trim(), "[]");
    rig.finish().await;
}
