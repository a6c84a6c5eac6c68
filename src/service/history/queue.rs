//! Queue of updates for the thread that writes.
//!
//! The queue is bounded: events of images beyond the limit are dropped and counted. States of runs are kept apart, the
//! last one of each run, so that the end of a run is never lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::lock::{lock, wait_timeout_while};
use crate::service::history::update::{DeliveryUpdate, Update};
use crate::service::run::{Run, RunId};

/// Maximum number of updates that wait.
pub(super) const MAX_QUEUED: usize = 32_768;

/// Maximum number of runs whose states wait.
const MAX_RUNS: usize = 10_000;

/// Number of updates for which a batch is not delayed any more.
const BATCH: usize = 2_048;

/// Maximum time that an update waits for others.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Updates that wait for the thread.
pub(super) struct UpdateQueue {
    state: Mutex<QueueState>,
    /// Notified for the first update, for a full batch, and for everything that must not wait.
    changed: Condvar,
    progress: watch::Sender<WriteProgress>,
}

#[derive(Default)]
struct QueueState {
    batch: Batch,
    /// States of the runs in the batch that is being written.
    writing: BTreeMap<RunId, Run>,
    /// A state of a run or a notification waits, or somebody waits for the file.
    is_urgent: bool,
    is_closed: bool,
}

/// Updates that are written in one transaction.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) updates: Vec<Update>,
    /// Last state of each run, which follows all of its updates.
    pub(super) runs: BTreeMap<RunId, Run>,
    /// Numbers of dropped events.
    pub(super) lost: HashMap<RunId, u64>,
    /// Number of updates that were accepted, these included.
    accepted: u64,
}

/// Work of the thread.
#[derive(Clone, Copy, Default)]
struct WriteProgress {
    /// Number of updates that are in the file.
    written: u64,
    /// The file cannot be written at the moment.
    is_failing: bool,
}

impl Default for UpdateQueue {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            progress: watch::Sender::new(WriteProgress::default()),
        }
    }
}

impl Batch {
    /// Returns true if there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.runs.is_empty() && self.lost.is_empty()
    }
}

impl UpdateQueue {
    /// Adds an update. An event of an image is dropped and counted if too many updates wait.
    pub(super) fn push(&self, update: Update) {
        let mut state = lock(&self.state);
        if state.is_closed {
            return;
        }
        if let Update::Event(run, _) = &update
            && state.batch.updates.len() >= MAX_QUEUED
        {
            let run = *run;
            *state.batch.lost.entry(run).or_default() += 1;
            return;
        }
        let is_delivery = matches!(update, Update::Delivery(_));
        let is_optional = matches!(
            update,
            Update::Throughput(..) | Update::Delivery(DeliveryUpdate::Added { .. })
        );
        if is_optional && state.batch.updates.len() >= 2 * MAX_QUEUED {
            return;
        }
        state.batch.updates.push(update);
        state.batch.accepted += 1;
        state.is_urgent |= is_delivery;
        let waiting = state.batch.updates.len();
        let is_worth_it = waiting == 1 || waiting == BATCH || state.is_urgent;
        drop(state);
        if is_worth_it {
            self.changed.notify_one();
        }
    }

    /// Replaces the state of a run. A progress is written with the next batch, any other state at once.
    pub(super) fn push_run(&self, run: &Run, is_progress: bool) {
        let mut state = lock(&self.state);
        if state.is_closed {
            return;
        }
        state.batch.runs.insert(run.id, run.clone());
        if state.batch.runs.len() > MAX_RUNS {
            state.batch.runs.pop_first();
        }
        state.batch.accepted += 1;
        state.is_urgent |= !is_progress;
        drop(state);
        self.changed.notify_one();
    }

    /// Returns the state of a run that is not in the file yet.
    pub(super) fn run(&self, id: RunId) -> Option<Run> {
        let state = lock(&self.state);
        let waiting = state.batch.runs.get(&id);
        waiting.or_else(|| state.writing.get(&id)).cloned()
    }

