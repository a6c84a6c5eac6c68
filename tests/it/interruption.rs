//! SIGINT, SIGTERM, SIGQUIT and SIGHUP end a run in order.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr};

use testkit::profile::{LinkForm, Paging, Profile, TagsRule};
use testkit::{Action, Fault, Gate, Image, Kind, Layer, Registry};

use crate::support::{Outcome, PATIENCE, World, assert_arrived, image, registry, signal};

/// A run with an image `a` whose manifest the destination holds until the gate opens, and with an image `done` that is
/// unchanged.
struct Held {
    world: World,
    gate: Gate,
    child: Child,
    stderr: BufReader<ChildStderr>,
    heard: String,
}

impl Held {
    fn start(arguments: &[&str]) -> Self {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), &image("a"));
        source.push("done", Some("v1"), &image("a"));
        destination.push("done", Some("v1"), &image("a"));
        Self::run(
            source,
            destination,
            "SRC/a:v1: DST/a\nSRC/done:v1: DST/done\n",
            arguments,
        )
    }

    fn run(source: Registry, destination: Registry, rules: &str, arguments: &[&str]) -> Self {
        let gate = Gate::new();
        let fault = Fault::on(Kind::ManifestPut).repository("a");
        destination.fault(fault, Action::Hold(gate.clone()));
        let world = World::of(source, destination, rules);
        let mut child = world
            .command(&[&["-v"], arguments].concat())
            .spawn()
            .unwrap();
        Self {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            heard: String::new(),
            world,
            gate,
            child,
        }
    }

    /// Waits until the manifest is at the gate, and the unchanged image is reported.
    fn until_held(mut self) -> Self {
        self.gate.wait(1, PATIENCE).unwrap();
        self.hear("unchanged");
        self
    }

    /// Sends a signal, and waits until the program prints `answer`.
    fn signal(mut self, name: &str, answer: &str) -> Self {
        signal(&self.child, name);
        self.hear(answer);
        self
    }

    /// Reads lines until one contains `text`.
    fn hear(&mut self, text: &str) {
        loop {
            let start = self.heard.len();
            let length = self.stderr.read_line(&mut self.heard).unwrap();
            assert!(length > 0, "no {text:?} in stderr:\n{}", self.heard);
            if self.heard[start..].contains(text) {
                return;
            }
        }
    }

    fn ends(&mut self) -> Outcome {
        self.stderr.read_to_string(&mut self.heard).unwrap();
        let status = self.child.wait().unwrap();
        Outcome {
            code: status.code().unwrap_or(-1),
            stdout: String::new(),
            stderr: std::mem::take(&mut self.heard),
        }
    }

    fn tags(&self) -> Vec<String> {
        self.world.destination.state().tags("a")
    }
}

#[test]
fn images_in_flight_finish_after_a_signal() {
    for (signal, name) in [
        ("-INT", "SIGINT"),
        ("-TERM", "SIGTERM"),
        ("-QUIT", "SIGQUIT"),
        ("-HUP", "SIGHUP"),
    ] {
        let answer = format!(
            "{name}: no further image starts; running images may go on for 25 s, until a second signal"
        );
        let mut held = Held::start(&[]).until_held().signal(signal, &answer);
        held.gate.open();
        held.ends()
            .exits(0)
            .says("2 images: 1 copied, 1 unchanged, 0 skipped, 0 failed")
            .does_not_say("interrupted");
        assert_arrived(&held.world.destination, "a", "v1", &image("a"));
    }
}

#[test]
fn images_that_did_not_start_are_reported_and_copied_by_the_next_run() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    source.push("b", Some("v1"), &image("b"));
    // The list of `b` never arrives.
    let list = Gate::new();
    source.fault(
        Fault::on(Kind::Tags).repository("b"),
        Action::Hold(list.clone()),
    );
    let rules = "SRC/a:v1: DST/a\nSRC/b: DST/b\n";
    let mut held = Held::run(source, destination, rules, &[]);
    held.gate.wait(1, PATIENCE).unwrap();
    list.wait(1, PATIENCE).unwrap();
    held = held.signal("-TERM", "no further image starts");
    held.gate.open();
    held.ends()
        .exits(130)
        .says("1 image: 1 copied, 0 unchanged, 0 skipped, 0 failed; 1 source not listed to the end")
        .says("run again to finish");
    assert_arrived(&held.world.destination, "a", "v1", &image("a"));
    held.world.source.clear_faults();
    held.world
        .place
        .run(&["--images", "images.yaml", "--auth", "auth.yaml"])
        .exits(0)
        .says("2 images: 1 copied, 1 unchanged");
    assert_arrived(&held.world.destination, "b", "v1", &image("b"));
}

