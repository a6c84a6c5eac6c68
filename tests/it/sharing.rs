//! Runs over `PostgreSQL`: their flags, their workers and their reports.

use serde_json::Value;
use testkit::Registry;

use crate::support::postgres::Postgres;
use crate::support::report::report;
use crate::support::{Outcome, Place, assert_arrived, image, registry};

/// Native file with one rule that copies, and one that fails.
const FILE: &str = r#"version: 1
registries:
  "SRC": {tls: {plain-http: true}}
  "DST": {tls: {plain-http: true}}
rules:
  - {name: good, from: "SRC/a", to: "DST/{repository}"}
  - {name: missing, from: "SRC/missing:v9", to: "DST/{repository}"}
"#;

/// A server, two registries and a file.
struct Shared {
    server: Postgres,
    source: Registry,
    destination: Registry,
    place: Place,
}

impl Shared {
    fn new() -> Self {
        let (source, destination) = (registry(), registry());
        source.push("a", Some("v1"), &image("a"));
        source.push("a", Some("v2"), &image("b"));
        let file = FILE
            .replace("SRC", &source.host())
            .replace("DST", &destination.host());
        let server = Postgres::start();
        let keyed = format!("{file}share: {{url: \"{}\"}}\n", server.url());
        let place = Place::new()
            .file("mirror.yaml", &file)
            .file("keyed.yaml", &keyed);
        Self {
            server,
            source,
            destination,
            place,
        }
    }

    /// Runs a command with these flags and the server.
    fn run(&self, command: &[&str], flags: &[&str]) -> Outcome {
        let url = self.server.url();
        let server = ["--share", &url];
        self.place.run(&[command, &server, flags].concat())
    }

    /// Begins a run, and carries it out.
    fn sync(&self) -> Outcome {
        self.run(&["--config", "mirror.yaml"], &["--report", "sync.json"])
    }

    /// Returns the list of runs.
    fn runs(&self) -> Vec<Value> {
        let list = self.run(&["report"], &["--output", "json"]).exits(0);
        serde_json::from_str(&list.stdout).unwrap()
    }

    /// Returns the digest of the rules of the last worker.
    fn digest(&self) -> String {
        let statement = "SELECT digest FROM image_syncer.workers ORDER BY started DESC LIMIT 1";
        self.server.sql(statement)
    }
}

/// Returns a report without the fields that depend on the process that wrote it.
fn comparable(mut report: Value) -> Value {
    let fields = report.as_object_mut().unwrap();
    for name in ["started", "finished", "elapsed_seconds"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    for image in fields["images"].as_array_mut().unwrap() {
        image.as_object_mut().unwrap().remove("elapsed_seconds");
    }
    let images = fields["images"].as_array_mut().unwrap();
    images.sort_by_key(ToString::to_string);
    for rule in fields["rules"].as_array_mut().unwrap() {
        // Files may be in different places on the machines.
        let rule = rule.as_object_mut().unwrap();
        rule.remove("file");
        rule.remove("line");
    }
    report
}

#[test]
pub(crate) fn the_report_of_a_shared_run_is_that_of_the_process_that_began_it() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    shared.sync().exits(1);
    assert_arrived(&shared.destination, "a", "v1", &image("a"));
    let [run] = &shared.runs()[..] else {
        panic!("one run")
    };
    assert_eq!(run["state"], "done");
    assert_eq!(run["cause"], "sync");
    assert_eq!(run["purpose"], "copy");
    assert_eq!(run["units"], run["finished_units"]);
    let id = run["run"].to_string();
    // Reading is no work.
    let workers = "SELECT count(*) FROM image_syncer.workers WHERE NOT has_left";
    assert_eq!(shared.server.sql(workers), "0");
    let line = shared.run(&["report"], &[]).exits(0).stdout;
    let cells: Vec<&str> = line.trim_end().split('\t').collect();
    assert_eq!(cells[..4], [&id, "done", "sync", ""]);
    let asked = shared.run(&["report"], &["--run", &id]).exits(0);
    assert_eq!(asked.stderr, "");
    let printed: Value = serde_json::from_str(&asked.stdout).unwrap();
    let flags = ["--run", &id, "-o", "run.json"];
    assert_eq!(shared.run(&["report"], &flags).exits(0).stdout, "");
    let written = report(&shared.place, "run.json");
    assert_eq!(written, printed);
    assert_eq!(written["exit_code"], 1);
    assert_eq!(written["images"].as_array().unwrap().len(), 3);
    assert_eq!(written["summary"]["copied"], 2);
    assert_eq!(written["summary"]["failed"], 1);
    let sync = report(&shared.place, "sync.json");
    assert_eq!(comparable(written), comparable(sync));
}

