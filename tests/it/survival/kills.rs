//! SIGKILL at any moment costs only the transfers in flight.

use testkit::real::DockerRegistry;
use testkit::{Image, Layer};

use super::World;
use crate::support::draw;

/// Returns the number of kills; `scripts/reliability --long` sets the variable.
fn kills() -> u64 {
    match std::env::var("RELIABILITY_KILLS") {
        Ok(number) => number.parse().expect("RELIABILITY_KILLS is no number"),
        Err(_) => 6,
    }
}

const KIB: u64 = 1024;

/// Pushes 24 images of three layers, one of them common; no blob is more than a twentieth of all bytes. Returns the
/// bytes.
fn fill(world: &mut World) -> u64 {
    let base = Layer::synthetic(350 * KIB, 0);
    let mut unique = base.blob().size();
    for number in 0..24 {
        let own = |seed| Layer::synthetic((100 + number % 3 * 50) * KIB, seed);
        let layers = [own(1 + 2 * number), base.clone(), own(2 + 2 * number)];
        let image = Image::single(layers);
        unique += image.blob_bytes() - base.blob().size();
        world.push(&format!("r{}", number % 3), &format!("v{number}"), &image);
    }
    assert!(base.blob().size() * 20 <= unique);
    unique
}

#[test]
fn a_killed_run_leaves_complete_tags_and_the_next_one_sends_little_twice() {
    // All following numbers depend on the seed.
    const SEED: u64 = 0x5EED;
    testkit::needs!("docker-registry");
    let mut world = World::start(DockerRegistry::builder());
    let unique = fill(&mut world);
    world
        .run("whole", &[])
        .exits(0)
        .says("24 images: 24 copied");
    assert_eq!(world.verify("whole"), world.count());
    let whole = world.relay.sent();
    for kill in 0..kills() {
        let prefix = format!("killed{kill}");
        let before = world.relay.sent();
        // The number of sent bytes differs a little between runs: the last ones may be lost.
        let after = draw(SEED, kill) % (whole * 19 / 20);
        let name = format!("kill {kill}, after {after} bytes");
        world.relay.stop_after(after);
        let (mut child, _place) = world.begin(&prefix);
        world.until_stopped(&child);
        child.kill().unwrap();
        child.wait().unwrap();
        world.relay.cut();
        let there = world.verify(&prefix);
        assert!(there < world.count(), "{name}: nothing was left to do");
        world.run(&prefix, &[]).exits(0).says("24 images: ");
        assert_eq!(world.verify(&prefix), world.count(), "{name}");
        let sent = world.relay.sent() - before;
        assert!(sent * 2 <= unique * 3, "{name}: {sent} sent for {unique}");
    }
}
