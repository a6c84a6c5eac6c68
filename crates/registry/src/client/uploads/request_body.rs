//! From the source's stream to the bodies of requests: exact lengths, nothing collected, nothing read twice.
//!
//! The request's body and the source's stream run as two tasks of one future with a small channel between them, since
//! the body must live on its own and the source is borrowed; it also lets the source be hashed while the
//! destination is encrypted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::client::reader::{BlobSource, BlobStream};
use crate::error::{Error, ErrorKind};
use crate::transport::{BodyAborted, RequestBody};

use super::RequestSpec;

/// Chunks that may lie between source and destination: the HTTP library reads up to 400 KiB at once, and each end holds
/// one more. With 4, 16 streams took 40 to 45 MiB in place of 32 to 34, at the same speed (November 2026).
const WINDOW: usize = 1;

/// The body of one request.
struct RequestBodyStream {
    chunks: mpsc::Receiver<Bytes>,
    remaining: u64,
    taken: Arc<AtomicU64>,
}

/// The other end of a request's body.
pub(super) struct RequestBodySender {
    chunks: mpsc::Sender<Bytes>,
    taken: Arc<AtomicU64>,
}

/// A body of `length` bytes and the end that fills it.
pub(super) fn channel(length: u64) -> (RequestBody, RequestBodySender) {
    let (sender, chunks) = mpsc::channel(WINDOW);
    let taken = Arc::new(AtomicU64::new(0));
    let inlet = RequestBodySender {
        chunks: sender,
        taken: Arc::clone(&taken),
    };
    let feed = RequestBodyStream {
        chunks,
        remaining: length,
        taken,
    };
    let body = match length {
        0 => RequestBody::Empty,
        _ => RequestBody::Stream {
            length,
            stream: Box::pin(feed),
        },
    };
    (body, inlet)
}

impl RequestBodySender {
    /// A counter of the bytes that were taken out of the body.
    pub(super) fn bytes_taken(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.taken)
    }
}

impl Stream for RequestBodyStream {
    type Item = Result<Bytes, BodyAborted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match ready!(self.chunks.poll_recv(cx)) {
            Some(bytes) => {
                let length = bytes.len() as u64;
                self.remaining = self.remaining.saturating_sub(length);
                self.taken.fetch_add(length, Ordering::Relaxed);
                Poll::Ready(Some(Ok(bytes)))
            }
            None if self.remaining == 0 => Poll::Ready(None),
            None => Poll::Ready(Some(Err(BodyAborted))),
        }
    }
}

/// Reads a source piece by piece, over as many requests as it takes.
pub(super) struct SourceReader<'a> {
    source: &'a dyn BlobSource,
    /// The source's own word, once it was opened; before that the descriptor's.
    size: Option<u64>,
    /// For what is wrong with the source's length.
    ask: RequestSpec,
    open: Option<OpenSource>,
}

/// A stream of the source, and where it stands.
struct OpenSource {
    stream: BlobStream,
    /// The first byte that was not given yet.
    position: u64,
    /// Bytes from `position` on that were read already.
    leftover: Bytes,
}

impl<'a> SourceReader<'a> {
    /// Reads `source`, which has `size` bytes by its descriptor.
    pub(super) fn new(source: &'a dyn BlobSource, size: Option<u64>, ask: RequestSpec) -> Self {
        Self {
            source,
            size,
            ask,
            open: None,
        }
    }

    /// The size of the blob; `None` while nobody has said it.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// The next bytes come from a new stream of the source, wherever they are.
    pub(super) fn reset(&mut self) {
        self.open = None;
    }

    /// Whether a stream of the source is open, with whatever that holds.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Sees that the source is open at `from` and has bytes ready, unless none are wanted (`to` is not beyond). The
    /// [size](SourceReader::size) is the source's after that.
    pub(super) async fn prime(&mut self, from: u64, to: u64) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.position == from) {
            return Ok(());
        }
        self.open = None;
        if from < to || self.size.is_none() {
            let mut reading = OpenSource {
                stream: self.source.open(from).await?,
                position: from,
                leftover: Bytes::new(),
            };
            reading.leftover = self.read(&mut reading).await?.unwrap_or_default();
            self.open = Some(reading);
        }
        Ok(())
    }

    /// Fills `inlet` with the bytes from where the source was primed to before `to`, until they are there or nobody
    /// wants them any more. An error is the source's.
    pub(super) async fn pump(&mut self, inlet: RequestBodySender, to: u64) -> Result<(), Error> {
        // Taken out while it runs: what is lost when this future is dropped is read again.
        let Some(mut reading) = self.open.take() else {
            return Ok(());
        };
        while reading.position < to {
            let bytes = self.piece(&mut reading, to).await?;
            if inlet.chunks.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        self.open = Some(reading);
        Ok(())
    }

    /// The next bytes, at most up to `to`.
    async fn piece(&mut self, reading: &mut OpenSource, to: u64) -> Result<Bytes, Error> {
        if reading.leftover.is_empty() {
            let Some(bytes) = self.read(reading).await? else {
                return Err(self.wrong(&format!("ended after {} of", reading.position)));
            };
            reading.leftover = bytes;
        }
        let most = usize::try_from(to - reading.position).unwrap_or(usize::MAX);
        let length = most.min(reading.leftover.len());
        let piece = reading.leftover.split_to(length);
        reading.position += piece.len() as u64;
        Ok(piece)
    }

    /// The next bytes off the stream, or `None` at the end of the blob. The last ones are not given before the stream
    /// has ended, which says that all of them are right.
    async fn read(&mut self, reading: &mut OpenSource) -> Result<Option<Bytes>, Error> {
        let next_bytes = next(&mut reading.stream).await?;
        self.size = reading.stream.size().get().or(self.size);
        let end = reading.position + next_bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let Some(size) = self.size else {
            return Ok(next_bytes);
        };
        match next_bytes {
            None if end < size => Err(self.wrong(&format!("ended after {end} of"))),
            Some(_) if end > size => Err(self.wrong("has more than")),
            Some(_) if end == size && next(&mut reading.stream).await?.is_some() => {
                Err(self.wrong("has more than"))
            }
            next_bytes => Ok(next_bytes),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        let size = self.size.unwrap_or_default();
        self.ask.error(
            ErrorKind::Corrupt,
            format!("the source {what} the {size} bytes that it should have"),
        )
    }
}

/// The next bytes that are some.
async fn next(stream: &mut BlobStream) -> Result<Option<Bytes>, Error> {
    loop {
        match stream.next().await.transpose()? {
            Some(bytes) if bytes.is_empty() => {}
            other => return Ok(other),
        }
    }
}
