//! Tests of runs that replicas share, with a server in memory.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_sync::Listener;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::lock::lock;
use crate::service::run::{Cause, Run, RunId, RunPurpose, RunState, Scope};
use crate::service::runs::replicas::FollowedEnd;
use crate::service::runs::{Replicas, RunRequest};
use crate::service::testing::{Simulation, rules};

const START: &str = "2026-11-30T00:00:00Z";

/// Server that records requests. Runs that are followed end at the signal.
#[derive(Default)]
struct Server {
    added: Mutex<Vec<(Run, Option<Timestamp>)>>,
    cancelled: Mutex<Vec<RunId>>,
    end: Arc<Notify>,
}

impl Replicas for Server {
    fn add(&self, run: Run, slot: Option<Timestamp>) {
        lock(&self.added).push((run, slot));
    }

    fn cancel(&self, run: RunId) {
        lock(&self.cancelled).push(run);
    }

    fn follow(&self, _: Run, _: Arc<dyn Listener>) -> BoxFuture<'static, FollowedEnd> {
        let end = Arc::clone(&self.end);
        async move {
            end.notified().await;
            FollowedEnd {
                at: START.parse().unwrap(),
                stopped: None,
                failure: None,
                announces: true,
            }
        }
        .boxed()
    }
}

fn request(rule: &str) -> RunRequest {
    RunRequest {
        rule: rule.into(),
        cause: Cause::Api,
        purpose: RunPurpose::Sync,
        scope: Scope::default(),
    }
}

fn simulation() -> (Simulation, Arc<Server>) {
    let rules = rules(&[
        r#"{name: one, from: "fast.example/**", schedule: {every: 1h}}"#,
        r#"{name: two, from: "slow-10.example/**"}"#,
    ]);
    let service = Simulation::start(START, rules, 4);
    let server = Arc::new(Server::default());
    service.runs.share(Arc::clone(&server) as Arc<dyn Replicas>);
    (service, server)
}

fn states(service: &Simulation) -> Vec<(Arc<str>, RunState)> {
    let runs = service.runs.unfinished().into_iter();
    runs.map(|run| (run.rule, run.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_starts_when_the_server_says_so_and_ends_with_it() {
    let (service, server) = simulation();
    let accepted = service.runs.request(request("two")).unwrap();
    service.until("2026-11-30T00:01:00Z").await;
    assert_eq!(states(&service), [("two".into(), RunState::Queued)]);
    let (mut run, slot) = lock(&server.added).pop().unwrap();
    assert_eq!((run.id, slot), (accepted.id, None));
    run.state = RunState::Running;
    run.started = Some(START.parse().unwrap());
    service.runs.mirror(run.clone());
    // Again, as after a reconnection.
    service.runs.mirror(run);
    assert_eq!(states(&service), [("two".into(), RunState::Running)]);
    assert!(service.runs.cancel(accepted.id));
    assert_eq!(*lock(&server.cancelled), [accepted.id]);
    server.end.notify_one();
    let ended = service.runs.wait(accepted.id).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded);
    assert_eq!(states(&service), []);
}

#[tokio::test(start_paused = true)]
async fn the_run_of_a_schedule_shows_when_the_server_has_it() {
    let (service, server) = simulation();
    service.until("2026-11-30T01:30:00Z").await;
    let (mut run, slot) = lock(&server.added).pop().unwrap();
    assert_eq!((&*run.rule, run.cause), ("one", Cause::Schedule));
    assert!(slot.is_some());
    // Another replica's run of the same time.
    assert_eq!(states(&service), []);
    run.id = RunId::after(run.requested, Some(run.id));
    service.runs.mirror(run.clone());
    assert_eq!(states(&service), [("one".into(), RunState::Queued)]);
    run.state = RunState::Cancelled;
    run.ended = Some(run.requested);
    service.runs.mirror(run);
    assert_eq!(states(&service), []);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stops_leaves_the_runs_to_the_others() {
    let (service, server) = simulation();
    let first = service.runs.request(request("one")).unwrap();
    service.runs.request(request("two")).unwrap();
    let (mut run, _) = lock(&server.added).remove(0);
    run.state = RunState::Running;
    run.started = Some(START.parse().unwrap());
    service.runs.mirror(run);
    service.runs.close();
    service.runs.interrupt();
    // Neither the run in progress nor the one that waits ends for those who watch.
    assert_eq!(
        service.until("2026-11-30T00:05:00Z").await,
        ["Mon 30 00:00 one running api"]
    );
    assert_eq!(service.runs.wait(first.id).await, None);
    assert_eq!(*lock(&server.cancelled), []);
}
