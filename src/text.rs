//! Text that others wrote (SES, Cloudflare, DNS, annotations), made safe to show in a condition, an event or a log.
//!
//! Pure.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

/// Ends what was cut.
const CUT: &str = "…";

/// `text` with what could move a terminal's cursor, colour it, hide in it or turn its lines around escaped as Rust writes
/// it (`\n`, `\u{1b}`), and at most `limit` bytes of it; what was cut ends with an ellipsis. Text that was made safe
/// before comes out as it went in.
pub fn printable(text: &str, limit: usize) -> String {
    let mut safe = String::with_capacity(text.len().min(limit));
    let mut piece = String::new();
    for character in text.chars() {
        piece.clear();
        if is_unprintable(character) {
            piece.extend(character.escape_default());
        } else {
            piece.push(character);
        }
        if safe.len() + piece.len() > limit {
            safe.truncate(safe.floor_char_boundary(limit.saturating_sub(CUT.len())));
            safe.push_str(CUT);
            return safe;
        }
        safe.push_str(&piece);
    }
    safe
}

/// Control characters; separators, marks and overrides of direction; zero-width characters; tags.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn c8_nothing_moves_the_cursor() {
        let text = "a\nb\u{1b}[2J\u{202e}c\u{7f}\u{85}\u{200b}";
        assert_eq!(printable(text, 100), "a\\nb\\u{1b}[2J\\u{202e}c\\u{7f}\\u{85}\\u{200b}");
        assert_eq!(printable("100 %s <b>ä€🦀</b> \\n", 100), "100 %s <b>ä€🦀</b> \\n", "what is harmless stays");
    }

    #[test]
    fn c8_text_is_cut_at_a_character_and_says_so() {
        assert_eq!(printable("as it is", 8), "as it is");
        for text in ["x", "ß", "€", "🦀", "\n"].map(|piece| piece.repeat(100_000)) {
            let cut = printable(&text, 1000);
            assert!((990..=1000).contains(&cut.len()), "{}", cut.len());
            assert!(cut.ends_with(CUT));
        }
        assert_eq!(printable(&"€".repeat(333), 1000).len(), 999, "bytes count, not characters");
        assert_eq!(printable("ääääää", 8), "ää…");
    }

    proptest! {
        #[test]
        fn c8_any_text_becomes_safe_within_its_limit_and_stays_as_it_is_then(text in any::<String>(), limit in 3_usize..200) {
            let safe = printable(&text, limit);
            prop_assert!(safe.len() <= limit && !safe.chars().any(is_unprintable));
            prop_assert_eq!(printable(&safe, limit), safe);
        }
    }
}
