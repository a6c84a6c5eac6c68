#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod documents;

use std::sync::Arc;
use std::time::Duration;

use image_syncer_registry::transport::{Observer as _, PauseReason};
use image_syncer_sync::event::{Copied, Volume};

use image_syncer_sync::{Event, ImageId, Outcome, RuleId};
use jiff::SignedDuration;

use super::state::{OTHER, REGISTRIES, RULES};
use super::*;
use crate::service::observer::RunObserver as _;
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};
use crate::service::schedule::PlannedRun;
use crate::service::throughput::Sample;

const STARTED: i64 = 1_796_076_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn run(number: i64, rule: &str) -> Run {
    Run {
        id: RunId::from_number(number).unwrap(),
        rule: rule.into(),
        cause: Cause::Schedule,
        purpose: RunPurpose::Sync,
        scope: Scope::default(),
        state: RunState::Running,
        requested: at(STARTED),
        started: Some(at(STARTED)),
        ended: None,
        counts: RunCounts::default(),
        failure: None,
    }
}

fn ended(run: &Run, state: RunState, failed: u64) -> Run {
    let mut run = run.clone();
    run.state = state;
    run.ended = Some(at(STARTED + 90));
    run.counts.failed = failed;
    run
}

fn finished(destination: &str, outcome: Outcome) -> Event {
    Event::ImageFinished {
        image: ImageId {
            rule: RuleId::new("any", None),
            source: "a.example/x:v1".into(),
            destination: destination.into(),
        },
        outcome,
        elapsed: Duration::ZERO,
    }
}

fn copied() -> Outcome {
    let digest = image_syncer_registry::Digest::sha256(b"x");
    let mut copied = Copied::without_transfer(digest);
    copied.volume = Volume {
        bytes: 1,
        mounted_bytes: 20,
        present_bytes: 300,
        shared_bytes: 4_000,
        ..Volume::default()
    };
    Outcome::Copied(copied)
}

fn set_rules(metrics: &Metrics, names: &[&str]) {
    let names: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
    metrics.state().set_rules(names.iter());
}

/// Returns the values, without comments, values of the process, and series that are zero.
fn values(metrics: &Metrics) -> Vec<String> {
    let text = metrics.encode();
    assert!(text.ends_with("# EOF\n"));
    let lines = text.lines().map(str::to_owned);
    let ours = lines.filter(|line| line.starts_with(PREFIX));
    ours.filter(|line| !line.ends_with(" 0") && !line.ends_with(" 0.0"))
        .collect()
}

#[test]
fn a_run_counts_once_and_its_result_is_that_of_the_rule() {
    let metrics = Metrics::default();
    set_rules(&metrics, &["tools"]);
    let first = run(1, "tools");
    metrics.changed(&first);
    let sample = Sample {
        uploads: 3,
        ..Sample::default()
    };
    metrics.progress(&first, &sample);
    assert!(values(&metrics).contains(&"image_syncer_transfers_in_flight 3".to_owned()));
    metrics.event(first.id, &finished("b.example/x:v1", copied()));
    metrics.event(first.id, &finished("oci:/srv/x:v1", copied()));
    metrics.changed(&ended(&first, RunState::Succeeded, 0));
    metrics.state().rule("tools").planned = Some(PlannedRun {
        start: at(STARTED + 3_600),
        interval: Some(SignedDuration::from_hours(1)),
    });
    insta::assert_snapshot!(values(&metrics).join("\n"));

    let second = run(2, "tools");
    metrics.changed(&second);
    metrics.changed(&ended(&second, RunState::Failed, 7));
    let values = values(&metrics);
    for line in [
        "image_syncer_rule_last_success_timestamp_seconds{rule=\"tools\"} 1796076090",
        "image_syncer_rule_last_run_failed_images{rule=\"tools\"} 7",
        "image_syncer_runs_total{rule=\"tools\",cause=\"schedule\",result=\"failed\"} 1",
        "image_syncer_run_duration_seconds_count{rule=\"tools\"} 2",
    ] {
        assert!(values.contains(&line.to_owned()), "{line}: {values:#?}");
    }
}

#[test]
fn a_run_of_a_part_proves_nothing_about_its_rule() {
    let metrics = Metrics::default();
    set_rules(&metrics, &["tools"]);
    let mut part = run(1, "tools");
    part.scope.tags = vec!["v1".to_owned()];
    let mut check = run(2, "tools");
    check.purpose = RunPurpose::Check;
    for run in [part, check] {
        metrics.changed(&run);
        metrics.changed(&ended(&run, RunState::Succeeded, 0));
    }
    let text = metrics.encode();
    assert!(text.contains(
        "image_syncer_runs_total{rule=\"tools\",cause=\"schedule\",result=\"succeeded\"} 2"
    ));
    assert!(!text.contains("timestamp_seconds{rule"));
    assert!(!text.contains("failed_images{rule"));
}

