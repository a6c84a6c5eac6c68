//! Rules of the `images` map, as the registries see them.

use testkit::Kind;

use crate::support::{Outcome, World, assert_arrived, image};

/// Returns a source with `team/app` in three tags, and a destination.
fn two() -> World {
    let tags = ["v1", "v2", "V3"].into_iter();
    tags.fold(World::new(""), |world, tag| {
        world.with("team/app", tag, &image(tag))
    })
}

/// Runs rules with a default registry and namespace, without records.
fn run(two: &World, rules: &str) -> Outcome {
    two.set_rules(rules);
    let host = two.destination.host();
    two.run(&[
        "--no-records",
        "--registry",
        &host,
        "--namespace",
        "mirror/of",
    ])
}

#[test]
fn an_empty_item_in_a_list_is_the_default_with_the_same_tags() {
    let two = two();
    run(&two, "SRC/team/app: ['', DST/other/app]\n")
        .exits(0)
        .says("\n3 images to 2 destinations, 6 copies: 6 copied, ");
    for repository in ["mirror/of/app", "other/app"] {
        assert_eq!(two.tags(repository), ["V3", "v1", "v2"], "{repository}");
        assert_arrived(&two.destination, repository, "v1", &image("v1"));
    }
}

#[test]
fn an_empty_destination_of_a_digest_stays_untagged() {
    let two = two();
    let image = image("v1");
    run(&two, &format!("SRC/team/app@{}: ''\n", image.digest()))
        .exits(0)
        .says("1 copied");
    assert_arrived(&two.destination, "mirror/of/app", image.digest(), &image);
    assert_eq!(two.tags("mirror/of/app"), [""; 0]);
}

#[test]
fn a_digest_may_be_given_at_both_ends() {
    let two = two();
    let image = image("v1");
    let digest = image.digest();
    run(&two, &format!("SRC/team/app@{digest}: DST/app@{digest}\n"))
        .exits(0)
        .says("1 copied");
    assert_arrived(&two.destination, "app", digest, &image);
    assert_eq!(two.tags("app"), [""; 0]);
}

#[test]
fn repeated_rules_and_tags_are_done_once() {
    let two = two();
    run(&two,
        "SRC/team/app:v1: DST/app\n'SRC/team/app:v1 , v2,v1': [DST/app, DST/app]\nSRC/team/app:/^v/: DST/app\n",
    )
    .exits(0)
    .says("2 images: 2 copied");
    assert_eq!(two.tags("app"), ["v1", "v2"]);
}

#[test]
fn expressions_are_unanchored_and_may_ignore_case() {
    for (expression, expected) in [
        ("/v/", &["v1", "v2"][..]),
        ("/(?i)v[13]/", &["V3", "v1"]),
        ("//", &["V3", "v1", "v2"]),
        ("/2$/", &["v2"]),
    ] {
        let two = two();
        run(&two, &format!("'SRC/team/app:{expression}': DST/app\n")).exits(0);
        assert_eq!(two.tags("app"), expected, "{expression}");
    }
}

#[test]
fn an_empty_source_is_reported() {
    let two = two();
    // Most registries distinguish a repository without tags from a missing one.
    two.source
        .change_profile(|profile| profile.tags.null_when_empty = true);
    two.source.push("empty", None, &image("untagged"));
    let outcome = run(&two, "SRC/empty: DST/empty\nSRC/team/app:/^w/: DST/app\n")
        .exits(0)
        .says("0 images");
    let source = two.source.host();
    let mut warnings = outcome.lines("warning");
    warnings.sort_unstable();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains(&format!("{source}/empty")) && warnings[0].contains("has no tags"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("no tag matches /^w/ (3 tags looked at)"),
        "{warnings:?}"
    );
    // The list of each destination is requested together with the source's, and aborted if the source's came first.
    let asked = two.destination.requests();
    assert!(asked.len() <= 2 && asked.iter().all(|request| request.kind == Kind::Tags));
}
