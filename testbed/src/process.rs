//! Child processes that end with their parent, whatever ends the parent.
//!
//! A destructor does not run when a process is killed with SIGKILL, so each child is watched by a small shell that holds
//! the reading end of a pipe from the parent: when the parent is gone the pipe closes and the shell kills the child. The
//! child itself is a direct child of ours, so its exit status and its signals are the real program's own.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

mod scratch;
mod watchdog;

pub use scratch::ScratchDir;
use watchdog::Watchdog;

/// How often a child is asked whether it has ended or become ready.
const POLL: Duration = Duration::from_millis(20);
/// Lines of the log that an error shows.
const TAIL_LINES: usize = 15;
/// The part of the log, in bytes from its end, in which those lines are looked for.
const TAIL_BYTES: u64 = 16 * 1024;

/// Waits for the parent's word and only then becomes the program: the program never runs without its watchdog, and a
/// parent that dies in between leaves a shell that reads the end of its input and ends.
const GATE: &str = r#"read -r go && exec "$0" "$@" </dev/null"#;

/// Why a child process did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be started.
    #[error("{name} cannot be started: {source}")]
    Start {
        /// The child's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended before it was ready.
    #[error("{name} ended ({status}) before it was ready; the end of {}:\n{tail}", log.display())]
    Exited {
        /// The child's name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its whole output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The program runs but was not ready in time.
    #[error("{name} was not ready within {seconds} s; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// The child's name.
        name: String,
        /// The time it was given.
        seconds: u64,
        /// Its whole output.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A running child could not be watched or signalled.
    #[error("{name} cannot be controlled: {source}")]
    Control {
        /// The child's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A signal for [`Guarded::signal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, what a kubelet sends first.
    Term,
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGKILL: no clean-up of any kind.
    Kill,
    /// SIGSTOP: the process freezes.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Interrupt => "INT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// What to run: a program, its arguments, its environment and where its output goes.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    env_clear: bool,
    log: PathBuf,
}

impl Program {
    /// `name` is used in messages; standard output and error are appended to `log`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_clear: false,
            log: log.into(),
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes an inherited environment variable away.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), None));
        self
    }

    /// Starts from an empty environment instead of ours (`PATH` excepted: the shell that starts it needs one).
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Starts it. It ends at the latest when this process does.
    ///
    /// # Errors
    /// [`ProcessError::Start`] if the program does not exist, or the log or a process cannot be made.
    pub fn start(&self) -> Result<Guarded, ProcessError> {
        self.spawn().map_err(|source| ProcessError::Start { name: self.name.clone(), source })
    }

    fn spawn(&self) -> io::Result<Guarded> {
        // The shell's own message about a missing program would only be in the log.
        if self.path.components().count() > 1 && !self.path.is_file() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no file {}", self.path.display())));
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut child = self.command(log)?.spawn()?;
        let watchdog = match Watchdog::start(child.id()) {
            Ok(watchdog) => watchdog,
            Err(error) => {
                // The gate still waits for its word: without it, it ends by itself.
                drop(child.stdin.take());
                let _ = child.wait();
                return Err(error);
            }
        };
        let mut guarded = Guarded { name: self.name.clone(), child, watchdog, log: self.log.clone(), status: None };
        if let Some(mut gate) = guarded.child.stdin.take() {
            gate.write_all(b"go\n")?;
        }
        Ok(guarded)
    }

    fn command(&self, log: File) -> io::Result<Command> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(GATE).arg(&self.path).args(&self.args);
        if self.env_clear {
            command.env_clear();
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        for (key, value) in &self.env {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        // A group of its own: Ctrl-C at the terminal reaches the parent only, which then ends its children in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

/// A running child process. Dropping it kills it with SIGKILL; [`Guarded::stop`] is the orderly way.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    child: Child,
    watchdog: Watchdog,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Guarded {
    /// The name given to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program's own process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that its standard output and error go to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last `lines` lines of its log, or nothing if there is none.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines).unwrap_or_default()
    }

    /// How it ended, or `None` while it runs.
    pub fn try_status(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        if self.status.is_none() {
            self.status = self.child.try_wait().map_err(|source| self.control(source))?;
            if self.status.is_some() {
                // From here on its number may become another process's, so nobody may signal it any more.
                self.watchdog.stand_down();
            }
        }
        Ok(self.status)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.try_status(), Ok(None))
    }

    /// Waits for its end, at most `limit`; `None` if it still runs then.
    pub async fn wait(&mut self, limit: Duration) -> Result<Option<ExitStatus>, ProcessError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_status()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until `probe` says true.
    ///
    /// # Errors
    /// With the end of the log, if the process ends first or `limit` passes.
    pub async fn ready<F, Fut>(&mut self, limit: Duration, mut probe: F) -> Result<(), ProcessError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = bool>,
    {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_status()? {
                let (name, log, tail) = (self.name.clone(), self.log.clone(), self.log_tail(TAIL_LINES));
                return Err(ProcessError::Exited { name, status, log, tail });
            }
            // A probe that hangs must not outlive the deadline.
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, probe()).await.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let (name, log, tail) = (self.name.clone(), self.log.clone(), self.log_tail(TAIL_LINES));
                return Err(ProcessError::NotReady { name, seconds: limit.as_secs(), log, tail });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends a signal to the program. Does nothing if it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        if self.try_status()?.is_some() {
            return Ok(());
        }
        self.watchdog.send(signal.name()).map_err(|source| self.control(source))
    }

    /// Ends it in order: SIGTERM, then SIGKILL after `grace`. Returns how it ended.
    pub async fn stop(&mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::Term)?;
        match self.wait(grace).await? {
            Some(status) => Ok(status),
            None => self.kill(),
        }
    }

    /// Ends it and whatever it started, at once, with SIGKILL.
    pub fn kill(&mut self) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.try_status()? {
            return Ok(status);
        }
        self.watchdog.fire();
        // Should the watchdog have been killed, then this still ends the program itself.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        let status = ended.map_err(|source| self.control(source))?;
        self.status = Some(status);
        Ok(status)
    }

    fn control(&self, source: io::Error) -> ProcessError {
        ProcessError::Control { name: self.name.clone(), source }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The last `lines` lines of a text file.
fn tail(path: &Path, lines: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}
