//! Replicas of the service that share their runs over a `PostgreSQL` server.
//!
//! The server holds the runs and decides when they start; each replica looks every second, starts what may start, works
//! on the units of all runs, and shows all of them. There is no leader: any replica may stop at any time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::rule::{RuleScope, RuleSet};
use image_syncer_sync::settings::{Intent, Listing};
use image_syncer_sync::{Listener, Session};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::lock::lock;
use crate::run::ShareSpec;
use crate::service::history::History;
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};
use crate::service::runs::{FollowedEnd, Replicas, Runs};
use crate::service::state::ServiceState;
use crate::service::workers::WorkerRow;
use crate::share::postgres::{PostgresShare, ServiceRun, ServiceWorker, SharedRun, SharedRunState};
use crate::share::{RunEvents, RunKey, RunWork, Worker, rules_of_run};
use crate::ui::{LineLabel, LineWriter};

/// Time between two looks at the runs.
const LOOK: Duration = Duration::from_secs(1);

/// Age of the oldest finished runs that a replica takes over when it starts.
const FIRST_LOOK: Duration = Duration::from_secs(24 * 60 * 60);

/// Time for which finished runs are looked for again: transactions do not end in the order of their times.
const AGAIN: Duration = Duration::from_secs(120);

/// Pause before a request that the server did not take is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Requests that wait for the server.
const WAITING: usize = 10_000;

/// Work that this replica does for all.
#[derive(Clone)]
pub(super) struct ReplicaSettings {
    /// Maximum number of runs at a time, of all replicas together.
    pub(super) runs: usize,
    /// Maximum time that images may go on after a request to stop.
    pub(super) grace: Duration,
    /// Use of lists with digests.
    pub(super) listing: Listing,
}

/// This replica, connected to the server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Replica(Arc<Inner>);

struct Inner {
    settings: ReplicaSettings,
    lines: LineWriter,
    share: Arc<PostgresShare>,
    /// Rules in force.
    rules: Mutex<RuleSet>,
    requests: mpsc::Sender<Request>,
    workers: Mutex<Vec<RulesWorker>>,
}

/// Worker for the runs of one version of the rules.
struct RulesWorker {
    digest: String,
    stop: Stop,
    task: JoinHandle<()>,
}

enum Request {
    Add(Box<Run>, Option<Timestamp>),
    Cancel(RunId),
}

/// Requests of this replica, in their order.
pub(super) struct Requests(mpsc::Receiver<Request>);

impl Replica {
    /// Connects to the server as a worker for `rules`, those of all files.
    ///
    /// # Errors
    /// The server cannot be used.
    pub(super) async fn connect(
        spec: ShareSpec,
        rules: &RuleSet,
        settings: ReplicaSettings,
        lines: &LineWriter,
    ) -> anyhow::Result<(Self, Requests)> {
        let rules = rules.numbered();
        let share = spec.connect(&rules, lines).await?;
        lines.print(
            LineLabel::Note,
            &format!("shares its runs with all replicas at {}", share.url()),
        );
        let (sender, receiver) = mpsc::channel(WAITING);
        let replica = Inner {
            settings,
            lines: lines.clone(),
            share,
            rules: Mutex::new(rules),
            requests: sender,
            workers: Mutex::default(),
        };
        Ok((Self(Arc::new(replica)), Requests(receiver)))
    }

    /// Returns the connection.
    pub(super) fn share(&self) -> &Arc<PostgresShare> {
        &self.0.share
    }

    /// Works on the units of all runs with `rules`, which are in force from now on. Runs of the rules before are carried
    /// out to their end.
    pub(super) fn work(&self, rules: &RuleSet, session: Session) {
        let rules = rules.numbered();
        let digest = rules.digest();
        self.0.share.set_digest(digest.clone());
        lock(&self.0.rules).clone_from(&rules);
        let stop = Stop::new(self.0.settings.grace);
        let worker = Worker {
            share: self.0.share.for_all(digest.clone(), None, None),
            session,
            rules,
            listing: self.0.settings.listing,
            stop: stop.clone(),
            progress: Arc::default(),
        };
        self.0.share.show_progress(&worker.progress);
        let lines = self.0.lines.clone();
        let task = tokio::spawn(async move {
            let mut reported = LastReport::default();
            // A service outlives any outage of the server.
            while let Err(error) = worker.work().await {
                let text = format!("{error} The service goes on, and tries again.");
                reported.print(&lines, &text);
                tokio::time::sleep(PAUSE).await;
            }
        });
        let mut workers = lock(&self.0.workers);
        // The same rules with other credentials.
        workers
            .iter()
            .filter(|worker| worker.digest == digest)
            .for_each(|worker| worker.stop.cancel.cancel());
        workers.retain(|worker| !worker.task.is_finished());
        workers.push(RulesWorker { digest, stop, task });
    }

