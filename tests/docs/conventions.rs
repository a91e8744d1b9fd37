//! `docs/conventions.md` answers every question once, and what it points to exists.

use std::fs;

/// How many questions there are.
const QUESTIONS: u32 = 147;

fn page() -> String {
    fs::read_to_string(crate::root().join("docs/conventions.md")).unwrap()
}

/// The rows: number, question, answer.
fn rows(page: &str) -> Vec<(u32, &str, &str)> {
    let cells = page.lines().filter(|line| line.starts_with("| ")).map(|line| line.split(" | ").collect::<Vec<_>>());
    let rows = cells.filter_map(|cells| Some((cells[0].trim_start_matches("| ").parse().ok()?, cells)));
    rows.map(|(number, cells)| {
        assert_eq!(cells.len(), 3, "{number}: a row has three cells");
        (number, cells[1], cells[2].trim_end_matches(" |"))
    })
    .collect()
}

/// What is written as code and looks like a path.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |code: &&str| {
        let plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let is_file = [".md", ".toml", ".yaml"].iter().any(|end| code.ends_with(end));
        // `/metrics` and `sendingdomain.dev/…` are none.
        plain && !code.starts_with('/') && !code.starts_with("sendingdomain.dev/") && (code.contains('/') || is_file)
    };
    text.split('`').skip(1).step_by(2).filter(is_path)
}

#[test]
fn every_question_is_answered_once_and_in_order() {
    let page = page();
    let numbers: Vec<u32> = rows(&page).iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=QUESTIONS).collect::<Vec<_>>());
    for (number, question, answer) in rows(&page) {
        assert!(question.ends_with('?') && !answer.is_empty(), "{number}: {question} {answer}");
    }
}

#[test]
fn every_path_that_is_pointed_to_exists() {
    let page = page();
    let named: Vec<&str> = rows(&page).iter().flat_map(|(_, _, answer)| paths(answer)).collect();
    assert!(named.len() > 100, "{} paths", named.len());
    let missing: Vec<&&str> = named.iter().filter(|path| !crate::root().join(path).exists()).collect();
    assert!(missing.is_empty(), "there is no {missing:?}");
}
