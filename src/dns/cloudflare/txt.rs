//! The content of a TXT record as the API writes it: quoted character-strings of at most 255 bytes (RFC 1035, 3.3.14
//! and 5.1; the API reference asks for that form and splits longer ones itself). Answers may also be unquoted: the API
//! has accepted and kept that form for years.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

use std::fmt::Write as _;

/// The most bytes a character-string can hold, before escaping (RFC 1035, 3.3).
const MAX_STRING: usize = 255;

/// The text as the API wants it: quoted, escaped, split at 255 bytes. Bytes outside printable ASCII are written as
/// `\DDD`, the one form whose meaning does not depend on anybody's character set.
pub fn to_content(text: &str) -> String {
    let mut content = String::with_capacity(text.len() + 2);
    for (index, chunk) in text.as_bytes().chunks(MAX_STRING).enumerate() {
        content.push_str(if index == 0 { "\"" } else { " \"" });
        for &byte in chunk {
            escape(byte, &mut content);
        }
        content.push('"');
    }
    if content.is_empty() {
        content.push_str("\"\"");
    }
    content
}

/// The text of a TXT record's content as answered: unquoted, unescaped, its character-strings joined. Content that is
/// not a well-formed row of quoted strings is taken as it stands. Bytes that are not UTF-8 become U+FFFD.
pub fn from_content(content: &str) -> String {
    match unquote(content.trim_ascii().as_bytes()) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => content.to_owned(),
    }
}

fn escape(byte: u8, out: &mut String) {
    match byte {
        b'"' | b'\\' => {
            out.push('\\');
            out.push(char::from(byte));
        }
        b' '..=b'~' => out.push(char::from(byte)),
        // Writing to a String cannot fail.
        _ => drop(write!(out, "\\{byte:03}")),
    }
}

/// The joined bytes of one or more quoted strings; `None` if `content` is anything else.
fn unquote(content: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = content.iter().copied();
    let mut text = Vec::with_capacity(content.len());
    let mut strings = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => string(&mut bytes, &mut text)?,
            b' ' | b'\t' => continue,
            _ => return None,
        }
        strings += 1;
    }
    (strings > 0).then_some(text)
}

/// Reads one string up to and including its closing quote.
fn string(bytes: &mut (impl Iterator<Item = u8> + Clone), text: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return Some(()),
            b'\\' => text.push(escaped(bytes)?),
            byte => text.push(byte),
        }
    }
}

/// Reads what follows a backslash: three digits for a byte, or the character itself.
fn escaped(bytes: &mut (impl Iterator<Item = u8> + Clone)) -> Option<u8> {
    let first = bytes.next()?;
    let mut ahead = bytes.clone();
    if let (Some(a), Some(b), Some(c)) = (digit(Some(first)), digit(ahead.next()), digit(ahead.next())) {
        *bytes = ahead;
        return u8::try_from(a * 100 + b * 10 + c).ok();
    }
    Some(first)
}

fn digit(byte: Option<u8>) -> Option<u16> {
    byte.filter(u8::is_ascii_digit).map(|digit| u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn e6_spellings_of_one_text_read_the_same() {
        let text = "v=spf1 include:amazonses.com ~all";
        for content in [
            "v=spf1 include:amazonses.com ~all",
            "\"v=spf1 include:amazonses.com ~all\"",
            "\"v=spf1 \" \"include:amazonses.com ~all\"",
            " \"v=spf1 include\"\t\":amazonses.com ~all\" ",
            "\"v=spf1 inc\"\"lude:amazonses.com ~all\"",
            "\"v\\061spf1 include:amazonses.com \\~all\"",
        ] {
            assert_eq!(from_content(content), text, "{content}");
        }
    }

    #[test]
    fn quotes_that_are_part_of_the_text_stay() {
        assert_eq!(from_content(r#""\"v=spf1\"""#), "\"v=spf1\"");
        assert_eq!(to_content("\"v=spf1\""), r#""\"v=spf1\"""#);
    }

    #[test]
    fn what_is_not_a_row_of_strings_stands_as_it_is() {
        for content in ["", "\"", "\"open", "\"a\" b", "\"a\\", "\"\\999\"", "a \"b\""] {
            assert_eq!(from_content(content), content);
        }
        assert_eq!(from_content("\"\""), "");
    }

    #[test]
    fn a_long_text_is_split_by_bytes() {
        assert_eq!(to_content(""), "\"\"");
        assert_eq!(to_content(&"a".repeat(255)), format!("\"{}\"", "a".repeat(255)));
        assert_eq!(to_content(&"a".repeat(256)), format!("\"{}\" \"a\"", "a".repeat(255)));
        assert_eq!(to_content("\u{e4}\n"), r#""\195\164\010""#);
    }

    /// The bytes that each string of well-formed content stands for.
    fn lengths(content: &str) -> Vec<usize> {
        let (mut lengths, mut open, mut bytes) = (Vec::new(), false, content.bytes());
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if open => open = false,
                b'"' => {
                    open = true;
                    lengths.push(0);
                }
                b' ' if !open => {}
                _ => {
                    // An escape is two characters, or four if it is a number.
                    if byte == b'\\' && bytes.next().is_some_and(|byte| byte.is_ascii_digit()) {
                        bytes.nth(1);
                    }
                    *lengths.last_mut().unwrap() += 1;
                }
            }
        }
        lengths
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".{0,700}|[\"\\\\0-9 ]{0,600}") {
            let content = to_content(&text);
            prop_assert!(content.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(from_content(&content), text);
        }

        #[test]
        fn every_string_but_the_last_is_full(text in ".{0,700}|[\"\\\\0-9 ]{0,600}") {
            let mut lengths = lengths(&to_content(&text));
            prop_assert!(lengths.pop().is_some_and(|last| last <= 255));
            prop_assert!(lengths.iter().all(|&length| length == 255));
        }

        #[test]
        fn any_content_can_be_read(content in "\\PC{0,80}|[\"\\\\0-9a ]{0,40}") {
            let _ = from_content(&content);
        }
    }
}
