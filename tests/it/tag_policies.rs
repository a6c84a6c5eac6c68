//! Tag policies of native files, end to end.

use std::time::{Duration, SystemTime};

use testkit::{Kind, Profile, Registry};

use crate::support::{Place, image, registry};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a directory with the file `config.yaml`, which copies `team/app` with these `tags`.
fn place(source: &Registry, destination: &Registry, tags: &str) -> Place {
    let (from, to) = (source.host(), destination.host());
    let file = format!(
        "version: 1\n\
         registries:\n  \"{from}\": {{tls: {{plain-http: true}}}}\n  \"{to}\": {{tls: {{plain-http: true}}}}\n\
         rules:\n  - name: app\n    from: \"{from}/team/app\"\n    tags: {tags}\n    to: \"{to}/team/app\"\n"
    );
    Place::new().file("config.yaml", &file)
}

/// Pushes an image for each tag.
fn push(source: &Registry, tags: &[&str]) {
    for tag in tags {
        source.push("team/app", Some(tag), &image(tag));
    }
}

fn harbor() -> Registry {
    Registry::builder()
        .profile(Profile::harbor())
        .start_on_thread()
}

#[test]
fn the_newest_versions_of_each_minor_are_copied() {
    let (source, destination) = (registry(), registry());
    push(
        &source,
        &[
            "1.26.9",
            "1.27.1",
            "1.27.2",
            "1.27.10",
            "1.28.0-rc1",
            "1.27.10-alpine",
            "latest",
        ],
    );
    let tags = r#"{semver: ">=1.20 <2", newest: {count: 2, per: minor}}"#;
    let place = place(&source, &destination, tags);
    place.run(&["plan", "--config", "config.yaml"]).exits(0);
    assert_eq!(destination.state().tags("team/app"), [""; 0]);
    place.run(&["--config", "config.yaml"]).exits(0);
    let mut copied = destination.state().tags("team/app");
    copied.sort();
    assert_eq!(copied, ["1.26.9", "1.27.10", "1.27.2"]);
}

#[test]
fn a_quarantine_by_push_times_needs_no_request_for_a_tag() {
    let (source, destination) = (harbor(), registry());
    push(&source, &["1.0", "1.1", "1.2"]);
    for (tag, days) in [("1.0", 30), ("1.1", 20), ("1.2", 1)] {
        source
            .state()
            .set_pushed("team/app", tag, SystemTime::now() - DAY * days);
    }
    let place = place(&source, &destination, "{older-than: 3d, newest: 1}");
    source.clear_requests();
    let outcome = place.run(&["--config", "config.yaml"]).exits(0);
    outcome.says("in quarantine until ");
    assert_eq!(destination.state().tags("team/app"), ["1.1"]);
    // Only the copied image was fetched, by its digest.
    let fetched = source.requests();
    let mut fetched = fetched
        .iter()
        .filter(|request| matches!(request.kind, Kind::ManifestHead | Kind::ManifestGet));
    assert!(fetched.all(|request| request.path.contains("sha256:")));
}

#[test]
fn without_push_times_a_quarantine_counts_from_the_first_run_that_sees_a_tag() {
    let (source, destination) = (registry(), registry());
    push(&source, &["1.0"]);
    let place = place(&source, &destination, "{older-than: 3d}");
    place
        .run(&["--config", "config.yaml", "--no-records"])
        .exits(1)
        .says("the age of tag 1.0 is unknown: the registry lists no push times, and nothing is recorded about it.");
    for command in [&["plan"][..], &[], &["plan"]] {
        let arguments = [command, &["--config", "config.yaml"]].concat();
        let outcome = place.run(&arguments).exits(0);
        let output = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(output.contains("in quarantine until "), "{output}");
    }
    let records = place.path(".local/state/image-syncer/records.sqlite3");
    let file = rusqlite::Connection::open(records).unwrap();
    let aged = file.execute("UPDATE seen SET first = first - 4 * 24 * 60 * 60", ());
    assert_eq!(aged.unwrap(), 1);
    drop(file);
    assert_eq!(destination.state().tags("team/app"), [""; 0]);
    place.run(&["--config", "config.yaml"]).exits(0);
    assert_eq!(destination.state().tags("team/app"), ["1.0"]);
}

#[test]
fn too_few_tags_fail_the_rule() {
    let (source, destination) = (registry(), registry());
    push(&source, &["1.0", "latest"]);
    let place = place(&source, &destination, r#"{include: ["1.*"], at-least: 2}"#);
    place.run(&["--config", "config.yaml"]).exits(1).says(
        "the tag policy selects 1 tag of at least 2 tags: 2 tags; include 1. Nothing is copied. Correct tags of the rule, \
         or lower at-least.",
    );
    assert_eq!(destination.state().tags("team/app"), [""; 0]);
}
