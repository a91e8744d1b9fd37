//! As kubectl finds and runs it, and completes it.

use std::os::unix::fs::symlink;
use std::process::Stdio;

use testbed::world::object;

use crate::rig::{NAME, Ran, Rig};

#[tokio::test]
async fn kubectl_runs_and_completes_it() {
    let rig = Rig::start().await;
    rig.world.create(&rig.namespace, &object::manual(NAME, "mail.example.com")).await.unwrap();
    let plugins = tempfile::tempdir().unwrap();
    for name in ["kubectl-sendingdomain", "kubectl_complete-sendingdomain"] {
        symlink(env!("CARGO_BIN_EXE_kubectl-sendingdomain"), plugins.path().join(name)).unwrap();
    }
    let kubectl = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(rig.world.control_plane().kubectl_path());
        command
            .env_clear()
            .env("PATH", plugins.path())
            .env("HOME", plugins.path())
            .env("KUBECONFIG", rig.world.control_plane().admin_kubeconfig())
            .args(args)
            .stdin(Stdio::null());
        Ran::from(command.output().await.unwrap())
    };
    let help = kubectl(&["sendingdomain", "--help"]).await.ok();
    assert!(help.contains("Usage: kubectl sendingdomain") && help.contains("Exit codes:"), "{help}");
    let version = kubectl(&["sendingdomain", "--version"]).await.ok();
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    // The exit code comes through.
    assert_eq!(kubectl(&["sendingdomain", "wait", NAME, "-n", "default"]).await.code, 1);
    assert_eq!(kubectl(&["sendingdomain", "wait", NAME, "-n", &rig.namespace, "--timeout", "1s"]).await.code, 7);
    let commands = kubectl(&["__complete", "sendingdomain", "re"]).await.ok();
    assert!(commands.contains("records\nreconcile\nrecreate\n:4"), "{commands}");
    let names = kubectl(&["__complete", "sendingdomain", "check", "-n", &rig.namespace, ""]).await.ok();
    assert!(names.starts_with("mail\n:4"), "{names}");
    let formats = kubectl(&["__complete", "sendingdomain", "records", NAME, "-o", "h"]).await.ok();
    assert!(formats.starts_with("html\n"), "{formats}");
    rig.finish().await;
}
