//! Flags of commands that send requests to registries.

use testkit::{Action, Fault, Image, Kind, Layer, Profile};

use super::stage::{Stage, differs};
use crate::support::{image, index};

/// Returns a stage with an image at the source that the destination lacks.
fn new(command: &'static str) -> impl Fn() -> Stage {
    move || Stage::new(command).with(&image("a"))
}

/// Returns a stage with an image at both ends.
fn unchanged(command: &'static str) -> impl Fn() -> Stage {
    move || new(command)().synced()
}

pub(super) fn os(command: &'static str) {
    let stage = || Stage::new(command).with(&index("a"));
    differs(&stage, &[], &["--os", "windows"]);
}

pub(super) fn arch(command: &'static str) {
    let stage = || Stage::new(command).with(&index("a"));
    differs(&stage, &[], &["--arch", "amd64"]);
}

pub(super) fn strip_attestations(command: &'static str) {
    let stage = || {
        let child = image("a");
        let attestation = Image::attestation_of(&child);
        Stage::new(command).with(&Image::index([child, attestation]))
    };
    differs(&stage, &[], &["--strip-attestations"]);
}

pub(super) fn sparse(command: &'static str) {
    let stage = || Stage::new(command).with(&index("a"));
    differs(&stage, &["--arch", "amd64"], &["--sparse"]);
}

pub(super) fn foreign_layers(command: &'static str) {
    let stage = || {
        let foreign = Layer::nondistributable("windows", 1_000).pushed();
        let layers = [Layer::tar("a", 500), foreign];
        Stage::new(command).with(&Image::single(layers))
    };
    differs(&stage, &[], &["--foreign-layers"]);
}

pub(super) fn no_referrers(command: &'static str) {
    differs(&unchanged(command), &[], &["--no-referrers"]);
}

pub(super) fn referrers(command: &'static str) {
    let stage = || Stage::new(command).with(&index("a")).synced();
    differs(&stage, &[], &["--referrers", "deep"]);
}

pub(super) fn referrers_type(command: &'static str) {
    let stage = || {
        let stage = unchanged(command)();
        let signature = Image::referrer_of(&image("a"), "application/vnd.one", "signed");
        stage.source.push("a", None, &signature);
        stage
    };
    differs(&stage, &[], &["--referrers-type", "application/vnd.other"]);
}

pub(super) fn referrers_interval(command: &'static str) {
    let flag = ["--referrers-interval", "1h"];
    let stage = || {
        let stage = unchanged(command)();
        // Only runs with the flag record the time of their query.
        Stage::sync(&stage.place, &flag);
        stage
    };
    differs(&stage, &[], &flag);
}

pub(super) fn immutable(command: &'static str) {
    differs(&unchanged(command), &[], &["--immutable", "v*"]);
}

pub(super) fn conflict(command: &'static str) {
    let stage = || {
        let stage = new(command)();
        stage.destination.push("b", Some("v1"), &image("older"));
        stage
    };
    differs(&stage, &[], &["--conflict", "skip"]);
}

pub(super) fn records(command: &'static str) {
    let flag = ["--records", "here.sqlite3"];
    let stage = || {
        let stage = new(command)();
        Stage::sync(&stage.place, &flag);
        stage
    };
    // Only the records know that a tag that never changes was copied.
    differs(&stage, &["--immutable", "v*"], &flag);
}

pub(super) fn no_records(command: &'static str) {
    let base = ["--immutable", "v*"];
    differs(&unchanged(command), &base, &["--no-records"]);
}

pub(super) fn retries(command: &'static str) {
    let stage = || {
        let stage = new(command)();
        let once = Fault::on(Kind::Tags).times(1);
        stage
            .source
            .fault(once, Action::error(503, "UNAVAILABLE", "later"));
        stage
    };
    differs(&stage, &[], &["--retries", "0"]);
}

/// Checks `--stall-timeout`: without the flag, the wait would be a minute.
/// Compares runs over twenty unchanged tags, for which an unknown registry is probed for lists with digests.
pub(super) fn listing(command: &'static str) {
    let stage = || {
        let stage = Stage::of(command, &Profile::harbor(), ["team/a", "team/b"]);
        stage.destination.state().create_namespace("team");
        for tag in 0..20 {
            let image = image(&format!("image {tag}"));
            stage
                .source
                .push("team/a", Some(&format!("v{tag}")), &image);
        }
        stage.synced()
    };
    differs(&stage, &[], &["--listing", "off"]);
    let stage = stage();
    stage.destination.clear_requests();
    stage.run(&["--listing", "off"]).exits(0);
    let lists = |request: &testkit::Request| request.kind == Kind::Listing;
    assert_eq!(stage.destination.count(lists), 0);
    stage
        .run(&["--listing", "sometimes"])
        .exits(2)
        .says("--listing");
}

