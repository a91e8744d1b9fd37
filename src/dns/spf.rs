//! SPF records as this operator judges and mends them (RFC 7208).
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

/// What lets SES send.
const SES: &str = "include:amazonses.com";
/// More look-ups than this end the check with an error: RFC 7208, section 4.6.4.
const MAX_LOOKUPS: usize = 10;

/// True for an SPF record: RFC 7208, section 4.5.
pub fn is_spf(text: &str) -> bool {
    text.split(' ').next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

/// True if an SPF record lets SES send: what follows `all` is never reached (RFC 7208, section 5.1).
pub fn includes_ses(spf: &str) -> bool {
    spf.split_ascii_whitespace()
        .take_while(|term| !term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all"))
        .map(|term| term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase())
        .any(|term| term.strip_suffix('.').unwrap_or(&term) == SES)
}

/// True if the record by itself, not counting what it includes, asks for more look-ups than receivers make.
pub fn has_too_many_lookups(spf: &str) -> bool {
    let looks = |term: &str| {
        let term = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
        let name = term.split([':', '=', '/']).next().unwrap_or_default();
        matches!(name, "include" | "a" | "mx" | "ptr" | "exists" | "redirect")
    };
    spf.split_ascii_whitespace().skip(1).filter(|term| looks(term)).count() > MAX_LOOKUPS
}

/// One record that says what all of `records` say and lets SES send: each term once, `all` and `redirect` last, of several
/// the first. Terms that are not plain ASCII are none, and left out.
pub fn merged<'a>(records: impl Iterator<Item = &'a str>) -> String {
    let mut terms: Vec<String> = vec!["v=spf1".to_owned()];
    let mut last: Option<String> = None;
    let is_last = |term: &str| {
        let term = term.trim_start_matches(['+', '-', '~', '?']).to_ascii_lowercase();
        term == "all" || term.starts_with("redirect=")
    };
    for term in records.flat_map(|record| record.split_ascii_whitespace().skip(1)) {
        if !term.bytes().all(|byte| byte.is_ascii_graphic()) {
            continue;
        }
        if is_last(term) {
            last.get_or_insert_with(|| term.to_owned());
        } else if !terms.iter().any(|known| known.eq_ignore_ascii_case(term)) {
            terms.push(term.to_owned());
        }
    }
    if !includes_ses(&terms.join(" ")) {
        terms.push(SES.to_owned());
    }
    terms.push(last.unwrap_or_else(|| "~all".to_owned()));
    terms.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d8_two_policies_become_one_and_neither_loses_a_sender() {
        for (records, expected) in [
            (vec!["v=spf1 -all"], "v=spf1 include:amazonses.com -all"),
            (vec!["v=spf1 mx a:mail.example.com ~all"], "v=spf1 mx a:mail.example.com include:amazonses.com ~all"),
            (vec!["v=spf1 include:amazonses.com ~all"], "v=spf1 include:amazonses.com ~all"),
            (
                vec!["v=spf1 include:_spf.google.com -all", "v=spf1 include:amazonses.com MX ~all"],
                "v=spf1 include:_spf.google.com include:amazonses.com MX -all",
            ),
            (
                vec!["v=spf1 mx", "V=SPF1 MX redirect=_spf.example.com"],
                "v=spf1 mx include:amazonses.com redirect=_spf.example.com",
            ),
            (vec!["v=spf1 a\u{1b}[31m mx -all"], "v=spf1 mx include:amazonses.com -all"),
            (vec![], "v=spf1 include:amazonses.com ~all"),
        ] {
            assert_eq!(merged(records.into_iter()), expected);
        }
    }

    #[test]
    fn d8_more_than_ten_look_ups_are_too_many() {
        let of = |n: usize| format!("v=spf1 ip4:192.0.2.1 {} ~all", "include:a.example ".repeat(n));
        assert!(!has_too_many_lookups(&of(10)));
        assert!(has_too_many_lookups(&of(11)));
        let mixed = "v=spf1 a mx ptr exists:x +a/24 ?mx:y a:z include:1 include:2 include:3 redirect=r";
        assert!(has_too_many_lookups(mixed));
    }

    #[test]
    fn d8_what_receivers_do_not_honour_does_not_count() {
        for text in [" v=spf1 include:amazonses.com ~all", "v=spf1include:amazonses.com", "v=spf10"] {
            assert!(!is_spf(text), "{text:?}");
        }
        assert!(is_spf("V=SPF1") && is_spf("v=spf1 -all"));
        assert!(!includes_ses("v=spf1 -all include:amazonses.com"));
        assert!(includes_ses("v=spf1 +include:AmazonSES.com. ~all"));
    }
}
