//! Records files that cannot be used: one warning, and the run goes on without them.

use std::path::Path;

use rusqlite::Connection;

use super::{DEFAULT, file, with_base};
use crate::support::{Outcome, World, assert_arrived};

/// Returns a world with an image to copy, and with a file from `write` in place of the records.
fn world(write: impl FnOnce(&Path)) -> World {
    let world = World::new("").with("a", "v1", &with_base("1"));
    let file = file(&world);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    write(&file);
    world
}

/// Runs, asserts success with exactly one warning, and returns the warning.
fn warning(world: &World, arguments: &[&str]) -> String {
    let outcome: Outcome = world.sync("SRC/a:v1: DST/a\n", arguments).exits(0);
    assert_arrived(&world.destination, "a", "v1", &with_base("1"));
    let warnings = outcome.lines("warning");
    assert_eq!(warnings.len(), 1, "{}", outcome.stderr);
    warnings[0].to_owned()
}

#[test]
fn a_file_that_is_no_database_is_not_modified() {
    let text = "{\"records\": \"of the Go tool\"}".repeat(100);
    let world = world(|file| std::fs::write(file, &text).unwrap());
    let warning = warning(&world, &[]);
    let file = file(&world).display().to_string();
    let expected = format!("records file {file}: it is damaged or is not a records file (");
    assert!(warning.contains(&expected), "{warning}");
    assert!(warning.contains(&format!("{file}-wal")), "{warning}");
    assert_eq!(world.place.read(DEFAULT), text);
}

#[test]
fn a_fifo_or_device_is_ignored_without_waiting() {
    let world = world(|path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    });
    let text = warning(&world, &[]);
    assert!(text.contains("it is not a regular file"), "{text}");
}

#[test]
fn a_damaged_file_is_ignored() {
    let world = world(|_| {});
    warning_free(&world);
    let mut bytes = std::fs::read(file(&world)).unwrap();
    let page = 4096;
    bytes[page..].fill(0xa5);
    std::fs::write(file(&world), bytes).unwrap();
    world.destination.state().remove_repository("a");
    let warning = warning(&world, &[]);
    assert!(warning.contains("it is damaged"), "{warning}");
}

fn warning_free(world: &World) {
    world
        .sync("SRC/a:v1: DST/a\n", &[])
        .exits(0)
        .does_not_say("warning");
}

#[test]
fn a_locked_file_is_ignored() {
    let world = world(|_| {});
    warning_free(&world);
    world.destination.state().remove_repository("a");
    let lock = Connection::open(file(&world)).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let warning = warning(&world, &[]);
    assert!(
        warning.contains("another program keeps it locked"),
        "{warning}"
    );
    // After the lock is released, the file is used again.
    lock.execute_batch("COMMIT").unwrap();
    drop(lock);
    warning_free(&world);
}

#[test]
fn a_file_that_another_program_is_creating_is_ignored() {
    let world = world(|_| {});
    let lock = Connection::open(file(&world)).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE t (x);")
        .unwrap();
    let warning = warning(&world, &[]);
    assert!(
        warning.contains("another program keeps it locked"),
        "{warning}"
    );
}

#[test]
fn a_file_of_a_newer_version_is_not_modified() {
    let world = world(|_| {});
    warning_free(&world);
    let newer = Connection::open(file(&world)).unwrap();
    newer.pragma_update(None, "user_version", 7).unwrap();
    drop(newer);
    world.destination.state().remove_repository("a");
    let warning = warning(&world, &[]);
    let expected = "a newer image-syncer wrote it (schema 7; this version knows 3)";
    assert!(warning.contains(expected), "{warning}");
}

#[test]
fn a_database_of_another_program_is_not_modified() {
    let world = world(|file| {
        let other = Connection::open(file).unwrap();
        other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    });
    let warning = warning(&world, &[]);
    assert!(
        warning.contains("it is a database of another program"),
        "{warning}"
    );
    let tables = "SELECT group_concat(name) FROM sqlite_schema";
    let other = Connection::open(file(&world)).unwrap();
    let tables: String = other.query_row(tables, (), |row| row.get(0)).unwrap();
    assert_eq!(tables, "theirs");
}

#[test]
fn an_unwritable_directory_is_ignored() {
    let world = world(|_| {});
    for (place, why) in [
        ("nowhere/records", "there is no such file or directory"),
        ("auth.yaml/records", "a part of its path is no directory"),
        (".", "it is a directory"),
        ("/proc/records", "there is no such file or directory"),
    ] {
        let warning = warning(&world, &["--records", place]);
        let expected = format!("records file {place}: it cannot be opened or written ({why}");
        assert!(warning.contains(&expected), "{warning}");
        assert!(warning.contains("--no-records"), "{warning}");
    }
    let world = world_without_state();
    let warning = warning(&world, &[]);
    assert!(
        warning.contains("cannot create its directory: a part of its path is no directory"),
        "{warning}"
    );
}

/// Returns a world whose state directory is a file.
fn world_without_state() -> World {
    let mut world = World::new("").with("a", "v1", &with_base("1"));
    let file = world.place.path("auth.yaml").display().to_string();
    world.place = world.place.variable("XDG_STATE_HOME", &file);
    world
}

#[test]
fn a_missing_home_causes_no_warning() {
    let world = world(|_| {});
    world.set_rules("SRC/a: DST/a\n");
    let mut command = world.command(&[]);
    let output = command.env_remove("HOME").output().unwrap();
    Outcome::of(output).exits(0).does_not_say("warning");
}
