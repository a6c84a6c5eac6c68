//! Readers of stderr that go away or read nothing: the sync goes on all the same.

use std::io::Read;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::{FILES, Outcome, PATIENCE, World, image, signal};

/// Number of tags whose lines fill a pipe.
const TAGS: usize = 600;

fn repository() -> String {
    format!("team/{}", "long-".repeat(10) + "name")
}

/// Returns a source with many tags of one image in a repository with a long name, and a destination.
fn world(tags: usize) -> World {
    let repository = repository();
    let mut world = World::new(&format!("SRC/{repository}: DST/{repository}\n"));
    let image = image("1");
    for number in 0..tags {
        world = world.with(&repository, &format!("v{number}"), &image);
    }
    world
}

fn start(world: &World) -> Child {
    world.command(&["--no-referrers"]).spawn().unwrap()
}

/// Waits until all tags are at the destination.
fn until_all_arrived(world: &World) {
    let deadline = Instant::now() + PATIENCE;
    while world.tags(&repository()).len() < TAGS {
        assert!(Instant::now() < deadline, "the sync makes no progress");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_reader_that_reads_nothing_delays_no_copy_and_gets_every_line_later() {
    let world = world(TAGS);
    let mut child = start(&world);
    until_all_arrived(&world);
    // The lines wait for their reader.
    assert_eq!(child.try_wait().unwrap(), None);
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    let outcome = Outcome {
        code: child.wait().unwrap().code().unwrap_or(-1),
        stdout: String::new(),
        stderr,
    };
    assert!(outcome.stderr.len() > 64 * 1024, "{}", outcome.stderr.len());
    assert_eq!(outcome.lines("copied").len(), TAGS);
    outcome
        .exits(0)
        .says("600 images: 600 copied, 0 unchanged, 0 skipped, 0 failed");
}

#[test]
fn a_signal_ends_a_run_whose_output_nobody_reads() {
    let world = world(TAGS);
    let mut child = start(&world);
    until_all_arrived(&world);
    assert_eq!(child.try_wait().unwrap(), None);
    // A signal before the end of the run leads to an end that waits for the reader as well.
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        signal(&child, "-TERM");
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < deadline, "the program does not end");
    };
    assert_eq!(code, Some(130));
}

#[test]
fn a_pipe_that_closes_after_its_first_line_stops_nothing() {
    let world = world(20);
    let program = env!("CARGO_BIN_EXE_image-syncer");
    let script = format!("({program} \"$@\"; echo $? > code) 2>&1 | head -1");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .args(FILES)
        .arg("--no-referrers")
        .current_dir(world.place.path(""))
        .env("HOME", world.place.path(""));
    let output = command.output().unwrap();
    let head = String::from_utf8(output.stdout).unwrap();
    assert!(
        head.starts_with("copied ") && head.lines().count() == 1,
        "{head}"
    );
    assert_eq!(world.place.read("code"), "0\n");
    for number in 0..20 {
        let tag = format!("v{number}");
        world
            .destination
            .verify_complete(&repository(), &tag)
            .unwrap();
    }
    // A failure still sets the exit code.
    world
        .source
        .state()
        .tag(&repository(), "broken", image("never pushed").digest());
    command.output().unwrap();
    assert_eq!(world.place.read("code"), "1\n");
}
