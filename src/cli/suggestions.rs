//! Suggestions beyond those of clap (similar names): files without their flag, images without `copy`, commands of
//! other tools, flags of other commands.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue};

use crate::cli::Cli;

/// Adds a suggestion to the refusal of `args`, if there is one.
pub(crate) fn advise(mut refusal: clap::Error, args: &[OsString]) -> clap::Error {
    let words: Vec<String> = args
        .iter()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let refused = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| match refusal.get(kind) {
            Some(ContextValue::String(word)) => Some(word.clone()),
            _ => None,
        });
    let similar = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg]
        .into_iter()
        .any(|kind| refusal.get(kind).is_some());
    if let Some(tip) = refused.and_then(|word| tip(&word, &words, similar)) {
        refusal.remove(ContextKind::SuggestedSubcommand);
        refusal.remove(ContextKind::SuggestedArg);
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        refusal.insert(ContextKind::Suggested, tips);
    }
    refusal
}

/// Returns what to write instead of `words`, in which `word` was refused. `similar`: clap knows a similar name.
fn tip(word: &str, words: &[String], similar: bool) -> Option<String> {
    if word.starts_with("--") {
        return flag_elsewhere(word);
    }
    let command = command_in(words);
    let others = || words.iter().filter(|other| *other != word);
    if command.is_none() && matches!(word, "sync" | "run") {
        let rest: Vec<String> = others().map(|word| quoted(word)).collect();
        let rest = if rest.is_empty() {
            "--images images.yaml".to_owned()
        } else {
            rest.join(" ")
        };
        return Some(format!(
            "without a command, image-syncer syncs: write image-syncer {rest}"
        ));
    }
    let takes_files = !matches!(command, Some("copy" | "records" | "completions" | "man"));
    if takes_files && is_file(word) {
        if words.iter().any(|word| word.starts_with("--images")) && flag_for(word) == "--images" {
            return Some(format!(
                "each file needs a flag of its own: write --images {} as well",
                quoted(word)
            ));
        }
        let behind = command.map_or(String::new(), |name| format!("{name} "));
        return Some(format!(
            "a file needs the flag of its kind: write image-syncer {behind}{} {}",
            flag_for(word),
            quoted(word)
        ));
    }
    let names_files = words.iter().any(|word| {
        ["--images", "--config"]
            .iter()
            .any(|flag| word.starts_with(flag))
    });
    let planned = matches!(command, Some("plan" | "check"));
    let is_image = !similar && !names_files && word.contains([':', '/', '@']);
    if is_image && (planned || command.is_none()) {
        let words = words.get(usize::from(planned)..).unwrap_or_default();
        let all: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let several = words.iter().filter(|word| !word.starts_with('-')).count() > 1;
        let destination = match (several, planned) {
            (true, true) => " --dry-run",
            (true, false) => "",
            (false, true) => " DESTINATION --dry-run",
            (false, false) => " DESTINATION",
        };
        return Some(format!(
            "for an image without files, write image-syncer copy {}{destination}",
            all.join(" ")
        ));
    }
    None
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

fn owners_of(flag: &str, command: &clap::Command, owners: &mut Vec<String>) {
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

/// Returns the command at the beginning of `words`.
fn command_in(words: &[String]) -> Option<&str> {
    let first = words.first()?;
    let known = Cli::command().find_subcommand(first).is_some();
    known.then_some(first.as_str())
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
