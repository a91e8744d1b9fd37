//! The steps that the story is made of: a command typed, a state waited for.

use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::world::{Operator, World};

use crate::screen::Screen;
use crate::{DemoError, Result};

/// How often the operator is asked whether it still runs.
const WATCH: Duration = Duration::from_millis(200);
/// Lines of its log that a failure shows.
const TAIL_LINES: usize = 30;

/// The user's desk: a shell with kubectl, and the world around it.
pub struct Stage<'a> {
    /// Where it is shown.
    pub screen: &'a Screen,
    /// The world.
    pub world: &'a World,
    /// Its operator.
    pub operator: &'a mut Operator,
    limit: Duration,
}

/// The namespace of both domains; kubectl's context is set to it.
pub const NAMESPACE: &str = "mail";

impl<'a> Stage<'a> {
    /// `limit` is the longest that one step may take.
    pub fn new(screen: &'a Screen, world: &'a World, operator: &'a mut Operator, limit: Duration) -> Self {
        Self { screen, world, operator, limit }
    }

    /// Types a kubectl command and shows its real output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<()> {
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.kubectl_shown_as(&shown.join(" "), args).await
    }

    /// As [`Stage::kubectl`], with a prompt line that says the same in a shorter way.
    pub async fn kubectl_shown_as(&self, shown: &str, args: &[&str]) -> Result<()> {
        self.screen.prompt(&format!("kubectl {shown}"))?;
        let printed = self.world.control_plane().kubectl_ok(args).await?;
        self.screen.output(&format!("{}\n\n", printed.trim_end()))?;
        Ok(())
    }

    /// Runs kubectl without showing it.
    pub async fn kubectl_quietly(&self, args: &[&str]) -> Result<String> {
        Ok(self.world.control_plane().kubectl_ok(args).await?)
    }

    /// Waits until `condition` holds of an object, and answers it as it is then.
    pub async fn wait_for(&mut self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let found = self.world.wait_for(NAMESPACE, name, what, condition, self.limit);
        let operator = &mut *self.operator;
        tokio::select! {
            found = found => Ok(found?),
            () = ended(operator) => Err(DemoError::OperatorEnded(tail(operator))),
        }
    }

    /// As [`Stage::wait_for`], while SES's clock is moved on by a minute again and again.
    pub async fn wait_with_clock(&mut self, name: &str, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value> {
        let ses = self.world.ses().clone();
        let clock = async {
            loop {
                ses.advance(Duration::from_mins(1)).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            found = self.wait_for(name, what, done) => found,
            never = clock => never,
        }
    }
}

/// Waits until the operator does not run any more.
pub async fn ended(operator: &mut Operator) {
    while operator.is_running() {
        tokio::time::sleep(WATCH).await;
    }
}

fn tail(operator: &Operator) -> String {
    let log = operator.log();
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    format!("the end of its log:\n{end}")
}

/// As one types it in a shell.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@".contains(c);
    if arg.chars().all(plain) { arg.to_owned() } else { format!("'{arg}'") }
}

/// A pause to read what was shown.
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

/// The time since `started`, for a note.
pub fn since(started: Instant) -> String {
    format!("{:.1} s", started.elapsed().as_secs_f32())
}