pub(super) fn stall_timeout(command: &'static str) {
    let stage = new(command)();
    stage
        .source
        .fault(Fault::on(Kind::Tags), Action::StallBeforeAnswer);
    stage
        .run(&["--stall-timeout", "1", "--retries", "0"])
        .exits(1)
        .says("no answer came for 1 s");
}

/// Checks `--commit-timeout`: without the flag, the wait would be ten minutes.
pub(super) fn commit_timeout(command: &'static str) {
    let stage = new(command)();
    stage
        .destination
        .fault(Fault::on(Kind::ManifestPut), Action::StallBeforeAnswer);
    stage
        .run(&["--commit-timeout", "1", "--retries", "0"])
        .exits(1)
        .says("no answer came for 1 s");
}

pub(super) fn force(command: &'static str) {
    differs(&unchanged(command), &[], &["--force"]);
}

pub(super) fn verify(command: &'static str) {
    let stage = || {
        let stage = unchanged(command)();
        let lost = image("a").blobs()[0].digest().to_owned();
        assert!(stage.destination.state().remove_blob("b", &lost));
        stage
    };
    differs(&stage, &[], &["--verify"]);
}

pub(super) fn dry_run(command: &'static str) {
    differs(&new(command), &[], &["--dry-run"]);
}

/// Checks that a plan or check prints JSON with the flag only.
fn is_json(command: &'static str, base: &[&str]) {
    let stage = new(command)();
    assert!(!stage.run(base).stdout.starts_with('{'));
    let told = stage.run(&[base, &["--output", "json"]].concat());
    serde_json::from_str::<serde_json::Value>(&told.stdout).unwrap();
}

pub(super) fn output_of_a_dry_run(command: &'static str) {
    is_json(command, &["--dry-run"]);
}

pub(super) fn output(command: &'static str) {
    is_json(command, &[]);
}

pub(super) fn exit_code_of_a_dry_run(command: &'static str) {
    differs(&new(command), &["--dry-run"], &["--exit-code"]);
}

pub(super) fn exit_code(command: &'static str) {
    differs(&new(command), &[], &["--exit-code"]);
}

pub(super) fn report(command: &'static str) {
    differs(&new(command), &[], &["--report", "report"]);
}

pub(super) fn failed_images(command: &'static str) {
    let stage = || {
        let stage = new(command)();
        let denied = Action::error(403, "DENIED", "no");
        stage
            .destination
            .fault(Fault::on(Kind::ManifestPut), denied);
        stage
    };
    differs(&stage, &[], &["--failed-images", "out.yaml"]);
}

pub(super) fn output_success_images(command: &'static str) {
    differs(&new(command), &[], &["--output-success-images", "out"]);
}

pub(super) fn output_images_format(command: &'static str) {
    let base = ["--output-success-images", "out"];
    differs(&new(command), &base, &["--output-images-format", "json"]);
}

pub(super) fn log(command: &'static str) {
    differs(&new(command), &[], &["--log", "log"]);
}

/// Returns the log of a run with these flags.
fn logged(command: &'static str, flags: &[&str]) -> String {
    let stage = new(command)();
    stage.run(&[flags, &["--log", "log"]].concat());
    stage.place.read("log")
}

pub(super) fn log_format(command: &'static str) {
    let flag = ["--log-format", "json"];
    // A level at which every command logs something.
    let level = ["--log-level", "debug"];
    assert!(!logged(command, &level).starts_with('{'));
    assert!(logged(command, &[level, flag].concat()).starts_with('{'));
}

pub(super) fn log_level(command: &'static str) {
    let get = " http://";
    assert!(!logged(command, &[]).contains(get));
    assert!(logged(command, &["--log-level", "debug"]).contains(get));
}

pub(super) fn verbose(command: &'static str) {
    let stage = unchanged(command)();
    let said = |flags: &[&str]| {
        let outcome = stage.run(flags);
        (stage.named(&outcome.stdout), stage.named(&outcome.stderr))
    };
    let silent = said(&[]);
    assert_eq!(silent, said(&[]));
    assert_ne!(silent, said(&["-v"]));
    assert!(said(&["-vv"]).1.contains(" http://"));
}

pub(super) fn quiet(command: &'static str) {
    assert_ne!(new(command)().run(&[]).stderr, "");
    assert_eq!(new(command)().run(&["--quiet"]).stderr, "");
}
