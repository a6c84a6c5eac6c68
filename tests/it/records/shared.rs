//! One records file for several processes, and its content after an interrupted run.

use std::process::Child;

use testkit::{Action, Fault, Gate, Kind};

use super::{DEFAULT, records, with_base, world};
use crate::support::{Outcome, PATIENCE, World, image, signal};

/// Starts a run of one rule with its own rules and log, and with the common records.
fn start(world: &World, name: &str) -> Child {
    let rules = format!(
        "{}/{name}: {}/{name}\n",
        world.source.host(),
        world.destination.host()
    );
    let images = format!("{name}.yaml");
    std::fs::write(world.place.path(&images), rules).unwrap();
    let arguments = ["--images", &images, "--auth", "auth.yaml"];
    world.place.command(&arguments).spawn().unwrap()
}

#[test]
fn processes_that_start_together_record_all_their_copies() {
    let world = world();
    let names: Vec<String> = (0..6).map(|number| format!("r{number}")).collect();
    for name in &names {
        for tag in ["v1", "v2", "v3"] {
            world
                .source
                .push(name, Some(tag), &image(&format!("{name}-{tag}")));
        }
    }
    // The file is missing at first: one process creates it, and the others wait.
    let children: Vec<Child> = names.iter().map(|name| start(&world, name)).collect();
    for child in children {
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        outcome.exits(0).does_not_say("warning");
    }
    let shown = records(&world, &["show"]);
    let host = world.destination.host();
    // Three tags of six repositories; each has its own config and layer, and the base exists once per repository.
    let expected = format!("{host}: 6 repositories, 42 blobs, 18 tags\n");
    assert!(shown.contains(&expected), "{shown}");
}

/// Starts a run in which `done` is copied and the manifest of `held` waits.
fn half_done() -> (World, Gate, Child) {
    let world = world();
    world.source.push("held", Some("v1"), &image("held"));
    world.source.push("done", Some("v1"), &image("done"));
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("held");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let done = start(&world, "done").wait_with_output().unwrap();
    Outcome::of(done).exits(0);
    let child = start(&world, "held");
    gate.wait(1, PATIENCE).unwrap();
    (world, gate, child)
}

#[test]
fn an_interrupted_run_records_its_copies() {
    let (world, gate, child) = half_done();
    signal(&child, "-TERM");
    // The run finishes the images in flight.
    gate.open();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.does_not_say("records file");
    assert!(records(&world, &["show"]).contains(" 2 tags\n"));
}

#[test]
fn a_killed_run_leaves_an_intact_file() {
    let (world, gate, child) = half_done();
    signal(&child, "-KILL");
    drop(child.wait_with_output().unwrap());
    let file = rusqlite::Connection::open(world.place.path(DEFAULT)).unwrap();
    let check = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let found = file.query_row("PRAGMA integrity_check", (), check).unwrap();
    assert_eq!(found, "ok");
    gate.open();
    world.source.push("held", Some("v2"), &with_base("new"));
    Outcome::of(start(&world, "held").wait_with_output().unwrap())
        .exits(0)
        .does_not_say("warning");
    assert!(records(&world, &["show"]).contains(" 3 tags\n"));
}
