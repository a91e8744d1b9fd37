//! What a person asks the operator for.

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig};

#[tokio::test]
async fn reconcile_is_handled_and_recreate_makes_new_tokens_only_when_agreed_to() {
    let rig = Rig::start().await;
    let pending = rig.pending().await;
    rig.run(&["reconcile", NAME]).await.ok();
    let asked = rig.world.get(&rig.namespace, NAME).await.unwrap().unwrap();
    let value = asked["metadata"]["annotations"]["sendingdomain.dev/reconcile-at"].clone();
    assert!(value.is_string(), "{asked}");
    rig.until("handled", |o| o["status"]["lastHandledReconcileAt"] == value).await;

    let tokens = |o: &Value| o["status"]["identity"]["dkimTokens"].clone();
    let refused = rig.run(&["recreate", NAME]).await.with(2);
    assert!(refused.contains("--yes if sending may stop"), "{refused}");
    let untouched = rig.world.get(&rig.namespace, NAME).await.unwrap().unwrap();
    assert_eq!(untouched["metadata"]["annotations"]["sendingdomain.dev/recreate-at"], Value::Null);

    let agreed = rig.run(&["recreate", NAME, "--yes"]).await.with(0);
    assert!(
        agreed.contains("refused until the new records are verified") && agreed.contains("replaced by hand"),
        "{agreed}"
    );
    rig.until("new tokens", |o| tokens(o).is_array() && tokens(o) != tokens(&pending)).await;
    rig.finish().await;
}

#[tokio::test]
async fn on_a_terminal_the_domain_has_to_be_typed() {
    let rig = Rig::start().await;
    rig.pending().await;
    let Some(script) = crate::rig::program(&["script"]) else { return rig.finish().await };
    let recreate_at = async || {
        let object = rig.world.get(&rig.namespace, NAME).await.unwrap().unwrap();
        object["metadata"]["annotations"]["sendingdomain.dev/recreate-at"].clone()
    };
    let plugin = env!("CARGO_BIN_EXE_kubectl-sendingdomain");
    let line = format!("{plugin} recreate {NAME} -n {}", rig.namespace);
    for (answer, code) in [("yes", 9), (DOMAIN, 0)] {
        let mut command = tokio::process::Command::new(&script);
        command.env("KUBECONFIG", rig.world.control_plane().admin_kubeconfig()).env("NO_COLOR", "1");
        command
            .args(["-qec", &line, "/dev/null"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut input, format!("{answer}\n").as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("Type the domain to go on"), "{said}");
        assert_eq!(recreate_at().await.is_string(), code == 0);
    }
    rig.finish().await;
}

#[tokio::test]
async fn recreate_is_refused_for_an_adopted_identity_before_anything_is_asked() {
    let rig = Rig::with(|options| options.args.push("--allow-adoption=true".to_owned())).await;
    rig.world
        .ses()
        .region(crate::rig::REGION)
        .put_foreign_identity(DOMAIN, &std::collections::BTreeMap::new(), true)
        .unwrap();
    let mut manifest = object::manual(NAME, DOMAIN);
    manifest["spec"]["ses"] = json!({"adoptionPolicy": "Adopt"});
    rig.world.create(&rig.namespace, &manifest).await.unwrap();
    rig.until("adopted", |o| o["status"]["identity"]["origin"] == "Adopted").await;
    let refused = rig.run(&["recreate", NAME, "--yes"]).await.with(1);
    assert!(refused.contains("the identity was adopted"), "{refused}");
    rig.finish().await;
}