/// Four rules, interrupted in the middle: all tags of `a` are known and one is not copied, a page of the tags of `b` is
/// missing, one of the two tags of `c` is not copied, and `d` has not started.
fn interrupted_in_the_middle() -> Held {
    let profile = Profile::distribution();
    let profile = Profile {
        tags: TagsRule {
            paging: Paging::Link(LinkForm::Relative),
            page_size: 2,
            ..profile.tags
        },
        ..profile
    };
    let source = Registry::builder().profile(profile).start_on_thread();
    let destination = registry();
    for name in ["a", "b", "c"] {
        for tag in ["v1", "v2", "v3"] {
            source.push(name, Some(tag), &image(&format!("{name}{tag}")));
        }
    }
    let page = Fault::on(Kind::Tags).repository("b").nth(2);
    source.fault(page, Action::Hold(Gate::new()));
    let held = Gate::new();
    for (name, tag) in [("b", "v2"), ("c", "v2")] {
        let fault = Fault::on(Kind::ManifestPut).repository(name).reference(tag);
        destination.fault(fault, Action::Hold(held.clone()));
    }
    let rules = "SRC/a:/^v[12]/: DST/a\nSRC/b: DST/b\nSRC/c:v1,v2: DST/c:one,v2\n";
    let mut run = Held::run(
        source,
        destination,
        rules,
        &[
            "--grace",
            "0",
            "--failed-images",
            "left.json",
            // These copies wait for the list of tags.
            "--no-referrers",
        ],
    );
    run.gate.wait(2, PATIENCE).unwrap();
    held.wait(2, PATIENCE).unwrap();
    for done in ["b:v1", "c:one"] {
        while !run.heard.contains(&format!("/{done}")) {
            run.hear("copied");
        }
    }
    run.signal("-INT", "running images are dropped")
}

#[test]
fn the_remaining_images_are_listed_exactly_and_their_run_has_no_warnings() {
    let mut run = interrupted_in_the_middle();
    run.ends().exits(130);
    let (from, to) = (run.world.source.host(), run.world.destination.host());
    let left: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&run.world.place.read("left.json")).unwrap();
    let pair =
        |source: &str, place: &str| (format!("{from}/{source}"), vec![format!("{to}/{place}")]);
    let expected = [
        pair("a:v1", "a:v1"),
        pair("a:v2", "a:v2"),
        pair("b", "b"),
        pair("c:v2", "c:v2"),
    ];
    assert_eq!(left, BTreeMap::from(expected));
    run.world.source.clear_faults();
    run.world.destination.clear_faults();
    let outcome = run
        .world
        .place
        .run(&["--images", "left.json", "--auth", "auth.yaml"])
        .exits(0);
    assert_eq!(outcome.lines("warning"), [""; 0], "{}", outcome.stderr);
    for (place, tag, name) in [
        ("a", "v1", "av1"),
        ("a", "v2", "av2"),
        ("b", "v1", "bv1"),
        ("b", "v2", "bv2"),
        ("b", "v3", "bv3"),
        ("c", "one", "cv1"),
        ("c", "v2", "cv2"),
    ] {
        assert_arrived(&run.world.destination, place, tag, &image(name));
    }
}

#[test]
pub(crate) fn images_are_aborted_after_the_grace_period() {
    for grace in ["0", "1"] {
        let answer = match grace {
            "0" => "running images are dropped",
            _ => "running images may go on for 1 s",
        };
        let mut held = Held::start(&["--grace", grace])
            .until_held()
            .signal("-INT", answer);
        let outcome = held
            .ends()
            .exits(130)
            .says("2 images: 0 copied, 1 unchanged, 0 skipped, 0 failed, 1 interrupted")
            .says("run again to finish")
            .does_not_say("hint:");
        assert_eq!(outcome.lines("interrupted").len(), 1);
        assert_eq!(held.tags(), [""; 0]);
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once_with_its_summary() {
    let day = ["--grace", "86400"];
    for second in ["-INT", "-TERM"] {
        let mut held = Held::start(&day)
            .until_held()
            .signal("-INT", "running images may go on for 86400 s")
            .signal(second, "running images are dropped");
        held.ends()
            .exits(130)
            .says("2 images: 0 copied, 1 unchanged, 0 skipped, 0 failed, 1 interrupted");
        assert_eq!(held.tags(), [""; 0]);
    }
}

#[test]
fn a_pause_beyond_the_grace_period_ends_at_once() {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("a"));
    // The pause is longer than any test waits, and ends at the signal all the same.
    source.fault(
        Fault::on(Kind::ManifestHead),
        Action::too_many_requests(800),
    );
    let mut held = Held::run(
        source,
        destination,
        "SRC/a:v1: DST/a\n",
        &["--grace", "700"],
    );
    held.hear("asks for a pause");
    held.signal("-TERM", "may go on for 700 s")
        .ends()
        .exits(130)
        .says("1 image: 0 copied, 0 unchanged, 0 skipped, 0 failed, 1 interrupted");
}

#[test]
fn a_blob_in_flight_finishes_after_a_signal() {
    let (source, destination) = (registry(), registry());
    let large = Image::single([Layer::synthetic(4 << 20, 1)]);
    source.push("large", Some("v1"), &large);
    let body = Gate::new();
    let fault = Fault::on(Kind::BlobGet).reference(large.blobs()[0].digest());
    source.fault(fault, Action::Hold(body.clone()));
    let mut held = Held::run(source, destination, "SRC/large:v1: DST/large\n", &[]);
    body.wait(1, PATIENCE).unwrap();
    held = held.signal("-INT", "no further image starts");
    body.open();
    held.ends().exits(0).says("1 image: 1 copied");
    assert_arrived(&held.world.destination, "large", "v1", &large);
}
