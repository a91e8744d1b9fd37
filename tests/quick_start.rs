//! The commands of the documentation work. `docs/quick-start.md` is run as it stands, on a control plane of its own, by the
//! real kubectl and helm; the blocks of other pages are run one by one, on an object that has what they speak of.
//! The test plays what a laptop lacks: the kubelet that runs the Deployment of the chart, the person who adds
//! records, and the time that SES takes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};

const PAGE: &str = include_str!("../docs/quick-start.md");
const SYSTEM: &str = "sending-domain-operator-system";
const DEPLOYMENT: &str = "sending-domain-operator";
const LIMIT: Duration = Duration::from_mins(4);

/// The blocks of a page that are marked `sh` and nothing else.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block = None;
    for line in page.lines() {
        match (line.trim(), &mut block) {
            ("```sh", None) => block = Some((line.len() - line.trim_start().len(), String::new())),
            ("```", Some(_)) => blocks.extend(block.take().map(|(_, text)| text)),
            // A block in a list is indented as the list is.
            (_, Some((indent, text))) => writeln!(text, "{}", line.get(*indent..).unwrap_or_default()).unwrap(),
            _ => {}
        }
    }
    blocks
}

/// The directory of helm, built once.
fn helm() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("hack/build-tools.sh");
    let output = std::process::Command::new(script).arg("helm").stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "helm does not build");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Where the reader is: in a checkout, with the token in a file.
fn desk(world: &World) -> tempfile::TempDir {
    let desk = tempfile::tempdir().unwrap();
    for name in ["charts", "config", "crds"] {
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), desk.path().join(name)).unwrap();
    }
    fs::write(desk.path().join("token.txt"), format!("{}\n", world.token())).unwrap();
    desk
}

/// Runs the script as the reader would type it, and tells what it runs.
async fn read(script: String, tools: Vec<PathBuf>, kubeconfig: PathBuf, desk: PathBuf) -> Output {
    let mut path = tools;
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let run = tokio::process::Command::new("bash")
        .args(["-c", &format!("set -euxo pipefail\n{script}")])
        .current_dir(&desk)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", &desk)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .output();
    tokio::time::timeout(LIMIT, run).await.expect("the quick start ends in time").unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The Deployment that the chart has made, once it is there.
async fn deployment(world: &World) -> Value {
    loop {
        let args = ["-n", SYSTEM, "get", "deployment", DEPLOYMENT, "--ignore-not-found", "-o", "json"];
        let found = world.control_plane().kubectl_ok(&args).await.unwrap();
        if !found.trim().is_empty() {
            return serde_json::from_str(&found).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Plays scheduler and kubelet: runs what the Deployment says, and reports it as available.
async fn run_deployment(world: &mut World) -> Operator {
    let deployment = deployment(world).await;
    world.installed().await.unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut options = OperatorOptions::new(env!("CARGO_BIN_EXE_sending-domain-operator"));
    for arg in container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()) {
        match arg.split_once('=') {
            Some(("--owner-id", value)) => options.owner_id = Some(value.to_owned()),
            // Every port of this machine belongs to somebody.
            Some(("--metrics-address" | "--health-address", _)) => {}
            _ => options.args.push(arg.to_owned()),
        }
    }
    assert!(options.owner_id.is_some(), "{container}");
    // The subcommand comes first, and is the default.
    options.args.retain(|arg| arg != "run");
    options.env.push(("POD_NAMESPACE".to_owned(), SYSTEM.to_owned()));
    let operator = world.operator(&options).unwrap();
    let replicas = &deployment["spec"]["replicas"];
    let status = json!({"status": {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas, "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
    }});
    let (patch, target) = (status.to_string(), format!("deployment/{DEPLOYMENT}"));
    let args = ["-n", SYSTEM, "patch", &target, "--subresource=status", "--type=merge", "-p", &patch];
    world.control_plane().kubectl_ok(&args).await.unwrap();
    operator
}

/// Adds the records of the manual domain once they are listed, and lets the hours of SES pass.
async fn person_and_time(world: &World) -> Infallible {
    loop {
        if let Some(manual) = world.get("mail", "news-example-org").await.unwrap_or_default()
            && object::records(&manual).len() == 5
        {
            world.publish(&manual).unwrap();
        }
        world.ses().advance(Duration::from_mins(1)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn the_quick_start_works_as_it_is_written() {
    let mut world = World::start(WorldOptions { uninstalled: true, ..WorldOptions::default() }).await.unwrap();
    let zone = world.cloudflare_zone("example.com");
    world.manual_zone("example.org").unwrap();
    // What the block that talks to AWS makes.
    world.ses().region("us-east-1").create_configuration_set("newsletter");
    let desk = desk(&world);

    let plane = world.control_plane();
    let tools = vec![plane.kubectl_path().parent().unwrap().to_owned(), helm()];
    let script = blocks(PAGE).concat();
    let reading = read(script, tools, plane.admin_kubeconfig().to_owned(), desk.path().to_owned());
    let mut reading = tokio::spawn(reading);
    let operator = tokio::select! {
        operator = run_deployment(&mut world) => operator,
        output = &mut reading => panic!("it ended before anything ran: {}", said(&output.unwrap())),
    };
    let output = tokio::select! {
        output = &mut reading => output.unwrap(),
        never = person_and_time(&world) => match never {},
    };
    assert!(output.status.success(), "{}\n{}", said(&output), operator.log());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("feedback-smtp.us-east-1.amazonses.com"), "{printed}");
    assert!(printed.contains("Verified   True    5/5       Verified"), "{printed}");
    assert_eq!(world.ses().identities().len(), 0, "what it has made is taken away");
    assert_eq!(world.cloudflare().records(&zone).len(), 0, "what it has made is taken away");
}

/// Pages whose commands are for an object called NAME, and so can be run on one.
const PAGES: [&str; 5] = [
    "docs/troubleshooting.md",
    "docs/manual.md",
    "docs/disaster-recovery.md",
    "docs/upgrade.md",
    "docs/reference/events.md",
];

#[tokio::test]
async fn the_commands_of_other_pages_are_taken_by_the_server() {
    let world = World::start(WorldOptions::shared()).await.unwrap();
    let desk = desk(&world);
    let plane = world.control_plane();
    let tools = vec![plane.kubectl_path().parent().unwrap().to_owned()];
    let mut count = 0;
    for page in PAGES {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        // What installs, upgrades and uninstalls is tried in `packaging` and above; AWS's part needs AWS.
        let others = |block: &String| {
            !["helm ", "aws ", "delete customresourcedefinition"].iter().any(|word| block.contains(word))
        };
        for block in blocks(&text).into_iter().filter(others) {
            let namespace = world.namespace().await.unwrap();
            world.create(&namespace, &object::cloudflare("domain", "mail.example.com", "cloudflare")).await.unwrap();
            let kubeconfig = desk.path().join(&namespace);
            fs::copy(plane.admin_kubeconfig(), &kubeconfig).unwrap();
            let zone = "0123456789abcdef0123456789abcdef";
            let block = block.replace("NAMESPACE", &namespace).replace("ZONE-ID", zone).replace("NAME", "domain");
            let script = format!("kubectl config set-context --current --namespace {namespace}\n{block}");
            let output = read(script, tools.clone(), kubeconfig, desk.path().to_owned()).await;
            assert!(output.status.success(), "{page}:\n{block}\n{}", said(&output));
            count += 1;
        }
    }
    assert!(count > 15, "{count} blocks");
}
