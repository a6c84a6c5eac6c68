//! `docs/reference.md` agrees with the program's own description.

use clap::{Command, CommandFactory};
use image_syncer::cli::{Cli, ENVIRONMENT, EXIT_CODES};

#[path = "../../examples/reference/document.rs"]
mod document;

const REFERENCE: &str = include_str!("../../docs/reference.md");

#[test]
fn reference_is_up_to_date() {
    assert!(
        document::reference() == REFERENCE,
        "write it again: cargo run --locked --example reference > docs/reference.md"
    );
}

#[test]
fn reference_has_every_command_and_flag_to_the_letter() {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let flags = assert_told(&program);
    assert!(flags > 50, "{flags}");
}

/// Asserts for a command and its subcommands that the reference has them and their flags. Returns the number of flags.
fn assert_told(command: &Command) -> usize {
    let name = command.get_bin_name().unwrap_or("image-syncer");
    let heading = format!("### `{name}`\n\n{}\n", command.get_about().unwrap());
    assert!(REFERENCE.contains(&heading), "no {heading:?}");
    let mut flags = 0;
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let long = arg.get_long().unwrap();
        // Between two headings: the flag, its help, its default, and the command.
        let told = |entry: &&str| {
            let title = entry.lines().next().unwrap_or_default();
            let named = [" ", "`", "[", "="]
                .iter()
                .any(|end| title.contains(&format!("`--{long}{end}")));
            named && entry.contains(&format!("`{name}`"))
        };
        let entry = REFERENCE.split("\n#### ").skip(1).find(told);
        let entry = entry.unwrap_or_else(|| panic!("no --{long} of {name}"));
        let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
        assert!(
            long == "help" || entry.contains(&help),
            "{name} --{long}: {help:?}"
        );
        for default in arg.get_default_values() {
            let default = format!("Default: `{}`.", default.to_string_lossy());
            let shown = arg.get_action().takes_values() && !arg.is_hide_default_value_set();
            assert_eq!(entry.contains(&default), shown, "{name} --{long}");
        }
        if let Some(variable) = arg.get_env() {
            assert!(entry.contains(&format!("`{}`", variable.to_string_lossy())));
        }
        flags += 1;
    }
    flags + command.get_subcommands().map(assert_told).sum::<usize>()
}

#[test]
fn reference_has_every_variable_and_exit_code() {
    for (names, meaning) in ENVIRONMENT {
        for name in names.split(", ") {
            assert!(REFERENCE.contains(&format!("`{name}`")), "{name}");
        }
        assert!(REFERENCE.contains(meaning), "{meaning}");
    }
    for (code, meaning) in EXIT_CODES {
        assert!(REFERENCE.contains(&format!("\n| {code} | {meaning} |\n")));
    }
}

/// Returns the environment variables that these sources could read.
fn read_in(directory: &std::path::Path, variables: &mut Vec<String>) {
    let name =
        regex::Regex::new(r#"(?:var|var_os|variable|given|dir)\("([A-Z][A-Z_]+)"\)"#).unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests read variables of their own.
            if path.file_name().is_some_and(|name| name != "tests") {
                read_in(&path, variables);
            }
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            variables.extend(name.captures_iter(source).map(|found| found[1].to_owned()));
        }
    }
}

#[test]
fn reference_has_every_variable_that_the_code_reads() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut variables = Vec::new();
    for sources in ["src", "crates/registry/src", "crates/sync/src"] {
        read_in(&root.join(sources), &mut variables);
    }
    assert!(variables.len() > 5, "{variables:?}");
    for variable in variables {
        assert!(
            REFERENCE.contains(&format!("`{variable}`")),
            "{variable} is read"
        );
    }
}
