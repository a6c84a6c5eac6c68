//! Suggestions beyond those of clap (similar names): arguments in the wrong place, files without their flag, images
//! without `copy`, commands of other tools, flags of other commands.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::cli::Cli;

/// Adds a suggestion to the refusal of `args`, if there is one.
pub(crate) fn advise(refusal: clap::Error, args: &[OsString]) -> clap::Error {
    let words = args.iter().skip(1);
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut refusal = unexpected_argument(refusal);
    let refused = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| match refusal.get(kind) {
            Some(ContextValue::String(word)) => Some(word.clone()),
            _ => None,
        });
    let similar = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg]
        .into_iter()
        .any(|kind| refusal.get(kind).is_some());
    let refused_flag = refused.as_ref().is_some_and(|word| word.starts_with('-'));
    let line = CommandLine::new(words);
    let tip = match (refusal.kind(), refused) {
        (ErrorKind::MissingRequiredArgument, _) => line.example(),
        (ErrorKind::ArgumentConflict, Some(word)) => line.command_first(&word),
        (kind, Some(word)) => {
            let misplaced = || (kind == ErrorKind::UnknownArgument).then(|| line.misplaced(&word));
            line.tip(&word, similar).or_else(|| misplaced().flatten())
        }
        (_, None) => None,
    };
    if refused_flag {
        // clap suggests to pass it as an argument, and no argument begins with dashes.
        refusal.remove(ContextKind::Suggested);
    }
    if let Some(tip) = tip {
        refusal.remove(ContextKind::SuggestedSubcommand);
        refusal.remove(ContextKind::SuggestedArg);
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        refusal.insert(ContextKind::Suggested, tips);
    }
    refusal
}

/// Returns the refusal of an unexpected argument. Behind a flag of a sync, clap takes any word for a command in the wrong
/// place.
fn unexpected_argument(refusal: clap::Error) -> clap::Error {
    let program = Cli::command();
    let word = match refusal.get(ContextKind::InvalidSubcommand) {
        Some(word @ ContextValue::String(name)) if program.find_subcommand(name).is_none() => word,
        _ => return refusal,
    };
    if refusal.kind() != ErrorKind::ArgumentConflict {
        return refusal;
    }
    let mut unexpected = clap::Error::new(ErrorKind::UnknownArgument).with_cmd(&program);
    unexpected.insert(ContextKind::InvalidArg, word.clone());
    if let Some(usage) = refusal.get(ContextKind::Usage) {
        unexpected.insert(ContextKind::Usage, usage.clone());
    }
    unexpected
}

/// Arguments without the program's name, and their command.
struct CommandLine {
    words: Vec<String>,
    /// The program, or the command at the beginning of the words.
    command: Command,
    /// Number of words that name the command.
    depth: usize,
}

impl CommandLine {
    fn new(words: Vec<String>) -> Self {
        let mut command = Cli::command();
        command.build();
        let mut depth = 0;
        while let Some(below) = words
            .get(depth)
            .and_then(|word| command.find_subcommand(word))
        {
            command = below.clone();
            depth += 1;
        }
        Self {
            words,
            command,
            depth,
        }
    }

    /// Returns the name of the command, the program's name first.
    fn name(&self) -> &str {
        let name = self.command.get_bin_name();
        name.unwrap_or_else(|| self.command.get_name())
    }

    /// Returns the name of the command if it is below the program.
    fn top_command(&self) -> Option<&str> {
        let first = self.words.first()?;
        (self.depth > 0).then_some(first.as_str())
    }

    fn has_flag(&self, flag: &str) -> bool {
        let mut args = self.command.get_arguments();
        args.any(|arg| {
            arg.get_long()
                .is_some_and(|long| flag == format!("--{long}"))
        })
    }

