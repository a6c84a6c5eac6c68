//! Archives in rules, and with everything that a run has besides copies: records, reports, comparisons.

use serde_json::Value;
use testkit::{Fault, Gate, Image, Kind, Registry};

use super::{bytes, copy, left_over};
use crate::support::{
    Outcome, PATIENCE, Place, Service, assert_arrived, image, index, insecure, registry,
};

const FILES: [&str; 4] = ["--images", "images.yaml", "--auth", "auth.yaml"];

/// Returns a registry with `a:v1`, `a:v2` and `b:v1`, and a directory with a classic file of two rules for one archive.
fn world() -> (Registry, Place) {
    let registry = registry();
    registry.push("a", Some("v1"), &image("a1"));
    registry.push("a", Some("v2"), &index("a2"));
    registry.push("b", Some("v1"), &image("b1"));
    let rules = "REG/a: oci-archive:all.tar\nREG/b:v1: oci-archive:all.tar#quay.io/team/b\n";
    let place = Place::new()
        .file("images.yaml", &rules.replace("REG", &registry.host()))
        .file("auth.yaml", &insecure(&[&registry]));
    (registry, place)
}

#[test]
fn rules_of_a_classic_file_share_an_archive_and_a_second_run_changes_nothing() {
    let (registry, place) = world();
    place.run(&FILES).exits(0).says("3 copied");
    let written = bytes(&place, "all.tar");
    place.run(&FILES).exits(0).says("0 copied, 3 unchanged");
    assert_eq!(bytes(&place, "all.tar"), written);
    assert_eq!(left_over(&place), [""; 0]);
    let host = registry.host();
    for (source, tag, image) in [
        (format!("oci-archive:all.tar#{host}/a:v1"), "1", image("a1")),
        (format!("oci-archive:all.tar#{host}/a:v2"), "2", index("a2")),
        (
            "oci-archive:all.tar#quay.io/team/b:v1".to_owned(),
            "3",
            image("b1"),
        ),
    ] {
        let destination = format!("REG/back:{tag}");
        copy(&place, &registry, &[&source, &destination]).exits(0);
        assert_arrived(&registry, "back", tag, &image);
    }
}

#[test]
fn a_tag_that_moved_replaces_its_image_and_drops_the_old_blobs() {
    let (registry, place) = world();
    place.run(&FILES).exits(0);
    registry.push("b", Some("v1"), &image("moved"));
    place.run(&FILES).exits(0).says("1 copied, 2 unchanged");
    let names = super::entries(&place, "all.tar").join("\n");
    let has = |image: &Image| names.contains(&image.digest().replace(':', "/"));
    assert!(has(&image("moved")) && !has(&image("b1")), "{names}");
    // The same as a first run makes.
    let incremental = bytes(&place, "all.tar");
    std::fs::remove_file(place.path("all.tar")).unwrap();
    place.run(&FILES).exits(0).says("3 copied");
    assert_eq!(bytes(&place, "all.tar"), incremental);
}

#[test]
fn an_archive_that_was_removed_or_replaced_is_written_again_in_spite_of_the_records() {
    let (registry, place) = world();
    place.run(&FILES).exits(0).says("3 copied");
    let written = bytes(&place, "all.tar");
    std::fs::remove_file(place.path("all.tar")).unwrap();
    place.run(&FILES).exits(0).says("3 copied");
    assert_eq!(bytes(&place, "all.tar"), written);
    // Another archive under the same name: its images stay.
    copy(
        &place,
        &registry,
        &["REG/b:v1", "oci-archive:other.tar#quay.io/other/image:v1"],
    )
    .exits(0);
    std::fs::rename(place.path("other.tar"), place.path("all.tar")).unwrap();
    place.run(&FILES).exits(0).says("3 copied");
    let listed = place.run(&["tags", "oci-archive:all.tar"]).exits(0).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(listed.contains("quay.io/other/image:v1"), "{listed}");
}

