//! Tests of the queue, the limit and the ends of runs, over simulated time.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use crate::service::run::{Cause, RunPurpose, RunState, Scope};
use crate::service::runs::{RequestError, RunRequest};
use crate::service::testing::{Simulation, rules};

const START: &str = "2026-11-30T00:00:00Z";

fn request(rule: &str, tags: &[&str]) -> RunRequest {
    RunRequest {
        rule: rule.into(),
        cause: Cause::Api,
        purpose: RunPurpose::Sync,
        scope: Scope {
            repository: (!tags.is_empty()).then(|| "slow-10.example/app".to_owned()),
            tags: tags.iter().map(ToString::to_string).collect(),
            ..Scope::default()
        },
    }
}

fn simulation(most: usize) -> Simulation {
    let rules = rules(&[
        r#"{name: fast, from: "fast.example/**"}"#,
        r#"{name: slow, from: "slow-10.example/**"}"#,
        r#"{name: slower, from: "slow-20.example/**"}"#,
        r#"{name: broken, from: "broken.example/**"}"#,
        r#"{name: panic, from: "panic.example/**"}"#,
    ]);
    Simulation::start(START, rules, most)
}

#[tokio::test(start_paused = true)]
async fn a_rule_never_overlaps_itself_and_waiting_requests_are_merged() {
    let service = simulation(4);
    let first = service.runs.request(request("slow", &[])).unwrap();
    let quarter = service.until("2026-11-30T00:05:00Z").await;
    assert_eq!(quarter, ["Mon 30 00:00 slow running api"]);
    let second = service.runs.request(request("slow", &["v1"])).unwrap();
    let third = service
        .runs
        .request(request("slow", &["v2", "v1"]))
        .unwrap();
    assert!(!first.merged && !second.merged && third.merged);
    assert!(second.id == third.id && second.id > first.id);
    let waiting = service.runs.unfinished();
    let scopes: Vec<(RunState, Vec<String>)> = waiting
        .into_iter()
        .map(|run| (run.state, run.scope.tags))
        .collect();
    let tags = vec!["v1".to_owned(), "v2".to_owned()];
    assert_eq!(
        scopes,
        [(RunState::Running, vec![]), (RunState::Queued, tags)]
    );
    // A request for the whole rule includes all parts.
    assert!(service.runs.request(request("slow", &[])).unwrap().merged);
    let whole = service.runs.unfinished().pop().unwrap();
    assert_eq!(whole.scope, Scope::default());
    let rest = service.until("2026-11-30T01:00:00Z").await;
    assert_eq!(
        rest,
        [
            "Mon 30 00:10 slow succeeded api",
            "Mon 30 00:10 slow running api",
            "Mon 30 00:20 slow succeeded api"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn observers_see_what_is_merged_with_a_run_that_waits() {
    let service = simulation(1);
    service.runs.request(request("fast", &[])).unwrap();
    let requests = [
        (Cause::Api, &["v1"][..]),
        (Cause::Hook, &["v2"]),
        (Cause::Api, &["v3"]),
        (Cause::Schedule, &[]),
        (Cause::Api, &["v4"]),
    ];
    for (cause, tags) in requests {
        let mut request = request("slow", tags);
        request.cause = cause;
        service.runs.request(request).unwrap();
    }
    assert_eq!(
        *service.recorder.waiting.lock().unwrap(),
        [
            "fast api:",
            "slow api:v1",
            "slow hook:v1,v2",
            "slow hook:v1,v2,v3",
            "slow schedule:",
            "slow schedule:"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_at_the_end_of_the_service_is_requested_again() {
    let service = simulation(1);
    let mut part = request("slow", &["v1"]);
    part.cause = Cause::Hook;
    let id = service.runs.request(part).unwrap().id;
    let runs = service.runs.clone();
    let ended = tokio::spawn(async move { runs.wait(id).await });
    tokio::task::yield_now().await;
    service.runs.close();
    let ended = ended.await.unwrap().unwrap();
    assert_eq!(ended.state, RunState::Interrupted);
    let next = service.restart(Duration::from_secs(60)).await;
    next.runs.repeat(vec![ended.clone()]);
    let waiting = next.runs.unfinished();
    let waiting: Vec<_> = waiting.iter().map(|run| (run.cause, &run.scope)).collect();
    assert_eq!(waiting, [(Cause::Hook, &ended.scope)]);
}

#[tokio::test(start_paused = true)]
async fn some_runs_are_in_progress_at_a_time_in_the_order_of_their_requests() {
    let service = simulation(2);
    for rule in ["slower", "slow", "fast", "broken"] {
        service.runs.request(request(rule, &[])).unwrap();
    }
    let lines = service.until("2026-11-30T01:00:00Z").await;
    assert_eq!(
        lines,
        [
            "Mon 30 00:00 slower running api",
            "Mon 30 00:00 slow running api",
            "Mon 30 00:10 slow succeeded api",
            "Mon 30 00:10 fast running api",
            "Mon 30 00:10 fast succeeded api",
            "Mon 30 00:10 broken running api",
            "Mon 30 00:10 broken failed api",
            "Mon 30 00:20 slower succeeded api"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_run_only() {
    let service = simulation(4);
    service.runs.request(request("slow", &[])).unwrap();
    let panicking = service.runs.request(request("panic", &[])).unwrap();
    let (ended, _) = tokio::join!(
        service.runs.wait(panicking.id),
        service.until("2026-11-30T00:30:00Z")
    );
    let run = ended.unwrap();
    assert_eq!(run.state, RunState::Failed);
    assert!(run.failure.unwrap().contains("the list panicked"));
    assert_eq!(service.runs.unfinished(), []);
    let next = service.runs.request(request("fast", &[])).unwrap();
    assert!(!next.merged);
    let lines = service.until("2026-11-30T00:40:00Z").await;
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_person_cancels_runs_that_wait_and_runs_in_progress() {
    let service = simulation(1);
    let running = service.runs.request(request("slow", &[])).unwrap();
    let waiting = service.runs.request(request("fast", &[])).unwrap();
    service.until("2026-11-30T00:01:00Z").await;
    assert!(service.runs.cancel(waiting.id));
    assert!(service.runs.cancel(running.id));
    let (ended, lines) = tokio::join!(
        service.runs.wait(running.id),
        service.until("2026-11-30T00:02:00Z")
    );
    assert_eq!(ended.unwrap().state, RunState::Cancelled);
    assert_eq!(
        lines,
        [
            "Mon 30 00:01 fast cancelled api",
            "Mon 30 00:01 slow cancelled api"
        ]
    );
    for run in [running, waiting] {
        assert!(!service.runs.cancel(run.id), "it is over");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_service_interrupts_its_runs() {
    let service = simulation(1);
    let running = service.runs.request(request("slow", &[])).unwrap();
    service.runs.request(request("fast", &[])).unwrap();
    service.until("2026-11-30T00:01:00Z").await;
    let (runs, recorder) = (service.runs.clone(), Arc::clone(&service.recorder));
    service.restart(Duration::from_secs(60)).await;
    assert_eq!(
        recorder.lines(),
        [
            "Mon 30 00:01 fast interrupted api",
            "Mon 30 00:01 slow interrupted api"
        ]
    );
    let refused = runs.request(request("fast", &[])).unwrap_err();
    assert_eq!(refused, RequestError::Stopping);
    assert!(!runs.cancel(running.id));
}

#[tokio::test(start_paused = true)]
async fn requests_that_nothing_can_carry_out_are_refused() {
    let service = simulation(1);
    let unknown = service.runs.request(request("other", &[])).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no rule called `other`");
    let foreign = service.runs.request(request("fast", &["v1"])).unwrap_err();
    assert_eq!(
        foreign.to_string(),
        "the rule copies nothing of slow-10.example/app:v1"
    );
    assert_eq!(service.runs.unfinished(), []);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_is_removed_fails_the_run_that_waits_for_it() {
    let service = simulation(1);
    service.runs.request(request("slow", &[])).unwrap();
    let waiting = service.runs.request(request("slower", &[])).unwrap();
    service.until("2026-11-30T00:01:00Z").await;
    let fewer = rules(&[r#"{name: fast, from: "fast.example/**"}"#]);
    service
        .runs
        .replace(&fewer, crate::service::testing::session());
    let (ended, lines) = tokio::join!(
        service.runs.wait(waiting.id),
        service.until("2026-11-30T00:30:00Z")
    );
    let failure = ended.unwrap().failure.unwrap();
    assert_eq!(failure, "the rule is not in the files any more");
    assert!(
        lines.contains(&"Mon 30 00:10 slow succeeded api".to_owned()),
        "{lines:?}"
    );
}
