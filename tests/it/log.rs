//! Lines of the log, in both formats, in a file and on stderr.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::{Action, Answer, Fault, Kind};

use crate::support::{FILES, Outcome, Place, World, image, insecure, registry};

/// Returns a source with `a:v1` and `a:v2`, a destination, and a rule for all tags.
fn two() -> World {
    World::new("SRC/a: DST/b\n")
        .with("a", "v1", &image("1"))
        .with("a", "v2", &image("2"))
}

/// Parses every line as one object.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    text.lines().map(parse).collect()
}

/// Returns the lines about requests.
fn requests(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line.get("method").is_some())
        .collect()
}

fn keys(line: &Value) -> Vec<&str> {
    line.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_line_of_json_is_one_flat_object_with_the_fields_in_their_order() {
    let two = two();
    two.run(&["--log", "log", "--log-format", "json"]).exits(0);
    let lines = objects(&two.place.read("log"));
    let copied: Vec<&Value> = lines
        .iter()
        .filter(|line| line["outcome"] == "copied")
        .collect();
    assert_eq!(copied.len(), 2);
    let names = [
        "timestamp",
        "level",
        "message",
        "outcome",
        "rule",
        "source",
        "destination",
    ];
    let form = regex::Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$").unwrap();
    for line in copied {
        assert_eq!(keys(line), names);
        assert_eq!(line["level"], "info");
        assert_eq!(line["rule"], two.with_hosts("SRC/a"));
        let source = line["source"].as_str().unwrap();
        assert!(source.starts_with(&format!("{}/a:v", two.source.host())));
        let tag = source.rsplit(':').next().unwrap();
        assert_eq!(
            line["destination"],
            format!("{}/b:{tag}", two.destination.host())
        );
        let message = line["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("{source} → ")), "{message}");
        let time = line["timestamp"].as_str().unwrap();
        assert!(form.is_match(time), "{time}");
    }
    // The second run copies nothing, and its log lists the unchanged images.
    two.run(&["--log", "log2", "--log-format", "json"]).exits(0);
    let lines = objects(&two.place.read("log2"));
    let unchanged = lines.iter().filter(|line| line["outcome"] == "unchanged");
    assert_eq!(unchanged.count(), 2);
}

/// Asserts that a line describes a request, and names its rule and its image if it has one.
#[track_caller]
fn assert_names_rule_and_image(two: &World, line: &Value) {
    let (source, destination) = (two.source.host(), two.destination.host());
    assert_eq!(line["level"], "debug");
    assert_eq!(line["rule"], two.with_hosts("SRC/a"), "{line}");
    let host = line["host"].as_str().unwrap();
    assert!(host == source || host == destination, "{line}");
    let url = line["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{host}/v2/")), "{line}");
    assert!(line["elapsed_ms"].is_u64() && line["action"].is_string());
    let status = line["status"].as_u64().unwrap();
    let method = line["method"].as_str().unwrap();
    assert_eq!(line["message"], format!("{method} {url} {status}"));
    let lists = url.ends_with("/tags/list");
    // Probes of a registry belong to no image.
    if !lists && !url.ends_with("/v2/") {
        let image = line["source"].as_str().unwrap_or_else(|| panic!("{line}"));
        assert!(image.starts_with(&format!("{source}/a:v")), "{line}");
    }
    if host == destination && !lists {
        let image = line["destination"].as_str();
        let image = image.unwrap_or_else(|| panic!("{line}"));
        assert!(image.starts_with(&format!("{destination}/b")), "{line}");
    }
}

#[test]
fn each_request_is_logged_once_with_its_rule_and_image() {
    let two = two();
    let named = || Answer::new(503).header("x-ms-correlation-request-id", "azure-1");
    two.source
        .fault(Fault::on(Kind::BlobGet).times(1), Action::Answer(named()));
    two.run(&[
        "--log",
        "log",
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ])
    .exits(0);
    let lines = objects(&two.place.read("log"));
    let logged = requests(&lines);
    assert_eq!(logged.len(), two.request_count());
    for line in &logged {
        assert_names_rule_and_image(&two, line);
    }
    let failed: Vec<_> = logged.iter().filter(|line| line["status"] == 503).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["try"], 1);
    assert_eq!(failed[0]["request_id"], "azure-1");
    let again: Vec<_> = logged.iter().filter(|line| line["try"] == 2).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["url"], failed[0]["url"]);
    assert_eq!(again[0]["status"], 200);
    // One line for people says that the request is repeated.
    let told = lines
        .iter()
        .filter(|line| line["message"].as_str().unwrap().contains("retry in "));
    assert_eq!(told.count(), 1);
    // Requests and answers with a manifest have a length.
    let put = logged.iter().find(|line| {
        line["method"] == "PUT" && line["url"].as_str().unwrap().contains("/manifests/")
    });
    assert!(put.unwrap()["sent_bytes"].as_u64().unwrap() > 100);
    let get = logged.iter().find(|line| {
        line["method"] == "GET" && line["url"].as_str().unwrap().contains("/manifests/")
    });
    assert!(get.unwrap()["answer_bytes"].as_u64().unwrap() > 100);
}

