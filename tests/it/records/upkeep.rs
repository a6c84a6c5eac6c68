//! `image-syncer records`.

use super::{file, records, with_base};
use crate::support::World;

fn world() -> World {
    let world = ["a", "team/b"]
        .into_iter()
        .fold(World::new(""), |world, name| {
            world.with(name, "v1", &with_base(name))
        });
    let rules = "SRC/a: DST/a\nSRC/team/b: DST/team/b\n";
    world.sync(rules, &[]).exits(0);
    world
}

#[test]
fn show_prints_the_content() {
    let world = world();
    let shown = records(&world, &["show"]);
    let lines: Vec<&str> = shown.lines().collect();
    let file = format!("{}: ", file(&world).display());
    assert!(
        lines[0].starts_with(&file) && lines[0].ends_with(" KiB"),
        "{shown}"
    );
    let (source, destination) = (world.source.host(), world.destination.host());
    let mut expected = [
        format!("{source}: 2 repositories, 0 blobs, 0 tags"),
        format!("{destination}: 2 repositories, 6 blobs, 2 tags"),
    ];
    expected.sort();
    assert_eq!(lines[1..3], expected);
    assert_eq!(lines[3..], ["oldest record: seen today"]);
}

#[test]
fn forget_drops_a_repository_or_a_registry() {
    let world = world();
    let host = world.destination.host();
    let repository = format!("{host}/team/b");
    // Three blobs and a tag.
    assert_eq!(
        records(&world, &["forget", &repository]),
        "4 records removed\n"
    );
    assert_eq!(
        records(&world, &["forget", &repository]),
        "0 records removed\n"
    );
    let shown = records(&world, &["show"]);
    assert!(
        shown.contains(&format!("{host}: 1 repository, 3 blobs, 1 tag\n")),
        "{shown}"
    );
    assert_eq!(records(&world, &["forget", &host]), "4 records removed\n");
    assert!(records(&world, &["show"]).ends_with("\nno records\n"));
}

#[test]
fn prune_drops_old_records() {
    let world = world();
    assert_eq!(records(&world, &["prune"]), "0 records removed\n");
    assert_eq!(
        records(&world, &["prune", "--older-than", "0"]),
        "0 records removed\n"
    );
    let file = rusqlite::Connection::open(file(&world)).unwrap();
    file.execute("UPDATE blobs SET seen = seen - 31", ())
        .unwrap();
    assert_eq!(
        records(&world, &["prune", "--older-than", "31"]),
        "0 records removed\n"
    );
    assert_eq!(
        records(&world, &["prune", "--older-than", "30"]),
        "6 records removed\n"
    );
    let shown = records(&world, &["show"]);
    assert!(shown.contains(" 0 blobs, 2 tags\n"), "{shown}");
}

#[test]
fn mistakes_are_reported() {
    let world = World::new("");
    let run = |arguments: &[&str]| {
        let arguments = [&["records"], arguments].concat();
        world.place.run(&arguments).exits(2)
    };
    run(&["show"]).says("records.sqlite3: it does not exist yet: a run creates it");
    run(&["show", "--records", "auth.yaml"]).says("it is damaged or is not a records file");
    run(&["forget", "mirror"]).says("mirror");
    run(&["prune", "--older-than", "soon"]).says("--older-than");
    run(&[]).says("Usage: image-syncer records");
    let nobody = world
        .place
        .command(&["records", "show"])
        .env_remove("HOME")
        .output();
    let outcome = crate::support::Outcome::of(nobody.unwrap()).exits(2);
    outcome.says("Write --records FILE");
}
