//! The reference, generated from clap's description of the arguments.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};
use image_syncer::cli::{Cli, ENVIRONMENT, EXIT_CODES};

const TEMPLATE: &str = include_str!("template.md");

/// A flag with the commands that have it.
struct Flag {
    heading: String,
    arg: Arg,
    commands: Vec<String>,
}

/// Returns the text of `docs/reference.md`.
pub(crate) fn reference() -> String {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut commands = Vec::new();
    gather(&program, &mut commands);
    TEMPLATE
        .replace("{{commands}}\n", &described(&commands))
        .replace("{{flags}}\n", &flags(&commands))
        .replace("{{environment}}\n", &environment(&commands))
        .replace("{{exit-codes}}\n", &exit_codes())
}

/// Returns the command and all its subcommands, in the order of the help.
fn gather<'a>(command: &'a Command, commands: &mut Vec<&'a Command>) {
    commands.push(command);
    for below in command.get_subcommands() {
        gather(below, commands);
    }
}

/// Returns the words that call a command.
fn name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or("image-syncer")
}

/// Returns the text of clap without terminal escapes.
fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

fn described(commands: &[&Command]) -> String {
    let mut document = String::new();
    for command in commands {
        let usage = (*command).clone().render_usage().to_string();
        let usage: Vec<&str> = usage
            .trim_start_matches("Usage:")
            .lines()
            .map(str::trim)
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(
            document,
            "### `{}`\n\n{}\n\n```text\n{}\n```\n\n",
            name(command),
            text(command.get_about()),
            usage.join("\n")
        );
        for arg in command.get_positionals() {
            let _ = write!(document, "- `{}`: {}\n\n", value(arg), one_paragraph(arg));
        }
        let further = command.get_after_long_help().or(command.get_after_help());
        // Exit codes and variables have their own sections below.
        let further = text(further);
        let further = further
            .split("\n\nEnvironment:\n")
            .next()
            .unwrap_or_default();
        if !further.is_empty() {
            let _ = write!(document, "```text\n{further}\n```\n\n");
        }
    }
    document
}

fn flags(commands: &[&Command]) -> String {
    let mut flags: Vec<Flag> = Vec::new();
    for command in commands {
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let same = |flag: &&mut Flag| {
                flag.arg.get_long() == arg.get_long()
                    && long(&flag.arg) == long(arg)
                    && flag.arg.get_default_values() == arg.get_default_values()
                    && flag.arg.get_value_names() == arg.get_value_names()
            };
            // The text of the help flag depends on a longer help.
            let help = |flag: &&mut Flag| arg.get_id() == "help" && flag.arg.get_id() == "help";
            if let Some(flag) = flags.iter_mut().find(|flag| same(flag) || help(flag)) {
                flag.commands.push(name(command).to_owned());
                continue;
            }
            flags.push(Flag {
                heading: arg.get_help_heading().unwrap_or("Options").to_owned(),
                arg: arg.clone(),
                commands: vec![name(command).to_owned()],
            });
        }
    }
    let mut headings: Vec<&str> = Vec::new();
    for flag in &flags {
        if !headings.contains(&flag.heading.as_str()) {
            headings.push(&flag.heading);
        }
    }
    let mut document = String::new();
    for heading in headings {
        let _ = write!(document, "### {heading}\n\n");
        for flag in flags.iter().filter(|flag| flag.heading == heading) {
            document.push_str(&entry(flag));
        }
    }
    document
}

fn entry(flag: &Flag) -> String {
    let arg = &flag.arg;
    let mut title = format!("`{}`", spelled(arg));
    if let Some(short) = arg.get_short() {
        title = format!("`-{short}`, {title}");
    }
    let mut facts = Vec::new();
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    if arg.get_action().takes_values() && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        facts.push(format!("Default: `{}`.", defaults.join(",")));
    }
    if let Some(variable) = arg.get_env() {
        facts.push(format!("Variable: `{}`.", variable.to_string_lossy()));
    }
    let commands: Vec<String> = flag
        .commands
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    facts.push(format!("Taken by {}.", commands.join(", ")));
    format!("#### {title}\n\n{}\n\n{}\n\n", long(arg), facts.join(" "))
}

/// Returns a flag with its value, as users write it.
fn spelled(arg: &Arg) -> String {
    let long = format!("--{}", arg.get_long().unwrap_or_default());
    if !arg.get_action().takes_values() {
        long
    } else if arg.is_require_equals_set() {
        format!("{long}[={}]", value(arg))
    } else {
        format!("{long} {}", value(arg))
    }
}

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<&str> = names.iter().map(clap::builder::Str::as_str).collect();
    names.join(" ")
}

/// Returns the whole text of the help.
fn long(arg: &Arg) -> String {
    text(arg.get_long_help().or(arg.get_help()))
}

fn one_paragraph(arg: &Arg) -> String {
    long(arg).replace("\n\n", ". ")
}

fn environment(commands: &[&Command]) -> String {
    let mut rows = String::new();
    for (names, meaning) in ENVIRONMENT {
        let names: Vec<String> = names.split(", ").map(|name| format!("`{name}`")).collect();
        let _ = writeln!(rows, "| {} | {meaning} |", names.join(", "));
    }
    let mut told: Vec<String> = Vec::new();
    for arg in commands.iter().flat_map(|command| command.get_opts()) {
        let Some(variable) = arg.get_env() else {
            continue;
        };
        let row = format!(
            "| `{}` | what `--{}` says, where that is not given |\n",
            variable.to_string_lossy(),
            arg.get_long().unwrap_or_default()
        );
        if !told.contains(&row) {
            told.push(row);
        }
    }
    rows + &told.concat() + "\n"
}

fn exit_codes() -> String {
    let mut rows = String::new();
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(rows, "| {code} | {meaning} |");
    }
    rows
}
