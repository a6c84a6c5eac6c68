//! `--conflict`: tags that exist at the destination with another digest.

use testkit::profile::{Existence, Profile, Unknown};
use testkit::{Action, Auth, Fault, Kind, Registry};

use crate::support::{World, image, registry};

/// Returns registries with `a:v1` and `a:v2` at the source, and another `v1` at the destination.
fn world() -> World {
    let world = World::new("SRC/a: DST/a\n")
        .with("a", "v1", &image("new"))
        .with("a", "v2", &image("v2"));
    world.destination.push("a", Some("v1"), &image("old"));
    world
}

/// Returns the reason of the refused image.
fn refusal(world: &World) -> String {
    world.with_hosts(&format!(
        "cannot write SRC/a:v1 to DST/a:v1: the tag exists with {} instead of {}, and the conflict policy (fail) keeps it",
        image("old").digest(),
        image("new").digest()
    ))
}

fn digest(world: &World) -> Option<String> {
    world.destination.state().digest("a", "v1")
}

#[test]
fn a_skipped_tag_keeps_its_digest_until_it_is_overwritten() {
    let world = world();
    let old = Some(image("old").digest().to_owned());
    let reason = format!(
        "the tag exists with {}, and the conflict policy (skip) keeps it",
        image("old").digest()
    );
    for flags in [
        &["--conflict", "skip"][..],
        &["--conflict", "skip", "--force"],
    ] {
        world
            .run(flags)
            .exits(0)
            .says("2 images: 1 copied, 0 unchanged, 1 skipped")
            .says(&reason);
        assert_eq!(digest(&world), old);
    }
    world.run(&["--conflict", "overwrite"]).exits(0);
    assert_eq!(digest(&world).as_deref(), Some(image("new").digest()));
}

#[test]
fn a_refused_tag_fails_its_image_and_is_not_tried_again() {
    let world = world();
    let fail = ["--conflict", "fail"];
    let old = Some(image("old").digest().to_owned());
    world
        .run_command(&["plan"], &fail)
        .exits(1)
        .says(&refusal(&world))
        .says("failed: 1 in the rules");
    world
        .run_command(&["check"], &fail)
        .exits(3)
        .says("2 images: 1 new, 1 changed, 0 unchanged, 0 skipped, 0 failed");
    world
        .run(&[&fail[..], &["--failed-images", "failed.yaml"]].concat())
        .exits(1)
        .says(&refusal(&world))
        .says("2 images: 1 copied, 0 unchanged, 0 skipped, 1 failed");
    assert_eq!(world.place.read("failed.yaml"), "{}\n");
    assert_eq!(digest(&world), old);
}

#[test]
fn a_refused_look_up_is_no_permission_to_write() {
    let world = world();
    let head = Fault::on([Kind::ManifestHead, Kind::ManifestGet]);
    world.destination.fault(head, Action::status(403));
    world
        .run(&["--conflict", "skip", "--retries", "0"])
        .exits(1)
        .says("not compared: ")
        .says("0 copied, 0 unchanged, 0 skipped, 2 failed");
    assert_eq!(digest(&world).as_deref(), Some(image("old").digest()));
}

#[test]
fn a_hidden_repository_is_new() {
    let profile = Profile {
        unknown_repository: Unknown::Denied,
        existence: Existence::Nothing,
        ..Profile::distribution()
    };
    let destination = Registry::builder()
        .profile(profile)
        .auth(Auth::basic("ada", "pw"))
        .start_on_thread();
    let world = World::of(registry(), destination, "SRC/app:v1: DST/ada/app\n");
    let world = world.with("app", "v1", &image("app"));
    let auth = "SRC: {insecure: true}\nDST: {insecure: true, username: ada, password: pw}\n";
    std::fs::write(world.place.path("auth.yaml"), world.with_hosts(auth)).unwrap();
    world
        .run(&["--conflict", "fail"])
        .exits(0)
        .says("1 image: 1 copied");
}
