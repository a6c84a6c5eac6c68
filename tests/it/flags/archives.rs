//! Flags of archives.

use std::process::Command;

use super::stage::{Stage, differs};
use crate::support::image;

/// Name of the images in the archive of [`saved`].
const NAME: &str = "docker-archive:saved.tar#quay.io/a";

/// Returns a stage with the archive `saved.tar`, which `program` then changes.
fn saved(command: &'static str, program: &str, arguments: &[&str]) -> Stage {
    let stage = Stage::new(command).with(&image("a"));
    let host = stage.source.host();
    let source = format!("{host}/a:v1");
    let copy = ["copy", &source, NAME, "--insecure", &host, "--no-records"];
    stage.place.run(&copy).exits(0);
    let mut changed = Command::new(program);
    changed.current_dir(stage.place.path("")).args(arguments);
    assert!(changed.status().unwrap().success());
    stage
}

/// Checks `--temp`: a compressed archive cannot be unpacked in a directory that is missing.
pub(super) fn temp(command: &'static str) {
    let packed = NAME.replace(".tar", ".tar.gz");
    let stage = || saved(command, "gzip", &["saved.tar"]).archived(&packed);
    differs(&stage, &[], &["--temp", "missing"]);
}

/// Checks `--partial`: an archive without its end is read. The end is the list for Docker, and two empty blocks.
pub(super) fn partial(command: &'static str) {
    let stage = || saved(command, "truncate", &["--size=-1536", "saved.tar"]).archived(NAME);
    differs(&stage, &[], &["--partial"]);
}
