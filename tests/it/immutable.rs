//! `--immutable`: tags that cost no request after their copy.

use testkit::Kind;

use crate::support::{Outcome, World, image, index};

/// Returns registries with `a:v1`, `a:v2` and `a:latest` at the source, and a rule that copies them all.
fn two() -> World {
    let world = World::new("SRC/a: DST/a\n");
    let tags = ["v1", "v2", "latest"].into_iter();
    tags.fold(world, |world, tag| world.with("a", tag, &image(tag)))
}

/// Runs a sync without requests for referrers.
fn run(two: &World, flags: &[&str]) -> Outcome {
    run_with_referrers(two, &[&["--no-referrers"], flags].concat())
}

fn run_with_referrers(two: &World, flags: &[&str]) -> Outcome {
    two.clear_requests();
    two.run(flags)
}

/// Asserts the numbers of lists and manifest HEADs at each end, and that there are no other requests.
#[track_caller]
fn assert_requests(two: &World, lists: usize, heads: usize) {
    for registry in [&two.source, &two.destination] {
        let count = |kind| registry.count(|request| request.kind == kind);
        assert_eq!(
            (count(Kind::Tags), count(Kind::ManifestHead)),
            (lists, heads)
        );
        assert_eq!(registry.requests().len(), lists + heads);
    }
}

#[test]
fn a_copied_immutable_tag_costs_its_share_of_a_list_at_each_end() {
    let two = two();
    run(&two, &["--immutable", "*"]).exits(0).says("3 copied");
    run(&two, &["--immutable", "*"])
        .exits(0)
        .says("0 copied, 3 unchanged")
        .says("3 immutable tags taken from the records");
    assert_requests(&two, 1, 0);
    // A tag that no pattern matches costs a HEAD at both ends.
    run(&two, &["--immutable", "v1", "--immutable", "/^v2$/"])
        .exits(0)
        .says("3 unchanged")
        .says("2 immutable tags taken from the records");
    assert_requests(&two, 1, 1);
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
    assert_requests(&two, 1, 3);
}

#[test]
fn signatures_of_skipped_immutable_tags_are_no_images() {
    let two = two();
    let multi = index("multi");
    two.source.push("a", Some("v3"), &multi);
    let digests = multi.manifests().iter().chain([multi.root()]);
    for manifest in digests {
        let tag = format!("{}.sig", manifest.digest.replace(':', "-"));
        two.source.push("a", Some(&tag), &image(&tag));
    }
    let flags = ["--immutable", "v*"];
    run_with_referrers(&two, &flags)
        .exits(0)
        .says("4 images: 4 copied, 0 unchanged, 0 skipped, 0 failed");
    for _ in 0..2 {
        run_with_referrers(&two, &flags)
            .exits(0)
            .says("4 images: 0 copied, 4 unchanged, 0 skipped, 0 failed");
    }
}

#[test]
fn an_invalid_pattern_is_a_mistake_of_the_command_line() {
    let two = two();
    run(&two, &["--immutable", "v["]).exits(2).says(
        "--immutable v[: not a glob: unclosed character class; missing ']'. Write one such as v*",
    );
    assert_eq!(
        two.source.requests().len() + two.destination.requests().len(),
        0
    );
}
