//! A fragment of a zone file (RFC 1035, section 5): absolute names, so that it is right in whatever zone it is put.

use std::fmt::Write as _;

use crate::row::{Row, state_name};

/// Seconds; short enough to mend a slip within the hour.
pub const TTL: u32 = 3600;

/// The most bytes of one character-string of a TXT record (RFC 1035, section 3.3).
const STRING_LIMIT: usize = 255;

/// The records, those of each domain below a line that names it.
pub fn fragment(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut domain = None;
    for row in rows {
        if domain != Some(&row.domain) {
            let _ = writeln!(text, "; {}: mail through Amazon SES", row.domain);
            domain = Some(&row.domain);
        }
        if !row.kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let _ = writeln!(text, "; left out: {} of the type {}", row.name, row.kind);
            continue;
        }
        let optional = if row.required { "" } else { ", optional" };
        let _ = writeln!(
            text,
            "{} {TTL} IN {} {} ; {}{optional}",
            absolute(&row.name),
            row.kind,
            data(row),
            state_name(row.state).to_lowercase()
        );
    }
    text
}

fn data(row: &Row) -> String {
    match (row.kind.as_str(), row.priority) {
        ("TXT", _) => strings(&row.value).iter().map(|s| format!("\"{}\"", quoted(s))).collect::<Vec<_>>().join(" "),
        (_, Some(priority)) => format!("{priority} {}", absolute(&row.value)),
        _ => absolute(&row.value),
    }
}

/// A name with its dot at the end; whatever a zone file would read as something else is escaped.
fn absolute(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => text.push(char::from(byte)),
            _ => text.push_str(&decimal(byte)),
        }
    }
    text + "."
}

/// The character-strings of a text, each as long as it may be; no character is torn.
pub fn strings(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for character in value.chars() {
        if parts.last().is_some_and(|part| part.len() + character.len_utf8() > STRING_LIMIT) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

fn quoted(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            other => decimal(other),
        })
        .collect()
}

fn decimal(byte: u8) -> String {
    format!("\\{byte:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_split_and_special_bytes_are_escaped() {
        let parts = strings(&"x".repeat(600));
        assert!(strings(&"é".repeat(200)).iter().all(|part| part.len() <= 255));
        assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [255, 255, 90]);
        assert_eq!(quoted("a\"b\\c;é"), "a\\\"b\\\\c;\\195\\169");
        assert_eq!(absolute("a b;c.example.com"), "a\\032b\\059c.example.com.");
    }
}
