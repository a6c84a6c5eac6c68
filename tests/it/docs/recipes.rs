//! The recipes about the results of a run work.

use std::path::Path;
use std::process::{Command, Stdio};

use testkit::Registry;

use super::fences;
use crate::support::{Outcome, Place, between, image, registry};

/// Returns registries with two images to copy, one that is unchanged, and one that cannot be copied.
fn stage() -> (Registry, Registry, Place) {
    let (source, destination) = (registry(), registry());
    for tag in ["v1", "v2", "v3"] {
        source.push("a", Some(tag), &image(tag));
    }
    destination.push("a", Some("v3"), &image("v3"));
    source
        .state()
        .tag("a", "lost", image("never pushed").digest());
    let rules = "SRC/a: DST/a\n";
    let place = between(&source, &destination, rules);
    (source, destination, place)
}

/// Runs a line of a recipe in a shell that finds the program.
fn shell(place: &Place, line: &str) -> Outcome {
    let program = Path::new(env!("CARGO_BIN_EXE_image-syncer"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    // The rest of the environment is that of other tests.
    let own = place.command(&[]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env_clear().stdin(Stdio::null());
    for (name, value) in own.get_envs() {
        shell.envs(value.map(|value| (name, value)));
    }
    shell
        .env("PATH", path)
        .current_dir(own.get_current_dir().unwrap());
    Outcome::of(shell.output().unwrap())
}

/// Returns the lines of the block of the cookbook that contains `part`.
fn recipe(part: &str) -> Vec<String> {
    let fences = fences::in_languages(&["sh"]).into_iter();
    let mut found =
        fences.filter(|fence| fence.place.contains("cookbook") && fence.text.contains(part));
    let fence = found
        .next()
        .unwrap_or_else(|| panic!("no block with {part}"));
    fence.text.lines().map(str::to_owned).collect()
}

#[test]
fn that_read_the_report() {
    testkit::needs!("jq");
    let (source, destination, place) = stage();
    let mut lines = recipe("jq -r '.summary").into_iter();
    let run = shell(&place, &lines.next().unwrap()).exits(1);
    assert_eq!(run.stdout, "");
    let answers: Vec<String> = lines
        .map(|line| shell(&place, &line).exits(0).stdout)
        .collect();
    let [summary, failed, copied, largest, waits] = &answers[..] else {
        panic!("five questions: {answers:?}");
    };
    assert_eq!(summary, "2 copied, 1 unchanged, 1 failed\n");
    let (from, to) = (source.host(), destination.host());
    assert!(failed.starts_with(&format!("{to}/a:lost: ")), "{failed}");
    assert!(failed.contains(&from), "{failed}");
    for tag in ["v1", "v2"] {
        let line = format!("{to}/a:{tag}\t{}\tnew\n", image(tag).digest());
        assert!(copied.contains(&line), "{copied}");
        assert!(largest.contains(&format!("\t{to}/a:{tag}\n")), "{largest}");
    }
    assert_eq!(waits, "");
}

#[test]
fn that_read_the_plan() {
    testkit::needs!("jq");
    let (_source, destination, place) = stage();
    let lines = recipe("plan --auth auth.yaml --images images.yaml --output json | jq");
    let planned = shell(&place, &lines.join("\n")).exits(0).stdout;
    let mut planned: Vec<&str> = planned.lines().collect();
    planned.sort_unstable();
    let to = destination.host();
    assert_eq!(planned, ["v1", "v2"].map(|tag| format!("new {to}/a:{tag}")));
}

#[test]
fn that_feed_failed_images_back() {
    let (source, destination, place) = stage();
    let lines = recipe("--failed-images failed.yaml ||");
    let outcome = shell(&place, &lines.join("\n")).exits(1);
    outcome
        .says("4 images: 2 copied, 1 unchanged, 0 skipped, 1 failed")
        .says("1 image: 0 copied, 0 unchanged, 0 skipped, 1 failed");
    source.push("a", Some("lost"), &image("found again"));
    place
        .run(&["--auth", "auth.yaml", "--images", "failed.yaml"])
        .exits(0)
        .says("1 image: 1 copied");
    destination.verify_complete("a", "lost").unwrap();
}

#[test]
fn that_ask_whether_two_registries_agree() {
    let (source, _destination, place) = stage();
    source.state().untag("a", "lost");
    let lines = recipe("check --auth").join("\n");
    let before = shell(&place, &lines).exits(0);
    assert!(
        before.stdout.ends_with("not in sync\n"),
        "{}",
        before.stdout
    );
    place
        .run(&["--auth", "auth.yaml", "--images", "images.yaml"])
        .exits(0);
    assert_eq!(shell(&place, &lines).exits(0).stdout, "");
}
