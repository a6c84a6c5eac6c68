//! A source with many repositories, and the processes of a run.

use std::process::Command;
use std::thread;

use serde_json::Value;
use testkit::{Image, Layer, Profile, Registry};

use crate::support::report::report;
use crate::support::{Outcome, Place};

/// Number of repositories of the pattern.
pub(super) const REPOSITORIES: usize = 24;

/// Native file with a pattern, a rule that names its repository, and a pattern that matches nothing.
const FILE: &str = r#"version: 1
registries:
  "SRC": {list: catalog, tls: {plain-http: true}}
  "DST": {list: catalog, tls: {plain-http: true}}
rules:
  - {name: teams, from: "SRC/team/*", to: "DST/{repository}"}
  - {name: fixed, from: "SRC/fixed/one:v1,v2", to: "DST/{repository}"}
  - {name: other, from: "SRC/fixed/two", to: "DST/{repository}"}
  - {name: nothing, from: "SRC/nobody/*", to: "DST/{repository}"}
"#;

/// Images of all repositories: none shares a layer with another repository, so that the bytes of a run do not depend on
/// its order.
pub(super) fn images() -> Vec<(String, &'static str, Image)> {
    let teams = (0..REPOSITORIES).map(|number| format!("team/app-{number}"));
    let fixed = ["fixed/one", "fixed/two"].map(str::to_owned);
    let images = teams.chain(fixed).flat_map(|name| {
        ["v1", "v2"].map(|tag| {
            let layer = Layer::tar(&format!("{name}-{tag}"), 2_000);
            (name.clone(), tag, Image::single([layer]))
        })
    });
    images.collect()
}

/// Starts a registry with [`images`].
pub(super) fn source() -> Registry {
    let source = registry();
    for (name, tag, image) in images() {
        source.push(&name, Some(tag), &image);
    }
    source
}

pub(super) fn registry() -> Registry {
    Registry::builder()
        .profile(Profile::distribution())
        .start_on_thread()
}

/// Returns a directory with the file of a run between these hosts.
pub(super) fn place(source: &str, destination: &str) -> Place {
    Place::new().file("mirror.yaml", &file(source, destination))
}

pub(super) fn file(source: &str, destination: &str) -> String {
    FILE.replace("SRC", source).replace("DST", destination)
}

/// Runs all shards of a command at once, each with the report `shard-INDEX.json`. Returns their outcomes.
pub(super) fn run_shards(place: &Place, count: usize, command: &[&str]) -> Vec<Outcome> {
    let commands: Vec<Command> = (0..count)
        .map(|index| {
            let shard = format!("{index}/{count}");
            let report = format!("shard-{index}.json");
            let records = format!("records-{index}.sqlite3");
            let files = ["--config", "mirror.yaml", "--records", &records];
            let flags = ["--shard", &shard, "--report", &report];
            place.command(&[command, &files, &flags].concat())
        })
        .collect();
    thread::scope(|scope| {
        let running: Vec<_> = commands
            .into_iter()
            .map(|mut command| scope.spawn(move || Outcome::of(command.output().unwrap())))
            .collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

/// Merges the reports of all shards to `all.json`, and returns it.
pub(super) fn merge(place: &Place, count: usize) -> Value {
    let names: Vec<String> = (0..count)
        .map(|index| format!("shard-{index}.json"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let arguments = [&["report", "merge", "--output", "all.json"], &names[..]].concat();
    let run = place.run(&arguments).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    report(place, "all.json")
}

/// Returns a report without times and requests, with its images and hosts in one order.
pub(super) fn comparable(mut report: Value) -> Value {
    let fields = report.as_object_mut().unwrap();
    for name in ["started", "finished", "elapsed_seconds", "hosts"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    let images = fields["images"].as_array_mut().unwrap();
    for image in images.iter_mut() {
        image.as_object_mut().unwrap().remove("elapsed_seconds");
    }
    images.sort_by_key(ToString::to_string);
    report
}

/// Returns the sources of the images in a report, sorted.
pub(super) fn sources(report: &Value) -> Vec<String> {
    let images = report["images"].as_array().unwrap().iter();
    let mut sources: Vec<String> = images
        .map(|image| image["source"].as_str().unwrap().to_owned())
        .collect();
    sources.sort();
    sources
}
