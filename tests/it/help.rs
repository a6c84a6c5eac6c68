//! What `--help` says, whole: every change of it should be seen.

use crate::support::Place;

fn help(arguments: &[&str]) -> String {
    let outcome = Place::new().run(arguments).exits(0);
    assert_eq!(outcome.stderr, "");
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
fn of_validate() {
    insta::assert_snapshot!(help(&["validate", "--help"]));
}

#[test]
fn of_records() {
    let texts = [&["records", "--help"][..], &["records", "prune", "--help"]];
    insta::assert_snapshot!(texts.map(help).join("\n"));
}

#[test]
fn the_version_is_one_line_on_stdout() {
    let version = concat!("image-syncer ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(help(&["--version"]), version);
}
