//! What is missing is named, with what to do; what is there is not.

use serde_json::{Value, json};
use testbed::cloudflare::TokenState;
use testbed::dns::Fault;
use testbed::ses::Operation;
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, ZONE};

/// The lines of a level.
fn lines<'a>(report: &'a str, level: &str) -> Vec<&'a str> {
    let prefix = format!("  {level} ");
    report.lines().filter(|line| line.starts_with(&prefix)).collect()
}

#[tokio::test]
async fn a_healthy_installation_has_nothing_to_mend() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    rig.world.create_secret(&rig.namespace, "cloudflare", "api-token", rig.world.token()).await.unwrap();
    rig.world.create(&rig.namespace, &object::cloudflare(NAME, DOMAIN, "cloudflare")).await.unwrap();
    let report = rig.run_with_dns(&["doctor"]).await.ok();
    assert_eq!(lines(&report, "fail"), Vec::<&str>::new(), "{report}");
    // The operator of a test is no Deployment.
    let warnings = lines(&report, "warn");
    assert!(warnings.len() == 1 && warnings[0].contains("no Deployment of the operator"), "{report}");
    for good in [
        "the CRD sendingdomains.sendingdomain.dev is that of version",
        "you may get, list, watch and patch",
        "may do all that the operator needs",
        "AWS account ",
        "may send",
        "the token is active",
        "reads zone example.com for mail.example.com",
        "the name servers of mail.example.com answer themselves",
    ] {
        assert!(lines(&report, "ok  ").iter().any(|line| line.contains(good)), "{good}: {report}");
    }
    assert!(!report.contains(rig.world.token()), "{report}");
    rig.finish().await;
}

#[tokio::test]
async fn what_is_broken_is_named_with_what_to_do() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone("elsewhere.org");
    rig.world.create_secret(&rig.namespace, "cloudflare", "api-token", rig.world.token()).await.unwrap();
    rig.world.create(&rig.namespace, &object::cloudflare(NAME, DOMAIN, "cloudflare")).await.unwrap();
    rig.world.create(&rig.namespace, &object::cloudflare("second", "second.example.com", "absent")).await.unwrap();
    rig.world.ses().configure(|settings| settings.production_access = false);
    rig.world.ses().deny(Operation::ListEmailIdentities);
    rig.world.dns().set_fault("second.example.com", None, Fault::ServFail).unwrap();
    let args = ["doctor", "--operator-service-account", "nobody"];
    let report = rig.run_with_dns(&args).await.with(8);
    for (level, bad) in [
        ("fail", ":nobody may not: get sendingdomains.sendingdomain.dev"),
        ("fail", "Secret absent is not in"),
        ("fail", "the token sees no zone of mail.example.com"),
        ("warn", "the name servers of mail.example.com cannot be found"),
        ("fail", "resolvers do not answer for second.example.com"),
        ("warn", "is in the sandbox"),
        ("warn", "AWS denies ses:ListEmailIdentities to your credentials"),
    ] {
        assert!(lines(&report, level).iter().any(|line| line.contains(bad)), "{level} {bad}: {report}");
    }
    assert!(report.contains("bind the ClusterRole sending-domain-operator"), "{report}");
    rig.world.cloudflare().set_token_state(rig.world.token(), TokenState::Disabled);
    let disabled = rig.run_with_dns(&["doctor", "--skip", "kubernetes,aws,dns"]).await.with(8);
    assert!(disabled.contains("the token is disabled") && !disabled.contains("AWS"), "{disabled}");
    rig.world.cloudflare().revoke_token(rig.world.token());
    let revoked = rig.run_with_dns(&["doctor", "--skip", "kubernetes,aws,dns"]).await.with(8);
    assert!(
        revoked.contains("template Edit zone DNS, add Zone Read to it") && !revoked.contains(rig.world.token()),
        "{revoked}"
    );
    rig.finish().await;
}

#[tokio::test]
async fn without_a_cluster_the_rest_is_looked_at() {
    let rig = Rig::start().await;
    let mut command = rig.command();
    command.args(["doctor", "--skip", "cloudflare,dns", "--kubeconfig", "/nonexistent"]);
    let report = crate::rig::Ran::from(command.output().await.unwrap()).with(8);
    assert!(report.contains("fail no cluster: ") && report.contains("--skip kubernetes"), "{report}");
    assert!(report.contains("AWS account "), "{report}");
    rig.finish().await;
}

