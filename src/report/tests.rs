#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::{Cause, Digest, ErrorKind};
use image_syncer_sync::event::{Change, Copied, Cost, Evidence, Loss, Planned, Volume};
use image_syncer_sync::report::Report;
use image_syncer_sync::rule::with_distinct_ids;
use image_syncer_sync::rule::{Rule, RuleError, RuleSet};
use image_syncer_sync::{Event, Failure, ImageId, Listener, Outcome, Side};
use serde_json::Value;

use super::*;
use crate::host_counts::HostCounts;
use crate::images_file::{ImageSelection, ImagesFile};
use crate::run_summary::{RunSummary, Traffic};

fn digest(number: u8) -> Digest {
    Digest::parse(&format!("sha256:{}", format!("{number:02x}").repeat(32))).unwrap()
}

fn rule() -> Arc<Rule> {
    let none = |_: &_| Err(RuleError("no default".to_owned()));
    Arc::new(Rule::parse("a.example/x", &["b.example/y"], &none).unwrap())
}

fn finished(rule: &Rule, tag: &str, outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: ImageId {
            rule: rule.id,
            source: format!("a.example/x:{tag}").into(),
            destination: format!("b.example/y:{tag}").into(),
        },
        outcome,
        elapsed: Duration::from_millis(1_234),
    }
}

fn planned(change: Change) -> Outcome {
    Outcome::Planned(Box::new(Planned {
        digest: digest(1),
        change,
        filtered: true,
        sparse: false,
        hidden: false,
        cost: Some(Cost {
            platforms: vec!["linux/amd64".to_owned()],
            layers: 3,
            volume: Volume::default(),
            referrers: 0,
        }),
    }))
}

/// Returns one outcome of each kind.
fn outcomes() -> Vec<Outcome> {
    let failure = Failure {
        side: Side::Destination,
        kind: Some(ErrorKind::Denied),
        cause: Cause::NoPushRight,
        host: "b.example".to_owned(),
        status: Some(403),
        code: Some("DENIED".to_owned()),
        ..Failure::local("cannot push \"it\"")
    };
    let mut copied = Copied::without_transfer(digest(1));
    copied.volume.bytes = 7;
    copied.replaced = Some(digest(2));
    let repaired = Copied {
        losses: vec![Loss::Blob(digest(3))],
        ..Copied::without_transfer(digest(1))
    };
    let unchanged = Outcome::Unchanged {
        digest: digest(1),
        by: Evidence::Records,
    };
    let why = "nothing is left of it".to_owned();
    vec![
        Outcome::Copied(copied),
        Outcome::Copied(repaired),
        unchanged,
        Outcome::Skipped { why },
        Outcome::Failed(failure),
        Outcome::Failed(Failure::interrupted()),
        planned(Change::New),
        planned(Change::Moved { from: digest(9) }),
        planned(Change::Referrers),
        planned(Change::Again(vec![Loss::Manifest(digest(4))])),
        planned(Change::Again(Vec::new())),
    ]
}

fn end(document: &ReportWriter<Vec<u8>>, report: &Report, rules: &[Arc<Rule>]) -> Vec<u8> {
    let hosts = [
        (Some("a.example".to_owned()), HostCounts::default()),
        (None, HostCounts::default()),
    ];
    let ending = RunSummary {
        shard: None,
        summary: &report.summary(),
        rules: &RuleSet::from(rules.to_vec()).descriptions(),
        hosts: &hosts,
        traffic: Traffic {
            fetched: 5,
            sent: 7,
        },
        elapsed: Duration::from_millis(2_500),
        exit_code: 130,
    };
    document.end(&ending).unwrap()
}

