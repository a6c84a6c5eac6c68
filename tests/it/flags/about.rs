//! Flags for files, defaults and records.

use testkit::{Auth, Registry};

use super::stage::Stage;
use crate::support::{Outcome, Place, image, insecure};

/// Runs a command with `rest`.
fn run(place: &Place, command: &str, rest: &[&str]) -> Outcome {
    let command: Vec<&str> = command.split_whitespace().collect();
    place.run(&[&command[..], rest].concat())
}

/// Returns the exit code of a command without failures and with one new image.
fn fine(command: &str) -> i32 {
    if command == "check" { 3 } else { 0 }
}

pub(super) fn images(command: &'static str) {
    let stage = Stage::new(command).with(&image("a"));
    run(&stage.place, command, &["--auth", "auth.yaml"])
        .exits(2)
        .says("--images FILE");
    stage.run(&[]).exits(fine(command));
}

/// Compares runs with and without the login that a registry needs.
pub(super) fn auth(command: &'static str) {
    let auth = Auth::basic("user", "password");
    let closed = Registry::builder().auth(auth).start_on_thread();
    closed.push("a", Some("v1"), &image("a"));
    let host = closed.host();
    let entry = "  username: user\n  password: password\n";
    let place = Place::new()
        .file("images.yaml", &format!("{host}/a: {host}/b\n"))
        .file("bare.yaml", &insecure(&[&closed]))
        .file("auth.yaml", &(insecure(&[&closed]) + entry));
    let (from, to) = (format!("{host}/a:v1"), format!("{host}/b"));
    let rest = match command {
        "copy" => [from.as_str(), to.as_str()],
        _ => ["--images", "images.yaml"],
    };
    let with = |file| run(&place, command, &[&["--auth", file], &rest[..]].concat());
    if ["validate", "convert"].contains(&command) {
        let told = with("auth.yaml").exits(0).stdout;
        assert_ne!(told, with("bare.yaml").exits(0).stdout);
        assert!(told.contains("user"), "{told}");
    } else {
        with("bare.yaml").exits(1);
        with("auth.yaml").exits(fine(command));
    }
}

pub(super) fn config(command: &'static str) {
    let stage = Stage::new(command).with(&image("a"));
    let both = format!(
        "images:\n  {}/a: {}/b\nauth:\n  {}: {{insecure: true}}\n  {}: {{insecure: true}}\n",
        stage.source.host(),
        stage.destination.host(),
        stage.source.host(),
        stage.destination.host()
    );
    std::fs::write(stage.place.path("both.yaml"), both).unwrap();
    run(&stage.place, command, &[]).exits(2);
    run(&stage.place, command, &["--config", "both.yaml"]).exits(fine(command));
}

/// Runs with two rules, of which one is selected.
pub(super) fn rule(command: &'static str) {
    let stage = Stage::new(command).with(&image("a"));
    let (from, to) = (stage.source.host(), stage.destination.host());
    let rules = format!("{from}/a: {to}/a\n{from}/missing: {to}/b\n");
    std::fs::write(stage.place.path("images.yaml"), rules).unwrap();
    stage.run(&["--rule", "*/b"]).exits(2).says(&format!(
        "--rule: no rule is called `*/b`. The rules are `{from}/a`, `{from}/missing`."
    ));
    let outcome = stage.run(&["--rule", "*/a"]).exits(fine(command));
    let all = stage.run(&[]);
    if command == "validate" {
        assert!(outcome.stdout.contains("1 rule, "), "{}", outcome.stdout);
        assert!(all.stdout.contains("2 rules, "), "{}", all.stdout);
    } else {
        all.exits(1);
    }
}

/// Runs with an empty destination.
fn to_nowhere(command: &'static str, flags: &[&str]) -> (Stage, Outcome) {
    let stage = Stage::new(command).with(&image("a"));
    let from = format!("{}/a:v1", stage.source.host());
    std::fs::write(stage.place.path("nowhere.yaml"), format!("{from}: ''\n")).unwrap();
    let rest = match command {
        "copy" => [from.as_str(), ""],
        _ => ["--images", "nowhere.yaml"],
    };
    let host = stage.destination.host();
    let flags: Vec<&str> = flags
        .iter()
        .map(|flag| if *flag == "HOST" { &host } else { *flag })
        .collect();
    let all = [&["--auth", "auth.yaml"], &flags[..], &rest].concat();
    let outcome = run(&stage.place, command, &all);
    (stage, outcome)
}

