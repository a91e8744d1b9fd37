//! Where output goes: colours only on a terminal that wants them.

use std::io::{self, IsTerminal, Write};

/// Writes text to standard output, whole or not at all. A reader that has gone is an error of its own kind.
pub fn emit(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The colours that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Green,
    Yellow,
    Red,
    Bold,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug)]
pub struct Paint(bool);

impl Paint {
    /// Colours if standard output is a terminal and neither `$NO_COLOR` nor `$TERM` is against it.
    pub fn for_stdout() -> Self {
        Self(io::stdout().is_terminal() && wants_colours(|name| std::env::var(name).ok()))
    }

    /// No colours.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(false)
    }

    /// Colours.
    #[cfg(test)]
    pub fn always() -> Self {
        Self(true)
    }

    /// `text` in this colour.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Red => "31",
            Colour::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Source: <https://no-color.org>.
fn wants_colours(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("TERM").is_none_or(|term| term != "dumb")
}

/// One line on a terminal that is written over again and again; without a terminal, a line for each thing that is new.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    last: String,
}

impl Progress {
    /// On standard error, so that it never mixes with results.
    pub fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), last: String::new() }
    }

    /// Shows `text`; `clock` stands before it on a terminal, and makes no news elsewhere.
    pub fn show(&mut self, clock: &str, text: &str) {
        let mut err = io::stderr().lock();
        let shown = if self.terminal {
            let line: String = format!("{clock} {text}").chars().take(width()).collect();
            write!(err, "\r\u{1b}[K{line}").and_then(|()| err.flush())
        } else if self.last == text {
            Ok(())
        } else {
            writeln!(err, "{text}")
        };
        // Progress that cannot be shown is no reason to stop.
        drop(shown);
        text.clone_into(&mut self.last);
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.terminal && !self.last.is_empty() {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}

/// One less than the columns of the terminal, so that the line does not wrap.
fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse::<usize>().ok());
    columns.unwrap_or(80).clamp(20, 400) - 1
}

/// Columns, padded to the widest cell; the last is not. `paint` colours a cell after padding.
pub fn table(rows: &[Vec<String>], paint: impl Fn(usize, usize, &str) -> Option<Colour>, colours: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (y, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (x, cell) in row.iter().enumerate() {
            let padding = if x + 1 == row.len() { 0 } else { widths[x] + 3 - cell.chars().count() };
            let shown = paint(y, x, cell).map_or_else(|| cell.clone(), |colour| colours.paint(colour, cell));
            line.push_str(&shown);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let with = |name: &'static str, value: &'static str| move |n: &str| (n == name).then(|| value.to_owned());
        assert!(wants_colours(|_| None) && wants_colours(with("NO_COLOR", "")) && wants_colours(with("TERM", "xterm")));
        assert!(!wants_colours(with("NO_COLOR", "1")) && !wants_colours(with("TERM", "dumb")));
        assert_eq!(Paint::none().paint(Colour::Red, "x"), "x");
        assert_eq!(Paint::always().paint(Colour::Red, "x"), "\u{1b}[31mx\u{1b}[0m");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let rows = [["A", "B"], ["longer", "x"]].map(|row| row.map(str::to_owned).to_vec());
        let plain = table(&rows, |_, _, _| None, Paint::none());
        assert_eq!(plain, "A        B\nlonger   x\n");
        let painted = table(&rows, |_, x, _| (x == 0).then_some(Colour::Green), Paint::always());
        assert_eq!(painted.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""), plain);
    }
}
