//! The demo: from `kubectl apply` to Verified on a real control plane, all of it on this machine. `make demo` runs it.

mod keep;
mod screen;
mod show;
mod steps;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use testbed::world::{Operator, OperatorOptions, World, WorldError, WorldOptions};
use tokio::signal::unix::{SignalKind, signal};

use screen::Screen;

/// What a shell answers for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Shows two domains on their way to Verified; exits 0 only if both get there.
#[derive(Debug, Parser)]
struct Args {
    /// Leave everything up until Ctrl-C, and say how to play with it.
    #[arg(long)]
    keep: bool,
    /// The operator's binary. [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    operator: Option<PathBuf>,
    /// The longest that any one step may take, in seconds.
    #[arg(long, default_value = "45", value_name = "SECONDS")]
    step_limit: u64,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The world, or something asked of it.
    #[error(transparent)]
    World(#[from] WorldError),
    /// The control plane, or kubectl.
    #[error(transparent)]
    ControlPlane(#[from] testbed::control_plane::ControlPlaneError),
    /// The operator ended in the middle.
    #[error("the operator has ended\n{0}")]
    OperatorEnded(String),
    /// The terminal is gone, or a file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Result of the demo's parts.
pub type Result<T> = std::result::Result<T, DemoError>;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    // All that was started is dropped, and so ended, inside of this block.
    match runtime.block_on(until_signalled(args)) {
        Ok(code) => code,
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("\nthe demo failed: {reason}");
    ExitCode::FAILURE
}

/// Runs the demo; a signal ends it at any moment, what was started by then is ended in order.
async fn until_signalled(args: Args) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let signalled = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    };
    let keep = args.keep;
    let mut demo = Demo::default();
    let told = tokio::select! {
        told = demo.run(args) => Some(told),
        () = signalled => None,
    };
    // In order: the operator first, while there still is an API server to say good-bye to.
    let stopped = demo.stop().await;
    match told {
        Some(told) => told.and(stopped).map(|()| ExitCode::SUCCESS),
        None if keep && demo.finished => stopped.map(|()| ExitCode::SUCCESS),
        None => {
            eprintln!("\ninterrupted: everything is ended");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// What is running; it outlives the story, so that a story cut off half way still ends in order.
#[derive(Default)]
struct Demo {
    world: Option<World>,
    operator: Option<Operator>,
    finished: bool,
}

impl Demo {
    async fn run(&mut self, args: Args) -> Result<()> {
        let screen = Screen::new();
        let started = Instant::now();
        screen.title("A real control plane on this machine, and simulators of SES and Cloudflare")?;
        screen.note(
            "starting etcd, kube-apiserver, kube-controller-manager, an authoritative DNS server, the simulators;",
        )?;
        screen.note("installing crds/ and config/rbac")?;
        let world = self.world.insert(World::start(WorldOptions::default()).await?);
        let operator = self.operator.insert(world.operator(&options(args.operator)?)?);
        screen.note(&format!("up after {:.1} s\n", started.elapsed().as_secs_f32()))?;
        let limit = Duration::from_secs(args.step_limit);
        let mut stage = steps::Stage::new(&screen, world, operator, limit);
        story::tell(&mut stage).await?;
        screen.note(&format!("both are Verified; all of this took {:.0} s", started.elapsed().as_secs_f32()))?;
        self.finished = true;
        if args.keep {
            keep::explain(&stage)?;
            keep::attend(&mut stage).await?;
        }
        Ok(())
    }

    /// Ends the operator, then (by drop) the rest.
    async fn stop(&mut self) -> Result<()> {
        if let Some(mut operator) = self.operator.take() {
            operator.stop().await?;
        }
        drop(self.world.take());
        Ok(())
    }
}

fn options(program: Option<PathBuf>) -> Result<OperatorOptions> {
    let program = match program {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("sending-domain-operator"),
    };
    Ok(OperatorOptions {
        owner_id: Some("demo".to_owned()),
        pending_interval: "2s".to_owned(),
        verified_interval: "10s".to_owned(),
        // What AWS gives is 1; nobody wants to watch that.
        ses_requests_per_second: 10,
        ..OperatorOptions::new(program)
    })
}
