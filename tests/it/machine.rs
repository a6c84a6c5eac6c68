//! Unusual limits, clocks, streams and variables of the machine. None of them may end in a panic.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use crate::support::{Outcome, World, image};

/// Returns a world with one image to copy.
fn one_image() -> World {
    World::new("SRC/a:v1: DST/a\n").with("a", "v1", &image("a"))
}

/// Runs the program in a shell that executes `setup` first; `"$@"` are the program and its arguments.
fn by_shell(world: &World, setup: &str, arguments: &[&str]) -> Outcome {
    let program = world.command(&[&["--no-records"], arguments].concat());
    let mut shell = world.place.shell(&format!("{setup}; exec \"$@\""));
    shell.arg("sh").arg(program.get_program());
    shell.args(program.get_args());
    Outcome::of(shell.output().unwrap())
}

#[test]
fn a_limit_on_the_size_of_files_fails_the_file_and_not_the_copy() {
    // One block of 512 or 1,024 bytes; the report is larger.
    let world = one_image();
    by_shell(&world, "ulimit -f 1", &["--report", "report.json"])
        .exits(1)
        .says("--report report.json")
        .says("File too large");
    world.arrived("a", "v1", &image("a"));
    let world = one_image();
    by_shell(
        &world,
        "ulimit -f 1",
        &["--log", "log", "--log-level", "debug"],
    )
    .exits(0)
    .says("File too large");
    world.arrived("a", "v1", &image("a"));
}

#[test]
fn an_invalid_number_of_threads_is_ignored() {
    for number in ["0", "-1", "many"] {
        let world = one_image();
        let setup = format!("export TOKIO_WORKER_THREADS={number}");
        by_shell(&world, &setup, &[]).exits(0);
        world.arrived("a", "v1", &image("a"));
    }
}

#[test]
fn closed_streams_do_not_fail_a_run() {
    for setup in ["exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let world = one_image();
        by_shell(&world, setup, &[]).exits(0);
        world.arrived("a", "v1", &image("a"));
    }
}

#[test]
fn a_run_works_without_a_home() {
    let world = one_image();
    by_shell(&world, "unset HOME XDG_STATE_HOME", &[]).exits(0);
    world.arrived("a", "v1", &image("a"));
}

#[test]
fn variables_that_are_not_utf8_are_ignored_and_arguments_are_mistakes() {
    for setup in [
        r"export DOCKER_CONFIG=$(printf '\377')",
        r"export REGISTRY_AUTH_FILE=$(printf '\377')",
        r"export HOME=$(printf '\377')",
        r"export HTTPS_PROXY=$(printf '\377')",
        r"export NO_COLOR=$(printf '\377') TERM=$(printf '\377') RUST_LOG=$(printf '\377')",
    ] {
        let world = one_image();
        by_shell(&world, setup, &[]).exits(0);
        world.arrived("a", "v1", &image("a"));
    }
    let world = one_image();
    let odd = OsStr::from_bytes(b"\xff");
    for arguments in [&["copy"][..], &["--images"], &["--os"], &["--config"]] {
        let mut command: Command = world.place.command(arguments);
        let outcome = Outcome::of(command.arg(odd).output().unwrap());
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
    }
}

/// Copies 200 images in a shell with this limit on open files, and returns the number of connections.
fn connections_of_200_images(limit: &str) -> u64 {
    let mut world = World::new("");
    let mut rules = String::new();
    for number in 0..200 {
        let name = format!("team/app-{number}");
        world = world.with(&name, "v1", &image(&name));
        writeln!(rules, "SRC/{name}:v1: DST/{name}").unwrap();
    }
    world.set_rules(&rules);
    for registry in [&world.source, &world.destination] {
        // Many requests are in flight at a time, even on a fast machine.
        registry.set_latency(Duration::from_millis(20));
    }
    by_shell(&world, limit, &[])
        .exits(0)
        .says("200 images: 200 copied, 0 unchanged, 0 skipped, 0 failed");
    world.source.connections() + world.destination.connections()
}

#[test]
fn few_open_files_are_enough_for_many_images() {
    // More connections than the limit, so that the limit below matters.
    let usual = connections_of_200_images("ulimit -n 1024");
    assert!(usual > 64, "{usual} connections");
    let limited = connections_of_200_images("ulimit -n 64");
    assert!(limited < 64, "{limited} connections");
}

#[test]
fn a_soft_limit_on_open_files_is_raised_to_the_hard_limit() {
    let connections = connections_of_200_images("ulimit -S -n 64");
    assert!(connections > 64, "{connections} connections");
}
