//! Values without an effect: empty ones, and those that a later value replaces.

use std::collections::HashSet;
use std::ffi::OsString;

use clap::builder::ValueHint;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};

use crate::cli::Cli;

/// Flags that name a destination. A replaced value is a destination that receives nothing.
const PLACES: [&str; 2] = ["registry", "namespace"];

/// Removes flags with an empty value, as scripts pass variables that may be empty (`--arch=`, `--log ""`).
pub(crate) fn without_empty_values(args: Vec<OsString>) -> Vec<OsString> {
    let flags = Flags::from_command(&Cli::command());
    let mut kept = Vec::with_capacity(args.len());
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            kept.push(arg);
            kept.extend(args);
            break;
        }
        if text
            .strip_suffix('=')
            .is_some_and(|flag| flags.all.contains(flag))
        {
            continue;
        }
        if !flags.detached.contains(&*text) {
            kept.push(arg);
            continue;
        }
        match args.next() {
            Some(value) if value.is_empty() => {}
            value => {
                kept.push(arg);
                kept.extend(value);
            }
        }
    }
    kept
}

/// Flags of all commands that need a value, as users write them.
#[derive(Default)]
struct Flags {
    all: HashSet<String>,
    /// Flags whose value may be an argument of its own.
    detached: HashSet<String>,
}

impl Flags {
    fn from_command(command: &Command) -> Self {
        let mut flags = Self::default();
        flags.add(command);
        flags
    }

    fn add(&mut self, command: &Command) {
        for arg in command.get_arguments() {
            if !arg.get_action().takes_values() {
                continue;
            }
            let long = arg.get_long().map(|name| format!("--{name}"));
            let short = arg.get_short().map(|name| format!("-{name}"));
            for flag in long.into_iter().chain(short) {
                if !arg.is_require_equals_set() {
                    self.detached.insert(flag.clone());
                }
                self.all.insert(flag);
            }
        }
        for below in command.get_subcommands() {
            self.add(below);
        }
    }
}

/// Returns a warning for each file or destination in `args` that a later value of the same flag replaces.
pub(crate) fn ignored_values(args: &[OsString]) -> Vec<String> {
    let mut warnings = Vec::new();
    // Mistakes were reported by the usual parser.
    if let Ok(matches) = collecting(Cli::command()).try_get_matches_from(args) {
        ignored_of(&Cli::command(), &matches, &mut warnings);
    }
    warnings
}

/// Returns the command with flags that keep all their values, if they name a file or destination.
fn collecting(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    let command = command.mut_args(|arg| {
        if names_one_place(&arg) {
            arg.action(ArgAction::Append)
        } else {
            arg
        }
    });
    let all = names.into_iter();
    all.fold(command, |command, name| {
        command.mut_subcommand(name, collecting)
    })
}

fn names_one_place(arg: &Arg) -> bool {
    let names_place =
        arg.get_value_hint() == ValueHint::FilePath || PLACES.contains(&arg.get_id().as_str());
    names_place && matches!(arg.get_action(), ArgAction::Set)
}

fn ignored_of(command: &Command, matches: &ArgMatches, warnings: &mut Vec<String>) {
    for arg in command.get_arguments().filter(|arg| names_one_place(arg)) {
        let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        let Some((last, others)) = values.split_last() else {
            continue;
        };
        let flag = arg.get_long().unwrap_or_default();
        for other in others.iter().filter(|other| *other != last) {
            warnings.push(format!(
                "--{flag} {other} is ignored: the flag takes one value, and the last one counts, {last}"
            ));
        }
    }
    if let Some((name, below)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        ignored_of(command, below, warnings);
    }
}
