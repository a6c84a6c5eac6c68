//! Records of earlier runs: hints that processes share, and that a run does not need.

mod shared;
mod trouble;
mod upkeep;

use std::path::PathBuf;

use testkit::{Image, Kind, Layer};

use crate::support::real::{Access, Pair};
use crate::support::{World, assert_arrived};

/// Default path of the records below the user's home.
const DEFAULT: &str = ".local/state/image-syncer/records.sqlite3";

/// Returns two registries and a user without rules.
fn world() -> World {
    World::new("")
}

/// Returns the path of the records.
fn file(world: &World) -> PathBuf {
    world.place.path(DEFAULT)
}

/// Returns the output of `image-syncer records` with these arguments.
fn records(world: &World, arguments: &[&str]) -> String {
    let arguments = [&["records"], arguments].concat();
    world.place.run(&arguments).exits(0).stdout
}

/// Returns an image of two layers; the base layer is common to all.
fn with_base(name: &str) -> Image {
    Image::single([Layer::tar("base", 30_000), Layer::tar(name, 2_000)])
}

#[test]
fn a_layer_of_an_earlier_run_costs_one_head() {
    let world = world();
    world.source.push("a", Some("v1"), &with_base("1"));
    world.source.push("a", Some("v2"), &with_base("2"));
    world.sync("SRC/a:v1: DST/a\n", &[]).exits(0);
    assert!(file(&world).is_file());
    world.sync("SRC/a:v2: DST/a\n", &[]).exits(0);
    assert_arrived(&world.destination, "a", "v2", &with_base("2"));
    let kinds = [
        Kind::BlobHead,
        Kind::Mount,
        Kind::UploadPost,
        Kind::UploadPut,
    ];
    // The base exists; the other layer and the config cost a mount from the repository itself, and an upload.
    assert_eq!(world.pushed(kinds), [1, 2, 0, 2]);
}

#[test]
fn a_layer_of_another_repository_is_mounted_from_there() {
    let world = world();
    world.source.push("a", Some("v1"), &with_base("1"));
    world.source.push("b", Some("v1"), &with_base("2"));
    world.sync("SRC/a:v1: DST/a\n", &[]).exits(0);
    world.sync("SRC/b:v1: DST/b\n", &[]).exits(0);
    assert_arrived(&world.destination, "b", "v1", &with_base("2"));
    let from_a = |request: &testkit::Request| {
        request.kind == Kind::Mount && request.parameter("from").as_deref() == Some("a")
    };
    assert_eq!(world.destination.count(from_a), 1);
    assert_eq!(world.pushed([Kind::BlobHead, Kind::UploadPut]), [0, 2]);
}

#[test]
fn without_records_no_file_is_created() {
    let world = world();
    world.source.push("a", Some("v1"), &with_base("1"));
    world.source.push("b", Some("v1"), &with_base("2"));
    for rule in ["SRC/a:v1: DST/a\n", "SRC/b:v1: DST/b\n"] {
        world
            .sync(rule, &["--no-records"])
            .exits(0)
            .does_not_say("warning");
    }
    assert!(!world.place.path(".local").exists());
    assert_eq!(world.pushed([Kind::BlobHead, Kind::UploadPut]), [0, 3]);
}

#[test]
fn records_and_no_records_exclude_each_other() {
    let world = world();
    world
        .sync("SRC/a:v1: DST/a\n", &["--no-records", "--records", "file"])
        .exits(2)
        .says("--no-records");
}

#[test]
fn a_deleted_file_is_created_again() {
    let world = world();
    world.source.push("a", Some("v1"), &with_base("1"));
    world.sync("SRC/a:v1: DST/a\n", &[]).exits(0);
    std::fs::remove_file(file(&world)).unwrap();
    world
        .sync("SRC/a:v1: DST/a\n", &[])
        .exits(0)
        .does_not_say("warning");
    assert_eq!(world.pushed([Kind::ManifestHead]), [1]);
    assert!(records(&world, &["show"]).contains("1 tag\n"));
}

#[test]
fn a_wiped_destination_gets_everything_again() {
    let world = world();
    let names = ["a", "b", "c"];
    for name in names {
        world.source.push(name, Some("v1"), &with_base(name));
    }
    let rules: String = names
        .map(|name| format!("SRC/{name}:v1: DST/{name}\n"))
        .concat();
    world.sync(&rules, &[]).exits(0);
    for name in names {
        world.destination.state().remove_repository(name);
    }
    world.sync(&rules, &[]).exits(0);
    for name in names {
        assert_arrived(&world.destination, name, "v1", &with_base(name));
    }
    // Seven blobs are sent, and one of them is mounted twice. Each of the nine recorded blobs costs a HEAD, except for
    // the base, if a mount of it was refused before.
    let [heads, closed] = world.pushed([Kind::BlobHead, Kind::UploadPut]);
    assert_eq!(closed, 7);
    assert!((7..=9).contains(&heads), "{heads}");
}

#[test]
fn a_wiped_docker_registry_gets_everything_again() {
    testkit::needs!("docker-registry", "skopeo");
    let mut pair = Pair::start(Access::Token, false);
    let directory = tempfile::tempdir().unwrap();
    let file = directory
        .path()
        .join("records.sqlite3")
        .display()
        .to_string();
    let names = ["team/a", "team/b"];
    for name in names {
        pair.push(name, "v1", &with_base(name));
    }
    let rules: String = names
        .map(|name| format!("SRC/{name}:v1: DST/{name}\n"))
        .concat();
    let records = ["--records", &file];
    pair.run(&rules, &records).exits(0);
    pair.destination.terminate().unwrap();
    std::fs::remove_dir_all(pair.destination.storage_dir()).unwrap();
    std::fs::create_dir_all(pair.destination.storage_dir()).unwrap();
    pair.destination.restart().unwrap();
    pair.run(&rules, &records)
        .exits(0)
        .does_not_say("warning")
        .says("2 images: 2 copied");
    for name in names {
        pair.assert_equal(&format!("{name}:v1"), &format!("{name}:v1"));
    }
    pair.run(&rules, &records)
        .exits(0)
        .says("2 images: 0 copied, 2 unchanged");
}
