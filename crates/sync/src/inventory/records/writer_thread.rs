//! The thread that writes the file. It starts with the first update: a run that learns nothing needs none.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::inventory::records::writer::RecordsWriter;
use crate::inventory::records::{ErrorReporter, RecordUpdate, RecordsError, spawn_thread};
use crate::lock::lock;

/// Maximum number of updates that wait to be written; further ones are dropped.
pub(super) const MAX_QUEUED: usize = 8192;

/// Number of updates that are written at once.
const BATCH: usize = 1024;

/// Maximum time that an update waits for others.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// Handle of the thread.
pub(super) struct WriterThread {
    path: PathBuf,
    /// Day since 1970, fixed for a run.
    today: i64,
    queue: Arc<UpdateQueue>,
    /// Disconnected when the thread has ended; `None` before it starts.
    finished: Mutex<Option<Receiver<()>>>,
    trouble: ErrorReporter,
}

/// Updates that wait for the thread.
#[derive(Default)]
struct UpdateQueue {
    state: Mutex<QueueState>,
    /// Notified for the first update of a batch, for the last one, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    updates: Vec<RecordUpdate>,
    /// Accepts no more updates.
    is_closed: bool,
    /// Number of updates that were accepted.
    accepted: u64,
    /// Number of batches that the thread removed.
    batches: u64,
}

impl WriterThread {
    /// Returns the handle of a thread that writes to the file at `path`, which exists and has its tables.
    pub(super) fn new(path: &Path, today: i64, trouble: ErrorReporter) -> Self {
        Self {
            path: path.to_owned(),
            today,
            queue: Arc::default(),
            finished: Mutex::default(),
            trouble,
        }
    }
    /// Queues an update, unless too many wait. Never waits for the disk.
    pub(super) fn push(&self, update: RecordUpdate) {
        if self.queue.push(update) {
            self.start();
        }
    }
    /// Starts the thread, once. At its end it prunes the file if that is due.
    pub(super) fn start(&self) {
        let mut finished = lock(&self.finished);
        if finished.is_some() {
            return;
        }
        let (path, today) = (self.path.clone(), self.today);
        let (queue, trouble) = (Arc::clone(&self.queue), self.trouble.clone());
        let started = spawn_thread("records", move || {
            if let Err(error) = write_all(&path, today, &queue) {
                queue.close();
                trouble.report(&RecordsError::new(&path, error));
            }
        });
        match started {
            Ok(receiver) => *finished = Some(receiver),
            Err(error) => {
                self.queue.close();
                self.trouble.report(&RecordsError::io(&self.path, &error));
            }
        }
    }
    /// Ends the thread after the updates that wait. Returns false if it did not end within `max_wait`.
    pub(super) fn close(&self, max_wait: Duration) -> bool {
        self.queue.close();
        let finished = lock(&self.finished);
        finished.as_ref().is_none_or(|finished| {
            finished.recv_timeout(max_wait) != Err(RecvTimeoutError::Timeout)
        })
    }
    /// Returns the number of updates that were accepted, and of transactions that wrote them.
    pub(super) fn activity(&self) -> (u64, u64) {
        let state = lock(&self.queue.state);
        (state.accepted, state.batches)
    }
}

impl UpdateQueue {
    /// Adds an update, unless too many wait. Returns true if it is the first of a batch.
    fn push(&self, update: RecordUpdate) -> bool {
        let waiting = {
            let mut state = lock(&self.state);
            if state.is_closed || state.updates.len() >= MAX_QUEUED {
                // A lost hint costs one request.
                return false;
            }
            state.updates.push(update);
            state.accepted += 1;
            state.updates.len()
        };
        if waiting == 1 || waiting == BATCH {
            self.changed.notify_one();
        }
        waiting == 1
    }
    /// Accepts no more updates.
    fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_one();
    }
    /// Waits for updates, and then for a full batch or the end of the delay. Returns an empty batch at the end.
    fn next(&self) -> Vec<RecordUpdate> {
        let is_idle = |state: &mut QueueState| state.updates.is_empty() && !state.is_closed;
        let waited = self.changed.wait_while(lock(&self.state), is_idle);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        let is_short = |state: &mut QueueState| state.updates.len() < BATCH && !state.is_closed;
        let waited = self.changed.wait_timeout_while(state, MAX_DELAY, is_short);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let batch = std::mem::take(&mut state.updates);
        state.batches += u64::from(!batch.is_empty());
        batch
    }
}

fn write_all(path: &Path, today: i64, queue: &UpdateQueue) -> rusqlite::Result<()> {
    let mut writer = RecordsWriter::open(path, today)?;
    loop {
        let batch = queue.next();
        if batch.is_empty() {
            return writer.finish();
        }
        writer.write(batch)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Repository;
    use crate::inventory::BlobUpdate;

    #[test]
    fn a_queue_drops_what_exceeds_its_limit() {
        let queue = UpdateQueue::default();
        let repository = Repository::parse("r.example/a");
        let update = || {
            let repository = repository.clone().unwrap_or_else(|_| unreachable!());
            RecordUpdate::Blobs(BlobUpdate::Forget(repository))
        };
        let first = (0..MAX_QUEUED + 10).filter(|_| queue.push(update()));
        assert_eq!(first.count(), 1);
        assert_eq!(queue.next().len(), MAX_QUEUED);
        queue.close();
        assert!(!queue.push(update()));
        assert_eq!(queue.next().len(), 0);
    }
}
