//! A temporary directory that goes with its process, also when that is killed.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Memory-backed, so that a database's writes cost no disk.
const MEMORY: &str = "/dev/shm";
/// What a control plane may need there, in KiB; containers often have as little as 64 MiB.
const MEMORY_KIB: u64 = 1024 * 1024;

/// Removes `$1` when its input ends without a word. The pause lets the processes that write there be killed first.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r word && exit 0
sleep 1
rm -rf -- "$1"
"#;

/// A directory of our own, in memory where there is enough. It is removed on drop, and by a watching shell when this
/// process ends without one (a `static`, or SIGKILL).
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    keep: bool,
    sweeper: Child,
    pipe: Option<ChildStdin>,
}

impl ScratchDir {
    /// Makes the directory, readable by its owner only. With `keep` it stays for good, on disk, for a look afterwards.
    pub fn new(keep: bool) -> io::Result<Self> {
        let in_memory = !keep && has_room(Path::new(MEMORY));
        let parent = if in_memory { PathBuf::from(MEMORY) } else { std::env::temp_dir() };
        let made = tempfile::Builder::new().prefix("testbed-").tempdir_in(parent)?;
        let mut sweeper = Command::new("sh")
            .args(["-c", SCRIPT, "sweeper"])
            .arg(made.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = sweeper.stdin.take();
        let mut scratch = Self { path: made.keep(), keep, sweeper, pipe };
        if keep {
            scratch.stand_down();
        }
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn stand_down(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            let _ = writeln!(pipe, "done");
        }
        let _ = self.sweeper.wait();
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
            self.stand_down();
        }
    }
}

/// Whether a file system has the room, as `df` tells: the standard library cannot.
fn has_room(path: &Path) -> bool {
    if !path.is_dir() || tempfile::tempfile_in(path).is_err() {
        return false;
    }
    let Ok(output) = Command::new("df").arg("-Pk").arg(path).output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let free = text.lines().nth(1).and_then(|line| line.split_whitespace().nth(3));
    free.and_then(|kib| kib.parse::<u64>().ok()).is_some_and(|kib| kib >= MEMORY_KIB)
}
