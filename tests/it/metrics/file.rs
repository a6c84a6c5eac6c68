//! The file of `--metrics`.

use std::os::unix::fs::PermissionsExt as _;

use testkit::{Action, Fault, Gate, Kind};

use super::MetricsWorld;
use super::parser::{Parser, Sample};
use crate::support::{Outcome, PATIENCE, image, signal};

const RUN: [&str; 4] = ["--config", "sync.yaml", "--metrics", "nightly.prom"];

const RULES: &str = "  - {name: good, from: SRC/a, tags: [v1, v2], to: DST/b/good}\n  \
    - {name: 'bad \"one\"\\two', from: SRC/a, tags: [v1], to: DST/b/bad}\n";

fn world() -> MetricsWorld {
    let world = MetricsWorld::new(RULES);
    for tag in ["v1", "v2"] {
        world.source.push("a", Some(tag), &image(tag));
    }
    world
}

/// Runs a command and returns the samples of its file.
fn run(world: &MetricsWorld, code: i32, words: &[&str]) -> Vec<Sample> {
    world.place.run(&[words, &RUN].concat()).exits(code);
    let text = world.named(&world.place.read("nightly.prom"));
    Parser::Prometheus.parse(&text)
}

/// Returns the value of the only sample with this name and these labels.
#[track_caller]
fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let labels = labels.collect::<Vec<_>>();
    let mut found = samples.iter().filter(|sample| {
        sample.name == name
            && labels
                .iter()
                .all(|(name, value)| sample.labels.get(name) == Some(value))
    });
    let first = found.next().map(|sample| sample.value);
    assert!(found.next().is_none(), "{name} {labels:?} occurs twice");
    first
}

#[test]
pub(crate) fn a_run_writes_its_results_for_each_rule_and_registry() {
    if !Parser::is_installed() {
        return;
    }
    let world = world();
    world.destination.fault(
        Fault::on(Kind::ManifestPut).repository("b/bad"),
        Action::error(403, "DENIED", "no"),
    );
    let samples = run(&world, 1, &[]);
    let bad = "bad \"one\"\\two";
    let number = |name: &str, labels: &[(&str, &str)]| {
        let name = format!("image_syncer_{name}");
        value(&samples, &name, labels)
    };
    let images =
        |rule: &str, outcome: &str| number("images_total", &[("rule", rule), ("outcome", outcome)]);
    assert_eq!(images("good", "copied"), Some(2.0));
    assert_eq!(images("good", "failed"), Some(0.0));
    assert_eq!(images(bad, "failed"), Some(1.0));
    let runs = |rule: &str, result: &str| {
        let labels = [("rule", rule), ("cause", "command"), ("result", result)];
        number("runs_total", &labels)
    };
    assert_eq!(runs("good", "succeeded"), Some(1.0));
    assert_eq!(
        (runs(bad, "failed"), runs(bad, "succeeded")),
        (Some(1.0), None)
    );
    assert_eq!(
        number("rule_last_run_failed_images", &[("rule", "good")]),
        Some(0.0)
    );
    assert_eq!(
        number("rule_last_run_failed_images", &[("rule", bad)]),
        Some(1.0)
    );
    let success = |rule: &str| number("rule_last_success_timestamp_seconds", &[("rule", rule)]);
    assert!(success("good").is_some_and(|time| time > 1_700_000_000.0));
    assert_eq!(success(bad), None);
    assert_eq!(
        number("run_duration_seconds_count", &[("rule", "good")]),
        Some(1.0)
    );

    for (name, registry) in [("SRC", &world.source), ("DST", &world.destination)] {
        let requests = samples.iter().filter(|sample| {
            sample.name == "image_syncer_registry_requests_total"
                && sample.labels["registry"] == name
        });
        let requests: f64 = requests.map(|sample| sample.value).sum();
        assert_eq!(requests.to_string(), registry.requests().len().to_string());
    }
    let denied = [("registry", "DST"), ("method", "PUT"), ("status", "4xx")];
    assert_eq!(number("registry_requests_total", &denied), Some(1.0));
    let received = [("registry", "SRC"), ("direction", "received")];
    let sent = [("registry", "DST"), ("direction", "sent")];
    for labels in [received, sent] {
        let bytes = number("transferred_bytes_total", &labels).unwrap();
        assert!(bytes > 5_000.0, "{labels:?}: {bytes}");
    }
    assert!(number("registry_window", &[("registry", "SRC"), ("kind", "calls")]).is_some());
    // The label of all series is the name of the file, and the collector has metrics of a process itself.
    assert!(
        samples
            .iter()
            .all(|sample| sample.labels["file"] == "nightly")
    );
    assert!(
        samples
            .iter()
            .all(|sample| sample.name.starts_with("image_syncer_"))
    );
    let mode = world
        .place
        .path("nightly.prom")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o444, 0o444, "{mode:o}");
}