    /// Returns the words without `word`, for a shell.
    fn without(&self, word: &str) -> String {
        let others = self.words.iter().filter(|other| *other != word);
        others
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Returns a complete command line for a command whose arguments are missing.
    fn example(&self) -> Option<String> {
        let arguments = match self.command.get_name() {
            "copy" => "quay.io/coreos/etcd:v3.5.9 registry.example.com/mirror/etcd",
            "forget" => "registry.example.com/team/app",
            "completions" => "bash",
            _ => return None,
        };
        Some(format!("for example, write {} {arguments}", self.name()))
    }

    /// Returns the order for a command that follows flags.
    fn command_first(&self, command: &str) -> Option<String> {
        Cli::command().find_subcommand(command)?;
        let rest = self.without(command);
        Some(format!(
            "a command comes before its flags: write image-syncer {command} {rest}"
        ))
    }

    /// Returns what to write instead of the words, in which `word` was refused. `similar`: clap knows a similar name.
    fn tip(&self, word: &str, similar: bool) -> Option<String> {
        if word.starts_with("--") {
            return flag_elsewhere(word);
        }
        let command = self.top_command();
        if command.is_none() && matches!(word, "sync" | "run") {
            let rest = self.without(word);
            let rest = if rest.is_empty() {
                "--images images.yaml"
            } else {
                &rest
            };
            return Some(format!(
                "image-syncer syncs without a command: write image-syncer {rest}"
            ));
        }
        if self.has_flag("--images") && is_file(word) {
            return Some(self.file(word));
        }
        self.image(word, similar)
    }

    /// Returns the flag of a file.
    fn file(&self, file: &str) -> String {
        let (flag, file) = (flag_for(file), quoted(file));
        if flag == "--images" && self.uses("--images") {
            return format!("each file needs a flag: write --images {file} as well");
        }
        format!("a file needs a flag: write {} {flag} {file}", self.name())
    }

    /// Returns the command for an image.
    fn image(&self, word: &str, similar: bool) -> Option<String> {
        let shows = matches!(self.top_command(), Some("plan" | "check"));
        let names_files = self.uses("--images") || self.uses("--config");
        let is_image = !similar && !names_files && word.contains([':', '/', '@']);
        if !is_image || !(shows || self.depth == 0) {
            return None;
        }
        let words = self.words.get(self.depth..).unwrap_or_default();
        let all: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let is_alone = words.iter().filter(|word| !word.starts_with('-')).count() == 1;
        let destination = if is_alone { " DESTINATION" } else { "" };
        let dry_run = if shows { " --dry-run" } else { "" };
        Some(format!(
            "copy needs no file: write image-syncer copy {}{destination}{dry_run}",
            all.join(" ")
        ))
    }

    /// Returns what to do with an argument for which the command has no place.
    fn misplaced(&self, word: &str) -> Option<String> {
        if word.starts_with('-') {
            return None;
        }
        if word.is_empty() {
            return Some(
                "an argument is empty, such as a variable without a value: leave it out".into(),
            );
        }
        let before = self.words.iter().position(|other| other == word);
        let before = before.and_then(|at| self.words.get(at.checked_sub(1)?));
        let is_switch = before.filter(|flag| {
            let long = flag.strip_prefix("--");
            let mut args = self.command.get_arguments();
            args.any(|arg| long.is_some() && arg.get_long() == long && arg.is_require_equals_set())
        });
        let (name, shown) = (self.name(), quoted(word));
        Some(match is_switch {
            Some(flag) if matches!(word, "true" | "false") => {
                format!("`=` joins {flag} and its value: write {flag}={word}")
            }
            _ => match self.command.get_positionals().next() {
                Some(one) => format!("{name} takes one {}: leave out {shown}", value_name(one)),
                None => format!(
                    "{name} takes flags only: leave out {shown}, or write its flag before it, such as {} {shown}",
                    self.flag_of(word)
                ),
            },
        })
    }

    /// Returns a flag of the command that `word` may be a value of.
    fn flag_of(&self, word: &str) -> &'static str {
        let number = word.parse::<u64>().map(|_| "--older-than");
        let number = number.ok().filter(|flag| self.has_flag(flag));
        number.unwrap_or(if self.has_flag("--images") {
            flag_for(word)
        } else {
            "--records"
        })
    }

    /// Returns whether the words have the flag.
    fn uses(&self, flag: &str) -> bool {
        self.words.iter().any(|word| word.starts_with(flag))
    }
}

/// Returns the name of the value, as in the usage.
fn value_name(arg: &clap::Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect()
}

/// Returns the commands that have the flag, as a suggestion.
fn flag_elsewhere(word: &str) -> Option<String> {
    let flag = word.split('=').next()?;
    let mut program = Cli::command();
    program.build();
    let mut owners = Vec::new();
    owners_of(flag.trim_start_matches('-'), &program, &mut owners);
    let (last, others) = owners.split_last()?;
    let owners = if others.is_empty() {
        last.clone()
    } else {
        format!("{} and {last}", others.join(", "))
    };
    let file = match flag {
        "--insecure" => "; in an auth file, write `insecure: true` below the registry",
        _ => "",
    };
    Some(format!("{flag} is a flag of {owners}{file}"))
}

fn owners_of(flag: &str, command: &Command, owners: &mut Vec<String>) {
    if command
        .get_arguments()
        .any(|arg| arg.get_long() == Some(flag))
    {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        owners.push(name.to_owned());
    }
    for below in command
        .get_subcommands()
        .filter(|below| below.get_name() != "help")
    {
        owners_of(flag, below, owners);
    }
}

/// Returns whether a word is more likely a file than a command or an image.
fn is_file(word: &str) -> bool {
    let suffix = Path::new(word).extension();
    let known = |known: &&str| suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(known));
    ["yaml", "yml", "json"].iter().any(known) || Path::new(word).is_file()
}

/// Returns the likely flag of a file with this name.
fn flag_for(file: &str) -> &'static str {
    let name = Path::new(file).file_name().unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    if name.contains("auth") {
        "--auth"
    } else if name.contains("config") {
        "--config"
    } else {
        "--images"
    }
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
