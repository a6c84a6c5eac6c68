//! The whole text of `--help`, so that every change is visible.

use clap::CommandFactory;
use image_syncer::cli::Cli;

use crate::support::Place;
use crate::support::terminal::Terminal;

fn help(arguments: &[&str]) -> String {
    let outcome = Place::new().run(arguments).exits(0);
    assert_eq!(outcome.stderr, "");
    assert!(!outcome.stdout.contains('\u{1b}'), "no colours in a pipe");
    outcome.stdout
}

#[test]
fn of_the_program() {
    insta::assert_snapshot!(help(&["--help"]));
}

#[test]
fn of_copy() {
    insta::assert_snapshot!(help(&["copy", "--help"]));
}

#[test]
fn of_plan() {
    insta::assert_snapshot!(help(&["plan", "--help"]));
}

#[test]
fn of_check() {
    insta::assert_snapshot!(help(&["check", "--help"]));
}

#[test]
fn of_tags() {
    insta::assert_snapshot!(help(&["tags", "--help"]));
}

#[test]
fn of_validate() {
    insta::assert_snapshot!(help(&["validate", "--help"]));
}

#[test]
fn of_records() {
    let texts = [&["records", "--help"][..], &["records", "prune", "--help"]];
    insta::assert_snapshot!(texts.map(help).join("\n"));
}

#[test]
fn of_history() {
    let words = [
        &["history", "--help"][..],
        &["history", "list", "--help"],
        &["history", "show", "--help"],
        &["history", "where", "--help"],
    ];
    insta::assert_snapshot!(words.map(help).join("\n"));
}

#[test]
fn short_help_has_a_line_for_each_flag() {
    insta::assert_snapshot!(help(&["-h"]));
    let program = {
        let mut program = Cli::command();
        program.build();
        program
    };
    assert_one_line_each(&program, &[]);
}

/// Asserts for a command, which `words` name, and for its subcommands that no flag takes two lines of 100 columns.
fn assert_one_line_each(command: &clap::Command, words: &[&str]) {
    let text = help(&[words, &["-h"]].concat());
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let name = format!("--{}", arg.get_long().unwrap());
        let short = arg.get_help().unwrap_or_default().to_string();
        let one_line = |line: &&str| line.contains(&name) && line.contains(&short);
        assert!(
            text.lines().any(|line| one_line(&line)),
            "{words:?} {name}:\n{text}"
        );
    }
    // A second line is indented to the column of the texts.
    let goes_on = |line: &&str| line.starts_with("              ");
    assert_eq!(text.lines().find(goes_on), None, "{words:?}");
    for below in command.get_subcommands() {
        if below.get_name() != "help" {
            assert_one_line_each(below, &[words, &[below.get_name()]].concat());
        }
    }
}

#[test]
fn each_stream_has_colours_if_its_terminal_supports_them() {
    let ends = |variables: &[(&str, &str)], arguments: &[&str], whole: bool| {
        let place = variables.iter().fold(
            Place::new().variable("TERM", "xterm-256color"),
            |place, (name, value)| place.variable(name, value),
        );
        let command = place.command(arguments);
        let terminal = if whole {
            Terminal::whole(command, 40, 30)
        } else {
            Terminal::start(command, 40, 30)
        };
        terminal.ends().raw
    };
    let header = "\u{1b}[1m\u{1b}[32mUsage:\u{1b}[0m";
    assert!(ends(&[], &["--help"], true).contains(header));
    assert!(!ends(&[("NO_COLOR", "1")], &["--help"], true).contains('\u{1b}'));
    assert!(!ends(&[("TERM", "dumb")], &["--help"], true).contains('\u{1b}'));
    // Here, stdout is not a terminal.
    assert!(ends(&[], &["--imagse"], false).contains(header));
    assert!(!ends(&[("NO_COLOR", "1")], &["--imagse"], false).contains('\u{1b}'));
}

#[test]
fn help_is_also_a_command() {
    assert_eq!(help(&["help"]), help(&["--help"]));
    assert_eq!(help(&["help", "copy"]), help(&["copy", "--help"]));
    let records = help(&["records", "prune", "--help"]);
    assert_eq!(help(&["help", "records", "prune"]), records);
    assert_eq!(help(&["records", "help", "prune"]), records);
}

#[test]
fn every_command_has_examples() {
    for words in [
        &[][..],
        &["copy"],
        &["plan"],
        &["check"],
        &["validate"],
        &["records"],
        &["history"],
        &["completions"],
        &["man"],
    ] {
        let text = help(&[words, &["--help"]].concat());
        assert!(text.contains("\nExamples:\n"), "{words:?}");
    }
}

#[test]
fn of_the_program_for_shells() {
    let texts = [&["completions", "--help"][..], &["man", "--help"]];
    insta::assert_snapshot!(texts.map(help).join("\n"));
}

#[test]
pub(crate) fn the_version_is_one_line_on_stdout() {
    let version = concat!("image-syncer ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(help(&["--version"]), version);
}
