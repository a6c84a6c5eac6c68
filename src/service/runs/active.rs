//! Runs in progress.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use image_syncer_sync::engine::Stop;
use image_syncer_sync::report::{Report, Summary};
use image_syncer_sync::rule::{RuleScope, RuleSet};
use image_syncer_sync::session::{RunHandle, RunOptions};
use image_syncer_sync::settings::Intent;
use image_syncer_sync::store::PushedTags;
use image_syncer_sync::transfer::Progress;
use image_syncer_sync::{Event, Listener, Session};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lock::lock;
use crate::service::clock::Clock;
use crate::service::observer::{RunObserver as _, RunObservers};
use crate::service::rule_book::ServiceRule;
use crate::service::run::{Run, RunCounts, RunId, RunPurpose, RunState, Scope};
use crate::service::runs::queue::QueuedRun;
use crate::service::runs::{Replicas, RequestError, RunLimits};
use crate::service::throughput::{Sample, Throughput};

/// A run in progress.
pub(super) struct ActiveRun {
    id: RunId,
    rule: Arc<str>,
    states: watch::Sender<Run>,
    stop: Stop,
    /// True if the service ended before the run.
    is_interrupted: Arc<AtomicBool>,
    report: Arc<Report>,
    /// True if replicas carry it out.
    is_followed: bool,
    /// Set when the run has started.
    progress: Arc<Mutex<Option<Arc<Progress>>>>,
    began: Instant,
    throughput: Throughput,
    /// Last sample that differs from the one before, and its time.
    moved: (Sample, Instant),
}

/// Results of a run in progress, so far.
pub(crate) struct LiveRun {
    /// The run, with its numbers so far.
    pub(crate) run: Run,
    /// Its results.
    pub(crate) report: Arc<Report>,
    /// Its transfers; `None` before it has any.
    pub(crate) progress: Option<Arc<Progress>>,
    /// Its speed over time.
    pub(crate) throughput: Throughput,
}

/// Carries out a run.
pub(super) enum Carrier {
    /// This process.
    Session(Session),
    /// All replicas. This one follows.
    Replicas(Arc<dyn Replicas>),
}

/// End of a run.
pub(super) struct EndedRun {
    /// The run with its final state; `None` if this replica has left a run of others.
    pub(super) run: Option<Run>,
    /// False if another replica reports the end to receivers of notifications.
    pub(super) announces: bool,
}

/// Everything that the task of a run needs.
pub(super) struct RunSetup {
    run: Run,
    /// `None` if the rule does not exist any more.
    rule: Option<Arc<ServiceRule>>,
    carrier: Carrier,
    options: RunOptions,
    stop: Stop,
    is_interrupted: Arc<AtomicBool>,
    clock: Clock,
    report: Arc<Report>,
    progress: Arc<Mutex<Option<Arc<Progress>>>>,
    observers: RunObservers,
}

impl ActiveRun {
    /// Turns a run that waits into one in progress. The setup has to be carried out.
    pub(super) fn start(
        queued: QueuedRun,
        (rule, started): (Option<Arc<ServiceRule>>, Timestamp),
        carrier: Carrier,
        limits: &RunLimits,
        observers: &RunObservers,
    ) -> (Self, RunSetup) {
        let states = queued.into_states();
        states.send_modify(|run| {
            run.state = RunState::Running;
            run.started = Some(started);
            run.ended = None;
        });
        let run = states.borrow().clone();
        observers.changed(&run);
        let stop = Stop::new(limits.grace);
        let intent = match run.purpose {
            RunPurpose::Sync => Intent::Copy,
            RunPurpose::Check => Intent::Check,
        };
        let options = RunOptions::default()
            .with_intent(intent)
            .with_listing(limits.listing)
            .with_stop(stop.clone());
        let report = Arc::new(Report::new());
        let progress = Arc::default();
        let is_interrupted = Arc::new(AtomicBool::default());
        let is_followed = matches!(carrier, Carrier::Replicas(_));
        let setup = RunSetup {
            run: run.clone(),
            rule,
            carrier,
            options,
            stop: stop.clone(),
            is_interrupted: Arc::clone(&is_interrupted),
            clock: limits.clock,
            report: Arc::clone(&report),
            progress: Arc::clone(&progress),
            observers: observers.clone(),
        };
        let active = Self {
            id: run.id,
            rule: run.rule,
            states,
            stop,
            is_interrupted,
            report,
            is_followed,
            progress,
            began: Instant::now(),
            throughput: Throughput::default(),
            moved: (Sample::default(), Instant::now()),
        };
        (active, setup)
    }

