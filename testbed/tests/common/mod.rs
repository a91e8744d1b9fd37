//! A parent process to kill, and a look at what is left.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "shared by several test programs"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Another run of this test program, of one ignored test only, that tells on standard output what it started.
pub struct KilledParent {
    child: Child,
    lines: Vec<String>,
}

impl KilledParent {
    /// Runs the test and reads what it says up to the line `up`.
    pub fn start(test: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let lines = output.lines().map(Result::unwrap).take_while(|line| line != "up").collect();
        Self { child, lines }
    }

    /// The numbers on the lines `WORD NUMBER`.
    pub fn pids(&self, word: &str) -> Vec<u32> {
        self.values(word).map(|value| value.parse().unwrap()).collect()
    }

    /// The paths on the lines `directory PATH`.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.values("directory").map(PathBuf::from).collect()
    }

    fn values<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        // The test harness writes the test's name on the first line.
        self.lines.iter().filter_map(move |line| line.rsplit_once(&format!("{word} ")).map(|(_, value)| value))
    }

    /// SIGKILL: no destructor runs.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether a process runs; a zombie that nobody has reaped yet does not.
pub fn lives(pid: u32) -> bool {
    let Ok(output) = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output() else {
        return false;
    };
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

pub fn gone_within(limit: Duration, pid: u32) -> bool {
    holds_within(limit, || !lives(pid))
}

pub fn removed_within(limit: Duration, path: &Path) -> bool {
    holds_within(limit, || !path.exists())
}

/// No watchdog of these processes is left either: their numbers are its arguments.
pub fn no_process_names_within(limit: Duration, pids: &[u32]) -> bool {
    holds_within(limit, || {
        let listed = Command::new("ps").args(["-A", "-o", "args="]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        pids.iter().all(|pid| !listed.contains(&format!("watchdog {pid}")))
    })
}

fn holds_within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < limit {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
