//! `--failed-images`: the remaining images, given to `--images` again.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::{Action, Fault, Kind};

use crate::support::report::{images, report};
use crate::support::{Place, between, image, insecure, registry};

const FLAGS: [&str; 8] = [
    "--images",
    "images.yaml",
    "--auth",
    "auth.yaml",
    "--retries",
    "0",
    "--failed-images",
    "failed.json",
];

const AGAIN: [&str; 8] = [
    "--images",
    "failed.json",
    "--auth",
    "auth.yaml",
    "--report",
    "report.json",
    "--failed-images",
    "left.yaml",
];

fn failed(place: &Place) -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(&place.read("failed.json")).unwrap()
}

#[test]
fn a_second_run_copies_failed_images_with_no_other_request() {
    let (source, destination) = (registry(), registry());
    for tag in ["v1", "v2", "v3"] {
        source.push("a", Some(tag), &image(tag));
    }
    source.push("digest", None, &image("by digest"));
    source.push("listed", Some("v1"), &image("listed"));
    let digest = image("by digest").digest().to_owned();
    let refuse = |registry: &testkit::Registry, fault: Fault| {
        registry.fault(fault, Action::status(503));
    };
    refuse(&destination, Fault::on(Kind::ManifestPut).reference("v2"));
    refuse(
        &destination,
        Fault::on(Kind::ManifestPut).reference("renamed"),
    );
    refuse(
        &destination,
        Fault::on(Kind::ManifestPut).reference(&digest),
    );
    refuse(&source, Fault::on(Kind::Tags).repository("listed"));
    let rules = format!(
        "SRC/a: DST/a\nSRC/a:v1,v3: DST/b:kept,renamed\nSRC/digest@{digest}: DST/digest\nSRC/listed:/^v/: DST/listed\n"
    );
    let place = between(&source, &destination, &rules);
    place.run(&FLAGS).exits(1);
    let (from, to) = (source.host(), destination.host());
    let expected = [
        (format!("{from}/a:v2"), vec![format!("{to}/a:v2")]),
        (format!("{from}/a:v3"), vec![format!("{to}/b:renamed")]),
        (
            format!("{from}/digest@{digest}"),
            vec![format!("{to}/digest@{digest}")],
        ),
        (format!("{from}/listed:/^v/"), vec![format!("{to}/listed")]),
    ];
    assert_eq!(failed(&place), BTreeMap::from(expected));
    for registry in [&source, &destination] {
        registry.clear_faults();
    }
    place.run(&AGAIN).exits(0);
    let report = report(&place, "report.json");
    assert_eq!(report["images"].as_array().unwrap().len(), 4);
    let mut pairs = vec![
        format!("{from}/a:v2 → {to}/a:v2"),
        format!("{from}/a:v3 → {to}/b:renamed"),
        format!("{from}/digest@{digest} → {to}/digest@{digest}"),
        format!("{from}/listed:v1 → {to}/listed:v1"),
    ];
    pairs.sort();
    assert_eq!(images(&report, "copied"), pairs);
    assert_eq!(place.read("left.yaml").trim(), "{}");
}

#[test]
fn without_failures_the_list_is_empty() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a: DST/a\n");
    place.run(&FLAGS).exits(0);
    assert_eq!(place.read("failed.json"), "{}\n");
    let before = source.requests().len();
    place
        .run(&AGAIN)
        .exits(0)
        .says("no image is named. There is nothing to do.")
        .says("0 images");
    assert_eq!(source.requests().len(), before);
    assert_eq!(report(&place, "report.json")["rules"], json!([]));
}

#[test]
fn skipped_images_are_not_in_the_list() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &crate::support::index("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&[&FLAGS[..], &["--arch", "riscv64"]].concat())
        .exits(0);
    assert_eq!(place.read("failed.json"), "{}\n");
}

#[test]
fn a_sync_can_continue_a_copy() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    source.fault(Fault::on(Kind::ManifestGet), Action::status(503));
    let place = Place::new().file("auth.yaml", &insecure(&[&source, &destination]));
    let (from, to) = (source.host(), destination.host());
    place
        .run(&[
            "copy",
            &format!("{from}/a:v1"),
            &format!("{to}/b:v2"),
            "--auth",
            "auth.yaml",
            "--retries",
            "0",
            "--failed-images",
            "failed.json",
        ])
        .exits(1);
    source.clear_faults();
    place.run(&AGAIN).exits(0);
    destination.verify_complete("b", "v2").unwrap();
}
