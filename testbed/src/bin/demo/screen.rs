//! What the demo writes: titles, notes, prompts, output. Colours only where somebody looks.

use std::io::{self, IsTerminal, Write};

/// Standard output.
pub struct Screen {
    out: io::Stdout,
    colour: bool,
}

impl Screen {
    /// Colours if this is a terminal and nobody has asked for none (<https://no-color.org>).
    pub fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let out = io::stdout();
        let colour = out.is_terminal() && !refused;
        Self { out, colour }
    }

    /// The title of a part.
    pub fn title(&self, text: &str) -> io::Result<()> {
        self.styled("1;36", &format!("== {text}"))
    }

    /// What happens where the user's shell does not show it.
    pub fn note(&self, text: &str) -> io::Result<()> {
        let (indent, text) = (text.ends_with('\n'), text.trim_end());
        self.styled("2", &format!("# {text}"))?;
        if indent { self.output("\n") } else { Ok(()) }
    }

    /// A command as the user types it.
    pub fn prompt(&self, command: &str) -> io::Result<()> {
        self.styled("1;32", &format!("$ {command}"))
    }

    /// Output as it came.
    pub fn output(&self, text: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn styled(&self, style: &str, line: &str) -> io::Result<()> {
        if self.colour {
            self.output(&format!("\u{1b}[{style}m{line}\u{1b}[0m\n"))
        } else {
            self.output(&format!("{line}\n"))
        }
    }
}
