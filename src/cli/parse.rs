//! The parser of the command line. It goes on after a bad value, so that all of them are shown together with the mistakes
//! of the files.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser};

use crate::cli::{Cli, advise, ignored_values};

/// Maximum number of mistakes that are collected.
const MOST: usize = 100;

/// A command line that cannot be parsed to its end.
pub(crate) struct Refusal {
    /// Mistakes found before.
    pub(crate) mistakes: Vec<String>,
    /// The mistake that ended the parsing, or the help.
    pub(crate) error: clap::Error,
}

/// Parses `args`, the program's name first. Flags with values that cannot be used are left out, and those that exclude
/// each other; each becomes a mistake in the result.
///
/// # Errors
/// For an unknown flag, a wrong number of arguments, and `--help`. What the rest of the line means is not certain then,
/// so only mistakes in values are collected beside it.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, Box<Refusal>> {
    let mut left = args.to_vec();
    let mut mistakes = Vec::new();
    let mut first_refusal = None;
    let refusal = loop {
        let error = match Cli::try_parse_from(&left) {
            Ok(cli) => {
                if let Some(refusal) = first_refusal {
                    break refusal;
                }
                let warnings = ignored_values(&left);
                return Ok(Cli {
                    mistakes,
                    warnings,
                    ..cli
                });
            }
            Err(error) => error,
        };
        if mistakes.len() < MOST
            && let Some(mistake) = remove_mistake(&error, &mut left)
        {
            mistakes.push(mistake);
        } else if first_refusal.is_none() && remove_unknown(&error, &mut left) {
            first_refusal = Some(error);
        } else {
            break first_refusal.unwrap_or(error);
        }
    };
    let error = advise(refusal, args);
    Err(Box::new(Refusal { mistakes, error }))
}

/// Removes the unknown flag or the unexpected argument that `error` is about from `args`. Returns false if `error` is
/// about something else.
fn remove_unknown(error: &clap::Error, args: &mut Vec<OsString>) -> bool {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        // A word behind a flag of a sync.
        ErrorKind::ArgumentConflict => ContextKind::InvalidSubcommand,
        _ => return false,
    };
    let Some(unknown) = text(error, kind) else {
        return false;
    };
    let is_flag = unknown.starts_with("--");
    let is_unknown = |at: &usize| {
        let arg = args.get(*at).map(|arg| arg.to_string_lossy());
        arg.is_some_and(|arg| {
            *arg == *unknown || (is_flag && arg.split('=').next() == Some(unknown))
        })
    };
    let position = positions(args).find(is_unknown);
    position.map(|at| args.remove(at)).is_some()
}

/// Removes the flag that `error` is about from `args`. Returns the text of the mistake, or `None` if that is not possible.
fn remove_mistake(error: &clap::Error, args: &mut Vec<OsString>) -> Option<String> {
    let arg = text(error, ContextKind::InvalidArg)?;
    let flag = Flag::find(arg, &Cli::command())?;
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let value = text(error, ContextKind::InvalidValue)?;
            if value.is_empty() {
                let form = arg.replace(['<', '>'], "");
                let is_removed = flag.remove_value(value, args);
                return is_removed
                    .then(|| format!("{}: the value is missing. Write {form}.", flag.long));
            }
            let why = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => {
                    format!("there is no such value. Write {}.", valid.join(" or "))
                }
                _ => error.source()?.to_string(),
            };
            let is_removed = flag.remove_value(value, args);
            is_removed.then(|| format!("{} {value}: {why}", flag.long))
        }
        ErrorKind::ArgumentConflict => {
            let others = match error.get(ContextKind::PriorArg)? {
                ContextValue::String(other) => vec![name(other)],
                ContextValue::Strings(others) => others.iter().map(|other| name(other)).collect(),
                _ => return None,
            };
            let is_removed = flag.remove(args);
            let others = others.join(" and ");
            is_removed.then(|| {
                format!(
                    "{} cannot be used with {others}. Leave one of them out.",
                    flag.long
                )
            })
        }
        _ => None,
    }
}

/// Returns the text that clap gives for `kind`, if it is one text.
fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    }
}

/// Returns the flag of `--flag <VALUE>`, `--flag[=<VALUE>]` and `--flag...`.
fn name(usage: &str) -> &str {
    let end = usage.find([' ', '[', '=']).unwrap_or(usage.len());
    usage.get(..end).unwrap_or(usage).trim_end_matches("...")
}

/// A flag, as users write it.
struct Flag {
    /// `--flag`.
    long: String,
    /// `-f`.
    short: Option<String>,
    takes_value: bool,
}

