//! `docs/hostile-cases.md` speaks of all 90 hostile cases, and the tests that it names exist.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test program")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// How many cases each group has.
const GROUPS: [(char, u32); 7] = [('A', 14), ('B', 8), ('C', 9), ('D', 15), ('E', 12), ('F', 12), ('G', 20)];

/// The rows of the table: the case's number, what the operator does, the tests.
fn rows() -> Vec<(String, String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hostile-cases.md")).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| ")).map(cells).filter(|cells| is_number(&cells[1]));
    rows.map(|cells| {
        assert_eq!(cells.len(), 6, "{}: a row has four cells", cells[1]);
        (cells[1].clone(), cells[3].clone(), cells[4].clone())
    })
    .collect()
}

fn is_number(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|c| c.is_ascii_uppercase())
        && !characters.as_str().is_empty()
        && characters.all(|c| c.is_ascii_digit())
}

/// Every function of every source, without the numbers of cases that its name may begin with.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for directory in ["src", "tests", "testbed/src", "testbed/tests"] {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut found);
    }
    found
}

fn read(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = fs::read_to_string(path).unwrap();
        let names = text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
        found.extend(names.filter_map(|rest| rest.split_once('(')).map(|(name, _)| bare(name).to_owned()));
    }
}

/// `d2_d3_a_redirect` is `a_redirect`: a test may come to show more cases.
fn bare(name: &str) -> &str {
    match name.split_once('_') {
        Some((head, rest)) if is_number(&head.to_ascii_uppercase()) => bare(rest),
        _ => name,
    }
}

#[test]
fn every_case_is_spoken_of_once() {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for (number, does, _) in rows() {
        *numbers.entry(number.clone()).or_default() += 1;
        assert!(!does.is_empty(), "{number}: it says nothing");
    }
    let wanted: BTreeSet<String> =
        GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n}"))).collect();
    assert_eq!(wanted.len(), 90);
    assert_eq!(numbers.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    assert!(numbers.values().all(|count| *count == 1), "{numbers:?}");
}

#[test]
fn every_named_test_exists() {
    let functions = functions();
    for (number, _, tests) in rows() {
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || tests.contains("later: "), "{number} names no test and says not when");
        for name in named {
            // A suite of the chart is a file.
            let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/sending-domain-operator/tests").join(name);
            let exists = functions.contains(bare(name)) || (name.ends_with("_test.yaml") && suite.is_file());
            assert!(exists, "{number}: there is no {name}");
        }
    }
}
