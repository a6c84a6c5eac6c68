//! `--immutable`: tags that are taken from the records after their copy.

use crate::support::{Outcome, World, image};

/// Returns registries with `a:v1`, `a:v2` and `a:latest` at the source, and a rule that copies them all.
fn two() -> World {
    let world = World::new("SRC/a: DST/a\n");
    let tags = ["v1", "v2", "latest"].into_iter();
    tags.fold(world, |world, tag| world.with("a", tag, &image(tag)))
}

/// Runs a sync without requests for referrers.
fn run(two: &World, flags: &[&str]) -> Outcome {
    two.run(&[&["--no-referrers"], flags].concat())
}

#[test]
fn copied_immutable_tags_are_taken_from_the_records() {
    let two = two();
    run(&two, &["--immutable", "*"]).exits(0).says("3 copied");
    run(&two, &["--immutable", "*"])
        .exits(0)
        .says("0 copied, 3 unchanged")
        .says("3 immutable tags taken from the records");
    run(&two, &["--immutable", "v1", "--immutable", "/^v2$/"])
        .exits(0)
        .says("3 unchanged")
        .says("2 immutable tags taken from the records");
}

#[test]
fn a_lost_tag_is_copied_again() {
    let two = two();
    run(&two, &["--immutable", "v*"]).exits(0);
    two.destination.state().untag("a", "v1");
    run(&two, &["--immutable", "v*"])
        .exits(0)
        .says("1 copied, 2 unchanged");
    assert!(two.destination.state().digest("a", "v1").is_some());
}

#[test]
fn without_records_a_warning_says_that_all_tags_are_compared() {
    let two = two();
    run(&two, &["--no-records"]).exits(0);
    run(&two, &["--no-records", "--immutable", "*"])
        .exits(0)
        .says("--immutable has no effect: this run has no records")
        .says("3 unchanged");
}

#[test]
fn an_invalid_pattern_is_a_mistake_of_the_command_line() {
    let two = two();
    run(&two, &["--immutable", "v["]).exits(2).says(
        "--immutable v[: not a glob: unclosed character class; missing ']'. Write one such as v*",
    );
    assert_eq!(two.request_count(), 0);
}
