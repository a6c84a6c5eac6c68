//! Progress of long work on one archive.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::event::{ArchiveWork, Event, Listener};
use crate::lock::lock;
use crate::store::Endpoint;

/// Shortest time between two reports.
const INTERVAL: Duration = Duration::from_millis(200);

/// Receiver of the events of archives: that of the run that was started last.
#[derive(Default)]
pub(super) struct Watcher(Mutex<Option<Weak<dyn Listener>>>);

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl Watcher {
    pub(super) fn set(&self, listener: &Arc<dyn Listener>) {
        *lock(&self.0) = Some(Arc::downgrade(listener));
    }
    fn event(&self, event: &Event) {
        let listener = lock(&self.0).as_ref().and_then(Weak::upgrade);
        if let Some(listener) = listener {
            listener.event(event);
        }
    }
    pub(super) fn warn(&self, text: String) {
        self.event(&Event::Warning { text });
    }
}

/// Progress of one piece of work. Reports its end when it is dropped.
pub(in crate::store) struct WorkProgress<'a> {
    watcher: &'a Watcher,
    archive: Arc<str>,
    work: ArchiveWork,
    bytes: u64,
    total: Option<u64>,
    reported: Instant,
}

impl<'a> WorkProgress<'a> {
    /// Reports the beginning of `work` on `total` bytes, if their number is known.
    pub(super) fn start(
        watcher: &'a Watcher,
        endpoint: &Endpoint,
        work: ArchiveWork,
        total: Option<u64>,
    ) -> Self {
        let progress = Self {
            watcher,
            archive: endpoint.to_string().into(),
            work,
            bytes: 0,
            total,
            reported: Instant::now(),
        };
        progress.report(false);
        progress
    }
    /// Notes the number of bytes that are done.
    pub(super) fn reached(&mut self, bytes: u64) {
        self.bytes = bytes;
        if self.reported.elapsed() >= INTERVAL {
            self.reported = Instant::now();
            self.report(false);
        }
    }
    /// Notes that further bytes are done.
    pub(in crate::store) fn add(&mut self, bytes: u64) {
        self.reached(self.bytes.saturating_add(bytes));
    }
    fn report(&self, ended: bool) {
        self.watcher.event(&Event::ArchiveProgress {
            archive: Arc::clone(&self.archive),
            work: self.work,
            bytes: self.bytes,
            total: self.total,
            ended,
        });
    }
}

impl Drop for WorkProgress<'_> {
    fn drop(&mut self) {
        self.report(true);
    }
}

/// Reader that reports its progress.
pub(super) struct WatchedReader<'a, R> {
    inner: R,
    progress: WorkProgress<'a>,
}

impl<'a, R> WatchedReader<'a, R> {
    pub(super) fn new(inner: R, progress: WorkProgress<'a>) -> Self {
        Self { inner, progress }
    }
}

impl<R: Read> Read for WatchedReader<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(target)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}
