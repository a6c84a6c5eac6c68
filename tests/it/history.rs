//! The command `history`: what the service did, and what is where since when.

use serde_json::Value;
use testkit::{Action, Fault, Gate, Kind};

use crate::support::{Outcome, PATIENCE, Service, World, image};

const FILES: &[&str] = &["--images", "images.yaml", "--auth", "auth.yaml"];

const LIST: &[&str] = &["history"];

/// Returns a world with a rule that copies, and one that fails.
fn world() -> World {
    World::new("SRC/a: DST/b\nSRC/missing:v9: DST/c\n").with("a", "v1", &image("a"))
}

/// Runs both rules once in a service that ends.
fn serve(world: &World) {
    let flags = [FILES, &["--sync-at-start"]].concat();
    let mut service = Service::start(&world.place, &flags);
    service.until_run_ended();
    service.until_run_ended();
    service.stop().exits(0);
}

/// Runs `image-syncer` with these words and flags over the state of the service.
fn query(world: &World, words: &[&str], flags: &[&str]) -> Outcome {
    let arguments = [words, flags, &["--state", "state"]].concat();
    world.place.run(&arguments)
}

fn json(world: &World, words: &[&str], flags: &[&str]) -> Value {
    let flags = [flags, &["--output", "json"]].concat();
    let output = query(world, words, &flags).exits(0);
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
pub(crate) fn runs_are_listed_by_rule_and_outcome() {
    let world = world();
    serve(&world);
    let copied = format!("{}/a", world.source.host());
    for words in [LIST, &["history", "list"]] {
        let runs = json(&world, words, &[]);
        assert_eq!(runs.as_array().unwrap().len(), 2);
        let failed = json(&world, words, &["--outcome", "failed"]);
        assert_eq!(failed.as_array().unwrap().len(), 1);
        let rule = failed[0]["rule"].as_str().unwrap();
        assert!(rule.ends_with("/missing:v9"), "{rule}");
        let runs = json(&world, words, &["--rule", &copied]);
        assert_eq!(runs.as_array().unwrap().len(), 1);
        assert_eq!(runs[0]["state"], "succeeded");
        assert_eq!(runs[0]["cause"], "start");
        assert_eq!(runs[0]["counts"]["copied"], 1);
        let one = query(&world, words, &["--limit", "1"]).exits(0).stdout;
        assert_eq!(one.lines().count(), 1, "{one}");
        let glob = query(&world, words, &["--rule", "*/a"]).exits(0).stdout;
        let cells: Vec<&str> = glob.trim_end().split('\t').collect();
        assert_eq!(cells[1..4], [&copied, "start", "succeeded"]);
        assert_eq!(cells[6..], ["1", "0", "0"]);
        let unknown = query(&world, words, &["--rule", "other"]).exits(2);
        unknown.says("no rule is called `other`.");
    }
}

#[test]
pub(crate) fn a_run_is_shown_with_its_failures_and_their_remedy() {
    let world = world();
    serve(&world);
    let failed = json(&world, LIST, &["--outcome", "failed"]);
    let id = failed[0]["id"].as_str().unwrap();
    let shown = query(&world, &["history", "show", id], &[]).exits(0).stdout;
    let host = world.source.host();
    let first = format!("run        {id} of {host}/missing:v9: failed\n");
    assert!(shown.starts_with(&first), "{shown}");
    let group = format!("\n1 failure: not-found at {host} (source)\n  hint: check the name");
    assert!(shown.contains(&group), "{shown}");
    let image = format!(
        "  {host}/missing:v9 -> {}/c:v9: cannot ",
        world.destination.host()
    );
    assert!(shown.contains(&image), "{shown}");
    let document = json(&world, &["history", "show", id], &[]);
    assert_eq!(document["run"], failed[0]);
    assert_eq!(document["failures"][0]["count"], 1);
    let unknown = query(&world, &["history", "show", "01jx4k2v9c0"], &[]).exits(2);
    unknown.says("the history has no run 01jx4k2v9c0. image-syncer history lists its runs.");
    let no_id = query(&world, &["history", "show", "last"], &[]).exits(2);
    no_id.says("last: this is not the id of a run: it has 11 characters, such as 01jx4k2v9c0");
}

#[test]
pub(crate) fn a_digest_and_a_tag_are_found_with_their_past() {
    let world = world();
    serve(&world);
    world.source.push("a", Some("v1"), &image("other"));
    serve(&world);
    let at_destination = format!("{}/b:v1", world.destination.host());
    let at_source = format!("{}/a:v1", world.source.host());
    let digests = [image("a"), image("other")].map(|image| image.root().digest.clone());
    for reference in [&at_destination, &at_source] {
        let found = json(&world, &["history", "where", reference], &[]);
        assert_eq!(found["tags"][0]["digest"], *digests[1]);
        assert_eq!(found["tags"][0]["state"], "same");
        assert_eq!(found["tags"][0]["source"], *at_source);
        assert_eq!(found["past"][0]["digest"], *digests[0]);
        assert_eq!(found["past"][0]["until"], found["tags"][0]["at"]);
    }
    let past = query(&world, &["history", "where", &digests[0]], &[])
        .exits(0)
        .stdout;
    let cells: Vec<&str> = past.trim_end().split('\t').collect();
    assert_eq!(cells[..3], [&*at_destination, &digests[0], "replaced"]);
    let unknown = format!("{}/b:v2", world.destination.host());
    let unknown = query(&world, &["history", "where", &unknown], &[]).exits(1);
    assert_eq!(unknown.stdout, "");
    unknown.says("no run copied, compared or replaced it.");
    let wrong = query(&world, &["history", "where", "b"], &[]).exits(2);
    wrong.says("b is neither a digest nor a tag. Write sha256:… with 64 hex digits, or REGISTRY/REPOSITORY:TAG.");
}

#[test]
fn a_killed_service_leaves_an_interrupted_run() {
    let world = World::new("SRC/a: DST/b\n").with("a", "v1", &image("a"));
    let gate = Gate::new();
    let fault = Fault::on(Kind::ManifestPut).repository("b");
    world.destination.fault(fault, Action::Hold(gate.clone()));
    let flags = [FILES, &["--sync-at-start"]].concat();
    let mut service = Service::start(&world.place, &flags);
    gate.wait(1, PATIENCE).unwrap();
    // The history is read while the service writes it.
    let began = std::time::Instant::now();
    while json(&world, LIST, &["--outcome", "running"])[0].is_null() {
        assert!(began.elapsed() < PATIENCE);
    }
    let second = world
        .place
        .run(&[&["serve", "--state", "state"], FILES].concat());
    second.exits(2).says("another image-syncer serve uses it");
    service.signal("-KILL");
    service.wait();
    gate.open();
    let mut service = Service::start(&world.place, FILES);
    service.url();
    // The run that repeats it may have begun.
    let runs = json(&world, LIST, &["--outcome", "interrupted"]);
    assert!(runs[0]["ended"].is_string(), "{runs}");
    service.stop().exits(0);
}

#[test]
fn a_missing_history_is_said() {
    let world = world();
    let output = query(&world, LIST, &[]).exits(2);
    output.says("state/history.sqlite3: it does not exist yet: image-syncer serve creates it");
    assert!(!world.place.path("state").exists());
}
