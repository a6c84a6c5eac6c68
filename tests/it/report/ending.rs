//! Reports of runs that were interrupted or killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr};

use serde_json::json;
use testkit::{Action, Fault, Gate, Kind};

use super::FLAGS;
use crate::support::report::{images, report};
use crate::support::{PATIENCE, World, between, image, registry, signal};

/// A run whose first image is copied, and whose second one waits for the answer to its manifest.
struct Held {
    world: World,
    gate: Gate,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Held {
    fn start() -> Self {
        let rules = "SRC/a:v1: DST/a\nSRC/b:v1: DST/b\n";
        let world = World::new(rules)
            .with("a", "v1", &image("a"))
            .with("b", "v1", &image("b"));
        let gate = Gate::new();
        let fault = Fault::on(Kind::ManifestPut).repository("b");
        world.destination.fault(fault, Action::Hold(gate.clone()));
        let grace = ["--grace", "86400", "--failed-images", "failed.yaml"];
        let mut child = world
            .place
            .command(&[&FLAGS[..], &grace].concat())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut held = Self {
            world,
            gate,
            child,
            stderr,
        };
        held.hear("copied");
        held.gate.wait(1, PATIENCE).unwrap();
        held
    }

    fn hear(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "no {text:?}");
        }
    }

    fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    fn pair(&self, name: &str) -> String {
        self.world
            .with_hosts(&format!("SRC/{name}:v1 → DST/{name}:v1"))
    }
}

#[test]
fn an_interrupted_run_writes_an_incomplete_report() {
    let mut held = Held::start();
    held.signal("-INT");
    held.hear("no further image starts");
    held.signal("-INT");
    assert_eq!(held.child.wait().unwrap().code(), Some(130));
    let report = report(&held.world.place, "report.json");
    assert_eq!(images(&report, "copied"), [held.pair("a")]);
    assert_eq!(images(&report, "interrupted"), [held.pair("b")]);
    assert_eq!(report["complete"], false);
    assert_eq!(report["exit_code"], 130);
    assert_eq!(report["summary"]["interrupted"], 1);
    let (from, to) = (held.world.source.host(), held.world.destination.host());
    let left = format!("\"{from}/b:v1\":\n- {to}/b:v1\n");
    assert_eq!(held.world.place.read("failed.yaml"), left);
}

#[test]
fn a_run_that_may_finish_after_a_signal_is_complete() {
    let mut held = Held::start();
    held.signal("-INT");
    held.hear("no further image starts");
    held.gate.open();
    assert_eq!(held.child.wait().unwrap().code(), Some(0));
    let report = report(&held.world.place, "report.json");
    assert_eq!(report["complete"], true);
    assert_eq!(images(&report, "copied"), [held.pair("a"), held.pair("b")]);
}

#[test]
fn a_killed_run_leaves_the_old_report() {
    let mut held = Held::start();
    std::fs::write(held.world.place.path("report.json"), "before").unwrap();
    held.child.kill().unwrap();
    held.child.wait().unwrap();
    assert_eq!(held.world.place.read("report.json"), "before");
}

#[test]
fn a_report_that_cannot_replace_its_file_fails_the_run_and_loses_nothing() {
    let mut held = Held::start();
    std::fs::create_dir(held.world.place.path("report.json")).unwrap();
    held.gate.open();
    held.hear("2 images: 2 copied");
    held.hear("report.json: cannot write the file: ");
    assert_eq!(held.child.wait().unwrap().code(), Some(1));
    held.world.destination.verify_complete("b", "v1").unwrap();
}

#[test]
fn a_full_disk_is_reported_at_the_end() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    for (flag, word) in [
        ("--report", "1 copied"),
        ("--failed-images", "1 unchanged"),
        ("--output-success-images", "1 unchanged"),
    ] {
        let outcome = place.run(&[&FLAGS[..4], &[flag, "/dev/full"]].concat());
        outcome
            .exits(1)
            .says(word)
            .says(&format!("{flag} /dev/full: cannot write the file: "))
            .says("no space is left on the device");
    }
    destination.verify_complete("a", "v1").unwrap();
}

#[test]
fn a_report_in_a_missing_directory_is_refused_before_any_request() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    place
        .run(&[&FLAGS[..4], &["--report", "no/such/report.json"]].concat())
        .exits(2)
        .says("--report no/such/report.json: cannot write the file: ");
    assert_eq!(source.requests().len() + destination.requests().len(), 0);
}

#[test]
fn a_pipe_receives_a_report() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = between(&source, &destination, "SRC/a:v1: DST/a\n");
    let outcome = place
        .run(&[&FLAGS[..4], &["--report", "/dev/stdout"]].concat())
        .exits(0);
    let report = serde_json::from_str(&outcome.stdout).unwrap();
    crate::support::report::assert_valid(&report);
    assert_eq!(report["summary"]["copied"], json!(1));
}
