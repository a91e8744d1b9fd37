//! How a command ends: its exit code, and what it says when it could not do its work.

use std::fmt;
use std::io;

use sending_domain_operator::text::printable;

/// The longest message that is shown, in bytes.
const LIMIT: usize = 2000;

/// The exit codes; `docs/kubectl-plugin.md` and `--help` list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All right.
    Ok = 0,
    /// It could not be done.
    Error = 1,
    /// Wrong usage; clap's own code too.
    Usage = 2,
    /// `check`: a required record is missing, and none is incorrect.
    Missing = 3,
    /// `check`: a required record is incorrect.
    Incorrect = 4,
    /// `check`: a required record could not be looked up or is not known yet, and none is missing or incorrect.
    Unknown = 5,
    /// `wait`: the object is Stalled.
    Stalled = 6,
    /// `wait`: the time is over.
    TimedOut = 7,
    /// `doctor`: something has to be mended.
    Unhealthy = 8,
    /// `recreate`: not confirmed.
    Declined = 9,
}

impl Exit {
    /// What the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Why a command could not do its work: one sentence, safe to show.
#[derive(Debug)]
pub struct Failure {
    message: String,
    exit: Exit,
    closed_pipe: bool,
}

impl Failure {
    /// It could not be done.
    pub fn new(message: impl AsRef<str>) -> Self {
        Self { message: printable(message.as_ref(), LIMIT), exit: Exit::Error, closed_pipe: false }
    }

    /// It makes no sense as asked.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// True if whoever read our output has had enough, as `head` has.
    pub fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { closed_pipe: error.kind() == io::ErrorKind::BrokenPipe, ..Self::new(error.to_string()) }
    }
}