#[test]
fn mistakes_of_reports_are_refused() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    shared
        .run(&["report"], &["--run", "7"])
        .exits(1)
        .says("has no run 7. `image-syncer report` without --run lists the runs.");
    shared.run(&["report"], &["-o", "list.json"]).exits(2).says(
        "--output FILE needs --run. Write --output table or --output json for the list of runs.",
    );
    assert_eq!(shared.run(&["report"], &[]).exits(0).stdout, "");
    assert!(shared.runs().is_empty());
    shared.place.run(&["report", "--run", "7"]).exits(2);
}

#[test]
pub(crate) fn a_worker_takes_the_server_of_its_file() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    let work = ["work", "--config", "mirror.yaml", "--idle", "1s"];
    shared.place.run(&work).exits(2).says(
        "work needs the PostgreSQL server of the runs. Write --share postgres://USER@HOST/DATABASE, or the key `share` into the file",
    );
    let keyed = ["work", "--config", "keyed.yaml", "--idle", "1s"];
    let ended = shared.place.run(&keyed).exits(0);
    ended.says("the worker ends: 0 images copied");
    let of_file = shared.digest();
    // The flag comes first: this one cannot be parsed.
    let flag = ["--share", "mysql://user@127.0.0.1/runs"];
    shared.place.run(&[&keyed[..], &flag].concat()).exits(2);
    shared.run(&work[..3], &work[3..]).exits(0);
    assert_eq!(shared.digest(), of_file);
    assert_eq!(shared.source.requests().len(), 0);
}

#[test]
pub(crate) fn flags_of_a_worker_choose_its_rules() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    let work = ["work", "--config", "mirror.yaml"];
    let digest = |flags: &[&str]| {
        shared
            .run(&work, &[&["--idle", "0"], flags].concat())
            .exits(0);
        shared.digest()
    };
    let plain = digest(&[]);
    for own in [&["--proc", "3"][..], &["--temp", ".", "--partial"]] {
        assert_eq!(digest(own), plain, "{own:?}");
    }
    let of_rules: [&[&str]; 14] = [
        &["--os", "linux"],
        &["--arch", "arm64"],
        &["--strip-attestations"],
        &["--sparse", "--os", "linux"],
        &["--no-referrers"],
        &["--referrers", "deep"],
        &["--referrers-type", "application/spdx+json"],
        &["--referrers-interval", "12h"],
        &["--immutable", "v*"],
        &["--conflict", "skip"],
        &["--force"],
        &["--verify"],
        &["--foreign-layers"],
        &["--rule", "good"],
    ];
    let mut digests: Vec<String> = of_rules.iter().map(|flags| digest(flags)).collect();
    digests.push(plain);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), of_rules.len() + 1);
}

#[test]
pub(crate) fn a_worker_reads_classic_files_with_default_destinations() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    let images = format!("{}/a: ''\n", shared.source.host());
    std::fs::write(shared.place.path("images.yaml"), images).unwrap();
    std::fs::write(shared.place.path("auth.yaml"), "{}\n").unwrap();
    let files = ["work", "--images", "images.yaml", "--auth", "auth.yaml"];
    let flags = ["--idle", "0", "--namespace", "team"];
    shared.run(&files, &flags).exits(2);
    let registry = ["--registry", &shared.destination.host()];
    shared
        .run(&files, &[&flags[..], &registry].concat())
        .exits(0);
}

#[test]
pub(crate) fn the_lines_and_the_log_of_a_worker_follow_their_flags() {
    if !Postgres::is_installed() {
        return;
    }
    let shared = Shared::new();
    let work = ["work", "--config", "mirror.yaml"];
    let run = |flags: &[&str]| shared.run(&work, &[&["--idle", "0"], flags].concat());
    let plain = run(&[]).exits(0);
    plain.says_once("until a signal");
    // Never the password.
    assert!(!plain.stderr.contains("s3cret"), "{}", plain.stderr);
    assert_eq!(run(&["--quiet"]).exits(0).stderr, "");
    run(&["--quiet", "--verbose"]).exits(2);
    run(&["--log", "log.json", "--log-format", "json"]).exits(0);
    let log = shared.place.read("log.json");
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert!(first.is_object());
    run(&["--records", "here.sqlite3"]).exits(0);
    assert!(shared.place.path("here.sqlite3").exists());
    run(&["--no-records", "--records", "there.sqlite3"]);
    assert!(!shared.place.path("there.sqlite3").exists());
}

#[cfg(feature = "service")]
#[test]
pub(crate) fn a_service_takes_the_server_of_its_flag() {
    let rule = "{from: \"127.0.0.1:1/a:v1\", to: \"127.0.0.1:2/a\"}";
    // The flag comes before the file.
    let text =
        format!("version: 1\nrules: [{rule}]\nshare: {{url: \"postgres://u@127.0.0.1:1/file\"}}\n");
    let place = Place::new().file("mirror.yaml", &text);
    let serve = ["serve", "--config", "mirror.yaml", "--state", "state"];
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--share",
        "mysql://u:s3cret@h/db",
    ];
    let ended = place.run(&[&serve[..], &flags].concat()).exits(2);
    ended
        .says("it does not begin with postgres://")
        .does_not_say("s3cret");
}
