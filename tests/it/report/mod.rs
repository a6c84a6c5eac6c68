//! `--report`: the results of a run for other programs.

mod again;
mod ending;

use serde_json::{Value, json};

use crate::support::report::{images, report};
use crate::support::{Outcome, Place, between, image, registry};

const FLAGS: [&str; 6] = [
    "--images",
    "images.yaml",
    "--auth",
    "auth.yaml",
    "--report",
    "report.json",
];

fn run(place: &Place, code: i32, arguments: &[&str]) -> (Outcome, Value) {
    let outcome = place.run(&[&FLAGS[..], arguments].concat()).exits(code);
    (outcome, report(place, "report.json"))
}

#[test]
fn every_image_occurs_once_and_the_totals_add_up() {
    let (source, destination) = (registry(), registry());
    for tag in ["v1", "v2"] {
        source.push("a", Some(tag), &image(tag));
    }
    source.state().tag("a", "v3", image("lost").digest());
    let rules = "SRC/a: DST/b\nSRC/none:/^v/: DST/b\n";
    let place = between(&source, &destination, rules);
    source.push("none", Some("x"), &image("v1"));
    let (_, first) = run(&place, 1, &["--no-referrers"]);
    let (from, to) = (source.host(), destination.host());
    let pair = |tag: &str| format!("{from}/a:{tag} → {to}/b:{tag}");
    assert_eq!(images(&first, "copied"), [pair("v1"), pair("v2")]);
    assert_eq!(images(&first, "failed"), [pair("v3")]);
    assert_eq!(first["command"], "sync");
    assert_eq!(
        (&first["complete"], &first["exit_code"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(first["rules"][0]["found"], 3);
    assert_eq!(first["rules"][0]["line"], 1);
    assert_eq!(
        first["rules"][1]["empty"],
        "the only tag does not match /^v/"
    );
    let failure = &first["images"].as_array().unwrap().iter();
    let failure = failure.clone().find(|image| image["outcome"] == "failed");
    let failure = &failure.unwrap()["failure"];
    assert_eq!(
        (&failure["side"], &failure["host"]),
        (&json!("source"), &json!(from))
    );
    assert_eq!(
        (&failure["kind"], &failure["tries"]),
        (&json!("not-found"), &json!(1))
    );
    assert!(failure["hint"].is_string());
    let (_, second) = run(&place, 1, &["--no-referrers"]);
    assert_eq!(images(&second, "unchanged"), [pair("v1"), pair("v2")]);
    let evident = |image: &&Value| image["evidence"] == "registry";
    let all = second["images"].as_array().unwrap();
    assert_eq!(all.iter().filter(evident).count(), 2);
}

#[test]
fn hosts_and_bytes_agree_with_the_registries() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let rules = "SRC/a:v1: [DST/b, DST/c]\n";
    let place = between(&source, &destination, rules);
    let (_, report) = run(&place, 0, &[]);
    let requests = |host: String| {
        let hosts = report["hosts"].as_array().unwrap().iter();
        let mut hosts = hosts.filter(|entry| entry["host"] == host);
        hosts.next().unwrap()["requests"].clone()
    };
    assert_eq!(requests(source.host()), source.requests().len());
    assert_eq!(requests(destination.host()), destination.requests().len());
    let summary = &report["summary"];
    let received = destination.bytes_received();
    assert_eq!(summary["sent_bytes"], received);
    assert_eq!(summary["volume"]["bytes"], received);
    assert_eq!(summary["fetched_bytes"], image("a").blob_bytes());
}

#[test]
fn a_skipped_image_has_a_reason() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &crate::support::index("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    let (_, report) = run(&place, 0, &["--arch", "riscv64"]);
    assert_eq!(report["images"][0]["outcome"], "skipped");
    assert!(report["images"][0]["why"].is_string());
}

#[test]
fn a_copy_has_a_report_as_well() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let (from, to) = (source.host(), destination.host());
    let place = Place::new();
    let (from, to) = (format!("{from}/a:v1"), format!("{to}/b:v2"));
    let insecure = format!("{},{}", source.host(), destination.host());
    let flags = [
        "copy",
        &from,
        &to,
        "--insecure",
        &insecure,
        "--report",
        "r.json",
    ];
    place.run(&flags).exits(0);
    let report = report(&place, "r.json");
    assert_eq!(report["command"], "copy");
    assert_eq!(images(&report, "copied"), [format!("{from} → {to}")]);
}