    /// Returns the id.
    pub(super) fn id(&self) -> RunId {
        self.id
    }

    /// Returns the name of the rule.
    pub(super) fn rule(&self) -> &str {
        &self.rule
    }

    /// Stops the run in order. Returns false if it was stopped before.
    pub(super) fn stop(&self) -> bool {
        let is_first = !self.stop.cancel.is_cancelled();
        self.stop.cancel.cancel();
        is_first
    }

    /// Stops the run in order, as the service ends.
    pub(super) fn interrupt(&self) {
        self.is_interrupted.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// Drops the images in flight, as the service ends.
    pub(super) fn abandon(&self) {
        self.is_interrupted.store(true, Ordering::Relaxed);
        self.stop.abandon.cancel();
    }

    /// Returns the states of the run.
    pub(super) fn states(&self) -> watch::Receiver<Run> {
        self.states.subscribe()
    }

    /// Returns the run with its numbers so far.
    pub(super) fn run(&self) -> Run {
        let mut run = self.states.borrow().clone();
        run.counts = self.counts();
        run
    }

    /// Returns the run with its results so far.
    pub(super) fn live(&self) -> LiveRun {
        LiveRun {
            run: self.run(),
            report: Arc::clone(&self.report),
            progress: lock(&self.progress).clone(),
            throughput: self.throughput.clone(),
        }
    }

    /// Samples the run; `None` before it has transfers. Those of other processes are unknown.
    pub(super) fn sample(&mut self) -> Option<(Run, Sample)> {
        let progress = lock(&self.progress).clone();
        if progress.is_none() && !self.is_followed {
            return None;
        }
        let run = self.run();
        let sample = self.sample_of(
            &run.counts,
            progress.map_or(0, |progress| progress.uploads_under_way()),
        );
        self.throughput.add(sample);
        if !sample.is_standstill_since(&self.moved.0) {
            self.moved = (sample, Instant::now());
        }
        Some((run, sample))
    }

    /// Returns the throughput of the run from its start to its end.
    pub(super) fn whole_throughput(&self, ended: &Run) -> Throughput {
        let mut throughput = self.throughput.clone();
        throughput.finish(self.sample_of(&ended.counts, 0));
        throughput
    }

    fn sample_of(&self, counts: &RunCounts, uploads: u64) -> Sample {
        Sample {
            second: self.began.elapsed().as_secs(),
            fetched_bytes: counts.fetched_bytes,
            sent_bytes: counts.sent_bytes,
            ended_images: counts.ended(),
            uploads,
        }
    }

    /// Returns true if transfers are in flight, and nothing has moved for `limit`.
    pub(super) fn stands_still(&self, limit: Duration) -> bool {
        let progress = lock(&self.progress).clone();
        let uploads = progress.map(|progress| progress.in_flight());
        // Uploads that wait for a registry do not flow.
        let mut uploads = uploads.iter().flatten();
        self.moved.1.elapsed() >= limit && uploads.any(|upload| upload.done().is_some())
    }

    /// Publishes the end of the run.
    pub(super) fn end(self, run: Run) {
        self.states.send_replace(run);
    }

    fn counts(&self) -> RunCounts {
        let progress = lock(&self.progress).clone();
        counts(&self.report.summary(), progress.as_deref())
    }
}

fn counts(summary: &Summary, progress: Option<&Progress>) -> RunCounts {
    // Of a run of other processes, only its outcomes are known. Each byte that was sent was read, if not for it alone.
    let sent = summary.volume.bytes;
    let fetched = progress.map_or(sent, Progress::bytes_fetched);
    let sent = progress.map_or(sent, Progress::bytes_streamed);
    RunCounts::new(summary, fetched, sent)
}

/// Returns the rules that carry out a part of `rule`.
///
/// # Errors
/// The rule has no such part.
pub(super) fn rules_in_scope(rule: &ServiceRule, scope: &Scope) -> Result<RuleSet, RequestError> {
    let scope = RuleScope {
        repository: scope.repository.clone(),
        tags: scope.tags.clone(),
        force: scope.force,
        verify: scope.verify,
        ..RuleScope::default()
    };
    let set = rule.set.within(&scope);
    set.map_err(|error| RequestError::OutOfScope(error.to_string()))
}

impl RunSetup {
    /// Returns the id of the run.
    pub(super) fn id(&self) -> RunId {
        self.run.id
    }

