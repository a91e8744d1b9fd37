//! The shell that kills a process group when its pipe from us closes.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Reads the names of signals to send, one a line, and answers each; at the end of its input it kills the whole group.
/// Only builtins of the shell, so it leaves no process behind. `$1` is the group's leader.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
while read -r word; do
    [ "$word" != done ] || exit 0
    kill -s "$word" "$1" 2>/dev/null
    echo sent
done
kill -s KILL -- "-$1" 2>/dev/null
"#;

#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
}

impl Watchdog {
    pub(super) fn start(leader: u32) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog", &leader.to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ours may be a pipe that somebody reads to its end: it must not stay open here.
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = shell.stdin.take();
        let answers = shell.stdout.take().map(BufReader::new);
        Ok(Self { shell, pipe, answers })
    }

    /// Sends a signal to the leader; it has been sent when this returns.
    pub(super) fn send(&mut self, signal: &str) -> io::Result<()> {
        let (Some(pipe), Some(answers)) = (&mut self.pipe, &mut self.answers) else {
            return Err(io::Error::other("its watchdog has ended"));
        };
        writeln!(pipe, "{signal}")?;
        let mut answer = String::new();
        if answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::other("its watchdog was killed"));
        }
        Ok(())
    }

    /// Ends the watchdog without a kill: the leader has ended.
    pub(super) fn stand_down(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = writeln!(pipe, "done");
        }
        let _ = self.shell.wait();
    }

    /// Kills the group, and ends.
    pub(super) fn fire(&mut self) {
        drop(self.pipe.take());
        let _ = self.shell.wait();
    }
}
