//! The few forms of Markdown that the pages are made of.

/// One line: line breaks become spaces, and what a table would take for a border is escaped.
pub fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// `text` as code; nothing for nothing.
pub fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// A table with `heads` and `rows`.
pub fn table<const N: usize>(heads: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&heads.map(str::to_owned));
    text.push_str(&line(&heads.map(|_| "---".to_owned())));
    for row in rows {
        text.push_str(&line(&row.map(|value| cell(&value))));
    }
    text
}

/// The head of a page, with where it comes from.
pub fn head(title: &str, source: &str) -> String {
    format!("# {title}\n\n<!-- Made by `make generate` from {source}. -->\n\n")
}
