//! Stdout during a run: what is asked for is written by a thread of its own, so that nothing of the run waits for
//! whoever reads it, a pager say.

use std::io::{BufWriter, ErrorKind, Result, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Something to write: put into words by the thread, as it takes less room before.
type OutputPiece = Box<dyn FnOnce(&mut dyn Write) -> Result<()> + Send>;

/// The way to the thread; clones lead to the same one. What is not read yet waits there.
#[derive(Clone)]
pub(crate) struct Stdout(Arc<Mutex<OpenStdout>>);

struct OpenStdout {
    /// Dropped when writing may begin.
    held: Option<Sender<()>>,
    queue: Option<Sender<OutputPiece>>,
    done: Option<oneshot::Receiver<Result<()>>>,
}

/// When writing begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartWriting {
    /// With the first piece.
    AtOnce,
    /// When all pieces are there: on a terminal on which something else is drawn until then.
    AtEnd,
}

/// How writing ended.
#[derive(Debug)]
pub(crate) enum WriteEnd {
    /// All is written.
    Whole,
    /// Whoever read it has gone (`| head`).
    Unread,
    /// Somebody waits no longer for it to be read.
    Interrupted,
}

impl Stdout {
    /// Starts the thread, which writes at once or when all is known. `gone` is called when nobody reads any more, or
    /// nothing more can be written.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start(begin: StartWriting, gone: impl FnOnce() + Send + 'static) -> Result<Self> {
        Self::to(std::io::stdout(), begin, gone)
    }

    /// The same, to anywhere.
    pub(crate) fn to(
        out: impl Write + Send + 'static,
        begin: StartWriting,
        gone: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let (queue, pieces) = channel();
        let (sender, done) = oneshot::channel();
        let (held, begun) = channel::<()>();
        let write = move || {
            // Nothing ever comes but the end of it.
            let _ = begun.recv();
            let written = write(out, &pieces);
            if written.is_err() {
                gone();
            }
            // Nobody may be waiting for it.
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

    /// Has `piece` written behind all before it; in vain where nobody reads it.
    pub(crate) fn send(&self, piece: impl FnOnce(&mut dyn Write) -> Result<()> + Send + 'static) {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &open.queue {
            let _ = queue.send(Box::new(piece));
        }
    }

    /// Waits until everything is written, or `interrupted` completes.
    ///
    /// # Errors
    /// What went wrong, but for a reader that has gone.
    pub(crate) async fn finish(&self, interrupted: impl Future) -> Result<WriteEnd> {
        let done = {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Bytes are sent as they are.
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

/// Writes until there is no more, or no more can be written.
fn write(out: impl Write, pieces: &Receiver<OutputPiece>) -> Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    for piece in pieces {
        // Whoever reads along sees each piece when it is known.
        let written = piece(&mut out).and_then(|()| out.flush());
        if let Err(error) = written {
            // What could not be written is not tried again when the buffer is dropped.
            drop(out.into_parts());
            return Err(error);
        }
    }
    Ok(())
}
