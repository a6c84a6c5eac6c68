//! Runs that wait.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::service::run::{Cause, Run, RunId, RunState, Scope};
use crate::service::runs::RunRequest;

/// Maximum number of tags of a run.
const MOST_TAGS: usize = 1_000;

/// Runs that wait, in the order of their requests: at most one of a rule for each purpose.
#[derive(Default)]
pub(super) struct Queue(Vec<QueuedRun>);

/// A run that waits.
pub(super) struct QueuedRun(watch::Sender<Run>);

impl QueuedRun {
    /// Creates a run that waits.
    pub(super) fn new(run: Run) -> Self {
        Self(watch::Sender::new(run))
    }

    /// Publishes another state of the run, and returns it.
    #[cfg_attr(not(feature = "share"), allow(dead_code))]
    pub(super) fn replaced_by(self, run: Run) -> Run {
        self.0.send_replace(run);
        self.0.borrow().clone()
    }

    /// Returns the name of the rule.
    pub(super) fn rule(&self) -> Arc<str> {
        Arc::clone(&self.0.borrow().rule)
    }

    /// Returns the states of the run.
    pub(super) fn into_states(self) -> watch::Sender<Run> {
        self.0
    }

    fn end(&self, state: RunState, now: Timestamp) -> Run {
        self.0.send_modify(|run| {
            run.state = state;
            run.ended = Some(now);
        });
        self.0.borrow().clone()
    }
}

impl Queue {
    /// Adds a run.
    pub(super) fn add(&mut self, run: Run) {
        self.put(QueuedRun::new(run));
    }

    /// Adds a run that was taken out.
    pub(super) fn put(&mut self, run: QueuedRun) {
        self.0.push(run);
    }

    /// Takes a run out.
    pub(super) fn take(&mut self, id: RunId) -> Option<QueuedRun> {
        let mut queued = self.0.iter();
        let position = queued.position(|queued| queued.0.borrow().id == id)?;
        Some(self.0.remove(position))
    }

    /// Adds `request` to the run of its rule and purpose that waits, if there is one, and returns that run.
    pub(super) fn merge(&self, request: &RunRequest) -> Option<Run> {
        let same = self.0.iter().find(|queued| {
            let run = queued.0.borrow();
            run.rule == request.rule && run.purpose == request.purpose
        })?;
        same.0.send_modify(|run| {
            let is_widened = request.scope.is_whole() && !run.scope.is_whole();
            let is_automatic = run.cause == Cause::Api && request.cause != Cause::Api;
            // The reason for the part that would be missed most.
            if is_widened || (is_automatic && !run.scope.is_whole()) {
                run.cause = request.cause;
            }
            run.scope.merge(&request.scope);
        });
        let run = same.0.borrow().clone();
        Some(run)
    }

    /// Takes the first run whose rule is not busy.
    pub(super) fn next(&mut self, is_busy: impl Fn(&str) -> bool) -> Option<QueuedRun> {
        let mut queued = self.0.iter();
        let position = queued.position(|queued| !is_busy(&queued.0.borrow().rule))?;
        Some(self.0.remove(position))
    }

    /// Cancels a run, and returns it.
    pub(super) fn cancel(&mut self, id: RunId, now: Timestamp) -> Option<Run> {
        Some(self.take(id)?.end(RunState::Cancelled, now))
    }

    /// Ends all runs, and returns them.
    pub(super) fn interrupt_all(&mut self, now: Timestamp) -> Vec<Run> {
        let queued = std::mem::take(&mut self.0);
        let ended = queued.iter();
        ended
            .map(|queued| queued.end(RunState::Interrupted, now))
            .collect()
    }

    /// Returns the runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.0.iter().map(|queued| queued.0.borrow().clone())
    }

    /// Returns the states of a run.
    pub(super) fn states(&self, id: RunId) -> Option<watch::Receiver<Run>> {
        let queued = self.0.iter().find(|queued| queued.0.borrow().id == id)?;
        Some(queued.0.subscribe())
    }
}

impl Scope {
    /// Extends the scope so that it includes `other`. Two repositories are the whole rule, and too many tags the whole
    /// repository.
    fn merge(&mut self, other: &Self) {
        for (tag, digest) in &other.pushed {
            if self.pushed.len() < MOST_TAGS || self.pushed.contains_key(tag) {
                self.pushed.insert(tag.clone(), digest.clone());
            }
        }
        self.force |= other.force;
        self.verify |= other.verify;
        if self.repository != other.repository {
            self.repository = None;
            self.tags = Vec::new();
        } else if self.tags.is_empty() || other.tags.is_empty() {
            self.tags = Vec::new();
        } else {
            for tag in &other.tags {
                if !self.tags.contains(tag) {
                    self.tags.push(tag.clone());
                }
            }
            if self.tags.len() > MOST_TAGS {
                self.tags = Vec::new();
            }
        }
    }
}
