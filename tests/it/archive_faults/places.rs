//! Files that cannot be archives, and streams that end early.

use std::process::{Command, Stdio};

use super::{BLOBS, FILE, PARTIAL, WRITE, is_clean, place, source};
use crate::support::{Outcome, Place};

#[test]
fn missing_directories_are_created_for_all_images() {
    let source = source(3);
    let rules = format!("{}/app: oci-archive:new/deep/images.tar\n", source.host());
    let place = place(&source).file("images.yaml", &rules);
    place.run(&WRITE).exits(0).says("3 copied").says("0 failed");
    let files = std::fs::read_dir(place.path("new/deep")).unwrap();
    assert_eq!(files.count(), 1);
    // So it is with a layout.
    let rules = format!("{}/app: oci:other/deep/store\n", source.host());
    let place = place.file("images.yaml", &rules);
    place.run(&WRITE).exits(0).says("3 copied").says("0 failed");
}

#[test]
fn commands_that_write_nothing_create_nothing() {
    let source = source(1);
    let rules = format!("{}/app: oci-archive:new/deep/images.tar\n", source.host());
    let place = place(&source).file("images.yaml", &rules);
    place.run(&[&["plan"], &WRITE[..]].concat()).exits(0);
    place.run(&[&["check"], &WRITE[..]].concat()).exits(3);
    assert!(!place.path("new").exists());
}

#[test]
fn a_second_writer_waits_five_seconds_and_says_so() {
    let source = source(1);
    let place = place(&source);
    let held = std::fs::File::create(place.path(PARTIAL)).unwrap();
    held.lock().unwrap();
    place.run(&WRITE).exits(1).says(
        "another process has been writing it for 5 seconds. Wait for its end, or name another file",
    );
    assert!(!place.path(FILE).exists() && !place.path(BLOBS).exists());
    drop(held);
    place.run(&WRITE).exits(0);
    is_clean(&place);
}

#[test]
fn devices_are_no_archives() {
    let place = Place::new();
    for device in ["/dev/zero", "/dev/null", "/dev/full"] {
        let why =
            format!("cannot find images at oci-archive:{device}: it is a device. Name a file");
        let name = format!("oci-archive:{device}");
        place.run(&["tags", &name]).exits(1).says(&why);
    }
}

#[test]
fn an_empty_standard_input_is_named() {
    Place::new().run(&["tags", "oci-archive:-"]).exits(1).says(
        "cannot find images at oci-archive:-: it is empty. The command before it may have failed",
    );
}

#[test]
fn an_endless_standard_input_that_is_no_archive_is_named_at_once() {
    let refused = |input: Stdio, why: &str| {
        let place = Place::new();
        let mut command = place.command(&["tags", "oci-archive:-"]);
        let output = command.stdin(input).output().unwrap();
        let why = format!("cannot find images at oci-archive:-: {why}\n");
        Outcome::of(output).exits(1).says(&why);
    };
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    refused(zeros.into(), "it is an empty tar file");
    let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
    refused(yes.stdout.take().unwrap().into(), "it is no tar file");
    yes.wait().unwrap();
}

#[test]
fn a_reader_that_ends_early_is_named() {
    let source = source(3);
    let place = place(&source);
    place.run(&WRITE).exits(0);
    is_clean(&place);
    let from = format!("oci-archive:{FILE}#*");
    let mut command = place.command(&["copy", &from, "--to", "oci-archive:-"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(command);
    Outcome::of(child.wait_with_output().unwrap())
        .exits(1)
        .says("the command that reads standard output ended before it had the whole archive");
}

/// Runs a command of the place with a directory `small` that has room for 300 KB.
fn with_small_disk(place: &Place, arguments: &str) -> Outcome {
    std::fs::create_dir_all(place.path("small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=300k none small && exec {} {arguments}",
        env!("CARGO_BIN_EXE_image-syncer")
    );
    let mut command = place.shell("exec unshare --map-root-user --mount sh -c \"$SCRIPT\"");
    Outcome::of(command.env("SCRIPT", script).output().unwrap())
}

#[test]
fn a_full_disk_is_named_while_gathering_packing_and_unpacking() {
    const ADVICE: &str = "free space there; --temp names another directory";
    let source = source(1);
    let name = format!("{}/app:v0", source.host());
    let flags = format!("--insecure {}", source.host());
    // The layer has 400 KB.
    let place = place(&source);
    let copy = format!("copy {name} oci-archive:small/{FILE} {flags}");
    with_small_disk(&place, &copy)
        .exits(1)
        .says("cannot write blob")
        .says(ADVICE);
    with_small_disk(&place, &format!("{copy} --temp ."))
        .exits(1)
        .says("cannot write blob")
        .says(ADVICE)
        .says("it lacks 1 name");
    place.run(&WRITE).exits(0);
    let packed = place.shell("gzip --keep images.tar").status().unwrap();
    assert!(packed.success());
    let load = "tags oci-archive:images.tar.gz --temp small";
    with_small_disk(&place, load)
        .exits(1)
        .says("cannot unpack images")
        .says("The directory is small; --temp names another");
}
