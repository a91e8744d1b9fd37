//! `docs/troubleshooting.md` has a section for each reason, and each section says what is seen, why, and what to do.

use sending_domain_operator::api::reason::Reason;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// The sections of the third level: heading and text.
fn sections() -> Vec<(&'static str, &'static str)> {
    let parts = PAGE.split("\n### ").skip(1);
    parts.map(|part| part.split_once('\n').map_or((part, ""), |(heading, text)| (heading, text))).collect()
}

#[test]
fn every_reason_has_its_section_and_every_section_its_reason() {
    let mut wanted: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let mut found: Vec<&str> = sections().into_iter().map(|(heading, _)| heading).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn every_section_says_what_is_seen_why_and_what_to_do() {
    for (heading, text) in sections() {
        for part in ["**Seen:**", "**Cause:**", "**Do:**"] {
            assert_eq!(text.matches(part).count(), 1, "{heading} has no {part} or several");
        }
    }
}
