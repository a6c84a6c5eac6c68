//! The runs of the service: a queue, a limit, and no overlap.
//!
//! A run carries out one rule. A rule never overlaps itself: a request during a run of the rule waits for its end, and
//! further requests are merged with the one that waits. Some runs are in progress at a time, in the order of their
//! requests. A panic fails its run only.

mod active;
mod queue;
mod repetition;
#[cfg(test)]
mod replica_tests;
mod replicas;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use image_syncer_sync::engine::Stop;
use image_syncer_sync::event::RuleDescription;
use image_syncer_sync::session::{RunHandle, RunOptions};
use image_syncer_sync::settings::{Intent, Listing};
use image_syncer_sync::{Listener, Session};
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::lock::lock;
use crate::service::clock::Clock;
use crate::service::observer::{RunObserver as _, RunObservers};
use crate::service::rule_book::RuleBook;
use crate::service::run::{Cause, Run, RunCounts, RunId, RunPurpose, RunState, Scope};

pub(crate) use active::LiveRun;
use active::{ActiveRun, Carrier, EndedRun, RunSetup};
use queue::{Queue, QueuedRun};
#[cfg(feature = "share")]
pub(crate) use replicas::FollowedEnd;
pub(crate) use replicas::Replicas;

/// Request for a run.
#[derive(Clone, Debug)]
pub(crate) struct RunRequest {
    /// Name of the rule.
    pub(crate) rule: Arc<str>,
    /// Reason.
    pub(crate) cause: Cause,
    /// Purpose.
    pub(crate) purpose: RunPurpose,
    /// Part of the rule.
    pub(crate) scope: Scope,
}

impl RunRequest {
    /// Returns the run that carries it out, before its start.
    fn run(&self, id: RunId, requested: Timestamp) -> Run {
        Run {
            id,
            rule: Arc::clone(&self.rule),
            cause: self.cause,
            purpose: self.purpose,
            scope: self.scope.clone(),
            state: RunState::Queued,
            requested,
            started: None,
            ended: None,
            counts: RunCounts::default(),
            failure: None,
        }
    }
}

/// Reason for a refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// There is no such rule.
    #[error("there is no rule called `{0}`")]
    UnknownRule(String),
    /// The rule does not copy the requested part.
    #[error("{0}")]
    OutOfScope(String),
    /// The service ends.
    #[error("the service is stopping, so no run starts any more")]
    Stopping,
}

/// Accepted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The run.
    pub(crate) id: RunId,
    /// True if the request was merged with an earlier one, whose run has not started.
    pub(crate) merged: bool,
}

/// Settings of all runs.
#[derive(Clone, Debug)]
pub(crate) struct RunLimits {
    /// Maximum number of runs at a time; at least 1.
    pub(crate) runs: usize,
    /// Maximum time that images may go on after a run was stopped.
    pub(crate) grace: Duration,
    /// Use of lists with digests.
    pub(crate) listing: Listing,
    /// The clock.
    pub(crate) clock: Clock,
}

/// The runs of the service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runs(Arc<Shared>);

struct Shared {
    limits: RunLimits,
    observers: RunObservers,
    state: Mutex<State>,
    /// A run was requested, or one ended.
    changed: Notify,
    /// Server with the runs of all replicas; unset for a service on its own.
    replicas: OnceLock<Arc<dyn Replicas>>,
}

struct State {
    session: Session,
    rules: Arc<RuleBook>,
    queue: Queue,
    active: Vec<ActiveRun>,
    last: Option<RunId>,
    is_stopping: bool,
}

impl Runs {
    /// Creates the runs of `rules`, the first of which gets an id after `last`.
    pub(crate) fn new(
        session: Session,
        rules: Arc<RuleBook>,
        limits: RunLimits,
        observers: RunObservers,
        last: Option<RunId>,
    ) -> Self {
        observers.rules(&rules);
        Self(Arc::new(Shared {
            limits,
            observers,
            state: Mutex::new(State {
                session,
                rules,
                queue: Queue::default(),
                active: Vec::new(),
                last,
                is_stopping: false,
            }),
            changed: Notify::new(),
            replicas: OnceLock::new(),
        }))
    }