#[test]
fn an_archive_has_the_images_that_did_not_fail() {
    let (registry, place) = world();
    registry
        .state()
        .tag("a", "lost", image("never pushed").digest());
    place.run(&FILES).exits(1).says("3 copied").says("1 failed");
    let written = bytes(&place, "all.tar");
    registry.state().untag("a", "lost");
    place.run(&FILES).exits(0).says("3 unchanged");
    assert_eq!(bytes(&place, "all.tar"), written);
}

#[test]
fn a_damaged_archive_is_named_and_stays_as_it_is() {
    let (registry, place) = world();
    place.run(&FILES).exits(0);
    let mut damaged = bytes(&place, "all.tar");
    let layer = image("b1").blobs()[0].bytes().unwrap();
    let length = layer.len();
    let at = damaged.windows(length).position(|part| part == layer);
    damaged[at.unwrap() + length / 2] ^= 1;
    std::fs::write(place.path("all.tar"), &damaged).unwrap();
    registry.push("a", Some("v3"), &image("a3"));
    place
        .run(&FILES)
        .exits(1)
        .says("it is damaged in the present file. Remove the file, and run the command again");
    assert_eq!(bytes(&place, "all.tar"), damaged);
    // What was downloaded is kept for the next run, and the space of the unfinished file is free.
    assert_eq!(left_over(&place), [".all.tar.blobs"]);
    std::fs::remove_file(place.path("all.tar")).unwrap();
    place.run(&FILES).exits(0).says("4 copied");
    assert_eq!(left_over(&place), [""; 0]);
}

#[test]
fn plan_and_check_read_an_archive() {
    let (registry, place) = world();
    let planned = place.run(&[&["plan"], &FILES[..]].concat()).exits(0);
    assert!(planned.stdout.contains("3 images: 3 new"), "{planned:?}");
    let checked = place.run(&[&["check"], &FILES[..]].concat()).exits(3);
    assert_eq!(checked.stdout.lines().count(), 3, "{checked:?}");
    assert!(!place.path("all.tar").exists());
    assert_eq!(left_over(&place), [""; 0]);
    place.run(&FILES).exits(0);
    let planned = place.run(&[&["plan"], &FILES[..]].concat()).exits(0);
    assert!(planned.stdout.contains("3 unchanged"), "{planned:?}");
    let checked = place.run(&[&["check"], &FILES[..]].concat()).exits(0);
    assert_eq!(checked.stdout, "");
    registry.push("a", Some("v1"), &image("moved"));
    let checked = place.run(&[&["check"], &FILES[..]].concat()).exits(3);
    assert!(checked.stdout.starts_with("changed"), "{checked:?}");
}

#[test]
fn verified_archives_and_reports() {
    let (_registry, place) = world();
    place.run(&FILES).exits(0);
    let verified = [&FILES[..], &["--verify", "--report", "report.json"]].concat();
    place.run(&verified).exits(0).says("3 unchanged");
    let report: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    let images = report["images"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    for image in images {
        let destination = image["destination"].to_string();
        assert!(destination.contains("oci-archive:all.tar"), "{image}");
        assert_eq!(image["evidence"], "verified", "{image}");
    }
}

#[test]
fn rules_of_a_native_file_share_an_archive() {
    let (registry, place) = world();
    let host = registry.host();
    let rules = format!(
        "version: 1\nregistries:\n  {host}: {{tls: {{insecure: true, plain-http: true}}}}\nrules:\n  \
         - {{from: {host}/a, tags: [v1, v2], to: 'oci-archive:native.tar'}}\n  \
         - {{from: {host}/b, to: ['oci-archive:native.tar#quay.io/copies/{{name}}', 'docker-archive:b.tar#quay.io/b']}}\n"
    );
    let place = place.file("sync.yaml", &rules);
    place
        .run(&["--config", "sync.yaml"])
        .exits(0)
        .says("4 copied");
    let written = bytes(&place, "native.tar");
    let listed = place.run(&["tags", "oci-archive:native.tar"]).exits(0);
    let names: Vec<&str> = listed
        .stdout
        .lines()
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            &format!("{host}/a:v1"),
            &format!("{host}/a:v2"),
            "quay.io/copies/b:v1"
        ]
    );
    place
        .run(&["--config", "sync.yaml"])
        .exits(0)
        .says("0 copied, 4 unchanged");
    assert_eq!(bytes(&place, "native.tar"), written);
}

