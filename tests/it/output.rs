//! Output to stdout, stderr and files.

use std::process::Stdio;

use serde_json::json;
use testkit::Registry;

use crate::support::program::normalised;
use crate::support::report::assert_valid;
use crate::support::{FILES, Outcome, Place, between, image, insecure, registry};

/// Returns a source with `a:v1` and `a:v2`, a destination, and the rules to copy both.
fn two() -> (Registry, Registry, Place) {
    let (source, destination) = (registry(), registry());
    source.push("a", Some("v1"), &image("1"));
    source.push("a", Some("v2"), &image("2"));
    let place = between(&source, &destination, "SRC/a: DST/b\n");
    (source, destination, place)
}

fn run(place: &Place, arguments: &[&str]) -> Outcome {
    place.run(&[&FILES[..], arguments].concat())
}

#[test]
fn a_run_prints_one_line_per_image() {
    let (source, destination, place) = two();
    source.state().untag("a", "v2");
    let hosts = [
        (source.host(), "source.example"),
        (destination.host(), "destination.example"),
    ];
    let hosts: Vec<(&str, &str)> = hosts.iter().map(|(host, name)| (&**host, *name)).collect();
    let first = run(&place, &["--no-referrers"]).exits(0);
    insta::assert_snapshot!("first_run", normalised(&first.stderr, &hosts));
    let second = run(&place, &["--no-referrers"]).exits(0);
    insta::assert_snapshot!("second_run", normalised(&second.stderr, &hosts));
    source
        .state()
        .remove_blob("a", image("3").blobs()[0].digest());
    source.state().tag("a", "v3", image("3").digest());
    let third = run(&place, &["--no-referrers"]).exits(1);
    let mut lines: Vec<String> = normalised(&third.stderr, &hosts)
        .lines()
        .map(str::to_owned)
        .collect();
    // The destination may answer before the source refuses, or the request is aborted: one request more or less.
    for line in &mut lines {
        if line.ends_with(" requests, 0 retries") {
            "4 or 5 requests, 0 retries".clone_into(line);
        } else if line.starts_with("  destination.example: ") {
            "  destination.example: 1 or 2 requests".clone_into(line);
        } else if line.starts_with("  source.example: ") {
            "  source.example: 3 requests".clone_into(line);
        }
    }
    insta::assert_snapshot!("failed_run", lines.join("\n"));
}

#[test]
fn unchanged_images_have_a_line_with_verbose_only() {
    let (_source, _destination, place) = two();
    run(&place, &[]).exits(0);
    for (arguments, lines) in [
        (&[][..], 0),
        (&["-v"], 2),
        (&["-v", "--log", "log"], 0),
        (&["-vv"], 2),
        (&["-q"], 0),
    ] {
        let outcome = run(&place, arguments).exits(0);
        assert_eq!(outcome.lines("unchanged").len(), lines, "{arguments:?}");
        // Only -vv shows requests.
        let requests = outcome.stderr.contains("/manifests/v1 200 ");
        assert_eq!(requests, arguments == ["-vv"], "{arguments:?}");
    }
    // The log always has them, and no requests.
    run(&place, &["--log", "another"]).exits(0);
    for log in ["log", "another"] {
        let log = place.read(log);
        assert_eq!(log.matches(" INFO unchanged ").count(), 2, "{log}");
        assert!(!log.contains("DEBUG"), "{log}");
    }
}

#[test]
fn quiet_prints_nothing_for_a_good_run_and_every_failure() {
    let (source, _destination, place) = two();
    assert_eq!(run(&place, &["--quiet"]).exits(0).stderr, "");
    source
        .state()
        .tag("a", "v3", image("never pushed").digest());
    let outcome = run(&place, &["-q"])
        .exits(1)
        .says("1 failed")
        .says("hint: ");
    assert!(outcome.lines("unchanged").is_empty());
}

