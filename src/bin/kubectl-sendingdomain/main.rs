//! `kubectl sendingdomain`: what people do with SendingDomains that kubectl alone cannot do well.
//!
//! ```text
//! args ─► main ─┬─► records   the records for whoever owns the DNS, in six formats
//!               ├─► check     a look at DNS from here, with causes
//!               ├─► wait      until a condition holds
//!               ├─► annotate  reconcile, recreate
//!               ├─► import    identities that are at SES already, as manifests
//!               ├─► doctor    what is missing around the operator
//!               └─► complete  completion
//! ```

mod annotate;
mod args;
mod aws;
mod check;
mod cluster;
mod complete;
mod doctor;
mod exit;
mod import;
mod records;
mod row;
mod screen;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    if let Some(words) = complete::asked_by_kubectl() {
        return finish(complete::answer(&words));
    }
    let cli = Cli::parse();
    // Every TLS client of the process uses this one provider. It fails only if one is installed already, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => finish(runtime.block_on(run(cli))),
        Err(error) => finish(Err(Failure::from(error))),
    }
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    let access = cli.access;
    match cli.command {
        Command::Records(args) => records::run(&access, &args).await,
        Command::Check(args) => check::run(&access, &args).await,
        Command::Wait(args) => wait::run(&access, &args).await,
        Command::Reconcile(args) => annotate::reconcile(&access, &args).await,
        Command::Recreate(args) => annotate::recreate(&access, &args).await,
        Command::Import(args) => import::run(&access, &args).await,
        Command::Doctor(args) => doctor::run(&access, &args).await,
        Command::Completion(args) => complete::script(args.shell),
    }
}

fn finish(result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit().code())
        }
    }
}
