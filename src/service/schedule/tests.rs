//! Simulated weeks: missed times, changes of daylight saving, overlaps, reloads and failures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::Duration;

use crate::service::run::{Cause, RunPurpose, Scope};
use crate::service::runs::RunRequest;
use crate::service::testing::{Simulation, rules, session};

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns the lines of starts, without the cause if that is the schedule.
fn starts(lines: &[String]) -> Vec<String> {
    let starts = lines.iter().filter(|line| line.contains(" running "));
    let starts = starts.map(|line| line.replace(" running schedule", ""));
    starts.map(|line| line.replace(" running", "")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_week_with_the_change_to_summer_time_in_berlin() {
    let rules = rules(&[
        r#"{name: night, from: "fast.example/**", schedule: {cron: "30 2 * * *", zone: Europe/Berlin, jitter: 0s}}"#,
        r#"{name: weekly, from: "fast.example/**", schedule: {cron: "0 12 * * 1", jitter: 0s}}"#,
        r#"{name: manual, from: "fast.example/**", schedule: never}"#,
    ]);
    let service = Simulation::start("2026-03-26T00:00:00Z", rules, 4);
    let lines = service.until("2026-04-02T00:00:00Z").await;
    assert_eq!(
        starts(&lines),
        [
            "Thu 26 01:30 night",
            "Fri 27 01:30 night",
            "Sat 28 01:30 night",
            // 02:30 does not exist: the gap ends at 03:00, which is 01:00 in UTC.
            "Sun 29 01:00 night",
            "Mon 30 00:30 night",
            "Mon 30 12:00 weekly",
            "Tue 31 00:30 night",
            "Wed 01 00:30 night",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_week_with_the_change_to_winter_time_in_new_york() {
    let rules = rules(&[
        r#"{name: night, from: "fast.example/**", schedule: {cron: "30 1 * * *", zone: America/New_York, jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-10-30T00:00:00Z", rules, 4);
    let lines = service.until("2026-11-06T00:00:00Z").await;
    assert_eq!(
        starts(&lines),
        [
            "Fri 30 05:30 night",
            "Sat 31 05:30 night",
            // 01:30 comes twice.
            "Sun 01 05:30 night",
            "Mon 02 06:30 night",
            "Tue 03 06:30 night",
            "Wed 04 06:30 night",
            "Thu 05 06:30 night",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn times_that_were_missed_are_caught_up_once() {
    let rules = rules(&[
        r#"{name: daily, from: "fast.example/**", schedule: {cron: "0 3 * * *", jitter: 0s}}"#,
        r#"{name: every, from: "fast.example/**", schedule: {every: 10h, jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-11-30T00:00:00Z", rules, 4);
    service.until("2026-11-30T04:00:00Z").await;
    // Down from Monday 04:00 to Friday 04:00.
    let service = service.restart(96 * HOUR).await;
    let lines = service.until("2026-12-05T04:00:00Z").await;
    assert_eq!(
        starts(&lines),
        [
            "Fri 04 04:00 every",
            "Fri 04 04:00 daily",
            // The interval counts from the last start.
            "Fri 04 14:00 every",
            "Sat 05 00:00 every",
            "Sat 05 03:00 daily",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_shift_an_interval() {
    let rules =
        rules(&[r#"{name: every, from: "fast.example/**", schedule: {every: 6h, jitter: 0s}}"#]);
    let mut service = Simulation::start("2026-11-30T00:00:00Z", rules, 4);
    let mut lines = service.until("2026-11-30T01:00:00Z").await;
    for end in [
        "2026-11-30T05:00:00Z",
        "2026-11-30T13:00:00Z",
        "2026-11-30T19:00:00Z",
    ] {
        service = service.restart(HOUR).await;
        lines.extend(service.until(end).await);
    }
    assert_eq!(
        starts(&lines),
        [
            "Mon 30 00:00 every",
            "Mon 30 06:00 every",
            "Mon 30 12:00 every",
            "Mon 30 18:00 every"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_interrupted_is_caught_up() {
    let rules = rules(&[
        r#"{name: long, from: "slow-120.example/**", schedule: {cron: "0 3 * * *", jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-11-30T02:00:00Z", rules, 4);
    service.until("2026-11-30T04:00:00Z").await;
    let service = service.restart(Duration::from_secs(60)).await;
    let lines = service.until("2026-12-01T02:00:00Z").await;
    assert_eq!(
        lines,
        [
            "Mon 30 04:00 long interrupted schedule",
            "Mon 30 04:01 long running schedule",
            "Mon 30 06:01 long succeeded schedule",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_longer_than_its_interval_starts_again_at_its_end() {
    let rules = rules(&[
        r#"{name: long, from: "slow-90.example/**", schedule: {cron: "0 * * * *", jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-11-30T00:30:00Z", rules, 4);
    let lines = service.until("2026-11-30T06:00:00Z").await;
    assert_eq!(
        starts(&lines),
        [
            "Mon 30 01:00 long",
            "Mon 30 02:30 long",
            "Mon 30 04:00 long",
            "Mon 30 05:30 long"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn failures_do_not_change_the_times() {
    let rules = rules(&[
        r#"{name: broken, from: "broken.example/**", schedule: {every: 12h, jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-11-30T00:00:00Z", rules, 4);
    let lines = service.until("2026-12-01T00:00:00Z").await;
    assert_eq!(
        lines,
        [
            "Mon 30 00:00 broken running schedule",
            "Mon 30 00:00 broken failed schedule",
            "Mon 30 12:00 broken running schedule",
            "Mon 30 12:00 broken failed schedule",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_times_and_keeps_the_last_starts() {
    let before = rules(&[
        r#"{name: kept, from: "fast.example/**", schedule: {every: 4h, jitter: 0s}}"#,
        r#"{name: removed, from: "fast.example/**", schedule: {every: 4h, jitter: 0s}}"#,
    ]);
    let service = Simulation::start("2026-11-30T00:00:00Z", before, 4);
    service.until("2026-11-30T01:00:00Z").await;
    service.runs.keep("rules.yaml:3: a mistake");
    let after = rules(&[
        r#"{name: kept, from: "fast.example/**", schedule: {every: 3h, jitter: 0s}}"#,
        r#"{name: new, from: "fast.example/**", schedule: {cron: "30 1 * * *", jitter: 0s}}"#,
    ]);
    service.runs.replace(&after, session());
    let lines = service.until("2026-11-30T07:00:00Z").await;
    assert_eq!(
        lines[..2],
        ["not reloaded: rules.yaml:3: a mistake", "reloaded: 2 rules"]
    );
    assert_eq!(
        starts(&lines),
        ["Mon 30 01:30 new", "Mon 30 03:00 kept", "Mon 30 06:00 kept"]
    );
    assert_eq!(service.schedules.next("removed"), None);
}

#[tokio::test(start_paused = true)]
async fn a_run_on_request_counts_as_a_start_if_it_is_whole() {
    let rules =
        rules(&[r#"{name: every, from: "fast.example/**", schedule: {every: 4h, jitter: 0s}}"#]);
    let service = Simulation::start("2026-11-30T00:00:00Z", rules, 4);
    service.until("2026-11-30T01:00:00Z").await;
    let request = |purpose, repository: Option<&str>| RunRequest {
        rule: "every".into(),
        cause: Cause::Api,
        purpose,
        scope: Scope {
            repository: repository.map(str::to_owned),
            ..Scope::default()
        },
    };
    let next = || service.schedules.next("every").unwrap().to_string();
    for partial in [
        request(RunPurpose::Check, None),
        request(RunPurpose::Sync, Some("fast.example/app")),
    ] {
        service.runs.request(partial).unwrap();
        service.until(&service.clock.now().to_string()).await;
        assert_eq!(next(), "2026-11-30T04:00:00Z");
    }
    service.until("2026-11-30T02:00:00Z").await;
    service
        .runs
        .request(request(RunPurpose::Sync, None))
        .unwrap();
    service.until("2026-11-30T02:00:01Z").await;
    assert_eq!(next(), "2026-11-30T06:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn five_hundred_rules_start_spread_over_the_jitter() {
    let lines: Vec<String> = (0..500)
        .map(|number| {
            format!(r#"{{name: rule-{number}, from: "fast.example/{number}/**", schedule: "0 3 * * *"}}"#)
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let service = Simulation::start("2026-11-30T00:00:00Z", rules(&lines), 4);
    let minutes: Vec<String> = starts(&service.until("2026-11-30T04:00:00Z").await)
        .iter()
        .map(|line| line[7..12].to_owned())
        .collect();
    assert_eq!(minutes.len(), 500);
    for minute in ["03:00", "03:01", "03:02", "03:03", "03:04"] {
        let number = minutes.iter().filter(|it| *it == minute).count();
        assert!((60..=140).contains(&number), "{minute}: {number}");
    }
}
