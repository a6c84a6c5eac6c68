//! One file, several processes; and what is in it after a run that was ended.

use std::process::{Child, Command};

use testkit::{Action, Fault, Gate, Kind};

use super::{DEFAULT, World, with_base};
use crate::support::{Outcome, PATIENCE, image};

/// Starts a run of one rule with rules and log of its own, and the records of the others.
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
fn processes_that_start_together_write_down_what_all_of_them_did() {
    let world = World::new();
    let names: Vec<String> = (0..6).map(|number| format!("r{number}")).collect();
    for name in &names {
        for tag in ["v1", "v2", "v3"] {
            world
                .source
                .push(name, Some(tag), &image(&format!("{name}-{tag}")));
        }
    }
    // None of them finds the file: one makes it, and the others wait for that.
    let children: Vec<Child> = names.iter().map(|name| start(&world, name)).collect();
    for child in children {
        let outcome = Outcome::of(child.wait_with_output().unwrap());
        outcome.exits(0).does_not_say("warning");
    }
    let shown = world.records(&["show"]);
    let host = world.destination.host();
    // Three tags of six repositories; a config and a layer of its own each, and the base once a repository.
    let expected = format!("{host}: 6 repositories, 42 blobs, 18 tags\n");
    assert!(shown.contains(&expected), "{shown}");
}

/// A run in which `done` is copied and `held` waits at its manifest.
fn half_done() -> (World, Gate, Child) {
    let world = World::new();
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

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_run_that_is_asked_to_end_writes_down_what_it_did() {
    let (world, gate, child) = half_done();
    signal(&child, "-TERM");
    // It may finish what is under way, and does.
    gate.open();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.does_not_say("records file");
    assert!(world.records(&["show"]).contains(" 2 tags\n"));
}

#[test]
fn a_run_that_is_killed_leaves_a_file_that_is_whole() {
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
    assert!(world.records(&["show"]).contains(" 3 tags\n"));
}