#[test]
fn several_destinations_of_an_image_are_distinguished() {
    let source = registry();
    let destinations = [registry(), registry()];
    source.push("a", Some("v1"), &image("1"));
    let (one, two) = (destinations[0].host(), destinations[1].host());
    let place = Place::new()
        .file(
            "images.yaml",
            &format!("{}/a:v1: [{one}/b, {two}/c]\n", source.host()),
        )
        .file(
            "auth.yaml",
            &insecure(&[&source, &destinations[0], &destinations[1]]),
        );
    place
        .run(&[&FILES[..], &["--log", "log", "--log-format", "json", "-vv"]].concat())
        .exits(0);
    let lines = objects(&place.read("log"));
    for (host, repository) in [(&one, "b"), (&two, "c")] {
        let puts: Vec<&Value> = requests(&lines)
            .into_iter()
            .filter(|line| line["host"] == **host && line["method"] == "PUT")
            .collect();
        assert!(puts.len() > 2);
        for put in puts {
            let destination = put["destination"]
                .as_str()
                .unwrap_or_else(|| panic!("{put}"));
            assert!(
                destination.starts_with(&format!("{host}/{repository}")),
                "{put}"
            );
        }
    }
}

#[test]
fn each_level_logs_its_lines() {
    let two = two();
    two.source
        .state()
        .tag("a", "v3", image("never pushed").digest());
    let levels = |arguments: &[&str], variable: Option<&str>| -> BTreeSet<String> {
        let _ = std::fs::remove_file(two.place.path("log"));
        let mut command = two.place.command(
            &[
                &FILES[..],
                &["--log", "log", "--log-format", "json", "--force"],
                arguments,
            ]
            .concat(),
        );
        if let Some(variable) = variable {
            command.env("RUST_LOG", variable);
        }
        Outcome::of(command.output().unwrap()).exits(1);
        let lines = objects(&two.place.read("log"));
        let level = |line: &Value| line["level"].as_str().unwrap().to_owned();
        lines.iter().map(level).collect()
    };
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let (warn, info): (BTreeSet<String>, BTreeSet<String>) =
        (set(&["error", "warn"]), set(&["error", "info", "warn"]));
    let debug: BTreeSet<String> = set(&["debug", "error", "info", "warn"]);
    assert_eq!(levels(&["--log-level", "error"], None), set(&["error"]));
    assert_eq!(levels(&["--log-level", "warn"], None), warn);
    assert_eq!(levels(&[], None), info);
    // `-q` affects the terminal only, not the file.
    assert_eq!(levels(&["-q"], None), info);
    assert_eq!(levels(&["-v"], None), info);
    assert_eq!(levels(&["-vv"], None), debug);
    assert_eq!(levels(&["--log-level", "debug"], None), debug);
    assert_eq!(levels(&["--log-level", "warn", "-vv"], None), warn);
    assert!(levels(&["-vvv"], None).contains("trace"));
    assert!(levels(&["--log-level", "trace"], None).contains("trace"));
    assert_eq!(levels(&["-vvv"], Some("error")), set(&["error"]));
    assert_eq!(
        levels(&[], Some("image_syncer_registry=debug")),
        set(&["debug"])
    );
    // Lines name rule and image whichever crate the filter selects.
    let lines = objects(&two.place.read("log"));
    assert!(!requests(&lines).is_empty());
    assert!(
        requests(&lines)
            .iter()
            .all(|line| line["rule"] == two.with_hosts("SRC/a"))
    );
}

#[test]
fn on_stderr_the_level_applies_to_messages_as_well() {
    let two = two();
    two.source
        .state()
        .tag("a", "v3", image("never pushed").digest());
    let outcome = two.run(&["--log-level", "error"]).exits(1);
    assert_eq!(
        (outcome.lines("copied").len(), outcome.lines("failed").len()),
        (0, 1)
    );
    let outcome = two.run(&["--log-level", "debug", "--force"]).exits(1);
    assert_eq!(outcome.lines("copied").len(), 2);
    assert!(outcome.stderr.contains(" DEBUG GET http://"));
}