#[test]
fn requests_and_pauses_belong_to_their_registry() {
    let metrics = Metrics::default();
    let second = Duration::from_secs(1);
    {
        let mut state = metrics.state();
        let series = state.registry("a.example");
        series.count_request("HEAD", Some(200), second / 100);
        series.count_request("HEAD", Some(429), second);
        series.count_request("GET", None, 90 * second);
        series.count_request("LINK", Some(700), 31 * second);
    }
    metrics.retry("a.example", "broken", 1, second);
    metrics.pause("a.example", 3 * second / 2, PauseReason::RateLimit);
    metrics.pause("a.example", 2 * second, PauseReason::Overload);
    metrics.count_hook("harbor", "accepted");
    metrics.reloaded(Err("mistakes"));
    metrics.rules(&Arc::default());
    insta::assert_snapshot!(values(&metrics).join("\n"));
}

#[test]
fn tries_of_notifications_belong_to_their_receiver() {
    let metrics = Metrics::default();
    assert!(
        !metrics
            .encode()
            .contains("image_syncer_notifications_total{")
    );
    assert!(
        !metrics
            .encode()
            .contains("\nimage_syncer_notifications_waiting ")
    );
    metrics.add_receivers(["slack-1", "feishu-1"].into_iter());
    for outcome in ["retried", "retried", "delivered"] {
        metrics.count_notification("slack-1", outcome);
    }
    for number in 0..1_000 {
        metrics.count_notification(&format!("dingtalk-{number}"), "failed");
    }
    metrics.set_waiting_notifications(7);
    let expected = [
        "image_syncer_notifications_total{receiver=\"other\",outcome=\"failed\"} 1000",
        "image_syncer_notifications_total{receiver=\"slack-1\",outcome=\"delivered\"} 1",
        "image_syncer_notifications_total{receiver=\"slack-1\",outcome=\"retried\"} 2",
        "image_syncer_notifications_waiting 7",
    ];
    let mut values = values(&metrics);
    values.retain(|line| line.contains("notifications"));
    assert_eq!(values, expected);
    let text = metrics.encode();
    let series = text
        .lines()
        .filter(|line| line.starts_with("image_syncer_notifications_total{"));
    assert_eq!(series.count(), 9);
}

#[test]
fn labels_are_bounded() {
    let metrics = Metrics::default();
    let names: Vec<String> = (0..10_000).map(|number| format!("rule {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    set_rules(&metrics, &names);
    for (number, name) in (1..).zip(&names) {
        let run = run(number, name);
        metrics.changed(&run);
        metrics.event(run.id, &finished("b.example/x:v1", copied()));
        metrics.changed(&ended(&run, RunState::Succeeded, 0));
        metrics.retry(&format!("{number}.example"), "", 1, Duration::ZERO);
    }
    let state = metrics.state();
    assert_eq!(state.labelled_rules().count(), RULES + 1);
    assert_eq!(state.labelled_registries().count(), REGISTRIES + 1);
    let (label, others) = state.labelled_rules().last().unwrap();
    assert_eq!((label, others.images[0]), (OTHER, 9_500));
    let (label, others) = state.labelled_registries().last().unwrap();
    assert_eq!((label, others.retries), (OTHER, 9_001));
    assert!(state.runs.is_empty());
}

#[test]
fn series_of_a_rule_end_when_it_vanishes_and_the_next_one_gets_its_label() {
    let metrics = Metrics::default();
    let names: Vec<String> = (0..=RULES).map(|number| format!("rule {number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    set_rules(&metrics, &names);
    for (number, name) in (1..).zip(&names) {
        let run = run(number, name);
        metrics.changed(&run);
        metrics.changed(&ended(&run, RunState::Succeeded, 0));
    }
    let last = format!("rule=\"rule {RULES}\"");
    assert!(metrics.encode().contains("{rule=\"rule 0\"}"));
    assert!(!metrics.encode().contains(&last));
    names.remove(0);
    set_rules(&metrics, &names);
    assert!(!metrics.encode().contains("\"rule 0\""));
    assert!(metrics.encode().contains(&last));
    // A run of a rule that vanished in the meantime.
    let late = run(1_000, "rule 0");
    metrics.changed(&late);
    metrics.changed(&ended(&late, RunState::Succeeded, 0));
    assert!(!metrics.encode().contains("\"rule 0\""));
}
