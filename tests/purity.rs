//! The pure modules say so at their top, and the lint that holds them to it works: a clock in one of them fails the build.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Modules that decide, and so may use neither clock nor client nor environment.
const PURE: [&str; 10] = [
    "src/api/mod.rs",
    "src/dns/judge.rs",
    "src/dns/record.rs",
    "src/observe/memory.rs",
    "src/observe/observation.rs",
    "src/ownership.rs",
    "src/plan/mod.rs",
    "src/ses/identity.rs",
    "src/status/mod.rs",
    "src/text.rs",
];

const DENIAL: &str = "#![deny(clippy::disallowed_types, clippy::disallowed_methods)]";

#[test]
fn pure_modules_say_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for module in PURE {
        let text = fs::read_to_string(root.join(module)).unwrap();
        assert!(text.contains(DENIAL), "{module} does not deny what a pure module may not use");
        assert!(!text.contains("async fn"), "{module} is asynchronous");
    }
}

/// A crate of a few lines, checked with the repository's own clippy.toml.
#[test]
fn a_clock_in_a_pure_module_fails_the_build() {
    let crate_dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(crate_dir.path().join(name), text).unwrap();
    fs::create_dir(crate_dir.path().join("src")).unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("clippy.toml");
    fs::copy(rules, crate_dir.path().join("clippy.toml")).unwrap();
    write("Cargo.toml", "[package]\nname = \"violation\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n");
    let lint = || {
        let mut clippy = Command::new(env!("CARGO"));
        clippy.args(["clippy", "--quiet", "--offline"]).current_dir(crate_dir.path());
        clippy.env_remove("CARGO_TARGET_DIR").env("CARGO_TARGET_DIR", crate_dir.path().join("target"));
        clippy.output().unwrap()
    };
    write("src/lib.rs", &format!("{DENIAL}\npub fn plan(now: u64) -> u64 {{ now }}\n"));
    let clean = lint();
    assert!(clean.status.success(), "{}", String::from_utf8_lossy(&clean.stderr));
    write(
        "src/lib.rs",
        &format!("{DENIAL}\npub fn plan() -> std::time::SystemTime {{ std::time::SystemTime::now() }}\n"),
    );
    let caught = lint();
    let message = String::from_utf8_lossy(&caught.stderr);
    assert!(!caught.status.success() && message.contains("the clock is an argument"), "{message}");
}
