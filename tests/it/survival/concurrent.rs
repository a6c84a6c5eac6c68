//! Several processes that copy the same images to one registry at the same time.

use std::process::Child;

use testkit::real::DockerRegistry;
use testkit::{Image, Layer, Platform};

use super::World;
use crate::support::Outcome;

/// Returns the numbers of processes and of rounds; `scripts/reliability --long` sets the variable.
fn size() -> (u64, u64) {
    match std::env::var_os("RELIABILITY_LONG") {
        Some(_) => (5, 20),
        None => (3, 3),
    }
}

/// Returns images that share layers, including indexes with attestations.
fn fill(world: &mut World) {
    let base = || Layer::tar("base", 30_000);
    for number in 0..12 {
        let own = |part: &str| Layer::tar(&format!("{part}{number}"), 2_000 + number * 700);
        let platform = |architecture: &str| {
            Image::oci()
                .platform(Platform::linux(architecture))
                .layer(base())
                .layer(own(architecture))
                .build()
        };
        let (one, other) = (platform("amd64"), platform("arm64"));
        let image = match number % 3 {
            0 => Image::single([base(), own("single")]),
            1 => Image::index([one, other]),
            _ => {
                let attested = [Image::attestation_of(&one), Image::attestation_of(&other)];
                Image::index([one, other].into_iter().chain(attested))
            }
        };
        world.push(&format!("r{}", number % 2), &format!("v{number}"), &image);
    }
}

#[test]
fn processes_that_copy_the_same_images_at_the_same_time_all_succeed() {
    testkit::needs!("docker-registry");
    let mut world = World::start(DockerRegistry::builder());
    fill(&mut world);
    let (processes, rounds) = size();
    for round in 0..rounds {
        let prefix = format!("round{round}");
        let begun: Vec<_> = (0..processes).map(|_| world.begin(&prefix)).collect();
        let ended: Vec<Outcome> = begun
            .into_iter()
            .map(|(child, _place)| Outcome::of(Child::wait_with_output(child).unwrap()))
            .collect();
        for outcome in ended {
            outcome.exits(0).says("12 images: ").says(" 0 failed");
        }
        assert_eq!(world.verify(&prefix), world.count(), "round {round}");
    }
}
