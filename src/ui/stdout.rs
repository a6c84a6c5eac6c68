//! Stdout during a run. A thread of its own writes, so that a slow reader, such as a pager, does not delay the run.

use std::io::{BufWriter, Result, Write};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::ui::background_writer::{BackgroundWriter, Batch, Overflow, Sink};

pub(crate) use crate::ui::background_writer::WriteEnd;

/// Piece of output. The thread formats it, because the data needs less memory than the text.
type OutputPiece = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send>;

/// Handle of the thread. Clones share it. Pieces wait in its queue.
#[derive(Clone)]
pub(crate) struct Stdout {
    writer: Arc<BackgroundWriter<OutputPiece>>,
    /// Dropped when writing may begin.
    held: Arc<Mutex<Option<Sender<()>>>>,
}

/// Start of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartWriting {
    /// With the first piece.
    AtOnce,
    /// After the last piece, for a terminal that shows a live view until then.
    AtEnd,
}

impl Stdout {
    /// Starts the thread. `gone` is called when the reader is gone or nothing more can be written.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(begin: StartWriting, gone: impl FnOnce() + Send + 'static) -> Result<Self> {
        Self::to(std::io::stdout(), begin, gone)
    }

    /// Starts the thread with another output.
    pub(crate) fn to(
        out: impl Write + Send + 'static,
        begin: StartWriting,
        gone: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let (held, begun) = channel();
        let writer = BackgroundWriter::start("stdout", out, StdoutSink, |_| gone());
        let stdout = Self {
            writer: Arc::new(writer?),
            held: Arc::new(Mutex::new(Some(held))),
        };
        if begin == StartWriting::AtEnd {
            stdout.send(move |_| {
                // The sender is dropped and sends nothing.
                let _ = begun.recv();
                Ok(())
            });
        }
        Ok(stdout)
    }

    /// Queues `piece`. It is lost if the reader is gone.
    pub(crate) fn send(&self, piece: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'static) {
        self.writer.push(Box::new(piece), 0, Overflow::Grow);
    }

    /// Waits until everything is written, or `interrupted` completes.
    ///
    /// # Errors
    /// Any error except for a reader that is gone.
    pub(crate) async fn finish(&self, interrupted: impl Future) -> Result<WriteEnd> {
        lock(&self.held).take();
        self.writer.finish(interrupted, Duration::ZERO).await
    }
}

/// Queues bytes as they are.
impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let piece = bytes.to_vec();
        self.send(move |out| out.write_all(&piece));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

struct StdoutSink;

impl Sink for StdoutSink {
    type Piece = OutputPiece;

    fn write(&mut self, out: &mut dyn Write, batch: Batch<OutputPiece>) -> Result<Option<Instant>> {
        let mut out = BufWriter::with_capacity(64 * 1024, out);
        let mut pieces = batch.pieces.into_iter();
        // A reader sees each piece at once.
        let written = pieces.try_for_each(|piece| piece(&mut out).and_then(|()| out.flush()));
        // Content that failed is not written again when the buffer is dropped.
        drop(out.into_parts());
        written.map(|()| None)
    }
}