impl Flag {
    /// Finds the flag of `usage` in `command` or a command below it.
    fn find(usage: &str, command: &Command) -> Option<Self> {
        let long = name(usage);
        let bare = long.strip_prefix("--")?;
        let found = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(bare));
        let Some(arg) = found else {
            return command
                .get_subcommands()
                .find_map(|below| Self::find(usage, below));
        };
        Some(Self {
            long: long.to_owned(),
            short: arg.get_short().map(|short| format!("-{short}")),
            takes_value: arg.get_action().takes_values(),
        })
    }

    /// Removes the first use of the flag with `value`. Returns false if there is none.
    fn remove_value(&self, value: &str, args: &mut Vec<OsString>) -> bool {
        let names = || {
            [Some(&self.long), self.short.as_ref()]
                .into_iter()
                .flatten()
        };
        let joined: Vec<String> = names()
            .flat_map(|name| [format!("{name}={value}"), format!("{name}{value}")])
            .collect();
        for at in positions(args) {
            let is = |at: usize, text: &str| {
                args.get(at)
                    .is_some_and(|arg| arg.to_string_lossy() == text)
            };
            if joined.iter().any(|joined| is(at, joined)) {
                args.remove(at);
                return true;
            }
            if names().any(|name| is(at, name)) && is(at + 1, value) {
                args.drain(at..at + 2);
                return true;
            }
        }
        false
    }

    /// Removes all uses of the flag. Returns false if there is none.
    fn remove(&self, args: &mut Vec<OsString>) -> bool {
        let before = args.len();
        while let Some((at, length)) = positions(args).find_map(|at| self.use_at(at, args)) {
            args.drain(at..at + length);
        }
        args.len() < before
    }

    /// Returns `at` and the number of arguments of a use of the flag that begins there.
    fn use_at(&self, at: usize, args: &[OsString]) -> Option<(usize, usize)> {
        let arg = args.get(at)?.to_string_lossy();
        let is_joined = arg
            .strip_prefix(&*self.long)
            .is_some_and(|rest| rest.starts_with('='));
        let is_short = self
            .short
            .as_ref()
            .and_then(|short| short.strip_prefix('-'))
            .is_some_and(|letter| {
                // `-vv` repeats a flag without value.
                arg.strip_prefix('-').is_some_and(|letters| {
                    !letters.is_empty() && letters.replace(letter, "").is_empty()
                })
            });
        let length = if is_joined {
            1
        } else if *arg == *self.long || is_short {
            1 + usize::from(self.takes_value && at + 1 < args.len())
        } else {
            return None;
        };
        Some((at, length))
    }
}

/// Returns the positions of arguments that can be flags.
fn positions(args: &[OsString]) -> std::ops::Range<usize> {
    let end = args.iter().position(|arg| arg == "--");
    1..end.unwrap_or(args.len()).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn parsed(line: &str) -> Result<Cli, Box<Refusal>> {
        let words = std::iter::once("image-syncer").chain(line.split(' '));
        let args: Vec<OsString> = words.map(OsString::from).collect();
        parse(&args)
    }

    #[test]
    fn all_values_that_cannot_be_used_are_mistakes() {
        let line = "--images a.yaml --retries many -px --proc=-5 --grace 99999999 --force=maybe --log-format xml \
                    --referrers-interval 5 --stall-timeout 0 --retries=-3";
        let cli = parsed(line).ok().unwrap();
        let expected = [
            "--retries many: not a whole number. Write a number from 0 to 4294967295.",
            "--proc x: not a whole number. Write a number, such as 4; 0 sets no limit.",
            "--grace 99999999: not a number of seconds. Write a whole number from 0 to 86400.",
            "--force maybe: neither true nor false. Write true, false or the flag alone.",
            "--log-format xml: there is no such value. Write text or json.",
            "--referrers-interval 5: not a duration. Write a whole number with its unit, such as 30s, 15m, 12h or 7d, \
             or 0 for no interval.",
            "--stall-timeout 0: not a number of seconds. Write a whole number from 1 to 86400.",
        ];
        assert_eq!(cli.mistakes, expected);
        assert_eq!(cli.sync.files.images, [std::path::PathBuf::from("a.yaml")]);
        assert_eq!(
            (cli.sync.transfer.proc, cli.sync.common.asking.retries),
            (Some(-5), 0)
        );
    }

    #[test]
    fn flags_that_exclude_each_other_are_mistakes() {
        let cli = parsed("-vv --quiet --records a --images i.yaml --no-records --retries x");
        let expected = [
            "--verbose cannot be used with --quiet. Leave one of them out.",
            "--records cannot be used with --no-records. Leave one of them out.",
            "--retries x: not a whole number. Write a number from 0 to 4294967295.",
        ];
        let mut mistakes = cli.ok().unwrap().mistakes;
        mistakes.sort_by_key(|mistake| expected.iter().position(|known| known == mistake));
        assert_eq!(mistakes, expected);
    }

    #[test]
    fn values_of_commands_are_checked_with_their_flags() {
        let cli = parsed("records prune --older-than soon").ok().unwrap();
        let expected =
            "--older-than soon: not a whole number. Write a number from 0 to 4294967295.";
        assert_eq!(cli.mistakes, [expected]);
        let cli = parsed("plan --images a.yaml --output xml").ok().unwrap();
        assert_eq!(
            cli.mistakes,
            ["--output xml: there is no such value. Write table or json."]
        );
    }

    #[test]
    fn an_unknown_flag_is_refused_with_the_values_of_the_line() {
        let refusal = parsed("--retries x --unknown=1 --grace y").err().unwrap();
        assert_eq!(refusal.error.kind(), ErrorKind::UnknownArgument);
        let expected = [
            "--retries x: not a whole number. Write a number from 0 to 4294967295.",
            "--grace y: not a number of seconds. Write a whole number from 0 to 86400.",
        ];
        assert_eq!(refusal.mistakes, expected);
        let refusal = parsed("--unknown value --images a.yaml").err().unwrap();
        assert_eq!(refusal.error.kind(), ErrorKind::UnknownArgument);
        let refusal = parsed("--one --two").err().unwrap();
        assert!(refusal.error.to_string().contains("'--one'"));
        let refusal = parsed("--retries x --help").err().unwrap();
        assert_eq!(refusal.error.kind(), ErrorKind::DisplayHelp);
    }

    #[test]
    fn values_that_look_like_flags_are_removed_with_their_own_flag_only() {
        let cli = parsed("copy a.example/a:v1 b.example/b --retries x -- x")
            .ok()
            .unwrap();
        let Some(crate::cli::Command::Copy(copy)) = cli.command else {
            panic!("another command");
        };
        assert_eq!(copy.destinations, ["b.example/b", "x"]);
    }
}
