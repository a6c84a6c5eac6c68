//! Registries with every difference that a plan or a check can show.

use testkit::{Action, Fault, Gate, Kind, Registry};

use super::world::World;
use super::{Outcome, image, index};

/// Returns a world in which `app:v1` is new, `app:v2` differs, `app:v3` is equal, and no tag of `web` matches.
pub(crate) fn differing() -> World {
    let world = World::new("SRC/app: DST/app\nSRC/web:/^v/: DST/web\n")
        .with("app", "v1", &index("1"))
        .with("app", "v2", &image("2"))
        .with("app", "v3", &image("3"))
        .with("web", "latest", &image("w"));
    for (tag, name) in [("v2", "old"), ("v3", "3")] {
        world.destination.push("app", Some(tag), &image(name));
    }
    world
}

/// Adds a rule whose source does not exist.
pub(crate) fn failing(world: World) -> World {
    world.with_rules("SRC/gone: DST/gone\n")
}

/// Adds a rule whose source is never listed to its end. The list waits at the gate.
pub(crate) fn stuck(world: World) -> (World, Gate) {
    let list = Gate::new();
    let fault = Fault::on(Kind::Tags).repository("never");
    world.source.fault(fault, Action::Hold(list.clone()));
    (world.with_rules("SRC/never: DST/never\n"), list)
}

/// Runs a subcommand, and asserts that it sent only reading requests.
#[track_caller]
pub(crate) fn run_reading(world: &World, command: &[&str], flags: &[&str]) -> Outcome {
    let before = [&world.source, &world.destination].map(|r| r.requests().len());
    let outcome = world.run_command(command, flags);
    let all = [&world.source, &world.destination].map(Registry::requests);
    for (requests, before) in all.into_iter().zip(before) {
        for request in &requests[before..] {
            let method = request.method.as_str();
            assert!(matches!(method, "GET" | "HEAD"), "{}", request.line());
        }
    }
    outcome
}
