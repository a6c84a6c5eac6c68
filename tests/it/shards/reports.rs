//! The merge of reports.

use serde_json::{Value, json};

use super::support::{file, place, registry, run_shards, source};
use crate::support::Place;
use crate::support::report::assert_valid;

/// Returns a directory with the reports of three shards between new registries. Only the rule that names a missing tag
/// fails.
fn reports() -> Place {
    let (source, destination) = (source(), registry());
    let failing = file(&source.host(), &destination.host()).replace(":v1,v2", ":v1,missing");
    let place = Place::new().file("mirror.yaml", &failing);
    let mut exits: Vec<i32> = run_shards(&place, 3, &[])
        .iter()
        .map(|run| run.code)
        .collect();
    exits.sort_unstable();
    assert_eq!(exits, [0, 0, 1]);
    place
}

const ALL: [&str; 5] = [
    "report",
    "merge",
    "shard-2.json",
    "shard-0.json",
    "shard-1.json",
];

pub(crate) fn a_report_is_merged_to_a_file_or_to_stdout() {
    let place = reports();
    let run = place.run(&ALL).exits(0);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_valid(&document);
    assert_eq!(document["summary"]["copied"], 51);
    assert_eq!(document["complete"], true);
    for flag in ["--output", "-o"] {
        let written = place
            .run(&[&ALL[..], &[flag, "all.json"]].concat())
            .exits(0);
        assert_eq!(written.stdout, "");
        assert_eq!(place.read("all.json"), run.stdout);
        std::fs::remove_file(place.path("all.json")).unwrap();
    }
    let run = place.run(&[&ALL[..], &["-o", "nowhere/all.json"]].concat());
    run.exits(1).says("--output nowhere/all.json: ");
    let run = place.run(&[&ALL[..], &["-o", "shard-1.json"]].concat());
    run.exits(2)
        .says("--output shard-1.json: this is the same file as FILE shard-1.json");
}

#[test]
fn a_report_can_be_merged() {
    a_report_is_merged_to_a_file_or_to_stdout();
}

pub(crate) fn the_worst_exit_code_is_in_the_report_and_on_request_that_of_the_command() {
    let place = reports();
    let run = place.run(&ALL).exits(0);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(document["exit_code"], 1);
    place.run(&[&ALL[..], &["--exit-code"]].concat()).exits(1);
}

#[test]
fn the_exit_code_can_be_requested() {
    the_worst_exit_code_is_in_the_report_and_on_request_that_of_the_command();
}

#[test]
fn missing_shards_are_named_and_make_the_report_incomplete() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    for run in run_shards(&place, 4, &[]) {
        run.exits(0);
    }
    let run = place.run(&[
        "report",
        "merge",
        "shard-0.json",
        "shard-2.json",
        "--exit-code",
    ]);
    let run = run.exits(1).says(
        "2 of 4 shards have no report here: shards 1/4, 3/4 are missing, so that the merged report is incomplete. Name the reports of all shards.",
    );
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_valid(&document);
    assert_eq!(document["missing_shards"], json!([1, 3]));
    assert_eq!(
        (&document["complete"], &document["exit_code"]),
        (&json!(false), &json!(1))
    );
}

#[test]
fn reports_that_do_not_fit_together_are_refused() {
    let place = reports();
    let text = place.read("shard-1.json");
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["shard"]["config"] = json!(format!("sha256:{}", "0".repeat(64)));
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    whole.as_object_mut().unwrap().remove("shard");
    let place = place
        .file("again.json", &text)
        .file("newer.json", &change("\"version\": 1", "\"version\": 2"))
        .file(
            "check.json",
            &change("\"command\": \"sync\"", "\"command\": \"check\""),
        )
        .file("count.json", &change("\"count\": 3", "\"count\": 5"))
        .file("other.json", &other.to_string())
        .file("whole.json", &whole.to_string())
        .file("text.json", "report")
        .file("list.json", "[]")
        .file("cut.json", &text[..text.len() / 2]);
    for (name, expected) in [
        (
            "again.json",
            "again.json: shard 1/3 is in shard-1.json as well. Name one report for each shard.",
        ),
        (
            "newer.json",
            "newer.json: version 2 of the report is unknown, and this program reads version 1. Use the program that wrote it.",
        ),
        (
            "check.json",
            "check.json: the report is of another command than shard 0/3 in shard-0.json. Name the reports of one run.",
        ),
        (
            "count.json",
            "count.json: shard 1/5 is of another run than shard 0/3 in shard-0.json. Name the reports of one run.",
        ),
        (
            "other.json",
            "other.json: shard 1/3 had other rules or weights than shard 0/3 in shard-0.json. Run all shards with the same files and flags.",
        ),
        (
            "whole.json",
            "whole.json: the report is not one of a shard. Name reports of runs with --shard.",
        ),
        (
            "text.json",
            "text.json: not a report of image-syncer. Name a file that --report has written",
        ),
        (
            "list.json",
            "list.json: not a report of image-syncer. Name a file that --report has written",
        ),
        (
            "cut.json",
            "cut.json: not a report of image-syncer. Name a file that --report has written",
        ),
        (
            "nowhere.json",
            "nowhere.json: cannot read the report: No such file",
        ),
    ] {
        let run = place.run(&[
            "report",
            "merge",
            "shard-0.json",
            "shard-1.json",
            name,
            "-o",
            "all.json",
        ]);
        run.exits(2).says(expected);
        assert!(!place.path("all.json").exists());
    }
    // All mistakes at once.
    place
        .run(&["report", "merge", "whole.json", "text.json"])
        .exits(2)
        .says("whole.json: ")
        .says("text.json: ");
    let different = text.replacen("\"version\":\"", "\"version\":\"9", 1);
    assert_ne!(different, text);
    std::fs::write(place.path("shard-1.json"), different).unwrap();
    place
        .run(&ALL)
        .exits(0)
        .says("shard-0.json and shard-1.json are of different versions of image-syncer.");
}
