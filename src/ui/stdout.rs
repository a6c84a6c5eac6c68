//! Stdout during a run. A thread of its own writes, so that a slow reader, such as a pager, does not delay the run.

use std::io::{BufWriter, ErrorKind, Result, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::lock::lock;

/// Piece of output. The thread formats it, because the data needs less memory than the text.
type OutputPiece = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send>;

/// Handle of the thread. Clones share it. Pieces wait in its queue.
#[derive(Clone)]
pub(crate) struct Stdout(Arc<Mutex<OpenStdout>>);

struct OpenStdout {
    /// Dropped when writing may begin.
    held: Option<Sender<()>>,
    queue: Option<Sender<OutputPiece>>,
    done: Option<oneshot::Receiver<Result<()>>>,
}

/// Start of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartWriting {
    /// With the first piece.
    AtOnce,
    /// After the last piece, for a terminal that shows a live view until then.
    AtEnd,
}

/// Result of writing.
#[derive(Debug)]
pub(crate) enum WriteEnd {
    /// Everything was written.
    Whole,
    /// The reader is gone (`
    ///  head`).
    Unread,
    /// The user did not wait for the reader.
    Interrupted,
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
        let (queue, pieces) = channel();
        let (sender, done) = oneshot::channel();
        let (held, begun) = channel::<()>();
        let write = move || {
            // The sender is dropped and sends nothing.
            let _ = begun.recv();
            let written = write(out, &pieces);
            if written.is_err() {
                gone();
            }
            // The receiver may be gone.
            let _ = sender.send(written);
        };
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(write)?;
        Ok(Self(Arc::new(Mutex::new(OpenStdout {
            held: (begin == StartWriting::AtEnd).then_some(held),
            queue: Some(queue),
            done: Some(done),
        }))))
    }

    /// Queues `piece`. It is lost if the reader is gone.
    pub(crate) fn send(&self, piece: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'static) {
        let open = lock(&self.0);
        if let Some(queue) = &open.queue {
            let _ = queue.send(Box::new(piece));
        }
    }

    /// Waits until everything is written, or `interrupted` completes.
    ///
    /// # Errors
    /// Any error except for a reader that is gone.
    pub(crate) async fn finish(&self, interrupted: impl Future) -> Result<WriteEnd> {
        let done = {
            let mut open = lock(&self.0);
            (open.queue, open.held) = (None, None);
            open.done.take()
        };
        let Some(done) = done else {
            return Ok(WriteEnd::Whole);
        };
        let done = tokio::select! {
            biased;
            done = done => done,
            _ = interrupted => return Ok(WriteEnd::Interrupted),
        };
        match done {
            Ok(Ok(())) => Ok(WriteEnd::Whole),
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(WriteEnd::Unread),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other(
                "internal error: the thread that writes it ended early; this is a defect of image-syncer, please \
                 report it",
            )),
        }
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

/// Writes until the queue ends or an error occurs.
fn write(out: impl Write, pieces: &Receiver<OutputPiece>) -> Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    for piece in pieces {
        // A reader sees each piece at once.
        let written = piece(&mut out).and_then(|()| out.flush());
        if let Err(error) = written {
            // The content is not written again when the buffer is dropped.
            drop(out.into_parts());
            return Err(error);
        }
    }
    Ok(())
}