#[tokio::test]
async fn the_zone_that_is_named_is_the_one_that_is_tried() {
    let rig = Rig::start().await;
    rig.world.cloudflare_zone(ZONE);
    let token = rig.world.token();
    rig.world.create_secret(&rig.namespace, "cloudflare", "api-token", token).await.unwrap();
    let mut other = object::cloudflare(NAME, DOMAIN, "cloudflare");
    other["spec"]["dns"]["cloudflare"]["zoneID"] = "0123456789abcdef0123456789abcdef".into();
    rig.world.create(&rig.namespace, &other).await.unwrap();
    let report = rig.run_with_dns(&["doctor", "--skip", "kubernetes,aws,dns"]).await.with(8);
    assert!(
        report.contains("sees no zone 0123456789abcdef0123456789abcdef, which spec.dns.cloudflare.zoneID"),
        "{report}"
    );
    rig.finish().await;
}

/// Where each namespace grants what it must and no more: a Role that names the Secret.
#[tokio::test]
async fn the_operator_is_asked_for_what_it_uses_and_a_secret_of_a_refused_type_is_told() {
    let rig = Rig::start().await;
    let namespace = rig.namespace.as_str();
    let plane = rig.world.control_plane();
    rig.world.cloudflare_zone(ZONE);
    rig.world.create_secret(namespace, "cloudflare", "api-token", rig.world.token()).await.unwrap();
    rig.world.create(namespace, &object::cloudflare(NAME, DOMAIN, "cloudflare")).await.unwrap();
    let mut role: Value = serde_yaml::from_str(include_str!("../../config/rbac/role.yaml")).unwrap();
    role["kind"] = "Role".into();
    role["metadata"] = json!({"name": "narrow", "namespace": namespace});
    for rule in role["rules"].as_array_mut().unwrap() {
        if rule["resources"] == json!(["secrets"]) {
            rule["resourceNames"] = json!(["cloudflare"]);
        }
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), role.to_string()).unwrap();
    plane.kubectl_ok(&["apply", "-f", file.path().to_str().unwrap()]).await.unwrap();
    let account = format!("--serviceaccount={namespace}:narrow");
    plane.kubectl_ok(&["create", "rolebinding", "narrow", "-n", namespace, "--role=narrow", &account]).await.unwrap();
    let args = ["doctor", "--skip=aws,dns", "--operator-namespace", namespace, "--operator-service-account=narrow"];
    let report = rig.run(&args).await.ok();
    let all = format!("system:serviceaccount:{namespace}:narrow may do all that the operator needs in {namespace}");
    assert!(lines(&report, "ok  ").iter().any(|line| line.contains(&all)), "{report}");

    let secret = ["create", "secret", "docker-registry", "registry", "-n", namespace];
    let login = ["--docker-server=https://example.com", "--docker-username=u", "--docker-password=canary-password"];
    plane.kubectl_ok(&[&secret[..], &login[..]].concat()).await.unwrap();
    let mut other = object::cloudflare("second", "second.example.com", "registry");
    other["spec"]["dns"]["cloudflare"]["apiTokenSecretRef"]["key"] = ".dockerconfigjson".into();
    rig.world.create(namespace, &other).await.unwrap();
    let report = rig.run(&args).await.with(8);
    assert!(report.contains("narrow may not: get secrets registry"), "{report}");
    assert!(report.contains("kubernetes.io/dockerconfigjson") && !report.contains("canary-password"), "{report}");
    rig.finish().await;
}

#[tokio::test]
async fn somebody_with_few_rights_is_told_which_are_missing() {
    let rig = Rig::start().await;
    let namespace = rig.namespace.as_str();
    let plane = rig.world.control_plane();
    plane.kubectl_ok(&["create", "serviceaccount", "viewer", "-n", namespace]).await.unwrap();
    let role = [
        "create",
        "role",
        "viewer",
        "-n",
        namespace,
        "--verb=get,list,watch",
        "--resource=sendingdomains.sendingdomain.dev",
    ];
    plane.kubectl_ok(&role).await.unwrap();
    let account = format!("--serviceaccount={namespace}:viewer");
    plane.kubectl_ok(&["create", "rolebinding", "viewer", "-n", namespace, "--role=viewer", &account]).await.unwrap();
    let token = plane.kubectl_ok(&["create", "token", "viewer", "-n", namespace]).await.unwrap();
    let kubeconfig = crate::cluster::with_token(plane, token.trim());
    let mut command = rig.command();
    command.args(["doctor", "--skip", "aws,cloudflare,dns", "-n", namespace, "--kubeconfig"]).arg(kubeconfig.path());
    let report = crate::rig::Ran::from(command.output().await.unwrap()).with(0);
    for expected in [
        "you may not patch sendingdomains",
        "reconcile and recreate need patch",
        "you may not create subjectaccessreviews",
        "the CRD is there (you may not read it",
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    let mut denied = rig.command();
    denied.args(["reconcile", NAME, "-n", namespace, "--kubeconfig"]).arg(kubeconfig.path());
    let denied = crate::rig::Ran::from(denied.output().await.unwrap()).with(1);
    assert!(denied.contains("you may not patch sendingdomains"), "{denied}");
    rig.finish().await;
}
