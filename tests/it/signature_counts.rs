//! Counts of a repository with signature tags: they belong to their images, in every command and every run.

use testkit::{Auth, Image, Profile, Registry};

use crate::support::signing::tag_of;
use crate::support::{Outcome, World, image, index, insecure};

/// Signature tag whose subject does not exist.
fn orphan() -> String {
    tag_of(image("deleted").digest())
}

/// Returns a source with `v1`, an index whose manifests all have a signature tag and a fallback tag, and with the
/// signature tag of a missing image, and an empty destination of the same kind.
fn signed_world(profile: &Profile, auth: Option<Auth>) -> World {
    let builder = || Registry::builder().profile(profile.clone());
    let source = builder().start_on_thread();
    let destination = match auth {
        Some(auth) => builder().auth(auth).start_on_thread(),
        None => builder().start_on_thread(),
    };
    let signed = index("signed");
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
    World::of(source, destination, "SRC/a: DST/a\n")
}

/// Runs a command, whose flags may be among `arguments`.
fn run(world: &World, arguments: &[&str]) -> Outcome {
    world.run_command(arguments, &[])
}

#[track_caller]
fn plans(outcome: &Outcome, total: &str) {
    let found = outcome.stdout.lines().any(|line| line == total);
    assert!(found, "no {total:?} in {}", outcome.stdout);
}

fn profiles() -> [Profile; 2] {
    [Profile::strict(), Profile::distribution()]
}

const UNCHANGED: &str = "2 images: 0 new, 0 changed, 2 unchanged, 0 skipped, 0 failed";

#[test]
fn every_command_counts_the_image_and_the_orphan_before_and_after_the_copy() {
    for profile in profiles() {
        let signed = signed_world(&profile, None);
        let new = "2 images: 2 new, 0 changed, 0 unchanged, 0 skipped, 0 failed";
        run(&signed, &["check"]).exits(3).says(new);
        plans(&run(&signed, &["plan"]).exits(0), new);
        run(&signed, &[])
            .exits(0)
            .says("2 images: 2 copied, 0 unchanged, 0 skipped, 0 failed")
            .says("8 referrers (signatures and the like) copied");
        let there = signed.destination.state().digest("a", &orphan());
        assert_eq!(there.as_deref(), Some(image("orphan").digest()));
        for _ in 0..2 {
            run(&signed, &["check"]).exits(0).says(UNCHANGED);
            plans(&run(&signed, &["plan", "--exit-code"]).exits(0), UNCHANGED);
            run(&signed, &[])
                .exits(0)
                .says("2 images: 0 copied, 2 unchanged, 0 skipped, 0 failed");
        }
        // The records settle the image without a query of its manifests.
        for _ in 0..2 {
            run(&signed, &["--immutable", "v*"])
                .exits(0)
                .says("2 images: 0 copied, 2 unchanged, 0 skipped, 0 failed");
            run(&signed, &["check", "--immutable", "v*"])
                .exits(0)
                .says(UNCHANGED);
        }
    }
}

#[test]
fn a_moved_tag_and_a_refused_login_count_no_signature_tags() {
    for profile in profiles() {
        let signed = signed_world(&profile, None);
        signed.destination.push("a", Some("v1"), &index("older"));
        let moved = "2 images: 1 new, 1 changed, 0 unchanged, 0 skipped, 0 failed";
        run(&signed, &["check"]).exits(3).says(moved);

        let signed = signed_world(&profile, Some(Auth::basic("u", "right")));
        let auth = format!(
            "{}{}:\n  insecure: true\n  username: u\n  password: wrong\n",
            insecure(&[&signed.source]),
            signed.destination.host()
        );
        let signed = World {
            place: signed.place.file("auth.yaml", &auth),
            ..signed
        };
        let failed = "2 images: 0 new, 0 changed, 0 unchanged, 0 skipped, 2 failed";
        run(&signed, &["check"]).exits(1).says(failed);
        plans(&run(&signed, &["plan"]).exits(1), failed);
        for _ in 0..2 {
            run(&signed, &[])
                .exits(1)
                .says("2 images: 0 copied, 0 unchanged, 0 skipped, 2 failed");
        }
    }
}

#[test]
fn copying_all_tags_of_a_platform_counts_no_signature_tags() {
    for profile in profiles() {
        let signed = signed_world(&profile, None);
        let from = format!("{}/a", signed.source.host());
        let to = format!("{}/b", signed.destination.host());
        let hosts = format!("{},{}", signed.source.host(), signed.destination.host());
        let copy = ["copy", "--all-tags", &from, &to, "--insecure", &hosts];
        let copy = |flags: &[&str]| signed.place.run(&[&copy, flags].concat()).exits(0);
        plans(
            &copy(&["--arch", "amd64", "--dry-run"]),
            "2 images: 2 new, 0 changed, 0 unchanged, 0 skipped, 0 failed",
        );
        copy(&["--arch", "amd64"]).says("2 images: 2 copied, 0 unchanged, 0 skipped, 0 failed");
        for _ in 0..2 {
            copy(&["--arch", "amd64"]).says("2 images: 0 copied, 2 unchanged, 0 skipped, 0 failed");
        }
        // Equal digests settle the orphan; no platform of the index passes.
        copy(&["--arch", "ppc64le"]).says("2 images: 0 copied, 1 unchanged, 1 skipped, 0 failed");
    }
}
