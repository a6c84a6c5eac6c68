//! `image-syncer plan`, and `--dry-run`, which plans another command line.

use std::io::{BufRead, BufReader, Read};

use serde_json::{Value, json};
use testkit::profile::{Existence, Unknown};
use testkit::{Auth, Image, Layer, Profile, Registry};

use crate::support::report::{assert_valid, images, report};
use crate::support::showing::{differing, failing, run_reading, stuck};
use crate::support::terminal::Terminal;
use crate::support::{FILES, Outcome, PATIENCE, World, image, registry, signal};

#[test]
fn the_plan_is_on_stdout_and_the_rest_on_stderr() {
    let world = failing(differing());
    let outcome = run_reading(&world, &["plan"], &[]).exits(1);
    insta::assert_snapshot!("plain", world.named(&outcome.stdout));
    let outcome = outcome
        .says("matches nothing")
        .says("hint: ")
        .does_not_say("planned")
        .does_not_say("new ");
    assert_eq!(outcome.lines("failed").len(), 1, "{}", outcome.stderr);
    assert_eq!(world.destination.state().tags("app"), ["v2", "v3"]);
    assert_eq!(world.destination.state().tags("web"), [""; 0]);
}

#[test]
fn on_a_terminal_the_plan_is_a_table_of_its_width() {
    let world = failing(differing());
    for columns in [80, 160] {
        let mut command = world.place.command(&[&["plan"], &FILES[..]].concat());
        command.env("TERM", "xterm");
        let ended = Terminal::whole(command, columns, 40).ends();
        assert_eq!(ended.code, 1, "{}", ended.screen);
        // The screen has the whole table, and nothing of the live view is left.
        let screen = world.named(&ended.screen);
        insta::assert_snapshot!(format!("at_{columns}"), screen.trim_end());
        assert!(ended.raw.contains("\x1b[32mnew\x1b[0m"), "{}", ended.raw);
    }
    let mut command = world.place.command(&[&["plan"], &FILES[..]].concat());
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let ended = Terminal::whole(command, 80, 40).ends();
    assert!(!ended.raw.contains("\x1b[32m"), "{}", ended.raw);
}

#[test]
fn unchanged_images_are_counted_and_listed_with_verbose() {
    let world = differing();
    let quiet = run_reading(&world, &["plan"], &["-q"]).exits(0);
    assert!(!quiet.stdout.contains("\nunchanged"), "{}", quiet.stdout);
    assert!(quiet.stdout.contains("1 new, 1 changed, 1 unchanged"));
    let verbose = run_reading(&world, &["plan"], &["-v"]).exits(0);
    let rows = verbose
        .stdout
        .lines()
        .filter(|l| l.starts_with("unchanged  "));
    assert_eq!(rows.count(), 1, "{}", verbose.stdout);
}

#[test]
fn with_exit_code_differences_exit_with_3() {
    let world = differing();
    run_reading(&world, &["plan"], &[]).exits(0);
    run_reading(&world, &["plan"], &["--exit-code"]).exits(3);
    run_reading(&world, &[], &["--dry-run", "--exit-code"]).exits(3);
    world
        .run_command(&[], &[])
        .exits(0)
        .says("2 copied, 1 unchanged");
    run_reading(&world, &["plan"], &["--exit-code"]).exits(0);
    run_reading(&world, &["plan"], &["--exit-code", "--force"]).exits(3);
    let world = failing(world);
    run_reading(&world, &["plan"], &[]).exits(1);
    run_reading(&world, &["plan"], &["--exit-code", "--force"]).exits(1);
}

#[test]
fn records_are_read_and_not_created() {
    let world = differing();
    let directory = world.place.path(".local/state/image-syncer");
    run_reading(&world, &["plan"], &[]).exits(0);
    run_reading(&world, &["check"], &[]).exits(3);
    assert!(!directory.exists());
    world.run_command(&[], &[]).exits(0);
    let file = directory.join("records.sqlite3");
    let written = std::fs::read(&file).unwrap();
    let immutable = &["--immutable", "v*"];
    run_reading(&world, &["check"], immutable).exits(0);
    run_reading(&world, &["plan"], immutable).exits(0);
    assert_eq!(std::fs::read(&file).unwrap(), written);
}

