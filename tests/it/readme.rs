//! The files and flags of the README are valid.

use crate::support::Place;

const README: &str = include_str!("../../README.md");

/// Returns the text of the fenced block that begins with `first`.
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
fn every_flag_in_it_is_one() {
    let reference = include_str!("../../docs/reference.md");
    let flag = regex::Regex::new("--[a-z][a-z-]+").unwrap();
    let flags: Vec<&str> = flag.find_iter(README).map(|found| found.as_str()).collect();
    assert!(flags.len() > 10, "{flags:?}");
    for name in flags {
        let known = ["`", " ", "["]
            .iter()
            .any(|end| reference.contains(&format!("`{name}{end}")));
        // Flags of cargo.
        let cargo = ["--path", "--locked", "--example"].contains(&name);
        assert!(known || cargo, "{name} is in README.md, and no flag");
    }
}
