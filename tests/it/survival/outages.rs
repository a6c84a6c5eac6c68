//! A destination that goes away, and one that has no space left.

use testkit::real::DockerRegistry;
use testkit::{Image, Layer};

use super::World;
use crate::support::{Outcome, image};

#[test]
fn a_registry_that_restarts_amid_200_images_gets_all_of_them() {
    testkit::needs!("docker-registry");
    let mut world = World::start(DockerRegistry::builder());
    for number in 0..200 {
        let repository = format!("r{}", number % 4);
        world.push(
            &repository,
            &format!("v{number}"),
            &image(&format!("{number}")),
        );
    }
    // All images have about twice as many bytes.
    world.relay.stop_after(600_000);
    let (child, _place) = world.begin("copy");
    world.until_stopped(&child);
    assert!(world.verify("copy") < world.count());
    world.destination.terminate().unwrap();
    world.destination.restart().unwrap();
    world.relay.cut();
    Outcome::of(child.wait_with_output().unwrap())
        .exits(0)
        .says("200 images: 200 copied, 0 unchanged, 0 skipped, 0 failed");
    assert_eq!(world.verify("copy"), 200);
}

#[test]
fn a_full_disk_fails_only_the_images_that_do_not_fit() {
    const MIB: u64 = 1024 * 1024;
    testkit::needs!("docker-registry", "prlimit");
    let mut world = World::start(DockerRegistry::builder().largest_file(MIB));
    world.push("small", "v1", &image("small"));
    world.push(
        "large",
        "v1",
        &Image::single([Layer::synthetic(3 * MIB, 1)]),
    );
    let outcome = world
        .run("copy", &["--retries", "1"])
        .exits(1)
        .says("2 images: 1 copied, 0 unchanged, 0 skipped, 1 failed")
        .says("500 Internal Server Error (UNKNOWN: unknown error: write ")
        .says("data: file too large)");
    assert_eq!(outcome.lines("failed").len(), 1);
    assert_eq!(world.verify("copy"), 1);
    world.destination.make_space();
    world.destination.restart().unwrap();
    world
        .run("copy", &[])
        .exits(0)
        .says("2 images: 1 copied, 1 unchanged, 0 skipped, 0 failed");
    assert_eq!(world.verify("copy"), 2);
}
