//! Thread that writes what others queue, so that a slow disk, a stopped terminal or an unread pipe delays no copy.
//!
//! The screen, stdout and the log file each have one. They differ in their [`Sink`], and in the [`Overflow`] policy of
//! their pieces.

use std::io::{Error, ErrorKind, Result, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::lock::{lock, wait_timeout_while};

/// Pause before a non-blocking stream that is full is tried again.
const BUSY: Duration = Duration::from_millis(20);

/// Policy for a piece that finds the queue full. Sizes are in bytes; pieces that are being written count as well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overflow {
    /// The queue grows.
    Grow,
    /// The piece is dropped if the queue would exceed this size.
    Drop(usize),
    /// The piece waits for space in a queue of this size, at most for this time, and is dropped after that. Later
    /// pieces are dropped at once until the next batch.
    WaitThenDrop(usize, Duration),
}

/// Form of the output.
pub(crate) trait Sink: Send + 'static {
    /// Unit of the queue.
    type Piece: Send + 'static;

    /// True if later pieces may be written after an error. Otherwise the first error ends the writer.
    const RECOVERS: bool = false;

    /// Writes a batch to `out`. Returns the time of the next batch, which may be empty. Pieces wait for it, unless the
    /// queue is half full or a piece has no size. After `None`, the next piece does not wait.
    fn write(&mut self, out: &mut dyn Write, batch: Batch<Self::Piece>) -> Result<Option<Instant>>;
}

/// Pieces to write.
pub(crate) struct Batch<P> {
    pub(crate) pieces: Vec<P>,
    /// Number of dropped pieces. They belong after the others.
    pub(crate) dropped: u64,
    /// Nothing follows.
    pub(crate) is_last: bool,
}

/// Result of writing.
#[derive(Debug)]
pub(crate) enum WriteEnd {
    /// Everything was written.
    Whole,
    /// The reader is gone (`| head`).
    Unread,
    /// The user did not wait for the reader.
    Interrupted,
}

/// Handle of the thread. Dropping it ends the queue, and waits for nothing.
pub(crate) struct BackgroundWriter<P>(Arc<Queue<P>>);

struct Queue<P> {
    state: Mutex<State<P>>,
    changed: Condvar,
}

struct State<P> {
    pieces: Vec<P>,
    /// Size of `pieces`, and of those that are being written.
    waiting: usize,
    writing: usize,
    dropped: u64,
    /// Pieces wait for the time of the next batch.
    paced: bool,
    /// The next batch begins at once.
    urgent: bool,
    /// No more pieces are accepted.
    ended: bool,
    /// The thread has ended.
    finished: bool,
    /// First error.
    error: Option<Error>,
    /// Dropped when the thread ends.
    waiter: Option<oneshot::Sender<()>>,
}

impl<P: Send + 'static> BackgroundWriter<P> {
    /// Starts the thread `name`, which writes to `out`. `report` is called at the first error.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(
        name: &str,
        out: impl Write + Send + 'static,
        sink: impl Sink<Piece = P>,
        report: impl FnOnce(&Error) + Send + 'static,
    ) -> Result<Self> {
        let queue = Arc::new(Queue::new());
        let thread = WriterThread(Arc::clone(&queue));
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || thread.run(BlockingStream(out), sink, report))?;
        Ok(Self(queue))
    }

    /// Queues `piece`, which has this size, or drops it. After the end, it is lost.
    pub(crate) fn push(&self, piece: P, size: usize, overflow: Overflow) {
        let (limit, patience) = match overflow {
            Overflow::Grow => (usize::MAX, Duration::ZERO),
            Overflow::Drop(limit) => (limit, Duration::ZERO),
            Overflow::WaitThenDrop(limit, patience) => (limit, patience),
        };
        let needed = |state: &State<P>| state.writing + state.waiting + size;
        let mut state = self.0.lock();
        (state, _) = wait_timeout_while(&self.0.changed, state, patience, |state| {
            !state.ended && state.dropped == 0 && needed(state) > limit
        });
        if state.ended {
            return;
        }
        if needed(&state) > limit {
            state.dropped = state.dropped.saturating_add(1);
            state.urgent = true;
        } else {
            state.urgent |= size == 0 || needed(&state) > limit / 2;
            state.pieces.push(piece);
            state.waiting += size;
        }
        if state.urgent || !state.paced {
            self.0.changed.notify_all();
        }
    }

    /// Returns whether no more pieces are accepted.
    pub(crate) fn is_ended(&self) -> bool {
        self.0.lock().ended
    }

    /// Ends the queue and waits until everything is written, at most for `patience`. Returns whether the thread has
    /// ended.
    pub(crate) fn close(&self, patience: Duration) -> bool {
        let state = self.0.end();
        !wait_timeout_while(&self.0.changed, state, patience, |state| !state.finished).1
    }

    /// Ends the queue and waits until everything is written, at most for `patience` after `interrupted` completes.
    ///
    /// # Errors
    /// The first error, except for a reader that is gone.
    pub(crate) async fn finish(
        &self,
        interrupted: impl Future,
        patience: Duration,
    ) -> Result<WriteEnd> {
        let (waiter, mut done) = oneshot::channel();
        {
            let mut state = self.0.end();
            state.waiter = (!state.finished).then_some(waiter);
        }
        let is_done = tokio::select! {
            biased;
            _ = &mut done => true,
            _ = interrupted => tokio::time::timeout(patience, done).await.is_ok(),
        };
        match self.0.lock().error.take() {
            Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(WriteEnd::Unread),
            Some(error) => Err(error),
            None if is_done => Ok(WriteEnd::Whole),
            None => Ok(WriteEnd::Interrupted),
        }
    }
}

