//! Mistakes in the flags of shards: nothing is requested.

use serde_json::json;

use super::support::{place, registry, source};

#[test]
fn flags_that_name_no_shard_are_refused() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    let weights = |name: &str| {
        let image = json!({"source": format!("{name}:v1"), "elapsed_seconds": 1.0});
        json!({"version": 1, "images": [image]}).to_string()
    };
    let place = place
        .file("unknown.json", &weights("other.example/team/app"))
        .file("empty.json", r#"{"version": 1, "images": []}"#)
        .file("text.json", "no report")
        .file(
            "fields.json",
            r#"{"version": 1, "images": [{"source": 5}]}"#,
        )
        .file(
            "known.json",
            &weights(&format!("{}/team/app-1", source.host())),
        );
    let index = "there is no shard 8: 8 shards have the numbers 0 to 7.";
    for (flags, expected) in [
        (&["--shard", "8/8"][..], index),
        (
            &["--shard", "1/0"],
            "--shard 1/0: 0 shards are not possible.",
        ),
        (
            &["--shard", "x/3"],
            "--shard x/3: not a shard. Write its number from 0",
        ),
        (
            &["--shard", "auto/3"],
            "--shard auto/3: JOB_COMPLETION_INDEX is not set.",
        ),
        (&["--shard-weights", "known.json"], "--shard"),
        (
            &["--shard", "0/3", "--shard-weights", "unknown.json"],
            "--shard-weights unknown.json: the report has none of the repositories of these rules.",
        ),
        (
            &["--shard", "0/3", "--shard-weights", "empty.json"],
            "--shard-weights empty.json: the report has no images.",
        ),
        (
            &["--shard", "0/3", "--shard-weights", "text.json"],
            "--shard-weights text.json: not a report of image-syncer.",
        ),
        (
            &["--shard", "0/3", "--shard-weights", "fields.json"],
            "--shard-weights fields.json: an image of the report lacks its fields",
        ),
        (
            &["--shard", "0/3", "--shard-weights", "nowhere.json"],
            "--shard-weights nowhere.json: cannot read the report",
        ),
        (
            &[
                "--shard",
                "0/3",
                "--shard-weights",
                "known.json",
                "--report",
                "known.json",
            ],
            "this is the same file as --shard-weights known.json",
        ),
        (&["--shard", "8/8", "--shard-weights", "empty.json"], index),
    ] {
        for command in [&[][..], &["plan"], &["check"]] {
            let run = place.run(&[command, &["--config", "mirror.yaml"], flags].concat());
            run.exits(2).says(expected);
        }
    }
    assert_eq!(source.requests().len() + destination.requests().len(), 0);
    // One report may know only some repositories.
    let flags = [
        "--config",
        "mirror.yaml",
        "--shard",
        "0/3",
        "--shard-weights",
        "known.json",
    ];
    place.run(&flags).exits(0).says("shard 0/3: ");
}

#[test]
fn the_number_of_a_pod_chooses_its_shard() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    let place = place.variable("JOB_COMPLETION_INDEX", "2");
    let flags = ["--config", "mirror.yaml", "--shard", "auto/4"];
    place.run(&flags).exits(0).says("shard 2/4: ");
    let flags = ["--config", "mirror.yaml", "--shard", "auto/2"];
    place.run(&flags).exits(2).says(
        "--shard auto/2: JOB_COMPLETION_INDEX is 2, and 2 shards have the numbers 0 to 1. Write the completions of the Job behind the slash.",
    );
}

#[cfg(feature = "share")]
#[test]
fn workers_of_a_server_have_no_shards() {
    let (source, destination) = (source(), registry());
    let place = place(&source.host(), &destination.host());
    let files = ["--config", "mirror.yaml", "--shard", "1/3"];
    let expected = "--shard 1/3: the run is shared on a server (--share or IMAGE_SYNCER_SHARE), whose workers divide it themselves. Use one of the two.";
    let share = ["--share", "postgres://user@127.0.0.1:1/runs"];
    place
        .run(&[&files[..], &share].concat())
        .exits(2)
        .says(expected);
    let place = place.variable("IMAGE_SYNCER_SHARE", share[1]);
    place.run(&files).exits(2).says(expected);
    assert_eq!(source.requests().len() + destination.requests().len(), 0);
}
