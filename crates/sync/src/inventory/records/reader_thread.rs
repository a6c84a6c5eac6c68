//! The thread that reads the file: tasks of the runtime never wait for the disk.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::inventory::records::reader::RecordsReader;
use crate::inventory::records::{ErrorReporter, RecordsError, RecordsErrorKind, spawn_thread};
use crate::lock::lock;

type Lookup = Box<dyn FnOnce(&mut RecordsReader) + Send>;

/// Handle of the thread.
pub(super) struct ReaderThread {
    path: std::path::PathBuf,
    /// `None` once the file is closed.
    lookups: Mutex<Option<Sender<Lookup>>>,
    /// Number of lookups so far.
    count: AtomicU64,
    /// Disconnected when the thread has ended.
    finished: Mutex<Receiver<()>>,
    trouble: ErrorReporter,
}

impl ReaderThread {
    /// Starts the thread, which reads with `reader` and reports its faults to `trouble`.
    pub(super) fn start(
        path: &Path,
        mut reader: RecordsReader,
        trouble: ErrorReporter,
    ) -> std::io::Result<Self> {
        let (lookups, incoming) = channel::<Lookup>();
        let finished = spawn_thread("records-reader", move || {
            for lookup in incoming {
                lookup(&mut reader);
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            lookups: Mutex::new(Some(lookups)),
            count: AtomicU64::new(0),
            finished: Mutex::new(finished),
            trouble,
        })
    }
    /// Runs `read` on the thread. Returns `None` if it fails or the file is closed.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut RecordsReader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Option<T> {
        let (sender, result) = oneshot::channel();
        let lookup: Lookup = Box::new(move |reader| {
            // A cancelled task needs no answer, and its lookup no work.
            if !sender.is_closed() {
                let _ = sender.send(read(reader));
            }
        });
        lock(&self.lookups).as_ref()?.send(lookup).ok()?;
        self.count.fetch_add(1, Ordering::Relaxed);
        match result.await.ok()? {
            Ok(found) => Some(found),
            Err(error) => {
                let error = RecordsError::new(&self.path, error);
                // A lock that another program holds for a moment costs one hint, which is not worth a report.
                if error.kind() != RecordsErrorKind::Locked {
                    self.trouble.report(&error);
                }
                None
            }
        }
    }
    /// Returns the number of lookups so far.
    pub(super) fn lookups(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
    /// Ends the thread after the lookups that wait. Returns whether it ended within `max_wait`.
    pub(super) fn close(&self, max_wait: Duration) -> bool {
        drop(lock(&self.lookups).take());
        lock(&self.finished).recv_timeout(max_wait) != Err(RecvTimeoutError::Timeout)
    }
}