    /// Shares the runs with the replicas of a server, which decides when they start. Called before the first request.
    #[cfg_attr(not(feature = "share"), allow(dead_code))]
    pub(crate) fn share(&self, replicas: Arc<dyn Replicas>) {
        let _ = self.0.replicas.set(replicas);
    }

    /// Returns the maximum number of runs at a time.
    #[cfg(test)]
    pub(crate) fn most(&self) -> usize {
        self.0.limits.runs
    }

    /// Returns the current rules.
    pub(crate) fn rules(&self) -> Arc<RuleBook> {
        Arc::clone(&self.state().rules)
    }

    /// Replaces the rules and the session, since the files were read again. Runs in progress go on with the old ones.
    pub(crate) fn replace(&self, rules: &Arc<RuleBook>, session: Session) {
        {
            let mut state = self.state();
            state.rules = Arc::clone(rules);
            state.session = session;
        }
        self.0.observers.rules(rules);
        self.0.observers.reloaded(Ok(rules));
        self.0.changed.notify_one();
    }

    /// Keeps the rules, since the files that were read again have `mistakes`.
    pub(crate) fn keep(&self, mistakes: &str) {
        self.0.observers.reloaded(Err(mistakes));
    }

    /// Requests a run.
    ///
    /// # Errors
    /// There is no such rule, the rule has no such part, or the service ends.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "no caller needs its request again"
    )]
    pub(crate) fn request(&self, request: RunRequest) -> Result<Accepted, RequestError> {
        self.request_for(&request, None)
    }

    /// Requests a run for a time of its rule's schedule: of several replicas, only one carries it out.
    ///
    /// # Errors
    /// See [`Runs::request`].
    pub(crate) fn request_for(
        &self,
        request: &RunRequest,
        slot: Option<Timestamp>,
    ) -> Result<Accepted, RequestError> {
        let mut state = self.state();
        if state.is_stopping {
            return Err(RequestError::Stopping);
        }
        let rule = state.rules.get(&request.rule).cloned();
        let rule = rule.ok_or_else(|| RequestError::UnknownRule(request.rule.to_string()))?;
        active::rules_in_scope(&rule, &request.scope)?;
        let replicas = self.0.replicas.get();
        if replicas.is_none()
            && let Some(merged) = state.queue.merge(request)
        {
            self.0.observers.changed(&merged);
            let id = merged.id;
            return Ok(Accepted { id, merged: true });
        }
        let now = self.0.limits.clock.now();
        let id = RunId::after(now, state.last);
        state.last = Some(id);
        let run = request.run(id, now);
        if let Some(replicas) = replicas {
            replicas.add(run.clone(), slot);
        }
        // Another replica may have the run of this time. The server tells.
        if replicas.is_none() || slot.is_none() {
            state.queue.add(run.clone());
            // Observers see the states in their order.
            self.0.observers.changed(&run);
        }
        drop(state);
        self.0.changed.notify_one();
        Ok(Accepted { id, merged: false })
    }

    /// Takes over the state of a run that replicas share, from the server. Runs that this replica does not know are
    /// added.
    #[cfg_attr(not(feature = "share"), allow(dead_code))]
    pub(crate) fn mirror(&self, run: Run) {
        let mut state = self.state();
        if state.is_stopping || state.active.iter().any(|active| active.id() == run.id) {
            return;
        }
        state.last = state.last.max(Some(run.id));
        let queued = state.queue.take(run.id);
        if run.state == RunState::Queued {
            if queued.is_none() {
                self.0.observers.changed(&run);
            }
            state
                .queue
                .put(queued.unwrap_or_else(|| QueuedRun::new(run)));
        } else if run.started.is_none() {
            // Cancelled before its start.
            let queued = queued.unwrap_or_else(|| QueuedRun::new(run.clone()));
            self.0.observers.changed(&queued.replaced_by(run));
        } else {
            let queued = queued.unwrap_or_else(|| QueuedRun::new(run.clone()));
            let setup = self.start(&mut state, queued, run.started);
            drop(state);
            self.carry_out(setup);
        }
    }

    /// Starts a comparison outside of the queue, which writes nothing and is in no history. Its events go to `listener`
    /// alone. Also returns the texts that name its rules.
    ///
    /// # Errors
    /// There is no such rule, the rule has no such part, or the service ends.
    pub(crate) fn plan(
        &self,
        rule: &str,
        scope: &Scope,
        stop: Stop,
        listener: Arc<dyn Listener>,
    ) -> Result<(RunHandle, Vec<Arc<RuleDescription>>), RequestError> {
        let (rules, session) = {
            let state = self.state();
            if state.is_stopping {
                return Err(RequestError::Stopping);
            }
            let found = state.rules.get(rule);
            let found = found.ok_or_else(|| RequestError::UnknownRule(rule.to_owned()))?;
            (active::rules_in_scope(found, scope)?, state.session.clone())
        };
        let options = RunOptions::default()
            .with_intent(Intent::Plan)
            .with_listing(self.0.limits.listing)
            .with_stop(stop);
        let descriptions = rules.descriptions();
        Ok((session.run_with(rules, options, listener), descriptions))
    }

    /// Cancels a run that waits, or stops one in progress. Returns false if there is no such run, or it is over.
    pub(crate) fn cancel(&self, id: RunId) -> bool {
        let mut state = self.state();
        if let Some(replicas) = self.0.replicas.get() {
            let mut active = state.active.iter();
            let is_known = state.queue.states(id).is_some() || active.any(|run| run.id() == id);
            if is_known {
                replicas.cancel(id);
            }
            return is_known;
        }
        if let Some(run) = state.queue.cancel(id, self.0.limits.clock.now()) {
            self.0.observers.changed(&run);
            return true;
        }
        let Some(active) = state.active.iter().find(|active| active.id() == id) else {
            return false;
        };
        if active.stop() {
            let observers = &self.0.observers;
            observers.cancelling(&active.run(), self.0.limits.grace);
        }
        true
    }

    /// Returns the runs that wait or are in progress, the oldest first.
    pub(crate) fn unfinished(&self) -> Vec<Run> {
        let state = self.state();
        let active = state.active.iter().map(ActiveRun::run);
        let mut runs: Vec<Run> = active.chain(state.queue.runs()).collect();
        runs.sort_by_key(|run| run.id);
        runs
    }

    /// Returns a run in progress, with its results so far.
    pub(crate) fn live(&self, id: RunId) -> Option<LiveRun> {
        let state = self.state();
        let active = state.active.iter().find(|active| active.id() == id);
        active.map(ActiveRun::live)
    }

    /// Returns a run with transfers in flight of which nothing has moved for `limit`.
    pub(crate) fn standing_still(&self, limit: Duration) -> Option<RunId> {
        let state = self.state();
        let mut active = state.active.iter();
        let standing = active.find(|active| active.stands_still(limit))?;
        Some(standing.id())
    }

    /// Waits until a run is over, and returns it; `None` if there is no such run any more.
    pub(crate) async fn wait(&self, id: RunId) -> Option<Run> {
        let mut states = self.states(id)?;
        let ended = states.wait_for(|run| run.state.is_over()).await;
        ended.ok().map(|run| run.clone())
    }

    fn states(&self, id: RunId) -> Option<watch::Receiver<Run>> {
        let state = self.state();
        let active = state.active.iter().find(|active| active.id() == id);
        active
            .map(ActiveRun::states)
            .or_else(|| state.queue.states(id))
    }

    /// Refuses further requests, and ends the runs that wait, unless other replicas have them. Runs in progress go on.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_stopping = true;
        if self.0.replicas.get().is_some() {
            state.queue = Queue::default();
        }
        for run in state.queue.interrupt_all(self.0.limits.clock.now()) {
            self.0.observers.changed(&run);
        }
        drop(state);
        self.0.changed.notify_one();
    }

    /// Returns true after [`Runs::close`].
    pub(crate) fn is_stopping(&self) -> bool {
        self.state().is_stopping
    }

    /// Interrupts the runs in progress, since the service ends: they may go on for the grace period.
    pub(crate) fn interrupt(&self) {
        let state = self.state();
        state.session.set_shutdown_deadline(self.0.limits.grace);
        state.active.iter().for_each(ActiveRun::interrupt);
    }

    /// Interrupts the runs in progress, and drops their images in flight.
    pub(crate) fn abandon(&self) {
        self.state().active.iter().for_each(ActiveRun::abandon);
    }

    /// Starts runs as they may start, and samples those in progress once a second. Returns after [`Runs::close`], when
    /// no run is in progress.
    pub(crate) async fn drive(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            while let Some(setup) = self.next() {
                self.carry_out(setup);
            }
            let (is_over, is_idle) = {
                let state = self.state();
                let is_idle = state.active.is_empty();
                (state.is_stopping && is_idle, is_idle)
            };
            if is_over {
                return;
            }
            tokio::select! {
                () = self.0.changed.notified() => {}
                _ = seconds.tick(), if !is_idle => self.sample(),
            }
        }
    }

    /// Takes the next run out of the queue that may start. Shared runs start when the server says so.
    fn next(&self) -> Option<RunSetup> {
        let mut state = self.state();
        if self.0.replicas.get().is_some() || state.active.len() >= self.0.limits.runs {
            return None;
        }
        let State { queue, active, .. } = &mut *state;
        let is_busy = |rule: &str| active.iter().any(|active| active.rule() == rule);
        let queued = queue.next(is_busy)?;
        Some(self.start(&mut state, queued, None))
    }

    /// Makes a run one in progress, since `started` or since now.
    fn start(&self, state: &mut State, queued: QueuedRun, started: Option<Timestamp>) -> RunSetup {
        let rule = state.rules.get(&queued.rule()).cloned();
        let session = state.session.clone();
        let Shared {
            limits,
            observers,
            replicas,
            ..
        } = &*self.0;
        let started = started.unwrap_or_else(|| limits.clock.now());
        let carrier = match replicas.get() {
            Some(replicas) => Carrier::Replicas(Arc::clone(replicas)),
            None => Carrier::Session(session),
        };
        let (active, setup) = ActiveRun::start(queued, (rule, started), carrier, limits, observers);
        state.active.push(active);
        setup
    }

    fn carry_out(&self, setup: RunSetup) {
        let runs = self.clone();
        tokio::spawn(async move {
            let id = setup.id();
            let ended = setup.carry_out().await;
            runs.ended(id, ended);
        });
    }

    fn ended(&self, id: RunId, ended: EndedRun) {
        let mut state = self.state();
        let position = state.active.iter().position(|active| active.id() == id);
        let active = position.map(|position| state.active.remove(position));
        // The other replicas go on with a run that this one has left.
        if let Some(run) = ended.run {
            if let Some(active) = &active {
                let throughput = active.whole_throughput(&run);
                self.0.observers.record_throughput(id, &throughput);
            }
            if ended.announces {
                self.0.observers.changed(&run);
            } else {
                self.0.observers.ended_elsewhere(&run);
            }
            drop(state);
            if let Some(active) = active {
                active.end(run);
            }
        }
        self.0.changed.notify_one();
    }

    fn sample(&self) {
        let mut state = self.state();
        for active in &mut state.active {
            if let Some((run, sample)) = active.sample() {
                self.0.observers.progress(&run, &sample);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}