#[test]
fn json_without_a_file_makes_stderr_the_log() {
    let two = two();
    two.source
        .state()
        .tag("a", "v3", image("never pushed").digest());
    let outcome = two.run(&["--log-format", "json"]).exits(1);
    assert_eq!(outcome.stdout, "");
    let lines = objects(&outcome.stderr);
    let count = |outcome: &str| {
        lines
            .iter()
            .filter(|line| line["outcome"] == outcome)
            .count()
    };
    assert_eq!((count("copied"), count("failed")), (2, 1));
    let said = |text: &str| {
        let says = |line: &&Value| line["message"].as_str().unwrap().contains(text);
        lines.iter().filter(says).count()
    };
    assert_eq!(said("2 copied"), 1);
    // Each failure is printed once.
    assert_eq!(said(&format!("{}/a:v3", two.source.host())), 1);
    let failed = lines.iter().find(|line| line["outcome"] == "failed");
    assert_eq!(failed.unwrap()["host"], two.source.host());
    // Without failures, nothing is printed.
    two.source.state().untag("a", "v3");
    let quiet = two.run(&["--log-format", "json", "-q"]).exits(0);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_line_of_text_has_the_fields_that_its_sentence_lacks() {
    let two = two();
    two.run(&["--log", "log", "-vv"]).exits(0);
    let log = two.place.read("log");
    let requests: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" DEBUG "))
        .collect();
    let get = format!(
        " DEBUG GET http://{}/v2/a/manifests/v1 200 elapsed_ms=",
        two.source.host()
    );
    let line = requests.iter().find(|line| line.contains(&get));
    let line = line.unwrap_or_else(|| panic!("no {get} in:\n{log}"));
    let (rule, host) = (two.with_hosts("SRC/a"), two.destination.host());
    let behalf = format!(" rule={rule} source={rule}:v1 destination={host}/b:v1");
    assert!(line.ends_with(&behalf), "{line}");
    assert!(
        line.contains(" try=1 action=\"fetch manifest a:v1\" "),
        "{line}"
    );
    assert!(!line.contains(" host="), "{line}");
    assert_eq!(
        requests
            .iter()
            .filter(|line| line.contains(" http://"))
            .count(),
        two.request_count()
    );
}

/// Checks that control characters of a registry's message are escaped.
#[test]
fn messages_of_registries_are_escaped_and_one_line() {
    let two = two();
    let evil = "\u{1b}[2J\u{1b}]0;title\u{7}gone\r\n2026-01-01T00:00:00Z INFO all is well\u{202e}";
    let answer = Answer::new(403)
        .error("DENIED", evil)
        .header("x-request-id", "\u{9}id\u{9}");
    two.source.fault(
        Fault::on(Kind::ManifestGet).always(),
        Action::Answer(answer.clone()),
    );
    two.source.fault(
        Fault::on(Kind::ManifestHead).always(),
        Action::Answer(answer),
    );
    for format in ["text", "json"] {
        let shown = two
            .run(&["-vvv", "--log-format", format])
            .exits(1)
            .says("all is well");
        two.run(&["-vvv", "--log", "log", "--log-format", format])
            .exits(1);
        for text in [shown.stderr, two.place.read("log")] {
            let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(harmful), "{text:?}");
            let forged = text.lines().any(|line| line.starts_with("2026-01-01"));
            assert!(!forged, "{text}");
        }
        std::fs::remove_file(two.place.path("log")).unwrap();
    }
}

#[test]
fn an_unwritable_log_is_reported_once_and_ends_nothing() {
    let two = two();
    let outcome = two.run(&["--log", "/dev/full", "-vv"]).exits(0);
    let said = outcome
        .stderr
        .matches("cannot write to the log file /dev/full")
        .count();
    assert_eq!(said, 1, "{}", outcome.stderr);
    two.destination.verify_complete("b", "v1").unwrap();
    two.destination.verify_complete("b", "v2").unwrap();
}

#[test]
fn two_runs_that_append_to_one_file_write_whole_lines() {
    let (one, two) = (two(), two());
    let log = one.place.path("log").display().to_string();
    let flags = ["--log", &log, "--log-format", "json", "-vvv"];
    let flags = [&FILES[..], &flags[..]].concat();
    let children = [&one, &two].map(|world| world.place.command(&flags).spawn().unwrap());
    for child in children {
        Outcome::of(child.wait_with_output().unwrap()).exits(0);
    }
    let lines = objects(&one.place.read("log"));
    assert_eq!(
        requests(&lines).len(),
        one.request_count() + two.request_count()
    );
}
