//! The thread that writes the file. A fault is reported once, and the thread tries again until the file can be written.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use image_syncer_sync::sqlite_file::{self, FileErrorKind};
use jiff::Timestamp;
use rusqlite::Connection;

use crate::lock::lock;
use crate::service::history::HistoryError;
use crate::service::history::file::{FORMAT, ServiceLock};
use crate::service::history::queue::{Batch, UpdateQueue};
use crate::service::history::retention::{self, Retention};
use crate::service::history::writer::HistoryWriter;

/// Time between two tries to write to a file that fails.
const RETRY: Duration = Duration::from_secs(5);

/// Pause between two steps of deletion, in which batches are written.
const BETWEEN_STEPS: Duration = Duration::from_millis(20);

/// Function that receives the first of several faults.
pub(super) type Report = Box<dyn Fn(&HistoryError) + Send>;

/// Handle of the thread.
pub(super) struct WriterThread {
    queue: Arc<UpdateQueue>,
    /// Disconnected when the thread has ended.
    finished: Mutex<Receiver<()>>,
}

impl WriterThread {
    /// Starts the thread, which writes what arrives in `queue`.
    pub(super) fn start(
        path: &Path,
        connection: Connection,
        lock: ServiceLock,
        queue: Arc<UpdateQueue>,
        retention: Retention,
        report: Report,
    ) -> std::io::Result<Self> {
        let (working, finished) = sync_channel(0);
        let mut work = Work {
            path: path.into(),
            writer: HistoryWriter::over(connection),
            queue: Arc::clone(&queue),
            retention,
            report,
            is_failing: false,
            next_pruning: Instant::now(),
        };
        std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                let ending = Ending(Arc::clone(&work.queue));
                work.write_all();
                drop((work, lock, ending, working));
            })?;
        let finished = Mutex::new(finished);
        Ok(Self { queue, finished })
    }

    /// Ends the thread after the updates that wait. Returns false if it did not end within `max_wait`.
    pub(super) fn close(&self, max_wait: Duration) -> bool {
        self.queue.close();
        lock(&self.finished).recv_timeout(max_wait) != Err(RecvTimeoutError::Timeout)
    }
}

/// Ends the queue with the thread, also after a panic.
struct Ending(Arc<UpdateQueue>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Work {
    path: Box<Path>,
    writer: HistoryWriter,
    queue: Arc<UpdateQueue>,
    retention: Retention,
    report: Report,
    is_failing: bool,
    next_pruning: Instant,
}

impl Work {
    fn write_all(&mut self) {
        loop {
            let idle = self.next_pruning.saturating_duration_since(Instant::now());
            let Some(batch) = self.queue.next(idle) else {
                return;
            };
            if !batch.is_empty() && !self.write(&batch) {
                return;
            }
            self.prune_if_due();
        }
    }

    /// Writes a batch, as often as it takes. Returns false if that fails after the queue was closed.
    fn write(&mut self, batch: &Batch) -> bool {
        let mut is_last_try = false;
        while let Err(error) = self.writer.write(batch) {
            self.report(error);
            if is_last_try {
                return false;
            }
            is_last_try = !self.queue.failed(RETRY);
            // A connection can be the worse for its last fault. The file is there: to create it, it would have to be opened
            // and closed, which drops the locks of other connections of this process.
            if let Ok(connection) = FORMAT.open_to_write(&self.path) {
                self.writer.reconnect(connection);
            }
        }
        self.is_failing = false;
        self.queue.written(batch);
        true
    }

    /// Deletes some of what is not kept any more. What is left is deleted after the next batch.
    fn prune_if_due(&mut self) {
        if Instant::now() < self.next_pruning {
            return;
        }
        let now = Timestamp::now();
        let more = retention::step(&mut self.writer.connection, &self.retention, now);
        let delay = match more {
            Ok(true) => BETWEEN_STEPS,
            Ok(false) => {
                let shrunk = sqlite_file::shrink(&self.writer.connection);
                shrunk.unwrap_or_else(|error| self.report(error));
                self.retention.every
            }
            Err(error) => {
                self.report(error);
                self.retention.every
            }
        };
        self.next_pruning = Instant::now() + delay;
    }

    /// Reports the first of several faults. A lock that another program holds for a moment is none.
    fn report(&mut self, error: rusqlite::Error) {
        let error = HistoryError::new(&self.path, error);
        if error.kind() != FileErrorKind::Locked && !std::mem::replace(&mut self.is_failing, true) {
            (self.report)(&error);
        }
    }
}
