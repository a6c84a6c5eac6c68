//! Unusual limits, clocks, streams and variables of the machine. None of them may end in a panic.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use testkit::Registry;

use crate::support::{Outcome, Place, assert_arrived, image, insecure, registry};

const FILES: [&str; 5] = [
    "--images",
    "images.yaml",
    "--auth",
    "auth.yaml",
    "--no-records",
];

struct World {
    source: Registry,
    destination: Registry,
    place: Place,
}

impl World {
    fn new() -> Self {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), &image("a"));
        let rule = format!("{}/a:v1: {}/a\n", source.host(), destination.host());
        let place = Place::new()
            .file("images.yaml", &rule)
            .file("auth.yaml", &insecure(&[&source, &destination]));
        Self {
            source,
            destination,
            place,
        }
    }

    /// Runs the program by way of a shell that executes `setup` first; `"$@"` are the program and its arguments.
    fn by_shell(&self, setup: &str, arguments: &[&str]) -> Outcome {
        let program = self.place.command(&[&FILES[..], arguments].concat());
        let mut shell = self.place.shell(&format!("{setup}; exec \"$@\""));
        shell.arg("sh").arg(program.get_program());
        shell.args(program.get_args());
        Outcome::of(shell.output().unwrap())
    }

    fn assert_arrived(&self) {
        assert_arrived(&self.destination, "a", "v1", &image("a"));
        assert_eq!(self.source.state().tags("a"), ["v1"]);
    }
}

#[test]
fn a_limit_on_the_size_of_files_fails_the_file_and_not_the_copy() {
    // One block of 512 or 1,024 bytes; the report is larger.
    let world = World::new();
    world
        .by_shell("ulimit -f 1", &["--report", "report.json"])
        .exits(1)
        .says("--report report.json")
        .says("File too large");
    world.assert_arrived();
    let world = World::new();
    world
        .by_shell("ulimit -f 1", &["--log", "log", "--log-level", "debug"])
        .exits(0)
        .says("File too large");
    world.assert_arrived();
}

#[test]
fn an_invalid_number_of_threads_is_ignored() {
    for number in ["0", "-1", "many"] {
        let world = World::new();
        let setup = format!("export TOKIO_WORKER_THREADS={number}");
        world.by_shell(&setup, &[]).exits(0);
        world.assert_arrived();
    }
}

#[test]
fn closed_streams_do_not_fail_a_run() {
    for setup in ["exec >&-", "exec 2>&-", "exec <&- >&- 2>&-"] {
        let world = World::new();
        world.by_shell(setup, &[]).exits(0);
        world.assert_arrived();
    }
}

#[test]
fn a_run_works_without_a_home() {
    let world = World::new();
    world.by_shell("unset HOME XDG_STATE_HOME", &[]).exits(0);
    world.assert_arrived();
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
        let world = World::new();
        world.by_shell(setup, &[]).exits(0);
        world.assert_arrived();
    }
    let world = World::new();
    let odd = OsStr::from_bytes(b"\xff");
    for arguments in [&["copy"][..], &["--images"], &["--os"], &["--config"]] {
        let mut command: Command = world.place.command(arguments);
        let outcome = Outcome::of(command.arg(odd).output().unwrap());
        assert_eq!(outcome.code, 2, "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn few_open_files_are_enough_for_many_images() {
    for limit in ["ulimit -n 64", "ulimit -S -n 64", "ulimit -n 128"] {
        let (source, destination) = (registry(), registry());
        let mut rules = String::new();
        for number in 0..200 {
            let name = format!("team/app-{number}");
            source.push(&name, Some("v1"), &image(&name));
            let (from, to) = (source.host(), destination.host());
            writeln!(rules, "{from}/{name}:v1: {to}/{name}").unwrap();
        }
        let place = Place::new()
            .file("images.yaml", &rules)
            .file("auth.yaml", &insecure(&[&source, &destination]));
        let world = World {
            source,
            destination,
            place,
        };
        let outcome = world.by_shell(limit, &[]).exits(0);
        outcome.says("200 images: 200 copied, 0 unchanged, 0 skipped, 0 failed");
    }
}
