//! Counts of a repository with signature tags, as each command prints them: the tags belong to their images.

use testkit::{Image, Profile};

use crate::support::signing::tag_of;
use crate::support::{Outcome, World, image, index};

/// Signature tag whose subject does not exist.
fn orphan() -> String {
    tag_of(image("deleted").digest())
}

/// Returns a source with `v1`, an index whose manifests all have a signature tag and a fallback tag, and with the
/// signature tag of a missing image, and an empty destination of the same kind.
fn signed_world() -> World {
    let world = World::with_profile(&Profile::distribution(), "SRC/a: DST/a\n");
    let (source, signed) = (&world.source, index("signed"));
    source.push("a", Some("v1"), &signed);
    for manifest in signed.manifests().iter().chain([signed.root()]) {
        source.push(
            "a",
            Some(&tag_of(&manifest.digest)),
            &image(&manifest.digest),
        );
        let referrer = Image::artifact("application/x").subject(manifest).build();
        source.push("a", None, &referrer);
        let fallback = manifest.digest.replace(':', "-");
        source.push("a", Some(&fallback), &Image::fallback_index([&referrer]));
    }
    source.push("a", Some(&orphan()), &image("orphan"));
    world
}

#[track_caller]
fn plans(outcome: &Outcome, total: &str) {
    let found = outcome.stdout.lines().any(|line| line == total);
    assert!(found, "no {total:?} in {}", outcome.stdout);
}

#[test]
fn every_command_counts_the_image_and_the_orphan_before_and_after_the_copy() {
    let signed = signed_world();
    let run = |arguments: &[&str]| signed.run_command(arguments, &[]);
    let new = "2 images: 2 new, 0 changed, 0 unchanged, 0 skipped, 0 failed";
    run(&["check"]).exits(3).says(new);
    plans(&run(&["plan"]).exits(0), new);
    run(&[])
        .exits(0)
        .says("2 images: 2 copied, 0 unchanged, 0 skipped, 0 failed")
        .says("8 referrers (signatures and the like) copied");
    let unchanged = "2 images: 0 new, 0 changed, 2 unchanged, 0 skipped, 0 failed";
    run(&["check"]).exits(0).says(unchanged);
    plans(&run(&["plan", "--exit-code"]).exits(0), unchanged);
    run(&[])
        .exits(0)
        .says("2 images: 0 copied, 2 unchanged, 0 skipped, 0 failed");
    run(&["check", "--immutable", "v*"])
        .exits(0)
        .says(unchanged);
}