#[test]
fn a_dry_run_is_the_plan_of_its_command_line() {
    let world = differing();
    let plan = run_reading(&world, &["plan"], &["--no-referrers"]).exits(0);
    // Flags that limit a run have no effect here, and are accepted.
    let flags = [
        "--no-referrers",
        "--dry-run",
        "--proc",
        "1",
        "--max-rate",
        "1MiB",
    ];
    let dry = run_reading(&world, &[], &flags).exits(0);
    assert_eq!(dry.stdout, plan.stdout);
    let host = world.source.host();
    let (from, to) = (format!("{host}/app:v2"), format!("{host}/elsewhere"));
    let before = world.source.requests().len();
    let copy = [
        "copy",
        &from,
        &to,
        "--insecure",
        &host,
        "--dry-run",
        "--exit-code",
    ];
    let copy = world.place.run(&copy).exits(3);
    assert!(
        copy.stdout
            .contains(&format!("new        {from} → {to}:v2  sha256:"))
    );
    for request in &world.source.requests()[before..] {
        assert!(
            matches!(request.method.as_str(), "GET" | "HEAD"),
            "{}",
            request.line()
        );
    }
    assert_eq!(world.source.state().tags("elsewhere"), [""; 0]);
}

#[test]
fn flags_without_a_meaning_for_a_plan_are_refused() {
    let world = differing();
    for flags in [
        &["--exit-code"][..],
        &["--output", "table"],
        &["plan", "--proc", "1"],
        &["plan", "--max-rate", "1MiB"],
        &["plan", "--commit-timeout", "9"],
        &["plan", "--dry-run"],
        &["check", "--force"],
        &["check", "--exit-code"],
    ] {
        let outcome = match flags {
            [command @ ("plan" | "check"), flags @ ..] => run_reading(&world, &[command], flags),
            flags => run_reading(&world, &[], flags),
        };
        assert_eq!(outcome.exits(2).stdout, "");
    }
}

#[test]
fn programs_get_the_document_of_the_report() {
    let world = failing(differing());
    let flags = ["--output", "json", "--report", "report.json"];
    let outcome = run_reading(&world, &["plan"], &flags).exits(1);
    let plan: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_valid(&plan);
    assert_eq!(
        (&plan["command"], &plan["exit_code"]),
        (&json!("plan"), &json!(1))
    );
    let (from, to) = (world.source.host(), world.destination.host());
    let expected = ["v1", "v2"].map(|tag| format!("{from}/app:{tag} → {to}/app:{tag}"));
    assert_eq!(images(&plan, "planned"), expected);
    assert_eq!(images(&plan, "unchanged").len(), 1);
    let planned = plan["images"].as_array().unwrap().iter();
    let costs = planned.filter_map(|image| image["planned"].get("cost"));
    assert_eq!(costs.count(), 2);
    // The same in a file.
    let report = report(&world.place, "report.json");
    assert_eq!(report["images"], plan["images"]);
    assert_eq!(report["summary"], plan["summary"]);
    let dry = ["--dry-run", "--output", "json", "--exit-code"];
    let dry = run_reading(&differing(), &[], &dry).exits(3);
    let dry: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_valid(&dry);
    assert_eq!(
        (&dry["command"], &dry["exit_code"]),
        (&json!("sync"), &json!(3))
    );
}

#[test]
fn a_sync_does_what_the_plan_said() {
    let (source, destination) = (registry(), registry());
    let layers = |names: &[&str]| {
        let layers = names.iter().map(|name| Layer::tar(name, 5_000));
        Image::single(layers.collect::<Vec<_>>())
    };
    source.push("a", Some("v1"), &layers(&["base", "a1"]));
    source.push("a", Some("v2"), &layers(&["base", "a2"]));
    source.push("b", Some("v1"), &layers(&["base", "b1", "there"]));
    // A part of it exists, as part of another image.
    destination.push("b", Some("old"), &layers(&["there"]));
    let world = World::of(source, destination, "SRC/a: DST/a\nSRC/b: DST/b\n");
    let plan = run_reading(&world, &["plan"], &["--output", "json"]).exits(0);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    world
        .run_command(&[], &["--report", "report.json"])
        .exits(0);
    let done = report(&world.place, "report.json");
    assert_eq!(images(&plan, "planned"), images(&done, "copied"));
    let (planned, moved) = (&plan["summary"]["volume"], &done["summary"]["volume"]);
    for what in ["manifests", "blobs", "bytes"] {
        assert_eq!(planned[what], moved[what], "{what}: {planned} {moved}");
    }
    let spared = |volume: &Value| -> u64 {
        let kinds = ["mounted_bytes", "present_bytes", "shared_bytes"];
        kinds
            .map(|kind| volume[kind].as_u64().unwrap())
            .iter()
            .sum()
    };
    assert_eq!(spared(planned), spared(moved), "{planned} {moved}");
    let again = run_reading(&world, &["plan"], &["--exit-code"]).exits(0);
    let last = again.stdout.lines().last().unwrap();
    assert_eq!(
        last,
        "0 B to send in 0 blobs and 0 manifests, 0 B to mount, 0 B there, 0 B shared"
    );
}