    /// Accepts no more updates.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_one();
    }

    /// Accepts no more updates, and lets nobody wait for them: the thread has ended.
    pub(super) fn end(&self) {
        self.close();
        self.progress
            .send_modify(|progress| progress.is_failing = true);
    }

    /// Waits until all updates so far are in the file, or the file fails.
    pub(super) async fn flush(&self) {
        let mut progress = self.progress.subscribe();
        let accepted = {
            let mut state = lock(&self.state);
            state.is_urgent |= !state.batch.is_empty();
            state.batch.accepted
        };
        self.changed.notify_one();
        // The sender lives as long as this queue.
        let _ = progress
            .wait_for(|progress| progress.is_failing || progress.written >= accepted)
            .await;
    }

    /// Waits for updates, and then for a full batch or the end of the delay. Returns `None` at the end, and an empty
    /// batch if none came for `idle`.
    pub(super) fn next(&self, idle: Duration) -> Option<Batch> {
        let is_idle =
            |state: &mut QueueState| state.batch.is_empty() && !state.is_closed && !state.is_urgent;
        let (state, _) = wait_timeout_while(&self.changed, lock(&self.state), idle, is_idle);
        let is_short = |state: &mut QueueState| {
            !state.batch.is_empty()
                && state.batch.updates.len() < BATCH
                && !state.is_urgent
                && !state.is_closed
        };
        let waited = self.changed.wait_timeout_while(state, MAX_DELAY, is_short);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_urgent = false;
        if state.batch.is_empty() && state.is_closed {
            return None;
        }
        let accepted = state.batch.accepted;
        let next = Batch {
            accepted,
            ..Batch::default()
        };
        let batch = std::mem::replace(&mut state.batch, next);
        state.writing.clone_from(&batch.runs);
        Some(batch)
    }

    /// Reports that a batch is in the file.
    pub(super) fn written(&self, batch: &Batch) {
        lock(&self.state).writing.clear();
        self.progress.send_replace(WriteProgress {
            written: batch.accepted,
            is_failing: false,
        });
    }

    /// Reports that the file cannot be written, and waits for `delay`. Returns false if the queue was closed.
    pub(super) fn failed(&self, delay: Duration) -> bool {
        self.progress
            .send_modify(|progress| progress.is_failing = true);
        let is_open = |state: &mut QueueState| !state.is_closed;
        let (state, _) = wait_timeout_while(&self.changed, lock(&self.state), delay, is_open);
        !state.is_closed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::service::history::tests::queued;
    use crate::service::history::update::RunUpdate;

    #[test]
    fn a_full_queue_drops_and_counts_events_and_keeps_the_end_of_a_run() {
        let queue = UpdateQueue::default();
        let mut run = queued("nightly", 1);
        queue.push_run(&run, false);
        for _ in 0..MAX_QUEUED + 10 {
            queue.push(Update::Event(run.id, RunUpdate::RuleDiscovered(0)));
        }
        queue.push(Update::Delivery(DeliveryUpdate::Finished(1)));
        run.state = crate::service::run::RunState::Succeeded;
        queue.push_run(&run, false);
        let batch = queue.next(Duration::ZERO).unwrap();
        assert_eq!(batch.updates.len(), MAX_QUEUED + 1);
        assert_eq!(batch.lost, HashMap::from([(run.id, 10)]));
        assert_eq!(batch.runs[&run.id], run);
        // It is not in the file before the thread says so.
        assert_eq!(queue.run(run.id), Some(run.clone()));
        queue.written(&batch);
        assert_eq!(queue.run(run.id), None);
        assert!(queue.next(Duration::ZERO).unwrap().is_empty());
        queue.close();
        queue.push_run(&run, false);
        assert!(queue.next(Duration::ZERO).is_none());
    }

    #[tokio::test]
    async fn nobody_waits_for_a_thread_that_has_ended() {
        let queue = UpdateQueue::default();
        queue.push_run(&queued("nightly", 1), false);
        queue.end();
        queue.flush().await;
    }
}
