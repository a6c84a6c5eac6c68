//! Memory does not grow with the size of a layer, and little with the number of streams.

use std::process::Child;
use std::sync::mpsc;

use testkit::{Action, Fault, Image, Kind, Layer, Profile, Registry};

use crate::support::{PATIENCE, Place, insecure};

const MIB: u64 = 1 << 20;

/// Copies `layers` layers of `size` bytes; gives the most memory that the program held until then, in KiB. It is asked
/// for when the manifest comes, which gets no answer: all blobs are there by then, and the program still lives.
fn peak(layers: u64, size: u64) -> u64 {
    // Without ranges, which a slow machine would be taken to need: their memory comes on top and has tests of its own.
    let profile = Profile {
        blob_ranges: false,
        ..Profile::distribution()
    };
    let source = Registry::builder().profile(profile).start_on_thread();
    let destination = Registry::builder().discard_blobs().start_on_thread();
    let image = Image::single((0..layers).map(|seed| Layer::synthetic(size, seed)));
    source.push("a", Some("v1"), &image);
    let (sender, arrived) = mpsc::channel();
    let fault = Fault::on(Kind::ManifestPut).matching(move |_| sender.send(()).is_ok());
    destination.fault(fault, Action::StallBeforeAnswer);
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{}/a:v1: {}/a\n", source.host(), destination.host()),
        )
        .file("auth.yaml", &insecure(&[&source, &destination]));
    let mut child = place
        .command(&["--images", "images.yaml", "--auth", "auth.yaml"])
        .spawn()
        .unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let peak = held(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(destination.bytes_received(), image.blob_bytes());
    peak
}

/// The most memory that a program that still runs has held, in KiB.
pub(crate) fn held(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    // The pages of the program itself are fewer in the program that is shipped than in this one.
    field(&status, "VmHWM:") - field(&status, "RssFile:")
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a run may take besides the program's own pages: of the 24 MiB, and 0.75 MiB for each stream above one, that
/// `scripts/bench-memory` holds the shipped program to, those pages take 10 MiB.
pub(crate) fn budget(streams: u64) -> u64 {
    14 * 1024 + 768 * (streams - 1)
}

/// Looks at that many tags, all of them there; gives the most memory that the program held until the last one, in KiB.
fn peak_of_unchanged(tags: u64) -> u64 {
    let source = Registry::builder().counts_only().start_on_thread();
    let destination = Registry::builder().counts_only().start_on_thread();
    for number in 0..tags {
        let image = Image::single([Layer::synthetic(1, number)]);
        for registry in [&source, &destination] {
            registry.push("a", Some(&format!("v{number:05}")), &image);
        }
    }
    let (sender, arrived) = mpsc::channel();
    let fault = Fault::on(Kind::ManifestHead)
        .reference(format!("v{:05}", tags - 1))
        .matching(move |_| sender.send(()).is_ok());
    destination.fault(fault, Action::StallBeforeAnswer);
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{}/a: {}/a\n", source.host(), destination.host()),
        )
        .file("auth.yaml", &insecure(&[&source, &destination]));
    let mut child = place
        .command(&["--images", "images.yaml", "--auth", "auth.yaml", "--quiet"])
        .spawn()
        .unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let peak = held(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    peak
}

/// What is known of a tag that is unchanged is some hundred bytes: its hashes in two lists, and the digest that stands
/// there. What the connections take varies by some MiB; a KiB for each tag would be seen.
#[test]
fn many_unchanged_tags() {
    let peak = peak_of_unchanged(20_000);
    assert!(peak <= 36 * 1024, "{peak} KiB");
}

#[test]
fn one_large_layer() {
    let peak = peak(1, 256 * MIB);
    assert!(peak <= budget(1), "{peak} KiB");
}

#[test]
fn sixteen_layers_at_a_time() {
    let peak = peak(16, 32 * MIB);
    assert!(peak <= budget(16), "{peak} KiB");
}