#[test]
fn a_hidden_repository_is_new_with_a_note_and_a_missing_one_without() {
    let (basic, bearer) = (Auth::basic("ada", "pw"), Auth::bearer("ada", "pw"));
    for (unknown_repository, auth, hidden) in [
        (Unknown::Denied, &basic, true),
        (Unknown::ProjectNotFound, &bearer, true),
        (Unknown::NotFound, &basic, false),
    ] {
        let profile = Profile {
            unknown_repository,
            existence: Existence::Nothing,
            ..Profile::distribution()
        };
        let destination = Registry::builder()
            .profile(profile)
            .auth(auth.clone())
            .start_on_thread();
        let world = World::of(registry(), destination, "SRC/app:v1: DST/ada/app\n").with(
            "app",
            "v1",
            &image("app"),
        );
        let auth = "SRC: {insecure: true}\nDST: {insecure: true, username: ada, password: pw}\n";
        let auth = world.with_hosts(auth);
        std::fs::write(world.place.path("auth.yaml"), auth).unwrap();
        let plan = run_reading(&world, &["plan"], &[]).exits(0);
        assert!(
            plan.stdout.contains("\n1 image: 1 new, "),
            "{}",
            plan.stdout
        );
        let note = "the repository is hidden from the login, or does not exist";
        assert_eq!(plan.stdout.contains(note), hidden, "{}", plan.stdout);
        for command in ["plan", "check"] {
            let code = if command == "check" { 3 } else { 0 };
            let json = run_reading(&world, &[command], &["--output", "json"]).exits(code);
            let document: Value = serde_json::from_str(&json.stdout).unwrap();
            assert_valid(&document);
            let planned = &document["images"][0]["planned"];
            assert_eq!(planned["change"], "new", "{command}");
            assert_eq!(planned["hidden"] == true, hidden, "{command}: {planned}");
        }
        world.run(&[]).exits(0).says("1 image: 1 copied");
        let json = run_reading(&world, &["plan"], &["--output", "json"]).exits(0);
        assert!(!json.stdout.contains("hidden"), "{}", json.stdout);
    }
}

#[test]
fn an_interrupted_plan_says_that_it_is_incomplete() {
    let (world, list) = stuck(differing());
    let mut child = world
        .place
        .command(&[&["plan"], &FILES[..]].concat())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    // Known images are shown before the rest is known.
    while !shown.contains("matches nothing") {
        assert!(stdout.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    assert!(shown.contains("1 new, 1 changed, 1 unchanged"), "{shown}");
    list.wait(1, PATIENCE).unwrap();
    signal(&child, "-INT");
    stdout.read_to_string(&mut shown).unwrap();
    Outcome::of(child.wait_with_output().unwrap())
        .exits(130)
        .says("interrupted: the plan is incomplete");
    let last = shown.lines().last().unwrap();
    assert_eq!(
        last,
        "interrupted and incomplete: 1 source not listed to the end"
    );
}

#[test]
fn a_reader_that_goes_away_ends_the_plan() {
    let (world, _list) = stuck(differing());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = world.place.command(&[&["plan"], &FILES[..]].concat());
    let child = command.stdout(writer).spawn().unwrap();
    drop(command);
    let outcome = Outcome::of(child.wait_with_output().unwrap()).exits(130);
    assert!(!outcome.stderr.contains("panic"), "{}", outcome.stderr);
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let world = differing();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = world.place.command(&[&["plan"], &FILES[..]].concat());
    let output = command.stdout(full).output().unwrap();
    Outcome::of(output)
        .exits(1)
        .says("cannot write to stdout: No space left on device");
}