    /// Stops the workers for rules that are not in force, and have no run any more.
    fn stop_old_workers(&self, runs: &[SharedRun]) {
        let current = lock(&self.0.rules).digest();
        lock(&self.0.workers).retain(|worker| {
            let mut runs = runs.iter();
            let is_needed = worker.digest == current
                || runs.any(|run| run.digest == worker.digest && !run.state.is_over());
            if !is_needed {
                worker.stop.cancel.cancel();
            }
            is_needed
        });
    }

    /// Stops to work: no further unit is claimed, and those in progress may go on for the grace period.
    pub(super) fn stop(&self) {
        let workers = lock(&self.0.workers);
        workers
            .iter()
            .for_each(|worker| worker.stop.cancel.cancel());
    }

    /// Waits for the end of the work, and returns what is left to the other replicas.
    pub(super) async fn leave(&self) {
        self.stop();
        let workers = std::mem::take(&mut *lock(&self.0.workers));
        for worker in workers {
            let _ = worker.task.await;
        }
        // The leases end by themselves otherwise.
        let _ = self.0.share.leave().await;
    }

    /// Drops what is in flight.
    pub(super) fn abandon(&self) {
        let workers = lock(&self.0.workers);
        workers
            .iter()
            .for_each(|worker| worker.stop.abandon.cancel());
    }

    /// Passes requests to the server, and the runs of the server to `runs`. Never returns.
    pub(super) async fn drive(&self, requests: Requests, state: &ServiceState) {
        tokio::join!(self.pass_on(requests, &state.runs), self.watch(state));
    }

    async fn pass_on(&self, mut requests: Requests, runs: &Runs) {
        while let Some(request) = requests.0.recv().await {
            let share = self.share();
            match request {
                Request::Add(run, slot) => self.add(share, *run, slot, runs).await,
                Request::Cancel(id) => {
                    if let Err(error) = share.cancel(RunKey(id.number())).await {
                        self.0.lines.print(LineLabel::Warning, &error.to_string());
                    }
                }
            }
        }
    }