/// Asserts that an empty destination is refused with one of the two flags, and resolves with both.
fn names_a_destination(command: &'static str, without: &[&str]) {
    to_nowhere(command, without).1.exits(2);
    let both = ["--registry", "HOST", "--namespace", "team"];
    let (stage, outcome) = to_nowhere(command, &both);
    let outcome = outcome.exits(fine(command));
    let named = format!("{}/team/a", stage.destination.host());
    let copied = stage.destination.state().digest("team/a", "v1").is_some();
    assert!(
        copied || outcome.stdout.contains(&named),
        "{}",
        outcome.stdout
    );
}

pub(super) fn registry(command: &'static str) {
    names_a_destination(command, &["--namespace", "team"]);
}

pub(super) fn namespace(command: &'static str) {
    names_a_destination(command, &["--registry", "HOST"]);
}

pub(super) fn platform_of_files(command: &'static str) {
    let stage = Stage::new(command);
    let plain = stage.run(&[]).exits(0).stdout;
    assert_ne!(stage.run(&["--os", "linux"]).exits(0).stdout, plain);
    assert_ne!(stage.run(&["--arch", "arm64"]).exits(0).stdout, plain);
}

fn insecure_hosts(stage: &Stage) -> String {
    format!("{},{}", stage.source.host(), stage.destination.host())
}

fn insecure_copy(command: &'static str, flags: &[&str]) -> Outcome {
    let stage = Stage::new(command).with(&image("a"));
    let from = format!("{}/a", stage.source.host());
    let to = format!("{}/b", stage.destination.host());
    let hosts = insecure_hosts(&stage);
    let flags: Vec<&str> = flags
        .iter()
        .map(|flag| if *flag == "HOSTS" { &hosts } else { *flag })
        .collect();
    let all = [&flags[..], &["--retries", "0", &from, &to]].concat();
    run(&stage.place, command, &all)
}

pub(super) fn insecure_of_copy(command: &'static str) {
    insecure_copy(command, &["--all-tags"]).exits(1);
    insecure_copy(command, &["--all-tags", "--insecure", "HOSTS"]).exits(0);
}

pub(super) fn all_tags(command: &'static str) {
    insecure_copy(command, &["--insecure", "HOSTS"]).exits(2);
    insecure_copy(command, &["--all-tags", "--insecure", "HOSTS"]).exits(0);
}

/// Returns the arguments that the command needs besides its flags.
fn place_of_records(command: &str) -> &'static [&'static str] {
    match command {
        "records forget" => &["r.example"],
        _ => &[],
    }
}

pub(super) fn records(command: &'static str) {
    let stage = Stage::new("").with(&image("a"));
    stage.run(&["--records", "here.sqlite3"]).exits(0);
    let rest = place_of_records(command);
    run(&stage.place, command, rest).exits(2);
    let named = [rest, &["--records", "here.sqlite3"]].concat();
    run(&stage.place, command, &named).exits(0);
}

/// Checks that an entry of a month ago is removed by `--older-than`.
pub(super) fn older_than(command: &'static str) {
    let stage = Stage::new("").with(&image("a"));
    let file = ["--records", "here.sqlite3"];
    stage.run(&file).exits(0);
    let records = rusqlite::Connection::open(stage.place.path("here.sqlite3")).unwrap();
    let aged = records.execute("UPDATE blobs SET seen = seen - 31", ());
    assert!(aged.unwrap() > 0);
    let removed = |flags: &[&str]| {
        let outcome = run(&stage.place, command, &[&file, flags].concat());
        outcome.exits(0).stdout
    };
    assert_eq!(removed(&[]), "0 records removed\n");
    assert_ne!(removed(&["--older-than", "30"]), "0 records removed\n");
}