    /// Carries out the run, and returns it with its final state. A panic is a failure of the run.
    pub(super) async fn carry_out(self) -> EndedRun {
        match &self.carrier {
            Carrier::Session(session) => {
                let failure = match self.rules() {
                    Ok(rules) => self.copy(session, rules).await.err(),
                    Err(failure) => Some(failure),
                };
                let run = self.ended(self.clock.now(), failure);
                EndedRun {
                    run: Some(run),
                    announces: true,
                }
            }
            Carrier::Replicas(replicas) => self.follow(&**replicas).await,
        }
    }

    /// Follows the run, which replicas carry out, to its end.
    async fn follow(&self, replicas: &dyn Replicas) -> EndedRun {
        let following = replicas.follow(self.run.clone(), self.listener());
        let ended = tokio::select! {
            ended = following => ended,
            () = self.stop.cancel.cancelled() => {
                return EndedRun {
                    run: None,
                    announces: false,
                };
            }
        };
        let mut run = self.ended(ended.at, ended.failure);
        run.state = ended.stopped.unwrap_or(run.state);
        EndedRun {
            run: Some(run),
            announces: ended.announces,
        }
    }

    /// Returns the run with its final state.
    fn ended(&self, at: Timestamp, failure: Option<String>) -> Run {
        let mut run = self.run.clone();
        let mut summary = self.report.summary();
        let was_stopped = self.stop.cancel.is_cancelled();
        summary.finish(summary.rules, was_stopped);
        run.counts = counts(&summary, lock(&self.progress).as_deref());
        run.ended = Some(at);
        run.failure = failure.or_else(|| first_failure(&summary));
        run.state = match summary.exit_code() {
            130 if self.is_interrupted.load(Ordering::Relaxed) => RunState::Interrupted,
            130 => RunState::Cancelled,
            _ if run.failure.is_some() => RunState::Failed,
            0 => RunState::Succeeded,
            _ => RunState::Failed,
        };
        run
    }

    fn rules(&self) -> Result<RuleSet, String> {
        let rule = self.rule.as_ref();
        let rule = rule.ok_or("the rule is not in the files any more")?;
        rules_in_scope(rule, &self.run.scope).map_err(|error| error.to_string())
    }

    fn listener(&self) -> Arc<RunListener> {
        Arc::new(RunListener {
            id: self.run.id,
            report: Arc::clone(&self.report),
            observers: self.observers.clone(),
        })
    }

    async fn copy(&self, session: &Session, rules: RuleSet) -> Result<(), String> {
        let options = self
            .options
            .clone()
            .with_pushed(PushedTags::named(&self.run.scope.pushed));
        let handle = session.run_with(rules, options, self.listener());
        *lock(&self.progress) = Some(Arc::clone(handle.progress()));
        let waited = AssertUnwindSafe(RunHandle::wait(handle))
            .catch_unwind()
            .await;
        waited.map(drop).map_err(|panic| {
            let failure = image_syncer_sync::Failure::panicked(&*panic);
            format!("the run ended early: {}", failure.reason)
        })
    }
}

/// Returns the first failure of a run, with its image.
fn first_failure(summary: &Summary) -> Option<String> {
    let first = summary.failures.first()?;
    Some(format!("{}: {}", first.source, first.failure.reason))
}

/// Forwards the events of a run.
struct RunListener {
    id: RunId,
    report: Arc<Report>,
    observers: RunObservers,
}

impl Listener for RunListener {
    fn event(&self, event: &Event) {
        self.report.event(event);
        self.observers.event(self.id, event);
    }
}
