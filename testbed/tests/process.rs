//! Child processes end with their parent, whatever ends the parent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helpers may fail the test")]

use std::path::Path;
use std::time::{Duration, Instant};

use testbed::process::{ProcessError, Program, ScratchDir, Signal};

mod common;
use common::{KilledParent, gone_within, lives};

const SOON: Duration = Duration::from_secs(10);

fn shell(directory: &Path, script: &str) -> Program {
    Program::new("script", "sh", directory.join("script.log")).args(["-c", script])
}

async fn until_logged(child: &mut testbed::process::Guarded, word: &str) {
    let log = child.log().to_owned();
    let logged = || async { std::fs::read_to_string(&log).unwrap_or_default().contains(word) };
    child.ready(SOON, logged).await.expect(word);
}

#[tokio::test]
async fn passes_arguments_and_environment_and_tells_how_it_ended() {
    let scratch = ScratchDir::new(false).unwrap();
    let script = r#"echo "$GREETING, $1|$2"; exit 7"#;
    let mut child = shell(scratch.path(), script).args(["zero", "a b", "$c"]).env("GREETING", "hello").start().unwrap();
    let status = child.wait(SOON).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(7));
    assert_eq!(child.log_tail(5), "hello, a b|$c");
}

#[tokio::test]
async fn stop_delivers_sigterm_to_the_program_itself() {
    let scratch = ScratchDir::new(false).unwrap();
    let script = "trap 'echo asked; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    let mut child = shell(scratch.path(), script).start().unwrap();
    until_logged(&mut child, "up").await;
    let status = child.stop(SOON).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert!(child.log_tail(5).ends_with("asked"));
    assert!(!lives(child.pid()));
}

#[tokio::test]
async fn stop_kills_what_ignores_sigterm() {
    let scratch = ScratchDir::new(false).unwrap();
    let mut child = shell(scratch.path(), "trap '' TERM; echo up; while :; do sleep 0.05; done").start().unwrap();
    until_logged(&mut child, "up").await;
    let status = child.stop(Duration::from_millis(100)).await.unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[tokio::test]
async fn drop_kills_the_program_and_what_it_started() {
    let scratch = ScratchDir::new(false).unwrap();
    let mut child = shell(scratch.path(), "sleep 600 & echo \"grandchild $!\"; wait").start().unwrap();
    until_logged(&mut child, "grandchild").await;
    let (pid, tail) = (child.pid(), child.log_tail(1));
    let grandchild: u32 = tail.trim_start_matches("grandchild ").parse().unwrap();
    drop(child);
    assert!(!lives(pid));
    assert!(gone_within(SOON, grandchild));
}

#[tokio::test]
async fn a_frozen_program_goes_on_where_it_was() {
    let scratch = ScratchDir::new(false).unwrap();
    let mut child = shell(scratch.path(), "while :; do echo tick; sleep 0.02; done").start().unwrap();
    until_logged(&mut child, "tick").await;
    let length = || std::fs::metadata(scratch.path().join("script.log")).unwrap().len();
    child.signal(Signal::Stop).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let frozen = length();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(length(), frozen);
    child.signal(Signal::Continue).unwrap();
    let started = Instant::now();
    while length() == frozen && started.elapsed() < SOON {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(length() > frozen);
}

#[tokio::test]
async fn an_early_end_shows_the_log() {
    let scratch = ScratchDir::new(false).unwrap();
    let mut child = shell(scratch.path(), "echo cannot bind; exit 1").start().unwrap();
    let error = child.ready(SOON, || async { false }).await.unwrap_err();
    assert!(matches!(error, ProcessError::Exited { .. }));
    assert!(error.to_string().contains("cannot bind"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_said_at_once() {
    let scratch = ScratchDir::new(false).unwrap();
    let error = Program::new("nothing", "/does/not/exist", scratch.path().join("log")).start().unwrap_err();
    assert!(error.to_string().contains("/does/not/exist"), "{error}");
}

#[test]
fn everything_ends_when_the_parent_is_killed() {
    let parent = KilledParent::start("a_parent_with_a_child");
    let (pids, directories) = (parent.pids("child"), parent.directories());
    assert_eq!((pids.len(), directories.len()), (1, 1));
    assert!(pids.iter().all(|pid| lives(*pid)));
    parent.kill();
    assert!(pids.iter().all(|pid| gone_within(SOON, *pid)));
    assert!(directories.iter().all(|directory| common::removed_within(SOON, directory)));
    assert!(common::no_process_names_within(SOON, &pids));
}

#[tokio::test]
#[ignore = "the parent that everything_ends_when_the_parent_is_killed starts"]
async fn a_parent_with_a_child() {
    let scratch = ScratchDir::new(false).unwrap();
    let child = Program::new("sleep", "sleep", scratch.path().join("log")).arg("600").start().unwrap();
    println!("child {}", child.pid());
    println!("directory {}", scratch.path().display());
    println!("up");
    tokio::time::sleep(Duration::from_mins(1)).await;
}