#[test]
fn a_failed_run_keeps_the_time_of_the_last_success() {
    if !Parser::is_installed() {
        return;
    }
    let world = world();
    let name = "image_syncer_rule_last_success_timestamp_seconds";
    let rules = ["good", "bad \"one\"\\two"];
    let times = |samples: &[Sample]| rules.map(|rule| value(samples, name, &[("rule", rule)]));
    let first = times(&run(&world, 0, &[]));
    assert!(first.iter().all(Option::is_some));
    // A minute earlier, so that a new time differs.
    let earlier = first[0].unwrap() - 60.0;
    let text = world.place.read("nightly.prom");
    let text = text.replace(
        &format!(" {}\n", first[0].unwrap()),
        &format!(" {earlier}\n"),
    );
    let text = text.replace(
        &format!(" {}\n", first[1].unwrap()),
        &format!(" {earlier}\n"),
    );
    std::fs::write(world.place.path("nightly.prom"), text).unwrap();
    world.destination.fault(
        Fault::on([Kind::ManifestHead, Kind::ManifestGet, Kind::ManifestPut]).repository("b/bad"),
        Action::error(403, "DENIED", "no"),
    );
    let second = times(&run(&world, 1, &[]));
    assert_eq!(second[1], Some(earlier));
    assert!(second[0] > Some(earlier));
    // A comparison is no success, and not a failure of the rule either.
    let samples = run(&world, 1, &["check"]);
    assert_eq!(times(&samples), second);
    assert_eq!(
        value(
            &samples,
            "image_syncer_rule_last_run_failed_images",
            &[("rule", "good")]
        ),
        None
    );
}

#[test]
fn an_interrupted_rule_is_not_a_success() {
    if !Parser::is_installed() {
        return;
    }
    let world = world();
    let gate = Gate::new();
    let held = Action::Hold(gate.clone());
    world.source.fault(Fault::on(Kind::BlobGet).always(), held);
    let words = [&RUN[..], &["--grace", "0"]].concat();
    let child = world.place.command(&words).spawn().unwrap();
    gate.wait(1, PATIENCE).unwrap();
    signal(&child, "-TERM");
    Outcome::of(child.wait_with_output().unwrap()).exits(130);
    let samples = Parser::Prometheus.parse(&world.place.read("nightly.prom"));
    let labels = [("rule", "good"), ("result", "interrupted")];
    assert_eq!(
        value(&samples, "image_syncer_runs_total", &labels),
        Some(1.0)
    );
    let success = "image_syncer_rule_last_success_timestamp_seconds";
    assert!(samples.iter().all(|sample| sample.name != success));
}

