//! What the README shows is what the program takes.

use crate::support::Place;

const README: &str = include_str!("../../README.md");

/// The text of the fenced block that begins with `first`.
fn block(first: &str) -> &'static str {
    let start = README.find(first).unwrap();
    let rest = &README[start..];
    &rest[..rest.find("```").unwrap()]
}

#[test]
fn its_files_are_right() {
    let place = Place::new()
        .variable("REGISTRY_PASSWORD", "secret")
        .file("images.yaml", block("# images.yaml:"))
        .file("auth.yaml", block("# auth.yaml:"));
    let outcome = place
        .run(&["validate", "--auth", "auth.yaml", "--images", "images.yaml"])
        .exits(0);
    assert!(
        outcome
            .stdout
            .ends_with("2 rules, 2 credentials: all right\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn it_names_every_flag() {
    let flag = regex::Regex::new("--[a-z][a-z-]+").unwrap();
    for command in [
        &["--help"][..],
        &["copy", "--help"],
        &["plan", "--help"],
        &["check", "--help"],
        &["validate", "--help"],
        &["records", "prune", "--help"],
    ] {
        let help = Place::new().run(command).exits(0).stdout;
        for name in flag.find_iter(&help).map(|found| found.as_str()) {
            // `-v` and `-q` stand there by their short names.
            let short = ["--verbose", "--quiet", "--version"].contains(&name);
            assert!(short || README.contains(name), "{name} is not in README.md");
        }
    }
}