#[test]
fn a_killed_run_leaves_no_archive_and_the_next_one_completes_it() {
    let (registry, place) = world();
    let gate = Gate::new();
    let layer = index("a2").blobs()[1].digest().to_owned();
    let fault = Fault::on(Kind::BlobGet).reference(&layer);
    registry.fault(fault, testkit::Action::Hold(gate.clone()));
    let mut child = place.command(&FILES).spawn().unwrap();
    gate.wait(1, PATIENCE).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    gate.open();
    assert!(!place.path("all.tar").exists());
    assert_eq!(left_over(&place), [".all.tar.blobs", ".all.tar.partial"]);
    place.run(&FILES).exits(0).says("3 copied");
    assert_eq!(left_over(&place), [""; 0]);
    let completed = bytes(&place, "all.tar");
    std::fs::remove_file(place.path("all.tar")).unwrap();
    place.run(&FILES).exits(0);
    assert_eq!(bytes(&place, "all.tar"), completed);
}

#[test]
fn processes_that_write_one_archive_wait_for_each_other() {
    let (registry, place) = world();
    let (host, source) = (registry.host(), format!("{}/b:v1", registry.host()));
    let start = |number: usize| {
        let to = format!("oci-archive:shared.tar#quay.io/team/b{number}");
        place
            .command(&["copy", &source, &to, "--insecure", &host, "--no-records"])
            .spawn()
            .unwrap()
    };
    let running: Vec<_> = (0..4).map(start).collect();
    for child in running {
        Outcome::of(child.wait_with_output().unwrap())
            .exits(0)
            .says("1 copied");
    }
    let listed = place.run(&["tags", "oci-archive:shared.tar"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 4, "{listed:?}");
    assert_eq!(left_over(&place), [""; 0]);
}

#[test]
fn the_service_writes_an_archive_at_the_end_of_each_run() {
    let (registry, place) = world();
    let host = registry.host();
    let rules = format!(
        "version: 1\nregistries:\n  {host}: {{tls: {{insecure: true, plain-http: true}}}}\nrules:\n  \
         - {{name: export, from: '{host}/a:v1', to: 'oci-archive:a.tar', schedule: {{every: 1s, jitter: 0s}}}}\n"
    );
    let place = place.file("sync.yaml", &rules);
    let mut service = Service::start(&place, &["--config", "sync.yaml"]);
    let first = service.until("of export succeeded:");
    let written = bytes(&place, "a.tar");
    std::fs::remove_file(place.path("a.tar")).unwrap();
    // A run may have begun before.
    while !place.path("a.tar").exists() {
        service.until("of export succeeded:");
    }
    assert_eq!(bytes(&place, "a.tar"), written, "{first}");
    service.stop().exits(0);
    assert_eq!(left_over(&place), [""; 0]);
}

#[test]
fn an_archive_can_have_the_day_in_its_name() {
    let (registry, place) = world();
    let host = registry.host();
    let rules = format!(
        "version: 1\nregistries:\n  {host}: {{tls: {{insecure: true, plain-http: true}}}}\nrules:\n  \
         - {{from: '{host}/a:v1', to: 'oci-archive:export-{{date}}.tar'}}\n  \
         - {{from: '{host}/b:v1', to: 'oci-archive:export-{{date}}.tar#quay.io/{{name}}'}}\n"
    );
    let place = place.file("sync.yaml", &rules);
    let day = || jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let before = day();
    place
        .run(&["--config", "sync.yaml"])
        .exits(0)
        .says("2 copied");
    if before != day() {
        // Midnight.
        return;
    }
    let archive = format!("oci-archive:export-{before}.tar");
    let listed = place.run(&["tags", &archive]).exits(0).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    place
        .run(&["--config", "sync.yaml"])
        .exits(0)
        .says("2 unchanged");
}
