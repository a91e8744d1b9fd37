//! `hack/build-image.sh` makes an OCI image that is what it says, the same bytes from the same input; and the image of the
//! real binary runs on nothing but itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use testbed::world::{OperatorOptions, World, WorldOptions, object};

const NAME: &str = "sending-domain-operator";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Builds an image of small files in place of the binaries; answers the archive and its digest.
fn build(directory: &Path, archive: &str) -> (PathBuf, String) {
    let archive = directory.join(archive);
    for file in ["operator", "operator-arm", "roots.pem"] {
        fs::write(directory.join(file), format!("in place of {file}\n")).unwrap();
    }
    let digest = run(Command::new(root().join("hack/build-image.sh"))
        .current_dir(directory)
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .args(["--ca-certificates", "roots.pem", "amd64=operator", "arm64=operator-arm", "--output"])
        .arg(&archive));
    (archive, digest.trim().to_owned())
}

fn unpack(archive: &Path, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(directory));
}

/// A blob of the layout, which has the digest and the size that its descriptor says.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let bytes = fs::read(layout.join("blobs/sha256").join(digest)).unwrap();
    let hex = Sha256::digest(&bytes).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    assert_eq!((hex.as_str(), Some(bytes.len() as u64)), (digest, descriptor["size"].as_u64()));
    bytes
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The manifests of an unpacked layout.
fn manifests(layout: &Path) -> Vec<Value> {
    let top = json(&fs::read(layout.join("index.json")).unwrap());
    let index = json(&blob(layout, &top["manifests"][0]));
    index["manifests"].as_array().unwrap().clone()
}

#[test]
fn the_same_input_gives_the_same_bytes_and_every_digest_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let (first, digest) = build(directory.path(), "first.tar");
    std::thread::sleep(Duration::from_millis(1100));
    let (second, again) = build(directory.path(), "second.tar");
    assert_eq!(digest, again);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the archives differ");

    let layout = directory.path().join("layout");
    unpack(&first, &layout);
    let platforms = manifests(&layout);
    assert_eq!(platforms.len(), 2);
    for platform in platforms {
        let manifest = json(&blob(&layout, &platform));
        let config = json(&blob(&layout, &manifest["config"]));
        assert_eq!(config["architecture"], platform["platform"]["architecture"]);
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"][0], format!("/{NAME}"));
        assert_eq!(config["created"], "2023-11-14T22:13:20Z");
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        let layer = directory.path().join("layer.tar.gz");
        fs::write(&layer, blob(&layout, &layers[0])).unwrap();
        let listed = run(Command::new("tar").arg("-tzf").arg(&layer));
        let files: Vec<&str> = listed.lines().filter(|line| !line.ends_with('/')).collect();
        assert_eq!(files, ["etc/ssl/certs/ca-certificates.crt", NAME], "no shell, nothing else");
        let root = directory.path().join("root");
        unpack(&layer, &root);
        let mode = |file: &str| fs::metadata(root.join(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(NAME), mode("etc/ssl/certs/ca-certificates.crt")), (0o755, 0o644));
    }
}

/// Puts the kubeconfig into the image, with the certificate that it names.
fn mount_kubeconfig(kubeconfig: &Path, image: &Path) {
    let text = fs::read_to_string(kubeconfig).unwrap();
    let named = text.lines().find_map(|line| line.trim().strip_prefix("certificate-authority:")).unwrap();
    let certificate = named.trim().trim_matches(['"', '\'']);
    fs::copy(certificate, image.join("ca.crt")).unwrap();
    fs::write(image.join("kubeconfig"), text.replace(certificate, "/ca.crt")).unwrap();
}

/// As a container runtime would: the file system of the image and nothing else, besides the files that a kubelet adds.
#[tokio::test]
#[ignore = "needs the image: make test-image"]
async fn the_image_runs_on_nothing_but_itself() {
    let archive = std::env::var_os("IMAGE_ARCHIVE").expect("IMAGE_ARCHIVE names the archive: make test-image");
    let directory = tempfile::tempdir().unwrap();
    let (layout, image) = (directory.path().join("layout"), directory.path().join("root"));
    unpack(Path::new(&archive), &layout);
    let manifest = json(&blob(&layout, &manifests(&layout)[0]));
    let layer = directory.path().join("layer.tar.gz");
    fs::write(&layer, blob(&layout, &manifest["layers"][0])).unwrap();
    unpack(&layer, &image);

    let world = World::start(WorldOptions::shared()).await.unwrap();
    world.cloudflare_zone("example.com");
    mount_kubeconfig(world.operator_kubeconfig(), &image);
    fs::write(image.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let program = directory.path().join("run");
    // What every container runtime adds is /dev.
    fs::create_dir(image.join("dev")).unwrap();
    let inside = format!("mount --rbind /dev {0}/dev && exec chroot {0} /{NAME} \"$@\"", image.display());
    let line = format!("#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c '{inside}' sh \"$@\"\n");
    fs::write(&program, line).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

    let namespace = world.namespace().await.unwrap();
    let mut options = OperatorOptions { namespaces: vec![namespace.clone()], ..OperatorOptions::new(program) };
    // Names, so that the static binary has to look them up.
    let by_name = |url: String| url.replace("127.0.0.1", "localhost");
    options.env = vec![
        ("KUBECONFIG".to_owned(), "/kubeconfig".to_owned()),
        ("AWS_ENDPOINT_URL".to_owned(), by_name(world.ses().endpoint())),
        ("CLOUDFLARE_BASE_URL".to_owned(), by_name(world.cloudflare().base_url())),
        ("SSL_CERT_FILE".to_owned(), "/etc/ssl/certs/ca-certificates.crt".to_owned()),
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
    ];
    let mut operator = world.operator(&options).unwrap();
    world.create_secret(&namespace, "cloudflare", "api-token", world.token()).await.unwrap();
    world.create(&namespace, &object::cloudflare("mail", "mail.example.com", "cloudflare")).await.unwrap();
    let synced = |object: &Value| object::condition_status(object, "RecordsSynced") == "True";
    world.wait_for(&namespace, "mail", "records", synced, Duration::from_secs(30)).await.unwrap();
    world.ses().advance(Duration::from_mins(2)).await;
    world.wait_for(&namespace, "mail", "Ready", object::is_ready, Duration::from_secs(30)).await.unwrap();
    world.delete_and_wait(&namespace, "mail", Duration::from_secs(30)).await.unwrap();
    assert!(operator.stop().await.unwrap().success());
}