    /// Adds a run, however long the server is away.
    async fn add(&self, share: &PostgresShare, mut run: Run, slot: Option<Timestamp>, runs: &Runs) {
        let new = ServiceRun {
            run: RunKey(run.id.number()),
            rule: run.rule.to_string(),
            work: work_of(&run),
            cause: run.cause.to_string(),
            slot,
            requested: run.requested,
        };
        loop {
            match share.add_service_run(&new).await {
                Ok(true) => return,
                // Another replica has the run of this time.
                Ok(false) if slot.is_some() => return,
                Ok(false) => {
                    run.state = RunState::Cancelled;
                    run.ended = Some(Timestamp::now());
                    run.failure = Some(
                        "another replica gave the same id to a run in the same millisecond. Start it again."
                            .to_owned(),
                    );
                    return runs.mirror(run);
                }
                Err(error) if error.is_away() => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    run.state = RunState::Failed;
                    run.ended = Some(Timestamp::now());
                    run.failure = Some(error.to_string());
                    return runs.mirror(run);
                }
            }
        }
    }

    /// Shows what the server has.
    async fn watch(&self, state: &ServiceState) {
        let (runs, history) = (&state.runs, &state.history);
        let limit = i64::try_from(self.0.settings.runs).unwrap_or(i64::MAX);
        let mut seen = HashMap::new();
        let mut looked: Option<Instant> = None;
        let mut reported = LastReport::default();
        loop {
            let now = Instant::now();
            let back = looked.map_or(FIRST_LOOK, |looked| looked.elapsed() + AGAIN);
            let share = self.share();
            let found = async {
                share.start_service_runs(limit).await?;
                share.service_runs(back.as_secs_f64()).await
            };
            // The next look sees what this one missed.
            let found = found.await;
            match &found {
                Ok(_) => reported = LastReport::default(),
                // The connection reports that.
                Err(error) if error.is_away() => {}
                Err(error) => reported.print(&self.0.lines, &error.to_string()),
            }
            if let Ok(found) = found {
                for run in &found {
                    // Once it began, this replica follows it to its end.
                    let is_followed = run.started.is_some() || run.state.is_over();
                    if is_followed && seen.insert(run.run, now).is_some() {
                        continue;
                    }
                    if let Some(mirrored) = mirrored(run)
                        && (looked.is_some() || !is_known(history, &mirrored).await)
                    {
                        runs.mirror(mirrored);
                    }
                }
                self.stop_old_workers(&found);
                seen.retain(|id, at: &mut Instant| {
                    at.elapsed() < 2 * FIRST_LOOK || found.iter().any(|run| run.run == *id)
                });
                looked = Some(now);
                if let Ok(workers) = share.service_workers().await {
                    state.metrics.set_workers(workers.len() as u64);
                    state
                        .workers
                        .set(workers.into_iter().map(worker_row).collect());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Prints each warning once, however often it repeats.
#[derive(Default)]
struct LastReport(String);

impl LastReport {
    fn print(&mut self, lines: &LineWriter, text: &str) {
        if self.0 != text {
            lines.print(LineLabel::Warning, text);
            text.clone_into(&mut self.0);
        }
    }
}

fn worker_row(worker: ServiceWorker) -> WorkerRow {
    let ServiceWorker {
        id,
        host,
        version,
        same_rules,
        started,
        seen,
        units,
    } = worker;
    WorkerRow {
        id,
        host,
        version,
        same_rules,
        started,
        seen,
        units: u64::try_from(units).unwrap_or_default(),
    }
}

/// Returns true for a finished run that the history has with its end.
async fn is_known(history: &History, run: &Run) -> bool {
    if !run.state.is_over() {
        return false;
    }
    let known = history.run(run.id).await.ok().flatten();
    known.is_some_and(|known| known.state.is_over() && known.state != RunState::Interrupted)
}

impl Replicas for Replica {
    fn add(&self, run: Run, slot: Option<Timestamp>) {
        let id = run.id;
        if self
            .0
            .requests
            .try_send(Request::Add(Box::new(run), slot))
            .is_err()
        {
            let text = format!("the run {id} is lost: too many requests wait for the server");
            self.0.lines.print(LineLabel::Failed, &text);
        }
    }

    fn cancel(&self, run: RunId) {
        if self.0.requests.try_send(Request::Cancel(run)).is_err() {
            let text = format!("the run {run} goes on: too many requests wait for the server");
            self.0.lines.print(LineLabel::Failed, &text);
        }
    }

    fn follow(&self, run: Run, listener: Arc<dyn Listener>) -> BoxFuture<'static, FollowedEnd> {
        let share = Arc::clone(self.share());
        let rules = lock(&self.0.rules).clone();
        async move {
            // Of other files, only the images are known.
            let rules = rules_of_run(&rules, &work_of(&run)).unwrap_or_default();
            follow(
                &share,
                RunKey(run.id.number()),
                RunEvents::new(&rules, listener),
            )
            .await
        }
        .boxed()
    }
}

/// Reports the events of a run until it is over, however long the server is away.
async fn follow(share: &PostgresShare, run: RunKey, mut events: RunEvents) -> FollowedEnd {
    let mut seen = 0;
    let state = loop {
        let news = match share.news(run, seen).await {
            Ok(news) => news,
            Err(error) if error.is_away() => continue,
            // Somebody deleted the run.
            Err(error) => {
                break SharedRunState::Abandoned {
                    reason: error.to_string(),
                };
            }
        };
        seen = news.last;
        for unit in news.units {
            events.add(unit);
        }
        if news.state.is_over() {
            break news.state;
        }
    };
    let (stopped, failure) = match state {
        SharedRunState::Cancelled => (Some(RunState::Cancelled), None),
        SharedRunState::Abandoned { reason } => (Some(RunState::Interrupted), Some(reason)),
        _ => (None, None),
    };
    if stopped.is_some() {
        let left = share.unfinished(run).await.unwrap_or_default();
        for unit in &left {
            events.interrupt(unit);
        }
    }
    events.end();
    let ended = share.run(run).await.ok().and_then(|run| run.ended);
    FollowedEnd {
        at: ended.unwrap_or_else(Timestamp::now),
        stopped,
        failure,
        // Two messages are better than none.
        announces: share.announces(run).await.unwrap_or(true),
    }
}

/// Returns the work of a run, for all of its units.
fn work_of(run: &Run) -> RunWork {
    let Scope {
        repository,
        tags,
        force,
        verify,
        pushed,
    } = run.scope.clone();
    RunWork {
        intent: match run.purpose {
            RunPurpose::Sync => Intent::Copy,
            RunPurpose::Check => Intent::Check,
        },
        rule: Some(run.rule.to_string()),
        scope: RuleScope {
            repository,
            tags,
            force,
            verify,
            ..RuleScope::default()
        },
        pushed,
    }
}

/// Returns a run of the server; `None` for one of another kind.
fn mirrored(shared: &SharedRun) -> Option<Run> {
    let scope = &shared.work.scope;
    let purpose = match shared.work.intent {
        Intent::Copy => RunPurpose::Sync,
        Intent::Check => RunPurpose::Check,
        Intent::Plan | Intent::List => return None,
    };
    Some(Run {
        id: RunId::from_number(shared.run.0)?,
        rule: shared.rule.as_deref()?.into(),
        cause: shared.cause.parse().unwrap_or(Cause::Api),
        purpose,
        scope: Scope {
            repository: scope.repository.clone(),
            tags: scope.tags.clone(),
            force: scope.force,
            verify: scope.verify,
            pushed: shared.work.pushed.clone(),
        },
        state: match shared.state {
            SharedRunState::Queued => RunState::Queued,
            SharedRunState::Running | SharedRunState::Done => RunState::Running,
            SharedRunState::Cancelled => RunState::Cancelled,
            SharedRunState::Abandoned { .. } => RunState::Interrupted,
        },
        requested: shared.requested,
        started: shared.started,
        ended: shared.ended,
        counts: RunCounts::default(),
        failure: None,
    })
}
