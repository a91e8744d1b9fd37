//! Completion: a script for the program itself, and the answers to kubectl, which asks an executable of the name
//! `kubectl_complete-sendingdomain` when somebody completes `kubectl sendingdomain …`.
//!
//! Source: <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/> and kubectl's `pkg/cmd/plugin_completion.go`.

use std::path::Path;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, Parser};
use clap_complete::Shell;
use kube::ResourceExt;

use crate::args::{Access, Cli};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::screen::emit;

const ASKED_AS: &str = "kubectl_complete-sendingdomain";
/// No file names: cobra's `ShellCompDirectiveNoFileComp`.
const NO_FILES: &str = ":4";
/// File names, if there is nothing better: cobra's `ShellCompDirectiveDefault`.
const FILES: &str = ":0";
/// How long a cluster may take to tell names while somebody waits for a completion.
const PATIENCE: Duration = Duration::from_secs(2);

/// The completion script of `shell`.
pub fn script(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut Cli::command().bin_name("kubectl-sendingdomain"),
        "kubectl-sendingdomain",
        &mut script,
    );
    emit(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// The words to complete, if that is what this program was called for.
pub fn asked_by_kubectl() -> Option<Vec<String>> {
    let mut words = std::env::args();
    let program = words.next()?;
    let name = Path::new(&program).file_name()?.to_str()?;
    (name.strip_suffix(".exe").unwrap_or(name) == ASKED_AS).then(|| words.collect())
}

/// What the last of `words` can become, one candidate on a line, then cobra's directive.
pub fn answer(words: &[String]) -> Result<Exit, Failure> {
    let (last, before) = words.split_last().map_or(("", [].as_slice()), |(last, before)| (last.as_str(), before));
    let mut root = Cli::command();
    root.build();
    let (candidates, directive) = match wanted(&root, before, last) {
        Wanted::OneOf(candidates) => (candidates, NO_FILES),
        Wanted::Names => (names(before), NO_FILES),
        Wanted::Anything => (Vec::new(), FILES),
    };
    let matching = candidates.into_iter().filter(|candidate| candidate.starts_with(last));
    let lines: String = matching.map(|candidate| candidate + "\n").collect();
    emit(&format!("{lines}{directive}\n"))?;
    Ok(Exit::Ok)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    OneOf(Vec<String>),
    /// The names of objects.
    Names,
    Anything,
}

fn wanted(root: &Command, before: &[String], last: &str) -> Wanted {
    let mut command = root;
    let mut names = 0;
    let mut open: Option<&Arg> = None;
    for word in before {
        if open.take().is_some() {
            continue;
        }
        if let Some(flag) = word.strip_prefix('-') {
            open = argument(command, flag).filter(|arg| arg.get_action().takes_values() && !word.contains('='));
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub;
        } else {
            names += 1;
        }
    }
    if let Some(arg) = open {
        return values(arg);
    }
    if last.starts_with('-') {
        let flags = command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long);
        return Wanted::OneOf(flags.map(|flag| format!("--{flag}")).collect());
    }
    if command.has_subcommands() {
        return Wanted::OneOf(command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect());
    }
    match command.get_positionals().next() {
        Some(first) if names == 0 && first.get_id() == "name" => Wanted::Names,
        Some(first) if names == 0 => values(first),
        _ => Wanted::OneOf(Vec::new()),
    }
}

fn argument<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let mut all = command.get_arguments();
    match flag.strip_prefix('-') {
        Some(long) => all.find(|arg| arg.get_long() == Some(long)),
        None => all.find(|arg| arg.get_short() == flag.chars().next_back()),
    }
}

fn values(arg: &Arg) -> Wanted {
    let possible: Vec<String> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if possible.is_empty() { Wanted::Anything } else { Wanted::OneOf(possible) }
}

/// The names of the objects that the flags so far lead to; none if the cluster does not tell in time.
fn names(before: &[String]) -> Vec<String> {
    #[derive(Parser)]
    #[command(ignore_errors = true)]
    struct Flags {
        #[command(flatten)]
        access: Access,
        #[arg(trailing_var_arg = false)]
        rest: Vec<String>,
    }
    let access = Flags::try_parse_from(std::iter::once("x".to_owned()).chain(before.iter().cloned()));
    let access = access.map(|flags| flags.access).unwrap_or_default();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return Vec::new() };
    let listed = runtime.block_on(async {
        let list = async { Cluster::of(&access).await?.list(false, None).await };
        tokio::time::timeout(PATIENCE, list).await
    });
    listed
        .ok()
        .and_then(Result::ok)
        .map_or_else(Vec::new, |objects| objects.iter().map(ResourceExt::name_any).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> Wanted {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (last, before) = words.split_last().unwrap();
        let mut root = Cli::command();
        root.build();
        wanted(&root, before, last)
    }

    fn one_of(line: &str) -> Vec<String> {
        match complete(line) {
            Wanted::OneOf(candidates) => candidates,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_can_come_next_is_known_from_the_definition() {
        assert!(["records", "check", "doctor"].iter().all(|name| one_of("").contains(&(*name).to_owned())));
        assert!(one_of("-n team ").contains(&"records".to_owned()), "the value of a flag is no command");
        assert_eq!(complete("records "), Wanted::Names);
        assert_eq!(complete("records -n "), Wanted::Anything);
        assert_eq!(complete("wait --timeout 5m "), Wanted::Names);
        assert!(one_of("records mail -o ").contains(&"html".to_owned()));
        assert!(
            one_of("records --o").contains(&"--output".to_owned())
                && one_of("records -").contains(&"--namespace".to_owned())
        );
        assert!(one_of("completion ").contains(&"zsh".to_owned()));
        assert_eq!(one_of("records mail "), Vec::<String>::new());
    }

    #[test]
    fn every_shell_has_a_script() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kubectl-sendingdomain", &mut script);
            assert!(String::from_utf8(script).unwrap().contains("recreate"), "{shell}");
        }
    }
}