impl<P> Drop for BackgroundWriter<P> {
    fn drop(&mut self) {
        drop(self.0.end());
    }
}

impl<P> Queue<P> {
    fn new() -> Self {
        let state = State {
            pieces: Vec::new(),
            waiting: 0,
            writing: 0,
            dropped: 0,
            paced: false,
            urgent: false,
            ended: false,
            finished: false,
            error: None,
            waiter: None,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        lock(&self.state)
    }

    fn end(&self) -> MutexGuard<'_, State<P>> {
        let mut state = self.lock();
        state.ended = true;
        self.changed.notify_all();
        state
    }

    /// Waits for the next batch, at most until `due`. The previous one counts as written.
    fn next(&self, due: Option<Instant>) -> Batch<P> {
        let left = due.map_or(Duration::MAX, |due| {
            due.saturating_duration_since(Instant::now())
        });
        let mut state = self.lock();
        (state.writing, state.paced) = (0, due.is_some());
        self.changed.notify_all();
        (state, _) = wait_timeout_while(&self.changed, state, left, |state| {
            !state.ended && !state.urgent && (state.paced || state.pieces.is_empty())
        });
        state.urgent = false;
        state.writing = std::mem::take(&mut state.waiting);
        Batch {
            pieces: std::mem::take(&mut state.pieces),
            dropped: std::mem::take(&mut state.dropped),
            is_last: state.ended,
        }
    }
}

/// State of the thread.
struct WriterThread<P>(Arc<Queue<P>>);

impl<P> WriterThread<P> {
    /// Writes batches until the end, or the first error if it ends the writer.
    fn run<S: Sink<Piece = P>>(
        self,
        mut out: impl Write,
        mut sink: S,
        report: impl FnOnce(&Error),
    ) {
        let (mut due, mut report) = (None, Some(report));
        loop {
            let batch = self.0.next(due);
            let mut is_last = batch.is_last;
            due = sink.write(&mut out, batch).unwrap_or_else(|error| {
                if let Some(report) = report.take() {
                    report(&error);
                }
                self.0.lock().error.get_or_insert(error);
                is_last |= !S::RECOVERS;
                None
            });
            if is_last {
                return;
            }
        }
    }
}

/// Ends the queue with its thread, also after a panic: no piece is kept, and nothing waits.
impl<P> Drop for WriterThread<P> {
    fn drop(&mut self) {
        let mut state = self.0.end();
        state.finished = true;
        (state.pieces, state.waiter) = (Vec::new(), None);
        if std::thread::panicking() {
            let text = "internal error: the thread that writes it ended early; this is a defect of image-syncer, please report it";
            state.error.get_or_insert_with(|| Error::other(text));
        }
    }
}

/// Stream that waits while it is full, even if another process made it non-blocking.
struct BlockingStream<W>(W);

impl<W> BlockingStream<W> {
    fn retry<T>(&mut self, mut call: impl FnMut(&mut W) -> Result<T>) -> Result<T> {
        loop {
            match call(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(BUSY),
                done => return done,
            }
        }
    }
}

impl<W: Write> Write for BlockingStream<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.retry(|out| out.write(bytes))
    }

    fn flush(&mut self) -> Result<()> {
        self.retry(Write::flush)
    }
}

#[cfg(test)]
mod tests;
