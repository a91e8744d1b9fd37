//! The operator's program.

use std::process::ExitCode;

use clap::Parser;
use sending_domain_operator::api::crd::crd_yaml;
use sending_domain_operator::cli::{Cli, Command, RunArgs};
use sending_domain_operator::run::run;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Crd) => print_crd(),
        Some(Command::Run(args)) => start(*args),
        None => start(cli.run),
    }
}

fn print_crd() -> ExitCode {
    match crd_yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn start(args: RunArgs) -> ExitCode {
    // Every TLS client of the process uses this one provider. It fails only if one is installed already, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("sending-domain-operator: {error}");
    ExitCode::FAILURE
}