/// Returns the document, after a check against the schema.
fn checked(text: &[u8]) -> Value {
    let schema = include_str!("../../docs/report.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let document = serde_json::from_slice(text).unwrap();
    let mistakes: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}\n{document:#}");
    document
}

#[test]
fn every_outcome_matches_the_schema() {
    let (document, report) = (ReportWriter::begin(Vec::new(), "sync"), Report::new());
    // The second rule never starts.
    let rules = with_distinct_ids(vec![rule(), rule()]);
    let rule = &rules[0];
    let mut events = vec![Event::RuleStarted {
        rule: Arc::new((&**rule).into()),
    }];
    for (number, outcome) in outcomes().into_iter().enumerate() {
        events.push(finished(rule, &number.to_string(), outcome));
    }
    events.push(Event::RuleDiscovered {
        rule: rule.id,
        images: outcomes().len() as u64,
        empty: None,
    });
    for event in &events {
        document.event(event);
        report.event(event);
    }
    let text = end(&document, &report, &rules);
    let json = checked(&text);
    let words: Vec<&str> = json["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(words[..3], ["copied", "copied", "unchanged"]);
    assert_eq!(words[3..7], ["skipped", "failed", "interrupted", "planned"]);
    assert_eq!(json["images"][4]["failure"]["reason"], "cannot push \"it\"");
    assert_eq!(json["images"][7]["planned"]["from"], digest(9).to_string());
    assert_eq!(json["images"][0]["elapsed_seconds"], 1.234);
    assert_eq!(json["images"][0]["rule"], "a.example/x");
    assert_eq!(json["rules"][0]["state"], "listed");
    assert_eq!(json["rules"][1]["state"], "interrupted");
    assert_eq!(json["summary"]["spared_bytes"], 2);
    assert_eq!(json["complete"], false);
}

#[test]
fn a_run_without_images_is_a_valid_document() {
    let (document, report) = (ReportWriter::begin(Vec::new(), "plan"), Report::new());
    let json = checked(&end(&document, &report, &[]));
    assert_eq!(json["images"].as_array().unwrap().len(), 0);
    assert_eq!(
        (&json["version"], &json["command"]),
        (&1.into(), &"plan".into())
    );
}

#[test]
fn an_image_takes_a_line() {
    let (document, report) = (ReportWriter::begin(Vec::new(), "sync"), Report::new());
    for outcome in outcomes() {
        document.event(&finished(&rule(), "v1", outcome));
    }
    let text = String::from_utf8(end(&document, &report, &[])).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("    {\"rule\""));
    assert_eq!(lines.count(), outcomes().len());
    assert!(text.ends_with("\n}\n"), "{text}");
}

/// Output that accepts only this number of bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_write_error_is_returned_at_the_end() {
    let (document, report) = (ReportWriter::begin(Full(100_000), "sync"), Report::new());
    let rule = rule();
    for number in 0..2_000 {
        let skipped = Outcome::Skipped {
            why: "x".repeat(100),
        };
        document.event(&finished(&rule, &number.to_string(), skipped));
    }
    let ending = RunSummary {
        shard: None,
        summary: &report.summary(),
        rules: &[],
        hosts: &[],
        traffic: Traffic::default(),
        elapsed: Duration::ZERO,
        exit_code: 0,
    };
    let error = document.end(&ending).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

/// Returns the peak memory of this process, in KiB.
fn held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// Sends the images with these numbers to all listeners. Every second one failed.
fn tell(listeners: &[Arc<dyn Listener>], rule: &Rule, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let outcome = if number.is_multiple_of(2) {
            Outcome::Copied(Copied::without_transfer(digest(1)))
        } else {
            Outcome::Failed(Failure::local(format!("cannot push image {number}")))
        };
        let event = finished(rule, &format!("v{number}"), outcome);
        for listener in listeners {
            listener.event(&event);
        }
    }
}

/// Runs in a process of its own, started by the test below, so that nothing else uses its memory.
#[test]
#[ignore = "measures its whole process"]
fn many_images_in_a_process_of_their_own() {
    // The first time loads the code, which is memory of the process as well.
    write_files(20_000);
    let before = held();
    write_files(100_000);
    let grown = held() - before;
    assert!(grown <= 2 * 1024, "{grown} KiB for 80,000 images more");
}

/// Writes all files of a run with this number of images.
fn write_files(images: u32) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let file = |wanted, name: &str| {
        let file = ImagesFile::by_suffix(wanted, &path(name)).unwrap();
        Arc::new(file)
    };
    let there = file(ImageSelection::There, "there.yaml");
    let failed = file(ImageSelection::Failed, "failed.json");
    let report = Arc::new(Report::new());
    let document = Arc::new(ReportFile::begin(&path("report.json"), "sync").unwrap());
    let listeners: [Arc<dyn Listener>; 4] = [
        there.clone(),
        failed.clone(),
        report.clone(),
        document.clone(),
    ];
    tell(&listeners, &rule(), 0..images);
    there.write().unwrap();
    failed.write().unwrap();
    let ending = RunSummary {
        shard: None,
        summary: &report.summary(),
        rules: &[],
        hosts: &[],
        traffic: Traffic::default(),
        elapsed: Duration::ZERO,
        exit_code: 1,
    };
    document.put(&ending).unwrap();
    let half = images as usize / 2;
    // Not in memory as a whole.
    let lines = |name: &str| {
        let file = std::fs::File::open(path(name)).unwrap();
        std::io::BufRead::lines(std::io::BufReader::new(file)).count()
    };
    assert_eq!(lines("there.yaml"), 2 * half);
    assert_eq!(lines("failed.json"), 3 * half + 2);
    assert!(lines("report.json") > images as usize);
}

#[test]
fn a_hundred_thousand_images_cost_no_memory() {
    let name = "report::tests::many_images_in_a_process_of_their_own";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}
