//! Reports of runs that were interrupted or killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command};

use serde_json::json;
use testkit::{Action, Fault, Gate, Kind, Registry};

use super::{FLAGS, place};
use crate::support::report::{images, report};
use crate::support::{PATIENCE, Place, image, registry};

/// A run whose first image is copied, and whose second one waits for the answer to its manifest.
struct Held {
    destination: Registry,
    source: Registry,
    gate: Gate,
    place: Place,
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Held {
    fn start() -> Self {
        let (source, destination) = (registry(), registry());
        for name in ["a", "b"] {
            source.push(name, Some("v1"), &image(name));
        }
        let gate = Gate::new();
        let fault = Fault::on(Kind::ManifestPut).repository("b");
        destination.fault(fault, Action::Hold(gate.clone()));
        let place = place(&source, &destination, "SRC/a:v1: DST/a\nSRC/b:v1: DST/b\n");
        let grace = ["--grace", "86400", "--failed-images", "failed.yaml"];
        let mut child = place
            .command(&[&FLAGS[..], &grace].concat())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut held = Self {
            destination,
            source,
            gate,
            place,
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
        let arguments = [name, &self.child.id().to_string()];
        let status = Command::new("kill").args(arguments).status();
        assert!(status.unwrap().success());
    }

    fn pair(&self, name: &str) -> String {
        let (from, to) = (self.source.host(), self.destination.host());
        format!("{from}/{name}:v1 → {to}/{name}:v1")
    }
}

#[test]
fn an_interrupted_run_writes_an_incomplete_report() {
    let mut held = Held::start();
    held.signal("-INT");
    held.hear("no further image is begun");
    held.signal("-INT");
    assert_eq!(held.child.wait().unwrap().code(), Some(130));
    let report = report(&held.place, "report.json");
    assert_eq!(images(&report, "copied"), [held.pair("a")]);
    assert_eq!(images(&report, "interrupted"), [held.pair("b")]);
    assert_eq!(report["complete"], false);
    assert_eq!(report["exit_code"], 130);
    assert_eq!(report["summary"]["interrupted"], 1);
    let (from, to) = (held.source.host(), held.destination.host());
    let left = format!("\"{from}/b:v1\":\n- {to}/b:v1\n");
    assert_eq!(held.place.read("failed.yaml"), left);
}

#[test]
fn a_run_that_may_finish_after_a_signal_is_complete() {
    let mut held = Held::start();
    held.signal("-INT");
    held.hear("no further image is begun");
    held.gate.open();
    assert_eq!(held.child.wait().unwrap().code(), Some(0));
    let report = report(&held.place, "report.json");
    assert_eq!(report["complete"], true);
    assert_eq!(images(&report, "copied"), [held.pair("a"), held.pair("b")]);
}

#[test]
fn a_killed_run_leaves_the_old_report() {
    let mut held = Held::start();
    std::fs::write(held.place.path("report.json"), "before").unwrap();
    held.child.kill().unwrap();
    held.child.wait().unwrap();
    assert_eq!(held.place.read("report.json"), "before");
}

#[test]
fn a_report_that_cannot_replace_its_file_fails_the_run_and_loses_nothing() {
    let mut held = Held::start();
    std::fs::create_dir(held.place.path("report.json")).unwrap();
    held.gate.open();
    held.hear("2 images: 2 copied");
    held.hear("report.json: cannot write the file: ");
    assert_eq!(held.child.wait().unwrap().code(), Some(1));
    held.destination.verify_complete("b", "v1").unwrap();
}

#[test]
fn a_full_disk_is_reported_at_the_end() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    let place = place(&source, &destination, "SRC/a:v1: DST/a\n");
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
    let place = place(&source, &destination, "SRC/a:v1: DST/a\n");
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
    let place = place(&source, &destination, "SRC/a:v1: DST/a\n");
    let outcome = place
        .run(&[&FLAGS[..4], &["--report", "/dev/stdout"]].concat())
        .exits(0);
    let report = serde_json::from_str(&outcome.stdout).unwrap();
    crate::support::report::assert_valid(&report);
    assert_eq!(report["summary"]["copied"], json!(1));
}
