//! Memory does not grow with the size of a layer, and little with the number of streams.

use std::io::Read;
use std::process::Child;
use std::sync::mpsc;

use testkit::{Action, Fault, Image, Kind, Layer, Profile, Registry};

use crate::support::{PATIENCE, Place, between};

const MIB: u64 = 1 << 20;

/// Copies `layers` layers of `size` bytes, and returns the peak memory of the program, in KiB. It is read when the
/// manifest arrives, which gets no answer: all blobs are at the destination then, and the program still runs.
fn peak(layers: u64, size: u64) -> u64 {
    // Without ranges, which a slow machine would trigger: their memory is extra and has its own tests.
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
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
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

/// Returns the peak memory of a running program, in KiB.
pub(crate) fn held(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    // The shipped program has fewer pages of its own than this one.
    field(&status, "VmHWM:") - field(&status, "RssFile:")
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Memory limit of a run without the program's own pages, in KiB. `scripts/bench-memory` allows the shipped program 24
/// MiB, and 0.75 MiB for each stream after the first; its own pages take 10 MiB of that.
pub(crate) fn budget(streams: u64) -> u64 {
    14 * 1024 + 768 * (streams - 1)
}

/// Compares that many unchanged tags, and returns the peak memory until the last one, in KiB.
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
    let place = between(&source, &destination, "SRC/a: DST/a\n");
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

/// An unchanged tag takes some hundred bytes: its hashes in two lists, and its digest. Connections vary by some MiB,
/// but a KiB for each tag would be visible.
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

/// Size of the layer of an archive: 4 GiB in the long form.
fn archived() -> u64 {
    match std::env::var_os("RELIABILITY_LONG") {
        Some(_) => 4 << 30,
        None => 256 * MIB,
    }
}

/// Reads the archive from standard output but for its end, which the program cannot write yet, and measures it then.
#[test]
fn an_archive_with_a_large_layer_is_written() {
    let size = archived();
    let source = Registry::builder()
        .profile(Profile::distribution())
        .start_on_thread();
    source.push("a", Some("v1"), &Image::single([Layer::synthetic(size, 1)]));
    let (host, place) = (source.host(), Place::new());
    let name = format!("{host}/a:v1");
    let copy = ["copy", &name, "oci-archive:-", "--insecure", &host];
    let copy = [&copy[..], &["--temp", ".", "--quiet"]].concat();
    let mut child = place.command(&copy).spawn().unwrap();
    let mut archive = child.stdout.take().unwrap();
    let mut most = (&mut archive).take(size - MIB);
    let read = std::io::copy(&mut most, &mut std::io::sink()).unwrap();
    assert_eq!(read, size - MIB);
    let peak = held(&child);
    std::io::copy(&mut archive, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(peak <= budget(1), "{peak} KiB");
}

#[test]
fn an_archive_with_a_large_layer_is_loaded() {
    let size = archived();
    let source = Registry::builder()
        .profile(Profile::distribution())
        .start_on_thread();
    source.push("a", Some("v1"), &Image::single([Layer::synthetic(size, 1)]));
    let destination = Registry::builder().discard_blobs().start_on_thread();
    let (host, to) = (source.host(), destination.host());
    let place = Place::new();
    let name = format!("{host}/a:v1");
    let write = ["copy", &name, "oci-archive:a.tar", "--insecure", &host];
    place.run(&write).exits(0);
    let (sender, arrived) = mpsc::channel();
    let fault = Fault::on(Kind::ManifestPut).matching(move |_| sender.send(()).is_ok());
    destination.fault(fault, Action::StallBeforeAnswer);
    let target = format!("{to}/a:v1");
    let load = ["copy", "oci-archive:a.tar", &target, "--insecure", &to];
    let mut child = place.command(&load).spawn().unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let peak = held(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(peak <= budget(1), "{peak} KiB");
}

/// Repositories that no pattern selects are only counted. The others take some 100 bytes each.
#[test]
fn a_hundred_thousand_repositories_in_a_catalog() {
    let names = (0..100_000).map(|number| format!("team-{}/app-{number:05}", number % 100));
    let source = Registry::builder()
        .counts_only()
        .repositories(names)
        .start_on_thread();
    let destination = Registry::builder().counts_only().start_on_thread();
    let last = Image::single([Layer::synthetic(1, 1)]);
    source.push("team-99/app-00999", Some("v1"), &last);
    let (sender, arrived) = mpsc::channel();
    let fault = Fault::on(Kind::ManifestPut).matching(move |_| sender.send(()).is_ok());
    destination.fault(fault, Action::StallBeforeAnswer);
    let place = between(&source, &destination, "");
    let config = format!(
        "version: 1\nregistries:\n  {0}: {{tls: {{plain-http: true}}, list: catalog}}\n  {1}: {{tls: {{plain-http: true}}}}\n\
         rules:\n  - {{from: {0}/*/app-00*, to: \"{1}/mirror/{{repository}}\", if-empty: ignore}}\n",
        source.host(),
        destination.host()
    );
    let place = place.file("native.yaml", &config);
    let mut child = place
        .command(&["--config", "native.yaml", "--quiet"])
        .spawn()
        .unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let peak = held(&child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(peak <= 64 * 1024, "{peak} KiB");
}