#[test]
fn ten_thousand_rules_have_five_hundred_and_one_labels() {
    if !Parser::is_installed() {
        return;
    }
    let rule = |number: usize| {
        format!("  - {{name: rule {number}, from: SRC/a, tags: [v1], to: DST/b/{number}}}\n")
    };
    let rules: String = (0..10_000).map(rule).collect();
    let world = MetricsWorld::new(&rules);
    world.source.push("a", Some("v1"), &image("v1"));
    let samples = run(&world, 3, &["check", "--quiet"]);
    let mut labels: Vec<&str> = samples
        .iter()
        .filter_map(|sample| sample.labels.get("rule"))
        .map(String::as_str)
        .collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), 501);
    assert!((0..500).all(|number| labels.contains(&&*format!("rule {number}"))));
    let different = |rule: &str| {
        let labels = [("rule", rule), ("outcome", "different")];
        value(&samples, "image_syncer_images_total", &labels)
    };
    assert_eq!(different("rule 499"), Some(1.0));
    assert_eq!(different("other"), Some(9_500.0));
    // For each rule: a run, a histogram of 9 buckets with infinity, sum and count, and 6 outcomes.
    let of_rules = samples
        .iter()
        .filter(|sample| sample.labels.contains_key("rule"));
    assert_eq!(of_rules.count(), 501 * (1 + (9 + 3) + 6));
}

#[test]
fn the_file_is_no_other_output_and_no_input() {
    let world = world();
    for (words, other) in [
        (&["--report", "nightly.prom"][..], "--report nightly.prom"),
        (&["--log", "nightly.prom"], "--log nightly.prom"),
        (
            &["--failed-images", "./nightly.prom"],
            "--failed-images ./nightly.prom",
        ),
    ] {
        let outcome = world.place.run(&[&RUN[..], words].concat()).exits(2);
        let both = [
            format!("--metrics nightly.prom: this is the same file as {other}"),
            format!("{other}: this is the same file as --metrics nightly.prom"),
        ];
        assert!(
            both.iter().any(|text| outcome.stderr.contains(text)),
            "{}",
            outcome.stderr
        );
    }
    let before = world.place.read("sync.yaml");
    for command in [&[][..], &["plan"], &["check"]] {
        let words = [
            command,
            &["--config", "sync.yaml", "--metrics", "sync.yaml"],
        ]
        .concat();
        let text = "--metrics sync.yaml: this is the same file as --config sync.yaml";
        world.place.run(&words).exits(2).says(text);
        assert_eq!(world.place.read("sync.yaml"), before);
    }
}

#[test]
#[cfg(feature = "share")]
pub(crate) fn a_worker_writes_what_it_did() {
    use crate::support::postgres::Postgres;
    if !Parser::is_installed() || !Postgres::is_installed() {
        return;
    }
    let mut world = world();
    world.place = world.place.variable("IMAGE_SYNCER_TEST_LEASE", "1");
    let server = Postgres::start();
    let url = server.url();
    let files = ["--config", "sync.yaml", "--no-records", "--share", &url];
    // The process that begins the run is lost with the first image.
    let gate = Gate::new();
    let held = Fault::on(Kind::ManifestPut).nth(1);
    world.destination.fault(held, Action::Hold(gate.clone()));
    let mut lost = world.place.command(&files).spawn().unwrap();
    gate.wait(1, PATIENCE).unwrap();
    lost.kill().unwrap();
    lost.wait().unwrap();
    gate.open();
    let before = world.source.requests().len();
    let work = ["work", "--idle", "3s", "--metrics", "worker.prom"];
    world.place.run(&[&work, &files[..]].concat()).exits(0);
    let text = world.named(&world.place.read("worker.prom"));
    let samples = Parser::Prometheus.parse(&text);
    let sum = |name: &str, label: (&str, &str)| {
        let named = samples.iter().filter(|sample| {
            sample.name == format!("image_syncer_{name}") && sample.labels[label.0] == label.1
        });
        named.map(|sample| sample.value).sum::<f64>().to_string()
    };
    assert_eq!(sum("images_total", ("rule", "good")), "2");
    assert_eq!(sum("images_total", ("rule", "bad \"one\"\\two")), "1");
    let own = world.source.requests().len() - before;
    let requests = sum("registry_requests_total", ("registry", "SRC"));
    assert_eq!(requests, own.to_string());
    // Runs belong to the process that began them.
    let runs = samples
        .iter()
        .filter(|it| it.name == "image_syncer_runs_total");
    assert_eq!(runs.count(), 0);
    assert!(
        samples
            .iter()
            .all(|sample| sample.labels["file"] == "worker")
    );
}
