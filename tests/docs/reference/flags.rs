//! The page of flags, from the command line's own description.

use clap::{Arg, CommandFactory};
use sending_domain_operator::cli::Cli;

use super::markdown::{code, head, table};

const INTRODUCTION: &str = "\
`sending-domain-operator run` (`run` may be left out) takes these flags; each can also be set by its environment variable, and
the flag wins. Lists are repeated or comma-separated, durations look like `30s`, `15m` or `1h30m`, and an unknown flag is
refused. `sending-domain-operator crd` prints the CustomResourceDefinition. The chart sets most of them by `operator.*`, and any by
`extraArgs`.

Credentials of AWS come from where every AWS tool takes them, so the SDK's own variables work too, and so do `KUBECONFIG`,
`HTTPS_PROXY` and `NO_PROXY`.

";

pub fn page() -> String {
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let rows = run.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help").map(row);
    head("Flags", "src/cli.rs") + INTRODUCTION + &table(["flag", "default", "environment", "meaning"], rows)
}

fn row(arg: &Arg) -> [String; 4] {
    let help = arg.get_long_help().or_else(|| arg.get_help()).unwrap().to_string();
    // A default that the program finds out at start is told at the end of its help.
    let (meaning, told) = match help.rsplit_once("[default: ") {
        Some((meaning, default)) => (meaning.trim_end().to_owned(), default.trim_end_matches(']').to_owned()),
        None => (help, String::new()),
    };
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    let default = code(&defaults.collect::<Vec<_>>().join(","));
    let default = if default.is_empty() { told } else { default };
    [
        code(&format!("--{}{}", arg.get_long().unwrap(), value_of(arg))),
        default,
        code(&arg.get_env().unwrap_or_default().to_string_lossy()),
        format!("{}.{}", meaning.trim_end_matches('.'), possible(arg)),
    ]
}

fn value_of(arg: &Arg) -> String {
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let is_choice = !arg.get_possible_values().is_empty() && name != "BOOL";
    if is_choice { String::new() } else { format!("={name}") }
}

/// The values of a choice with their meanings; nothing for other flags.
fn possible(arg: &Arg) -> String {
    let described = arg.get_possible_values().into_iter().filter_map(|value| {
        let help = value.get_help()?.to_string();
        Some(format!("`{}`: {}", value.get_name(), help.trim_end_matches('.')))
    });
    let described: Vec<String> = described.collect();
    if described.is_empty() { String::new() } else { format!(" {}.", described.join("; ")) }
}
