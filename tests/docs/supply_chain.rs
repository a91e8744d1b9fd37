//! Workflows run nothing that can be exchanged behind our back, and the bill of materials lists what is compiled in.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

#[test]
fn every_action_is_pinned_by_its_commit() {
    let mut count = 0;
    for entry in fs::read_dir(crate::root().join(".github/workflows")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.contains("\npermissions: {}\n"), "a workflow has rights that no job has named");
        let actions = text.lines().filter_map(|line| line.split_once("uses: ")).map(|(_, action)| action);
        // A workflow of ours is that of the same commit.
        for line in actions.filter(|action| !action.starts_with("./.github/workflows/")) {
            let (action, version) = line.split_once(" # v").unwrap_or_else(|| panic!("{line}: no version beside it"));
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && version.contains('.'), "{line}");
            count += 1;
        }
    }
    assert!(count > 5, "{count} actions");
}

#[test]
fn a_release_has_one_version_and_waits_for_the_tests() {
    let check = |args: &[&str]| Command::new(crate::root().join("hack/check-version.sh")).args(args).output().unwrap();
    let output = check(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let version = String::from_utf8(output.stdout).unwrap();
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
    assert!(check(&[&format!("v{}", version.trim())]).status.success());
    let other = check(&["v999.0.0"]);
    assert!(!other.status.success() && String::from_utf8_lossy(&other.stderr).contains("the tag is 'v999.0.0'"));

    let text = fs::read_to_string(crate::root().join(".github/workflows/release.yaml")).unwrap();
    let workflow: Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(workflow["jobs"]["test"]["uses"], "./.github/workflows/ci.yaml");
    assert_eq!(workflow["jobs"]["publish"]["needs"], serde_json::json!(["version", "test", "binary"]));
    assert_eq!(workflow["defaults"]["run"]["shell"], "bash", "which is the one with pipefail");
}

#[test]
fn the_bill_of_materials_lists_every_crate_that_is_compiled_in() {
    let output = Command::new(crate::root().join("hack/sbom.sh")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bom: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    let components = bom["components"].as_array().unwrap();
    let mut names = BTreeSet::new();
    for component in components {
        let text = |pointer: &str| component.pointer(pointer).and_then(Value::as_str).unwrap();
        assert_eq!(text("/hashes/0/content").len(), 64, "{component}");
        assert!(!text("/licenses/0/expression").is_empty(), "{component}");
        names.insert(text("/name").to_owned());
    }
    for name in ["kube", "aws-sdk-sesv2", "rustls", "tokio"] {
        assert!(names.contains(name), "{name} is missing");
    }
    assert!(!names.contains("insta") && !names.contains("testbed"), "what only tests use is not shipped");
}
