//! `image-syncer check`.

use serde_json::{Value, json};

use crate::support::report::{assert_valid, images};
use crate::support::showing::{differing, failing, run_reading};

#[test]
fn each_difference_has_a_line_on_stdout_and_totals_go_to_stderr() {
    let world = differing();
    let outcome = run_reading(&world, &["check"], &[]).exits(3);
    insta::assert_snapshot!("differences", world.named(&outcome.stdout));
    insta::assert_snapshot!("totals", world.named(&outcome.stderr));
    world.run_command(&[], &[]).exits(0);
    let outcome = run_reading(&world, &["check"], &[]).exits(0);
    assert_eq!(outcome.stdout, "");
    outcome.says("3 images: 0 new, 0 changed, 3 unchanged, 0 skipped, 0 failed");
}

#[test]
fn quiet_prints_nothing_but_errors() {
    let world = differing();
    let outcome = run_reading(&world, &["check"], &["-q"]).exits(3);
    let warnings = outcome.lines("warning").len();
    assert_eq!(
        (outcome.stdout.as_str(), warnings),
        ("", 1),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    let world = failing(world);
    let outcome = run_reading(&world, &["check"], &["-q"])
        .exits(1)
        .says("hint: ");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn verbose_lists_all_images() {
    let world = differing();
    let outcome = run_reading(&world, &["check"], &["-v"]).exits(3);
    let words = outcome
        .stdout
        .lines()
        .map(|line| line.split(' ').next().unwrap());
    assert_eq!(words.collect::<Vec<_>>(), ["new", "changed", "unchanged"]);
}

#[test]
fn a_comparison_that_failed_comes_before_a_difference() {
    let world = failing(differing());
    let outcome = run_reading(&world, &["check"], &[])
        .exits(1)
        .says("1 source could not be listed");
    assert_eq!(outcome.stdout.lines().count(), 2, "{}", outcome.stdout);
}

#[test]
fn programs_get_the_document_of_the_report() {
    let world = differing();
    let outcome = run_reading(&world, &["check"], &["--output", "json"]).exits(3);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_valid(&document);
    assert_eq!(
        (&document["command"], &document["exit_code"]),
        (&json!("check"), &json!(3))
    );
    assert_eq!(images(&document, "planned").len(), 2);
    outcome.says("3 images: 1 new, 1 changed, 1 unchanged");
}
