//! `docs/hostile-cases.md` speaks of all 90 hostile cases, the tests that it names exist, and each case is shown by one that
//! carries its number.
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

/// Every function that is a test, by its name.
fn tests_of_the_sources() -> BTreeSet<String> {
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
        // The attribute stands above its function, with other attributes between them at most.
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            match name {
                Some((name, _)) if is_test => {
                    found.insert(name.to_owned());
                    is_test = false;
                }
                Some(_) => is_test = false,
                None => is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test"),
            }
        }
    }
}

/// The numbers that a test's name begins with: `d2_d3_a_redirect` shows two cases.
fn numbers(name: &str) -> impl Iterator<Item = String> + '_ {
    name.split('_').map(str::to_ascii_uppercase).take_while(|part| is_number(part))
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
fn every_case_is_shown_by_a_test_that_carries_its_number() {
    let all = tests_of_the_sources();
    assert!(all.len() > 300, "only {} tests found", all.len());
    let mut faults = Vec::new();
    for (number, _, tests) in rows() {
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        // A suite of the chart is a file.
        let suite = |name: &str| {
            let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/sending-domain-operator/tests");
            name.ends_with("_test.yaml") && suites.join(name).is_file()
        };
        let missing = named.iter().filter(|name| !all.contains(**name) && !suite(name));
        faults.extend(missing.map(|name| format!("{number}: there is no test {name}")));
        if !named.iter().any(|name| suite(name) || numbers(name).any(|n| n == number)) {
            faults.push(format!("{number}: no test carries its number"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