#[test]
fn verbose_logs_every_request_without_its_query() {
    let (source, destination, place) = two();
    let outcome = run(&place, &["-vv"]).exits(0);
    let get = format!("GET http://{}/v2/a/manifests/v1 200", source.host());
    assert!(
        outcome.stderr.contains(&get),
        "no {get:?} in:\n{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("POST http://"));
    assert!(!outcome.stderr.contains("digest="));
    let requests = source.requests().len() + destination.requests().len();
    let logged = outcome
        .stderr
        .lines()
        .filter(|line| line.contains(" http://"))
        .count();
    assert_eq!(logged, requests);
    outcome.says(&format!("{requests} requests, 0 retries"));
}

#[test]
fn a_log_file_gets_all_lines_and_stderr_keeps_warnings_and_failures() {
    let (source, _destination, place) = two();
    source
        .state()
        .tag("a", "v3", image("never pushed").digest());
    let outcome = run(&place, &["--log", "sync.log"]).exits(1);
    assert_eq!(
        (outcome.lines("copied").len(), outcome.lines("failed").len()),
        (0, 1)
    );
    assert!(outcome.stderr.contains("3 images: 2 copied"));
    let log = place.read("sync.log");
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(lines(" INFO copied "), 2, "{log}");
    assert_eq!(lines("ERROR failed "), 1, "{log}");
    assert_eq!(lines("3 images: 2 copied"), 1, "{log}");
    assert!(!log.contains('\u{1b}'), "no colours in a file");
    // A second run appends.
    run(&place, &["--log", "sync.log"]).exits(1);
    assert!(place.read("sync.log").starts_with(&log));
}

#[test]
fn successes_include_images_copied_now_and_before() {
    let (source, destination, place) = two();
    run(&place, &[]).exits(0);
    source.push("a", Some("v3"), &image("3"));
    source
        .state()
        .tag("a", "broken", image("never pushed").digest());
    let (from, to) = (source.host(), destination.host());
    let expected = json!({
        format!("{from}/a:v1"): [format!("{to}/b:v1")],
        format!("{from}/a:v2"): [format!("{to}/b:v2")],
        format!("{from}/a:v3"): [format!("{to}/b:v3")],
    });
    run(
        &place,
        &[
            "--output-success-images",
            "out",
            "--output-images-format",
            "json",
        ],
    )
    .exits(1);
    let written: serde_json::Value = serde_json::from_str(&place.read("out")).unwrap();
    assert_eq!(written, expected);
    run(&place, &["--output-success-images", "out"]).exits(1);
    let lines = ["v1", "v2", "v3"].map(|tag| format!("\"{from}/a:{tag}\":\n- {to}/b:{tag}\n"));
    assert_eq!(place.read("out"), lines.concat());
    // There is no other file beside it; the records are below the home, which is this directory.
    let files = std::fs::read_dir(place.path("")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".local", "auth.yaml", "images.yaml", "out"]);
}

#[test]
fn a_run_without_successes_writes_an_empty_map() {
    let (source, _destination, place) = two();
    source.state().remove_repository("a");
    run(&place, &["--output-success-images", "out"]).exits(1);
    assert_eq!(place.read("out").trim(), "{}");
}

#[test]
fn a_closed_pipe_stops_nothing() {
    let (_source, destination, place) = two();
    let mut child = place
        .command(&FILES)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    destination.verify_complete("b", "v1").unwrap();
    destination.verify_complete("b", "v2").unwrap();
}

#[test]
fn a_tag_that_had_another_image_is_reported_as_updated() {
    let (source, destination, place) = two();
    source.state().untag("a", "v2");
    destination.push("b", Some("v1"), &image("old"));
    let short = |name: &str| image(name).digest()[7..19].to_owned();
    let outcome = run(&place, &["--report", "report.json"]).exits(0);
    let lines = outcome.lines("updated");
    let expected = format!(
        "{}/a:v1 → {}/b:v1  {} → {}, ",
        source.host(),
        destination.host(),
        short("old"),
        short("1")
    );
    assert_eq!(lines.len(), 1, "{}", outcome.stderr);
    assert!(lines[0].contains(&expected), "{}", lines[0]);
    outcome
        .says("1 image: 1 copied, 0 unchanged")
        .says("\n1 tag updated: it had another image before\n");
    let report: serde_json::Value = serde_json::from_str(&place.read("report.json")).unwrap();
    assert_valid(&report);
    assert_eq!(report["images"][0]["replaced"], image("old").digest());
    assert_eq!(
        (&report["summary"]["copied"], &report["summary"]["updated"]),
        (&json!(1), &json!(1))
    );
    // A new image is no update.
    source.push("a", Some("v3"), &image("3"));
    let outcome = run(&place, &[]).exits(0);
    assert_eq!(outcome.lines("copied").len(), 1);
    assert!(!outcome.stderr.contains("updated"), "{}", outcome.stderr);
}

#[test]
fn a_killed_run_leaves_no_file_beside_its_outputs() {
    let source = registry();
    source.push("team/app", Some("v1"), &image("app"));
    source.fault(testkit::Fault::on_any(), testkit::Action::StallBeforeAnswer);
    let rule = format!("{0}/team/app:v1: {0}/mirror/app\n", source.host());
    let place = Place::new()
        .file("images.yaml", &rule)
        .file("auth.yaml", &insecure(&[&source]));
    std::fs::create_dir(place.path("out")).unwrap();
    let files = ["--images", "images.yaml", "--auth", "auth.yaml"];
    let outputs = [
        "--report",
        "out/report.json",
        "--failed-images",
        "out/failed.yaml",
        "--output-success-images",
        "out/copied.yaml",
    ];
    let mut command = place.command(&[&files[..], &outputs].concat());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    while source.count(|_| true) == 0 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = place.path("out").read_dir().unwrap().count();
    assert_eq!(left, 0);
}
